"""Poolings over the whole map: results so far in place of pixels, in both spellings, to the word and the cycle."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codesign.ir.builder import GraphBuilder
from codesign.ir.design import Design, LineEngine, Memory
from codesign.ir.graph import Graph
from codesign.ir.technology import technology_of
from codesign.machine.elaborate import elaborate
from codesign.machine.line import compute_cycles, input_fold, node_interval
from codesign.machine.modules import RunningPool
from codesign.model.course import first_image_latency, occupancies
from codesign.model.resource import design_resources
from codesign.model.schedule import SETTLED_IMAGES, schedule, size_buffers
from codesign.ops.pool import Pool, PoolOp
from codesign.ops.qtype import QType
from codesign.ops.shapes import Shape, Window
from codesign.testing.random_machines import random_pooled_graph
from hls_batch import case_of, failures
from rtl_batch import Machine, build_runtime, run_batch, run_group
from strategies import random_design, random_inputs
from test_rtl import planted
from test_rtl_random import check_cycles, check_words


def pooled(seed: int, images: int, *arguments: str, at_own_pace: bool = False) -> Machine:
    rng = np.random.default_rng(seed)
    graph = random_pooled_graph(rng)
    design = size_buffers(graph, random_design(graph, rng))
    pace = ("--pace", str(schedule(elaborate(graph, design)).interval_cycles)) if at_own_pace else ()
    return Machine(seed, graph, design, random_inputs(graph, rng, images), (*arguments, *pace))


@pytest.mark.verilator
@pytest.mark.gxx
@pytest.mark.slow
def test_words_and_cycles_are_as_computed(tmp_path: Path) -> None:
    machines = [pooled(seed, 6) for seed in range(40)]
    folds = {int(m.fold) for machine in machines for m in modules(machine) if m.average and m.pixels > 1}
    assert {1, 2, 3} < folds
    assert max(folds) > 16
    for result in run_batch(machines, tmp_path):
        check_words(result)
        check_cycles(result)


def modules(machine: Machine) -> list[RunningPool]:
    units = elaborate(machine.graph, machine.design).units
    return [module for unit in units for module in unit.modules if isinstance(module, RunningPool)]


@pytest.mark.verilator
@pytest.mark.gxx
@pytest.mark.slow
def test_stalls_on_both_ends_change_no_word(tmp_path: Path) -> None:
    for result in run_batch([pooled(seed, 5, "--stalls", str(seed)) for seed in range(100, 120)], tmp_path):
        check_words(result)


@pytest.mark.verilator
@pytest.mark.gxx
@pytest.mark.slow
def test_the_buffers_around_fill_exactly_as_far_as_the_schedule_says(tmp_path: Path) -> None:
    machines = [pooled(seed, SETTLED_IMAGES, at_own_pace=True) for seed in range(200, 220)]
    for result in run_batch(machines, tmp_path):
        check_words(result)
        plan = schedule(elaborate(result.machine.graph, result.machine.design))
        expected = plan.buffer_words | plan.fifo_words
        assert {name: result.peaks[name] for name in expected} == expected, f"seed {result.machine.seed}"


@pytest.mark.gxx
@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("-DCODESIGN_EXACT",), ("-fsanitize=undefined",)], ids=str)
def test_the_kernel_equals_the_golden_model(options: tuple[str, ...], tmp_path: Path) -> None:
    cases = []
    for seed in range(300, 320):
        rng = np.random.default_rng(seed)
        graph = random_pooled_graph(rng)
        cases.append(case_of(seed, graph, size_buffers(graph, random_design(graph, rng)), rng, 3))
    assert failures(cases, tmp_path, options) == ""


def averaged(shape: Shape, pe: int, memory: Memory = Memory.BRAM) -> tuple[Graph, Design]:
    """An average over the whole of a map of 8 bits, by an engine of so many lanes."""
    build = GraphBuilder("averaged", (shape.y, shape.x, shape.c), QType(8, signed=False))
    pixels = shape.y * shape.x
    window = Window(fy=shape.y, fx=shape.x)
    build.average_pool(build.input, window, multiplier=round((1 << 14) / pixels), shift=14, name="average")
    emit = pe if pe < shape.c else next(n for n in range(1, pe + 1) if pe % n == 0 and pe // n <= pixels)
    engine = LineEngine(nodes=("average",), pe=pe, simd=1, emit=emit, buffer_memory=memory, buffer_words=2)
    lanes = min(pe & -pe, 16)
    return build.graph(), Design(engines=(engine,), fifos=(), input_lanes=lanes, output_lanes=(lanes,))


@pytest.mark.verilator
@pytest.mark.gxx
def test_planted_bugs_are_found(tmp_path: Path) -> None:
    """Words meet their own result on its way, in either memory; a word of the last pixel waits for no place."""
    three, nine = Shape(3, 3, 3), Shape(1, 2, 9)
    assert not mismatches(Shape(3, 3, 2), None, tmp_path / "sound")
    assert mismatches(Shape(3, 3, 2), planted("FewWords = 2", "FewWords = 1", "running_pool"), tmp_path / "few")
    assert not mismatches(three, None, tmp_path / "sound_memory")
    assert mismatches(three, planted("ShallowWords = 16", "ShallowWords = 2", "running_pool"), tmp_path / "shallow")
    hasty = planted("ready_o = !last || go_i", "ready_o = 1'b1", "running_pool")
    with pytest.raises(AssertionError, match="the batch ended"):
        mismatches(nine, hasty, tmp_path / "hasty", "--stalls", "1")


def mismatches(shape: Shape, alter: Callable[[Path], None] | None, work: Path, *arguments: str) -> bool:
    """Whether words are wrong of an average over such a map, by one lane with a word in every cycle."""
    graph, design = averaged(shape, 1)
    x = random_inputs(graph, np.random.default_rng(0), 8)
    work.mkdir()
    (result,) = run_group([Machine(0, graph, design, x, arguments)], work, build_runtime(), alter)
    return "mismatch image" in result.text


def test_a_whole_map_is_not_kept() -> None:
    """What MobileNetV2 ends with: 7x7x1280, once the largest buffer of the machine."""
    technology = technology_of("xc7")
    graph, design = averaged(Shape(7, 7, 1280), 1)
    found = design_resources(elaborate(graph, design), technology)
    assert found.bram18 == 2  # 1,280 sums of 14 or 15 bits
    assert schedule(elaborate(graph, design)).buffer_words == {}


@pytest.mark.parametrize("pe", [1, 2, 3, 8, 16, 24, 32, 48])
def test_results_follow_the_last_word_at_once_and_an_image_takes_its_words(pe: int) -> None:
    graph, design = averaged(Shape(5, 3, 48), pe)
    machine = elaborate(graph, design)
    (unit,) = machine.units
    words = 15 * int(input_fold(unit.node, unit.engine))
    assert node_interval(unit.node, unit.engine) == words
    assert compute_cycles(unit.node, unit.engine) == words
    # The last beat comes in the cycle before the image's end; then array, scaling, queue and both converters.
    beats = machine.source.channel.words
    narrow = unit.engine.pe // unit.engine.emit
    assert first_image_latency(machine) <= max(beats, words) + pe + narrow + 12


@pytest.mark.parametrize("op", PoolOp)
def test_padding_around_a_window_that_covers_the_map_changes_nothing(op: PoolOp) -> None:
    rng, padded = np.random.default_rng(5), 0
    for _ in range(200):
        graph = random_pooled_graph(rng)
        (pool,) = (node for node in graph.nodes if isinstance(node, Pool))
        if pool.op is op:
            x = rng.integers(pool.itype.qmin, pool.itype.qmax + 1, (3, pool.ishape.y, pool.ishape.x, pool.ishape.c))
            plain = pool.without_padding
            assert (plain.window.fy, plain.window.fx) == (pool.ishape.y, pool.ishape.x)
            assert not plain.window.is_padded
            assert (plain.evaluate([x], {}) == pool.evaluate([x], {})).all()
            padded += pool.window.is_padded
    assert padded > 20


def test_windows_that_leave_pixels_out_or_meet_them_twice_keep_their_map() -> None:
    map_of = Shape(4, 4, 2)
    for window in (
        Window(fy=3, fx=4),
        Window(fy=3, fx=3, stride_y=4, stride_x=4),
        Window(fy=2, fx=2, dilation_y=3, dilation_x=3),
        Window(fy=2, fx=2),
        Window(fy=4, fx=4, pad_top=1),
    ):
        pool = Pool(
            name="n", source="x", ishape=map_of, itype=QType(8, signed=True), op=PoolOp.MAX, window=window,
            multiplier=1, shift=0, otype=QType(8, signed=True),
        )  # fmt: skip
        assert not pool.in_order
        assert pool.without_padding is pool


@pytest.mark.parametrize("pe", [1, 2, 4, 16])
def test_a_consumer_of_narrow_words_holds_no_engine_up_whose_results_come_at_once(pe: int) -> None:
    graph, design = averaged(Shape(7, 7, 64), pe)
    machine = elaborate(graph, replace(design, output_lanes=(1,)))
    words = 49 * 64 // pe
    assert schedule(machine).interval_cycles == words
    ends = occupancies(machine, 6, words).ends
    assert set(np.diff(ends)) == {words}
