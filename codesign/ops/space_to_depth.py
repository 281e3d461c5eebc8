"""Pixels that become channels: every block of pixels one pixel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from codesign.ops.arrays import IntArray
from codesign.ops.moving import MovingOperator
from codesign.ops.qtype import QType
from codesign.ops.shapes import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceToDepth(MovingOperator):
    """Every block of `block` x `block` pixels made one pixel, with the channels of all of them in order.

    y[oy, ox, (by*b + bx)*C + c] = x[oy*b + by, ox*b + bx, c]
    """

    name: str
    source: str
    ishape: Shape
    block: int
    otype: QType

    def __post_init__(self) -> None:
        if self.block < 1 or self.ishape.y % self.block or self.ishape.x % self.block:
            raise ValueError(
                f"{self.name}: expected blocks that divide a map of {self.ishape}, got {self.block} x {self.block}"
            )

    @property
    def oshape(self) -> Shape:
        return Shape(self.ishape.y // self.block, self.ishape.x // self.block, self.ishape.c * self.block**2)

    @property
    def aligned_lanes(self) -> tuple[int, int] | None:
        return self.ishape.c, 1

    def spans(self) -> tuple[IntArray, IntArray]:
        rows, columns = np.arange(self.oshape.y)[:, None] * self.block, np.arange(self.oshape.x)[None, :] * self.block
        first = (rows * self.ishape.x + columns).ravel()
        return first, first + (self.block - 1) * (self.ishape.x + 1)

    @property
    def title(self) -> str:
        return f"space to depth {self.block}"

    def evaluate(self, maps: Sequence[IntArray], params: Mapping[str, IntArray]) -> IntArray:
        """Return y[B,OY,OX,K] for x[B,IY,IX,C]; there are no parameters."""
        (x,), out, block = maps, self.oshape, self.block
        parts = x.reshape(len(x), out.y, block, out.x, block, self.ishape.c)
        return parts.transpose(0, 1, 3, 2, 4, 5).reshape(len(x), out.y, out.x, out.c)
