"""The accuracy that all rivals search by: a supernet of the space, trained once per seed without any hardware.

Every operator, width and number of bits is drawn evenly. Before that, the first operators dominate for a time, so that
there is a network which others can fit into. A network's accuracy is that of its shared weights, on training images
that the supernet never saw. Batch normalization is computed again for it.
"""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from codesign.cosearch.row import Row as Chosen
from codesign.cosearch.trainer import certain
from codesign.ir.canonical import digest
from codesign.ir.dataset import Dataset
from codesign.nets import checkpoint
from codesign.nets.batches import Images, batch_count, generator, in_order, shuffled
from codesign.nets.supernet import SuperNet, recalibrate
from codesign.nets.train import cosine_rate
from codesign.networks.space import Space, branches, decisions
from codesign.progress import Progress, silent

from .problem import Row, Scored
from .settings import ProxySettings

CPU = torch.device("cpu")
SETTLED = 0.5  # share of the training after which every decision is drawn evenly


class Book:
    """Accuracies that were asked for, by whichever search, kept in a file; others are measured."""

    def __init__(self, path: Path, measure: Callable[[Row], float]) -> None:
        self.path, self.measure = path, measure
        text = path.read_text() if path.is_file() else ""
        whole = text[: text.rfind("\n") + 1]  # the last line may be cut off; nothing is to be written behind it
        if whole != text:
            path.write_text(whole)
        self._known = {
            tuple(row): Scored(accuracy, seconds) for row, accuracy, seconds in map(json.loads, whole.splitlines())
        }

    def accuracy(self, row: Row) -> Scored:
        """Return the accuracy of the network, and the processor seconds that it took when it was measured."""
        if row not in self._known:
            begun = time.process_time()
            accuracy = self.measure(row)
            self._known[row] = Scored(accuracy, time.process_time() - begun)
            with self.path.open("a") as file:
                file.write(json.dumps([list(row), accuracy, self._known[row].seconds]) + "\n")
        return self._known[row]


class Proxy:
    """A trained supernet and what it said so far, kept in `folder`."""

    def __init__(
        self,
        space: Space,
        dataset: Dataset,
        settings: ProxySettings,
        seed: int,
        folder: Path,
        legal: Callable[[Row], bool],
        progress: Progress = silent,
    ) -> None:
        self.space, self.settings, self.seed, self.legal = space, settings, seed, legal
        key = " ".join([digest(space), dataset.digest(), digest(settings), str(seed)])
        self.folder = folder / f"proxy-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        order = torch.randperm(len(dataset.train_y), generator=generator(seed, 21))
        images = Images.of(dataset.train_x, dataset.train_y, CPU)
        self._train = images.take(order[: settings.images])
        held = order[settings.images : settings.images + settings.score_images]
        if len(held) < settings.score_images:
            raise ValueError(f"proxy: {settings.score_images} images to score, but the data set leaves {len(held)}")
        self._held = images.take(held)
        self.net = SuperNet(space, dataset.shape, len(dataset.classes), generator(seed, 20))
        self.seconds = self._trained(key, progress)
        self.accuracy = Book(self.folder / "accuracies.jsonl", self._score).accuracy

    def _trained(self, key: str, progress: Progress) -> float:
        """Load or train the supernet; the processor seconds of its training."""
        path = self.folder / "supernet.npz"
        found = checkpoint.load(path, key)
        if found is not None:
            self.net.load_state_dict(found[1])
            return float(found[0]["seconds"])
        begun = time.process_time()
        self._fit(progress)
        seconds = time.process_time() - begun
        checkpoint.save(path, {"key": key, "seconds": seconds}, self.net.state_dict())
        return seconds

    def _fit(self, progress: Progress) -> None:
        settings, rng = self.settings, generator(self.seed, 22)
        optimizer = torch.optim.AdamW(self.net.parameters(), lr=settings.rate, weight_decay=1e-4)
        count = batch_count(len(self._train), settings.batch_images)
        total = count * settings.epochs
        self.net.train()
        for step in range(total):
            if step % count == 0:
                batches = shuffled(self._train, settings.batch_images, rng, flip=False)
            batch = next(batches)
            for group in optimizer.param_groups:
                group["lr"] = cosine_rate(settings.rate, step / total)
            draws = certain(self.space, Chosen(self._drawn(rng, step / total)), CPU)
            loss = functional.cross_entropy(self.net(batch.x, draws), batch.y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
            optimizer.step()
            if step % 10 == 9:
                progress("supernet without hardware", step + 1, total)

    def _drawn(self, rng: torch.Generator, done: float) -> Row:
        """Draw a network; its operators and pooling are the first ones, save those that are already drawn evenly."""
        share = min(done / SETTLED, 1.0)
        sizes, first = [len(d.options) for d in decisions(self.space)], branches(self.space)
        while True:
            row = [int(torch.randint(n, (1,), generator=rng)) for n in sizes]
            kept = torch.rand(len(sizes), generator=rng) >= share
            row = [0 if at in first and bool(kept[at]) else option for at, option in enumerate(row)]
            if self.legal(tuple(row)):
                return tuple(row)

    @torch.no_grad()
    def _score(self, row: Row) -> float:
        draws = certain(self.space, Chosen(row), CPU)
        statistics = self._train.take(torch.arange(self.settings.statistics_images) % len(self._train))
        recalibrate(self.net, [b.x for b in in_order(statistics, 256)], draws)
        hits = sum(int((self.net(b.x, draws).argmax(1) == b.y).sum()) for b in in_order(self._held, 500))
        return hits / len(self._held)
