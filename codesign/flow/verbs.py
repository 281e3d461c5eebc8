"""What the command line can ask for: each verb brings a run folder up to where it is wanted, and reports."""

import importlib.util
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from codesign.datasets.files import load_npy
from codesign.emit.identity import design_hash
from codesign.errors import ConfigError, ToolError
from codesign.flow import look, steps
from codesign.flow.begin import begun, locked
from codesign.flow.config import CompileConfig, LogKind, load_config
from codesign.flow.folder import RunFolder, forget, opened
from codesign.flow.rendered import check_unchanged
from codesign.flow.steps import Run
from codesign.ir import files
from codesign.ir.boards import load_board
from codesign.ir.graph import Graph
from codesign.ir.project import Project
from codesign.ops.arrays import IntArray
from codesign.progress import Progress, silent
from codesign.report.reading import Reading
from codesign.report.vendor import read_measured


class Verb(Enum):
    """What can be done again on a run folder."""

    PREDICT = "predict"
    CSIM = "csim"
    RTLSIM = "rtlsim"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Result:
    """Where a run stands: its folder, and what its summary.json says."""

    folder: RunFolder
    summary: dict[str, Any]


def run(config_path: Path, out: Path, progress: Progress) -> Result | None:
    """Make, from data set and board, a searched network, its accelerator, the proof and the report.

    Go on where an earlier call with the same configuration was interrupted. Of several processes that torchrun started,
    the first does what only one can do. The others help with search and training, and get None. Raise CodesignError.
    """
    config = load_config(config_path)
    _need("torch", "codesign run", "codesign[train]")
    from codesign.flow import learn

    if config.log is LogKind.TENSORBOARD:
        _need("tensorboard", "log: tensorboard", "codesign[tensorboard]")
    board = replace(load_board(config.board), limits=config.limits)
    folder = RunFolder(out)
    team = learn.join()
    if not team.leads:
        team.agreed(0)  # when the folder is there
        _, settings, board = opened(out)
        learn.search_and_train(Run(folder, settings, board, silent), config)
        return None
    with begun(folder, "run", config, board):
        team.agreed(0)
        _, settings, board = opened(out)
        now = Run(folder, settings, board, progress)
        check_unchanged(folder, folder.project)
        dataset = learn.search_and_train(now, config)
        learn.accuracy_step(now, config, dataset)
        _machine_steps(now)
        return _report(now)


def compile_model(
    model: Path, config: CompileConfig, out: Path, progress: Progress, images: Path | None = None
) -> Result:
    """Make, from a trained network and a board, an accelerator, the proof and the report.

    `images`: an .npy to simulate with; random images otherwise. It holds integers [N,IY,IX,C] or, where the network has
    an encoding, floats as it was trained on. Raise CodesignError.
    """
    if not files.is_there(model):
        raise ConfigError(f"{model}: no such file; expected an ONNX file")
    _need("onnx", "codesign compile", "codesign[onnx]")
    from codesign.front.onnx_file import read_onnx

    graph, content = read_onnx(model), model.read_bytes()
    board = replace(load_board(config.board), limits=config.limits)
    x = _images(images, graph, config)
    folder = RunFolder(out)
    with begun(folder, "compile", config, board, content):
        check_unchanged(folder, folder.project)
        files.write_bytes(folder.model, content)
        if not folder.graph.exists() or files.load_graph(folder.graph).digest() != graph.digest():
            files.save_graph(graph, folder.graph)
        steps.save_vectors(folder, graph, x)
        _, settings, board = opened(out)
        now = Run(folder, settings, board, progress)
        _machine_steps(now)
        return _report(now)


