"""Files as onnxruntime's own quantizer writes them, of a float network."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from codesign.front.evaluate import evaluate
from codesign.front.grids import grids_of
from codesign.front.lower import lower
from codesign.front.passes import simplified
from codesign.front.read import Imported, prepared, read_file, read_network
from codesign.front.runtime import compare_with_source, random_inputs
from codesign.front.sums import quantize_sums
from codesign.front.wide import split_wide
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
    for node, (largest, share) in alone(path, network, random_inputs(network.origin, (12, 12, 3), 12, 0)).items():
        assert largest <= 1, node
        assert share < 0.02, node


def alone(path: Path, network: Imported, x: np.ndarray) -> dict[str, tuple[int, float]]:
    """Of every node by itself: how far it is off what the file means in float64, and which share of its words."""
    found = read_file(path)
    assert isinstance(found, tuple)
    assert network.origin is not None
    source, _ = quantize_sums(simplified(split_wide(prepared(str(path), found[1]))))
    grids, held = grids_of(source), evaluate(source, x)
    lowered, _ = lower(source)
    assert lowered is not None
    exact = {network.graph.input.name: network.origin.input.grid.integers(x)}
    apart = {}
    tensors = {layer.node: layer.tensor for layer in lowered.layers}
    for node in network.graph.operations:
        params = {
            key.partition(".")[2]: v for key, v in network.graph.params.items() if key.startswith(f"{node.name}.")
        }
        y = node.evaluate([exact[name] for name in node.inputs], params)
        o = node.oshape
        wanted = held[tensors[node.name]].reshape(len(x), o.y, o.x, o.c) / grids[tensors[node.name]].scale
        zero = int(np.rint(np.median(y - wanted)))  # the machine may store integers without their zero point
        exact[node.name] = np.rint(wanted).astype(np.int64) + zero
        off = np.abs(y - exact[node.name])
        apart[node.name] = int(off.max()), float((off > 0).mean())
    return apart
