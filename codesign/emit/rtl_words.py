"""Contents of the machine's memories: weights and per-channel constants, as the lines of a $readmemh file."""

from collections.abc import Mapping

import numpy as np

from codesign.emit.tables import array_added, memory_table, weight_table
from codesign.ir.design import LineEngine
from codesign.machine.elaborate import Unit
from codesign.machine.kinds import Whole
from codesign.machine.line import sum_bits
from codesign.ops.arrays import IntArray, ceil_div
from codesign.ops.conv import Conv
from codesign.ops.requantize import Scaling, output_offset


def weight_words(node: Conv, engine: LineEngine, params: Mapping[str, IntArray]) -> str:
    """Return the contents of weight_rom: a line for each word of weight_table, lane 0 lowest."""
    table = weight_table(node, engine, params)
    return hex_lines(table.values, table.bits)


def channel_words(node: Conv, engine: LineEngine, params: Mapping[str, IntArray]) -> str:
    """Return the contents of channel_rom: one line per output word, multipliers above offsets; zero beyond K."""
    multiplier = params[f"{node.name}.multiplier"]
    words = ceil_div(node.k, engine.emit)
    offsets = np.zeros(words * engine.emit, np.int64)
    factors = np.zeros(words * engine.emit, np.int64)
    offsets[: node.k] = array_added(node, engine, params) * multiplier + output_offset(node.rule, node.shift)
    factors[: node.k] = [factor(node.scaling, int(m)) for m in multiplier]
    high = _words_of(factors.reshape(words, -1), factor_bits(node))
    low_bits = sum_bits(node, int(multiplier.max()))
    low = _words_of(offsets.reshape(words, -1), low_bits)
    total = engine.emit * (low_bits + factor_bits(node))
    joined = [(h << (engine.emit * low_bits)) | w for h, w in zip(high, low, strict=True)]
    return "".join(f"{word:0{ceil_div(total, 4)}x}\n" for word in joined)


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


def _words_of(lanes: IntArray, bits: int) -> list[int]:
    """Pack rows of lanes into words, lane 0 lowest, each modulo 2**bits."""
    mask = (1 << bits) - 1
    return [sum((int(v) & mask) << (bits * i) for i, v in enumerate(row)) for row in lanes]


def hex_lines(lanes: IntArray, bits: int) -> str:
    """Return rows of lanes [words, lanes] as the lines of a $readmemh file, lane 0 lowest."""
    digits = ceil_div(lanes.shape[1] * bits, 4)
    return "".join(f"{word:0{digits}x}\n" for word in _words_of(lanes, bits))


def table_files(unit: Unit, params: Mapping[str, IntArray]) -> dict[str, str]:
    """Return the memories of an engine that is one module with a table; a name ends in the lane, of four digits."""
    match unit.modules:
        case (Whole(tables=count),) if count:
            table = memory_table(unit.node, unit.engine, params)
            columns = (table.values[:, lane : lane + 1] for lane in range(count))
            name = f"rtl/{table_file(unit.engine)}"
            return {f"{name}{lane:04d}.hex": hex_lines(column, table.bits) for lane, column in enumerate(columns)}
    return {}


def table_file(engine: LineEngine) -> str:
    """Return how the names of an engine's tables begin."""
    return f"data/{engine.name}_table_"
