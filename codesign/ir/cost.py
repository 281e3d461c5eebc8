"""What a design takes: FPGA resources, cycles and DRAM traffic; costs combine in two ways only."""

from dataclasses import dataclass

from codesign.errors import InfeasibleError
from codesign.ir.strict import check_range

NAMES = ("dsp", "bram18", "uram", "lut", "ff")
MOST_CYCLES = 1 << 40  # of a demand: minutes at any clock, and exact in float and int64


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


def check_demands(config: object) -> None:
    """Raise ValueError, naming the key, unless min_fps and max_latency_us are None or numbers that cycles can count."""
    check_range(config, 1e-3, 1e12, "min_fps")
    check_range(config, 1e-3, 1e9, "max_latency_us")


def most_cycles(fps: float, clock_mhz: float) -> int:
    """Return the most cycles between images at that many images a second, 1 to MOST_CYCLES. Raise InfeasibleError."""
    cycles = int(min(clock_mhz * 1e6 / fps, MOST_CYCLES))
    if cycles < 1:
        raise InfeasibleError(f"min_fps: {fps:,.6g} is more than one image a cycle at {clock_mhz:g} MHz; demand less")
    return cycles


def latency_cycles(microseconds: float, clock_mhz: float) -> int:
    """Return the most cycles that one image may take in that time, 1 to MOST_CYCLES. Raise InfeasibleError."""
    cycles = int(min(microseconds * clock_mhz, MOST_CYCLES))
    if cycles < 1:
        raise InfeasibleError(f"max_latency_us: {microseconds:g} is less than a cycle at {clock_mhz:g} MHz; allow more")
    return cycles


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
class Cost:
    """Predicted cost of a design.

    `interval_cycles`: between images in steady state; throughput is clock / interval. `latency_cycles`: first input
    word to last output word of one image through the empty pipeline. `engines`, in the order of the data flow, sum with
    what lies between them (`shell`: converters, FIFOs, ports) to `resources`.
    """

    latency_cycles: int
    interval_cycles: int
    resources: Resources
    dram_bytes: int
    engines: tuple[EngineCost, ...]
    shell: Resources

    def fps(self, clock_mhz: float) -> float:
        """Return images per second at this clock."""
        return clock_mhz * 1e6 / self.interval_cycles
