"""The selection of small latency, and a bound of it.

The latency estimate of a selection is a weighted sum of cycles and steps over its sites. The weights come from the
image's path through the graph. Which path counts depends on the selection, and no path is above the latency. So
mixtures of paths, with prices of the resources, bound the latency of every selection.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linprog

from codesign.model.resource import NAMES
from codesign.model.space import Space
from codesign.ops.arrays import IntArray
from codesign.search.elimination import FloatArray
from codesign.search.exact import Latency, solve
from codesign.search.intervals import Least
from codesign.search.menu import Cheapest, Menu, cheapest, shares_of
from codesign.search.prices import TINY, Known, Quest, mend, narrow, prune
from codesign.search.program import Verdict
from codesign.search.selection import Query, Selection, latency_of, menu_within, rows_of

_STAGES = 4  # each with fewer options than the one before
_ROUNDS = 60  # of mixtures and prices in a stage, at most
_MENDED = 3  # every so many rounds a selection is brought within the budget
_CLOSE = 1e-3  # of the bound: nearer to what no mixture can exceed is not looked for
_EXACT = 1200  # options, at most, that the exact program chooses from,
_A_NODE = 10  # and of each node that it may open
_MOST = 1e3  # of a price, in latencies


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """A path through the graph: the weights of every site's cycles [S] and steps [S] in the latency."""

    work: FloatArray
    steps: FloatArray


@dataclass(slots=True, eq=False)
class _Told:
    """The best selection and its latency; ways seen; and of a stage, the best bound with its prices and what it costs.

    Bound and costs are shares of the latency that the search began with.
    """

    rows: tuple[int, ...]
    latency: float
    ways: list[Way] = field(default_factory=list)
    bound: float = -np.inf
    prices: FloatArray = field(default_factory=lambda: np.zeros(len(NAMES)))
    costs: FloatArray = field(default_factory=lambda: np.zeros(0))

    def take(self, space: Space, rows: tuple[int, ...], *, fits: bool) -> None:
        """Note the way of a selection, and the selection if it is within the budget and better."""
        latency = latency_of(space, rows)
        if fits and latency < self.latency:
            self.rows, self.latency = rows, latency
        way = way_of(space, rows)
        if not any(np.array_equal(way.work, w.work) and np.array_equal(way.steps, w.steps) for w in self.ways):
            self.ways.append(way)


def quickest(query: Query, least: Least, top: int, gap: float) -> Selection:
    """Return a selection of small latency and at most `top` cycles between images, and a bound of it.

    Mixtures of ways give a bound, and better selections than that of the least interval. Then the exact program looks
    for something better among the likeliest options.
    """
    begun = least.filled.selection.rows
    assert begun is not None
    told = _Told(begun, latency_of(query.space, begun), [way_of(query.space, begun)])
    unit, bound = told.latency, 0.0
    menu = menu_within(query, min(top, int(told.latency)))
    assert menu is not None  # it holds the best
    for _ in range(_STAGES):
        _mix(query, menu, told, unit, gap)
        bound = max(bound, told.bound * unit)
        if bound >= told.latency * (1 - gap):
            return Selection(Verdict.OPTIMAL, told.rows, told.latency, min(bound, told.latency))
        quest = Quest(menu, np.zeros(len(NAMES)), told.costs)
        smaller = prune(quest, Known(prices=told.prices), told.latency * (1 - gap) / unit)
        if smaller is None:  # nothing else is better
            return Selection(Verdict.OPTIMAL, told.rows, told.latency, told.latency * (1 - gap))
        fewer = smaller[0].menu
        if len(fewer.rows) > 0.9 * len(menu.rows):
            break
        menu = fewer
    return _exactly(query, menu, told, bound, gap)


def way_of(space: Space, rows: tuple[int, ...]) -> Way:
    """Return the way that decides the latency of the selection, as latency_of says."""
    count = len(rows)
    start, end = np.zeros((count, 2, count)), np.zeros((count, 2, count))
    first, last = np.zeros(count), np.zeros(count)
    for i, (site, row) in enumerate(zip(space.sites, rows, strict=True)):
        work, steps = int(site.options.interval[row]), int(site.options.steps[row])
        sources = [e.producer for e in space.edges if e.consumer == i]
        if sources:
            p = max(sources, key=lambda p: first[p] + site.need * (last[p] - first[p]))
            first[i] = first[p] + site.need * (last[p] - first[p]) + steps
            start[i] = start[p] + site.need * (end[p] - start[p])
            start[i, 1, i] += 1.0
        end[i], last[i] = start[i], first[i] + work - steps
        end[i, :, i] += (1.0, -1.0)
        for p in sources:
            if last[p] + site.last * work > last[i]:
                end[i], last[i] = end[p], last[p] + site.last * work
                end[i, 0, i] += site.last
    return Way(end[-1, 0].copy(), end[-1, 1].copy())


