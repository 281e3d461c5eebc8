"""Layers of an ONNX file as operators of a Source, channels first, without the batch."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.front.means import mean_over
from codesign.front.onnx_activations import activation
from codesign.front.onnx_axes import batchless_axis, per_channel
from codesign.front.onnx_constants import axes_of
from codesign.front.onnx_model import OnnxNode
from codesign.front.onnx_places import places
from codesign.front.onnx_resize import resizing
from codesign.front.onnx_transposed import transposed_convolution
from codesign.front.onnx_windows import bias_of, convolution, pooling, surrounding
from codesign.front.rules import CHANNELS_LAST
from codesign.front.shapes import Shape, gate_last
from codesign.front.source import (
    Add,
    Affine,
    Clip,
    Concat,
    Constant,
    Decide,
    Dense,
    Multiply,
    Pool,
    Reshape,
    Transpose,
)
from codesign.front.translation import Refusal, Translation


def translate(state: Translation, node: OnnxNode) -> None:  # noqa: C901, PLR0912 (a case for each)
    """Translate a node of real values. Raise ValueError if it is refused."""
    match node.operator:
        case _ if node.domain == CHANNELS_LAST:
            _channels_last(state, node)
        case "Dropout" if state.number(node, 2, "training mode", 0.0) != 0:
            raise Refusal("drops values at random: its training mode is on", "export the network in evaluation mode")
        case "Identity" | "Dropout" | "Cast":
            state.same[node.outputs[0]] = state.tensor(node.inputs[0])
        case "Conv":
            convolution(state, node)
        case "ConvTranspose":
            transposed_convolution(state, node)
        case "Gemm" | "MatMul":
            _dense(state, node)
        case "BatchNormalization":
            _batch_normalization(state, node)
        case "Relu":
            _clip(state, node, 0.0, math.inf)
        case "Clip":
            _clip(state, node, _bound(state, node, "min", 1, -math.inf), _bound(state, node, "max", 2, math.inf))
        case "Split" | "Slice" | "DepthToSpace" | "SpaceToDepth":
            places(state, node)
        case "Add" | "Sub" | "Mul" | "Div":
            _arithmetic(state, node)
        case "Sum":
            _sum(state, node)
        case "Concat":
            _concat(state, node)
        case "MaxPool" | "AveragePool":
            pooling(state, node)
        case "GlobalAveragePool" | "GlobalMaxPool":
            average, x = node.operator == "GlobalAveragePool", state.tensor(node.inputs[0])
            state.emit(Pool(name=node.name, input=x, output=node.outputs[0], average=average))
        case "ReduceMean":
            _reduce_mean(state, node)
        case "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze":
            _reshape(state, node)
        case "Transpose":
            _transpose(state, node)
        case "Pad":
            surrounding(state, node)
        case "Resize":
            resizing(state, node)
        case "Softmax" | "LogSoftmax" | "ArgMax":
            _decide(state, node)
        case _ if activation(state, node):
            pass
        case _:
            raise Refusal("is only read where its inputs are constants")


def _channels_last(state: Translation, node: OnnxNode) -> None:
    """A node of QONNX whose maps are [Y, X, C], and its weights [K, FY, FX, C/G]: ONNX's own between transpositions."""
    x, (y, *others) = state.tensor(node.inputs[0]), node.outputs
    first, last = f"{y}:first", f"{y}:made"
    if len(state.shapes[x]) != 3:
        raise Refusal(f"reads a tensor {[1, *state.shapes[x]]}", "expected a map [N, Y, X, C]")
    state.emit(Transpose(name=f"{node.name}:first", input=x, output=first, axes=(2, 0, 1)))
    given = list(node.inputs[1:])
    if node.operator == "Conv":
        weight = state.constant(given[0])
        if len(weight.shape) != 4:
            raise Refusal(f"weights {list(weight.shape)}", "expected [K, FY, FX, C/groups]")
        given[0] = state.keep(f"{node.name}:turned", _transposed(weight, [0, 3, 1, 2]))
    translate(state, replace(node, domain="", inputs=(first, *given), outputs=(last, *others)))
    state.emit(Transpose(name=f"{node.name}:last", input=state.tensor(last), output=y, axes=(1, 2, 0)))


