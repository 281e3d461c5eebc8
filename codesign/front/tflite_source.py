"""A TFLite file of a network in integers to a Source, channels last."""

import math
from pathlib import Path

import numpy as np

from codesign.errors import UnsupportedError
from codesign.front.limits import MOST_ELEMENTS
from codesign.front.problem import Problem, refuse
from codesign.front.quantization import RealArray
from codesign.front.shapes import gate_last
from codesign.front.source import (
    Add,
    Affine,
    Clip,
    Concat,
    Constant,
    Decide,
    Layout,
    Multiply,
    Reshape,
    Source,
    SourceInput,
)
from codesign.front.tflite_model import TfliteOperator, read_tflite
from codesign.front.tflite_places import activation, moved, parts
from codesign.front.tflite_rules import TFLITE_OPERATORS
from codesign.front.tflite_translation import TfliteRefusal, TfliteTranslation
from codesign.front.tflite_windows import convolution, dense, mean, pooling, transposed_convolution

_CLIPS = {0: None, 1: (0.0, math.inf), 2: (-1.0, 1.0), 3: (0.0, 6.0)}  # of tflite.ActivationFunctionType


def read_tflite_source(path: Path) -> Source:
    """Return the network of a TFLite file. Raise ConfigError if it is not whole, UnsupportedError with all problems."""
    model = read_tflite(path)
    if len(model.inputs) != 1:
        raise UnsupportedError(f"{path}: expected one input, found {len(model.inputs)}")
    entry = model.tensors[model.inputs[0]]
    if not 2 <= len(entry.shape) <= 4 or min(entry.shape) < 1 or math.prod(entry.shape) > MOST_ELEMENTS:
        raise UnsupportedError(
            f"{path}: the input {entry.name!r} has the shape {list(entry.shape)}; expected a batch of maps [Y, X, C], "
            "rows [X, C] or vectors [C], of known extents"
        )
    if not any(tensor.scales.size for tensor in model.tensors):
        raise UnsupportedError(
            f"{path}: a float network; TFLite is read where it is quantized to integers, float networks from ONNX"
        )
    state = TfliteTranslation(model)
    _read(state)
    refuse(str(path), state.problems)
    missing = [model.tensors[index].name for index in model.outputs if state.name(index) not in state.shapes]
    if missing:
        raise UnsupportedError(f"{path}: no operator that is read gives its output {missing[0]!r}")
    return Source(
        name=path.stem,
        layout=Layout.HWC,
        input=SourceInput(tensor=state.entry, shape=entry.shape[1:], integer=entry.dtype is not np.float32),
        outputs=tuple(state.name(index) for index in model.outputs),
        operators=tuple(state.operators),
        constants=state.constants,
    )


def _read(state: TfliteTranslation) -> None:
    """Translate all operators; a problem of one does not keep others from being told."""
    index = state.model.inputs[0]
    first, entry = state.entry, state.model.tensors[index]
    state.shapes[first] = entry.shape[1:]
    if entry.dtype is not np.float32:
        try:
            state.quantize("input", first, index, f"{first}:real")
        except ValueError as error:
            state.problems.append(Problem(node=entry.name, operator="input", found=str(error)))
            return
        state.same[index] = f"{first}:real"
    for i, op in enumerate(state.model.operators):
        name = f"{op.name}_{i}"
        maps = [j for j in op.inputs if j >= 0 and state.model.tensors[j].values is None]
        if op.name not in TFLITE_OPERATORS:
            state.problem(name, op, "is not supported; docs/operators.md lists those that are")
        elif all(state.name(j) in state.shapes for j in maps):
            try:
                _translate(state, name, op)
            except (ValueError, IndexError, KeyError, TypeError) as error:
                state.problem(name, op, str(error) or "is not as TFLite describes it")


