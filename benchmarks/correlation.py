"""Do networks keep their order of speed from one accelerator to the next?

    python benchmarks/correlation.py [--out FILE.md]

Networks are drawn from the space `fashion` and put on 20 accelerators. Each is a fixed rule that deals out a board's
resources to the nodes of a network. The page has the rank correlation of every two accelerators. It also has the cost
of choosing a network on one accelerator for another. FILE.svg, the plot, is written beside the page.
"""

import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import numpy as np
import numpy.typing as npt
from common import parser_of, publish
from correlation_page import Figures, Table, page, plot
from scipy.stats import spearmanr

from codesign.errors import InfeasibleError
from codesign.ir.board import Board, Fill
from codesign.ir.boards import load_board
from codesign.ir.graph import Graph
from codesign.model.resource import NAMES
from codesign.model.space import Options, Site, Space, design_space
from codesign.networks.derive import derive
from codesign.networks.network import skeleton
from codesign.networks.space import decisions
from codesign.networks.spaces import load_space
from codesign.ops.arrays import IntArray
from codesign.ops.conv import Conv
from codesign.ops.shapes import Shape
from codesign.search.design import search_design
from codesign.search.selection import latency_of

FloatArray = npt.NDArray[np.float64]

NETWORKS, SEED = 120, 1
SHAPE, LABELS = Shape(28, 28, 1), tuple(map(str, range(10)))
DEMANDS = (0.25, 0.5, 0.75)  # shares of the networks that are too small to be accurate enough
EXACT_BOARD, EXACT_SIZE = "pynq-z2", 0.5


class Shares(Enum):
    """How a board's resources are dealt out to the three stages and the head."""

    EVEN = (0.25, 0.25, 0.25, 0.25)
    FRONT = (0.45, 0.3, 0.15, 0.1)
    BACK = (0.15, 0.25, 0.45, 0.15)


class Grow(Enum):
    """In which direction an engine grows first; it turns to the other when it has all channels of the first."""

    FREELY = "as is cheapest"
    OUTPUTS = "outputs (PE) first"
    INPUTS = "inputs (SIMD) first"
    SQUARE = "square"


class Multiply(Enum):
    """What multiplies."""

    ANY = "as is cheapest"
    LUT = "LUTs"
    DSP = "DSPs"  # where a product is wide enough for one


class Goal(Enum):
    """What is counted."""

    INTERVAL = "interval"  # cycles between images
    LATENCY = "latency"  # cycles of one image, by the closed form that the design search minimises


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A rule that gives every network its engines, and so its cycles; it knows nothing of the network but its nodes."""

    board: str
    size: float  # share of the board's budget
    shares: Shares = Shares.EVEN
    grow: Grow = Grow.FREELY
    multiply: Multiply = Multiply.ANY
    goal: Goal = Goal.INTERVAL


HALF, THIRD, SEVENTH = 0.5, 0.3, 0.15
ACCELERATORS = (
    Accelerator("pynq-z2", HALF),
    Accelerator("pynq-z2", HALF, Shares.FRONT),
    Accelerator("pynq-z2", HALF, Shares.BACK),
    Accelerator("pynq-z2", HALF, grow=Grow.OUTPUTS),
    Accelerator("pynq-z2", HALF, grow=Grow.INPUTS),
    Accelerator("pynq-z2", HALF, grow=Grow.SQUARE),
    Accelerator("pynq-z2", HALF, multiply=Multiply.LUT),
    Accelerator("pynq-z2", HALF, multiply=Multiply.DSP),
    Accelerator("pynq-z2", HALF, goal=Goal.LATENCY),
    Accelerator("pynq-z2", HALF, Shares.BACK, Grow.INPUTS, goal=Goal.LATENCY),
    Accelerator("pynq-z2", 1.0),
    Accelerator("pynq-z2", 1.0, Shares.FRONT, multiply=Multiply.DSP),
    Accelerator("pynq-z2", 1.0, goal=Goal.LATENCY),
    Accelerator("ultra96-v2", THIRD),
    Accelerator("ultra96-v2", THIRD, Shares.BACK, Grow.OUTPUTS),
    Accelerator("ultra96-v2", THIRD, grow=Grow.INPUTS, goal=Goal.LATENCY),
    Accelerator("zc706", SEVENTH),
    Accelerator("zc706", SEVENTH, multiply=Multiply.DSP),
    Accelerator("zc706", SEVENTH, Shares.FRONT, Grow.SQUARE),
    Accelerator("zc706", SEVENTH, goal=Goal.LATENCY),
)


def board_of(name: str, size: float) -> Board:
    """Return that share of a board's budget; the rest is for others."""
    board = load_board(name)
    smaller = {key: getattr(board.fill, key) * size for key in ("dsp", "bram18", "uram", "lut", "ff")}
    return replace(board, fill=Fill(**smaller))


