"""The cases that come with onnx for single operators, as networks of one input.

A case has a network of one or few nodes, inputs and what they give. Its first input is that of the network; the others
become constants, or maps that are cut from one input.
"""

import importlib
import pkgutil
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from codesign.front.rules import RULES

Array = npt.NDArray[Any]

FILES = ("pytorch-converted", "pytorch-operator", "simple")  # kinds of cases that are files
_JOINED = frozenset({"Add", "Sub", "Mul", "Div", "Sum", "Concat", "PRelu"})
_LEFT_OUT = frozenset({"Cast", "Identity", "Constant"})  # hundreds of cases on types of numbers, and no arithmetic


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NodeCase:
    """A case of onnx: a network, its inputs and its outputs, with their batch."""

    name: str
    model: Any
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]

    @property
    def operators(self) -> str:
        """The operators of the network, by name."""
        return ", ".join(sorted({node.op_type for node in self.model.graph.node}))


def node_cases() -> tuple[NodeCase, ...]:
    """Return onnx's own cases of networks of operators that are read, by name. It takes seconds to make them."""
    wanted = frozenset(RULES) - _LEFT_OUT
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers that onnx's own cases let overflow
        found = [*_made_cases(wanted), *_stored_cases()]
    kept = [case for case in found if {node.op_type for node in case.model.graph.node} <= wanted]
    return tuple(sorted(kept, key=lambda case: case.name))


def _made_cases(wanted: frozenset[str]) -> list[NodeCase]:
    """Return the cases that onnx's modules make when they are imported; of other operators hardly any is made."""
    package = importlib.import_module("onnx.backend.test.case.node")
    names = {operator.lower() for operator in wanted}
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.replace("_", "") in names:
            importlib.import_module(f"{package.__name__}.{module.name}")
    return [
        NodeCase(name=case.name, model=case.model, inputs=tuple(map(np.asarray, x)), outputs=tuple(map(np.asarray, y)))
        for case in package.__dict__["_NodeTestCases"]
        for x, y in case.data_sets[:1]
        if all(isinstance(values, np.ndarray | np.generic) for values in (*x, *y))
    ]


def _stored_cases() -> list[NodeCase]:
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data"
    found = []
    for kind in FILES:
        for at in sorted((folder / kind).glob("*/model.onnx")):
            data, model = at.parent / "test_data_set_0", onnx.load(str(at))
            if any(not i.type.HasField("tensor_type") for i in (*model.graph.input, *model.graph.output)):
                continue
            x, y = (
                tuple(numpy_helper.to_array(onnx.load_tensor(str(path))) for path in sorted(data.glob(f"{end}_*.pb")))
                for end in ("input", "output")
            )
            found.append(NodeCase(name=at.parent.name, model=model, inputs=x, outputs=y))
    return found


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Given:
    """A network of one input as a file would have it, what goes in, and what onnx says that comes out."""

    model: Any
    x: Array
    y: tuple[Array, ...]


def variants(case: NodeCase) -> list[Given]:
    """Return the case with its other inputs as constants; and, where they fit, with all cut from one input."""
    case = _as_batch(case)
    found = [_with_constants(case)]
    maps = [values for values in case.inputs if values.dtype.kind == "f"]
    if len(maps) == len(case.inputs) > 1 and {node.op_type for node in case.model.graph.node} <= _JOINED:
        shapes = {(*values.shape[:1], *values.shape[2:]) for values in maps}
        if len(shapes) == 1 and min(values.ndim for values in maps) > 1:
            found.append(_cut_from_one(case))
    return found


def _as_batch(case: NodeCase) -> NodeCase:
    """Return the case with vectors [N] as N images of one value, where all of its tensors are such or single values."""
    tensors = (*case.inputs, *case.outputs)
    vectors = {values.shape for values in tensors if values.size > 1 or values is tensors[0]}
    if len(vectors) != 1 or case.inputs[0].ndim != 1:
        return case
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    (shape,) = vectors
    for entry, values in zip(model.graph.input, case.inputs, strict=False):
        if values.shape == shape:
            entry.type.tensor_type.shape.dim.add().dim_value = 1
    x, y = (
        tuple(v[:, np.newaxis] if v.shape == shape else v for v in values) for values in (case.inputs, case.outputs)
    )
    return replace(case, model=model, inputs=x, outputs=y)


def _names(case: NodeCase) -> list[str]:
    """Return the names of the network's inputs, without those that have a value."""
    held = {tensor.name for tensor in case.model.graph.initializer}
    return [entry.name for entry in case.model.graph.input if entry.name not in held]


def _with_constants(case: NodeCase) -> Given:
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    names = _names(case)
    for name, values in zip(names[1:], case.inputs[1:], strict=False):
        model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
    _keep_inputs(model, set(names[:1]))
    x = case.inputs[0] if case.inputs else np.zeros(0)
    return Given(model=model, x=x, y=case.outputs)


def _keep_inputs(model: Any, names: set[str]) -> None:
    kept = [entry for entry in model.graph.input if entry.name in names]
    del model.graph.input[:]
    model.graph.input.extend(kept)


def _cut_from_one(case: NodeCase) -> Given:
    """Return the case with its inputs as parts of one, along the channels."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    names, x = _names(case), np.concatenate(case.inputs, axis=1)
    nodes, start = [], 0
    for name, values in zip(names, case.inputs, strict=True):
        stop = start + values.shape[1]
        bounds = [f"{name}:{what}" for what in ("starts", "ends", "axes")]
        model.graph.initializer.extend(
            numpy_helper.from_array(np.array([n], np.int64), bound)
            for bound, n in zip(bounds, (start, stop, 1), strict=True)
        )
        nodes.append(helper.make_node("Slice", ["joined", *bounds], [name], name=f"{name}:part"))
        start = stop
    nodes.extend(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    entry = helper.make_tensor_value_info("joined", TensorProto.FLOAT, x.shape)
    del model.graph.input[:]
    model.graph.input.append(entry)
    return Given(model=model, x=x, y=case.outputs)
