"""Designs of small latency by prices, from which the exact program starts, whose relaxed bound is weak.

The latency is about the cycles of the slowest engine, and what every site waits for the first window of its input. For
given prices of the resources, a design of least waits and price is a choice at every site by itself. Prices rise where
it takes more than the board has.
"""

from collections.abc import Iterable

import numpy as np

from codesign.model.resource import NAMES
from codesign.model.space import Space
from codesign.ops.arrays import IntArray
from codesign.search.program import FloatArray
from codesign.search.selection import counts_of, latency_of

_ROUNDS = 40  # of prices
_TAILS = (0.3, 1.0)  # weights of the work that is left when the last input word has come: how much of it shows differs
_FIRST = 3.0  # intervals that the whole board costs at first


def quick_rows(space: Space, budget: FloatArray, intervals: Iterable[int]) -> tuple[int, ...] | None:
    """Return option rows of small latency within the budget [5], of at most one of the intervals; None if none was
    found.
    """
    limit = budget - np.array([getattr(space.base, name) for name in NAMES])
    usable = [(site.options.counts <= np.maximum(limit, 0.0)).all(axis=1) for site in space.sites]
    found: dict[tuple[int, ...], float] = {}
    for interval in intervals:
        kept = [np.flatnonzero(u & (s.options.interval <= interval)) for u, s in zip(usable, space.sites, strict=True)]
        if not all(map(len, kept)):
            continue
        counts_kept = [site.options.counts[k] for site, k in zip(space.sites, kept, strict=True)]
        for tail in _TAILS:
            waits = _waits(space, kept, tail)
            prices = _FIRST * interval / np.maximum(limit, 1.0)
            for i in range(_ROUNDS):
                every = zip(kept, waits, counts_kept, strict=True)
                rows = tuple(int(k[(wait + taken @ prices).argmin()]) for k, wait, taken in every)
                counts = counts_of(space, rows)
                if rows not in found and (counts <= budget).all():
                    found[rows] = latency_of(space, rows)
                used = np.clip(counts / np.maximum(budget, 1.0) - 1.0, -1.0, 1.0)
                prices = prices * np.exp(0.6 * used / (1 + i / 20))
    return min(found, key=lambda rows: found[rows], default=None)


def _waits(space: Space, kept: list[IntArray], tail: float) -> list[FloatArray]:
    """Return, at every site, cycles that other sites wait because of each row."""
    found: list[FloatArray] = []
    for i, (site, rows) in enumerate(zip(space.sites, kept, strict=True)):
        need = sum(space.sites[e.consumer].need for e in space.edges if e.producer == i)
        found.append(np.asarray((need + tail * site.last) * site.options.interval[rows] + site.options.steps[rows]))
    return found
