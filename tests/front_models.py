"""Small networks as other tools write them: QONNX, quantize and dequantize nodes, quantized operators."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

QONNX = "qonnx.custom_op.general"


@dataclass
class OnnxFile:
    """An ONNX file node by node; every method adds nodes and returns the tensor that they give."""

    shape: Sequence[int | str]
    opset: int = 17
    input_type: int = TensorProto.FLOAT
    nodes: list[Any] = field(default_factory=list)
    tensors: list[Any] = field(default_factory=list)
    domains: dict[str, int] = field(default_factory=dict)

    def constant(self, value: Any, dtype: Any = np.float32, name: str = "") -> str:
        name = name or f"c{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, operator: str, inputs: Sequence[str], domain: str = "", name: str = "", **attributes: Any) -> str:
        output = f"t{len(self.nodes)}"
        made = helper.make_node(
            operator, list(inputs), [output], name=name or f"{operator}_{len(self.nodes)}", domain=domain, **attributes
        )
        self.nodes.append(made)
        if domain:
            self.domains[domain] = 1
        return output

    def quant(
        self, x: str, scale: Any, bits: int, *, signed: int = 1, narrow: int = 0, zero: float = 0, mode: str = "ROUND"
    ) -> str:
        """A Quant of QONNX."""
        inputs = [x, self.constant(scale), self.constant(zero), self.constant(float(bits))]
        return self.node("Quant", inputs, QONNX, signed=signed, narrow=narrow, rounding_mode=mode)

    def qdq(self, x: str, scale: float, zero: int = 0, dtype: Any = np.uint8) -> str:
        """QuantizeLinear and DequantizeLinear of a map."""
        q = self.node("QuantizeLinear", [x, self.constant(scale), self.constant(zero, dtype)])
        return self.node("DequantizeLinear", [q, self.constant(scale), self.constant(zero, dtype)])

    def weight(self, integers: Any, scale: Any, dtype: Any = np.int8, axis: int = 0) -> str:
        """Constant integers, dequantized."""
        zeros = np.zeros(np.shape(scale))
        inputs = [self.constant(integers, dtype), self.constant(scale), self.constant(zeros, dtype)]
        return self.node("DequantizeLinear", inputs, axis=axis)

    def proto(self, output: str) -> Any:
        graph = helper.make_graph(
            self.nodes,
            "made",
            [helper.make_tensor_value_info("x", self.input_type, self.shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
            self.tensors,
        )
        opsets = [helper.make_opsetid("", self.opset), *(helper.make_opsetid(d, v) for d, v in self.domains.items())]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="made in a test")

    def save(self, path: Path, output: str) -> Path:
        onnx.save(self.proto(output), str(path))
        return path


def small_qonnx(path: Path, rng: np.random.Generator, *, scale: float = 0.25) -> Path:
    """A residual network of powers of two: convolutions, a maximum, a mean, a fully connected layer."""
    f = OnnxFile([1, 3, 8, 8])
    x = f.quant("x", 1 / 32, 8)
    x = conv(f, x, rng, 8, 3, bits=4, pads=[1, 1, 1, 1])
    x = skip = f.quant(f.node("Relu", [x]), scale, 6, signed=0)
    x = conv(f, x, rng, 8, 8, bits=4, pads=[1, 1, 1, 1])
    x = f.quant(x, scale, 8)
    x = f.quant(f.node("Relu", [f.node("Add", [x, skip])]), scale, 6, signed=0)
    x = f.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
    x = conv(f, x, rng, 16, 1, bits=5, pads=[1, 1, 1, 1], group=8)
    x = f.quant(f.node("Relu", [x]), 2 * scale, 8, signed=0)
    x = f.quant(f.node("Flatten", [f.node("GlobalAveragePool", [x])]), scale, 8)
    w = f.quant(f.constant(rng.normal(0, 1, (10, 16))), 0.125, 5, narrow=1)
    x = f.node("Gemm", [x, w, f.quant(f.constant(rng.normal(0, 1, 10)), 1 / 64, 16)], transB=1)
    return f.save(path, f.quant(x, 0.5, 8))


def conv(f: OnnxFile, x: str, rng: np.random.Generator, k: int, c: int, *, bits: int, **attributes: Any) -> str:
    """A 3x3 convolution of K filters over C channels, with quantized weights and a finer bias."""
    weight = f.quant(f.constant(rng.normal(0, 0.5, (k, c, 3, 3))), 0.125, bits, narrow=1)
    bias = f.quant(f.constant(rng.normal(0, 0.5, k)), 1 / 256, 16)
    return f.node("Conv", [x, weight, bias], kernel_shape=[3, 3], **attributes)


def small_qdq(path: Path, rng: np.random.Generator, *, powers_of_two: bool) -> Path:
    """A network of QuantizeLinear and DequantizeLinear, asymmetric, per channel."""

    def scale(real: float) -> float:
        return float(2.0 ** np.round(np.log2(real))) if powers_of_two else float(np.float32(real))

    f = OnnxFile(["N", 3, 9, 9])
    x, sx = f.qdq("x", scale(0.021), 114), scale(0.021)
    sw = np.array([scale(s) for s in rng.uniform(0.004, 0.02, 8)])
    w = f.weight(rng.integers(-127, 128, (8, 3, 3, 3)), sw)
    b = f.weight(rng.integers(-2000, 2000, 8), sw * sx, np.int32)
    x = f.node("Conv", [x, w, b], pads=[1, 1, 1, 1], strides=[2, 2])
    x = skip = f.qdq(f.node("Relu", [x]), scale(0.035))
    w = f.weight(rng.integers(-127, 128, (8, 1, 3, 3)), scale(0.011))
    x = f.qdq(f.node("Conv", [x, w], pads=[1, 1, 1, 1], group=8), scale(0.047), 131)
    x = f.qdq(f.node("Add", [x, skip]), scale(0.061), 97)
    x = f.qdq(f.node("GlobalAveragePool", [x]), scale(0.03), 120)
    w = f.weight(rng.integers(-127, 128, (5, 8)), scale(0.012))
    x = f.node("Gemm", [f.node("Flatten", [x]), w], transB=1)
    return f.save(path, f.qdq(x, scale(0.08), 128))


def small_qlinear(path: Path, rng: np.random.Generator) -> Path:
    """A network of quantized operators, as onnxruntime's quantizer writes it."""
    f = OnnxFile([1, 3, 8, 8])
    f.domains["com.microsoft"] = 1
    u8, i8 = np.uint8, np.int8
    one = (f.constant(0.02), f.constant(117, u8))
    x = f.node("QuantizeLinear", ["x", *one])
    two, three, four = ((f.constant(s), f.constant(z, u8)) for s, z in ((0.04, 0), (0.05, 130), (0.06, 126)))
    w = (
        f.constant(rng.integers(-127, 128, (8, 3, 3, 3)), i8),
        f.constant(rng.uniform(0.004, 0.01, 8)),
        f.constant([0] * 8, i8),
    )
    bias = f.constant(rng.integers(-900, 900, 8), np.int32)
    x = skip = f.node("QLinearConv", [x, *one, *w, *two, bias], pads=[1, 1, 1, 1])
    w = (f.constant(rng.integers(-127, 128, (8, 8, 1, 1)), i8), f.constant(0.004), f.constant(0, i8))
    x = f.node("QLinearConv", [x, *two, *w, *three])
    x = f.node("QLinearAdd", [x, *three, skip, *two, *four], "com.microsoft")
    x = f.node("QLinearGlobalAveragePool", [x, *four, *four], "com.microsoft", channels_last=0)
    x = f.node("Flatten", [x])
    w = (f.constant(rng.integers(-127, 128, (8, 5)), i8), f.constant(0.01), f.constant(0, i8))
    x = f.node("QLinearMatMul", [x, *four, *w, *three])
    return f.save(path, f.node("DequantizeLinear", [x, *three]))
