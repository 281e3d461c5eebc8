"""Rewritings of a Source. Each returns another that computes the same, closer to what the machine has.

Maps are [Y, X, C] in all of them. Where one operator is gone, its readers read what it read.

Long because all rewritings stand here.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from codesign.front.grids import grids_of, holds, joined, narrowed, on_grid
from codesign.front.shapes import shapes_of
from codesign.front.source import (
    Affine,
    Clip,
    Concat,
    Constant,
    Conv,
    Decide,
    Dense,
    Moving,
    Operator,
    Pool,
    Quantize,
    Source,
    Surround,
    inputs_of,
)

Rewriting = Callable[[Source], Source]
Pads = tuple[int, int, int, int]


def leave_to_host(source: Source) -> Source:
    """Cut off a Softmax or ArgMax at the end, with a note that the host does it."""
    lasts, notes = list(source.outputs), list(source.notes)
    for i in range(len(lasts)):
        while True:
            op = source.producer(lasts[i])
            if isinstance(op, Quantize) and isinstance(source.producer(op.input), Decide):
                lasts[i] = op.input
            elif isinstance(op, Decide):
                notes.append(
                    f"{op.operator} at the end is left to the host; the accelerator gives the scores before it"
                )
                lasts[i] = op.input
            else:
                break
    return _cut(replace(source, outputs=tuple(lasts), notes=tuple(notes)))


def fold_affine(source: Source) -> Source:
    """Fold factors and offsets per channel into the layer before them; where there is none they become a convolution.

    A factor goes into the scales of the weights, its sign into their integers.
    """

    def step(source: Source) -> Source | None:
        for op in source.operators:
            if isinstance(op, Affine):
                before = source.producer(op.input)
                if isinstance(before, Conv | Dense) and source.read_once(op.input):
                    return _folded(source, before, op)
                return _pointwise(source, op)
        return None

    return _settled(source, step)


def fold_surround(source: Source) -> Source:
    """Fold zeros around a map into the padding of the convolutions and averages that read it."""

    def step(source: Source) -> Source | None:
        for op in source.operators:
            if (
                isinstance(op, Surround)
                and _is_padding(op)
                and op.output not in source.outputs
                and (readers := source.readers(op.output))
            ):
                made = {reader.output: _with_pads(source, reader, op) for reader in readers}
                if all(made.values()):
                    places = {tensor: (reader,) for tensor, reader in made.items() if reader is not None}
                    return _replaced(source, {op.output: (), **places})
        return None

    return _settled(source, step)


def spread_padding(source: Source) -> Source:
    """Put zeros around a map where a convolution, or an average that counts them, pads by more than its window."""

    def step(source: Source) -> Source | None:
        for op in source.operators:
            if (isinstance(op, Conv) or (isinstance(op, Pool) and _counts(op))) and not _fits(source, op, op.pads):
                most = _most_pads(source, op)
                kept = tuple(min(pad, n) for pad, n in zip(op.pads, most, strict=True))
                more = tuple(pad - n for pad, n in zip(op.pads, kept, strict=True))
                name = f"{op.output}:around"
                around = Surround(name=f"{op.name}:around", input=op.input, output=name, pads=_four(more))
                return _replaced(source, {op.output: (around, replace(op, input=name, pads=_four(kept)))})
        return None

    return _settled(source, step)


def merge_clips(source: Source) -> Source:
    """Make one bound of two: a clip of a clip."""

    def step(source: Source) -> Source | None:
        for op in source.operators:
            before = source.producer(op.input) if isinstance(op, Clip) else None
            if isinstance(op, Clip) and isinstance(before, Clip):
                low, high = (float(np.clip(bound, op.low, op.high)) for bound in (before.low, before.high))
                if low < high:
                    made = replace(op, input=before.input, low=low, high=high)
                    return _cut(_replaced(source, {op.output: (made,)}))
        return None

    return _settled(source, step)


def quantize_first(source: Source) -> Source:
    """Quantize and clip before a maximum, a concatenation or what moves values, in place of behind it.

    Both keep order, so the maximum of rounded values is the rounded maximum. What is put around a map is rounded too.
    """

    def step(source: Source) -> Source | None:
        grids = grids_of(source)
        for op in source.operators:
            if isinstance(op, Quantize | Clip) and op.input not in grids and source.read_once(op.input):
                before = source.producer(op.input)
                if isinstance(before, Concat | Moving) or (isinstance(before, Pool) and not before.average):
                    return _exchanged(source, before, op)
        return None

    return _settled(source, step)


def clip_in_quantization(source: Source) -> Source:
    """Let quantizations end where a clip does: a clip before one, or behind one."""

    def step(source: Source) -> Source | None:
        grids = grids_of(source)
        for op in source.operators:
            before = source.producer(op.input) if isinstance(op, Quantize) else None
            if isinstance(op, Quantize) and isinstance(before, Clip):
                bounded = narrowed(op.quantization, before.low, before.high)
                if bounded:
                    made = replace(op, input=before.input, quantization=bounded)
                    return _cut(_replaced(source, {op.output: (made,)}))
            if isinstance(op, Clip) and (grid := grids.get(op.input)):
                bounded = narrowed(grid, op.low, op.high)
                if bounded and on_grid(grid, op.low) and on_grid(grid, op.high):
                    again = Quantize(name=op.name, input=op.input, output=op.output, quantization=bounded)
                    return _replaced(source, {op.output: (again,)})
        return None

    return _settled(source, step)


def drop_repeated(source: Source) -> Source:
    """Drop a quantization of values that all are on its grid already, and join two on one grid, or of one tensor."""

    def step(source: Source) -> Source | None:
        grids = grids_of(source)
        for op in source.operators:
            if not isinstance(op, Quantize):
                continue
            grid, before = grids.get(op.input), source.producer(op.input)
            first = _first_like(source, op)
            if first is not op:
                return _renamed(_replaced(source, {op.output: ()}), op.output, first.output)
            if grid and holds(op.quantization, grid):
                return _renamed(_replaced(source, {op.output: ()}), op.output, op.input)
            if isinstance(before, Quantize) and source.read_once(op.input):
                both = joined(before.quantization, op.quantization)
                if both:
                    made = replace(op, input=before.input, quantization=both)
                    return _replaced(source, {before.output: (), op.output: (made,)})
        return None

    return _settled(source, step)


def simplified(source: Source) -> Source:
    """Return the source after all rewritings, each as often as it finds something to do."""
    before = None
    while source is not before:
        before = source
        for rewriting in REWRITINGS:
            source = rewriting(source)
    return source


REWRITINGS: tuple[Rewriting, ...] = (
    spread_padding,
    fold_surround,
    fold_affine,
    merge_clips,
    quantize_first,
    clip_in_quantization,
    drop_repeated,
)


def _settled(source: Source, step: Callable[[Source], Source | None]) -> Source:
    """Return the source once a step finds nothing more to do."""
    while (changed := step(source)) is not None:
        source = changed
    return source


def _with_pads(source: Source, reader: Operator, around: Surround) -> Operator | None:
    """Return a convolution, or an average that counts its padding, with these zeros as padding too.

    None of other operators, and of one whose window would be no larger than its padding.
    """
    if isinstance(reader, Conv) or (isinstance(reader, Pool) and _counts(reader)):
        pads = _four(a + b for a, b in zip(reader.pads, around.pads, strict=True))
        return replace(reader, input=around.input, pads=pads) if _fits(source, reader, pads) else None
    return None


def _most_pads(source: Source, op: Conv | Pool) -> Pads:
    """Return the most padding on each side that the windows of the machine have: less than they reach."""
    kernel = op.kernel if isinstance(op, Pool) else source.constants[op.weight].shape[1:3]
    assert kernel is not None
    rows, columns = ((k - 1) * d for k, d in zip(kernel, op.dilations, strict=True))
    return rows, columns, rows, columns


def _fits(source: Source, op: Conv | Pool, pads: Pads) -> bool:
    return all(pad <= most for pad, most in zip(pads, _most_pads(source, op), strict=True))


def _four(numbers: Iterable[int]) -> Pads:
    top, left, bottom, right = numbers
    return top, left, bottom, right


def _exchanged(source: Source, before: Moving | Concat | Pool, op: Quantize | Clip) -> Source:
    """Return the source with `op`, which reads `before`, done on the inputs of `before`."""
    made: list[Operator] = []
    for i, tensor in enumerate(inputs_of(before)):
        name = f"{op.name}:{i}" if i else op.name
        made.append(replace(op, name=name, input=tensor, output=f"{op.output}:{i}"))
    names = tuple(quantized.output for quantized in made)
    moved: Operator
    if isinstance(before, Concat):
        moved = replace(before, inputs=names, output=op.output)
    elif isinstance(before, Surround):
        moved = replace(before, input=names[0], output=op.output, value=_done(op, before.value))
    else:
        moved = replace(before, input=names[0], output=op.output)
    return _replaced(source, {before.output: (), op.output: (*made, moved)})


def _is_padding(op: Surround) -> bool:
    """Tell whether a convolution's padding may stand for it: zeros, and none between pixels."""
    return op.value == 0 and op.strides == (1, 1)


