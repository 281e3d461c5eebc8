"""Prices of the resources that prove what no selection can reach, and selections that come close to it.

A selection within the budget costs at most the sum of all prices, whatever they are. So where the cheapest one costs
more, there is none. The prices that prove most are found by cutting planes: every cheapest selection found so far
limits what any prices can prove.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import linprog

from codesign.model.resource import NAMES
from codesign.ops.arrays import BoolArray, IntArray
from codesign.search.elimination import FloatArray
from codesign.search.menu import Menu, cheapest, classes_of, keep, shares_of, through

ROUNDS = 60  # of prices, at most
CLOSE = 1e-5  # of the bound: nearer to what no prices can exceed is not looked for
TINY = 1e-9
_MOST = 1e3  # of a price, where their sum is free
_MENDS = 80  # changes of one option that bring a selection within the budget, at most
_NARROW = 3000  # options among which such changes are searched


@dataclass(frozen=True, slots=True, eq=False)
class Quest:
    """What is asked of selections from a menu.

    `on_top` [N]: what each option costs, infinite where it is forbidden. `weights` [5]: what whole budgets cost. Their
    sum is to be least, within the budget. Without weights, the least multiple of the budget is asked for.
    """

    menu: Menu
    weights: FloatArray | None
    on_top: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A selection: its picks, its shares [5], and what it costs apart from prices."""

    picks: IntArray
    shares: FloatArray
    cost: float


@dataclass(slots=True, eq=False)
class Known:
    """What is known of a quest: no selection is below `bound`, which `prices` [5] tell; and the selections `seen`."""

    bound: float = -np.inf
    prices: FloatArray | None = None
    seen: list[Seen] = field(default_factory=list)


def ask(quest: Quest, known: Known, *, above: float = np.inf, below: float = -np.inf) -> None:
    """Tighten the bound until it is close to the best that prices can tell.

    It ends as well where the bound is above `above`, or where no prices can bring it above `below`.
    """
    used = np.flatnonzero((quest.menu.shares > 0).any(axis=1))
    prices = _even(quest, used) if known.prices is None else known.prices
    for _ in range(ROUNDS):
        weights, rest = _terms(quest, prices)
        found = cheapest(quest.menu, prices + weights, quest.on_top)
        if found.price - rest > known.bound or known.prices is None:
            known.bound, known.prices = max(found.price - rest, known.bound), prices
        if not np.isfinite(found.price) or known.bound > above or not len(used):
            return
        cost = float(quest.on_top[found.picks].sum() + weights @ found.shares)
        known.seen.append(Seen(found.picks, found.shares, cost))
        prices, most = _master(quest, known.seen, used)
        if most <= max(below, known.bound + CLOSE * abs(known.bound)):
            return


def prune(quest: Quest, known: Known, limit: float) -> tuple[Quest, Known] | None:
    """Return the quest over the options that selections of at most `limit` can take, and what is known of it.

    None if there is no such selection.
    """
    assert known.prices is not None
    weights, rest = _terms(quest, known.prices)
    stays = through(quest.menu, known.prices + weights, quest.on_top) - rest <= limit + TINY
    return _within(quest, known, stays)


def narrow(quest: Quest, known: Known, most: int = _NARROW) -> tuple[Quest, Known]:
    """Return the quest over about `most` options that cheap selections take, for a search that need not be complete."""
    assert known.prices is not None
    if quest.menu.shares.shape[1] <= most:
        return quest, known
    weights, _ = _terms(quest, known.prices)
    costs = through(quest.menu, known.prices + weights, quest.on_top)
    smaller = _within(quest, known, costs <= np.partition(costs, most)[most])
    assert smaller is not None  # the cheapest selection of all stays
    return smaller


