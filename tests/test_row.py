"""A row of choices: its parts have names, and a change makes another row."""

import re

import pytest

torch = pytest.importorskip("torch")

from codesign.cosearch import costing, dna, pricing  # noqa: E402
from codesign.cosearch.accelerators import Accelerator, Accelerators  # noqa: E402
from codesign.cosearch.finals import _none_found  # noqa: E402
from codesign.cosearch.row import Row  # noqa: E402
from codesign.ir.board import Board  # noqa: E402
from codesign.ir.cost import Resources  # noqa: E402
from codesign.networks.space import Space, decisions, slots  # noqa: E402
from codesign.testing.small import small_design  # noqa: E402
from codesign.testing.small_search import first_row, rich_space, tiny_space, tiny_task  # noqa: E402

pytestmark = pytest.mark.torch


def test_a_change_counts_through_both_parts_and_leaves_the_row_as_it_was() -> None:
    row = Row.of([0, 1, 2, 7, 8], 3)
    assert row == Row((0, 1, 2), (7, 8))
    assert row.options == tuple(row) == (0, 1, 2, 7, 8)
    assert row.changed(1, 5) == Row((0, 5, 2), (7, 8))
    assert row.changed(4, 5) == Row((0, 1, 2), (7, 5))
    assert (row[2], row[3], len(row)) == (2, 7, 5)
    assert sorted([Row((1, 0)), Row((0, 1)), Row((0, 0), (1,))]) == [Row((0, 0), (1,)), Row((0, 1)), Row((1, 0))]


@pytest.mark.parametrize("space", [tiny_space(), rich_space()], ids=["tiny", "rich"])
def test_every_decision_has_one_place_that_has_its_name(space: Space) -> None:
    where, names = slots(space), [d.name for d in decisions(space)]
    told = {where.head_pool: "head pool", where.head_weight_bits: "head weight bits"}
    if where.resolution is not None:
        told[where.resolution] = "resolution"
    for i, stage in enumerate(where.stages):
        told |= {stage.width: f"stage {i} width", stage.bits: f"stage {i} activation bits"}
        told |= {at: f"stage {i} block {j} operator" for j, at in enumerate(stage.operators)}
        told |= {at: f"stage {i} block {j} weight bits" for j, at in enumerate(stage.weight_bits)}
        inner = ((j, at) for j, at in enumerate(stage.inner_bits) if at is not None)
        told |= {at: f"stage {i} block {j} activation bits" for j, at in inner}
    assert [told[at] for at in range(len(names))] == names
    assert (where.resolution is None) is (not space.resolutions)


def test_both_ways_to_tell_costs_are_costings(board: Board) -> None:
    """Mypy holds the signatures; this holds that a row of either is complete and priced."""
    task = tiny_task(board, 200)
    ways: list[costing.Costing] = [pricing.Pricing(task), dna.ArrayPricing(task)]
    for way in ways:
        row = Row.of((0,) * len(way.sizes), len(task.decisions))
        assert way.reference == 200
        assert way.log_cost(row) == pytest.approx(way.alternatives(row)[0][0])
        assert len(way.array_alternatives(row)) == len(row.arrays)
        way.restore(way.state)
    with pytest.raises(ValueError, match="reference: expected an interval in cycles where none is demanded"):
        pricing.Pricing(tiny_task(board))


@pytest.mark.parametrize(
    ("interval", "latency", "told"),
    [
        (50, None, r"the nearest reaches 1,000,000 FPS \(100 cycles\), demanded are 2,000,000 \(50 cycles\)\. Demand"),
        (None, 300, r"the quickest takes 4 us for an image \(400 cycles\), allowed are 3 us \(300 cycles\)\. Demand"),
        (50, 300, r"1,000,000 FPS .*; the quickest takes 4 us"),
    ],
)
def test_where_no_finalist_meets_the_demand_the_nearest_is_named_in_its_unit(
    board: Board, interval: int | None, latency: int | None, told: str
) -> None:
    task, row = tiny_task(board, interval, latency), first_row(tiny_space())
    accelerators = Accelerators(task)
    accelerators.found[row] = Accelerator(small_design(), 100, Resources(), 400)
    assert accelerators.meeting(row) is None
    assert re.search(told, _none_found(accelerators, [row]))
    assert "inf" not in _none_found(accelerators, [row])
