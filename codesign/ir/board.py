"""An FPGA board, one kind of target: a part, its clock, its resources, and what surrounds the accelerator."""

import math
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from codesign.ir.canonical import canonical
from codesign.ir.cost import NAMES, Resources
from codesign.ir.technology import Technology, technology_of

MOST = 10**9  # of a resource: far beyond any part, and exact in every sum
DRAM_MB_S = (1.0, 1e7)  # from far below any memory to far above

# Fields that tell of a board, and change neither network nor design.
DESCRIPTIVE = ("name", "title", "part", "shell", "sources", "processor")
_WORD = re.compile(r"[A-Za-z0-9_.-]+")  # what scripts of every tool can hold


class Shell(Enum):
    """What surrounds the accelerator on the board, and so which host code drives it."""

    ZYNQ = "zynq"  # Zynq-7000: 64-bit HP ports, PYNQ driver
    ZYNQMP = "zynqmp"  # Zynq UltraScale+: 128-bit HP ports, PYNQ driver and XRT


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """Share of each resource that a design may take; the rest is left to shell and router."""

    dsp: float
    bram18: float
    uram: float
    lut: float
    ff: float

    def __post_init__(self) -> None:
        for name in NAMES:
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ValueError(f"fill.{name}: expected a share in (0, 1], got {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that a design may take of each resource, where that is less than the board's fill allows."""

    dsp: int | None = None
    bram18: int | None = None
    uram: int | None = None
    lut: int | None = None
    ff: int | None = None

    def __post_init__(self) -> None:
        for name in NAMES:
            most = getattr(self, name)
            if most is not None:
                _check_amount(name, most)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorClock:
    """What feeds clock 0 of the logic: the processor's crystal, and its IO PLL as the boot image sets it."""

    crystal_mhz: float
    io_pll_mhz: float

    def __post_init__(self) -> None:
        for name, least, most in (("crystal_mhz", 10.0, 100.0), ("io_pll_mhz", 400.0, 3000.0)):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"processor.{name}: expected {least:g} to {most:g}, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocking:
    """How a board makes the accelerator's clock.

    PL clock 0 is the IO PLL divided by two whole numbers up to 63. Where these cannot make the accelerator's clock, a
    clocking wizard makes it in the logic, from a PL clock of about 100 MHz. `ratio` is the factor of the wizard, else
    1.
    """

    source: ProcessorClock
    divisors: tuple[int, int]
    pl_clock_mhz: float
    ratio: float


CLOCK_TOLERANCE = 1e-3  # share by which a clock may differ from the one asked for
MAX_DIVISOR = 63
USUAL_PROCESSOR_CLOCK = {
    # Vivado's defaults and most boards; the images of PYNQ for Zynq UltraScale+ boot with an IO PLL of 1,500 MHz.
    Shell.ZYNQ: ProcessorClock(crystal_mhz=33.333333, io_pll_mhz=1000.0),
    Shell.ZYNQMP: ProcessorClock(crystal_mhz=33.333333, io_pll_mhz=1500.0),
}
_WIZARD_INPUT_MHZ = 100.0
_PORT_BITS = {Shell.ZYNQ: 64, Shell.ZYNQMP: 128}  # width of one HP port


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """An FPGA board.

    `clock_mhz` is the nominal clock: what the board is asked for, not what a design was placed and routed at.
    `resources` is what the part has; `budget` what a design may take of it: its fill, within `limits`. `technology`:
    what a part of another family is made of; None for a family that technology_of knows.
    """

    name: str
    title: str
    part: str
    family: str
    shell: Shell
    clock_mhz: float
    resources: Resources
    fill: Fill
    dram_peak_mb_s: float
    dram_efficiency: float
    sources: tuple[str, ...]
    limits: Limits = field(default_factory=Limits)
    processor: ProcessorClock | None = None  # None: USUAL_PROCESSOR_CLOCK of the shell
    technology: Technology | None = None

    def __post_init__(self) -> None:
        self.fabric  # noqa: B018 (raises if the family is not known)
        for key, text in (("name", self.name), ("part", self.part), ("family", self.family)):
            if not _WORD.fullmatch(text):
                raise ValueError(f"{key}: expected letters, digits and any of _ . -, got {text!r}")
        if not self.title.isprintable() or not self.title.strip():
            raise ValueError(f"title: expected one line of text, got {self.title!r}")
        if not 1.0 <= self.clock_mhz <= 1000.0:
            raise ValueError(f"clock_mhz: expected 1 to 1000, got {self.clock_mhz}")
        for name in NAMES:
            _check_amount(f"resources.{name}", getattr(self.resources, name))
        if not 0.01 <= self.dram_efficiency <= 1.0:
            raise ValueError(f"dram_efficiency: expected a share of 0.01 to 1, got {self.dram_efficiency}")
        least, most = DRAM_MB_S
        if not least <= self.dram_peak_mb_s <= most:
            raise ValueError(f"dram_peak_mb_s: expected {least:g} to {most:,.0f}, got {self.dram_peak_mb_s}")
        if not self.sources:
            raise ValueError("sources: expected at least one source for the values")
        self.clocking  # noqa: B018 (raises if the clock cannot be had)

    @property
    def clocking(self) -> Clocking:
        """How the accelerator's clock is made. Raise ValueError if neither divisors nor a clocking wizard make it."""
        source = self.processor or USUAL_PROCESSOR_CLOCK[self.shell]
        divisors = _divisors(source.io_pll_mhz, self.clock_mhz)
        if divisors is not None:
            return Clocking(source=source, divisors=divisors, pl_clock_mhz=self.clock_mhz, ratio=1.0)
        divisors = _divisors(source.io_pll_mhz, _WIZARD_INPUT_MHZ, 0.1) or (MAX_DIVISOR, MAX_DIVISOR)
        pl_clock_mhz = source.io_pll_mhz / math.prod(divisors)
        if not _wizard_makes(pl_clock_mhz, self.clock_mhz, self.fabric):
            raise ValueError(
                f"clock_mhz: {self.clock_mhz:g} MHz can be made neither by dividing an IO PLL of "
                f"{source.io_pll_mhz:g} MHz nor by a clocking wizard; take another clock"
            )
        return Clocking(
            source=source, divisors=divisors, pl_clock_mhz=pl_clock_mhz, ratio=self.clock_mhz / pl_clock_mhz
        )

    @property
    def fabric(self) -> Technology:
        """The technology of the part. Raise ValueError if none is written out, and the family is not known."""
        return self.technology or technology_of(self.family)

    @property
    def port_bits(self) -> int:
        """The width of one HP port, so of the widest AXI-Stream word."""
        return _PORT_BITS[self.shell]

    def figures(self) -> dict[str, Any]:
        """Return, as plain data, all that networks and designs depend on: everything but what only tells of a board."""
        return {key: value for key, value in canonical(self).items() if key not in DESCRIPTIVE}

    @property
    def budget(self) -> Resources:
        filled = self._filled

        def most(name: str) -> int:
            share, limit = getattr(filled, name), getattr(self.limits, name)
            return int(share if limit is None else min(share, limit))

        return Resources(dsp=most("dsp"), bram18=most("bram18"), uram=most("uram"), lut=most("lut"), ff=most("ff"))

    @property
    def limited(self) -> tuple[str, ...]:
        """The resources of which the user's limit allows less than the board's fill does."""
        return tuple(n for n in NAMES if getattr(self.budget, n) < getattr(self._filled, n))

    def bounded_by(self, name: str) -> str:
        """Return what keeps a design from more of a resource, for a message: the user's limit or the board."""
        return f"the limit of {name} (--limit, or the key `limits`)" if name in self.limited else self.name

    @property
    def _filled(self) -> Resources:
        """The share of the part that the fill leaves to a design."""

        def share(name: str) -> int:
            return int(getattr(self.resources, name) * getattr(self.fill, name))

        return Resources(dsp=share("dsp"), bram18=share("bram18"), uram=share("uram"), lut=share("lut"), ff=share("ff"))


def _divisors(pll_mhz: float, clock_mhz: float, tolerance: float = CLOCK_TOLERANCE) -> tuple[int, int] | None:
    """Return the two divisors, the larger first, whose quotient is the clock within a share of `tolerance`, or None."""
    product = max(1, round(pll_mhz / clock_mhz))
    if abs(pll_mhz / product - clock_mhz) > tolerance * clock_mhz:
        return None
    for small in range(1, math.isqrt(product) + 1):
        if product % small == 0 and product // small <= MAX_DIVISOR:
            return product // small, small
    return None


def _wizard_makes(input_mhz: float, clock_mhz: float, technology: Technology) -> bool:
    """Tell whether an MMCM makes the clock: input * multiply / divide / output divide, first and last in eighths."""
    least, most = technology.oscillator_mhz
    for divide in range(1, 11):
        for multiply in range(2 * 8, 64 * 8 + 1):
            oscillator = input_mhz * multiply / 8 / divide
            out = max(8, round(8 * oscillator / clock_mhz)) / 8
            good = least <= oscillator <= most and out <= 128
            if good and abs(oscillator / out - clock_mhz) <= CLOCK_TOLERANCE * clock_mhz:
                return True
    return False


def _check_amount(name: str, amount: int) -> None:
    if not 0 <= amount <= MOST:
        raise ValueError(f"{name}: expected 0 to {MOST:,}, got {amount:,}")
