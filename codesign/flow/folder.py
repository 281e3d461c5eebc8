"""The run folder: numbered checkpoint files, what each was made from, and one user at a time."""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codesign import __version__
from codesign.errors import ConfigError, StorageError
from codesign.flow.config import ProofConfig, difference
from codesign.ir.board import DESCRIPTIVE, Board
from codesign.ir.files import TEMPORARY, is_there, read_json, read_json_as, read_plain, write_json, writing
from codesign.ir.strict import parse, to_plain
from codesign.search.goal import Goal

_LOG = logging.getLogger(__name__)

FORMAT = 2
LOCK = ".lock"
FREE = ("name", "proof", "log")  # keys of a configuration that touch nothing of what was searched, trained or designed
_WRITERS = {1: "0.1"}  # of folders that this version cannot go on with


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of one run, in the order in which they are made."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "0-config.json"

    @property
    def board(self) -> Path:
        return self.path / "0-board.json"

    @property
    def model(self) -> Path:
        """The user's ONNX file, for `compile`."""
        return self.path / "0-model.onnx"

    @property
    def network(self) -> Path:
        """The derived network, with the course of its search."""
        return self.path / "1-network.json"

    @property
    def arrays(self) -> Path:
        """The accelerator that was chosen with the network, where the search chose arrays."""
        return self.path / "1-arrays.yaml"

    @property
    def search_state(self) -> Path:
        return self.path / "1-search"

    @property
    def log(self) -> Path:
        """A row for every epoch of search and training."""
        return self.path / "log"

    @property
    def train_state(self) -> Path:
        return self.path / "2-train"

    @property
    def training(self) -> Path:
        """Accuracy of the float and the quantized network, and the course of training."""
        return self.path / "2-training.json"

    @property
    def quantized(self) -> Path:
        """What the fake-quantized network gives for every test image."""
        return self.path / "2-quantized.npz"

    @property
    def graph(self) -> Path:
        return self.path / "2-graph.npz"

    @property
    def onnx(self) -> Path:
        return self.path / "2-network.onnx"

    @property
    def module(self) -> Path:
        """The network as a torch.nn.Module that needs nothing of this package."""
        return self.path / "network"

    @property
    def accuracy(self) -> Path:
        """Accuracy of the golden model on the test images."""
        return self.path / "3-accuracy.json"

    @property
    def vectors(self) -> Path:
        """Images for the simulations, and what the golden model makes of them."""
        return self.path / "3-vectors.npz"

    @property
    def design(self) -> Path:
        return self.path / "4-design.yaml"

    @property
    def design_search(self) -> Path:
        return self.path / "4-search.json"

    @property
    def cost(self) -> Path:
        return self.path / "5-cost.json"

    @property
    def project(self) -> Path:
        return self.path / "project"

    @property
    def csim(self) -> Path:
        return self.path / "6-csim.json"

    @property
    def rtlsim(self) -> Path:
        return self.path / "7-rtlsim.json"

    @property
    def rtlsim_stalls(self) -> Path:
        return self.path / "7-rtlsim-stalls.json"

    @property
    def synthesis(self) -> Path:
        return self.path / "8-synthesis.json"

    @property
    def measured(self) -> Path:
        """What `codesign compare` read of vendor reports and board logs."""
        return self.path / "measured"

    @property
    def work(self) -> Path:
        """Scratch of the tools, with their logs."""
        return self.path / "work"

    @property
    def rendered(self) -> Path:
        """What was rendered into `project` and `network`, by hash; see flow.rendered."""
        return self.path / "rendered.json"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def stamps(self) -> Path:
        return self.path / "steps.json"


@contextlib.contextmanager
def begun(folder: RunFolder, command: str, config: object, board: Board, model: bytes | None = None) -> Iterator[None]:
    """Begin a run, or go on with one, and keep a second command out of its folder. `model`: the user's ONNX file.

    Raises ConfigError if the folder is anything else than a run of this configuration, or empty; then it is left as it
    was, without so much as a lock.
    """
    _check_place(folder, command, config, board)
    if model is not None and is_there(folder.model) and folder.model.read_bytes() != model:
        raise ConfigError(f"{folder.path}: this folder holds a run of another model; name another with --out")
    with writing(folder.path):
        folder.path.mkdir(parents=True, exist_ok=True)
    with _lock(folder):
        create(folder, command, config, board)
        _tidy(folder)
        yield


