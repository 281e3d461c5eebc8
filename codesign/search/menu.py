"""What a design may still take at every site, as shares of the budget, and the cheapest choice at given prices.

The price of a selection is that of its options and of the converters between them. Converters couple neighbours through
the widths of their words, which fall into few classes. So the cheapest selection is found exactly, class by class.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from codesign.model.resource import converter_columns
from codesign.model.space import Edge, Site, Space
from codesign.ops.arrays import BoolArray, IntArray
from codesign.search.elimination import FloatArray, Least, Pair, Plan, Tables, least, marginals, plan

_NONE = 0.25  # replaces a limit of 0, so that one unit of the resource takes more than there is
_ENDLESS = 1e9  # means no limit: no design takes so much


@dataclass(frozen=True, slots=True, eq=False)
class Menu:
    """The options in play: those of all sites in one row, sorted by site, then by the widths of their words.

    `limit` [5]: what the budget leaves for options. `rows` [N]: of the site's options; `intervals` [N]: their cycles;
    `shares` [5, N]: their counts over the limit. `starts`: where each group of equal widths begins; `into`, `out`: its
    classes of widths. `first`: the first option of every site, and N; `groups`: the same for groups. `lanes`: widths of
    the classes of every site. `converters`: shares [5, A, B] of every edge, for classes of producer and consumer.
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
    """The cheapest selection at some prices: what it costs at them, its picks in the menu, and its shares [5]."""

    price: float
    picks: IntArray
    shares: FloatArray


class _Part(NamedTuple):
    """The rows of a site in the menu's order, where its groups begin, their classes, and the widths of these."""

    rows: IntArray
    starts: IntArray
    into: IntArray
    out: IntArray
    lanes_in: IntArray
    lanes_out: IntArray


def menu_of(space: Space, limit: FloatArray, kept: Sequence[IntArray], steps: Plan | None = None) -> Menu:
    """Return the menu of those rows of every site, at least one each.

    `limit` [5]: what options may take together. `steps`: those of a larger menu of the space, which serve as well.
    """
    scale, parts = 1.0 / whole(limit), [_part(s, k) for s, k in zip(space.sites, kept, strict=True)]
    sizes = np.array([len(part.rows) for part in parts])
    first = np.cumsum([0, *sizes])
    chosen = [(site.options, part.rows) for site, part in zip(space.sites, parts, strict=True)]
    lanes = tuple((part.lanes_in, part.lanes_out) for part in parts)
    return Menu(
        space=space,
        limit=limit,
        rows=np.concatenate([part.rows for part in parts]),
        intervals=np.concatenate([options.interval[rows] for options, rows in chosen]),
        shares=(np.concatenate([options.counts[rows] for options, rows in chosen]) * scale).T.copy(),
        starts=np.concatenate([part.starts + begin for part, begin in zip(parts, first, strict=False)]),
        into=np.concatenate([part.into for part in parts]),
        out=np.concatenate([part.out for part in parts]),
        first=first,
        groups=np.cumsum([0, *(len(part.starts) for part in parts)]),
        lanes=lanes,
        converters=tuple(_converter_shares(space, edge, lanes, scale) for edge in space.edges),
        plan=_plan(space, lanes) if steps is None else steps,
    )


def _part(site: Site, rows: IntArray) -> _Part:
    lanes_in, into = np.unique(site.options.lanes_in[rows], return_inverse=True)
    lanes_out, out = np.unique(site.options.lanes_out[rows], return_inverse=True)
    group = into * len(lanes_out) + out
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    return _Part(rows[order], starts, into[order][starts], out[order][starts], lanes_in, lanes_out)


def _converter_shares(
    space: Space, edge: Edge, lanes: Sequence[tuple[IntArray, IntArray]], scale: FloatArray
) -> FloatArray:
    """Return the shares [5, A, B] of the edge's converter, for A widths of its producer and B of its consumer."""
    leave, enter = lanes[edge.producer][1][:, None], lanes[edge.consumer][0][None, :]
    counts = converter_columns(leave, enter, edge.packet_in, edge.packet_out, edge.bits, space.technology)
    return np.asarray(scale[:, None, None] * np.moveaxis(counts, 2, 0))


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
        # Where a site has no option the price is infinite, and what is picked means nothing.
        pair = np.flatnonzero((menu.into[groups] == into) & (menu.out[groups] == out))
        at = menu.groups[site] + (int(pair[0]) if len(pair) else 0)
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


def _plan(space: Space, lanes: Sequence[tuple[IntArray, IntArray]]) -> Plan:
    sizes = [len(side) for both in lanes for side in both]
    edges = [_pair(e.producer, e.consumer) for e in space.edges]
    sites = [(2 * i, 2 * i + 1) for i in range(len(space.sites))]
    return plan(sizes, [*sites, *edges], edges)
