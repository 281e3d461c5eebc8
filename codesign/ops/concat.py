"""Maps side by side in channels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import gcd

import numpy as np

from codesign.ops.arrays import IntArray
from codesign.ops.operator import Operator
from codesign.ops.qtype import QType
from codesign.ops.shapes import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Concat(Operator):
    """Two or more maps of one extent and one integer type, side by side in channels; nothing is scaled.

    y[oy,ox] = the channels of the first input at (oy, ox), then those of the second, and so on.
    """

    name: str
    sources: tuple[str, ...]
    ishapes: tuple[Shape, ...]
    otype: QType

    def __post_init__(self) -> None:
        if len(self.sources) < 2 or len(self.sources) != len(self.ishapes):
            raise ValueError(
                f"{self.name}: expected two inputs or more and a shape for each, got {len(self.sources)} inputs and "
                f"{len(self.ishapes)} shapes"
            )
        extents = {(shape.y, shape.x) for shape in self.ishapes}
        if len(extents) > 1:
            raise ValueError(
                f"{self.name}: maps of different extents cannot be joined in channels: "
                f"{', '.join(map(str, self.ishapes))}; a Resize or a window may bring them to one extent"
            )

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.sources

    @property
    def itypes(self) -> tuple[QType, ...]:
        """The integer type of each input."""
        return (self.otype,) * len(self.sources)

    @property
    def ishape(self) -> Shape:
        """The inputs together."""
        return self.oshape

    @property
    def oshape(self) -> Shape:
        first = self.ishapes[0]
        return Shape(first.y, first.x, sum(shape.c for shape in self.ishapes))

    @property
    def joins(self) -> bool:
        return True

    @property
    def aligned_lanes(self) -> tuple[int, int] | None:
        return gcd(*(shape.c for shape in self.ishapes[:-1])), 1

    @property
    def sum_bits(self) -> int:
        """Width of what an engine's array gives: that of its inputs."""
        return self.otype.bits

    @property
    def title(self) -> str:
        return "concat"

    def nameless(self) -> "Concat":
        """Return the node without names, so that equal nodes of different networks compare equal."""
        return replace(self, name="n", sources=tuple(f"s{i}" for i in range(len(self.sources))))

    def evaluate(self, maps: Sequence[IntArray], params: Mapping[str, IntArray]) -> IntArray:
        """Return y[B,Y,X,K] for maps [B,Y,X,C] whose channels sum to K; there are no parameters."""
        return np.concatenate(maps, axis=3)
