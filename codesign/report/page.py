"""report.html: one file without scripts or network access, for a person. Its sections are here in their order.

Long because every section of the page is here.
"""

from collections.abc import Iterable, Iterator
from html import escape

from codesign.data import folder
from codesign.ir.cost import NAMES, Clock, EngineCost, Resources
from codesign.ir.files import read_text
from codesign.ir.measurement import Measurement
from codesign.machine.elaborate import Unit
from codesign.model.limit import limit_interval
from codesign.report import svg
from codesign.report.machine import machine_figure
from codesign.report.origin import origin_section
from codesign.report.quantization import quantization_section
from codesign.report.usage import Usage, engine_usage
from codesign.report.usage import reason as usage_reason
from codesign.report.view import Column, View


def page(view: View, version: str) -> str:
    """Return the whole page. It says nothing of time, path or host: an equal run gives an equal page."""
    style = read_text(folder("templates") / "report" / "style.css")
    sections = (
        _notices(view),
        _machine(view),
        _compared(view),
        _resources(view),
        _engines(view),
        _accuracy(view),
        quantization_section(view),
        origin_section(view),
        _data(view),
        _course(view),
        _proof(view),
    )
    body = "\n".join(s for s in sections if s)
    title = escape(f"{view.name} on {view.board.title}")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>\n{style}</style>\n</head>\n<body>\n<main>\n{_header(view)}\n{_tiles(view)}\n{body}\n"
        f"<footer>codesign {escape(version)}. Columns are never mixed; a cell that was not measured stays empty."
        "</footer>\n</main>\n</body>\n</html>\n"
    )


def _header(view: View) -> str:
    board = view.board
    data = f" · {view.data}" if view.data else ""
    line = f"{board.title}, {board.part}, at {board.clock_mhz:g} MHz, nominal{data}"
    return f"<header><h1>{escape(view.name)}</h1><p>{escape(line)}</p></header>"


def _tiles(view: View) -> str:
    tiles = []
    clock = view.board.clock_mhz
    if view.rtlsim is not None and view.rtlsim.interval_cycles is not None:
        tiles.append(
            _tile("FPS, RTL-simulated", f"{clock * 1e6 / view.rtlsim.interval_cycles:,.0f}", f"at {clock:g} MHz")
        )
    if view.cost is not None:
        note = f"{view.cost.interval_cycles:,} cycles an image, at the nominal clock"
        tiles.append(_tile("FPS, predicted", f"{view.cost.fps(clock):,.0f}", note))
        tiles.extend(_clock_tile(view.cost.clock, clock))
    if view.accuracy is not None:
        note = f"golden model, {view.accuracy.images:,} test images"
        tiles.append(_tile("accuracy", f"{view.accuracy.golden:.2%}", note))
    runs = [m for m in (view.csim, view.rtlsim, view.rtlsim_stalls) if m is not None and m.mismatches is not None]
    if view.wrong and not any(m.mismatches for m in runs):
        tiles.append(_tile("C and RTL against golden", "not proved", "see below", "bad"))
    elif runs:
        wrong = sum(m.mismatches or 0 for m in runs)
        images = sum(m.images for m in runs)
        value = "bit-exact" if wrong == 0 else f"{wrong:,} mismatches"
        tiles.append(
            _tile("C and RTL against golden", value, f"{images:,} images simulated", "bad" if wrong else "good")
        )
    if view.cost is not None:
        share, name = max((s, n) for n, _, s in _shares(view.cost.resources, view))
        fits = view.cost.resources.fits(view.board.budget)
        note = f"{name} is the fullest" if fits else f"{name} is over the board's budget"
        tiles.append(_tile("of the board's budget", f"{share:.0%}", note, "" if fits else "bad"))
    return f'<div class="tiles">{"".join(tiles)}</div>' if tiles else ""


def _clock_tile(clock: Clock | None, nominal_mhz: float) -> Iterator[str]:
    if clock is not None:
        note = f"slowest: {clock.slowest}; not placed and routed"
        css = "" if clock.reaches(nominal_mhz) else "bad"
        yield _tile("clock, estimated", f"{clock.estimated_mhz:.0f} MHz", note, css)