def draw(count: int, seed: int) -> list[Graph]:
    """Draw so many different networks of the space, each choice drawn evenly."""
    space, rng = load_space("fashion"), np.random.default_rng(seed)
    sizes = [len(d.options) for d in decisions(space)]
    rows: dict[tuple[int, ...], Graph] = {}
    while len(rows) < count:
        row = tuple(int(i) for i in rng.integers(0, sizes))
        rows[row] = skeleton(derive(space, row, "drawn", SHAPE, LABELS))
    return list(rows.values())


def cycles(accelerator: Accelerator, space: Space, board: Board) -> float:
    """Return the cycles of the network with this design space on the accelerator; infinite if it does not fit.

    Every part of the network gets its share of the board and is as fast as that allows. Its nodes take the cheapest
    engines of at most T cycles, and T is the least with which they fit the share. Converters between engines are left
    out of the count, and so are the streams at both ends, which are as wide as the port.
    """
    budget = np.array([getattr(board.budget, name) for name in NAMES], dtype=np.float64)
    rows = [len(site.options) - 1 for site in space.sites]
    for part, share in enumerate(accelerator.shares.value):
        members = [i for i in range(1, len(rows) - 1) if _part(space.sites[i]) == part]
        allowed = [_allowed(accelerator, space, space.sites[i]) for i in members]
        left = [space.sites[i].options.take(a) for i, a in zip(members, allowed, strict=True)]
        chosen = fastest(left, budget * share)
        if chosen is None:
            return float("inf")
        for i, a, row in zip(members, allowed, chosen, strict=True):
            rows[i] = int(a[row])
    if accelerator.goal is Goal.LATENCY:
        return latency_of(space, tuple(rows))
    return float(max(int(s.options.interval[r]) for s, r in zip(space.sites, rows, strict=True)))


def fastest(options: list[Options], budget: FloatArray) -> list[int] | None:
    """Return an option of each site: the cheapest of at most T cycles, for the least T with which their sum fits."""
    prices = np.where(budget > 0, 1 / np.maximum(budget, 1), 1e3)
    intervals = np.unique(np.concatenate([o.interval for o in options]))
    total = np.zeros((len(intervals), len(budget)))
    picks, possible = [], np.ones(len(intervals), dtype=np.bool_)
    for o in options:
        order = np.argsort(o.interval, kind="stable")
        best = order[_first_least(o.counts[order] @ prices)]
        at = np.searchsorted(o.interval[order], intervals, side="right") - 1
        possible &= at >= 0
        picks.append(best[np.maximum(at, 0)])
        total += o.counts[picks[-1]]
    fitting = np.flatnonzero(possible & (total <= budget).all(axis=1))
    return [int(p[fitting[0]]) for p in picks] if len(fitting) else None


def _first_least(values: FloatArray) -> IntArray:
    """Return, for every prefix, where its least value first occurs."""
    least = np.minimum.accumulate(values)
    is_new = np.r_[True, values[1:] < least[:-1]]
    return np.asarray(np.maximum.accumulate(np.where(is_new, np.arange(len(values)), 0)))


