"""Operators that a file spells in several: channel shuffles, and activations of which one factor is their input."""

import math
from dataclasses import replace

from codesign.front.shapes import Shape, channel_axis, shapes_of
from codesign.front.source import (
    Activation,
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


def recognized(source: Source) -> Source:
    """Return the source with one operator in place of each group that spells it; it computes the same.

    A Reshape, a Transpose and a Reshape may be a shuffle of channels. A map times its Sigmoid or HardSigmoid is a Swish
    or a HardSwish.
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
        if isinstance(before, Activation) and before.input == x and source.read_once(gate):
            function, alpha = before.function, before.alpha
            made = Activation(name=op.name, input=x, output=op.output, function=Function.SILU)
            if function is Function.SIGMOID:
                return {before.output: (), op.output: (made,)}
            if function is Function.HARD_SIGMOID and abs(alpha - 1 / 6) < 1e-7 and before.beta == 0.5:
                return {before.output: (), op.output: (replace(made, function=Function.HARD_SWISH),)}
    return {}
