"""The run folder: what is not ours is left alone, what the user put or changed is kept, and trouble is one sentence."""

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from codesign.cli import main
from codesign.data import folder
from codesign.errors import CodesignError, ConfigError, MismatchError, StorageError, ToolError
from codesign.flow import look, rendered, steps
from codesign.flow.begin import begun, create
from codesign.flow.config import CompileConfig, Step
from codesign.flow.folder import RunFolder, file_digest, opened, stamp
from codesign.flow.steps import Run
from codesign.flow.verbs import bring
from codesign.ir import files
from codesign.ir.board import Board
from codesign.ir.measurement import Measurement
from codesign.ir.project import Project
from codesign.progress import silent
from codesign.report.page import page
from codesign.report.view import Column
from codesign.testing.small import small_graph
from test_cli import complaint
from test_flow import BOARD, PROOF, begin

CONFIG = CompileConfig(name="small", board="pynq-z2", proof=PROOF)
VERBS = ("predict", "csim", "rtlsim", "report")


@pytest.fixture
def unproved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is simulated: what a test looks at comes before."""
    monkeypatch.setattr(steps, "proof_steps", lambda *_: None)
    monkeypatch.setattr(steps, "csim_step", lambda run: None)
    monkeypatch.setattr(steps, "rtlsim_step", lambda run: None)


@pytest.fixture
def network_file(tmp_path: Path) -> Path:
    """The small network as ONNX."""
    pytest.importorskip("onnx")
    from codesign.front.onnx_file import write_onnx

    write_onnx(small_graph(), tmp_path / "small.onnx")
    return tmp_path / "small.onnx"


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file and folder with its content and time."""
    return {
        f"{p.relative_to(folder)} {p.lstat().st_mtime_ns}": p.read_bytes() if p.is_file() else None
        for p in [folder, *sorted(folder.rglob("*"))]
    }


def rendered_run(path: Path, progress: Callable[..., None] = silent) -> Run:
    """A run of the small network with design, cost and project."""
    run = replace(begin(path), progress=progress)
    for step in (steps.module_step, steps.design_step, steps.predict_step, steps.render_step):
        step(run)
    return run


def edit_design(run: Run, **changes: int) -> None:
    """Change the first engine by hand."""
    design = files.load_design(run.folder.design)
    first = replace(design.engines[0], **changes)  # type: ignore[arg-type]
    files.save_design(replace(design, engines=(first, *design.engines[1:])), run.folder.design)


