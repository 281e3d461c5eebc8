"""Images in an .npz file: arrays x_train, y_train, x_test, y_test, and class names if there are any."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.datasets.files import MOST_UNPACKED, UNREADABLE, read_npy
from codesign.errors import ConfigError
from codesign.ir.dataset import Dataset, Labels, Pixels
from codesign.ir.graph import Encoding
from codesign.ops.qtype import QType

KEYS = ("x_train", "y_train", "x_test", "y_test")
_CLASSES = "classes"
_PIXEL = QType(8, signed=False)
_CHUNK = 1000  # images at a time: what is computed takes eight bytes where pixels take one
_MUCH = 32  # times: ranges that differ by this factor are of different units
_FAR = 16  # times the range of x_train: what lies further off counts as so far
AnyArray = npt.NDArray[Any]


def load(path: Path, *, name: str | None = None, classes: tuple[str, ...] | None = None) -> Dataset:
    """Read x_train, x_test [N,Y,X,C], y_train, y_test [N] and, if present, `classes` (strings).

    Integers are taken as they are where all of x_train lie in 0 to 255. Any other numbers are mapped linearly and
    rounded: the smallest value of x_train becomes 0, the largest 255. That is the data set's `encoding`. What lies
    beyond in x_test is clipped. Raise ConfigError naming the file and the array.
    """
    held = _read(path)
    labels = {key: _labels(held[key], f"{path}: {key}") for key in ("y_train", "y_test")}
    for key in ("x_train", "x_test"):
        _check_images(held[key], f"{path}: {key}")
    if classes is None:
        classes = _classes(held, labels, path)
    _check_different(held, path)
    encoding = _encoding(held["x_train"], f"{path}: x_train")
    train, test = (_encoded(held[key], encoding) for key in ("x_train", "x_test"))
    beyond = (
        f"x_test: {test.clipped:,} of its {test.pixels.size:,} numbers lie beyond those that x_train can stand for, "
        f"{encoding.offset:g} to {encoding.offset + 255 * encoding.step:g}, and were clipped to these"
    )
    dataset = Dataset(
        name=name or path.stem,
        source=str(path),
        train_x=train.pixels,
        train_y=labels["y_train"],
        test_x=test.pixels,
        test_y=labels["y_test"],
        classes=classes,
        encoding=encoding,
        notes=(beyond,) if test.clipped else (),
    )
    if _disagree(train, test):
        raise ConfigError(
            f"{path}: x_train and x_test are in different units: {_told(held)}; bring both as the same kind of "
            "numbers, such as both as uint8 from 0 to 255, or both divided by 255"
        )
    return dataset


def _read(path: Path) -> dict[str, AnyArray]:
    """Return the arrays that are needed, by name; nothing else in the file is read."""
    return read_members(path, (*KEYS, _CLASSES), needed=KEYS)


def read_members(path: Path, names: Sequence[str], needed: Sequence[str] = ()) -> dict[str, AnyArray]:
    """Return those arrays of an .npz file that have these names, and read no others.

    Raise ConfigError naming the file, also if one of `needed` is missing.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: {'a folder' if path.is_dir() else 'no such file'}; expected an .npz file of arrays")
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as packed:
            members = {info.filename.removesuffix(".npy"): info for info in packed.infolist()}
            missing = [k for k in needed if k not in members]
            if missing:
                raise ConfigError(
                    f"{path}: array {missing[0]!r} is missing; expected {', '.join(needed)}, found {sorted(members)}"
                )
            return {key: _read_member(packed, members[key]) for key in names if key in members}
    except ConfigError:
        raise
    except (*UNREADABLE, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ConfigError(f"{path}: not a whole .npz file of plain arrays: {error}") from error


def _read_member(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> AnyArray:
    if info.file_size > MOST_UNPACKED * info.compress_size + 1024:
        raise ValueError(f"{info.filename}: {info.file_size:,} bytes cannot come of {info.compress_size:,} packed ones")
    with packed.open(info) as member:
        return read_npy(member, info.file_size, info.filename)


def _labels(array: AnyArray, what: str) -> Labels:
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ConfigError(f"{what}: expected integers [N], got {array.dtype} {list(array.shape)}")
    if not len(array):
        raise ConfigError(f"{what}: expected a label for each image, found none")
    if array.min() < 0:
        raise ConfigError(f"{what}: expected labels from 0, found {array.min()}")
    if array.max() >= 2**31:
        raise ConfigError(f"{what}: expected labels below 2**31, found {array.max()}")
    return array.astype(np.int64)


def _check_images(array: AnyArray, what: str) -> None:
    if array.ndim != 4 or min(array.shape) < 1:
        hint = " (add a last axis for the one channel)" if array.ndim == 3 else ""
        raise ConfigError(f"{what}: expected images [N, Y, X, C], got {list(array.shape)}{hint}")
    if array.dtype.kind not in "iuf":
        raise ConfigError(f"{what}: expected integers or floating-point numbers, got {array.dtype}")
    most = np.finfo(np.float64).max
    if not np.isfinite(array).all() or array.min() < -most or array.max() > most:
        raise ConfigError(f"{what}: holds a value that is not finite in float64")


def _check_different(held: Mapping[str, AnyArray], path: Path) -> None:
    """Raise ConfigError unless the training part can teach something, and both parts are of one kind of numbers."""
    for key in ("x_train", "y_train"):
        if held[key].min() == held[key].max():
            raise ConfigError(f"{path}: {key}: every number is {held[key].flat[0]}; nothing can be learned from it")
    if (held["x_train"].dtype.kind == "f") != (held["x_test"].dtype.kind == "f"):
        raise ConfigError(
            f"{path}: x_train and x_test are different kinds of numbers: {_told(held)}; bring both as integers, or "
            "both as floating-point numbers, in the same units"
        )


def _told(held: Mapping[str, AnyArray]) -> str:
    parts = ((key, held[key]) for key in ("x_train", "x_test"))
    return ", ".join(f"{key} is {a.dtype}, {float(a.min()):g} to {float(a.max()):g}" for key, a in parts)


def _encoding(train: AnyArray, what: str) -> Encoding:
    low, high = float(train.min()), float(train.max())
    if train.dtype.kind != "f" and low >= 0 and high <= 255:
        return Encoding()
    step = (high - low) / 255
    if not np.finfo(np.float64).tiny <= step < float("inf"):
        apart = "far apart" if step > 1.0 else "close together"
        raise ConfigError(
            f"{what}: its numbers, from {low!r} to {high!r}, are too {apart} for float64; subtract their mean, or "
            "scale them"
        )
    return Encoding(low, step)


@dataclass(frozen=True, eq=False)
class _Encoded:
    """Pixels [N,Y,X,C], how many numbers were clipped, and by how much on average, as a share of the range."""

    pixels: Pixels
    clipped: int
    excess: float


def _encoded(array: AnyArray, encoding: Encoding) -> _Encoded:
    if array.dtype == np.uint8 and encoding.is_identity:
        return _Encoded(array, 0, 0.0)
    pixels = np.empty(array.shape, np.uint8)
    clipped, excess = 0, 0.0
    for start in range(0, len(array), _CHUNK):
        part = array[start : start + _CHUNK]
        pixels[start : start + _CHUNK] = encoding.encode(part, _PIXEL)
        steps = encoding.steps(part)
        off = np.maximum(-steps, steps - 255)
        clipped += int((off > 0).sum())
        excess += float(np.clip(off / 255, 0.0, _FAR).sum())
    return _Encoded(pixels, clipped, excess / array.size)


def _disagree(train: _Encoded, test: _Encoded) -> bool:
    """Tell whether most of the test part lies beyond the training part, or one is next to constant beside the other."""
    if test.clipped > test.pixels.size / 2 or test.excess > 0.5:
        return True
    first, second = (_spreads(part.pixels) for part in (train, test))
    return any(all(_MUCH * a <= b for a, b in zip(*pair, strict=True)) for pair in ((first, second), (second, first)))


def _spreads(pixels: Pixels) -> tuple[float, float]:
    """Return the range of the pixels, and their mean distance from their mean, which a few odd ones hardly move."""
    counts = np.zeros(256, np.int64)
    for start in range(0, len(pixels), _CHUNK):
        counts += np.bincount(pixels[start : start + _CHUNK].reshape(-1), minlength=256)
    levels, share = np.arange(256), counts / counts.sum()
    present = np.flatnonzero(counts)
    return float(present[-1] - present[0]), float((share * np.abs(levels - (share * levels).sum())).sum())


def _classes(held: Mapping[str, AnyArray], labels: Mapping[str, Labels], path: Path) -> tuple[str, ...]:
    """Return the names in the file; without them, the numbers from 0 to the largest label, of which most must occur."""
    if _CLASSES in held:
        names = held[_CLASSES]
        if names.ndim != 1 or names.dtype.kind != "U":
            raise ConfigError(f"{path}: classes: expected strings [classes], got {names.dtype} {list(names.shape)}")
        return tuple(str(n) for n in names)
    different = len(np.union1d(labels["y_train"], labels["y_test"]))
    key = max(labels, key=lambda k: int(labels[k].max()))
    largest = int(labels[key].max())
    if largest + 1 > 2 * different + 16:
        raise ConfigError(
            f"{path}: {key}: holds the label {largest:,}, but only {different:,} different labels occur; number them "
            "from 0, or name every class in an array `classes`"
        )
    return tuple(str(i) for i in range(largest + 1))
