"""Where the least interval lies: a quick lower bound, whatever the converters, and the way up from it."""

import itertools
from collections.abc import Callable

import numpy as np

from codesign.model.resource import NAMES
from codesign.model.space import Space
from codesign.ops.arrays import IntArray
from codesign.search.program import FloatArray

_GRID = 4  # prices are multiples of 1 / _GRID


def interval_bound(space: Space, budget: FloatArray) -> int:
    """Return an interval below which no design fits the budget [5].

    Prices are per share of the budget and sum to 1. A design that fits costs at most 1. It costs at least the sum over
    its sites of the cheapest option of at most its interval. The bound is the best over a grid of prices.
    """
    limit = budget - np.array([getattr(space.base, name) for name in NAMES])
    ranked = [np.argsort(site.options.interval, kind="stable") for site in space.sites]
    intervals = [site.options.interval[order] for site, order in zip(space.sites, ranked, strict=True)]
    shares = [
        site.options.counts[order] / np.maximum(limit, 1.0) for site, order in zip(space.sites, ranked, strict=True)
    ]
    low = max(int(steps[0]) for steps in intervals)
    for prices in _prices(limit):
        cheapest = [np.minimum.accumulate(share @ prices) for share in shares]
        low = max(low, _least_affordable(intervals, cheapest))
    return low


def rise(first: int, size: int, fits: Callable[[int], bool]) -> int | None:
    """Return the least index from `first` below `size` that fits, or None. It must hold from some index on."""
    low, step = first, 1
    high = first
    while not fits(high):
        if high == size - 1:
            return None
        low, high = high + 1, min(high + step, size - 1)
        step *= 3
    while low < high:
        middle = (low + high) // 2
        if fits(middle):
            high = middle
        else:
            low = middle + 1
    return high


def _prices(limit: FloatArray) -> list[FloatArray]:
    """Return prices [5] on a grid, over the resources that there are."""
    used = np.flatnonzero(limit > 0)
    found: list[FloatArray] = []
    for parts in itertools.product(range(_GRID + 1), repeat=len(used)):
        if sum(parts) == _GRID:
            prices = np.zeros(len(limit))
            prices[used] = np.array(parts) / _GRID
            found.append(prices)
    return found


def _least_affordable(intervals: list[IntArray], cheapest: list[FloatArray]) -> int:
    """Return the least interval at which the cheapest options of all sites cost at most 1 together."""
    candidates = np.unique(np.concatenate(intervals))
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high) // 2
        if _least_cost(int(candidates[middle]), intervals, cheapest) <= 1.0 + 1e-9:
            high = middle
        else:
            low = middle + 1
    return int(candidates[low])


def _least_cost(interval: int, intervals: list[IntArray], cheapest: list[FloatArray]) -> float:
    ends = [int(np.searchsorted(steps, interval, side="right")) for steps in intervals]
    return sum(float(costs[end - 1]) if end else np.inf for costs, end in zip(cheapest, ends, strict=True))
