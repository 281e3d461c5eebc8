"""Small SVG pieces and the charts made of them; colours come from the page's style sheet by class."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10

from codesign.report.view import Series

_LEAST_EXTENT = 1e-306  # below it a step is no normal float any more, and may be 0


def text(x: float, y: float, content: str, css: str = "", anchor: str = "start") -> str:
    """Draw a line of text with its baseline at y."""
    return f'<text x="{_n(x)}" y="{_n(y)}" class="{css}" text-anchor="{anchor}">{escape(content)}</text>'


def rect(x: float, y: float, width: float, height: float, css: str, radius: float = 0.0, tip: str = "") -> str:
    """Draw a rectangle, with a tool tip if one is given."""
    shape = (
        f'x="{_n(x)}" y="{_n(y)}" width="{_n(max(width, 0.0))}" height="{_n(height)}" rx="{_n(radius)}" class="{css}"'
    )
    return f"<rect {shape}><title>{escape(tip)}</title></rect>" if tip else f"<rect {shape}/>"


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    """Draw a straight line."""
    return f'<line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" class="{css}"/>'


def path(d: str, css: str) -> str:
    """Draw a path."""
    return f'<path d="{d}" class="{css}"/>'


def figure(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    """Return an SVG that scales with the page; the title is for screen readers."""
    body = "".join(parts)
    head = f'viewBox="0 0 {_n(width)} {_n(height)}" role="img" aria-label="{escape(title)}"'
    return f'<svg {head} xmlns="http://www.w3.org/2000/svg">{body}</svg>'


def line_chart(series: Series, width: float = 340, height: float = 190) -> str:
    """Return a figure over steps, with the value asked for as a dashed line."""
    left, right, top, bottom = 52.0, 12.0, 30.0, 24.0
    xs = [p[0] for p in series.points]
    ys = [p[1] for p in series.points] + ([] if series.target is None else [series.target])
    x0, x1 = min(xs), max(xs)
    ticks = round_ticks(min(ys), max(ys))
    y0, y1 = ticks[0], ticks[-1]

    def px(x: float) -> float:
        return left + (width - left - right) * (x - x0) / ((x1 - x0) or 1.0)

    def py(y: float) -> float:
        return height - bottom - (height - top - bottom) * (y - y0) / (y1 - y0)

    parts = [text(0, 14, series.title, "chart-title")]
    for tick in ticks:
        parts += [
            line(left, py(tick), width - right, py(tick), "grid"),
            text(left - 6, py(tick) + 4, short(tick), "axis", "end"),
        ]
    points = " ".join(f"{'M' if i == 0 else 'L'}{_n(px(x))} {_n(py(y))}" for i, (x, y) in enumerate(series.points))
    if len(series.points) > 1:
        parts.append(path(f"{points} L{_n(px(x1))} {_n(py(y0))} L{_n(px(x0))} {_n(py(y0))} Z", "area"))
    parts.append(path(points, "curve"))
    if series.target is not None:
        parts.append(line(left, py(series.target), width - right, py(series.target), "target"))
        parts.append(
            text(width - right, py(series.target) - 5, f"asked for: {short(series.target)}", "target-text", "end")
        )
    last = series.points[-1]
    parts.append(f'<circle cx="{_n(px(last[0]))}" cy="{_n(py(last[1]))}" r="3.5" class="dot"/>')
    parts += [text(left, height - 6, short(x0), "axis"), text(width - right, height - 6, short(x1), "axis", "end")]
    return figure(width, height, series.title, parts)


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a scatter chart; the tip names it."""

    x: float
    y: float
    tip: str


def scatter_chart(
    title: str, points: Sequence[Point], joined: Sequence[tuple[float, float]], width: float = 520, height: float = 300
) -> str:
    """Return a figure of points, with a line through `joined`. Both axes have round ticks."""
    left, right, top, bottom = 52.0, 16.0, 30.0, 26.0
    across = round_ticks(min(p.x for p in points), max(p.x for p in points))
    up = round_ticks(min(p.y for p in points), max(p.y for p in points))

    def px(x: float) -> float:
        return left + (width - left - right) * (x - across[0]) / (across[-1] - across[0])

    def py(y: float) -> float:
        return height - bottom - (height - top - bottom) * (y - up[0]) / (up[-1] - up[0])

    parts = [text(0, 14, title, "chart-title")]
    for tick in up:
        parts.append(line(left, py(tick), width - right, py(tick), "grid"))
        parts.append(text(left - 6, py(tick) + 4, short(tick), "axis", "end"))
    parts += [text(px(tick), height - 6, short(tick), "axis", "middle") for tick in across]
    if len(joined) > 1:
        way = " ".join(f"{'M' if i == 0 else 'L'}{_n(px(x))} {_n(py(y))}" for i, (x, y) in enumerate(joined))
        parts.append(path(way, "curve"))
    for p in points:
        centre = f'cx="{_n(px(p.x))}" cy="{_n(py(p.y))}"'
        parts.append(f'<circle {centre} r="3.5" class="dot"><title>{escape(p.tip)}</title></circle>')
    return figure(width, height, title, parts)


def round_ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round values from at most low to at least high, about so many steps apart."""
    if high - low < _LEAST_EXTENT:
        high = low + (abs(low) if abs(low) >= _LEAST_EXTENT else 1.0)
    raw = (high - low) / wanted
    size = 10.0 ** floor(log10(raw))
    step = next(size * f for f in (1, 2, 2.5, 5, 10) if size * f >= raw * 0.999)
    first = floor(low / step + 1e-9)
    ticks = [first * step]
    while ticks[-1] < high - 1e-9 * step:
        ticks.append((first + len(ticks)) * step)
    return ticks


def short(value: float) -> str:
    """Return a number in few characters, for axes."""
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= factor:
            factor = min(factor, 1e3) if unit == "k" else factor
            return f"{value / factor:.3g}{unit}"
    return f"{value:,.0f}" if value == int(value) and abs(value) >= 1000 else f"{value:.4g}"


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
