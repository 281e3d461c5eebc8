"""The cost of a network together with chosen arrays, as in DNA: accelerator parameters are choices like any other.

The decisions are those of the space and then one array per block. What a network costs is the smooth maximum of its
blocks' log intervals; beyond the board, every resource adds its log excess. Unlike in cosearch.pricing, nothing is
optimized behind a choice: the gradient has to correct an array that is too large or too small. Arrays must follow the
networks, not the reverse. So they learn in every step, from the beginning (Chooser.fit_arrays).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.cosearch.arrays import ARRAYS, ArrayTable, BlockArrays
from codesign.cosearch.costing import FloatArray
from codesign.cosearch.row import Row
from codesign.cosearch.task import Task

_SHARPNESS = 8.0  # of the smooth maximum over blocks, in 1 / log interval
_EXCESS = 2.0  # cost of a factor e over the board, in factors e of interval


class ArrayPricing:
    """Costs of rows of choices that end with one array per block."""

    def __init__(self, task: Task, *, reference: int | None = None) -> None:
        """`reference`: the interval that costs are counted from, where none is demanded."""
        self.arrays = BlockArrays(task)
        self.reference = task.reference(reference)
        self.networks = len(task.decisions)
        self.sizes = (*(len(d.options) for d in task.decisions), *[len(ARRAYS)] * self.arrays.blocks)
        self._floor = (
            -np.inf if task.demand.interval_cycles is None else 0.0
        )  # speed beyond the demand must not pay for what does not fit
        self._budget = np.maximum(self.arrays.budget, 1.0)

    @property
    def state(self) -> dict[str, Any]:
        """Nothing that changes."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up nothing."""

    def adapt(self, row: Row, interval: int | None, latency: int | None = None) -> None:
        """Change nothing: no figure behind the choices is to be adapted."""

    def allowed(self) -> list[npt.NDArray[np.bool_]]:
        """Return every option of every decision."""
        return [np.ones(size, dtype=np.bool_) for size in self.sizes]

    def log_cost(self, row: Row) -> float:
        """Return log(interval / reference) and what lies over the board; at most 0 where demand and board are met."""
        tables = self.arrays.tables(row)
        return float(self._cost([(t, np.array([c])) for t, c in zip(tables, row.arrays, strict=True)])[0])

    def log_interval(self, row: Row) -> float:
        """Return log_cost: what lies over the board is counted as interval."""
        return self.log_cost(row)

    def alternatives(self, row: Row) -> list[FloatArray]:
        """Return, for each decision, log_cost with each option in its place, all others as they are."""
        tables, found = self.arrays.tables(row), []
        for i, size in enumerate(self.sizes[: self.networks]):
            touched = [b for b in range(self.arrays.blocks) if i in self.arrays.decisions(b)]
            costs = []
            for option in range(size):
                other = row.changed(i, option)
                new = [self.arrays.table(b, other) if b in touched else t for b, t in enumerate(tables)]
                costs.append(self._cost([(t, np.array([c])) for t, c in zip(new, row.arrays, strict=True)])[0])
            found.append(np.array(costs))
        return found + self._array_alternatives(tables, row.arrays)

    def array_alternatives(self, row: Row) -> list[FloatArray]:
        """Return `alternatives` of the arrays alone."""
        return self._array_alternatives(self.arrays.tables(row), row.arrays)

    def _array_alternatives(self, tables: Sequence[ArrayTable], choice: Sequence[int]) -> list[FloatArray]:
        every = np.arange(len(ARRAYS))
        return [
            self._cost([(t, every if b == block else np.array([choice[b]])) for b, t in enumerate(tables)])
            for block in range(len(tables))
        ]

    def _cost(self, chosen: list[tuple[ArrayTable, npt.NDArray[np.int64]]]) -> FloatArray:
        """Return the cost [N] of blocks with arrays[N] or [1] each."""
        with np.errstate(divide="ignore"):
            logs = [np.log(np.maximum(t.interval[c], 1e-3) / self.reference) for t, c in chosen]
        scaled = np.stack(np.broadcast_arrays(*logs)) * _SHARPNESS
        top = scaled.max(axis=0)
        interval = (top + np.log(np.exp(scaled - top).sum(axis=0))) / _SHARPNESS
        counts = sum(t.counts[c].astype(np.float64) for t, c in chosen)
        excess = np.maximum(np.log(np.maximum(counts, 1.0) / self._budget), 0.0).sum(axis=-1)
        return np.asarray(np.maximum(interval, self._floor) + _EXCESS * excess)
