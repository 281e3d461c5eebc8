"""Random machines in Verilator: every word, the interval, the latency and every buffer are as computed."""

import os
from pathlib import Path

import numpy as np
import pytest

from codesign.model.schedule import SETTLED_IMAGES, schedule
from rtl_batch import Result, run_batch

pytestmark = [pytest.mark.verilator, pytest.mark.gxx]

CASES = int(os.environ.get("CODESIGN_CASES", "200"))
PER_TEST = 50
# An engine whose words leave through a narrower stream is held back by it and then cannot work ahead; the schedule
# lets it. That is all that is left of the latency's error; 5,000 random machines stay within it.
LATENCY_SHARE, LATENCY_CYCLES = 0.01, 8


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, CASES, PER_TEST))
def test_random_machines_equal_golden_model_and_prediction(first: int, tmp_path: Path) -> None:
    for result in run_batch(range(first, min(first + PER_TEST, CASES)), tmp_path):
        check_words(result)
        check_cycles(result)


@pytest.mark.slow
def test_random_stalls_on_both_ends_change_no_word(tmp_path: Path) -> None:
    for result in run_batch(range(1000, 1010), tmp_path, arguments=["--stalls", "7"]):
        check_words(result)


def check_words(result: Result) -> None:
    """All words, their number and the ends of the images are right, and the counters in hardware agree."""
    assert result.status == 0, f"seed {result.seed}:\n{result.text}"
    images = len(result.times)
    assert f"result images {images} words {images * result.graph.output.oshape.elements} mismatches 0" in result.text
    assert f"cycles {result.times[-1]} first_out {result.times[0]} " in result.text


def check_cycles(result: Result) -> None:
    """The interval is the predicted one, the latency within its tolerance, and no buffer fuller than computed."""
    plan = schedule(result.graph, result.design)
    times = result.times
    assert times[-1] - times[-2] == plan.interval_cycles, f"seed {result.seed}: {np.diff(times)}"
    tolerance = max(LATENCY_SHARE * times[0], LATENCY_CYCLES)
    assert abs(plan.latency_cycles - times[0]) <= tolerance, f"seed {result.seed}: {plan.latency_cycles}, {times[0]}"


@pytest.mark.slow
def test_buffers_fill_exactly_as_far_as_the_schedule_says(tmp_path: Path) -> None:
    for result in run_batch(range(2000, 2020), tmp_path, images=SETTLED_IMAGES, at_own_pace=True):
        check_words(result)
        plan = schedule(result.graph, result.design)
        fifos = {f"fifo{index}_{node}": words for (node, index), words in plan.fifo_words.items()}
        expected = plan.buffer_words | fifos
        assert {name: result.peaks[name] for name in expected} == expected, f"seed {result.seed}"