def simulated(run: Run, **changes: object) -> Measurement:
    """A measurement of the project as it is."""
    plain = Measurement(
        tool="csim", version="1", project_digest=Project.read(run.folder.project).digest(), images=5, seconds=0.0,
        mismatches=0,
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("command", ["run", "compile", *VERBS, "compare"])
def test_a_folder_that_is_no_run_folder_stays_as_it_was(
    command: str,
    tmp_path: Path,
    network_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Byte for byte, with names that a careless pattern would take for temporary files, and without a lock."""
    home = tmp_path / "home"
    for name in (".oh-my-zsh", ".ssh-backup", "project", "network", "work/.a-b", "log/.c-d", "measured", "1-search"):
        (home / name).mkdir(parents=True)
        (home / name / ".e-f").write_text("mine")
    for name in (".clang-format", ".pre-commit-config.yaml", "notes.txt", "manifest.json", "rendered.json"):
        (home / name).write_text("mine")
    configuration = tmp_path / "c.yaml"
    configuration.write_text("name: c\nboard: pynq-z2\n")
    arguments = {
        "run": ["run", str(configuration), "--out", "."],
        "compile": ["compile", str(network_file), "--board", "pynq-z2", "--out", "."],
        "compare": ["compare", ".", "--measured", "notes.txt"],
    }.get(command, [command, "."])
    monkeypatch.chdir(home)
    for foreign in (None, '{"a": 1}', "[]", '{"format": 1, "command": "deploy"}'):
        if foreign is not None:
            (home / "0-config.json").write_text(foreign)
        before = tree(home)
        assert main(arguments) == 1
        assert "run folder" in complaint(capsys) or foreign == "[]"
        assert tree(home) == before


def measured_run(path: Path) -> Run:
    """A rendered run with simulations that stand."""
    run = rendered_run(path)
    digest = Project.read(run.folder.project).digest()
    for file, step, inputs in (
        (run.folder.csim, steps.CSIM, [PROOF.csim_images]),
        (run.folder.rtlsim, steps.RTLSIM, [PROOF.rtlsim_images]),
        (run.folder.rtlsim_stalls, steps.STALLS, [PROOF.rtlsim_images, "stalls"]),
    ):
        files.save_measurement(simulated(run), file)
        stamp(run.folder, step, [digest, *inputs])
    return run


@pytest.mark.parametrize("step", [Step.PREDICT, Step.RENDER, Step.CSIM, Step.RTLSIM, Step.REPORT])
def test_a_refused_design_is_named_by_its_file_and_what_was_proved_before_stands(step: Step, tmp_path: Path) -> None:
    run = measured_run(tmp_path / "run")
    good, stamps = run.folder.design.read_text(), run.folder.stamps.read_text()
    for spoil, said in (("[pool]", "engine 'loop': the graph has no such node"), ("[dense]", "engine 'loop'")):
        run.folder.design.write_text(good.replace(spoil, "[loop]"))
        with pytest.raises(ConfigError, match=f"^{re.escape(str(run.folder.design))}: {said}"):
            bring(step, run.folder.path, silent, again=True)
        assert run.folder.stamps.read_text() == stamps


def test_a_design_whose_buffers_are_too_small_is_named_by_its_file(tmp_path: Path) -> None:
    run = rendered_run(tmp_path / "run")
    edit_design(run, buffer_words=2, taps=1)
    with pytest.raises(ConfigError, match=rf"^{re.escape(str(run.folder.design))}: node 'conv': one of its windows"):
        bring(Step.PREDICT, run.folder.path, silent)


@pytest.mark.parametrize(("program", "step"), [("g++", Step.CSIM), ("verilator", Step.RTLSIM)])
def test_a_simulation_that_cannot_be_done_again_leaves_the_one_before(
    program: str, step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = measured_run(tmp_path / "run")
    stamps = run.folder.stamps.read_text()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(ToolError, match=re.escape(f"{program}: not found")):
        bring(step, run.folder.path, silent, again=True)
    assert run.folder.stamps.read_text() == stamps
    bring(step, run.folder.path, silent)  # passed over: it stands


@pytest.mark.parametrize("content", ["", "{", '{"format": 1}', "[]", '{"format": 2, "engines": 3}'])
def test_a_damaged_prediction_is_predicted_again_and_said_in_one_line(content: str, tmp_path: Path) -> None:
    run = rendered_run(tmp_path / "run")
    before = run.folder.cost.read_text()
    run.folder.cost.write_text(content)
    said: list[str] = []
    summary = bring(Step.REPORT, run.folder.path, lambda stage, done, total, note="": said.append(note)).summary
    assert run.folder.cost.read_text() == before
    assert summary["predicted"]["interval_cycles"] == files.load_cost(run.folder.cost).interval_cycles
    assert [line for line in said if line] == [s for s in said if re.search(r"5-cost\.json: .*; predicted again$", s)]
    assert len(said) == 1


def test_a_damaged_prediction_keeps_nothing_else_out_of_the_report(tmp_path: Path) -> None:
    run = measured_run(tmp_path / "run")
    run.folder.cost.write_text("{")
    now = look.view(run.folder, run.settings, run.board)
    assert now.cost is None
    assert now.csim is not None
    assert "5-cost.json" in " ".join(now.remarks)


@pytest.mark.parametrize(("found", "by"), [(1, "codesign 0.1; go on with"), (2, "codesign 0.2; go on with")])
def test_a_run_folder_of_an_older_version_is_refused_by_the_version_that_wrote_it(
    found: int, by: str, tmp_path: Path
) -> None:
    run = begin(tmp_path / "run")
    files.write_json(run.folder.config, {**files.read_plain(run.folder.config), "format": found})
    before = tree(tmp_path)
    with pytest.raises(ConfigError, match=f"0-config.json: format {found} was written by {by} that version, or run"):
        opened(run.folder.path)
    assert tree(tmp_path) == before


def test_a_lock_that_holds_something_is_the_users(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("mine")
    with (
        pytest.raises(ConfigError, match=r"not empty: it has '\.lock'"),
        begun(RunFolder(tmp_path), "compile", CONFIG, BOARD),
    ):
        pass
    assert (tmp_path / ".lock").read_text() == "mine"


def test_a_command_that_was_killed_as_it_began_is_begun_again(tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / ".lock").touch()
    (out / f"{files.TEMPORARY}abc").write_text("half")
    for _ in range(2):  # again with a board that was not written yet
        with begun(RunFolder(out), "compile", CONFIG, BOARD):
            assert sorted(p.name for p in out.iterdir()) == [".lock", "0-board.json", "0-config.json"]
        (out / "0-board.json").unlink()


def test_only_unfinished_files_of_our_own_are_tidied(tmp_path: Path) -> None:
    run = begin(tmp_path / "run")
    for name in (".vscode-settings", ".5-cost.json-abc"):
        (run.folder.path / name).write_text("mine")
    (run.folder.path / "work" / "csim" / f"{files.TEMPORARY}x").mkdir(parents=True)
    (run.folder.plain_state / "test" / f"{files.TEMPORARY}y").mkdir(parents=True)
    with begun(run.folder, "compile", CONFIG, BOARD):
        names = {p.name for p in run.folder.path.rglob("*")}
    assert {".vscode-settings", ".5-cost.json-abc"} <= names
    assert not [name for name in names if name.startswith(files.TEMPORARY)]


def test_a_refused_folder_of_another_run_stays_as_it_was(
    tmp_path: Path,
    network_file: Path,
    unproved: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    command = ["compile", str(network_file), "--board", "pynq-z2", "--out", str(out)]
    assert main(command) == 0
    before = tree(out)
    for refused, reason in (
        ([*command, "--min-fps", "10"], "min_fps was None, now 10.0"),
        ([*command[:3], "zcu102", *command[4:]], "board was 'pynq-z2', now 'zcu102'"),
    ):
        assert main(refused) == 1
        assert reason in complaint(capsys)
        assert tree(out) == before
    with pytest.raises(ConfigError, match="another model"), begun(RunFolder(out), "compile", CONFIG, BOARD, b"other"):
        pass
    assert tree(out) == before


def test_what_tells_of_a_run_or_board_may_change_and_the_work_stands(tmp_path: Path) -> None:
    """A corrected name or title, and another extent of the proof: nothing that was trained or designed is lost."""
    run = rendered_run(tmp_path / "run")
    before = run.folder.design.stat().st_mtime_ns
    board = replace(BOARD, name="renamed", title="Renamed", sources=("the manual",))
    config = replace(CONFIG, name="other", board="./renamed.yaml", proof=replace(PROOF, rtlsim_images=5))
    create(run.folder, "compile", config, board)
    folder, settings, held = opened(run.folder.path)
    assert (settings.name, settings.proof.rtlsim_images, held) == ("other", 5, board)
    for step in (steps.design_step, steps.predict_step, steps.render_step):
        step(Run(folder, settings, held, silent))
    assert folder.design.stat().st_mtime_ns == before
    assert "Renamed" in (folder.project / "README.md").read_text()
    with pytest.raises(ConfigError, match=r"board: clock_mhz was 100\.0, now 90\.0"):
        create(folder, "compile", config, replace(board, clock_mhz=90.0))


def test_a_folder_where_nothing_was_made_takes_another_configuration(tmp_path: Path) -> None:
    """As where the data set of the first was not found."""
    out = RunFolder(tmp_path / "run")
    for config in (CONFIG, replace(CONFIG, min_fps=9.0)):
        with begun(out, "compile", config, BOARD):
            assert opened(out.path)[1].min_fps == config.min_fps
    with begun(out, "compile", CONFIG, replace(BOARD, clock_mhz=50.0)):
        assert opened(out.path)[2].clock_mhz == 50.0


def test_what_only_tells_of_a_board_is_no_part_of_its_figures() -> None:
    told = replace(BOARD, name="x", title="y", part="z", sources=("w",))
    assert told.figures() == BOARD.figures()
    assert replace(BOARD, clock_mhz=90.0).figures() != BOARD.figures()
    assert replace(BOARD, dram_peak_mb_s=90.0).figures() != BOARD.figures()


def test_a_board_that_rendering_would_refuse_is_refused_before_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    text = (folder("boards") / "pynq-z2.yaml").read_text()
    (tmp_path / "b.yaml").write_text(text.replace("name: pynq-z2", "name: my board"))
    (tmp_path / "c.yaml").write_text(f"name: c\nboard: {tmp_path / 'b.yaml'}\n")
    assert main(["run", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "run")]) == 1
    assert "name: expected letters, digits and any of _ . -, got 'my board'" in complaint(capsys)
    assert not (tmp_path / "run").exists()


@pytest.mark.torch
def test_a_searchs_checkpoint_is_the_same_after_the_boards_name_was_corrected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from codesign.cosearch import cosearch
    from codesign.testing.small_search import run_tiny

    keys: list[str] = []

    def stop(trainer: object, accelerators: object, checkpoint: Path, key: str, *_: object) -> None:
        keys.append(key)
        raise InterruptedError

    monkeypatch.setattr(cosearch, "_begin", lambda *_: [])
    monkeypatch.setattr(cosearch, "_epochs", stop)
    for board in (BOARD, replace(BOARD, name="corrected", title="Another"), replace(BOARD, clock_mhz=99.0)):
        with pytest.raises(InterruptedError):
            run_tiny(board, tmp_path, trained_finalists=1, trained_neighbours=0)
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.torch
def test_a_trained_network_stands_after_the_boards_name_was_corrected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codesign.flow import learn
    from codesign.testing.small_search import tiny_config, tiny_data, tiny_space

    config = learn.RunConfig(name="tiny", board="pynq-z2", space=tiny_space(), search=tiny_config())
    (tmp_path / "run").mkdir()
    create(RunFolder(tmp_path / "run"), "run", config, BOARD)
    run = Run(*opened(tmp_path / "run"), silent)
    searched: list[str] = []
    monkeypatch.setattr(learn, "_network_plain", lambda *_: {})

    def search(dataset: object, space: object, board: Board, *_: object) -> None:
        searched.append(board.name)

    monkeypatch.setattr(learn, "cosearch", search)
    for board in (BOARD, replace(BOARD, name="corrected", sources=("s",)), replace(BOARD, clock_mhz=50.0)):
        learn.network_step(replace(run, board=board), config, tiny_data())
    assert searched == ["pynq-z2", "pynq-z2"]


def test_files_of_the_users_survive_a_rendering_and_do_not_change_the_project(tmp_path: Path) -> None:
    notes: list[str] = []
    run = rendered_run(tmp_path / "run", lambda stage, done, total, note="": notes.append(f"{stage}: {note}"))
    project = run.folder.project
    digest = Project.read(project).digest()
    kept = {project / "build" / "accel.bit": b"hours", project / "hls" / "odd\\name": b"mine", project / "n.txt": b"n"}
    for path, content in kept.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    assert Project.read(project).digest() == digest
    files.save_measurement(simulated(run), run.folder.csim)
    assert look.write_report(run.folder, run.settings, run.board)["csim"]["mismatches"] == 0
    edit_design(run, pe=1, emit=1)
    steps.predict_step(run)
    steps.render_step(run)
    assert Project.read(project).digest() != digest
    assert {path: path.read_bytes() for path in kept} == kept
    assert re.search(r"rendering: \d+ files; kept, and of an earlier design: build, hls/odd\\name, n.txt$", notes[-1])


def test_what_is_rendered_no_more_is_removed_and_a_name_that_the_user_took_is_not_overwritten(tmp_path: Path) -> None:
    run, target = begin(tmp_path / "run").folder, tmp_path / "run" / "project"
    rendered.place(run, target, Project({"a/b/c": "1", "a/d": "2", "e": "3"}))
    (target / "a" / "own").write_text("mine")
    rendered.place(run, target, Project({"e": "4"}))
    assert {str(p.relative_to(target)) for p in target.rglob("*")} == {"a", "a/own", "e"}
    before = tree(target)
    with pytest.raises(ConfigError, match=r"changed by hand, and would be lost: a/own\."):
        rendered.place(run, target, Project({"a/own": "ours", "e": "5"}))
    assert tree(target) == before


def test_a_rendered_file_that_was_changed_is_named_before_anything_is_done(
    tmp_path: Path, unproved: None, capsys: pytest.CaptureFixture[str]
) -> None:
    run = rendered_run(tmp_path / "run")
    changed = run.folder.project / "hls" / "kernel" / "params.hpp"
    changed.write_text("mine")
    edit_design(run, pe=1, emit=1)
    (run.folder.path / ".lock").touch()
    before = tree(run.folder.path)
    for verb in ("csim", "rtlsim"):
        assert main([verb, str(run.folder.path)]) == 1
        assert "project: changed by hand, and would be lost: hls/kernel/params.hpp. Move" in complaint(capsys)
        assert tree(run.folder.path) == before
    changed.unlink()
    assert main(["csim", str(run.folder.path)]) == 0


@pytest.mark.parametrize("name", ["hls/kernel/params.hpp", "manifest.json", "host", "rtl", "."])
def test_what_is_gone_of_a_project_is_rendered_again(name: str, tmp_path: Path, unproved: None) -> None:
    run = rendered_run(tmp_path / "run")
    digest = Project.read(run.folder.project).digest()
    gone = run.folder.project / name
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    assert main(["csim", str(run.folder.path)]) == 0
    assert Project.read(run.folder.project).digest() == digest


def test_a_project_stands_without_the_note_on_it(tmp_path: Path) -> None:
    run = rendered_run(tmp_path / "run")
    before = tree(run.folder.project)
    run.folder.rendered.unlink()
    steps.render_step(run)
    assert tree(run.folder.project) == before
    edit_design(run, pe=1, emit=1)
    steps.predict_step(run)
    steps.render_step(run)
    assert tree(run.folder.project) != before


@pytest.mark.parametrize("moment", [0, 1, 4, 12])
def test_a_rendering_that_was_killed_is_finished_by_the_next(
    moment: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the design was edited back meanwhile, so that every stamp is of what is wanted."""
    run = rendered_run(tmp_path / "run")
    first, text = Project.read(run.folder.project).digest(), run.folder.design.read_text()
    edit_design(run, pe=1, emit=1)
    steps.predict_step(run)
    replaced, calls = os.replace, 0

    def killed(old: Path, new: Path) -> None:
        nonlocal calls
        calls += calls > 0 or str(new).startswith(str(run.folder.project))
        if calls > moment:
            raise KeyboardInterrupt
        replaced(old, new)

    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):  # or few files were replaced
        patch.setattr(os, "replace", killed)
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # a killed process does not clean up either
        steps.render_step(run)
    run.folder.design.write_text(text)
    steps.predict_step(run)
    with begun(run.folder, "compile", CONFIG, BOARD):
        steps.render_step(run)
    assert Project.read(run.folder.project).digest() == first
    assert not [p for p in run.folder.path.rglob("*") if p.name.startswith(files.TEMPORARY)]
    assert rendered.standing(run.folder, run.folder.project).complete


def test_tuned_weights_stand_and_what_is_gone_beside_them_comes_back(tmp_path: Path) -> None:
    run = rendered_run(tmp_path / "run")
    (run.folder.module / "weights.npz").write_bytes(b"tuned")
    (run.folder.module / "model.py").unlink()
    steps.module_step(run)
    assert (run.folder.module / "weights.npz").read_bytes() == b"tuned"
    assert (run.folder.module / "model.py").exists()
    graph = files.load_graph(run.folder.graph)
    files.save_graph(replace(graph, name="another"), run.folder.graph)
    with pytest.raises(ConfigError, match=r"network: changed by hand, and would be lost: weights\.npz"):
        steps.module_step(run)
    assert (run.folder.module / "weights.npz").read_bytes() == b"tuned"


def test_a_design_that_was_edited_is_not_replaced_by_a_searched_one(tmp_path: Path) -> None:
    run = rendered_run(tmp_path / "run")
    edit_design(run, pe=1, emit=1)
    before = file_digest(run.folder.design)
    with pytest.raises(ConfigError, match=r"4-design\.yaml: was edited by hand, and"):
        steps.design_step(replace(run, settings=replace(run.settings, min_fps=1000.0)))
    assert file_digest(run.folder.design) == before


def test_an_edited_design_has_no_claims_and_no_measurements_of_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = rendered_run(tmp_path / "run")
    files.save_measurement(simulated(run), run.folder.csim)
    files.save_measurement(simulated(run, tool="rtlsim", interval_cycles=9, latency_cycles=9), run.folder.rtlsim)
    files.save_measurement(simulated(run), look.measured_file(run.folder, Column.POST_ROUTE))
    out = str(run.folder.path)
    assert main(["report", out]) == 0
    summary = json.loads(run.folder.summary.read_text())
    assert summary["search"]["proved_optimal"]
    assert {"csim", "rtlsim"} <= set(summary)
    assert "which is proved" in run.folder.report.read_text()
    edit_design(run, pe=1, emit=1, taps=1, buffer_words=262144)
    for verb in ("report", "predict"):
        capsys.readouterr()
        assert main([verb, out]) == 0
        printed = capsys.readouterr().out
        summary = json.loads(run.folder.summary.read_text())
        assert not summary["search"]["proved_optimal"]
        assert summary["search"]["edited"]
        assert summary["predicted"]["fits"] is False
        assert not {"csim", "rtlsim"} & set(summary)
        text = run.folder.report.read_text()
        assert "edited by hand since, and nothing is proved of it" in text
        assert "which is proved" not in text
        assert "binds" not in text
        for told in (printed, text, " ".join(summary["remarks"])):
            assert re.search(r"does not fit pynq-z2: needs [\d,]+ LUT, available are [\d,]+", told)
            left_out = "as it stands, and left out: C simulation, RTL simulation, post-route; measure again"
            assert f"not measured of the project {left_out}" in told


def test_a_design_edited_below_the_demand_is_said_to_be(tmp_path: Path) -> None:
    run = begin(tmp_path / "run", min_fps=200_000.0)
    steps.design_step(run)
    edit_design(run, pe=1, emit=1, simd=1)
    steps.predict_step(run)
    late = replace(run.settings, max_latency_us=0.5)
    remarks = look.view(run.folder, late, replace(run.board, clock_mhz=10.0)).remarks
    assert any(re.match(r"too slow: [\d,.]+ FPS, demanded are 200,000", r) for r in remarks)
    assert any(re.match(r"too late: [\d,.]+ µs for an image, demanded are 0.5 µs", r) for r in remarks)
    remarks = look.view(run.folder, late, replace(run.board, clock_mhz=1.0)).remarks
    assert "max_latency_us: 0.5 is less than a cycle at 1 MHz; allow more" in remarks


@pytest.mark.parametrize("place", ["csim", "rtlsim", "rtlsim_stalls", "synthesis"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mismatches": 3}, "3 words differ from the golden model"),
        ({"mismatches": None, "failure": "layer 'c', index 4: expected 1, got 2"}, "failed: layer 'c', index 4"),
    ],
)
def test_a_mismatch_that_was_measured_fails_the_report(
    place: str, changes: dict[str, object], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = rendered_run(tmp_path / "run")
    files.save_measurement(simulated(run, **changes), getattr(run.folder, place))
    assert main(["report", str(run.folder.path)]) == 1
    assert message in capsys.readouterr().out
    assert message in run.folder.report.read_text().replace("&#x27;", "'")
    assert message in json.loads(run.folder.summary.read_text())["wrong"][0]


def test_a_simulation_that_failed_does_not_look_like_one_that_was_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = rendered_run(tmp_path / "run")
    out = str(run.folder.path)

    def failing(error: CodesignError) -> Callable[..., Measurement]:
        def fail(*_: object, **__: object) -> Measurement:
            raise error

        return fail

    monkeypatch.setattr(steps, "csim", failing(MismatchError("csim: index 4: expected 1, got 2")))
    assert main(["csim", out]) == 1
    assert "index 4" in complaint(capsys)
    assert main(["report", out]) == 1
    assert "wrong      C simulation failed: csim: index 4: expected 1, got 2" in capsys.readouterr().out
    monkeypatch.setattr(steps, "csim", lambda *_, **__: simulated(run))
    assert main(["csim", out]) == 0
    monkeypatch.setattr(steps, "csim", failing(ToolError("g++: not found")))
    assert main(["csim", out]) == 1
    assert main(["report", out]) == 0  # what was measured before stands
    assert "csim       5 images, 0 mismatches" in capsys.readouterr().out


def test_a_project_changed_by_hand_fails_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = rendered_run(tmp_path / "run")
    files.save_measurement(simulated(run), run.folder.csim)
    params = run.folder.project / "hls" / "kernel" / "params.hpp"
    params.write_text(params.read_text().replace("1", "2"))
    assert main(["report", str(run.folder.path)]) == 1
    assert "changed by hand after rendering: hls/kernel/params.hpp" in capsys.readouterr().out
    assert "csim" not in json.loads(run.folder.summary.read_text())
    assert "not proved" in page(look.view(run.folder, run.settings, run.board), "1")


@pytest.mark.parametrize(
    "name",
    [
        "0-config.json", "0-board.json", "1-network.json", "2-training.json", "3-accuracy.json", "4-search.json",
        "4-design.yaml", "5-cost.json", "6-csim.json", "steps.json", "rendered.json", "2-graph.npz", "3-vectors.npz",
        "project/manifest.json",
    ],
)  # fmt: skip
@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"a": 1}', b"\xff\xfe", b"[" * 1200, b"9" * 9999])
def test_a_foreign_file_in_a_run_folder_is_one_sentence(
    name: str, content: bytes | None, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str],
    unproved: None,
) -> None:  # fmt: skip
    """Or nothing at all, where the file can be made again."""
    out = _copy_of_a_run(tmp_path_factory)
    spoilt = out / name
    spoilt.unlink(missing_ok=True)
    if content is not None:
        spoilt.write_bytes(content)
    for verb in ("report", "csim"):
        status = main([verb, str(out)])
        text = complaint(capsys)
        assert status == 0 or "codesign: " in text or verb == "report"
        assert status in (0, 1)


