"""The least sum of tables over pairs of variables, exactly: variables leave one by one.

A variable with two neighbours leaves behind a table over these two. The table is a product of matrices in which sums
replace products, and minima replace sums. Networks of chains and branches need no more. Where a variable would leave a
table over three, `plan` drops the pair that spans most variables; sums without it are lower bounds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Pair = tuple[int, int]
Tables = dict[Pair, FloatArray]


@dataclass(frozen=True, slots=True)
class Step:
    """A variable that leaves, and its neighbours by then: two at most."""

    variable: int
    neighbours: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The order in which variables leave, and the pairs that are left out."""

    steps: tuple[Step, ...]
    dropped: frozenset[Pair]


@dataclass(frozen=True, slots=True, eq=False)
class _Left:
    """What a variable left behind: its tables with each neighbour, its own values in the first, and the new table."""

    step: Step
    tables: tuple[FloatArray, ...]
    made: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Least:
    """The least sum, a value of every variable that has it, and what is needed for marginals."""

    total: float
    values: tuple[int, ...]
    left: tuple[_Left, ...]


def plan(sizes: Sequence[int], pairs: Sequence[Pair], free: Sequence[Pair]) -> Plan:
    """Return an order for variables of those sizes, coupled by `pairs` (each ascending).

    Of the pairs only those that are `free` may be dropped; without them every variable has at most two neighbours.
    """
    droppable = sorted(free, key=lambda pair: pair[0] - pair[1])
    dropped: set[Pair] = set()
    while True:
        steps = _order(sizes, [pair for pair in pairs if pair not in dropped])
        if steps is not None:
            return Plan(steps, frozenset(dropped))
        dropped.add(droppable[len(dropped)])


def _order(sizes: Sequence[int], pairs: Sequence[Pair]) -> tuple[Step, ...] | None:
    """Return steps that leave few and small tables; None if a table would have three variables."""
    near: dict[int, set[int]] = {v: set() for v in range(len(sizes))}
    for a, b in pairs:
        near[a].add(b)
        near[b].add(a)
    steps: list[Step] = []

    def work(v: int) -> tuple[int, int, int]:
        return len(near[v]), sizes[v] * math.prod(sizes[n] for n in near[v]), v

    while near:
        v = min(near, key=work)
        around = tuple(sorted(near.pop(v)))
        if len(around) > 2:
            return None
        for n in around:
            near[n].discard(v)
            near[n].update(m for m in around if m != n)
        steps.append(Step(v, around))
    return tuple(steps)


def least(order: Plan, singles: Sequence[FloatArray], pairs: Tables) -> Least:
    """Return the least of the sum of `singles` (a vector per variable) and `pairs`, less those that the plan drops."""
    own = list(singles)
    tables = {pair: table for pair, table in pairs.items() if pair not in order.dropped}
    total = 0.0
    left: list[_Left] = []
    for step in order.steps:
        v, around = step.variable, step.neighbours
        if not around:
            total += float(own[v].min())
            left.append(_Left(step, (own[v],), own[v]))
        elif len(around) == 1:
            joined = _take(tables, around[0], v) + own[v]
            made = joined.min(axis=1)
            own[around[0]] = own[around[0]] + made
            left.append(_Left(step, (joined,), made))
        else:
            m, n = around
            before, after = _take(tables, m, v) + own[v], _take(tables, v, n)
            made = _product(before, after)
            tables[m, n] = tables[m, n] + made if (m, n) in tables else made
            left.append(_Left(step, (before, after), made))
    return Least(total, _values(left, len(own)), tuple(left))


def marginals(found: Least) -> Tables:
    """Return, for every pair that was added up, the least sum [A, B] through each of its entries."""
    pairs: Tables = {}
    single: dict[int, FloatArray] = {}
    for back in reversed(found.left):
        v, around = back.step.variable, back.step.neighbours
        if not around:
            others = found.total - back.made.min() if np.isfinite(found.total) else np.inf
            single[v] = back.made + others
        elif len(around) == 1:
            (n,) = around
            through = back.tables[0] + _without(single[n], back.made)[:, None]
            _put(pairs, n, v, through)
            single[v] = through.min(axis=0)
        else:
            m, n = around
            before, after = back.tables
            rest = _without(pairs[m, n], back.made)
            through = before + _product(rest, after.T)
            _put(pairs, m, v, through)
            _put(pairs, v, n, after + _product(before.T, rest))
            single[v] = through.min(axis=0)
    return pairs


def _values(left: list[_Left], count: int) -> tuple[int, ...]:
    """Return the value of every variable, from the one that left last to the first."""
    values = [0] * count
    for back in reversed(left):
        around = [values[n] for n in back.step.neighbours]
        line = back.tables[0] if not around else back.tables[0][around[0]]
        if len(around) == 2:
            line = line + back.tables[1][:, around[1]]
        values[back.step.variable] = int(line.argmin())
    return tuple(values)


def _take(tables: Tables, a: int, b: int) -> FloatArray:
    """Return the table of a pair [a, b], and take it out."""
    return tables.pop((a, b)) if a < b else tables.pop((b, a)).T


def _put(tables: Tables, a: int, b: int, table: FloatArray) -> None:
    if a < b:
        tables[a, b] = table
    else:
        tables[b, a] = table.T


def _product(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the least over j of a[i, j] + b[j, k], for every i and k."""
    return np.asarray((a[:, :, None] + b[None, :, :]).min(axis=1))


def _without(total: FloatArray, part: FloatArray) -> FloatArray:
    """Return the total less a part of it; what is impossible stays so."""
    finite = np.isfinite(part)
    return np.where(finite, total - np.where(finite, part, 0.0), np.inf)
