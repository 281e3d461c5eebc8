"""The best design of a graph on a board, with its proof.

The interval of a design is that of its slowest site. A design of interval T exists under one condition: every site has
an option of at most T cycles, and all fit the board together. The search walks the achievable intervals. Prices of the
resources disprove the small ones (search.prices). The least that can be filled is the optimum. Among the designs of
that interval it takes the one with the smallest share of the board.

Limits count work, never seconds: a result does not depend on what else the machine does.

Long because the three goals share the walk over intervals.
"""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from codesign.errors import CodesignError, InfeasibleError
from codesign.ir.board import Board, Limits
from codesign.ir.cost import Resources
from codesign.ir.design import Design, Weights
from codesign.ir.graph import Graph
from codesign.model.resource import NAMES, to_resources
from codesign.model.space import Space, design_space
from codesign.search.bounds import interval_bound
from codesign.search.elimination import FloatArray
from codesign.search.goal import Goal
from codesign.search.intervals import achievable, least_interval
from codesign.search.program import Verdict
from codesign.search.quick import quickest
from codesign.search.selection import (
    Query,
    Selection,
    counts_of,
    fill,
    frugal,
    interval_of,
    latency_of,
    menu_within,
    nearest,
)

_LOG = logging.getLogger(__name__)
NODES = 400  # of every exact program, at most
GAP = 1e-4  # of the share of the board, between designs of one interval
MORE = 0.05  # by how much Binding asks a resource to grow


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
class _Best:
    """A selection, and the least interval that is not disproved."""

    selection: Selection
    floor: int


def search_design(
    graph: Graph,
    board: Board,
    goal: Goal = Goal.INTERVAL,
    *,
    max_interval: int | None = None,
    nodes: int = NODES,
    reserve: Resources | None = None,
    others: Sequence[Board] = (),
    explain: bool = True,
    space: Space | None = None,
    weights: Weights = Weights.CONSTANT,
) -> SearchResult:
    """Return the best design of the graph on the board.

    - `max_interval`: no design of more cycles is taken.
    - `nodes`: of the tree of cases of every exact program, at most.
    - `reserve`: resources to leave free within the board's budget.
    - `others`: boards to name if this one is too small.
    - `explain`: find the binding resources, which takes about as long again.
    - `space`: the part of the graph's design space on the board that is searched; all of it by default.
    - `weights`: where they are, in all of the space.

    The result is always the same. Where the limit of work ended a proof, it says how far from the bound it may be.

    Raise InfeasibleError, naming resource, needed and available, if nothing fits.
    """
    begun = time.monotonic()
    query = _query(space or design_space(graph, board, weights=weights), board, nodes, reserve)
    top = int(achievable(query.space)[-1]) if max_interval is None else max_interval
    best = _best(query, goal, top)
    if best is None:
        raise _infeasible(query, graph, board, max_interval, others)
    binding = _binding(query, best) if explain and goal is Goal.INTERVAL else ()
    return _result(query, goal, best, binding, begun)


def board_share(resources: Resources, board: Board) -> float:
    """Return the mean over the board's resources of the share that is taken of each, what Goal.RESOURCES minimises."""
    return float(_row(resources) @ _weights(board))


def interval_floor(space: Space, board: Board, interval: int) -> int:
    """Return the least interval up to `interval` that is not disproved for the designs of the space on the board."""
    query = _query(space, board, NODES, None)
    bound = max(interval_bound(space, query.budget), int(achievable(space)[0]))
    if bound >= interval:
        return interval
    try:
        least = least_interval(query, interval - 1)
    except CodesignError:  # the work allowed was done
        return bound
    return interval if least is None else least.bound


def _query(space: Space, board: Board, nodes: int, reserve: Resources | None) -> Query:
    budget = _row(board.budget) - (0 if reserve is None else _row(reserve))
    return Query(space, budget, _weights(board), nodes)


def _best(query: Query, goal: Goal, top: int) -> _Best | None:
    """Return the best selection of at most `top` cycles between images; None if nothing fits."""
    if goal is Goal.RESOURCES:
        filled = fill(query, menu_within(query, top), top)
        if filled.selection.verdict is Verdict.INFEASIBLE:
            return None
        return _Best(frugal(query, filled, GAP), top)
    least = least_interval(query, top)
    if least is None:
        return None
    found = frugal(query, least.filled, GAP) if goal is Goal.INTERVAL else quickest(query, least, top, GAP)
    return _Best(found, least.bound)


def _weights(board: Board) -> FloatArray:
    """Return the price of each resource, so that all of the board's cost 1 together."""
    have = _row(board.resources)
    return np.where(have > 0, 1 / np.maximum(have, 1), 0.0) / max(1, int((have > 0).sum()))


def _row(resources: Resources) -> FloatArray:
    return np.array([getattr(resources, name) for name in NAMES], dtype=np.float64)


