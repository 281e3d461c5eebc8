"""The physical target: a part, its clock, its resources, and what surrounds the accelerator."""

from dataclasses import dataclass, field
from enum import Enum

from codesign.ir.cost import NAMES, Resources

MOST = 10**9  # of a resource: far beyond any part, and exact in every sum
DRAM_MB_S = (1.0, 1e7)  # from far below any memory to far above


class Shell(Enum):
    """What surrounds the accelerator on the board, and so which host code drives it."""

    ZYNQ = "zynq"  # Zynq-7000: 64-bit HP ports, PYNQ driver
    ZYNQMP = "zynqmp"  # Zynq UltraScale+: 128-bit HP ports, PYNQ driver and XRT


class Family(Enum):
    """FPGA family; decides DSP and RAM shapes and the synthesis target."""

    SERIES7 = "xc7"
    ULTRASCALE_PLUS = "xcup"


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
class Board:
    """A board. `resources` is what the part has; `budget` what a design may take of it: its fill, within `limits`."""

    name: str
    title: str
    part: str
    family: Family
    shell: Shell
    clock_mhz: float
    resources: Resources
    fill: Fill
    dram_peak_mb_s: float
    dram_efficiency: float
    sources: tuple[str, ...]
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
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
        """What keeps a design from more of a resource, for a message: the user's limit or the board."""
        return f"the limit of {name} (--limit, or the key `limits`)" if name in self.limited else self.name

    @property
    def _filled(self) -> Resources:
        """The share of the part that the fill leaves to a design."""

        def share(name: str) -> int:
            return int(getattr(self.resources, name) * getattr(self.fill, name))

        return Resources(dsp=share("dsp"), bram18=share("bram18"), uram=share("uram"), lut=share("lut"), ff=share("ff"))


def _check_amount(name: str, amount: int) -> None:
    if not 0 <= amount <= MOST:
        raise ValueError(f"{name}: expected 0 to {MOST:,}, got {amount:,}")