def _done(op: Quantize | Clip, value: float) -> float:
    """Return what an operator makes of one value."""
    if isinstance(op, Clip):
        return float(np.clip(value, op.low, op.high))
    return float(op.quantization.values(op.quantization.integers(np.asarray(value))))


def _first_like(source: Source, op: Quantize) -> Quantize:
    """Return the first operator that quantizes the same tensor in the same way."""
    for other in source.readers(op.input):
        if isinstance(other, Quantize) and other.quantization == op.quantization:
            return other
    return op


def _counts(pool: Pool) -> bool:
    """Tell whether zeros around the map may be a pooling's padding: an average that counts them."""
    return pool.average and pool.kernel is not None and pool.count_pads


def _folded(source: Source, before: Conv | Dense, op: Affine) -> Source:
    factor, offset = (source.constants[name].values for name in (op.factor, op.offset))
    weight = source.constants[before.weight]
    k = weight.shape[0]
    factor, offset = (np.broadcast_to(values, (k,)) for values in (factor, offset))
    bias = np.zeros(k) if before.bias is None else source.constants[before.bias].values
    names = f"{before.weight}:{op.name}", f"{op.name}:bias"
    made = replace(before, weight=names[0], bias=names[1], output=op.output)
    spread = factor.reshape(-1, *(1,) * (len(weight.shape) - 1))
    constants = {names[0]: weight.times(spread), names[1]: Constant(bias * factor + offset)}
    return _replaced(source, {before.output: (), op.output: (made,)}, constants)


