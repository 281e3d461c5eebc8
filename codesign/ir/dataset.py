"""Labelled images: what a network is searched, trained and tested on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from codesign.errors import ConfigError
from codesign.ir.graph import IDENTITY, Encoding
from codesign.ops.shapes import Shape

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
_LONGEST = 200  # characters of a name
_MOST_CLASSES = 1 << 16


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """Images as uint8 [N,Y,X,C] with labels [N] from 0, in a training and a test part; the arrays are read-only.

    `classes` names the labels; `source` says where the images came from. `encoding` says how the user's numbers became
    these integers. `notes` are sentences about the data that a user should read. Raises ConfigError, naming the source,
    if shapes, counts or labels do not fit together, or a name cannot be written to every file.
    """

    name: str
    source: str
    train_x: Pixels
    train_y: Labels
    test_x: Pixels
    test_y: Labels
    classes: tuple[str, ...]
    encoding: Encoding = IDENTITY
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_names(self.source, "the data set's name", [self.name])
        _check_names(self.source, "classes", self.classes)
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
        """Return the SHA-256 over images, labels, class names and encoding, in hexadecimal."""
        named = (self.name, self.classes)
        sha = hashlib.sha256(repr(named if self.encoding.is_identity else (*named, self.encoding)).encode())
        for array in (self.train_x, self.train_y, self.test_x, self.test_y):
            sha.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        return sha.hexdigest()


def _check_names(source: str, what: str, names: Sequence[str]) -> None:
    """Raise ConfigError unless all names are different, printable text that is not too long."""
    if len(names) > _MOST_CLASSES:
        raise ConfigError(f"{source}: {what}: expected at most {_MOST_CLASSES:,} names, found {len(names):,}")
    seen: set[str] = set()
    for name in names:
        if not name.strip() or not name.isprintable() or len(name) > _LONGEST:
            shown = ascii(name) if len(name) <= _LONGEST else f"{name[:40]!a} and {len(name) - 40:,} more"
            raise ConfigError(f"{source}: {what}: expected 1 to {_LONGEST} printable characters, found {shown}")
        if name in seen:
            raise ConfigError(f"{source}: {what}: expected different names, found {name!r} twice")
        seen.add(name)


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
