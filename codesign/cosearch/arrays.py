"""An accelerator as one multiplier array per block: the parameters that DNA's hardware search chooses.

A block's array is of LUTs, DSPs or packed DSPs, and has a largest number of lanes (PE x SIMD). Its convolutions take
the fastest engines within that limit. The other nodes of the block take the cheapest engines that keep up with its
slowest convolution. So do convolutions that would be faster than that one.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from codesign.cosearch.blocks import choice_blocks
from codesign.cosearch.row import Row
from codesign.cosearch.task import Task
from codesign.errors import InfeasibleError
from codesign.ir.design import Design, Multiplier
from codesign.ir.graph import Graph
from codesign.machine.columns import EngineColumns
from codesign.machine.legal import check_design
from codesign.machine.modules import Control
from codesign.model import resource
from codesign.model.area import area
from codesign.model.predict import predict
from codesign.model.schedule import size_buffers
from codesign.model.space import Options, design_space, node_options
from codesign.ops.node import Operation

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LANES = tuple(1 << i for i in range(10))
NEVER = 1 << 40  # cycles
RESERVE = 0.1  # of the board's LUTs, FFs and BRAMs, for what lies between engines and for sized buffers


@dataclass(frozen=True, slots=True)
class Array:
    """Parameters of a block's array: what multiplies, and the most lanes of one engine."""

    multiplier: Multiplier
    lanes: int

    def __str__(self) -> str:
        return f"{self.multiplier.value} {self.lanes}"


ARRAYS = tuple(Array(m, lanes) for m in (Multiplier.LUT, Multiplier.DSP, Multiplier.PACKED) for lanes in LANES)


@dataclass(frozen=True, slots=True, eq=False)
class ArrayTable:
    """A block with each of ARRAYS: cycles [A], and counts [A, 5] in the order of resource.NAMES."""

    interval: IntArray
    counts: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class ArrayCost:
    """What a network takes with its arrays. `fits`: within the board less RESERVE."""

    interval_cycles: int
    counts: IntArray
    fits: bool


