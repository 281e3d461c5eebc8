"""Quantized ONNX files of other tools: the integer graph beside the file's own arithmetic."""

from pathlib import Path

import numpy as np
import pytest

from codesign.front.evaluate import evaluate
from codesign.front.onnx_source import read_onnx_source
from codesign.front.read import Format, Imported, read_network
from codesign.front.runtime import compare_with_source, from_file, random_inputs, run_source, runtime_of, to_file
from codesign.model import golden
from codesign.ops.qtype import QType
from front_models import OnnxFile, conv, small_qdq, small_qlinear, small_qonnx


def inputs(network: Imported, images: int = 12, seed: int = 0) -> np.ndarray:
    shape = network.graph.input.shape
    assert network.origin is not None
    return random_inputs(network.origin, (shape.y, shape.x, shape.c), images, seed)


def integers_of_file(path: Path, network: Imported, x: np.ndarray) -> np.ndarray:
    """What the file computes in float64, as integers of the graph's output, [N, words]."""
    assert network.origin is not None
    source = read_onnx_source(path)
    values = evaluate(source, to_file(x, network.origin.input.axes))[network.origin.outputs[0].tensor]
    o = network.graph.output.oshape
    values = from_file(values, network.origin.outputs[0].axes, (o.y, o.x, o.c))
    grid = network.origin.outputs[0].grid
    return np.rint(values / grid.scale).astype(np.int64).reshape(len(x), -1) + grid.zero


def ours(network: Imported, x: np.ndarray) -> np.ndarray:
    assert network.origin is not None
    return golden.run(network.graph, network.origin.input.grid.integers(x)).reshape(len(x), -1)


@pytest.mark.parametrize("seed", range(4))
def test_qonnx_of_powers_of_two_is_equal_in_every_word(tmp_path: Path, seed: int) -> None:
    path = small_qonnx(tmp_path / "made.onnx", np.random.default_rng(seed))
    network = read_network(path)
    assert network.format is Format.QONNX
    assert network.origin is not None
    assert all(layer.error == 0 for layer in network.origin.layers)
    x = inputs(network)
    assert np.array_equal(ours(network, x), integers_of_file(path, network, x))


def test_qonnx_equals_its_own_execution(tmp_path: Path) -> None:
    pytest.importorskip("qonnx")
    path = small_qonnx(tmp_path / "made.onnx", np.random.default_rng(7))
    network = read_network(path)
    found = compare_with_source(path, network, inputs(network, 4))
    assert (found.words, found.differing_words, found.largest_steps) == (40, 0, 0)


