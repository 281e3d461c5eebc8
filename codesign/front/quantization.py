"""How real values become integers: the grid that an integer type can represent, and how a file rounds to it."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from codesign.ops.arrays import IntArray

RealArray = npt.NDArray[np.float64]

MOST_ZERO = 1 << 31  # of a zero point, either way


class Rounding(Enum):
    """How a file rounds a real number to an integer."""

    HALF_EVEN = "half to even"
    HALF_ODD = "half to odd"  # of a file that rounds to even after it has added an odd zero point
    HALF_UP = "half toward plus infinity"
    HALF_AWAY = "half away from zero"
    HALF_IN = "half toward zero"
    FLOOR = "down"
    CEIL = "up"
    IN = "toward zero"
    AWAY = "away from zero"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """The real values scale * (q - zero) of the integers low <= q <= high.

    A real number becomes the integer clamp(round(value / scale) + zero). Raises ValueError unless scale is positive,
    the zero point has 32 bits at most, and low is less than high.
    """

    scale: float
    zero: int
    low: int
    high: int
    rounding: Rounding = Rounding.HALF_EVEN

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale) and 2.0**-100 < self.scale < 2.0**100):
            raise ValueError(f"expected a positive scale, got {self.scale}")
        if abs(self.zero) > MOST_ZERO:
            raise ValueError(f"expected a zero point of at most 32 bits, got {self.zero}")
        if not self.low < self.high:
            raise ValueError(f"expected a range of at least two integers, got {self.low} to {self.high}")

    def integers(self, values: RealArray) -> IntArray:
        """Return the integer of every real value."""
        steps = np.clip(values / self.scale, self.low - self.zero - 1.0, self.high - self.zero + 1.0)
        return np.clip(rounded(steps, self.rounding).astype(np.int64) + self.zero, self.low, self.high)

    def values(self, integers: IntArray) -> RealArray:
        """Return the real value of every integer."""
        return self.scale * (integers - self.zero).astype(np.float64)


def rounded(values: RealArray, rounding: Rounding) -> RealArray:
    """Return the whole numbers that real ones are rounded to."""
    match rounding:
        case Rounding.HALF_EVEN:
            return np.rint(values)
        case Rounding.HALF_ODD:
            return np.rint(values + 1.0) - 1.0
        case Rounding.HALF_UP:
            return np.floor(values + 0.5)
        case Rounding.HALF_AWAY:
            return np.sign(values) * np.floor(np.abs(values) + 0.5)
        case Rounding.HALF_IN:
            return np.sign(values) * np.ceil(np.abs(values) - 0.5)
        case Rounding.FLOOR:
            return np.floor(values)
        case Rounding.CEIL:
            return np.ceil(values)
        case Rounding.IN:
            return np.trunc(values)
        case Rounding.AWAY:
            return np.sign(values) * np.ceil(np.abs(values))
