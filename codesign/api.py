"""The Python interface: what the command line does, as functions and values.

    built = codesign.compile("model.onnx", board="pynq-z2", min_fps=20_000)
    print(built.cost.fps(built.board.clock_mhz))
    assert built.csim(x).mismatches == 0
    built.write("out")

A prediction takes seconds. What takes longer is done when it is asked for, and only once.

Long because every function names its parameters for Python users.
"""

import dataclasses
import hashlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from codesign.errors import ConfigError
from codesign.flow import sweep as sweeps
from codesign.flow import verbs
from codesign.flow.config import LEAST_RTLSIM_IMAGES, CompileConfig, ProofConfig, RunConfig, Step, run_name, step_named
from codesign.flow.folder import RunFolder, opened
from codesign.flow.sweep import SweepConfig
from codesign.front.torch_module import Traced, is_module, read_module
from codesign.ir import files
from codesign.ir.board import Board, Limits
from codesign.ir.boards import list_boards
from codesign.ir.cost import Cost
from codesign.ir.dataset import Dataset
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.ir.measurement import Measurement
from codesign.ir.project import Project
from codesign.ir.strict import parse, to_plain
from codesign.machine.elaborate import Machine, elaborate
from codesign.progress import Progress, silent
from codesign.ptq.config import QuantizeConfig
from codesign.report.sweep import Outcome
from codesign.search.goal import Goal

T = TypeVar("T")

Images = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Built:
    """A network with its accelerator, as `compile` and `run` return it. It does further steps when asked.

    Everything lies in the run folder `folder`. Without `out` it is temporary, and is removed with this object. All
    methods raise the exceptions of codesign.errors, with the texts of the command line.
    """

    folder: Path
    _progress: Progress = dataclasses.field(repr=False)

    @cached_property
    def graph(self) -> Graph:
        """Return the integer network."""
        return files.load_graph(self._files.graph)

    @cached_property
    def board(self) -> Board:
        """Return the board, with the limits that were set."""
        return opened(self.folder)[2]

    @property
    def design(self) -> Design:
        """Return the design that was found, with its buffers sized."""
        return files.load_design(self._files.design)

    @property
    def machine(self) -> Machine:
        """Return the hardware of the design: modules and the channels between them."""
        return elaborate(self.graph, self.design)

    @property
    def cost(self) -> Cost:
        """Return the predicted cycles and resources of the design."""
        verbs.bring(Step.PREDICT, self.folder, self._progress)
        return files.load_cost(self._files.cost)

    @property
    def project(self) -> Project:
        """Return the rendered project: HLS C++, SystemVerilog, host code, scripts. It is rendered once."""
        verbs.bring(Step.RENDER, self.folder, self._progress)
        return Project.read(self._files.project)

    def csim(self, x: Images | None = None) -> Measurement:
        """Simulate the C++ with g++, and return its outputs [N, OY, OX, K]; of several, [N, elements of all].

        x[N, IY, IX, C]: integers of the network's input, or numbers as in the data where the network has an encoding.
        Without x: the images of the run, once. Raises MismatchError if a word differs from the golden model's.
        """
        if x is not None:
            return self._shaped(verbs.csim_of(self.folder, x, self._progress))
        verbs.bring(Step.CSIM, self.folder, self._progress)
        return self._shaped(files.load_measurement(self._files.csim))

    def rtlsim(self, x: Images | None = None, *, stall_seed: int | None = None) -> Measurement:
        """Simulate the SystemVerilog with Verilator, and return its outputs as csim does, interval and latency.

        x: as csim takes it; from 4 images on there is an interval. `stall_seed`: hold both ends back at random; there
        are no cycles then. Without x: the images of the run, once, and with stalls as its configuration says.
        Raises MismatchError if a word differs from the golden model's, ConfigError for a stall_seed without x.
        """
        if x is not None:
            return self._shaped(verbs.rtlsim_of(self.folder, x, self._progress, stall_seed))
        if stall_seed is not None:
            raise ConfigError("rtlsim: stall_seed is for images of your own; give x as well")
        verbs.bring(Step.RTLSIM, self.folder, self._progress)
        return self._shaped(files.load_measurement(self._files.rtlsim))

    def synthesize(self) -> Measurement:
        """Count the resources of the SystemVerilog with Yosys, once; it takes minutes.

        Raises ToolError without pyosys, UnsupportedError if an engine is too wide.
        """
        verbs.bring(Step.SYNTHESIZE, self.folder, self._progress)
        return files.load_measurement(self._files.synthesis)

    def summary(self) -> dict[str, Any]:
        """Return what summary.json says: prediction, and what was measured up to now."""
        return verbs.bring(Step.REPORT, self.folder, self._progress).summary

    def report(self) -> str:
        """Return the report as a page of HTML that needs no other file."""
        verbs.bring(Step.REPORT, self.folder, self._progress)
        return files.read_text(self._files.report)

    def write(self, out: str | os.PathLike[str]) -> Path:
        """Write the run folder that the command line would leave, with the project rendered; return its path.

        It holds `project/`, `network/`, `report.html`, `summary.json` and the numbered files, so that `codesign csim
        OUT` goes on with it. What is done later here is not written there, unless you write again. Raises ConfigError
        if `out` holds something else.
        """
        return verbs.copy_run(self.folder, Path(out), self._progress).folder.path

    @property
    def _files(self) -> RunFolder:
        return RunFolder(self.folder)

    def _shaped(self, measurement: Measurement) -> Measurement:
        """Return the measurement with its outputs as [N, OY, OX, K]; those of several stay [N, elements]."""
        if measurement.outputs is None or len(self.graph.output_nodes) > 1:
            return measurement
        o = self.graph.output.oshape
        return dataclasses.replace(measurement, outputs=measurement.outputs.reshape(-1, o.y, o.x, o.c))


