"""Operators that a file spells in several: channel shuffles, and activations of which one factor is their input."""

import math
from dataclasses import replace

from codesign.front.shapes import Shape, channel_axis, shapes_of
from codesign.front.source import (
    Activation,
    Affine,
    Clip,
    Function,
    Layout,
    Multiply,
    Operator,
    Quantize,
    Reshape,
    Shuffle,
    Source,
    Transpose,
)

_NEAR = 1e-6  # of numbers in float32


def recognized(source: Source) -> Source:
    """Return the source with one operator in place of each group that spells it; it computes the same.

    A Reshape, a Transpose and a Reshape may be a shuffle of channels. A map times a function of it may be a Swish, a
    HardSwish or a Mish.
    """
    shapes, _ = shapes_of(source)
    made: dict[str, tuple[Operator, ...]] = {}
    for op in source.operators:
        if isinstance(op, Reshape):
            made |= _shuffle(source, op, shapes)
        elif isinstance(op, Multiply):
            made |= _swish(source, op)
    operators = tuple(new for op in source.operators for new in made.get(op.output, (op,)))
    return replace(source, operators=operators)


def _shuffle(source: Source, first: Reshape, shapes: dict[str, Shape]) -> dict[str, tuple[Operator, ...]]:
    """Return the shuffle that begins with a Reshape, by the tensors in whose places it stands; empty if none does."""
    chain: list[Operator] = [first]
    kinds: list[type[Operator]] = [Transpose, Reshape]
    while kinds:
        tensor = chain[-1].output
        if not source.read_once(tensor):
            return {}
        (reader,) = source.readers(tensor)
        if isinstance(reader, kinds[0]):
            kinds.pop(0)
        elif not isinstance(reader, Quantize):  # rounding each value, wherever it lies
            return {}
        chain.append(reader)
    turn = next(op for op in chain if isinstance(op, Transpose))
    last = chain[-1]
    if first.input not in shapes or last.output not in shapes:
        return {}
    before, apart = shapes[first.input], first.shape
    groups = _groups(before, apart, turn.axes, source.layout)
    if groups is None or shapes[last.output] != before:
        return {}
    rounding = [op for op in chain if isinstance(op, Quantize)]
    names = [f"{last.output}:{i}" for i in range(len(rounding))] + [last.output]
    operators: list[Operator] = [
        Shuffle(name=first.name, input=first.input, output=names[0], groups=groups),
        *(replace(op, input=a, output=b) for op, a, b in zip(rounding, names, names[1:], strict=False)),
    ]
    return {**{op.output: () for op in chain}, last.output: tuple(operators)}


def _groups(before: Shape, apart: Shape, axes: tuple[int, ...], layout: Layout) -> int | None:
    """Return the groups whose channels change places with those within a group; None if other axes move."""
    if len(before) != 3 or len(apart) < 3:
        return None
    at = channel_axis(before, layout) if layout is Layout.CHW else len(apart) - 2
    swapped = list(range(len(apart)))
    swapped[at], swapped[at + 1] = at + 1, at
    c = before[channel_axis(before, layout)]
    if list(axes) != swapped or math.prod(apart[at : at + 2]) != c:
        return None
    return apart[at]


def _swish(source: Source, op: Multiply) -> dict[str, tuple[Operator, ...]]:
    """Return the activation that a product of a map and a function of it is; empty if it is none."""
    for x, gate in (op.inputs, op.inputs[::-1]):
        before = source.producer(gate)
        made = Activation(name=op.name, input=x, output=op.output, function=Function.SILU)
        if not source.read_once(gate):
            continue
        if isinstance(before, Activation) and before.input == x:
            if before.function is Function.SIGMOID:
                return {before.output: (), op.output: (made,)}
            if before.function is Function.HARD_SIGMOID and abs(before.alpha - 1 / 6) < _NEAR and before.beta == 0.5:
                return {before.output: (), op.output: (replace(made, function=Function.HARD_SWISH),)}
        if isinstance(before, Activation) and before.function is Function.TANH:
            inner = source.producer(before.input)
            if _is_of(source, inner, Function.SOFTPLUS, x):
                return {before.input: (), gate: (), op.output: (replace(made, function=Function.MISH),)}
        found = _hard_swish(source, op, x, gate)
        if found:
            return found
    return {}


def _is_of(source: Source, op: Operator | None, function: Function, x: str) -> bool:
    """Tell whether an operator is a function of a tensor that is read once."""
    return isinstance(op, Activation) and op.function is function and op.input == x and source.read_once(op.output)


def _hard_swish(source: Source, op: Multiply, x: str, gate: str) -> dict[str, tuple[Operator, ...]]:
    """Return the HardSwish that x * clip(x + 3, 0, 6) / 6 is, with the division before or behind the product."""
    gone: list[str] = []
    scale, last = 1.0, op.output
    line = _line(source, gate)
    if line is not None and line[2] == 0:
        gone, gate, scale = [gate], line[0], line[1]
    elif source.read_once(op.output):
        (reader,) = source.readers(op.output)
        behind = _line(source, reader.output)
        if behind is not None and behind[2] == 0:
            gone, last, scale = [op.output], reader.output, behind[1]
    clip = source.producer(gate)
    line = _line(source, clip.input) if isinstance(clip, Clip) and source.read_once(gate) else None
    if not isinstance(clip, Clip) or line is None or line[0] != x or not source.read_once(clip.input) or clip.low != 0:
        return {}
    found = line[1] * scale - 1 / 6, line[2] * scale - 0.5, clip.high * scale - 1
    if max(map(abs, found)) > _NEAR:
        return {}
    made = Activation(name=op.name, input=x, output=last, function=Function.HARD_SWISH)
    return {**dict.fromkeys([*gone, gate, clip.input, op.output], ()), last: (made,)}


def _line(source: Source, tensor: str) -> tuple[str, float, float] | None:
    """Return the input, the factor and the offset of what gives a tensor; None if it is no line of all channels."""
    op = source.producer(tensor)
    if not isinstance(op, Affine):
        return None
    factor, offset = (source.constants[name].values for name in (op.factor, op.offset))
    return (op.input, float(factor), float(offset)) if factor.ndim == offset.ndim == 0 else None
