"""What a design may still take at every site, as shares of the budget, and the cheapest choice at given prices.

The price of a selection is that of its options and of the converters between them. Converters couple neighbours through
the widths of their words, which fall into few classes. So the cheapest selection is found exactly, class by class.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from codesign.model.resource import NAMES, converter_columns
from codesign.model.space import Space
from codesign.ops.arrays import BoolArray, IntArray
from codesign.search.elimination import FloatArray, Least, Pair, Plan, Tables, least, marginals, plan


_NONE = 0.25  # stands for a limit of 0, so that one of the resource takes more than there is
_ENDLESS = 1e9  # stands for no limit: no design takes so much


@dataclass(frozen=True, slots=True, eq=False)
class Menu:
    """The options in play: those of all sites in one row, sorted by site, then by the widths of their words.

    `shares` [5, N]: counts of every option over `limit`, what the budget leaves for options.
    `rows` [N]: of the site's options, `intervals` [N]: their cycles. `starts`: where each group of equal widths begins; `sites`, `into`, `out`: the
    site of a group and its classes of widths. `first`: the first option of every site, and N. `groups`: the same for
    groups. `converters`: shares [5, A, B] of every edge, for classes of the producer and of the consumer.
    """

    space: Space
    limit: FloatArray
    rows: IntArray
    intervals: IntArray
    shares: FloatArray
    starts: IntArray
    into: IntArray
    out: IntArray
    first: IntArray
    groups: IntArray
    lanes: tuple[tuple[IntArray, IntArray], ...]
    converters: tuple[FloatArray, ...]
    plan: Plan

    @property
    def sites(self) -> int:
        return len(self.first) - 1

    def kept(self, site: int) -> IntArray:
        """Return the rows of a site's options that are in play, ascending."""
        return np.sort(self.rows[self.first[site] : self.first[site + 1]])


class Cheapest(NamedTuple):
    """The cheapest selection at some prices: what it costs at them, its picks (positions in the menu), its shares [5].
    """

    price: float
    picks: IntArray
    shares: FloatArray


def menu_of(space: Space, limit: FloatArray, kept: Sequence[IntArray], steps: Plan | None = None) -> Menu:
    """Return the menu of those rows of every site, at least one each.

    `limit` [5]: what options may take together. `steps`: those of a larger menu of the space, which serve as well.
    """
    scale = 1.0 / whole(limit)
    rows, intos, outs, starts, lanes = [], [], [], [], []
    count = 0
    for site, chosen in zip(space.sites, kept, strict=True):
        options = site.options
        lanes_in, into = np.unique(options.lanes_in[chosen], return_inverse=True)
        lanes_out, out = np.unique(options.lanes_out[chosen], return_inverse=True)
        group = into * len(lanes_out) + out
        order = np.argsort(group, kind="stable")
        begins = np.flatnonzero(np.diff(group[order], prepend=-1))
        rows.append(chosen[order])
        starts.append(begins + count)
        intos.append(into[order][begins])
        outs.append(out[order][begins])
        lanes.append((lanes_in, lanes_out))
        count += len(chosen)
    counts = np.concatenate([s.options.counts[r] for s, r in zip(space.sites, rows, strict=True)])
    first = np.cumsum([0, *map(len, rows)])
    groups = np.cumsum([0, *map(len, starts)])
    converters = tuple(
        scale[:, None, None]
        * np.moveaxis(
            converter_columns(
                lanes[e.producer][1][:, None], lanes[e.consumer][0][None, :], e.packet_in, e.packet_out, e.bits
            ),
            2,
            0,
        )
        for e in space.edges
    )
    return Menu(
        space=space,
        limit=limit,
        rows=np.concatenate(rows),
        intervals=np.concatenate([s.options.interval[r] for s, r in zip(space.sites, rows, strict=True)]),
        shares=(counts * scale).T.copy(),
        starts=np.concatenate(starts),
        into=np.concatenate(intos),
        out=np.concatenate(outs),
        first=first,
        groups=groups,
        lanes=tuple(lanes),
        converters=converters,
        plan=_plan(space, lanes) if steps is None else steps,
    )


def whole(limit: FloatArray) -> FloatArray:
    """Return the counts [5] that are a share of 1."""
    return np.clip(limit, _NONE, _ENDLESS)


