"""The shape of every tensor of a Source, without the batch; and what does not fit together, as problems."""

import math
from collections.abc import Mapping

import numpy as np

from codesign.front.limits import MOST_ELEMENTS
from codesign.front.problem import Problem
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
from codesign.ops.shapes import Window

Shape = tuple[int, ...]


def shapes_of(source: Source) -> tuple[dict[str, Shape], list[Problem]]:
    """Return the shape of every tensor, and a problem for every operator whose inputs or constants do not fit it.

    What depends on an operator with a problem has no shape, and is passed over.
    """
    shapes: dict[str, Shape] = {source.input.tensor: source.input.shape}
    problems = []
    for op in source.operators:
        if not all(tensor in shapes for tensor in inputs_of(op)):
            continue
        try:
            found = shape_of(op, [shapes[tensor] for tensor in inputs_of(op)], source.constants, source.layout)
        except ValueError as error:
            problems.append(Problem.of(op, str(error)))
        else:
            shapes[op.output] = found
    return shapes, problems


def shape_of(op: Operator, inputs: list[Shape], constants: Mapping[str, Constant], layout: Layout) -> Shape:
    """Return the shape of an operator's output.

    Raise ValueError if its inputs, constants and attributes do not fit, or the output is larger than any Graph's.
    """
    found = _shape(op, inputs, constants, layout)
    check_size(found)
    return found


def check_size(shape: Shape) -> None:
    """Raise ValueError unless a tensor has elements, and no more than a map of a Graph may have."""
    if min(shape, default=1) < 1 or math.prod(shape) > MOST_ELEMENTS:
        raise ValueError(f"gives a tensor {list(shape)}; expected 1 to {MOST_ELEMENTS:,} elements")


def _shape(  # noqa: C901, PLR0912 (a case for each)
    op: Operator, inputs: list[Shape], constants: Mapping[str, Constant], layout: Layout
) -> Shape:
    shape = inputs[0]
    match op:
        case Quantize() | Clip() | Decide():
            return shape
        case Affine():
            _check_channels(shape, [constants[op.factor].shape, constants[op.offset].shape], layout)
            return shape
        case Activation():
            _check_channels(shape, [] if op.slope is None else [constants[op.slope].shape], layout)
            return shape
        case Conv():
            return _conv(op, shape, constants, layout)
        case Dense():
            return _dense(op, shape, constants)
        case Pool():
            y, x, c = extents(shape, layout)
            if op.kernel is None:
                return placed(1, 1, c, layout)
            return placed(*windows(op.kernel, op.strides, op.pads, op.dilations, y, x), c, layout)
        case Add():
            if inputs[0] != inputs[1]:
                raise ValueError(f"adds tensors {list(inputs[0])} and {list(inputs[1])}; expected one shape")
            return shape
        case Multiply():
            _check_gate(inputs, layout)
            return shape
        case Concat():
            return _concat(op, inputs)
        case Enlarge() | Surround() | Slice() | Shuffle() | DepthToSpace() | SpaceToDepth():
            return _moved(op, shape, layout)
        case Transpose():
            if sorted(op.axes) != list(range(len(shape))):
                raise ValueError(f"axes {list(op.axes)} do not order those of {list(shape)}")
            return tuple(shape[axis] for axis in op.axes)
        case Reshape():
            if math.prod(op.shape) != math.prod(shape):
                raise ValueError(f"makes {list(op.shape)} of {list(shape)}, which has another number of elements")
            return op.shape


def gate_last(pair: tuple[str, str], shapes: Mapping[str, Shape]) -> tuple[str, str]:
    """Return the names of a map and its gate, which has one pixel, in this order."""
    first, second = (math.prod(shapes[tensor]) for tensor in pair)
    return pair if second <= first else (pair[1], pair[0])


