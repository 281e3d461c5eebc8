"""Fashion-MNIST: the full set in the IDX format of its authors, or the subset that ships beside this file."""

import struct
from pathlib import Path

import numpy as np

from codesign.datasets import arrays
from codesign.datasets.files import read_bytes
from codesign.errors import ConfigError
from codesign.ir.dataset import Dataset, Labels, Pixels

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")  # of the package dataset-fashion-mnist
SUBSET = Path(__file__).parent / "fashion_mnist_subset.npz"
CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")

_IMAGES_MAGIC = 0x0803  # unsigned bytes, three axes
_LABELS_MAGIC = 0x0801  # unsigned bytes, one axis


def load(folder: Path | None = None) -> Dataset:
    """Read the full set from `folder`, else from Debian's package, else the built-in subset."""
    if folder is None:
        if not DEBIAN_FOLDER.is_dir():
            return load_subset()
        folder = DEBIAN_FOLDER
    elif not folder.is_dir():
        raise ConfigError(
            f"{folder}: no such folder; expected one with the four files such as train-images-idx3-ubyte.gz"
        )
    train_x, train_y = _load_part(folder, "train")
    test_x, test_y = _load_part(folder, "t10k")
    return Dataset(
        name="fashion-mnist",
        source=str(folder),
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
        classes=CLASSES,
    )


def load_subset() -> Dataset:
    """Read the 5,000 training and 1,000 test images that ship in the package, the same number of each class."""
    return arrays.load(SUBSET, name="fashion-mnist-subset", classes=CLASSES)


def parse_idx_images(data: bytes, source: str) -> Pixels:
    """Parse IDX images to uint8 [N,Y,X,1]. Raise ConfigError naming the source."""
    _check_magic(data, _IMAGES_MAGIC, 16, source)
    count, rows, columns = struct.unpack(">III", data[4:16])
    _check_size(data, 16 + count * rows * columns, f"{count} images of {rows}x{columns}", source)
    return np.frombuffer(data, np.uint8, offset=16).reshape(count, rows, columns, 1)


def parse_idx_labels(data: bytes, source: str) -> Labels:
    """Parse IDX labels to int64 [N]. Raise ConfigError naming the source."""
    _check_magic(data, _LABELS_MAGIC, 8, source)
    (count,) = struct.unpack(">I", data[4:8])
    _check_size(data, 8 + count, f"{count} labels", source)
    labels = np.frombuffer(data, np.uint8, offset=8).astype(np.int64)
    if count and labels.max() >= len(CLASSES):
        bad = int(np.argmax(labels >= len(CLASSES)))
        raise ConfigError(f"{source}: label {labels[bad]} at index {bad} is not one of 0 to {len(CLASSES) - 1}")
    return labels


def _load_part(folder: Path, part: str) -> tuple[Pixels, Labels]:
    images, labels = _existing(folder, f"{part}-images-idx3-ubyte"), _existing(folder, f"{part}-labels-idx1-ubyte")
    x, y = parse_idx_images(read_bytes(images), str(images)), parse_idx_labels(read_bytes(labels), str(labels))
    if len(x) != len(y):
        raise ConfigError(f"{labels}: {len(y)} labels, but {images.name} holds {len(x)} images; they belong together")
    return x, y


def _existing(folder: Path, name: str) -> Path:
    packed, plain = folder / f"{name}.gz", folder / name
    return plain if plain.exists() and not packed.exists() else packed


def _check_magic(data: bytes, magic: int, header: int, source: str) -> None:
    if len(data) < header:
        raise ConfigError(f"{source}: {len(data)} bytes are too few for an IDX header of {header}")
    (found,) = struct.unpack(">I", data[:4])
    if found != magic:
        raise ConfigError(f"{source}: expected IDX magic number 0x{magic:08x}, found 0x{found:08x}; the right file?")


def _check_size(data: bytes, expected: int, what: str, source: str) -> None:
    if len(data) != expected:
        raise ConfigError(f"{source}: its header promises {what}, {expected} bytes, but it has {len(data)}")
