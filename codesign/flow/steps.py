"""The verbs in order, each from the files before it to the files after it. A step whose inputs did not change is
skipped.

They are in one file, so that their inputs and outputs can be read in order. Long because all steps are here.
"""

import contextlib
import importlib.util
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import codesign
from codesign.emit.hls import render_hls
from codesign.emit.rtl import render_rtl
from codesign.emit.scripts import complete_project
from codesign.emit.torch_module import render_torch
from codesign.errors import CodesignError, ConfigError, InfeasibleError, MismatchError, ToolError, UnsupportedError
from codesign.flow import rendered
from codesign.flow.config import Step
from codesign.flow.folder import RunFolder, Settings, check_present, file_digest, forget, is_current, stamp
from codesign.flow.vectors import complete_vectors, load_vectors
from codesign.ir import files
from codesign.ir.board import Board
from codesign.ir.boards import list_boards
from codesign.ir.cost import Cost
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.ir.measurement import Measurement
from codesign.ir.project import Project
from codesign.ir.strict import to_plain
from codesign.machine.legal import check_design
from codesign.model import golden
from codesign.model.predict import predict, predict_with_clock
from codesign.model.schedule import size_buffers
from codesign.ops.arrays import IntArray
from codesign.progress import Progress
from codesign.search.design import SearchResult
from codesign.search.sized import search_sized_design
from codesign.sim.csim import csim
from codesign.sim.rtlsim import rtlsim
from codesign.sim.synth import synthesize

LAYER_IMAGES = 2  # images of which the test bench holds every layer's output, to name the first that differs

