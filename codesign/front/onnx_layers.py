"""Layers of an ONNX file as operators of a Source, channels first, without the batch."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.front.onnx_constants import axes_of
from codesign.front.onnx_model import OnnxNode
from codesign.front.shapes import Shape
from codesign.front.source import (
    Add,
    Affine,
    Clip,
    Concat,
    Constant,
    Conv,
    Decide,
    Dense,
    Enlarge,
    Pool,
    Reshape,
    Surround,
    Transpose,
)
from codesign.front.translation import Refusal, Translation


def translate(state: Translation, node: OnnxNode) -> None:  # noqa: C901, PLR0912 (a case for each)
    """Translate a node of real values. Raise ValueError if it is refused."""
    match node.operator:
        case "Identity" | "Dropout" | "Cast":
            state.same[node.outputs[0]] = state.tensor(node.inputs[0])
        case "Conv":
            _conv(state, node)
        case "Gemm" | "MatMul":
            _dense(state, node)
        case "BatchNormalization":
            _batch_normalization(state, node)
        case "Relu":
            _clip(state, node, 0.0, math.inf)
        case "Clip":
            _clip(state, node, _bound(state, node, "min", 1, -math.inf), _bound(state, node, "max", 2, math.inf))
        case "Add" | "Sub" | "Mul" | "Div":
            _arithmetic(state, node)
        case "Concat":
            _concat(state, node)
        case "MaxPool" | "AveragePool":
            _pool(state, node)
        case "GlobalAveragePool" | "GlobalMaxPool":
            x = state.tensor(node.inputs[0])
            average = node.operator == "GlobalAveragePool"
            state.emit(Pool(name=node.name, input=x, output=node.outputs[0], average=average))
        case "ReduceMean":
            _reduce_mean(state, node)
        case "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze":
            shape = _new_shape(state, node)
            x = state.tensor(node.inputs[0])
            state.emit(Reshape(name=node.name, input=x, output=node.outputs[0], shape=shape))
        case "Transpose":
            _transpose(state, node)
        case "Pad":
            _pad(state, node)
        case "Resize":
            _resize(state, node)
        case "Softmax" | "LogSoftmax" | "ArgMax":
            x = state.tensor(node.inputs[0])
            state.emit(Decide(name=node.name, input=x, output=node.outputs[0], operator=node.operator))
        case _:
            raise Refusal("is only read where its inputs are constants")


def _conv(state: Translation, node: OnnxNode) -> None:
    """A convolution over rows and columns, or over columns alone."""
    weight = state.constant(node.inputs[1])
    kernel = weight.shape[2:]
    if len(kernel) not in (1, 2) or list(node.attributes.get("kernel_shape", kernel)) != list(kernel):
        raise Refusal(f"weights {list(weight.shape)}", "expected [K, C/groups, FY, FX] or [K, C/groups, FX]")
    x, output = _rows(state, node), node.outputs[0]
    if len(kernel) == 1:
        weight = _reshaped(weight, (*weight.shape[:2], 1, weight.shape[2]))
    strides, dilations = _pair(node, "strides", len(kernel)), _pair(node, "dilations", len(kernel))
    y = output if len(kernel) == 2 else f"{output}:rows"
    made = Conv(
        name=node.name,
        input=x,
        output=y,
        weight=state.keep(f"{node.name}:weight", weight),
        bias=_bias(state, node, 2),
        strides=strides,
        dilations=dilations,
        pads=_pads(node, state.shapes[x], (weight.shape[2], weight.shape[3]), strides, dilations, len(kernel)),
        groups=int(node.attributes.get("group", 1)),
    )
    state.emit(made)
    _back(state, node, y)


def _pool(state: Translation, node: OnnxNode) -> None:
    if any(node.outputs[1:]):
        raise Refusal("gives the places of the maxima too", "expected one output")
    kernel = [int(k) for k in node.attributes["kernel_shape"]]
    axes = len(kernel)
    x, output = _rows(state, node), node.outputs[0]
    pair = (1, kernel[0]) if axes == 1 else (kernel[0], kernel[1])
    strides, dilations = _pair(node, "strides", axes), _pair(node, "dilations", axes)
    pads = _pads(node, state.shapes[x], pair, strides, dilations, axes)
    if node.attributes.get("ceil_mode", 0):
        pads = _reaching(state.shapes[x], pair, strides, dilations, pads)
    y = output if axes == 2 else f"{output}:rows"
    made = Pool(
        name=node.name,
        input=x,
        output=y,
        average=node.operator == "AveragePool",
        kernel=pair,
        strides=strides,
        pads=pads,
        dilations=dilations,
        count_pads=bool(node.attributes.get("count_include_pad", 0)),
    )
    state.emit(made)
    _back(state, node, y)


def _rows(state: Translation, node: OnnxNode) -> str:
    """Return the node's input as a map; rows [C, X] become maps of one row."""
    x = state.tensor(node.inputs[0])
    shape = state.shapes[x]
    if len(shape) != 2:
        return x
    made = f"{node.name}:map"
    state.emit(Reshape(name=made, input=x, output=made, shape=(shape[0], 1, shape[1])))
    return made


