"""Onnx's own cases for single operators, each read as a file: equal, refused, or wrong."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from codesign.errors import UnsupportedError
from codesign.front.evaluate import evaluate
from codesign.front.quantization import RealArray
from codesign.front.read import Imported, prepared, read_file, read_network
from codesign.front.runtime import from_file, to_file
from codesign.front.shapes import extents
from codesign.front.source import Decide, Layout, Source
from codesign.model import golden
from codesign.testing.onnx_cases import Array, Given, NodeCase, variants

BITS = 8  # of inputs, weights and outputs
_QONNX = "qonnx.custom_op.general"
_QUANTIZED = frozenset({"QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul"})
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_NEAR_HALF = 0.01  # of numbers of 16 bits
_NEAR = 1e-4  # of the largest value: float32 in the cases, float64 here


class Verdict(Enum):
    """How a case ends."""

    EQUAL = "equal"
    STEP = "equal within a step"
    HOST = "left to the host"
    REFUSED = "refused"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a case ended, and what was said of it."""

    name: str
    operators: str
    verdict: Verdict
    told: str = ""


def judged(case: NodeCase, path: Path) -> Outcome:
    """Return how a case ends when its network is read, quantized to 8 bits, and computed in integers.

    `path`: a file for the network. Its inputs may be given in several ways: told is a wrong one, else the best.
    """
    found = []
    for files in variants(case):
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


def _judged(path: Path, given: Given) -> tuple[Verdict, str]:
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


def _differs(source: Source, given: Given) -> str:
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


def _in_words(path: Path, given: Given) -> tuple[Verdict, str]:
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
    """Return the name of the only input that has no value."""
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
