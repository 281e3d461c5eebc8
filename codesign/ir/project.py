"""A rendered project: file names and their contents, as a value."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, slots=True)
class Project:
    """File name -> text or bytes. Names are relative POSIX paths without '..'; raises ValueError otherwise."""

    files: Mapping[str, str | bytes]

    def __post_init__(self) -> None:
        for name in self.files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\\" in name or str(path) != name:
                raise ValueError(f"project: file name {name!r} is not a plain relative path")

    def digest(self) -> str:
        """SHA-256 over names and contents, in hexadecimal."""
        sha = hashlib.sha256()
        for name in sorted(self.files):
            content = self.files[name]
            data = content.encode() if isinstance(content, str) else content
            sha.update(f"{name}\0{len(data)}\0".encode() + data)
        return sha.hexdigest()

    def merge(self, other: "Project") -> "Project":
        """The files of both. Raises ValueError if they share a name with different contents."""
        clash = [n for n in self.files if n in other.files and self.files[n] != other.files[n]]
        if clash:
            raise ValueError(f"project: both sides have a file {clash[0]!r}")
        return Project({**self.files, **other.files})

    def write(self, folder: Path) -> None:
        """Write the files to `folder`, replacing it as a whole: it is complete or was not touched."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            fresh.chmod(0o755)
            for name, content in self.files.items():
                path = fresh / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.encode() if isinstance(content, str) else content)
            if folder.exists():
                stale = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
                os.replace(folder, stale / "old")
                os.replace(fresh, folder)
                shutil.rmtree(stale)
            else:
                os.replace(fresh, folder)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise

    @staticmethod
    def read(folder: Path) -> "Project":
        """The project that was written to `folder`."""
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        return Project({p.relative_to(folder).as_posix(): _as_text(p.read_bytes()) for p in paths})


def _as_text(content: bytes) -> str | bytes:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content
