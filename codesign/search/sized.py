"""The best design of a graph with its buffers sized; what the search of engines does not know is fed back to it."""

from collections.abc import Sequence
from dataclasses import replace

from codesign.errors import InfeasibleError
from codesign.ir.board import Board
from codesign.ir.cost import Cost, Resources
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.model.predict import predict
from codesign.model.schedule import size_buffers
from codesign.search.design import Goal, SearchResult, search_design

ROUNDS = 12  # of design search, each with more reserved for buffers


def search_sized_design(
    graph: Graph,
    board: Board,
    goal: Goal = Goal.INTERVAL,
    *,
    max_interval: int | None = None,
    max_latency: int | None = None,
    others: Sequence[Board] = (),
    explain: bool = True,
) -> tuple[SearchResult, Design, Cost]:
    """search_design with buffers sized by the schedule; the design's cost is exact and within the board.

    Where the best design takes more than `max_latency` cycles for one image, the one of least latency is looked for.
    The result's bound is that of the first search, which reserves nothing: a design that gave way to its buffers is not
    called optimal. Raises InfeasibleError, with the nearest, if nothing fits.
    """
    found, design, cost = _fitting(graph, board, goal, max_interval, others, explain)
    if max_latency is not None and cost.latency_cycles > max_latency:
        found, design, cost = _fitting(graph, board, Goal.LATENCY, max_interval, others, explain)
        if cost.latency_cycles > max_latency:
            raise InfeasibleError(
                f"design: one image takes {cost.latency_cycles} cycles in the quickest design of graph {graph.name!r} "
                f"that was found on {board.name}, demanded are at most {max_latency}; demand less"
            )
    return found, design, cost


def _fitting(
    graph: Graph, board: Board, goal: Goal, max_interval: int | None, others: Sequence[Board], explain: bool
) -> tuple[SearchResult, Design, Cost]:
    """The best design that still fits with its buffers sized; what they take beyond the search's guess is reserved."""
    reserve, demanded, first = Resources(), max_interval or 0, None
    for _ in range(ROUNDS):
        found = search_design(
            graph, board, goal, max_interval=max_interval, reserve=reserve, others=others, explain=explain
        )
        first = first or found
        design = size_buffers(graph, found.design)
        design.check(graph)
        cost = predict(graph, design, board)
        excess = cost.resources.excess(board.budget)
        late = 0 if max_interval is None else cost.interval_cycles - demanded
        if not excess and late <= 0:
            return _bounded(found, first), design, cost
        if late > 0 and max_interval is not None:
            max_interval -= late  # a converter idles in this design; a slightly faster one may not need to
        for name, needed, available in excess:
            # The excess alone would come back: the next design comes as close to the limit, and grows as this one did.
            growth = needed - getattr(found.resources, name)
            reserve = replace(reserve, **{name: max(getattr(reserve, name) + needed - available, growth)})
    if not excess:
        raise InfeasibleError(
            f"design: {cost.interval_cycles} cycles were reached, demanded are {demanded}; demand less"
        )
    name, needed, available = excess[0]
    raise InfeasibleError(f"with its buffers, the design needs {needed} {name}, but {board.name} allows {available}")


def _bounded(found: SearchResult, first: SearchResult) -> SearchResult:
    """`found` with the bound and the proof of `first`, which had all of the board to choose from."""
    bound = min(first.bound, found.objective)
    proved = first.proved_optimal and found.objective <= first.objective
    gap = 0.0 if proved and found.goal is Goal.INTERVAL else (found.objective - bound) / found.objective
    return replace(found, bound=bound, gap=gap, proved_optimal=proved)
