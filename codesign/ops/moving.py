"""What operators have in common that move the values of one map to other places, and compute nothing."""

from dataclasses import replace
from typing import TypeVar

from codesign.ops.operator import Operator
from codesign.ops.qtype import QType
from codesign.ops.shapes import Shape

Moved = TypeVar("Moved", bound="MovingOperator")


class MovingOperator(Operator):
    """An operator with one input whose values keep their type; a memory of pixels is read in its own order."""

    __slots__ = ()

    name: str
    source: str
    ishape: Shape
    otype: QType

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.source,)

    @property
    def ishapes(self) -> tuple[Shape, ...]:
        """The shape of each input."""
        return (self.ishape,)

    @property
    def itypes(self) -> tuple[QType, ...]:
        """The integer type of each input."""
        return (self.otype,)

    @property
    def in_order(self) -> bool:
        return False

    @property
    def sum_bits(self) -> int:
        """Width of what an engine's array gives: that of its input."""
        return self.otype.bits

    def nameless(self: Moved) -> Moved:
        """Return the node without names, so that equal nodes of different networks compare equal."""
        return replace(self, name="n", source="a")  # type: ignore[type-var]  # every child is a dataclass
