"""What every candidate costs on a board, as tables of constants; no tensor comes here.

A line-engine design of interval T gives every node the cheapest engine that needs at most T cycles. With a price on
each resource, a node's cheapest engine takes a share of the board, a function of T, and a network has a design of
interval T where its nodes' shares sum to at most 1. So the interval of a network is where the falling sum of shares
crosses the capacity: the bottleneck of an optimally balanced pipeline, in which all engines share the board. The
prices are those at which the present network's scarce resources balance, as in the dual of the exact program; the
capacity is set so that table and exact search agree on that network.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from codesign.errors import ConfigError
from codesign.ir.board import Board, Family
from codesign.ir.cost import Resources
from codesign.ir.nodes import Add, Conv, Input, Node, Pool, Shape
from codesign.ir.qtype import QType
from codesign.model import resource
from codesign.model.space import node_options
from codesign.nets.network import INPUT, INPUT_TYPE, Layer, layer_node
from codesign.nets.space import Space, block_layers, decisions, head_layers, map_shapes, slots

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_GRID = 33  # intervals at which shares are tabulated
_BELOW, _ABOVE = 8.0, 32.0  # the grid reaches from target / 8 to target * 32
_ABSENT = 8.0  # share of a node for which there is no engine of that interval, at the least one that there is
_ROUNDS = 200  # of balancing prices


@dataclass(frozen=True, slots=True, eq=False)
class _Engines:
    """The engines of a node, by rising interval, and what they take [N, 5]."""

    interval: IntArray
    counts: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """A block or the head: the decisions that its cost depends on, and the nodes of every combination of them.

    `nodes` has the axes of `decisions`; None where the machine cannot have such a block.
    """

    decisions: tuple[int, ...]
    nodes: npt.NDArray[np.object_]


class Pricing:
    """Cost of the networks of a space on a board: log(interval / target) of their best designs, by table."""

    def __init__(self, space: Space, shape: Shape, labels: int, board: Board, target: int) -> None:
        self.target = target
        self.sizes = tuple(len(d.options) for d in decisions(space))
        budget = _row(board.budget)
        self._scale = np.where(budget > 0, 1 / np.maximum(budget, 1), 0.0)
        self._has = budget > 0
        grid = np.linspace(-np.log(_BELOW), np.log(_ABOVE), _GRID)
        nearest = int(np.abs(grid).argmin())
        self._log_grid = grid - grid[nearest]  # so that the target itself is on the grid
        self._at_target = nearest
        self._intervals = np.maximum(np.floor(target * np.exp(self._log_grid) + 1e-6).astype(np.int64), 1)
        self._groups = _groups(space, shape, labels)
        self._engines = _engines(self._groups, board.family)
        self._prices = self._has / self._has.sum()
        self.capacity = 1.0
        self._tabulate()

    @property
    def prices(self) -> FloatArray:
        """The price of each resource, in the order of resource.NAMES; they sum to 1."""
        return self._prices.copy()

    def restore(self, prices: Sequence[float], capacity: float) -> None:
        """Take up prices and capacity found earlier."""
        self._prices, self.capacity = np.array(prices), capacity
        self._tabulate()

    def allowed(self) -> list[npt.NDArray[np.bool_]]:
        """For each decision, which options can be part of a network that meets the target at all."""
        found = [np.zeros(size, dtype=np.bool_) for size in self.sizes]
        for i in range(len(self.sizes)):
            found[i][:] = True
            for group, table in zip(self._groups, self._tables, strict=True):
                if i in group.decisions:
                    axis = group.decisions.index(i)
                    possible = table[..., self._at_target] < _ABSENT
                    found[i] &= possible.any(axis=tuple(a for a in range(possible.ndim) if a != axis))
        return found

    def log_cost(self, row: Sequence[int]) -> float:
        """Estimate of log(interval / target) of the network's best design."""
        return float(self._crossing(self._shares(row)[None, :])[0])

    def alternatives(self, row: Sequence[int]) -> list[FloatArray]:
        """For each decision, log_cost of the network with each option in its place, all others as they are."""
        total = self._shares(row)
        found = []
        for i, size in enumerate(self.sizes):
            shares = np.repeat(total[None, :], size, axis=0)
            for group, table in zip(self._groups, self._tables, strict=True):
                if i in group.decisions:
                    where: list[int | slice] = [row[d] for d in group.decisions]
                    shares -= table[tuple(where)]
                    where[group.decisions.index(i)] = slice(None)
                    shares += table[tuple(where)]
            found.append(self._crossing(shares))
        return found

    def adapt(self, row: Sequence[int], interval: int | None) -> None:
        """Balance the prices for this network, and match its cost to the interval of its exactly searched design."""
        self._prices = self._balanced(row, interval or self.target)
        self._tabulate()
        self.capacity = 1.0
        if interval is not None and interval > self._least_interval(row) * 1.05:
            share = np.interp(np.log(interval / self.target), self._log_grid, self._shares(row))
            self.capacity = float(np.clip(share, 0.5, 1.25))

    def _shares(self, row: Sequence[int]) -> FloatArray:
        """Shares of the board at every interval of the grid; what lies between the engines is left to the capacity."""
        total = np.zeros(_GRID)
        for group, table in zip(self._groups, self._tables, strict=True):
            total += table[tuple(row[d] for d in group.decisions)]
        return total

    def _crossing(self, shares: FloatArray) -> FloatArray:
        """Where each of shares[N, grid], falling along the grid, meets the capacity; beyond its ends, the trend."""
        over = shares > self.capacity
        first = np.clip(over.sum(axis=1), 1, _GRID - 1)
        rows = np.arange(len(shares))
        high, low = shares[rows, first - 1], shares[rows, first]
        span = np.log(np.maximum(high, 1e-9)) - np.log(np.maximum(low, 1e-9))
        part = (np.log(np.maximum(high, 1e-9)) - np.log(self.capacity)) / np.maximum(span, 1e-3)
        step = self._log_grid[1] - self._log_grid[0]
        return np.asarray(self._log_grid[first - 1] + np.clip(part, -2.0, 12.0) * step)

    def _tabulate(self) -> None:
        weights = self._prices * self._scale
        shares = {node: self._node_shares(engines, weights) for node, engines in self._engines.items()}
        self._tables: list[FloatArray] = []
        for group in self._groups:
            table = np.full((*group.nodes.shape, _GRID), _ABSENT)
            for where, nodes in np.ndenumerate(group.nodes):
                if nodes is not None:
                    table[where] = sum((shares[n] for n in nodes), np.zeros(_GRID))
            self._tables.append(table)

    def _node_shares(self, engines: _Engines, weights: FloatArray) -> FloatArray:
        """The least share of the board at every interval of the grid; rising steeply where there is no engine."""
        least = np.minimum.accumulate(engines.counts @ weights)
        at = np.searchsorted(engines.interval, self._intervals, side="right") - 1
        absent = _ABSENT * engines.interval[0] / self._intervals
        return np.where(at >= 0, least[np.maximum(at, 0)], absent)

    def _least_interval(self, row: Sequence[int]) -> int:
        return max(int(self._engines[n].interval[0]) for n in self.nodes(row))

    def nodes(self, row: Sequence[int]) -> list[Conv | Pool | Add]:
        """The nodes of the network, without names."""
        found: list[Conv | Pool | Add] = []
        for group in self._groups:
            found += group.nodes[tuple(row[d] for d in group.decisions)] or ()
        return found

    def _balanced(self, row: Sequence[int], interval: int) -> FloatArray:
        """Prices at which the shares' sum is largest, by multiplicative weights: a scarce resource becomes dear."""
        prices, mean = self._has / self._has.sum(), np.zeros(len(self._has))
        sets = [self._engines[n] for n in self.nodes(row)]
        rows = [e.counts[e.interval <= max(interval, int(e.interval[0]))] * self._scale for e in sets]
        for i in range(_ROUNDS):
            used = sum((r[int((r @ prices).argmin())] for r in rows), np.zeros(len(prices)))
            prices = np.where(self._has, prices * np.exp(0.3 * (used - used @ prices) / (1 + i / 20)), 0.0)
            prices /= prices.sum()
            mean += prices if i >= _ROUNDS // 2 else 0.0
        return mean / mean.sum()