def compile(
    model: str | os.PathLike[str] | Graph | Any,
    *,
    board: str | Board,
    min_fps: float | None = None,
    max_latency_us: float | None = None,
    goal: Goal | str | None = None,
    limits: Limits | Mapping[str, int] | None = None,
    images: Images | None = None,
    name: str | None = None,
    seed: int = 0,
    proof: ProofConfig | Mapping[str, Any] | None = None,
    out: str | os.PathLike[str] | None = None,
    until: Step | str = Step.PREDICT,
    input_shape: Sequence[int] | None = None,
    example: Images | None = None,
    calibrate: str | os.PathLike[str] | Images | Dataset | None = None,
    quantize: QuantizeConfig | Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> Built:
    """Search the best accelerator of a trained network on a board, and return both, with the predicted cost.

    `model`: an ONNX or TFLite file, a torch.nn.Module, or a Graph; `board`: a Board, its name, or a .yaml file.
    `min_fps`: the cheapest design that is this fast; without it, the fastest. `max_latency_us`: the most microseconds
    for one image. `goal`: "interval", "latency" or "resources", what is to be least. `limits`: the most of a resource
    that may be taken, such as {"lut": 20_000}. `images` [N, IY, IX, C]: to simulate with, at least 4; random ones of
    `seed` otherwise. `proof`: how much is simulated, see ProofConfig. `out`: the run folder, where the same call goes
    on another time; without it, nothing stays but what `Built.write` writes. `until`: a step up to which all is done at
    once. `input_shape`: the extents of the input behind the batch, where the file leaves them open. `example`: an input
    [N, ...] that a module is traced with; without it, the calibration images. `calibrate`: images [N, ...] that a float
    network is quantized by, an .npz, an .npy, a folder, or a data set or its name. `quantize`: how, see QuantizeConfig.
    Raises InfeasibleError if nothing fits, ConfigError, UnsupportedError, ToolError; see codesign.errors.
    """
    data = os.fspath(calibrate) if isinstance(calibrate, os.PathLike) else calibrate
    source = _network(model, example, data)
    plain: dict[str, Any] = {"min_fps": min_fps, "max_latency_us": max_latency_us, "seed": seed}
    plain |= {
        "name": run_name(_stem(source)) if name is None else name,
        "board": board.name if isinstance(board, Board) else board,
        "goal": goal.value if isinstance(goal, Goal) else goal,
        "limits": _plain(board.limits if limits is None and isinstance(board, Board) else limits),
        "input_shape": None if input_shape is None else list(input_shape),
        "calibrate": data if data is None or isinstance(data, str) else _digest_of(data),
        "quantize": _plain(quantize),
        "proof": _plain(proof) if proof is not None or images is None else _proof_of(images),
    }
    config = parse(CompileConfig, {key: value for key, value in plain.items() if value is not None}, "codesign.compile")
    step, given = _step(until, "codesign.compile"), board if isinstance(board, Board) else None
    begin = partial(verbs.compile_model, source, config, images=images, until=step, board=given, data=data)
    return _built(lambda folder: begin(folder, progress), out, progress)


def run(
    config: str | os.PathLike[str] | RunConfig,
    *,
    out: str | os.PathLike[str] | None = None,
    until: Step | str = Step.PREDICT,
    progress: Progress = silent,
) -> Built:
    """Search a network and its accelerator together, train the network, and return both, with the predicted cost.

    `config`: a file as in examples/, or a RunConfig. A search takes minutes to hours: with `out`, a run folder, the
    same call continues where it was interrupted. `until` and errors are those of `compile`; torch is needed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("codesign.run: works in one process; start several with `torchrun ... -m codesign run`")
    source = config if isinstance(config, RunConfig) else Path(config)
    step = _step(until, "codesign.run")
    return _built(lambda folder: verbs.run(source, folder, progress, step), out, progress)


def sweep(
    config: str | os.PathLike[str] | SweepConfig,
    *,
    out: str | os.PathLike[str],
    jobs: int | None = None,
    ray: str | None = None,
    progress: Progress = silent,
) -> tuple[Outcome, ...]:
    """Run one configuration over boards, demands, seeds and spaces, and return what each came to, failures included.

    `config`: a file, or a SweepConfig. `out`: a folder, where the same call continues with what is not done. `jobs`:
    runs at a time, as many as the cores hold otherwise; `ray`: the address of a Ray cluster to run them on instead.
    Raises ConfigError, ToolError.
    """
    source = config if isinstance(config, SweepConfig) else Path(config)
    return sweeps.sweep(source, Path(out), progress, jobs=jobs, ray=ray)


def boards() -> dict[str, Board]:
    """Return every board that comes with codesign, by name."""
    return {board.name: board for board in list_boards()}


def _built(begin: Callable[[Path], object], out: str | os.PathLike[str] | None, progress: Progress) -> Built:
    if out is not None:
        begin(Path(out))
        return Built(Path(out), progress)
    home = tempfile.mkdtemp(prefix="codesign-")
    folder = Path(home) / "run"
    try:
        begin(folder)
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    built = Built(folder, progress)
    weakref.finalize(built, shutil.rmtree, home, ignore_errors=True)
    return built


def _network(model: Any, example: Images | None, data: object) -> Path | Graph | Traced:
    """Return the network that was given, traced if it is a module. Raises ConfigError, UnsupportedError."""
    if isinstance(model, Graph):
        return model
    name = type(model).__name__
    if isinstance(model, str | os.PathLike):
        return Path(model)
    if not is_module(model):
        raise ConfigError(f"codesign.compile: model: expected a file, a Graph or a torch.nn.Module, got {name}")
    if example is None and (data is None or isinstance(data, str | Dataset)):
        raise ConfigError(f"{name}: a module needs an example of its input [N, ...]; give one as example=")
    return Traced(model, read_module(model, data if example is None else example, name))


def _stem(source: Path | Graph | Traced) -> str:
    """Return what a run is named after."""
    match source:
        case Path():
            return source.stem
        case Graph():
            return source.name
        case Traced():
            return source.source.name


def _digest_of(data: Images | Dataset) -> str:
    """Return what stands for data in a configuration: its digest."""
    if isinstance(data, Dataset):
        return f"data set {data.digest()}"
    array = np.ascontiguousarray(data)
    return f"array {hashlib.sha256(repr((array.shape, array.dtype.str)).encode() + array.tobytes()).hexdigest()}"


def _step(until: Step | str, where: str) -> Step:
    try:
        return until if isinstance(until, Step) else step_named(until)
    except ConfigError as error:
        raise ConfigError(f"{where}: until: {error}") from error


def _plain(value: object) -> dict[str, Any] | None:
    """Return what was set of a configuration, given as such or as names and values; None if nothing was."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return dict(value)
    assert dataclasses.is_dataclass(value)
    return dict(to_plain(value))


def _proof_of(images: Images) -> dict[str, int]:
    """Return how many images are simulated where as many were given."""
    found, usual = len(np.asarray(images)), ProofConfig()
    if found < LEAST_RTLSIM_IMAGES:
        raise ConfigError(f"images: expected at least {LEAST_RTLSIM_IMAGES}, got {found}")
    return {"csim_images": min(found, usual.csim_images), "rtlsim_images": min(found, usual.rtlsim_images)}
