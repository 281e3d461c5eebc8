"""The command line: each sub-command parses, calls one function of flow, and prints.

Long because every sub-command has its arguments and their help here.
"""

import argparse
import contextlib
import io
import json
import logging
import os
import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import codesign
from codesign.errors import CodesignError, ConfigError, InfeasibleError
from codesign.flow.config import CompileConfig, ProofConfig, Step, run_name, step_named
from codesign.flow.display import Display, spent
from codesign.flow.doctor import examine
from codesign.flow.interrupt import exit_status, interruptible
from codesign.ir.board import MOST, Limits
from codesign.ir.boards import list_boards
from codesign.ir.cost import NAMES
from codesign.ir.strict import parse
from codesign.ptq.config import QuantizeConfig
from codesign.report.view import Column
from codesign.search.goal import Goal

WRONG, INFEASIBLE = 1, 2
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")  # a file's name, quoted in an error, must not steer the terminal

Arguments = argparse.Namespace


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, 1 (something is wrong), 2 (nothing fits) or 128 + a signal's number.

    `--help` and `--version` print and raise SystemExit of status 0.
    """
    # OpenMP threads that spin for long while they wait slow torch down on a busy machine. Threads that sleep at once
    # wake up too late on an idle one. The variable is read when torch is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        arguments = _parser().parse_args(argv)
    except ConfigError as error:
        _complain(error)
        return WRONG
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.ERROR, format="%(name)s: %(message)s")
    for stream in (sys.stdout, sys.stderr):  # a path may have bytes that are no text
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    display = Display(sys.stderr, live=sys.stderr.isatty())
    again = shlex.join(["codesign", *(sys.argv[1:] if argv is None else argv)])

    def say() -> None:
        with contextlib.suppress(OSError):  # the terminal may be what has gone
            display.close()
            print(f"interrupted; `{again}` goes on from here", file=sys.stderr, flush=True)

    with interruptible(say):
        try:
            return _status_of(arguments, display)
        except KeyboardInterrupt as error:
            say()
            return exit_status(error)


def _status_of(arguments: Arguments, display: Display) -> int:
    """Run the command; the exit status, with errors told."""
    command: Callable[[Arguments, Display], int] = arguments.command
    try:
        return command(arguments, display)
    except BrokenPipeError:
        sys.stderr.close()
        return WRONG
    except InfeasibleError as error:
        display.close()
        _complain(error)
        return INFEASIBLE
    except CodesignError as error:
        display.close()
        _complain(error)
        return WRONG
    except OSError as error:  # the last resort; code that knows more says more
        display.close()
        where = error.filename or getattr(arguments, "out", None) or getattr(arguments, "run", "codesign")
        _complain(CodesignError(f"{where}: {error.strerror or error}"))
        return WRONG


def _run(arguments: Arguments, display: Display) -> int:
    from codesign.flow import verbs

    out = arguments.out or Path("runs") / arguments.config.stem
    result = verbs.run(arguments.config, out, display, arguments.until)
    return _finish(result) if result is not None else 0


def _compile(arguments: Arguments, display: Display) -> int:
    from codesign.flow import verbs

    name = run_name(arguments.model.stem)
    try:
        proof = ProofConfig(csim_images=arguments.csim_images, rtlsim_images=arguments.rtlsim_images)
        config = CompileConfig(
            name=name,
            board=arguments.board,
            min_fps=arguments.min_fps,
            max_latency_us=arguments.max_latency_us,
            goal=None if arguments.goal is None else Goal(arguments.goal),
            limits=_limits(arguments.limit),
            proof=proof,
            input_shape=_extents(arguments.input_shape),
            calibrate=arguments.calibrate,
            quantize=_quantize(arguments.quantize),
            weights=arguments.weights,
        )
    except ValueError as error:
        raise _of_option(error) from error
    out = arguments.out or Path("runs") / name
    return _finish(verbs.compile_model(arguments.model, config, out, display, arguments.images, arguments.until))


def _of_option(error: ValueError) -> ConfigError:
    """Return the complaint about a setting, with the option that set it in place of its key."""
    key, _, rest = str(error).partition(": ")
    return ConfigError(f"{key if key.startswith('--') else '--' + key.replace('_', '-')}: {rest}")


def _extents(text: str | None) -> tuple[int, ...] | None:
    """Return the extents of a text like 3,224,224. Raise ValueError."""
    if text is None:
        return None
    numbers = text.split(",")
    if not all(number.isdecimal() and len(number) < len(str(MOST)) for number in numbers):
        raise ValueError(f"--input-shape: expected numbers between commas, such as 3,224,224, got {text!r}")
    return tuple(int(number) for number in numbers)


def _quantize(texts: Sequence[str]) -> QuantizeConfig | None:
    """Return settings from texts like weight_bits=4; None if there are none. Raise ConfigError."""
    plain: dict[str, Any] = {}
    for text in texts:
        name, _, value = text.partition("=")
        with contextlib.suppress(ValueError):
            plain[name] = json.loads(value)
            continue
        plain[name] = value
    return parse(QuantizeConfig, plain, "--quantize") if plain else None


def _limits(texts: Sequence[str]) -> Limits:
    """Return limits from texts like lut=5000. Raise ValueError."""
    found: dict[str, int] = {}
    for text in texts:
        name, _, number = text.partition("=")
        if name not in NAMES or not number.isdecimal():
            raise ValueError(f"--limit: expected one of {', '.join(NAMES)}, then = and a number, got {text!r}")
        if name in found:
            raise ValueError(f"--limit: {name} is given twice; give one number for it")
        found[name] = int(number) if len(number) < len(str(MOST)) else MOST  # more than any board has is no limit
    return Limits(**found)


def _repeat(arguments: Arguments, display: Display) -> int:
    from codesign.flow import verbs

    return _finish(verbs.bring(arguments.step, arguments.run, display, again=True))


def _sweep(arguments: Arguments, display: Display) -> int:
    from codesign.flow.sweep import SweepFolder, sweep
    from codesign.report.sweep import State

    out = arguments.out or Path("runs") / arguments.config.stem
    outcomes = sweep(arguments.config, out, display, jobs=arguments.jobs, ray=arguments.ray)
    for o in outcomes:
        accuracy = "" if o.accuracy is None else f"{o.accuracy:.2%}"
        print(
            f"{o.cell:<40} {o.state.value:<11}{accuracy:>8}{'' if o.fps is None else f'{o.fps:,.0f} FPS':>16}".rstrip()
        )
    for o in outcomes:
        if o.state in (State.FAILED, State.WRONG):
            print(f"{o.state.value:<11}{o.cell}: {o.error}")
    folder = SweepFolder(out)
    print(f"table      {folder.table}\nreport     {folder.page}")
    if any(o.state in (State.FAILED, State.WRONG) for o in outcomes):
        return WRONG
    return 0 if any(o.state is State.DONE for o in outcomes) else INFEASIBLE


def _compare(arguments: Arguments, display: Display) -> int:
    from codesign.flow import verbs

    result, reading = verbs.compare(arguments.run, arguments.measured, even_if_older=arguments.even_if_older)
    predicted, m = result.summary["predicted"], reading.measurement
    found = {"interval_cycles": m.interval_cycles, "latency_cycles": m.latency_cycles}
    if m.resources is not None:
        found |= {name: getattr(m.resources, name) for name in ("dsp", "bram18", "uram", "lut", "ff")}
    print(f"{'':<18}{Column.PREDICTED.value:>14}{reading.column.value:>16}{'error':>10}")
    for name, value in found.items():
        error = "" if not value else f"{(predicted[name] - value) / value:+.1%}"
        print(f"{name:<18}{predicted[name]:>14,}{'' if value is None else f'{value:,}':>16}{error:>10}")
    if m.mismatches is not None:
        print(f"{m.images:,} images, {m.mismatches:,} mismatches")
    for remark in reading.remarks:
        print(remark)
    print(f"report: {result.folder.report}")
    return WRONG if m.mismatches else 0


def _boards(arguments: Arguments, display: Display) -> int:
    print(f"{'name':<12}{'part':<24}{'MHz':>6}{'DSP':>7}{'BRAM18':>8}{'URAM':>6}{'LUT':>9}{'FF':>9}  title")
    for board in list_boards():
        r = board.resources
        figures = f"{board.clock_mhz:>6g}{r.dsp:>7,}{r.bram18:>8,}{r.uram:>6,}{r.lut:>9,}{r.ff:>9,}"
        print(f"{board.name:<12}{board.part:<24}{figures}  {board.title}")
    print("Your own board: copy one of these files, and give its path; see the README.")
    return 0


def _doctor(arguments: Arguments, display: Display) -> int:
    findings = examine()
    for f in findings:
        print(f"{'ok     ' if f.version else 'missing'}  {f.name:<14} {f.version or f'needed for: {f.needed_for}'}")
        if not f.version:
            print(f"{'':<24} without it: {f.without}. To have it: {f.remedy}")
    missing = sum(f.version is None for f in findings)
    print("everything is there" if not missing else f"{missing} missing")
    return 0


def _finish(result: Any) -> int:
    """Print what a run came to; wrong simulations make the command fail."""
    s = result.summary
    lines = [f"{s['name']} on {s['board']}, {s['clock_mhz']:g} MHz"]
    if "accuracy" in s:
        a = s["accuracy"]
        keys = ("float", "quantized", "plain_float")
        others = "".join(f", {key.replace('_', ' ')} {a[key]:.2%}" for key in keys if key in a)
        lines.append(f"accuracy   golden {a['golden']:.2%} of {a['test_images']:,} test images{others}")
    if "source" in s:
        lines.append(f"source     {s['source']['verdict']}")
    if "predicted" in s:
        p = s["predicted"]
        rate = f"{p['fps']:,.0f} FPS at the nominal clock"
        lines.append(f"predicted  {rate}, interval {p['interval_cycles']:,}, latency {p['latency_cycles']:,}")
        if "estimated_clock_mhz" in p:
            slower = f", {p['fps_at_estimated_clock']:,.0f} FPS" if "fps_at_estimated_clock" in p else ""
            lines.append(f"           {p['estimated_clock_mhz']:g} MHz estimated, by {p['slowest_path']}{slower}")
        lines.append(f"           {p['dsp']} DSP, {p['bram18']} BRAM18, {p['lut']:,} LUT, {p['ff']:,} FF")
    if "csim" in s:
        c = s["csim"]
        lines.append(f"csim       {c['images']} images, {c['mismatches']} mismatches, {spent(c['seconds'])}")
    if "rtlsim" in s:
        r = s["rtlsim"]
        lines.append(f"rtlsim     {r['images']} images, {r['mismatches']} mismatches, {spent(r['seconds'])}")
        if "interval_cycles" in r:
            cycles = f"interval {r['interval_cycles']:,}, latency {r['latency_cycles']:,}"
            lines.append(f"           {r['fps']:,.0f} FPS, {cycles} cycles (measured)")
    if y := s.get("synthesis"):
        lines.append(f"synthesis  {y['dsp']} DSP, {y['bram18']} BRAM18, {y['lut']:,} LUT, {y['ff']:,} FF (Yosys)")
    lines += [f"note       {remark}" for remark in s.get("remarks", ())]
    lines += [f"wrong      {sentence}" for sentence in s.get("wrong", ())]
    folder = result.folder
    lines += [f"report     {folder.report}"]
    lines += [f"project    {folder.project}"] if folder.project.exists() else []
    print("\n".join(lines))
    return WRONG if s.get("wrong") else 0


def _complain(error: CodesignError) -> None:
    width = min(shutil.get_terminal_size((100, 24)).columns, 120)
    text = f"codesign: {error}"
    for part in text.splitlines():
        part = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", part)
        print(textwrap.fill(part, width, break_long_words=False, break_on_hyphens=False), file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    """A parser that complains as the commands do; argparse itself would exit with 2, which says that nothing fits."""

    def error(self, message: str) -> NoReturn:
        """Raise ConfigError."""
        raise ConfigError(f"{message}; see `{self.prog} --help`")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="codesign", description="A neural network and an FPGA accelerator that fit each other, proven bit-exact."
    )
    parser.add_argument("--version", action="version", version=f"codesign {codesign.__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="report progress on stderr")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")

    run = commands.add_parser("run", help="data set + board -> searched network, project, proof, report")
    run.add_argument("config", type=Path, metavar="CONFIG.yaml")
    run.add_argument("--out", type=Path, metavar="RUN", help="the run folder (default: runs/CONFIG)")
    _add_until(run)
    run.set_defaults(command=_run)

    _add_compile(commands)

    _add_sweep(commands)

    for step, what in (
        (Step.PREDICT, "predict the cost of a run's design again"),
        (Step.RENDER, "render the project of a run again"),
        (Step.CSIM, "simulate the C++ of a run again, with g++"),
        (Step.RTLSIM, "simulate the SystemVerilog of a run again, with Verilator"),
        (Step.SYNTHESIZE, "count the resources of a run's SystemVerilog, with Yosys (minutes)"),
        (Step.REPORT, "write summary.json and report.html of a run again"),
    ):
        again = commands.add_parser(step.value, help=what)
        again.add_argument("run", type=Path, metavar="RUN")
        again.set_defaults(command=_repeat, step=step)

    _add_compare(commands)
    commands.add_parser("boards", help="list the boards").set_defaults(command=_boards)
    commands.add_parser("doctor", help="what is installed, what is missing").set_defaults(command=_doctor)
    return parser


def _add_sweep(commands: "argparse._SubParsersAction[_Parser]") -> None:
    sweep = commands.add_parser("sweep", help="`run` over boards, demands, seeds and spaces, in one table")
    sweep.add_argument("config", type=Path, metavar="SWEEP.yaml")
    sweep.add_argument("--out", type=Path, metavar="FOLDER", help="the sweep's folder (default: runs/SWEEP)")
    sweep.add_argument("--jobs", type=_count, metavar="N", help="runs at a time (default: as many as the cores hold)")
    sweep.add_argument(
        "--ray", metavar="ADDRESS", help="run on this Ray cluster instead; auto: the one of this machine"
    )
    sweep.set_defaults(command=_sweep)


def _add_compare(commands: "argparse._SubParsersAction[_Parser]") -> None:
    compare = commands.add_parser("compare", help="vendor reports or a board log against the prediction")
    compare.add_argument("run", type=Path, metavar="RUN")
    compare.add_argument("--measured", type=Path, required=True, metavar="FILE")
    compare.add_argument("--even-if-older", action="store_true", help="take a file that is older than the project")
    compare.set_defaults(command=_compare)


def _add_compile(commands: Any) -> None:
    command = commands.add_parser("compile", help="your trained network -> project, proof, report")
    command.add_argument("model", type=Path, metavar="MODEL", help="an ONNX or TFLite file")
    command.add_argument("--board", required=True, help="a name of `codesign boards`, or a .yaml file")
    command.add_argument("--out", type=Path, metavar="RUN", help="the run folder (default: runs/MODEL)")
    _add_until(command)
    command.add_argument("--min-fps", type=float, metavar="FPS", help="the cheapest design that is this fast")
    command.add_argument("--max-latency-us", type=float, metavar="US", help="the most microseconds for one image")
    command.add_argument("--goal", choices=[g.value for g in Goal], help="minimise this within what is demanded")
    command.add_argument("--limit", action="append", default=[], metavar="RESOURCE=N", help="take no more; repeatable")
    command.add_argument("--images", type=Path, metavar="FILE.npy", help="integers [N, IY, IX, C] to simulate with")
    command.add_argument(
        "--input-shape", metavar="C,H,W", help="extents after the batch, where the file leaves them open"
    )
    command.add_argument(
        "--calibrate",
        metavar="DATA",
        help="quantize a float network by an .npz, an .npy, a folder of images or a named data set",
    )
    command.add_argument(
        "--quantize", action="append", default=[], metavar="KEY=VALUE", help="how, such as weight_bits=4; repeatable"
    )
    text = "loaded: from DRAM at start; or a run that has them so, for its bitstream (default: constants)"
    command.add_argument("--weights", metavar="loaded|RUN", help=text)
    command.add_argument("--csim-images", type=int, default=ProofConfig().csim_images, metavar="N")
    command.add_argument("--rtlsim-images", type=int, default=ProofConfig().rtlsim_images, metavar="N")
    command.set_defaults(command=_compile)


def _add_until(command: argparse.ArgumentParser) -> None:
    names = ", ".join(step.value for step in Step)
    text = f"stop after one of {names}, and report; without --until the same command continues from there"
    command.add_argument("--until", type=_step, default=Step.REPORT, metavar="STEP", help=text)


def _count(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 4096):
        raise argparse.ArgumentTypeError(f"expected 1 to 4,096, got {text!r}")
    return int(text)


def _step(name: str) -> Step:
    try:
        return step_named(name)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