def _groups(space: Space, shape: Shape, labels: int) -> tuple[_Group, ...]:
    """Every block, then the head."""
    extents = map_shapes(space, shape)
    where = slots(space)
    groups: list[_Group] = []
    for i, stage in enumerate(space.stages):
        own = (where[i].width, where[i].bits)
        for j in range(len(stage.blocks)):
            before = () if j else ((where[i - 1].width, where[i - 1].bits) if i else None)
            before_slots = before or ()
            axes = (*before_slots, *own, where[i].operators[j], where[i].weight_bits[j])
            groups.append(_block_group(space, i, j, axes, extents, shape.c))
    last = where[-1]
    count = sum(2 + 2 * len(s.blocks) for s in space.stages)
    groups.append(_head_group(space, (last.width, last.bits, count, count + 1), extents[-1], labels))
    return tuple(groups)


def _block_group(
    space: Space, i: int, j: int, axes: tuple[int, ...], extents: tuple[tuple[int, int], ...], channels: int
) -> _Group:
    stage = space.stages[i]
    block = stage.blocks[j]
    previous = space.stages[i - 1] if i and not j else None
    sizes = [len(stage.widths), len(stage.activation_bits), len(block.operators), len(block.weight_bits)]
    if previous is not None:
        sizes = [len(previous.widths), len(previous.activation_bits), *sizes]
    nodes = np.empty(sizes, dtype=np.object_)
    for index in itertools.product(*map(range, sizes)):
        width, bits, operator, weight = index[-4:]
        if previous is not None:
            source = _source("x", extents[i], previous.widths[index[0]], previous.activation_bits[index[1]])
        elif j:
            source = _source("x", extents[i + 1], stage.widths[width], stage.activation_bits[bits])
        else:
            source = Input(name=INPUT, shape=Shape(*extents[0], channels), otype=INPUT_TYPE)
        layers = block_layers(
            "b",
            source.name,
            block.operators[operator],
            channels=source.shape.c,
            width=stage.widths[width],
            stride=1 if j else stage.stride,
            weight_bits=block.weight_bits[weight],
            bits=stage.activation_bits[bits],
            adds=j > 0,
        )
        nodes[index] = _priced(layers, source)
    return _Group(axes, nodes)


