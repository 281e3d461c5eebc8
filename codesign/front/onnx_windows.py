"""Operators of an ONNX file with windows over rows and columns, channels first, without the batch."""

import numpy as np

from codesign.front.more_channels import MOST_MORE, with_more_channels
from codesign.front.onnx_axes import batchless_axis
from codesign.front.onnx_model import OnnxNode
from codesign.front.shapes import Shape
from codesign.front.source import Constant, Conv, Layout, Pool, Reshape, Surround
from codesign.front.translation import Refusal, Translation


def convolution(state: Translation, node: OnnxNode) -> None:
    """Translate a convolution over rows and columns, or over columns alone. Raise ValueError if it is refused."""
    weight = state.constant(node.inputs[1])
    kernel = weight.shape[2:]
    if len(kernel) not in (1, 2) or list(node.attributes.get("kernel_shape", kernel)) != list(kernel):
        raise Refusal(f"weights {list(weight.shape)}", "expected [K, C/groups, FY, FX] or [K, C/groups, FX]")
    x, output = to_map(state, node), node.outputs[0]
    if len(kernel) == 1:
        weight = _reshaped(weight, (*weight.shape[:2], 1, weight.shape[2]))
    strides, dilations = pair_of(node, "strides", len(kernel)), pair_of(node, "dilations", len(kernel))
    y = output if len(kernel) == 2 else f"{output}:rows"
    made = Conv(
        name=node.name,
        input=x,
        output=y,
        weight=state.keep(f"{node.name}:weight", weight),
        bias=bias_of(state, node, 2),
        strides=strides,
        dilations=dilations,
        pads=pads_of(node, state.shapes[x], (weight.shape[2], weight.shape[3]), strides, dilations, len(kernel)),
        groups=int(node.attributes.get("group", 1)),
    )
    state.emit(made)
    to_rows(state, node, y)


def pooling(state: Translation, node: OnnxNode) -> None:
    """Translate a maximum or an average over windows. Raise ValueError if it is refused."""
    if any(node.outputs[1:]):
        raise Refusal("gives the places of the maxima too", "expected one output")
    kernel = [int(k) for k in node.attributes["kernel_shape"]]
    axes, average = len(kernel), node.operator == "AveragePool"
    x, output = to_map(state, node), node.outputs[0]
    pair = (1, kernel[0]) if axes == 1 else (kernel[0], kernel[1])
    strides, dilations = pair_of(node, "strides", axes), pair_of(node, "dilations", axes)
    pads = pads_of(node, state.shapes[x], pair, strides, dilations, axes)
    counts = bool(node.attributes.get("count_include_pad", 0)) or not any(pads)
    if node.attributes.get("ceil_mode", 0):
        more = _reaching(state.shapes[x], pair, strides, dilations, pads)
        if more != pads and counts and any(pads) and average:
            raise Refusal("counts its padding, but not what ceil_mode = 1 adds to it", "expected one of both alone")
        pads, counts = more, counts and more == pads
    y = output if axes == 2 else f"{output}:rows"
    made = Pool(
        name=node.name,
        input=x,
        output=y,
        average=average,
        kernel=pair,
        strides=strides,
        pads=pads,
        dilations=dilations,
        count_pads=counts,
    )
    state.emit(made)
    to_rows(state, node, y)


