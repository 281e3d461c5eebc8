"""What other code asks of an operator instead of its class."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np

from codesign.ops.arrays import IntArray
from codesign.ops.shapes import Shape, Window


class Operator(ABC):
    """The answers of an operator that has no parameters and works on every channel and position alone."""

    __slots__ = ()

    @property
    @abstractmethod
    def oshape(self) -> Shape:
        """The shape of the output."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What the node does, in a few words."""

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
    def channels_held(self) -> int | None:
        """Channels of a window's last pixel that must lie in the buffer at once; None where all must."""
        return None

    @property
    def in_order(self) -> bool:
        """Whether every input pixel is read once, in raster order."""
        return True

    def spans(self) -> tuple[IntArray, IntArray]:
        """Return two arrays [OY*OX]: the first input pixel kept for each output position, and the last that it reads.

        Pixels are counted in raster order.
        """
        positions = np.arange(self.oshape.y * self.oshape.x)
        return positions, positions

    @property
    def passes(self) -> bool:
        """Whether words pass one by one, so that an engine of any number of lanes needs no line buffer."""
        return False

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

    def memory(self, params: Mapping[str, IntArray], lanes: int) -> IntArray:
        """Return [words, lanes]: what every lane of a module with a table reads, by address; none without a table."""
        return np.zeros((0, lanes), np.int64)

    def check(self, params: Mapping[str, IntArray]) -> None:  # noqa: B027 (most have nothing to check)
        """Raise UnsupportedError, naming the node, if values of its parameters do not fit it."""
