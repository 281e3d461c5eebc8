"""RTL simulation: builds the SystemVerilog project with Verilator, runs its C++ test bench, and reads the cycles.

The bench owns the clock; Python only starts it and reads what it printed.
"""

import re
import time
from pathlib import Path

import numpy as np

from codesign.errors import MismatchError, ToolError
from codesign.ir.measurement import Measurement
from codesign.ir.project import Project
from codesign.machine.names import EngineNames, engines_of
from codesign.ops.arrays import IntArray
from codesign.sim.tool import run_tool, tool_version

VERILATOR = "verilator"
# Verilator's own choice, -Os for all, takes twice as long to compile and simulates no faster; what runs once needs no
# optimization at all.
OPTIMIZATION = "OPT_FAST=-O1 OPT_GLOBAL=-O1 OPT_SLOW=-O0"
# Verilator's makefile refuses to build in a folder with a space in its path. That folder is the current one, and all
# paths are relative to it, so that its name is never read.
ANYWHERE = "CURDIR=."
Engines = tuple[EngineNames, ...]

MIN_SETTLED_IMAGES = 2  # a measured interval needs two images after the pipeline has filled


def rtlsim(
    project: Project, work: Path, *, images: int | None = None, stall_seed: int | None = None, timeout_s: float = 900.0
) -> Measurement:
    """Simulate `images` images (default: all of rtl/tb/data) back to back in the folder `work`; build only if needed.

    With `stall_seed` both ends of the machine hold back at random; then the cycles mean nothing and are left out.
    Otherwise `interval_cycles` is (t_last - t_middle) / images between, over the second half of the images.
    `latency_cycles` is from the first input beat to the last output beat of the first image.

    Raise MismatchError, naming image, index, expected and got, if a word differs from the golden model's. Raise
    ToolError, naming full and empty buffers, if nothing moves any more. Raise it also if a tool fails or takes longer
    than timeout_s seconds.
    """
    engines = engines_of(project)
    folder, bench = build(project, work, timeout_s=timeout_s)
    output, log = work.resolve() / "rtlsim_output.dat", work / "rtlsim.log"
    output.unlink(missing_ok=True)
    argv: list[str | Path] = [bench, "tb/data", "--outputs", output]
    argv += [] if images is None else ["--images", str(images)]
    argv += [] if stall_seed is None else ["--stalls", str(stall_seed)]
    started = time.perf_counter()
    try:
        text = run_tool(argv, cwd=folder, timeout_s=timeout_s, log=log)
    except ToolError as error:
        raise _diagnosis(log, engines) or error from error
    seconds = time.perf_counter() - started
    times = [int(t) for t in re.findall(r"^image \d+ out (\d+)$", text, re.MULTILINE)]
    timed = stall_seed is None
    return Measurement(
        tool="rtlsim",
        version=tool_version([VERILATOR, "--version"], cwd=work),
        project_digest=project.digest(),
        images=len(times),
        seconds=seconds,
        outputs=_outputs(output),
        mismatches=int(_figures(text, "result")["mismatches"]),
        interval_cycles=_interval(times) if timed else None,
        latency_cycles=times[0] if timed else None,
        engine_cycles=_engine_cycles(text, engines, len(times)),
        fifo_peak={name: int(f["peak"]) for name, f in _buffers(text, engines).items()},
    )


def build(project: Project, work: Path, *, timeout_s: float) -> tuple[Path, Path]:
    """Return the RTL folder and the compiled test bench, built unless this project's build is already there.

    Raise ToolError; a lint warning of Verilator is an error.
    """
    digest = project.digest()
    folder = work.resolve() / "project" / "rtl"
    bench, stamp = work.resolve() / "rtlsim_build" / "Vaccel", work / "rtlsim_build.sha256"
    if bench.is_file() and stamp.is_file() and stamp.read_text() == digest:
        return folder, bench
    stamp.unlink(missing_ok=True)
    project.write(work / "project")
    argv: list[str | Path] = [VERILATOR, "--cc", "--exe", "--build", "-j", "2", "-O3", "-Wall", "--top-module", "accel"]
    argv += ["-CFLAGS", "-std=c++17 -I../project/rtl/tb", "-MAKEFLAGS", f"{ANYWHERE} {OPTIMIZATION}"]
    argv += ["--Mdir", f"../../{bench.parent.name}", "-y", "modules"]
    argv += ["modules/codesign_pkg.sv", "accel.sv", "../project/rtl/tb/tb.cpp"]  # read in the folder of the build
    run_tool(argv, cwd=folder, timeout_s=timeout_s, log=work / "rtlsim_build.log")
    stamp.write_text(digest)
    return folder, bench


