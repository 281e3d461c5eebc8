"""The run folder: numbered checkpoint files, what each was made from, and one user at a time.

Long because every file of a run has its name here.
"""

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codesign import __version__
from codesign.errors import ConfigError
from codesign.flow.config import ProofConfig
from codesign.ir.board import Board
from codesign.ir.demand import Demand
from codesign.ir.design import Weights
from codesign.ir.files import is_there, make_folder, read_json_as, read_plain, write_bytes, write_json
from codesign.ir.strict import parse
from codesign.search.goal import Goal

_LOG = logging.getLogger(__name__)

FORMAT = 3
_WRITERS = {1: "0.1", 2: "0.2"}  # of folders that this version cannot continue


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
        """The user's file, for `compile`: ONNX, or TFLite where there is such a one."""
        other = self.path / "0-model.tflite"
        return other if other.exists() else self.path / "0-model.onnx"

    @property
    def origin(self) -> Path:
        """What was read of a file of another tool: its format, its ends, which of its nodes became which."""
        return self.path / "0-import.json"

    @property
    def source(self) -> Path:
        """The golden model beside the file's own runtime."""
        return self.path / "3-source.json"

    @property
    def space(self) -> Path:
        """The search space, where it was made for the samples."""
        return self.path / "1-space.yaml"

    @property
    def plain(self) -> Path:
        """What the plain float network of that space reaches."""
        return self.path / "1-plain.json"

    @property
    def plain_state(self) -> Path:
        return self.path / "1-plain"

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
    def quantization(self) -> Path:
        """How a float network was quantized by calibration, and what each of its places lost."""
        return self.path / "2-quantization.json"

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

    @property
    def weights(self) -> Weights:
        """Where the machine has its weights."""
        return Weights.CONSTANT if self.config.get("weights") is None else Weights.LOADED

    def demand(self, clock_mhz: float) -> Demand:
        """Return what is demanded at that clock, in cycles. Raise InfeasibleError if it leaves less than a cycle."""
        return Demand.at(clock_mhz, self.min_fps, self.max_latency_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Demands:
    min_fps: float | None = None
    max_latency_us: float | None = None
    goal: Goal | None = None


def opened(path: Path) -> tuple[RunFolder, Settings, Board]:
    """Open the run in that folder: settings and board. Raise ConfigError if there is none, or a file is not ours."""
    folder = RunFolder(path)
    if not is_there(folder.config):
        raise ConfigError(f"{path}: not a run folder: it has no {folder.config.name}; make one with `codesign run`")
    plain = head(folder)
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


def head(folder: RunFolder) -> dict[str, Any]:
    """Return the configuration that the folder holds. Raise ConfigError unless this version of codesign wrote it."""
    held = read_plain(folder.config)
    if held.get("command") not in ("run", "compile"):
        raise ConfigError(f"{folder.config}: not a file of codesign's; the folder is no run folder, or was damaged")
    _check_format(folder.config, held.get("format"))
    return held


def _check_format(path: Path, found: object) -> None:
    """Raise ConfigError, naming the version that wrote the folder, unless this version can continue it."""
    if found == FORMAT:
        return
    writer = _WRITERS.get(found) if isinstance(found, int) else None
    by = f"codesign {writer}; go on with that version" if writer else f"another version of codesign than {__version__}"
    raise ConfigError(f"{path}: format {found!r} was written by {by}, or run again with another --out")


def _goal(command: str, demands: _Demands) -> Goal:
    """Return what is asked for; if nothing is, the least interval, or what is cheapest at a demanded one.

    A searched network has met its demand already: what the board has left makes it faster still.
    """
    if demands.goal is not None:
        return demands.goal
    return Goal.RESOURCES if demands.min_fps is not None and command == "compile" else Goal.INTERVAL


def is_current(folder: RunFolder, step: str, inputs: object, outputs: tuple[Path, ...]) -> bool:
    """Tell whether the step's files are there and were made from these inputs."""
    return all(p.exists() for p in outputs) and _stamps(folder).get(step) == _digest(inputs)


def stamp(folder: RunFolder, step: str, inputs: object) -> None:
    """Note that the step's files were made from these inputs. Raise ConfigError if the run folder is gone."""
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


def copy_checkpoints(source: RunFolder, target: RunFolder, rendered: tuple[str, ...]) -> None:
    """Copy the numbered files, logs and measurements of a run to a folder of the same run, and what it says of them.

    `rendered`: steps that wrote into `project` and `network`, which are not copied; their stamps stay as they are.
    """
    paths = [p for p in source.path.iterdir() if p.is_file() and p.name[0].isdigit()]
    for home in (source.log, source.measured):
        if home.is_dir():
            make_folder(target.path / home.name)
            paths += home.iterdir()
    for path in paths:
        write_bytes(target.path / path.relative_to(source.path), path.read_bytes())
    kept = {step: digest for step, digest in _stamps(target).items() if step in rendered}
    copied = {step: digest for step, digest in _stamps(source).items() if step not in rendered}
    write_json(target.stamps, {**copied, **kept})


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal; empty if there is none."""
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
