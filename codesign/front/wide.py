"""Activations of sums that have too many bits for a table, in pieces that are linear."""

from dataclasses import replace

import numpy as np

from codesign.front.grids import grids_of
from codesign.front.quantization import Quantization
from codesign.front.source import (
    Activation,
    Add,
    Affine,
    Clip,
    Constant,
    Conv,
    Dense,
    Function,
    Operator,
    Quantize,
    Source,
    Sum,
    inputs_of,
)
from codesign.front.sums import exact_grid
from codesign.ops.lookup import MAX_LOOKUP_BITS


def split_wide(source: Source) -> Source:
    """Return the source without those activations of wide sums that linear pieces give exactly; it computes the same.

    A HardSigmoid is a clip. A LeakyRelu is the larger of its input and its input times the slope, or the smaller for
    slopes above 1. Rounding keeps order, so each of the two may be rounded first, and the larger of a and b is
    a + max(b - a, 0).
    """
    grids = grids_of(source)
    operators: list[Operator] = []
    constants, done = dict(source.constants), set[str]()
    for op in source.operators:
        if op.output in done:
            continue
        made: list[Operator] = [op]
        if isinstance(op, Activation) and _is_wide(source, op.input, grids):
            if op.function is Function.HARD_SIGMOID:
                made = _clipped(op, constants)
            elif op.function is Function.LEAKY_RELU:
                made = _larger(source, op, grids, constants)
        done.update(other.output for other in made)
        operators.extend(made)
    return replace(source, operators=tuple(operators), constants=constants)


def _is_wide(source: Source, tensor: str, grids: dict[str, Quantization]) -> bool:
    """Tell whether a tensor is a sum of quantized tensors that no table reads, having more bits than that."""
    grid, before = grids.get(tensor), source.producer(tensor)
    if grid is None and isinstance(before, Sum) and all(name in grids for name in inputs_of(before)):
        grid = exact_grid(source, before, [grids[name] for name in inputs_of(before)])
        if grid is None:
            return True
    return grid is not None and (grid.high - grid.low).bit_length() > MAX_LOOKUP_BITS


def _clipped(op: Activation, constants: dict[str, Constant]) -> list[Operator]:
    names = f"{op.name}:factor", f"{op.name}:offset"
    constants |= {names[0]: Constant(np.asarray(op.alpha)), names[1]: Constant(np.asarray(op.beta))}
    line = f"{op.output}:line"
    return [
        Affine(name=op.name, input=op.input, output=line, factor=names[0], offset=names[1]),
        Clip(name=f"{op.name}:clip", input=line, output=op.output, low=0.0, high=1.0),
    ]


def _larger(
    source: Source, op: Activation, grids: dict[str, Quantization], constants: dict[str, Constant]
) -> list[Operator]:
    """Return the operators of a LeakyRelu and of the quantization behind it; itself alone if there are no such."""
    readers = source.readers(op.output)
    if len(readers) != 1 or not source.read_once(op.output) or not isinstance(readers[0], Quantize):
        return [op]
    last, slope = readers[0], np.ones(()) if op.slope is None else source.constants[op.slope].values
    if not ((slope <= 1).all() or (slope >= 1).all()):
        return [op]
    before = source.producer(op.input)
    a, b, name = f"{op.output}:plain", f"{op.output}:sloped", f"{op.name}:slope"
    made: list[Operator] = [replace(last, name=f"{last.name}:plain", input=op.input, output=a)]
    constants |= {name: Constant(slope), f"{name}:none": Constant(np.zeros(()))}
    if isinstance(before, Conv | Dense) and exact_grid(source, before, [grids[before.input]]) is None:
        made.append(replace(before, name=f"{before.name}:again", output=f"{b}:again"))
        line = f"{b}:again"
    else:
        line = op.input
    made.append(Affine(name=op.name, input=line, output=f"{b}:line", factor=name, offset=f"{name}:none"))
    made.append(replace(last, name=f"{last.name}:sloped", input=f"{b}:line", output=b))
    grid = last.quantization
    span = grid.high - grid.low
    above = Quantization(scale=grid.scale, zero=0, low=0, high=span)
    pair = (b, a) if (slope <= 1).all() else (a, b)
    sign = 1 if (slope <= 1).all() else -1
    more, sums = f"{op.output}:more", f"{op.output}:sums"
    made += [
        Add(name=f"{op.name}:more", inputs=pair, output=f"{more}:sum", sign=-1),
        Quantize(name=f"{op.name}:more:quantize", input=f"{more}:sum", output=more, quantization=above),
        Add(name=f"{op.name}:sum", inputs=(a, more), output=sums, sign=sign),
        replace(last, input=sums),
    ]
    return made
