"""The physical target: a part, its clock, its resources, and what surrounds the accelerator."""

from dataclasses import dataclass
from enum import Enum

from codesign.ir.cost import Resources


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
        for name in ("dsp", "bram18", "uram", "lut", "ff"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ValueError(f"fill.{name}: expected a share in (0, 1], got {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A board. `resources` is what the part has; `budget` what a design may take of it."""

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

    def __post_init__(self) -> None:
        if not 1.0 <= self.clock_mhz <= 1000.0:
            raise ValueError(f"clock_mhz: expected 1 to 1000, got {self.clock_mhz}")
        if not 0.0 < self.dram_efficiency <= 1.0:
            raise ValueError(f"dram_efficiency: expected a share in (0, 1], got {self.dram_efficiency}")
        if self.dram_peak_mb_s <= 0.0:
            raise ValueError(f"dram_peak_mb_s: expected a positive number, got {self.dram_peak_mb_s}")
        if not self.sources:
            raise ValueError("sources: expected at least one source for the values")

    @property
    def budget(self) -> Resources:
        have, fill = self.resources, self.fill
        return Resources(
            dsp=int(have.dsp * fill.dsp),
            bram18=int(have.bram18 * fill.bram18),
            uram=int(have.uram * fill.uram),
            lut=int(have.lut * fill.lut),
            ff=int(have.ff * fill.ff),
        )
