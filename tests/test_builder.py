"""Graphs built node by node equal those written out by hand, and a wrong node is refused by name."""

import numpy as np
import pytest

from codesign.errors import UnsupportedError
from codesign.ir.builder import GraphBuilder
from codesign.ir.compose import conv_transpose
from codesign.model import golden
from codesign.ops.arrays import IntArray
from codesign.ops.conv import Conv
from codesign.ops.pool import PoolOp
from codesign.ops.qtype import QType
from codesign.ops.requantize import Scaling
from codesign.ops.shapes import Window
from codesign.testing.small import small_graph

U8 = QType(8, signed=False)


def test_a_built_graph_equals_the_one_written_out_by_hand() -> None:
    by_hand = small_graph()
    params = by_hand.params
    build = GraphBuilder("small", (6, 6, 1), U8, input_name="x")
    window = Window(fy=3, fx=3, stride_y=2, stride_x=2, pad_top=1, pad_left=1)
    x = build.conv(
        build.input,
        params["conv.weight"],
        params["conv.bias"],
        otype=U8,
        window=window,
        shift=3,
        weight_bits=4,
        name="conv",
    )
    x = build.max_pool(x, Window(fy=2, fx=2), name="pool")
    build.conv(
        x, params["dense.weight"], params["dense.bias"], otype=QType(16, signed=True), weight_bits=4, name="dense"
    )
    assert build.graph(input_scale=1 / 256, labels=("cat", "dog", "owl")).digest() == by_hand.digest()


def test_widths_are_the_narrowest_that_hold_every_value() -> None:
    build = GraphBuilder("widths", (1, 1, 2), U8)
    node = build.conv(
        build.input, np.array([[[[7, -8]]], [[[1, 0]]]]), np.array([5, -5]), otype=U8, multiplier=6, shift=3
    )
    assert node.wtype.bits == 4
    # The sums lie between -8 * 255 - 5 and 7 * 255 + 5, that is -2045 and 1790.
    assert node.acc_bits == 12
    assert (node.scaling, node.multiplier_bits) == (Scaling.GENERAL, 3)
    build.graph()


def test_every_kind_of_node_computes_what_its_formula_says() -> None:
    build = GraphBuilder("kinds", (2, 2, 1), U8)
    double = build.conv(build.input, np.full((1, 1, 1, 1), 2), otype=U8)
    total = build.add(build.input, double, otype=QType(10, signed=False))
    mean = build.average_pool(total, Window(fy=2, fx=2), shift=2)
    assert mean.op is PoolOp.AVERAGE
    x = np.array([[[[1], [2]], [[3], [5]]]])
    assert golden.run(build.graph(), x).tolist() == [[[[8]]]]  # 3 * 11 / 4, halves up


def test_weights_of_other_channels_are_refused_by_name() -> None:
    build = GraphBuilder("wrong", (4, 4, 3), U8)
    with pytest.raises(UnsupportedError, match=r"node 'conv_1': expected weights \[K, FY, FX, 3 / groups\]"):
        build.conv(build.input, np.ones((2, 1, 1, 2)), otype=U8)


def test_maps_are_repeated_and_joined_as_their_formulas_say() -> None:
    build = GraphBuilder("joined", (1, 2, 1), U8)
    wide = build.resize(build.input, 2, 1)
    build.concat(wide, build.resize(build.input, 2, 1, name="again"), wide)
    x = np.array([[[[1], [2]]]])
    assert golden.run(build.graph(), x).tolist() == [[[[1] * 3, [2] * 3]] * 2]


def test_maps_of_two_types_are_not_joined_and_the_remedy_is_named() -> None:
    build = GraphBuilder("wrong", (4, 4, 3), U8)
    other = build.conv(build.input, np.ones((2, 1, 1, 3)), otype=QType(4, signed=False))
    with pytest.raises(UnsupportedError, match=r"'concat_2': joins maps of the types uint8, uint4; a convolution"):
        build.concat(build.input, other)


def test_values_are_looked_up_in_the_table_of_all_channels_or_of_each() -> None:
    build = GraphBuilder("looked_up", (1, 1, 2), QType(2, signed=True))
    shared = build.lookup(build.input, np.array([3, 0, 1, 2]), otype=QType(2, signed=False))
    build.lookup(shared, np.array([[9, 8, 7, 6], [-1, -2, -3, -4]]), otype=QType(5, signed=True))
    x = np.array([[[[-2, 1]]], [[[0, -1]]]])
    assert golden.run(build.graph(), x).tolist() == [[[[6, -3]]], [[[8, -1]]]]
    for table in (np.zeros(3), np.zeros((3, 4))):
        with pytest.raises(UnsupportedError, match=r"'lookup_3': expected a table of 4 entries, or 2 of them, got \[3"):
            build.lookup(shared, table, otype=U8)