def _dense(state: Translation, node: OnnxNode) -> None:
    """A vector times constant weights."""
    x = state.tensor(node.inputs[0])
    weight = state.constant(node.inputs[1])
    if len(state.shapes[x]) != 1 or len(weight.shape) != 2:
        raise Refusal(
            f"multiplies tensors {list(state.shapes[x])} and {list(weight.shape)}", "expected a vector and a matrix"
        )
    if not node.attributes.get("transB", 0):
        weight = _transposed(weight)
    alpha, beta = (float(node.attributes.get(key, 1.0)) for key in ("alpha", "beta"))
    if not (np.isfinite([alpha, beta]).all() and alpha != 0):
        raise Refusal(f"attributes alpha = {alpha:g} and beta = {beta:g}", "expected finite numbers, and alpha not 0")
    kept, bias = state.keep(f"{node.name}:weight", weight.times(alpha)), bias_of(state, node, 2)
    if bias is not None and beta != 1:
        state.keep(bias, state.constants[bias].times(beta))
    state.emit(Dense(name=node.name, input=x, output=node.outputs[0], weight=kept, bias=bias))


def _batch_normalization(state: Translation, node: OnnxNode) -> None:
    scale, offset, mean, variance = (state.constant(name).values for name in node.inputs[1:5])
    if (variance < 0).any():
        raise Refusal("its variance is negative")
    factor = scale / np.sqrt(variance + float(node.attributes.get("epsilon", 1e-5)))
    _affine(state, node, state.tensor(node.inputs[0]), factor, offset - mean * factor)


def _affine(state: Translation, node: OnnxNode, x: str, factor: npt.NDArray[Any], offset: npt.NDArray[Any]) -> None:
    kept = [
        state.keep(f"{node.name}:{what}", Constant(np.asarray(values, np.float64)))
        for what, values in (("factor", factor), ("offset", offset))
    ]
    state.emit(Affine(name=node.name, input=x, output=node.outputs[0], factor=kept[0], offset=kept[1]))


def _clip(state: Translation, node: OnnxNode, low: float, high: float) -> None:
    if not low < high:
        raise Refusal(f"clips to {low:g} and {high:g}", "expected a lower and a higher bound")
    state.emit(Clip(name=node.name, input=state.tensor(node.inputs[0]), output=node.outputs[0], low=low, high=high))


def _bound(state: Translation, node: OnnxNode, attribute: str, index: int, default: float) -> float:
    if attribute in node.attributes:
        return float(node.attributes[attribute])
    if len(node.inputs) > index and node.inputs[index] in state.constants:
        return float(state.constant(node.inputs[index]).values.reshape(()))
    return state.number(node, index, attribute, default)


def _arithmetic(state: Translation, node: OnnxNode) -> None:
    """The sum or difference of two maps, or a map and a constant."""
    first, second = node.inputs[:2]
    fixed = [state.is_constant(name) for name in (first, second)]
    if not any(fixed):
        if node.operator == "Div":
            raise Refusal("divides two maps", "expected a constant divisor")
        pair = (state.tensor(first), state.tensor(second))
        if node.operator == "Mul":
            state.emit(Multiply(name=node.name, inputs=gate_last(pair, state.shapes), output=node.outputs[0]))
            return
        state.emit(Add(name=node.name, inputs=pair, output=node.outputs[0], sign=1 if node.operator == "Add" else -1))
        return
    x = state.tensor(second if fixed[0] else first)
    c = per_channel(state.constant(first if fixed[0] else second), state.shapes[x])
    one, none = np.ones(()), np.zeros(())
    match node.operator, fixed[0]:
        case "Add", _:
            _affine(state, node, x, one, c)
        case "Sub", False:
            _affine(state, node, x, one, -c)
        case "Sub", True:
            _affine(state, node, x, -one, c)
        case "Mul", _:
            _affine(state, node, x, c, none)
        case "Div", False if (c != 0).all():
            _affine(state, node, x, 1 / c, none)
        case _:
            raise Refusal("divides by a map, or by zero", "expected a constant divisor")


def _decide(state: Translation, node: OnnxNode) -> None:
    """A Softmax, LogSoftmax or ArgMax. Before opset 13 a Softmax is over its axis and all behind it."""
    x = state.tensor(node.inputs[0])
    rank = len(state.shapes[x])
    old = int(node.attributes.get("opset", state.model.opset)) < 13
    asked = int(node.attributes.get("axis", 1 if old else -1)) % (rank + 1)
    alone = node.operator == "Softmax" and asked > 0 and (not old or asked == rank)
    axis = asked - 1 if alone else None
    state.emit(Decide(name=node.name, input=x, output=node.outputs[0], operator=node.operator, axis=axis))


def _sum(state: Translation, node: OnnxNode) -> None:
    """The sum of any number of maps and constants: additions, one after the other."""
    first, *others = sorted(node.inputs, key=state.is_constant)  # maps first, in their order
    if not others:
        state.same[node.outputs[0]] = state.tensor(first)
    for i, other in enumerate(others, 1):
        y = node.outputs[0] if i == len(others) else f"{node.outputs[0]}:{i}"
        _arithmetic(state, replace(node, name=f"{node.name}:{i}" if i > 1 else node.name, operator="Add",
                                   inputs=(first, other), outputs=(y,)))  # fmt: skip
        first = y


