"""Resize of an ONNX file: which pixels an output is made of, and the operators that take them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from codesign.front.bilinear import bilinear
from codesign.front.onnx_axes import batchless_axis
from codesign.front.onnx_model import OnnxNode
from codesign.front.quantization import RealArray
from codesign.front.shapes import Shape
from codesign.front.source import Enlarge, Pool, Transpose
from codesign.front.translation import Refusal, Translation

_MOST_EXTENT = 1 << 20


def resizing(state: Translation, node: OnnxNode) -> None:
    """Translate a Resize by whole factors: pixels repeated, left out or interpolated. Raise Refusal of any other."""
    x = state.tensor(node.inputs[0])
    shape = state.shapes[x]
    if len(shape) != 3:
        raise Refusal(f"resizes a tensor {[1, *shape]}", "expected a map of rows and columns")
    sizes, scales = _wanted(state, node, shape)
    y, last = node.outputs[0], sizes[0] != shape[0] and sizes[2] == shape[2]
    if last:  # the channels lie behind rows and columns
        state.emit(Transpose(name=f"{node.name}:first", input=x, output=f"{y}:first", axes=(2, 0, 1)))
        x, node = f"{y}:first", replace(node, outputs=(f"{y}:made",))
        shape, sizes, scales = ((of[2], *of[:2]) for of in (shape, sizes, scales))
    if sizes[0] != shape[0]:
        raise Refusal(f"resizes the channels, {shape[0]} to {sizes[0]}", "expected rows and columns alone")
    places = [_places(node, n, m, s) for n, m, s in zip(shape[1:], sizes[1:], scales[1:], strict=True)]
    linear = node.attributes.get("mode", "nearest") == "linear"
    if not (_interpolated if linear else _copied)(state, node, x, sizes, places):
        how = "interpolates pixels" if linear else "takes pixels"
        raise Refusal(
            f"{how} at the places {_told(places[0])} of rows and {_told(places[1])} of columns",
            "expected whole factors of rows and columns, and a coordinate_transformation_mode of evenly spaced places: "
            "half_pixel, pytorch_half_pixel or asymmetric",
        )
    if last:
        state.emit(Transpose(name=f"{node.name}:last", input=f"{y}:made", output=y, axes=(1, 2, 0)))


def _wanted(state: Translation, node: OnnxNode, shape: Shape) -> tuple[Sequence[int], Sequence[float]]:
    """Return the extents [C, Y, X] of the output, and their ratios to those of the input."""
    by_size = len(node.inputs) > 3 and bool(node.inputs[3])
    given = state.array(node, 3 if by_size else 2, "sizes" if by_size else "scales").reshape(-1)
    named = node.attributes.get("axes")
    axes = [0, 1, 2] if named is None else [batchless_axis(int(a), 3) for a in named]
    given = given if named is not None else given[1:]
    if len(given) != len(axes) or not np.isfinite(given).all() or min(given, default=1) <= 0:
        raise Refusal(f"resizes to or by {given.tolist()}", "expected a positive number for each axis")
    sizes, scales = list(shape), [1.0] * 3
    for axis, value in zip(axes, given.tolist(), strict=True):
        sizes[axis] = int(value) if by_size else int(np.floor(min(shape[axis] * value, _MOST_EXTENT)))
        scales[axis] = sizes[axis] / shape[axis] if by_size else float(value)
    if not 1 <= min(sizes) <= max(sizes) < _MOST_EXTENT:
        raise Refusal(f"gives {sizes}", "expected at least one row and column")
    return sizes, scales


def _places(node: OnnxNode, n: int, m: int, scale: float) -> RealArray:
    """Return where in an axis of n pixels each of m outputs lies, as ONNX defines it."""
    at = np.arange(m, dtype=np.float64)
    match node.attributes.get("coordinate_transformation_mode", "half_pixel"):
        case "asymmetric":
            return at / scale
        case "align_corners":
            return at * (n - 1) / max(m - 1, 1)
        case "half_pixel_symmetric":
            return n / 2 * (1 - m / (n * scale)) + (at + 0.5) / scale - 0.5
        case "pytorch_half_pixel" if m == 1:
            return at
        case _:
            return (at + 0.5) / scale - 0.5


def _copied(state: Translation, node: OnnxNode, x: str, sizes: Sequence[int], places: list[RealArray]) -> bool:
    """Emit what repeats pixels, or leaves some out; False if the nearest ones are others."""
    shape = state.shapes[x]
    found = [_nearest(node, at, n) for at, n in zip(places, shape[1:], strict=True)]
    factors = [m // n for m, n in zip(sizes[1:], shape[1:], strict=True)]
    if all(f >= 1 and np.array_equal(at, np.arange(len(at)) // f) for at, f in zip(found, factors, strict=True)):
        state.emit(Enlarge(name=node.name, input=x, output=node.outputs[0], factors=(factors[0], factors[1])))
        return True
    steps = [n // m for m, n in zip(sizes[1:], shape[1:], strict=True)]
    if all(
        s >= 1 and s * m == n and np.array_equal(at, np.arange(m) * s)
        for at, s, m, n in zip(found, steps, sizes[1:], shape[1:], strict=True)
    ):
        one, strides = (1, 1), (steps[0], steps[1])
        state.emit(Pool(name=node.name, input=x, output=node.outputs[0], average=False, kernel=one, strides=strides))
        return True
    return False


def _nearest(node: OnnxNode, places: RealArray, n: int) -> RealArray:
    match node.attributes.get("nearest_mode", "round_prefer_floor"):
        case "floor":
            taken = np.floor(places)
        case "ceil":
            taken = np.ceil(places)
        case "round_prefer_ceil":
            taken = np.floor(places + 0.5)
        case _:
            taken = np.ceil(places - 0.5)
    return np.clip(taken, 0, n - 1)


def _interpolated(state: Translation, node: OnnxNode, x: str, sizes: Sequence[int], places: list[RealArray]) -> bool:
    """Emit a bilinear enlargement; False if its factors are not whole, or its places not evenly spaced."""
    factors = [m // n for m, n in zip(sizes[1:], state.shapes[x][1:], strict=True)]
    if any(f < 1 or f * n != m for f, m, n in zip(factors, sizes[1:], state.shapes[x][1:], strict=True)):
        return False
    for half in (True, False):
        even = [(np.arange(len(at)) + half / 2) / f - half / 2 for at, f in zip(places, factors, strict=True)]
        if all(np.allclose(a, b, 0, 1e-9) for a, b in zip(places, even, strict=True)):
            for op in bilinear(node.name, x, node.outputs[0], (factors[0], factors[1]), half_pixels=half):
                state.emit(op)
            return True
    return False


def _told(places: RealArray) -> str:
    return ", ".join(f"{at:.3g}" for at in places[:3]) + (", ..." if len(places) > 3 else "")
