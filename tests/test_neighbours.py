"""Local search by training, told accuracies that are known."""

import pytest

torch = pytest.importorskip("torch")

from codesign.cosearch.accelerators import Accelerator, Accelerators  # noqa: E402
from codesign.cosearch.chooser import Chooser  # noqa: E402
from codesign.cosearch.neighbours import improved, is_better  # noqa: E402
from codesign.cosearch.pricing import Pricing  # noqa: E402
from codesign.cosearch.row import Row  # noqa: E402
from codesign.ir.board import Board  # noqa: E402
from codesign.networks.space import branches, decisions, must_keep, skips, slots  # noqa: E402
from codesign.testing.small_search import CPU, first_row, tiny_config, tiny_space, tiny_task  # noqa: E402

pytestmark = pytest.mark.torch
SPACE = tiny_space()
IMAGES = 1000


def right(count: int) -> torch.Tensor:
    return torch.arange(IMAGES) < count


@pytest.mark.parametrize(
    ("won", "lost", "better"),
    [(0, 0, False), (1, 0, False), (2, 0, True), (10, 6, False), (11, 6, True), (6, 11, False)],
)
def test_better_is_beyond_the_standard_error_of_the_difference(won: int, lost: int, better: bool) -> None:
    before = torch.tensor([False] * won + [True] * lost + [True, False])
    now = torch.tensor([True] * won + [False] * lost + [True, False])
    assert is_better(now, before) is better


class Known:
    """Accuracies that grow by a step with every choice that is the last, or the skip, and what was asked for."""

    def __init__(self, board: Board, most: int, target: int) -> None:
        self.board, self.target = board, target
        self.config = tiny_config(min_fps=board.clock_mhz * 1e6 / target, trained_neighbours=most)
        self.accelerators = Accelerators(tiny_task(board, target))
        self.asked: list[Row] = []

    def start(self, row: Row) -> tuple[Row, Accelerator]:
        found = self.accelerators.meeting(row)
        assert found is not None
        return row, found

    def judge(self, row: Row) -> torch.Tensor:
        self.asked.append(row)
        return right(100 + sum(50 * row[at] for at in branches(SPACE)))

    def improved(self, row: Row, tables: int | None = None) -> tuple[Row, Accelerator]:
        """`tables`: the interval that tables are for, if not the one demanded."""
        task = tiny_task(self.board, tables or self.target)
        chooser = Chooser(task, self.config, Pricing(task), CPU)
        return improved(chooser, self.accelerators, self.start(row), self.judge)


def largest() -> list[int]:
    """The best choices by Known that are deep enough."""
    best = {at: len(decisions(SPACE)[at].options) - 1 for at in branches(SPACE)}
    for at, skip in skips(SPACE)[: must_keep(SPACE, tiny_config().minimum_depth)]:
        best[at] -= best[at] == skip
    return [best[at] for at in branches(SPACE)]


def test_changes_one_by_one_lead_to_the_best_that_meets_the_demand(board: Board) -> None:
    known = Known(board, most=100, target=2000)
    row, found = known.improved(first_row(SPACE))
    assert [row[at] for at in branches(SPACE)] == largest()
    assert known.accelerators.design(row) == found
    assert found.interval_cycles <= 2000
    assert len(known.asked) == len(set(known.asked))


def test_what_is_too_slow_is_neither_trained_nor_the_result(board: Board) -> None:
    """Whatever tables say, which here are for a demand that nearly all meet."""
    known = Known(board, most=100, target=70)
    row, found = known.improved(first_row(SPACE), tables=2000)
    slow = [d for d in known.accelerators.found.values() if d is not None and d.interval_cycles > 70]
    assert slow  # tried, and left
    for asked in [*known.asked, row]:
        design = known.accelerators.design(asked)
        assert design is not None
        assert design.interval_cycles <= 70
    assert found.interval_cycles <= 70


@pytest.mark.parametrize("most", [0, 1, 3])
def test_no_more_are_trained_than_allowed(board: Board, most: int) -> None:
    known = Known(board, most=most, target=2000)
    row, _ = known.improved(first_row(SPACE))
    assert len(known.asked) == (most + 1 if most else 0)
    assert row in known.asked or most == 0


def test_where_nothing_is_better_all_neighbours_are_tried_once(board: Board) -> None:
    known = Known(board, most=100, target=2000)
    row, _ = known.improved(first_row(SPACE))
    again = Known(board, most=100, target=2000)
    assert again.improved(row)[0] == row
    assert again.asked[0] == row
    changing = (*branches(SPACE), *(where.width for where in slots(SPACE).stages))
    assert 1 < len(again.asked) <= 1 + sum(len(decisions(SPACE)[at].options) - 1 for at in changing)
