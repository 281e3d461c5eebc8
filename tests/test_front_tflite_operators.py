"""Operators of TFLite beyond convolutions, beside the interpreter of LiteRT."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tflite")
pytest.importorskip("ai_edge_litert")

from codesign.errors import UnsupportedError
from codesign.front.read import read_network
from codesign.ops.conv import Conv
from codesign.ops.depth_to_space import DepthToSpace
from codesign.ops.gate import Gate
from codesign.ops.lookup import Lookup
from codesign.ops.node import Node
from codesign.ops.pad import Pad
from codesign.ops.shuffle import Shuffle
from codesign.ops.slice import Slice
from codesign.ops.space_to_depth import SpaceToDepth
from test_front_operators import compared, nodes
from tflite_models import TfliteFile, options

SHAPE = [1, 6, 4, 8]


@pytest.mark.parametrize(
    ("operator", "scale", "zero", "written"),
    [
        ("LEAKY_RELU", 1 / 16, 3, options("LeakyRelu", Alpha=0.125)),
        ("LEAKY_RELU", 0.043, -100, options("LeakyRelu", Alpha=0.1)),
        ("HARD_SWISH", 0.033, -115, None),
        ("LOGISTIC", 1 / 256, -128, None),
        ("TANH", 1 / 128, 0, None),
        ("ELU", 0.05, -60, None),
        ("GELU", 0.05, -110, options("Gelu", Approximate=False)),
    ],
)
def test_an_activation_is_a_table(
    tmp_path: Path, operator: str, scale: float, zero: int, written: Callable[[Any], int] | None
) -> None:
    f = TfliteFile(SHAPE, scale=0.0471, zero=-5)
    path = f.save(tmp_path / "made.tflite", f.node(operator, [0], SHAPE, scale, zero, written))
    network, found = compared(path)
    assert [type(node) for node in network.graph.operations] == [Lookup]
    assert found.largest_steps <= 1
    in_integers = operator in ("HARD_SWISH", "LEAKY_RELU")  # kernels that round more than once
    assert found.mean_steps < (0.1 if in_integers else 0.01)


@pytest.mark.parametrize("shape", [[], [8], [1, 1, 1, 8]])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("operator", ["ADD", "SUB", "MUL"])
def test_arithmetic_with_constants_is_off_by_a_step_at_most(
    tmp_path: Path, operator: str, first: bool, shape: list[int]
) -> None:
    f = TfliteFile(SHAPE, scale=1 / 16, zero=3)
    constant = f.constant(np.resize(np.arange(-90, 100, 23), shape), [0.031], np.int8)
    pair = [constant, 0] if first else [0, constant]
    written = options(operator.capitalize(), FusedActivationFunction=0)
    network, found = compared(f.save(tmp_path / "made.tflite", f.node(operator, pair, SHAPE, 0.093, -9, written)))
    assert [type(node) for node in network.graph.operations] == [Conv]
    assert found.largest_steps <= 1
    assert found.mean_steps < 0.05


def test_a_constant_of_another_shape_is_refused(tmp_path: Path) -> None:
    f = TfliteFile(SHAPE)
    constant = f.constant(np.ones((6, 1, 1)), [0.5], np.int8)
    path = f.save(tmp_path / "made.tflite", f.node("MUL", [0, constant], SHAPE))
    with pytest.raises(UnsupportedError, match="one value, or one for 8 channels"):
        read_network(path)


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("by", [(2, 2), (4, 1), (3, 2)])
@pytest.mark.parametrize("operator", ["RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"])
def test_enlargement_is_off_by_a_step_at_most(tmp_path: Path, operator: str, by: tuple[int, int], half: bool) -> None:
    f = TfliteFile(SHAPE)
    kind = "ResizeBilinear" if operator == "RESIZE_BILINEAR" else "ResizeNearestNeighbor"
    extents = [SHAPE[1] * by[0], SHAPE[2] * by[1]]
    written = options(kind, HalfPixelCenters=half)
    size = f.constant(extents)
    _, found = compared(
        f.save(tmp_path / "made.tflite", f.node(operator, [0, size], [1, *extents, 8], options=written))
    )
    assert found.largest_steps <= (operator == "RESIZE_BILINEAR")
    assert found.mean_steps < 0.1  # its kernel rounds negative halves the other way


@pytest.mark.parametrize("pads", [[[0, 0], [0, 0], [0, 0], [0, 3]], [[0, 0], [1, 0], [0, 2], [2, 1]]])
def test_channels_of_zeros_are_equal_in_every_word(tmp_path: Path, pads: list[list[int]]) -> None:
    f = TfliteFile(SHAPE)
    shape = [n + sum(more) for n, more in zip(SHAPE, pads, strict=True)]
    network, found = compared(f.save(tmp_path / "made.tflite", f.node("PAD", [0, f.constant(pads)], shape)))
    assert network.graph.output_nodes[0].oshape.c == shape[3]
    assert (found.words > 0, found.differing_words) == (True, 0)


def test_a_float_file_is_refused_as_such(tmp_path: Path) -> None:
    f = TfliteFile(SHAPE)
    f.tensors[0] = (*f.tensors[0][:3], None, 0)
    path = f.save(tmp_path / "made.tflite", f.node("TANH", [0], SHAPE))
    f.tensors[1] = (*f.tensors[1][:3], None, 0)
    with pytest.raises(UnsupportedError, match="a float network; TFLite is read where it is quantized"):
        read_network(f.save(path, 1))


def test_a_prelu_has_a_slope_per_channel(tmp_path: Path) -> None:
    f = TfliteFile(SHAPE)
    slope = f.constant(np.arange(-4, 4).reshape(1, 1, 8), [1 / 8], np.int8)
    network, found = compared(f.save(tmp_path / "made.tflite", f.node("PRELU", [0, slope], SHAPE)))
    (table,) = nodes(network, Lookup)
    assert table.per_channel
    assert found.largest_steps <= 1
    assert found.mean_steps < 0.1  # its kernel rounds ties otherwise


@pytest.mark.parametrize("gate", [False, True])
def test_a_product_of_maps_is_off_by_a_step_at_most(tmp_path: Path, gate: bool) -> None:
    f = TfliteFile(SHAPE, scale=0.031, zero=-128)
    extents = [1, 1, 1, 8] if gate else SHAPE
    x = f.node("MEAN", [0, f.constant([1, 2])], extents, 0.021, -7, options("Reducer", KeepDims=True)) if gate else 0
    y = f.node("LOGISTIC", [x], extents, 1 / 256, -128)
    network, found = compared(
        f.save(tmp_path / "made.tflite", f.node("MUL", [0, y], SHAPE, 0.027, -90, options("Mul")))
    )
    assert len(nodes(network, Gate)) == 1
    assert found.largest_steps <= 1


def made_split(f: TfliteFile) -> int:
    first = f.node("SPLIT", [f.constant(3), 0], [1, 6, 4, 4], options=options("Split", NumSplits=2), outputs=2)
    return f.node("CONCATENATION", [first + 1, first], SHAPE, options=options("Concatenation", Axis=3))


def made_split_v(f: TfliteFile) -> int:
    sizes = [f.constant([4, -1]), f.constant(-1)]
    first = f.node("SPLIT_V", [0, *sizes], [1, 6, 4, 4], options=options("SplitV", NumSplits=2), outputs=2)
    return f.node("CONCATENATION", [first + 1, first], SHAPE, options=options("Concatenation", Axis=-1))


def made_slice(f: TfliteFile) -> int:
    return f.node("SLICE", [0, f.constant([0, 0, 0, 2]), f.constant([1, 6, 4, -1])], [1, 6, 4, 6])


def made_strided_slice(f: TfliteFile) -> int:
    bounds = [f.constant(v) for v in ([0, 0, 0, 1], [0, 0, 0, -2], [1, 1, 1, 1])]
    return f.node("STRIDED_SLICE", [0, *bounds], [1, 6, 4, 5], options=options("StridedSlice", BeginMask=7, EndMask=7))


def made_depth_to_space(f: TfliteFile) -> int:
    return f.node("DEPTH_TO_SPACE", [0], [1, 12, 8, 2], options=options("DepthToSpace", BlockSize=2))


def made_space_to_depth(f: TfliteFile) -> int:
    return f.node("SPACE_TO_DEPTH", [0], [1, 3, 2, 32], options=options("SpaceToDepth", BlockSize=2))


def made_shuffle(f: TfliteFile) -> int:
    x = f.node("RESHAPE", [0, f.constant([1, 6, 4, 2, 4])], [1, 6, 4, 2, 4])
    x = f.node("TRANSPOSE", [x, f.constant([0, 1, 2, 4, 3])], [1, 6, 4, 4, 2])
    return f.node("RESHAPE", [x, f.constant(SHAPE)], SHAPE)


def made_pad(f: TfliteFile) -> int:
    return f.node("PAD", [0, f.constant([[0, 0], [1, 2], [0, 3], [0, 0]])], [1, 9, 7, 8])


@pytest.mark.parametrize(
    ("made", "kinds"),
    [
        (made_split, [Slice, Slice]),
        (made_split_v, [Slice, Slice]),
        (made_slice, [Slice]),
        (made_strided_slice, [Slice]),
        (made_depth_to_space, [DepthToSpace]),
        (made_space_to_depth, [SpaceToDepth]),
        (made_shuffle, [Shuffle]),
        (made_pad, [Pad]),
    ],
)
def test_what_moves_values_is_equal_in_every_word(
    tmp_path: Path, made: Callable[[TfliteFile], int], kinds: list[type[Node]]
) -> None:
    f = TfliteFile(SHAPE)
    network, found = compared(f.save(tmp_path / "made.tflite", made(f)))
    assert [type(node) for node in network.graph.operations if type(node) in kinds] == kinds
    assert found.differing_words == 0


@pytest.mark.parametrize(("padding", "extents"), [(0, [12, 8]), (1, [13, 9])])
def test_a_transposed_convolution_equals_litert(tmp_path: Path, padding: int, extents: list[int]) -> None:
    rng = np.random.default_rng(0)
    f = TfliteFile(SHAPE)
    inputs = [f.constant([1, *extents, 5]), f.constant(rng.integers(-9, 9, (5, 3, 3, 8)), [1 / 8], np.int8), 0]
    inputs.append(f.constant(rng.integers(-99, 99, 5), [1 / 128]))
    how = options("TransposeConv", Padding=padding, StrideH=2, StrideW=2)
    network, found = compared(
        f.save(tmp_path / "made.tflite", f.node("TRANSPOSE_CONV", inputs, [1, *extents, 5], 1 / 2, 0, how))
    )
    assert len(nodes(network, Conv)) == 1
    assert found.largest_steps <= 1
    assert found.mean_steps < 0.05  # ties of negative sums
