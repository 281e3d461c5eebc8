"""Operators of files beyond convolutions: tables, gates, parts of channels, and what moves pixels and channels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign.errors import UnsupportedError
from codesign.front.read import Imported, read_network
from codesign.front.runtime import SourceComparison, compare_with_source, random_inputs
from codesign.ops.add import Add
from codesign.ops.conv import Conv
from codesign.ops.depth_to_space import DepthToSpace
from codesign.ops.gate import Gate
from codesign.ops.lookup import Lookup
from codesign.ops.node import Node
from codesign.ops.pad import Pad
from codesign.ops.shuffle import Shuffle
from codesign.ops.slice import Slice
from codesign.ops.space_to_depth import SpaceToDepth
from front_models import OnnxFile

ACTIVATIONS: list[tuple[str, dict[str, Any]]] = [
    ("LeakyRelu", {"alpha": 0.125}),
    ("LeakyRelu", {"alpha": 0.1}),
    ("LeakyRelu", {}),
    ("HardSwish", {}),
    ("HardSigmoid", {}),
    ("HardSigmoid", {"alpha": 0.25, "beta": 0.375}),
    ("Sigmoid", {}),
    ("Tanh", {}),
    ("Elu", {"alpha": 0.7}),
    ("Celu", {"alpha": 1.5}),
    ("Selu", {}),
    ("Softplus", {}),
    ("Softsign", {}),
    ("Mish", {}),
    ("Gelu", {}),
    ("Gelu", {"approximate": "tanh"}),
]


def compared(path: Path, images: int = 12) -> tuple[Imported, SourceComparison]:
    """The network of a file, and its golden model beside the file's own runtime."""
    network = read_network(path)
    shape = network.graph.input.shape
    assert network.origin is not None
    x = random_inputs(network.origin, (shape.y, shape.x, shape.c), images, 3)
    return network, compare_with_source(path, network, x)


def nodes(network: Imported, kind: type[Node]) -> list[Any]:
    return [node for node in network.graph.nodes if isinstance(node, kind)]


@pytest.mark.parametrize(("operator", "attributes"), ACTIVATIONS)
@pytest.mark.parametrize("scale", [1 / 16, 0.0517])
def test_an_activation_is_a_table_and_equals_onnxruntime(
    tmp_path: Path, operator: str, attributes: dict[str, Any], scale: float
) -> None:
    f = OnnxFile([1, 5, 8, 8], opset=20)
    x = f.qdq("x", scale, 3, np.int8)
    path = f.save(tmp_path / "made.onnx", f.qdq(f.node(operator, [x], **attributes), scale / 2, -20, np.int8))
    network, found = compared(path)
    (table,) = nodes(network, Lookup)
    assert not table.per_channel
    assert len(network.graph.operations) == 1
    assert found.largest_steps <= 1
    assert found.differing_words < found.words / 100  # float32 in place of float64 near a tie


@pytest.mark.parametrize("slopes", [1, 5])
def test_a_prelu_has_a_table_for_each_slope(tmp_path: Path, slopes: int) -> None:
    f = OnnxFile([1, 5, 8, 8])
    slope = f.constant(np.linspace(-0.5, 1.5, slopes).reshape(slopes, 1, 1) * 0.25)
    path = f.save(tmp_path / "made.onnx", f.quant(f.node("PRelu", [f.quant("x", 1 / 16, 6), slope]), 1 / 8, 7))
    network, found = compared(path)
    (table,) = nodes(network, Lookup)
    assert table.per_channel is (slopes > 1)
    assert found.differing_words == 0


def test_an_activation_of_wide_sums_is_refused_by_name(tmp_path: Path) -> None:
    f = OnnxFile([1, 4, 6, 6])
    w = f.quant(f.constant(np.random.default_rng(0).normal(0, 1, (4, 4, 1, 1))), 1 / 8, 5)
    x = f.node("Conv", [f.quant("x", 1 / 16, 8), w])
    path = f.save(tmp_path / "made.onnx", f.quant(f.node("Tanh", [x], name="squash"), 1 / 64, 8))
    with pytest.raises(UnsupportedError, match=r"squash.*at most 10 bits"):
        read_network(path)


