"""Reading a file whole, so that whatever is wrong with it becomes one ConfigError that names it."""

import gzip
import io
import lzma
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from codesign.errors import ConfigError
from codesign.ir.files import check_file

MOST_UNPACKED = 1032  # bytes that deflate can make of one
MOST_BYTES = 1 << 32  # of an unpacked .gz file
UNREADABLE = (OSError, ValueError, EOFError, KeyError, MemoryError, RecursionError, struct.error, zlib.error,
              lzma.LZMAError)  # fmt: skip

_HEADERS: dict[tuple[int, int], Callable[[IO[bytes]], tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_bytes(path: Path) -> bytes:
    """Return the content of the file, unpacked if its name ends in .gz. Raise ConfigError."""
    check_file(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if path.suffix != ".gz":
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            unpacked = packed.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"{path}: not a whole gzip file ({error}); copy or download it again") from error
    if len(unpacked) > MOST_BYTES:
        raise ConfigError(f"{path}: unpacked it has more than {MOST_BYTES:,} bytes; expected a smaller file")
    return unpacked


def load_npy(path: Path) -> npt.NDArray[Any]:
    """Return the array of an .npy file. Raise ConfigError naming the file."""
    check_file(path)
    try:
        with path.open("rb") as file:
            return read_npy(file, path.stat().st_size, path.name)
    except UNREADABLE as error:
        raise ConfigError(f"{path}: not an .npy file of plain numbers: {error}") from error


def read_npy(stream: IO[bytes], size: int, name: str) -> npt.NDArray[Any]:
    """Return the array of an .npy stream of so many bytes.

    Raise ValueError before memory is taken, if its header promises more than the stream has, or objects.
    """
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"{name}: expected .npy format 1.0 or 2.0, found {version[0]}.{version[1]}")
    shape, _, dtype = _HEADERS[version](stream)
    promised = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or promised > size - stream.tell():
        follow = size - stream.tell()
        raise ValueError(f"{name}: its header promises {dtype} {list(shape)}, {promised:,} bytes; {follow:,} follow")
    stream.seek(0)
    array: npt.NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def sub_folders(folder: Path) -> list[Path]:
    """Return the folders inside, by name, hidden ones left out. Raise ConfigError if there is no such folder."""
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder")
    return sorted(p for p in listed(folder) if p.is_dir() and not p.name.startswith("."))


def listed(folder: Path) -> list[Path]:
    """Return what is in the folder. Raise ConfigError if it cannot be read."""
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be read: {error.strerror}") from error