_RUN: list[Path] = []


def _copy_of_a_run(factory: pytest.TempPathFactory) -> Path:
    """A copy of one rendered run with a measurement, made once."""
    if not _RUN:
        run = rendered_run(factory.mktemp("original") / "run")
        files.save_measurement(simulated(run), run.folder.csim)
        _RUN.append(run.folder.path)
    out = factory.mktemp("copy") / "run"
    shutil.copytree(_RUN[0], out)
    return out


@pytest.mark.parametrize("command", ["run", "compile", *VERBS])
@pytest.mark.parametrize("where", ["file", "file/below", "n" * 300, "n" * 5000, "\udcff\udcfe"])
def test_a_run_folder_that_cannot_be_is_one_sentence(
    command: str,
    where: str,
    tmp_path: Path,
    network_file: Path,
    unproved: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("mine")
    Path("c.yaml").write_text("name: c\nboard: pynq-z2\ndata: {kind: arrays, path: nothing.npz}\n")
    arguments = {
        "run": ["run", "c.yaml", "--out", where],
        "compile": ["compile", str(network_file), "--board", "pynq-z2", "--out", where],
    }.get(command, [command, where])
    status = main(arguments)
    text = complaint(capsys)
    if command == "compile" and where.startswith("\udcff"):
        assert (status, text) == (0, text)
    else:
        assert status == 1
        assert text.count("codesign: ") == 1
    assert Path("file").read_text() == "mine"


def test_a_read_only_place_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(tmp_path / "run"))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with (
        pytest.raises(StorageError, match="run: cannot be written: Read-only file system"),
        begun(RunFolder(tmp_path / "run"), "compile", CONFIG, BOARD),
    ):
        pass


