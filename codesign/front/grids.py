"""The grids that tensors of a Source lie on, and how one compares with another."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from codesign.front.quantization import Quantization
from codesign.front.source import Concat, Moving, Operator, Pool, Quantize, Source, Surround, inputs_of


def grids_of(source: Source) -> dict[str, Quantization]:
    """Return the grid of every tensor whose values lie on one: scale, zero point and range of integers."""
    grids: dict[str, Quantization] = {}
    for op in source.operators:
        found = grid_behind(op, [grids.get(tensor) for tensor in inputs_of(op)])
        if found is not None:
            grids[op.output] = found
    return grids


def grid_behind(op: Operator, held: Sequence[Quantization | None]) -> Quantization | None:
    """Return the grid of what an operator gives, for those of its inputs; None if its values lie on none."""
    first = held[0]
    match op:
        case Quantize():
            return op.quantization
        case Concat():
            found = [grid for grid in held if grid is not None]
            if len(found) < len(held) or len({(grid.scale, grid.zero) for grid in found}) > 1:
                return None
            low, high = min(grid.low for grid in found), max(grid.high for grid in found)
            return replace(found[0], low=low, high=high)
        case Surround() if first is not None and not has(first, op.value):
            return None
        case Pool(average=False):
            return first
        case _ if isinstance(op, Moving):
            return first
        case _:
            return None


def narrowed(grid: Quantization, low: float, high: float) -> Quantization | None:
    """Return the grid within two real bounds; None if hardly a value is left."""
    bounds = [
        int(grid.integers(np.asarray(bound))) if np.isfinite(bound) else kept
        for bound, kept in ((low, grid.low), (high, grid.high))
    ]
    return replace(grid, low=bounds[0], high=bounds[1]) if bounds[0] < bounds[1] else None


def on_grid(grid: Quantization, value: float) -> bool:
    """Tell whether clipping at a value leaves values on the grid."""
    if not np.isfinite(value):
        return True
    steps = value / grid.scale + grid.zero
    return steps == round(steps) or not grid.low < steps < grid.high


def has(grid: Quantization, value: float) -> bool:
    """Tell whether a value is one of the grid's."""
    steps = value / grid.scale + grid.zero
    return steps == round(steps) and grid.low <= steps <= grid.high


def holds(grid: Quantization, other: Quantization) -> bool:
    """Tell whether every value of the other grid is one of this."""
    ratio = other.scale / grid.scale
    if ratio != round(ratio) or ratio < 1:
        return False
    low, high = ((bound - other.zero) * ratio + grid.zero for bound in (other.low, other.high))
    return grid.low <= low and high <= grid.high


def joined(first: Quantization, second: Quantization) -> Quantization | None:
    """Return the quantization that two after each other on one grid are; None if they are on two."""
    if (first.scale, first.zero) != (second.scale, second.zero):
        return None
    low, high = (int(np.clip(bound, second.low, second.high)) for bound in (first.low, first.high))
    return replace(first, low=low, high=high) if low < high else None
