"""Images in an .npz file: arrays x_train, y_train, x_test, y_test, and class names if there are any."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.errors import ConfigError
from codesign.ir.dataset import Dataset, Labels, Pixels

_KEYS = ("x_train", "y_train", "x_test", "y_test")
AnyArray = npt.NDArray[Any]


def load(path: Path, *, name: str | None = None, classes: tuple[str, ...] | None = None) -> Dataset:
    """Read x_train, x_test [N,Y,X,C], y_train, y_test [N] and, if present, `classes` (strings).

    uint8 images are taken as they are, and so are other integers that all lie in 0 to 255. Any other numbers are
    mapped linearly, so that the smallest and the largest value of x_train become 0 and 255, rounded, and clipped to
    that in x_test. Raises ConfigError naming the file and the array.
    """
    held = _read(path)
    missing = [k for k in _KEYS if k not in held]
    if missing:
        raise ConfigError(f"{path}: array {missing[0]!r} is missing; expected {', '.join(_KEYS)}, found {sorted(held)}")
    labels = {key: _labels(held[key], f"{path}: {key}") for key in ("y_train", "y_test")}
    for key in ("x_train", "x_test"):
        _check_images(held[key], f"{path}: {key}")
    train_x, test_x = _to_pixels(held["x_train"], held["x_test"])
    if classes is None:
        classes = _classes(held, int(max(v.max() for v in labels.values())) + 1, path)
    return Dataset(
        name=name or path.stem,
        source=str(path),
        train_x=train_x,
        train_y=labels["y_train"],
        test_x=test_x,
        test_y=labels["y_test"],
        classes=classes,
    )


def _read(path: Path) -> dict[str, AnyArray]:
    if not path.is_file():
        raise ConfigError(f"{path}: {'a folder' if path.is_dir() else 'no such file'}; expected an .npz file of arrays")
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as packed:
            return {name.removesuffix(".npy"): _read_member(packed, name) for name in packed.namelist()}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ConfigError(f"{path}: not a whole .npz file of plain arrays: {error}") from error


def _read_member(packed: zipfile.ZipFile, name: str) -> AnyArray:
    with packed.open(name) as member:
        array: AnyArray = np.lib.format.read_array(member, allow_pickle=False)
        return array


def _labels(array: AnyArray, what: str) -> Labels:
    if array.ndim != 1 or not len(array) or not np.issubdtype(array.dtype, np.integer):
        raise ConfigError(f"{what}: expected integers [N], got {array.dtype} {list(array.shape)}")
    if array.min() < 0:
        raise ConfigError(f"{what}: expected labels from 0, found {array.min()}")
    return array.astype(np.int64)


def _check_images(array: AnyArray, what: str) -> None:
    if array.ndim != 4 or min(array.shape) < 1:
        hint = " (add a last axis for the one channel)" if array.ndim == 3 else ""
        raise ConfigError(f"{what}: expected images [N, Y, X, C], got {list(array.shape)}{hint}")
    if not (np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)):
        raise ConfigError(f"{what}: expected integers or floating-point numbers, got {array.dtype}")
    if not np.isfinite(array).all():
        raise ConfigError(f"{what}: holds a value that is not finite")


def _to_pixels(train: AnyArray, test: AnyArray) -> tuple[Pixels, Pixels]:
    arrays = (train, test)
    if all(np.issubdtype(a.dtype, np.integer) and a.min() >= 0 and a.max() <= 255 for a in arrays):
        return train.astype(np.uint8), test.astype(np.uint8)
    low, high = float(train.min()), float(train.max())
    step = (high - low) / 255 or 1.0
    scaled = [np.clip(np.floor((a.astype(np.float64) - low) / step + 0.5), 0, 255).astype(np.uint8) for a in arrays]
    return scaled[0], scaled[1]


def _classes(held: Mapping[str, AnyArray], count: int, path: Path) -> tuple[str, ...]:
    if "classes" not in held:
        return tuple(str(i) for i in range(count))
    names = held["classes"]
    if names.ndim != 1 or names.dtype.kind != "U":
        raise ConfigError(f"{path}: classes: expected strings [classes], got {names.dtype} {list(names.shape)}")
    return tuple(str(n) for n in names)
