"""The estimated clock: beside netlists, by part, in predictions, and where it is said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import codesign
from codesign.cli import main
from codesign.ir import files
from codesign.ir.board import Board
from codesign.ir.boards import load_board
from codesign.ir.canonical import digest
from codesign.ir.cost import Clock
from codesign.ir.technology import families, technology_of
from codesign.ir.timing import Speed, Timing
from codesign.machine.elaborate import elaborate
from codesign.model.clock import INNER, estimate_clock, features, kind_of_block, ways_of
from codesign.model.predict import predict, predict_with_clock
from codesign.report.page import page
from codesign.report.summary import summary
from codesign.report.view import View
from codesign.testing.clock_cases import (
    CHECKED,
    CHECKED_FAMILY,
    FITTED,
    Convolution,
    Drawn,
    Measured,
    blocks_of,
    errors_of,
    fit,
    measure_sample,
    read_measured,
    samples_of,
    write_measured,
)
from codesign.testing.small import small_design, small_graph

TABLE = Path(__file__).parent / "clock.csv"
# Errors of what was not fitted, and of what was. Most is off where a kind was fitted to one sample or two.
MEDIAN, FITTED_MEDIAN, MOST = 0.10, 0.05, 0.60
BOARD = load_board("pynq-z2")


def timing_of(family: str = "xc7") -> Timing:
    timing = technology_of(family).timing
    assert timing is not None
    return timing


def slow(board: Board, times: float) -> Board:
    """The board in a technology whose paths are so many times as long."""
    timing = replace(timing_of(board.family), placed=timing_of(board.family).placed * times)
    return replace(board, technology=replace(board.fabric, timing=timing))


def test_estimates_of_engines_that_were_not_fitted_are_near_their_netlists() -> None:
    rows = [row for row in read_measured(TABLE) if row.family == CHECKED_FAMILY]
    errors = errors_of(rows, CHECKED)
    engines = [error for (_, name), error in errors.items() if name.startswith("engine_")]
    assert len(engines) >= 20
    assert np.median(np.abs(engines)) < MEDIAN
    assert np.abs(engines).max() < MOST


@pytest.mark.parametrize("family", families())
def test_estimates_of_what_was_fitted_are_nearer(family: str) -> None:
    rows = [row for row in read_measured(TABLE) if row.family == family]
    errors = list(errors_of(rows, FITTED).values())
    assert len(errors) >= 80
    assert np.median(np.abs(errors)) < FITTED_MEDIAN
    assert np.abs(errors).max() < MOST


@pytest.mark.parametrize("family", families())
def test_every_kind_of_block_of_a_random_machine_is_known(family: str) -> None:
    for seed in range(20):
        graph, design = Drawn(seed).machine()
        kinds = {kind_of_block(block) for block in blocks_of(elaborate(graph, design)).values()}
        assert kinds <= timing_of(family).kinds


def test_the_table_is_of_the_samples_as_they_are() -> None:
    rows = {(row.family, row.sample, row.instance) for row in read_measured(TABLE)}
    for family in families():
        for sample in samples_of(family):
            graph, design = sample.machine()
            assert {(family, repr(sample), name) for name in blocks_of(elaborate(graph, design))} <= rows


@pytest.mark.yosys
@pytest.mark.slow
def test_a_netlist_gives_what_the_table_says(tmp_path: Path) -> None:
    sample = FITTED[0]
    found = {row.instance: row.ways for row in measure_sample(sample, "xc7", tmp_path)}
    kept = [row for row in read_measured(TABLE) if row.family == "xc7" and row.sample == repr(sample)]
    assert {row.instance: row.ways for row in kept} == found, "run: make bench-clock"


def test_more_multiplications_in_luts_are_never_estimated_faster() -> None:
    def inner_ns(**sizes: int) -> float:
        graph, design = Convolution(dsp=False, **sizes).machine()
        (unit,) = elaborate(graph, design).units
        return max(ns for way, ns in ways_of(unit, timing_of()).items() if way.startswith(INNER))

    assert inner_ns(bits=4) <= inner_ns(bits=8)
    assert inner_ns(pe=1) <= inner_ns(pe=8)


def test_a_quicker_part_has_a_quicker_clock_in_the_ratio_of_its_grade() -> None:
    machine, timing = elaborate(small_graph(), small_design()), timing_of()
    one, two = (estimate_clock(machine, timing, f"xc7z020clg400-{grade}") for grade in (1, 2))
    kintex, unknown = (estimate_clock(machine, timing, part) for part in ("xc7z045ffg900-2", "elsewhere"))
    assert one is not None
    assert two is not None
    assert kintex is not None
    assert two.estimated_mhz == pytest.approx(one.estimated_mhz / 0.83)
    assert kintex.estimated_mhz == pytest.approx(one.estimated_mhz / 0.55)
    assert unknown == one
    assert not Speed(parts=("xczu",), grade="2", ratio=0.9).covers("xczu9eg-ffvb1156-2LV-e")


def test_the_slowest_module_bounds_the_clock_and_ways_between_modules_add_up() -> None:
    machine, kinds = elaborate(small_graph(), small_design()), timing_of().paths
    flat = {kind: {"inner.top": {"one": 1.0}} for kind in kinds}
    timing = replace(timing_of(), placed=2.0, paths=flat | {"pool": {"inner.top": {"one": 5.0}}})
    assert estimate_clock(machine, timing, "x") == Clock(estimated_mhz=100.0, slowest="engine pool")
    # From the pool backwards through the converter in front of it, into the registers of the first engine.
    ready = {
        "pool": {"register_ready": {"one": 4.0}},
        "widening_converter": {"ready_ready": {"one": 1.0}},
        "conv": {"inner.top": {"one": 1.0}, "ready_register": {"one": 6.0}},
    }
    found = estimate_clock(machine, replace(timing, paths=flat | ready), "x")
    assert found == Clock(estimated_mhz=pytest.approx(1e3 / 22), slowest="engine conv")


def test_a_kind_that_was_never_measured_has_no_estimate() -> None:
    machine, timing = elaborate(small_graph(), small_design()), timing_of()
    paths = {kind: ways for kind, ways in timing.paths.items() if kind != "pool"}
    assert estimate_clock(machine, replace(timing, paths=paths), "x") is None


def test_a_fit_gives_back_what_it_is_made_of() -> None:
    samples = [Convolution(pe=pe, simd=simd) for pe in (1, 2, 4) for simd in (1, 2)]
    blocks = {}
    for sample in samples:
        graph, design = sample.machine()
        blocks |= {(repr(sample), name): b for name, b in blocks_of(elaborate(graph, design)).items()}
    rows = [
        Measured("xc7", sample, name, {"inner.top": 2.0 + 0.5 * features(b).get("lanes", 0.0)})
        for (sample, name), b in blocks.items()
        if name.startswith("engine_")
    ]
    paths = fit(rows, blocks)
    for row in rows:
        timing = replace(timing_of(), paths=paths)
        assert ways_of(blocks[row.sample, row.instance], timing)["inner.top"] == pytest.approx(row.inner_ns, rel=0.02)


def test_measurements_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows = [Measured("xc7", repr(FITTED[0]), "control", {"inner.top": 1.25, "data_ready": 0.5})]
    write_measured(rows, tmp_path / "c.csv")
    assert read_measured(tmp_path / "c.csv") == rows


def test_a_prediction_for_a_search_has_no_clock_and_costs_keep_their_digest(tmp_path: Path) -> None:
    graph, design = small_graph(), small_design()
    plain, told = predict(graph, design, BOARD), predict_with_clock(graph, design, BOARD)
    assert plain.clock is None
    assert told.clock is not None
    assert replace(told, clock=None) == plain
    assert digest(plain) == digest(replace(told, clock=None))
    files.save_cost(told, tmp_path / "cost.json")
    assert files.load_cost(tmp_path / "cost.json") == told
    kept = files.read_plain(tmp_path / "cost.json")
    del kept["clock"]  # as an earlier version wrote it
    files.write_json(tmp_path / "cost.json", kept)
    assert files.load_cost(tmp_path / "cost.json") == plain


def test_a_technology_of_ones_own_has_no_estimate_unless_it_has_timing() -> None:
    board = replace(BOARD, technology=replace(BOARD.fabric, timing=None))
    assert predict_with_clock(small_graph(), small_design(), board).clock is None


def test_predictions_say_which_clock_is_the_lower() -> None:
    graph, design = small_graph(), small_design()
    view = View(name="small", board=BOARD, graph=graph, design=design)
    fast = summary(replace(view, cost=predict_with_clock(graph, design, slow(BOARD, 0.1))))["predicted"]
    assert fast["clock"] == "nominal"
    assert "fps_at_estimated_clock" not in fast
    cost = predict_with_clock(graph, design, slow(BOARD, 4.0))
    late = summary(replace(view, cost=cost))["predicted"]
    assert late["clock"] == "estimated"
    assert late["estimated_clock_mhz"] < BOARD.clock_mhz
    assert late["fps_at_estimated_clock"] / late["fps"] == pytest.approx(late["estimated_clock_mhz"] / 100, rel=0.01)
    assert late["fps"] == fast["fps"]  # still at the nominal clock
    assert "clock, estimated" in page(replace(view, cost=cost), "1")


def test_a_run_warns_of_the_module_that_is_too_slow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    built = codesign.compile(small_graph(), board=slow(BOARD, 4.0), out=tmp_path / "run", name="small")
    (note,) = (remark for remark in built.summary()["remarks"] if remark.startswith("clock"))
    assert note.startswith("clock: 100 MHz is nominal, from the board's file; the slowest path, in engine")
    assert main(["predict", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "MHz estimated, by engine" in out
    assert f"note       {note}" in out


def test_a_run_folder_of_before_keeps_its_prediction_and_another_part_gets_another(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    codesign.compile(small_graph(), board=BOARD, out=folder, name="small").cost  # noqa: B018
    cost = folder / "5-cost.json"
    first, kept = files.load_cost(cost), files.read_plain(cost)
    codesign.compile(small_graph(), board=replace(BOARD, part="xc7z020clg400-3"), out=folder, name="small").cost  # noqa: B018
    second = files.load_cost(cost)
    assert second.clock != first.clock
    assert replace(second, clock=None) == replace(first, clock=None)
    del kept["clock"]
    files.write_json(cost, kept)
    before = cost.read_bytes()
    codesign.compile(small_graph(), board=BOARD, out=folder, name="small").cost  # noqa: B018
    assert cost.read_bytes() == before
