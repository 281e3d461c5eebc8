"""Quantization in an ONNX file: Quant of QONNX, QuantizeLinear and DequantizeLinear, and quantized operators.

A Source has one form for all of them. Maps keep real values, and Quantize rounds them. Constants become integers with
a scale. A quantized operator is the plain one on real values with a Quantize behind it.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper

from codesign.front import onnx_layers
from codesign.front.onnx_model import OnnxNode
from codesign.front.onnx_scales import about_zero, along_axis, positive, rounded_constant, whole, zero_point
from codesign.front.quantization import Quantization, Rounding
from codesign.front.source import Constant, Quantize
from codesign.front.translation import Refusal, Translation
from codesign.ops.qtype import MAX_BITS, MIN_BITS

Array = npt.NDArray[Any]

MOST_CONSTANT_BITS = 32
_ROUNDINGS = {
    "ROUND": Rounding.HALF_EVEN,
    "HALF_EVEN": Rounding.HALF_EVEN,
    "HALF_UP": Rounding.HALF_AWAY,  # as QONNX means it
    "HALF_DOWN": Rounding.HALF_IN,
    "UP": Rounding.AWAY,
    "DOWN": Rounding.IN,
    "CEIL": Rounding.CEIL,
    "FLOOR": Rounding.FLOOR,
}
_RANGES = {
    np.dtype(np.int8): (-128, 127),
    np.dtype(np.uint8): (0, 255),
    np.dtype(np.int16): (-32768, 32767),
    np.dtype(np.uint16): (0, 65535),
}
_OUTPUT_TYPES = {TensorProto.INT8: np.int8, TensorProto.UINT8: np.uint8, TensorProto.INT16: np.int16,
                 TensorProto.UINT16: np.uint16}  # fmt: skip
_PLAIN = {
    "QLinearConv": "Conv",
    "QGemm": "Gemm",
    "QLinearMatMul": "MatMul",
    "QLinearAdd": "Add",
    "QLinearGlobalAveragePool": "GlobalAveragePool",
    "QLinearAveragePool": "AveragePool",
    "QLinearSoftmax": "Softmax",
}

_ZERO_FIRST = frozenset({"QLinearAdd", "QLinearAveragePool"})  # onnxruntime adds the zero point, then rounds


def translate(state: Translation, node: OnnxNode) -> bool:
    """Translate a node that quantizes; False if it does not. Raise Refusal."""
    match node.operator:
        case "Quant" | "IntQuant":
            _quant(state, node)
        case "QuantizeLinear":
            _quantize_linear(state, node)
        case "DequantizeLinear":
            _dequantize_linear(state, node)
        case "QLinearConv":
            _quantized(state, node, (0, 1, 2), (3, 4, 5), 6, bias=8)
        case "QGemm":
            _quantized(state, node, (0, 1, 2), (3, 4, 5), 7, bias=6)
        case "QLinearMatMul":
            _quantized(state, node, (0, 1, 2), (3, 4, 5), 6, bias=None)
        case "QLinearAdd":
            _quantized(state, node, (0, 1, 2), (3, 4, 5), 6, bias=None)
        case "QLinearGlobalAveragePool" | "QLinearAveragePool" | "QLinearSoftmax":
            _quantized(state, node, (0, 1, 2), None, 3, bias=None)
        case "QLinearConcat":
            _quantized_concat(state, node)
        case _:
            return False
    return True


def _quant(state: Translation, node: OnnxNode) -> None:
    """Quant(x, scale, zero point, bits): rounded, but still real values."""
    bits = state.number(node, 3, "number of bits")
    signed, narrow = int(node.attributes.get("signed", 1)), int(node.attributes.get("narrow", 0))
    constant = state.is_constant(node.inputs[0])
    most = MOST_CONSTANT_BITS if constant else MAX_BITS
    if bits != int(bits) or not MIN_BITS <= bits <= most:
        raise Refusal(f"quantizes to {bits:g} bits", f"expected {MIN_BITS} to {most}")
    low, high = (
        (-(1 << int(bits) - 1) + narrow, (1 << int(bits) - 1) - 1) if signed else (0, (1 << int(bits)) - 1 - narrow)
    )
    rounding = _ROUNDINGS[str(node.attributes.get("rounding_mode", "ROUND")).upper()]
    if constant:
        scales, zeros = positive(state.array(node, 1, "scale")), state.array(node, 2, "zero point")
        made = rounded_constant(state.constant(node.inputs[0]), scales, zeros, (low, high), rounding, zero_first=True)
        state.keep(node.outputs[0], made)
        return
    scale, zero = state.number(node, 1, "scale"), whole(state.number(node, 2, "zero point"))
    rounding = about_zero(rounding, zero, low, scale)
    quantization = Quantization(scale=scale, zero=zero, low=low, high=high, rounding=rounding)
    _emit(state, node.name, state.tensor(node.inputs[0]), node.outputs[0], quantization)


def _quantize_linear(state: Translation, node: OnnxNode) -> None:
    """QuantizeLinear(x, scale, zero point): integers that stand for rounded values."""
    low, high = _RANGES[_integer_type(state, node)]
    if state.is_constant(node.inputs[0]):
        scale = along_axis(state.array(node, 1, "scale"), state.constant(node.inputs[0]).shape, node)
        zero = along_axis(zero_point(state, node, 2), state.constant(node.inputs[0]).shape, node)
        made = rounded_constant(
            state.constant(node.inputs[0]),
            positive(scale),
            zero,
            (low, high),
            Rounding.HALF_EVEN,
            zero_first=False,
        )
        state.keep(node.outputs[0], made)
        assert made.integers is not None
        state.arrays[node.outputs[0]] = made.integers + zero
        return
    quantization = _quantization(state, node, 1, 2, (low, high))
    _emit(state, node.name, state.tensor(node.inputs[0]), node.outputs[0], quantization)
    _mark(state, node.outputs[0], quantization)


def _dequantize_linear(state: Translation, node: OnnxNode) -> None:
    """DequantizeLinear(q, scale, zero point): the real values of integers; of a map, those that were quantized."""
    name = node.inputs[0]
    if state.is_constant(name):
        state.keep(node.outputs[0], _integers(state, node, 0, 1, 2))
        return
    _check_integers(state, node, 0, 1, 2)
    state.same[node.outputs[0]] = state.tensor(name)


def _quantized(
    state: Translation,
    node: OnnxNode,
    first: tuple[int, int, int],
    second: tuple[int, int, int] | None,
    output: int,
    bias: int | None,
) -> None:
    """A quantized operator: tensors by the indices of integers, scale and zero point, the output's scale by its own."""
    names = [_real(state, node, first)]
    if second is not None:
        names.append(_real(state, node, second))
    if bias is not None and len(node.inputs) > bias and node.inputs[bias]:
        assert second is not None
        steps = [state.array(node, i, "scale").reshape(-1).astype(np.float64) for i in (first[1], second[1])]
        scale = np.asarray(steps[0] * steps[1], np.float64)
        integers = state.array(node, bias, "bias")
        made = Constant.of(integers, scale if len(scale) == len(integers) else float(scale[0]))
        names.append(state.keep(f"{node.name}:bias", made))
    operator = _PLAIN[node.operator]
    _plain(state, node, operator, names, output)


