"""From the values of maps to the integers that stand for them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from codesign.front.activations import activated
from codesign.front.quantization import Quantization, RealArray, Rounding
from codesign.front.source import Activation
from codesign.ptq.config import QuantizeConfig, Ranges
from codesign.ptq.grids import candidates, rounded_up
from codesign.ptq.observe import Observed

_ENDS = np.linspace(1.0, 0.04, 25)  # of the least and of the largest value: where a range with a zero point may end
_ROUNDS = 2  # over both ends, one after the other
_MOST_TRIED = 1 << 15  # values that these are tried on
_WORTH = 0.8  # of the squared error: a zero point comes with less than that


@dataclass(frozen=True, slots=True)
class Use:
    """How maps of one grid are read.

    `zero_point`: all that gives or reads them computes with a zero point at no cost. `table`: the activation that alone
    reads them; errors are then those of what it gives.
    """

    zero_point: bool = False
    table: Activation | None = None

    def squared_error(self, grid: Quantization, values: RealArray) -> float:
        """Return the sum of the squares of what values lose on a grid."""
        levels = self._read(grid.values(np.arange(grid.low, grid.high + 1)))
        return float(np.square(levels[grid.integers(values) - grid.low] - self._read(values)).sum())

    def _read(self, values: RealArray) -> RealArray:
        return values if self.table is None else activated(self.table, values, None)


_PLAIN = Use()


def map_grid(observed: Sequence[Observed], bits: int, config: QuantizeConfig, use: Use = _PLAIN) -> Quantization:
    """Return the grid of `bits` for maps that share it: unsigned where no value is negative, else symmetric.

    It has a zero point where that is free and makes squared errors clearly less. Raise ValueError if `config.ranges` is
    AUTO: one of the others is to be chosen before.
    """
    values = np.concatenate([o.values for o in observed])
    shifts = use.zero_point and config.zero_points and float(values.min()) < 0
    if config.ranges is Ranges.AUTO:
        raise ValueError("ranges: expected max, percentile or mse, got auto")
    if config.ranges is Ranges.MSE:
        plain = _plain_of_least_error(values, bits, config, use)
        if not shifts:
            return plain
        some = values[:: -(-len(values) // _MOST_TRIED)]
        shifted = _shifted_of_least_error(values, some, bits, config, use)
        return shifted if use.squared_error(shifted, some) < _WORTH * use.squared_error(plain, some) else plain
    if config.ranges is Ranges.PERCENTILE:
        reach = float(np.percentile(np.abs(values), config.percentile, method="lower"))
        values = np.clip(values, -reach, reach)
    plain, shifted = _plain(values, bits, config), _shifted(float(values.min()), float(values.max()), bits, config)
    return shifted if shifts and shifted.scale**2 < _WORTH * plain.scale**2 else plain


def _plain(values: RealArray, bits: int, config: QuantizeConfig) -> Quantization:
    """Return the grid without a zero point on which no value is clipped; of scale 1 where all are zeros."""
    signed = float(values.min()) < 0
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    scale = _usable(max(float(values.max()) / high, float(values.min()) / low if low else 0.0))
    scale = rounded_up(scale) if config.power_of_two else scale
    return Quantization(scale=scale, zero=0, low=low, high=high, rounding=Rounding.HALF_UP)


def _plain_of_least_error(values: RealArray, bits: int, config: QuantizeConfig, use: Use) -> Quantization:
    widest = _plain(values, bits, config)
    unrounded = _plain(values, bits, replace(config, power_of_two=False)).scale
    scales = candidates(np.asarray(unrounded), config.power_of_two)
    grids = [replace(widest, scale=float(scale)) for scale in scales]
    return min(grids, key=lambda grid: use.squared_error(grid, values))


def _shifted(low: float, high: float, bits: int, config: QuantizeConfig) -> Quantization:
    """Return the grid with a zero point that reaches from `low` to `high`, or half a step less at one end."""
    most = (1 << bits) - 1
    low, high = min(low, 0.0), max(high, 0.0)
    scale = _usable((high - low) / most)
    scale = rounded_up(scale) if config.power_of_two else scale
    zero = int(np.clip(round(-low / scale), 0, most))
    return Quantization(scale=scale, zero=zero, low=0, high=most, rounding=Rounding.HALF_UP)


def _shifted_of_least_error(
    values: RealArray, some: RealArray, bits: int, config: QuantizeConfig, use: Use
) -> Quantization:
    """Return the grid with a zero point that loses least on some of the values: one end is tried after the other."""
    low, high = float(values.min()), float(values.max())

    def error(ends: tuple[float, float]) -> float:
        return use.squared_error(_shifted(*ends, bits, config), some)

    ends = low, high
    for _ in range(_ROUNDS):
        ends = min(((low * factor, ends[1]) for factor in _ENDS), key=error)
        ends = min(((ends[0], high * factor) for factor in _ENDS), key=error)
    return _shifted(*ends, bits, config)


def _usable(scale: float) -> float:
    return scale if scale > 2.0**-90 else 1.0
