"""The best design of a graph on a board, with its proof.

The interval of a design is that of its slowest site. A design of interval T exists under one condition: every site has
an option of at most T cycles, and all fit the board together. The search walks the achievable intervals. Cheap bounds
and relaxed programs disprove the small ones. The least that the exact program of search.selection can fill is the
optimum. Among the designs of that interval it takes the one with the smallest share of the board.
"""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from codesign.errors import CodesignError, InfeasibleError
from codesign.ir.board import Board, Limits
from codesign.ir.cost import Resources
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.model.resource import NAMES, to_resources
from codesign.model.space import Space, design_space
from codesign.ops.arrays import IntArray
from codesign.search.bounds import interval_bound, rise
from codesign.search.goal import Goal
from codesign.search.program import FloatArray, Verdict
from codesign.search.selection import Prepared, Selection, Task, counts_of, interval_of, latency_of, prepare, select
from codesign.search.waits import quick_rows

_LOG = logging.getLogger(__name__)
TIME_LIMIT_S = 60.0
GAP = 1e-4  # of the share of the board, between designs of one interval
MORE = 0.05  # by how much Binding asks a resource to grow
_LADDER = (1.0, 1.4, 2.0)  # times the least interval, where designs of small latency are sought
_FIRST = 1.0  # a relative gap that ends the solver at its first selection


