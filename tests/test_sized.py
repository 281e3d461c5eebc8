"""The design search with buffers sized: it ends within the board, and claims no more than it knows."""

import pytest

pytest.importorskip("torch")

from codesign.ir.graph import Graph
from codesign.ir.nodes import Shape
from codesign.nets.network import skeleton
from codesign.nets.space import derive
from codesign.nets.spaces import load_space
from codesign.search import sized
from codesign.search.design import search_design
from codesign.search.sized import search_sized_design
from test_design_search import board_with

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


@pytest.mark.parametrize(("lut", "gave_way"), [(16_033, True), (16_291, False)])
def test_a_design_that_gave_way_to_its_buffers_is_not_called_optimal(graph: Graph, lut: int, gave_way: bool) -> None:
    board = board_with((0, 250, lut, 80_000))
    found = search_sized_design(graph, board, explain=False)[0]
    free = search_design(graph, board, explain=False)
    assert free.proved_optimal
    assert (found.interval_cycles > free.interval_cycles) is gave_way
    assert found.proved_optimal is not gave_way
    assert found.bound == free.bound
    assert found.gap == pytest.approx(1 - free.interval_cycles / found.interval_cycles)
