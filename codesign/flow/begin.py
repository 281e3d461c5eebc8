"""Beginning or continuing a run: its folder is checked before anything in it is touched, and belongs to one command."""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codesign.errors import ConfigError, StorageError
from codesign.flow.config import difference
from codesign.flow.folder import FORMAT, RunFolder, head
from codesign.ir.board import DESCRIPTIVE, Board
from codesign.ir.files import TEMPORARY, is_there, read_json, read_plain, write_json, writing
from codesign.ir.strict import to_plain

LOCK = ".lock"
FREE = ("name", "proof", "log")  # keys of a configuration that touch nothing of what was searched, trained or designed


@contextlib.contextmanager
def begun(folder: RunFolder, command: str, config: object, board: Board, model: bytes | None = None) -> Iterator[None]:
    """Begin or continue a run, and keep a second command out of its folder. `model`: the user's ONNX file.

    Raise ConfigError if the folder is anything else than a run of this configuration, or empty. Then it is left as it
    was, without so much as a lock.
    """
    _check_place(folder, command, config, board)
    if model is not None and is_there(folder.model) and folder.model.read_bytes() != model:
        raise ConfigError(f"{folder.path}: this folder holds a run of another model; name another with --out")
    with writing(folder.path):
        folder.path.mkdir(parents=True, exist_ok=True)
    with lock(folder.path):
        create(folder, command, config, board)
        _tidy(folder)
        yield


@contextlib.contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Keep a second command out of a run folder. Raise ConfigError if one is at work there."""
    with lock(folder.path):
        _tidy(folder)
        yield


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Keep every other command out of a folder. Raise ConfigError if one is at work there."""
    path = folder / LOCK
    with writing(path):
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(f"{folder}: another command is at work in this folder; wait for it") from error
        except OSError as error:  # such as a file system without locks
            raise StorageError(f"{path}: cannot be locked: {error.strerror}") from error
        yield
    finally:
        os.close(held)


def _tidy(folder: RunFolder) -> None:
    """Remove what a command that was killed had not finished writing, where we write and under our own names only."""
    homes = [folder.path, folder.log, folder.measured, folder.module, folder.project]
    for parent in (folder.plain_state, folder.search_state, folder.train_state, folder.work):
        homes += [parent, *parent.glob("*")]
    for home in homes:
        for leftover in home.glob(f"{TEMPORARY}*"):
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    leftover.unlink()


def create(folder: RunFolder, command: str, config: object, board: Board) -> None:
    """Write configuration and board into the folder, which must be there. Raise ConfigError as `begun` does."""
    _check_place(folder, command, config, board)
    for path, plain in ((folder.config, _fresh(command, config)), (folder.board, to_plain(board))):
        if not path.exists() or read_json(path) != plain:
            write_json(path, plain)


def _check_place(folder: RunFolder, command: str, config: object, board: Board) -> None:
    """Raise ConfigError unless the folder is empty or missing, or its run can continue; nothing is touched."""
    try:
        names = sorted(os.listdir(folder.path))
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise ConfigError(f"{folder.path}: is a file or lies below one; name a folder with --out") from error
    except OSError as error:
        raise StorageError(
            f"{folder.path}: cannot be read: {error.strerror}; name another folder with --out"
        ) from error
    if folder.config.name not in names:
        others = [name for name in names if not _is_ours(folder.path / name)]
        if others:
            raise ConfigError(
                f"{folder.path}: not a run folder, and not empty: it has {others[0]!r}; name another with --out"
            )
        return
    held = head(folder)
    begun_only = all(_is_ours(folder.path / name) or name in (folder.config.name, folder.board.name) for name in names)
    changed = _changed(folder, held, _fresh(command, config), board)
    undesigned = command == held["command"] == "compile" and not is_there(folder.design)  # such as: nothing fitted
    if changed and not begun_only and not undesigned:
        raise ConfigError(
            f"{folder.path}: this folder holds a run of another configuration: {changed}. In a run that was "
            f"begun, these may change: {', '.join(FREE)}, and of the board {', '.join(DESCRIPTIVE)}. "
            "Name another folder with --out, or remove this one"
        )


def _is_ours(path: Path) -> bool:
    """Tell whether a command that was killed as it began left this."""
    if path.name == LOCK:
        return path.is_file() and path.stat().st_size == 0
    return path.name.startswith(TEMPORARY)


def _changed(folder: RunFolder, held: dict[str, Any], fresh: dict[str, Any], board: Board) -> str:
    """Return the first difference to the folder's configuration that touches what was made of it; empty if there is
    none.
    """
    named = difference(held.get("board"), fresh.get("board"), "board")
    figures = ""
    if folder.board.exists():
        before = {key: v for key, v in read_plain(folder.board).items() if key not in DESCRIPTIVE}
        now = {key: v for key, v in to_plain(board).items() if key not in DESCRIPTIVE}
        figures = difference(before, now, "board")
    if figures:
        return named or figures
    free = (*FREE, "board")
    before, now = ({key: v for key, v in plain.items() if key not in free} for plain in (held, fresh))
    return difference(before, now)


def _fresh(command: str, config: object) -> dict[str, Any]:
    plain = {"format": FORMAT, "command": command, **to_plain(config)}
    return dict(json.loads(json.dumps(plain)))  # as it is read back
