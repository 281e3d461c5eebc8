"""Accuracy against FPS, mean and spread of every method at every demand, as a plain SVG.

Filled where the FPS is measured for every seed, hollow where it is predicted.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .settings import BUDGETS, RACE, TITLES, Method
from .store import Store, unmeasured
from .summary import Group, Spread, accuracy, fps, groups, met, predicted_fps

COLOURS = {
    Method.OURS: "#c1121f",
    Method.DNA: "#0a6aa1",
    Method.TWO_STEP: "#5c8001",
    Method.FIXED: "#8a5a00",
    Method.RANDOM: "#6c757d",
    Method.EVOLUTION: "#7b2cbf",
    Method.RL: "#d17a00",
    Method.SEMI_DECOUPLED: "#2a9d8f",
    Method.NONE: "#111111",
}
WIDTH, HEIGHT = 760.0, 360.0  # of a board's panel
LEFT, RIGHT, TOP, BOTTOM = 60.0, 240.0, 40.0, 46.0


@dataclass(frozen=True, slots=True)
class Point:
    """A method at a demand; `simulated`: whether its FPS is measured for every seed, else it is predicted."""

    method: Method
    accuracy: Spread
    fps: Spread
    simulated: bool


def plot(store: Store) -> str:
    """Draw the picture of the first group of results; empty axes without any."""
    found = groups(store.all())
    boards = list(BUDGETS)
    parts = [_panel(found[0] if found else None, board, i * HEIGHT) for i, board in enumerate(boards)]
    size = f'width="{WIDTH:g}" height="{HEIGHT * len(boards):g}" viewBox="0 0 {WIDTH:g} {HEIGHT * len(boards):g}"'
    style = 'font-family="sans-serif" font-size="12" fill="#222"'
    body = "\n".join(parts)
    ground = '<rect width="100%" height="100%" fill="#fff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{ground}\n{body}\n</svg>\n'


def _panel(group: Group | None, board: str, top: float) -> str:
    points = [] if group is None else _points(group, board)
    note = "" if group is None else f", profile {group.profile}"
    lines = [f'<text x="{LEFT}" y="{top + 22}" font-size="14">{board}: accuracy (%) against FPS{note}</text>']
    if not points:
        return lines[0] + f'<text x="{LEFT}" y="{top + 60}">no results yet</text>'
    rates = [r for p in points for r in (p.fps.least, p.fps.greatest)] + [float(b) for b in BUDGETS[board]]
    shares = [100 * s for p in points for s in (p.accuracy.least, p.accuracy.greatest)]
    low_x, high_x = math.log(min(rates) * 0.93), math.log(max(rates) * 1.07)
    margin = max(0.1 * (max(shares) - min(shares)), 0.2)
    low_y, high_y = min(shares) - margin, max(shares) + margin

    def x(rate: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log(rate) - low_x) / (high_x - low_x)

    def y(share: float) -> float:
        return top + HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (100 * share - low_y) / (high_y - low_y)

    lines += _axes(board, x, y, (low_y, high_y), top)
    for point in points:
        method, own, rate, colour = point.method, point.accuracy, point.fps, COLOURS[point.method]
        cx, cy = x(rate.mean), y(own.mean)
        lines.append(f'<path d="M{cx:.1f} {y(own.least):.1f}V{y(own.greatest):.1f}" stroke="{colour}"/>')
        lines.append(f'<path d="M{x(rate.least):.1f} {cy:.1f}H{x(rate.greatest):.1f}" stroke="{colour}"/>')
        fill = colour if point.simulated else "#fff"
        radius = 6 if method is Method.OURS else 4
        lines.append(f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="{radius}" fill="{fill}" stroke="{colour}"/>')
    for i, method in enumerate(dict.fromkeys(p.method for p in points)):
        at = top + TOP + 16 + 20 * i
        lines.append(f'<circle cx="{WIDTH - RIGHT + 24}" cy="{at - 4}" r="5" fill="{COLOURS[method]}"/>')
        lines.append(f'<text x="{WIDTH - RIGHT + 36}" y="{at}">{TITLES[method]}</text>')
    return "\n".join(lines)


def _points(group: Group, board: str) -> list[Point]:
    """Return the points of every method and demand with results that meet it; ours last, so that it lies on top."""
    found: list[Point] = []
    for method in (*RACE[1:], RACE[0]):
        for demand in BUDGETS[board]:
            results = [r for r in group.of(board, demand, method) if met(r)]
            simulated = not any(map(unmeasured, results))
            own, rate = accuracy(results), fps(results) if simulated else predicted_fps(results)
            if own is not None and rate is not None:
                found.append(Point(method, own, rate, simulated))
    return found


def _axes(board: str, x, y, range_y: tuple[float, float], top: float) -> Sequence[str]:  # type: ignore[no-untyped-def]
    left, right, base = LEFT, WIDTH - RIGHT, top + HEIGHT - BOTTOM
    lines = [f'<path d="M{left} {top + TOP}V{base}H{right}" stroke="#222" fill="none"/>']
    for rate in BUDGETS[board]:
        at = x(float(rate))
        lines.append(f'<path d="M{at:.1f} {top + TOP}V{base}" stroke="#999" stroke-dasharray="4 4"/>')
        lines.append(f'<text x="{at:.1f}" y="{base + 18}" text-anchor="middle">{rate:,} demanded</text>')
    step = _step(range_y[1] - range_y[0])
    share = math.ceil(range_y[0] / step) * step
    while share <= range_y[1]:
        at = y(share / 100)
        lines.append(f'<path d="M{left} {at:.1f}H{right}" stroke="#ddd"/>')
        lines.append(f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{share:.4g}</text>')
        share += step
    return lines


def _step(extent: float) -> float:
    """Return a round step that divides the extent into about five."""
    size = 10.0 ** math.floor(math.log10(extent / 5))
    return next(size * f for f in (1, 2, 5, 10) if size * f >= extent / 5)