def _tile(label: str, value: str, note: str, css: str = "") -> str:
    return (
        f'<div class="tile {css}"><div class="label">{escape(label)}</div><div class="value">{escape(value)}</div>'
        f'<div class="note">{escape(note)}</div></div>'
    )


def _notices(view: View) -> str:
    """Return what is wrong and what must be known, before any figure."""
    lines = [f'<p class="notice bad">{escape(w)}</p>' for w in view.wrong]
    return "\n".join([*lines, *(f'<p class="notice">{escape(r)}</p>' for r in view.remarks)])


def _machine(view: View) -> str:
    if view.graph is None:
        return ""
    legend = _legend(
        (("--conv", "convolution"), ("--depthwise", "depthwise"), ("--pool", "pooling, resize"))
        + (("--add", "addition, concat"),)
        + ((("--accent", "busy cycles, predicted"),) if view.cost else ())
        + ((("--second", "busy cycles, RTL-simulated"),) if view.rtlsim and view.rtlsim.engine_cycles else ())
    )
    what = "Each engine is shown beside the nodes that it runs. All work at once, so the slowest sets the pace."
    return _section("Network, engines and cycles", what, f'<div class="scroll">{machine_figure(view)}</div>{legend}')


def _compared(view: View) -> str:
    if view.cost is None:
        return ""
    columns = view.columns()
    head = "".join(f"<th>{escape(c.value)}</th>" for c, _ in columns)
    tools = "".join(f"<td>{'' if m is None else escape(_tool(m))}</td>" for _, m in columns)
    rows = [f'<tr class="tools"><td>tool</td><td class="first">codesign</td>{tools}</tr>']
    rows += [
        _row(label, value, [(value * _pace(view, m, of), _measured(view, m, of)) for _, m in columns])
        for label, value, of in _figures(view)
    ]
    head = f"<thead><tr><th></th><th>{Column.PREDICTED.value}</th>{head}</tr></thead>"
    table = f"<table>{head}<tbody>{''.join(rows)}</tbody></table>"
    what = f"Below each measured figure: (predicted − measured) / measured. FPS is at {view.board.clock_mhz:g} MHz"
    others = [f"{c.value} at {m.clock_mhz:.6g} MHz" for c, m in columns if m is not None and m.clock_mhz is not None]
    what += "".join(f", {other}" for other in others)
    what += ", each against the prediction at its clock." if others else "."
    return _section("Predicted against measured", what, f'<div class="scroll">{table}</div>')


def _figures(view: View) -> Iterable[tuple[str, float, str]]:
    """Return (label, predicted, attribute of a Measurement) of every compared figure."""
    cost = view.cost
    assert cost is not None
    yield "interval, cycles", cost.interval_cycles, "interval_cycles"
    yield "latency, cycles", cost.latency_cycles, "latency_cycles"
    yield "FPS", cost.fps(view.board.clock_mhz), "fps"
    for key in NAMES:
        label = getattr(view.board.fabric.labels, key)
        if getattr(view.board.resources, key):
            yield label, getattr(cost.resources, key), key


def _row(label: str, predicted: float, measured: Iterable[tuple[float, float | None]]) -> str:
    """Return a row of the table; `measured` has, for each column, what is predicted for its clock and what was
    measured.
    """
    cells = "".join(f"<td>{_cell(expected, value)}</td>" for expected, value in measured)
    return f'<tr><td>{escape(label)}</td><td class="first">{predicted:,.0f}</td>{cells}</tr>'


def _pace(view: View, m: Measurement | None, of: str) -> float:
    """Return the factor that turns a prediction at the board's clock into one at the clock of the measurement."""
    return m.clock_mhz / view.board.clock_mhz if of == "fps" and m is not None and m.clock_mhz is not None else 1.0


def _measured(view: View, m: Measurement | None, of: str) -> float | None:
    if m is None:
        return None
    if of == "fps":
        return None if m.interval_cycles is None else (m.clock_mhz or view.board.clock_mhz) * 1e6 / m.interval_cycles
    value = getattr(m, of) if of.endswith("_cycles") else getattr(m.resources, of, None)
    return None if value is None else float(value)