def test_a_change_of_scale_is_a_table_where_no_multiplier_is_exact(tmp_path: Path) -> None:
    f = OnnxFile([1, 4, 8, 8])
    path = f.save(tmp_path / "made.onnx", f.quant(f.quant("x", 0.0313, 10), 0.0471, 10))
    network, found = compared(path, 16)
    assert found.differing_words == 0
    assert network.origin is not None
    assert all(layer.error == 0 for layer in network.origin.layers)


def test_a_rounding_that_the_machine_lacks_is_a_table(tmp_path: Path) -> None:
    f = OnnxFile([1, 4, 8, 8])
    path = f.save(tmp_path / "made.onnx", f.quant(f.quant("x", 1 / 8, 8), 1 / 4, 7, mode="HALF_UP"))
    network, found = compared(path, 16)
    assert len(nodes(network, Lookup)) == 1
    assert found.differing_words == 0


@pytest.mark.parametrize("pair", ["Sigmoid", "HardSigmoid"])
def test_a_map_times_its_sigmoid_is_one_table(tmp_path: Path, pair: str) -> None:
    f = OnnxFile([1, 4, 8, 8])
    x = f.quant("x", 1 / 16, 8)
    attributes = {"alpha": 1 / 6} if pair == "HardSigmoid" else {}
    path = f.save(tmp_path / "made.onnx", f.quant(f.node("Mul", [x, f.node(pair, [x], **attributes)]), 1 / 16, 8))
    network, found = compared(path)
    assert [type(node) for node in network.graph.operations] == [Lookup]
    assert found.largest_steps <= 1
    assert found.differing_words < found.words / 100


@pytest.mark.parametrize("explicit", [False, True])
@pytest.mark.parametrize("before", [False, True])
def test_a_split_is_slices_of_channels(tmp_path: Path, explicit: bool, before: bool) -> None:
    f = OnnxFile([1, 8, 5, 4])
    x = f.quant("x", 1 / 16, 6) if before else f.node("Relu", ["x"])
    inputs = [x, f.constant([3, 5], np.int64)] if explicit else [x]
    first = f.node("Split", inputs, axis=1)
    f.nodes[-1].output.append("second")
    back = f.node("Concat", ["second", first], axis=1)
    path = f.save(tmp_path / "made.onnx", back if before else f.quant(back, 1 / 16, 6, signed=0))
    network, found = compared(path)
    assert sorted((n.start, n.stop) for n in nodes(network, Slice)) == (
        [(0, 3), (3, 8)] if explicit else [(0, 4), (4, 8)]
    )
    assert found.differing_words == 0


def test_a_slice_of_rows_is_refused(tmp_path: Path) -> None:
    f = OnnxFile([1, 8, 5, 4])
    ends = [f.constant(v, np.int64) for v in ([1], [3], [2])]
    path = f.save(tmp_path / "made.onnx", f.node("Slice", [f.quant("x", 1 / 16, 6), *ends], name="rows"))
    with pytest.raises(UnsupportedError, match=r"rows.*expected a part of the channels"):
        read_network(path)


def test_a_slice_counts_from_the_end(tmp_path: Path) -> None:
    f = OnnxFile([1, 8, 5, 4])
    ends = [f.constant(v, np.int64) for v in ([-6], [1 << 40], [-3], [1])]
    path = f.save(tmp_path / "made.onnx", f.node("Slice", [f.quant("x", 1 / 16, 6), *ends]))
    network, found = compared(path)
    assert [(n.start, n.stop) for n in nodes(network, Slice)] == [(2, 8)]
    assert found.differing_words == 0


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("shape", ["map", "gate"])
@pytest.mark.parametrize("swapped", [False, True])
def test_a_product_of_maps_equals_qonnx_in_every_word(tmp_path: Path, signed: int, shape: str, swapped: bool) -> None:
    f = OnnxFile([1, 6, 8, 4])
    x = f.quant("x", 1 / 16, 7, signed=signed)
    y = f.node("GlobalAveragePool", [x]) if shape == "gate" else f.node("Relu", [x])
    pair = [x, f.quant(y, 1 / 8, 6, signed=signed)]
    path = f.save(tmp_path / "made.onnx", f.quant(f.node("Mul", pair[::-1] if swapped else pair), 1 / 8, 8))
    network, found = compared(path)
    assert len(nodes(network, Gate)) == 1
    assert found.differing_words == 0


