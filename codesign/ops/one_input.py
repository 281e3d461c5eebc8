"""What operators with one input have in common."""

from codesign.ops.operator import Operator
from codesign.ops.qtype import QType
from codesign.ops.shapes import Shape


class OneInput(Operator):
    """An operator that reads the map of one node."""

    __slots__ = ()

    source: str
    ishape: Shape
    itype: QType

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
        return (self.itype,)
