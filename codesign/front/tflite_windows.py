"""Operators of a TFLite file with windows over rows and columns, or with weights, channels last."""

import math

from codesign.front.source import Constant, Conv, Dense, Pool, Reshape
from codesign.front.tflite_model import TfliteOperator
from codesign.front.tflite_translation import TfliteRefusal, TfliteTranslation
from codesign.front.transposed import transposed


def convolution(state: TfliteTranslation, name: str, op: TfliteOperator, x: str, output: str) -> None:
    """Translate a CONV_2D or DEPTHWISE_CONV_2D. Raise ValueError if it is refused."""
    values = state.constant(op, 1).values
    assert values is not None
    depthwise = op.name == "DEPTHWISE_CONV_2D"
    if values.ndim != 4:
        raise TfliteRefusal(f"has weights {list(values.shape)}; expected four axes")
    fy, fx = values.shape[1:3]
    shape = (fy, fx, 1 if depthwise else values.shape[3])
    weight = state.weight(name, op, 3 if depthwise else 0, shape)
    strides, dilations = _pair(op, "Stride"), _pair(op, "Dilation", "Factor")
    channels = state.shapes[x][-1]
    groups = channels if depthwise else channels // max(values.shape[3], 1)
    made = Conv(
        name=name,
        input=x,
        output=output,
        weight=weight,
        bias=state.bias(name, op),
        strides=strides,
        dilations=dilations,
        pads=state.pads(op, x, (fy, fx), strides, dilations),
        groups=groups,
    )
    state.emit(made)


def transposed_convolution(state: TfliteTranslation, name: str, op: TfliteOperator, x: str, output: str) -> None:
    """Translate a TRANSPOSE_CONV: zeros between pixels, then a convolution with the weights turned around.

    Raise ValueError if it is refused.
    """
    values, wanted = state.constant(op, 1).values, state.integers(op, 0)
    assert values is not None
    if values.ndim != 4 or len(wanted) != 4:
        raise TfliteRefusal(f"has weights {list(values.shape)}; expected four axes")
    kernel, strides = (values.shape[1], values.shape[2]), _pair(op, "Stride")
    kept = state.constants[state.weight(name, op, 0, values.shape[1:])]
    assert kept.integers is not None
    assert kept.scale is not None
    state.constants[f"{name}:weight"] = Constant.of(kept.integers[:, ::-1, ::-1], kept.scale)
    pads, extra = [], []
    for n, k, s, asked in zip(state.shapes[x], kernel, strides, wanted[1:3], strict=False):
        more = asked - (n - 1) * s - k  # negative: rows or columns that are cut off on both sides
        pads.append((max(-more, 0) // 2, max(-more, 0) - max(-more, 0) // 2))
        extra.append(max(more, 0))
    (top, bottom), (left, right) = pads
    made = Conv(
        name=name,
        input=x,
        output=output,
        weight=f"{name}:weight",
        bias=state.bias(name, op, (3, 2, 1)),
        strides=strides,
        pads=(top, left, bottom, right),
    )
    for part in transposed(made, kernel, (extra[0], extra[1])):
        state.emit(part)


def dense(state: TfliteTranslation, name: str, op: TfliteOperator, x: str, output: str) -> None:
    """Translate a FULLY_CONNECTED. Raise ValueError if it is refused."""
    values = state.constant(op, 1).values
    assert values is not None
    if values.ndim != 2 or op.options.get("WeightsFormat", 0):
        raise TfliteRefusal(f"has weights {list(values.shape)}; expected a matrix, not shuffled")
    if len(state.shapes[x]) > 1:
        flat = f"{name}:flat"
        state.emit(Reshape(name=flat, input=x, output=flat, shape=(math.prod(state.shapes[x]),)))
        x = flat
    weight = state.weight(name, op, 0, values.shape[1:])
    state.emit(Dense(name=name, input=x, output=output, weight=weight, bias=state.bias(name, op)))


def pooling(state: TfliteTranslation, name: str, op: TfliteOperator, x: str, output: str) -> None:
    """Translate a maximum or an average over windows. Raise ValueError if it is refused."""
    kernel = (op.options["FilterHeight"], op.options["FilterWidth"])
    strides = _pair(op, "Stride")
    made = Pool(
        name=name,
        input=x,
        output=output,
        average=op.name == "AVERAGE_POOL_2D",
        kernel=kernel,
        strides=strides,
        pads=state.pads(op, x, kernel, strides, (1, 1)),
        count_pads=False,
    )
    state.emit(made)


def mean(state: TfliteTranslation, name: str, op: TfliteOperator, x: str, output: str) -> None:
    """Translate a MEAN over rows and columns. Raise ValueError if it is refused."""
    axes = state.constant(op, 1).values
    assert axes is not None
    rank = len(state.shapes[x]) + 1
    if rank != 4 or sorted(int(a) % rank for a in axes.reshape(-1)) != [1, 2]:
        raise TfliteRefusal(f"means over axes {axes.reshape(-1).tolist()}; expected rows and columns, 1 and 2")
    keep = bool(op.options.get("KeepDims", 0))
    y = output if keep else f"{output}:map"
    state.emit(Pool(name=name, input=x, output=y, average=True))
    if not keep:
        state.emit(Reshape(name=f"{name}:flat", input=y, output=output, shape=state.shapes[x][-1:]))


def _pair(op: TfliteOperator, what: str, tail: str = "") -> tuple[int, int]:
    return op.options.get(f"{what}H{tail}", 1), op.options.get(f"{what}W{tail}", 1)
