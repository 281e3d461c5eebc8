"""From the files of a run folder to the report's view of it."""

import logging
from pathlib import Path
from typing import Any

import codesign
from codesign.flow.folder import RunFolder, Settings
from codesign.ir import files
from codesign.ir.board import Board
from codesign.ir.measurement import Measurement
from codesign.ir.project import Project
from codesign.report.page import page
from codesign.report.summary import summary
from codesign.report.view import Accuracy, Column, Search, Series, View

_LOG = logging.getLogger(__name__)


def view(folder: RunFolder, settings: Settings, board: Board) -> View:
    """The run as far as it has come."""
    digest = Project.read(folder.project).digest() if folder.project.exists() else ""
    measured = [(Column.OPEN_SYNTHESIS, folder.synthesis)]
    measured += [(c, measured_file(folder, c)) for c in Column]
    return View(
        name=settings.name,
        board=board,
        data=str(_json(folder.network).get("data", "")),
        data_notes=tuple(_json(folder.network).get("data_notes", ())),
        graph=files.load_graph(folder.graph) if folder.graph.exists() else None,
        design=files.load_design(folder.design) if folder.design.exists() else None,
        cost=files.load_cost(folder.cost) if folder.cost.exists() else None,
        accuracy=_accuracy(folder),
        search=_search(folder),
        course=_course(folder),
        csim=_measurement(folder.csim, digest),
        rtlsim=_measurement(folder.rtlsim, digest),
        rtlsim_stalls=_measurement(folder.rtlsim_stalls, digest),
        measured=tuple((c, m) for c, path in measured if (m := _measurement(path, digest)) is not None),
    )


def write_report(folder: RunFolder, settings: Settings, board: Board) -> dict[str, Any]:
    """Write summary.json and report.html; gives the summary."""
    now = view(folder, settings, board)
    plain = summary(now)
    files.write_json(folder.summary, plain)
    files.write_text(folder.report, page(now, codesign.__version__))
    return plain


def measured_file(folder: RunFolder, column: Column) -> Path:
    """Where a measurement of that column, made elsewhere, is kept."""
    return folder.measured / f"{column.name.lower()}.json"


def _accuracy(folder: RunFolder) -> Accuracy | None:
    found = _json(folder.accuracy)
    if not found:
        return None
    training = _json(folder.training)
    return Accuracy(
        images=int(found["images"]),
        golden=float(found["golden"]),
        float_=training.get("float"),
        quantized=training.get("quantized"),
        differing=found["differing"],
    )


def _search(folder: RunFolder) -> Search | None:
    """The design's search, with the network's if there was one."""
    design, network = _json(folder.design_search), _json(folder.network)
    if not design:
        return None
    return Search(
        seconds=float(design["seconds"]) + float(network.get("seconds", 0.0)),
        evaluations=int(design["evaluations"]) + int(network.get("evaluations", 0)),
        proved_optimal=bool(design["proved_optimal"]),
        gap=float(design["gap"]),
        goal=str(design["goal"]),
        notes=(*network.get("notes", ()), *design.get("notes", ()), *_binding_notes(design)),
    )


def _binding_notes(design: dict[str, Any]) -> list[str]:
    """What keeps the interval from shrinking: resources, or nodes for which nothing faster was found."""
    if design["binding"] or design["goal"] != "interval":
        return [_binding_note(b) for b in design["binding"]]
    slowest = ", ".join(design["bottlenecks"])
    return [f"no resource alone keeps the interval from shrinking; the slowest: {slowest}"]


def _binding_note(binding: dict[str, Any]) -> str:
    used, available = binding["used"], binding["available"]
    return (
        f"{binding['resource']} binds: {used:,} of {available:,} used; 5 % more would allow an interval of "
        f"{binding['interval_with_more']:,} cycles"
    )


def _course(folder: RunFolder) -> tuple[Series, ...]:
    found = [*_json(folder.network).get("course", ()), *_json(folder.training).get("course", ())]
    return tuple(Series(title=s["title"], points=tuple(map(tuple, s["points"])), target=s["target"]) for s in found)


def _measurement(path: Path, project_digest: str) -> Measurement | None:
    """What the file holds, if it is there and was measured on the project as it is now."""
    if not path.exists():
        return None
    found = files.load_measurement(path)
    if found.project_digest != project_digest:
        _LOG.warning("%s: measured on an earlier project, left out of the report", path)
        return None
    return found


def _json(path: Path) -> dict[str, Any]:
    return dict(files.read_json(path)) if path.exists() else {}