def test_a_product_with_zero_points_is_off_by_a_step_at_most(tmp_path: Path) -> None:
    f = OnnxFile([1, 6, 7, 5])
    x = f.qdq("x", 0.031, 131)
    y = f.qdq(f.node("GlobalAveragePool", [x]), 0.023, 120)
    path = f.save(tmp_path / "made.onnx", f.qdq(f.node("Mul", [x, y]), 0.019, 125))
    network, found = compared(path)
    assert len(nodes(network, Gate)) == 1
    assert network.origin is not None
    assert found.largest_steps <= 1
    assert found.mean_steps <= 2 * sum(layer.error for layer in network.origin.layers)


def test_a_square_is_a_table(tmp_path: Path) -> None:
    f = OnnxFile([1, 6, 7, 5])
    x = f.quant("x", 1 / 16, 7)
    network, found = compared(f.save(tmp_path / "made.onnx", f.quant(f.node("Mul", [x, x]), 1 / 8, 8)))
    assert [type(node) for node in network.graph.operations] == [Lookup]
    assert found.differing_words == 0


def test_a_gate_of_other_extents_is_refused(tmp_path: Path) -> None:
    f = OnnxFile([1, 6, 4, 4])
    x = f.quant("x", 1 / 16, 7)
    y = f.node("MaxPool", [x], kernel_shape=[4, 1], strides=[1, 1])
    path = f.save(tmp_path / "made.onnx", f.quant(f.node("Mul", [x, y], name="odd"), 1 / 8, 8))
    with pytest.raises(UnsupportedError, match=r"odd.*expected one shape, or one factor per channel"):
        read_network(path)


