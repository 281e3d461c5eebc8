"""What a target is made of, as data: primitives with their sizes, and the LUTs that single modules were found to take.

A family of parts has a file in boards/technologies. A board of another kind has its technology in its own file.
"""

from dataclasses import dataclass, field, fields
from functools import lru_cache

import yaml

from codesign.data import folder
from codesign.ir.strict import check_range, parse
from codesign.ir.timing import Timing

MOST = 1 << 20  # of bits, words and ports of a primitive: far above any


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiplier:
    """A hardware multiplier, the DSP: bits of its signed ports, the wider first.

    `packs`: synthesis puts the registers and the adder behind a product into it.
    """

    wide_bits: int
    narrow_bits: int
    packs: bool

    def __post_init__(self) -> None:
        check_range(self, 2, MOST, "wide_bits", "narrow_bits")
        if self.wide_bits < self.narrow_bits:
            raise ValueError(f"wide_bits: expected at least narrow_bits, {self.narrow_bits}, got {self.wide_bits}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryShape:
    """One way to use a block RAM: words of `width` bits, `depth` of them."""

    width: int
    depth: int

    def __post_init__(self) -> None:
        check_range(self, 1, MOST, "width", "depth")


@dataclass(frozen=True, slots=True, kw_only=True)
class LutMemory:
    """Memory in LUTs, one write and one read port: a primitive of so many LUTs, and its bits a word.

    `half_bits`: at half of the words that a LUT holds; `full_bits`: at all of them.
    """

    luts: int
    half_bits: int
    full_bits: int

    def __post_init__(self) -> None:
        check_range(self, 1, MOST, "luts", "half_bits", "full_bits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What reports call the resources; inside, they keep the names of the fields."""

    dsp: str
    bram18: str
    uram: str
    lut: str
    ff: str

    def __post_init__(self) -> None:
        for name in fields(self):
            text = getattr(self, name.name)
            if not text.isprintable() or not 1 <= len(text.strip()) <= 12:
                raise ValueError(f"{name.name}: expected 1 to 12 printable characters, got {text!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """LUTs that are fitted to the synthesis of single modules, not counted.

    - `counter`: wrap of a counter.
    - `line_pointer`: line buffer, a bit of its pointers; `line_padding`: comparisons with the edges of the map.
    - `row_pointer`: line buffer by rows, a bit of its counts of words; `row_bank`: a bit of the choice of a bank.
    - `collector`: its count of words.
    - `output_queue`: output queue, its handshake; `output_pointer`: a bit of its pointers and counts.
    - `converter`: widener and narrower, their handshake.
    - `split_choice`: width splitter, a bit behind a stage; `splitter`: its places.
    - `pack_choice`: width packer, a bit behind a stage.
    - `fifo`: its handshake; `fifo_pointer`: a bit of its pointers.
    - `scale_choice`: barrel shifter, a bit of the sum and of the exponent.
    - `constant_sum`: share of an adder that is left of one for a power of two in a constant factor.
    - `constant_product`: share of a multiplier that is left where its weight is a constant.
    - `repeated_words`: row repeater, saved where a pixel has several words.
    - `control`: the whole control block, but its counters of beats.
    - `output_end`: of each of several outputs, its count of images, up and down, and the test for zero.
    - `choice`: an input of a choice of more bits than one LUT chooses from.
    - `bank`: a bank of memory in LUTs where there are several.
    - `loop_pointer`: rearranger, a bit of its pointers; `loop`: a bit of its loops' counters.
    - `place`: padder, a bit of its rows and columns.
    - `gate_product`: share of a multiplier that is left where both of its operands change.
    """

    counter: float
    line_pointer: float
    line_padding: float
    row_pointer: float
    row_bank: float
    collector: float
    output_queue: float
    output_pointer: float
    converter: float
    split_choice: float
    splitter: float
    pack_choice: float
    fifo: float
    fifo_pointer: float
    scale_choice: float
    constant_sum: float
    constant_product: float
    repeated_words: float
    control: float
    output_end: float
    choice: float
    bank: float
    loop_pointer: float
    loop: float
    place: float
    gate_product: float

    def __post_init__(self) -> None:
        check_range(self, 0, 1e6, *(each.name for each in fields(self)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Technology:
    """The primitives of a target, and what modules take of them.

    `block_ram`: the shapes of one block RAM, which `Resources.bram18` counts. `oscillator_mhz`: range of the oscillator
    that makes clocks in the logic. `synthesis`: its name in Yosys' synth_xilinx, None if that does not know it.
    `timing`: what clocks are estimated from, None if they are not.
    """

    title: str
    labels: Labels
    lut_inputs: int
    multiplier: Multiplier
    block_ram: tuple[MemoryShape, ...]
    lut_memory: LutMemory
    oscillator_mhz: tuple[float, float]
    fitted: Fitted
    synthesis: str | None = None
    timing: Timing | None = field(default=None, hash=False)  # designs do not depend on it

    def __post_init__(self) -> None:
        check_range(self, 3, 8, "lut_inputs")
        if not self.block_ram:
            raise ValueError("block_ram: expected at least one shape, got none")
        least, most = self.oscillator_mhz
        if not 1.0 <= least <= most <= 1e5:
            raise ValueError(f"oscillator_mhz: expected two frequencies in 1 to 100,000, rising, got {least}, {most}")

    @property
    def lut_words(self) -> int:
        """Words of one bit that a LUT holds."""
        return 1 << self.lut_inputs

    @property
    def lut_choices(self) -> int:
        """The most bits that one LUT chooses from: its inputs are these and their address."""
        return max(n for n in range(1, self.lut_inputs + 1) if n + (n - 1).bit_length() <= self.lut_inputs)


def families() -> tuple[str, ...]:
    """Return the families of parts that travel with the package, by name."""
    return tuple(sorted(path.stem for path in (folder("boards") / "technologies").glob("*.yaml")))


@lru_cache
def technology_of(family: str) -> Technology:
    """Return the technology of a family of parts. Raise ValueError if the package has none of that name."""
    if family not in families():
        known = ", ".join(map(repr, families()))
        raise ValueError(f"family: expected one of {known}, got {family!r}; or write the board's `technology` out")
    path = folder("boards") / "technologies" / f"{family}.yaml"
    return parse(Technology, yaml.safe_load(path.read_text()), str(path))
