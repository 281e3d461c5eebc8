"""A small U-Net: two levels down and up, odd extents, maps joined in channels; exact in both spellings."""

from pathlib import Path

import numpy as np
import pytest

from codesign.ir.builder import GraphBuilder
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.machine.elaborate import elaborate
from codesign.machine.legal import check_design
from codesign.model.predict import predict
from codesign.model.schedule import schedule, size_buffers
from codesign.ops.node import Node
from codesign.ops.qtype import QType
from codesign.ops.shapes import Window
from codesign.search.design import search_design
from hls_batch import case_of, failures
from projects import small_board
from rtl_batch import Machine, run_batch
from strategies import random_design, random_inputs
from test_rtl_random import check_cycles, check_words

U4 = QType(4, signed=False)


def unet(seed: int = 0) -> Graph:
    """15x9 down to 5x3 and 5x1, and up again; 3x3 convolutions at every level."""
    rng = np.random.default_rng(seed)
    build = GraphBuilder("unet", (15, 9, 2), U4)

    def conv(source: Node, k: int, name: str) -> Node:
        weight = rng.integers(-4, 4, (k, 3, 3, source.oshape.c), dtype=np.int64)
        window = Window(fy=3, fx=3, pad_top=1, pad_bottom=1, pad_left=1, pad_right=1)
        return build.conv(source, weight, otype=U4, window=window, shift=4, name=name)

    top = conv(build.input, 4, "down0")
    middle = conv(build.max_pool(top, Window(fy=3, fx=3, stride_y=3, stride_x=3)), 6, "down1")
    bottom = conv(build.max_pool(middle, Window(fy=1, fx=3, stride_x=3)), 6, "bottom")
    middle = conv(build.concat(middle, build.resize(bottom, 1, 3)), 4, "up1")
    conv(build.concat(build.resize(middle, 3, 3), top), 3, "up0")
    return build.graph()


def designs() -> list[Design]:
    """The best design on a small board, and random ones."""
    graph = unet()
    drawn = [random_design(graph, np.random.default_rng(seed)) for seed in range(2)]
    return [size_buffers(graph, design) for design in (search_design(graph, small_board()).design, *drawn)]


def test_its_maps_have_the_extents_that_they_should() -> None:
    shapes = [str(node.oshape) for node in unet().nodes]
    assert shapes == ["15x9x2", "15x9x4", "5x3x4", "5x3x6", "5x1x6", "5x1x6", "5x3x6", "5x3x12", "5x3x4", "15x9x4",
                      "15x9x8", "15x9x3"]  # fmt: skip


@pytest.mark.gxx
def test_c_simulation_gives_every_word_of_every_layer(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    assert failures([case_of(i, unet(), design, rng, 3) for i, design in enumerate(designs())], tmp_path) == ""


@pytest.mark.verilator
@pytest.mark.gxx
@pytest.mark.slow
def test_rtl_simulation_gives_every_word_in_the_predicted_cycles(tmp_path: Path) -> None:
    """The best design and a random one at full speed; the random one with pauses, and at the pace of its interval."""
    graph, rng = unet(), np.random.default_rng(2)
    best, drawn = designs()[:2]
    plan = schedule(elaborate(graph, drawn))
    calm = [Machine(i, graph, design, random_inputs(graph, rng, 6)) for i, design in enumerate((best, drawn))]
    stalled = Machine(2, graph, drawn, random_inputs(graph, rng, 5), ("--stalls", "7"))
    paced = Machine(3, graph, drawn, random_inputs(graph, rng, 6), ("--pace", str(plan.interval_cycles)))
    results = run_batch([*calm, stalled, paced], tmp_path)
    for result in results:
        check_words(result)
    for result in results[:2]:
        check_cycles(result)
        cost = predict(graph, result.machine.design, small_board())
        assert (cost.interval_cycles, cost.latency_cycles) == (result.times[-1] - result.times[-2], result.times[0])
    buffers = plan.buffer_words | plan.fifo_words
    assert {name: results[3].peaks[name] for name in buffers} == buffers


def test_the_searched_design_is_legal_and_no_other_is_faster() -> None:
    graph, board = unet(), small_board()
    found = search_design(graph, board)
    check_design(found.design, graph)
    assert predict(graph, found.design, board).interval_cycles == found.interval_cycles
    assert found.proved_optimal