def cheapest(menu: Menu, prices: FloatArray, on_top: FloatArray) -> Cheapest:
    """Return the cheapest selection at prices [5] of whole budgets, and `on_top` [N] of them what each option costs.

    An infinite cost forbids an option; the price is infinite where a site has no other. The price is a lower bound
    where the plan leaves out a pair; the shares are always the selection's own.
    """
    costs, found = _least(menu, prices, on_top)
    picks = np.empty(menu.sites, dtype=np.int64)
    for site in range(menu.sites):
        into, out = found.values[2 * site], found.values[2 * site + 1]
        groups = slice(menu.groups[site], menu.groups[site + 1])
        at = menu.groups[site] + int(np.flatnonzero((menu.into[groups] == into) & (menu.out[groups] == out))[0])
        end = menu.starts[at + 1] if at + 1 < len(menu.starts) else len(costs)
        picks[site] = menu.starts[at] + int(costs[menu.starts[at] : end].argmin())
    return Cheapest(found.total, picks, shares_of(menu, picks))


def through(menu: Menu, prices: FloatArray, on_top: FloatArray) -> FloatArray:
    """Return, for every option [N], the price of the cheapest selection that takes it."""
    costs, found = _least(menu, prices, on_top)
    pairs = marginals(found)
    tables = _site_tables(menu, costs)
    group = np.repeat(np.arange(len(menu.starts)), np.diff(menu.starts, append=len(costs)))
    rest = np.empty(len(menu.starts))
    for site in range(menu.sites):
        groups = slice(menu.groups[site], menu.groups[site + 1])
        at = menu.into[groups], menu.out[groups]
        own = tables[2 * site, 2 * site + 1][at]
        possible = np.isfinite(own)
        rest[groups] = np.where(possible, pairs[2 * site, 2 * site + 1][at] - np.where(possible, own, 0.0), np.inf)
    return np.asarray(costs + rest[group])


def keep(menu: Menu, stays: BoolArray) -> Menu | None:
    """Return the menu of the options that stay; None if a site keeps none."""
    kept = [menu.rows[a:b][stays[a:b]] for a, b in zip(menu.first[:-1], menu.first[1:], strict=True)]
    return menu_of(menu.space, menu.limit, [np.sort(k) for k in kept], menu.plan) if all(map(len, kept)) else None


def shares_of(menu: Menu, picks: IntArray) -> FloatArray:
    """Return the shares [5] that a selection takes, converters included."""
    total = menu.shares[:, picks].sum(axis=1)
    into, out = classes_of(menu, picks)
    for edge, table in zip(menu.space.edges, menu.converters, strict=True):
        total = total + table[:, out[edge.producer], into[edge.consumer]]
    return np.asarray(total)


def classes_of(menu: Menu, picks: IntArray) -> tuple[IntArray, IntArray]:
    """Return the classes of the words that enter and leave the picked options."""
    group = np.searchsorted(menu.starts, picks, side="right") - 1
    return menu.into[group], menu.out[group]


def _least(menu: Menu, prices: FloatArray, on_top: FloatArray) -> tuple[FloatArray, Least]:
    costs = prices @ menu.shares + on_top
    pairs = _site_tables(menu, costs)
    singles = [np.zeros(len(side)) for lanes in menu.lanes for side in lanes]
    for edge, table in zip(menu.space.edges, menu.converters, strict=True):
        pair, priced = _pair(edge.producer, edge.consumer), np.tensordot(prices, table, axes=1)
        if pair in menu.plan.dropped:
            singles[pair[0]] = singles[pair[0]] + priced.min(axis=1)
        else:
            pairs[pair] = pairs[pair] + priced if pair in pairs else priced
    return costs, least(menu.plan, singles, pairs)


def _site_tables(menu: Menu, costs: FloatArray) -> Tables:
    """Return the least cost of every site for each pair of its classes, infinite where it has no such option."""
    mins = np.minimum.reduceat(costs, menu.starts)
    pairs: Tables = {}
    for site, (lanes_in, lanes_out) in enumerate(menu.lanes):
        table = np.full((len(lanes_in), len(lanes_out)), np.inf)
        groups = slice(menu.groups[site], menu.groups[site + 1])
        table[menu.into[groups], menu.out[groups]] = mins[groups]
        pairs[2 * site, 2 * site + 1] = table
    return pairs


def _pair(producer: int, consumer: int) -> Pair:
    return 2 * producer + 1, 2 * consumer


def _plan(space: Space, lanes: list[tuple[IntArray, IntArray]]) -> Plan:
    sizes = [len(side) for both in lanes for side in both]
    edges = [_pair(e.producer, e.consumer) for e in space.edges]
    sites = [(2 * i, 2 * i + 1) for i in range(len(space.sites))]
    return plan(sizes, [*sites, *edges], edges)
