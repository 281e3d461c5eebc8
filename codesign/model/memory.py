"""How many primitives a memory of a given width and depth becomes; formulas over columns, as all of the model."""

import numpy as np
import numpy.typing as npt

from codesign.ir.board import Family
from codesign.ops.arrays import Int, IntArray, ceil_div

# Shapes of one RAMB18 as (width, depth).
_BRAM18 = ((1, 16384), (2, 8192), (4, 4096), (9, 2048), (18, 1024), (36, 512))
# Distributed RAM, one write and one read port, as (LUTs of a primitive, bits wide at depth 32, at depth 64).
_LUTRAM = {Family.SERIES7: (4, 6, 3), Family.ULTRASCALE_PLUS: (8, 14, 7)}


def ceil_log2(count: Int) -> IntArray:
    """Return the least e with 2**e >= count, for count >= 1."""
    return np.frexp((np.asarray(count) - 1).astype(np.float64))[1].astype(np.int64)


def bram18_count(width: Int, depth: Int) -> IntArray:
    """Return the RAMB18 of a memory of depth words of width bits, in the best of the shapes; a RAMB36 counts two.

    A memory deeper than a shape lies in it side by side, several words in a row of the primitive.
    """
    rows = [np.asarray(ceil_div(width * ceil_div(depth, d), w)) for w, d in _BRAM18]
    return np.asarray(np.minimum.reduce(rows))


def choice_luts(inputs: Int) -> npt.NDArray[np.float64]:
    """Return the LUTs that choose one of so many bits: 1 up to four, above that 0.45 an input (pyosys 0.70)."""
    inputs = np.asarray(inputs)
    return np.where(inputs <= 4, (inputs > 1).astype(np.float64), 0.45 * inputs)


def lutram_luts(width: Int, depth: Int, family: Family) -> IntArray:
    """Return the LUTs of a distributed RAM of depth words of width bits, with the choice between banks of 64 words."""
    luts, wide, narrow = _LUTRAM[family]
    banks = ceil_div(depth, 64)
    deep = banks * luts * ceil_div(width, narrow) + width * choice_luts(banks) + (banks > 1) * 1.4 * banks
    return np.asarray(np.rint(np.where(depth <= 32, luts * ceil_div(width, wide), deep)).astype(np.int64))


def rom_luts(width: Int, depth: Int) -> npt.NDArray[np.float64]:
    """Return the LUTs of a constant memory of dense random words: one a bit and page of 64 words, and the choice of
    page.

    In a page of few words, columns are equal, complements or address bits; only different ones take a LUT.
    """
    pages = ceil_div(depth, 64)
    last = depth - 64 * (pages - 1)
    half = np.exp2(np.minimum(last, 40) - 1.0)  # columns that differ in more than the sign
    share = -np.expm1(np.asarray(width) * np.log1p(-1 / np.maximum(half, 1.5)))
    distinct = np.minimum(np.maximum(half - 1 - ceil_log2(last), 0) * share, width)
    luts = np.asarray(width) * (pages - 1) + distinct + np.asarray(width) * choice_luts(pages)
    return np.where(np.asarray(depth) <= 1, 0.0, luts)
