"""A map times another map, or times one factor for each of its channels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from codesign.ops.arrays import IntArray
from codesign.ops.operator import Operator
from codesign.ops.qtype import QType
from codesign.ops.requantize import HALF_UP, OutputRule, check_requantize, requantize, signed_bits
from codesign.ops.shapes import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate(Operator):
    """A map times a gate, requantized to `otype`. The gate is a map of the same shape, or 1 x 1 x C for all pixels.

    y = clamp((a * gate * multiplier + 2**(shift-1)) >> shift)
    """

    name: str
    sources: tuple[str, str]
    ishape: Shape
    gate_shape: Shape
    itypes: tuple[QType, QType]
    multiplier: int
    shift: int
    otype: QType

    def __post_init__(self) -> None:
        if self.gate_shape not in (self.ishape, Shape(1, 1, self.ishape.c)):
            raise ValueError(
                f"{self.name}: expected a gate of {self.ishape} or 1x1x{self.ishape.c} for a map of {self.ishape}, got "
                f"{self.gate_shape}"
            )
        if self.multiplier < 1:
            raise ValueError(f"{self.name}: expected a positive multiplier, got {self.multiplier}")
        check_requantize(self.name, self.acc_bits, self.multiplier.bit_length(), self.shift)

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.sources

    @property
    def ishapes(self) -> tuple[Shape, ...]:
        """The shape of each input."""
        return (self.ishape, self.gate_shape)

    @property
    def oshape(self) -> Shape:
        return self.ishape

    @property
    def joins(self) -> bool:
        return True

    @property
    def repeat(self) -> int:
        """The pixels for which one pixel of the gate serves."""
        return self.ishape.y * self.ishape.x // (self.gate_shape.y * self.gate_shape.x)

    @property
    def acc_bits(self) -> int:
        """Signed width of a product, before it is scaled."""
        a, b = self.itypes
        ends = [x * y for x in (a.qmin, a.qmax) for y in (b.qmin, b.qmax)]
        return signed_bits(min(ends), max(ends))

    @property
    def sum_bits(self) -> int:
        """Signed width of what an engine's array gives."""
        return self.acc_bits

    @property
    def rule(self) -> OutputRule:
        """How products become outputs: rounded half up, with no zero point."""
        return HALF_UP

    @property
    def title(self) -> str:
        return "gate"

    def nameless(self) -> "Gate":
        """Return the node without names, so that equal nodes of different networks compare equal."""
        return replace(self, name="n", sources=("a", "b"))

    def evaluate(self, maps: Sequence[IntArray], params: Mapping[str, IntArray]) -> IntArray:
        """Return y[B,Y,X,C] for a map [B,Y,X,C] and its gate; there are no parameters."""
        a, gate = maps
        return requantize(a * gate, self.multiplier, self.shift, self.otype)
