"""Operators of a TFLite file that look values up, take channels out of a map, or move them, channels last."""

import numpy as np

from codesign.front.bilinear import bilinear
from codesign.front.more_channels import MOST_MORE, with_more_channels
from codesign.front.source import (
    Activation,
    Constant,
    DepthToSpace,
    Enlarge,
    Function,
    Layout,
    Slice,
    SpaceToDepth,
    Surround,
    Transpose,
)
from codesign.front.tflite_model import TfliteOperator
from codesign.front.tflite_translation import TfliteRefusal, TfliteTranslation

_FUNCTIONS = {
    "ELU": Function.ELU,
    "GELU": Function.GELU,
    "HARD_SWISH": Function.HARD_SWISH,
    "LEAKY_RELU": Function.LEAKY_RELU,
    "LOGISTIC": Function.SIGMOID,
    "PRELU": Function.LEAKY_RELU,
    "TANH": Function.TANH,
}


def activation(state: TfliteTranslation, name: str, op: TfliteOperator, x: str, output: str) -> bool:
    """Translate an activation; False if the operator is none. Raise ValueError if it is refused."""
    if op.name not in _FUNCTIONS:
        return False
    function, slope = _FUNCTIONS[op.name], None
    if op.name == "GELU" and op.options.get("Approximate", 0):
        function = Function.GELU_TANH
    if op.name == "LEAKY_RELU":
        slope = np.asarray(float(op.options.get("Alpha", 0.0)))
    if op.name == "PRELU":
        slope = state.real(op, 1).reshape(-1)
        slope = slope.reshape(()) if slope.size == 1 else slope
    if slope is not None:
        if not np.isfinite(slope).all():
            raise TfliteRefusal("has a slope that is no finite number")
        state.constants[f"{name}:slope"] = Constant(slope)
    kept = None if slope is None else f"{name}:slope"
    state.emit(Activation(name=name, input=x, output=output, function=function, slope=kept))
    return True


def moved(state: TfliteTranslation, name: str, op: TfliteOperator, x: str, output: str) -> bool:
    """Translate what moves values of one map; False if the operator does not. Raise ValueError if it is refused."""
    match op.name:
        case "SLICE" | "STRIDED_SLICE":
            _taken(state, name, op, x, output)
        case "DEPTH_TO_SPACE":
            state.emit(DepthToSpace(name=name, input=x, output=output, block=op.options["BlockSize"]))
        case "SPACE_TO_DEPTH":
            state.emit(SpaceToDepth(name=name, input=x, output=output, block=op.options["BlockSize"]))
        case "TRANSPOSE":
            _transposition(state, name, op, x, output)
        case "PAD" | "PADV2":
            _surrounding(state, name, op, x, output)
        case "RESIZE_NEAREST_NEIGHBOR" | "RESIZE_BILINEAR":
            _enlargement(state, name, op, x, output)
        case _:
            return False
    return True


