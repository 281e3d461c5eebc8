"""One trained network on one board: compared with its own runtime, searched, and simulated in both spellings."""

import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from measure import Clock, multipliers

from codesign.emit.hls import render_hls
from codesign.emit.rtl import render_rtl
from codesign.errors import InfeasibleError, MismatchError, ToolError
from codesign.flow.vectors import random_images
from codesign.front.quantization import RealArray
from codesign.front.read import Format, Origin, read_network
from codesign.front.runtime import compare_with_source, comparison_images, random_inputs, runtime_of, to_file
from codesign.ir.boards import load_board
from codesign.ir.cost import Resources
from codesign.ir.graph import Graph
from codesign.model import golden
from codesign.model.space import design_space
from codesign.ops.arrays import IntArray
from codesign.search.goal import Goal
from codesign.search.intervals import achievable
from codesign.search.sized import search_sized_design
from codesign.sim.csim import csim
from codesign.sim.rtlsim import build, rtlsim

IMAGES = 4  # of both simulations: two behind the middle give an interval
LEAST_COMPARED = 3  # images beside the source runtime, however large the network
TOOL_LIMIT_S = 3600.0
SEED = 0


@dataclass(frozen=True, slots=True)
class Case:
    """A file of the folder, a board, and what the design minimises: interval or latency, in cycles."""

    model: str
    board: str
    goal: str

    def __str__(self) -> str:
        return f"{self.model} on {self.board}, least {self.goal}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What came out for a case; cycles are predicted, except those of RTL. Empty or 0 where it was not reached.

    `least_interval`: no engines of the design space need less, however large the board. `binding`: what keeps the
    interval from shrinking. `refusal`: why no design fits. Seconds are processor seconds, children included.
    """

    model: str
    board: str
    goal: str
    refusal: str = ""
    macs: int = 0
    weights: int = 0
    multipliers: int = 0
    interval: int = 0
    latency: int = 0
    least_interval: int = 0
    proved: int = 0
    binding: str = ""
    dsp: int = 0
    bram18: int = 0
    uram: int = 0
    lut: int = 0
    ff: int = 0
    search_s: float = 0.0
    csim_images: int = 0
    csim_s: float = 0.0
    rtl_images: int = 0
    rtl_words: int = 0
    rtl_interval: int = 0
    rtl_latency: int = 0
    rtl_build_s: float = 0.0
    rtl_run_s: float = 0.0

    @property
    def case(self) -> Case:
        return Case(self.model, self.board, self.goal)

    @property
    def resources(self) -> Resources:
        return Resources(dsp=self.dsp, bram18=self.bram18, uram=self.uram, lut=self.lut, ff=self.ff)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The golden model of a file beside the file's own runtime, on random images.

    `kernels_...`: the same of the runtime's default kernels beside its reference kernels, where it has such.
    """

    model: str
    runtime: str
    images: int
    words: int
    differing_words: int
    largest_steps: int
    mean_steps: float
    differing_predictions: int
    kernels_differing: int = 0
    kernels_largest: int = 0
    kernels_mean: float = 0.0


def compared(path: Path) -> Source:
    """Compare the golden model with the file's runtime on so many random images that it takes seconds.

    Raise ToolError if that runtime is not installed.
    """
    imported = read_network(path)
    assert imported.origin is not None
    if runtime_of(imported) is None:
        raise ToolError(f"{path}: the runtime of {imported.format.value} files is not installed: pip install '.[test]'")
    shape = imported.graph.input.shape
    images = max(LEAST_COMPARED, comparison_images(imported))
    x = random_inputs(imported.origin, (shape.y, shape.x, shape.c), images, SEED)
    source = Source(model=path.name, **asdict(compare_with_source(path, imported, x)))
    if imported.format is not Format.TFLITE:
        return source
    fast, plain = (_litert(path, imported.origin, x, reference) for reference in (False, True))
    off = np.abs(fast - plain)
    return replace(
        source, kernels_differing=int((off > 0).sum()), kernels_largest=int(off.max()), kernels_mean=float(off.mean())
    )


def _litert(path: Path, origin: Origin, x: RealArray, reference: bool) -> IntArray:
    """Return the integers that LiteRT gives for real inputs x[N,Y,X,C], by its default or its reference kernels."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interpreter = Interpreter(
            str(path), num_threads=1, experimental_preserve_all_tensors=True, experimental_op_resolver_type=kernels
        )
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    assert origin.integer_input
    integers = to_file(origin.input.grid.integers(x), origin.input.axes)
    integers += entry["quantization"][1] - origin.input.grid.zero
    found = []
    for image in integers:
        interpreter.set_tensor(entry["index"], image.reshape(entry["shape"]).astype(entry["dtype"]))
        interpreter.invoke()
        found.append(interpreter.get_tensor(int(origin.outputs[0].tensor.partition(":")[0])).ravel().astype(np.int64))
    return np.array(found)


def designed(case: Case, path: Path) -> Row:
    """Return the best design of the case, or why none fits."""
    board, graph = load_board(case.board), read_network(path).graph
    known = {"macs": sum(node.macs for node in graph.operations), "weights": _weights(graph)}
    clock = Clock()
    try:
        with clock.time("search"):
            found, design, cost = search_sized_design(graph, board, Goal(case.goal))
    except InfeasibleError as error:
        return Row(model=case.model, board=case.board, goal=case.goal, refusal=" ".join(str(error).split()), **known)
    return Row(
        model=case.model,
        board=case.board,
        goal=case.goal,
        **known,
        multipliers=multipliers(graph, design),
        interval=cost.interval_cycles,
        latency=cost.latency_cycles,
        least_interval=int(achievable(design_space(graph, board))[0]),
        proved=int(found.proved_optimal),
        binding=" ".join(b.resource for b in found.binding),
        **asdict(cost.resources),
        search_s=clock.median("search"),
    )


def simulated(row: Row, path: Path, work: Path) -> Row:
    """Return the row with both simulations of its design, which is searched again.

    Raise MismatchError if a word differs from the golden model's.
    """
    board, graph = load_board(row.board), read_network(path).graph
    _, design, cost = search_sized_design(graph, board, Goal(row.goal), explain=False)
    x, clock = random_images(graph, SEED, IMAGES), Clock()
    y = golden.run_joined(graph, x)
    with clock.time("csim"):
        in_c = csim(render_hls(graph, design, board, x, y, {}), work / "csim", timeout_s=TOOL_LIMIT_S)
    project = render_rtl(graph, design, board, x, y)
    with clock.time("build"):
        build(project, work / "rtlsim", timeout_s=TOOL_LIMIT_S)
    with clock.time("run"):
        in_rtl = rtlsim(project, work / "rtlsim", timeout_s=TOOL_LIMIT_S)
    for found in (in_c, in_rtl):
        if found.mismatches or found.outputs is None or not np.array_equal(found.outputs.ravel(), y.ravel()):
            raise MismatchError(f"{row.case}: {found.tool} differs from the golden model")
    return replace(
        row,
        interval=cost.interval_cycles,
        latency=cost.latency_cycles,
        multipliers=multipliers(graph, design),
        **asdict(cost.resources),
        csim_images=in_c.images,
        csim_s=clock.median("csim"),
        rtl_images=in_rtl.images,
        rtl_words=y.size,
        rtl_interval=in_rtl.interval_cycles or 0,
        rtl_latency=in_rtl.latency_cycles or 0,
        rtl_build_s=clock.median("build"),
        rtl_run_s=clock.median("run"),
    )


def _weights(graph: Graph) -> int:
    return sum(array.size for name, array in graph.params.items() if name.endswith(".weight"))
