"""Labelled images: what a network is searched, trained and tested on."""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from codesign.errors import ConfigError
from codesign.ir.nodes import Shape

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """Images as uint8 [N,Y,X,C] with labels [N] from 0, in a training and a test part; the arrays are read-only.

    `classes` names the labels; `source` says where the images came from. Raises ConfigError, naming the source, if
    shapes, counts or labels do not fit together.
    """

    name: str
    source: str
    train_x: Pixels
    train_y: Labels
    test_x: Pixels
    test_y: Labels
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_part(self.source, "training", self.train_x, self.train_y, len(self.classes))
        _check_part(self.source, "test", self.test_x, self.test_y, len(self.classes))
        if self.train_x.shape[1:] != self.test_x.shape[1:]:
            raise ConfigError(
                f"{self.source}: training images are {list(self.train_x.shape[1:])}, "
                f"but test images are {list(self.test_x.shape[1:])}; expected one shape [Y, X, C]"
            )
        for array in (self.train_x, self.train_y, self.test_x, self.test_y):
            array.setflags(write=False)

    @property
    def shape(self) -> Shape:
        """Extents of one image."""
        return Shape(*self.train_x.shape[1:])

    def digest(self) -> str:
        """SHA-256 over images, labels and class names, in hexadecimal."""
        sha = hashlib.sha256(repr((self.name, self.classes)).encode())
        for array in (self.train_x, self.train_y, self.test_x, self.test_y):
            sha.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        return sha.hexdigest()


def _check_part(source: str, part: str, x: Pixels, y: Labels, classes: int) -> None:
    if x.ndim != 4 or x.dtype != np.uint8 or min(x.shape) < 1:
        raise ConfigError(f"{source}: {part} images: expected uint8 [N, Y, X, C], got {x.dtype} {list(x.shape)}")
    if y.ndim != 1 or y.dtype != np.int64 or len(y) != len(x):
        raise ConfigError(
            f"{source}: {part} labels: expected int64, one for each of {len(x)} images, got {y.dtype} {list(y.shape)}"
        )
    if classes < 2:
        raise ConfigError(f"{source}: expected at least two classes, found {classes}")
    if y.min() < 0 or y.max() >= classes:
        bad = int(np.flatnonzero((y < 0) | (y >= classes))[0])
        raise ConfigError(f"{source}: {part} label {y[bad]} of image {bad} is not one of 0 to {classes - 1}")