def _back(state: Translation, node: OnnxNode, y: str) -> None:
    """Make rows again of a map of one row, if that is what the node gives."""
    if y != node.outputs[0]:
        c, _, columns = state.shapes[y]
        state.emit(Reshape(name=f"{node.name}:row", input=y, output=node.outputs[0], shape=(c, columns)))


def _pair(node: OnnxNode, attribute: str, axes: int) -> tuple[int, int]:
    values = [int(v) for v in node.attributes.get(attribute, [1] * axes)]
    if len(values) != axes:
        raise Refusal(f"attribute {attribute} = {values}", f"expected {axes} values")
    return (1, values[0]) if axes == 1 else (values[0], values[1])


def _pads(
    node: OnnxNode,
    shape: Shape,
    kernel: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    axes: int,
) -> tuple[int, int, int, int]:
    """Return the pads top, left, bottom, right."""
    auto = node.attributes.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        return same_pads(shape[1:], kernel, strides, dilations, upper=auto == "SAME_UPPER")
    found = [int(p) for p in node.attributes.get("pads", [0] * (2 * axes))]
    if auto == "VALID":
        return (0, 0, 0, 0)
    if len(found) != 2 * axes:
        raise Refusal(f"attribute pads = {found}", f"expected {2 * axes} values")
    return (0, found[0], 0, found[1]) if axes == 1 else (found[0], found[1], found[2], found[3])


