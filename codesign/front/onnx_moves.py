"""ONNX nodes of operators that look values up, or only move them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper

from codesign.ops.arrays import IntArray
from codesign.ops.depth_to_space import DepthToSpace
from codesign.ops.lookup import Lookup
from codesign.ops.node import Moving
from codesign.ops.pad import Pad
from codesign.ops.resize import Resize
from codesign.ops.shuffle import Shuffle
from codesign.ops.slice import Slice
from codesign.ops.space_to_depth import SpaceToDepth


@dataclass(slots=True)
class Made:
    """ONNX nodes in order, and the constants that they read by name."""

    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    def add(self, kind: str, inputs: list[str], output: str, name: str, **how: object) -> None:
        """Append a node; arrays among its attributes become constants, which are its last inputs."""
        arrays = {key: value for key, value in how.items() if isinstance(value, np.ndarray)}
        self.constants |= {f"{name}.{key}": value for key, value in arrays.items()}
        others = {key: value for key, value in how.items() if key not in arrays}
        given = [*inputs, *(f"{name}.{key}" for key in arrays)]
        self.nodes.append(helper.make_node(kind, given, [output], name=name, **others))


def moved(node: Moving, x: str, scale: float) -> Made:
    """Return what moves the values of the real tensor `x`, or leaves some out, to the tensor `<name>.acc`."""
    made, name, y = Made(), node.name, f"{node.name}.acc"
    match node:
        case Resize():  # pixel floor(o / factor); there is no region of interest
            how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
            factors = np.array([1, 1, node.fy, node.fx], np.float32)
            made.add("Resize", [x, ""], y, name, factors=factors, mode="nearest", **how)
        case Pad():
            _pad(made, node, x, scale)
        case Slice(start=start, stop=stop):
            made.add("Slice", [x], y, name, start=np.array([start]), stop=np.array([stop]), axis=np.array([1]))
        case DepthToSpace() | SpaceToDepth():
            made.add(type(node).__name__, [x], y, name, blocksize=node.block)
        case Shuffle(ishape=shape, groups=groups):
            apart, turned = f"{name}.apart", f"{name}.turned"
            split = np.array([0, groups, shape.c // groups, shape.y, shape.x])
            made.add("Reshape", [x], apart, apart, shape=split)
            made.add("Transpose", [apart], turned, turned, perm=[0, 2, 1, 3, 4])
            made.add("Reshape", [turned], y, name, shape=np.array([0, shape.c, shape.y, shape.x]))
    return made


def looked_up(node: Lookup, x: str, table: IntArray, dtype: Any) -> Made:
    """Return what looks the integers `x` up, row after row of the table, as `<name>.q`; no real value is in between."""
    made, wide, index = Made(), f"{node.name}.wide", f"{node.name}.index"
    first = np.arange(len(table))[None, :, None, None] * table.shape[1] - node.itype.qmin
    made.constants[f"{node.name}.table"] = table.ravel().astype(dtype)
    made.add("Cast", [x], wide, wide, to=TensorProto.INT32)
    made.add("Add", [wide], index, index, first=first.astype(np.int32))
    made.add("Gather", [f"{node.name}.table", index], f"{node.name}.q", node.name, axis=0)
    return made


def _pad(made: Made, node: Pad, x: str, scale: float) -> None:
    """Add zeros between pixels by a transposed convolution with ones, then the value around the map."""
    name, strides, pads = node.name, [node.stride_y, node.stride_x], (node.top, node.left, node.bottom, node.right)
    if max(strides) > 1:
        ones, apart = np.ones((node.ishape.c, 1, 1, 1), np.float32), f"{name}.apart"
        made.add("ConvTranspose", [x], apart, apart, ones=ones, strides=strides, group=node.ishape.c)
        x = apart
    around, value = np.array([0, 0, *pads[:2], 0, 0, *pads[2:]]), np.array(node.value * scale, np.float32)
    made.add("Pad", [x], f"{name}.acc", name, pads=around, value=value)
