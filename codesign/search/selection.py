"""One option per site of a design space within a budget: some selection, the one of least cost, or the nearest."""

from dataclasses import dataclass, replace

import numpy as np

from codesign.model.resource import NAMES, converter_columns
from codesign.model.space import Space
from codesign.ops.arrays import IntArray
from codesign.search.elimination import FloatArray
from codesign.search.exact import solve
from codesign.search.menu import Menu, menu_of, shares_of, whole
from codesign.search.prices import TINY, Known, Quest, ask, mend, narrow, prune
from codesign.search.program import Verdict

_MORE = 10  # times as many nodes where any selection will do: the programs are small, and each interval needs its proof
_TRIED = 12  # of the selections that prices have shown, how many are mended
_STEPS = (1.003, 1.01, 1.03, 1.1, 1.3, 2.0, 4.0)  # times the least budget that prices do not disprove


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """What is asked of a space: `budget` [5], what a design may take of the board; `weights` [5], what resources cost.

    `nodes`: how much work may be spent, in nodes of every exact program.
    """

    space: Space
    budget: FloatArray
    weights: FloatArray
    nodes: int

    @property
    def limit(self) -> FloatArray:
        """What options may take together [5]."""
        return np.asarray(self.budget - np.array([getattr(self.space.base, name) for name in NAMES]))


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Option rows of a Space, one per site (None without a selection), their objective and a lower bound of it."""

    verdict: Verdict
    rows: tuple[int, ...] | None
    objective: float
    bound: float


NOTHING = Selection(Verdict.INFEASIBLE, None, np.inf, np.inf)


@dataclass(frozen=True, slots=True, eq=False)
class Filled:
    """A selection within the budget, or what is known of it; and a quest of the options that such a selection takes."""

    selection: Selection
    quest: Quest | None


def menu_within(query: Query, interval: int) -> Menu | None:
    """Return the options of at most that interval that the budget leaves room for; None if a site has none."""
    limit, sites = query.limit, query.space.sites
    rows = [np.flatnonzero(site.options.interval <= interval) for site in sites]
    if not all(map(len, rows)):
        return None
    least = np.array([site.options.counts[r].min(axis=0) for site, r in zip(sites, rows, strict=True)])
    room = limit - least.sum(axis=0) + least
    rows = [r[(site.options.counts[r] <= top).all(axis=1)] for site, r, top in zip(sites, rows, room, strict=True)]
    return menu_of(query.space, limit, rows) if all(map(len, rows)) else None


def within(menu: Menu, interval: int) -> FloatArray:
    """Return what each option costs where only its interval counts: nothing, or without end."""
    return np.where(menu.intervals <= interval, 0.0, np.inf)


def fill(query: Query, menu: Menu | None, interval: int, prices: FloatArray | None = None) -> Filled:
    """Return a selection of at most that interval within the budget, or the proof that there is none.

    The menu must hold all options of at most that interval. `prices`: to begin with. Prices disprove most intervals,
    and find most selections. The exact program decides the others, over the few options that are left then.
    """
    if menu is None:
        return Filled(NOTHING, None)
    quest, known = Quest(menu, None, within(menu, interval)), Known(prices=prices)
    for _ in range(2):  # the second time over few options, where prices are quick
        ask(quest, known, above=1.0 + TINY)
        smaller = None if known.bound > 1.0 + TINY else prune(quest, known, 1.0)
        if smaller is None:
            return Filled(NOTHING, None)
        quest, known = smaller
    few, shown = narrow(quest, known)
    for seen in shown.seen[::-1][:_TRIED]:
        picks = mend(few, seen.picks, _weights(query))
        if picks is not None:
            return Filled(_selection(query, few.menu, picks, Verdict.FEASIBLE, -np.inf), quest)
    return Filled(_exact(query, quest.menu, costly=False, gap=1.0), quest)


def frugal(query: Query, filled: Filled, gap: float) -> Selection:
    """Return the selection of least cost within a relative gap, from one that fills the budget."""
    best, fills = filled.selection, filled.quest
    if best.rows is None or fills is None:
        return best
    quest, known = Quest(fills.menu, _weights(query), np.zeros(len(fills.menu.rows))), Known()
    ask(quest, known)
    few, shown = narrow(quest, known)
    for seen in shown.seen[::-1][:_TRIED]:
        picks = mend(few, seen.picks, _weights(query))
        if picks is not None:
            found = _selection(query, few.menu, picks, Verdict.FEASIBLE, known.bound)
            best = min(best, found, key=lambda s: s.objective)
    if best.objective - known.bound <= gap * best.objective:
        return replace(best, verdict=Verdict.OPTIMAL, bound=known.bound)
    smaller = prune(quest, known, best.objective)
    if smaller is None:  # nothing else is as cheap
        return replace(best, verdict=Verdict.OPTIMAL, bound=best.objective)
    ask(*smaller)
    again = prune(*smaller, best.objective)
    if again is None:
        return replace(best, verdict=Verdict.OPTIMAL, bound=best.objective)
    exact = _exact(query, again[0].menu, costly=True, gap=gap)
    bound = min(max(exact.bound, again[1].bound), best.objective)
    if exact.rows is not None and exact.objective < best.objective:
        best = exact
    close = best.objective - bound <= gap * best.objective + TINY
    return replace(best, verdict=Verdict.OPTIMAL if close else Verdict.FEASIBLE, bound=bound)


def nearest(query: Query, interval: int) -> tuple[int, ...]:
    """Return rows of at most that interval, which every site must have, that go beyond the budget by a small ratio."""
    rows = [np.flatnonzero(site.options.interval <= interval) for site in query.space.sites]
    base = query.budget - query.limit
    limit = np.maximum(query.limit, 1.0)
    menu, known = menu_of(query.space, limit, rows), Known()
    ask(Quest(menu, None, within(menu, interval)), known)
    for step in _STEPS:
        wider = replace(query, budget=base + limit * known.bound * step)
        found = fill(wider, menu_within(wider, interval), interval, known.prices).selection
        if found.rows is not None:
            return found.rows
    return rows_of(menu, min(known.seen, key=lambda seen: float(seen.shares.max())).picks)


def counts_of(space: Space, rows: tuple[int, ...]) -> IntArray:
    """Return counts [5] of the whole design that takes these rows."""
    total = np.array([getattr(space.base, name) for name in NAMES])
    total += sum(site.options.counts[row] for site, row in zip(space.sites, rows, strict=True))
    for edge in space.edges:
        lanes_in = space.sites[edge.producer].options.lanes_out[rows[edge.producer]]
        lanes_out = space.sites[edge.consumer].options.lanes_in[rows[edge.consumer]]
        total += converter_columns(lanes_in, lanes_out, edge.packet_in, edge.packet_out, edge.bits, space.technology)
    return np.asarray(total)


def interval_of(space: Space, rows: tuple[int, ...]) -> int:
    """Return the cycles between images of the design that takes these rows."""
    return max(int(site.options.interval[row]) for site, row in zip(space.sites, rows, strict=True))


def latency_of(space: Space, rows: tuple[int, ...]) -> float:
    """Return the estimate that Task.latency minimises: cycles from the first input word to the last output word.

    A site starts when its slowest input has brought what the first window needs, at an even pace. It ends when its own
    work is done, and no sooner than the work that waits for the last input word.
    """
    start, end = np.zeros(len(rows)), np.zeros(len(rows))
    for i, (site, row) in enumerate(zip(space.sites, rows, strict=True)):
        sources = [e.producer for e in space.edges if e.consumer == i]
        work, steps = int(site.options.interval[row]), int(site.options.steps[row])
        start[i] = max((start[p] + site.need * (end[p] - start[p]) + steps for p in sources), default=0.0)
        end[i] = max([start[i] + work - steps, *(end[p] + site.last * work for p in sources)])
    return float(end[-1])


def _weights(query: Query) -> FloatArray:
    """Return what a share of 1 costs of each resource [5]."""
    return query.weights * whole(query.limit)


def rows_of(menu: Menu, picks: IntArray) -> tuple[int, ...]:
    """Return the row of every site that is picked."""
    return tuple(int(row) for row in menu.rows[picks])


def _selection(query: Query, menu: Menu, picks: IntArray, verdict: Verdict, bound: float) -> Selection:
    return Selection(verdict, rows_of(menu, picks), float(_weights(query) @ shares_of(menu, picks)), bound)


def _exact(query: Query, menu: Menu, *, costly: bool, gap: float) -> Selection:
    """Return what the exact program says: the least cost or, without costs, any selection."""
    weights = query.weights if costly else np.zeros(len(NAMES))
    answer, picks = solve(menu, weights, gap=gap, nodes=query.nodes if costly else _MORE * query.nodes)
    if picks is None:
        return Selection(answer.verdict, None, np.inf, answer.bound)
    if (counts_of(query.space, rows_of(menu, picks)) > query.budget).any():
        return Selection(Verdict.UNKNOWN, None, np.inf, answer.bound)  # the solver's tolerance was exceeded
    return _selection(query, menu, picks, answer.verdict, answer.bound)
