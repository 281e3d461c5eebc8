"""Maps whose first windows lie in their padding: no result leaves before its image, whatever else is exact."""

from pathlib import Path

import numpy as np
import pytest

from codesign.ir.builder import GraphBuilder
from codesign.ir.design import Design, LineEngine
from codesign.machine.elaborate import elaborate
from codesign.machine.feeds import Feed
from codesign.model.schedule import SETTLED_IMAGES, schedule, size_buffers
from codesign.ops.qtype import QType
from codesign.ops.shapes import Window
from codesign.testing.random_machines import random_inputs
from rtl_batch import Machine, run_batch
from test_rtl_random import check_cycles, check_words

# Windows whose taps lie on both sides of a map of one column, or of five rows; and the taps of their engines.
WAITING = [
    (Window(fy=1, fx=4, pad_left=7, pad_right=6, dilation_x=3), 1),
    (Window(fy=3, fx=4, pad_top=1, pad_bottom=1, pad_left=7, pad_right=6, dilation_x=3), 1),
    (Window(fy=3, fx=4, pad_top=1, pad_bottom=1, pad_left=7, pad_right=6, dilation_x=3), 3),
    (Window(fy=2, fx=2, pad_left=3, pad_right=4, dilation_x=4, stride_x=3), 2),
    (Window(fy=2, fx=1, pad_top=7, pad_bottom=13, dilation_y=13), 1),
    (Window(fy=2, fx=2, pad_top=6, pad_bottom=9, pad_left=3, pad_right=5, dilation_y=13, dilation_x=5, stride_y=2), 1),
]
GOING = [
    (Window(fy=1, fx=4, pad_left=6, pad_right=6, dilation_x=3), 1),
    (Window(fy=3, fx=3, pad_top=2, pad_bottom=2, pad_left=2, pad_right=2), 1),
    (Window(fy=3, fx=3, pad_top=2, pad_bottom=2, pad_left=2, pad_right=2), 3),
]


def machine_of(number: int, window: Window, taps: int, *, at_own_pace: bool) -> Machine:
    """A convolution of that window, dense or depthwise, and one behind it that takes its words as they come."""
    rng = np.random.default_rng(number)
    build = GraphBuilder(f"wide{number}", (5, 1, 4), QType(5, signed=True))
    groups = 4 if number % 2 else 1
    weight = rng.integers(-8, 8, (4, window.fy, window.fx, 4 // groups))
    wide = build.conv(build.input, weight, window=window, groups=groups, otype=QType(6, signed=True), shift=4)
    build.conv(wide, rng.integers(-8, 8, (6, 1, 1, 4)), otype=QType(6, signed=True), shift=4)
    graph = build.graph()
    first, second = graph.operations
    lanes = {"pe": 2, "simd": 1 if groups > 1 else 2, "emit": 1}
    design = size_buffers(
        graph,
        Design(
            engines=(
                LineEngine(nodes=(first.name,), taps=taps, buffer_words=64, **lanes),
                LineEngine(nodes=(second.name,), pe=6, simd=2, emit=3, buffer_words=64),
            )
        ),
    )
    pace = ("--pace", str(schedule(elaborate(graph, design)).interval_cycles)) if at_own_pace else ()
    return Machine(number, graph, design, random_inputs(graph, rng, SETTLED_IMAGES), pace)


def feed_of(machine: Machine) -> Feed:
    feed = elaborate(machine.graph, machine.design).units[0].modules[0]
    assert isinstance(feed, Feed)
    return feed


def test_an_image_waits_for_its_first_word_where_its_first_window_has_none() -> None:
    for waits, cases in ((True, WAITING), (False, GOING)):
        for number, (window, taps) in enumerate(cases):
            feed = feed_of(machine_of(number, window, taps, at_own_pace=False))
            assert feed.waits is waits, window
            assert bool(feed.walk().step[0] == 0) is waits, window


@pytest.mark.verilator
@pytest.mark.gxx
def test_no_result_leaves_before_its_image_and_buffers_and_cycles_are_as_foreseen(tmp_path: Path) -> None:
    cases = [*WAITING, *GOING]
    early = [machine_of(number, *case, at_own_pace=False) for number, case in enumerate(cases)]
    paced = [machine_of(number + 100, *case, at_own_pace=True) for number, case in enumerate(cases)]
    for result in run_batch([*early, *paced], tmp_path):
        check_words(result)  # none too many either
        if not result.machine.arguments:
            check_cycles(result)
            continue
        plan = schedule(elaborate(result.machine.graph, result.machine.design))
        assert {name: result.peaks[name] for name in plan.buffer_words} == plan.buffer_words, result.machine.seed
