"""The golden model against naive loops over plain Python integers, written from the formulas of the nodes."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import hypothesis
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.errors import ConfigError
from codesign.ir.graph import Graph
from codesign.model import golden
from codesign.ops.add import Add
from codesign.ops.concat import Concat
from codesign.ops.conv import Conv
from codesign.ops.depth_to_space import DepthToSpace
from codesign.ops.gate import Gate
from codesign.ops.input import Input
from codesign.ops.lookup import Lookup, function_table
from codesign.ops.node import Operation
from codesign.ops.pad import Pad
from codesign.ops.pool import Pool, PoolOp
from codesign.ops.qtype import QType
from codesign.ops.requantize import OutputRule, Rounding, Scaling, output_offset, requantize
from codesign.ops.resize import Resize
from codesign.ops.shapes import Shape, Window
from codesign.ops.shuffle import Shuffle
from codesign.ops.slice import Slice
from codesign.ops.space_to_depth import SpaceToDepth
from codesign.testing.small import small_graph

Map = list[list[list[int]]]  # [Y][X][C]
IMAGES = 2


@dataclass(frozen=True)
class Case:
    """A node with its inputs [B][Y][X][C], one list per source, and its parameters as nested lists."""

    node: Operation
    inputs: tuple[list[Map], ...]
    weight: list[Map]  # [K][FY][FX][C/G], empty unless the node is a Conv
    bias: list[int]
    multiplier: list[int]

    @property
    def expected(self) -> list[Map]:
        return [naive(self, tuple(batch[i] for batch in self.inputs)) for i in range(IMAGES)]

    @property
    def exact(self) -> list[Fraction]:
        """Every output before it is rounded and clamped."""
        if isinstance(self.node, Pool) and self.node.op is PoolOp.MAX:
            return []
        images = (tuple(batch[i] for batch in self.inputs) for i in range(IMAGES))
        return [v for maps in images for row in naive_exact(self, maps) for column in row for v in column]


def low(qtype: QType) -> int:
    return -(2 ** (qtype.bits - 1)) if qtype.signed else 0


def high(qtype: QType) -> int:
    return 2 ** (qtype.bits - 1) - 1 if qtype.signed else 2**qtype.bits - 1


def whole(value: Fraction, rounding: Rounding) -> int:
    """The integer that stands for a number."""
    below = math.floor(value)
    match rounding:
        case Rounding.HALF_UP:
            return below + (value - below >= Fraction(1, 2))
        case Rounding.HALF_EVEN:
            return round(value)  # Python's own rule for fractions
        case Rounding.FLOOR:
            return below
        case Rounding.CEIL:
            return math.ceil(value)


def rounded(value: Fraction, node: Operation) -> int:
    """Round, add the zero point, then saturate."""
    assert isinstance(node, Conv | Pool | Add | Gate)
    least, most = node.rule.bounds or (low(node.otype), high(node.otype))
    return min(max(whole(value, node.rule.rounding) + node.rule.zero, least), most)


def starts(extent: int, kernel: int, stride: int, before: int, after: int) -> list[int]:
    """Where a window begins along one axis, in coordinates of the map without its padding."""
    found, start = [], -before
    while start + kernel <= extent + after:
        found.append(start)
        start += stride
    return found


def inside(x: Map, row: int, column: int) -> bool:
    return 0 <= row < len(x) and 0 <= column < len(x[0])


def places(window: Window, top: int, left: int) -> list[tuple[int, int, int, int]]:
    """The positions of a window: fy, fx, row and column."""
    return [
        (fy, fx, top + fy * window.dilation_y, left + fx * window.dilation_x)
        for fy in range(window.fy)
        for fx in range(window.fx)
    ]


def corners(node: Conv | Pool) -> tuple[list[int], list[int]]:
    w = node.window
    fy, fx = (w.fy - 1) * w.dilation_y + 1, (w.fx - 1) * w.dilation_x + 1
    rows = starts(node.ishape.y, fy, w.stride_y, w.pad_top, w.pad_bottom)
    return rows, starts(node.ishape.x, fx, w.stride_x, w.pad_left, w.pad_right)


def naive(case: Case, maps: tuple[Map, ...]) -> Map:
    """The outputs [OY][OX][K] of one image."""
    if isinstance(case.node, Pool) and case.node.op is PoolOp.MAX:
        return naive_maximum(case.node, maps[0])
    return [[[rounded(v, case.node) for v in c] for c in row] for row in naive_exact(case, maps)]


def naive_exact(case: Case, maps: tuple[Map, ...]) -> list[list[list[Fraction]]]:
    match case.node:
        case Conv():
            return naive_conv(case, maps[0])
        case Pool():
            return naive_average(case.node, maps[0])
        case Add():
            return naive_add(case.node, *maps)


def naive_conv(case: Case, x: Map) -> list[list[list[Fraction]]]:
    node = case.node
    assert isinstance(node, Conv)
    per_group_in, per_group_out = node.ishape.c // node.groups, node.k // node.groups

    def accumulated(top: int, left: int, k: int) -> Fraction:
        acc = Fraction(case.bias[k], 2**node.bias_fraction)
        for fy, fx, row, column in places(node.window, top, left):
            for c in range(per_group_in):
                if inside(x, row, column):
                    channel = (k // per_group_out) * per_group_in + c
                    acc += case.weight[k][fy][fx][c] * (x[row][column][channel] - node.zero_in)
        return acc

    rows, columns = corners(node)
    scale = Fraction(2**node.shift, 2**node.bias_fraction)
    return [
        [[accumulated(y, x_, k) * case.multiplier[k] / scale for k in range(node.k)] for x_ in columns] for y in rows
    ]


def window_values(node: Pool, x: Map, top: int, left: int, c: int) -> list[int]:
    """What the window sees of the map; padding is left out."""
    return [x[row][column][c] for _, _, row, column in places(node.window, top, left) if inside(x, row, column)]


def naive_maximum(node: Pool, x: Map) -> Map:
    (rows, columns), least = corners(node), low(node.itype)
    return [
        [[max(window_values(node, x, y, x_, c), default=least) for c in range(node.ishape.c)] for x_ in columns]
        for y in rows
    ]


def naive_average(node: Pool, x: Map) -> list[list[list[Fraction]]]:
    rows, columns = corners(node)
    return [
        [
            [averaged(node, [v - node.zero_in for v in window_values(node, x, y, x_, c)]) for c in range(node.ishape.c)]
            for x_ in columns
        ]
        for y in rows
    ]


def averaged(node: Pool, held: list[int]) -> Fraction:
    """A sum times the multiplier of so many values."""
    multiplier = next((m for count, m in node.by_count if count == len(held)), node.multiplier)
    return Fraction(sum(held) * multiplier, 2**node.shift)


def naive_add(node: Add, a: Map, b: Map) -> list[list[list[Fraction]]]:
    first, second = node.multipliers
    shape = node.ishape
    return [
        [[Fraction((a[y][x][c] - node.zeros[0]) * first + (b[y][x][c] - node.zeros[1]) * second, 2**node.shift)
          for c in range(shape.c)]
         for x in range(shape.x)]
        for y in range(shape.y)
    ]  # fmt: skip


# Cases: hypothesis draws the attributes; the values come from a seed, with many of them at the ends of their type.


def qtypes(most: int = 16) -> st.SearchStrategy[QType]:
    return st.builds(QType, st.integers(2, most), st.booleans())


@st.composite
def windows(draw: st.DrawFn, shape: Shape) -> Window:
    """A window that fits, with a stride, a dilation and a padding of its own on each side."""
    fy, fx = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    dy, dx = draw(st.sampled_from((1, 1, 2, 3))), draw(st.sampled_from((1, 1, 2, 3)))
    spans = (fy - 1) * dy + 1, (fx - 1) * dx + 1
    pads = [draw(st.integers(0, span - 1)) for span in (spans[0], spans[0], spans[1], spans[1])]
    hypothesis.assume(spans[0] <= shape.y + pads[0] + pads[1] and spans[1] <= shape.x + pads[2] + pads[3])
    window = Window(
        fy=fy, fx=fx, stride_y=draw(st.integers(1, 3)), stride_x=draw(st.integers(1, 3)),
        pad_top=pads[0], pad_bottom=pads[1], pad_left=pads[2], pad_right=pads[3], dilation_y=dy, dilation_x=dx,
    )  # fmt: skip
    tops = starts(shape.y, spans[0], window.stride_y, pads[0], pads[1])
    lefts = starts(shape.x, spans[1], window.stride_x, pads[2], pads[3])
    rows = [top + i * dy for top in tops for i in range(fy)]
    columns = [left + i * dx for left in lefts for i in range(fx)]
    hypothesis.assume(any(0 <= y < shape.y for y in rows) and any(0 <= x < shape.x for x in columns))
    return window


@st.composite
def rules(draw: st.DrawFn, otype: QType, shift: int) -> OutputRule:
    """Any rounding, a zero point that a product has room for, bounds of its own or the type's."""
    ends = st.integers(low(otype), high(otype))
    bounds = draw(st.none() | st.tuples(ends, ends))
    zero = draw(st.just(0) | ends)
    return OutputRule(
        rounding=draw(st.sampled_from(Rounding)),
        zero=zero if abs(zero) * 2**shift < 2**47 else 0,
        bounds=None if bounds is None else (min(bounds), max(bounds)),
    )