@dataclass(frozen=True, slots=True)
class Binding:
    """A resource that keeps the interval from shrinking, and the interval that 5 % more of it would allow."""

    resource: str
    used: int
    available: int
    interval_with_more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """A design and what is known of it.

    `objective`, `bound`: in the goal's unit, cycles or mean share of the board's resources; no design of the space is
    below the bound. `gap`: (objective - bound) / objective, 0 where proved optimal. `evaluations`: options priced;
    `designs`: how many designs the space has. `bottlenecks`: the nodes at the interval. `binding`: empty if no single
    resource keeps the interval from shrinking, as where the machine can go no faster.
    """

    design: Design
    goal: Goal
    interval_cycles: int
    latency_estimate_cycles: int
    resources: Resources
    proved_optimal: bool
    objective: float
    bound: float
    gap: float
    evaluations: int
    designs: int
    seconds: float
    bottlenecks: tuple[str, ...]
    binding: tuple[Binding, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Query:
    """A space, what a design may take of the board [5], the price of each resource [5], and when to stop."""

    space: Space
    budget: FloatArray
    weights: FloatArray
    deadline: float
    prepared: dict[int, Prepared] = field(default_factory=dict)

    def task(self, interval: int, *, cutoff: float | None = None, overflow: bool = False) -> Prepared:
        """Return the task of at most that interval, prepared; with a cutoff, that of the least latency below it."""
        plain = cutoff is None and not overflow
        if plain and interval in self.prepared:
            return self.prepared[interval]
        task = Task(
            space=self.space,
            max_interval=interval,
            budget=self.budget,
            weights=self.weights,
            latency=cutoff,
            overflow=overflow,
        )
        prepared = prepare(task)
        if plain:
            self.prepared[interval] = prepared
        return prepared

    @property
    def left_s(self) -> float:
        return self.deadline - time.monotonic()


@dataclass(frozen=True, slots=True, eq=False)
class _Least:
    """The least interval found, its selection, and the least that is not disproved."""

    interval: int
    selection: Selection
    bound: int


def search_design(
    graph: Graph,
    board: Board,
    goal: Goal = Goal.INTERVAL,
    *,
    max_interval: int | None = None,
    time_limit_s: float = TIME_LIMIT_S,
    reserve: Resources | None = None,
    others: Sequence[Board] = (),
    explain: bool = True,
    space: Space | None = None,
) -> SearchResult:
    """Return the best design of the graph on the board.

    - `max_interval`: no design of more cycles is taken.
    - `reserve`: resources to leave free within the board's budget.
    - `others`: boards to name if this one is too small.
    - `explain`: find the binding resources, which takes about as long again.
    - `space`: the part of the graph's design space on the board that is searched; all of it by default.

    The result is deterministic unless the time limit is hit. Then it says how far from the bound it may be.

    Raise InfeasibleError, naming resource, needed and available, if nothing fits.
    """
    begun = time.monotonic()
    query = _query(space or design_space(graph, board), board, time_limit_s, reserve)
    top = _achievable(query.space)[-1] if max_interval is None else max_interval
    if select(query.task(int(top)), relaxed=True).verdict is Verdict.INFEASIBLE:
        raise _infeasible(query, graph, board, max_interval, others)
    if goal is Goal.INTERVAL:
        least = _least_interval(query, int(top))
        least = _frugal(query, least) if least else None
    elif goal is Goal.LATENCY:
        least = _least_latency(query, int(top))
    else:
        found = select(query.task(int(top)), gap=GAP, time_limit_s=query.left_s)
        least = None if found.verdict is Verdict.INFEASIBLE else _Least(int(top), found, int(top))
    if least is None:
        raise _infeasible(query, graph, board, max_interval, others)
    binding = _binding(query, least) if explain and goal is Goal.INTERVAL else ()
    return _result(query, goal, least, binding, begun)


def board_share(resources: Resources, board: Board) -> float:
    """Return the mean over the board's resources of the share that is taken of each, what Goal.RESOURCES minimises."""
    return float(_row(resources) @ _weights(board))


def interval_floor(space: Space, board: Board, interval: int, time_limit_s: float = TIME_LIMIT_S) -> int:
    """Return the least interval up to `interval` that is not disproved for the designs of the space on the board."""
    query = _query(space, board, time_limit_s, None)
    bound = max(interval_bound(space, query.budget), int(_achievable(space)[0]))
    if bound >= interval:
        return interval
    try:
        least = _least_interval(query, interval - 1)
    except CodesignError:  # the time is over
        return bound
    return interval if least is None else least.bound


def _query(space: Space, board: Board, time_limit_s: float, reserve: Resources | None) -> _Query:
    budget = _row(board.budget) - (0 if reserve is None else _row(reserve))
    return _Query(space, budget, _weights(board), time.monotonic() + time_limit_s)


def _weights(board: Board) -> FloatArray:
    """Return the price of each resource, so that all of the board's cost 1 together."""
    have = _row(board.resources)
    return np.where(have > 0, 1 / np.maximum(have, 1), 0.0) / max(1, int((have > 0).sum()))


def _row(resources: Resources) -> FloatArray:
    return np.array([getattr(resources, name) for name in NAMES], dtype=np.float64)


def _achievable(space: Space) -> IntArray:
    """Return the intervals that a design can have, ascending: no site's own least is above the first."""
    every = np.unique(np.concatenate([site.options.interval for site in space.sites]))
    return every[every >= max(int(site.options.interval.min()) for site in space.sites)]


def _least_interval(query: _Query, top: int) -> _Least | None:
    """Return the least achievable interval up to `top` that fits; None if none does.

    First comes the least that the relaxed program can fill, upward from the closed-form bound. Upward from there the
    exact program follows, in growing steps until it succeeds and by halves back. An interval counts as disproved only
    when the solver says so. Those it left open lie above the bound of the result.
    """
    intervals = _achievable(query.space)
    intervals = intervals[intervals <= top]
    first = int(np.searchsorted(intervals, interval_bound(query.space, query.budget)))
    start = rise(first, len(intervals), lambda i: _relaxed_fits(query, int(intervals[i])))
    if start is None:
        return None
    found: dict[int, Selection] = {}

    def fits(index: int) -> bool:
        found[index] = select(query.task(int(intervals[index])), gap=_FIRST, time_limit_s=_slice(query))
        return found[index].rows is not None

    least = rise(start, len(intervals), fits)
    if least is None and all(s.verdict is Verdict.INFEASIBLE for s in found.values()):
        return None
    if least is None:
        raise CodesignError(
            f"design search: no design found in time, though none is proved impossible from {intervals[start]} cycles "
            "on; a network with fewer channels or a looser demand is easier to decide"
        )
    disproved = [i for i, s in found.items() if s.verdict is Verdict.INFEASIBLE]
    bound = int(intervals[max(disproved, default=start - 1) + 1])
    return _Least(int(intervals[least]), found[least], bound)


def _frugal(query: _Query, least: _Least) -> _Least:
    """Return the selection of that interval with the smallest share of the board, within GAP where time allows."""
    best = select(query.task(least.interval), gap=GAP, time_limit_s=_slice(query))
    return replace(least, selection=best) if best.rows else least


def _least_latency(query: _Query, top: int) -> _Least | None:
    """Return a selection of small latency, and a bound of it; None if nothing fits.

    The latency's relaxed program is weak, so good designs come first, by prices. Then the exact program looks for
    something better than the best of them, among options no slower than that.
    """
    first = _least_interval(query, top)
    if first is None:
        return None
    ladder = sorted({min(int(first.interval * step), top) for step in _LADDER})
    found = (first.selection.rows, quick_rows(query.space, query.budget, ladder))
    best = min((rows for rows in found if rows), key=lambda rows: latency_of(query.space, rows))
    latency = latency_of(query.space, best)
    better = select(
        query.task(min(top, int(latency)), cutoff=latency * (1 - GAP)), gap=GAP, time_limit_s=max(query.left_s, 0.5)
    )
    if better.rows:
        return replace(first, selection=better)
    bound = latency * (1 - GAP) if better.verdict is Verdict.INFEASIBLE else better.bound
    verdict = Verdict.OPTIMAL if better.verdict is Verdict.INFEASIBLE else Verdict.FEASIBLE
    return replace(first, selection=Selection(verdict, best, latency, bound))


def _relaxed_fits(query: _Query, interval: int) -> bool:
    return select(query.task(interval), relaxed=True).verdict is not Verdict.INFEASIBLE


def _slice(query: _Query) -> float:
    """Return the seconds for one call of the solver: a third of what is left, so that others have their turn."""
    return max(query.left_s / 3, 0.5)


def _binding(query: _Query, least: _Least) -> tuple[Binding, ...]:
    """Return the resources that alone keep the interval from shrinking, and what 5 % more of each would allow."""
    shorter = _achievable(query.space)
    shorter = shorter[shorter < least.interval]
    if len(shorter) == 0 or least.selection.rows is None:
        return ()
    used = counts_of(query.space, least.selection.rows)
    found: list[Binding] = []
    for r, name in enumerate(NAMES):
        if not any(site.options.counts[:, r].any() for site in query.space.sites):
            continue
        free = _with_budget(query, r, np.inf)
        if not _relaxed_fits(free, int(shorter[-1])):
            continue
        if select(free.task(int(shorter[-1])), gap=_FIRST, time_limit_s=_slice(query)).rows is None:
            continue
        more = _least_interval(_with_budget(query, r, query.budget[r] * (1 + MORE)), least.interval)
        found.append(Binding(name, int(used[r]), int(query.budget[r]), more.interval if more else least.interval))
    return tuple(found)


def _with_budget(query: _Query, resource: int, limit: float) -> _Query:
    budget = query.budget.copy()
    budget[resource] = limit
    return _Query(query.space, budget, query.weights, query.deadline)


def _result(query: _Query, goal: Goal, least: _Least, binding: tuple[Binding, ...], begun: float) -> SearchResult:
    space, rows = query.space, least.selection.rows
    if rows is None:
        raise CodesignError(
            "design search: no design found in time; a network with fewer channels or a looser demand is easier"
        )
    counts, interval = counts_of(space, rows), interval_of(space, rows)
    objectives = {
        Goal.INTERVAL: (float(interval), float(least.bound)),
        Goal.LATENCY: (latency_of(space, rows), least.selection.bound),
        Goal.RESOURCES: (float(counts @ query.weights), least.selection.bound + _base_share(query)),
    }
    objective, bound = objectives[goal]
    bound = min(max(bound, 0.0), objective)
    gap = (objective - bound) / objective
    proved = interval == least.bound if goal is Goal.INTERVAL else least.selection.verdict is Verdict.OPTIMAL
    design = space.design(rows)  # a space with the least buffers gives bounds, not designs to build: none is checked
    sites = zip(space.sites, rows, strict=True)
    return SearchResult(
        design=design,
        goal=goal,
        interval_cycles=interval,
        latency_estimate_cycles=round(latency_of(space, rows)),
        resources=to_resources(counts),
        proved_optimal=proved,
        objective=objective,
        bound=bound,
        gap=0.0 if proved and goal is Goal.INTERVAL else gap,
        evaluations=space.points,
        designs=math.prod(len(site.options) for site in space.sites),
        seconds=time.monotonic() - begun,
        bottlenecks=tuple(s.name or "stream" for s, row in sites if int(s.options.interval[row]) == interval),
        binding=binding,
    )


def _base_share(query: _Query) -> float:
    return float(_row(query.space.base) @ query.weights)


def _infeasible(
    query: _Query, graph: Graph, board: Board, max_interval: int | None, others: Sequence[Board]
) -> InfeasibleError:
    """Return the error that says which resource is short, by how much, and what would do."""
    demand = "" if max_interval is None else f" at an interval of at most {max_interval} cycles"
    top = int(_achievable(query.space)[-1]) if max_interval is None else max_interval
    what, where = f"design: graph {graph.name!r} does not fit", f"board {board.name!r}{demand}: "
    slowest = max(query.space.sites, key=lambda site: int(site.options.interval.min()))
    least = int(slowest.options.interval.min())
    if least > top:
        who = f"node {slowest.name!r}" if slowest.name else "a stream of images or results"
        return InfeasibleError(f"{what} {where}{who} needs {least} cycles however many lanes it gets")
    nearest = select(query.task(top, overflow=True), gap=1e-2, time_limit_s=_slice(query))
    if nearest.rows is None:
        return InfeasibleError(f"{what} {where}proved, but there was no time to find by how much")
    held = _row(board.budget) - query.budget  # what is reserved counts as needed
    needed = counts_of(query.space, nearest.rows) + held.astype(np.int64)
    short = {n: int(c) for n, c in zip(NAMES, needed, strict=True) if c > getattr(board.budget, n)}
    if len(short) == 1:
        (name,) = short
        alone = _least_of(query, name, top)
        short[name] = short[name] if alone is None else alone + int(held[NAMES.index(name)])
    listed = "; ".join(f"{n} needs about {c}, available {getattr(board.budget, n)}" for n, c in short.items())
    if set(short) & set(board.limited) and _fits(query, graph, replace(board, limits=Limits()), top):
        more = " and ".join(f"{n} to about {c}" for n, c in short.items() if n in board.limited)
        return InfeasibleError(f"{what} its limits on {where}{listed}; raise {more} (--limit, or the key `limits`)")
    return InfeasibleError(f"{what} {where}{listed}{_advice(query, graph, board, max_interval, others)}")


def _least_of(query: _Query, name: str, top: int) -> int | None:
    """Return the least of one resource that a design within the budget of the others takes; None if it is not found."""
    r = NAMES.index(name)
    free = replace(_with_budget(query, r, np.inf), weights=np.eye(len(NAMES))[r])
    rows = select(free.task(top), gap=1e-2, time_limit_s=_slice(free)).rows
    return None if rows is None else int(counts_of(query.space, rows)[r])


def _fits(query: _Query, graph: Graph, board: Board, top: int | None) -> bool:
    """Tell whether a design of at most that interval fits the board, in what is left of the query's time."""
    other = _query(design_space(graph, board), board, query.left_s, None)
    most = int(_achievable(other.space)[-1]) if top is None else top
    return select(other.task(most), gap=_FIRST, time_limit_s=_slice(other)).rows is not None


def _advice(query: _Query, graph: Graph, board: Board, max_interval: int | None, others: Sequence[Board]) -> str:
    """Return what would do: the smallest other board that fits at its own clock, and the best interval on this one."""
    advice = ""
    limited = [replace(other, limits=board.limits) for other in others]
    for other in sorted(limited, key=lambda b: (b.budget.lut, b.name)):
        same_fps = None if max_interval is None else int(max_interval * other.clock_mhz / board.clock_mhz)
        if _fits(query, graph, other, same_fps):
            advice += f"; nearest board that fits: {other.name}"
            break
    if max_interval is not None:
        best = _least_interval(query, int(_achievable(query.space)[-1]))
        advice += f"; the best interval on this board is {best.interval} cycles" if best else ""
    return advice or "; use fewer channels or bits, or a larger board"
