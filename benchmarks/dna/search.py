"""Two searches of DNA's space: the random one of its authors' scripts, and the exact optimum.

A design chooses one way to cut the loops for each chunk. Its interval is that of the slowest chunk, and the chunks'
DSPs and BRAMs add up. So all choices of each chunk are priced once, and both searches look them up.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from . import model
from .model import BUDGET, CLOCK_HZ, NO_FIXES, Fixes, FloatArray, IntArray, Layer, Tiles
from .networks import Placed
from .space import Chunk, Layout, all_tiles, allocate, axes, unrolls

BATCH = 2_000  # designs that one generator draws
INFEASIBLE = 2  # the solver's status


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """Every design of a chunk with its layers, as columns [N] in the order of `all_tiles`."""

    chunk: Chunk
    cycles: FloatArray
    dsp: IntArray
    bram: IntArray
    dram: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a design may take; `bytes_per_cycle` is what all chunks together may move, None for a port each."""

    dsp: int = BUDGET["dsp"]
    bram: int = BUDGET["bram18"]
    bytes_per_cycle: float | None = None


AS_PUBLISHED = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A design: for each chunk the row of its Prices. `interval` and `latency` of one image are cycles."""

    rows: tuple[int, ...]
    interval: float
    latency: float
    dsp: int
    bram: int
    dram: float

    @property
    def fps(self) -> float:
        return CLOCK_HZ / self.interval


def price(layout: Layout, layers: Iterable[Placed], bits: int, fixes: Fixes = NO_FIXES) -> tuple[Prices, ...]:
    """Price every design of every chunk that has layers."""
    return tuple(_price_chunk(chunk, count, bits, fixes) for chunk, count in allocate(layout, layers).items())


def design(prices: tuple[Prices, ...], rows: tuple[int, ...], limits: Limits = AS_PUBLISHED) -> Found:
    """Return the design of those rows, whether or not it keeps to the limits. It is never faster than the shared
    memory.
    """
    cycles = [float(p.cycles[row]) for p, row in zip(prices, rows, strict=True)]
    dram = sum(float(p.dram[row]) for p, row in zip(prices, rows, strict=True))
    memory = 0.0 if limits.bytes_per_cycle is None else dram / limits.bytes_per_cycle
    return Found(
        rows=rows,
        interval=max(*cycles, memory),
        latency=max(sum(cycles), memory),
        dsp=sum(int(p.dsp[row]) for p, row in zip(prices, rows, strict=True)),
        bram=sum(int(p.bram[row]) for p, row in zip(prices, rows, strict=True)),
        dram=dram,
    )


def best(prices: tuple[Prices, ...], limits: Limits = AS_PUBLISHED) -> Found | None:
    """Return a design of the least interval, of those one with the fewest DSPs, then BRAMs; None if nothing fits.

    An interval can be met if every chunk has a design of no more cycles, such that all fit together. An integer program
    decides that. The least such interval is found by halving among the cycles that chunks can take. Where memory is
    shared it may also lie between them, so it is halved further, to one part in a million.
    """
    times = np.unique(np.concatenate([p.cycles for p in prices]))
    times = times[times >= max(p.cycles.min() for p in prices)]
    low, high = 0, len(times)
    while low < high:
        middle = (low + high) // 2
        if _select(prices, float(times[middle]), limits, cheapest=False) is None:
            low = middle + 1
        else:
            high = middle
    if low == len(times):
        return None
    interval = float(times[low])
    if limits.bytes_per_cycle is not None and low:
        interval = _between(prices, float(times[low - 1]), interval, limits)
    rows = _select(prices, interval, limits, cheapest=True)
    return None if rows is None else design(prices, rows, limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A random search under way: designs drawn, how many fitted, and the best after every batch, in FPS (0: none)."""

    seed: int
    drawn: int
    fitting: int
    best: tuple[float, ...]

    def after(self, samples: int) -> float:
        """Return the best FPS of the first so many designs, a multiple of BATCH."""
        return self.best[samples // BATCH - 1]


def start(seed: int) -> Progress:
    """Return a random search before its first design."""
    return Progress(seed=seed, drawn=0, fitting=0, best=())


def draw_more(prices: tuple[Prices, ...], progress: Progress, limits: Limits = AS_PUBLISHED) -> Progress:
    """Draw another batch of the authors' random search, from a generator that seed and batch decide."""
    rng = np.random.default_rng((progress.seed, len(progress.best)))
    rows = [sample(p.chunk, BATCH, rng) for p in prices]
    interval = np.max([p.cycles[r] for p, r in zip(prices, rows, strict=True)], axis=0)
    dsp = np.sum([p.dsp[r] for p, r in zip(prices, rows, strict=True)], axis=0)
    bram = np.sum([p.bram[r] for p, r in zip(prices, rows, strict=True)], axis=0)
    fits = (dsp <= limits.dsp) & (bram <= limits.bram)
    fps = float(CLOCK_HZ / interval[fits].min()) if fits.any() else 0.0
    best_so_far = max(fps, progress.best[-1] if progress.best else 0.0)
    return Progress(
        seed=progress.seed,
        drawn=progress.drawn + BATCH,
        fitting=progress.fitting + int(fits.sum()),
        best=(*progress.best, best_so_far),
    )


def sample(chunk: Chunk, count: int, rng: np.random.Generator) -> IntArray:
    """Sample rows [count] of a chunk's Prices as the authors do: every parameter alike, then an unroll of what is left.

    So designs are not all equally likely: small tiles have fewer unrolls to share their chance.
    """
    rows = rng.integers(len(unrolls(chunk.depthwise)), size=count)
    for loop in axes(chunk):
        values = len(loop.number)
        tile = rng.integers(values, size=count)
        unroll = rng.integers(tile, values)
        rows = rows * len(loop.tile) + loop.number[tile, unroll]
    return rows


def row_chances(chunk: Chunk) -> FloatArray:
    """Return the chance of every row of a chunk's Prices in `sample`."""
    chances = np.full(len(unrolls(chunk.depthwise)), 1 / len(unrolls(chunk.depthwise)))
    for loop in axes(chunk):
        values = len(loop.number)
        left = (loop.number >= 0).sum(axis=1)
        each = np.repeat(1 / (values * left), left)
        chances = np.outer(chances, each).ravel()
    return chances


def chance_of_best(prices: tuple[Prices, ...], samples: int, chance: float) -> float:
    """Return the FPS that the best of so many random designs stays below with that chance, if all fitted.

    Chunks are drawn one by one. So the chance that a design is at least so fast is the product of the chunks'.
    """
    times = np.unique(np.concatenate([p.cycles for p in prices]))
    reach = np.ones(len(times))
    for p in prices:
        order = np.argsort(p.cycles)
        sums = np.concatenate([[0.0], np.cumsum(row_chances(p.chunk)[order])])
        reach *= sums[np.searchsorted(p.cycles[order], times, side="right")]
    never = np.exp(samples * np.log1p(-np.minimum(reach, 1 - 1e-12)))
    return float(CLOCK_HZ / times[np.searchsorted(-never, -chance, side="right") - 1])


def _price_chunk(chunk: Chunk, layers: Counter[Layer], bits: int, fixes: Fixes) -> Prices:
    parts = [_price_way(tiles, layers, bits, fixes) for tiles in all_tiles(chunk)]
    cycles, dsp, bram, dram = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Prices(chunk, cycles, dsp, bram, dram)


def _price_way(
    tiles: Tiles, layers: Mapping[Layer, int], bits: int, fixes: Fixes
) -> tuple[FloatArray, IntArray, IntArray, FloatArray]:
    """Price layers that run in turn: cycles and bytes add up, and BRAMs are the most that any layer needs."""
    cycles = np.sum([n * model.layer_cycles(layer, tiles, bits, fixes) for layer, n in layers.items()], axis=0)
    dram = np.sum([n * model.dram_bytes(layer, tiles, bits, fixes) for layer, n in layers.items()], axis=0)
    bram = np.max([model.bram_count(layer, tiles, bits, fixes) for layer in layers], axis=0)
    return cycles, model.dsp_count(tiles, bits), bram, dram


def _between(prices: tuple[Prices, ...], low: float, high: float, limits: Limits) -> float:
    """Return the least interval in (low, high] that can be met, to one part in a million: the shared memory decides
    there.
    """
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        if _select(prices, middle, limits, cheapest=False) is None:
            low = middle
        else:
            high = middle
    return high


def _select(prices: tuple[Prices, ...], interval: float, limits: Limits, *, cheapest: bool) -> tuple[int, ...] | None:
    """Return rows of no more cycles than that which fit together: the cheapest, or any; None if there are none."""
    kept = [_frontier(p, interval, limits) for p in prices]
    if any(len(rows) == 0 for rows in kept):
        return None
    columns = np.concatenate([_counts(p, rows, interval, limits) for p, rows in zip(prices, kept, strict=True)]).T
    owner = np.repeat(np.arange(len(kept)), [len(rows) for rows in kept])
    one_each = (owner == np.arange(len(kept))[:, None]).astype(np.float64)
    most = np.array([limits.dsp, limits.bram, 1.0])
    cost = columns[0] * (limits.bram + 1) + columns[1] if cheapest else columns[0] / limits.dsp
    answer = milp(
        cost,
        integrality=np.ones_like(cost),
        bounds=Bounds(0, 1),
        constraints=[LinearConstraint(one_each, 1, 1), LinearConstraint(columns, -np.inf, most)],
        options={"mip_rel_gap": 0.0 if cheapest else 1.0},
    )
    if answer.status == INFEASIBLE:
        return None
    assert answer.x is not None
    rows = tuple(int(k[answer.x[owner == i].argmax()]) for i, k in enumerate(kept))
    taken = design(prices, rows)
    assert max(taken.dsp - limits.dsp, taken.bram - limits.bram) <= 0  # whole numbers: no tolerance reaches the next
    return rows


def _counts(p: Prices, rows: IntArray, interval: float, limits: Limits) -> FloatArray:
    """Return DSPs, BRAMs and share of the memory's time [rows, 3]."""
    share = np.zeros(len(rows))
    if limits.bytes_per_cycle is not None:
        share = p.dram[rows] / (interval * limits.bytes_per_cycle)
    return np.stack([p.dsp[rows].astype(np.float64), p.bram[rows].astype(np.float64), share], axis=1)


def _frontier(p: Prices, interval: float, limits: Limits) -> IntArray:
    """Return the undominated rows of no more cycles than that, in DSPs, BRAMs and shared memory traffic."""
    rows = np.flatnonzero((p.cycles <= interval) & (p.dsp <= limits.dsp) & (p.bram <= limits.bram))
    traffic = np.zeros(len(rows)) if limits.bytes_per_cycle is None else p.dram[rows]
    order = np.lexsort((traffic, p.bram[rows], p.dsp[rows]))
    rows, traffic = rows[order], traffic[order]
    least = np.full(limits.bram + 1, np.inf)  # traffic so far with at most so many BRAMs
    kept = []
    for row, moved in zip(rows.tolist(), traffic.tolist(), strict=True):
        bram = int(p.bram[row])
        if moved < least[bram]:
            kept.append(row)
            least[bram:] = np.minimum(least[bram:], moved)
    return np.array(kept, dtype=np.int64)