class BlockArrays:
    """The cost of every network of a task with every choice of arrays, by table.

    The arrays of a row are indices into ARRAYS: one for each block of every stage, and one for the head.
    """

    def __init__(self, task: Task) -> None:
        self.board = board = task.board
        self._blocks = choice_blocks(task.space, task.shape, len(task.labels))
        self._options: dict[Operation, Options] = {}
        self._tables: dict[tuple[Operation, ...], ArrayTable] = {}
        budget = np.array([getattr(board.budget, name) for name in resource.NAMES], dtype=np.float64)
        reserve = np.array([RESERVE if name in ("bram18", "lut", "ff") else 0.0 for name in resource.NAMES])
        self.budget = np.floor(budget * (1 - reserve)) - area(Control(beats_in=1, beats_out=1), board.fabric)
        self._weights = np.where(budget > 0, 1 / np.maximum(budget, 1), 0.0)

    @property
    def blocks(self) -> int:
        """How many arrays an accelerator has."""
        return len(self._blocks)

    def tables(self, row: Row) -> list[ArrayTable]:
        """Return the table of every block of the network."""
        return [self.table(i, row) for i in range(len(self._blocks))]

    def table(self, block: int, row: Row) -> ArrayTable:
        """Return the table of one block of the network; no cycles and no counts where it is skipped.

        A block that the machine does not have takes NEVER cycles with any array.
        """
        nodes = self._blocks[block].of(row)
        if nodes is None:
            return ArrayTable(np.full(len(ARRAYS), NEVER), np.zeros((len(ARRAYS), len(resource.NAMES)), np.int64))
        if nodes not in self._tables:
            rows = [self._block_rows(nodes, array) for array in ARRAYS]
            self._tables[nodes] = ArrayTable(
                np.array([self._interval(nodes, r) for r in rows]), np.array([self._counts(nodes, r) for r in rows])
            )
        return self._tables[nodes]

    def decisions(self, block: int) -> tuple[int, ...]:
        """Return the decisions of the space on which the block depends."""
        return self._blocks[block].decisions

    def cost(self, row: Row) -> ArrayCost:
        """Return the interval and counts of the network with its arrays."""
        pairs = list(zip(self.tables(row), row.arrays, strict=True))
        interval = max(int(table.interval[array]) for table, array in pairs)
        counts = np.sum([table.counts[array] for table, array in pairs], axis=0)
        return ArrayCost(interval, counts, bool((counts <= self.budget).all()))

    def design(self, row: Row, graph: Graph) -> Design:
        """Return the design of the network's graph with its arrays, buffers sized.

        The AXI-Streams are the narrowest that are not slower than the arrays. Raise InfeasibleError if it does not fit
        the board.
        """
        space = design_space(graph, self.board)
        interval = self.cost(row).interval_cycles
        engines: list[tuple[Options, int]] = []
        for block, array in zip(self._blocks, row.arrays, strict=True):
            nodes = block.of(row) or ()
            engines += zip((self._of(n) for n in nodes), self._block_rows(nodes, ARRAYS[array]), strict=True)
        rows = [_narrowest(space.sites[0].options, interval)]
        for site, (options, at) in zip(space.sites[1:-1], engines, strict=True):
            assert options.engines is not None
            rows.append(_same_engine(site.options, options.engines, at, self._weights))
        rows.append(_narrowest(space.sites[-1].options, interval))
        design = size_buffers(graph, space.design(tuple(rows)))
        check_design(design, graph)
        excess = predict(graph, design, self.board).resources.excess(self.board.budget)
        if excess:
            name, needed, available = excess[0]
            raise InfeasibleError(
                f"arrays: the design needs {needed} {name}, but {self.board.bounded_by(name)} allows {available}"
            )
        return design

    def _of(self, node: Operation) -> Options:
        if node not in self._options:
            self._options[node] = node_options(node, self.board.fabric)
        return self._options[node]

    def _block_rows(self, nodes: tuple[Operation, ...], array: Array) -> list[int]:
        """Return the option of every node of a block with that array."""
        allowed = [_within(self._of(node), array) for node in nodes]
        every = [self._of(node).interval for node in nodes]
        slowest = max((int(e[a].min()) for e, a in zip(every, allowed, strict=True)), default=0)
        rows = []
        for node, allow, interval in zip(nodes, allowed, every, strict=True):
            price = self._of(node).counts @ self._weights
            rows.append(int(np.where(allow & (interval <= slowest), price, np.inf).argmin()))
        return rows

    def _interval(self, nodes: tuple[Operation, ...], rows: list[int]) -> int:
        return max((int(self._of(n).interval[r]) for n, r in zip(nodes, rows, strict=True)), default=0)

    def _counts(self, nodes: tuple[Operation, ...], rows: list[int]) -> IntArray:
        found = [self._of(n).counts[r] for n, r in zip(nodes, rows, strict=True)]
        return np.sum(found, axis=0) if found else np.zeros(len(resource.NAMES), np.int64)


def _within(options: Options, array: Array) -> npt.NDArray[np.bool_]:
    """Return which options have at most the array's lanes and its multipliers, where the node can have them."""
    assert options.engines is not None
    lanes = options.engines.pe * options.engines.simd * options.engines.taps
    within, same = lanes <= array.lanes, _multiply_by(options.engines, array.multiplier)
    # An engine that no other beats may exist for one kind of multiplier only; without multipliers there is one kind.
    both = within & same
    return both if both.any() else within


def _multiply_by(engines: EngineColumns, multiplier: Multiplier) -> npt.NDArray[np.bool_]:
    """Return which engines multiply in that way."""
    match multiplier:
        case Multiplier.DSP:
            return engines.dsp
        case Multiplier.PACKED:
            return engines.packed
        case Multiplier.LUT:
            return ~(engines.dsp | engines.packed)


def _narrowest(options: Options, interval: int) -> int:
    """Return the narrowest stream of at most that interval, or the fastest."""
    slow_enough = np.flatnonzero(options.interval <= interval)
    return int(slow_enough[options.lanes_in[slow_enough].argmin()] if len(slow_enough) else options.interval.argmin())


def _same_engine(options: Options, engines: EngineColumns, at: int, weights: FloatArray) -> int:
    """Return the option of those lanes and taps, with the same kind of multipliers if there is one: the cheapest."""
    assert options.engines is not None
    lanes = (options.engines.pe == engines.pe[at]) & (options.engines.simd == engines.simd[at])
    lanes &= options.engines.taps == engines.taps[at]
    same = lanes & _multiply_by(options.engines, engines.multiplier(at))
    chosen = same if same.any() else lanes
    return int(np.where(chosen, options.counts @ weights, np.inf).argmin())