def repeat(verb: Verb, path: Path, progress: Progress) -> Result:
    """Do a verb again on a run folder, with what it needs brought up to date before. Raise CodesignError."""
    folder, settings, board = opened(path)
    with locked(folder):
        now = Run(folder, settings, board, progress)
        if not folder.graph.exists():
            raise ConfigError(
                f"{path}: has no network yet; finish it with the `codesign {settings.command} ...` that began it"
            )
        if verb is Verb.REPORT:
            if folder.design.exists():
                steps.predict_step(now)  # so that no prediction of an earlier design is shown
        else:
            if verb is not Verb.PREDICT:
                check_unchanged(folder, folder.project)
            again: dict[Verb, tuple[Callable[[Run], None], ...]] = {
                Verb.PREDICT: (),
                Verb.CSIM: (steps.render_step, steps.csim_step),
                Verb.RTLSIM: (steps.render_step, steps.rtlsim_step),
            }
            forget(folder, {Verb.PREDICT: steps.PREDICT, Verb.CSIM: steps.CSIM, Verb.RTLSIM: steps.RTLSIM}[verb])
            for step in (steps.design_step, steps.predict_step, *again[verb]):
                step(now)
        return _report(now)


def compare(path: Path, measured: Path, *, even_if_older: bool = False) -> tuple[Result, Reading]:
    """Take a vendor report or board log into the run's report.

    Raise ConfigError if it belongs to another design, part or clock, or is older than the run's project.
    """
    folder, settings, board = opened(path)
    with locked(folder):
        manifest = folder.project / "manifest.json"
        if not manifest.exists():
            raise ConfigError(f"{path}: has no project that could have been measured yet; finish the run first")
        if not files.is_there(measured):
            raise ConfigError(f"{measured}: no such file")
        graph, design = steps.load_machine(folder)
        reading = read_measured(measured, board, design_hash(graph, design), Project.read(folder.project).digest())
        if not even_if_older and measured.stat().st_mtime < manifest.stat().st_mtime:
            made = time.strftime("%Y-%m-%d %H:%M", time.localtime(os.stat(measured).st_mtime))
            raise ConfigError(
                f"{measured}: stale: of {made}, older than the project in {path}. If the project was rendered again "
                "without a change, or the file's time was lost in copying, add --even-if-older"
            )
        files.save_measurement(reading.measurement, look.measured_file(folder, reading.column))
        return _report(Run(folder, settings, board, _nothing)), reading


def _need(package: str, command: str, requirement: str) -> None:
    """Raise ToolError unless the package is there; what imports it is imported after this, where it is used."""
    if importlib.util.find_spec(package) is None:
        raise ToolError(
            f"`{command}` needs {package}, which is not installed: pip install '{requirement}'. "
            "`codesign doctor` says what works without it"
        )


def _nothing(stage: str, done: int, total: int, note: str = "") -> None:
    """Show nothing: a comparison takes no time worth showing."""


def _machine_steps(now: Run) -> None:
    for step in (steps.module_step, steps.design_step, steps.predict_step, steps.render_step, steps.proof_steps):
        step(now)
    if now.settings.proof.synthesis:
        _report(now)  # synthesis takes longest, and may be given up
    steps.synthesis_step(now)


def _report(now: Run) -> Result:
    return Result(now.folder, look.write_report(now.folder, now.settings, now.board))


def _images(path: Path | None, graph: Graph, config: CompileConfig) -> IntArray:
    wanted = config.proof.csim_images
    if path is None:
        return steps.random_images(graph, config.seed, wanted)
    x = load_npy(path)
    if x.dtype.kind == "f" and not graph.encoding.is_identity and np.isfinite(x).all():
        x = graph.encoding.encode(x, graph.input.otype)  # numbers as in the data that it was trained on
    if x.dtype.kind not in "iu" or x.ndim != 4:
        raise ConfigError(f"{path}: expected integers [N, IY, IX, C], got {x.dtype} {list(x.shape)}")
    if len(x) < wanted:
        raise ConfigError(f"{path}: expected at least {wanted} images (--csim-images), got {len(x)}")
    steps.check_vectors(graph, x.astype(np.int64), str(path))
    return x[:wanted].astype(np.int64)
