"""How numbers of a graph stand in an ONNX file: containers, scales, half steps, windows."""

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from codesign.errors import UnsupportedError
from codesign.ops.add import Add
from codesign.ops.arrays import IntArray
from codesign.ops.conv import Conv
from codesign.ops.node import Node, Windowed
from codesign.ops.pool import Pool
from codesign.ops.qtype import QType
from codesign.ops.requantize import Rounding

ROUNDERS = {Rounding.FLOOR: "Floor", Rounding.CEIL: "Ceil"}
_CONTAINERS = {
    (8, False): (TensorProto.UINT8, np.uint8),
    (8, True): (TensorProto.INT8, np.int8),
    (16, False): (TensorProto.UINT16, np.uint16),
    (16, True): (TensorProto.INT16, np.int16),
}


def own_scale(node: Node, output_scale: float) -> float:
    """Return the scale with which the last node is quantized: 1 where a product with another would blur ties."""
    exact = isinstance(node, Conv | Pool | Add) and node.rule.rounding is not Rounding.HALF_UP
    exact |= isinstance(node, Pool) and bool(node.by_count)
    return 1.0 if exact else output_scale


def half_steps(node: Conv | Pool, multiplier: IntArray) -> IntArray:
    """Return 1 for channels whose halves go up and whose output step is a sum's times a power of two, else 0."""
    up = node.rule.rounding is Rounding.HALF_UP
    return (up & ((multiplier & (multiplier - 1)) == 0) & (multiplier < 1 << node.shift)).astype(np.int64)


def window_attributes(node: Windowed) -> dict[str, list[int]]:
    """Return the attributes of an ONNX operator with the window of the node."""
    window = node.window
    dilations = [window.dilation_y, window.dilation_x]
    return {
        "kernel_shape": [window.fy, window.fx],
        **({} if dilations == [1, 1] else {"dilations": dilations}),
        "strides": [window.stride_y, window.stride_x],
        "pads": [window.pad_top, window.pad_left, window.pad_bottom, window.pad_right],
    }


def container_of(qtype: QType) -> tuple[int, Any]:
    """Return the ONNX type and the numpy type that hold an integer type."""
    return _CONTAINERS[8 if qtype.bits <= 8 else 16, qtype.signed]


def fitting(array: IntArray, name: str, *types: Any) -> npt.NDArray[Any]:
    """Return the array in the smallest of the types that holds it."""
    for dtype in types or (np.int8, np.int16):
        if array.min() >= np.iinfo(dtype).min and array.max() <= np.iinfo(dtype).max:
            return array.astype(dtype)
    raise UnsupportedError(
        f"node {name!r}: a doubled weight or bias, {np.abs(array).max()}, is too large for its ONNX type"
    )
