"""Files as onnxruntime's own quantizer writes them, of a float network."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from codesign.front.read import read_network
from codesign.front.runtime import compare_with_source, random_inputs
from front_models import OnnxFile

quantization = pytest.importorskip("onnxruntime.quantization")


def float_network(path: Path, rng: np.random.Generator) -> Path:
    """A residual network with depthwise convolutions, in float."""
    f = OnnxFile([1, 3, 12, 12])

    def conv(x: str, k: int, c: int, size: int, **attributes: object) -> str:
        weight = f.constant(rng.normal(0, 1, (k, c, size, size)) / np.sqrt(c * size * size), name=f"w{len(f.nodes)}")
        return f.node("Conv", [x, weight, f.constant(rng.normal(0, 0.3, k))], **attributes)

    x = skip = f.node("Relu", [conv("x", 8, 3, 3, pads=[1, 1, 1, 1], strides=[2, 2])])
    x = f.node("Clip", [conv(x, 8, 1, 3, pads=[1, 1, 1, 1], group=8), f.constant(0.0), f.constant(6.0)])
    x = f.node("Add", [conv(x, 8, 8, 1), skip])
    x = f.node("Concat", [f.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2]),
                          f.node("AveragePool", [x], kernel_shape=[2, 2], strides=[2, 2])], axis=1)  # fmt: skip
    x = f.node("Flatten", [f.node("GlobalAveragePool", [f.node("Relu", [conv(x, 16, 16, 1)])])])
    x = f.node("Gemm", [x, f.constant(rng.normal(0, 0.3, (16, 5))), f.constant(rng.normal(0, 0.3, 5))])
    return f.save(path, f.node("Softmax", [x], axis=1))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize("per_channel", [True, False])
def test_what_onnxruntime_quantizes_is_read_and_near(tmp_path: Path, form: str, per_channel: bool) -> None:
    rng = np.random.default_rng(4)
    plain = float_network(tmp_path / "float.onnx", rng)

    class Images(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.left: Iterator[dict[str, np.ndarray]] = iter(
                {"x": rng.normal(0, 1, (1, 3, 12, 12)).astype(np.float32)} for _ in range(20)
            )

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.left, None)

    path = tmp_path / "quantized.onnx"
    quantization.quantize_static(
        str(plain),
        str(path),
        Images(),
        quant_format=quantization.QuantFormat[form],
        per_channel=per_channel,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        extra_options={"ActivationSymmetric": False},
    )
    network = read_network(path)
    assert network.notes == ("Softmax at the end is left to the host; the accelerator gives the scores before it",)
    assert network.origin is not None
    found = compare_with_source(path, network, random_inputs(network.origin, (12, 12, 3), 12, 0))
    assert found.words == 60
    assert found.largest_steps <= 3
    assert found.mean_steps < 0.5