@contextlib.contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Keep a second command out of a run folder. Raises ConfigError if one is at work there."""
    with _lock(folder):
        _tidy(folder)
        yield


@contextlib.contextmanager
def _lock(folder: RunFolder) -> Iterator[None]:
    path = folder.path / LOCK
    with writing(path):
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(f"{folder.path}: another command is at work in this folder; wait for it") from error
        except OSError as error:  # such as a file system without locks
            raise StorageError(f"{path}: cannot be locked: {error.strerror}") from error
        yield
    finally:
        os.close(lock)


def _tidy(folder: RunFolder) -> None:
    """Remove what a command that was killed had not finished writing, where we write and under our own names only."""
    homes = [folder.path, folder.log, folder.measured, folder.module, folder.project]
    for parent in (folder.search_state, folder.train_state, folder.work):
        homes += [parent, *parent.glob("*")]
    for home in homes:
        for leftover in home.glob(f"{TEMPORARY}*"):
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    leftover.unlink()


def create(folder: RunFolder, command: str, config: object, board: Board) -> None:
    """Write configuration and board into the folder, which must be there. Raises ConfigError as `begun` does."""
    _check_place(folder, command, config, board)
    for path, plain in ((folder.config, _fresh(command, config)), (folder.board, to_plain(board))):
        if not path.exists() or read_json(path) != plain:
            write_json(path, plain)


def _check_place(folder: RunFolder, command: str, config: object, board: Board) -> None:
    """Raise ConfigError unless the folder is empty or not there, or its run can go on; nothing is touched."""
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
    held = _head(folder)
    begun_only = all(_is_ours(folder.path / name) or name in (folder.config.name, folder.board.name) for name in names)
    changed = _changed(folder, held, _fresh(command, config), board)
    if changed and not begun_only:
        raise ConfigError(
            f"{folder.path}: this folder holds a run of another configuration: {changed}. In a run that was "
            f"begun, these may change: {', '.join(FREE)}, and of the board {', '.join(DESCRIPTIVE)}. "
            "Name another folder with --out, or remove this one"
        )


def _is_ours(path: Path) -> bool:
    """Whether a command that was killed as it began left this."""
    if path.name == LOCK:
        return path.is_file() and path.stat().st_size == 0
    return path.name.startswith(TEMPORARY)


def _changed(folder: RunFolder, held: dict[str, Any], fresh: dict[str, Any], board: Board) -> str:
    """The first difference to the folder's configuration that touches what was made of it; empty if there is none."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What every step may need of the configuration: demands and goal, and in `config` all of it as plain data."""

    command: str
    name: str
    proof: ProofConfig
    min_fps: float | None
    max_latency_us: float | None
    goal: Goal
    config: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Demands:
    min_fps: float | None = None
    max_latency_us: float | None = None
    goal: Goal | None = None


def opened(path: Path) -> tuple[RunFolder, Settings, Board]:
    """The run in that folder, its settings and board. Raises ConfigError if there is none, or a file is not ours."""
    folder = RunFolder(path)
    if not is_there(folder.config):
        raise ConfigError(f"{path}: not a run folder: it has no {folder.config.name}; make one with `codesign run`")
    plain = _head(folder)
    del plain["format"]
    where, command = str(folder.config), str(plain.pop("command"))
    found = plain.get("search") if command == "run" else plain
    if not isinstance(found, dict):
        raise ConfigError(f"{where}: search: expected keys with values, got {found!r}")
    asked = {**{key: found.get(key) for key in ("min_fps", "max_latency_us")}, "goal": plain.get("goal")}
    demands = parse(_Demands, asked, where)
    settings = Settings(
        command=command,
        name=parse(str, plain.get("name"), f"{where}: name"),
        proof=parse(ProofConfig, plain.get("proof"), f"{where}: proof"),
        min_fps=demands.min_fps,
        max_latency_us=demands.max_latency_us,
        goal=_goal(command, demands),
        config=plain,
    )
    return folder, settings, read_json_as(Board, folder.board)


def _head(folder: RunFolder) -> dict[str, Any]:
    """The configuration that the folder holds. Raises ConfigError unless this version of codesign wrote it."""
    held = read_plain(folder.config)
    if held.get("command") not in ("run", "compile"):
        raise ConfigError(f"{folder.config}: not a file of codesign's; the folder is no run folder, or was damaged")
    _check_format(folder.config, held.get("format"))
    return held


def _check_format(path: Path, found: object) -> None:
    """Raise ConfigError, naming the version that wrote the folder, unless this version can go on with it."""
    if found == FORMAT:
        return
    writer = _WRITERS.get(found) if isinstance(found, int) else None
    by = f"codesign {writer}; go on with that version" if writer else f"another version of codesign than {__version__}"
    raise ConfigError(f"{path}: format {found!r} was written by {by}, or run again with another --out")


def _goal(command: str, demands: _Demands) -> Goal:
    """What is asked for; if nothing is, the least interval, or what is cheapest at a demanded one.

    A searched network has met its demand already: what the board has left makes it faster still.
    """
    if demands.goal is not None:
        return demands.goal
    return Goal.RESOURCES if demands.min_fps is not None and command == "compile" else Goal.INTERVAL


def is_current(folder: RunFolder, step: str, inputs: object, outputs: tuple[Path, ...]) -> bool:
    """Whether the step's files are there and were made from these inputs."""
    return all(p.exists() for p in outputs) and _stamps(folder).get(step) == _digest(inputs)


def stamp(folder: RunFolder, step: str, inputs: object) -> None:
    """Note that the step's files were made from these inputs. Raises ConfigError if the run folder is gone."""
    check_present(folder)
    stamps = _stamps(folder)
    write_json(folder.stamps, {**stamps, step: _digest(inputs)})
    _LOG.info("%s: done", step)


def check_present(folder: RunFolder) -> None:
    """Raise ConfigError if the run folder was removed while it is worked in."""
    if not is_there(folder.config):
        raise ConfigError(f"{folder.path}: the run folder was removed while it was worked in; run the command again")


def forget(folder: RunFolder, steps: tuple[str, ...]) -> None:
    """Let these steps be done again."""
    kept = {step: digest for step, digest in _stamps(folder).items() if step not in steps}
    write_json(folder.stamps, kept)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; empty if there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def _stamps(folder: RunFolder) -> dict[str, str]:
    if not folder.stamps.exists():
        return {}
    try:
        return parse(dict[str, str], read_plain(folder.stamps), str(folder.stamps))
    except ConfigError as error:
        raise ConfigError(f"{error}; delete it, and every step is done again") from error


def _digest(inputs: object) -> str:
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()
