"""The multiplying part of a convolution's engine, as data like modules.py: the memory of weights, and the array."""

from dataclasses import dataclass

from codesign.machine.packing import chain_length, chains_of
from codesign.ops.arrays import Bool, Int, ceil_div, ceil_log2

SHALLOW_ROM = 16  # words up to which weights never go to block RAM; conv_engine.sv says the same


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightRom:
    """A word of weights a cycle, in block RAM or LUTs; one word is wires. weight_rom.sv.

    `late`: words come two cycles after their steps, as those of a block RAM do. `feeds_dsp`, `feeds_packed`: the last
    register is part of the array then.
    """

    word_bits: Int
    depth: Int
    block_ram: Bool
    late: Bool
    feeds_dsp: Bool
    feeds_packed: Bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MacArray:
    """PE rows of SIMD multipliers, each with an adder tree and an accumulator. mac_array.sv.

    `x_bits`: width of an activation as a signed operand. `constant`: the weights never change. `packed`: two rows share
    each DSP, packed_array.sv; then an activation that is not `x_signed` has a bit less, see machine.packing.
    `channelwise`: every row has its own activations.
    """

    pe: Int
    simd: Int
    channelwise: bool
    x_bits: int
    w_bits: int
    acc_bits: int
    in_dsp: Bool
    constant: Bool
    packed: Bool = False
    x_signed: bool = True

    @property
    def delay(self) -> Int:
        """Cycles from a result's last word to its appearance behind the array."""
        split = chain_length(self.simd) + 3 + ceil_log2(chains_of(self.simd))
        single = 1 + multiply_stages(self.w_bits, self.in_dsp) + ceil_log2(self.simd)
        return (1 - 1 * self.packed) * single + self.packed * split

    @property
    def packed_x_bits(self) -> int:
        """Width of an activation as packing multiplies it."""
        return self.x_bits - (not self.x_signed)


def multiply_stages(w_bits: int, in_dsp: Bool) -> Int:
    """Return the cycles of a product: one in a DSP, in LUTs one for every two rows of two bits. codesign_pkg.sv."""
    more = ceil_div((w_bits + 1) // 2, 2) - 1
    return 1 + more * (1 - in_dsp)
