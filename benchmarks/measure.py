"""One design of one network: searched, rendered, compiled and simulated in both spellings, with the time of each."""

import json
import re
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from workloads import random_images, workload

from codesign.emit.hls import render_hls
from codesign.emit.rtl import render_rtl
from codesign.emit.scripts import complete_project
from codesign.errors import MismatchError
from codesign.ir.board import Board, Fill
from codesign.ir.boards import load_board
from codesign.ir.cost import Resources
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.ir.project import Project
from codesign.model import golden
from codesign.model.predict import predict
from codesign.model.schedule import size_buffers
from codesign.model.space import Site, Space, design_space
from codesign.ops.conv import Conv
from codesign.ops.requantize import Scaling
from codesign.search.design import search_design
from codesign.search.goal import Goal
from codesign.sim.csim import compile_bench
from codesign.sim.rtlsim import build, rtlsim
from codesign.sim.tool import run_tool

AMPLE = 10**7  # of every resource that the comparison does not limit
TOOL_LIMIT_S = 900.0
PROJECT_IMAGES = 8  # in a project's test data while the time to generate it is taken
CSIM_RUNS = 3  # of which the median counts


@dataclass(frozen=True, slots=True)
class Case:
    """A network, the multipliers it may use, and how its sums are scaled."""

    workload: str
    budget: int
    scaling: Scaling
    csim_images: int
    rtl_images: int

    def __str__(self) -> str:
        return f"{self.workload} with {self.budget} multipliers, {self.scaling.value} scaling"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came out; seconds are processor seconds, user and system, children included."""

    case: Case
    multipliers: int
    engines: str
    proved_optimal: bool
    predicted_interval: int
    predicted_latency: int
    interval: int | None
    latency: int | None
    options_per_s: float
    generate_s: float
    csim_build_s: float
    csim_images_per_s: float
    rtl_build_s: float
    rtl_run_s: float


@dataclass(slots=True)
class Clock:
    """Processor seconds by what they were spent on."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    @contextmanager
    def time(self, what: str) -> Iterator[None]:
        begun = _processor_s()
        yield
        self.seconds.setdefault(what, []).append(_processor_s() - begun)

    def median(self, what: str) -> float:
        return float(np.median(self.seconds[what]))


def measure(case: Case, work: Path) -> Result:
    """Do everything for one case in the folder `work`.

    Raise MismatchError if a word of either simulation differs from the golden model's, and the other errors of the
    package where something fails.
    """
    clock = Clock()
    graph = workload(case.workload, case.scaling)
    board = board_of(case.budget)
    x = random_images(graph, max(case.csim_images, case.rtl_images))
    y = golden.run(graph, x, batch=16)
    with clock.time("search"):
        space = only_dsps(design_space(graph, board))
        design, proved = best_design(case, board)
    with clock.time("render"):
        cost = predict(graph, design, board)
        few_x, few_y = x[:PROJECT_IMAGES], y[:PROJECT_IMAGES]
        project = render_hls(graph, design, board, few_x, few_y, {})
        project = project.merge(render_rtl(graph, design, board, few_x, few_y))
        complete_project(graph, design, board, cost, project, few_x, few_y)

    hls = render_hls(graph, design, board, x[: case.csim_images], y[: case.csim_images], {})
    _csim(hls, work / "csim", case.csim_images, clock)
    rtl = render_rtl(graph, design, board, x[: case.rtl_images], y[: case.rtl_images])
    with clock.time("rtl build"):
        build(rtl, work / "rtlsim", timeout_s=TOOL_LIMIT_S)
    with clock.time("rtl run"):
        found = rtlsim(rtl, work / "rtlsim", timeout_s=TOOL_LIMIT_S)
    expected = y[: case.rtl_images].reshape(case.rtl_images, -1)
    if found.mismatches != 0 or found.outputs is None or not np.array_equal(found.outputs, expected):
        raise MismatchError(f"{case}: the RTL simulation differs from the golden model")
    return Result(
        case=case,
        multipliers=multipliers(graph, design),
        engines=_engines(graph, design),
        proved_optimal=proved,
        predicted_interval=cost.interval_cycles,
        predicted_latency=cost.latency_cycles,
        interval=found.interval_cycles,
        latency=found.latency_cycles,
        options_per_s=space.points / clock.median("search"),
        generate_s=clock.median("search") + clock.median("render"),
        csim_build_s=clock.median("csim build"),
        csim_images_per_s=case.csim_images / clock.median("csim run"),
        rtl_build_s=clock.median("rtl build"),
        rtl_run_s=clock.median("rtl run"),
    )


