"""What operators with a window over one map have in common."""

from codesign.ops.arrays import IntArray
from codesign.ops.operator import Operator
from codesign.ops.qtype import QType
from codesign.ops.shapes import Shape, Window, window_spans


class WindowOperator(Operator):
    """The answers of an operator whose window slides over its one input."""

    __slots__ = ()

    source: str
    ishape: Shape
    itype: QType
    window: Window

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

    @property
    def in_order(self) -> bool:
        return self.window.in_order(self.ishape)

    def spans(self) -> tuple[IntArray, IntArray]:
        return window_spans(self.window, self.ishape)
