"""How many primitives a memory of a given width and depth becomes; formulas over columns, as all of the model."""

import numpy as np

from codesign.ir.board import Family
from codesign.ir.graph import IntArray

# Shapes of one RAMB18 as (width, depth).
_BRAM18 = ((1, 16384), (2, 8192), (4, 4096), (9, 2048), (18, 1024), (36, 512))
# Distributed RAM, one write and one read port, as (LUTs of a primitive, bits wide at depth 32, at depth 64).
_LUTRAM = {Family.SERIES7: (4, 6, 3), Family.ULTRASCALE_PLUS: (8, 14, 7)}


def div_up(a: IntArray | int, b: IntArray | int) -> IntArray:
    """The least integers not below a / b."""
    return np.asarray(-(-np.asarray(a) // b))


def ceil_log2(count: IntArray) -> IntArray:
    """The least e with 2**e >= count, for count >= 1."""
    return np.frexp((np.asarray(count) - 1).astype(np.float64))[1].astype(np.int64)


def bram18_count(width: IntArray, depth: IntArray) -> IntArray:
    """RAMB18 of a memory of depth words of width bits, in the best of the shapes; a RAMB36 counts two."""
    counts = [div_up(width, w) * div_up(depth, d) for w, d in _BRAM18]
    return np.asarray(np.minimum.reduce(counts))


def lutram_luts(width: IntArray, depth: IntArray, family: Family) -> IntArray:
    """LUTs of a distributed RAM of depth words of width bits, with its read multiplexers."""
    luts, wide, narrow = _LUTRAM[family]
    banks = div_up(depth, 64)
    deep = banks * luts * div_up(width, narrow) + width * (div_up(banks, 4) - 1) + (banks > 1) * banks
    return np.where(depth <= 32, luts * div_up(width, wide), deep)


def rom_luts(width: IntArray, depth: IntArray) -> IntArray:
    """LUTs of a constant memory: one LUT6 per bit and 64 words, F7 and F8 join four; a single word is wires."""
    banks = div_up(depth, 64)
    return np.where(depth <= 1, 0, width * (banks + div_up(banks, 4) - 1))