def surrounding(state: Translation, node: OnnxNode) -> None:
    """Translate a Pad of a constant around rows and columns, or zeros around channels. Raise Refusal of others."""
    x = state.tensor(node.inputs[0])
    asked = node.attributes.get("pads")
    pads = [int(p) for p in (asked if asked is not None else state.array(node, 1, "pads").reshape(-1))]
    rank = len(state.shapes[x]) + 1
    if len(node.inputs) > 3 and node.inputs[3]:
        axes = [batchless_axis(int(a), rank - 1) + 1 for a in state.array(node, 3, "axes").reshape(-1)]
        if len(pads) != 2 * len(axes):
            raise Refusal(f"pads = {pads} of the axes {axes}", "expected two for each")
        spread = [0] * (2 * rank)
        for i, axis in enumerate(axes):
            spread[axis], spread[axis + rank] = pads[i], pads[i + len(axes)]
        pads = spread
    value = (
        float(node.attributes.get("value", 0.0)) if "value" in node.attributes else state.number(node, 2, "value", 0.0)
    )
    if not np.isfinite(value):
        raise Refusal(f"pads with {value}", "expected a finite number")
    if rank != 4 or len(pads) != 8 or min(pads) < 0 or any(pads[i] for i in (0, 4)):
        raise Refusal(f"pads = {pads}", "expected pads around rows, columns and channels of a map")
    around, more, y = (pads[2], pads[3], pads[6], pads[7]), (pads[1], pads[5]), node.outputs[0]
    if not any(more):
        state.emit(Surround(name=node.name, input=x, output=y, pads=around, value=value))
        return
    if value:
        raise Refusal(f"pads channels with {value:g}", "expected zeros")
    if sum(more) > MOST_MORE:
        raise Refusal(f"pads = {pads}", f"expected at most {MOST_MORE} more channels")
    wide = f"{y}:wide" if any(around) else y
    made, weight = with_more_channels(node.name, x, wide, state.shapes[x][0], more, Layout.CHW)
    state.keep(made.weight, weight)
    state.emit(made)
    if any(around):
        state.emit(Surround(name=f"{node.name}:around", input=wide, output=y, pads=around))


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


def bias_of(state: Translation, node: OnnxNode, index: int) -> str | None:
    """Keep the bias as [K], if there is one; return its name. Raise Refusal unless it is a constant."""
    if len(node.inputs) <= index or not node.inputs[index]:
        return None
    if not state.is_constant(node.inputs[index]):
        raise Refusal(f"its bias {node.inputs[index]!r} is computed in the network", "expected a constant")
    bias = state.constant(node.inputs[index])
    k = state.constants[f"{node.name}:weight"].shape[0]
    if bias.values.size != 1 and not bias.values.size == bias.shape[-1] == k:
        raise Refusal(f"its bias has the shape {list(bias.shape)}", f"expected {k} values, one per channel")
    return state.keep(f"{node.name}:bias", Constant(np.broadcast_to(bias.values.reshape(-1), (k,))))


def to_map(state: Translation, node: OnnxNode) -> str:
    """Return the node's input as a map; rows [C, X] become maps of one row."""
    x = state.tensor(node.inputs[0])
    shape = state.shapes[x]
    if len(shape) != 2:
        return x
    made = f"{node.name}:map"
    state.emit(Reshape(name=made, input=x, output=made, shape=(shape[0], 1, shape[1])))
    return made


def to_rows(state: Translation, node: OnnxNode, y: str) -> None:
    """Make rows again of a map of one row, if that is what the node gives."""
    if y != node.outputs[0]:
        c, _, columns = state.shapes[y]
        state.emit(Reshape(name=f"{node.name}:row", input=y, output=node.outputs[0], shape=(c, columns)))


def pair_of(node: OnnxNode, attribute: str, axes: int) -> tuple[int, int]:
    """Return an attribute's numbers for rows and columns, which are 1 for rows of a node of one axis."""
    values = [int(v) for v in node.attributes.get(attribute, [1] * axes)]
    if len(values) != axes:
        raise Refusal(f"attribute {attribute} = {values}", f"expected {axes} values")
    return (1, values[0]) if axes == 1 else (values[0], values[1])


def pads_of(
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


def _reshaped(constant: Constant, shape: tuple[int, ...]) -> Constant:
    """Return the weights [K, C/G, FX] of rows as those of maps."""
    if constant.integers is None:
        return Constant(constant.values.reshape(shape))
    assert constant.scale is not None
    scale = constant.scale.reshape(-1, 1, 1, 1) if constant.scale.ndim else constant.scale
    return Constant.of(constant.integers.reshape(shape), scale)
