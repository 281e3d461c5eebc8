"""A folder of images: train/<class>/ and test/<class>/ with PNG, PGM or PPM files, all of one size."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from codesign.datasets.files import listed, read_bytes, sub_folders
from codesign.datasets.images import parse_netpbm, parse_png
from codesign.errors import ConfigError
from codesign.ir.dataset import Dataset, Labels, Pixels

_PARSERS: dict[str, Callable[[bytes, str], Pixels]] = {
    ".png": parse_png,
    ".pgm": parse_netpbm,
    ".ppm": parse_netpbm,
}


def load(folder: Path) -> Dataset:
    """Read every image. The classes are the names of the folders inside train/, in order of the alphabet."""
    classes = tuple(_readable(p).name for p in sub_folders(folder / "train"))
    for found in sub_folders(folder / "test"):
        if found.name not in classes:
            raise ConfigError(f"{found}: no such class in {folder / 'train'}, which has: {', '.join(classes)}")
    train_x, train_y = _load_part(folder / "train", classes)
    test_x, test_y = _load_part(folder / "test", classes)
    return Dataset(
        name=folder.resolve().name or "images",
        source=str(folder),
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
        classes=classes,
    )


def load_images(folder: Path) -> Pixels:
    """Return the images [N, Y, X, C] that lie in a folder, by name, without labels. Raise ConfigError."""
    images: list[Pixels] = []
    for path in _visible_files(folder):
        images.append(_load_image(path, images))
    if not images:
        raise ConfigError(f"{folder}: holds no image; expected .png, .pgm or .ppm files, or folders train and test")
    return np.stack(images)


def _readable(folder: Path) -> Path:
    """Return the folder. Raise ConfigError if its name is not printable: a class needs a name that files can hold."""
    if not folder.name.isprintable():
        raise ConfigError(f"{str(folder)!a}: a class's folder needs a name in printable UTF-8; rename it")
    return folder


def _load_part(folder: Path, classes: tuple[str, ...]) -> tuple[Pixels, Labels]:
    images: list[Pixels] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        inside = folder / name
        files = _visible_files(inside)
        if not files:
            raise ConfigError(f"{inside}: holds no image; expected .png, .pgm or .ppm files of class {name!r}")
        for path in files:
            images.append(_load_image(path, images))
            labels.append(label)
    if not images:
        raise ConfigError(f"{folder}: holds no class; expected one folder of images for each class")
    return np.stack(images), np.array(labels, dtype=np.int64)


def _visible_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in listed(folder) if p.is_file() and not p.name.startswith("."))


def _load_image(path: Path, before: list[Pixels]) -> Pixels:
    parse = _PARSERS.get(path.suffix.lower())
    if parse is None:
        raise ConfigError(f"{path}: files of this kind are not read; expected .png, .pgm or .ppm")
    image = parse(read_bytes(path), str(path))
    if before and image.shape != before[0].shape:
        raise ConfigError(f"{path}: its shape is {list(image.shape)}, but earlier images have {list(before[0].shape)}")
    return image