def same_pads(
    extents: tuple[int, ...],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    *,
    upper: bool,
) -> tuple[int, int, int, int]:
    """Return pads with which windows give ceil(extent / stride) outputs; an odd one goes to the end if `upper`."""
    sides = []
    for n, k, s, d in zip(extents, kernel, strides, dilations, strict=True):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        sides.append((total // 2, total - total // 2) if upper else (total - total // 2, total // 2))
    (top, bottom), (left, right) = sides
    return top, left, bottom, right


def _reaching(
    shape: Shape,
    kernel: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    pads: tuple[int, int, int, int],
) -> tuple[int, int, int, int]:
    """Return pads with which the last window, though only part of it lies in the map, has its output: ceil_mode."""
    more = []
    for n, k, s, d, before, after in zip(shape[1:], kernel, strides, dilations, pads[:2], pads[2:], strict=True):
        left = (n + before + after - (k - 1) * d - 1) % s
        begins = n + after - left - (k - 1) * d - 1 + s  # of the window that would be added
        more.append(after + s - left if left and begins < n else after)
    return pads[0], pads[1], more[0], more[1]


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
    kept, bias = state.keep(f"{node.name}:weight", weight), _bias(state, node, 2)
    state.emit(Dense(name=node.name, input=x, output=node.outputs[0], weight=kept, bias=bias))


def _bias(state: Translation, node: OnnxNode, index: int) -> str | None:
    """Keep the bias as [K], if there is one."""
    if len(node.inputs) <= index or not node.inputs[index]:
        return None
    if not state.is_constant(node.inputs[index]):
        raise Refusal(f"its bias {node.inputs[index]!r} is computed in the network", "expected a constant")
    bias = state.constant(node.inputs[index])
    k = state.constants[f"{node.name}:weight"].shape[0]
    values = np.broadcast_to(bias.values.reshape(-1), (k,))
    return state.keep(f"{node.name}:bias", Constant(values))


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
        if node.operator in ("Mul", "Div"):
            raise Refusal("multiplies or divides two maps", "expected a map and a constant")
        pair = (state.tensor(first), state.tensor(second))
        state.emit(Add(name=node.name, inputs=pair, output=node.outputs[0], sign=1 if node.operator == "Add" else -1))
        return
    x = state.tensor(second if fixed[0] else first)
    c = _per_channel(state.constant(first if fixed[0] else second), state.shapes[x])
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


def _per_channel(constant: Constant, shape: Shape) -> npt.NDArray[np.float64]:
    """Return a constant of one value, or one per channel of a map [C, ...]."""
    values = constant.values
    if values.size == 1:
        return values.reshape(())
    aligned = values.reshape((1,) * max(len(shape) + 1 - values.ndim, 0) + values.shape)
    if aligned.ndim == len(shape) + 1 and aligned.shape[1] == aligned.size == shape[0]:
        return aligned.reshape(-1)
    raise Refusal(
        f"a constant {list(values.shape)} beside a map {list(shape)}", "expected one value or one per channel"
    )


def _concat(state: Translation, node: OnnxNode) -> None:
    maps = tuple(state.tensor(name) for name in node.inputs)
    axis = _axis(int(node.attributes.get("axis", 1)), len(state.shapes[maps[0]]))
    if len(maps) == 1:
        state.same[node.outputs[0]] = maps[0]
        return
    state.emit(Concat(name=node.name, inputs=maps, output=node.outputs[0], axis=axis))


def _axis(axis: int, rank: int) -> int:
    """Return an axis without the batch. Raise Refusal if it is the batch, or none."""
    found = (axis + rank + 1 if axis < 0 else axis) - 1
    if not 0 <= found < rank:
        raise Refusal(f"works on axis {axis}, the batch or none of a tensor of {rank + 1} axes")
    return found


def _reduce_mean(state: Translation, node: OnnxNode) -> None:
    x = state.tensor(node.inputs[0])
    shape = state.shapes[x]
    axes = axes_of(state, node)
    if len(shape) != 3 or axes is None or sorted(_axis(a, 3) for a in axes) != [1, 2]:
        raise Refusal(f"means over axes {axes} of a tensor {list(shape)}", "expected rows and columns, axes 2 and 3")
    keep = bool(node.attributes.get("keepdims", 1))
    y = node.outputs[0] if keep else f"{node.outputs[0]}:map"
    state.emit(Pool(name=node.name, input=x, output=y, average=True))
    if not keep:
        state.emit(Reshape(name=f"{node.name}:flat", input=y, output=node.outputs[0], shape=shape[:1]))


def _new_shape(state: Translation, node: OnnxNode) -> Shape:
    """Return the shape that Flatten, Reshape, Squeeze or Unsqueeze gives, without the batch."""
    shape = state.shape(node.inputs[0])
    whole = (1, *shape)
    match node.operator:
        case "Flatten":
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
    x = state.tensor(node.inputs[0])
    rank = len(state.shapes[x]) + 1
    axes = [int(a) for a in node.attributes.get("perm", reversed(range(rank)))]
    if axes[:1] != [0]:
        raise Refusal(f"attribute perm = {axes}", "expected the batch to stay in front")
    made = tuple(a - 1 for a in axes[1:])
    state.emit(Transpose(name=node.name, input=x, output=node.outputs[0], axes=made))


def _pad(state: Translation, node: OnnxNode) -> None:
    x = state.tensor(node.inputs[0])
    asked = node.attributes.get("pads")
    pads = [int(p) for p in (asked if asked is not None else state.array(node, 1, "pads").reshape(-1))]
    rank = len(state.shapes[x]) + 1
    if state.number(node, 2, "value", 0.0) != 0 or (len(node.inputs) > 3 and node.inputs[3]):
        raise Refusal("pads with another value than 0, or only some axes", "expected zeros, and pads of all axes")
    if rank != 4 or len(pads) != 8 or min(pads) < 0 or any(pads[i] for i in (0, 1, 4, 5)):
        raise Refusal(f"pads = {pads}", "expected zeros around rows and columns of a map")
    around = (pads[2], pads[3], pads[6], pads[7])
    state.emit(Surround(name=node.name, input=x, output=node.outputs[0], pads=around))


def _resize(state: Translation, node: OnnxNode) -> None:
    x = state.tensor(node.inputs[0])
    shape = state.shapes[x]
    if node.attributes.get("coordinate_transformation_mode", "half_pixel") != "asymmetric" or (
        node.attributes.get("nearest_mode", "round_prefer_floor") != "floor"
    ):
        raise Refusal(
            "takes pixels in another way than repeating them",
            "expected coordinate_transformation_mode asymmetric and nearest_mode floor",
        )
    if len(node.inputs) > 3 and node.inputs[3]:
        sizes = state.array(node, 3, "sizes").reshape(-1)
        factors = [float(a) / b for a, b in zip(sizes[1:], shape, strict=True)]
    else:
        factors = [float(f) for f in state.array(node, 2, "scales").reshape(-1)[1:]]
    if len(factors) != 3 or factors[0] != 1 or any(f != int(f) or not 1 <= f <= 1 << 16 for f in factors):
        raise Refusal(f"resizes by {factors}", "expected whole factors of rows and columns")
    pair = (int(factors[1]), int(factors[2]))
    state.emit(Enlarge(name=node.name, input=x, output=node.outputs[0], factors=pair))


def _reshaped(constant: Constant, shape: tuple[int, ...]) -> Constant:
    """Return the weights [K, C/G, FX] of rows as those of maps."""
    if constant.integers is None:
        return Constant(constant.values.reshape(shape))
    assert constant.scale is not None
    scale = constant.scale.reshape(-1, 1, 1, 1) if constant.scale.ndim else constant.scale
    return Constant.of(constant.integers.reshape(shape), scale)


def _transposed(constant: Constant) -> Constant:
    """Return the matrix with its axes exchanged."""
    if constant.integers is None:
        return Constant(constant.values.T)
    assert constant.scale is not None
    return Constant.of(constant.integers.T, constant.scale.T)
