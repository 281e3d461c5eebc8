"""An ONNX file of a quantized network to a Source: QONNX, quantize and dequantize nodes, quantized operators."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from onnx import TensorProto

from codesign.errors import UnsupportedError
from codesign.front import onnx_constants, onnx_layers, onnx_quantization
from codesign.front.limits import MOST_ELEMENTS
from codesign.front.onnx_model import OnnxModel, OnnxNode, parse_onnx, read_model
from codesign.front.problem import refuse
from codesign.front.rules import rule_problem
from codesign.front.source import Constant, Layout, Source, SourceInput
from codesign.front.translation import Refusal, Translation

_INTEGERS = (TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16, TensorProto.UINT16)


_MOVES = frozenset({"Identity", "Dropout", "MaxPool", "GlobalMaxPool", "Reshape", "Flatten", "Squeeze", "Unsqueeze",
                    "Transpose", "Concat", "Pad", "Resize", "Split", "Slice", "DepthToSpace",
                    "SpaceToDepth"})  # fmt: skip


def read_onnx_source(path: Path, shape: tuple[int, ...] | None = None) -> Source:
    """Return the network of an ONNX file, channels first.

    `shape`: that of the input without the batch, where the file leaves it open. Raise ConfigError if the file is not
    whole, UnsupportedError with all problems of all nodes.
    """
    return source_of(read_model(path, parse_onnx(path)), shape)


def source_of(model: OnnxModel, shape: tuple[int, ...] | None = None) -> Source:
    """Return the network of a parsed file; see read_onnx_source."""
    inner = input_shape(model, shape)
    model_input = SourceInput(tensor=model.input, shape=inner, integer=model.input_type in _INTEGERS)
    state = Translation(model, dict(model.arrays), {model.input: inner})
    if model_input.integer:
        state.raw.add(model.input)
    state.each(_translate)
    refuse(str(model.path), state.problems)
    for output in model.outputs:
        if state.is_constant(output):
            raise UnsupportedError(f"{model.path}: its output {output!r} is a constant")
    outputs = tuple(state.same.get(output, output) for output in model.outputs)
    missing = [name for name, tensor in zip(model.outputs, outputs, strict=True) if tensor not in state.shapes]
    if missing:
        raise UnsupportedError(f"{model.path}: no node gives its output {missing[0]!r}")
    return Source(
        name=model.path.stem,
        layout=Layout.CHW,
        input=model_input,
        outputs=outputs,
        operators=_needed(state, outputs),
        constants=state.constants,
    )


def input_shape(model: OnnxModel, given: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the shape of the input without the batch. Raise UnsupportedError naming the input if it is open or odd."""
    found = model.extents[1:]
    named = f"{model.path}: the input {model.input!r} has the extents {_extents(model.extents)}"
    if given is not None:
        fits = len(given) == len(found) and all(f in (None, g) for f, g in zip(found, given, strict=True))
        if not fits or min(given, default=0) < 1:
            raise UnsupportedError(f"{named}; the shape {list(given)} that was given does not fit it")
        found = given
    whole = tuple(n for n in found if n is not None)
    if not found:
        raise UnsupportedError(f"{named}; expected a batch of maps [C, Y, X], of rows [C, X] or of vectors [C]")
    if len(whole) < len(found):
        raise UnsupportedError(f"{named}; give those behind the batch, such as --input-shape 3,224,224")
    if math.prod(whole) > MOST_ELEMENTS:
        raise UnsupportedError(f"{named}; expected at most {MOST_ELEMENTS:,} elements")
    if len(whole) > 3:
        raise UnsupportedError(f"{named}; expected a batch of maps [C, Y, X], of rows [C, X] or of vectors [C]")
    return whole


def _extents(extents: tuple[int | None, ...]) -> str:
    return f"[{', '.join('?' if n is None else str(n) for n in extents)}]"


def _translate(state: Translation, node: OnnxNode) -> None:
    """Translate one node. Raise ValueError if it is refused."""
    problem = rule_problem(node)
    if problem is not None:
        if not onnx_constants.fold(state, node):
            state.problems.append(problem)
            state.lost.update(node.outputs)
        return
    if onnx_constants.fold(state, node):
        return
    if onnx_quantization.translate(state, node):
        return
    _layer(state, node)


def _layer(state: Translation, node: OnnxNode) -> None:
    """Translate a node of real values, or one that moves integers unchanged. Raise ValueError if it is refused."""
    maps = [name for name in node.inputs if name and not state.is_constant(name)]
    raw = state.raw.intersection(maps)
    if raw and node.operator == "Cast" and maps == [state.model.input]:
        onnx_quantization.cast_input(state, node)
        return
    if raw and (node.operator not in _MOVES or len(raw) < len(maps)):
        raise Refusal(f"computes with the integers {min(raw)!r}", "put a DequantizeLinear before it")
    if raw and node.attributes.get("mode") == "linear":
        instead = "put a DequantizeLinear before it and a QuantizeLinear behind it"
        raise Refusal("interpolates integers, which runtimes round in ways of their own", instead)
    onnx_layers.translate(state, _of_reals(state, node) if raw else node)
    if raw:
        held = {state.integers.get(state.tensor(name)) for name in maps}
        (quantization,) = held if len(held) == 1 else (None,)
        if quantization is None:
            what = "joins integers of several scales" if len(held) > 1 else "reads integers that nothing quantizes"
            raise Refusal(what, "put a DequantizeLinear before it")
        for output in filter(None, node.outputs):
            state.raw.add(output)
            state.integers[state.tensor(output)] = quantization


def _of_reals(state: Translation, node: OnnxNode) -> OnnxNode:
    """Return a node that moves integers with the value of its padding as the real number that this stands for."""
    if node.operator != "Pad":
        return node
    found = state.integers.get(state.tensor(node.inputs[0]))
    if found is None:
        raise Refusal("reads integers that nothing quantizes", "put a DequantizeLinear before it")
    value = found.scale * (state.number(node, 2, "value", 0.0) - found.zero)
    made = state.keep(f"{node.name}:value", Constant(np.asarray(value)))
    return replace(node, inputs=(*node.inputs[:2], made, *node.inputs[3:]))


def _needed(state: Translation, outputs: tuple[str, ...]) -> tuple:  # type: ignore[type-arg]
    """Return the operators that the outputs depend on, in order."""
    from codesign.front.source import inputs_of

    needed, kept = set(outputs), []
    for op in reversed(state.operators):
        if op.output in needed:
            needed.update(inputs_of(op))
            kept.append(op)
    return tuple(reversed(kept))
