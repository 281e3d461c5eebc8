"""What clocks are estimated from, as data: delays of primitives, speed grades, and the paths that modules have."""

import math
from dataclasses import dataclass, field, fields

from codesign.ir.strict import check_range


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """Nanoseconds of primitives in the part and speed grade whose ratio is 1.

    - `register`: from the clock to a register's output; `setup`, `setup_enable`, `setup_reset`: before the clock.
    - `lut`, `mux`: through a LUT, and through a wired multiplexer behind it.
    - `carry_enter`: from an operand into a carry chain; `carry`: through a block of it; `carry_leave`: out of it.
    - `net`, `net_doubling`: a net with one load, and what every doubling of its loads adds.
    - `block_ram`, `block_ram_registered`: from the clock to data, without and with its output register.
    - `shift_register`: from the clock to the output of a shift register in a LUT.
    - `dsp_product`, `dsp_sum`, `dsp_register`: to the result, from operands, from the product and from its register.
    - `dsp_setup_product`, `dsp_setup_sum`: of operands before the product's register, of summands before the sum's.
    """

    register: float
    setup: float
    setup_enable: float
    setup_reset: float
    lut: float
    mux: float
    carry_enter: float
    carry: float
    carry_leave: float
    net: float
    net_doubling: float
    block_ram: float
    block_ram_registered: float
    shift_register: float
    dsp_product: float
    dsp_sum: float
    dsp_register: float
    dsp_setup_product: float
    dsp_setup_sum: float

    def __post_init__(self) -> None:
        check_range(self, 0, 1000, *(f.name for f in fields(self)))

    def net_ns(self, loads: int) -> float:
        """Return the delay of a net with so many loads, at least one."""
        return self.net + self.net_doubling * math.log2(max(loads, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How slow parts are beside the one that the delays are of: those whose names begin so, in a speed grade."""

    parts: tuple[str, ...]
    grade: str
    ratio: float

    def __post_init__(self) -> None:
        check_range(self, 0.01, 100, "ratio")

    def covers(self, part: str) -> bool:
        """Tell whether a part is one of these: its name has the grade behind a hyphen."""
        return part.lower().startswith(self.parts) and self.grade.lower() in part.lower().split("-")[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What the clock of a design is estimated from.

    `placed`: the ratio of a path's time, placed and routed, to the sum of its delays. It is below 1 where the vendor's
    synthesis finds shorter paths. `speeds`: the first that fits the part counts, else 1. `paths`: by kind of module,
    way and feature, what the feature adds to the nanoseconds; see model/clock.py.
    """

    delays: Delays
    placed: float
    speeds: tuple[Speed, ...]
    paths: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_range(self, 0.01, 100, "placed")

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of modules whose paths are known."""
        return frozenset(self.paths)

    def ratio(self, part: str) -> float:
        """Return the factor from sums of delays to nanoseconds in that part."""
        found = (speed.ratio for speed in self.speeds if speed.covers(part))
        return self.placed * next(found, 1.0)
