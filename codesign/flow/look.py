"""From the files of a run folder to the report's view of it."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import codesign
from codesign.errors import ConfigError, InfeasibleError
from codesign.flow import quantization, rendered
from codesign.flow.folder import RunFolder, Settings
from codesign.flow.origin import look_at
from codesign.ir import files
from codesign.ir.board import Board
from codesign.ir.cost import Cost
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.ir.measurement import Measurement
from codesign.ir.project import MANIFEST, Project
from codesign.ir.strict import parse
from codesign.report.page import page
from codesign.report.summary import fps, summary
from codesign.report.view import Accuracy, Column, PlainFloat, Search, Series, View

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Binding:
    resource: str
    used: int
    available: int
    interval_with_more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Searched:
    """What 4-search.json says of the design; the digests tell of which graph and design it holds."""

    seconds: float
    evaluations: int
    proved_optimal: bool
    gap: float
    goal: str
    binding: tuple[_Binding, ...]
    bottlenecks: tuple[str, ...]
    notes: tuple[str, ...] = ()
    graph_digest: str = ""
    design_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Learned:
    """What 1-network.json and 2-training.json say of search and training."""

    data: str = ""
    data_notes: tuple[str, ...] = ()
    seconds: float = 0.0
    evaluations: int = 0
    notes: tuple[str, ...] = ()
    course: tuple[Series, ...] = ()


def view(folder: RunFolder, settings: Settings, board: Board) -> View:
    """Return the run so far. What does not belong to the present design is left out, and a remark says so."""
    graph = files.load_graph(folder.graph) if folder.graph.exists() else None
    design = files.load_design(folder.design) if folder.design.exists() else None
    cost, spoilt_cost = _cost(folder)
    network, training = _told(_Learned, folder.network), _told(_Learned, folder.training)
    origin, quantized = look_at(folder), quantization.look_at(folder)
    digest, spoilt = _project(folder, graph, design)
    stored, unreadable = _stored(folder)
    now = [(name, column, m) for name, column, m in stored if m.project_digest == digest]
    stale = [name for name, _, m in stored if m.project_digest != digest and not m.failure]
    simulated = {name: m for name, column, m in now if column is None and not m.failure}
    return View(
        name=settings.name,
        board=board,
        data=network.data,
        data_notes=network.data_notes,
        graph=graph,
        design=design,
        cost=cost,
        origin=origin,
        quantization=quantized,
        accuracy=_accuracy(folder),
        plain=files.read_json_as(PlainFloat, folder.plain) if folder.plain.exists() else None,
        search=_search(folder, graph, design, network),
        course=(*network.course, *training.course),
        csim=simulated.get("C simulation"),
        rtlsim=simulated.get("RTL simulation"),
        rtlsim_stalls=simulated.get("RTL simulation with stalls"),
        measured=tuple((column, m) for _, column, m in now if column is not None and not m.failure),
        remarks=(
            *(() if quantized is None else quantized.notes),
            *(() if origin is None else origin.notes),
            *_misfits(cost, settings, board),
            *_slow_clock(cost, board),
            *_stale_remark(stale),
            *unreadable,
            *spoilt_cost,
        ),
        wrong=(*spoilt, *_wrong((name, m) for name, _, m in now)),
    )


def write_report(folder: RunFolder, settings: Settings, board: Board) -> dict[str, Any]:
    """Write summary.json and report.html; gives the summary."""
    now = view(folder, settings, board)
    plain = summary(now)
    files.write_json(folder.summary, plain)
    files.write_text(folder.report, page(now, codesign.__version__))
    return plain


def measured_file(folder: RunFolder, column: Column) -> Path:
    """Return where a measurement of that column, made elsewhere, is kept; its folder is made."""
    files.make_folder(folder.measured)
    return _kept(folder, column)


def _kept(folder: RunFolder, column: Column) -> Path:
    return folder.measured / f"{column.name.lower()}.json"


def _cost(folder: RunFolder) -> tuple[Cost | None, tuple[str, ...]]:
    """Return the prediction, if there is one, and what is wrong with its file: that must not keep the rest back."""
    try:
        return (files.load_cost(folder.cost) if folder.cost.exists() else None), ()
    except ConfigError as error:
        return None, (f"{error}; left out of the report, `codesign predict` predicts again",)


def _project(folder: RunFolder, graph: Graph | None, design: Design | None) -> tuple[str, tuple[str, ...]]:
    """Return the project's digest, empty unless it is of this graph and design, and what is wrong with its files."""
    if graph is None or design is None or not (folder.project / MANIFEST).exists():
        return "", ()
    standing = rendered.standing(folder, folder.project)
    if standing.changed:
        names = rendered.listed(standing.changed)
        return "", (f"{folder.project}: changed by hand after rendering: {names}; nothing was measured of it",)
    if not standing.complete:
        return "", ()
    manifest = files.read_plain(folder.project / MANIFEST)
    try:
        same = (manifest["network"]["digest"], manifest["design"]["digest"]) == (graph.digest(), design.digest())
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{folder.project / MANIFEST}: has no digest of network and design; delete it") from error
    return (Project.read(folder.project).digest() if same else ""), ()