def _cell(predicted: float, measured: float | None) -> str:
    if measured is None:
        return ""
    if measured == predicted:
        return f'{measured:,.0f}<span class="error exact">equal</span>'
    error = "" if measured == 0 else f'<span class="error">{(predicted - measured) / measured:+.1%}</span>'
    return f"{measured:,.0f}{error}"


def _tool(m: Measurement) -> str:
    return f"{m.tool} {m.version}".strip()


def _resources(view: View) -> str:
    if view.cost is None:
        return ""
    width, step = 1080.0, 40.0
    parts = []
    for i, (label, key, _) in enumerate(_shares(view.cost.resources, view)):
        y = 8 + i * step
        used, have, may = (getattr(r, key) for r in (view.cost.resources, view.board.resources, view.board.budget))
        scale = 560.0 / have
        parts += [
            svg.text(0, y + 15, label, "name"),
            svg.rect(90, y, 560, 20, "bar budget", 4),
            svg.rect(90, y, min(used, have) * scale, 20, "bar full", 4, f"{label}: {used:,} of {have:,}"),
            svg.line(90 + may * scale, y - 4, 90 + may * scale, y + 24, "target"),
            svg.text(668, y + 15, f"{used:,} of {have:,}", "number"),
            svg.text(width, y + 15, f"{used / have:.0%} of the part, {used / may:.0%} of the budget", "detail", "end"),
        ]
    figure = svg.figure(width, 8 + step * len(_shares(view.cost.resources, view)), "resources against the board", parts)
    what = "Predicted. The dashed line is the budget: the rest of the part is left to the shell and the router."
    return _section("Resources against the board", what, f'<div class="scroll">{figure}</div>')


def _shares(used: Resources, view: View) -> list[tuple[str, str, float]]:
    """Return (label, key, share of the budget) of every resource the part has."""
    budget, labels = view.board.budget, view.board.fabric.labels
    keys = [key for key in NAMES if getattr(budget, key)]
    return [(getattr(labels, key), key, getattr(used, key) / getattr(budget, key)) for key in keys]


def _engines(view: View) -> str:
    if view.cost is None or view.machine is None:
        return ""
    units = {unit.engine.name: unit for unit in view.machine.units}
    rows = [
        _engine_row(units[cost.name], cost, engine_usage(units[cost.name], view.cost)) for cost in view.cost.engines
    ]
    s, labels = view.cost.shell, view.board.fabric.labels
    rows.append(f"<tr><td>between the engines</td>{'<td></td>' * 10}{_cells((s.dsp, s.bram18, s.lut, s.ff))}</tr>")
    names = (
        "PE",
        "SIMD",
        "taps",
        "multipliers",
        "weights",
        "buffer",
        "MACs",
        "busy cycles",
        "interval",
        "useful",
        labels.dsp,
        labels.bram18,
        labels.lut,
        labels.ff,
    )
    head = "".join(f"<th>{escape(n)}</th>" for n in names)
    table = f"<table><thead><tr><th>engine of</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    what = "Predicted, one by one; they sum to the design. Useful: products of the network, as a share of what the "
    what += f"multipliers could make in the design's interval. {usage_reason(view.machine, view.cost)}"
    return _section("Engines", what, f'<div class="scroll">{table}</div>')


def _engine_row(unit: Unit, cost: EngineCost, usage: Usage | None) -> str:
    node, engine, r = unit.node, unit.engine, cost.resources
    kinds = (
        (engine.multiplier, bool(node.parameters)),
        (engine.weight_memory, bool(node.parameters)),
        (engine.buffer_memory, not node.joins),
    )
    chosen = "".join(f"<td>{kind.value.upper() if applies else ''}</td>" for kind, applies in kinds)
    cycles = _cells((cost.macs, cost.busy_cycles, cost.interval_cycles))
    useful = f"<td>{'' if usage is None else f'{usage.useful:.0%}'}</td>"
    name = escape(", ".join(cost.nodes))
    lanes, resources = _cells((engine.pe, engine.simd, engine.taps)), _cells((r.dsp, r.bram18, r.lut, r.ff))
    return f"<tr><td>{name}</td>{lanes}{chosen}{cycles}{useful}{resources}</tr>"