def zeros(qtype: QType) -> st.SearchStrategy[int]:
    return st.just(0) | st.integers(low(qtype), high(qtype))


def shapes() -> st.SearchStrategy[Shape]:
    return st.builds(Shape, st.integers(1, 5), st.integers(1, 5), st.integers(1, 4))


def values(rng: random.Random, qtype: QType, shape: tuple[int, ...]) -> list:  # type: ignore[type-arg]
    """Nested lists of that shape, a third of the numbers at an end of the type."""
    if shape:
        return [values(rng, qtype, shape[1:]) for _ in range(shape[0])]
    ends = (low(qtype), high(qtype))
    return rng.choice(ends) if rng.random() < 1 / 3 else rng.randint(*ends)  # type: ignore[return-value]


def images(rng: random.Random, qtype: QType, shape: Shape) -> list[Map]:
    return values(rng, qtype, (IMAGES, shape.y, shape.x, shape.c))


@st.composite
def convs(draw: st.DrawFn) -> Case:
    """Dense, grouped and depthwise convolutions."""
    groups = draw(st.integers(1, 4))
    shape = Shape(draw(st.integers(1, 5)), draw(st.integers(1, 5)), groups * draw(st.integers(1, 3)))
    k = groups * draw(st.integers(1, 3))
    itype, wtype = draw(qtypes()), draw(qtypes(8))
    shifts_only = draw(st.booleans())
    otype, shift = draw(qtypes()), draw(st.integers(0, 40) | st.integers(1, 4))
    node = Conv(
        name="node", source="x", ishape=shape, itype=itype, k=k, window=draw(windows(shape)), groups=groups,
        wtype=wtype, acc_bits=32, scaling=Scaling.SHIFT if shifts_only else Scaling.GENERAL,
        multiplier_bits=1 if shifts_only else 16, shift=shift, otype=otype, zero_in=draw(zeros(itype)),
        bias_fraction=draw(st.integers(0, 9)) if shifts_only else 0, rule=draw(rules(otype, shift)),
    )  # fmt: skip
    rng = random.Random(draw(st.integers(0, 2**32)))
    bias = [rng.choice((0, rng.randint(-9, 9), rng.randint(-(2**20), 2**20))) for _ in range(k)]
    multiplier = [1 if shifts_only else rng.choice((1, 2, 65535, rng.randint(1, 65535))) for _ in range(k)]
    weight = values(rng, wtype, (k, node.window.fy, node.window.fx, shape.c // groups))
    return Case(node, (images(rng, itype, shape),), weight, bias, multiplier)


@st.composite
def pools(draw: st.DrawFn) -> Case:
    shape, itype = draw(shapes()), draw(qtypes())
    if draw(st.booleans()):
        node = Pool(name="node", source="x", ishape=shape, itype=itype, op=PoolOp.MAX, window=draw(windows(shape)),
                    multiplier=1, shift=0, otype=itype)  # fmt: skip
    else:
        otype, shift = draw(qtypes()), draw(st.integers(0, 30) | st.integers(1, 3))
        node = Pool(name="node", source="x", ishape=shape, itype=itype, op=PoolOp.AVERAGE, window=draw(windows(shape)),
                    multiplier=draw(st.integers(1, 65535) | st.integers(1, 3)), shift=shift, otype=otype,
                    zero_in=draw(zeros(itype)), rule=draw(rules(otype, shift)))  # fmt: skip
        if draw(st.booleans()):
            (rows, columns), blank = corners(node), [[[0]] * shape.x] * shape.y
            counts = {len(window_values(node, blank, y, x, 0)) for y in rows for x in columns}
            smaller = sorted(counts - {0, node.window.positions})
            node = replace(node, by_count=tuple((n, draw(st.integers(1, 65535))) for n in smaller))
    rng = random.Random(draw(st.integers(0, 2**32)))
    return Case(node, (images(rng, itype, shape),), [], [], [])


@st.composite
def adds(draw: st.DrawFn) -> Case:
    shape, types = draw(shapes()), (draw(qtypes()), draw(qtypes()))
    factors = st.integers(1, 999) | st.integers(-999, -1)
    otype, shift = draw(qtypes()), draw(st.integers(0, 20))
    node = Add(name="node", sources=("x", "y"), ishape=shape, itypes=types, multipliers=(draw(factors), draw(factors)),
               shift=shift, otype=otype, zeros=(draw(zeros(types[0])), draw(zeros(types[1]))),
               rule=draw(rules(otype, shift)))  # fmt: skip
    rng = random.Random(draw(st.integers(0, 2**32)))
    return Case(node, (images(rng, types[0], shape), images(rng, types[1], shape)), [], [], [])


def array(nested: list) -> golden.IntArray:  # type: ignore[type-arg]
    return np.array(nested, dtype=np.int64)


@given(convs())
@settings(max_examples=200)
def test_a_convolution_equals_naive_loops(case: Case) -> None:
    node, x = case.node, array(case.inputs[0])
    assert isinstance(node, Conv)
    y = node.evaluate([x], {key: array(getattr(case, key)) for key in ("weight", "bias", "multiplier")})
    assert y.tolist() == case.expected
    # The whole graph is legal and says the same.
    params = {f"node.{key}": array(getattr(case, key)) for key in ("weight", "bias", "multiplier")}
    graph = Graph("one", (Input(name="x", shape=node.ishape, otype=node.itype), node), params)
    assert golden.run_all(graph, x)["node"].tolist() == case.expected


@given(pools())
@settings(max_examples=150)
def test_a_pooling_equals_naive_loops(case: Case) -> None:
    assert isinstance(case.node, Pool)
    assert case.node.evaluate([array(case.inputs[0])], {}).tolist() == case.expected


@given(adds())
@settings(max_examples=100)
def test_an_addition_equals_naive_loops(case: Case) -> None:
    assert isinstance(case.node, Add)
    assert case.node.evaluate([array(x) for x in case.inputs], {}).tolist() == case.expected


@st.composite
def maps_to_join(draw: st.DrawFn) -> tuple[Concat, list[list[Map]]]:
    """Two to four inputs, each with channels of its own."""
    y, x, otype = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(qtypes())
    given_shapes = [Shape(y, x, c) for c in draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))]
    names = tuple(f"x{i}" for i in range(len(given_shapes)))
    node = Concat(name="node", sources=names, ishapes=tuple(given_shapes), otype=otype)
    rng = random.Random(draw(st.integers(0, 2**32)))
    return node, [images(rng, otype, shape) for shape in given_shapes]


