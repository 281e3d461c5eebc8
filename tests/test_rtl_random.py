"""Random machines in Verilator: every word, the interval, the latency and every buffer are as computed."""

import os
from pathlib import Path

import numpy as np
import pytest

from codesign.ir.builder import GraphBuilder
from codesign.machine.elaborate import elaborate
from codesign.model.course import first_image_latency
from codesign.model.schedule import SETTLED_IMAGES, schedule
from codesign.ops.qtype import QType
from codesign.ops.requantize import OutputRule, Rounding
from rtl_batch import Machine, Result, random_machine, run_batch
from strategies import random_design, random_inputs

pytestmark = [pytest.mark.verilator, pytest.mark.gxx]

CASES = int(os.environ.get("CODESIGN_CASES", "200"))
PER_TEST = 50


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, CASES, PER_TEST))
def test_random_machines_equal_golden_model_and_prediction(first: int, tmp_path: Path) -> None:
    seeds = range(first, min(first + PER_TEST, CASES))
    for result in run_batch([random_machine(seed, images=6) for seed in seeds], tmp_path):
        check_words(result)
        check_cycles(result)


@pytest.mark.slow
def test_words_that_wait_for_a_converter_are_foreseen(tmp_path: Path) -> None:
    """Bursts that fill the line buffer before them (502, 553), a converter that idles between uneven words (811)."""
    seeds = (502, 553, 811)
    machines = [random_machine(seed, images=6, every_operator=False) for seed in seeds]
    for result in run_batch(machines, tmp_path):
        check_words(result)
        check_cycles(result)


@pytest.mark.slow
def test_machines_at_the_ends_of_what_nodes_admit_equal_golden_model_and_prediction(tmp_path: Path) -> None:
    for result in run_batch([random_machine(seed, images=4, extreme=True) for seed in range(CASES // 10)], tmp_path):
        check_words(result)
        check_cycles(result)


@pytest.mark.slow
def test_random_stalls_on_both_ends_change_no_word(tmp_path: Path) -> None:
    stalled = [random_machine(seed, images=5, arguments=("--stalls", str(seed))) for seed in range(1000, 1020)]
    for result in run_batch(stalled, tmp_path):
        check_words(result)


@pytest.mark.slow
def test_buffers_fill_exactly_as_far_as_the_schedule_says(tmp_path: Path) -> None:
    machines = [random_machine(seed, images=SETTLED_IMAGES, at_own_pace=True) for seed in range(2000, 2040)]
    for result in run_batch(machines, tmp_path):
        check_words(result)
        plan = schedule(elaborate(result.machine.graph, result.machine.design))
        expected = plan.buffer_words | plan.fifo_words
        assert {name: result.peaks[name] for name in expected} == expected, f"seed {result.machine.seed}"


def check_words(result: Result) -> None:
    """All words, their number and the ends of the images are right, and the counters in hardware agree."""
    assert result.status == 0, f"seed {result.machine.seed}:\n{result.text}"
    images = len(result.times)
    words = images * sum(node.oshape.elements for node in result.machine.graph.output_nodes)
    assert f"result images {images} words {words} mismatches 0" in result.text
    assert f"cycles {result.times[-1]} first_out {result.times[0]} " in result.text


def check_cycles(result: Result) -> None:
    """Interval and latency are the predicted ones, to the cycle."""
    machine = elaborate(result.machine.graph, result.machine.design)
    plan = schedule(machine)
    times = result.times
    assert times[-1] - times[-2] == plan.interval_cycles, f"seed {result.machine.seed}: {np.diff(times)}"
    assert times[0] == first_image_latency(machine), f"seed {result.machine.seed}"


@pytest.mark.slow
def test_halves_go_to_even_whatever_the_zero_point(tmp_path: Path) -> None:
    """Half of all sums lie halfway between two outputs."""
    machines = []
    for zero in (0, 3, -2, -5):
        build = GraphBuilder("halves", (4, 4, 2), QType(6, signed=True))
        rule = OutputRule(rounding=Rounding.HALF_EVEN, zero=zero)
        build.conv(build.input, np.array([[[[1, 2]]], [[[1, -1]]]]), otype=QType(8, signed=True), shift=1, rule=rule)
        graph, rng = build.graph(), np.random.default_rng(0)
        machines.append(Machine(zero, graph, random_design(graph, rng), random_inputs(graph, rng, 4)))
    for result in run_batch(machines, tmp_path):
        check_words(result)
