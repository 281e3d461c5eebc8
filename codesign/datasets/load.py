"""The data set that a configuration names."""

from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import numpy as np

from codesign.datasets import arrays, cifar, fashion_mnist, image_folder
from codesign.errors import ConfigError
from codesign.ir.dataset import Dataset


class DataKind(Enum):
    """The formats that are read."""

    FASHION_MNIST = "fashion-mnist"  # the full set of a folder or of Debian's package, else the built-in subset
    FASHION_MNIST_SUBSET = "fashion-mnist-subset"  # the 5,000 + 1,000 images that ship in the package
    CIFAR10 = "cifar-10"  # the "binary version": data_batch_1.bin ... test_batch.bin
    CIFAR100 = "cifar-100"  # the "binary version": train.bin, test.bin; fine labels
    FOLDER = "folder"  # train/<class>/*.png and test/<class>/*.png (or .pgm, .ppm)
    ARRAYS = "arrays"  # an .npz with x_train, y_train, x_test, y_test


OWN = (DataKind.FOLDER, DataKind.ARRAYS)  # a user's own: nothing is known of them before they are read


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Which data set: its format, and the file or folder where that is not the default."""

    kind: DataKind = DataKind.FASHION_MNIST
    path: str | None = None


def load_dataset(config: DataConfig) -> Dataset:
    """Read the data set; labels without samples are noted. Raise ConfigError naming the file and what is wrong."""
    dataset = _read(config)
    return replace(dataset, notes=(*dataset.notes, *_label_notes(dataset)))


def _label_notes(dataset: Dataset) -> list[str]:
    """Return a sentence if the training part lacks labels."""
    counts = np.bincount(dataset.train_y, minlength=len(dataset.classes))
    absent = np.flatnonzero(counts == 0)
    if not len(absent):
        return []
    if absent.tolist() == [0] and dataset.test_y.min() > 0:
        return [
            "labels start at 1, and none is 0: so one of the network's outputs is unused; subtract 1 from the labels"
        ]
    shown = ", ".join(f"{i} ({dataset.classes[i]})" for i in absent[:5])
    more = f" and {len(absent) - 5:,} more" if len(absent) > 5 else ""
    return [f"no training sample has the label {shown}{more}: the network cannot learn what these are"]


def _read(config: DataConfig) -> Dataset:
    match config.kind:
        case DataKind.FASHION_MNIST:
            return fashion_mnist.load(None if config.path is None else Path(config.path))
        case DataKind.FASHION_MNIST_SUBSET:
            return fashion_mnist.load_subset()
        case DataKind.CIFAR10:
            return cifar.load_cifar10(_path(config))
        case DataKind.CIFAR100:
            return cifar.load_cifar100(_path(config))
        case DataKind.FOLDER:
            return image_folder.load(_path(config))
        case DataKind.ARRAYS:
            return arrays.load(_path(config))


def _path(config: DataConfig) -> Path:
    if config.path is None:
        raise ConfigError(f"data.path: missing; data of kind {config.kind.value!r} needs the file or folder to read")
    return Path(config.path)
