"""The verbs of the command line and the Python interface: each brings a run folder to the wanted step."""

import contextlib
import importlib.util
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from codesign.emit.identity import design_hash
from codesign.errors import CodesignError, ConfigError, ToolError
from codesign.flow import look, steps
from codesign.flow.begin import begun, locked
from codesign.flow.config import CompileConfig, LogKind, RunConfig, Step, load_config
from codesign.flow.folder import RunFolder, check_present, copy_checkpoints, opened
from codesign.flow.origin import brought_network, source_step
from codesign.flow.quantization import images_of, quantization_step
from codesign.flow.rendered import check_unchanged
from codesign.flow.steps import Run
from codesign.flow.vectors import chosen_images, encoded, save_images
from codesign.front.torch_module import Traced
from codesign.ir import files
from codesign.ir.board import Board
from codesign.ir.boards import load_board
from codesign.ir.graph import Graph
from codesign.ir.measurement import Measurement
from codesign.ir.project import Project
from codesign.progress import Progress, silent
from codesign.ptq.network import Given
from codesign.report.reading import Reading
from codesign.report.vendor import read_measured


@dataclass(frozen=True, slots=True)
class Result:
    """The state of a run: its folder, and what its summary.json says."""

    folder: RunFolder
    summary: dict[str, Any]


def run(config: Path | RunConfig, out: Path, progress: Progress, until: Step = Step.REPORT) -> Result | None:
    """Make, of a data set and a board, a searched network, its accelerator, the proof and the report.

    Goes on where an earlier call with the same configuration was interrupted, or was to stop. Of several processes that
    torchrun started, the first does what only one can do; the others help with search and training, and get None.
    Raises CodesignError.
    """
    config = config if isinstance(config, RunConfig) else load_config(config)
    _need("torch", "codesign run", "codesign[train]")
    _need_synthesis(until)
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
        return _machine_steps(now, until)


def compile_model(
    model: Path | Graph | Traced,
    config: CompileConfig,
    out: Path,
    progress: Progress,
    images: Path | npt.NDArray[Any] | None = None,
    until: Step = Step.REPORT,
    *,
    board: Board | None = None,
    data: Given | None = None,
) -> Result:
    """Make, from a trained network and a board, an accelerator, the proof and the report.

    `model`: an ONNX or TFLite file, a traced module, or the network itself. `data`: images to quantize a float network,
    if already read. `images`: what to simulate with, an array [N,IY,IX,C] or an .npy. They are integers, or floats as
    in training if the network has an encoding. Without them, the images that score a float network are taken, or random
    ones. `board`: the one that the configuration names, if already read. A file of another tool is compared with its
    own runtime, where that is installed. Raises CodesignError.
    """
    _need_synthesis(until)
    brought = brought_network(model, config, config.calibrate if data is None else data, progress)
    graph, content = brought.imported.graph, brought.content
    board = replace(board or load_board(config.board), limits=config.limits)
    quantized = brought.quantized
    if images is None and quantized is not None:
        images = images_of(quantized, brought.imported, config.proof.csim_images)
    x = chosen_images(images, graph, config)
    folder = RunFolder(out)
    if content is None or not files.is_there(folder.model):
        _check_same_network(folder, graph)
    with begun(folder, "compile", config, board, content):
        check_unchanged(folder, folder.project)
        if content is not None:
            files.write_bytes(brought.file_in(folder), content)
        if not folder.graph.exists() or files.load_graph(folder.graph).digest() != graph.digest():
            files.save_graph(graph, folder.graph)
        save_images(folder, x)
        _, settings, board = opened(out)
        now = Run(folder, settings, board, progress)
        if quantized is not None:
            quantization_step(now, brought.imported, quantized)
        source_step(now, brought, None if images is None else x)
        return _machine_steps(now, until)


def bring(step: Step, path: Path, progress: Progress, *, again: bool = False) -> Result:
    """Bring a run folder to that step, and pass over what it does not need. Raises CodesignError.

    `again`: do the step itself even if its result is still valid.
    """
    if step is Step.SYNTHESIZE:
        _need_synthesis(step)
    with _network_of(path, progress) as now:
        if step is Step.REPORT:
            if now.folder.design.exists():
                steps.predict_step(now)  # so that no prediction of an earlier design is shown
            return _report(now)
        if step is not Step.PREDICT:
            check_unchanged(now.folder, now.folder.project)
        last = replace(now, again=again)
        steps.design_step(now)
        steps.predict_step(last if step is Step.PREDICT else now)
        with _failure_told(now):
            needed = _needed(step)
            for do in needed:
                do(last if do is needed[-1] else now)
        return _report(now)