def _stored(folder: RunFolder) -> tuple[list[tuple[str, Column | None, Measurement]], list[str]]:
    """Return every measurement that is kept, with its name. Except for our own simulations it has a column too.

    A sentence follows for each file that holds none: one spoilt file must not keep the rest from being told.
    """
    places: list[tuple[str, Column | None, Path]] = [
        ("C simulation", None, folder.csim),
        ("RTL simulation", None, folder.rtlsim),
        ("RTL simulation with stalls", None, folder.rtlsim_stalls),
        (Column.OPEN_SYNTHESIS.value, Column.OPEN_SYNTHESIS, folder.synthesis),
        *((column.value, column, _kept(folder, column)) for column in Column),
    ]
    found, unreadable = [], []
    for name, column, path in places:
        if not path.exists():
            continue
        try:
            found.append((name, column, files.load_measurement(path)))
        except ConfigError as error:
            unreadable.append(f"{error}; left out of the report, remove the file or measure again")
    return found, unreadable


def _stale_remark(names: list[str]) -> tuple[str, ...]:
    if not names:
        return ()
    return (f"not measured of the project as it stands, and left out: {', '.join(names)}; measure again",)


def _wrong(measured: Iterable[tuple[str, Measurement]]) -> Iterable[str]:
    """Return a sentence for each measurement that failed or differs from the golden model."""
    for name, m in measured:
        if m.failure:
            yield f"{name} failed: {m.failure}"
        elif m.mismatches:
            yield f"{name}: {m.mismatches:,} words differ from the golden model"


def _misfits(cost: Cost | None, settings: Settings, board: Board) -> Iterable[str]:
    """Return what the design needs more than the board's budget, and what it gives less than is demanded."""
    if cost is None:
        return
    for name, needed, available in cost.resources.excess(board.budget):
        label = getattr(board.fabric.labels, name)
        yield f"does not fit {board.name}: needs {needed:,} {label}, available are {available:,}"
    try:
        demand = settings.demand(board.clock_mhz)
    except InfeasibleError as error:  # the design is by hand: no search found it
        yield str(error)
        return
    if demand.slow(cost.interval_cycles):
        yield f"too slow: {fps(cost.interval_cycles, board.clock_mhz):,} FPS, demanded are {settings.min_fps:,}"
    if demand.late(cost.latency_cycles):
        latency_us = cost.latency_cycles / board.clock_mhz
        yield f"too late: {latency_us:,.2f} µs for an image, demanded are {settings.max_latency_us:,} µs"


def _slow_clock(cost: Cost | None, board: Board) -> Iterable[str]:
    """Return which module is estimated to be too slow for the board's clock."""
    if cost is not None and cost.clock is not None and not cost.clock.reaches(board.clock_mhz):
        slower = f"{fps(cost.interval_cycles, cost.clock.estimated_mhz):,} FPS"
        yield (
            f"clock: {board.clock_mhz:g} MHz is nominal, from the board's file; the slowest path, in "
            f"{cost.clock.slowest}, is estimated to allow {cost.clock.estimated_mhz:.0f} MHz, so {slower}"
        )


def _accuracy(folder: RunFolder) -> Accuracy | None:
    if not folder.accuracy.exists():
        return None
    told, trained = (files.read_plain(p) if p.exists() else {} for p in (folder.accuracy, folder.training))
    rates = {f"{key}_" if key == "float" else key: told.get(key, trained.get(key)) for key in ("float", "quantized")}
    scored = {key: value for key, value in told.items() if key in ("images", "golden", "differing")}
    return parse(Accuracy, {**scored, **rates}, str(folder.accuracy))


def _search(folder: RunFolder, graph: Graph | None, design: Design | None, network: _Learned) -> Search | None:
    """Return the design's search, with the network's if any; it claims nothing of a design that was edited."""
    if not folder.design_search.exists():
        return None
    found = _told(_Searched, folder.design_search)
    of_this = graph is not None and found.graph_digest == graph.digest()
    edited = design is None or not of_this or found.design_digest != design.digest()
    return Search(
        seconds=found.seconds + network.seconds,
        evaluations=found.evaluations + network.evaluations,
        proved_optimal=found.proved_optimal and not edited,
        gap=found.gap,
        goal=found.goal,
        notes=(*network.notes, *(() if edited else (*found.notes, *_binding_notes(found)))),
        edited=edited,
    )


def _binding_notes(found: _Searched) -> list[str]:
    """Return what keeps the interval from shrinking: resources, or nodes for which nothing faster was found."""
    if found.binding or found.goal != "interval":
        return [_binding_note(b) for b in found.binding]
    slowest = ", ".join(found.bottlenecks)
    return [f"no resource alone keeps the interval from shrinking; the slowest: {slowest}"]


def _binding_note(binding: _Binding) -> str:
    return (
        f"{binding.resource} binds: {binding.used:,} of {binding.available:,} used; 5 % more would allow an interval "
        f"of {binding.interval_with_more:,} cycles"
    )


def _told(hint: type[T], path: Path) -> T:
    """Return what the file says of these keys, and nothing where there is no file; it may hold more."""
    plain = files.read_plain(path) if path.exists() else {}
    names = {f.name for f in fields(hint)}  # type: ignore[arg-type]
    return parse(hint, {key: value for key, value in plain.items() if key in names}, str(path))
