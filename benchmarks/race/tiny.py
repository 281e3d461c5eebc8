"""A space that can be enumerated: does the co-search find the true optimum?

Every network of a small space (operators, widths and bits of two stages) is trained once, briefly, and its accuracy
kept in a table. On a small board every network's best design is searched exactly, so the best network that meets the
demand is known. The co-search then searches the same space, board and demand, told the accuracies that it asks for.
"""

import hashlib
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from codesign.cosearch.accelerators import Accelerators
from codesign.cosearch.chooser import Chooser
from codesign.cosearch.config import SearchConfig
from codesign.cosearch.pricing import Pricing
from codesign.cosearch.row import Row as Chosen
from codesign.cosearch.tabular import tabular_search
from codesign.cosearch.task import Task
from codesign.errors import CodesignError, InfeasibleError
from codesign.ir import files
from codesign.ir.board import Board, Fill
from codesign.ir.boards import load_board
from codesign.ir.dataset import Dataset
from codesign.ir.strict import parse, to_plain
from codesign.nets.train import train
from codesign.networks.space import BlockSpace, HeadPool, Kind, Operator, Space, StageSpace, decisions
from codesign.networks.training import TrainConfig
from codesign.progress import Progress

from .problem import Row
from .run import first_images
from .setting import demand_of, network_of
from .store import changed

BOARD = "pynq-z2"
SHARE = 0.025  # of the board that designs may take, so that it binds
FPS = 30_000.0
SEEDS = range(10)
STEPS = 400
IMAGES = 6000
TEST_IMAGES = 5000
TRAIN = TrainConfig(float_epochs=2, quantized_epochs=1, epoch_images=IMAGES, threads=1)
FORMAT = 1


def space() -> Space:
    """Return 192 networks of two stages."""
    three, five = Operator(kind=Kind.CONV, kernel=3), Operator(kind=Kind.CONV, kernel=5)
    separable = Operator(kind=Kind.SEPARABLE, kernel=3)
    first = BlockSpace(operators=(three, five), weight_bits=(3, 6))
    second = BlockSpace(operators=(three, separable, Operator(kind=Kind.SEPARABLE, kernel=5)), weight_bits=(3, 6))
    return Space(
        stages=(
            StageSpace(stride=2, widths=(4, 8), activation_bits=(3,), blocks=(first,)),
            StageSpace(stride=2, widths=(8, 16), activation_bits=(3, 4), blocks=(second,)),
        ),
        head_pools=(HeadPool.NONE,),
        head_weight_bits=(4,),
    )


def board() -> Board:
    """Return a small part of a board."""
    return replace(load_board(BOARD), fill=Fill(dsp=SHARE, bram18=SHARE, uram=SHARE, lut=SHARE, ff=SHARE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one seed of the co-search ended with.

    `row`: its result, the most accurate of the networks that have a design within the demand. These are networks whose
    accuracy it asked for, or that are likely at its end. `asked`: networks whose accuracy it asked for.
    """

    seed: int
    row: tuple[int, ...] | None
    asked: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiny:
    """Accuracy by row (written "0 1 2"), the optimum, how many networks meet the demand, and what was found."""

    digest: str
    accuracies: Mapping[str, float]
    intervals: Mapping[str, int]
    target_cycles: int
    optimum: tuple[int, ...] | None
    found: tuple[Found, ...]

    @property
    def hits(self) -> int:
        """Seeds whose network is as accurate as the optimum."""
        return sum(self._is_best(f.row) for f in self.found)

    @property
    def meeting(self) -> int:
        """Networks whose best design meets the demand."""
        return sum(interval <= self.target_cycles for interval in self.intervals.values())

    def _is_best(self, row: Row | None) -> bool:
        return (
            row is not None
            and self.optimum is not None
            and self.accuracies[text(row)] == self.accuracies[text(self.optimum)]
        )


def text(row: Row) -> str:
    """Return a row as a key."""
    return " ".join(map(str, row))


def digest(data: Dataset) -> str:
    """Return the digest of everything that the table depends on."""
    choices = [(d.name, d.options) for d in decisions(space())]
    parts = f"{FORMAT} {choices} {changed(TRAIN, TrainConfig())} {IMAGES} {TEST_IMAGES} {data.digest()}"
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def load(path: Path) -> Tiny | None:
    """Return what the file holds; None if there is none, or it is broken."""
    try:
        return parse(Tiny, files.read_json(path), str(path)) if path.is_file() else None
    except CodesignError:
        return None


def measure(path: Path, data: Dataset, work: Path, progress: Progress) -> Tiny:
    """Complete the file's table, find the optimum, and search; everything but the table is done again."""
    rows = list(itertools.product(*(range(len(d.options)) for d in decisions(space()))))
    known, own = load(path), digest(data)
    held = known if known is not None and known.digest == own else _empty(own)
    accuracies = dict(held.accuracies)
    work.mkdir(parents=True, exist_ok=True)
    for i, row in enumerate(rows):
        if text(row) not in accuracies:
            accuracies[text(row)] = _trained(row, data, work / f"tiny-{own}-{text(row).replace(' ', '')}")
            _save(path, replace(held, accuracies=dict(accuracies)))
        progress("training every network", i + 1, len(rows))
    task = Task.of(data, space(), board(), demand_of(FPS, board()))
    accelerators, target = Accelerators(task), task.demand.interval_cycles
    assert target is not None
    intervals: dict[str, int] = {}
    for i, row in enumerate(rows):
        design = accelerators.design(Chosen(row))
        if design is not None:
            intervals[text(row)] = design.interval_cycles
        progress("designing every network", i + 1, len(rows))
    meeting = [row for row in rows if intervals.get(text(row), target + 1) <= target]
    optimum = max(meeting, key=lambda row: accuracies[text(row)], default=None)
    found = tuple(_searched(seed, accuracies, task) for seed in SEEDS) if meeting else ()
    result = Tiny(
        digest=held.digest,
        accuracies=accuracies,
        intervals=intervals,
        target_cycles=target,
        optimum=optimum,
        found=found,
    )
    _save(path, result)
    return result


def _searched(seed: int, accuracies: Mapping[str, float], task: Task) -> Found:
    begun = time.process_time()
    config = SearchConfig(min_fps=FPS, seed=seed, minimum_depth=2, threads=1)
    chooser = Chooser(task, config, Pricing(task), torch.device("cpu"))
    accelerators = Accelerators(task)
    try:
        result = tabular_search(lambda row: accuracies[text(row.network)], chooser, accelerators, steps=STEPS)
    except InfeasibleError:
        return Found(seed=seed, row=None, asked=0, seconds=time.process_time() - begun)
    return Found(seed=seed, row=result.row.network, asked=result.asked, seconds=time.process_time() - begun)


def _trained(row: Row, data: Dataset, folder: Path) -> float:
    """Return the accuracy of the network after a short training."""
    part = first_images(data, IMAGES)
    part = replace(part, test_x=part.test_x[:TEST_IMAGES], test_y=part.test_y[:TEST_IMAGES])
    accuracy = train(network_of(space(), part, row), part, TRAIN, folder).quantized_accuracy
    (folder / "train.npz").unlink()  # its accuracy is in the table
    folder.rmdir()
    return accuracy


def _empty(own: str) -> Tiny:
    return Tiny(digest=own, accuracies={}, intervals={}, target_cycles=0, optimum=None, found=())


def _save(path: Path, tiny: Tiny) -> None:
    files.write_json(path, to_plain(tiny))