def mend(quest: Quest, picks: IntArray, weights: FloatArray) -> IntArray | None:
    """Return a selection within the budget, by changes of one option at a time; None if they end beyond it.

    First the excess falls, then the cost: at `weights` [5], and on top of that.
    """
    menu, on_top, picks = quest.menu, quest.on_top, picks.copy()
    site = np.repeat(np.arange(menu.sites), np.diff(menu.first))
    for _ in range(_MENDS):
        shares = shares_of(menu, picks)
        moved = _moved(menu, picks, site)
        excess, over = np.maximum(shares - 1.0, 0.0).sum(), np.maximum(shares[:, None] + moved - 1.0, 0.0).sum(axis=0)
        costs = weights @ moved + on_top - on_top[picks][site]
        if excess > TINY:
            best = int(np.lexsort((costs, over))[0])
            if over[best] >= excess - TINY:
                return None
        else:
            costs = np.where(over <= TINY, costs, np.inf)
            best = int(costs.argmin())
            if costs[best] >= -TINY:
                break
        picks[site[best]] = best
    return picks if (shares_of(menu, picks) <= 1.0 + TINY).all() else None


def _moved(menu: Menu, picks: IntArray, site: IntArray) -> FloatArray:
    """Return by how much the shares [5, N] change if one option takes the place of its site's pick."""
    into, out = classes_of(menu, picks)
    groups = np.repeat(np.arange(len(menu.starts)), np.diff(menu.starts, append=menu.shares.shape[1]))
    every_into, every_out = menu.into[groups], menu.out[groups]
    moved = menu.shares - menu.shares[:, picks][:, site]
    for edge, table in zip(menu.space.edges, menu.converters, strict=True):
        a, b = edge.producer, edge.consumer
        now = table[:, out[a], into[b]][:, None]
        at = slice(menu.first[a], menu.first[a + 1])
        moved[:, at] += table[:, every_out[at], into[b]] - now
        at = slice(menu.first[b], menu.first[b + 1])
        moved[:, at] += table[:, out[a], every_into[at]] - now
    return moved


def _within(quest: Quest, known: Known, stays: BoolArray) -> tuple[Quest, Known] | None:
    menu = keep(quest.menu, stays)
    if menu is None:
        return None
    at = np.cumsum(stays) - 1  # a smaller menu keeps its order
    seen = [replace(s, picks=at[s.picks]) for s in known.seen if stays[s.picks].all()]
    return Quest(menu, quest.weights, quest.on_top[stays]), Known(known.bound, known.prices, seen)


def _terms(quest: Quest, prices: FloatArray) -> tuple[FloatArray, float]:
    """Return what whole budgets cost apart from prices, and what prices ask of a whole budget in vain."""
    if quest.weights is None:
        return np.zeros(len(NAMES)), 0.0
    return quest.weights, float(prices.sum())


def _even(quest: Quest, used: IntArray) -> FloatArray:
    prices = np.zeros(len(NAMES))
    if quest.weights is None:
        prices[used] = 1 / max(len(used), 1)
    return prices


def _master(quest: Quest, seen: list[Seen], used: IntArray) -> tuple[FloatArray, float]:
    """Return the prices that tell most as far as the selections seen allow, and that most."""
    shares, costs = np.array([s.shares[used] for s in seen]), np.array([s.cost for s in seen])
    total = quest.weights is None
    result = linprog(
        np.array([-1.0, *np.zeros(len(used))]),
        A_ub=np.column_stack([np.ones(len(seen)), -shares if total else 1.0 - shares]),
        b_ub=costs,
        A_eq=np.array([[0.0, *np.ones(len(used))]]) if total else None,
        b_eq=np.ones(1) if total else None,
        bounds=[(None, None), *[(0.0, _MOST)] * len(used)],
        method="highs",
    )
    assert result.x is not None  # prices of zero are allowed
    prices = np.zeros(len(NAMES))
    prices[used] = np.maximum(result.x[1:], 0.0)
    return prices / (prices.sum() if total else 1.0), float(result.x[0])
