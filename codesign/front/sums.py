"""Sums that a file does not round: their exact grid, where there is one, so that every layer ends in a quantization."""

import math
from dataclasses import replace

import numpy as np

from codesign.front.activations import activated
from codesign.front.grids import grid_behind
from codesign.front.problem import Problem
from codesign.front.quantization import Quantization, RealArray
from codesign.front.shapes import shapes_of
from codesign.front.source import (
    Activation,
    Add,
    Conv,
    Dense,
    Multiply,
    Operator,
    Pool,
    Quantize,
    Source,
    Sum,
    inputs_of,
)
from codesign.front.stored import counts_inside, window_of
from codesign.ops.arrays import IntArray
from codesign.ops.lookup import MAX_LOOKUP_BITS
from codesign.ops.qtype import MAX_BITS
from codesign.ops.requantize import signed_bits

_PARTIAL_BITS = 13  # of a sum that another one goes on with: more leave too few for the ratio of scales
_MOST_FRACTION = 16  # bits below the step of a sum that its grid may have, for a finer bias


def quantize_sums(source: Source) -> tuple[Source, list[Problem]]:
    """Return the network with a quantization behind every sum, and problems where none would be exact.

    Added ones change nothing: they have a value for every sum that can come. At the network's end one of 16 bits is
    added where none is exact, and noted. In sums of more than two maps of any scales, one of 13 bits is.
    """
    operators: list[Operator] = []
    problems: list[Problem] = []
    notes = list(source.notes)
    grids: dict[str, Quantization] = {}
    for op in source.operators:
        held = [grids.get(tensor) for tensor in inputs_of(op)]
        grid = grid_behind(op, held)
        operators.append(op)
        if isinstance(op, Sum) and grid is None and not _is_quantized(source, op):
            known = [g for g in held if g is not None]
            if len(known) < len(held):
                continue  # lowering tells of it
            grid = exact_grid(source, op, known)
            if grid is None and _is_part_of_sum(source, op):
                grid = _fine_grid(source, op, known, _PARTIAL_BITS)
            if grid is None and op.output in source.outputs and not source.readers(op.output):
                grid = _fine_grid(source, op, known, MAX_BITS)
                notes.append(f"the scores of {op.name} are rounded to 16 bits, in steps of {grid.scale:g}")
            if grid is None:
                found = f"its results are read without a quantization, and need more than {MAX_BITS} bits to be exact"
                problems.append(Problem.of(op, found, f"quantize them to at most {_most_bits(source, op)} bits"))
                continue
            made = f"{op.output}:sums"
            operators[-1] = replace(op, output=made)
            operators.append(Quantize(name=f"{op.name}:sums", input=made, output=op.output, quantization=grid))
        if grid is not None:
            grids[op.output] = grid
    return replace(source, operators=tuple(operators), notes=tuple(notes)), problems


def exact_grid(source: Source, op: Sum, held: list[Quantization]) -> Quantization | None:
    """Return a grid of at most 16 bits with a value for every sum, given those of the inputs; None if there is none."""
    match op:
        case Add():
            step = min(grid.scale for grid in held)
            if any(grid.scale / step != round(grid.scale / step) for grid in held):
                return None
            ranges = [(g.scale * (g.low - g.zero) / step, g.scale * (g.high - g.zero) / step) for g in held]
            (a, b), (c, d) = ranges[0], ranges[1] if op.sign > 0 else (-ranges[1][1], -ranges[1][0])
            return _fitting(step, a + c, b + d)
        case Multiply():
            (a, b), (c, d) = ((grid.low - grid.zero, grid.high - grid.zero) for grid in held)
            products = [p * q for p in (a, b) for q in (c, d)]
            return _fitting(held[0].scale * held[1].scale, min(products), max(products))
        case Activation():
            return None
        case Pool():
            (grid,), n = held, math.lcm(*_counts(source, op))
            if n.bit_length() > MAX_BITS:
                return None
            return _fitting(grid.scale / n, n * (grid.low - grid.zero), n * (grid.high - grid.zero))
        case Conv() | Dense():
            return _layer_grid(source, op, held[0])


def positions(source: Source, op: Pool) -> int:
    """Return how many positions a pooling's window has."""
    y, x, _ = shapes_of(source)[0][op.input]
    return y * x if op.kernel is None else op.kernel[0] * op.kernel[1]