def _needed(step: Step) -> tuple[Callable[[Run], None], ...]:
    """Return what leads from the prediction to the step."""
    match step:
        case Step.PREDICT | Step.REPORT:
            return ()
        case Step.RENDER:
            return (steps.render_step,)
        case Step.CSIM:
            return (steps.render_step, steps.csim_step)
        case Step.RTLSIM:
            return (steps.render_step, steps.rtlsim_step)
        case Step.SYNTHESIZE:
            return (steps.render_step, steps.synthesis_step)


def csim_of(path: Path, x: npt.NDArray[Any], progress: Progress) -> Measurement:
    """Simulate a run's C++ with images of the caller's, as `compile_model` takes them. Raises CodesignError."""
    with _network_of(path, progress) as now:
        return steps.csim_of(now, encoded(x, files.load_graph(now.folder.graph), "x"))


def rtlsim_of(path: Path, x: npt.NDArray[Any], progress: Progress, stall_seed: int | None = None) -> Measurement:
    """Simulate a run's SystemVerilog with images of the caller's; see csim_of. Raises CodesignError."""
    with _network_of(path, progress) as now:
        return steps.rtlsim_of(now, encoded(x, files.load_graph(now.folder.graph), "x"), stall_seed)


def copy_run(path: Path, out: Path, progress: Progress) -> Result:
    """Make a run folder of what another has, with the project rendered and reported; the tools' scratch stays behind.

    Goes on with a folder `out` of the same configuration. Raises CodesignError; see begin.begun.
    """
    target = RunFolder(out)
    if target.path.resolve() == path.resolve():
        return bring(Step.RENDER, path, progress)
    with _network_of(path, progress) as now:
        source, settings = now.folder, now.settings
        content = source.model.read_bytes() if source.model.exists() else None
        if content is None or not files.is_there(target.model):
            _check_same_network(target, files.load_graph(source.graph))
        with begun(target, settings.command, settings.config, now.board, content):
            check_unchanged(target, target.project)
            steps.check_design_is_ours(target, files.load_design(source.design))
            copy_checkpoints(source, target, (steps.MODULE, steps.RENDER))
            there = Run(target, settings, now.board, progress)
            for step in (steps.module_step, steps.predict_step, steps.render_step):
                step(there)
            return _report(there)


@contextlib.contextmanager
def _network_of(path: Path, progress: Progress) -> Iterator[Run]:
    """Open the run in that folder, and keep other commands out. Raises ConfigError unless it has its network."""
    folder, settings, board = opened(path)
    with locked(folder):
        if not folder.graph.exists():
            raise ConfigError(
                f"{path}: has no network yet; finish it with the `codesign {settings.command} ...` that began it"
            )
        yield Run(folder, settings, board, progress)


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


def _need_synthesis(until: Step) -> None:
    """Raise ToolError, before anything is begun, if synthesis is asked for and cannot be done."""
    if until is Step.SYNTHESIZE:
        _need("pyosys", "codesign synthesize", "codesign[synth]")


def _check_same_network(folder: RunFolder, graph: Graph) -> None:
    """Raise ConfigError if the folder has another network."""
    if files.is_there(folder.graph) and files.load_graph(folder.graph).digest() != graph.digest():
        raise ConfigError(f"{folder.path}: this folder holds a run of another model; name another with --out")


def _machine_steps(now: Run, until: Step) -> Result:
    """From the network to that step, and the report."""
    for step in (steps.module_step, steps.design_step, steps.predict_step):
        step(now)
    if until is not Step.PREDICT:
        with _failure_told(now):
            _project_steps(now, until)
    return _report(now)


def _project_steps(now: Run, until: Step) -> None:
    """From the prediction to a step behind it."""
    steps.render_step(now)
    if until is Step.RENDER:
        return
    steps.proof_steps(now, until)
    if until is Step.SYNTHESIZE:
        _report(now)  # synthesis takes longest, and may be cut off
        steps.synthesis_step(now)
    elif until is Step.REPORT and now.settings.proof.synthesis:
        _report(now)
        steps.wished_synthesis_step(now)


@contextlib.contextmanager
def _failure_told(now: Run) -> Iterator[None]:
    """Write the report also if a step fails, so that no older report hides the failure."""
    try:
        yield
    except CodesignError:
        with contextlib.suppress(CodesignError):
            check_present(now.folder)
            _report(now)
        raise


def _report(now: Run) -> Result:
    return Result(now.folder, look.write_report(now.folder, now.settings, now.board))
