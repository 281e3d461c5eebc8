"""What operators have in common that move the values of one map to other places, and compute nothing."""

from dataclasses import replace
from typing import TypeVar

from codesign.ops.one_input import OneInput
from codesign.ops.qtype import QType

Moved = TypeVar("Moved", bound="MovingOperator")


class MovingOperator(OneInput):
    """An operator with one input whose values keep their type; a memory of pixels is read in its own order."""

    __slots__ = ()

    name: str
    otype: QType

    @property
    def itype(self) -> QType:  # type: ignore[override]  # no field: the input has the output's type
        return self.otype

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
