"""The accelerator of a row of choices: of the exact design search, or of the arrays chosen with the network."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from codesign.errors import ConfigError, InfeasibleError
from codesign.ir.board import Board
from codesign.ir.cost import Resources
from codesign.ir.dataset import Dataset
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.model.predict import predict
from codesign.nets.network import Network, skeleton
from codesign.nets.space import Space, decisions, derive
from codesign.search.arrays import ARRAYS, BlockArrays
from codesign.search.design import search_design
from codesign.search.sized import search_sized_design

_RESERVE = 0.05  # of the board's budget, for buffers that only the schedule of the final design sizes


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A design found in a search, without weights known: its cycles per image, and what it takes."""

    design: Design
    interval_cycles: int
    resources: Resources


@dataclass(eq=False)
class Accelerators:
    """Accelerators of networks of a space, each made once.

    `arrays`: where arrays are chosen, not searched; None for exact design searches, of which `searches` were made, and
    which priced `options` engines. `max_latency`: cycles that one image may take; only with it a design must also keep
    `max_interval` between images, otherwise whoever asks compares. `reasons`: why a row has none.
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
        """The network of these choices."""
        data = self.dataset
        name, choices = data.name.replace("-", "_"), row[: len(decisions(self.space))]
        return derive(self.space, choices, name, data.shape, data.classes)

    def choices(self, row: Sequence[int]) -> tuple[tuple[str, str], ...]:
        """The choices by name: about the network, then the array of every block and of the head where it is chosen."""
        every = decisions(self.space)
        blocks = [f"stage {i} block {j} array" for i, s in enumerate(self.space.stages) for j in range(len(s.blocks))]
        found = [(d.name, d.options[i]) for d, i in zip(every, row, strict=False)]
        arrays = zip([*blocks, "head array"], row[len(every) :], strict=False)
        return (*found, *((name, str(ARRAYS[i])) for name, i in arrays))

    def design(self, row: Sequence[int]) -> Accelerator | None:
        """The accelerator of these choices, or None if it does not fit the board or the machine has no such network."""
        key = tuple(row)
        if key not in self.found:
            self.found[key] = self._design(row)
        return self.found[key]

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
        """The design of least interval, or of least latency where that of least interval has too much of it."""
        self.searches += 1
        if self.max_latency is not None:
            result, design, cost = search_sized_design(
                graph, self.board, max_interval=self.max_interval, max_latency=self.max_latency, explain=False
            )
            self.options += result.evaluations
            return Accelerator(design, cost.interval_cycles, cost.resources)
        result = search_design(graph, self.board, reserve=reserve_of(self.board), explain=False)
        self.options += result.evaluations
        return Accelerator(result.design, result.interval_cycles, result.resources)

    def _chosen(self, arrays: BlockArrays, row: Sequence[int], graph: Graph) -> Accelerator:
        """The design with the row's arrays."""
        networks = len(decisions(self.space))
        design = arrays.design(row[:networks], row[networks:], graph)
        cost = predict(graph, design, self.board)
        if self.max_latency is not None and cost.latency_cycles > self.max_latency:
            raise InfeasibleError(f"arrays: one image takes {cost.latency_cycles} cycles, demanded: {self.max_latency}")
        return Accelerator(design, cost.interval_cycles, cost.resources)


def reserve_of(board: Board) -> Resources:
    """What exact designs of networks without weights leave free within the board's budget."""
    budget = board.budget
    return Resources(bram18=int(budget.bram18 * _RESERVE), lut=int(budget.lut * _RESERVE), ff=int(budget.ff * _RESERVE))
