"""The accelerator of a row of choices: of the exact design search, or of the arrays chosen with the network."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from codesign.cosearch.arrays import ARRAYS, BlockArrays
from codesign.errors import ConfigError, InfeasibleError
from codesign.ir.board import Board
from codesign.ir.cost import Resources
from codesign.ir.dataset import Dataset
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.model.predict import predict
from codesign.networks.network import Network, skeleton
from codesign.networks.space import Space, decisions, derive
from codesign.search.design import search_design
from codesign.search.sized import quick_sized_design

_RESERVE = 0.05  # of the board's budget, for buffers that only the schedule of the final design sizes


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A design found in a search, without weights known: its cycles between images, and what it takes.

    `latency_cycles`: of one image, where that matters.
    """

    design: Design
    interval_cycles: int
    resources: Resources
    latency_cycles: int | None = None


@dataclass(eq=False)
class Accelerators:
    """Accelerators of networks of a space, each made once.

    `arrays`: where arrays are chosen, not searched; None for exact design searches, of which `searches` were made, and
    which priced `options` engines. `max_latency`: cycles that one image may take; a network whose best design takes
    more gets its quickest, which must keep `max_interval` between images. `reasons`: why a row has none.
    """

    space: Space
    dataset: Dataset
    board: Board
    arrays: BlockArrays | None = None
    max_latency: int | None = None
    max_interval: int | None = None
    searches: int = 0
    options: int = 0
    found: dict[tuple[int, ...], Accelerator | None] = field(default_factory=dict)
    reasons: dict[tuple[int, ...], str] = field(default_factory=dict)

    def network(self, row: Sequence[int]) -> Network:
        """Return the network of these choices."""
        data = self.dataset
        name, choices = data.name.replace("-", "_"), row[: len(decisions(self.space))]
        return derive(self.space, choices, name, data.shape, data.classes)

    def choices(self, row: Sequence[int]) -> tuple[tuple[str, str], ...]:
        """Return the choices by name: about the network, then the array of every block and of the head where it is
        chosen.
        """
        every = decisions(self.space)
        blocks = [f"stage {i} block {j} array" for i, s in enumerate(self.space.stages) for j in range(len(s.blocks))]
        found = [(d.name, d.options[i]) for d, i in zip(every, row, strict=False)]
        arrays = zip([*blocks, "head array"], row[len(every) :], strict=False)
        return (*found, *((name, str(ARRAYS[i])) for name, i in arrays))

    def design(self, row: Sequence[int]) -> Accelerator | None:
        """Return the accelerator of these choices, or None if it does not fit the board or the machine has no such
        network.
        """
        key = tuple(row)
        if key not in self.found:
            self.found[key] = self._design(row)
        return self.found[key]

    def within(self, row: Sequence[int], target: float) -> Accelerator | None:
        """Return the accelerator of these choices if it has one in time, of at most `target` cycles between images."""
        interval, late = self.cycles(row)
        return self.design(row) if interval is not None and interval <= target and late is None else None

    def cycles(self, row: Sequence[int]) -> tuple[int | None, int | None]:
        """Return the cycles between images of the accelerator of these choices, and its latency where it is too large.

        Then the accelerator is the quickest that was found. None and None if there is no accelerator.
        """
        found = self.design(row)
        if found is None:
            return None, None
        latency = found.latency_cycles
        is_late = latency is not None and self.max_latency is not None and latency > self.max_latency
        return found.interval_cycles, latency if is_late else None

    def _design(self, row: Sequence[int]) -> Accelerator | None:
        try:
            graph = skeleton(self.network(row))
        except ConfigError as error:  # the machine has no such network
            self.reasons[tuple(row)] = str(error)
            return None
        try:
            return self._exact(graph) if self.arrays is None else self._chosen(self.arrays, row, graph)
        except InfeasibleError as error:
            self.reasons[tuple(row)] = str(error)
            return None

    def _exact(self, graph: Graph) -> Accelerator:
        """Return the design of least interval, or of least latency where that of least interval has too much of it."""
        self.searches += 1
        if self.max_latency is not None:
            result, design, cost = quick_sized_design(
                graph, self.board, self.max_latency, self.max_interval, reserve_of(self.board)
            )
            self.options += result.evaluations
            return Accelerator(design, cost.interval_cycles, cost.resources, cost.latency_cycles)
        result = search_design(graph, self.board, reserve=reserve_of(self.board), explain=False)
        self.options += result.evaluations
        return Accelerator(result.design, result.interval_cycles, result.resources)

    def _chosen(self, arrays: BlockArrays, row: Sequence[int], graph: Graph) -> Accelerator:
        """Return the design with the row's arrays."""
        networks = len(decisions(self.space))
        design = arrays.design(row[:networks], row[networks:], graph)
        cost = predict(graph, design, self.board)
        return Accelerator(design, cost.interval_cycles, cost.resources, cost.latency_cycles)


def reserve_of(board: Board) -> Resources:
    """Return what exact designs of networks without weights leave free within the board's budget."""
    budget = board.budget
    return Resources(bram18=int(budget.bram18 * _RESERVE), lut=int(budget.lut * _RESERVE), ff=int(budget.ff * _RESERVE))
