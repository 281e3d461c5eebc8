"""What multiplies in a convolution's engine, as data like modules.py: the memory of weights, the array behind it."""

from dataclasses import dataclass

from codesign.machine.packing import chain_length, chains_of
from codesign.ops.arrays import Bool, Int, ceil_log2

SHALLOW_ROM = 16  # words up to which weights never go to block RAM; weight_rom.sv says the same


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightRom:
    """A word of weights a cycle, in block RAM or LUTs; one word is wires. weight_rom.sv.

    `feeds_dsp`, `feeds_packed`: the register behind a memory in LUTs is part of the array then.
    """

    word_bits: Int
    depth: Int
    block_ram: Bool
    feeds_dsp: Bool
    feeds_packed: Bool = False

    @property
    def in_block(self) -> Bool:
        """Whether the memory goes to block RAM."""
        return self.block_ram & (self.depth > SHALLOW_ROM)


@dataclass(frozen=True, slots=True, kw_only=True)
class MacArray:
    """PE rows of SIMD multipliers, each with an adder tree and an accumulator. mac_array.sv.

    `x_bits`: width of an activation as a signed operand. `constant`: the weights never change. `packed`: two rows share
    each DSP, packed_array.sv; then an activation that is not `x_signed` has a bit less, see machine.packing.
    `behind_luts`: the weights' memory is of LUTs, and the register behind it one of those that hold weights back.
    """

    pe: Int
    simd: Int
    x_bits: int
    w_bits: int
    acc_bits: int
    in_dsp: Bool
    constant: Bool
    packed: Bool = False
    x_signed: bool = True
    behind_luts: Bool = False

    @property
    def delay(self) -> Int:
        """Cycles from a result's last step to its appearance behind the array."""
        split = chain_length(self.simd) + 4 + ceil_log2(chains_of(self.simd))
        return (1 - 1 * self.packed) * (3 + ceil_log2(self.simd)) + self.packed * split

    @property
    def packed_x_bits(self) -> int:
        """Width of an activation as packing multiplies it."""
        return self.x_bits - (not self.x_signed)