# Stamps of steps; messages to the user name steps by them too.
MODULE, PREDICT, RENDER = "module", "predict", "render"
CSIM = "C simulation"
RTLSIM, STALLS = "RTL simulation", "RTL simulation with stalls"
SYNTHESIS = "open synthesis"


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder with what is fixed from its beginning, and where to report progress.

    `again`: steps are done even if their results are still valid. An old result stays until the new one replaces it.
    """

    folder: RunFolder
    settings: Settings
    board: Board
    progress: Progress
    again: bool = False


def module_step(run: Run) -> None:
    """Render the network as a standalone torch.nn.Module."""
    folder, graph = run.folder, files.load_graph(run.folder.graph)
    inputs = [graph.digest(), _version()]
    current = is_current(folder, MODULE, inputs, ())
    if current and rendered.standing(folder, folder.module).complete:
        return
    # Weights that were tuned there stand as long as they are of this network.
    rendered.place(folder, folder.module, render_torch(graph), changed_stand=current)
    stamp(folder, MODULE, inputs)


def design_step(run: Run) -> None:
    """Search the design of the graph on the board; size its buffers from the schedule, and check the whole again.

    Where arrays were chosen with the network, these are the design. The best one is searched all the same, to compare.
    """
    folder, graph = run.folder, files.load_graph(run.folder.graph)
    demand = run.settings.demand(run.board.clock_mhz)
    chosen = file_digest(folder.arrays) if folder.arrays.exists() else None
    cycles = (demand.interval_cycles, demand.latency_cycles)
    inputs = [graph.digest(), run.board.figures(), *cycles, run.settings.goal.value, chosen]
    if is_current(folder, "design", inputs, (folder.design, folder.design_search)):
        return
    run.progress("design search", 0, 1)
    others = tuple(b for b in list_boards() if b.name != run.board.name)
    result, design, cost = search_sized_design(graph, run.board, run.settings.goal, demand=demand, others=others)
    plain = _search_plain(result)
    if chosen is not None:
        best = cost.interval_cycles
        design, cost = _chosen(run, graph)
        note = f"arrays were chosen with the network; its best design would need {best:,} cycles"
        gap = 1 - result.bound / cost.interval_cycles
        plain |= {"proved_optimal": False, "gap": gap, "goal": "interval", "binding": [], "notes": [note]}
    check_design_is_ours(folder, design)
    files.save_design(design, folder.design)
    files.write_json(folder.design_search, {**plain, "graph_digest": graph.digest(), "design_digest": design.digest()})
    stamp(folder, "design", inputs)
    share = f"{cost.interval_cycles:,} cycles, {cost.fps(run.board.clock_mhz):,.0f} FPS predicted at the nominal clock"
    run.progress("design search", 1, 1, share)


def check_design_is_ours(folder: RunFolder, fresh: Design) -> None:
    """Raise ConfigError if the fresh design would replace one that was edited by hand."""
    if not folder.design.exists():
        return
    searched = files.read_plain(folder.design_search).get("design_digest") if folder.design_search.exists() else None
    if files.load_design(folder.design).digest() not in (searched, fresh.digest()):
        raise ConfigError(
            f"{folder.design}: was edited by hand, and the network, the board or the demand is another since. "
            "Move it away to keep it, or delete it"
        )


def _chosen(run: Run, graph: Graph) -> tuple[Design, Cost]:
    """Return the accelerator that was chosen with the network, for its trained graph. Raise InfeasibleError."""
    given = files.load_design(run.folder.arrays)
    with _naming(run.folder.arrays):
        check_design(given, graph)
    design = size_buffers(graph, given)
    cost = predict(graph, design, run.board)
    demand = run.settings.demand(run.board.clock_mhz)
    excess = [*cost.resources.excess(run.board.budget), *demand.excess(cost.interval_cycles, cost.latency_cycles)]
    if excess:
        name, needed, available = excess[0]
        raise InfeasibleError(
            f"design: with the trained weights, the arrays chosen with the network need {needed:,} {name}, allowed are "
            f"{available:,}; search with `hardware: exact`, or demand less"
        )
    return design, cost


def _search_plain(result: SearchResult) -> dict[str, Any]:
    plain = to_plain(result)
    del plain["design"]
    return dict(plain)


def predict_step(run: Run) -> None:
    """Predict the cost of the design on the board."""
    folder, (graph, design) = run.folder, load_machine(run.folder)
    inputs = [graph.digest(), design.digest(), run.board.figures()]
    if not run.again and is_current(folder, PREDICT, inputs, (folder.cost,)):
        try:
            if _clock_stands(files.load_cost(folder.cost), graph, design, run.board):
                return
        except ConfigError as error:
            run.progress(PREDICT, 1, 1, f"{error}; predicted again")
    with _naming(folder.design):
        cost = predict_with_clock(graph, design, run.board)
    files.save_cost(cost, folder.cost)
    stamp(folder, PREDICT, inputs)


def _clock_stands(cost: Cost, graph: Graph, design: Design, board: Board) -> bool:
    """Tell whether an estimated clock is still what it would be; a board's part may change, and what is fitted.

    A cost of an earlier version has none, and stays valid.
    """
    return cost.clock is None or cost.clock == predict_with_clock(graph, design, board).clock


def render_step(run: Run) -> None:
    """Render the project of graph, design, board and images."""
    complete_vectors(run.folder, run.settings.command)
    folder, (graph, design) = run.folder, load_machine(run.folder)
    machine = [graph.digest(), design.digest(), file_digest(folder.cost), to_plain(run.board)]
    inputs = [*machine, file_digest(folder.vectors), run.settings.proof.csim_images, run.settings.proof.rtlsim_images]
    rendered.check_unchanged(folder, folder.project)
    stands = (
        is_current(folder, RENDER, [*inputs, _version()], ()) and rendered.standing(folder, folder.project).complete
    )
    if stands and not run.again:
        return
    run.progress("rendering", 0, 1)
    x, y = load_vectors(folder)
    proof = run.settings.proof
    project = _render_hls(graph, design, run.board, x[: proof.csim_images], y[: proof.csim_images])
    project = project.merge(render_rtl(graph, design, run.board, x[: proof.rtlsim_images], y[: proof.rtlsim_images]))
    project = complete_project(graph, design, run.board, files.load_cost(folder.cost), project, x, y)
    others = rendered.place(folder, folder.project, project)
    stamp(folder, RENDER, [*inputs, _version()])
    kept = f"; kept, and of an earlier design: {rendered.listed(others)}" if others else ""
    run.progress("rendering", 1, 1, f"{len(project.files)} files{kept}")


def _render_hls(graph: Graph, design: Design, board: Board, x: IntArray, y: IntArray) -> Project:
    return render_hls(graph, design, board, x, y, golden.run_all(graph, x[:LAYER_IMAGES]))


def csim_step(run: Run) -> None:
    """Measure the project in C simulation, with g++. Raise ToolError, and note no failure, if that is missing."""

    def simulate(project: Project) -> Measurement:
        return csim(project, run.folder.work / "csim", timeout_s=run.settings.proof.time_limit_s)

    _measure(run, CSIM, run.folder.csim, [run.settings.proof.csim_images], simulate, "g++")


def rtlsim_step(run: Run) -> None:
    """Measure the project with Verilator; again with random stalls on both ends if the configuration says so.

    Raise ToolError, and notes no failure, if that is missing.
    """
    proof = run.settings.proof

    def simulate(seed: int | None) -> Callable[[Project], Measurement]:
        work = run.folder.work / "rtlsim"
        return lambda project: rtlsim(
            project, work, images=proof.rtlsim_images, stall_seed=seed, timeout_s=proof.time_limit_s
        )

    _measure(run, RTLSIM, run.folder.rtlsim, [proof.rtlsim_images], simulate(None), "verilator")
    if proof.stalls:
        inputs = [proof.rtlsim_images, "stalls"]
        _measure(run, STALLS, run.folder.rtlsim_stalls, inputs, simulate(1), "verilator")


def csim_of(run: Run, x: IntArray) -> Measurement:
    """Simulate the C++ with images x[N,IY,IX,C] of the caller's; the run's own measurement stays. Raises as csim."""
    graph, design = load_machine(run.folder)
    project = _render_hls(graph, design, run.board, x, golden.run_joined(graph, x))
    return csim(project, run.folder.work / "csim_of", timeout_s=run.settings.proof.time_limit_s)


def rtlsim_of(run: Run, x: IntArray, stall_seed: int | None) -> Measurement:
    """Simulate the SystemVerilog with images x[N,IY,IX,C] of the caller's; see csim_of. Raises as rtlsim."""
    graph, design = load_machine(run.folder)
    project = render_rtl(graph, design, run.board, x, golden.run_joined(graph, x))
    limit = run.settings.proof.time_limit_s
    return rtlsim(project, run.folder.work / "rtlsim_of", stall_seed=stall_seed, timeout_s=limit)


