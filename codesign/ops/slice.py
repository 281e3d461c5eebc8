"""Some channels of a map, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd

from codesign.ops.arrays import IntArray
from codesign.ops.moving import MovingOperator
from codesign.ops.qtype import QType
from codesign.ops.shapes import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(MovingOperator):
    """The channels from `start` to `stop`, without `stop` itself; nothing is scaled.

    y[oy,ox,k] = x[oy,ox,start + k]
    """

    name: str
    source: str
    ishape: Shape
    start: int
    stop: int
    otype: QType

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop <= self.ishape.c:
            raise ValueError(
                f"{self.name}: expected at least one channel from 0 on, of at most the {self.ishape.c} that there are; "
                f"got {self.start} to {self.stop}"
            )

    @property
    def oshape(self) -> Shape:
        return Shape(self.ishape.y, self.ishape.x, self.stop - self.start)

    @property
    def channels_held(self) -> int | None:
        return self.stop

    @property
    def aligned_lanes(self) -> tuple[int, int] | None:
        return gcd(self.start, self.stop - self.start), 1

    @property
    def title(self) -> str:
        return f"slice {self.start} to {self.stop - 1}"

    def evaluate(self, maps: Sequence[IntArray], params: Mapping[str, IntArray]) -> IntArray:
        """Return y[B,Y,X,K] for x[B,Y,X,C]; there are no parameters."""
        (x,) = maps
        return x[..., self.start : self.stop]
