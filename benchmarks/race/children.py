"""Accuracy as published searches by reward find it: every network is trained on its own, from nothing, briefly."""

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

from codesign.datasets.resize import reduced
from codesign.ir.canonical import digest
from codesign.ir.dataset import Dataset
from codesign.nets.train import train
from codesign.networks.space import Space
from codesign.networks.training import TrainConfig

from .problem import Row
from .proxy import Book
from .setting import network_of
from .settings import JUDGED_IMAGES, ProxySettings


class Children:
    """Networks of the space, each trained for an epoch in float and one quantized on as many images as the proxy.

    They are judged by JUDGED_IMAGES others. The best of hundreds of judgements owes part of its place to luck. So what
    the first judgement chose (`opinion` 0) gets a second `opinion`: another training, judged by other images. Nothing
    is prepared: `seconds` is 0.
    """

    seconds = 0.0

    def __init__(
        self, space: Space, dataset: Dataset, settings: ProxySettings, seed: int, folder: Path, opinion: int = 0
    ) -> None:
        self.space = space
        images = settings.images
        at, end = (images + n * JUDGED_IMAGES for n in (opinion, opinion + 1))
        x, y = dataset.train_x, dataset.train_y
        self.dataset = replace(dataset, train_x=x[:images], train_y=y[:images], test_x=x[at:end], test_y=y[at:end])
        self.config = TrainConfig(
            float_epochs=1, quantized_epochs=1, epoch_images=images, seed=seed + 1000 * opinion, threads=1
        )
        key = " ".join([digest(space), self.dataset.digest(), digest(self.config)])
        folder = folder / f"children-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        folder.mkdir(parents=True, exist_ok=True)
        self.accuracy = Book(folder / "accuracies.jsonl", self._score).accuracy

    def _score(self, row: Row) -> float:
        network = network_of(self.space, self.dataset, row)
        with tempfile.TemporaryDirectory() as folder:
            return train(network, reduced(self.dataset, network.shape), self.config, Path(folder)).quantized_accuracy