def _cells(figures: Iterable[int]) -> str:
    return "".join(f"<td>{f:,}</td>" for f in figures)


def _accuracy(view: View) -> str:
    a = view.accuracy
    if a is None:
        return ""
    names = (
        ("float network", a.float_),
        ("fake-quantized network", a.quantized),
        ("golden model (integers)", a.golden),
    )
    p = view.plain
    plain = () if p is None else ((f"plain float network of {p.weights:,} weights, {p.epochs} epochs", p.test),)
    rows = "".join(f"<tr><td>{n}</td><td>{v:.2%}</td></tr>" for n, v in (*names, *plain) if v is not None)
    what = f"Share of {a.images:,} test images classified rightly"
    what += "; they were used for nothing else." if view.quantization is None else "."
    if a.differing is not None:
        what += f" Integers in which the fake-quantized network and the golden model differ: {a.differing:,}."
    return _section("Accuracy", what, f"<table><tbody>{rows}</tbody></table>")


def _data(view: View) -> str:
    """Return what one must know of the data; nothing if they are pixels as usual."""
    facts = list(view.data_notes)
    if view.graph is not None and not view.graph.encoding.is_identity:
        encoding, otype = view.graph.encoding, view.graph.input.otype
        facts.insert(
            0,
            f"A number v becomes the integer {encoding.formula}, from "
            f"{otype.qmin} to {otype.qmax}; quantize() of the driver and network/model.py do so.",
        )
    items = "".join(f"<li>{escape(fact)}</li>" for fact in facts)
    return _section("The data", "What the network was trained on.", f"<ul>{items}</ul>") if facts else ""


def _course(view: View) -> str:
    charts = "".join(f"<div>{svg.line_chart(s)}</div>" for s in view.course if s.points)
    search = view.search
    if search is None:
        return ""
    if search.edited:
        proved = "the design was edited by hand since, and nothing is proved of it"
    elif search.proved_optimal:
        proved = f"of this network's designs no other has a smaller {search.goal}, which is proved"
    else:
        proved = f"of this network's designs another could have {search.gap:.1%} less {search.goal} at most"
    what = f"{search.seconds:,.1f} s, {search.evaluations:,} designs considered; {proved}."
    notes = "".join(f"<li>{escape(n)}</li>" for n in search.notes)
    return _section("The search", what, (f"<ul>{notes}</ul>" if notes else "") + f'<div class="charts">{charts}</div>')


def _proof(view: View) -> str:
    facts: list[tuple[str, str]] = []
    for name, m in (
        ("C simulation", view.csim),
        ("RTL simulation", view.rtlsim),
        ("with random stalls", view.rtlsim_stalls),
    ):
        if m is not None:
            verdict = "every word equals the golden model" if m.mismatches == 0 else f"{m.mismatches} words differ"
            facts.append((name, f"{m.images} images, {verdict}; {_tool(m)}, {m.seconds:.1f} s"))
    if view.graph is not None:
        limit = limit_interval(view.graph, view.board)
        note = "none: the part has neither DSPs nor LUTs to multiply with"
        if limit is not None:
            note = f"{limit:,} cycles: every DSP and LUT of the part multiplies in every cycle; nothing else is there"
        facts += [("limit of the interval", note), ("network", view.graph.digest())]
    if view.design is not None:
        facts.append(("design", view.design.digest()))
    if view.rtlsim is not None:
        facts += [(f"fullest: {n}", f"{w:,} words") for n, w in sorted(view.rtlsim.fifo_peak.items())]
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts)
    what = "No vendor tool has been run for this page unless its column above says so."
    return _section("Proof", what, f'<dl class="facts">{rows}</dl>')


def _section(title: str, what: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2><p>{escape(what)}</p>{body}</section>"


def _legend(entries: Iterable[tuple[str, str]]) -> str:
    return (
        '<p class="legend">'
        + "".join(f'<span><i style="background:var({c})"></i>{escape(t)}</span>' for c, t in entries)
        + "</p>"
    )
