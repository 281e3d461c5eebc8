"""The design search with buffers sized: it ends within the board, and claims no more than it knows."""

import math
import os
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from codesign.errors import InfeasibleError
from codesign.ir.demand import Demand
from codesign.ir.graph import Graph
from codesign.model import schedule, space
from codesign.model.predict import predict
from codesign.networks.derive import derive
from codesign.networks.network import skeleton
from codesign.networks.spaces import load_space
from codesign.ops.shapes import Shape
from codesign.search import program, sized
from codesign.search.design import board_share
from codesign.search.goal import Goal
from codesign.search.sized import search_sized_design
from strategies import random_graph
from test_design_search import BIG, BOARD, board_with, every_design

ROW = (1, 1, 0, 0, 3, 2, 0, 0, 2, 1, 2, 0, 2, 0, 3, 2, 3, 0, 2, 0)


@pytest.fixture(scope="module")
def graph() -> Graph:
    """A network with branches, whose buffers take more than the search of engines guesses."""
    labels = tuple("0123456789")
    return skeleton(derive(load_space("fashion"), ROW, "buffers", Shape(28, 28, 1), labels))


@pytest.mark.parametrize("lut", [16_291, 18_037, 21_626])
def test_buffers_are_made_room_for_in_a_few_rounds(graph: Graph, lut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # With no more than the excess reserved, these took 9, 10 and 14 rounds.
    monkeypatch.setattr(sized, "ROUNDS", 4)
    board = board_with((0, 250, lut, 80_000))
    found, _, cost = search_sized_design(graph, board, explain=False)
    assert cost.resources.fits(board.budget)
    assert found.interval_cycles == cost.interval_cycles


@pytest.mark.parametrize("seed", [176, 695, *range(40)])
def test_no_design_with_sized_buffers_is_below_the_bound(seed: int) -> None:
    """In the cases 176 and 695 buffers are smaller than guessed: a design fits that the search of engines misses."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    whole = space.design_space(graph, BOARD)
    sizes = [len(site.options) for site in whole.sites]
    if math.prod(sizes) > 20_000:
        return
    interval, counts, _ = every_design(whole)
    board = board_with([np.quantile(counts[:, i], rng.uniform(0.02, 0.5)) for i in (0, 1, 3, 4)])
    try:
        found, _, cost = search_sized_design(graph, board, explain=False)
    except InfeasibleError:
        return
    assert found.objective == cost.interval_cycles
    assert found.proved_optimal == (found.bound == cost.interval_cycles)
    rows = np.indices(sizes).reshape(len(sizes), -1).T
    faster = np.flatnonzero(interval < found.bound)
    for k in faster[np.argsort(interval[faster], kind="stable")][:150]:
        design = schedule.size_buffers(graph, whole.design(tuple(int(x) for x in rows[k])))
        assert predict(graph, design, board).resources.excess(board.budget)


def test_least_resources_have_a_bound_that_the_sized_design_is_held_against(graph: Graph) -> None:
    found, _, cost = search_sized_design(
        graph, BOARD, Goal.RESOURCES, demand=Demand(interval_cycles=5000), explain=False
    )
    assert found.objective == pytest.approx(board_share(cost.resources, BOARD))
    assert 0 < found.bound <= found.objective
    assert found.gap == pytest.approx(1 - found.bound / found.objective)
    assert not found.proved_optimal  # its buffers are larger than the least there are


def test_a_latency_is_looked_for_at_several_intervals(graph: Graph) -> None:
    board = board_with((0, 250, 16_033, 80_000))
    free = search_sized_design(graph, board, explain=False)[2]
    found, _, cost = search_sized_design(
        graph, board, demand=Demand(latency_cycles=free.latency_cycles - 1), explain=False
    )
    assert cost.latency_cycles < free.latency_cycles
    assert found.objective == cost.latency_cycles
    assert found.bound <= cost.interval_cycles
    with pytest.raises(InfeasibleError, match=r"may take 100 cycles, but the quickest design .* that was found needs"):
        search_sized_design(graph, board, demand=Demand(latency_cycles=100), explain=False)


def test_the_nearest_board_is_one_that_is_fast_enough_at_its_own_clock(graph: Graph) -> None:
    """Demands are frames per second: as many cycles are fewer frames on a slower board."""
    slow = replace(BIG, name="a-slow", clock_mhz=BOARD.clock_mhz / 10)
    with pytest.raises(InfeasibleError, match=f"nearest board that fits: {BIG.name}"):
        search_sized_design(
            graph, board_with((0, 0, 500, 500)), demand=Demand(interval_cycles=3000), others=(slow, BIG)
        )


def test_the_solver_cannot_write_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    with program._mute():
        os.write(1, b"a line of debugging")
    os.write(1, b"a result")
    assert capfd.readouterr().out == "a result"
