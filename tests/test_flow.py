"""The flow on a small network: every step leaves its file, stands until its inputs change, and can be done again."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codesign.errors import ConfigError, InfeasibleError
from codesign.flow import look, steps, vectors
from codesign.flow.begin import create, locked
from codesign.flow.config import CompileConfig, ProofConfig, difference
from codesign.flow.folder import RunFolder, opened
from codesign.flow.steps import Run
from codesign.ir import files
from codesign.ir.board import Limits
from codesign.ir.boards import load_board
from codesign.ir.cost import Cost
from codesign.progress import silent
from codesign.report import page as report_page
from codesign.search.goal import Goal
from codesign.testing.small import small_graph

PROOF = ProofConfig(csim_images=5, rtlsim_images=4, synthesis=False)


def begin(path: Path, *, proof: ProofConfig = PROOF, min_fps: float | None = None) -> Run:
    """A compile run of the small network, as far as its files are given by the user."""
    path.mkdir(parents=True, exist_ok=True)
    create(
        RunFolder(path), "compile", CompileConfig(name="small", board="pynq-z2", min_fps=min_fps, proof=proof), BOARD
    )
    folder, settings, board = opened(path)
    graph = small_graph()
    files.save_graph(graph, folder.graph)
    vectors.save_vectors(folder, graph, vectors.random_images(graph, 0, proof.csim_images))
    return Run(folder, settings, board, silent)


BOARD = load_board("pynq-z2")


@pytest.mark.gxx
@pytest.mark.verilator
def test_every_step_leaves_its_file_and_the_machine_is_exact(tmp_path: Path) -> None:
    run = begin(tmp_path / "run")
    for step in (steps.design_step, steps.predict_step, steps.render_step, steps.proof_steps):
        step(run)
    plain = look.write_report(run.folder, run.settings, run.board)
    assert (plain["csim"]["images"], plain["csim"]["mismatches"]) == (5, 0)
    assert (plain["rtlsim"]["images"], plain["rtlsim"]["mismatches"]) == (4, 0)
    assert plain["rtlsim"]["interval_cycles"] == plain["predicted"]["interval_cycles"]
    assert plain["search"]["proved_optimal"]
    assert "accuracy" not in plain
    assert json.loads(run.folder.summary.read_text()) == plain
    assert run.folder.report.read_text().startswith("<!doctype html>")
    before = {p: p.stat().st_mtime_ns for p in run.folder.path.glob("*.*") if p.name != "steps.json"}
    for step in (steps.design_step, steps.predict_step, steps.render_step, steps.proof_steps):
        step(run)
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_the_networks_own_module_is_written_once_and_a_change_of_it_stands(tmp_path: Path) -> None:
    run = begin(tmp_path / "run")
    steps.module_step(run)
    names = sorted(p.name for p in run.folder.module.iterdir())
    assert names == ["model.py", "network.yaml", "weights.npz"]
    (run.folder.module / "weights.npz").write_bytes(b"tuned")
    steps.module_step(run)
    assert (run.folder.module / "weights.npz").read_bytes() == b"tuned"


def test_a_design_changed_by_hand_stands_and_what_follows_is_done_again(tmp_path: Path) -> None:
    run = begin(tmp_path / "run")
    steps.design_step(run)
    steps.predict_step(run)
    fast = files.load_cost(run.folder.cost)
    text = run.folder.design.read_text()
    design = files.load_design(run.folder.design)
    assert design.engines[0].pe > 1
    slow = text.replace(f"emit: {design.engines[0].emit}", "emit: 1", 1).replace(
        f"pe: {design.engines[0].pe}", "pe: 1", 1
    )
    run.folder.design.write_text(slow)
    steps.design_step(run)
    steps.predict_step(run)
    assert run.folder.design.read_text() == slow
    assert files.load_cost(run.folder.cost).engines[0].interval_cycles > fast.engines[0].interval_cycles


def test_a_design_that_does_not_fit_the_network_is_refused(tmp_path: Path) -> None:
    run = begin(tmp_path / "run")
    steps.design_step(run)
    run.folder.design.write_text(run.folder.design.read_text().replace("nodes: [pool]", "nodes: [loop]"))
    with pytest.raises(ConfigError, match="engine 'loop': the graph has no such node"):
        steps.predict_step(run)


def test_a_demanded_frame_rate_is_met_with_fewer_resources(tmp_path: Path) -> None:
    fast, cheap = begin(tmp_path / "fast"), begin(tmp_path / "cheap", min_fps=200_000.0)
    for run in (fast, cheap):
        steps.design_step(run)
        steps.predict_step(run)
    a, b = (files.load_cost(r.folder.cost) for r in (fast, cheap))
    assert a.interval_cycles < b.interval_cycles <= 500
    assert b.resources.lut < a.resources.lut


def cost_with(path: Path, **changes: object) -> Cost:
    """The predicted cost of the small graph's design under these demands."""
    config = replace(CompileConfig(name="small", board="pynq-z2", proof=PROOF), **changes)  # type: ignore[arg-type]
    path.mkdir()
    create(RunFolder(path), "compile", config, replace(BOARD, limits=config.limits))
    folder, settings, board = opened(path)
    files.save_graph(small_graph(), folder.graph)
    run = Run(folder, settings, board, silent)
    steps.design_step(run)
    steps.predict_step(run)
    return files.load_cost(folder.cost)


