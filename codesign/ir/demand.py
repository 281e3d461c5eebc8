"""What a design must reach, in cycles: computed once, from the user's demand and the clock."""

from dataclasses import dataclass

from codesign.errors import InfeasibleError
from codesign.ir.strict import check_range

MOST_CYCLES = 1 << 40  # minutes at any clock, and exact in float and int64


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is demanded of a design, 1 to MOST_CYCLES; None where nothing is.

    `interval_cycles`: the most between images. `latency_cycles`: the most from the first input word of one image to its
    last output word.
    """

    interval_cycles: int | None = None
    latency_cycles: int | None = None

    def __post_init__(self) -> None:
        check_range(self, 1, MOST_CYCLES, "interval_cycles", "latency_cycles")

    @classmethod
    def at(cls, clock_mhz: float, min_fps: float | None = None, max_latency_us: float | None = None) -> "Demand":
        """Return the demand of so many frames per second and microseconds at that clock.

        Raise InfeasibleError, naming the key, if one leaves less than a cycle.
        """
        interval = None if min_fps is None else int(min(clock_mhz * 1e6 / min_fps, MOST_CYCLES))
        latency = None if max_latency_us is None else int(min(max_latency_us * clock_mhz, MOST_CYCLES))
        if interval == 0:
            raise InfeasibleError(
                f"min_fps: {min_fps:,.6g} is more than one image a cycle at {clock_mhz:g} MHz; demand less"
            )
        if latency == 0:
            raise InfeasibleError(
                f"max_latency_us: {max_latency_us:g} is less than a cycle at {clock_mhz:g} MHz; allow more"
            )
        return cls(interval_cycles=interval, latency_cycles=latency)

    @property
    def is_made(self) -> bool:
        """Whether anything is demanded."""
        return self.interval_cycles is not None or self.latency_cycles is not None

    def slow(self, interval_cycles: int) -> bool:
        """Tell whether so many cycles between images are too many."""
        return self.interval_cycles is not None and interval_cycles > self.interval_cycles

    def late(self, latency_cycles: int) -> bool:
        """Tell whether so many cycles for one image are too many."""
        return self.latency_cycles is not None and latency_cycles > self.latency_cycles

    def excess(self, interval_cycles: int, latency_cycles: int) -> tuple[tuple[str, int, int], ...]:
        """Return (what, needed, allowed) of each demand that is missed; compare Resources.excess."""
        found = []
        if self.interval_cycles is not None and self.slow(interval_cycles):
            found.append(("cycles between images", interval_cycles, self.interval_cycles))
        if self.latency_cycles is not None and self.late(latency_cycles):
            found.append(("cycles for an image", latency_cycles, self.latency_cycles))
        return tuple(found)


NO_DEMAND = Demand()


def check_demands(config: object) -> None:
    """Raise ValueError, naming the key, unless min_fps and max_latency_us are None or numbers that cycles can count."""
    check_range(config, 1e-3, 1e12, "min_fps")
    check_range(config, 1e-3, 1e9, "max_latency_us")
