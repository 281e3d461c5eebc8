"""A rendered project: file names and their contents, as a value."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from codesign.errors import ConfigError
from codesign.ir.files import TEMPORARY, read_plain, writing
from codesign.ir.strict import parse

MANIFEST = "manifest.json"  # names every other rendered file, with its SHA-256, under `files`


@dataclass(frozen=True, slots=True)
class Project:
    """File name -> text or bytes. Names are relative POSIX paths without '..'; raises ConfigError otherwise."""

    files: Mapping[str, str | bytes]

    def __post_init__(self) -> None:
        check_names(self.files)

    def digest(self) -> str:
        """Return the SHA-256 over names and contents, in hexadecimal."""
        sha = hashlib.sha256()
        for name in sorted(self.files):
            data = as_bytes(self.files[name])
            sha.update(f"{name}\0{len(data)}\0".encode() + data)
        return sha.hexdigest()

    def merge(self, other: "Project") -> "Project":
        """Return the files of both. Raise ValueError if they share a name with different contents."""
        clash = [n for n in self.files if n in other.files and self.files[n] != other.files[n]]
        if clash:
            raise ValueError(f"project: both sides have a file {clash[0]!r}")
        return Project({**self.files, **other.files})

    def write(self, folder: Path) -> None:
        """Write the files to a folder that is wholly ours, replacing it: it is complete or was not touched.

        Raise StorageError.
        """
        with writing(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            held = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=folder.parent))
            try:
                fresh = held / "new"
                fresh.mkdir()
                for name, content in self.files.items():
                    path = fresh / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(as_bytes(content))
                if folder.exists():
                    os.replace(folder, held / "old")
                os.replace(fresh, folder)
            finally:
                shutil.rmtree(held, ignore_errors=True)

    @staticmethod
    def read(folder: Path) -> "Project":
        """Return the rendered files in `folder`: the manifest and those that it names; others are not read.

        Raise ConfigError if the manifest or a file that it names is missing, or a file is not what the manifest says.
        """
        manifest = folder / MANIFEST
        names, contents = recorded(manifest), {}
        for name, sha in names.items():
            content = _content(folder / name)
            if hashlib.sha256(content).hexdigest() != sha:
                raise ConfigError(f"{folder / name}: is not what {MANIFEST} says; {_REMEDY}")
            contents[name] = _as_text(content)
        return Project({**contents, MANIFEST: _as_text(_content(manifest))})


_REMEDY = "delete it, and `codesign csim` on the run folder renders it again"


def recorded(manifest: Path) -> dict[str, str]:
    """Return the SHA-256 of every rendered file by name, as the manifest has them. Raise ConfigError naming it."""
    try:
        names = parse(_Manifest, {"files": read_plain(manifest).get("files")}, str(manifest)).files
    except ConfigError as error:
        raise ConfigError(f"{error}; {_REMEDY}") from error
    check_names(names)
    return names


def as_bytes(content: str | bytes) -> bytes:
    """Return the content as it is in a file."""
    return content.encode() if isinstance(content, str) else content


@dataclass(frozen=True, slots=True)
class _Manifest:
    files: dict[str, str]


def check_names(names: Mapping[str, object]) -> None:
    """Raise ConfigError for a name that is not a plain relative POSIX path."""
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or str(path) != name or name == ".":
            raise ConfigError(f"project: file name {name!r} is not a plain relative path")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; {_REMEDY}") from error


def _as_text(content: bytes) -> str | bytes:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content
