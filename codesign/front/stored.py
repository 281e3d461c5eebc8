"""How tensors of a Source are stored: types, zero points and bounds of integers, and the windows that read them."""

from dataclasses import dataclass, replace

import numpy as np

from codesign.front.quantization import Quantization, RealArray, Rounding, rounded
from codesign.front.source import Concat, Moving, Pool, Quantize, Source, inputs_of
from codesign.ops import requantize
from codesign.ops.node import Node
from codesign.ops.qtype import MAX_BITS, QType
from codesign.ops.requantize import OutputRule, signed_bits
from codesign.ops.shapes import Window

MOST_SUMS = 1 << 22  # of an average, which are all compared


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor as a node of the graph: its integers stand for scale * (integer - zero)."""

    node: Node
    grid: Quantization
    zero: int

    @property
    def own_grid(self) -> Quantization:
        """The grid of the stored integers."""
        moved = self.grid.zero - self.zero
        return replace(self.grid, zero=self.zero, low=self.grid.low - moved, high=self.grid.high - moved)


def type_ranges(source: Source) -> dict[str, tuple[int, int]]:
    """Return the range of integers that the type of each quantized tensor must hold; one for all that are joined."""
    own = {op.output: op.quantization for op in source.operators if isinstance(op, Quantize)}
    group: dict[str, str] = {}  # of every tensor on a grid, a tensor that stands for all that need one type with it

    def first(tensor: str) -> str:
        while group[tensor] != tensor:
            group[tensor] = tensor = group[group[tensor]]
        return tensor

    for op in source.operators:
        if isinstance(op, Quantize):
            group[op.output] = op.output
        elif isinstance(op, Concat | Moving | Pool) and all(tensor in group for tensor in inputs_of(op)):
            roots = [first(tensor) for tensor in inputs_of(op)]
            if not (isinstance(op, Pool) and op.average):
                group |= dict.fromkeys([*roots, op.output], roots[0])
    ranges: dict[str, tuple[int, int]] = {}
    for tensor, grid in own.items():
        low, high = ranges.get(first(tensor), (grid.low, grid.high))
        ranges[first(tensor)] = (min(low, grid.low), max(high, grid.high))
    return {tensor: ranges[first(tensor)] for tensor in own}


def type_of(bounds: tuple[int, int], zero: int) -> tuple[QType, int]:
    """Return the narrowest type of a range of integers, and the zero point that stays: 0 where that costs no bit."""
    plain, shifted = _narrowest(*bounds), _narrowest(bounds[0] - zero, bounds[1] - zero)
    bits, signed = min((shifted, 0), (plain, 1), key=lambda pair: (pair[0][0], pair[1]))[0]
    if bits > MAX_BITS:
        raise ValueError(f"has integers from {bounds[0]} to {bounds[1]}; expected at most {MAX_BITS} bits")
    return QType(max(bits, 2), signed), 0 if (bits, signed) == shifted else zero


def _narrowest(low: int, high: int) -> tuple[int, bool]:
    return (signed_bits(low, high), True) if low < 0 else (max(high.bit_length(), 1), False)


def bounds_of(grid: Quantization, qtype: QType, zero: int) -> tuple[int, int] | None:
    """Return the least and the largest stored integer; None if they are those of the type."""
    moved = grid.zero - zero
    found = (grid.low - moved, grid.high - moved)
    return None if found == (qtype.qmin, qtype.qmax) else found


def machine_rounding(grid: Quantization) -> requantize.Rounding | None:
    """Return the machine's rounding that gives the same integers; None if it has none such."""
    positive = grid.low >= grid.zero  # negative values all become the lowest integer
    match grid.rounding:
        case Rounding.HALF_EVEN:
            return requantize.Rounding.HALF_EVEN
        case Rounding.HALF_UP:
            return requantize.Rounding.HALF_UP
        case Rounding.FLOOR:
            return requantize.Rounding.FLOOR
        case Rounding.CEIL:
            return requantize.Rounding.CEIL
        case Rounding.HALF_AWAY if positive:
            return requantize.Rounding.HALF_UP
        case Rounding.IN if positive:
            return requantize.Rounding.FLOOR
        case Rounding.AWAY if positive:
            return requantize.Rounding.CEIL
        case _:
            return None


def same_sums(grid: Quantization, n: int, ratio: float, multiplier: int, shift: int, output: Quantization) -> bool:
    """Tell whether a multiplier and a shift give the rounded mean of every sum that can come."""
    rounding = machine_rounding(output)
    if rounding is None or n * (grid.high - grid.low) > MOST_SUMS:
        return False
    sums = np.arange(n * min(grid.low - grid.zero, 0), n * max(grid.high - grid.zero, 0) + 1)
    exact: RealArray = sums * ratio / n
    wanted = np.clip(rounded(exact, output.rounding) + output.zero, output.low, output.high)
    wide = QType(MAX_BITS, signed=True)
    rule = OutputRule(rounding=rounding, zero=0)
    found = requantize.requantize(np.clip(sums, -(1 << 31), 1 << 31), multiplier, shift, wide, rule) + output.zero
    return bool(np.array_equal(np.clip(found, output.low, output.high), wanted))


def counts_inside(window: Window, shape: tuple[int, ...]) -> set[int]:
    """Return how many positions of the windows over a map lie in it."""
    rows, columns = window.out_extents(shape[0], shape[1])
    sides = []
    for n, outputs, stride, pad, taps, dilation in (
        (shape[0], rows, window.stride_y, window.pad_top, window.fy, window.dilation_y),
        (shape[1], columns, window.stride_x, window.pad_left, window.fx, window.dilation_x),
    ):
        places = np.arange(outputs)[:, None] * stride - pad + np.arange(taps) * dilation
        sides.append(set(((places >= 0) & (places < n)).sum(axis=1).tolist()))
    return {a * b for a in sides[0] for b in sides[1]}


def window_of(
    fy: int, fx: int, strides: tuple[int, int], pads: tuple[int, int, int, int], dilations: tuple[int, int]
) -> Window:
    """Return the window of these extents; pads: top, left, bottom, right. Raise ValueError if the machine has none."""
    top, left, bottom, right = pads
    return Window(
        fy=fy,
        fx=fx,
        stride_y=strides[0],
        stride_x=strides[1],
        pad_top=top,
        pad_left=left,
        pad_bottom=bottom,
        pad_right=right,
        dilation_y=dilations[0],
        dilation_x=dilations[1],
    )
