"""The protocol by which a search asks for the costs of its choices."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from codesign.cosearch.row import Row

FloatArray = npt.NDArray[np.float64]


class Costing(Protocol):
    """Costs of rows of choices, as logarithms: 0 at the demand, 1 at e times as many cycles."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many options every decision has: those about the network first, then those about arrays."""
        ...

    @property
    def reference(self) -> int:
        """The interval in cycles whose cost is 0: the demanded one, if one is demanded."""
        ...

    @property
    def state(self) -> dict[str, Any]:
        """Whatever adapts, as plain data."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` gave."""
        ...

    def allowed(self) -> list[npt.NDArray[np.bool_]]:
        """Return, for each decision, which options can be part of a network that meets the demand."""
        ...

    def log_cost(self, row: Row) -> float:
        """Return the cost of the network at its best accelerator; at most 0 where the demand is met."""
        ...

    def log_interval(self, row: Row) -> float:
        """Return log(interval / reference) of that accelerator."""
        ...

    def alternatives(self, row: Row) -> list[FloatArray]:
        """Return, for each decision, log_cost with each option in its place, all others as they are."""
        ...

    def array_alternatives(self, row: Row) -> list[FloatArray]:
        """Return `alternatives` of the decisions about arrays alone; none where arrays are not chosen."""
        ...

    def adapt(self, row: Row, interval: int | None, latency: int | None = None) -> None:
        """Match the costs to the accelerator that was found for a row.

        `interval`: its cycles, None if it fits at no pace. `latency`: of its quickest design, if known.
        """
        ...
