"""Maps made larger: values around them, and zeros between their pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from codesign.ops.arrays import BoolArray, IntArray
from codesign.ops.moving import MovingOperator
from codesign.ops.qtype import QType
from codesign.ops.shapes import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Pad(MovingOperator):
    """A constant around a map, any amount on each side; or pixels SY rows and SX columns apart, with zeros between.

    y[top + iy*SY, left + ix*SX] = x[iy,ix]; all other pixels hold `value` in every channel.
    """

    name: str
    source: str
    ishape: Shape
    top: int
    left: int
    bottom: int
    right: int
    stride_y: int
    stride_x: int
    value: int
    otype: QType

    def __post_init__(self) -> None:
        pads = (self.top, self.left, self.bottom, self.right)
        if min(pads) < 0 or min(self.stride_y, self.stride_x) < 1:
            raise ValueError(
                f"{self.name}: expected 0 or more rows and columns around a map, and strides of at least 1; got {pads} "
                f"and {(self.stride_y, self.stride_x)}"
            )
        if not self.otype.qmin <= self.value <= self.otype.qmax:
            raise ValueError(f"{self.name}: expected a value of {self.otype} around the map, got {self.value}")
        if self.value and max(self.stride_y, self.stride_x) > 1:
            raise ValueError(f"{self.name}: between pixels lie zeros, so around the map as well; got {self.value}")

    @property
    def oshape(self) -> Shape:
        rows = self.top + (self.ishape.y - 1) * self.stride_y + 1 + self.bottom
        return Shape(rows, self.left + (self.ishape.x - 1) * self.stride_x + 1 + self.right, self.ishape.c)

    @property
    def channels_held(self) -> int | None:
        return 1

    @property
    def aligned_lanes(self) -> tuple[int, int] | None:
        return self.ishape.c, 1  # a lane beyond the channels would not hold zero

    @property
    def real(self) -> BoolArray:
        """Which pixels [OY,OX] come from the input."""
        found = np.zeros((self.oshape.y, self.oshape.x), np.bool_)
        found[self._rows, self._columns] = True
        return found

    @property
    def _rows(self) -> slice:
        return slice(self.top, self.oshape.y - self.bottom, self.stride_y)

    @property
    def _columns(self) -> slice:
        return slice(self.left, self.oshape.x - self.right, self.stride_x)

    def spans(self) -> tuple[IntArray, IntArray]:
        real = self.real.ravel()
        following: IntArray = np.cumsum(real) - real
        return following, np.minimum(following, self.ishape.y * self.ishape.x - 1)

    @property
    def title(self) -> str:
        return "pad" if self.stride_y == self.stride_x == 1 else f"spread {self.stride_y}×{self.stride_x}"

    def evaluate(self, maps: Sequence[IntArray], params: Mapping[str, IntArray]) -> IntArray:
        """Return y[B,OY,OX,C] for x[B,IY,IX,C]; there are no parameters."""
        (x,), out = maps, self.oshape
        y = np.full((len(x), out.y, out.x, out.c), self.value, np.int64)
        y[:, self._rows, self._columns] = x
        return y
