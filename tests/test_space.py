"""The design space: every option is a legal engine, priced as the model prices it."""

import dataclasses
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.ir.boards import load_board
from codesign.ir.design import Memory, Multiplier
from codesign.ir.technology import families, technology_of
from codesign.machine import line
from codesign.machine.elaborate import Unit, elaborate
from codesign.machine.legal import check_design
from codesign.machine.line import line_modules
from codesign.model import resource, schedule, space
from codesign.model.area import total_area
from codesign.ops.arrays import ceil_div
from codesign.ops.concat import Concat
from codesign.ops.conv import Conv
from codesign.ops.input import Input
from codesign.ops.pool import Pool, PoolOp
from codesign.ops.qtype import QType
from codesign.ops.resize import Resize
from codesign.ops.shapes import Shape, Window
from codesign.search.selection import counts_of, interval_of
from strategies import graphs, random_design, random_graph

BOARD = load_board("pynq-z2")


@given(graphs(), st.sampled_from([technology_of(name) for name in families()]))
@settings(max_examples=25)
def test_every_option_is_priced_and_timed_as_the_scalar_model_does(graph, technology):
    for node in graph.nodes:
        if isinstance(node, Input):
            continue
        options = space.node_options(node, technology)
        for row in range(0, len(options), 1 + len(options) // 20):
            engine = options.engines.engine(row, node.name)
            assert engine.emit == line.emit_lanes(node, engine.pe, engine.simd, engine.taps)
            assert engine.buffer_words == resource.buffer_words(node, engine)
            assert options.interval[row] == line.node_interval(node, engine)
            assert options.steps[row] == line.reduction_steps(node, engine)
            assert options.lanes_in[row] == lanes_in(node, engine)
            unit = Unit(node, engine, line.line_modules(node, engine))
            assert resource.to_resources(options.counts[row]) == resource.unit_resources(unit, technology)


def lanes_in(node, engine):
    return engine.simd if isinstance(node, Conv) and not node.depthwise else engine.pe


@given(graphs(), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_any_choice_of_options_is_a_legal_design_that_costs_their_sum(graph, seed):
    found = space.design_space(graph, BOARD)
    rng = np.random.default_rng(seed)
    rows = tuple(int(rng.integers(len(site.options))) for site in found.sites)
    design = found.design(rows)
    check_design(design, graph)
    priced = resource.design_resources(elaborate(graph, design), BOARD.fabric)
    assert resource.to_resources(counts_of(found, rows)) == priced
    assert interval_of(found, rows) == schedule.interval_cycles(elaborate(graph, design))


@given(st.integers(1, 300))
def test_lane_choices_hold_the_smallest_lanes_of_every_fold(extent):
    lanes = space.lane_choices(extent).tolist()
    assert lanes == sorted(set(lanes))
    assert lanes[0] == 1
    assert lanes[-1] == extent
    for fold in {ceil_div(extent, n) for n in range(1, extent + 1)}:
        smallest = next(n for n in range(1, extent + 1) if ceil_div(extent, n) == fold)
        assert smallest in lanes


@given(st.integers(13, 300), st.integers(0, 8))
def test_lane_choices_hold_every_power_of_two(extent, exponent):
    if 1 << exponent <= extent:
        lanes = space.lane_choices(extent)
        same_fold = lanes[np.array([ceil_div(extent, int(n)) == ceil_div(extent, 1 << exponent) for n in lanes])]
        assert any(n % (1 << exponent) == 0 for n in same_fold.tolist())


@given(graphs())
@settings(max_examples=25)
def test_options_left_out_are_beaten_by_one_of_the_same_pe_and_simd(graph):
    for node in graph.nodes:
        if isinstance(node, Input):
            continue
        options = space.node_options(node, technology_of("xc7"))
        engines = options.engines
        for row in range(0, len(options), 1 + len(options) // 8):
            alike = (engines.pe == engines.pe[row]) & (engines.simd == engines.simd[row])
            kept = options.counts[alike & (engines.taps == engines.taps[row])]
            for kind in space._kinds(node, False):
                engine = dataclasses.replace(
                    engines.engine(row, node.name), multiplier=Multiplier.DSP if kind[0] else Multiplier.LUT
                )
                memories = [Memory.BRAM if bit else Memory.LUT for bit in kind[2:]]
                engine = dataclasses.replace(engine, weight_memory=memories[0], buffer_memory=memories[1])
                price = total_area(line_modules(node, engine), technology_of("xc7"))
                assert (kept <= price).all(axis=1).any()


def test_held_pixels_are_those_of_an_even_stream():
    def pool(y, x, **window):
        kind = Pool(
            name="p",
            source="a",
            ishape=Shape(y, x, 4),
            itype=QType(8, False),
            op=PoolOp.MAX,
            window=Window(**window),
            multiplier=1,
            shift=0,
            otype=QType(8, False),
        )
        return resource.held_pixels(kind)

    assert pool(8, 8, fy=1, fx=1) == 2  # the pixel at work and the one that comes in meanwhile
    assert pool(8, 8, fy=8, fx=8) == 128  # the map at work and the next
    assert pool(8, 8, fy=3, fx=3, pad_top=1, pad_left=1, pad_bottom=1, pad_right=1) == 2 * 8 + 3 + 1


@pytest.mark.parametrize("seed", range(6))
def test_estimated_buffers_hold_the_schedule_up_to_one_doubling(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    design = random_design(graph, rng)
    needed = schedule.schedule(elaborate(graph, design)).buffer_words
    for engine in design.engines:
        if engine.name not in needed:
            continue
        node, words = graph.node(engine.nodes[0]), needed[engine.name]
        assert not node.joins
        assert schedule.power_of_two(words) <= 2 * resource.buffer_words(node, engine)


def test_the_lanes_of_a_concat_divide_the_channels_of_all_inputs_but_the_last():
    shapes = tuple(Shape(3, 3, c) for c in (12, 18, 5))
    node = Concat(name="n", sources=("a", "b", "c"), ishapes=shapes, otype=QType(4, False))
    options = space.node_options(node, technology_of("xc7"))
    assert sorted(set(options.engines.pe.tolist())) == [1, 2, 3, 6]
    assert options.interval[options.engines.pe == 6].tolist() == [9 * (2 + 3 + 1)]


def test_the_pixels_that_a_resize_holds_are_a_row_and_what_comes_in_meanwhile():
    def held(fy, fx):
        node = Resize(name="n", source="a", ishape=Shape(5, 8, 2), fy=fy, fx=fx, otype=QType(4, False))
        return resource.held_pixels(node)

    assert held(1, 4) == 1 + 1
    assert held(2, 1) == 8 + 1  # half a row comes in while the row is read for the first time
    assert held(4, 1) == 8 + 8 // 2 + 1


def test_fifo_pixels_cover_the_longer_branch():
    for seed in range(200):
        graph = random_graph(np.random.default_rng(seed))
        joining = [n for n in graph.nodes if n.joins]
        pixels = space.fifo_pixels(graph)
        assert set(pixels) == {(n.name, i) for n in joining for i in range(len(n.inputs))}
        assert all(min(pixels[n.name, i] for i in range(len(n.inputs))) == 0 for n in joining)


def test_pricing_passes_a_hundred_thousand_points_a_second():
    graph = random_graph(np.random.default_rng(0))
    conv = next(n for n in graph.nodes if isinstance(n, Conv))
    window, shape = Window(fy=3, fx=3), Shape(8, 8, 96)
    wide = dataclasses.replace(conv, ishape=shape, k=96, groups=1, window=window, acc_bits=24, multiplier_bits=8)
    begun = time.process_time()
    points = len(space.node_options(wide, technology_of("xc7")))
    assert points / (time.process_time() - begun) > 1e5


@given(graphs(), st.data())
@settings(max_examples=15)
def test_options_taken_are_those_of_their_rows(graph, data):
    node = data.draw(st.sampled_from(graph.nodes[1:]))
    options = space.node_options(node, technology_of("xc7"))
    rows = np.array(data.draw(st.lists(st.integers(0, len(options) - 1), min_size=1, max_size=5)))
    taken = options.take(rows)
    assert [taken.engines.engine(i, "n") for i in range(len(rows))] == [
        options.engines.engine(int(row), "n") for row in rows
    ]
    assert (taken.counts == options.counts[rows]).all()
    assert (taken.interval == options.interval[rows]).all()
