"""The elementwise sum or difference of two maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from codesign.errors import UnsupportedError
from codesign.ops.arrays import IntArray
from codesign.ops.operator import Operator
from codesign.ops.qtype import QType
from codesign.ops.requantize import (
    HALF_UP,
    OutputRule,
    check_requantize,
    check_rule,
    check_zero,
    requantize,
)
from codesign.ops.shapes import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Operator):
    """Elementwise sum of two maps of one shape; a negative multiplier makes it a difference.

    y = clamp(round(((a - zeros[0]) * multipliers[0] + (b - zeros[1]) * multipliers[1]) / 2**shift) + zero)

    `rule` says how to round, what `zero` is, and where outputs end.
    """

    name: str
    sources: tuple[str, str]
    ishape: Shape
    itypes: tuple[QType, QType]
    multipliers: tuple[int, int]
    shift: int
    otype: QType
    zeros: tuple[int, int] = (0, 0)  # the inputs' zero points
    rule: OutputRule = HALF_UP

    def __post_init__(self) -> None:
        if 0 in self.multipliers:
            raise ValueError(f"{self.name}: expected multipliers that are not 0, got {self.multipliers}")
        check_requantize(self.name, self.acc_bits, 1, self.shift)
        for zero, itype in zip(self.zeros, self.itypes, strict=True):
            check_zero(self.name, zero, itype)
        check_rule(self.name, self.rule, self.shift, self.otype)

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.sources

    @property
    def oshape(self) -> Shape:
        return self.ishape

    @property
    def ishapes(self) -> tuple[Shape, ...]:
        """The shape of each input."""
        return (self.ishape, self.ishape)

    @property
    def joins(self) -> bool:
        return True

    @property
    def acc_bits(self) -> int:
        """Signed width of the scaled sum, before rounding."""
        bound = sum(max(-t.qmin, t.qmax + 1) * abs(m) for t, m in zip(self.itypes, self.multipliers, strict=True))
        return (bound - 1).bit_length() + 1

    @property
    def added(self) -> int:
        """What the machine adds to its scaled sums: the zero points' part, taken away."""
        return -sum(zero * m for zero, m in zip(self.zeros, self.multipliers, strict=True))

    @property
    def sum_bits(self) -> int:
        """Signed width of what an engine's array gives."""
        return self.acc_bits

    @property
    def title(self) -> str:
        return "add"

    def nameless(self) -> "Add":
        """Return the node without names, so that equal nodes of different networks compare equal."""
        return replace(self, name="n", sources=("a", "b"))

    def check(self, params: Mapping[str, IntArray]) -> None:
        if self.sources[0] == self.sources[1]:
            raise UnsupportedError(f"node {self.name!r}: adds {self.sources[0]!r} to itself; double its multiplier")

    def evaluate(self, maps: Sequence[IntArray], params: Mapping[str, IntArray]) -> IntArray:
        """Return y[B,Y,X,C] for two maps [B,Y,X,C]; there are no parameters."""
        a, b = maps
        total = (a - self.zeros[0]) * self.multipliers[0] + (b - self.zeros[1]) * self.multipliers[1]
        return requantize(total, 1, self.shift, self.otype, self.rule)
