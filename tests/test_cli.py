"""The command line: what it prints, its exit statuses, and that nobody ever sees a traceback."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import codesign
from codesign.cli import main
from codesign.errors import InfeasibleError, MismatchError, ToolError
from codesign.flow import steps
from codesign.flow.begin import locked
from codesign.flow.config import ProofConfig, Step
from codesign.flow.folder import RunFolder
from codesign.flow.steps import Run
from codesign.ir import files
from codesign.ir.boards import load_board
from codesign.model import golden
from codesign.testing.small import small_graph
from test_flow import begin

FEW = ("--csim-images", "4", "--rtlsim-images", "4")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An ONNX file of the small network, as this package writes it."""
    pytest.importorskip("onnx")
    from codesign.front.onnx_file import write_onnx

    path = tmp_path / "small.onnx"
    write_onnx(small_graph(), path)
    return path


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """What went to stderr, as one line."""
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return re.sub(r"\s+", " ", text)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"codesign {codesign.__version__}\n"


def test_a_name_in_an_error_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "a\x1b[31m\x07b"]) == 1
    text = capsys.readouterr().err
    assert text.startswith("codesign: a\\x1b[31m\\x07b: not a run folder")


def test_after_nothing_fitted_the_demands_may_change_in_the_same_folder(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = ["compile", str(model), "--board", "pynq-z2", "--out", str(tmp_path / "run"), *FEW]
    assert main([*again, "--limit", "lut=0"]) == 2
    assert main([*again, "--limit", "lut=1"]) == 2
    assert "available 1;" in complaint(capsys)
    (tmp_path / "run" / "4-design.yaml").write_text("format: 1\n")
    assert main([*again, "--limit", "lut=2"]) == 1
    assert "lut was 1, now 2" in complaint(capsys)


def test_boards_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["boards"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in ("pynq-z2", "zc706", "ultra96-v2", "zcu102", "kv260"))


def test_the_doctor_says_what_is_missing_and_what_works_without_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None if name == "verilator" else f"/usr/bin/{name}")
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "missing  verilator      needed for: RTL simulation" in text
    assert "without it: cycles are predicted, not measured. To have it: apt-get install verilator" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "nowhere"], "nowhere: not a run folder: it has no 0-config.json; make one with `codesign run`"),
        (["compile", "nowhere.onnx", "--board", "pynq-z2"], "nowhere.onnx: no such file"),
        (
            ["compile", "x.onnx", "--board", "pynq-z2", "--min-fps", "-1"],
            "--min-fps: expected 0.001 to 1e+12, got -1",
        ),
        (
            ["compile", "x.onnx", "--board", "pynq-z2", "--rtlsim-images", "1"],
            "--rtlsim-images: expected 4 to 100, the csim_images, got 1",
        ),
        (["compile", "x.onnx", "--board", "pynq-z2", "--min-fps", "nan"], "--min-fps: expected 0.001 to 1e+12"),
        (
            ["compile", "x.onnx", "--board", "pynq-z2", "--max-latency-us", "0"],
            "--max-latency-us: expected 0.001 to 1e+09",
        ),
        (
            ["compile", "x.onnx", "--board", "pynq-z2", "--limit", "lutt=5"],
            "--limit: expected one of dsp, bram18, uram, lut, ff",
        ),
        (["compile", "x.onnx", "--board", "pynq-z2", "--limit", "lut=-5"], "then = and a number, got 'lut=-5'"),
        (["compile", "x.onnx", "--board", "pynq-z2", "--limit", "lut=5", "--limit", "lut=6"], "lut is given twice"),
        (["compare", "nowhere", "--measured", "x"], "nowhere: not a run folder"),
    ],
)
def test_wrong_input_gets_one_paragraph_and_status_1(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    text = complaint(capsys)
    assert message in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.gxx
@pytest.mark.verilator
def test_a_trained_network_is_compiled_and_every_verb_works_again(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    command = ["compile", str(model), "--board", "pynq-z2", "--out", str(out), *FEW]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "csim       4 images, 0 mismatches" in text
    assert "rtlsim     4 images, 0 mismatches" in text
    first = json.loads((out / "summary.json").read_text())
    assert first["rtlsim"]["interval_cycles"] == first["predicted"]["interval_cycles"]
    stamps = (out / "7-rtlsim.json").stat().st_mtime_ns
    assert main(command) == 0
    assert (out / "7-rtlsim.json").stat().st_mtime_ns == stamps
    for verb in ("predict", "csim", "rtlsim", "report"):
        assert main([verb, str(out)]) == 0
    assert (out / "7-rtlsim.json").stat().st_mtime_ns > stamps
    assert {k: v for k, v in json.loads((out / "summary.json").read_text()).items() if k not in ("csim", "rtlsim")} == {
        k: v for k, v in first.items() if k not in ("csim", "rtlsim")
    }


def test_a_prediction_alone_needs_no_program_and_the_rest_does_nothing_twice(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    command = ["compile", str(model), "--board", "pynq-z2", "--out", str(out), *FEW]
    monkeypatch.setenv("PATH", str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(golden, "run", None)  # nothing is simulated yet
        assert main([*command, "--until", "predict"]) == 0
    assert "predicted  " in capsys.readouterr().out
    assert json.loads((out / "summary.json").read_text())["predicted"]["interval_cycles"] > 0
    assert (out / "report.html").exists()
    assert not (out / "project").exists()
    stood = {p: p.stat().st_mtime_ns for p in out.glob("[245]-*")}
    assert len(stood) == 4
    assert main([*command, "--until", "csim"]) == 1
    assert "g++: not found; install it" in complaint(capsys)
    assert main(command) == 0
    assert "C simulation: 0.0 s, passed over: g++ is not installed" in complaint(capsys)
    stood |= {p: p.stat().st_mtime_ns for p in [out / "3-vectors.npz", out / "project" / "manifest.json"]}
    assert main([*command, "--until", "predict"]) == 0
    assert main([*command, "--until", "render"]) == 0
    assert main(command) == 0
    assert {p: p.stat().st_mtime_ns for p in stood} == stood


@pytest.mark.gxx
def test_a_run_stops_behind_the_step_that_is_named(tmp_path: Path, model: Path) -> None:
    out = tmp_path / "run"
    assert main(["compile", str(model), "--board", "pynq-z2", "--out", str(out), *FEW, "--until", "csim"]) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["csim"]["mismatches"] == 0
    assert "rtlsim" not in summary
    assert not (out / "7-rtlsim.json").exists()


def test_the_steps_behind_a_named_one_are_not_done_and_those_before_are(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    for name in ("render_step", "csim_step", "rtlsim_step", "synthesis_step"):
        monkeypatch.setattr(steps, name, lambda run, name=name: done.append(name.removesuffix("_step")))
    found = {}
    for step in Step:
        done.clear()
        command = ["compile", str(model), "--board", "pynq-z2", "--out", str(tmp_path / "run"), *FEW]
        assert main([*command, "--until", step.value]) == 0
        found[step.value] = tuple(done)
    assert found == {
        "predict": (),
        "render": ("render",),
        "csim": ("render", "csim"),
        "rtlsim": ("render", "csim", "rtlsim"),
        "synthesize": ("render", "csim", "rtlsim", "synthesis"),
        "report": ("render", "csim", "rtlsim"),
    }


def test_a_step_that_fails_is_told_by_the_report(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def differ(project: object, work: Path, **_: object) -> None:
        raise MismatchError("csim: layer 'dense': expected 1, got 2")

    out = tmp_path / "run"
    command = ["compile", str(model), "--board", "pynq-z2", "--out", str(out), *FEW]
    assert main([*command, "--until", "render"]) == 0
    assert "wrong" not in json.loads((out / "summary.json").read_text())
    monkeypatch.setattr(steps, "csim", differ)
    assert main([*command, "--until", "csim"]) == 1
    assert "codesign: csim: layer 'dense': expected 1, got 2" in complaint(capsys)
    (sentence,) = json.loads((out / "summary.json").read_text())["wrong"]
    assert "layer 'dense': expected 1, got 2" in sentence
    assert "expected 1, got 2" in (out / "report.html").read_text()


def test_images_that_change_are_simulated_and_a_file_that_was_changed_is_made_right(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, graph = tmp_path / "run", small_graph()
    command = ["compile", str(model), "--board", "pynq-z2", "--out", str(out), *FEW]
    images = np.random.default_rng(5).integers(0, 256, (4, 6, 6, 1))
    np.save(tmp_path / "x.npy", images)
    assert main([*command, "--until", "render"]) == 0
    assert main([*command, "--until", "predict", "--images", str(tmp_path / "x.npy")]) == 0
    assert main(["render", str(out)]) == 0
    held = files.load_arrays(out / "3-vectors.npz")
    assert np.array_equal(held["x"], images)
    assert np.array_equal(held["y"], golden.run(graph, images))
    files.save_arrays(out / "3-vectors.npz", {"x": images, "y": held["y"] + 1})
    assert main(["render", str(out)]) == 0
    assert np.array_equal(files.load_arrays(out / "3-vectors.npz")["y"], held["y"])
    files.save_arrays(out / "3-vectors.npz", {"y": held["y"]})
    capsys.readouterr()
    assert main(["render", str(out)]) == 1
    assert "3-vectors.npz: has no array 'x'; delete it, and run the `codesign compile ...`" in complaint(capsys)


def test_a_board_that_is_too_small_is_status_2(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert main(["compile", str(model), "--board", "pynq-z2", "--out", str(out), "--min-fps", "9e7", *FEW]) == 2
    assert "codesign: design: graph 'small' does not fit" in complaint(capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND; see `codesign --help`"),
        (["compil"], "invalid choice: 'compil'"),
        (["compile", "x.onnx"], "the following arguments are required: --board; see `codesign compile --help`"),
        (["compile", "x.onnx", "--board", "b", "--min-fps", "fast"], "--min-fps: invalid float value: 'fast'"),
        (["report", "a", "b"], "unrecognized arguments: b"),
        (["compile", "x.onnx", "--board", "b", "--goal", "speed"], "argument --goal: invalid choice: 'speed'"),
        (
            ["compile", "x.onnx", "--board", "b", "--until", "rtl"],
            "argument --until: expected predict, render, csim, rtlsim, synthesize or report, got 'rtl'",
        ),
        (["run", "x.yaml", "--until", ""], "synthesize or report, got ''; see `codesign run --help`"),
    ],
)
def test_wrong_usage_gets_one_sentence_and_status_1(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 1
    text = complaint(capsys)
    assert text.startswith("codesign: ")
    assert message in text
    assert "usage:" not in text


def test_a_limit_that_is_too_low_is_named_and_not_the_board(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    command = ["compile", str(model), "--board", "pynq-z2", "--out", str(out), *FEW]
    assert main([*command, "--limit", "lut=0"]) == 2
    text = complaint(capsys)
    assert "does not fit its limits on board 'pynq-z2'" in text
    assert "nearest board" not in text
    least = re.search(r"lut needs about (\d+), available 0; raise lut to about (\d+) \(--limit, or the key", text)
    assert least is not None
    assert least[1] == least[2]
    assert int(least[1]) > 0


def test_images_of_ones_own_are_checked(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["compile", str(model), "--board", "pynq-z2", "--out", str(tmp_path / "run"), *FEW, "--images"]
    for array, message in (
        (np.zeros((4, 6, 6, 1)), "expected integers [N, IY, IX, C], got float64 [4, 6, 6, 1]"),
        (np.zeros((3, 6, 6, 1), dtype=int), "expected at least 4 images (--csim-images), got 3"),
        (np.zeros((4, 6, 5, 1), dtype=int), "expected [B, 6, 6, 1] (HWC), got [4, 6, 5, 1]"),
        (np.full((4, 6, 6, 1), 256), "expected uint8 values, got 256 to 256"),
    ):
        np.save(tmp_path / "x.npy", array)
        assert main([*command, str(tmp_path / "x.npy")]) == 1
        assert message in complaint(capsys)
    (tmp_path / "x.npy").write_bytes(b"no array")
    assert main([*command, str(tmp_path / "x.npy")]) == 1
    assert "not an .npy file" in complaint(capsys)
    assert not (tmp_path / "run").exists()


def test_a_board_log_is_compared_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = begin(tmp_path / "run")
    for step in (steps.design_step, steps.predict_step, steps.render_step):
        step(run)
    manifest = json.loads((run.folder.project / "manifest.json").read_text())
    cost = files.load_cost(run.folder.cost)
    log = {
        "schema": 1, "tool": "board", "driver": "pynq", "board": "pynq-z2", "part": load_board("pynq-z2").part,
        "design_hash": manifest["design"]["hash"], "spelling": "rtl", "timing": "hardware", "clock_mhz": 100.0,
        "images": 64, "mismatches": 0, "fps": 1e8 / cost.interval_cycles, "interval_cycles": cost.interval_cycles,
        "latency_cycles": cost.latency_cycles * 2,
    }  # fmt: skip
    measured = tmp_path / "board.json"
    measured.write_text(json.dumps(log))
    command = ["compare", str(tmp_path / "run"), "--measured", str(measured)]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert re.search(rf"interval_cycles +{cost.interval_cycles:,} +{cost.interval_cycles:,} +\+0\.0%", text)
    assert re.search(r"latency_cycles .* -50\.0%", text)
    assert "pynq-z2, pynq" in run.folder.report.read_text()
    os.utime(measured, (0, 0))
    assert main(command) == 1
    assert "stale" in complaint(capsys)
    assert main([*command, "--even-if-older"]) == 0
    measured.write_text(json.dumps({**log, "mismatches": 3}))
    assert main(command) == 1


def started(arguments: list[str], until: Path, tools: str = "", before: str = "") -> "subprocess.Popen[str]":
    """A command of its own process group, once `until` is there; programs are looked for in `tools` first.

    `before`: what the process executes before.

    It takes SIGINT as a terminal's command does, though a shell that starts these tests with & has it ignored.
    """
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        + before
        + "from codesign.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
    )
    deadline = time.monotonic() + 60
    while not until.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return process


def unfinished(out: Path) -> list[Path]:
    """Files and folders that were begun and not finished."""
    return [p for p in out.iterdir() if p.name.startswith(".") and p.name != ".lock"]


def endless_compiler(folder: Path) -> str:
    """A folder with a g++ that is still at work whenever a signal comes."""
    compiler = folder / "g++"
    compiler.write_text("#!/bin/sh\nexec sleep 120\n")
    compiler.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_an_interrupted_command_says_how_to_go_on(name: str, status: int, tmp_path: Path) -> None:
    out = begin(tmp_path / "a run").folder.path
    log = out / "work" / "csim" / "csim_compile.log"
    process = started(["csim", str(out)], log, endless_compiler(tmp_path))
    process.send_signal(signal.Signals[name])
    process.send_signal(signal.Signals[name])  # an impatient user
    _, text = process.communicate(timeout=60)
    assert process.returncode == status
    assert "Traceback" not in text
    assert f"interrupted; `codesign csim '{out}'` goes on from here" in text
    assert unfinished(out) == []
    with locked(RunFolder(out)):
        pass


def test_an_interrupt_while_everything_is_loaded_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "yaml.py").write_text("raise KeyboardInterrupt")
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    command = [sys.executable, "-m", "codesign", "boards"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "interrupted before anything was begun\n")


def test_the_status_stands_when_a_library_evaluated_what_was_interrupted(tmp_path: Path) -> None:
    (tmp_path / "start.py").write_text(
        "import ctypes, sys; from codesign import __main__, cli\n"
        "def main():\n"
        "    run = ctypes.pythonapi.PyRun_String; run.restype = ctypes.py_object\n"
        "    names = ctypes.py_object({})\n"
        "    try: run(b'raise KeyboardInterrupt', 257, names, names)\n"
        "    except KeyboardInterrupt: return 143\n"
        "cli.main = main\n"
        "sys.exit(__main__.main())\n"
    )
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run([sys.executable, "-m", "start"], env={**os.environ, "PYTHONPATH": path}, check=False)
    assert done.returncode == 143


def test_a_hangup_that_is_ignored_ends_nothing(tmp_path: Path) -> None:
    out = begin(tmp_path / "run").folder.path
    ignored = "signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    log = out / "work" / "csim" / "csim_compile.log"
    process = started(["csim", str(out)], log, endless_compiler(tmp_path), ignored)
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143


def test_an_interrupt_that_is_lost_still_ends_the_command(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from codesign.flow import interrupt\n"
        "interrupt.PATIENCE_S = 0.2\n"
        "def lose():\n"
        "    try: time.sleep(100)\n"
        "    except KeyboardInterrupt: time.sleep(100)\n"
        "with interrupt.interruptible(lambda: print('interrupted', flush=True)):\n"
        "    Path(sys.argv[1]).touch()\n"
        "    lose()\n"
    )
    begun = tmp_path / "begun"
    with subprocess.Popen([sys.executable, "-c", code, begun], stdout=subprocess.PIPE, text=True) as process:
        while not begun.exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        text, _ = process.communicate(timeout=60)
    assert (process.returncode, text) == (143, "interrupted\n")


@pytest.mark.gxx
def test_a_command_that_was_killed_is_finished_by_the_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = begin(tmp_path / "run").folder.path
    process = started(["csim", str(out)], out / "work" / "csim")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    (out / f"{files.TEMPORARY}abc").mkdir()
    (out / f"{files.TEMPORARY}def").write_text("half")
    assert main(["csim", str(out)]) == 0
    assert "csim       5 images, 0 mismatches" in capsys.readouterr().out
    assert unfinished(out) == []


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted; `codesign report somewhere` goes on from here"),
        (InfeasibleError("too small"), 2, "codesign: too small"),
        (MismatchError("layer c: expected 1, got 2"), 1, "codesign: layer c: expected 1, got 2"),
        (ToolError("g++: failed"), 1, "codesign: g++: failed"),
    ],
)
def test_every_kind_of_trouble_has_its_status(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    message: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("codesign.flow.verbs.bring", fail)
    assert main(["report", "somewhere"]) == status
    assert message in complaint(capsys)


def test_what_is_missing_is_passed_over_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = begin(tmp_path / "run", proof=ProofConfig(csim_images=4, rtlsim_images=4, synthesis=True))
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    told: list[str] = []
    quiet = Run(
        run.folder, run.settings, run.board, lambda stage, done, total, note="": told.append(f"{stage}: {note}")
    )
    steps.proof_steps(quiet)
    steps.wished_synthesis_step(quiet)
    assert told == [
        "C simulation: passed over: g++ is not installed; see `codesign doctor`",
        "RTL simulation: passed over: verilator is not installed; see `codesign doctor`",
        "open synthesis: passed over: pyosys is not installed; see `codesign doctor`",
    ]
