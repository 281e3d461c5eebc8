"""The best design of a graph with its buffers sized. What sizing shows is fed back to the search of engines."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from codesign.errors import InfeasibleError
from codesign.ir.board import Board
from codesign.ir.cost import Cost, Resources
from codesign.ir.demand import NO_DEMAND, Demand
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.machine.legal import check_design
from codesign.model.predict import predict
from codesign.model.schedule import size_buffers
from codesign.model.space import design_space
from codesign.search.design import NODES, SearchResult, board_share, interval_floor, search_design
from codesign.search.goal import Goal

ROUNDS = 12  # of design search, each with more reserved for buffers
_LADDER = (1.4, 1.0, 1.2, 2.0)  # times the least interval, where designs of small latency are searched; best first


@dataclass(frozen=True, slots=True)
class _Effort:
    """How quick designs are searched: steps of the ladder, nodes for each, and what is left free of the board.

    The proof that nothing is quicker would take minutes, and is not asked for.
    """

    ladder: tuple[float, ...]
    nodes: int
    reserve: Resources


_NOTHING = Resources()
_ONCE = _Effort(_LADDER, 10, _NOTHING)

_Sized = tuple[SearchResult, Design, Cost]


def search_sized_design(
    graph: Graph,
    board: Board,
    goal: Goal = Goal.INTERVAL,
    *,
    demand: Demand = NO_DEMAND,
    others: Sequence[Board] = (),
    explain: bool = True,
) -> tuple[SearchResult, Design, Cost]:
    """Search a design as search_design does, with buffers sized by the schedule: its cost is exact, within the board.

    If the best design of the demanded interval is too late for the demanded latency, that of least latency is looked
    for.
    Objective and bound of the result are exact cycles, or the share of the board. Optimality is over designs with sized
    buffers, of the lanes that the space has. The bound is of designs whose buffers are as small as can be. Raise
    InfeasibleError, with the nearest, if nothing fits.
    """
    best = _fitting(graph, board, goal, demand.interval_cycles, others=others, explain=explain)
    best = _quick(best, graph, board, demand, _ONCE)
    if demand.late(best[2].latency_cycles):
        raise InfeasibleError(
            f"design: one image may take {demand.latency_cycles} cycles, but the quickest design of graph "
            f"{graph.name!r} on {board.name} that was found needs {best[2].latency_cycles}; demand less"
        )
    found, design, cost = best
    return _proved(found, graph, board, cost, demand.interval_cycles), design, cost


def quick_sized_design(graph: Graph, board: Board, demand: Demand, reserve: Resources = _NOTHING) -> _Sized:
    """Return the design of least interval or, where it is later than demanded, a quick one if there is one.

    The quick one is searched in one place only, for searches that ask often. That of search_sized_design may be a
    little quicker. `reserve`: left free within the board's budget. Buffers are sized. Raise InfeasibleError if nothing
    fits.
    """
    best = _fitting(graph, board, Goal.INTERVAL, demand.interval_cycles, reserve=reserve)
    return _quick(best, graph, board, demand, _Effort(_LADDER[:1], 10, reserve))


def _quick(best: _Sized, graph: Graph, board: Board, demand: Demand, effort: _Effort) -> _Sized:
    """Return the first design in time: `best`, or the quickest by estimate at one of several intervals.

    Return the quickest of all where none is quick enough. The estimate errs, and by different amounts at different
    intervals; the exact latency decides.
    """
    if not demand.late(best[2].latency_cycles):
        return best
    found, max_interval = best[0], demand.interval_cycles
    if found.goal is not Goal.INTERVAL:
        found = search_design(graph, board, max_interval=max_interval, explain=False)
    steps = (int(found.interval_cycles * step) for step in effort.ladder)
    for interval in dict.fromkeys(min(step, max_interval or step) for step in steps):
        try:
            other = _fitting(graph, board, Goal.LATENCY, interval, reserve=effort.reserve, nodes=effort.nodes)
        except InfeasibleError:
            continue
        best = min(best, other, key=lambda sized: sized[2].latency_cycles)
        if not demand.late(best[2].latency_cycles):
            break
    return best


def _proved(found: SearchResult, graph: Graph, board: Board, cost: Cost, max_interval: int | None) -> SearchResult:
    """Return the result with what is known of the design whose buffers are sized."""
    relaxed = design_space(graph, board, least_buffers=True)
    if found.goal is Goal.RESOURCES:
        objective = board_share(cost.resources, board)
        bound = search_design(graph, board, found.goal, max_interval=max_interval, explain=False, space=relaxed).bound
    else:
        # Under way for no shorter than the slowest engine works on it: the interval bounds the latency too.
        objective = float(cost.interval_cycles if found.goal is Goal.INTERVAL else cost.latency_cycles)
        bound = float(interval_floor(relaxed, board, cost.interval_cycles))
    bound = min(bound, objective)
    return replace(
        found, objective=objective, bound=bound, gap=1 - bound / objective, proved_optimal=bound == objective
    )


def _fitting(
    graph: Graph,
    board: Board,
    goal: Goal,
    max_interval: int | None,
    *,
    others: Sequence[Board] = (),
    explain: bool = False,
    reserve: Resources = _NOTHING,
    nodes: int = NODES,
) -> _Sized:
    """Return the best design that still fits with its buffers sized; what they take beyond the estimate is reserved."""
    demanded = max_interval or 0
    for _ in range(ROUNDS):
        found = search_design(
            graph,
            board,
            goal,
            max_interval=max_interval,
            nodes=nodes,
            reserve=reserve,
            others=others,
            explain=explain,
        )
        design = size_buffers(graph, found.design)
        check_design(design, graph)
        cost = predict(graph, design, board)
        excess = cost.resources.excess(board.budget)
        late = 0 if max_interval is None else cost.interval_cycles - demanded
        if not excess and late <= 0:
            return found, design, cost
        if late > 0 and max_interval is not None:
            max_interval -= late  # a converter idles in this design; a slightly faster one may not need to
        for name, needed, available in excess:
            # The excess alone would come back: the next design comes as close to the limit, and grows as this one did.
            growth = needed - getattr(found.resources, name)
            reserve = replace(reserve, **{name: max(getattr(reserve, name) + needed - available, growth)})
    if not excess:
        raise InfeasibleError(
            f"design: the fastest found of graph {graph.name!r} on {board.name} needs {cost.interval_cycles} cycles an "
            f"image, demanded are {demanded}; demand less"
        )
    name, needed, available = excess[0]
    raise InfeasibleError(
        f"design: graph {graph.name!r} needs {needed} {name} with its buffers, but {board.bounded_by(name)} allows "
        f"{available}; allow more, or use fewer channels or bits"
    )
