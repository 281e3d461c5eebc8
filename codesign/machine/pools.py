"""The parts of poolings: lanes behind a line buffer, or partial results instead of the pixels of a map."""

from dataclasses import dataclass

from codesign.ops.arrays import Bool, Int

FEW_SUMS = 2  # words of a pixel up to which running sums are registers; running_pool.sv says the same
SHALLOW_SUMS = 16  # words up to which they never go to block RAM; running_pool.sv says the same


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolArray:
    """PE lanes that add, or keep the largest. `has_floor`: padding must lose against negative values. pool_array.sv.

    `counts`: how many counts of positions inside the map there may be, each with constants of `constant_bits`; 0 where
    they are not counted. `held`: the count is kept while results leave one by one.
    """

    pe: Int
    average: bool
    x_bits: int
    acc_bits: int
    has_floor: bool
    counts: int = 0
    held: Bool = False
    constant_bits: int = 0

    @property
    def delay(self) -> int:
        """Cycles from a result's last word to its appearance behind the array."""
        return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningPool:
    """PE lanes that add, or keep the largest, while pixels come: nothing is kept but results so far. running_pool.sv.

    A result is made of `pixels` in a row, of `fold` words each. `bits`: of a result so far. In the last pixel every
    word completes PE results.
    """

    pe: Int
    average: bool
    signed: bool
    x_bits: int
    bits: int
    pixels: int
    fold: Int
    block_ram: Bool

    @property
    def in_memory(self) -> Bool:
        """Whether results so far lie in a memory: of one pixel there are none, and few are registers."""
        return (self.fold > FEW_SUMS) & (self.pixels > 1)

    @property
    def in_block_ram(self) -> Bool:
        """Whether that memory is block RAM."""
        return self.block_ram & (self.fold > SHALLOW_SUMS) & (self.pixels > 1)

    @property
    def delay(self) -> Int:
        """Cycles from a result's last word to its appearance behind the array."""
        return 2 + 1 * self.in_block_ram
