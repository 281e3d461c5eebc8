"""Contents of the machine's memories: weights and per-channel constants."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from codesign.emit.tables import array_added, memory_table, weight_table
from codesign.ir.design import LineEngine, Weights
from codesign.machine.elaborate import Unit
from codesign.machine.kinds import Whole
from codesign.machine.line import sum_bits
from codesign.ops.arrays import IntArray, ceil_div
from codesign.ops.conv import Conv
from codesign.ops.requantize import Scaling, output_offset


@dataclass(frozen=True, slots=True)
class Words:
    """What a memory holds: words of `bits` bits, as whole numbers."""

    bits: int
    values: tuple[int, ...]

    @property
    def lines(self) -> str:
        """The lines of a $readmemh file."""
        digits = ceil_div(self.bits, 4)
        return "".join(f"{word:0{digits}x}\n" for word in self.values)


def weight_words(node: Conv, engine: LineEngine, params: Mapping[str, IntArray]) -> Words:
    """Return the contents of weight_rom: a word for each word of weight_table, lane 0 lowest."""
    table = weight_table(node, engine, params)
    return _packed(table.values, table.bits)


def channel_words(node: Conv, engine: LineEngine, params: Mapping[str, IntArray], weights: Weights) -> Words:
    """Return the contents of channel_rom: one word per output word, multipliers above offsets; zero beyond K.

    What is loaded has no factors where sums are only shifted.
    """
    multiplier = params[f"{node.name}.multiplier"]
    words = ceil_div(node.k, engine.emit)
    offsets = np.zeros(words * engine.emit, np.int64)
    factors = np.zeros(words * engine.emit, np.int64)
    offsets[: node.k] = array_added(node, engine, params) * multiplier + output_offset(node.rule, node.shift)
    factors[: node.k] = [factor(node.scaling, int(m)) for m in multiplier]
    loaded = weights is Weights.LOADED
    high = _packed(factors.reshape(words, -1), 0 if loaded and node.scaling is Scaling.SHIFT else factor_bits(node))
    low = _packed(offsets.reshape(words, -1), offset_bits(node, params, weights))
    return Words(high.bits + low.bits, tuple(h << low.bits | w for h, w in zip(high.values, low.values, strict=True)))


def offset_bits(node: Conv, params: Mapping[str, IntArray], weights: Weights) -> int:
    """Return the width of the sums that the requantizer makes: by the multipliers, or by what others may be loaded."""
    if weights is Weights.LOADED:
        return sum_bits(node, node.most_multiplier)
    return sum_bits(node, int(params[f"{node.name}.multiplier"].max()))


def factor(scaling: Scaling, multiplier: int) -> int:
    """Return what the hardware stores for a multiplier: nothing, its exponent, or itself."""
    match scaling:
        case Scaling.SHIFT:
            return 0
        case Scaling.POWER_OF_TWO:
            return multiplier.bit_length() - 1
        case Scaling.GENERAL:
            return multiplier


def factor_bits(node: Conv) -> int:
    """Return the width of the stored factor, at least 1."""
    match node.scaling:
        case Scaling.SHIFT:
            return 1
        case Scaling.POWER_OF_TWO:
            return max(1, (node.multiplier_bits - 1).bit_length())
        case Scaling.GENERAL:
            return node.multiplier_bits


def _packed(lanes: IntArray, bits: int) -> Words:
    """Pack rows of lanes [words, lanes] into words, lane 0 lowest, each modulo 2**bits."""
    mask = (1 << bits) - 1
    values = (sum((int(v) & mask) << (bits * i) for i, v in enumerate(row)) for row in lanes)
    return Words(lanes.shape[1] * bits, tuple(values))


def table_files(unit: Unit, params: Mapping[str, IntArray]) -> dict[str, str]:
    """Return the memories of an engine that is one module with a table; a name ends in the lane, of four digits."""
    match unit.modules:
        case (Whole(tables=count),) if count:
            table = memory_table(unit.node, unit.engine, params)
            columns = (table.values[:, lane : lane + 1] for lane in range(count))
            name = f"rtl/{table_file(unit.engine)}"
            return {f"{name}{lane:04d}.hex": _packed(column, table.bits).lines for lane, column in enumerate(columns)}
    return {}


def table_file(engine: LineEngine) -> str:
    """Return how the names of an engine's tables begin."""
    return f"data/{engine.name}_table_"
