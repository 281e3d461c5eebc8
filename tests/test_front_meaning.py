"""What a file means is computed or refused: never taken for something near to it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from codesign.errors import CodesignError
from codesign.front.read import Imported, read_network
from codesign.front.runtime import run_source
from codesign.model import golden
from front_models import OnnxFile

RNG = np.random.default_rng(5)
FOUR = [0.5, 0.125, 0.25, 0.0625]


def refusal(path: Path) -> str:
    with pytest.raises(CodesignError) as caught:
        read_network(path)
    return str(caught.value)


def equals_its_runtime(path: Path) -> Imported:
    network = read_network(path)
    assert network.origin is not None
    grid, shape = network.origin.input.grid, network.graph.input.shape
    halves = RNG.integers(2 * grid.low - 4, 2 * grid.high + 5, (12, shape.y, shape.x, shape.c)) / 2
    x = (halves - grid.zero) * grid.scale
    assert np.array_equal(golden.run(network.graph, grid.integers(x)), run_source(path, network, x)[0])
    return network


def qonnx_conv(f: OnnxFile) -> str:
    w = f.quant(f.constant(RNG.normal(0, 0.5, (4, 4, 1, 1))), np.reshape(FOUR, (1, 4, 1, 1)), 5)
    return f.node("Conv", [f.quant("x", 0.25, 8), w])


def qonnx_taps(f: OnnxFile) -> str:
    w = f.quant(f.constant(RNG.normal(0, 0.5, (4, 4, 2, 2))), np.reshape(FOUR, (1, 1, 2, 2)), 5)
    return f.node("Conv", [f.quant("x", 0.25, 8), w])


def qdq_conv(f: OnnxFile) -> str:
    w = f.weight(RNG.integers(-100, 100, (4, 4, 1, 1)), FOUR, axis=1)
    return f.node("Conv", [f.qdq("x", 0.25, 8), w])


def qdq_gemm(f: OnnxFile) -> str:
    x = f.node("Flatten", [f.node("GlobalMaxPool", [f.qdq("x", 0.25, 8)])])
    return f.node("Gemm", [x, f.weight(RNG.integers(-100, 100, (4, 4)), FOUR, axis=1)], transB=1)


@pytest.mark.parametrize("layer", [qonnx_conv, qonnx_taps, qdq_conv, qdq_gemm])
def test_weights_with_scales_of_anything_but_outputs_are_refused(tmp_path: Path, layer: Callable[..., str]) -> None:
    f = OnnxFile([1, 4, 3, 3])
    found = refusal(f.save(tmp_path / "made.onnx", f.quant(layer(f), 0.25, 8)))
    assert "expected one scale, or one per output channel" in found


@pytest.mark.parametrize("kind", [TensorProto.INT32, TensorProto.BOOL, TensorProto.FLOAT16])
def test_a_cast_that_changes_values_is_refused(tmp_path: Path, kind: int) -> None:
    f = OnnxFile([1, 4])
    x = f.node("Cast", [f.node("Cast", [f.quant("x", 1 / 64, 16)], to=kind)], to=TensorProto.FLOAT)
    assert "expected FLOAT or DOUBLE" in refusal(f.save(tmp_path / "made.onnx", f.quant(x, 0.25, 8)))


def test_a_dropout_that_drops_is_refused(tmp_path: Path) -> None:
    for training in (False, True):
        f = OnnxFile([1, 4])
        x = f.node("Dropout", [f.quant("x", 0.25, 8), f.constant(0.5), f.constant(training, np.bool_)])
        path = f.save(tmp_path / "made.onnx", f.quant(x, 0.5, 8))
        if training:
            assert "its training mode is on" in refusal(path)
        else:
            equals_its_runtime(path)


@pytest.mark.parametrize(("zero", "mode"), [(6, "ROUND"), (7, "FLOOR"), (7, "CEIL"), (7, "UP"), (7, "HALF_UP")])
def test_qonnx_adds_its_zero_point_before_it_rounds(tmp_path: Path, zero: int, mode: str) -> None:
    pytest.importorskip("qonnx")
    f = OnnxFile([1, 4, 3, 3])
    w = f.quant(f.constant((np.arange(16) - 6).reshape(4, 4, 1, 1) / 16), 0.125, 5, zero=3)  # halves, an odd zero point
    x = f.node("Conv", [f.quant("x", 0.25, 8, signed=0, zero=128), w])
    equals_its_runtime(f.save(tmp_path / "made.onnx", f.quant(x, 0.5, 6, signed=0, zero=zero, mode=mode)))


def test_halves_around_an_odd_zero_point_are_refused(tmp_path: Path) -> None:
    f = OnnxFile([1, 4, 3, 3])
    x = f.node("Conv", [f.quant("x", 0.25, 8), f.quant(f.constant(np.ones((4, 4, 1, 1))), 0.5, 5)])
    found = refusal(f.save(tmp_path / "made.onnx", f.quant(x, 0.5, 8, zero=7)))
    assert "around the odd zero point 7; expected an even one" in found
    assert "'Quant_3'" in found


@pytest.mark.parametrize("mode", ["FLOOR", "DOWN", "UP", "HALF_DOWN"])
def test_an_input_rounded_in_another_way_is_refused_whatever_its_range(tmp_path: Path, mode: str) -> None:
    for narrow in (0, 1):  # a narrow range needs a node of its own
        f = OnnxFile([1, 4])
        x = f.node("MatMul", [f.quant("x", 0.25, 8, narrow=narrow, mode=mode), f.quant(f.constant(np.eye(4)), 1.0, 4)])
        assert "rounds the input" in refusal(f.save(tmp_path / "made.onnx", f.quant(x, 0.25, 8)))


def test_onnxruntime_computes_what_the_file_says(tmp_path: Path) -> None:
    """Its optimizer joins two quantizations that follow each other, and rounds once."""
    f = OnnxFile([1, 4, 3, 3])
    x = f.node("Conv", [f.qdq("x", 0.125), f.weight(RNG.integers(-127, 128, (4, 4, 1, 1)), 0.0625)])
    x = f.qdq(f.node("Relu", [x]), 0.03125, 107, np.int8)
    for perm in ([0, 2, 3, 1], [0, 3, 1, 2], [0, 2, 3, 1]):
        x = f.node("Transpose", [x], perm=perm)
    x = f.node("Transpose", [f.qdq(x, 0.5, 54, np.int8)], perm=[0, 3, 1, 2])
    x = f.qdq(f.node("GlobalMaxPool", [x]), 1.0, 0, np.int8)
    equals_its_runtime(f.save(tmp_path / "made.onnx", x))


def test_a_window_that_cannot_be_built_is_told_of_its_layer(tmp_path: Path) -> None:
    f = OnnxFile([1, 4, 3, 3])
    x = f.node("AveragePool", [f.quant("x", 0.25, 8)], name="wide", kernel_shape=[1, 1], pads=[1, 1, 1, 1])
    assert "node 'wide' (Pool): window: expected" in refusal(f.save(tmp_path / "made.onnx", f.quant(x, 0.5, 8)))


def test_padding_wider_than_a_window_is_around_the_map(tmp_path: Path) -> None:
    f = OnnxFile([1, 4, 3, 3])
    x = f.node("Conv", [f.quant("x", 0.25, 8), f.quant(f.constant(np.ones((4, 4, 1, 1))), 0.5, 5)], name="wide",
               pads=[1, 1, 1, 1])  # fmt: skip
    network = equals_its_runtime(f.save(tmp_path / "made.onnx", f.quant(x, 0.5, 8)))
    assert network.graph.output_nodes[0].oshape.y == 5


def test_a_tensor_less_itself_is_refused_by_name(tmp_path: Path) -> None:
    f = OnnxFile([1, 4, 3, 3])
    x = f.quant("x", 0.25, 8)
    path = f.save(tmp_path / "made.onnx", f.quant(f.node("Sub", [x, x], name="less"), 0.5, 8))
    assert f"{path}: node 'less' (Add): subtracts a tensor from itself" in refusal(path)


@pytest.mark.parametrize("scale", [0.25, FOUR, np.reshape(FOUR, (1, 4))])
@pytest.mark.parametrize("turned", [False, True])
def test_a_matrix_may_be_turned_behind_its_quantization(tmp_path: Path, scale: object, turned: bool) -> None:
    """A scale of one axis belongs to the last axis of the integers."""
    f = OnnxFile([1, 4])
    x, w = f.quant("x", 0.25, 8), f.quant(f.constant(RNG.normal(0, 2, (4, 4))), scale, 6)
    x = f.node("MatMul", [x, f.node("Transpose", [w]) if turned else w])
    path = f.save(tmp_path / "made.onnx", f.quant(x, 0.5, 8))
    if turned and np.size(scale) > 1:
        assert "expected one scale, or one per output channel" in refusal(path)
    else:
        pytest.importorskip("qonnx")
        equals_its_runtime(path)


@pytest.mark.parametrize("kind", [TensorProto.UINT8, TensorProto.INT8, TensorProto.FLOAT16, TensorProto.FLOAT])
def test_a_runtime_gets_the_numbers_and_the_batch_of_its_file(tmp_path: Path, kind: int) -> None:
    pytest.importorskip("qonnx")
    f = OnnxFile([3, 4, 5, 5], input_type=kind)
    x = "x" if kind == TensorProto.FLOAT else f.node("Cast", ["x"], to=TensorProto.FLOAT)
    x = f.quant(f.node("GlobalMaxPool", [f.quant(x, 1.0, 8, signed=int(kind != TensorProto.UINT8))]), 2.0, 8)
    equals_its_runtime(f.save(tmp_path / "made.onnx", f.node("Reshape", [x, f.constant([3, 4], np.int64)])))


@pytest.mark.parametrize("operator", ["QLinearAdd", "QLinearAveragePool", "QLinearGlobalAveragePool"])
@pytest.mark.parametrize("zero", [6, 7])
def test_quantized_operators_round_as_onnxruntime_does(tmp_path: Path, operator: str, zero: int) -> None:
    f = OnnxFile([1, 2, 1, 1])
    one, last = (f.constant(0.5), f.constant(9, np.uint8)), (f.constant(2.0), f.constant(zero, np.uint8))
    x = f.node("QuantizeLinear", ["x", *one])
    match operator:
        case "QLinearAdd":
            other = f.node("MaxPool", [x], kernel_shape=[1, 1])
            x = f.node(operator, [x, *one, other, *one, *last], "com.microsoft")
        case "QLinearAveragePool":
            x = f.node(operator, [x, *one, *last], "com.microsoft", kernel_shape=[1, 1])
        case _:
            x = f.node(operator, [x, *one, *last], "com.microsoft", channels_last=0)
    path = f.save(tmp_path / "made.onnx", f.node("DequantizeLinear", [x, *last]))
    if zero % 2 and operator != "QLinearGlobalAveragePool":
        assert "around the odd zero point 7; expected an even one" in refusal(path)
    else:
        equals_its_runtime(path)


def test_an_offset_finer_than_a_step_of_its_input_is_kept(tmp_path: Path) -> None:
    """Where one step of the input is several of the output, rounding the offset to input steps would be seen."""
    f = OnnxFile([1, 4, 5, 5])
    x = f.node("Mul", [f.qdq("x", 0.0713, 91), f.constant(np.reshape([1.3, 0.7, 2.9, 1.1], (4, 1, 1)))])
    x = f.node("Add", [x, f.constant(np.reshape([0.313, -1.721, 0.511, 2.017], (4, 1, 1)))])
    path = f.save(tmp_path / "made.onnx", f.qdq(x, 0.0517, 77))
    network = read_network(path)
    assert network.origin is not None
    assert max(layer.error for layer in network.origin.layers) < 0.02
    integers = np.arange(256).repeat(100).reshape(256, 5, 5, 4)
    off = (
        golden.run(network.graph, integers) != run_source(path, network, network.origin.input.grid.values(integers))[0]
    )
    assert off.mean() < 0.01


def test_a_last_quantization_that_rounds_nothing_is_compared_in_its_own_steps(tmp_path: Path) -> None:
    f = OnnxFile([1, 2, 4, 4])
    x = f.node("Clip", [f.qdq("x", 0.5), f.constant(0.0), f.constant(9.0)])
    equals_its_runtime(f.save(tmp_path / "made.onnx", f.qdq(x, 0.125, 60)))
