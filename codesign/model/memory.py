"""How many primitives a memory of a given width and depth takes; formulas over columns, as in all of the model."""

import numpy as np
import numpy.typing as npt

from codesign.ir.technology import Technology
from codesign.ops import arrays
from codesign.ops.arrays import Int, IntArray, ceil_div


def ceil_log2(count: Int) -> IntArray:
    """Return the least e with 2**e >= count, for count >= 1; always an array."""
    return np.asarray(arrays.ceil_log2(np.asarray(count)))


def bram18_count(width: Int, depth: Int, technology: Technology) -> IntArray:
    """Return the block RAMs of a memory of depth words of width bits, in the best of the shapes; a RAMB36 counts two.

    A memory deeper than a shape lies in it side by side, several words in a row of the primitive.
    """
    shapes = technology.block_ram
    rows = [np.asarray(ceil_div(width * ceil_div(depth, shape.depth), shape.width)) for shape in shapes]
    return np.asarray(np.minimum.reduce(rows))


def choice_luts(inputs: Int, technology: Technology) -> npt.NDArray[np.float64]:
    """Return the LUTs that choose one of so many bits: 1 while one LUT can, above that a fitted share of an input."""
    inputs = np.asarray(inputs)
    one = (inputs > 1).astype(np.float64)
    return np.where(inputs <= technology.lut_choices, one, technology.fitted.choice * inputs)


def lutram_luts(width: Int, depth: Int, technology: Technology) -> IntArray:
    """Return the LUTs of a memory in LUTs of depth words of width bits, with the choice between banks of a LUT each."""
    memory, words = technology.lut_memory, technology.lut_words
    banks = ceil_div(depth, words)
    between = width * choice_luts(banks, technology) + (banks > 1) * technology.fitted.bank * banks
    deep = banks * memory.luts * ceil_div(width, memory.full_bits) + between
    shallow = memory.luts * ceil_div(width, memory.half_bits)
    return np.asarray(np.rint(np.where(depth <= words // 2, shallow, deep)).astype(np.int64))


def rom_luts(width: Int, depth: Int, technology: Technology) -> npt.NDArray[np.float64]:
    """Return the LUTs of a constant memory of dense random words.

    These are one a bit and page of as many words as a LUT holds, and the choice of page.

    In a page of few words, columns are equal, complements or address bits; only different ones take a LUT.
    """
    pages = ceil_div(depth, technology.lut_words)
    last = depth - technology.lut_words * (pages - 1)
    half = np.exp2(np.minimum(last, 40) - 1.0)  # columns that differ in more than the sign
    share = -np.expm1(np.asarray(width) * np.log1p(-1 / np.maximum(half, 1.5)))
    distinct = np.minimum(np.maximum(half - 1 - ceil_log2(last), 0) * share, width)
    luts = np.asarray(width) * (pages - 1) + distinct + np.asarray(width) * choice_luts(pages, technology)
    return np.where(np.asarray(depth) <= 1, 0.0, luts)
