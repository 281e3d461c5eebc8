"""Parameters in the order in which an HLS engine reads them: one row per memory word, one column per lane."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from codesign.ir.design import LineEngine
from codesign.ops.add import Add
from codesign.ops.arrays import IntArray, ceil_div
from codesign.ops.conv import Conv
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
    stand beyond K and C.
    """
    outer, inner = ceil_div(node.k, engine.pe), ceil_div(node.c_per_group, engine.simd)
    fy, fx = node.window.fy, node.window.fx
    padded = np.zeros((outer * engine.pe, fy, fx, inner * engine.simd), np.int64)
    padded[: node.k, :, :, : node.c_per_group] = params[f"{node.name}.weight"]
    taps = engine.taps
    parts = padded.reshape(outer, engine.pe, fy // taps, taps, fx, inner, engine.simd)
    lanes = parts.transpose(0, 2, 4, 5, 1, 3, 6).reshape(-1, engine.pe * taps * engine.simd)
    return Table("weight", node.wtype.bits, True, lanes)


def bias_table(node: Scaled, engine: LineEngine, params: Mapping[str, IntArray]) -> Table:
    """Return one word per output word of a pixel, or a single one if they are all alike; zeros beyond K."""
    values = _output_words(_added(node, params), engine.emit, 0)
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


def _added(node: Scaled, params: Mapping[str, IntArray]) -> IntArray:
    """Return what is added to the sums of each channel: bias, and the inputs' zero points."""
    if isinstance(node, Conv):
        return node.added({key: params[f"{node.name}.{key}"] for key in node.parameters})
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
