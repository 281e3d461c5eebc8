"""What a tool reported: outputs, cycles, resources."""

from dataclasses import dataclass, field

from codesign.ir.cost import Resources
from codesign.ir.graph import IntArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Measurement:
    """One run of one tool on one project.

    `outputs` [N, OY, OX, K] or None where the tool gives none; `mismatches` counts words that differ from the golden
    model. A figure that the tool does not give is None, never zero. `node_cycles`: busy cycles per image by node;
    `fifo_peak`: largest occupancy by buffer name. `failure`: why there is nothing, where the tool came to no end.
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
    node_cycles: dict[str, int] = field(default_factory=dict)
    fifo_peak: dict[str, int] = field(default_factory=dict)
    resources: Resources | None = None
    failure: str = ""

    def __post_init__(self) -> None:
        if self.outputs is not None:
            self.outputs.setflags(write=False)
