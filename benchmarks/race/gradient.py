"""Searches by gradient, ours and DNA's, run as they are and counted like the rivals.

They train their own supernet, which is in their seconds. Their evaluations are the finalists that they score with it.
Designs priced are what their tables gave a cost. The networks on the way are looked up afterwards with the rivals'
proxy, off the clock, so that the courses can be compared.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from codesign.cosearch.arrays import ARRAYS
from codesign.cosearch.config import Hardware, Objective, SearchConfig
from codesign.cosearch.cosearch import CosearchResult, cosearch
from codesign.errors import InfeasibleError
from codesign.ir import files
from codesign.networks.space import Space, decisions
from codesign.progress import Progress
from codesign.testing.spaces import turned

from .problem import Problem, Row, Step
from .setting import Ground, translated
from .settings import ELSEWHERE, NEIGHBOURS, Cell, Method
from .store import Search

EPOCHS = "search epochs"  # a stage that cosearch tells of
JUDGED = ("compare finalists", "train finalists", "train neighbours")  # stages in which networks are judged


def config_of(cell: Cell, config: SearchConfig) -> SearchConfig:
    """Return the search's settings for a cell. Neighbours are trained where the method says so, so that all spend
    alike.
    """
    config = replace(config, min_fps=float(cell.fps), seed=cell.seed)
    if cell.method not in NEIGHBOURS:
        config = replace(config, trained_neighbours=0)
    match cell.method:
        case Method.DNA:
            return replace(config, hardware=Hardware.DNA)
        case Method.OURS_SUM:
            return replace(config, objective=Objective.SUM)
        case Method.OURS_HETEROGENEOUS:
            return replace(config, heterogeneous=not config.heterogeneous)
        case Method.OURS_AS_FOUND:
            return replace(config, enlarge=False)
        case Method.OURS_RANKED:
            return replace(config, trained_finalists=1)
        case _:
            return config


def search(cell: Cell, config: SearchConfig, ground: Ground, problem: Problem, folder: Path, tell: Progress) -> Search:
    """Run the search of a cell in `folder`, or continue it."""
    clock = _Clock(folder / "clock.json", tell)
    space = turned(ground.space) if cell.method in ELSEWHERE else ground.space
    try:
        found = cosearch(ground.dataset, space, ground.board, config_of(cell, config), folder, clock)
    except InfeasibleError:
        found = None
    seconds = clock.seconds
    row, choice = (None, None) if found is None else _indices(ground, dict(found.choices))
    return Search(
        row=row,
        choice=choice,
        evaluations=clock.judged,
        points=_priced(folder) if found is None else found.priced_networks,
        designs=0 if found is None else found.design_searches,
        seconds=seconds,
        setup_s=0.0,
        proxy_accuracy=None if row is None else problem.accuracy(row).accuracy,
        course=_course(clock, _likeliest(folder, space, ground), problem, found, row, seconds, config.warmup_epochs),
    )


class _Clock:
    """Processor seconds at the end of every epoch, kept for a search that is interrupted."""

    def __init__(self, path: Path, tell: Progress) -> None:
        self.path, self.tell = path, tell
        self.marks: list[float] = json.loads(path.read_text()) if path.is_file() else []
        self.before = self.marks[-1] if self.marks else 0.0
        self.begun = time.process_time()
        self._judged = dict.fromkeys(JUDGED, 0)

    @property
    def seconds(self) -> float:
        return self.before + time.process_time() - self.begun

    @property
    def judged(self) -> int:
        """Networks that were judged, with shared weights or trained."""
        return sum(self._judged.values())

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        if stage == EPOCHS:
            self.marks = [*self.marks[: done - 1], self.seconds]
            files.write_json(self.path, self.marks)
        if stage in JUDGED:
            self._judged[stage] = done
        self.tell(stage, done, total, note)


def _indices(ground: Ground, choices: Mapping[str, str]) -> tuple[Row, tuple[int, ...] | None]:
    """Return the choices by name as indices, of the network and of the arrays if there are any."""
    every = decisions(ground.space)
    row = tuple(d.options.index(choices[d.name]) for d in every)
    names = [str(a) for a in ARRAYS]
    arrays = tuple(names.index(option) for name, option in choices.items() if name.endswith(" array"))
    return row, arrays or None


def _meta(folder: Path) -> dict[str, object]:
    """Return the plain part of the search's checkpoint; nothing if it was refused before its first epoch."""
    if not (folder / "search.npz").is_file():
        return {"priced": 0, "visited": []}
    with np.load(folder / "search.npz", allow_pickle=False) as held:
        found: dict[str, object] = json.loads(str(held["meta"]))
    return found


def _priced(folder: Path) -> int:
    priced = _meta(folder)["priced"]
    assert isinstance(priced, int)
    return priced


def _likeliest(folder: Path, space: Space, ground: Ground) -> list[Row]:
    """Return the likeliest network after each epoch, of a search in `space`, as rows of the race's."""
    visited = _meta(folder)["visited"]
    assert isinstance(visited, list)
    return [translated(row[: len(decisions(space))], space, ground.space) for row in visited]


def _course(
    clock: _Clock,
    visited: Sequence[Row],
    problem: Problem,
    found: CosearchResult | None,
    row: Row | None,
    seconds: float,
    warm: int,
) -> tuple[Step, ...]:
    """Return the improvements among the likeliest networks of each epoch that meet the demand, then the result.

    Before the warm-up is over choices have not moved: what is likeliest then was not found.
    """
    if found is None or row is None:
        return ()
    steps: list[Step] = []
    moments = []
    for record, likeliest, mark in zip(found.history[warm:], visited[warm:], clock.marks[warm:], strict=False):
        interval = record.exact_interval_cycles
        if interval is not None and interval <= problem.target:
            moments.append((0, mark, likeliest))
    for evaluations, moment, network in [*moments, (clock.judged, seconds, row)]:
        accuracy = problem.accuracy(network).accuracy
        if not steps or accuracy > steps[-1].accuracy:
            steps.append(Step(evaluations, moment, accuracy))
    return tuple(steps)
