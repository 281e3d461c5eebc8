"""From the values of weights and of the input to the integers that stand for them."""

import math

import numpy as np

from codesign.front.quantization import Quantization, RealArray, Rounding
from codesign.front.source import Constant
from codesign.ops.arrays import IntArray
from codesign.ptq.config import QuantizeConfig, Ranges
from codesign.ptq.observe import Observed

INPUT_BITS = 8
_FACTORS = np.linspace(1.0, 0.3, 36)  # of the largest value; a range of least squared error is among them
_OCTAVES = 4  # the same for powers of two
_PIXEL_SHARE = 255 / 256  # so that pixels of steps of 1/255 have the power of two 1/256
_NEAR = 1e-3  # of a step: what real numbers may be off whole steps to be taken as such


def input_grid(observed: Observed, config: QuantizeConfig) -> Quantization:
    """Return the grid of 8 bits for the network's input, with a zero point where there are negative values.

    Pixels, which lie on a grid of 256 values that has 0, are represented exactly unless powers of two are asked for.
    """
    low, high = min(observed.low, 0.0), max(observed.high, 0.0)
    most = (1 << INPUT_BITS) - 1
    scale = (high - low) / most if high > low else 1.0
    step = _pixel_step(observed)
    if config.power_of_two:
        scale = rounded_up((scale if step is None else step) * _PIXEL_SHARE)
    elif step is not None:
        scale = step
    zero = int(np.clip(round(-low / scale), 0, most))
    return Quantization(scale=scale, zero=zero, low=0, high=most, rounding=Rounding.HALF_UP)


def weight_constant(values: RealArray, bits: int, config: QuantizeConfig) -> Constant:
    """Return weights [K, ...] as integers of `bits`, symmetric around 0, with a scale for each K or one for all."""
    most = (1 << bits - 1) - 1
    flat = values.reshape(len(values), -1) if config.per_channel else values.reshape(1, -1)
    widest = np.abs(flat).max(axis=1) / most
    widest = np.where(widest > 2.0**-90, widest, 2.0**-30)  # of channels that are all zeros
    if config.weight_ranges is Ranges.MAX:
        scale = _rounded_up_all(widest) if config.power_of_two else widest
    else:
        scales = candidates(widest, config.power_of_two)
        errors = [np.square(_integers(flat, s, most) * s[:, np.newaxis] - flat).sum(axis=1) for s in scales]
        scale = scales[np.argmin(errors, axis=0), np.arange(len(flat))]
    integers = _integers(flat, scale, most).reshape(values.shape)
    return Constant.of(integers, scale.reshape(-1, *(1,) * (values.ndim - 1)))


def _integers(flat: RealArray, scale: RealArray, most: int) -> IntArray:
    return np.clip(np.rint(flat / scale[:, np.newaxis]), -most, most).astype(np.int64)


def candidates(widest: RealArray, power_of_two: bool) -> RealArray:
    """Return scales to choose from in a first axis; the first is the widest, with which nothing is clipped."""
    if not power_of_two:
        return np.asarray(np.multiply.outer(_FACTORS, widest))
    return np.asarray(np.multiply.outer(2.0 ** -np.arange(_OCTAVES), _rounded_up_all(widest)))


def rounded_up(scale: float) -> float:
    """Return the next power of two."""
    return float(_rounded_up_all(np.asarray(scale)))


def _rounded_up_all(scale: RealArray) -> RealArray:
    """Return the next powers of two."""
    return np.ldexp(1.0, np.ceil(np.log2(scale) - 1e-9).astype(np.int64))


def _pixel_step(observed: Observed) -> float | None:
    """Return the step of pixels: of at most 256 values that are whole multiples of it; None if there is no such."""
    found = np.unique(observed.values)
    most = (1 << INPUT_BITS) - 1
    if not 2 < len(found) <= 4 * (most + 1) or not math.isfinite(found[-1] - found[0]):
        return None
    gaps = np.diff(found)
    step = float(gaps[gaps > _NEAR * gaps.max()].min())
    step = float(found[-1] - found[0]) / round((found[-1] - found[0]) / step)
    reach = max(found[-1], 0.0) - min(found[0], 0.0)
    off = np.abs(found / step - np.rint(found / step))
    return step if reach <= (most + _NEAR) * step and float(off.max()) < _NEAR else None