def board_of(budget: int) -> Board:
    """Return a board that has `budget` DSPs for a design, and of everything else more than any design needs."""
    have = Resources(dsp=budget, bram18=AMPLE, uram=0, lut=AMPLE, ff=AMPLE)
    every = Fill(dsp=1.0, bram18=1.0, uram=1.0, lut=1.0, ff=1.0)
    return replace(load_board("zcu102"), name=f"dsp{budget}", resources=have, fill=every)


def best_design(case: Case, board: Board) -> tuple[Design, bool]:
    """Return the design of least interval and then least latency, and whether the interval is proved the least.

    It is searched with multipliers in DSPs only, and with scaling by powers of two, which needs none. So the DSPs are
    what multiplies weights.
    """
    graph = workload(case.workload, Scaling.POWER_OF_TWO)
    space = only_dsps(design_space(graph, board))
    fast = search_design(graph, board, explain=False, space=space)
    prompt = search_design(
        graph,
        board,
        Goal.LATENCY,
        max_interval=fast.interval_cycles,
        explain=False,
        space=space,
    )
    return size_buffers(graph, prompt.design), fast.proved_optimal


def only_dsps(space: Space) -> Space:
    """Return the part of the space whose convolutions multiply in DSPs."""
    return replace(space, sites=tuple(_only_dsps(space.graph, site) for site in space.sites))


def _only_dsps(graph: Graph, site: Site) -> Site:
    engines = site.options.engines
    if engines is None or not isinstance(graph.node(site.name), Conv):
        return site
    return replace(site, options=site.options.take(np.flatnonzero(engines.dsp)))


def multipliers(graph: Graph, design: Design) -> int:
    """Return PE * SIMD * taps, summed over the convolutions."""
    engines = [design.engine_of(node.name) for node in graph.nodes if isinstance(node, Conv)]
    return sum(engine.pe * engine.simd * engine.taps for engine in engines)


def _engines(graph: Graph, design: Design) -> str:
    engines = [design.engine_of(node.name) for node in graph.nodes if isinstance(node, Conv)]
    return ", ".join(f"{e.name} {e.pe}x{e.simd}{f'x{e.taps}' if e.taps > 1 else ''}" for e in engines)


def _csim(project: Project, work: Path, images: int, clock: Clock) -> None:
    """Build the bench, and run it a few times. Raise MismatchError unless all its images were equal."""
    project.write(work / "project")
    folder = work / "project" / "hls"
    with clock.time("csim build"):
        bench = compile_bench(folder, work, timeout_s=TOOL_LIMIT_S)
    for _ in range(CSIM_RUNS):
        with clock.time("csim run"):
            text = run_tool([bench, "tb/data"], cwd=folder, timeout_s=TOOL_LIMIT_S, log=work / "csim.log")
    line = re.search(r"^CSIM (\{.*\})$", text, re.MULTILINE)
    counts = json.loads(line[1]) if line else {}
    if counts.get("images") != images or counts.get("mismatches") != 0:
        raise MismatchError(f"the C simulation differs from the golden model; its log is {work / 'csim.log'}")


def _processor_s() -> float:
    """Return the processor seconds of this process and of those it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
