"""How a float network is quantized after training."""

from dataclasses import dataclass
from enum import Enum

from codesign.ir.strict import check_range

LEAST_BITS, MOST_BITS = 2, 8


class Ranges(Enum):
    """How far the integers of a tensor reach."""

    AUTO = "auto"  # of all maps as that one of those below under which the network's output has the least noise
    MAX = "max"  # to its largest value
    PERCENTILE = "percentile"  # past all but a small share of its values, which are clipped
    MSE = "mse"  # to where the squared error of rounding and clipping together is least


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizeConfig:
    """Widths, ranges and corrections of a quantization after training.

    `ranges`: of maps; `weight_ranges`: of weights, max or mse. `percentile`: of the values that `ranges: percentile`
    does not clip. `zero_points`: a map whose values reach unlike far below and above 0 has a zero point, where the
    machine computes with one at no cost. `per_channel`: a scale for each channel of a layer's weights, else one for the
    layer. `power_of_two`: scales are powers of two, which need no multiplier. `equalize`: channels of neighbouring
    layers are scaled to like ranges. `correct_bias`: the mean error of each channel is taken from its bias. `mean`,
    `std`: the network reads (number - mean) / std of the numbers in the calibration data.

    Widths are mixed if there is a budget. `most_lost_accuracy` is a share of the labelled images. `least_sqnr_db` is
    the ratio of signal to quantization noise at the output, in decibels. Weights then have `lowest_bits` or more.
    """

    weight_bits: int = 8
    activation_bits: int = 8
    ranges: Ranges = Ranges.AUTO
    weight_ranges: Ranges = Ranges.MSE
    percentile: float = 99.99
    zero_points: bool = True
    per_channel: bool = True
    power_of_two: bool = False
    equalize: bool = False
    correct_bias: bool = True
    mean: float = 0.0
    std: float = 1.0
    lowest_bits: int = 4
    most_lost_accuracy: float | None = None
    least_sqnr_db: float | None = None

    def __post_init__(self) -> None:
        check_range(self, LEAST_BITS, MOST_BITS, "weight_bits", "activation_bits", "lowest_bits")
        check_range(self, 50.0, 100.0, "percentile")
        check_range(self, -1e6, 1e6, "mean")
        check_range(self, 1e-6, 1e6, "std")
        if self.weight_ranges not in (Ranges.MAX, Ranges.MSE):
            raise ValueError(f"weight_ranges: expected max or mse, got {self.weight_ranges.value}")
        check_range(self, 0.0, 1.0, "most_lost_accuracy")
        check_range(self, -20.0, 200.0, "least_sqnr_db")
        if self.most_lost_accuracy is not None and self.least_sqnr_db is not None:
            raise ValueError("least_sqnr_db: expected one budget, and most_lost_accuracy is one already")
        if self.is_mixed and self.lowest_bits > self.weight_bits:
            raise ValueError(
                f"lowest_bits: expected at most {self.weight_bits}, the weight_bits, got {self.lowest_bits}"
            )

    @property
    def is_mixed(self) -> bool:
        """Whether layers may have their own widths."""
        return self.most_lost_accuracy is not None or self.least_sqnr_db is not None
