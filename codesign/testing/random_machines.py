"""Random legal graphs and designs: small, full of corner cases, and reproducible from a seed.

Long because every operator is drawn here with its corner cases.
"""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from codesign.ir.design import Design, Fifo, LineEngine, Memory, Multiplier
from codesign.ir.graph import Graph
from codesign.machine.line import emit_lanes, is_streaming, row_words, tap_choices, words_in
from codesign.ops.add import Add
from codesign.ops.arrays import IntArray, ceil_div
from codesign.ops.concat import Concat
from codesign.ops.conv import Conv, accumulator_bounds, added_bias
from codesign.ops.input import Input
from codesign.ops.node import Node, Operation
from codesign.ops.pool import Pool, PoolOp
from codesign.ops.qtype import QType
from codesign.ops.requantize import HALF_UP, OutputRule, Rounding, Scaling, signed_bits
from codesign.ops.resize import Resize
from codesign.ops.shapes import Shape, Window, window_counts
from codesign.testing.random_operators import gate, lookup, pad, reorder, split
from codesign.testing.random_packing import packed_somewhere
from codesign.testing.random_values import (
    declared_scaling,
    dilated_window,
    divisors,
    large_multiplier,
    largest_multipliers,
    pick,
    power_of_two,
    random_multipliers,
    random_outputs,
    random_shift,
    random_weights,
    random_window,
    weight_bits,
)

Rng = np.random.Generator


def random_inputs(graph: Graph, rng: Rng, images: int) -> IntArray:
    """Return x[B,IY,IX,C]: uniform images, one of them all minimum and one all maximum where there is room."""
    shape, otype = graph.input.shape, graph.input.otype
    x = rng.integers(otype.qmin, otype.qmax + 1, (images, shape.y, shape.x, shape.c), dtype=np.int64)
    if images > 2:
        x[1], x[2] = otype.qmin, otype.qmax
    return x


def random_graph(
    rng: Rng,
    *,
    dense: bool = False,
    extreme: bool = False,
    every_operator: bool = True,
    several_outputs: bool = False,
) -> Graph:
    """Return a chain of random blocks, often ended by a global pool or a dense layer.

    `every_operator`: else there are convolutions, pools and additions only, drawn as they were before the others, with
    one rounding and without zero points.
    `dense`: all weights are uniform; else those of some convolutions are special, as mostly zero or all minimum.
    `extreme`: types, multipliers, shifts, accumulators and strides lie at the ends of what nodes admit.
    `several_outputs`: now and then other nodes are outputs too; the rest is drawn as without.
    """
    build = _Builder(rng, dense, extreme, not every_operator)
    blocks = [build.conv, build.conv, build.grouped, build.depthwise, build.pool, build.residual]
    if every_operator:
        blocks += [build.concat, build.resize, *(partial(draw, build) for draw in (lookup, split, gate, pad, reorder))]
    for _ in range(pick(rng, (1, 1, 2, 3, 4))):
        build.head = pick(rng, blocks)(build.head)
    if rng.random() < 0.3:
        build.head = build.global_pool(build.head)
    if rng.random() < 0.4 or len(build.nodes) == 1:
        build.head = build.dense(build.head)
    number = int(rng.integers(1 << 30))
    outputs = (
        random_outputs([n.name for n in build.nodes[1:]], np.random.default_rng(number)) if several_outputs else ()
    )
    return Graph(f"random{number}", tuple(build.nodes), build.params, outputs=outputs)


def random_pooled_graph(rng: Rng) -> Graph:
    """Return a pooling over the whole map, with or without padding around it, of few or many channels."""
    build = _Builder(rng)
    if rng.random() < 0.7:
        build.head = build.pointwise(build.head, pick(rng, (1, 2, 3, 5, 8, 20, 40)))
    shape = build.head.oshape
    top, bottom, left, right = (pick(rng, (0, 0, 1, 3)) for _ in range(4))
    if rng.random() < 0.5:
        top = bottom = left = right = 0
    window = Window(
        fy=shape.y + top + bottom, fx=shape.x + left + right,
        pad_top=top, pad_bottom=bottom, pad_left=left, pad_right=right,
    )  # fmt: skip
    build.head = build._pool(build.head, window)
    if rng.random() < 0.5:
        build.head = build.dense(build.head)
    return Graph(f"pooled{int(rng.integers(1 << 30))}", tuple(build.nodes), build.params)


