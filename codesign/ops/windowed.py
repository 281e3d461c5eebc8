"""What operators with a window over one map have in common."""

from codesign.ops.arrays import IntArray
from codesign.ops.one_input import OneInput
from codesign.ops.shapes import Window, window_spans


class WindowOperator(OneInput):
    """The answers of an operator whose window slides over its one input."""

    __slots__ = ()

    window: Window

    @property
    def in_order(self) -> bool:
        return self.window.in_order(self.ishape)

    def spans(self) -> tuple[IntArray, IntArray]:
        return window_spans(self.window, self.ishape)
