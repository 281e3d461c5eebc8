"""One option per site of a design space, at the least cost within a budget.

Options that another beats whatever its neighbours choose are taken out first; the rest is a mixed-integer program.
Width converters couple neighbours and are exact: every edge has a variable for each pair of word widths at its ends.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from codesign.model.resource import NAMES, converter_columns
from codesign.model.space import Space
from codesign.ops.arrays import IntArray
from codesign.search.program import FloatArray, Program, Verdict


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Option rows of a Space, one per site (None without a selection), their objective and a lower bound of it."""

    verdict: Verdict
    rows: tuple[int, ...] | None
    objective: float
    bound: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Task:
    """Choose among options of at most `max_interval` cycles, with counts of the whole design of at most `budget` [5].

    The objective is `weights` [5] times the counts. With `latency`, a limit in cycles, it is the latency estimate. With
    `overflow` it is the largest ratio of counts to budget, which then is no constraint.
    """

    space: Space
    max_interval: int
    budget: FloatArray
    weights: FloatArray
    latency: float | None = None
    overflow: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """The rows of a site worth choosing from, and the word widths at its ends: values, and the class of every row."""

    rows: IntArray
    lanes_in: IntArray
    in_class: IntArray
    lanes_out: IntArray
    out_class: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A task reduced to the rows worth choosing from, and its program; `kept` is None if a site has no such row."""

    task: Task
    kept: list[_Kept] | None
    program: Program
    choices: list[int]


def prepare(task: Task) -> Prepared:
    """Reduce a task and put its program together, for any number of calls of select."""
    kept = _kept(task)
    program, choices = (Program(), []) if kept is None else _program(task, kept)
    return Prepared(task, kept, program, choices)


def select(prepared: Prepared, *, relaxed: bool = False, gap: float = 0.0, time_limit_s: float = 60.0) -> Selection:
    """Solve the task. `relaxed`: with fractions of options, a bound only. `gap`: relative; 1 stops at the first
    selection. Deterministic unless the time limit, in seconds, is hit.
    """
    task, kept = prepared.task, prepared.kept
    if kept is None:
        return Selection(Verdict.INFEASIBLE, None, np.inf, np.inf)
    answer = prepared.program.solve(relaxed=relaxed, gap=gap, time_limit_s=time_limit_s)
    if answer.values is None or relaxed:
        return Selection(answer.verdict, None, answer.objective, answer.bound)
    starts = zip(prepared.choices, kept, strict=True)
    rows = tuple(int(k.rows[answer.values[first : first + len(k.rows)].argmax()]) for first, k in starts)
    if not task.overflow and (counts_of(task.space, rows) > task.budget).any():
        return Selection(Verdict.UNKNOWN, None, np.inf, answer.bound)  # the solver's tolerance was exceeded
    return Selection(answer.verdict, rows, answer.objective, answer.bound)


def counts_of(space: Space, rows: tuple[int, ...]) -> IntArray:
    """Return counts [5] of the whole design that takes these rows."""
    total = np.array([getattr(space.base, name) for name in NAMES])
    total += sum(site.options.counts[row] for site, row in zip(space.sites, rows, strict=True))
    for edge in space.edges:
        lanes_in = space.sites[edge.producer].options.lanes_out[rows[edge.producer]]
        lanes_out = space.sites[edge.consumer].options.lanes_in[rows[edge.consumer]]
        total += converter_columns(lanes_in, lanes_out, edge.packet_in, edge.packet_out, edge.bits, space.technology)
    return np.asarray(total)


def interval_of(space: Space, rows: tuple[int, ...]) -> int:
    """Return the cycles between images of the design that takes these rows."""
    return max(int(site.options.interval[row]) for site, row in zip(space.sites, rows, strict=True))


def latency_of(space: Space, rows: tuple[int, ...]) -> float:
    """Return the estimate that Task.latency minimises: cycles from the first input word to the last output word.

    A site starts when its slowest input has brought what the first window needs, at an even pace. It ends when its own
    work is done, and no sooner than the work that waits for the last input word.
    """
    start, end = np.zeros(len(rows)), np.zeros(len(rows))
    for i, (site, row) in enumerate(zip(space.sites, rows, strict=True)):
        sources = [e.producer for e in space.edges if e.consumer == i]
        work, steps = int(site.options.interval[row]), int(site.options.steps[row])
        start[i] = max((start[p] + site.need * (end[p] - start[p]) + steps for p in sources), default=0.0)
        end[i] = max([start[i] + work - steps, *(end[p] + site.last * work for p in sources)])
    return float(end[-1])


def _kept(task: Task) -> list[_Kept] | None:
    """Return what is worth choosing from at every site; None if a site has nothing within interval and budget."""
    sites = task.space.sites
    rows = [np.flatnonzero(site.options.interval <= task.max_interval) for site in sites]
    if not task.overflow and all(map(len, rows)):
        least = np.array([site.options.counts[r].min(axis=0) for site, r in zip(sites, rows, strict=True)])
        room = task.budget - least.sum(axis=0) + least
        rows = [r[(site.options.counts[r] <= top).all(axis=1)] for site, r, top in zip(sites, rows, room, strict=True)]
    if not all(map(len, rows)):
        return None
    kept = [_classed(task.space, i, r) for i, r in enumerate(rows)]
    tables = _converters(task.space, kept)
    fit = [_undominated(task, i, k, tables) for i, k in enumerate(kept)]
    return [_classed(task.space, i, k.rows[f]) for i, (k, f) in enumerate(zip(kept, fit, strict=True))]


def _classed(space: Space, site: int, rows: IntArray) -> _Kept:
    options = space.sites[site].options
    lanes_in, in_class = np.unique(options.lanes_in[rows], return_inverse=True)
    lanes_out, out_class = np.unique(options.lanes_out[rows], return_inverse=True)
    return _Kept(rows, lanes_in, in_class, lanes_out, out_class)


def _converters(space: Space, kept: list[_Kept]) -> list[IntArray]:
    """Return counts [A, B, 5] of the converter of every edge, for A widths of the producer and B of the consumer."""
    return [
        converter_columns(
            kept[e.producer].lanes_out[:, None],
            kept[e.consumer].lanes_in[None, :],
            e.packet_in,
            e.packet_out,
            e.bits,
            space.technology,
        )
        for e in space.edges
    ]


def _undominated(task: Task, site: int, kept: _Kept, tables: list[IntArray]) -> npt.NDArray[np.bool_]:
    """Tell which rows no other beats in every resource, with the converters on both sides at their worst for the other.

    The cheapest rows come first: each row that stays strikes out all that it beats. So the work is rows times rows that
    stay.
    """
    options, edges = task.space.sites[site].options, task.space.edges
    arriving = [t.swapaxes(0, 1) for t, e in zip(tables, edges, strict=True) if e.consumer == site]
    leaving = [t for t, e in zip(tables, edges, strict=True) if e.producer == site]
    into = lru_cache(lambda mine: _worst_excess(arriving, mine, len(kept.lanes_in)))
    out = lru_cache(lambda mine: _worst_excess(leaving, mine, len(kept.lanes_out)))
    order = np.argsort(options.counts[kept.rows] @ task.weights, kind="stable")
    counts = options.counts[kept.rows[order]].T.copy()
    cycles = np.stack([options.interval[kept.rows[order]], options.steps[kept.rows[order]]])
    in_class, out_class = kept.in_class[order], kept.out_class[order]
    stays = np.zeros(len(order), dtype=np.bool_)
    while len(order):
        stays[order[0]] = True
        rest = np.zeros(len(order), dtype=np.bool_)
        in_excess, out_excess = into(in_class[0]), out(out_class[0])
        for r, column in enumerate(counts):
            worst = column[0] + in_excess[r, in_class] + out_excess[r, out_class]
            rest |= worst > column
        if task.latency is not None:
            rest |= (cycles[:, :1] > cycles).any(axis=0)
        rest[0] = False
        order, counts, cycles = order[rest], counts[:, rest], cycles[:, rest]
        in_class, out_class = in_class[rest], out_class[rest]
    return stays


def _worst_excess(tables: list[IntArray], mine: int, classes: int) -> IntArray:
    """Return the most by which converters to width class `mine` can exceed those to every other class [5, A].

    It is the worst over the width at their other end, in sum over the edges [A, B, 5] of one side of a site.
    """
    none = np.zeros((classes, len(NAMES)), dtype=np.int64)
    return np.asarray(sum(((t[mine] - t).max(axis=1) for t in tables), none)).T


def _program(task: Task, kept: list[_Kept]) -> tuple[Program, list[int]]:
    """Return the program over the kept rows, and the first choice variable of every site."""
    program, space = Program(), task.space
    plain = task.latency is None and not task.overflow
    counts = [site.options.counts[k.rows] for site, k in zip(space.sites, kept, strict=True)]
    tables = [t.reshape(-1, len(NAMES)) for t in _converters(space, kept)]
    spread = [(table, True) for table in counts] + [(table, False) for table in tables]
    costs = [t @ task.weights if plain else np.zeros(len(t)) for t, _ in spread]
    firsts = [program.variables(c, choice=choice, most=1.0) for c, (_, choice) in zip(costs, spread, strict=True)]
    choices, pairs = firsts[: len(counts)], firsts[len(counts) :]
    for first, table in zip(choices, counts, strict=True):
        program.line([(first, np.ones(len(table)))], 1.0, 1.0)
    for edge, first in zip(space.edges, pairs, strict=True):
        out, into = kept[edge.producer], kept[edge.consumer]
        grid = first + np.arange(len(out.lanes_out) * len(into.lanes_in)).reshape(len(out.lanes_out), -1)
        program.ties(choices[edge.producer], out.out_class, grid)
        program.ties(choices[edge.consumer], into.in_class, grid.T)
    slack = program.variables(np.ones(1), choice=False) if task.overflow else None
    for column, name in enumerate(NAMES):
        terms = [(first, t[:, column].astype(np.float64)) for first, (t, _) in zip(firsts, spread, strict=True)]
        _limit(program, terms, float(task.budget[column]) - getattr(space.base, name), slack)
    if task.latency is not None:
        _minimise_latency(program, task, kept, choices)
    return program, choices


def _limit(program: Program, terms: list[tuple[int, FloatArray]], limit: float, slack: int | None) -> None:
    """Limit the counts or, with a slack variable, keep them within that many times the limit."""
    if np.isinf(limit) or not any(coefficients.any() for _, coefficients in terms):
        return
    if slack is None:
        program.line(terms, -np.inf, limit)
    else:
        program.line([*terms, (slack, np.array([-max(limit, 1.0)]))], -np.inf, 0.0)


def _minimise_latency(program: Program, task: Task, kept: list[_Kept], choices: list[int]) -> None:
    """Add variables for start and end of every site, tied as in latency_of; the objective is the end of the last."""
    space, last = task.space, len(kept) - 1
    times = program.variables(np.zeros(2 * len(kept)), choice=False)
    program.set_cost(times + 2 * last + 1, 1.0)
    one = np.ones(1)
    program.line([(times + 2 * last + 1, one)], -np.inf, np.inf if task.latency is None else task.latency)
    for i, (site, k) in enumerate(zip(space.sites, kept, strict=True)):
        work = site.options.interval[k.rows].astype(np.float64)
        steps = site.options.steps[k.rows].astype(np.float64)
        start, end = times + 2 * i, times + 2 * i + 1
        program.line([(end, one), (start, -one), (choices[i], steps - work)], 0.0, np.inf)
        for p in (times + 2 * e.producer for e in space.edges if e.consumer == i):
            arrival = np.array([site.need - 1.0, -site.need])
            program.line([(start, one), (p, arrival), (choices[i], -steps)], 0.0, np.inf)
            program.line([(end, one), (p + 1, -one), (choices[i], -site.last * work)], 0.0, np.inf)