def _part(site: Site) -> int:
    """Return the stage of a node, or 3 for the head; nodes of a stage are named s<stage>b<block>."""
    return int(site.name[1]) if site.name[0] == "s" and site.name[1].isdigit() else 3


def _allowed(accelerator: Accelerator, space: Space, site: Site) -> IntArray:
    """Return the options of a node that the accelerator's rules leave."""
    engines, node = site.options.engines, space.graph.node(site.name)
    assert engines is not None
    keep = np.ones(len(site.options), dtype=np.bool_)
    if isinstance(node, Conv) and not node.depthwise:
        pe, simd = engines.pe, engines.simd
        every_out, every_in = pe == node.k, simd == node.ishape.c
        keep = {
            Grow.FREELY: keep,
            Grow.OUTPUTS: (simd == 1) | every_out,
            Grow.INPUTS: (pe == 1) | every_in,
            Grow.SQUARE: ((pe <= 2 * simd) | every_in) & ((simd <= 2 * pe) | every_out),
        }[accelerator.grow]
    if isinstance(node, Conv) and accelerator.multiply is not Multiply.ANY:
        wanted = engines.dsp if accelerator.multiply is Multiply.DSP else ~(engines.dsp | engines.packed)
        keep = keep & wanted if (keep & wanted).any() else keep
    return np.flatnonzero(keep)


def tabulate(graphs: list[Graph], say: Callable[[str], None]) -> FloatArray:
    """Return cycles [networks, accelerators]."""
    boards = {(a.board, a.size): board_of(a.board, a.size) for a in ACCELERATORS}
    rows = []
    for i, graph in enumerate(graphs):
        spaces = {key: design_space(graph, board) for key, board in boards.items()}
        rows.append([cycles(a, spaces[a.board, a.size], boards[a.board, a.size]) for a in ACCELERATORS])
        say(f"[{i + 1}/{len(graphs)}] on {len(ACCELERATORS)} accelerators")
    return np.array(rows)


def exact_intervals(graphs: list[Graph], say: Callable[[str], None]) -> FloatArray:
    """Return the interval of every network's own best design on the first accelerator's board, infinite if it does not
    fit.
    """
    board, found, unproved = board_of(EXACT_BOARD, EXACT_SIZE), [], 0
    for i, graph in enumerate(graphs):
        try:
            result = search_design(graph, board, explain=False)
            found.append(float(result.interval_cycles))
            unproved += not result.proved_optimal
        except InfeasibleError:
            found.append(float("inf"))
        say(f"[{i + 1}/{len(graphs)}] designed for it")
    if unproved:
        raise SystemExit(f"{unproved} of the designs are not proved to be the fastest")
    return np.array(found)


def correlations(table: FloatArray) -> FloatArray:
    """Return Spearman's rank correlation [A, A] of the columns of table [networks, A]."""
    count = table.shape[1]
    found = np.eye(count)
    for i, j in itertools.combinations(range(count), 2):
        found[i, j] = found[j, i] = spearmanr(table[:, i], table[:, j]).statistic
    return found


def regrets(table: FloatArray, worth: FloatArray, demand: float, *, front: bool = False) -> FloatArray:
    """Return what choosing on accelerator i costs on j, [A, A].

    It is the cycles of the network that i chooses, over those of j's own choice, less 1. The choice is the fastest
    network of at least `demand`; of several, the mean. With `front`, accelerator i names the networks of its front of
    cycles and worth. The fastest of these on j is chosen.
    """
    enough = np.flatnonzero(worth >= demand)
    found = np.zeros((table.shape[1],) * 2)
    for i in range(table.shape[1]):
        own = table[enough, i]
        kept = enough[pareto(own, worth[enough]) if front else np.flatnonzero(own == own.min())]
        there = table[kept].min(axis=0) if front else table[kept].mean(axis=0)
        found[i] = there / table[enough].min(axis=0) - 1.0
    return found


