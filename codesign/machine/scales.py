"""How sums become outputs: the requantizer, and its constants."""

from dataclasses import dataclass

from codesign.ops.arrays import Bool, Int, ceil_div

CHAIN_BITS = 26  # the longest sum that one cycle adds
DSP_WIDE_BITS = 25  # the wider port of a DSP48E1; a DSP48E2's has two more


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How sums become outputs: widths of accumulator, factor and product, the shift and the output.

    `factor_bits` is 0 without factors; `general` tells factors from exponents. `fraction`: bits of an offset below the
    step of a sum. `ties`: halves go to even. `bounded`: outputs end before their type does.
    """

    acc_bits: int
    factor_bits: int
    general: bool
    sum_bits: int
    shift: int
    out_bits: int
    out_signed: bool
    fraction: int = 0
    ties: bool = False
    bounded: bool = False

    @property
    def high_bits(self) -> int:
        """Bits that remain after the shift."""
        return max(self.sum_bits - self.shift, 1)

    @property
    def tie_bits(self) -> int:
        """Bits below the shift that are kept to see whether a sum lies halfway."""
        return self.shift if self.ties else 0

    @property
    def cut(self) -> bool:
        """Whether sums are added in two halves; a general product is then made by two DSPs."""
        return self.acc_bits > DSP_WIDE_BITS if self.general else self.sum_bits > CHAIN_BITS

    @property
    def product_bits(self) -> int:
        """Width of the product register."""
        return min(self.acc_bits + self.factor_bits, self.sum_bits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requantize:
    """Scales, rounds and clamps `lanes` sums a word; `constant`: one set of factors for all words. requantize.sv."""

    lanes: Int
    scale: Scale
    constant: Bool

    @property
    def delay(self) -> int:
        """Cycles from a word to what it becomes: product or moves and sum, ties, rails."""
        scale = self.scale
        return (3 if scale.general else 1 + ceil_div(scale.factor_bits, 2)) + scale.cut + scale.ties + 2
