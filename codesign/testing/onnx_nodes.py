"""The cases that come with onnx for single operators, each read as a file: equal, refused, or wrong.

A case has a network of one or few nodes, inputs and what they give. Its first input is that of the network; the others
become constants, or maps that are cut from one input.
"""

import importlib
import math
import pkgutil
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from codesign.errors import UnsupportedError
from codesign.front.evaluate import evaluate
from codesign.front.quantization import RealArray
from codesign.front.read import Imported, prepared, read_file, read_network
from codesign.front.rules import RULES
from codesign.front.runtime import from_file, to_file
from codesign.front.shapes import extents
from codesign.front.source import Decide, Layout, Source
from codesign.model import golden

Array = npt.NDArray[Any]

FILES = ("pytorch-converted", "pytorch-operator", "simple")  # kinds of cases that are files
BITS = 8  # of inputs, weights and outputs
_QONNX = "qonnx.custom_op.general"
_QUANTIZED = frozenset({"QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul"})
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_JOINED = frozenset({"Add", "Sub", "Mul", "Div", "Sum", "Concat", "PRelu"})
_LEFT_OUT = frozenset({"Cast", "Identity", "Constant"})  # hundreds of cases on types of numbers, and no arithmetic
_NEAR_HALF = 0.01  # of numbers of 16 bits
_NEAR = 1e-4  # of the largest value: float32 in the cases, float64 here


class Verdict(Enum):
    """How a case ends."""

    EQUAL = "equal"
    STEP = "equal within a step"
    HOST = "left to the host"
    REFUSED = "refused"
    WRONG = "wrong"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a case ended, and what was said of it."""

    name: str
    operators: str
    verdict: Verdict
    told: str = ""


def node_cases() -> tuple[NodeCase, ...]:
    """Return onnx's own cases of networks of operators that are read, by name. It takes seconds to make them."""
    wanted = frozenset(RULES) - _LEFT_OUT
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers that onnx's own cases let overflow
        found = [*_made_cases(wanted), *_stored_cases()]
    kept = [case for case in found if {node.op_type for node in case.model.graph.node} <= wanted]
    return tuple(sorted(kept, key=lambda case: case.name))


def judged(case: NodeCase, path: Path) -> Outcome:
    """Return how a case ends when its network is read, quantized to 8 bits, and computed in integers.

    `path`: a file for the network. Its inputs may be given in several ways: told is a wrong one, else the best.
    """
    found = []
    for files in _variants(_as_batch(case)):
        try:
            verdict, told = _judged(path, files)
        except UnsupportedError as error:
            verdict, told = Verdict.REFUSED, _reason(str(error))
        except Exception as error:  # whatever it is, it is no clear refusal
            verdict, told = Verdict.WRONG, f"{type(error).__name__}: {error}"
        found.append(Outcome(name=case.name, operators=case.operators, verdict=verdict, told=told))
    order = list(Verdict)
    wrong = [outcome for outcome in found if outcome.verdict is Verdict.WRONG]
    return (wrong or sorted(found, key=lambda outcome: order.index(outcome.verdict)))[0]


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
class _Given:
    """A network of one input as a file would have it, what goes in, and what onnx says that comes out."""

    model: Any
    x: Array
    y: tuple[Array, ...]


def _variants(case: NodeCase) -> list[_Given]:
    """Return the case with its other inputs as constants; and, where they fit, with all cut from one input."""
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
    """Return the names of the network's inputs, those that have a value of their own left out."""
    held = {tensor.name for tensor in case.model.graph.initializer}
    return [entry.name for entry in case.model.graph.input if entry.name not in held]


def _with_constants(case: NodeCase) -> _Given:
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    names = _names(case)
    for name, values in zip(names[1:], case.inputs[1:], strict=False):
        model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
    _keep_inputs(model, set(names[:1]))
    x = case.inputs[0] if case.inputs else np.zeros(0)
    return _Given(model=model, x=x, y=case.outputs)