def test_channels_are_taken_from_start_to_stop() -> None:
    build = GraphBuilder("sliced", (1, 1, 3), U8)
    build.concat(build.slice(build.input, 1, 3), build.slice(build.input, 0, 1))
    assert golden.run(build.graph(), np.array([[[[7, 8, 9]]]])).tolist() == [[[[8, 9, 7]]]]


def test_a_map_is_multiplied_with_a_gate_of_its_pixels_or_of_its_channels() -> None:
    build = GraphBuilder("gated", (1, 2, 2), U8)
    mean = build.average_pool(build.input, Window(fy=1, fx=2), shift=1)
    gated = build.gate(build.input, mean, otype=U8, multiplier=3, shift=2)
    build.gate(gated, build.input, otype=QType(16, signed=False))
    x = np.array([[[[1, 2], [4, 6]]]])  # means 3 and 4; gated 9/4, 24/4 and 36/4, 72/4
    assert golden.run(build.graph(), x).tolist() == [[[[2 * 1, 6 * 2], [9 * 4, 18 * 6]]]]


def test_channels_and_pixels_change_places_as_their_formulas_say() -> None:
    build = GraphBuilder("moved", (2, 2, 1), U8)
    deep = build.space_to_depth(build.input, 2)
    build.depth_to_space(build.shuffle(deep, 2), 2)
    x = np.array([[[[1], [2]], [[3], [4]]]])
    assert golden.run(build.graph(), x).tolist() == [[[[1], [3]], [[2], [4]]]]
    build.pad(build.last, (1, 0, 0, 1), value=9)
    build.pad(build.last, strides=(1, 2))
    assert golden.run(build.graph(), x)[0, :, :, 0].tolist() == [[9, 0, 9, 0, 9], [1, 0, 3, 0, 9], [2, 0, 4, 0, 9]]


def transposed(x: IntArray, weight: IntArray, strides: tuple[int, int], pads: tuple[int, ...], extra: tuple[int, int]):
    """What every pixel gives to the outputs around it, added up; x[Y,X,C], weight[K,FY,FX,C]."""
    (y, columns, _), (k, fy, fx, _) = x.shape, weight.shape
    full = np.zeros(((y - 1) * strides[0] + fy + extra[0], (columns - 1) * strides[1] + fx + extra[1], k), np.int64)
    for row in range(y):
        for column in range(columns):
            gives = np.einsum("kyxc,c->yxk", weight, x[row, column])
            full[row * strides[0] : row * strides[0] + fy, column * strides[1] : column * strides[1] + fx] += gives
    return full[pads[0] : len(full) - pads[2], pads[1] : full.shape[1] - pads[3]]


@pytest.mark.parametrize(
    ("strides", "pads", "extra"),
    [((2, 2), (1, 1, 1, 1), (1, 1)), ((1, 1), (0, 1, 2, 0), (0, 0)), ((3, 2), (0, 0, 0, 0), (2, 1)),
     ((4, 4), (2, 2, 1, 1), (0, 3))],
)  # fmt: skip
def test_a_transposed_convolution_gives_what_every_pixel_gives(
    strides: tuple[int, int], pads: tuple[int, int, int, int], extra: tuple[int, int]
) -> None:
    rng = np.random.default_rng(0)
    weight, x = rng.integers(-8, 8, (2, 3, 3, 3)), rng.integers(0, 256, (1, 3, 4, 3))
    build = GraphBuilder("transposed", (3, 4, 3), U8)
    otype = QType(16, signed=True)
    conv_transpose(build, build.input, weight, otype=otype, strides=strides, pads=pads, extra=extra)
    assert golden.run(build.graph(), x)[0].tolist() == transposed(x[0], weight, strides, pads, extra).tolist()


def test_a_transposed_convolution_that_cuts_off_pixels_is_refused_by_name() -> None:
    build = GraphBuilder("wrong", (4, 4, 1), U8)
    with pytest.raises(UnsupportedError, match=r"'conv_transpose_1': pads \(2, 0, 0, 0\) cut off more than a window"):
        conv_transpose(build, build.input, np.ones((1, 2, 2, 1)), otype=U8, strides=(2, 2), pads=(2, 0, 0, 0))


def test_nodes_without_a_name_get_different_ones() -> None:
    build = GraphBuilder("names", (2, 2, 1), U8)
    first = build.conv(build.input, np.ones((1, 1, 1, 1)), otype=U8)
    second = build.conv(first, np.ones((1, 1, 1, 1)), otype=U8)
    assert isinstance(build.node(second.name), Conv)
    assert len({n.name for n in build.nodes}) == 3
