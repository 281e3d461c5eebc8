"""Whether two ONNX graphs compute the same: what other programs change when they save a file again does not matter."""

from typing import Any

import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper


def tensors_of(made: Any) -> dict[str, npt.NDArray[Any]]:
    """Return the initializers of an ONNX graph by name. Raise ValueError if one is elsewhere, damaged or double."""
    found: dict[str, npt.NDArray[Any]] = {}
    for tensor in made.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            raise ValueError(f"tensor {tensor.name!r} lies in another file; save the model as one file")
        if tensor.name in found:
            raise ValueError(f"tensor {tensor.name!r} is there twice")
        found[tensor.name] = numpy_helper.to_array(tensor)
    return found


def difference_of(found: Any, expected: Any) -> str:
    """Return the first difference in what two ONNX graphs compute; empty if there is none.

    Names of nodes, notes, shapes of inner tensors and any order do not matter, nor does the number of images.
    """
    if found.sparse_initializer:
        return "it has sparse tensors"
    constants = tensors_of(found)
    parts = (
        ("tensor", _same_arrays(constants), _same_arrays(tensors_of(expected))),
        ("node that gives", _same_nodes(found), _same_nodes(expected)),
        ("input", _same_ends(found.input, constants), _same_ends(expected.input, {})),
        ("output", _same_ends(found.output, {}), _same_ends(expected.output, {})),
    )
    for what, has, wanted in parts:
        for name in [*wanted, *has]:
            if has.get(name) != wanted.get(name):
                how = "differs" if name in has and name in wanted else "is missing" if name in wanted else "was added"
                return f"the {what} {name!r} {how}"
    return "" if len(found.node) == len(expected.node) else "a node is there twice"


def _same_arrays(tensors: dict[str, npt.NDArray[Any]]) -> dict[str, object]:
    return {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in tensors.items()}


def _same_nodes(made: Any) -> dict[str, object]:
    """Return what every node computes, by the tensors that it gives."""
    return {
        ", ".join(n.output): (
            n.op_type,
            "" if n.domain == "ai.onnx" else n.domain,
            tuple(n.input),
            {a.name: helper.get_attribute_value(a) for a in n.attribute},
        )
        for n in made.node
    }


def _same_ends(ends: Any, constants: dict[str, npt.NDArray[Any]]) -> dict[str, object]:
    """Return type and shape of every input or output that is no constant; the first extent is the number of images."""
    found: dict[str, object] = {}
    for end in ends:
        if end.name not in constants:
            tensor = end.type.tensor_type
            found[end.name] = (tensor.elem_type, tuple(d.dim_value for d in tensor.shape.dim[1:]))
    return found
