"""What other code asks of an operator in place of its class."""

from collections.abc import Mapping

from codesign.ops.arrays import IntArray
from codesign.ops.shapes import Window


class Operator:
    """The answers of an operator that has no parameters and works on every channel and position alone."""

    __slots__ = ()

    @property
    def window(self) -> Window:
        """The positions that make one output."""
        return Window(fy=1, fx=1)

    @property
    def mixes(self) -> bool:
        """Whether an output channel depends on several input channels."""
        return False

    @property
    def reduced_channels(self) -> int:
        """Input channels that make one output."""
        return 1

    @property
    def joins(self) -> bool:
        """Whether several inputs meet here; each waits in a FIFO, and there is no line buffer."""
        return False

    @property
    def aligned_lanes(self) -> tuple[int, int] | None:
        """What PE and SIMD must divide so that no word holds channels of two groups; None where any will do."""
        return None

    @property
    def macs(self) -> int:
        """Multiplications of one image."""
        return 0

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the parameters."""
        return {}

    def check(self, params: Mapping[str, IntArray]) -> None:
        """Raise UnsupportedError, naming the node, if values of its parameters do not fit it."""