def proof_steps(run: Run, until: Step = Step.REPORT) -> None:
    """Every simulation up to that step.

    The step that is named needs its program. Any other is passed over without it, and its column stays empty.
    """
    simulations = ((csim_step, CSIM, "g++", Step.CSIM), (rtlsim_step, RTLSIM, "verilator", Step.RTLSIM))
    for step, name, program, this in simulations:
        if until is not this and shutil.which(program) is None:
            _pass_over(run, name, f"{program} is not installed; see `codesign doctor`")
        else:
            step(run)
        if until is this:
            return


def synthesis_step(run: Run) -> None:
    """Measure the project's resources with Yosys. Raise ToolError, or UnsupportedError if an engine is too wide.

    Parts that were synthesized before in this folder are not synthesized again.
    """
    work, limit = run.folder.work / "synthesis", run.settings.proof.time_limit_s

    def simulate(project: Project) -> Measurement:
        return synthesize(project, run.board, work, timeout_s=limit)

    _measure(run, SYNTHESIS, run.folder.synthesis, [], simulate)


def wished_synthesis_step(run: Run) -> None:
    """Do the synthesis that a configuration wishes for; it is passed over, and said, where it cannot be done."""
    if importlib.util.find_spec("pyosys") is None:
        _pass_over(run, SYNTHESIS, "pyosys is not installed; see `codesign doctor`")
        return
    try:
        synthesis_step(run)
    except UnsupportedError as error:
        _pass_over(run, SYNTHESIS, str(error))


def _pass_over(run: Run, name: str, why: str) -> None:
    run.progress(name, 1, 1, f"passed over: {why}")


def _measure(
    run: Run, step: str, path: Path, inputs: list[object], simulate: Callable[[Project], Measurement], program: str = ""
) -> None:
    """Measure the project unless that was done; a failure is noted, so that it does not look like nothing done.

    `program`: without it nothing is begun.
    """
    project = Project.read(run.folder.project)
    key = [project.digest(), *inputs]
    if not run.again and is_current(run.folder, step, key, (path,)):
        return
    if program and shutil.which(program) is None:
        raise ToolError(f"{program}: not found; install it or put it on PATH (codesign doctor lists what is missing)")
    run.progress(step, 0, 1)
    files.make_folder(run.folder.work)
    try:
        with files.writing(run.folder.work):
            measurement = simulate(project)
    except CodesignError as error:
        check_present(run.folder)
        if isinstance(error, MismatchError) or (isinstance(error, ToolError) and not _was_measured(path, project)):
            forget(run.folder, (step,))
            files.save_measurement(_failure(step, project, error), path)
        raise
    check_present(run.folder)
    files.save_measurement(measurement, path)
    stamp(run.folder, step, key)
    run.progress(step, 1, 1, _verdict(measurement))


def _was_measured(path: Path, project: Project) -> bool:
    """Tell whether the file holds a measurement of this project, which stays good if a tool is missing or slow."""
    if not path.exists():
        return False
    found = files.load_measurement(path)
    return found.project_digest == project.digest() and not found.failure


def _failure(step: str, project: Project, error: CodesignError) -> Measurement:
    reason = str(error).splitlines()[0]
    return Measurement(
        tool=step, version="", project_digest=project.digest(), images=0, seconds=0.0, failure=reason or step
    )


def _verdict(m: Measurement) -> str:
    words = []
    if m.mismatches is not None:
        words.append(f"{m.images} images, {m.mismatches} mismatches")
    if m.interval_cycles is not None:
        words.append(f"interval {m.interval_cycles:,} cycles")
    if m.resources is not None:
        words.append(f"{m.resources.dsp} DSP, {m.resources.bram18} BRAM18, {m.resources.lut} LUT, {m.resources.ff} FF")
    return ", ".join(words)


def load_machine(folder: RunFolder) -> tuple[Graph, Design]:
    """Load the graph and the design of the run. Raise ConfigError, naming the file, if the machine cannot be built."""
    graph, design = files.load_graph(folder.graph), files.load_design(folder.design)
    with _naming(folder.design):
        check_design(design, graph)
    return graph, design


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let a complaint about a design name the file that a user can edit."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{path}: {str(error).removeprefix('design: ')}") from error


def _version() -> str:
    return codesign.__version__
