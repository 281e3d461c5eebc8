"""A mixed-integer program put together line by line and handed to HiGHS."""

from enum import Enum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]
_HIGHS_OPTIMAL, _HIGHS_INFEASIBLE = 0, 2


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
        self._entries: list[tuple[IndexArray, IndexArray, FloatArray]] = []
        self._low: list[float] = []
        self._high: list[float] = []

    @property
    def size(self) -> int:
        """How many variables there are."""
        return sum(self._sizes)

    def variables(self, costs: FloatArray, *, choice: bool) -> int:
        """Add one variable per cost, 0 or 1 if `choice`, else any number from 0; return the index of the first."""
        first = self.size
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

    def solve(self, *, relaxed: bool, gap: float, time_limit_s: float) -> Answer:
        """Solve it; `relaxed` lets every variable be a fraction. The time limit is in seconds.

        The relaxed program comes first in any case: it is quick, and often has no fraction in it or no solution.
        """
        rows, columns, values = (np.concatenate(part) for part in zip(*self._entries, strict=True))
        matrix = sparse.csr_array((values, (rows, columns)), shape=(len(self._low), self.size))
        lines = LinearConstraint(matrix, np.array(self._low), np.array(self._high))
        choice = np.repeat(np.array(self._integer), self._sizes)
        answer = self._run(lines, choice, relaxed=True, gap=gap, time_limit_s=time_limit_s)
        if relaxed or answer.values is None or _is_whole(answer.values[choice]):
            return answer
        return self._run(lines, choice, relaxed=False, gap=gap, time_limit_s=time_limit_s)

    def _run(
        self, lines: LinearConstraint, choice: BoolArray, *, relaxed: bool, gap: float, time_limit_s: float
    ) -> Answer:
        result = milp(
            np.concatenate(self._costs),
            integrality=np.zeros(self.size, dtype=np.int64) if relaxed else choice.astype(np.int64),
            bounds=Bounds(np.zeros(self.size), np.where(choice, 1.0, np.inf)),
            constraints=lines,
            options={"mip_rel_gap": gap, "time_limit": max(time_limit_s, 0.1)},
        )
        if result.status == _HIGHS_INFEASIBLE:
            return Answer(Verdict.INFEASIBLE, None, np.inf, np.inf)
        bound = -np.inf if relaxed or result.mip_dual_bound is None else float(result.mip_dual_bound)
        if result.x is None:
            return Answer(Verdict.UNKNOWN, None, np.inf, bound)
        verdict = Verdict.OPTIMAL if result.status == _HIGHS_OPTIMAL else Verdict.FEASIBLE
        objective = float(result.fun)
        return Answer(verdict, result.x, objective, objective if relaxed and verdict is Verdict.OPTIMAL else bound)


def _is_whole(values: FloatArray) -> bool:
    return bool((np.abs(values - np.round(values)) < 1e-7).all())
