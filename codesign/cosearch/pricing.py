"""What every candidate costs on a board, as tables of constants. There are no tensors here.

A line-engine design of interval T gives every node the cheapest engine that needs at most T cycles. With a price on
each resource, that engine takes a share of the board, a function of T. A design of interval T exists where the nodes'
shares sum to at most 1. So a network's interval is where the falling sum of shares crosses the capacity: the bottleneck
of a balanced pipeline. The prices are those at which its scarce resources balance, as in the dual of the exact program.
The capacity makes table and exact search agree on the present network.

One image takes the interval, plus the wait of every node for its first window. That wait is the share of its map that a
window needs, times its engine's cycles. Once the board has a price in cycles, the least sum of waits is a sum of
independent minima again. The right price is the one that makes this sum largest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.cosearch.blocks import ChoiceBlock, choice_blocks
from codesign.cosearch.config import Objective
from codesign.cosearch.costing import FloatArray
from codesign.cosearch.row import Row
from codesign.cosearch.task import Task
from codesign.errors import InfeasibleError
from codesign.ir.cost import Resources
from codesign.ir.technology import Technology
from codesign.model import resource
from codesign.model.space import need_share, node_options
from codesign.ops.node import Operation

IntArray = npt.NDArray[np.int64]

_STEP = np.log(256.0) / 32  # between the intervals at which shares are tabulated, in log cycles
_BELOW, _ABOVE = 8.0, 32.0  # the grid reaches from reference / 8 to reference * 32
_FAR_BELOW = 4096.0  # and from reference / 4096 where a block's latency counts by itself
_ABSENT = 8.0  # share of a node for which there is no engine of that interval, at the least one that there is
_BEYOND = 12.0  # steps beyond the grid, up to which a trend is followed
_ROUNDS = 200  # of balancing prices
_UNFIT = 0.95  # share of what a network takes that does not fit, which is taken for the capacity
_BOARD_CYCLES = np.exp(np.linspace(-5.0, 4.0, 28))  # prices of the whole board, in references, at which waits are known


@dataclass(frozen=True, slots=True, eq=False)
class _Engines:
    """The engines of a node, by rising interval, and what they take [N, 5]."""

    interval: IntArray
    counts: IntArray


class Pricing:
    """Cost of the networks of a task, by table: log(interval / reference) of their best designs.

    Where a latency is demanded, log(latency / demanded) instead, or the larger of both where both are demanded.
    """

    def __init__(
        self, task: Task, objective: Objective = Objective.BOTTLENECK, *, reference: int | None = None
    ) -> None:
        """Build the tables. Raise InfeasibleError if board and limits leave no resource.

        `reference`: the interval around which costs are known, where none is demanded.
        """
        self.reference = task.reference(reference)
        self.objective, self.demand, board = objective, task.demand, task.board
        self.sizes = tuple(len(d.options) for d in task.decisions)
        budget = _row(board.budget)
        self._scale = np.where(budget > 0, 1 / np.maximum(budget, 1), 0.0)
        self._has = budget > 0
        if not self._has.any():
            raise InfeasibleError(
                f"design: no network fits, because a design may take nothing of {board.name}; allow some DSPs, BRAMs, "
                "LUTs and FFs in its `resources`, its `fill` and the key `limits`"
            )
        below = _FAR_BELOW if objective is Objective.SUM else _BELOW
        self._at_reference = round(np.log(below) / _STEP)
        self._log_grid = _STEP * (
            np.arange(self._at_reference + round(np.log(_ABOVE) / _STEP) + 1) - self._at_reference
        )
        self._intervals = np.maximum(np.floor(self.reference * np.exp(self._log_grid) + 1e-6).astype(np.int64), 1)
        self._groups = choice_blocks(task.space, task.shape, len(task.labels))
        self._engines = _engines(self._groups, board.fabric, self._has)
        self._prices = self._has / self._has.sum()
        self.capacity, self._lag = 1.0, 0.0
        self._tabulate()

    @property
    def state(self) -> dict[str, Any]:
        """The price of each resource, in the order of resource.NAMES, and what else adapts; plain data."""
        return {"prices": self._prices.tolist(), "capacity": self.capacity, "lag": self._lag}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` gave."""
        self._prices, self.capacity, self._lag = np.array(state["prices"]), state["capacity"], state["lag"]
        self._tabulate()

    def allowed(self) -> list[npt.NDArray[np.bool_]]:
        """Return, for each decision, which options can be part of a network of the demanded interval, if there is one.

        If not, return which can be part of one that the machine has.
        """
        found = [np.ones(size, dtype=np.bool_) for size in self.sizes]
        is_demanded = self.demand.interval_cycles is not None
        for i in range(len(self.sizes)):
            for group, table in zip(self._groups, self._tables, strict=True):
                if i in group.decisions:
                    axis = group.decisions.index(i)
                    possible = table[..., self._at_reference] < _ABSENT if is_demanded else self._exists(group)
                    found[i] &= possible.any(axis=tuple(a for a in range(possible.ndim) if a != axis))
        return found

    def log_cost(self, row: Row) -> float:
        """Return an estimate of the network's cost at its best design."""
        return float(self._cost(self._total(self._terms, row)[None, :])[0])

    def log_interval(self, row: Row) -> float:
        """Return an estimate of log(interval / reference) of the network's best design."""
        return float(self._log_interval(self._total(self._terms, row)[None, :])[0])

    def alternatives(self, row: Row) -> list[FloatArray]:
        """Return, for each decision, log_cost of the network with each option in its place, all others as they are."""
        total, network = self._total(self._terms, row), row.network
        found = []
        for i, size in enumerate(self.sizes):
            sums = np.repeat(total[None, :], size, axis=0)
            for group, table in zip(self._groups, self._terms, strict=True):
                if i in group.decisions:
                    where: list[int | slice] = [network[d] for d in group.decisions]
                    sums -= table[tuple(where)]
                    where[group.decisions.index(i)] = slice(None)
                    sums += table[tuple(where)]
            found.append(self._cost(sums))
        return found

    def array_alternatives(self, row: Row) -> list[FloatArray]:
        """Return nothing: the arrays are those of the best design, and not chosen."""
        return []

    def adapt(self, row: Row, interval: int | None, latency: int | None = None) -> None:
        """Balance the prices for this network, and match its cost to the interval of its exactly searched design.

        None: it fits at no pace, so what it takes at the slowest is more than the board's capacity. `latency`: of its
        quickest design, if known.
        """
        self._prices = self._balanced(row, interval or self.reference)
        self._tabulate()
        self.capacity = 1.0
        if interval is None:
            self.capacity = float(np.clip(_UNFIT * self._total(self._tables, row)[-1], 0.5, 1.0))
            return
        if self.objective is Objective.SUM:
            self.capacity = float(np.exp(self.log_interval(row)) * self.reference / interval)
        elif interval > self._least_interval(row) * 1.05:
            share = np.interp(np.log(interval / self.reference), self._log_grid, self._total(self._tables, row))
            self.capacity = float(np.clip(share, 0.5, 1.25))
        if latency is not None and self.demand.latency_cycles is not None:
            late = self._log_late(self._total(self._terms, row)[None, :])
            self._lag += float(np.log(latency / self.demand.latency_cycles) - late[0])

    def _total(self, terms: Sequence[FloatArray], row: Row) -> FloatArray:
        """Return the sum of the row's terms: shares at every interval of the grid, or one latency."""
        network, pairs = row.network, zip(self._groups, terms, strict=True)
        every = (table[tuple(network[d] for d in group.decisions)] for group, table in pairs)
        return np.asarray(sum(every, np.zeros(terms[0].shape[-1])))

    def _cost(self, sums: FloatArray) -> FloatArray:
        """Return the cost of every sum of terms [N, terms]."""
        if self.demand.latency_cycles is None:
            return self._log_interval(sums)
        late = self._log_late(sums)
        return late if self.demand.interval_cycles is None else np.maximum(late, self._log_interval(sums))

    def _log_interval(self, sums: FloatArray) -> FloatArray:
        """Return log(interval / reference) of every sum of terms, which begin with shares by interval, or a block's
        latency.

        Shares count the engines only; what lies between them is left to the capacity.
        """
        if self.objective is Objective.SUM:
            return np.asarray(np.log(sums[:, 0] / len(self._groups) / self.capacity))
        return self._crossing(sums[:, : len(self._log_grid)], self.capacity)

    def _log_late(self, sums: FloatArray) -> FloatArray:
        """Return log(latency / demanded) of every sum of terms, which end with waits by the board's price."""
        assert self.demand.latency_cycles is not None
        capacity = 1.0 if self.objective is Objective.SUM else self.capacity
        waits = (sums[:, -len(_BOARD_CYCLES) :] - _BOARD_CYCLES * capacity).max(axis=1)
        latency = np.exp(self._log_interval(sums)) + np.maximum(waits, 0.0)
        return np.asarray(np.log(latency * self.reference / self.demand.latency_cycles) + self._lag)

    def _crossing(self, shares: FloatArray, capacity: float) -> FloatArray:
        """Return where each of shares[N, grid], falling along the grid, meets the capacity; beyond, the trend."""
        over = shares > capacity
        first = np.clip(over.sum(axis=1), 1, len(self._log_grid) - 1)
        rows = np.arange(len(shares))
        high, low = shares[rows, first - 1], shares[rows, first]
        span = np.log(np.maximum(high, 1e-9)) - np.log(np.maximum(low, 1e-9))
        part = (np.log(np.maximum(high, 1e-9)) - np.log(capacity)) / np.maximum(span, 1e-3)
        # Where blocks are absent the trend is flat; a network that lacks fewer of them must still cost less.
        part = np.where(part > _BEYOND, _BEYOND + 1e-4 * (part - _BEYOND), np.maximum(part, -2.0))
        return np.asarray(self._log_grid[first - 1] + part * _STEP)

    def _tabulate(self) -> None:
        weights = self._prices * self._scale
        shares = {node: self._node_shares(engines, weights) for node, engines in self._engines.items()}
        self._tables = [_summed(group, shares, np.full(len(self._log_grid), _ABSENT)) for group in self._groups]
        self._terms = self._latencies() if self.objective is Objective.SUM else self._tables
        if self.demand.latency_cycles is not None:
            waits = {node: self._node_waits(node, engines, weights) for node, engines in self._engines.items()}
            none = np.zeros(len(_BOARD_CYCLES))
            pairs = zip(self._terms, self._groups, strict=True)
            self._terms = [np.concatenate([table, _summed(group, waits, none)], axis=-1) for table, group in pairs]

    def _latencies(self) -> list[FloatArray]:
        """Return, for every block, interval / reference at an equal share of the board, 0 if skipped, [..., 1]."""
        equal, found = 1 / len(self._groups), []
        for table in self._tables:
            shares = table.reshape(-1, table.shape[-1])
            latency = np.where(shares.any(axis=1), np.exp(self._crossing(shares, equal)), 0.0)
            found.append(latency.reshape(*table.shape[:-1], 1))
        return found

    def _node_shares(self, engines: _Engines, weights: FloatArray) -> FloatArray:
        """Return the least share of the board at every interval of the grid; it rises steeply without an engine."""
        if not len(engines.interval):
            return np.full(len(self._log_grid), _ABSENT)
        least = np.minimum.accumulate(engines.counts @ weights)
        at = np.searchsorted(engines.interval, self._intervals, side="right") - 1
        absent = _ABSENT * engines.interval[0] / self._intervals
        return np.where(at >= 0, least[np.maximum(at, 0)], absent)

    def _node_waits(self, node: Operation, engines: _Engines, weights: FloatArray) -> FloatArray:
        """Return, in references, the least wait for the first window plus the engine's share, by price of the board."""
        if not len(engines.interval):
            return np.zeros(len(_BOARD_CYCLES))
        least = np.minimum.accumulate(engines.counts @ weights)
        steps = np.flatnonzero(np.diff(least, prepend=np.inf))  # slower engines that are not cheaper are no use
        wait = need_share(node) * engines.interval[steps] / self.reference
        return np.asarray((wait[:, None] + least[steps, None] * _BOARD_CYCLES).min(axis=0))

    def _exists(self, group: ChoiceBlock) -> npt.NDArray[np.bool_]:
        """Return for which combinations of the block's decisions every node has an engine."""
        every = group.nodes.ravel()
        has = [nodes is not None and all(len(self._engines[n].interval) for n in nodes) for nodes in every]
        return np.array(has, dtype=np.bool_).reshape(group.nodes.shape)

    def _least_interval(self, row: Row) -> int:
        return max(int(self._engines[n].interval[0]) for n in self.nodes(row) if len(self._engines[n].interval))

    def nodes(self, row: Row) -> list[Operation]:
        """Return the nodes of the network, without names."""
        found: list[Operation] = []
        for group in self._groups:
            found += group.of(row) or ()
        return found

    def _balanced(self, row: Row, interval: int) -> FloatArray:
        """Return prices at which the shares' sum is largest, by multiplicative weights: scarcity raises a price."""
        prices, mean = self._has / self._has.sum(), np.zeros(len(self._has))
        sets = [self._engines[n] for n in self.nodes(row) if len(self._engines[n].interval)]
        rows = [e.counts[e.interval <= max(interval, int(e.interval[0]))] * self._scale for e in sets]
        for i in range(_ROUNDS):
            used = sum((r[int((r @ prices).argmin())] for r in rows), np.zeros(len(prices)))
            prices = np.where(self._has, prices * np.exp(0.3 * (used - used @ prices) / (1 + i / 20)), 0.0)
            prices /= prices.sum()
            mean += prices if i >= _ROUNDS // 2 else 0.0
        return mean / mean.sum()


def _summed(group: ChoiceBlock, terms: Mapping[Operation, FloatArray], absent: FloatArray) -> FloatArray:
    """Return the sum of the terms of a block's nodes for every combination of its decisions; `absent` where it has
    none.
    """
    found = np.empty((*group.nodes.shape, len(absent)))
    for where, nodes in np.ndenumerate(group.nodes):
        found[where] = absent if nodes is None else sum((terms[n] for n in nodes), np.zeros(len(absent)))
    return found


def _engines(
    groups: tuple[ChoiceBlock, ...], technology: Technology, has: npt.NDArray[np.bool_]
) -> dict[Operation, _Engines]:
    """Return the engines of every node in the groups that take only resources that the board `has`."""
    found: dict[Operation, _Engines] = {}
    for group in groups:
        for nodes in group.nodes.ravel():
            for node in nodes or ():
                if node not in found:
                    options = node_options(node, technology)
                    order = np.argsort(options.interval, kind="stable")
                    order = order[~options.counts[order][:, ~has].any(axis=1)]
                    found[node] = _Engines(options.interval[order], options.counts[order].astype(np.int32))
    return found


def _row(resources: Resources) -> FloatArray:
    return np.array([getattr(resources, name) for name in resource.NAMES], dtype=np.float64)
