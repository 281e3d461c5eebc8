"""Arithmetic of constants: nodes of an ONNX file whose result does not depend on the input."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import helper

from codesign.front.limits import MOST_WEIGHTS
from codesign.front.onnx_model import OnnxNode
from codesign.front.translation import Refusal, Translation

Array = npt.NDArray[Any]

_BINARY = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}


def fold(state: Translation, node: OnnxNode) -> bool:
    """Compute a node of constants, and keep what it gives; False if it is no such node. Raise Refusal if it is odd."""
    given = [name for name in node.inputs if name]
    if node.domain:
        return False
    if node.operator == "Shape" and not state.is_constant(given[0]):
        state.arrays[node.outputs[0]] = np.array([1, *state.shape(given[0])], np.int64)
        return True
    if not all(name in state.arrays for name in given):
        return False
    found = _value(state, node, [state.arrays[name] for name in given])
    if found is None:
        return False
    state.arrays[node.outputs[0]] = found
    return True


def axes_of(state: Translation, node: OnnxNode) -> tuple[int, ...] | None:
    """Return the axes that a node names, as an attribute or as its second input; None if it names none."""
    if "axes" in node.attributes:
        return tuple(int(a) for a in node.attributes["axes"])
    if len(node.inputs) > 1 and node.inputs[1]:
        return tuple(int(a) for a in state.array(node, 1, "axes").reshape(-1))
    return None


def _value(state: Translation, node: OnnxNode, a: list[Array]) -> Array | None:  # noqa: C901, PLR0912 (a case for each)
    """Return what the node gives; None if it is not one of those that are folded."""
    match node.operator:
        case "Constant":
            (value,) = node.attributes.values()
            return np.asarray(value)
        case "Identity" | "Dropout":
            return a[0]
        case "Cast":
            return a[0].astype(helper.tensor_dtype_to_np_dtype(node.attributes["to"]))
        case "Add" | "Sub" | "Mul" | "Div":
            return _binary(node.operator, a)
        case "Neg":
            return -a[0]
        case "Sqrt":
            return np.sqrt(np.maximum(a[0], 0))
        case "Transpose":
            return a[0].transpose(node.attributes.get("perm"))
        case "Reshape":
            return a[0].reshape([int(n) for n in a[1]])
        case "Gather":
            return np.asarray(a[0].take(a[1], axis=node.attributes.get("axis", 0)))
        case "Unsqueeze":
            return np.expand_dims(a[0], axes_of(state, node) or ())
        case "Squeeze":
            return a[0].squeeze(axes_of(state, node))
        case "Concat":
            return np.concatenate(a, axis=node.attributes["axis"])
        case "ConstantOfShape":
            return _filled(node, a[0])
        case "Slice" if len(a) >= 3:
            return _slice(a)
        case _:
            return None


def _binary(operator: str, a: list[Array]) -> Array:
    if math.prod(np.broadcast_shapes(a[0].shape, a[1].shape)) > MOST_WEIGHTS:
        raise Refusal(f"gives a constant of more than {MOST_WEIGHTS:,} elements")
    with np.errstate(all="ignore"):  # what is not finite is refused where it is read
        found = _BINARY[operator](a[0], a[1])
    return np.asarray(found.astype(a[0].dtype) if a[0].dtype.kind in "iu" else found)


def _filled(node: OnnxNode, shape: Array) -> Array:
    extents = [int(n) for n in shape.reshape(-1)]
    if math.prod(extents) > MOST_WEIGHTS or min(extents, default=1) < 0:
        raise Refusal(f"gives a constant {extents}; at most {MOST_WEIGHTS:,} elements are read")
    value = np.asarray(node.attributes.get("value", np.zeros(1, np.float32))).reshape(-1)
    return np.full(extents, value[0])


def _slice(a: list[Array]) -> Array:
    starts, ends = (x.reshape(-1).tolist() for x in a[1:3])
    axes = a[3].reshape(-1).tolist() if len(a) > 3 else list(range(len(starts)))
    steps = a[4].reshape(-1).tolist() if len(a) > 4 else [1] * len(starts)
    parts = [slice(None)] * a[0].ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        parts[axis] = slice(start, end, step)
    return a[0][tuple(parts)]