def pareto(cost: FloatArray, worth: FloatArray) -> IntArray:
    """Return the rows of the front: no other row has less cost and no less worth, or more worth and no more cost."""
    less = (cost[:, None] <= cost) & (worth[:, None] >= worth) & ((cost[:, None] < cost) | (worth[:, None] > worth))
    return np.flatnonzero(~less.any(axis=0))


def machine_limit(graph: Graph) -> float:
    """Return the interval of the fastest engine of the slowest node, whatever the board has."""
    sites = design_space(graph, board_of(EXACT_BOARD, EXACT_SIZE)).sites
    return float(max(int(site.options.interval.min()) for site in sites))


def figures(graphs: list[Graph], table: FloatArray, exact: FloatArray, seconds: float) -> Figures:
    """Return everything that the page tells."""
    limits = np.array([machine_limit(graph) for graph in graphs])
    fits = np.isfinite(table).all(axis=1) & np.isfinite(exact)
    table, exact, limits = table[fits], exact[fits], limits[fits]
    macs, weights = (np.array(c, dtype=np.float64)[fits] for c in zip(*map(_sizes, graphs), strict=True))
    return Figures(
        accelerators=tuple(_words(a) for a in ACCELERATORS),
        drawn=len(graphs),
        fitting=int(fits.sum()),
        table=table,
        correlation=correlations(table),
        with_macs=np.array([spearmanr(column, macs).statistic for column in table.T]),
        with_exact=np.array([spearmanr(column, exact).statistic for column in table.T]),
        exact=exact,
        exact_with_macs=float(spearmanr(exact, macs).statistic),
        limited=float((exact == limits).mean()),
        exact_board=f"{EXACT_SIZE:.0%} of {EXACT_BOARD}",
        groups=_groups(),
        tables=tuple(
            _losses(table, exact, what, worth, share)
            for what, worth in (("products (MAC)", macs), ("weights", weights))
            for share in DEMANDS
        ),
        seconds=seconds,
    )


def _words(a: Accelerator) -> tuple[str, ...]:
    return a.board, f"{a.size:.0%}", a.shares.name.lower(), a.grow.value, a.multiply.value, a.goal.value


def _groups() -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return accelerators that have something in common, by words for it."""
    every = list(enumerate(ACCELERATORS))
    plain = [(i, a) for i, a in every if a.multiply is not Multiply.DSP]
    first = ACCELERATORS[0]
    return (
        ("all", tuple(i for i, _ in every)),
        ("those that may multiply in LUTs", tuple(i for i, _ in plain)),
        ("of these, where the interval counts", tuple(i for i, a in plain if a.goal is Goal.INTERVAL)),
        ("of these, with even shares", tuple(i for i, a in plain if (a.goal, a.shares) == (first.goal, first.shares))),
    )


def _losses(table: FloatArray, exact: FloatArray, what: str, worth: FloatArray, share: float) -> Table:
    demand = float(np.quantile(worth, share))
    return Table(
        what=what,
        share=share,
        networks=int((worth >= demand).sum()),
        one=regrets(table, worth, demand),
        front=regrets(table, worth, demand, front=True),
        exact=regrets(np.c_[exact, table], worth, demand)[1:, 0],
    )


def _sizes(graph: Graph) -> tuple[int, int]:
    convs = [node for node in graph.nodes if isinstance(node, Conv)]
    return sum(n.macs for n in convs), sum(n.k * n.window.positions * n.c_per_group for n in convs)


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--networks", type=int, default=NETWORKS, help="how many are drawn (%(default)s)")
    options = parser.parse_args()
    begun = time.process_time()

    def say(what: str) -> None:
        print(f"{what}, {time.process_time() - begun:.1f} s", file=sys.stderr, flush=True)

    graphs = draw(options.networks, SEED)
    table = tabulate(graphs, say)
    exact = exact_intervals(graphs, say)
    found = figures(graphs, table, exact, time.process_time() - begun)
    image = (options.out or Path("rank_correlation.md")).with_suffix(".svg")
    if options.out is not None:
        publish(plot(found), image)
    publish(page(found, image.name), options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
