"""Reading a file whole, so that whatever is wrong with it becomes one ConfigError that names it."""

import gzip
import zlib
from pathlib import Path

from codesign.errors import ConfigError


def read_bytes(path: Path) -> bytes:
    """The content of the file, unpacked if its name ends in .gz. Raises ConfigError."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if path.suffix != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"{path}: not a whole gzip file ({error}); copy or download it again") from error


def sub_folders(folder: Path) -> list[Path]:
    """The folders inside, by name, hidden ones left out. Raises ConfigError if there is no such folder."""
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder")
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