def _counts(source: Source, op: Pool) -> set[int]:
    """Return by how many positions a pooling divides its sums: that of its window, or of what of it lies in the map."""
    whole = positions(source, op)
    if op.kernel is None or op.count_pads or not any(op.pads):
        return {whole}
    shape = shapes_of(source)[0][op.input]
    return counts_inside(window_of(*op.kernel, op.strides, op.pads, op.dilations), shape) - {0} | {whole}


def sum_bounds(grid: Quantization, weight: IntArray) -> tuple[IntArray, IntArray]:
    """Return the least and the largest sum [K] of weights [K, ...] times inputs on a grid, in steps of both scales."""
    flat = weight.reshape(len(weight), -1)
    low, high = min(grid.low - grid.zero, 0), max(grid.high - grid.zero, 0)  # zeros may come from padding
    return (
        np.minimum(flat * low, flat * high).sum(axis=1),
        np.maximum(flat * low, flat * high).sum(axis=1),
    )


def _layer_grid(source: Source, op: Conv | Dense, grid: Quantization) -> Quantization | None:
    """Return the exact grid of a layer's sums with their bias; all its channels must have one."""
    weight = source.constants[op.weight]
    if weight.integers is None or weight.scale is None:
        return None
    scale = np.broadcast_to(weight.scale, (len(weight.integers),) + (1,) * (weight.integers.ndim - 1)).reshape(-1)
    step = float(scale.min())
    factors = scale / step
    if not np.array_equal(factors, np.rint(factors)) or step <= 0:
        return None
    bias = np.zeros(len(scale)) if op.bias is None else source.constants[op.bias].values
    in_steps = bias / (grid.scale * step)
    fraction = next((f for f in range(_MOST_FRACTION + 1) if _whole(np.ldexp(in_steps, f))), None)
    if fraction is None:
        return None
    low, high = (bound * factors + in_steps for bound in sum_bounds(grid, weight.integers))
    fine = float(np.ldexp(1.0, fraction))
    return _fitting(grid.scale * step / fine, float(low.min()) * fine, float(high.max()) * fine)


def _fine_grid(source: Source, op: Sum, held: list[Quantization], bits: int) -> Quantization:
    """Return a grid of so many bits over all sums that can come, in a step that is a power of two."""
    if isinstance(op, Conv | Dense):
        weight = source.constants[op.weight].values
        flat = np.abs(weight).reshape(len(weight), -1).sum(axis=1)
        bias = 0.0 if op.bias is None else np.abs(source.constants[op.bias].values)
        reach = float((flat * _reach(held[0]) + bias).max())
    elif isinstance(op, Activation):
        grid = held[0]
        slope = None if op.slope is None else source.constants[op.slope].values.reshape(-1, 1)
        reach = float(np.abs(activated(op, grid.values(np.arange(grid.low, grid.high + 1))[np.newaxis], slope)).max())
    elif isinstance(op, Multiply):
        reach = _reach(held[0]) * _reach(held[1])
    else:
        reach = sum(_reach(grid) for grid in held)
    step = 2.0 ** (int(np.frexp(max(reach, 1e-20))[1]) - bits + 1)
    return Quantization(scale=step, zero=0, low=-(1 << bits - 1), high=(1 << bits - 1) - 1)


def _reach(grid: Quantization) -> float:
    return grid.scale * max(grid.zero - grid.low, grid.high - grid.zero)


def _fitting(step: float, low: float, high: float) -> Quantization | None:
    """Return the grid of this step from `low` to `high` steps; None if it has more than 16 bits."""
    if not signed_bits(int(low), int(high)) - (low >= 0) <= MAX_BITS:
        return None
    return Quantization(scale=step, zero=0, low=int(low), high=max(int(high), int(low) + 1))


def _whole(values: RealArray) -> bool:
    return bool(np.array_equal(values, np.rint(values)))


def _most_bits(source: Source, op: Sum) -> int:
    """Return how many bits what reads an operator can read: a table has an entry for each integer."""
    tables = any(isinstance(reader, Activation) for reader in source.readers(op.output))
    return MAX_LOOKUP_BITS if tables else MAX_BITS


def _is_part_of_sum(source: Source, op: Operator) -> bool:
    """Tell whether this is one of several additions after each other, and not the last."""
    readers = source.readers(op.output)
    return isinstance(op, Add) and source.read_once(op.output) and isinstance(readers[0], Add)


def _is_quantized(source: Source, op: Operator) -> bool:
    """Tell whether one quantization alone reads what the operator gives."""
    return source.read_once(op.output) and isinstance(source.readers(op.output)[0], Quantize)