def _mix(query: Query, menu: Menu, told: _Told, unit: float, gap: float) -> None:
    """Find the mixture of ways and prices that tells most of the menu, and better selections on the way."""
    site = np.repeat(np.arange(menu.sites), np.diff(menu.first))
    spans = zip(menu.space.sites, menu.first[:-1], menu.first[1:], strict=True)
    steps = np.concatenate([s.options.steps[menu.rows[a:b]] for s, a, b in spans])
    costs: list[FloatArray] = []
    seen: list[Cheapest] = []
    told.bound, prices, mixture = -np.inf, told.prices, np.ones(1)
    for round_ in range(_ROUNDS):
        for way in told.ways[len(costs) :]:
            costs.append((way.work[site] * menu.intervals + way.steps[site] * steps) / unit)
        mixed = sum((share * cost for share, cost in zip(mixture, costs, strict=False)), np.zeros(len(site)))
        found = cheapest(menu, prices, mixed)
        seen.append(found)
        if found.price - prices.sum() > told.bound:
            told.bound, told.prices, told.costs = float(found.price - prices.sum()), prices, mixed
        told.take(query.space, rows_of(menu, found.picks), fits=bool((found.shares <= 1.0 + TINY).all()))
        if round_ % _MENDED == _MENDED - 1:
            _mended(query, Quest(menu, np.zeros(len(NAMES)), mixed), Known(prices=prices), found.picks, told)
        if told.bound * unit >= told.latency * (1 - gap):
            return
        mixture, prices, most = _master(seen, costs)
        if most <= told.bound + _CLOSE * abs(told.bound):
            return


def _mended(query: Query, quest: Quest, known: Known, picks: IntArray, told: _Told) -> None:
    """Bring a selection within the budget at these prices, and note it."""
    few = narrow(quest, known)[0]
    found = picks if few is quest else cheapest(few.menu, np.asarray(known.prices), few.on_top).picks
    mended = mend(few, found, np.zeros(len(NAMES)))
    if mended is not None:
        told.take(query.space, rows_of(few.menu, mended), fits=True)


def _master(seen: list[Cheapest], costs: list[FloatArray]) -> tuple[FloatArray, FloatArray, float]:
    """Return the mixture and prices that tell most as far as the selections seen allow, and that most."""
    own = np.array([[cost[s.picks].sum() for cost in costs] for s in seen])
    over = np.array([s.shares - 1.0 for s in seen])
    ways = len(costs)
    result = linprog(
        np.array([-1.0, *np.zeros(ways + len(NAMES))]),
        A_ub=np.column_stack([np.ones(len(seen)), -own, -over]),
        b_ub=np.zeros(len(seen)),
        A_eq=np.array([[0.0, *np.ones(ways), *np.zeros(len(NAMES))]]),
        b_eq=np.ones(1),
        bounds=[(None, None), *[(0.0, 1.0)] * ways, *[(0.0, _MOST)] * len(NAMES)],
        method="highs",
    )
    assert result.x is not None  # one way alone is allowed
    mixture = np.maximum(result.x[1 : 1 + ways], 0.0)
    return mixture / mixture.sum(), np.maximum(result.x[1 + ways :], 0.0), float(result.x[0])


def _exactly(query: Query, menu: Menu, told: _Told, bound: float, gap: float) -> Selection:
    """Return the best of what the exact program finds and what is known.

    It proves nothing where it chooses from a few options only.
    """
    quest = Quest(menu, np.zeros(len(NAMES)), told.costs)
    few = narrow(quest, Known(prices=told.prices), min(_EXACT, _A_NODE * query.nodes))[0].menu
    whole = len(few.rows) == len(menu.rows)
    limit = Latency(told.latency * (1 - gap))
    answer, picks = solve(few, np.zeros(len(NAMES)), gap=gap, nodes=query.nodes, latency=limit)
    proved = whole and answer.verdict in (Verdict.INFEASIBLE, Verdict.OPTIMAL)
    if picks is not None:
        told.take(query.space, rows_of(few, picks), fits=bool((shares_of(few, picks) <= 1.0 + TINY).all()))
    if whole:
        bound = max(bound, min(answer.bound, limit.limit))
    verdict = Verdict.OPTIMAL if proved else Verdict.FEASIBLE
    return Selection(verdict, told.rows, told.latency, min(bound, told.latency))
