"""What a Source computes, in float64: the measure for its passes, and how constants are folded."""

import numpy as np

from codesign.front.activations import activated
from codesign.front.quantization import RealArray
from codesign.front.shapes import channel_axis, extents
from codesign.front.source import (
    Activation,
    Add,
    Affine,
    Clip,
    Concat,
    Constant,
    Conv,
    Decide,
    Dense,
    DepthToSpace,
    Enlarge,
    Layout,
    Moving,
    Multiply,
    Operator,
    Pool,
    Quantize,
    Reshape,
    Shuffle,
    Slice,
    Source,
    SpaceToDepth,
    Surround,
    Transpose,
    inputs_of,
)


def evaluate(source: Source, x: RealArray) -> dict[str, RealArray]:
    """Return the values of every tensor, with the batch in front, for inputs x[N, ...] in the source's layout."""
    held: dict[str, RealArray] = {source.input.tensor: np.asarray(x, np.float64)}
    for op in source.operators:
        maps = [held[tensor] for tensor in inputs_of(op)]
        held[op.output] = values_of(op, maps, source)
    return held


def values_of(  # noqa: C901, PLR0912 (a case for each)
    op: Operator, maps: list[RealArray], source: Source
) -> RealArray:
    """Return what one operator gives for the values of its inputs, all [N, ...]."""
    x, layout = maps[0], source.layout
    match op:
        case Quantize():
            return op.quantization.values(op.quantization.integers(x))
        case Clip():
            return np.clip(x, op.low, op.high)
        case Affine():
            factor, offset = (_spread(source.constants[name], x, layout) for name in (op.factor, op.offset))
            return x * factor + offset
        case Add():
            return maps[0] + op.sign * maps[1]
        case Conv():
            return _conv(op, x, source)
        case Dense():
            weight = source.constants[op.weight].values
            y = x.reshape(len(x), -1) @ weight.reshape(len(weight), -1).T
            y = y if op.bias is None else y + source.constants[op.bias].values
            return y if weight.ndim == 2 else y[:, np.newaxis, np.newaxis]
        case Pool():
            return _pool(op, x, layout)
        case Concat():
            return np.concatenate(maps, axis=op.axis + 1)
        case Multiply():
            return maps[0] * maps[1]
        case Activation():
            slope = None if op.slope is None else _spread(source.constants[op.slope], x, layout)
            return activated(op, x, slope)
        case Slice():
            return x[(slice(None),) * (op.axis + 1) + (slice(op.start, op.stop),)]
        case Enlarge() | Surround() | Shuffle() | DepthToSpace() | SpaceToDepth():
            return _from_hwc(_moved(op, _to_hwc(x, layout)), layout)
        case Transpose():
            return x.transpose(0, *(axis + 1 for axis in op.axes))
        case Reshape():
            return x.reshape(len(x), *op.shape)
        case Decide():
            return x if op.axis is None else _softmax(x, op.axis + 1)


def _softmax(x: RealArray, axis: int) -> RealArray:
    powers: RealArray = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def _moved(op: Moving, x: RealArray) -> RealArray:
    """Return what an operator makes of maps x[N, Y, X, C] by moving pixels and channels."""
    n, y, columns, c = x.shape
    match op:
        case Enlarge():
            return x.repeat(op.factors[0], axis=1).repeat(op.factors[1], axis=2)
        case Surround():
            (sy, sx), pads = op.strides, op.pads
            apart = np.full((n, (y - 1) * sy + 1, (columns - 1) * sx + 1, c), op.value)
            apart[:, ::sy, ::sx] = x
            return _padded(apart, pads, op.value)
        case Slice():
            return x[..., op.start : op.stop]
        case Shuffle():
            return x.reshape(n, y, columns, op.groups, -1).swapaxes(3, 4).reshape(x.shape)
        case DepthToSpace():
            b, k = op.block, c // op.block**2
            return x.reshape(n, y, columns, b, b, k).transpose(0, 1, 3, 2, 4, 5).reshape(n, y * b, columns * b, k)
        case SpaceToDepth():
            b = op.block
            blocks = x.reshape(n, y // b, b, columns // b, b, c).transpose(0, 1, 3, 2, 4, 5)
            return blocks.reshape(n, y // b, columns // b, b * b * c)


def _conv(op: Conv, x: RealArray, source: Source) -> RealArray:
    weight = source.constants[op.weight].values
    weight = weight.transpose(0, 2, 3, 1) if source.layout is Layout.CHW else weight
    taps = _taps(_to_hwc(x, source.layout), weight.shape[1:3], op.strides, op.pads, op.dilations, 0.0)
    if op.groups == len(weight) == taps.shape[-1]:  # a window of its own for each channel
        y = np.einsum("nyxijc,cij->nyxc", taps, weight[..., 0])
    else:
        groups = zip(np.split(taps, op.groups, axis=-1), np.split(weight, op.groups), strict=True)
        y = np.concatenate([np.tensordot(t, w, ([3, 4, 5], [1, 2, 3])) for t, w in groups], axis=-1)
    return _from_hwc(y if op.bias is None else y + source.constants[op.bias].values, source.layout)


def _pool(op: Pool, x: RealArray, layout: Layout) -> RealArray:
    maps = _to_hwc(x, layout)
    kernel = op.kernel or extents(x.shape[1:], layout)[:2]
    fill = 0.0 if op.average else -np.inf
    taps = _taps(maps, kernel, op.strides, op.pads, op.dilations, fill)
    if not op.average:
        return _from_hwc(taps.max(axis=(3, 4)), layout)
    inside = _taps(np.ones((1, *maps.shape[1:3], 1)), kernel, op.strides, op.pads, op.dilations, float(op.count_pads))
    return _from_hwc(taps.sum(axis=(3, 4)) / inside.sum(axis=(3, 4)), layout)


def _taps(
    x: RealArray,
    kernel: tuple[int, ...],
    strides: tuple[int, int],
    pads: tuple[int, int, int, int],
    dilations: tuple[int, int],
    fill: float,
) -> RealArray:
    """Return the windows [N, OY, OX, FY, FX, C] over x[N, Y, X, C]."""
    spread = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(_padded(x, pads, fill), spread, axis=(1, 2))
    view = view[:, :: strides[0], :: strides[1], :, :: dilations[0], :: dilations[1]]
    return np.moveaxis(view, 3, 5)


def _padded(x: RealArray, pads: tuple[int, int, int, int], fill: float) -> RealArray:
    return np.pad(x, ((0, 0), (pads[0], pads[2]), (pads[1], pads[3]), (0, 0)), constant_values=fill)


def _to_hwc(x: RealArray, layout: Layout) -> RealArray:
    return x.transpose(0, 2, 3, 1) if layout is Layout.CHW else x


def _from_hwc(x: RealArray, layout: Layout) -> RealArray:
    return x.transpose(0, 3, 1, 2) if layout is Layout.CHW else x


def _spread(constant: Constant, x: RealArray, layout: Layout) -> RealArray:
    """Return a constant of one value, or one per channel, so that it broadcasts over x[N, ...]."""
    if constant.values.ndim == 0:
        return constant.values
    shape = [1] * x.ndim
    shape[channel_axis(x.shape[1:], layout) + 1] = -1
    return constant.values.reshape(shape)