def random_design(graph: Graph, rng: Rng, *, taps: bool = True, packing: bool = True) -> Design:
    """Return engines of random parallelism; buffers hold two whole maps, so that any schedule fits.

    `taps`: draw them as well; `packing`: half of the engines that can pack do. All else is drawn as without.
    """
    apart, pairs = rng.spawn(2)
    engines = tuple(_engine(node, rng, apart if taps else None) for node in graph.operations)
    fifos = tuple(
        Fifo(n.name, i, power_of_two(2 * words_in(n, e) + 2))
        for n, e in zip(graph.operations, engines, strict=True)
        if n.joins
        for i in range(len(n.inputs))
    )
    design = Design(
        engines=engines,
        fifos=fifos,
        input_lanes=1 << int(rng.integers(4)),
        output_lanes=tuple(1 << int(rng.integers(4)) for _ in graph.output_nodes),
    )
    return packed_somewhere(graph, design, pairs) if packing else design


@dataclass
class _Builder:
    """Nodes and parameters so far; every method adds nodes behind a source and returns the last one."""

    rng: Rng
    is_dense: bool = False
    is_extreme: bool = False
    is_plain: bool = False
    nodes: list[Node] = field(default_factory=list)
    params: dict[str, IntArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        y, x = (int(self.rng.integers(1, 10)) for _ in range(2))
        c = pick(self.rng, (1, 1, 2, 3, 4, 5, 6))
        self.nodes.append(Input(name="image", shape=Shape(y, x, c), otype=self.activation()))
        self.head: Node = self.nodes[0]

    def activation(self) -> QType:
        if self.is_extreme:
            return QType(pick(self.rng, (2, 3, 8, 15, 16)), bool(self.rng.random() < 0.5))
        bits = 16 if self.rng.random() < 0.06 else int(self.rng.integers(2, 9))
        return QType(bits, bool(self.rng.random() < 0.4))

    def add_node(self, node: Node) -> Node:
        self.nodes.append(node)
        return node

    def fresh(self, kind: str) -> str:
        return f"{kind}_{len(self.nodes)}"

    def window(self, shape: Shape) -> Window:
        """Return a window that fits the padded map; extreme ones leave out most of it."""
        window = random_window(shape, self.rng, 4)
        if not self.is_plain and self.rng.random() < 0.25:
            window = dilated_window(window, shape, self.rng)
        if not self.is_extreme:
            return window
        return replace(window, stride_y=pick(self.rng, (1, 3, 5, 11)), stride_x=pick(self.rng, (1, 2, 5, 11)))

    def shift(self, bound: int, otype: QType) -> int:
        """Return a shift that brings `bound` to about the output's range, or an extreme one."""
        if self.is_extreme and self.rng.random() < 0.5:
            return pick(self.rng, (0, 1, 31, 32, 47))
        return random_shift(bound, otype, self.rng)

    def zero(self, qtype: QType) -> int:
        """Return a zero point: often 0, else any of the type."""
        if self.is_plain or self.rng.random() < 0.5:
            return 0
        return int(self.rng.integers(qtype.qmin, qtype.qmax + 1))

    def rule(self, otype: QType, shift: int) -> OutputRule:
        """Return how outputs are made: often the usual way, else with its own rounding, zero point or bounds."""
        if self.is_plain or self.rng.random() < 0.3:
            return HALF_UP
        zero, bounds = self.zero(otype), None
        if self.rng.random() < 0.3:
            low, high = np.sort(self.rng.integers(otype.qmin, otype.qmax + 1, 2)).tolist()
            bounds = low, high
        return OutputRule(
            rounding=pick(self.rng, tuple(Rounding)),
            zero=zero if abs(zero) << shift < 1 << 47 else 0,
            bounds=bounds,
        )

    def conv(self, source: Node) -> Node:
        window = self.window(source.oshape)
        return self._conv(source, pick(self.rng, (1, 2, 3, 4, 5, 6, 7, 9)), window)

    def grouped(self, source: Node) -> Node:
        """Return a convolution of as many groups as divide the channels, often as many as channels; at most nine come
        out.
        """
        groups = pick(self.rng, divisors(source.oshape.c))
        k = groups * min(int(self.rng.integers(1, 5)), max(9 // groups, 1))
        return self._conv(source, k, self.window(source.oshape), groups)

    def depthwise(self, source: Node) -> Node:
        c = source.oshape.c
        return self._conv(source, c, self.window(source.oshape), c)

    def dense(self, source: Node) -> Node:
        shape = source.oshape
        return self._conv(source, int(self.rng.integers(1, 11)), Window(fy=shape.y, fx=shape.x))

    def concat(self, source: Node) -> Node:
        """Join two or three maps: the source itself, once or twice, and convolutions of it or of one another."""
        maps = [source] * pick(self.rng, (0, 1, 1, 1, 2))
        count, longest = pick(self.rng, (2, 2, 3)), source
        while len(maps) < count:
            k, window = pick(self.rng, (1, 2, 2, 3, 4, 6)), self.same_extent_window()
            longest = self._conv(pick(self.rng, (source, longest)), k, window, otype=source.otype)
            maps.append(longest)
        chosen = [maps[i] for i in self.rng.permutation(len(maps)).tolist()]
        return self.add_node(
            Concat(
                name=self.fresh("concat"),
                sources=tuple(node.name for node in chosen),
                ishapes=tuple(node.oshape for node in chosen),
                otype=source.otype,
            )
        )

    def resize(self, source: Node) -> Node:
        """Repeat rows and pixels, unless the map would become large."""
        shape = source.oshape
        fy, fx = (pick(self.rng, (1, 2, 2, 3)) for _ in range(2))
        if shape.y * fy > 12 or shape.x * fx > 12:
            fy, fx = 1, 1
        name = self.fresh("resize")
        return self.add_node(Resize(name=name, source=source.name, ishape=shape, fy=fy, fx=fx, otype=source.otype))

    def pointwise(self, source: Node, k: int, otype: QType | None = None) -> Node:
        return self._conv(source, k, Window(fy=1, fx=1), otype=otype)

    def same_extent_conv(self, source: Node, k: int, otype: QType) -> Node:
        return self._conv(source, k, self.same_extent_window(), otype=otype)

    def same_extent_window(self) -> Window:
        fy, fx = (int(self.rng.integers(1, 4)) for _ in range(2))
        top, left = int(self.rng.integers(fy)), int(self.rng.integers(fx))
        return Window(fy=fy, fx=fx, pad_top=top, pad_bottom=fy - 1 - top, pad_left=left, pad_right=fx - 1 - left)

    def same_shape_conv(self, source: Node) -> Node:
        """Return a convolution that keeps the shape, dense, grouped or depthwise."""
        window = self.same_extent_window()
        c = source.oshape.c
        groups = pick(self.rng, divisors(c)) if self.rng.random() < 0.5 else 1
        return self._conv(source, c, window, groups)

    def pool(self, source: Node) -> Node:
        return self._pool(source, self.window(source.oshape))

    def global_pool(self, source: Node) -> Node:
        return self._pool(source, Window(fy=source.oshape.y, fx=source.oshape.x))

    def residual(self, source: Node) -> Node:
        """Add one or two convolutions of the source to the source itself, or to another convolution of it."""
        long = self.same_shape_conv(source)
        if self.rng.random() < 0.4:
            long = self.same_shape_conv(long)
        short = self.same_shape_conv(source) if self.rng.random() < 0.4 else source
        pair = (long, short) if self.rng.random() < 0.5 else (short, long)
        multipliers = tuple(1 if self.rng.random() < 0.5 else int(self.rng.integers(1, 200)) for _ in pair)
        if self.is_extreme:
            multipliers = tuple(large_multiplier(source.otype, self.rng) for source in pair)
        if not self.is_plain:
            multipliers = tuple(-m if self.rng.random() < 0.3 else m for m in multipliers)
        low, high = (sum(int(m * v) for m, v in zip(multipliers, ends, strict=True)) for ends in _ends(pair))
        otype = self.activation()
        shift = self.shift(max(abs(low), abs(high)), otype)
        return self.add_node(
            Add(
                name=self.fresh("add"),
                sources=(pair[0].name, pair[1].name),
                ishape=source.oshape,
                itypes=(pair[0].otype, pair[1].otype),
                multipliers=(multipliers[0], multipliers[1]),
                shift=shift,
                otype=otype,
                zeros=(self.zero(pair[0].otype), self.zero(pair[1].otype)),
                rule=self.rule(otype, shift),
            )
        )

    def _conv(self, source: Node, k: int, window: Window, groups: int = 1, otype: QType | None = None) -> Node:
        shape, itype, otype = source.oshape, source.otype, otype or self.activation()
        wtype = QType(weight_bits(itype, window.positions * shape.c // groups, self.rng), True)
        name = self.fresh("conv" if groups == 1 else "depthwise" if groups == k == shape.c else "grouped")
        weight = random_weights((k, window.fy, window.fx, shape.c // groups), wtype, self.rng, dense=self.is_dense)
        if not self.is_plain and len(self.nodes) % 2:  # symmetric, as engines want them that pack
            weight = np.maximum(weight, -wtype.qmax)
        bias = self.rng.integers(-(1 << itype.bits), (1 << itype.bits) + 1, k, dtype=np.int64)
        zero, fraction = self.zero(itype), 0 if self.is_plain else pick(self.rng, (0, 0, 1, 5))
        added = added_bias(weight, bias, zero, fraction) >> fraction
        low, high = accumulator_bounds(itype, weight, added)
        acc_bits = max(2, signed_bits(low, high)) + int(self.rng.random() < 0.2)
        if self.is_extreme and self.rng.random() < 0.3:
            acc_bits = 32
        scaling = pick(self.rng, tuple(Scaling))
        limit = min(16, 48 - acc_bits - fraction)
        multiplier = random_multipliers(k, scaling, limit, self.rng)
        if self.is_extreme:
            multiplier = largest_multipliers(scaling, multiplier, limit, self.rng)
        shift = self.shift((max(-low, high) << fraction) * int(multiplier.max()), otype)
        self.params |= {f"{name}.weight": weight, f"{name}.bias": bias, f"{name}.multiplier": multiplier}
        return self.add_node(
            Conv(
                name=name,
                source=source.name,
                ishape=shape,
                itype=itype,
                k=k,
                window=window,
                groups=groups,
                wtype=wtype,
                acc_bits=acc_bits,
                scaling=declared_scaling(scaling, multiplier),
                multiplier_bits=int(multiplier.max()).bit_length(),
                shift=shift,
                otype=otype,
                zero_in=zero,
                bias_fraction=fraction,
                rule=self.rule(otype, shift),
            )
        )

    def _pool(self, source: Node, window: Window) -> Node:
        shape, itype = source.oshape, source.otype
        zero, rule = 0, HALF_UP
        by_count: tuple[tuple[int, int], ...] = ()
        if self.rng.random() < 0.5:
            op, otype, multiplier, shift = PoolOp.MAX, itype, 1, 0
        else:
            op, otype, shift = PoolOp.AVERAGE, self.activation(), int(self.rng.integers(4, 14))
            multiplier = max(1, (1 << shift) // window.positions)
            if self.is_extreme:
                shift, multiplier = self.shift(1 << 30, otype), pick(self.rng, (1, 1 << 15, (1 << 16) - 1, 3))
            zero, rule = self.zero(itype), self.rule(otype, shift)
            if not self.is_plain and self.rng.random() < 0.4:
                counts = np.unique(window_counts(window, shape)).tolist()
                by_count = tuple((n, max(1, (1 << shift) // n)) for n in counts if 0 < n < window.positions)
                by_count = tuple((n, min(m, (1 << 16) - 1)) for n, m in by_count)
        return self.add_node(
            Pool(
                name=self.fresh("pool"),
                source=source.name,
                ishape=shape,
                itype=itype,
                op=op,
                window=window,
                multiplier=multiplier,
                shift=shift,
                otype=otype,
                zero_in=zero,
                rule=rule,
                by_count=by_count,
            )
        )


def _engine(node: Operation, rng: Rng, apart: Rng | None) -> LineEngine:
    """Return an engine of the node; taps are drawn from `apart`, none without."""
    k, c = node.oshape.c, node.reduced_channels
    if node.aligned_lanes is not None:
        pe, simd = (pick(rng, divisors(lanes)) for lanes in node.aligned_lanes)
    else:
        pe = pick(rng, (1, k, int(rng.integers(1, k + 1))))
        simd = pick(rng, (1, c, int(rng.integers(1, c + 1))))
    engine = LineEngine(nodes=(node.name,), pe=pe, simd=simd, emit=1)
    taps = 1 if apart is None or is_streaming(node, engine) else pick(apart, tap_choices(node))
    emit = pick(rng, tuple(n for n in range(emit_lanes(node, pe, simd, taps), pe + 1) if pe % n == 0))
    row, room = row_words(node, engine), 2 * words_in(node, engine) + 16
    return replace(
        engine,
        emit=emit,
        taps=taps,
        multiplier=pick(rng, (Multiplier.DSP, Multiplier.LUT)),
        weight_memory=pick(rng, tuple(Memory)),
        buffer_memory=pick(rng, tuple(Memory)),
        buffer_words=power_of_two(room) if taps == 1 else ceil_div(room, row) * row,
    )


def _ends(pair: tuple[Node, Node]) -> tuple[tuple[int, int], tuple[int, int]]:
    a, b = pair[0].otype, pair[1].otype
    return (a.qmin, b.qmin), (a.qmax, b.qmax)
