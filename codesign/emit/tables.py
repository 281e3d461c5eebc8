"""Parameters in the order in which an HLS engine reads them: one row per memory word, one column per lane."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from codesign.ir.design import LineEngine
from codesign.machine.packing import borrowed, taken_from_inputs, weight_lanes
from codesign.ops.add import Add
from codesign.ops.arrays import IntArray, ceil_div
from codesign.ops.conv import Conv, added_bias
from codesign.ops.node import Operation, Windowed
from codesign.ops.pool import Pool
from codesign.ops.requantize import Scaling, signed_bits

Scaled = Windowed | Add  # nodes whose sums a requantizer brings to outputs


@dataclass(frozen=True, slots=True)
class Table:
    """The memory `name`: values[words, lanes], each of `bits` bits."""

    name: str
    bits: int
    signed: bool
    values: IntArray

    @property
    def words(self) -> int:
        return len(self.values)

    @property
    def lanes(self) -> int:
        return int(self.values.shape[1])


def memory_table(node: Operation, engine: LineEngine, params: Mapping[str, IntArray]) -> Table:
    """Return the memories of an engine that is one module with a table: a word per address, a column per lane."""
    own = {key: params[f"{node.name}.{key}"] for key in node.parameters}
    return Table("table", node.otype.bits, node.otype.signed, node.memory(own, engine.pe))


def weight_table(node: Conv, engine: LineEngine, params: Mapping[str, IntArray]) -> Table:
    """Return words (outer, row, fx, inner), lanes [pe][tap][simd], with simd 1 if it is depthwise.

    Row and tap together are fy: a word has the weights of so many rows of the window as the engine has taps. Zeros
    stand beyond K and C. Where the engine packs, odd lanes are less what even ones borrow.
    """
    lanes = borrowed(node, engine, weight_lanes(node, engine, params[f"{node.name}.weight"]))
    return Table("weight", node.wtype.bits, True, lanes.reshape(len(lanes), -1))


def bias_table(node: Scaled, engine: LineEngine, params: Mapping[str, IntArray]) -> Table:
    """Return one word per output word of a pixel, or a single one if they are all alike; zeros beyond K."""
    values = _output_words(array_added(node, engine, params), engine.emit, 0)
    return Table("bias", max(2, signed_bits(int(values.min()), int(values.max()))), True, values)


def multiplier_table(node: Scaled, engine: LineEngine, params: Mapping[str, IntArray]) -> Table:
    """Return multipliers, or exponents if all are powers of two: one word per output word, or one if all are alike.

    Where padding does not count, a word is for a count of positions inside the map.
    """
    if isinstance(node, Pool) and node.by_count:
        counted = [node.multipliers.get(count, 0) for count in range(node.window.positions + 1)]
        table = np.repeat(np.array(counted, np.int64)[:, None], engine.emit, axis=1)
        return Table("multiplier", max(1, node.largest_multiplier.bit_length()), False, table)
    channels = _multipliers(node, params)
    values = _output_words(channels if multiplies(node) else _exponents(channels), engine.emit, None)
    return Table("multiplier", max(1, int(values.max()).bit_length()), False, values)


def multiplies(node: Scaled) -> bool:
    """Tell whether scaling needs a multiplication; otherwise a shift does."""
    match node:
        case Conv() | Pool():
            return node.scaling is Scaling.GENERAL
        case Add():
            return False


def array_added(node: Scaled, engine: LineEngine, params: Mapping[str, IntArray]) -> IntArray:
    """Return what is added to the array's sums of each channel: bias, and what inputs are above what they stand for.

    That is their zero point, less what an engine that packs takes from them.
    """
    if isinstance(node, Conv):
        zero = node.zero_in - taken_from_inputs(node, engine)
        weight, bias = (params[f"{node.name}.{key}"] for key in ("weight", "bias"))
        return added_bias(weight, bias, zero, node.bias_fraction)
    return np.full(node.oshape.c, node.added, np.int64)


def _multipliers(node: Scaled, params: Mapping[str, IntArray]) -> IntArray:
    if isinstance(node, Conv):
        return params[f"{node.name}.multiplier"]
    return np.full(node.oshape.c, node.multiplier if isinstance(node, Pool) else 1, np.int64)


def _exponents(powers: IntArray) -> IntArray:
    return np.array([int(p).bit_length() - 1 for p in powers], np.int64)


def _output_words(channels: IntArray, emit: int, beyond: int | None) -> IntArray:
    """Return channels[K] as [words, emit]; lanes beyond K take `beyond`, or the last channel's value if it is None."""
    words = ceil_div(len(channels), emit)
    values = np.full(words * emit, channels[-1] if beyond is None else beyond, np.int64)
    values[: len(channels)] = channels
    table = values.reshape(words, emit)
    return table[:1] if (table == table[0]).all() else table
