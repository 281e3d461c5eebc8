"""The results of a sweep: a table for programs, and a page with the fronts of accuracy and frame rate for a person."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from html import escape

from codesign.data import folder
from codesign.ir.files import read_text
from codesign.report import svg


class State(Enum):
    """How a cell of a sweep ended."""

    DONE = "done"
    WRONG = "wrong"  # something in it is not bit-exact, or a step of its proof failed
    INFEASIBLE = "infeasible"  # no network of the space meets the demand on the board, which is a result too
    FAILED = "failed"
    OPEN = "not run yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One cell of a sweep: what was varied in it, and its results; what is not known is None.

    `accuracy`: of the golden model on the test images. `fps`, cycles and resources are predicted; `fps_simulated` is
    measured in RTL simulation.
    """

    cell: str
    board: str
    space: str
    min_fps: float | None
    max_latency_us: float | None
    seed: int
    state: State
    accuracy: float | None = None
    fps: float | None = None
    interval_cycles: int | None = None
    latency_cycles: int | None = None
    fps_simulated: float | None = None
    dsp: int | None = None
    bram18: int | None = None
    uram: int | None = None
    lut: int | None = None
    ff: int | None = None
    error: str = ""


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes as CSV, a row each; what is not known is empty."""
    text = io.StringIO()
    names = [f.name for f in fields(Outcome)]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for outcome in outcomes:
        values = (getattr(outcome, name) for name in names)
        writer.writerow([value.value if isinstance(value, Enum) else value for value in values])
    return text.getvalue()


def front(outcomes: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """Return those that none surpasses in accuracy and frame rate both, by rising frame rate."""
    known = [o for o in outcomes if o.accuracy is not None and o.fps is not None]
    known.sort(key=lambda o: (-(o.fps or 0.0), -(o.accuracy or 0.0)))
    found: list[Outcome] = []
    for o in known:
        if not found or (o.accuracy or 0.0) > (found[-1].accuracy or 0.0):
            found.append(o)
    return tuple(reversed(found))


def sweep_page(name: str, outcomes: Sequence[Outcome], version: str) -> str:
    """Return the page. It says nothing of time, path or host: equal outcomes give an equal page."""
    style = read_text(folder("templates") / "report" / "style.css")
    counts = [(state, sum(o.state is state for o in outcomes)) for state in State]
    line = f"{len(outcomes)} cells: " + ", ".join(f"{count} {state.value}" for state, count in counts if count)
    sections = [_fronts(outcomes), _rows(outcomes), _failures(outcomes)]
    body = "\n".join(section for section in sections if section)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(name)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f"<header><h1>{escape(name)}</h1><p>{escape(line)}</p></header>\n{body}\n"
        f"<footer>codesign {escape(version)}. Predicted are FPS at nominal clocks, cycles, resources.</footer>\n"
        "</main>\n</body>\n</html>\n"
    )


def _fronts(outcomes: Sequence[Outcome]) -> str:
    """Return a chart for each board that has a result with an accuracy."""
    charts = []
    for board in dict.fromkeys(o.board for o in outcomes):
        own = [o for o in outcomes if o.board == board and o.accuracy is not None and o.fps is not None]
        if own:
            points = [svg.Point(o.fps or 0.0, 100 * (o.accuracy or 0.0), o.cell) for o in own]
            best = [(o.fps or 0.0, 100 * (o.accuracy or 0.0)) for o in front(own)]
            charts.append(f"<div>{svg.scatter_chart(f'{board}: accuracy in % over FPS', points, best)}</div>")
    if not charts:
        return ""
    what = "The line joins the networks that no other surpasses in both accuracy and frame rate."
    return f'<section><h2>Fronts</h2><p>{what}</p><div class="charts">{"".join(charts)}</div></section>'


def _rows(outcomes: Sequence[Outcome]) -> str:
    names = ("cell", "state", "accuracy", "FPS", "interval", "latency", "FPS, RTL-simulated", "DSP", "BRAM18", "LUT")
    head = "".join(f"<th>{name}</th>" for name in (*names, "FF"))
    rows = []
    for o in outcomes:
        share = "" if o.accuracy is None else f"{o.accuracy:.2%}"
        figures = (o.fps, o.interval_cycles, o.latency_cycles, o.fps_simulated, o.dsp, o.bram18, o.lut, o.ff)
        cells = "".join(f"<td>{'' if f is None else f'{f:,.0f}'}</td>" for f in figures)
        rows.append(f"<tr><td>{escape(o.cell)}</td><td>{o.state.value}</td><td>{share}</td>{cells}</tr>")
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    what = "Each cell is a separate run folder below runs/, with its own report."
    return f'<section><h2>Cells</h2><p>{what}</p><div class="scroll">{table}</div></section>'


def _failures(outcomes: Sequence[Outcome]) -> str:
    lines = [f"<dt>{escape(o.cell)}</dt><dd>{escape(o.error)}</dd>" for o in outcomes if o.error]
    if not lines:
        return ""
    what = "Results of the others are kept. The same command tries failed cells again."
    return f'<section><h2>Without a result</h2><p>{what}</p><dl class="facts">{"".join(lines)}</dl></section>'