def _concat(state: Translation, node: OnnxNode) -> None:
    maps = tuple(state.tensor(name) for name in node.inputs)
    axis = batchless_axis(int(node.attributes.get("axis", 1)), len(state.shapes[maps[0]]))
    if len(maps) == 1:
        state.same[node.outputs[0]] = maps[0]
        return
    state.emit(Concat(name=node.name, inputs=maps, output=node.outputs[0], axis=axis))


def _reduce_mean(state: Translation, node: OnnxNode) -> None:
    x = state.tensor(node.inputs[0])
    shape, asked = state.shapes[x], axes_of(state, node)
    axes = [batchless_axis(a, len(shape)) for a in asked or ()]
    keep = bool(node.attributes.get("keepdims", 1))
    for op in mean_over(node.name, x, node.outputs[0], shape, axes, keep=keep):
        state.emit(op)


def _reshape(state: Translation, node: OnnxNode) -> None:
    shape, x = _new_shape(state, node), state.tensor(node.inputs[0])
    state.emit(Reshape(name=node.name, input=x, output=node.outputs[0], shape=shape))


def _new_shape(state: Translation, node: OnnxNode) -> Shape:
    """Return the shape that Flatten, Reshape, Squeeze or Unsqueeze gives, without the batch."""
    shape = state.shape(node.inputs[0])
    whole = (1, *shape)
    match node.operator:
        case "Flatten":
            axis = int(node.attributes.get("axis", 1))
            if axis not in (1, 1 - len(whole)):
                raise Refusal(
                    f"attribute axis = {axis} of a tensor {list(whole)}", "expected 1, the first after the batch"
                )
            return (math.prod(shape),)
        case "Squeeze":
            axes = axes_of(state, node)
            gone = (
                {a % len(whole) for a in axes} if axes is not None else {i for i, n in enumerate(whole) if i and n == 1}
            )
            if 0 in gone or any(whole[a] != 1 for a in gone):
                raise Refusal(
                    f"removes axes {sorted(gone)} of {list(whole)}", "expected axes of one element, not the batch"
                )
            return tuple(n for i, n in enumerate(whole) if i not in gone)[1:]
        case "Unsqueeze":
            axes = axes_of(state, node) or ()
            if any(a % (len(whole) + len(axes)) == 0 for a in axes):
                raise Refusal(f"puts an axis before the batch of {list(whole)}", "expected axes behind the batch")
            return np.expand_dims(np.broadcast_to(False, whole), axes).shape[1:]
        case _:
            return _target(state, node, shape)


def _target(state: Translation, node: OnnxNode, shape: Shape) -> Shape:
    """Return the shape that a Reshape asks for, without the batch."""
    asked = [int(n) for n in state.array(node, 1, "shape").reshape(-1)]
    batch = state.model.extents[0]
    if len(asked) < 2 or asked[0] not in (0, -1, 1, batch):
        raise Refusal(f"reshapes to {asked}", "expected the batch in front, as it is")
    rest = [shape[i] if n == 0 and i < len(shape) else n for i, n in enumerate(asked[1:])]
    elements = math.prod(shape)
    if -1 in rest:
        known = math.prod(n for n in rest if n != -1)
        rest = [elements // known if n == -1 and known > 0 else n for n in rest]
    return tuple(rest)


def _transpose(state: Translation, node: OnnxNode) -> None:
    if node.inputs[0] in state.constants:  # weights that were quantized, then turned
        axes = node.attributes.get("perm")
        state.keep(node.outputs[0], _transposed(state.constant(node.inputs[0]), axes))
        return
    x = state.tensor(node.inputs[0])
    rank = len(state.shapes[x]) + 1
    axes = [int(a) for a in node.attributes.get("perm", reversed(range(rank)))]
    if axes[:1] != [0]:
        raise Refusal(f"attribute perm = {axes}", "expected the batch to stay in front")
    made = tuple(a - 1 for a in axes[1:])
    state.emit(Transpose(name=node.name, input=x, output=node.outputs[0], axes=made))


def _transposed(constant: Constant, axes: list[int] | None = None) -> Constant:
    """Return the constant with its axes in another order, by default the reverse."""
    if constant.integers is None:
        return Constant(constant.values.transpose(axes))
    assert constant.scale is not None
    scale = constant.scale.transpose(axes) if constant.scale.ndim else constant.scale
    return Constant.of(constant.integers.transpose(axes), scale)