@given(maps_to_join())
def test_a_concat_equals_naive_loops(case: tuple[Concat, list[list[Map]]]) -> None:
    node, inputs = case
    shape = node.ishapes[0]
    expected = [
        [[[value for given_maps in inputs for value in given_maps[b][y][x]] for x in range(shape.x)]
         for y in range(shape.y)]
        for b in range(IMAGES)
    ]  # fmt: skip
    assert node.evaluate([array(maps) for maps in inputs], {}).tolist() == expected
    assert array(expected).shape[1:] == (node.oshape.y, node.oshape.x, node.oshape.c)


@given(shapes(), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32))
def test_a_resize_equals_naive_loops(shape: Shape, fy: int, fx: int, seed: int) -> None:
    otype = QType(7, signed=True)
    node = Resize(name="node", source="x", ishape=shape, fy=fy, fx=fx, otype=otype)
    maps = images(random.Random(seed), otype, shape)
    expected = [[[image[y // fy][x // fx] for x in range(shape.x * fx)] for y in range(shape.y * fy)] for image in maps]
    assert node.evaluate([array(maps)], {}).tolist() == expected
    assert array(expected).shape[1:] == (node.oshape.y, node.oshape.x, node.oshape.c)


@given(shapes(), qtypes(10), qtypes(), st.booleans(), st.integers(0, 2**32))
def test_a_lookup_equals_naive_loops(shape: Shape, itype: QType, otype: QType, per_channel: bool, seed: int) -> None:
    node = Lookup(name="node", source="x", ishape=shape, itype=itype, per_channel=per_channel, otype=otype)
    rng = random.Random(seed)
    maps, table = images(rng, itype, shape), values(rng, otype, (shape.c if per_channel else 1, 2**itype.bits))
    expected = [
        [[[table[c if per_channel else 0][x - low(itype)] for c, x in enumerate(pixel)] for pixel in row]
         for row in image]
        for image in maps
    ]  # fmt: skip
    assert node.evaluate([array(maps)], {"table": array(table)}).tolist() == expected


def test_the_table_of_a_function_rounds_half_up_and_saturates() -> None:
    itype, otype = QType(3, signed=True), QType(3, signed=False)
    table = function_table(lambda x: np.where(x < 0, x / -8, 3 * x), itype, 0.5, otype, 0.5)
    assert table.tolist() == [1, 0, 0, 0, 0, 3, 6, 7]  # 4/8, 3/8, 2/8, 1/8, 0, 3, 6, 9


@given(shapes(), st.integers(0, 2**32))
def test_a_slice_equals_naive_loops(shape: Shape, seed: int) -> None:
    rng, otype = random.Random(seed), QType(7, signed=True)
    start = rng.randrange(shape.c)
    node = Slice(name="node", source="x", ishape=shape, start=start, stop=rng.randint(start + 1, shape.c), otype=otype)
    maps = images(rng, otype, shape)
    expected = [[[[pixel[node.start + k] for k in range(node.oshape.c)] for pixel in row] for row in image]
                for image in maps]  # fmt: skip
    assert node.evaluate([array(maps)], {}).tolist() == expected


@given(shapes(), qtypes(12), qtypes(12), qtypes(), st.integers(1, 65535), st.integers(0, 40), st.data())
def test_a_gate_equals_naive_loops(
    shape: Shape, a: QType, b: QType, otype: QType, multiplier: int, shift: int, data: st.DataObject
) -> None:
    gate_shape = data.draw(st.sampled_from([shape, Shape(1, 1, shape.c)]))
    node = Gate(name="node", sources=("x", "g"), ishape=shape, gate_shape=gate_shape, itypes=(a, b),
                multiplier=multiplier, shift=shift, otype=otype)  # fmt: skip
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    maps, gates = images(rng, a, shape), images(rng, b, gate_shape)

    def value(image: int, y: int, x: int, c: int) -> int:
        factor = gates[image][y if gate_shape == shape else 0][x if gate_shape == shape else 0][c]
        return rounded(Fraction(maps[image][y][x][c] * factor * multiplier, 2**shift), node)

    expected = [
        [[[value(i, y, x, c) for c in range(shape.c)] for x in range(shape.x)] for y in range(shape.y)]
        for i in range(IMAGES)
    ]
    assert node.evaluate([array(maps), array(gates)], {}).tolist() == expected


@given(shapes(), st.tuples(*[st.integers(0, 3)] * 4), st.tuples(*[st.integers(1, 3)] * 2), st.integers(0, 2**32))
def test_a_padding_equals_naive_loops(
    shape: Shape, pads: tuple[int, int, int, int], strides: tuple[int, int], seed: int
) -> None:
    rng, otype = random.Random(seed), QType(7, signed=True)
    value = 0 if max(strides) > 1 else rng.randint(low(otype), high(otype))
    node = Pad(name="node", source="x", ishape=shape, top=pads[0], left=pads[1], bottom=pads[2], right=pads[3],
               stride_y=strides[0], stride_x=strides[1], value=value, otype=otype)  # fmt: skip
    maps = images(rng, otype, shape)
    rows = pads[0] + (shape.y - 1) * strides[0] + 1 + pads[2]
    columns = pads[1] + (shape.x - 1) * strides[1] + 1 + pads[3]
    expected = [[[[value] * shape.c for _ in range(columns)] for _ in range(rows)] for _ in maps]
    for made, image in zip(expected, maps, strict=True):
        for y, row in enumerate(image):
            for x, pixel in enumerate(row):
                made[pads[0] + y * strides[0]][pads[1] + x * strides[1]] = pixel
    assert node.evaluate([array(maps)], {}).tolist() == expected
    assert array(expected).shape[1:] == (node.oshape.y, node.oshape.x, node.oshape.c)
    assert node.real.sum() == shape.y * shape.x


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**32))
def test_blocks_of_pixels_and_channels_equal_naive_loops(y: int, x: int, c: int, block: int, seed: int) -> None:
    rng, otype = random.Random(seed), QType(7, signed=True)
    deep, wide = Shape(y, x, c * block**2), Shape(y * block, x * block, c)
    apart = DepthToSpace(name="node", source="x", ishape=deep, block=block, otype=otype)
    together = SpaceToDepth(name="node", source="x", ishape=wide, block=block, otype=otype)
    maps = images(rng, otype, deep)
    expected = [
        [[[image[row // block][column // block][((row % block) * block + column % block) * c + k] for k in range(c)]
          for column in range(wide.x)] for row in range(wide.y)]
        for image in maps
    ]  # fmt: skip
    assert apart.evaluate([array(maps)], {}).tolist() == expected
    assert together.evaluate([array(expected)], {}).tolist() == maps
    assert (apart.oshape, together.oshape) == (wide, deep)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32))
def test_a_shuffle_equals_naive_loops(groups: int, per_group: int, seed: int) -> None:
    otype, shape = QType(7, signed=True), Shape(2, 1, groups * per_group)
    node = Shuffle(name="node", source="x", ishape=shape, groups=groups, otype=otype)
    maps = images(random.Random(seed), otype, shape)
    expected = [
        [
            [[pixel[i * per_group + j] for j in range(per_group) for i in range(groups)] for pixel in row]
            for row in image
        ]
        for image in maps
    ]
    assert node.evaluate([array(maps)], {}).tolist() == expected


def saturates_low(case: Case) -> bool:
    return any(v < low(case.node.otype) - 1 for v in case.exact)


def saturates_high(case: Case) -> bool:
    return any(v > high(case.node.otype) + 1 for v in case.exact)


def has_a_negative_tie(case: Case) -> bool:
    """Some value lies between two integers of a signed type, below zero: half up and half away from zero differ."""
    return any(low(case.node.otype) < v < 0 and v % 1 == Fraction(1, 2) for v in case.exact)


def is_depthwise(case: Case) -> bool:
    return isinstance(case.node, Conv) and case.node.groups == case.node.k == case.node.ishape.c > 1


def is_grouped(case: Case) -> bool:
    return isinstance(case.node, Conv) and 1 < case.node.groups < min(case.node.k, case.node.ishape.c)


def is_padded_unevenly(case: Case) -> bool:
    w = case.node.window
    return w.pad_top != w.pad_bottom and w.pad_left != w.pad_right and w.stride_y != w.stride_x


def is_a_signed_maximum_with_padding(case: Case) -> bool:
    return (
        isinstance(case.node, Pool)
        and case.node.op is PoolOp.MAX
        and case.node.itype.signed
        and case.node.window.is_padded
    )


def is_a_padded_average(case: Case) -> bool:
    return isinstance(case.node, Pool) and case.node.op is PoolOp.AVERAGE and case.node.window.is_padded


def has_a_tie_to(even: bool) -> Callable[[Case], bool]:
    """Some value lies between two integers that are both outputs, and goes down to an even one, or up to it."""

    def has(case: Case) -> bool:
        least, most = case.node.rule.bounds or (low(case.node.otype), high(case.node.otype))
        return case.node.rule.rounding is Rounding.HALF_EVEN and any(
            v % 1 == Fraction(1, 2) and math.floor(v) % 2 == (not even) and least <= v + case.node.rule.zero <= most
            for v in case.exact
        )

    return has


def has_an_odd_zero_and_a_tie(case: Case) -> bool:
    return case.node.rule.zero % 2 == 1 and has_a_tie_to(even=True)(case)


def subtracts(case: Case) -> bool:
    return isinstance(case.node, Add) and min(case.node.multipliers) < 0 < max(case.node.multipliers)


def has_a_padded_zero_point(case: Case) -> bool:
    return isinstance(case.node, Conv | Pool) and case.node.zero_in != 0 and case.node.window.is_padded


def is_dilated_and_padded(case: Case) -> bool:
    w = case.node.window
    return min(w.fy, w.fx) > 1 and w.dilation_y > 1 and w.dilation_x > 1 and w.is_padded


def leaves_padding_out(case: Case) -> bool:
    return isinstance(case.node, Pool) and len(case.node.by_count) > 1 and case.node.zero_in != 0


def has_a_fine_bias(case: Case) -> bool:
    return isinstance(case.node, Conv) and any(b % 2**case.node.bias_fraction for b in case.bias)


def does_not_shift(case: Case) -> bool:
    return case.node.shift == 0 and any(low(case.node.otype) < v < high(case.node.otype) for v in case.exact)


@pytest.mark.parametrize(
    ("cases", "has"),
    [
        *((convs, has) for has in (is_depthwise, is_grouped, is_padded_unevenly, has_a_fine_bias)),
        *((cases, has) for cases in (convs, pools) for has in (has_a_padded_zero_point, is_dilated_and_padded)),
        (adds, subtracts),
        (pools, leaves_padding_out),
        *((pools, has) for has in (is_a_padded_average, is_a_signed_maximum_with_padding, is_padded_unevenly)),
        *(
            (cases, has)
            for cases in (convs, pools, adds)
            for has in (
                saturates_low,
                saturates_high,
                has_a_negative_tie,
                does_not_shift,
                has_a_tie_to(even=True),
                has_a_tie_to(even=False),
                has_an_odd_zero_and_a_tie,
            )
        ),
    ],
)
def test_the_random_cases_reach(cases: Callable[[], st.SearchStrategy[Case]], has: Callable[[Case], bool]) -> None:
    hypothesis.find(
        cases(), has, settings=settings(max_examples=2000, phases=[hypothesis.Phase.generate], database=None),
        random=random.Random(1),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("acc", "multiplier", "shift", "expected"),
    [
        (5, 1, 1, 3),  # 2.5
        (-5, 1, 1, -2),  # -2.5
        (-3, 1, 1, -1),  # -1.5
        (-7, 1, 2, -2),  # -1.75
        (-1, 1, 4, 0),  # -0.0625
        (7, 3, 0, 7),  # 21, above int4
        (-7, 3, 0, -8),
        (3, 5, 1, 7),  # 7.5 would be 8
        (-17, 1, 1, -8),  # -8.5
        (-(2**31), 65535, 47, -1),  # -0.99998
        (2**31 - 1, 65535, 47, 1),
        (2**30, 65536, 47, 1),  # 0.5
        (-(2**30), 65536, 47, 0),  # -0.5
    ],
)
def test_requantize_rounds_half_up_and_saturates(acc: int, multiplier: int, shift: int, expected: int) -> None:
    found = requantize(array([acc]), array([multiplier]), shift, QType(4, signed=True))
    assert found.tolist() == [expected]


# What each rounding makes of 2.5, -2.5, 3.5, -3.5, 2.25, 2.75 and -2.25.
ROUNDINGS = {
    Rounding.HALF_UP: (3, -2, 4, -3, 2, 3, -2),
    Rounding.HALF_EVEN: (2, -2, 4, -4, 2, 3, -2),
    Rounding.FLOOR: (2, -3, 3, -4, 2, 2, -3),
    Rounding.CEIL: (3, -2, 4, -3, 3, 3, -2),
}


@pytest.mark.parametrize("rounding", Rounding)
def test_every_rounding_has_its_own_integer_between_two(rounding: Rounding) -> None:
    quarters = array([10, -10, 14, -14, 9, 11, -9])
    assert (
        tuple(requantize(quarters, 1, 2, QType(4, signed=True), OutputRule(rounding=rounding))) == ROUNDINGS[rounding]
    )


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("zero", [0, 1, -3, 6])
@pytest.mark.parametrize("shift", [0, 1, 2, 5])
def test_an_offset_and_a_shift_round_and_add_the_zero_point(rounding: Rounding, zero: int, shift: int) -> None:
    rule, sums = OutputRule(rounding=rounding, zero=zero), np.arange(-200, 200)
    found = (sums + output_offset(rule, shift)) >> shift
    if rounding is Rounding.HALF_EVEN and shift:
        odd = zero % 2
        tie = (sums + output_offset(rule, shift)) & ((1 << shift) - 1) == odd * ((1 << shift) - 1)
        found = np.where(tie, found & ~1 | odd, found)
    assert found.tolist() == [whole(Fraction(int(s), 2**shift), rounding) + zero for s in sums]


def residual_graph() -> tuple[Graph, dict[str, Case]]:
    """The chain x, conv, add with x, maximum, average; and its nodes as cases without inputs."""
    rng = random.Random(5)
    u6, s5 = QType(6, signed=False), QType(5, signed=True)
    x = Input(name="x", shape=Shape(4, 3, 2), otype=u6)
    window = Window(fy=3, fx=2, pad_top=1, pad_bottom=1, pad_right=1)
    conv = Conv(name="conv", source="x", ishape=x.shape, itype=u6, k=2, window=window, groups=1, wtype=s5, acc_bits=20,
                scaling=Scaling.GENERAL, multiplier_bits=4, shift=7, otype=s5)  # fmt: skip
    add = Add(name="sum", sources=("conv", "x"), ishape=x.shape, itypes=(s5, u6), multipliers=(3, 2), shift=2, otype=s5)
    most = Pool(name="most", source="sum", ishape=x.shape, itype=s5, op=PoolOp.MAX,
                window=Window(fy=2, fx=2, pad_top=1), multiplier=1, shift=0, otype=s5)  # fmt: skip
    mean = Pool(name="mean", source="most", ishape=most.oshape, itype=s5, op=PoolOp.AVERAGE, window=Window(fy=4, fx=2),
                multiplier=9, shift=5, otype=QType(8, signed=True))  # fmt: skip
    weight, bias, multiplier = values(rng, s5, (2, 3, 2, 2)), [17, -3], [5, 11]
    params = {"conv.weight": array(weight), "conv.bias": array(bias), "conv.multiplier": array(multiplier)}
    cases = {"conv": Case(conv, (), weight, bias, multiplier)}
    cases |= {node.name: Case(node, (), [], [], []) for node in (add, most, mean)}
    return Graph("residual", (x, conv, add, most, mean), params), cases


def test_a_graph_hands_every_node_the_outputs_of_its_sources() -> None:
    graph, cases = residual_graph()
    batch = images(random.Random(6), graph.input.otype, graph.input.shape)
    found = golden.run_all(graph, array(batch))
    assert list(found) == ["x", "conv", "sum", "most", "mean"]
    for i, image in enumerate(batch):
        expected = {"x": image}
        for node in graph.nodes[1:]:
            expected[node.name] = naive(cases[node.name], tuple(expected[s] for s in node.inputs))
        assert {name: y[i].tolist() for name, y in found.items()} == expected


@pytest.mark.parametrize("batch", [1, 2, 5, 256])
def test_run_gives_the_last_node_whatever_the_batch(batch: int) -> None:
    graph = small_graph()
    x = array(values(random.Random(7), graph.input.otype, (5, 6, 6, 1)))
    assert golden.run(graph, x, batch).tolist() == golden.run_all(graph, x)["dense"].tolist()


def test_narrow_integers_are_computed_in_wide_ones() -> None:
    graph = small_graph()
    x = array(values(random.Random(8), graph.input.otype, (3, 6, 6, 1)))
    narrow = golden.run(graph, x.astype(np.uint8))  # type: ignore[arg-type]
    assert narrow.tolist() == golden.run(graph, x).tolist()


@pytest.mark.parametrize("run", [golden.run, golden.run_all, golden.check_input])
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((6, 6, 1), np.int64), r"expected \[B, 6, 6, 1\] \(HWC\), got \[6, 6, 1\]"),
        (np.zeros((2, 1, 6, 6), np.int64), r"expected \[B, 6, 6, 1\] \(HWC\), got \[2, 1, 6, 6\]"),
        (np.zeros((0, 6, 6, 1), np.int64), r"got \[0, 6, 6, 1\]"),
        (np.zeros((1, 6, 6, 1)), "expected integers of type uint8, got float64"),
        (np.zeros((1, 6, 6, 1), bool), "expected integers of type uint8, got bool"),
        (np.full((1, 6, 6, 1), -1), "expected uint8 values, got -1 to -1"),
        (np.arange(256 - 35, 257).reshape(1, 6, 6, 1), "expected uint8 values, got 221 to 256"),
    ],
)
def test_an_input_that_does_not_fit_is_refused(
    run: Callable[[Graph, golden.IntArray], object], x: golden.IntArray, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(small_graph(), x)
