"""One cell of the race, from its name to its result."""

import platform
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from common import processor

from codesign.cosearch.accelerators import Accelerators
from codesign.cosearch.cosearch import parted
from codesign.cosearch.finish import finish
from codesign.cosearch.row import Row as Chosen
from codesign.datasets.resize import reduced
from codesign.ir.boards import load_board
from codesign.ir.dataset import Dataset
from codesign.ir.demand import Demand
from codesign.networks.space import Space
from codesign.progress import Progress
from codesign.testing.spaces import turned

from . import gradient
from .children import Children
from .controller import reinforcement
from .final import Final, Finisher
from .problem import Candidate, Judge, Rng
from .proxy import Proxy
from .rivals import evolution, fixed, random_joint, semi_decoupled, two_step
from .setting import Ground, network_of, part_of
from .settings import CHILDREN, ELSEWHERE, GRADIENT, SHARE, TRAINED, UNSEARCHED, Cell, Method, Profile
from .store import Result, Search, Store, key_of, settings_of, unmeasured
from .unsearched import unsearched

BLACK_BOX: Mapping[Method, Callable[[Judge, Rng], Candidate | None]] = {
    Method.TWO_STEP: two_step,
    Method.FIXED: fixed,
    Method.RANDOM: random_joint,
    Method.EVOLUTION: evolution,
    Method.SEMI_DECOUPLED: semi_decoupled,
}


class Race:
    """Cells of one profile on one data set; what they share is kept in `work`."""

    def __init__(self, profile: Profile, space: Space, dataset: Dataset, store: Store, work: Path) -> None:
        self.profile, self.space, self.dataset, self.store, self.work = profile, space, dataset, store, work
        self.settings = settings_of(profile, space, dataset)
        self.key = key_of(self.settings)
        self._proxies: dict[int, Proxy] = {}

    def finished(self, cell: Cell, *, simulate: bool = True) -> bool:
        """Tell whether nothing is left to do; without `simulate`, nothing but the simulation."""
        result = self.store.find(cell, self.profile.name, self.key)
        return result is not None and not (simulate and unmeasured(result))

    def run(self, cell: Cell, tell: Progress, *, simulate: bool = True) -> Result:
        """Search, train, simulate and store; what is stored already is not done again."""
        torch.set_num_threads(self.profile.search.threads)
        board = part_of(load_board(cell.board), SHARE)
        ground = Ground(self.space, self.dataset, board, self.profile.search.minimum_depth)
        known = self.store.find(cell, self.profile.name, self.key)
        found = self._search(cell, ground, tell) if known is None else known.search
        result = Result(
            cell=cell,
            profile=self.profile.name,
            key=self.key,
            settings=self.settings,
            target_cycles=ground.target(cell.fps),
            search=found,
            final=None if found.row is None else self._final(cell, ground, found, simulate=simulate, tell=tell),
            machine=f"{processor()}, Python {platform.python_version()}",
        )
        self.store.save(result)
        return result

    def proxy(self, seed: int, ground: Ground, tell: Progress) -> Proxy:
        """Return the common proxy of a seed."""
        if seed not in self._proxies:
            settings = self.profile.proxy
            self._proxies[seed] = Proxy(self.space, self.dataset, settings, seed, self.work, ground.legal, tell)
        return self._proxies[seed]

    def _search(self, cell: Cell, ground: Ground, tell: Progress) -> Search:
        if cell.method in CHILDREN:
            opinion = int(cell.method is Method.OURS_CHILDREN)
            source: Proxy | Children = self._children(cell.seed, opinion)
        else:
            source = self.proxy(cell.seed, ground, tell)
        problem = ground.problem(cell.fps, source.accuracy, source.seconds)
        if cell.method in GRADIENT:
            folder = self.work / f"search-{self.key}-{cell.name}"
            folder.mkdir(parents=True, exist_ok=True)
            return gradient.search(cell, self.profile.search, ground, problem, folder, tell)
        tell("search", 0, 1)
        if cell.method in UNSEARCHED:
            judge = Judge(replace(problem, setup_s=0.0), self.profile.limit)
            config = replace(self.profile.search, min_fps=float(cell.fps), seed=cell.seed, trained_finalists=1)
            space = turned(self.space) if cell.method in ELSEWHERE else self.space
            return counted(judge, unsearched(judge, ground, space, config, tell))
        judge = Judge(problem, TRAINED if cell.method is Method.RL_CHILDREN else self.profile.limit)
        if cell.method in (Method.RL, Method.RL_CHILDREN):
            best = reinforcement(judge, cell.seed)
            if cell.method is Method.RL_CHILDREN:
                again = self._children(cell.seed, 1).accuracy
                pairs = zip(judge.course, judge.found, strict=True)
                judge.course = [replace(step, accuracy=again(row).accuracy) for step, row in pairs]
        else:
            best = BLACK_BOX[cell.method](judge, np.random.default_rng([cell.seed, len(cell.method.value)]))
        if best is not None:
            best = self._finished(cell, ground, judge, best, tell)
        return counted(judge, best)

    def _children(self, seed: int, opinion: int) -> Children:
        return Children(self.space, self.dataset, self.profile.proxy, seed, self.work, opinion)

    def _finished(self, cell: Cell, ground: Ground, judge: Judge, best: Candidate, tell: Progress) -> Candidate:
        """End a search as all do: enlarge the most promising candidates, train them briefly, take the best."""
        config = replace(self.profile.search, min_fps=float(cell.fps), seed=cell.seed)
        task = ground.task(Demand(interval_cycles=judge.problem.target))
        accelerators = Accelerators(task, ground.arrays if best.choice else None)
        rows = [Chosen(c.row, c.choice or ()) for c in judge.promising()]
        parts = parted(self.dataset, config)
        with tempfile.TemporaryDirectory() as folder:
            found = finish(accelerators, rows, parts, config, Path(folder), tell)
        if found is None:  # no candidate fits with its buffers sized
            return best
        judge.evaluations += min(len(rows), config.compared)  # at most: candidates may grow into the same network
        row = found[0]
        accuracy = judge.problem.accuracy(row.network).accuracy
        return Candidate(row.network, row.arrays or None, accuracy, found[1].interval_cycles)

    def _final(self, cell: Cell, ground: Ground, found: Search, *, simulate: bool, tell: Progress) -> Final:
        tell("train, design and simulate the result", 0, 1)
        config = replace(self.profile.train, seed=cell.seed)
        assert found.row is not None
        network = network_of(self.space, self.dataset, found.row)
        images = reduced(first_images(self.dataset, self.profile.train_images), network.shape)
        finisher = Finisher(images, ground.board, config, self.profile.rtlsim_images, self.work)
        own = None if found.choice is None else partial(ground.arrays.design, found.row, found.choice)
        return finisher.finish(network, own, simulate=simulate)


def counted(judge: Judge, best: Candidate | None) -> Search:
    """Return what a judge counted, and the result."""
    return Search(
        row=None if best is None else best.row,
        choice=None if best is None else best.choice,
        evaluations=judge.evaluations,
        points=judge.points,
        designs=judge.designs,
        seconds=judge.seconds,
        setup_s=judge.problem.setup_s,
        proxy_accuracy=None if best is None else best.accuracy,
        course=tuple(judge.course),
    )


def first_images(dataset: Dataset, images: int) -> Dataset:
    """Return the data set with so many of its training images; in all data sets here they come in no order."""
    return replace(dataset, train_x=dataset.train_x[:images], train_y=dataset.train_y[:images])
