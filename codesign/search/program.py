"""A mixed-integer program put together line by line and handed to HiGHS."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]
_HIGHS_INFEASIBLE = 2
_FIRST_MARGIN = 0.002  # of the relaxed objective: choices that raise it by more wait
_LEAST_S = 0.1
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
        self._root: _Root | None = None  # kept, because one program is solved with several gaps

    @property
    def size(self) -> int:
        """How many variables there are."""
        return sum(self._sizes)

    def variables(self, costs: FloatArray, *, choice: bool, most: float = np.inf) -> int:
        """Add one variable per cost, 0 or 1 if `choice`, else any number from 0 to `most`; the index of the first.

        A limit that lines imply is worth naming: without it, presolve of HiGHS 1.12 can go on for ever.
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

    def solve(self, *, relaxed: bool, gap: float, time_limit_s: float) -> Answer:
        """Solve it; `relaxed` lets every variable be a fraction. The time limit is in seconds.

        The relaxed program comes first: it is quick, and often whole or impossible. Its reduced costs tell by how much
        each choice would raise the objective at least. So the exact program runs over the cheap choices alone. What it
        finds within that margin is the optimum; else the margin grows.
        """
        deadline = time.monotonic() + time_limit_s
        choice = np.repeat(np.array(self._integer), self._sizes)
        matrix = self._matrix()
        if self._root is None:
            self._root = self._relaxed(matrix, max(time_limit_s, _LEAST_S))
        root = self._root
        if relaxed or root.answer.values is None or _is_whole(root.answer.values[choice]):
            return root.answer
        raised = np.where(choice, root.reduced, 0.0)
        margin, widest = _FIRST_MARGIN * abs(root.answer.objective), float(raised.max())
        while True:
            left_s = max(deadline - time.monotonic(), _LEAST_S)
            answer = self._exact(matrix, choice, np.where(raised <= margin, 1.0, 0.0), gap, left_s)
            bound = min(answer.bound, root.answer.objective + margin) if margin < widest else answer.bound
            bound = max(bound, root.answer.objective)
            if answer.values is not None and answer.objective - bound <= gap * abs(answer.objective) + _TINY:
                return answer._replace(verdict=Verdict.OPTIMAL, bound=bound)
            if margin >= widest or time.monotonic() > deadline:
                return answer._replace(bound=bound) if margin >= widest else _open(answer, bound)
            grown = answer.objective - root.answer.objective if answer.values is not None else 8 * margin
            margin = max(grown * (1 + _TINY), 2 * margin)

    def _matrix(self) -> sparse.csr_array:
        rows, columns, values = (np.concatenate(part) for part in zip(*self._entries, strict=True))
        return sparse.csr_array((values, (rows, columns)), shape=(len(self._low), self.size))

    def _relaxed(self, matrix: sparse.csr_array, time_limit_s: float) -> "_Root":
        low, high = np.array(self._low), np.array(self._high)
        equal, above, below = low == high, np.isfinite(low) & (low < high), np.isfinite(high) & (low < high)
        result = linprog(
            np.concatenate(self._costs),
            A_ub=sparse.vstack([matrix[below], -matrix[above]]),
            b_ub=np.concatenate([high[below], -low[above]]),
            A_eq=matrix[equal],
            b_eq=low[equal],
            method="highs",
            options={"time_limit": time_limit_s},
        )
        if result.status == _HIGHS_INFEASIBLE:
            return _Root(Answer(Verdict.INFEASIBLE, None, np.inf, np.inf), np.zeros(self.size))
        if result.status != 0 or result.x is None:
            return _Root(Answer(Verdict.UNKNOWN, None, np.inf, -np.inf), np.zeros(self.size))
        objective = float(np.concatenate(self._costs) @ result.x)
        answer = Answer(Verdict.OPTIMAL, result.x, objective, objective)
        return _Root(answer, np.asarray(result.lower.marginals))

    def _exact(
        self, matrix: sparse.csr_array, choice: BoolArray, allowed: FloatArray, gap: float, time_limit_s: float
    ) -> Answer:
        with _mute():
            result = milp(
                np.concatenate(self._costs),
                integrality=choice.astype(np.int64),
                bounds=Bounds(np.zeros(self.size), np.where(choice, allowed, np.repeat(self._most, self._sizes))),
                constraints=LinearConstraint(matrix, np.array(self._low), np.array(self._high)),
                options={"mip_rel_gap": gap, "time_limit": time_limit_s},
            )
        if result.status == _HIGHS_INFEASIBLE:
            return Answer(Verdict.INFEASIBLE, None, np.inf, np.inf)
        dual = result.mip_dual_bound
        bound = -np.inf if dual is None else float(dual)
        if result.x is None:
            return Answer(Verdict.UNKNOWN, None, np.inf, bound)
        return Answer(Verdict.FEASIBLE, result.x, float(result.fun), bound)


class _Root(NamedTuple):
    """The relaxed program's answer, and by how much the objective rises at least per unit of each variable."""

    answer: Answer
    reduced: FloatArray


def _open(answer: Answer, bound: float) -> Answer:
    """Return what a search over some of the choices says of all of them."""
    verdict = Verdict.UNKNOWN if answer.values is None else Verdict.FEASIBLE
    return answer._replace(verdict=verdict, bound=bound)


def _is_whole(values: FloatArray) -> bool:
    return bool((np.abs(values - np.round(values)) < 1e-7).all())
