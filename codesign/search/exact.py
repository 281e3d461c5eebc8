"""The exact program over what prices leave of a menu: one option per site, at the least cost within the budget.

Options that another one beats, whatever the neighbours choose, are removed first. The rest is a mixed-integer program.
Width converters couple neighbours and are exact: every edge has a variable for each pair of word widths at its ends.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from codesign.model.resource import NAMES
from codesign.ops.arrays import BoolArray, IntArray
from codesign.search.elimination import FloatArray
from codesign.search.menu import Menu, keep, whole
from codesign.search.program import Answer, Program


@dataclass(frozen=True, slots=True)
class Latency:
    """The latency is to be minimized, and at most `limit` cycles."""

    limit: float


def solve(
    menu: Menu, weights: FloatArray, *, gap: float, nodes: int, latency: Latency | None = None
) -> tuple[Answer, IntArray | None]:
    """Return the answer, and the picks of the selection if there is one.

    The objective is `weights` [5] times the counts or, if asked for, the latency estimate. `gap`: relative; 1 stops at
    the first selection. `nodes`: of the tree of cases, at most.
    """
    order = (menu.shares * whole(menu.limit)[:, None]).T @ (weights if weights.any() else 1 / whole(menu.limit))
    stays = np.concatenate([_undominated(menu, site, order, latency) for site in range(menu.sites)])
    fewer = keep(menu, stays)
    assert fewer is not None  # what beats an option stays
    program, first = _program(fewer, weights, latency)
    answer = program.solve(gap=gap, nodes=nodes)
    if answer.values is None:
        return answer, None
    values = answer.values[first : first + len(fewer.rows)]
    spans = zip(fewer.first[:-1], fewer.first[1:], strict=True)
    picks = np.array([a + int(values[a:b].argmax()) for a, b in spans])
    return answer, np.flatnonzero(stays)[picks]


def _undominated(menu: Menu, site: int, costs: FloatArray, latency: Latency | None) -> BoolArray:
    """Tell which options of a site no other beats in every resource, with the converters on both sides at their worst
    for the other.

    The cheapest come first: each that stays strikes out all that it beats.
    """
    span = slice(menu.first[site], menu.first[site + 1])
    groups = np.searchsorted(menu.starts, np.arange(span.start, span.stop), side="right") - 1
    edges = list(zip(menu.space.edges, menu.converters, strict=True))
    arriving = [t.swapaxes(1, 2) for e, t in edges if e.consumer == site]
    leaving = [t for e, t in edges if e.producer == site]
    classes_in, classes_out = map(len, menu.lanes[site])
    into = lru_cache(lambda mine: _worst_excess(arriving, mine, classes_in))
    out = lru_cache(lambda mine: _worst_excess(leaving, mine, classes_out))
    order = np.argsort(costs[span], kind="stable")
    shares, in_class, out_class = menu.shares[:, span][:, order], menu.into[groups][order], menu.out[groups][order]
    options, rows = menu.space.sites[site].options, menu.rows[span][order]
    cycles = np.stack([options.interval[rows], options.steps[rows]])
    stays = np.zeros(len(order), dtype=np.bool_)
    while len(order):
        stays[order[0]] = True
        worst = shares[:, :1] + into(int(in_class[0]))[:, in_class] + out(int(out_class[0]))[:, out_class]
        rest = (worst > shares + 1e-12).any(axis=0)
        if latency is not None:
            rest = rest | (cycles[:, :1] > cycles).any(axis=0)
        rest = np.asarray(rest)
        rest[0] = False
        order, shares, cycles = order[rest], shares[:, rest], cycles[:, rest]
        in_class, out_class = in_class[rest], out_class[rest]
    return stays


def _worst_excess(tables: list[FloatArray], mine: int, classes: int) -> FloatArray:
    """Return the most by which converters to width class `mine` can exceed those to every other class [5, A].

    It is the worst over the width at their other end, in sum over the edges [5, A, B] of one side of a site.
    """
    none = np.zeros((len(NAMES), classes))
    return np.asarray(sum(((t[:, mine, None, :] - t).max(axis=2) for t in tables), none))


def _program(menu: Menu, weights: FloatArray, latency: Latency | None) -> tuple[Program, int]:
    """Return the program over a menu, and its first variable of choice."""
    program, scale = Program(), whole(menu.limit)
    counts = menu.shares * scale[:, None]
    tables = [(t * scale[:, None, None]).reshape(len(NAMES), -1) for t in menu.converters]
    costs = np.zeros(len(NAMES)) if latency else weights
    first = program.variables(costs @ counts, choice=True)
    pairs = [program.variables(costs @ t, choice=False, most=1.0) for t in tables]
    groups = np.repeat(np.arange(len(menu.starts)), np.diff(menu.starts, append=len(menu.rows)))
    for a, b in zip(menu.first[:-1], menu.first[1:], strict=True):
        program.line([(first + int(a), np.ones(b - a))], 1.0, 1.0)
    for edge, pair in zip(menu.space.edges, pairs, strict=True):
        out, into = len(menu.lanes[edge.producer][1]), len(menu.lanes[edge.consumer][0])
        grid = pair + np.arange(out * into).reshape(out, into)
        a, b = menu.first[edge.producer], menu.first[edge.producer + 1]
        program.ties(first + int(a), menu.out[groups[a:b]], grid)
        a, b = menu.first[edge.consumer], menu.first[edge.consumer + 1]
        program.ties(first + int(a), menu.into[groups[a:b]], grid.T)
    for r in range(len(NAMES)):
        terms = [(first, np.rint(counts[r])), *((p, np.rint(t[r])) for p, t in zip(pairs, tables, strict=True))]
        if any(coefficients.any() for _, coefficients in terms):
            program.line(terms, -np.inf, float(menu.limit[r]))
    if latency is not None:
        _minimise_latency(program, menu, first, latency)
    return program, first


def _minimise_latency(program: Program, menu: Menu, first: int, latency: Latency) -> None:
    """Add variables for start and end of every site, tied as in latency_of; the objective is the end of the last."""
    space, last = menu.space, menu.sites - 1
    times = program.variables(np.zeros(2 * menu.sites), choice=False)
    program.set_cost(times + 2 * last + 1, 1.0)
    one = np.ones(1)
    program.line([(times + 2 * last + 1, one)], -np.inf, latency.limit)
    for i, site in enumerate(space.sites):
        rows, choices = menu.rows[menu.first[i] : menu.first[i + 1]], first + int(menu.first[i])
        work = site.options.interval[rows].astype(np.float64)
        steps = site.options.steps[rows].astype(np.float64)
        start, end = times + 2 * i, times + 2 * i + 1
        program.line([(end, one), (start, -one), (choices, steps - work)], 0.0, np.inf)
        for p in (times + 2 * e.producer for e in space.edges if e.consumer == i):
            arrival = np.array([site.need - 1.0, -site.need])
            program.line([(start, one), (p, arrival), (choices, -steps)], 0.0, np.inf)
            program.line([(end, one), (p + 1, -one), (choices, -site.last * work)], 0.0, np.inf)
