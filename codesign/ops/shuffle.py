"""Channels of several groups in turn: what lets groups of convolutions mix."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codesign.ops.arrays import IntArray
from codesign.ops.moving import MovingOperator
from codesign.ops.qtype import QType
from codesign.ops.shapes import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Shuffle(MovingOperator):
    """The first channel of every group, then the second of every group, and so on.

    y[oy, ox, j*G + i] = x[oy, ox, i*(C/G) + j] for G groups i of C/G channels j.
    """

    name: str
    source: str
    ishape: Shape
    groups: int
    otype: QType

    def __post_init__(self) -> None:
        if self.groups < 1 or self.ishape.c % self.groups:
            raise ValueError(f"{self.name}: groups must divide the {self.ishape.c} channels, got {self.groups}")

    @property
    def oshape(self) -> Shape:
        return self.ishape

    @property
    def aligned_lanes(self) -> tuple[int, int] | None:
        return 1, 1  # channels change their places one by one

    @property
    def title(self) -> str:
        return f"shuffle {self.groups} groups"

    def evaluate(self, maps: Sequence[IntArray], params: Mapping[str, IntArray]) -> IntArray:
        """Return y[B,Y,X,C] for x[B,Y,X,C]; there are no parameters."""
        (x,) = maps
        return x.reshape(*x.shape[:3], self.groups, -1).swapaxes(3, 4).reshape(x.shape)
