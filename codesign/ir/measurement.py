"""What a tool reported: outputs, cycles, resources."""

import math
from dataclasses import dataclass, field

from codesign.ir.cost import Resources
from codesign.ops.arrays import IntArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Measurement:
    """One run of one tool on one project.

    `outputs` [N, OY, OX, K] or None where the tool gives none; `mismatches` counts words that differ from the golden
    model. A figure that the tool does not give is None, never zero. `engine_cycles`: busy cycles per image by engine;
    `fifo_peak`: largest occupancy by buffer name. `clock_mhz`: of what was measured, None where it is the board's.
    `load_cycles`: of loading the weights. `failure`: why there is nothing, where the tool came to no end.
    Raises ValueError for a figure that nothing can have: a count below zero, an interval or a latency below one cycle.
    """

    tool: str
    version: str
    project_digest: str
    images: int
    seconds: float
    outputs: IntArray | None = None
    mismatches: int | None = None
    interval_cycles: int | None = None
    latency_cycles: int | None = None
    engine_cycles: dict[str, int] = field(default_factory=dict)
    fifo_peak: dict[str, int] = field(default_factory=dict)
    resources: Resources | None = None
    failure: str = ""
    clock_mhz: float | None = None
    load_cycles: int | None = None

    def __post_init__(self) -> None:
        least = {"images": 0, "mismatches": 0, "interval_cycles": 1, "latency_cycles": 1, "load_cycles": 1}
        for name, value in least.items():
            found = getattr(self, name)
            if found is not None and found < value:
                raise ValueError(f"{name}: expected {value} or more, got {found}")
        for name in ("dsp", "bram18", "uram", "lut", "ff"):
            if self.resources is not None and getattr(self.resources, name) < 0:
                raise ValueError(f"resources: {name}: expected 0 or more, got {getattr(self.resources, name)}")
        if self.clock_mhz is not None and not 0.0 < self.clock_mhz < math.inf:
            raise ValueError(f"clock_mhz: expected a positive number, got {self.clock_mhz}")
        if self.outputs is not None:
            self.outputs.setflags(write=False)
