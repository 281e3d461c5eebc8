"""Counts of an array that packs two output channels into one DSP: packed_array.sv, packed_pair.sv and packed_tap.sv.

A DSP may take in the logic around its product. It then holds two registers of each operand, and the registers of
product and sum. It also adds the sum of its neighbour. Otherwise all of this is outside, and three registers in a row
are a LUT a bit.
"""

import numpy as np

from codesign.ir.technology import Technology
from codesign.machine.modules import MacArray
from codesign.machine.packing import MAX_CHAIN, chain_length, chains_of, field_bits
from codesign.model.counts import counts
from codesign.ops.arrays import Int, IntArray, ceil_div, ceil_log2

Luts = tuple[IntArray, IntArray]  # LUTs and registers


def packed_area(array: MacArray, technology: Technology) -> IntArray:
    """Return the counts [5] of an array that packs, or [N, 5] where its fields are arrays [N]."""
    simd = np.asarray(array.simd)
    pairs, x_bits = np.asarray(array.pe) // 2, array.packed_x_bits
    packs = technology.multiplier.packs
    x_lut, x_ff = _late(simd, packs, np.zeros_like(simd))
    w_lut, w_ff = _late(simd, packs, np.ones_like(simd))
    tap_lut, tap_ff = (0, 0) if packs else _outside(array, simd)
    tree_lut, tree_ff = _tree(array, simd, 0 if packs else 1)
    depth = chain_length(simd) + 2 + ceil_log2(chains_of(simd))
    lut = pairs * (2 * array.w_bits * w_lut + tap_lut + tree_lut + 2 * array.acc_bits) + x_bits * x_lut + 3
    ff = pairs * (2 * array.w_bits * w_ff + tap_ff + tree_ff + 2 * array.acc_bits) + x_bits * x_ff + depth + 1
    return counts(array.pe, dsp=pairs * simd, lut=lut, ff=ff)


def _late(simd: IntArray, packs: bool, in_front: IntArray) -> Luts:
    """Return LUTs and registers that hold back a bit of the operands of all taps, each tap one cycle more.

    `in_front`: registers in front of the array that are counted here.
    """
    taps, chains = chain_length(simd), chains_of(simd)
    lut = ff = np.zeros_like(simd)
    for position in range(MAX_CHAIN):
        whole = simd - chains * (taps - 1)  # chains of all taps; the others have no tap at position 0
        many = np.where(position < taps, chains if position else whole, 0)
        registers = in_front + max(position - 1 if packs else position + 1, 0)
        lut, ff = lut + many * (registers >= 3), ff + many * registers * (registers < 3)
    return lut, ff


def _outside(array: MacArray, simd: IntArray) -> Luts:
    """Return LUTs and registers of a pair's products and of the sums along its chains, where no DSP takes them in."""
    taps, chains = chain_length(simd), chains_of(simd)
    field, product = _widths(array, taps)
    most = np.minimum(product + ceil_log2(taps), field + array.acc_bits)
    whole = simd - chains * (taps - 1)
    lut, ff = np.zeros_like(simd), product * (simd + chains)
    for added in range(1, MAX_CHAIN):
        many = np.where(added < taps - 1, chains, np.where(added == taps - 1, whole, 0))
        lut = lut + many * np.minimum(product + added - 1, most)
        ff = ff + many * np.minimum(product + added, most)
    return lut, ff


def _tree(array: MacArray, simd: IntArray, before: int) -> Luts:
    """Return LUTs and registers of the sums of a pair's chains: an adder for each channel, and the borrow.

    The last chain may pass some levels alone. `before`: registers of its sum in front of them, outside of the DSP.
    """
    taps, chains = chain_length(simd), chains_of(simd)
    field, product = _widths(array, taps)
    low, high = (np.minimum(bits, array.acc_bits) for bits in (field, product + ceil_log2(taps) - field))
    lut = ff = alone = np.zeros_like(simd)
    never_added = chains > 1
    for level in range(1, int(np.max(ceil_log2(chains))) + 1):
        below = np.where(chains > 1 << (level - 1), ceil_div(chains, 1 << (level - 1)), 0)
        two, one = below // 2, below % 2 * (below > 1)
        never_added = never_added & (one == 1)
        alone = alone + never_added
        for bits in (low, high):
            width, wider = (np.minimum(bits + more, array.acc_bits) for more in (level - 1, level))
            lut, ff = lut + two * width, ff + two * wider + np.where(never_added, bits, one * width)
        ff = ff + two + one * ~never_added  # its borrow is the sign of its low field
    moved = np.where(alone > 0, alone + before, 0) * (alone + before >= 3)  # registers in a row become LUTs
    return lut + (moved > 0) * (low + high), ff - moved * (low + high)


def _widths(array: MacArray, taps: Int) -> tuple[IntArray, IntArray]:
    """Return the bits of the low field and of a product."""
    field = np.asarray(field_bits(array.w_bits, array.packed_x_bits, taps))
    return field, field + array.w_bits + array.packed_x_bits