def _quantized_concat(state: Translation, node: OnnxNode) -> None:
    """QLinearConcat(scale, zero point, then integers, scale and zero point of every input)."""
    names = [_real(state, node, (i, i + 1, i + 2)) for i in range(2, len(node.inputs), 3)]
    _plain(state, node, "Concat", names, 0)


def _plain(state: Translation, node: OnnxNode, operator: str, names: list[str], output: int) -> None:
    """Emit the plain operator of real values, and the quantization of what it gives."""
    attributes = {key: value for key, value in node.attributes.items() if key != "channels_last"}
    exact = f"{node.outputs[0]}:real"
    onnx_layers.translate(state, OnnxNode(node.name, operator, "", tuple(names), (exact,), attributes))
    low_high = _RANGES.get(zero_point(state, node, output + 1).dtype)
    if low_high is None:
        raise Refusal("its output's zero point is not of 8 or 16 bits", "expected int8, uint8, int16 or uint16")
    quantization = _quantization(state, node, output, output + 1, low_high)
    if node.operator in _ZERO_FIRST:
        rounding = about_zero(quantization.rounding, quantization.zero, quantization.low, quantization.scale)
        quantization = replace(quantization, rounding=rounding)
    _emit(state, f"{node.name}:quantize", exact, node.outputs[0], quantization)
    _mark(state, node.outputs[0], quantization)