def test_qonnx_of_any_scale_is_off_by_one_step_at_most_in_a_layer(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    f = OnnxFile([1, 4, 6, 6])
    x = f.quant("x", 0.031, 8)
    w = f.quant(f.constant(rng.normal(0, 1, (8, 4, 3, 3))), rng.uniform(0.01, 0.04, (8, 1, 1, 1)), 8)
    x = f.quant(f.node("Conv", [x, w], kernel_shape=[3, 3]), 0.057, 8)
    path = f.save(tmp_path / "made.onnx", x)
    network = read_network(path)
    x = inputs(network, 200)
    off = np.abs(ours(network, x) - integers_of_file(path, network, x))
    assert network.origin is not None
    (layer,) = network.origin.layers
    assert 0 < layer.error < 0.02
    assert off.max() <= 1
    assert off.mean() < 2 * layer.error  # only sums that near a tie may be rounded to the other side


@pytest.mark.parametrize(
    ("mode", "signed"),
    [("ROUND", 1), ("HALF_EVEN", 0), ("FLOOR", 1), ("CEIL", 1), ("HALF_UP", 0), ("DOWN", 0), ("UP", 0)],
)
def test_every_rounding_of_qonnx_is_exact(tmp_path: Path, mode: str, signed: int) -> None:
    f = OnnxFile([1, 3, 5, 5])
    x = f.quant("x", 0.25, 6)
    w = f.quant(f.constant(np.random.default_rng(0).normal(0, 1, (6, 3, 1, 1))), 0.25, 4)
    x = f.quant(f.node("Conv", [x, w], kernel_shape=[1, 1]), 0.5, 5, signed=signed, mode=mode)
    path = f.save(tmp_path / "made.onnx", x)
    network = read_network(path)
    x = inputs(network, 30)
    assert np.array_equal(ours(network, x), integers_of_file(path, network, x))


@pytest.mark.parametrize("seed", range(3))
def test_quantize_and_dequantize_of_powers_of_two_equal_onnxruntime(tmp_path: Path, seed: int) -> None:
    path = small_qdq(tmp_path / "made.onnx", np.random.default_rng(seed), powers_of_two=True)
    network = read_network(path)
    found = compare_with_source(path, network, inputs(network))
    assert network.format is Format.ONNX
    assert found.runtime.startswith("onnxruntime")
    assert (found.words, found.differing_words) == (60, 0)


@pytest.mark.parametrize("seed", range(3))
def test_quantize_and_dequantize_of_any_scale_are_near_onnxruntime(tmp_path: Path, seed: int) -> None:
    path = small_qdq(tmp_path / "made.onnx", np.random.default_rng(seed), powers_of_two=False)
    network = read_network(path)
    assert network.origin is not None
    assert max(layer.error for layer in network.origin.layers) < 0.03
    found = compare_with_source(path, network, inputs(network))
    assert found.largest_steps <= 2
    assert found.mean_steps < 0.3


@pytest.mark.parametrize("seed", range(3))
def test_quantized_operators_are_near_onnxruntime(tmp_path: Path, seed: int) -> None:
    path = small_qlinear(tmp_path / "made.onnx", np.random.default_rng(seed))
    network = read_network(path)
    found = compare_with_source(path, network, inputs(network))
    assert found.largest_steps <= 2
    assert found.mean_steps < 0.3


def test_integers_are_stored_without_a_zero_point_where_that_costs_no_bit(tmp_path: Path) -> None:
    network = read_network(small_qdq(tmp_path / "made.onnx", np.random.default_rng(0), powers_of_two=False))
    types = {node.name: node.otype for node in network.graph.nodes}
    assert types["conv_4"] == QType(8, signed=False)
    assert network.graph.output.otype == QType(8, signed=True)  # uint8 with a zero point of 128
    assert network.graph.input.otype == QType(8, signed=False)  # uint8 with one of 114, which stays


def test_the_user_s_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    path = small_qdq(tmp_path / "made.onnx", np.random.default_rng(0), powers_of_two=False)
    network = read_network(path)
    x = inputs(network)
    assert network.origin is not None
    encoded = network.graph.encoding.encode(x, network.graph.input.otype)
    assert np.array_equal(encoded, network.origin.input.grid.integers(x))
    (given,) = run_source(path, network, x)
    assert np.array_equal(given.shape, golden.run(network.graph, encoded).shape)


def test_halves_of_the_user_s_numbers_go_where_the_file_has_them_go(tmp_path: Path) -> None:
    path = small_qonnx(tmp_path / "made.onnx", np.random.default_rng(0))
    network = read_network(path)
    assert network.origin is not None
    halves = (np.arange(-64, 128).reshape(1, 8, 8, 3) + 0.5) / 32
    encoded = network.graph.encoding.encode(halves, network.graph.input.otype)
    assert np.array_equal(encoded, np.clip(np.rint(halves * 32), -128, 127))
    assert network.graph.encoding.formula == "(v - 0.0) / 0.03125 rounded, halves to even"


def test_batch_normalization_is_folded_with_its_signs(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    f = OnnxFile([1, 3, 6, 6])
    x = f.quant("x", 1 / 16, 8)
    w = f.quant(f.constant(rng.normal(0, 1, (8, 3, 3, 3))), 0.125, 4)
    x = f.node("Conv", [x, w], kernel_shape=[3, 3])
    numbers = [rng.choice([-0.5, 0.25, 1.0], 8), rng.normal(0, 1, 8), rng.normal(0, 1, 8), np.full(8, 1.0)]
    x = f.node("BatchNormalization", [x, *(f.constant(n) for n in numbers)], epsilon=0.0)
    path = f.save(tmp_path / "made.onnx", f.quant(f.node("Relu", [x]), 0.37, 6, signed=0))
    network = read_network(path)
    assert len(network.graph.operations) == 1
    x = inputs(network, 50)
    off = np.abs(ours(network, x) - integers_of_file(path, network, x))
    assert off.max() <= 1
    assert off.mean() < 0.01


def test_arithmetic_with_constants_needs_no_layer_before_it(tmp_path: Path) -> None:
    f = OnnxFile([1, 3, 4, 4])
    x = f.quant("x", 1 / 16, 8)
    x = f.node("Sub", [f.node("Mul", [x, f.constant(-0.5)]), f.constant(np.reshape([0.25, 1.0, -2.0], (3, 1, 1)))])
    path = f.save(tmp_path / "made.onnx", f.quant(x, 1 / 16, 8))
    network = read_network(path)
    x = inputs(network, 30)
    assert np.array_equal(ours(network, x), integers_of_file(path, network, x))


def test_a_tensorflow_like_network_of_transposes_is_channels_last(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    f = OnnxFile([1, 5, 6, 3])
    x = f.node("Transpose", [f.quant("x", 1 / 16, 8)], perm=[0, 3, 1, 2])
    x = f.quant(conv_1x1(f, x, rng, 4, 3), 0.25, 8)
    x = f.node("Reshape", [f.node("Transpose", [x], perm=[0, 2, 3, 1]), f.constant([1, -1], np.int64)])
    w = f.quant(f.constant(rng.normal(0, 1, (120, 7))), 0.25, 4)
    path = f.save(tmp_path / "made.onnx", f.quant(f.node("MatMul", [x, w]), 1.0, 8))
    network = read_network(path)
    shape = network.graph.input.shape
    assert (shape.y, shape.x, shape.c) == (5, 6, 3)
    x = inputs(network, 10)
    assert np.array_equal(ours(network, x), integers_of_file(path, network, x))


WINDOWS: list[dict[str, object]] = [
    {"dilations": [2, 3], "pads": [2, 3, 2, 3]},
    {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    {"auto_pad": "SAME_LOWER", "strides": [3, 2]},
    {"auto_pad": "VALID", "strides": [4, 4]},
]


@pytest.mark.parametrize("how", WINDOWS)
def test_windows_of_every_kind_are_exact(tmp_path: Path, how: dict[str, object]) -> None:
    f = OnnxFile([1, 3, 9, 8])
    x = f.quant(conv(f, f.quant("x", 1 / 16, 8), np.random.default_rng(1), 4, 3, bits=4, **how), 0.25, 8)
    path = f.save(tmp_path / "made.onnx", x)
    network = read_network(path)
    x = inputs(network, 10)
    assert np.array_equal(ours(network, x), integers_of_file(path, network, x))
    pytest.importorskip("qonnx")
    assert compare_with_source(path, network, x).differing_words == 0


@pytest.mark.parametrize("ceil", [0, 1])
def test_windows_of_a_maximum_that_reach_beyond_the_map_are_exact(tmp_path: Path, ceil: int) -> None:
    f = OnnxFile([1, 3, 9, 8])
    pads = [1, 0, 0, 1]
    x = f.node("MaxPool", [f.qdq("x", 0.5, 100)], kernel_shape=[3, 3], strides=[2, 3], ceil_mode=ceil, pads=pads)
    path = f.save(tmp_path / "made.onnx", x)
    network = read_network(path)
    assert compare_with_source(path, network, inputs(network, 10)).differing_words == 0


def conv_1x1(f: OnnxFile, x: str, rng: np.random.Generator, k: int, c: int) -> str:
    return f.node("Conv", [x, f.quant(f.constant(rng.normal(0, 1, (k, c, 1, 1))), 0.25, 4)], kernel_shape=[1, 1])


def test_rows_and_flattened_maps_keep_their_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    f = OnnxFile([1, 3, 12])
    w = f.quant(f.constant(rng.normal(0, 1, (4, 3, 5))), 0.25, 4)
    x = f.node("Conv", [f.quant("x", 1 / 16, 8), w], strides=[2], pads=[2, 1])
    x = f.node("Flatten", [f.quant(x, 0.25, 8)])
    w = f.quant(f.constant(rng.normal(0, 1, (7, 24))), 0.25, 4)
    path = f.save(tmp_path / "made.onnx", f.quant(f.node("Gemm", [x, w], transB=1), 1.0, 8))
    network = read_network(path)
    x = inputs(network, 10)
    assert np.array_equal(ours(network, x), integers_of_file(path, network, x))


def test_maps_are_joined_and_enlarged(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    f = OnnxFile([1, 3, 4, 4])
    x = f.quant("x", 1 / 16, 8)
    a, b = conv_1x1(f, x, rng, 4, 3), f.node("Relu", [conv_1x1(f, x, rng, 4, 3)])
    x = f.quant(f.node("Concat", [a, b], axis=1), 0.125, 7)
    scales = f.constant([1, 1, 2, 3])
    how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    path = f.save(tmp_path / "made.onnx", f.node("Resize", [x, "", scales], **how))
    network = read_network(path)
    x = inputs(network, 10)
    assert np.array_equal(ours(network, x), integers_of_file(path, network, x))


def test_a_classifier_s_end_is_left_to_the_host(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    f = OnnxFile([1, 8])
    w = f.quant(f.constant(rng.normal(0, 1, (8, 5))), 0.25, 4)
    x = f.quant(f.node("MatMul", [f.quant("x", 0.25, 8), w]), 0.5, 8)
    path = f.save(tmp_path / "made.onnx", f.node("ArgMax", [f.node("Softmax", [x], axis=-1)], axis=1))
    network = read_network(path)
    assert [note.split()[0] for note in network.notes] == ["ArgMax", "Softmax"]
    x = inputs(network, 10)
    assert np.array_equal(ours(network, x), integers_of_file(path, network, x))


def test_scores_without_a_quantization_are_exact_or_said_to_be_rounded(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    for scale, exact in ((0.25, True), (rng.uniform(0.1, 0.3, (1, 5)), False)):
        f = OnnxFile([1, 8])
        w = f.quant(f.constant(rng.normal(0, 1, (8, 5))), scale, 4)
        path = f.save(tmp_path / "made.onnx", f.node("MatMul", [f.quant("x", 0.25, 6), w]))
        network = read_network(path)
        assert (network.notes == ()) == exact
        x = inputs(network, 10)
        assert np.abs(ours(network, x) - integers_of_file(path, network, x)).max() <= (0 if exact else 1)


def test_an_open_extent_is_given_by_the_user(tmp_path: Path) -> None:
    f = OnnxFile(["N", 3, "H", "W"])
    path = f.save(
        tmp_path / "made.onnx", f.quant(conv_1x1(f, f.quant("x", 0.25, 8), np.random.default_rng(0), 4, 3), 1.0, 8)
    )
    with pytest.raises(NotImplementedError, match=r"the input 'x' has the extents \[\?, 3, \?, \?\]; give those"):
        read_network(path)
    assert str(read_network(path, (3, 5, 7)).graph.input.shape) == "5x7x3"
    with pytest.raises(NotImplementedError, match=r"the shape \[4, 5, 7\] that was given does not fit"):
        read_network(path, (4, 5, 7))


def test_nothing_is_compared_without_the_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = read_network(small_qdq(tmp_path / "made.onnx", np.random.default_rng(0), powers_of_two=True))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert runtime_of(network) is None
