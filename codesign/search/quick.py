"""The selection of small latency: by prices first, then by the exact program as far as the work allowed goes."""

import numpy as np

from codesign.model.resource import NAMES
from codesign.search.exact import Latency, solve
from codesign.search.intervals import Least
from codesign.search.program import Verdict
from codesign.search.selection import Query, Selection, counts_of, latency_of, menu_within
from codesign.search.waits import quick_rows

_LADDER = (1.0, 1.4, 2.0)  # times the least interval, where designs of small latency are sought


def quickest(query: Query, least: Least, top: int, gap: float) -> Selection:
    """Return a selection of small latency and at most `top` cycles between images, and a bound of it.

    The latency's relaxed program is weak, so good designs come first, by prices. Then the exact program looks for
    something better than the best of them, among options no slower than that.
    """
    ladder = sorted({min(int(least.interval * step), top) for step in _LADDER})
    found = (least.filled.selection.rows, quick_rows(query.space, query.budget, ladder))
    best = min((rows for rows in found if rows), key=lambda rows: latency_of(query.space, rows))
    latency = latency_of(query.space, best)
    menu = menu_within(query, min(top, int(latency)))
    assert menu is not None  # it holds the best
    limit = Latency(latency * (1 - gap))
    answer, picks = solve(menu, np.zeros(len(NAMES)), gap=gap, nodes=query.nodes, latency=limit)
    if picks is not None:
        rows = tuple(int(row) for row in menu.rows[picks])
        if (counts_of(query.space, rows) <= query.budget).all():
            return Selection(answer.verdict, rows, answer.objective, answer.bound)
    if answer.verdict is Verdict.INFEASIBLE:
        return Selection(Verdict.OPTIMAL, best, latency, limit.limit)
    return Selection(Verdict.FEASIBLE, best, latency, answer.bound)