def _head_group(space: Space, axes: tuple[int, ...], extent: tuple[int, int], labels: int) -> _Group:
    stage = space.stages[-1]
    sizes = (len(stage.widths), len(stage.activation_bits), len(space.head_pools), len(space.head_weight_bits))
    nodes = np.empty(sizes, dtype=np.object_)
    for index in itertools.product(*map(range, sizes)):
        width, bits, pool, weight = index
        source = _source("x", extent, stage.widths[width], stage.activation_bits[bits])
        layers = head_layers(source.name, space.head_pools[pool], labels, space.head_weight_bits[weight])
        nodes[index] = _priced(layers, source)
    return _Group(axes, nodes)


def _source(name: str, extent: tuple[int, int], channels: int, bits: int) -> Input:
    return Input(name=name, shape=Shape(*extent, channels), otype=QType(bits, signed=False))


def _priced(layers: list[Layer], source: Input) -> tuple[Conv | Pool | Add, ...] | None:
    """The nodes of the layers, nameless, so that equal ones are priced once; None if the machine has no such node."""
    before: dict[str, Node] = {source.name: source}
    try:
        for layer in layers:
            before[layer.name] = layer_node(layer, before)
    except ConfigError:
        return None
    return tuple(_nameless(n) for n in before.values() if not isinstance(n, Input))


def _nameless(node: Conv | Pool | Add) -> Conv | Pool | Add:
    if isinstance(node, Add):
        return replace(node, name="n", sources=("a", "b"))
    return replace(node, name="n", source="a")


def _engines(groups: tuple[_Group, ...], family: Family) -> dict[Conv | Pool | Add, _Engines]:
    """The engines of every node in the groups."""
    found: dict[Conv | Pool | Add, _Engines] = {}
    for group in groups:
        for nodes in group.nodes.ravel():
            for node in nodes or ():
                if node not in found:
                    options = node_options(node, family)
                    order = np.argsort(options.interval, kind="stable")
                    found[node] = _Engines(options.interval[order], options.counts[order].astype(np.int32))
    return found


def _row(resources: Resources) -> FloatArray:
    return np.array([getattr(resources, name) for name in resource.NAMES], dtype=np.float64)