def parts(state: TfliteTranslation, name: str, op: TfliteOperator) -> None:
    """Translate a SPLIT or SPLIT_V: a slice for each part. Raise ValueError if it is refused."""
    plain = op.name == "SPLIT"
    x = state.map(op, 1 if plain else 0)
    shape = state.shapes[x]
    axis = _axis(int(state.integers(op, 0 if plain else 2)[0]), len(shape))
    count, whole = len(op.outputs), shape[axis]
    sizes = [whole // count] * count if plain else state.integers(op, 1)
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = whole - sum(sizes) - 1
    if len(sizes) != count or min(sizes) < 1 or sum(sizes) != whole:
        raise TfliteRefusal(f"splits {whole} elements into {sizes}; expected {count} parts that make up the whole")
    start = 0
    for i, (size, index) in enumerate(zip(sizes, op.outputs, strict=True)):
        part = f"{name}:{i}" if i else name
        made = f"{state.name(index)}:part"
        state.emit(Slice(name=part, input=x, output=made, axis=axis, start=start, stop=start + size))
        state.quantize(f"{part}:quantize", made, index, state.name(index))
        start += size


def _taken(state: TfliteTranslation, name: str, op: TfliteOperator, x: str, output: str) -> None:
    """Translate a SLICE or STRIDED_SLICE in steps of one. Raise ValueError if it is refused."""
    extents = (1, *state.shapes[x])
    begins, ends = state.integers(op, 1), state.integers(op, 2)
    if not len(begins) == len(ends) == len(extents):
        raise TfliteRefusal(f"takes {begins} to {ends} of a tensor {list(extents)}; expected a bound for each axis")
    if op.name == "SLICE":
        ends = [n if size == -1 else begin + size for begin, size, n in zip(begins, ends, extents, strict=True)]
    else:
        masks = ("EllipsisMask", "NewAxisMask", "ShrinkAxisMask", "Offset")
        if any(op.options.get(mask, 0) for mask in masks) or any(step != 1 for step in state.integers(op, 3)):
            raise TfliteRefusal("takes single elements, adds axes or steps over elements; expected steps of 1")
        first, last = (int(op.options.get(mask, 0)) for mask in ("BeginMask", "EndMask"))
        begins = [0 if first >> i & 1 else _bound(b, n) for i, (b, n) in enumerate(zip(begins, extents, strict=True))]
        ends = [n if last >> i & 1 else _bound(e, n) for i, (e, n) in enumerate(zip(ends, extents, strict=True))]
    if begins[0] != 0 or ends[0] != 1:
        raise TfliteRefusal("takes a part of the batch")
    cut = [i for i, n in enumerate(extents) if (begins[i], ends[i]) != (0, n)] or [len(extents) - 1]
    for i in cut:
        y = output if i == cut[-1] else f"{output}:{i}"
        made = f"{name}:{i}" if i != cut[-1] else name
        state.emit(Slice(name=made, input=x, output=y, axis=i - 1, start=begins[i], stop=ends[i]))
        x = y


def _transposition(state: TfliteTranslation, name: str, op: TfliteOperator, x: str, output: str) -> None:
    """Translate a TRANSPOSE that leaves the batch in front. Raise ValueError of any other."""
    axes = state.integers(op, 1)
    if axes[:1] != [0]:
        raise TfliteRefusal(f"orders the axes as {axes}; expected the batch to stay in front")
    state.emit(Transpose(name=name, input=x, output=output, axes=tuple(a - 1 for a in axes[1:])))


def _surrounding(state: TfliteTranslation, name: str, op: TfliteOperator, x: str, output: str) -> None:
    """Translate a PAD or PADV2 around rows, columns or channels. Raise ValueError of any other."""
    pads = state.constant(op, 1).values
    assert pads is not None
    value = float(state.real(op, 2).reshape(())) if op.name == "PADV2" else 0.0
    if pads.shape != (4, 2) or pads.min() < 0 or pads[0].any() or (pads[3].any() and value):
        raise TfliteRefusal(f"pads {pads.tolist()}; expected pads of rows and columns, or zeros around channels")
    around, more = (
        (int(pads[1, 0]), int(pads[2, 0]), int(pads[1, 1]), int(pads[2, 1])),
        (int(pads[3, 0]), int(pads[3, 1])),
    )
    if any(more):
        if sum(more) > MOST_MORE:
            raise TfliteRefusal(f"pads {pads.tolist()}; expected at most {MOST_MORE} more channels")
        wide = f"{output}:wide" if any(around) else output
        made, weight = with_more_channels(f"{name}:channels", x, wide, state.shapes[x][-1], more, Layout.HWC)
        state.constants[made.weight] = weight
        state.emit(made)
        x = wide
    if any(around) or not any(more):
        state.emit(Surround(name=name, input=x, output=output, pads=around, value=value))


def _enlargement(state: TfliteTranslation, name: str, op: TfliteOperator, x: str, output: str) -> None:
    """Translate a RESIZE_NEAREST_NEIGHBOR or RESIZE_BILINEAR by whole factors. Raise ValueError of any other."""
    if op.options.get("AlignCorners"):
        raise TfliteRefusal("aligns corners; expected half pixels, or neither")
    y, columns, _ = state.shapes[x]
    wanted = state.model.tensors[op.outputs[0]].shape[1:3]
    if len(wanted) != 2 or wanted[0] % y or wanted[1] % columns or min(wanted) < 1:
        raise TfliteRefusal(f"makes {list(wanted)} of {y} rows and {columns} columns; expected whole factors")
    factors = (wanted[0] // y, wanted[1] // columns)
    if op.name == "RESIZE_BILINEAR":
        for part in bilinear(name, x, output, factors, half_pixels=bool(op.options.get("HalfPixelCenters"))):
            state.emit(part)
    else:  # half pixels or not, whole factors repeat pixels
        state.emit(Enlarge(name=name, input=x, output=output, factors=factors))


def _axis(axis: int, rank: int) -> int:
    """Return an axis without the batch. Raise TfliteRefusal if it is the batch, or none."""
    found = (axis + rank + 1 if axis < 0 else axis) - 1
    if not 0 <= found < rank:
        raise TfliteRefusal(f"works on axis {axis}, the batch or none of a tensor of {rank + 1} axes")
    return found


def _bound(asked: int, extent: int) -> int:
    """Return a bound counted from the front, within the axis."""
    return min(max(asked + extent if asked < 0 else asked, 0), extent)
