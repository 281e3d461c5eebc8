"""Local search by training: networks that differ from the best one in a choice, trained as it was, and taken if better.

Shared weights find a region in a few epochs, but hardly distinguish its networks. They favour operators that learn
fast, and what was likeliest from the beginning. So the search ends at networks that were trained on their own. Each
neighbour is made to meet the demand before it is trained, and enlarged like the finalists.
"""

import math
from collections.abc import Callable

from torch import Tensor

from codesign.cosearch.accelerators import Accelerator, Accelerators
from codesign.cosearch.chooser import Chooser
from codesign.cosearch.finish import fitted
from codesign.cosearch.repair import SLACK, repaired
from codesign.cosearch.row import Row
from codesign.networks.space import branches, slots
from codesign.progress import Progress, silent

Judge = Callable[[Row], Tensor]  # which images the trained network of a row gets right, [N]


def improved(
    chooser: Chooser,
    accelerators: Accelerators,
    start: tuple[Row, Accelerator],
    judge: Judge,
    progress: Progress = silent,
) -> tuple[Row, Accelerator]:
    """Change one operator, width, pooling or resolution after the other, until none helps or enough were trained.

    The likeliest options are tried first. `start` meets the demand, and so does what is returned. config.varied
    networks are trained at most, beside the first.
    """
    most = chooser.config.varied
    row, found = start
    moves, tried, trained, failed = _moves(chooser), {row}, 0, 0
    right = judge(row) if most else None
    while right is not None and trained < most and failed < len(moves):
        at, option = moves[0]
        moves = [*moves[1:], moves[0]]
        failed += 1
        neighbour = None if row[at] == option else _changed(chooser, accelerators, row, at, option)
        if neighbour is None or neighbour[0] in tried:
            continue
        tried.add(neighbour[0])
        now = judge(neighbour[0])
        trained += 1
        if is_better(now, right):
            (row, found), right, failed = neighbour, now, 0
        progress("train neighbours", trained, most)
    return row, found


def is_better(right: Tensor, before: Tensor) -> bool:
    """Tell whether the images won exceed those lost by more than the standard error of their difference."""
    won, lost = int((right & ~before).sum()), int((before & ~right).sum())
    return won - lost > math.sqrt(won + lost)


def _moves(chooser: Chooser) -> list[tuple[int, int]]:
    """Return (decision, option) of every change but that of bits, which grow anyway; likeliest first."""
    found = [
        (-score, at, option)
        for at in (*branches(chooser.space), *(where.width for where in slots(chooser.space).stages))
        for option, score in enumerate(chooser.log_shares(at))
        if score > -math.inf
    ]
    return [(at, option) for _, at, option in sorted(found)]


def _changed(
    chooser: Chooser, accelerators: Accelerators, row: Row, at: int, option: int
) -> tuple[Row, Accelerator] | None:
    """Return the row with that option, changed elsewhere to meet the demand, and enlarged; None if that fails."""
    logits = [chooser.log_shares(i) for i in range(len(row))]
    logits[at] = [0.0 if i == option else -math.inf for i in range(len(logits[at]))]
    row = row.changed(at, option)
    for limit in (SLACK, -SLACK) if chooser.task.demand.is_made else (math.inf,):
        meets = repaired(chooser.pricing, logits, row, limit)
        if meets is None or any(chooser.too_shallow(meets)):
            return None
        found = fitted(accelerators, meets, chooser.config)
        if found is not None:
            return found
    return None
