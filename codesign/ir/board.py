"""The physical target: a part, its clock, its resources, and what surrounds the accelerator."""

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from codesign.ir.canonical import canonical
from codesign.ir.cost import Resources

# Fields that tell of a board, and change neither network nor design.
DESCRIPTIVE = ("name", "title", "part", "shell", "sources")
_WORD = re.compile(r"[A-Za-z0-9_.-]+")  # what scripts of every tool can hold


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
class Limits:
    """The most that a design may take of each resource, where that is less than the board's fill allows."""

    dsp: int | None = None
    bram18: int | None = None
    uram: int | None = None
    lut: int | None = None
    ff: int | None = None

    def __post_init__(self) -> None:
        for name in ("dsp", "bram18", "uram", "lut", "ff"):
            most = getattr(self, name)
            if most is not None and most < 0:
                raise ValueError(f"{name}: expected 0 or more, got {most}")


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
        for key, text in (("name", self.name), ("part", self.part)):
            if not _WORD.fullmatch(text):
                raise ValueError(f"{key}: expected letters, digits and any of _ . -, got {text!r}")
        if not self.title.isprintable() or not self.title.strip():
            raise ValueError(f"title: expected one line of text, got {self.title!r}")
        if not 1.0 <= self.clock_mhz <= 1000.0:
            raise ValueError(f"clock_mhz: expected 1 to 1000, got {self.clock_mhz}")
        if not 0.0 < self.dram_efficiency <= 1.0:
            raise ValueError(f"dram_efficiency: expected a share in (0, 1], got {self.dram_efficiency}")
        if self.dram_peak_mb_s <= 0.0:
            raise ValueError(f"dram_peak_mb_s: expected a positive number, got {self.dram_peak_mb_s}")
        if not self.sources:
            raise ValueError("sources: expected at least one source for the values")

    def figures(self) -> dict[str, Any]:
        """Return, as plain data, all that networks and designs depend on: everything but what only tells of a board."""
        return {key: value for key, value in canonical(self).items() if key not in DESCRIPTIVE}

    @property
    def budget(self) -> Resources:
        def most(name: str) -> int:
            share, limit = int(getattr(self.resources, name) * getattr(self.fill, name)), getattr(self.limits, name)
            return share if limit is None else min(share, int(limit))

        return Resources(dsp=most("dsp"), bram18=most("bram18"), uram=most("uram"), lut=most("lut"), ff=most("ff"))
