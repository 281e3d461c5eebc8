"""Accumulators to outputs: scale, round and clamp. Operators that add up share this."""

from dataclasses import dataclass
from enum import Enum

import numpy as np

from codesign.ops.arrays import IntArray
from codesign.ops.qtype import QType

MAX_ACC_BITS = 32
MAX_MULTIPLIER_BITS = 16
# The widest product: what one DSP48 adds, and safely inside int64 everywhere.
MAX_PRODUCT_BITS = MAX_ACC_BITS + MAX_MULTIPLIER_BITS


class Scaling(Enum):
    """The kind of a Conv's per-channel multipliers; it decides what hardware they need."""

    SHIFT = "shift"  # every multiplier is 1: a wire
    POWER_OF_TWO = "power_of_two"  # multipliers are powers of two: a small shifter
    GENERAL = "general"  # any positive multiplier: a DSP per lane


class Rounding(Enum):
    """Which integer stands for a number between two."""

    HALF_UP = "half_up"  # the nearest, of two the larger
    HALF_EVEN = "half_even"  # the nearest, of two the even one
    FLOOR = "floor"  # the next below
    CEIL = "ceil"  # the next above


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRule:
    """How a scaled sum becomes an output: y = clamp(round(sum) + zero).

    `zero`: the output's zero point. `bounds`: the least and the largest output; None stands for those of its type.
    """

    rounding: Rounding = Rounding.HALF_UP
    zero: int = 0
    bounds: tuple[int, int] | None = None

    def limits(self, otype: QType) -> tuple[int, int]:
        """Return the least and the largest output."""
        return self.bounds or (otype.qmin, otype.qmax)


HALF_UP = OutputRule()


def requantize(
    acc: IntArray, multiplier: IntArray | int, shift: int, otype: QType, rule: OutputRule = HALF_UP
) -> IntArray:
    """Scale accumulators to `otype`: y = clamp(round(acc * multiplier / 2**shift) + zero).

    The multiplier is one number or one per channel (last axis of acc). Exact in int64 while the product has at most
    48 bits, which the nodes check. Mirrored by templates/hls/kernels/requantize.hpp and
    templates/rtl/modules/requantize.sv.
    """
    product, half = acc * multiplier, (1 << shift) >> 1
    match rule.rounding:
        case Rounding.HALF_UP:
            whole = (product + half) >> shift
        case Rounding.HALF_EVEN:
            below = product >> shift
            twice = 2 * (product - (below << shift))  # what is left, in halves of 2**shift
            whole = below + (twice + (below & 1) > 1 << shift)
        case Rounding.FLOOR:
            whole = product >> shift
        case Rounding.CEIL:
            whole = -(-product >> shift)
    return np.clip(whole + rule.zero, *rule.limits(otype))


def output_offset(rule: OutputRule, shift: int) -> int:
    """Return what is added to a product so that a shift right rounds it and adds the zero point.

    Ties to even need one thing more. At a tie the bits shifted out all equal the zero point's lowest bit, and so must
    the lowest bit of the result. Elsewhere they are never all alike in this way.
    """
    one = 1 << shift
    match rule.rounding:
        case Rounding.HALF_UP:
            offset = one >> 1
        case Rounding.HALF_EVEN:
            offset = (one >> 1) - (rule.zero & 1 if shift else 0)
        case Rounding.FLOOR:
            offset = 0
        case Rounding.CEIL:
            offset = one - 1
    return offset + (rule.zero << shift)


def check_rule(name: str, rule: OutputRule, shift: int, otype: QType) -> None:
    """Raise ValueError, naming the node, unless its outputs and its zero point lie within their type."""
    low, high = rule.limits(otype)
    if not otype.qmin <= low <= high <= otype.qmax:
        raise ValueError(f"{name}: expected bounds within {otype.qmin} to {otype.qmax} ({otype}), got {low} to {high}")
    check_zero(name, rule.zero, otype)
    if abs(rule.zero) << shift >= 1 << (MAX_PRODUCT_BITS - 1):
        raise ValueError(
            f"{name}: a zero point of {rule.zero} and a shift of {shift} need more than the {MAX_PRODUCT_BITS} bits of "
            "a product"
        )


def check_zero(name: str, zero: int, qtype: QType) -> None:
    """Raise ValueError, naming the node, unless a zero point lies within its type."""
    if not qtype.qmin <= zero <= qtype.qmax:
        raise ValueError(f"{name}: expected a zero point within {qtype.qmin} to {qtype.qmax} ({qtype}), got {zero}")


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