def _moved(op: Moving, shape: Shape, layout: Layout) -> Shape:
    if isinstance(op, Slice):
        if not (0 <= op.axis < len(shape) and 0 <= op.start < op.stop <= shape[op.axis]):
            raise ValueError(f"takes {op.start} to {op.stop} along axis {op.axis} of a tensor {list(shape)}")
        return (*shape[: op.axis], op.stop - op.start, *shape[op.axis + 1 :])
    y, x, c = extents(shape, layout)
    match op:
        case Enlarge():
            return placed(y * op.factors[0], x * op.factors[1], c, layout)
        case Surround():
            _check_pads(op)
            rows, columns = ((n - 1) * stride + 1 for n, stride in zip((y, x), op.strides, strict=True))
            return placed(rows + op.pads[0] + op.pads[2], columns + op.pads[1] + op.pads[3], c, layout)
        case Shuffle():
            if op.groups < 1 or c % op.groups:
                raise ValueError(f"shuffles {c} channels in {op.groups} groups; expected groups of one size")
            return shape
        case DepthToSpace():
            if op.block < 1 or c % op.block**2:
                raise ValueError(f"makes blocks of {op.block} x {op.block} pixels of {c} channels, which do not divide")
            return placed(y * op.block, x * op.block, c // op.block**2, layout)
        case SpaceToDepth():
            if op.block < 1 or y % op.block or x % op.block:
                raise ValueError(f"makes pixels of blocks of {op.block} x {op.block} of {y} rows and {x} columns")
            return placed(y // op.block, x // op.block, c * op.block**2, layout)


def extents(shape: Shape, layout: Layout) -> tuple[int, int, int]:
    """Return rows, columns and channels of a map. Raise ValueError unless it is one."""
    if len(shape) != 3:
        raise ValueError(f"expected a map of rows, columns and channels, got a tensor {list(shape)}")
    c, y, x = shape if layout is Layout.CHW else (shape[2], *shape[:2])
    return y, x, c


def placed(y: int, x: int, c: int, layout: Layout) -> Shape:
    """Return the shape of a map of so many rows, columns and channels."""
    return (c, y, x) if layout is Layout.CHW else (y, x, c)


def channel_axis(shape: Shape, layout: Layout) -> int:
    """Return the axis of the channels; a vector has no other."""
    return 0 if layout is Layout.CHW else len(shape) - 1


def windows(
    kernel: tuple[int, int], strides: tuple[int, int], pads: tuple[int, ...], dilations: tuple[int, int], y: int, x: int
) -> tuple[int, int]:
    """Return the rows and columns that windows over a map give. Raise ValueError if one does not fit."""
    if min(*kernel, *strides, *dilations) < 1 or min(pads) < 0:
        raise ValueError(f"expected kernel, strides and dilations of at least 1, and pads of at least 0, got {kernel}, "
                         f"{strides}, {dilations} and {pads}")  # fmt: skip
    (fy, fx), (dy, dx) = kernel, dilations
    spread = Window(fy=fy, fx=fx, stride_y=strides[0], stride_x=strides[1], dilation_y=dy, dilation_x=dx)
    return spread.out_extents(y + pads[0] + pads[2], x + pads[1] + pads[3])


def _conv(op: Conv, shape: Shape, constants: Mapping[str, Constant], layout: Layout) -> Shape:
    y, x, c = extents(shape, layout)
    weight = constants[op.weight].shape
    if len(weight) != 4:
        raise ValueError(f"expected weights of four axes, got {list(weight)}")
    k, fy, fx, cg = (weight[0], *weight[2:], weight[1]) if layout is Layout.CHW else weight
    if op.groups < 1 or cg * op.groups != c or k % op.groups:
        raise ValueError(f"weights {list(weight)} in {op.groups} groups do not fit a map {list(shape)}")
    _check_bias(op.bias, k, constants)
    return placed(*windows((fy, fx), op.strides, op.pads, op.dilations, y, x), k, layout)


def _dense(op: Dense, shape: Shape, constants: Mapping[str, Constant]) -> Shape:
    weight = constants[op.weight].shape
    if weight[1:] != shape:
        raise ValueError(f"weights {list(weight)} do not fit a tensor {list(shape)}")
    _check_bias(op.bias, weight[0], constants)
    return (weight[0],) if len(weight) == 2 else (1, 1, weight[0])  # a map of one pixel, once layouts are resolved


def _check_bias(bias: str | None, k: int, constants: Mapping[str, Constant]) -> None:
    if bias is not None and constants[bias].shape != (k,):
        raise ValueError(f"a bias {list(constants[bias].shape)} does not fit {k} channels")


def _check_channels(shape: Shape, found: list[Shape], layout: Layout) -> None:
    c = shape[channel_axis(shape, layout)]
    for of in found:
        if of not in ((), (c,)):
            raise ValueError(f"constants {list(of)} do not fit a tensor {list(shape)}; expected one value or {c}")


def _check_pads(op: Surround) -> None:
    if min(op.pads) < 0 or min(op.strides) < 1:
        raise ValueError(f"expected pads of at least 0 and strides of at least 1, got {op.pads} and {op.strides}")


def _check_gate(inputs: list[Shape], layout: Layout) -> None:
    """Raise ValueError unless the second tensor is as the first, or one pixel of it."""
    first, second = inputs
    if first == second:
        return
    if len(first) != 3 or second != placed(1, 1, extents(first, layout)[2], layout):
        raise ValueError(
            f"multiplies tensors {list(first)} and {list(second)}; expected one shape, or one factor per channel"
        )


def _concat(op: Concat, inputs: list[Shape]) -> Shape:
    axis = op.axis
    others = {(*shape[:axis], *shape[axis + 1 :]) for shape in inputs}
    if not 0 <= axis < len(inputs[0]) or len(others) > 1 or len({len(shape) for shape in inputs}) > 1:
        raise ValueError(f"tensors {', '.join(str(list(s)) for s in inputs)} cannot be joined on axis {axis}")
    whole = list(inputs[0])
    whole[axis] = int(np.sum([shape[axis] for shape in inputs]))
    return tuple(whole)
