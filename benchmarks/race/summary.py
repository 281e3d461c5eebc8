"""Cells of one group of settings, summed up by board, demand and method."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev

from .settings import BUDGETS, SEEDS, Cell, Method
from .store import Result


@dataclass(frozen=True, slots=True)
class Group:
    """Results that may be compared: of one profile and the same settings."""

    profile: str
    key: str
    results: tuple[Result, ...]

    def of(self, board: str, fps: int, method: Method) -> tuple[Result, ...]:
        """Return the results of a method at a demand, by seed."""
        wanted = [Cell(board=board, fps=fps, method=method, seed=seed) for seed in SEEDS]
        return tuple(r for cell in wanted for r in self.results if r.cell == cell)

    def demands(self) -> list[tuple[str, int]]:
        """Return boards and demands of which there is a result."""
        every = [(board, fps) for board, budgets in BUDGETS.items() for fps in budgets]
        return [d for d in every if any((r.cell.board, r.cell.fps) == d for r in self.results)]


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean, least and greatest of some values."""

    mean: float
    least: float
    greatest: float

    @staticmethod
    def of(values: Iterable[float]) -> "Spread | None":
        found = list(values)
        return Spread(mean(found), min(found), max(found)) if found else None


def groups(results: Sequence[Result]) -> list[Group]:
    """Return groups of equal profile and settings, the largest first, the full profile if equal."""
    keys = dict.fromkeys((r.profile, r.key) for r in results)
    found = [Group(p, k, tuple(r for r in results if (r.profile, r.key) == (p, k))) for p, k in keys]
    return sorted(found, key=lambda g: (-len(g.results), g.profile != "full"))


def met(result: Result) -> bool:
    """Tell whether the method's network on its accelerator has the demanded pace: as measured, else as predicted."""
    final = result.final
    if final is None or final.interval_cycles is None:
        return False
    interval = final.measured.interval_cycles if final.measured is not None else final.interval_cycles
    return interval <= result.target_cycles


def accuracy(results: Iterable[Result]) -> Spread | None:
    """Return the accuracy of the golden model on the test images, where the demand was met."""
    return Spread.of(r.final.trained.golden_accuracy for r in results if r.final is not None and met(r))


def differences(group: Group, method: Method, demands: Sequence[tuple[str, int]]) -> dict[int, list[float]]:
    """Return accuracy less that of ours at the same demand and seed, by seed, for every pair that meets the demand."""
    found: dict[int, list[float]] = {}
    for board, fps in demands:
        ours = {r.cell.seed: r.final for r in group.of(board, fps, Method.OURS) if met(r)}
        for result in group.of(board, fps, method):
            own = ours.get(result.cell.seed)
            if result.final is not None and own is not None and met(result):
                gap = result.final.trained.golden_accuracy - own.trained.golden_accuracy
                found.setdefault(result.cell.seed, []).append(gap)
    return found


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds, and its standard error; None of one seed. Cells of one seed share images and supernet."""

    mean: float
    error: float | None

    @staticmethod
    def of(by_seed: Mapping[int, Sequence[float]]) -> "Estimate | None":
        """Return the estimate from the seeds' means; None without any."""
        means = [mean(values) for values in by_seed.values()]
        if not means:
            return None
        return Estimate(mean(means), stdev(means) / sqrt(len(means)) if len(means) > 1 else None)

    @property
    def is_clear(self) -> bool:
        """Whether it is further from 0 than twice its error."""
        return self.error is not None and abs(self.mean) > 2 * self.error


def predicted_fps(results: Iterable[Result]) -> Spread | None:
    """Return the predicted FPS of the methods' own accelerators, whether or not they meet the demand."""
    return Spread.of(r.final.fps for r in results if r.final is not None and r.final.fps is not None)


def fps(results: Iterable[Result]) -> Spread | None:
    """Return the FPS measured in RTL simulation, whether or not it meets the demand."""
    return Spread.of(r.final.measured.fps for r in results if r.final is not None and r.final.measured is not None)


def exact_fps(results: Iterable[Result]) -> Spread | None:
    """Return the FPS of the best design of the same networks."""
    return Spread.of(r.final.exact_fps for r in results if r.final is not None)