def _binding(query: Query, best: _Best) -> tuple[Binding, ...]:
    """Return the resources that alone keep the interval from shrinking, and what 5 % more of each would allow."""
    rows = best.selection.rows
    if rows is None:
        return ()
    interval, used = interval_of(query.space, rows), counts_of(query.space, rows)
    shorter = achievable(query.space)
    shorter = shorter[shorter < interval]
    if len(shorter) == 0:
        return ()
    found: list[Binding] = []
    for r, name in enumerate(NAMES):
        if not any(site.options.counts[:, r].any() for site in query.space.sites):
            continue
        free, last = _with_budget(query, r, np.inf), int(shorter[-1])
        if fill(free, menu_within(free, last), last).selection.rows is None:
            continue
        more = _quicker(_with_budget(query, r, query.budget[r] * (1 + MORE)), interval)
        found.append(Binding(name, int(used[r]), int(query.budget[r]), more))
    return tuple(found)


def _quicker(query: Query, interval: int) -> int:
    """Return the least interval that is found with this budget, at most `interval`."""
    try:
        least = least_interval(query, interval)
    except CodesignError:  # the work allowed was done
        return interval
    return interval if least is None else least.interval


def _with_budget(query: Query, resource: int, limit: float) -> Query:
    budget = query.budget.copy()
    budget[resource] = limit
    return replace(query, budget=budget)


def _result(query: Query, goal: Goal, best: _Best, binding: tuple[Binding, ...], begun: float) -> SearchResult:
    space, rows = query.space, best.selection.rows
    if rows is None:
        raise CodesignError(
            "design search: no design found with the work allowed; a network with fewer channels or a looser demand is "
            "easier"
        )
    counts, interval = counts_of(space, rows), interval_of(space, rows)
    objectives = {
        Goal.INTERVAL: (float(interval), float(best.floor)),
        Goal.LATENCY: (latency_of(space, rows), best.selection.bound),
        Goal.RESOURCES: (float(counts @ query.weights), best.selection.bound + _base_share(query)),
    }
    objective, bound = objectives[goal]
    bound = min(max(bound, 0.0), objective)
    gap = (objective - bound) / objective
    proved = interval == best.floor if goal is Goal.INTERVAL else best.selection.verdict is Verdict.OPTIMAL
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


def _base_share(query: Query) -> float:
    return float(_row(query.space.base) @ query.weights)


def _infeasible(
    query: Query, graph: Graph, board: Board, max_interval: int | None, others: Sequence[Board]
) -> InfeasibleError:
    """Return the error that says which resource is short, by how much, and what would do."""
    demand = "" if max_interval is None else f" at an interval of at most {max_interval} cycles"
    top = int(achievable(query.space)[-1]) if max_interval is None else max_interval
    what, where = f"design: graph {graph.name!r} does not fit", f"board {board.name!r}{demand}: "
    slowest = max(query.space.sites, key=lambda site: int(site.options.interval.min()))
    least = int(slowest.options.interval.min())
    if least > top:
        who = f"node {slowest.name!r}" if slowest.name else "a stream of images or results"
        return InfeasibleError(f"{what} {where}{who} needs {least} cycles however many lanes it gets")
    rows = nearest(query, top)
    held = _row(board.budget) - query.budget  # what is reserved counts as needed
    needed = counts_of(query.space, rows) + held.astype(np.int64)
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


def _least_of(query: Query, name: str, top: int) -> int | None:
    """Return the least of one resource that a design within the budget of the others takes; None if it is not found."""
    r = NAMES.index(name)
    free = replace(_with_budget(query, r, np.inf), weights=np.eye(len(NAMES))[r])
    rows = frugal(free, fill(free, menu_within(free, top), top), 1e-2).rows
    return None if rows is None else int(counts_of(query.space, rows)[r])


def _fits(query: Query, graph: Graph, board: Board, top: int | None) -> bool:
    """Tell whether a design of at most that interval is found on the board."""
    other = _query(design_space(graph, board), board, query.nodes, None)
    most = int(achievable(other.space)[-1]) if top is None else top
    return fill(other, menu_within(other, most), most).selection.rows is not None


def _advice(query: Query, graph: Graph, board: Board, max_interval: int | None, others: Sequence[Board]) -> str:
    """Return what would do: the smallest other board that fits at its own clock, and the best interval on this one."""
    advice = ""
    limited = [replace(other, limits=board.limits) for other in others]
    for other in sorted(limited, key=lambda b: (b.budget.lut, b.name)):
        same_fps = None if max_interval is None else int(max_interval * other.clock_mhz / board.clock_mhz)
        if _fits(query, graph, other, same_fps):
            advice += f"; nearest board that fits: {other.name}"
            break
    if max_interval is not None:
        best = least_interval(query, int(achievable(query.space)[-1]))
        advice += f"; the best interval on this board is {best.interval} cycles" if best else ""
    return advice or "; use fewer channels or bits, or a larger board"