def _keep_inputs(model: Any, names: set[str]) -> None:
    kept = [entry for entry in model.graph.input if entry.name in names]
    del model.graph.input[:]
    model.graph.input.extend(kept)


def _cut_from_one(case: NodeCase) -> _Given:
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
    return _Given(model=model, x=x, y=case.outputs)


def _judged(path: Path, given: _Given) -> tuple[Verdict, str]:
    """Return how one network ends. Raise UnsupportedError if it is refused, and whatever else goes wrong.

    What it means is compared with onnx's own results. Its integers are compared with what it means.
    """
    source = _float(path, given.model)
    if source.input.integer or _QUANTIZED & {node.op_type for node in given.model.graph.node}:
        return _compared(read_network(path), given.x, given.y)
    told = _differs(source, given)
    if told:
        return Verdict.WRONG, told
    if any(isinstance(op, Decide) for op in source.operators):
        return Verdict.HOST, ""
    return _in_words(path, given)


def _float(path: Path, model: Any) -> Source:
    onnx.save(model, str(path))
    found = read_file(path)
    assert not isinstance(found, Imported)
    return found[1]


def _differs(source: Source, given: _Given) -> str:
    """Return how the network as it was read differs from what onnx says; nothing if it does not."""
    ready = prepared(source.name, source)
    x = given.x.astype(np.float64)
    read = evaluate(source, x)
    passed = evaluate(ready, from_file(x, ready.axes[0], extents(ready.input.shape, Layout.HWC)))
    if any(isinstance(op, Decide) for op in source.operators):
        return ""  # what is left of it gives what goes in
    for i, wanted in enumerate(given.y[: len(source.outputs)]):
        last = passed[ready.outputs[i]]
        maps = last.reshape(len(last), *(1,) * (4 - last.ndim), *last.shape[1:])
        for what, y in (("as read", read[source.outputs[i]]), ("after passes", to_file(maps, ready.axes[i + 1]))):
            if y.shape != wanted.shape:
                return f"{what}, it gives {list(y.shape)} in place of {list(wanted.shape)}"
            off = float(np.abs(y - wanted).max())
            near = _NEAR if wanted.dtype.itemsize >= 4 else _NEAR_HALF
            if not off <= near * max(float(np.abs(wanted).max()), 1.0):
                return f"{what}, it is off by {off:g}"
    return ""


def _in_words(path: Path, given: _Given) -> tuple[Verdict, str]:
    """Return how the network ends with 8 bits for input, weights and outputs, all scales being powers of two."""
    model = onnx.ModelProto()
    model.CopyFrom(given.model)
    step = _step(given.x)
    x = _rounded(given.x, step)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    weights = _round_weights(model, tensors, step)
    source = _float(path, model)
    read = evaluate(source, x)
    wanted = [read[output] for output in source.outputs]
    steps = [_step(y) for y in wanted]
    _quantize(model, step, weights, steps)
    onnx.save(model, str(path))
    return _compared(read_network(path), x, [_rounded(y, s) for y, s in zip(wanted, steps, strict=True)])


def _round_weights(model: Any, tensors: Mapping[str, Any], step: float) -> dict[str, float]:
    """Round the weights of layers to 8 bits, and biases to their steps; return the steps of weights by name."""
    steps = {}
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            if node.op_type in _WEIGHTED and name in tensors and i < 2:
                steps[name] = _step(numpy_helper.to_array(tensors[name]))
                _set(tensors[name], _rounded(numpy_helper.to_array(tensors[name]), steps[name]))
        if node.op_type in _WEIGHTED and len(node.input) > 2 and node.input[2] in tensors and node.input[1] in steps:
            fine = step * steps[node.input[1]] / 256
            _set(tensors[node.input[2]], np.rint(numpy_helper.to_array(tensors[node.input[2]]) / fine) * fine)
        if node.op_type == "Transpose" and node.input[0] in tensors and len(model.graph.node) > 1:
            name = node.input[0]  # weights that are turned first
            steps[name] = _step(numpy_helper.to_array(tensors[name]))
            _set(tensors[name], _rounded(numpy_helper.to_array(tensors[name]), steps[name]))
    return steps