def _translate(state: TfliteTranslation, name: str, op: TfliteOperator) -> None:  # noqa: C901, PLR0912 (a case for each)
    """Translate one operator, and the quantization of what it gives. Raise ValueError if it is refused."""
    if op.name in ("SPLIT", "SPLIT_V"):
        parts(state, name, op)
        return
    x, output = state.map(op, _map_of(state, op)), f"{state.name(op.outputs[0])}:sum"
    match op.name:
        case "CONV_2D" | "DEPTHWISE_CONV_2D":
            convolution(state, name, op, x, output)
        case "TRANSPOSE_CONV":
            transposed_convolution(state, name, op, x, output)
        case "FULLY_CONNECTED":
            dense(state, name, op, x, output)
        case "AVERAGE_POOL_2D" | "MAX_POOL_2D":
            pooling(state, name, op, x, output)
        case "ADD" | "SUB" | "MUL":
            _arithmetic(state, name, op, output)
        case _ if activation(state, name, op, x, output):
            pass
        case _ if moved(state, name, op, x, output):
            pass
        case "CONCATENATION":
            maps = tuple(state.map(op, i) for i in range(len(op.inputs)))
            rank = len(state.shapes[x])
            axis = op.options.get("Axis", 0)
            state.emit(Concat(name=name, inputs=maps, output=output, axis=(axis + rank if axis < 0 else axis - 1)))
        case "MEAN":
            mean(state, name, op, x, output)
        case "RESHAPE" | "SQUEEZE":
            shape = state.model.tensors[op.outputs[0]].shape
            state.emit(Reshape(name=name, input=x, output=output, shape=shape[1:]))
        case "RELU" | "RELU6":
            high = 6.0 if op.name == "RELU6" else math.inf
            state.emit(Clip(name=name, input=x, output=output, low=0.0, high=high))
        case "SOFTMAX":
            axis = len(state.shapes[x]) - 1
            state.emit(Decide(name=name, input=x, output=output, operator="Softmax", axis=axis))
        case "ARG_MAX":
            state.emit(Decide(name=name, input=x, output=state.name(op.outputs[0]), operator=op.name))
            return
        case "DEQUANTIZE" | "QUANTIZE":
            output = x
    _finish(state, name, op, output)


def _map_of(state: TfliteTranslation, op: TfliteOperator) -> int:
    """Return which input is the map that an operator works on."""
    if op.name == "TRANSPOSE_CONV":
        return 2
    first = state.model.tensors[op.inputs[0]].values is not None
    return 1 if first and op.name in ("ADD", "SUB", "MUL") else 0


def _arithmetic(state: TfliteTranslation, name: str, op: TfliteOperator, output: str) -> None:
    """Translate the sum, difference or product of two maps, or of a map and a constant."""
    fixed = [state.model.tensors[index].values is not None for index in op.inputs[:2]]
    if not any(fixed):
        pair = (state.map(op, 0), state.map(op, 1))
        if op.name == "MUL":
            state.emit(Multiply(name=name, inputs=gate_last(pair, state.shapes), output=output))
        else:
            state.emit(Add(name=name, inputs=pair, output=output, sign=1 if op.name == "ADD" else -1))
        return
    at = 1 if fixed[0] else 0
    x = state.map(op, at)
    c = _per_channel(state.real(op, 1 - at), state.shapes[x][-1])
    one, none = np.ones(()), np.zeros(())
    match op.name, fixed[0]:
        case "MUL", _:
            factor, offset = c, none
        case "ADD", _:
            factor, offset = one, c
        case _, True:
            factor, offset = -one, c
        case _:
            factor, offset = one, -c
    state.constants[f"{name}:factor"], state.constants[f"{name}:offset"] = Constant(factor), Constant(offset)
    state.emit(Affine(name=name, input=x, output=output, factor=f"{name}:factor", offset=f"{name}:offset"))


def _per_channel(values: RealArray, channels: int) -> RealArray:
    """Return a constant of one value, or one for each channel. Raise TfliteRefusal of any other."""
    if values.size == 1:
        return values.reshape(())
    if values.size != channels or values.shape[-1] != channels:
        raise TfliteRefusal(f"has a constant {list(values.shape)}; expected one value, or one for {channels} channels")
    return values.reshape(-1)


def _finish(state: TfliteTranslation, name: str, op: TfliteOperator, tensor: str) -> None:
    """Emit the fused activation, and the quantization of what the operator gives."""
    index = op.outputs[0]
    bounds = _CLIPS.get(op.options.get("FusedActivationFunction", 0), ())
    if bounds == ():
        raise TfliteRefusal("has a fused activation that is not supported; expected NONE, RELU, RELU6 or RELU_N1_TO_1")
    if bounds:
        clipped = f"{tensor}:clipped"
        state.emit(Clip(name=f"{name}:activation", input=tensor, output=clipped, low=bounds[0], high=bounds[1]))
        tensor = clipped
    if state.model.tensors[index].dtype is np.float32:
        if op.name != "DEQUANTIZE":
            raise TfliteRefusal("gives real values; expected a network quantized to integers throughout")
        state.same[index] = tensor
        return
    state.quantize(f"{name}:quantize", tensor, index, state.name(index))
