"""What a co-search is asked for."""

from dataclasses import dataclass, replace

from codesign.cosearch.row import Row
from codesign.ir.board import Board
from codesign.ir.dataset import Dataset
from codesign.ir.demand import NO_DEMAND, Demand
from codesign.networks.derive import derive
from codesign.networks.network import Network
from codesign.networks.space import Decision, Space, decisions
from codesign.ops.shapes import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A network of the space that classifies samples of a shape by labels, and its accelerator on the board.

    `name`: of the networks. `demand`: what the accelerator must reach.
    """

    name: str
    space: Space
    shape: Shape
    labels: tuple[str, ...]
    board: Board
    demand: Demand = NO_DEMAND

    @classmethod
    def of(cls, dataset: Dataset, space: Space, board: Board, demand: Demand) -> "Task":
        """Return the task of samples and labels like those of the data set."""
        name = dataset.name.replace("-", "_")
        return cls(name=name, space=space, shape=dataset.shape, labels=dataset.classes, board=board, demand=demand)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """All decisions about the network."""
        return decisions(self.space)

    @property
    def undemanding(self) -> "Task":
        """The same without a demand."""
        return replace(self, demand=NO_DEMAND)

    def reference(self, otherwise: int | None) -> int:
        """Return the demanded interval in cycles, or another where none is demanded. Raise ValueError without one."""
        found = self.demand.interval_cycles or otherwise
        if found is None:
            raise ValueError("reference: expected an interval in cycles where none is demanded, got none")
        return found

    def network(self, row: Row) -> Network:
        """Return the network of a row of choices."""
        return derive(self.space, row.network, self.name, self.shape, self.labels)
