"""Channels that become pixels: every pixel a block of pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from codesign.ops.arrays import IntArray
from codesign.ops.moving import MovingOperator
from codesign.ops.qtype import QType
from codesign.ops.shapes import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthToSpace(MovingOperator):
    """Every pixel made a block of `block` x `block` pixels, which share its channels in order.

    y[iy*b + by, ix*b + bx, k] = x[iy, ix, (by*b + bx)*K + k] with K = C / b**2. A Shuffle in K groups before it
    takes the other order of channels, in which those of one output channel lie side by side.
    """

    name: str
    source: str
    ishape: Shape
    block: int
    otype: QType

    def __post_init__(self) -> None:
        if self.block < 1 or self.ishape.c % self.block**2:
            raise ValueError(
                f"{self.name}: expected blocks whose pixels divide the {self.ishape.c} channels, got {self.block} x "
                f"{self.block}"
            )

    @property
    def oshape(self) -> Shape:
        return Shape(self.ishape.y * self.block, self.ishape.x * self.block, self.ishape.c // self.block**2)

    @property
    def aligned_lanes(self) -> tuple[int, int] | None:
        return self.oshape.c, 1

    def spans(self) -> tuple[IntArray, IntArray]:
        rows, columns = np.arange(self.oshape.y)[:, None] // self.block, np.arange(self.oshape.x)[None, :] // self.block
        pixels = (rows * self.ishape.x + columns).ravel()
        return pixels, pixels

    @property
    def title(self) -> str:
        return f"depth to space {self.block}"

    def evaluate(self, maps: Sequence[IntArray], params: Mapping[str, IntArray]) -> IntArray:
        """Return y[B,OY,OX,K] for x[B,IY,IX,C]; there are no parameters."""
        (x,), shape, block = maps, self.ishape, self.block
        parts = x.reshape(len(x), shape.y, shape.x, block, block, self.oshape.c)
        return parts.transpose(0, 1, 3, 2, 4, 5).reshape(len(x), self.oshape.y, self.oshape.x, self.oshape.c)
