"""What every search of the race is asked, and the judge that answers it and counts what each answer took."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from codesign.cosearch.arrays import ArrayTable

Row = tuple[int, ...]  # one option of each decision about the network
Choice = tuple[int, ...]  # one option of each block's multiplier array
Rng = np.random.Generator
TRIES = 1000  # at a network of the space by chance


@dataclass(frozen=True, slots=True)
class Price:
    """A network on an accelerator: cycles between images, and how far the demand is missed.

    `violation`: log(interval / target) where that is above 0, plus log(needed / available) of every resource that is
    short. It is 0 where interval and board are met.
    """

    interval: int
    violation: float

    @property
    def meets(self) -> bool:
        return self.violation == 0.0


@dataclass(frozen=True, slots=True)
class Scored:
    """Accuracy of a network by the common proxy, and the processor seconds that finding it took."""

    accuracy: float
    seconds: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Problem:
    """A space of networks, an accelerator of one array per block, and a demand.

    `sizes`, `arrays`: options of every decision, and of every block's array. `tables(row)`: each block's cycles and
    counts by option. `budget`: of each resource. `products`: multiplications of a network for one image. `lanes`: how
    many products the board can do in a cycle. `middle`: the network that one would take without a search. `exact`:
    the least interval of any design of the network on the board, None if nothing fits. `setup_s`: processor seconds
    that it took to make the proxy.
    """

    sizes: Row
    arrays: Row
    target: int
    budget: npt.NDArray[np.float64]
    lanes: int
    middle: Row
    setup_s: float
    tables: Callable[[Row], Sequence[ArrayTable]]
    legal: Callable[[Row], bool]
    products: Callable[[Row], int]
    accuracy: Callable[[Row], Scored]
    exact: Callable[[Row], int | None]

    def price(self, row: Row, choice: Choice) -> Price:
        """Price the network on the accelerator of these arrays."""
        tables = self.tables(row)
        interval = max(int(t.interval[c]) for t, c in zip(tables, choice, strict=True))
        needed = sum(t.counts[c] for t, c in zip(tables, choice, strict=True))
        over = np.log(np.maximum(needed, 1) / np.maximum(self.budget, 1))
        violation = max(math.log(interval / self.target), 0.0) + float(np.maximum(over, 0.0).sum())
        return Price(interval, violation)

    def any_row(self, rng: Rng) -> Row:
        """Draw a network of the space, all equally likely."""
        for _ in range(TRIES):
            row = tuple(int(rng.integers(n)) for n in self.sizes)
            if self.legal(row):
                return row
        raise ValueError(f"no network of the space found in {TRIES} tries")

    def any_choice(self, rng: Rng) -> Choice:
        """Draw an accelerator, all equally likely."""
        return tuple(int(rng.integers(n)) for n in self.arrays)


@dataclass(frozen=True, slots=True)
class Limit:
    """When a search ends: networks whose accuracy it has asked for, or designs that it has priced."""

    evaluations: int
    points: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network, its accelerator if the search chose one, its accuracy by the proxy, and its interval."""

    row: Row
    choice: Choice | None
    accuracy: float
    interval: int


@dataclass(frozen=True, slots=True)
class Step:
    """A moment at which a search found something better."""

    evaluations: int
    seconds: float
    accuracy: float


@dataclass(eq=False)
class Judge:
    """Answers one search, keeps what meets the demand, and counts.

    `course`, `found`: every improvement, and the network that it is one with. `seconds`: processor time since the judge
    was made, with the making of the proxy. An accuracy that is looked up counts what it took when it was first
    measured.
    """

    problem: Problem
    limit: Limit
    evaluations: int = 0
    points: int = 0
    designs: int = 0
    best: Candidate | None = None
    course: list[Step] = field(default_factory=list)
    found: list[Row] = field(default_factory=list)
    kept: dict[Row, Candidate] = field(default_factory=dict)
    _known: dict[Row, float] = field(default_factory=dict)
    _begun: float = field(default_factory=time.process_time)
    _owed: float = 0.0

    @property
    def seconds(self) -> float:
        return self.problem.setup_s + time.process_time() - self._begun + self._owed

    @property
    def spent(self) -> bool:
        """Whether the limit is reached."""
        return self.evaluations >= self.limit.evaluations or self.points >= self.limit.points

    def price(self, row: Row, choice: Choice) -> Price:
        self.points += 1
        return self.problem.price(row, choice)

    def accuracy(self, row: Row) -> float:
        """Return the accuracy by the proxy; a network that this search asked for before costs nothing."""
        if row not in self._known:
            begun = time.process_time()
            scored = self.problem.accuracy(row)
            self._owed += scored.seconds - (time.process_time() - begun)
            self.evaluations += 1
            self._known[row] = scored.accuracy
        return self._known[row]

    def exact(self, row: Row) -> int | None:
        self.designs += 1
        return self.problem.exact(row)

    def keep(self, row: Row, choice: Choice | None, accuracy: float, interval: int) -> None:
        """Take note of a network that meets the demand."""
        self.kept.setdefault(row, Candidate(row, choice, accuracy, interval))
        if self.best is None or accuracy > self.best.accuracy:
            self.best = Candidate(row, choice, accuracy, interval)
            self.course.append(Step(self.evaluations, self.seconds, accuracy))
            self.found.append(row)

    def promising(self) -> list[Candidate]:
        """Return what meets the demand, the most accurate by the proxy first."""
        return sorted(self.kept.values(), key=lambda c: (-c.accuracy, c.row))

    def try_both(self, row: Row, choice: Choice) -> float:
        """Return the fitness of network and accelerator: accuracy where the demand is met, else minus how far it is
        missed.
        """
        price = self.price(row, choice)
        if not price.meets:
            return -price.violation
        accuracy = self.accuracy(row)
        self.keep(row, choice, accuracy, price.interval)
        return accuracy


def best_arrays(problem: Problem, row: Row) -> Choice | None:
    """Return the accelerator of least interval for one network; None if nothing fits.

    For an interval every block takes its cheapest array that keeps it. The least interval that fits is kept.
    """
    tables = problem.tables(row)
    weights = np.where(problem.budget > 0, 1 / np.maximum(problem.budget, 1), 0.0)
    least = max(int(t.interval.min()) for t in tables)
    every = np.unique(np.concatenate([t.interval for t in tables]))
    for interval in every[every >= least]:
        choice = tuple(int(np.where(t.interval <= interval, t.counts @ weights, np.inf).argmin()) for t in tables)
        needed = sum(t.counts[c] for t, c in zip(tables, choice, strict=True))
        if (needed <= problem.budget).all():
            return choice
    return None
