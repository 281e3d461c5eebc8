"""Maps made larger by repeating pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from codesign.ops.arrays import IntArray
from codesign.ops.moving import MovingOperator
from codesign.ops.qtype import QType
from codesign.ops.shapes import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize(MovingOperator):
    """Every pixel repeated FY times in its column and FX times in its row: nearest neighbour by whole factors.

    y[oy,ox] = x[floor(oy / FY), floor(ox / FX)]
    """

    name: str
    source: str
    ishape: Shape
    fy: int
    fx: int
    otype: QType

    def __post_init__(self) -> None:
        if min(self.fy, self.fx) < 1:
            raise ValueError(f"{self.name}: expected whole factors of at least 1, got {self.fy} and {self.fx}")

    @property
    def oshape(self) -> Shape:
        return Shape(self.ishape.y * self.fy, self.ishape.x * self.fx, self.ishape.c)

    def spans(self) -> tuple[IntArray, IntArray]:
        row, column = np.arange(self.oshape.y)[:, None] // self.fy, np.arange(self.oshape.x)[None, :] // self.fx
        pixels = (row * self.ishape.x + column).ravel()
        return pixels, pixels

    @property
    def title(self) -> str:
        return f"resize {self.fy}×{self.fx}"

    def evaluate(self, maps: Sequence[IntArray], params: Mapping[str, IntArray]) -> IntArray:
        """Return y[B,OY,OX,C] for x[B,IY,IX,C]; there are no parameters."""
        (x,) = maps
        return x.repeat(self.fy, axis=1).repeat(self.fx, axis=2)
