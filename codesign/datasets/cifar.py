"""CIFAR-10 and CIFAR-100 in their binary version; the Python version is a pickle, which is never opened."""

from pathlib import Path

import numpy as np

from codesign.datasets.files import read_bytes
from codesign.errors import ConfigError
from codesign.ir.dataset import Dataset, Labels, Pixels

_PIXELS = 3 * 32 * 32  # a red, a green and a blue plane


def load_cifar10(folder: Path) -> Dataset:
    """Read CIFAR-10 from data_batch_1.bin to data_batch_5.bin and test_batch.bin."""
    classes = _class_names(folder, "batches.meta.txt", 10)
    parts = [_load_records(folder / f"data_batch_{i}.bin", label_bytes=1, classes=10) for i in range(1, 6)]
    test_x, test_y = _load_records(folder / "test_batch.bin", label_bytes=1, classes=10)
    return Dataset(
        name="cifar-10",
        source=str(folder),
        train_x=np.concatenate([x for x, _ in parts]),
        train_y=np.concatenate([y for _, y in parts]),
        test_x=test_x,
        test_y=test_y,
        classes=classes,
    )


def load_cifar100(folder: Path) -> Dataset:
    """Read CIFAR-100 with its fine labels, from train.bin and test.bin."""
    classes = _class_names(folder, "fine_label_names.txt", 100)
    train_x, train_y = _load_records(folder / "train.bin", label_bytes=2, classes=100)
    test_x, test_y = _load_records(folder / "test.bin", label_bytes=2, classes=100)
    return Dataset(
        name="cifar-100",
        source=str(folder),
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
        classes=classes,
    )


def _load_records(path: Path, *, label_bytes: int, classes: int) -> tuple[Pixels, Labels]:
    """Read records of label bytes (the last is the one wanted) and pixels as uint8 [N,32,32,3] and int64 [N]."""
    _refuse_python_version(path)
    data = read_bytes(path)
    record = label_bytes + _PIXELS
    if len(data) == 0 or len(data) % record:
        raise ConfigError(f"{path}: {len(data)} bytes are no multiple of records of {record} bytes; truncated?")
    rows = np.frombuffer(data, np.uint8).reshape(-1, record)
    labels = rows[:, label_bytes - 1].astype(np.int64)
    if labels.max() >= classes:
        bad = int(np.argmax(labels >= classes))
        raise ConfigError(f"{path}: label {labels[bad]} of record {bad} is not one of 0 to {classes - 1}")
    planes = rows[:, label_bytes:].reshape(-1, 3, 32, 32)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels


def _refuse_python_version(path: Path) -> None:
    if not path.exists() and path.with_suffix("").exists():
        raise ConfigError(
            f"{path.with_suffix('')}: the Python version of CIFAR is a pickle, which can run code and is not read; "
            f"use the binary version, which has {path.name}"
        )


def _class_names(folder: Path, name: str, classes: int) -> tuple[str, ...]:
    path = folder / name
    if not path.exists():
        return tuple(str(i) for i in range(classes))
    names = tuple(read_bytes(path).decode(errors="replace").split())
    if len(names) != classes:
        raise ConfigError(f"{path}: expected {classes} class names, found {len(names)}")
    return names
