"""The benchmark against other generators: the networks are those that it names, and its designs are exact."""

import re

import numpy as np
import pytest
from measure import best_design, board_of, measure, multipliers
from peers import Case, cases
from rivals import NNGEN
from tables import page
from workloads import MACS, macs, random_images, workload

from codesign.emit.rtl import render_rtl
from codesign.machine.elaborate import elaborate
from codesign.model import course, golden, schedule
from codesign.ops.conv import Conv
from codesign.ops.requantize import Scaling


@pytest.mark.parametrize("scaling", [Scaling.POWER_OF_TWO, Scaling.GENERAL])
@pytest.mark.parametrize("name", sorted(MACS))
def test_a_workload_has_its_products_and_its_scaling(name, scaling):
    graph = workload(name, scaling)
    assert macs(graph) == MACS[name]
    assert {node.scaling for node in graph.nodes if isinstance(node, Conv)} == {scaling}
    assert graph.digest() == workload(name, scaling).digest()


@pytest.mark.parametrize("name", sorted(MACS))
def test_outputs_of_a_workload_use_their_range(name):
    graph = workload(name, Scaling.GENERAL)
    y = golden.run(graph, random_images(graph, 2))
    assert len(np.unique(y)) > 8


@pytest.mark.parametrize("case", [c for c in cases(sorted(MACS)) if c.scaling is Scaling.POWER_OF_TWO], ids=str)
def test_designs_use_no_more_multipliers_than_allowed(case):
    design, proved = best_design(case, board_of(case.budget))
    graph = workload(case.workload, Scaling.POWER_OF_TWO)
    assert multipliers(graph, design) <= case.budget
    assert proved


@pytest.mark.parametrize("rival", [r for r in NNGEN if r.workload != "W2"], ids=lambda r: f"{r.workload}-{r.largest}")
def test_an_image_takes_fewer_cycles_than_with_the_rivals_multipliers(rival):
    case = Case(rival.workload, rival.largest, Scaling.POWER_OF_TWO, 1, 1)
    design, _ = best_design(case, board_of(case.budget))
    graph = workload(rival.workload, Scaling.POWER_OF_TWO)
    machine = elaborate(graph, design)
    assert schedule.interval_cycles(machine) <= course.first_image_latency(machine) < rival.cycles


def test_the_test_bench_waits_longer_than_a_slow_machine_is_silent():
    case = Case("W2", 36, Scaling.POWER_OF_TWO, 1, 1)
    board = board_of(case.budget)
    design, _ = best_design(case, board)
    graph = workload("W2", Scaling.POWER_OF_TWO)
    x = random_images(graph, 1)
    text = str(render_rtl(graph, design, board, x, golden.run(graph, x)).files["rtl/tb/config.hpp"])
    patience = int(re.search(r"patience = (\d+);", text)[1])
    assert patience > course.first_image_latency(elaborate(graph, design))


@pytest.mark.gxx
@pytest.mark.verilator
def test_lenet_is_exact_in_both_simulations_and_takes_the_predicted_cycles(tmp_path):
    result = measure(Case("W1", 25, Scaling.GENERAL, 20, 4), tmp_path)
    assert (result.interval, result.latency) == (result.predicted_interval, result.predicted_latency)
    text = page([result], [], "a machine")
    for column in ("Interval, RTL", "MAC/cycle", "C simulation, images/s", "Least interval proved"):
        assert f"| {column} |" in text