@pytest.mark.parametrize(
    ("goal", "claim"), [("resources", "less resources at most"), ("latency", "less latency at most")]
)
def test_another_goal_than_the_interval_can_be_asked_for(tmp_path: Path, goal: str, claim: str) -> None:
    """Least resources of all, or least latency; the report says how far from the best they may be."""
    fastest = cost_with(tmp_path / "fastest")
    found = cost_with(tmp_path / goal, goal=Goal(goal))
    if goal == "resources":
        assert found.resources.lut < fastest.resources.lut
        assert found.interval_cycles > fastest.interval_cycles
    else:
        assert found.latency_cycles <= fastest.latency_cycles
    folder, settings, board = opened(tmp_path / goal)
    assert claim in report_page.page(look.view(folder, settings, board), "1")


def test_limits_on_resources_and_latency_hold_for_the_design(tmp_path: Path) -> None:
    free = cost_with(tmp_path / "free")
    few = cost_with(tmp_path / "few", limits=Limits(lut=int(free.resources.lut * 0.8), dsp=0))
    assert few.resources.lut <= free.resources.lut * 0.8
    assert few.resources.dsp == 0
    assert few.interval_cycles > free.interval_cycles
    most_us = few.latency_cycles / BOARD.clock_mhz
    assert cost_with(tmp_path / "quick", max_latency_us=most_us).latency_cycles <= few.latency_cycles
    with pytest.raises(InfeasibleError, match="may take 10 cycles, but the quickest"):
        cost_with(tmp_path / "never", max_latency_us=10 / BOARD.clock_mhz)


def test_a_frame_rate_that_nothing_reaches_is_infeasible(tmp_path: Path) -> None:
    with pytest.raises(InfeasibleError):
        steps.design_step(begin(tmp_path / "run", min_fps=5e7))
    with pytest.raises(InfeasibleError, match="more than one image a cycle"):
        steps.design_step(begin(tmp_path / "other", min_fps=5e8))


def test_a_folder_of_another_configuration_is_refused_with_the_key(tmp_path: Path) -> None:
    begin(tmp_path / "run")
    steps.design_step(begin(tmp_path / "run"))
    with pytest.raises(ConfigError, match=r"min_fps was None, now 9\.0\. In a run that was begun, these may"):
        begin(tmp_path / "run", min_fps=9.0)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(ConfigError, match=r"not a run folder, and not empty: it has 'precious\.txt'"):
        begin(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]


def test_two_commands_do_not_work_in_one_folder(tmp_path: Path) -> None:
    with (
        locked(RunFolder(tmp_path)),
        pytest.raises(ConfigError, match="another command is at work"),
        locked(RunFolder(tmp_path)),
    ):
        pass


def test_a_measurement_of_an_earlier_project_is_left_out(tmp_path: Path) -> None:
    run = begin(tmp_path / "run")
    for step in (steps.design_step, steps.predict_step, steps.render_step):
        step(run)
    x, y = vectors.load_vectors(run.folder)
    from codesign.ir.measurement import Measurement

    stale = Measurement(tool="t", version="", project_digest="another", images=len(x), seconds=0.0, outputs=y)
    files.save_measurement(stale, run.folder.csim)
    assert look.view(run.folder, run.settings, run.board).csim is None


def test_the_images_to_simulate_reach_both_ends_of_their_type() -> None:
    graph = small_graph()
    x = vectors.random_images(graph, 0, 4)
    assert (x[1] == graph.input.otype.qmin).all()
    assert (x[2] == graph.input.otype.qmax).all()
    assert np.array_equal(x, vectors.random_images(graph, 0, 4))


def test_a_difference_names_its_key() -> None:
    assert difference({"a": {"b": 1}}, {"a": {"b": 2}}) == "a: b was 1, now 2"
    assert difference({"a": 1}, {"a": 1, "c": 2}) == "c was None, now 2"
    assert difference({"a": [1]}, {"a": [1]}) == ""
