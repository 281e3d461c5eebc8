"""The range of the least interval: a quick lower bound that holds for any converters, and steps up to what fits."""

from collections.abc import Callable

import numpy as np

from codesign.model.resource import NAMES
from codesign.model.space import Options, Space
from codesign.ops.arrays import IntArray
from codesign.search.elimination import FloatArray


def interval_bound(space: Space, budget: FloatArray) -> int:
    """Return an interval below which no design fits the budget [5].

    Prices are per share of the budget and sum to 1. A design that fits costs at most 1. It costs at least the sum over
    its sites of the cheapest option of at most its interval. The bound is the best over a few prices.
    """
    limit = budget - np.array([getattr(space.base, name) for name in NAMES])
    distinct: dict[int, Options] = {id(site.options): site.options for site in space.sites}
    ranked = {key: np.argsort(options.interval, kind="stable") for key, options in distinct.items()}
    intervals = {key: options.interval[ranked[key]] for key, options in distinct.items()}
    shares = {key: options.counts[ranked[key]] / np.maximum(limit, 1.0) for key, options in distinct.items()}
    sites = [id(site.options) for site in space.sites]
    low = max(int(steps[0]) for steps in intervals.values())
    for prices in _prices(limit):
        cheapest = {key: np.minimum.accumulate(share @ prices) for key, share in shares.items()}
        low = max(low, _least_affordable([intervals[s] for s in sites], [cheapest[s] for s in sites]))
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
    """Return prices [5] that sum to 1: of each resource that there is alone, and of all evenly."""
    used = limit > 0
    if not used.any():
        return []
    return [used / used.sum(), *np.eye(len(limit))[used]]


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
