"""Many engines at once: LineEngine's fields as columns."""

from dataclasses import dataclass

from codesign.ir.design import LineEngine, Memory, Multiplier
from codesign.ops.arrays import BoolArray, IntArray


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class EngineColumns:
    """N engines as columns; the fields are LineEngine's, choices as booleans."""

    pe: IntArray
    simd: IntArray
    emit: IntArray
    dsp: BoolArray
    packed: BoolArray
    weight_bram: BoolArray
    buffer_bram: BoolArray
    buffer_words: IntArray
    taps: IntArray

    def engine(self, row: int, node: str) -> LineEngine:
        """Return the engine of that row, to run the node of that name."""
        return LineEngine(
            nodes=(node,),
            pe=int(self.pe[row]),
            simd=int(self.simd[row]),
            emit=int(self.emit[row]),
            multiplier=self.multiplier(row),
            weight_memory=Memory.BRAM if self.weight_bram[row] else Memory.LUT,
            buffer_memory=Memory.BRAM if self.buffer_bram[row] else Memory.LUT,
            buffer_words=int(self.buffer_words[row]),
            taps=int(self.taps[row]),
        )

    def multiplier(self, row: int) -> Multiplier:
        """Return what the engine of that row multiplies with."""
        if self.packed[row]:
            return Multiplier.PACKED
        return Multiplier.DSP if self.dsp[row] else Multiplier.LUT

    def take(self, rows: IntArray) -> "EngineColumns":
        """Return the engines of those rows."""
        return EngineColumns(
            pe=self.pe[rows],
            simd=self.simd[rows],
            emit=self.emit[rows],
            dsp=self.dsp[rows],
            packed=self.packed[rows],
            weight_bram=self.weight_bram[rows],
            buffer_bram=self.buffer_bram[rows],
            buffer_words=self.buffer_words[rows],
            taps=self.taps[rows],
        )
