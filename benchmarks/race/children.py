"""Accuracy as published searches by reward find it: every network is trained on its own, from nothing, briefly."""

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

from codesign.datasets.resize import reduced
from codesign.ir.dataset import Dataset
from codesign.nets.config import TrainConfig
from codesign.nets.space import Space
from codesign.nets.train import train

from .problem import Row
from .proxy import Book
from .setting import network_of
from .settings import ProxySettings


class Children:
    """Networks of the space, each trained for an epoch in float and one quantized on the common proxy's images.

    They are judged by as many images as the proxy judges by, which none trains on. Nothing is prepared: `seconds` is 0.
    """

    seconds = 0.0

    def __init__(self, space: Space, dataset: Dataset, settings: ProxySettings, seed: int, folder: Path) -> None:
        self.space = space
        at, end = settings.images, settings.images + settings.score_images
        x, y = dataset.train_x, dataset.train_y
        self.dataset = replace(dataset, train_x=x[:at], train_y=y[:at], test_x=x[at:end], test_y=y[at:end])
        self.config = TrainConfig(
            float_epochs=1, quantized_epochs=1, epoch_images=settings.images, seed=seed, threads=1
        )
        key = f"{space} {self.dataset.digest()} {self.config}"
        folder = folder / f"children-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        folder.mkdir(parents=True, exist_ok=True)
        self.accuracy = Book(folder / "accuracies.jsonl", self._score).accuracy

    def _score(self, row: Row) -> float:
        network = network_of(self.space, self.dataset, row)
        with tempfile.TemporaryDirectory() as folder:
            return train(network, reduced(self.dataset, network.shape), self.config, Path(folder)).quantized_accuracy
