"""Networks of operators that are engines of one module: squeeze and excite, shuffles, transposed convolutions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from codesign.ir.builder import GraphBuilder
from codesign.ir.compose import conv_transpose
from codesign.ir.graph import Graph
from codesign.machine.elaborate import elaborate
from codesign.machine.legal import check_design
from codesign.model.predict import predict
from codesign.model.schedule import schedule, size_buffers
from codesign.ops.lookup import function_table
from codesign.ops.node import Node
from codesign.ops.qtype import QType
from codesign.ops.shapes import Window
from codesign.search.design import search_design
from hls_batch import case_of, failures
from projects import small_board
from rtl_batch import Machine, build_runtime, run_batch, run_group
from strategies import random_design, random_inputs
from test_rtl import planted
from test_rtl_random import check_cycles, check_words

U6, S6 = QType(6, signed=False), QType(6, signed=True)


def weights(rng: np.random.Generator, k: int, fy: int, fx: int, c: int) -> np.ndarray:
    return rng.integers(-4, 4, (k, fy, fx, c), dtype=np.int64)


def squeeze_excite(seed: int = 0) -> Graph:
    """Two 3x3 convolutions with hard swish, each gated by its own means; the second gate waits for the whole map."""
    rng = np.random.default_rng(seed)
    build = GraphBuilder("squeeze_excite", (6, 7, 2), U6)
    window = Window(fy=3, fx=3, pad_top=1, pad_bottom=1, pad_left=1, pad_right=1)
    swish = function_table(lambda x: x * np.clip(x + 3, 0, 6) / 6, S6, 0.25, S6, 0.25)
    sigmoid = function_table(lambda x: 1 / (1 + np.exp(-x)), S6, 0.25, U6, 1 / 63)
    x: Node = build.input
    for k in (6, 4):
        x = build.lookup(
            build.conv(x, weights(rng, k, 3, 3, x.oshape.c), otype=S6, window=window, shift=4), swish, otype=S6
        )
        mean = build.average_pool(x, Window(fy=6, fx=7), multiplier=3, shift=7)
        squeezed = build.conv(mean, weights(rng, 2, 1, 1, k), otype=U6, shift=1)
        factors = build.lookup(build.conv(squeezed, weights(rng, k, 1, 1, 2), otype=S6, shift=3), sigmoid, otype=U6)
        x = build.gate(x, factors, otype=S6, multiplier=65, shift=12)
    return build.graph()


def shuffled(seed: int = 0) -> Graph:
    """A unit of ShuffleNet V2: half of the channels pass, half are convolved; joined and shuffled; then blocks."""
    rng = np.random.default_rng(seed)
    build = GraphBuilder("shuffled", (6, 4, 8), U6)
    passed, worked = build.slice(build.input, 0, 4), build.slice(build.input, 4, 8)
    window = Window(fy=3, fx=3, pad_top=1, pad_bottom=1, pad_left=1, pad_right=1)
    worked = build.conv(worked, weights(rng, 4, 1, 1, 4), otype=U6, shift=2)
    worked = build.conv(worked, weights(rng, 4, 3, 3, 1), otype=U6, window=window, groups=4, shift=2)
    mixed = build.shuffle(build.concat(passed, worked), 2)
    deep = build.conv(build.space_to_depth(mixed, 2), weights(rng, 8, 1, 1, 32), otype=U6, shift=4)
    build.depth_to_space(deep, 2)
    return build.graph()


def upsampled(seed: int = 0) -> Graph:
    """A transposed convolution of stride 2, with a value around its map, and a slope of its own for each channel."""
    rng = np.random.default_rng(seed)
    build = GraphBuilder("upsampled", (3, 4, 3), S6)
    wide = conv_transpose(
        build, build.pad(build.input, (1, 0, 0, 2), value=-3), weights(rng, 4, 4, 4, 3), otype=S6, strides=(2, 2),
        pads=(1, 1, 1, 1), shift=4,
    )  # fmt: skip
    values = np.arange(-32, 32)
    build.lookup(wide, np.where(values < 0, values * np.array([[1], [2], [3], [4]]) // 8, values), otype=S6)
    return build.graph()


NETWORKS: tuple[Callable[[], Graph], ...] = (squeeze_excite, shuffled, upsampled)


@pytest.mark.verilator
@pytest.mark.gxx
@pytest.mark.slow
@pytest.mark.parametrize("make", NETWORKS)
def test_rtl_simulation_gives_every_word_in_the_predicted_cycles(make: Callable[[], Graph], tmp_path: Path) -> None:
    """The best design and a random one at full speed; the random one with pauses, and at the pace of its interval."""
    graph, rng = make(), np.random.default_rng(2)
    best = size_buffers(graph, search_design(graph, small_board()).design)
    drawn = size_buffers(graph, random_design(graph, np.random.default_rng(3)))
    plan = schedule(elaborate(graph, drawn))
    calm = [Machine(i, graph, design, random_inputs(graph, rng, 6)) for i, design in enumerate((best, drawn))]
    stalled = [Machine(2 + i, graph, drawn, random_inputs(graph, rng, 5), ("--stalls", str(i))) for i in range(2)]
    paced = Machine(4, graph, drawn, random_inputs(graph, rng, 6), ("--pace", str(plan.interval_cycles)))
    results = run_batch([*calm, *stalled, paced], tmp_path)
    for result in results:
        check_words(result)
    for result in results[:2]:
        check_cycles(result)
        cost = predict(graph, result.machine.design, small_board())
        assert (cost.interval_cycles, cost.latency_cycles) == (result.times[-1] - result.times[-2], result.times[0])
    buffers = plan.buffer_words | plan.fifo_words
    assert {name: results[4].peaks[name] for name in buffers} == buffers


@pytest.mark.gxx
@pytest.mark.parametrize("make", NETWORKS)
def test_c_simulation_gives_every_word_of_every_layer(make: Callable[[], Graph], tmp_path: Path) -> None:
    graph, rng = make(), np.random.default_rng(1)
    drawn = size_buffers(graph, random_design(graph, rng))
    assert failures([case_of(0, graph, drawn, rng, 3)], tmp_path) == ""


def test_the_map_waits_in_a_fifo_until_its_gate_is_there() -> None:
    graph = squeeze_excite()
    found = search_design(graph, small_board())
    check_design(found.design, graph)
    plan = schedule(elaborate(graph, size_buffers(graph, found.design)))
    for gate in (node for node in graph.operations if node.title == "gate"):
        words = [plan.fifo_words[f"fifo{i}_{gate.name}"] for i in range(2)]
        assert words[0] >= 6 * 7 * gate.ishape.c // found.design.engine_of(gate.name).pe
        assert words[1] <= gate.ishape.c


PLANTED = {
    "lookup": (upsampled, "word_q == WordBits'(FOLD - 1) ? '0 : word_q + 1'b1", "'0"),
    "gate": (squeeze_excite, "fresh_q      <= last_pixel_q;", "fresh_q      <= last_pixel_q || pixel_q == '0;"),
    "rearranger": (shuffled, "last[i] ? '0 : turn_q + 1'b1", "last[i] ? '0 : ~turn_q"),
    "padder": (upsampled, "column_q + column_t'(STRIDE_X)", "column_q + column_t'(1)"),
}


@pytest.mark.verilator
@pytest.mark.gxx
@pytest.mark.slow
@pytest.mark.parametrize("module", PLANTED)
def test_planted_bugs_are_found(module: str, tmp_path: Path) -> None:
    make, old, new = PLANTED[module]
    graph, rng = make(), np.random.default_rng(4)
    design = size_buffers(graph, random_design(graph, np.random.default_rng(3)))
    machine = Machine(0, graph, design, random_inputs(graph, rng, 4), ("--patience", "20000"))
    result = run_group([machine], tmp_path, build_runtime(), planted(old, new, module))[0]
    assert result.status == 1
