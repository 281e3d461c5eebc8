"""Images for quantizing a float network: from arrays, files, folders and data sets, as the network reads them."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.datasets import image_folder
from codesign.datasets.arrays import KEYS, read_members
from codesign.datasets.files import load_npy
from codesign.datasets.load import DataConfig, DataKind, load_dataset
from codesign.errors import ConfigError
from codesign.front.quantization import RealArray
from codesign.front.runtime import from_file
from codesign.front.source import Source
from codesign.ir.dataset import Dataset, Labels
from codesign.ir.graph import IDENTITY, Encoding
from codesign.ptq.config import QuantizeConfig

Array = npt.NDArray[Any]

_BUILT_IN = (DataKind.FASHION_MNIST, DataKind.FASHION_MNIST_SUBSET)
MOST_IMAGES = 512  # that ranges and corrections are chosen by; of more some are drawn, always the same
MOST_SCORED = 2_000
_SEED = 0
_IMAGES, _LABELS = ("images", "x"), ("labels", "y")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Calibration:
    """Real images [N, Y, X, C] as the network reads them, with labels [N] if there are any.

    `test`, `test_labels`: images to score by. If the data has no test part, they begin with the calibration images.
    """

    where: str
    images: RealArray
    labels: Labels | None
    test: RealArray
    test_labels: Labels | None


def load_calibration(given: str | Path | Array | Dataset, source: Source, config: QuantizeConfig) -> Calibration:
    """Return calibration images for a network whose maps are [Y, X, C].

    `given`: an array, an .npy or .npz file, a folder of images, the name of a built-in data set, or a data set. Numbers
    are taken as (number - config.mean) / config.std. Raise ConfigError naming what was given and what is wrong.
    """
    if isinstance(given, Dataset):
        return _of_dataset(given, source, config)
    if not isinstance(given, str | Path):
        return _alone(np.asarray(given), None, "calibration data", source, config)
    for kind in _BUILT_IN:
        if str(given) == kind.value:
            return _of_dataset(load_dataset(DataConfig(kind=kind)), source, config)
    path = Path(given)
    if path.is_dir():
        if (path / "train").is_dir():
            return _of_dataset(load_dataset(DataConfig(kind=DataKind.FOLDER, path=str(path))), source, config)
        return _alone(image_folder.load_images(path), None, str(path), source, config)
    if path.suffix == ".npy":
        return _alone(load_npy(path), None, str(path), source, config)
    if path.suffix == ".npz":
        return _of_npz(path, source, config)
    names = ", ".join(kind.value for kind in _BUILT_IN)
    what = "no such file" if not path.exists() else "not read as calibration data"
    raise ConfigError(f"{path}: {what}; expected an .npy, an .npz, a folder of images, or one of {names}")


def _of_npz(path: Path, source: Source, config: QuantizeConfig) -> Calibration:
    """Return the images of an .npz: `images` and perhaps `labels`, or x_train, y_train, x_test and y_test."""
    held = read_members(path, (*KEYS, *_IMAGES, *_LABELS))
    if set(KEYS) <= held.keys():
        x, y, test_x, test_y = (held[key] for key in KEYS)
        images, labels = _part(x, y, MOST_IMAGES, source, config, f"{path}: x_train")
        test, test_labels = _part(test_x, test_y, MOST_SCORED, source, config, f"{path}: x_test")
        return Calibration(where=str(path), images=images, labels=labels, test=test, test_labels=test_labels)
    found = [held[key] for key in _IMAGES if key in held]
    if not found:
        raise ConfigError(
            f"{path}: has no array of images; expected `images` and, if known, `labels`, or {', '.join(KEYS)}"
        )
    known = [held[key] for key in _LABELS if key in held]
    return _alone(found[0], known[0] if known else None, str(path), source, config)


def _alone(images: Array, labels: Array | None, where: str, source: Source, config: QuantizeConfig) -> Calibration:
    x, y = _part(images, labels, MOST_SCORED, source, config, where)
    fewer = slice(None, MOST_IMAGES)
    return Calibration(where=where, images=x[fewer], labels=None if y is None else y[fewer], test=x, test_labels=y)


def _of_dataset(dataset: Dataset, source: Source, config: QuantizeConfig) -> Calibration:
    images, labels = _part(
        dataset.train_x, dataset.train_y, MOST_IMAGES, source, config, dataset.source, dataset.encoding
    )
    test, test_labels = _part(
        dataset.test_x, dataset.test_y, MOST_SCORED, source, config, dataset.source, dataset.encoding
    )
    return Calibration(where=dataset.source, images=images, labels=labels, test=test, test_labels=test_labels)


def _part(
    images: Array,
    labels: Array | None,
    most: int,
    source: Source,
    config: QuantizeConfig,
    where: str,
    encoding: Encoding = IDENTITY,
) -> tuple[RealArray, Labels | None]:
    """Return at most so many images as the network reads them, in an order of which any beginning is a fair sample.

    Raise ConfigError unless they have the network's shape, and are finite numbers.
    """
    if images.dtype.kind not in "biuf" or images.ndim < 2 or not len(images):
        raise ConfigError(f"{where}: expected numbers [N, ...], got {images.dtype} {list(images.shape)}")
    known = None if labels is None else _labels(labels, len(images), f"{where}: labels")
    order = np.random.default_rng(_SEED).permutation(len(images))[:most]
    x = _as_maps(images[order], source, where).astype(np.float64)
    if not np.isfinite(x).all():
        raise ConfigError(f"{where}: holds values that are infinite or no numbers")
    numbers = encoding.offset + encoding.step * x
    return (numbers - config.mean) / config.std, None if known is None else known[order]


def _as_maps(images: Array, source: Source, where: str) -> Array:
    """Return images as [N, Y, X, C]: they may have the file's order of axes, or lack the one channel."""
    y, x, c = source.input.shape
    axes = source.axes[0]
    extents = {"Y": y, "X": x, "C": c}
    in_file = tuple(math.prod(extents[letter] for letter in axis) for axis in axes)
    found = images.shape[1:]
    if axes and found == in_file:
        return from_file(images, axes, (y, x, c))
    if found == (y, x, c) or (c == 1 and found == (y, x)):
        return images.reshape(len(images), y, x, c)
    raise ConfigError(
        f"{where}: images are {list(found)}; the network reads {list(in_file)} in its file, {[y, x, c]} as rows, "
        "columns and channels"
    )


def _labels(labels: Array, images: int, where: str) -> Labels:
    if labels.shape != (images,) or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise ConfigError(
            f"{where}: expected one label from 0 on for each of {images} images, "
            f"got {labels.dtype} {list(labels.shape)}"
        )
    return labels.astype(np.int64)
