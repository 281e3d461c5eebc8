"""The least interval that the budget can fill, from below: what prices disprove, then what the exact program says."""

from dataclasses import dataclass

import numpy as np

from codesign.errors import CodesignError
from codesign.model.space import Space
from codesign.ops.arrays import IntArray
from codesign.search.bounds import interval_bound, rise
from codesign.search.elimination import FloatArray
from codesign.search.menu import Menu, cheapest
from codesign.search.prices import TINY, Known, Quest, ask
from codesign.search.program import Verdict
from codesign.search.selection import Filled, Query, fill, menu_within, within

_ROOM = 1.5  # times the bound: intervals looked at first


@dataclass(frozen=True, slots=True, eq=False)
class Least:
    """The least interval found, a selection of it, and the least interval that is not disproved."""

    interval: int
    filled: Filled
    bound: int


def achievable(space: Space) -> IntArray:
    """Return the intervals that a design can have, ascending: no site's own least is above the first."""
    every = np.unique(np.concatenate([site.options.interval for site in space.sites]))
    return every[every >= max(int(site.options.interval.min()) for site in space.sites)]


def least_interval(query: Query, top: int) -> Least | None:
    """Return the least achievable interval up to `top` that fits; None if none does.

    First comes the least that no prices disprove, upward from the closed-form bound. From there on every interval is
    filled or disproved, in growing steps until one is filled and by halves back. Those left open by the limit of work
    lie above the bound of the result.
    """
    intervals = achievable(query.space)
    intervals = intervals[intervals <= top]
    first = int(np.searchsorted(intervals, interval_bound(query.space, query.budget)))
    wide = _wide(query, intervals, first)
    if wide is None:
        return None
    start, prices = _climb(wide, intervals)
    found: dict[int, Filled] = {}

    def fits(index: int) -> bool:
        interval = int(intervals[index])
        menu = wide.menu if index <= wide.high else menu_within(query, interval)
        found[index] = fill(query, menu, interval, prices)
        return found[index].selection.rows is not None

    least = rise(start, len(intervals), fits)
    disproved = [i for i, f in found.items() if f.selection.verdict is Verdict.INFEASIBLE]
    if least is None and len(disproved) == len(found):
        return None
    if least is None:
        raise CodesignError(
            f"design search: no design found with the work allowed, though none is proved impossible from "
            f"{intervals[start]} cycles on; a network with fewer channels or a looser demand is easier to decide"
        )
    return Least(int(intervals[least]), found[least], int(intervals[max(disproved, default=start - 1) + 1]))


@dataclass(frozen=True, slots=True, eq=False)
class _Wide:
    """The options of at most interval number `high`, which prices [5] do not disprove. Below `low` all are."""

    menu: Menu
    low: int
    high: int
    prices: FloatArray


def _wide(query: Query, intervals: IntArray, first: int) -> _Wide | None:
    """Return the options of an interval that prices do not disprove; None if they disprove all."""
    prices: FloatArray | None = None
    while first < len(intervals):
        most = np.searchsorted(intervals, _ROOM * intervals[first], side="right") - 1
        high = max(int(most), first)
        menu = menu_within(query, int(intervals[high]))
        if menu is not None:
            known = Known(prices=prices)
            ask(Quest(menu, None, within(menu, int(intervals[high]))), known, above=1.0 + TINY, below=1.0)
            if known.bound <= 1.0 + TINY and known.prices is not None:
                return _Wide(menu, first, high, known.prices)
            prices = known.prices
        first = high + 1
    return None


def _climb(wide: _Wide, intervals: IntArray) -> tuple[int, FloatArray]:
    """Return the number of the least interval that no prices disprove, and prices that disproved the one before."""
    known, at = Known(prices=wide.prices), wide.low
    while True:
        quest = Quest(wide.menu, None, within(wide.menu, int(intervals[at])))
        known.bound = -np.inf  # what was seen stays: longer intervals allow it too
        ask(quest, known, above=1.0 + TINY, below=1.0)
        prices = wide.prices if known.prices is None else known.prices
        if known.bound <= 1.0 + TINY or at == wide.high:
            return at, prices
        at = _first_affordable(wide, intervals, at + 1, prices)


def _first_affordable(wide: _Wide, intervals: IntArray, first: int, prices: FloatArray) -> int:
    """Return the number of the least interval that these prices do not disprove."""

    def affordable(index: int) -> bool:
        return cheapest(wide.menu, prices, within(wide.menu, int(intervals[index]))).price <= 1.0 + TINY

    found = rise(first, wide.high + 1, affordable)
    return wide.high if found is None else found