def _compared(network: Imported, x: Array, wanted: Iterable[Array]) -> tuple[Verdict, str]:
    """Return how the integers of the network compare with real numbers, or with those of a file of integers."""
    origin, shape = network.origin, network.graph.input.shape
    assert origin is not None
    maps = from_file(x, origin.input.axes, (shape.y, shape.x, shape.c))
    grid, zero = origin.input.grid, origin.input.file_grid.zero
    given = maps.astype(np.int64) - zero + grid.zero if x.dtype.kind in "iu" else grid.integers(maps)
    off = 0
    for end, y, values in zip(origin.outputs, golden.run_outputs(network.graph, given), wanted, strict=True):
        ours = to_file(y, end.axes).astype(np.int64) - end.grid.zero
        theirs = values.astype(np.int64) - end.file_grid.zero if values.dtype.kind in "iu" else values / end.grid.scale
        if ours.shape != theirs.shape:
            return Verdict.WRONG, f"gives {list(ours.shape)} in place of {list(theirs.shape)}"
        off = max(off, int(np.abs(ours - np.rint(theirs)).max()))
    verdict = {0: Verdict.EQUAL, 1: Verdict.STEP}.get(off, Verdict.WRONG)
    return verdict, "" if off < 2 else f"off by {off} steps"


def _step(values: Array) -> float:
    """Return the power of two with which 8 bits hold all values."""
    reach = float(np.abs(values).max()) / (2 ** (BITS - 1) - 1)
    return 2.0 ** math.ceil(math.log2(reach)) if reach else 1.0


def _rounded(values: Array, step: float) -> RealArray:
    low, high = -(2 ** (BITS - 1)), 2 ** (BITS - 1) - 1
    rounded: RealArray = np.clip(np.rint(values.astype(np.float64) / step), low, high) * step
    return rounded


def _set(tensor: Any, values: Array) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    tensor.CopyFrom(numpy_helper.from_array(values.astype(dtype), tensor.name))


def _entry(model: Any) -> str:
    """Return the name of the only input that has no value of its own."""
    held = {tensor.name for tensor in model.graph.initializer}
    return next(str(entry.name) for entry in model.graph.input if entry.name not in held)


def _quantize(model: Any, step: float, weights: Mapping[str, float], steps: Sequence[float]) -> None:
    """Put a Quant behind the input and weights, and before the outputs."""
    graph, first = model.graph, _entry(model)
    rounded = {first: step, **weights}
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = f"{name}:rounded" if name in rounded else name
    for name, scale in rounded.items():
        graph.node.append(_quant(graph, name, f"{name}:rounded", scale))
    for output, scale in zip(graph.output, steps, strict=True):
        graph.node.append(_quant(graph, output.name, f"{output.name}:rounded", scale))
        output.name = f"{output.name}:rounded"
    model.opset_import.append(helper.make_opsetid(_QONNX, 1))


def _quant(graph: Any, name: str, output: str, scale: float) -> Any:
    parameters = [f"{output}:{what}" for what in ("scale", "zero", "bits")]
    graph.initializer.extend(
        numpy_helper.from_array(np.array(value, np.float32), parameter)
        for parameter, value in zip(parameters, (scale, 0.0, BITS), strict=True)
    )
    return helper.make_node(
        "Quant", [name, *parameters], [output], domain=_QONNX, signed=1, narrow=0, rounding_mode="ROUND"
    )


def _reason(text: str) -> str:
    """Return what a refusal says of the file's first problem, without the file's name."""
    lines = text.splitlines()
    return (lines[1] if len(lines) > 1 else lines[0].partition(": ")[2]).strip()