TRANSPOSED: list[dict[str, Any]] = [
    {"strides": [2, 2]},
    {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
    {"strides": [3, 1], "pads": [0, 1, 2, 1]},
    {"dilations": [2, 1], "pads": [1, 0, 1, 0]},
    {"strides": [2, 3], "group": 2, "output_padding": [0, 2]},
    {"strides": [4, 4], "output_padding": [3, 2]},
]


@pytest.mark.parametrize("attributes", TRANSPOSED)
def test_a_transposed_convolution_equals_onnxruntime(tmp_path: Path, attributes: dict[str, Any]) -> None:
    rng, groups = np.random.default_rng(0), attributes.get("group", 1)
    f = OnnxFile([1, 4, 5, 6])
    scale = (2.0 ** -rng.integers(3, 6, 6 // groups)).astype(np.float32)
    w = f.weight(rng.integers(-8, 8, (4, 6 // groups, 3, 3)), scale, axis=1)
    b = f.constant(rng.integers(-9, 9, 6) / 16)
    x = f.node("ConvTranspose", [f.qdq("x", 1 / 16, 7, np.int8), w, b], **attributes)
    network, found = compared(f.save(tmp_path / "made.onnx", f.qdq(x, 1 / 8, 0, np.int8)))
    assert len(nodes(network, Conv)) == 1
    assert found.differing_words == 0


def test_a_transposed_convolution_that_cuts_too_much_off_is_refused(tmp_path: Path) -> None:
    f = OnnxFile([1, 4, 5, 6])
    w = f.weight(np.ones((4, 2, 3, 3)), 0.125)
    x = f.node("ConvTranspose", [f.quant("x", 1 / 16, 6), w], pads=[3, 0, 0, 0], name="cut")
    with pytest.raises(UnsupportedError, match=r"cut.*more than a window reaches"):
        read_network(f.save(tmp_path / "made.onnx", f.quant(x, 1 / 8, 6)))


def made_dcr(f: OnnxFile, x: str) -> str:
    return f.node("DepthToSpace", [x], blocksize=2)


def made_crd(f: OnnxFile, x: str) -> str:
    return f.node("DepthToSpace", [x], blocksize=2, mode="CRD")


def made_depth(f: OnnxFile, x: str) -> str:
    return f.node("SpaceToDepth", [x], blocksize=2)


def made_shuffle(f: OnnxFile, x: str) -> str:
    x = f.node("Reshape", [x, f.constant([0, 3, 4, 6, 4], np.int64)])
    x = f.node("Transpose", [x], perm=[0, 2, 1, 3, 4])
    return f.node("Reshape", [x, f.constant([0, 12, 6, 4], np.int64)])


def made_flat_shuffle(f: OnnxFile, x: str) -> str:
    x = f.node("Reshape", [x, f.constant([0, 2, 6, 24], np.int64)])
    x = f.qdq(f.node("Transpose", [x], perm=[0, 2, 1, 3]), 1 / 16, 5, np.int8)
    return f.node("Reshape", [x, f.constant([0, 12, 6, 4], np.int64)])


def made_pad(f: OnnxFile, x: str) -> str:
    pads = f.constant([0, 0, 1, 0, 0, 0, 2, 3], np.int64)
    return f.node("Pad", [x, pads, f.constant(-1.5)])


def made_pad_of_axes(f: OnnxFile, x: str) -> str:
    pads, axes = (f.constant(v, np.int64) for v in ([4, 1], [-2]))
    return f.node("Pad", [x, pads, f.constant(0.0), axes])


MOVES = [
    (made_dcr, [DepthToSpace]),
    (made_crd, [Shuffle, DepthToSpace]),
    (made_depth, [SpaceToDepth]),
    (made_shuffle, [Shuffle]),
    (made_flat_shuffle, [Shuffle]),
    (made_pad, [Pad]),
    (made_pad_of_axes, [Pad]),
]


@pytest.mark.parametrize(("move", "kinds"), MOVES)
@pytest.mark.parametrize("first", [True, False])
def test_what_moves_values_equals_onnxruntime(
    tmp_path: Path, move: Callable[[OnnxFile, str], str], kinds: list[type[Node]], first: bool
) -> None:
    f = OnnxFile([1, 12, 6, 4], opset=18)
    x = f.qdq("x", 1 / 16, 5, np.int8)
    y = move(f, x) if first else f.qdq(move(f, f.node("Add", [x, x])), 1 / 16, 5, np.int8)
    network, found = compared(f.save(tmp_path / "made.onnx", y))
    assert [type(node) for node in network.graph.operations if type(node) in kinds] == kinds
    assert not nodes(network, Add)  # twice a map is a change of scale
    assert found.differing_words == 0


def test_a_value_around_a_map_that_its_quantization_lacks_is_refused(tmp_path: Path) -> None:
    f = OnnxFile([1, 2, 4, 4])
    pads = f.constant([0, 0, 1, 0, 0, 0, 2, 3], np.int64)
    x = f.node("Pad", [f.quant("x", 1 / 16, 6), pads, f.constant(0.3)], name="frame")
    with pytest.raises(UnsupportedError, match=r"frame.*0\.3 around a map"):
        read_network(f.save(tmp_path / "made.onnx", x))


def test_another_transpose_between_reshapes_is_refused(tmp_path: Path) -> None:
    f = OnnxFile([1, 12, 6, 4])
    x = f.node("Reshape", [f.quant("x", 1 / 16, 6), f.constant([0, 3, 4, 6, 4], np.int64)])
    x = f.node("Transpose", [x], perm=[0, 2, 1, 4, 3])
    x = f.node("Reshape", [x, f.constant([0, 12, 6, 4], np.int64)])
    with pytest.raises(UnsupportedError, match="splits an axis"):
        read_network(f.save(tmp_path / "made.onnx", x))
