"""The race's problem from a space, a data set, a board and a demand."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

from codesign.cosearch.accelerators import reserve_of
from codesign.cosearch.arrays import ArrayTable, BlockArrays
from codesign.cosearch.row import Row as Chosen
from codesign.cosearch.task import Task
from codesign.errors import ConfigError, InfeasibleError
from codesign.ir.board import Board
from codesign.ir.dataset import Dataset
from codesign.ir.demand import NO_DEMAND, Demand
from codesign.ir.strict import to_plain
from codesign.model import resource
from codesign.networks.derive import derive
from codesign.networks.network import Network, skeleton
from codesign.networks.space import Space, decisions, depth, middle, slots
from codesign.ops.conv import Conv
from codesign.search.design import search_design

from .problem import Problem, Row, Scored


def part_of(board: Board, share: float) -> Board:
    """Return the board where designs may take that share of what they may usually take of it."""
    fill = {name: share * part for name, part in to_plain(board.fill).items() if isinstance(part, float)}
    return replace(board, fill=replace(board.fill, **fill))


def translated(row: Sequence[int], source: Space, target: Space) -> Row:
    """Return the row of the same network in a space that names the same options in another order."""
    pairs = zip(row, decisions(source), decisions(target), strict=True)
    return tuple(there.options.index(here.options[option]) for option, here, there in pairs)


def network_of(space: Space, dataset: Dataset, row: Row) -> Network:
    """Return the network of a row of choices."""
    return derive(space, row, dataset.name.replace("-", "_"), dataset.shape, dataset.classes)


def demand_of(fps: float, board: Board) -> Demand:
    """Return the demand of so many images a second."""
    return Demand.at(board.clock_mhz, fps)


class Ground:
    """What the race's problems have in common on one board and one data set."""

    def __init__(self, space: Space, dataset: Dataset, board: Board, minimum_depth: int) -> None:
        self.space, self.dataset, self.board = space, dataset, board
        self.minimum_depth = minimum_depth
        self.arrays = BlockArrays(self.task())
        self.sizes = tuple(len(d.options) for d in decisions(space))
        self.tables = lru_cache(maxsize=100_000)(self._tables)
        self._pool = slots(space).head_pool
        self._pools = [self._can_end(pool) for pool in range(self.sizes[self._pool])]

    def task(self, demand: Demand = NO_DEMAND, space: Space | None = None) -> Task:
        """Return what a co-search is asked here; on the ground's space, if no other is given."""
        return Task.of(self.dataset, space or self.space, self.board, demand)

    def legal(self, row: Row) -> bool:
        """Tell whether the machine has such a network, of enough blocks."""
        return self._pools[row[self._pool]] and depth(self.space, row) >= self.minimum_depth

    def products(self, row: Row) -> int:
        """Return the multiplications for one image."""
        graph = skeleton(network_of(self.space, self.dataset, row))
        return sum(node.macs for node in graph.nodes)

    def lanes(self) -> int:
        """Return the products that the board can do in a cycle: all DSPs, and multipliers in half of its LUTs.

        The other half is left to adders and memories. Multipliers are those of the middle network.
        """
        graph = skeleton(network_of(self.space, self.dataset, middle(self.space)))
        convs = [node for node in graph.nodes if isinstance(node, Conv)]
        luts = sum(resource.multiplier_luts(node) for node in convs) / len(convs)
        return self.board.budget.dsp + int(self.board.budget.lut / 2 / luts)

    def target(self, fps: float) -> int:
        """Return the cycles between images at that many a second."""
        cycles = demand_of(fps, self.board).interval_cycles
        assert cycles is not None
        return cycles

    def _tables(self, row: Row) -> Sequence[ArrayTable]:
        return self.arrays.tables(Chosen(row))

    def problem(self, fps: float, accuracy: Callable[[Row], Scored], setup_s: float) -> Problem:
        """Return the problem of that demand, judged by that accuracy."""
        return Problem(
            sizes=self.sizes,
            arrays=(len(self.tables(middle(self.space))[0].interval),) * self.arrays.blocks,
            target=self.target(fps),
            budget=self.arrays.budget,
            lanes=self.lanes(),
            middle=middle(self.space),
            setup_s=setup_s,
            tables=self.tables,
            legal=self.legal,
            products=self.products,
            accuracy=accuracy,
            exact=self.exact,
        )

    def exact(self, row: Row) -> int | None:
        """Return the least interval of the network on the board."""
        graph = skeleton(network_of(self.space, self.dataset, row))
        try:
            return search_design(graph, self.board, reserve=reserve_of(self.board), explain=False).interval_cycles
        except InfeasibleError:
            return None

    def _can_end(self, pool: int) -> bool:
        row = tuple(pool if at == self._pool else 0 for at in range(len(self.sizes)))
        try:
            skeleton(network_of(self.space, self.dataset, row))
        except ConfigError:
            return False
        return True
