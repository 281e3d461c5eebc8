"""A mixed-integer program put together line by line and handed to HiGHS."""

import contextlib
import os
import sys
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from codesign.search.elimination import FloatArray

IndexArray = npt.NDArray[np.int64]
_HIGHS_INFEASIBLE = 2
_TINY = 1e-9


@contextlib.contextmanager
def _mute() -> Iterator[None]:
    """Let nothing reach standard output: HiGHS leaves a line of debugging there now and then, whatever its options."""
    try:
        sys.stdout.flush()
        held = os.dup(1)
    except (OSError, ValueError):  # there is no standard output
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
        yield
    finally:
        os.dup2(held, 1)
        os.close(held)


class Verdict(Enum):
    """What the solver found: a solution (best within the gap, or not proven so), that there is none, or nothing."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    UNKNOWN = "unknown"


class Answer(NamedTuple):
    """Values of the variables (None without a solution), their objective, and a lower bound of every objective."""

    verdict: Verdict
    values: FloatArray | None
    objective: float
    bound: float


class Program:
    """Minimise costs @ x over non-negative variables, of which some are 0 or 1, under lines low <= a @ x <= high."""

    def __init__(self) -> None:
        self._costs: list[FloatArray] = []
        self._integer: list[bool] = []
        self._sizes: list[int] = []
        self._most: list[float] = []
        self._entries: list[tuple[IndexArray, IndexArray, FloatArray]] = []
        self._low: list[float] = []
        self._high: list[float] = []

    @property
    def size(self) -> int:
        """How many variables there are."""
        return sum(self._sizes)

    def variables(self, costs: FloatArray, *, choice: bool, most: float = np.inf) -> int:
        """Add one variable per cost, 0 or 1 if `choice`, else any number from 0 to `most`; the index of the first.

        A limit that lines imply is worth naming: without it, presolve of HiGHS 1.12 may never end.
        """
        first = self.size
        self._most.append(1.0 if choice else most)
        self._costs.append(costs)
        self._integer.append(choice)
        self._sizes.append(len(costs))
        return first

    def set_cost(self, variable: int, cost: float) -> None:
        """Change the cost of one variable."""
        for costs, size in zip(self._costs, self._sizes, strict=True):
            if variable < size:
                costs[variable] = cost
                return
            variable -= size

    def line(self, terms: list[tuple[int, FloatArray]], low: float, high: float) -> None:
        """Add low <= sum of coefficients times variables <= high; a term is (first variable, coefficients)."""
        for first, coefficients in terms:
            used = np.flatnonzero(coefficients)
            self._entries.append((np.full(len(used), len(self._low)), first + used, coefficients[used]))
        self._low.append(low)
        self._high.append(high)

    def ties(self, choices: int, classes: IndexArray, pairs: IndexArray) -> None:
        """Add a line per class: the choices of that class sum to its pairs.

        `classes` [N]: the class of choice `choices` + i; `pairs` [A, B]: variables of class A with each other class.
        """
        line = len(self._low)
        count, width = pairs.shape
        self._entries.append((line + classes, choices + np.arange(len(classes)), np.ones(len(classes))))
        self._entries.append((line + np.repeat(np.arange(count), width), pairs.ravel(), np.full(pairs.size, -1.0)))
        self._low += [0.0] * count
        self._high += [0.0] * count

    def solve(self, *, gap: float, nodes: int) -> Answer:
        """Solve it within a relative gap, or stop at so many nodes of the tree of cases. Both count work, not time."""
        choice = np.repeat(np.array(self._integer), self._sizes)
        most = np.repeat(np.array(self._most), self._sizes)
        with _mute():
            result = milp(
                np.concatenate(self._costs),
                integrality=choice.astype(np.int64),
                bounds=Bounds(np.zeros(self.size), most),
                constraints=LinearConstraint(self._matrix(), np.array(self._low), np.array(self._high)),
                options={"mip_rel_gap": gap, "node_limit": nodes},
            )
        if result.status == _HIGHS_INFEASIBLE:
            return Answer(Verdict.INFEASIBLE, None, np.inf, np.inf)
        dual = result.mip_dual_bound
        bound = -np.inf if dual is None else float(dual)
        if result.x is None:
            return Answer(Verdict.UNKNOWN, None, np.inf, bound)
        proved = result.fun - bound <= gap * abs(result.fun) + _TINY
        return Answer(Verdict.OPTIMAL if proved else Verdict.FEASIBLE, result.x, float(result.fun), bound)

    def _matrix(self) -> sparse.csr_array:
        rows, columns, values = (np.concatenate(part) for part in zip(*self._entries, strict=True))
        return sparse.csr_array((values, (rows, columns)), shape=(len(self._low), self.size))