def test_a_full_disk_is_one_sentence_at_every_write(
    tmp_path: Path,
    network_file: Path,
    unproved: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With nothing left over, and the same command goes on when there is space."""
    left = 0

    def full(real: Callable[..., object]) -> Callable[..., object]:
        def write(*arguments: object, **named: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments, **named)

        return write

    out = tmp_path / "run"
    command = ["compile", str(network_file), "--board", "pynq-z2", "--out", str(out)]
    sentence = re.compile(
        r"codesign: \S+/run\S*: cannot be written: No space left on device; free some space, then run"
    )
    named = set()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full(os.fsync))
        patch.setattr(Path, "write_bytes", full(Path.write_bytes))
        # A step that failed is done again: 6, 6, 4 fail at three places behind each other.
        for count in (0, 1, 2, 3, 4, 6, 6, 4, 8, 9, 12, 16, 20, 24, 28):
            left = count
            assert main(command) == 1
            text = complaint(capsys)
            assert sentence.search(text), text
            named.add(text.split(": cannot be written")[0].split("/")[-1])
            assert not [p for p in out.rglob("*") if p.name.startswith(files.TEMPORARY)]
    assert {"0-config.json", "0-board.json", "network", "project", "5-cost.json"} <= named
    assert main(command) == 0


def test_a_full_disk_under_a_tool_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = rendered_run(tmp_path / "run")

    def full(*_: object, **__: object) -> Measurement:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(steps, "csim", full)
    assert main(["csim", str(run.folder.path)]) == 1
    assert "run/work: cannot be written: No space left on device" in complaint(capsys)


def test_an_error_of_the_system_that_nobody_expected_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(look, "view", fail)
    assert main(["report", str(begin(tmp_path / "run").folder.path)]) == 1
    assert "run: Input/output error" in complaint(capsys)


def test_a_run_folder_removed_while_it_is_worked_in_is_one_sentence_and_stays_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = rendered_run(tmp_path / "run")
    out = run.folder.path

    def removed(project: Project, work: Path, **_: object) -> Measurement:
        found = simulated(run)
        shutil.rmtree(out)
        return found

    monkeypatch.setattr(steps, "csim", removed)
    assert main(["csim", str(out)]) == 1
    assert "the run folder was removed while it was worked in" in complaint(capsys)
    assert not out.exists()
    for write in (
        lambda: files.write_text(out / "x", "x"),
        lambda: files.make_folder(out / "log"),
        lambda: look.measured_file(run.folder, Column.BOARD),
    ):
        with pytest.raises(StorageError, match="cannot be written: its folder is gone"):
            write()
    assert not out.exists()


def test_text_that_is_no_unicode_survives_its_file(tmp_path: Path) -> None:
    files.write_json(tmp_path / "x.json", {"path": "\udcff"})
    assert files.read_json(tmp_path / "x.json") == {"path": "\udcff"}
