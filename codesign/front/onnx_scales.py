"""Scales and zero points of an ONNX file, one or one per channel, and constants rounded with them."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.front.onnx_model import OnnxNode
from codesign.front.quantization import MOST_ZERO, Rounding, rounded
from codesign.front.source import Constant
from codesign.front.translation import Refusal, Translation

Array = npt.NDArray[Any]


def zero_point(state: Translation, node: OnnxNode, index: int) -> Array:
    """Return the zero point at an input of the node; zero of 8 bits where it has none."""
    if index >= len(node.inputs) or not node.inputs[index]:
        return np.zeros((), np.uint8)
    return state.array(node, index, "zero point")


def along_axis(array: Array, shape: tuple[int, ...], node: OnnxNode) -> Array:
    """Return one value, or one for every index of the node's axis so that it broadcasts over the shape."""
    if array.size == 1:
        return array.reshape(())
    axis = _axis(node, len(shape))
    if array.ndim != 1 or len(array) != shape[axis]:
        raise Refusal(f"scales or zero points {list(array.shape)} do not fit a constant {list(shape)} on axis {axis}")
    spread = [1] * len(shape)
    spread[axis] = -1
    return array.reshape(spread)


def rounded_constant(
    constant: Constant, scale: Array, zero: Array, low_high: tuple[int, int], rounding: Rounding, *, zero_first: bool
) -> Constant:
    """Return the integers of a constant, its zero point taken away; rounded in float32, as runtimes do it.

    `zero_first`: the zero point is added before rounding, as QONNX does, so that halves go another way.
    """
    points = (zero.reshape(()) if zero.size == 1 else zero).astype(np.float64)
    if not ((np.abs(points) <= MOST_ZERO).all() and np.array_equal(points, np.rint(points))):
        raise Refusal("its zero point is not a whole number of 32 bits")
    added = points if zero_first else np.zeros_like(points)
    with np.errstate(over="ignore"):  # what is too large is clipped
        steps = constant.values.astype(np.float32) / scale.astype(np.float32) + added.astype(np.float32)
    low, high = (bound - points + added for bound in low_high)
    integers = rounded(np.clip(steps.astype(np.float64), low, high), rounding) - added
    return Constant.of(integers.astype(np.int64), scale)


def about_zero(rounding: Rounding, zero: int, low: int, scale: float) -> Rounding:
    """Return how values are rounded by a file that adds the zero point first, and then rounds integers from `low` on.

    Raise Refusal if that is none of the roundings.
    """
    match rounding:
        case Rounding.FLOOR | Rounding.CEIL:
            return rounding
        case _ if zero == 0:
            return rounding
        case Rounding.HALF_EVEN:
            halves_occur = np.frexp(scale)[0] == 0.5  # between other scales hardly a value is a half
            return Rounding.HALF_ODD if zero % 2 and halves_occur else rounding
        case Rounding.HALF_AWAY if low >= 0:
            return Rounding.HALF_UP
        case Rounding.IN if low >= 0:
            return Rounding.FLOOR
        case Rounding.AWAY if low >= 0:
            return Rounding.CEIL
        case _:
            raise Refusal(
                f"rounds {rounding.value} with the zero point {zero}", "expected rounding_mode ROUND, FLOOR or CEIL"
            )


def positive(array: Array) -> npt.NDArray[np.float64]:
    """Return scales as float64. Raise Refusal unless all are positive and finite."""
    found = array.astype(np.float64)
    if not (np.isfinite(found).all() and (found > 0).all()):
        raise Refusal("a scale is not a positive number")
    return found


def whole(value: float) -> int:
    """Return a zero point as an integer. Raise Refusal unless it is a whole number."""
    if not math.isfinite(value) or value != int(value):
        raise Refusal(f"its zero point {value:g} is not a whole number")
    return int(value)


def _axis(node: OnnxNode, rank: int) -> int:
    match node.operator:
        case "QLinearConv":
            return 0
        case "QLinearMatMul":
            return rank - 1
        case "QGemm":
            return 0 if node.attributes.get("transB", 0) else rank - 1
        case _:
            axis = int(node.attributes.get("axis", 1))
            return axis + rank if axis < 0 else min(axis, rank - 1)