def _real(state: Translation, node: OnnxNode, at: tuple[int, int, int]) -> str:
    """Return the tensor of real values that integers, scale and zero point stand for."""
    name = node.inputs[at[0]]
    if name in state.arrays:
        return state.keep(f"{node.name}:{at[0]}", _integers(state, node, *at))
    _check_integers(state, node, *at)
    return name


def _integers(state: Translation, node: OnnxNode, at: int, scale: int, zero: int) -> Constant:
    """Return constant integers as the real values that they stand for."""
    name = node.inputs[at]
    if name not in state.arrays:
        raise Refusal(f"{name!r} is no constant of integers")
    integers = state.arrays[name]
    if integers.dtype.kind not in "iu":
        raise Refusal(f"the constant {name!r} is {integers.dtype}", "expected integers")
    steps = along_axis(state.array(node, scale, "scale"), integers.shape, node)
    zeros = along_axis(zero_point(state, node, zero), integers.shape, node)
    return Constant.of(integers.astype(np.int64) - zeros, positive(steps))


def _check_integers(state: Translation, node: OnnxNode, at: int, scale: int, zero: int) -> None:
    """Raise Refusal unless a map's integers are read with the scale and zero point that they were made with."""
    name = node.inputs[at]
    integer_type = zero_point(state, node, zero).dtype
    if name == state.model.input:
        if integer_type not in _RANGES:
            raise Refusal(f"the input's zero point is {integer_type}", "expected int8, uint8, int16 or uint16")
        quantization = _quantization(state, node, scale, zero, _RANGES[integer_type])
        _quantize_input(state, name, quantization)
    made = state.integers.get(state.same.get(name, name))
    if made is None:
        raise Refusal(f"reads {name!r} as integers, but nothing quantizes it", "add a QuantizeLinear")
    found = state.number(node, scale, "scale"), whole(state.number(node, zero, "zero point", 0.0))
    if found != (made.scale, made.zero):
        raise Refusal(
            f"reads {name!r} with scale {found[0]:g} and zero point {found[1]}, but it was quantized with "
            f"{made.scale:g} and {made.zero}",
            "expected the same",
        )


def _quantize_input(state: Translation, name: str, quantization: Quantization) -> None:
    """Let integers of the network's input stand for real values; Quantize leaves these as they are."""
    if name in state.integers or name in state.same:
        return
    made = f"{name}:real"
    _emit(state, f"{name}:quantize", name, made, quantization)
    state.same[name] = made
    state.integers[made] = quantization


def cast_input(state: Translation, node: OnnxNode) -> None:
    """A Cast of the network's input, which is integers: they stand for themselves."""
    integer_type = helper.tensor_dtype_to_np_dtype(state.model.input_type)
    low, high = _RANGES[integer_type]
    _quantize_input(state, node.inputs[0], Quantization(scale=1.0, zero=0, low=low, high=high))
    state.same[node.outputs[0]] = state.tensor(node.inputs[0])


def _mark(state: Translation, name: str, quantization: Quantization) -> None:
    """Note that a tensor is integers in the file."""
    state.integers[name] = quantization
    state.raw.add(name)


def _emit(state: Translation, name: str, tensor: str, output: str, quantization: Quantization) -> None:
    state.emit(Quantize(name=name, input=tensor, output=output, quantization=quantization))


def _quantization(state: Translation, node: OnnxNode, scale: int, zero: int, low_high: tuple[int, int]) -> Quantization:
    step, point = state.number(node, scale, "scale"), whole(state.number(node, zero, "zero point", 0.0))
    return Quantization(scale=step, zero=point, low=low_high[0], high=low_high[1])


def _integer_type(state: Translation, node: OnnxNode) -> np.dtype[Any]:
    """Return the integer type that a QuantizeLinear gives. Raise Refusal if maps or weights have none such."""
    if len(node.inputs) > 2 and node.inputs[2]:
        dtype = state.array(node, 2, "zero point").dtype
    else:
        dtype = np.dtype(_OUTPUT_TYPES.get(node.attributes.get("output_dtype", TensorProto.UINT8), np.float32))
    if dtype not in _RANGES:
        raise Refusal(f"quantizes to {dtype}", "expected int8, uint8, int16 or uint16")
    return dtype
