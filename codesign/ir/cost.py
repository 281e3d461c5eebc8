"""What a design takes: FPGA resources, cycles and DRAM traffic; costs combine in two ways only."""

from dataclasses import dataclass

NAMES = ("dsp", "bram18", "uram", "lut", "ff")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Primitives of the FPGA. `bram18` counts 18 Kb halves: a RAMB36 counts two."""

    dsp: int = 0
    bram18: int = 0
    uram: int = 0
    lut: int = 0
    ff: int = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(
            dsp=self.dsp + other.dsp,
            bram18=self.bram18 + other.bram18,
            uram=self.uram + other.uram,
            lut=self.lut + other.lut,
            ff=self.ff + other.ff,
        )

    def fits(self, budget: "Resources") -> bool:
        """Tell whether every count is within the budget."""
        return not self.excess(budget)

    def excess(self, budget: "Resources") -> tuple[tuple[str, int, int], ...]:
        """Return (resource, needed, available) of every count over the budget."""
        return tuple((n, getattr(self, n), getattr(budget, n)) for n in NAMES if getattr(self, n) > getattr(budget, n))


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCost:
    """Cost of one engine, which runs `nodes`.

    `busy_cycles`: steps of its array per image, what simulation counts. `interval_cycles`: what the engine needs per
    image in steady state, the larger of its steps and its input words.
    """

    name: str
    nodes: tuple[str, ...]
    busy_cycles: int
    interval_cycles: int
    macs: int
    resources: Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """An estimate of the clock that a design reaches, and the module whose path bounds it. No tool placed it."""

    estimated_mhz: float
    slowest: str

    def reaches(self, nominal_mhz: float) -> bool:
        """Tell whether the estimate is not below a clock."""
        return self.estimated_mhz >= nominal_mhz


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Predicted cost of a design.

    `interval_cycles`: between images in steady state; throughput is clock / interval. `latency_cycles`: first input
    word to last output word of one image through the empty pipeline. `engines`, in the order of the data flow, sum with
    what lies between them (`shell`: converters, FIFOs, ports) to `resources`. `clock`: None where none is estimated.
    `load_cycles`: from a load's start until images may come; None where weights are constants, or for no board.
    """

    latency_cycles: int
    interval_cycles: int
    resources: Resources
    dram_bytes: int
    engines: tuple[EngineCost, ...]
    shell: Resources
    clock: Clock | None = None
    load_cycles: int | None = None

    def fps(self, clock_mhz: float) -> float:
        """Return images per second at this clock."""
        return clock_mhz * 1e6 / self.interval_cycles
