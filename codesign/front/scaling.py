"""Ratios of scales as whole multipliers and one shift, with a bound on what they are off."""

from dataclasses import dataclass

import numpy as np

from codesign.front.quantization import RealArray
from codesign.ops.arrays import IntArray
from codesign.ops.requantize import MAX_ACC_BITS, MAX_MULTIPLIER_BITS, MAX_PRODUCT_BITS

MOST_SHIFT = MAX_PRODUCT_BITS - 1
_BIAS_BITS = 7  # a bias is off by 1/128 of an output step at most


@dataclass(frozen=True, slots=True, eq=False)
class FixedPoint:
    """multiplier / 2**shift in place of real ratios, and the largest relative error of any of them."""

    multiplier: IntArray
    shift: int
    error: RealArray


def is_power_of_two(values: RealArray) -> bool:
    """Tell whether all values are powers of two."""
    return bool((np.frexp(values)[0] == 0.5).all())


def fixed_point(ratios: RealArray, bits: int = MAX_MULTIPLIER_BITS, least_shift: int = 0) -> FixedPoint:
    """Return the best multipliers of so many bits for positive ratios [K]; powers of two are exact where they fit.

    The multiplier of a ratio that is far below the largest one may be 0. Raise ValueError if a ratio is too large.
    """
    largest = float(ratios.max())
    most = min(MOST_SHIFT, bits - int(np.frexp(largest)[1]))
    if most < least_shift:
        raise ValueError(
            f"scales by {largest:g}, more than a multiplier of {bits} bits can; expected scales nearer to 1"
        )
    if is_power_of_two(ratios):
        needed = max(least_shift, 1 - int(np.frexp(float(ratios.min()))[1]))
        shift = min(needed, most)
    else:
        shift = most
    exact = np.ldexp(ratios, shift)
    multiplier = np.rint(exact).astype(np.int64)
    if multiplier.max() >= 1 << bits:
        shift -= 1
        exact = np.ldexp(ratios, shift)
        multiplier = np.rint(exact).astype(np.int64)
    if shift < least_shift:
        raise ValueError(
            f"scales by {largest:g}, more than a multiplier of {bits} bits can; expected scales nearer to 1"
        )
    return FixedPoint(multiplier, shift, np.abs(multiplier - exact) / exact)


@dataclass(frozen=True, slots=True, eq=False)
class LayerScaling:
    """Weights [K, ...], biases and multipliers [K] of a layer in whole numbers; see ops.conv.Conv for its formula.

    `error`: the largest difference from the real layer before rounding, in steps of its output.
    """

    weight: IntArray
    bias: IntArray
    bias_fraction: int
    multiplier: IntArray
    shift: int
    error: float


def layer_scaling(weight: IntArray, ratios: RealArray, bias: RealArray, reach: IntArray, span: int) -> LayerScaling:
    """Return whole numbers for round(ratios * sums + bias), with sums of weight[K, ...] times inputs.

    `ratios` [K]: steps of the output in a step of the sum. `bias` [K]: in steps of the output. `reach` [K]: the largest
    size of a sum. `span`: the integers of the output; beyond it a result is clamped, whatever it is.
    Powers of two are exact. Raise ValueError if a ratio is too large.
    """
    in_sums = bias / ratios
    if is_power_of_two(ratios) and (exact := _exact(weight, ratios, in_sums)) is not None:
        return exact
    found = fixed_point(ratios)
    limit = 2.0 * span + 2  # a bias beyond this clamps the output, unless the weights bring it back
    sums = np.minimum(reach, (np.abs(bias) + span) / ratios)
    held = np.abs(found.multiplier - np.ldexp(ratios, found.shift)) / np.ldexp(1.0, found.shift) * sums
    idle = (found.multiplier < 1) | (reach * ratios < held)  # channels that are nearer to the truth as constants
    multiplier = np.maximum(found.multiplier, 1)
    wanted = np.where(idle, np.clip(bias, -limit, limit), bias)
    fraction = _fraction(found, wanted / np.ldexp(multiplier, -found.shift), reach)
    shift = found.shift + fraction
    whole = np.rint(np.ldexp(wanted, shift) / multiplier)
    if np.abs(whole).max() >= 1 << (MAX_ACC_BITS - 1):
        raise ValueError(f"a bias of {np.abs(wanted).max():g} output steps is larger than {MAX_ACC_BITS} bits hold")
    error = np.where(idle, reach * ratios, held) + np.abs(np.ldexp(whole * multiplier, -shift) - wanted)
    kept = np.where(idle.reshape(-1, *(1,) * (weight.ndim - 1)), 0, weight)
    return LayerScaling(kept, whole.astype(np.int64), fraction, multiplier, shift, float(error.max()))


def _fraction(found: FixedPoint, bias: RealArray, reach: IntArray) -> int:
    """Return the bits below the step of a sum with which biases [K], in such steps, are off by little in the output."""
    needed = int(np.frexp(np.ldexp(float(found.multiplier.max()), -found.shift))[1]) - 1 + _BIAS_BITS
    largest = float((np.abs(bias) + reach).max()) + 1
    room = MAX_ACC_BITS - 4 - int(np.frexp(largest)[1])  # partial sums, with zero points in them, are wider than sums
    return max(0, min(needed, room, MOST_SHIFT - found.shift)) if bias.any() else 0


def _exact(weight: IntArray, ratios: RealArray, bias: RealArray) -> LayerScaling | None:
    """Return exact whole numbers for ratios that are powers of two; None if the bias is finer than any shift holds."""
    fraction = 0
    while not np.array_equal(np.ldexp(bias, fraction), np.rint(np.ldexp(bias, fraction))):
        fraction += 1
        if fraction > MAX_MULTIPLIER_BITS:
            return None
    whole = np.ldexp(bias, fraction)
    if np.abs(whole).max() >= 2.0 ** (MAX_PRODUCT_BITS - 2):
        return None
    try:
        found = fixed_point(np.ldexp(ratios, -fraction))
    except ValueError:
        return None
    if found.error.any():
        return None
    return LayerScaling(weight, whole.astype(np.int64), fraction, found.multiplier, found.shift, 0.0)