def _pointwise(source: Source, op: Affine) -> Source:
    """Return the source with factors and offsets as a depthwise convolution of 1x1 windows."""
    c = shapes_of(source)[0][op.input][2]
    factor, offset = (np.broadcast_to(source.constants[name].values, (c,)) for name in (op.factor, op.offset))
    names = f"{op.name}:weight", f"{op.name}:bias"
    one = Constant.of(np.ones((c, 1, 1, 1), np.int64), 1.0)
    made = Conv(name=op.name, input=op.input, output=op.output, weight=names[0], bias=names[1], groups=c)
    spread = factor.reshape(-1, 1, 1, 1)
    constants = {names[0]: one.times(spread), names[1]: Constant(offset.astype(np.float64))}
    return _replaced(source, {op.output: (made,)}, constants)


def _replaced(
    source: Source, made: dict[str, tuple[Operator, ...]], constants: dict[str, Constant] | None = None
) -> Source:
    """Return the source with other operators in the places of those that gave these tensors."""
    operators: list[Operator] = []
    for op in source.operators:
        operators.extend(made.get(op.output, (op,)))
    return replace(source, operators=tuple(operators), constants={**source.constants, **(constants or {})})


def _renamed(source: Source, old: str, new: str) -> Source:
    """Return the source with readers of one tensor reading another."""

    def other(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(new if name == old else name for name in names)

    operators = []
    for op in source.operators:
        if old not in inputs_of(op):
            operators.append(op)
        elif "inputs" in op.__slots__:
            operators.append(replace(op, inputs=other(inputs_of(op))))  # type: ignore[arg-type]
        else:
            operators.append(replace(op, input=new))  # type: ignore[arg-type]
    return replace(source, operators=tuple(operators), outputs=other(source.outputs))


def _cut(source: Source) -> Source:
    """Return the source without operators that nothing reads."""
    needed, kept = set(source.outputs), []
    for op in reversed(source.operators):
        if op.output in needed:
            needed.update(inputs_of(op))
            kept.append(op)
    return replace(source, operators=tuple(reversed(kept)))