def _diagnosis(log: Path, engines: Engines) -> MismatchError | ToolError | None:
    """Return what the bench itself said went wrong, if it did."""
    text = log.read_text(errors="replace") if log.is_file() else ""
    stuck = re.search(r"^stuck: (.*)$", text, re.MULTILINE)
    if stuck:
        buffers = _buffers(text, engines)
        full = [n for n, f in buffers.items() if f["now"] >= f["depth"]]
        empty = [n for n, f in buffers.items() if f["now"] == 0]
        what = f"full: {', '.join(full) or 'none'}; empty: {', '.join(empty) or 'none'}"
        return ToolError(f"rtlsim: {stuck[1]}\n{what}\nlog: {log}")
    first = re.search(r"^mismatch image (\d+) index (\d+) expected (-?\d+) got (-?\d+)$", text, re.MULTILINE)
    if first:
        counts = _figures(text, "result")
        return MismatchError(
            f"rtlsim: layer 'result', image {first[1]}, index {first[2]}: expected {first[3]}, got {first[4]}; "
            f"{counts['mismatches']} of {counts['words']} output words differ from the golden model"
        )
    return None


def _interval(times: list[int]) -> int | None:
    """Return the cycles between images once the pipeline is full, from the second half of the images; rounded up."""
    middle = len(times) // 2
    if len(times) - middle < MIN_SETTLED_IMAGES:
        return None
    return -(-(times[-1] - times[middle]) // (len(times) - 1 - middle))


def _figures(text: str, name: str) -> dict[str, int]:
    """Return the numbers of the line that begins with `name`."""
    line = re.search(rf"^{name} (.*)$", text, re.MULTILINE)
    if line is None:
        raise ToolError(f"rtlsim: the test bench printed no line {name!r}")
    return {key: int(value) for key, value in re.findall(r"(\w+) (-?\d+)", line[1])}


def _buffers(text: str, engines: Engines) -> dict[str, dict[str, int]]:
    """Return depth, peak, now and steps by buffer: that of an engine by its name, a FIFO by that of its instance."""
    names = {engine.rtl: engine.name for engine in engines}
    pattern = r"^buffer \S*?accel\.(\w+)(?:\.\S+)? depth (\d+) peak (\d+) now (\d+) steps (\d+)$"
    lines = re.findall(pattern, text, re.MULTILINE)
    figures = {i: {"depth": int(d), "peak": int(p), "now": int(w), "steps": int(s)} for i, d, p, w, s in lines}
    return {names.get(i) or i.removeprefix("u_"): found for i, found in figures.items()}


def _engine_cycles(text: str, engines: Engines, images: int) -> dict[str, int]:
    """Return the busy cycles per image of every engine: what it prints itself, or the steps of its feed."""
    steps = {i: int(s) for i, s in re.findall(r"^buffer \S*?accel\.(\w+)\S* .* steps (\d+)$", text, re.MULTILINE)}
    steps |= {i: int(s) for i, s in re.findall(r"^engine \S*?accel\.(\w+)\S* steps (\d+)$", text, re.MULTILINE)}
    silent = [engine.rtl for engine in engines if engine.rtl not in steps]
    if silent:
        raise ToolError(f"rtlsim: the test bench printed no steps of {silent[0]}")
    return {engine.name: steps[engine.rtl] // images for engine in engines}


def _outputs(path: Path) -> IntArray:
    """Read the bench's output file as [N, elements]."""
    rows = [[int(v) for v in line.split()] for line in path.read_text().splitlines()]
    return np.array(rows, dtype=np.int64)
