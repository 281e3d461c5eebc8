"""The accelerator of a row of choices, from the exact design search or from the arrays chosen with the network."""

from dataclasses import dataclass, field

from codesign.cosearch.arrays import ARRAYS, BlockArrays
from codesign.cosearch.row import Row
from codesign.cosearch.task import Task
from codesign.errors import ConfigError, InfeasibleError
from codesign.ir.board import Board
from codesign.ir.cost import Resources
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.model.predict import predict
from codesign.networks.network import Network, skeleton
from codesign.search.design import search_design
from codesign.search.sized import quick_sized_design

_RESERVE = 0.05  # of the board's budget, for buffers that only the schedule of the final design sizes


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A design found in a search, before weights are known: its cycles between images, and its resources.

    `latency_cycles`: of one image, where that matters.
    """

    design: Design
    interval_cycles: int
    resources: Resources
    latency_cycles: int | None = None


@dataclass(eq=False)
class Accelerators:
    """Accelerators of the networks of a task, each made once.

    `arrays`: where arrays are chosen, not searched; None for exact design searches, of which `searches` were made, and
    which priced `options` engines. A network whose best design is too late gets its quickest, which must keep the
    demanded interval. `reasons`: why a row has none.
    """

    task: Task
    arrays: BlockArrays | None = None
    searches: int = 0
    options: int = 0
    found: dict[Row, Accelerator | None] = field(default_factory=dict)
    reasons: dict[Row, str] = field(default_factory=dict)

    def network(self, row: Row) -> Network:
        """Return the network of these choices."""
        return self.task.network(row)

    def choices(self, row: Row) -> tuple[tuple[str, str], ...]:
        """Return the choices by name: about the network, then the array of every block and of the head where it is
        chosen.
        """
        stages = enumerate(self.task.space.stages)
        blocks = [f"stage {i} block {j} array" for i, s in stages for j in range(len(s.blocks))]
        arrays = zip([*blocks, "head array"], row.arrays, strict=False)
        return (*named(self.task, row), *((name, str(ARRAYS[i])) for name, i in arrays))

    def design(self, row: Row) -> Accelerator | None:
        """Return the accelerator of these choices, or None if it does not fit the board or the machine has no such
        network.
        """
        if row not in self.found:
            self.found[row] = self._design(row)
        return self.found[row]

    def meeting(self, row: Row) -> Accelerator | None:
        """Return the accelerator of these choices if it has one that meets the demand."""
        found = self.design(row)
        if found is None or self.task.demand.slow(found.interval_cycles) or self._is_late(found):
            return None
        return found

    def cycles(self, row: Row) -> tuple[int | None, int | None]:
        """Return the cycles between images of the accelerator of these choices, and its latency where it is too large.

        Then the accelerator is the quickest that was found. None and None if there is no accelerator.
        """
        found = self.design(row)
        if found is None:
            return None, None
        return found.interval_cycles, found.latency_cycles if self._is_late(found) else None

    def _is_late(self, found: Accelerator) -> bool:
        return found.latency_cycles is not None and self.task.demand.late(found.latency_cycles)

    def _design(self, row: Row) -> Accelerator | None:
        try:
            graph = skeleton(self.network(row))
        except ConfigError as error:  # the machine has no such network
            self.reasons[row] = str(error)
            return None
        try:
            return self._exact(graph) if self.arrays is None else self._chosen(self.arrays, row, graph)
        except InfeasibleError as error:
            self.reasons[row] = str(error)
            return None

    def _exact(self, graph: Graph) -> Accelerator:
        """Return the design of least interval, or of least latency where that of least interval has too much of it."""
        self.searches += 1
        board, demand = self.task.board, self.task.demand
        if demand.latency_cycles is not None:
            result, design, cost = quick_sized_design(graph, board, demand, reserve_of(board))
            self.options += result.evaluations
            return Accelerator(design, cost.interval_cycles, cost.resources, cost.latency_cycles)
        result = search_design(graph, board, reserve=reserve_of(board), explain=False)
        self.options += result.evaluations
        return Accelerator(result.design, result.interval_cycles, result.resources)

    def _chosen(self, arrays: BlockArrays, row: Row, graph: Graph) -> Accelerator:
        """Return the design with the row's arrays."""
        design = arrays.design(row, graph)
        cost = predict(graph, design, self.task.board)
        return Accelerator(design, cost.interval_cycles, cost.resources, cost.latency_cycles)


def named(task: Task, row: Row) -> tuple[tuple[str, str], ...]:
    """Return the choices about the network by name."""
    return tuple((d.name, d.options[i]) for d, i in zip(task.decisions, row.network, strict=True))


def reserve_of(board: Board) -> Resources:
    """Return what exact designs of networks without weights leave free within the board's budget."""
    budget = board.budget
    return Resources(bram18=int(budget.bram18 * _RESERVE), lut=int(budget.lut * _RESERVE), ff=int(budget.ff * _RESERVE))
