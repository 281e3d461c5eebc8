"""A function of each value alone, as a table: any activation, and any change of type."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from codesign.errors import UnsupportedError
from codesign.ops.arrays import IntArray
from codesign.ops.one_input import OneInput
from codesign.ops.qtype import QType
from codesign.ops.shapes import Shape

FloatArray = npt.NDArray[np.float64]
MAX_LOOKUP_BITS = 10  # of an input: its table has 1,024 entries


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup(OneInput):
    """Every value replaced by its entry of a table, of the whole map or of its channel.

        y[oy,ox,c] = table[c, x[oy,ox,c] - qmin], or table[0, ...] where all channels share one

    with qmin the least integer of the input's type. Parameter in Graph.params: `<name>.table` [C or 1, 2**bits].
    """

    name: str
    source: str
    ishape: Shape
    itype: QType
    per_channel: bool
    otype: QType

    def __post_init__(self) -> None:
        if self.itype.bits > MAX_LOOKUP_BITS:
            raise ValueError(
                f"{self.name}: a table has an entry for each of 2**{self.itype.bits} values of {self.itype}; expected "
                f"an input of at most {MAX_LOOKUP_BITS} bits"
            )

    @property
    def oshape(self) -> Shape:
        return self.ishape

    @property
    def passes(self) -> bool:
        return True

    @property
    def aligned_lanes(self) -> tuple[int, int] | None:
        return self.ishape.c, 1  # a lane beyond the channels would not hold zero

    @property
    def sum_bits(self) -> int:
        """Width of what an engine's array gives: that of its output."""
        return self.otype.bits

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        return {"table": (self.ishape.c if self.per_channel else 1, 1 << self.itype.bits)}

    @property
    def title(self) -> str:
        return "lookup"

    def nameless(self) -> "Lookup":
        """Return the node without names, so that equal nodes of different networks compare equal."""
        return replace(self, name="n", source="a")

    def check(self, params: Mapping[str, IntArray]) -> None:
        table = params["table"]
        if table.min() < self.otype.qmin or table.max() > self.otype.qmax:
            raise UnsupportedError(f"node {self.name!r}: an entry of its table lies outside {self.otype}")

    def memory(self, params: Mapping[str, IntArray], lanes: int) -> IntArray:
        """Return [words, lanes]; an address is the value's bits, below the word of the pixel if channels differ."""
        by_bits = np.roll(params["table"], self.itype.qmin, axis=1)
        words = by_bits.reshape(-1, lanes, by_bits.shape[1]) if self.per_channel else by_bits[None].repeat(lanes, 1)
        return np.ascontiguousarray(words.transpose(0, 2, 1)).reshape(-1, lanes)

    def evaluate(self, maps: Sequence[IntArray], params: Mapping[str, IntArray]) -> IntArray:
        """Return y[B,Y,X,C] for x[B,Y,X,C] and the table."""
        (x,), table = maps, params["table"]
        rows = np.arange(self.ishape.c) if self.per_channel else 0
        return np.asarray(table[rows, x - self.itype.qmin])


def function_table(
    function: Callable[[FloatArray], FloatArray], itype: QType, input_scale: float, otype: QType, output_scale: float
) -> IntArray:
    """Return the table [2**bits] of a function of real values: that of every input, rounded half up and clamped.

    `input_scale`, `output_scale`: the real value of one integer step.
    """
    steps = function(np.arange(itype.qmin, itype.qmax + 1, dtype=np.float64) * input_scale) / output_scale
    return np.clip(np.floor(steps + 0.5), otype.qmin, otype.qmax).astype(np.int64)
