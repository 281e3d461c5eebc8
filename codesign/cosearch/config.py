"""How a network is searched together with its accelerator."""

from dataclasses import dataclass
from enum import Enum

from codesign.ir.demand import Demand, check_demands
from codesign.ir.strict import check_range
from codesign.networks.training import MOST, MOST_IMAGES, Device, check_common


class Hardware(Enum):
    """Who chooses the accelerator of a network."""

    EXACT = "exact"  # the exact design search: every network is priced at the best design that it has
    DNA = "dna"  # Gumbel-softmax over a multiplier array per block, together with the network


class Objective(Enum):
    """What a network costs at its best design."""

    BOTTLENECK = "bottleneck"  # the interval of the pipeline, in which all engines share the board
    SUM = "sum"  # the sum of the blocks' latencies at equal shares of the board, as in DNA


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchConfig:
    """Settings of the co-search.

    - `min_fps`: frames per second at the board's clock. The derived network must have a design that is at least this
      fast.
    - `max_latency_us`: the most microseconds that this design may take for one image.
    - `cost_weight`: weight of log(interval) in the loss. With a latency limit it weighs log(latency); with both, the
      larger violation. At 0 a network that meets the demand has no reason to become cheaper.
    - `objective`: for `hardware: exact` only.
    - `heterogeneous`: weights learn on blends of all bit widths, choices on drawn ones.
    - `images`: how many images of the training part are used. The share `validation_share` decides about choices and
      never trains weights. An epoch passes over the others, repeatedly where there are fewer than `images`.
    - `temperatures`: of the relaxed draws, at the beginning and at the end.
    - `active_paths`: candidates that run when a choice learns, 1 or 2. The second costs memory and time. It shows the
      choice what it would gain.
    - `finalists`: how many networks shared weights rank at the end.
    - `trained_finalists`: how many networks are trained for a short time to be compared. These are the ones that the
      search can begin with, and the first finalists. Where cost has a price, the rank alone decides.
    - `trained_neighbours`: how many networks that differ from the best in one choice are trained too, at most. If one
      is better, the search continues from there.
    - `short_images`: an epoch of these short trainings has at least so many images; fewer are passed over repeatedly.
    - `flip`: the short trainings mirror images left to right, if `train` does.
    - `enlarge`: where a demand is the only limit, all of them grow in widths and bits as far as their designs allow.
    """

    min_fps: float | None = None
    max_latency_us: float | None = None
    cost_weight: float = 0.0
    hardware: Hardware = Hardware.EXACT
    objective: Objective = Objective.BOTTLENECK
    heterogeneous: bool = False
    epochs: int = 12
    warmup_epochs: int = 4
    images: int = 24_000
    validation_share: float = 0.25
    batch_images: int = 128
    weight_rate: float = 3e-3
    choice_rate: float = 0.03
    temperatures: tuple[float, float] = (4.0, 0.5)
    active_paths: int = 2
    minimum_depth: int = 4
    finalists: int = 16
    trained_finalists: int = 6
    trained_neighbours: int = 12
    enlarge: bool = True
    short_images: int = 0
    flip: bool = True
    seed: int = 0
    threads: int = 2
    device: Device = Device.AUTO
    mixed_precision: bool = False

    def __post_init__(self) -> None:
        check_demands(self)
        check_range(self, 1, MOST, "epochs", "finalists", "trained_finalists")
        check_range(self, 2, MOST_IMAGES, "images")
        check_range(self, 0, MOST_IMAGES, "short_images")
        check_range(self, 0, MOST, "minimum_depth", "trained_neighbours")
        check_common(self)
        if not 0 <= self.warmup_epochs < self.epochs:
            raise ValueError(f"warmup_epochs: expected 0 to epochs - 1, got {self.warmup_epochs}")
        if not 0.0 < self.validation_share < 1.0:
            raise ValueError(f"validation_share: expected a share in (0, 1), got {self.validation_share}")
        check_range(self, 0, 1e6, "cost_weight")
        if self.active_paths not in (1, 2):
            raise ValueError(f"active_paths: expected 1 or 2, got {self.active_paths}")
        if self.hardware is Hardware.DNA and self.objective is not Objective.BOTTLENECK:
            raise ValueError(f"objective: {self.objective.value!r} is for hardware: 'exact' only, got hardware: 'dna'")
        if not all(0.01 <= t <= 1000.0 for t in self.temperatures):
            raise ValueError(f"temperatures: expected 0.01 to 1000, got {self.temperatures}")
        for name in ("weight_rate", "choice_rate"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(f"{name}: expected a rate in (0, 1), got {getattr(self, name)}")

    @property
    def compared(self) -> int:
        """How many finalists are trained and compared; 1 where cost has a price, which accuracy does not know."""
        return self.trained_finalists if self.cost_weight == 0.0 else 1

    @property
    def varied(self) -> int:
        """How many neighbours are trained at most; none where cost has a price."""
        return self.trained_neighbours if self.cost_weight == 0.0 else 0

    def demand(self, clock_mhz: float) -> Demand:
        """Return what is demanded at that clock, in cycles. Raise InfeasibleError if it leaves less than a cycle."""
        return Demand.at(clock_mhz, self.min_fps, self.max_latency_us)
