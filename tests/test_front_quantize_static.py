"""Single operators as onnxruntime's quantizer writes them, in both of its formats."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from codesign.errors import UnsupportedError
from codesign.front.read import read_network
from codesign.front.runtime import compare_with_source, random_inputs
from front_models import OnnxFile

quantization = pytest.importorskip("onnxruntime.quantization")
pytestmark = pytest.mark.filterwarnings("ignore")

RNG = np.random.default_rng(7)
AROUND = [0, 0, 1, 1, 0, 0, 1, 1]


class Images(quantization.CalibrationDataReader):  # type: ignore[misc]
    """A dozen random images."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.left: Iterator[dict[str, np.ndarray]] = iter(
            {"x": rng.normal(0, 1, (1, 3, 8, 8)).astype(np.float32)} for _ in range(12)
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.left, None)


def layer(f: OnnxFile, x: str, k: int, c: int, size: int = 1, **attributes: object) -> str:
    weight = f.constant(RNG.normal(0, 1, (k, c, size, size)) / np.sqrt(c * size * size), name=f"w{len(f.nodes)}")
    return f.node("Conv", [x, weight, f.constant(RNG.normal(0, 0.3, k))], **attributes)


def split(f: OnnxFile, x: str) -> str:
    left = f.node("Split", [x], axis=1)
    f.nodes[-1].output.append("right")
    return f.node("Concat", ["right", f.node("Relu", [layer(f, left, 4, 4)])], axis=1)


def dense(f: OnnxFile, x: str) -> str:
    """Fully connected layers after each other, with biases that are added for themselves."""
    x = f.node("Flatten", [x])
    for k, c in ((6, 512), (5, 6)):
        weight = f.constant(RNG.normal(0, 1, (c, k)) / np.sqrt(c), name=f"w{len(f.nodes)}")
        x = f.node("Relu", [f.node("Add", [f.node("MatMul", [x, weight]), f.constant(RNG.normal(0, 0.3, k))])])
    return f.node("Reshape", [x, f.constant([0, 5, 1, 1], np.int64)])


def pad(f: OnnxFile, x: str, *value: float) -> str:
    return f.node("Pad", [x, f.constant(AROUND, np.int64), *(f.constant(v) for v in value)])


def leaky(f: OnnxFile, x: str) -> str:
    return f.node("LeakyRelu", [layer(f, x, 8, 8)], alpha=0.1)


def resize(f: OnnxFile, x: str, **attributes: object) -> str:
    return f.node("Resize", [x, "", f.constant([1.0, 1.0, 2.0, 2.0])], **attributes)


MIDDLES: dict[str, tuple[int, Callable[[OnnxFile, str], str]]] = {
    "Pad": (8, lambda f, x: pad(f, x, 0.0)),
    "Pad of nothing": (8, pad),
    "Pad of a number": (8, lambda f, x: pad(f, leaky(f, x), -1.0)),
    "Pad of channels": (11, lambda f, x: f.node("Pad", [x, f.constant([0, 1, 0, 1, 0, 2, 0, 0], np.int64)])),
    "Pad before MaxPool": (8, lambda f, x: f.node("MaxPool", [pad(f, x, 0.0)], kernel_shape=[2, 2], strides=[2, 2])),
    "Resize": (8, resize),
    "Sum": (8, lambda f, x: f.node("Relu", [f.node("Sum", [x, layer(f, x, 8, 8), layer(f, x, 8, 8)])])),
    "MatMul and Add": (5, dense),
    "Split": (8, split),
    "HardSigmoid": (8, lambda f, x: f.node("Mul", [f.node("HardSigmoid", [layer(f, x, 8, 8)], alpha=1 / 6), x])),
    "Mul by constants": (8, lambda f, x: f.node("Mul", [x, f.constant(RNG.normal(1, 0.3, (1, 8, 1, 1)))])),
    "ReduceMean of columns": (8, lambda f, x: f.node("ReduceMean", [x], axes=[3])),
    "AveragePool that rounds up": (8, lambda f, x: f.node("AveragePool", [x], kernel_shape=[3, 3], strides=[2, 2],
                                                           ceil_mode=1)),
}  # fmt: skip


def quantized(folder: Path, form: str, middle: Callable[[OnnxFile, str], str], c: int) -> Path:
    """A convolution, operators and another convolution, quantized; read with its runtime's words beside it."""
    f = OnnxFile([1, 3, 8, 8])
    x = f.node("Relu", [layer(f, "x", 8, 3, 3, pads=[1, 1, 1, 1])])
    plain, path = f.save(folder / "float.onnx", layer(f, middle(f, x), 4, c)), folder / "quantized.onnx"
    quantization.quantize_static(
        str(plain), str(path), Images(), quant_format=quantization.QuantFormat[form], per_channel=True,
        activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
    )  # fmt: skip
    return path


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize("name", MIDDLES)
def test_an_operator_that_onnxruntime_quantizes_is_read_and_near(tmp_path: Path, form: str, name: str) -> None:
    c, middle = MIDDLES[name]
    path = quantized(tmp_path, form, middle, c)
    network = read_network(path)
    assert network.origin is not None
    found = compare_with_source(path, network, random_inputs(network.origin, (8, 8, 3), 8, 0))
    assert found.largest_steps <= 2
    assert found.mean_steps < 0.2
    assert max(step.error for step in network.origin.layers) < 0.1


def test_interpolation_is_read_between_real_numbers_alone(tmp_path: Path) -> None:
    def linear(f: OnnxFile, x: str) -> str:
        return resize(f, x, mode="linear")

    path = quantized(tmp_path, "QDQ", linear, 8)
    network = read_network(path)
    assert network.origin is not None
    found = compare_with_source(path, network, random_inputs(network.origin, (8, 8, 3), 8, 0))
    assert found.largest_steps <= 2
    assert found.mean_steps < 0.1
    with pytest.raises(UnsupportedError, match="interpolates integers, which runtimes round in ways of their own"):
        read_network(quantized(tmp_path, "QOperator", linear, 8))
