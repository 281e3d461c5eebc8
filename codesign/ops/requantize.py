"""Accumulators to outputs: scale, round and clamp. Operators that add up share this."""

from enum import Enum

import numpy as np

from codesign.ops.arrays import IntArray
from codesign.ops.qtype import QType

MAX_ACC_BITS = 32
MAX_MULTIPLIER_BITS = 16
# The widest product: what one DSP48 adds, and safely inside int64 everywhere.
MAX_PRODUCT_BITS = MAX_ACC_BITS + MAX_MULTIPLIER_BITS


class Scaling(Enum):
    """How a Conv's per-channel multipliers look; it decides what hardware they need."""

    SHIFT = "shift"  # every multiplier is 1: a wire
    POWER_OF_TWO = "power_of_two"  # multipliers are powers of two: a small shifter
    GENERAL = "general"  # any positive multiplier: a DSP per lane


def requantize(acc: IntArray, multiplier: IntArray | int, shift: int, otype: QType) -> IntArray:
    """Scale accumulators to `otype`, rounding half up, toward plus infinity at ties.

        y = clamp(floor(acc * multiplier / 2**shift + 1/2), otype.qmin, otype.qmax)

    The multiplier is one number or one per channel (last axis of acc). Exact in int64 while the product has at most
    48 bits, which the nodes check. Mirrored by templates/hls/kernels/requantize.hpp and
    templates/rtl/modules/requantize.sv.
    """
    half = (1 << shift) >> 1
    return np.clip((acc * multiplier + half) >> shift, otype.qmin, otype.qmax)


def check_requantize(name: str, acc_bits: int, multiplier_bits: int, shift: int) -> None:
    """Raise ValueError, naming the node, unless the machine has such a requantizer."""
    if not 2 <= acc_bits <= MAX_ACC_BITS:
        raise ValueError(f"{name}: expected an accumulator of 2 to {MAX_ACC_BITS} bits, got {acc_bits}")
    if not 1 <= multiplier_bits <= MAX_MULTIPLIER_BITS:
        raise ValueError(f"{name}: expected a multiplier of 1 to {MAX_MULTIPLIER_BITS} bits, got {multiplier_bits}")
    if not 0 <= shift < MAX_PRODUCT_BITS:
        raise ValueError(f"{name}: expected a shift of 0 to {MAX_PRODUCT_BITS - 1}, got {shift}")


def signed_bits(low: int, high: int) -> int:
    """Return the width of the two's complement type that holds both."""
    return max((-low - 1).bit_length() if low < 0 else 0, high.bit_length()) + 1


def scaling_of(multiplier: IntArray) -> Scaling:
    """Return the cheapest Scaling that the multipliers allow."""
    if (multiplier == 1).all():
        return Scaling.SHIFT
    if ((multiplier & (multiplier - 1)) == 0).all():
        return Scaling.POWER_OF_TWO
    return Scaling.GENERAL
