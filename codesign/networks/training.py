"""How a derived network is trained, and on what."""

from dataclasses import dataclass
from enum import Enum

from codesign.ir.strict import check_range

MOST = 10**9  # epochs and the like: far beyond use, and within what torch takes
MOST_IMAGES = 10**7  # of an epoch, whose order is kept in memory
MOST_BATCH = 2**16
MOST_SHIFT = 64  # pixels
MOST_THREADS = 64
MOST_SEED = 2**63 - 1


class Device(Enum):
    """Where torch computes."""

    AUTO = "auto"  # CUDA where there is any
    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Training of the derived network: first in float, then fake-quantized.

    - `epoch_images`: an epoch is a pass over the training images. A smaller set than this is passed over several times.
    - `shift_pixels`: images of such a set are moved by up to so many pixels, though by no more than an eighth of their
      extent.
    - `flip`: images are mirrored left to right, each with probability 1/2. Those of one row are signals and stay. If
      nothing is said, `run` mirrors the known sets only: a user's own may be characters.
    - `float_rate`, `quantized_rate`: the largest of a warm-up and cosine schedule over the epochs of each kind.
    - `threads`: those of torch. On a CPU the result depends on them in the last bits, so they belong to the settings.
    - `mixed_precision`: the float epochs multiply in bfloat16, which needs no scaling of losses. The quantized ones
      always stay exact in float32.
    """

    float_epochs: int = 8
    quantized_epochs: int = 8
    epoch_images: int = 20_000
    batch_images: int = 128
    float_rate: float = 4e-3
    quantized_rate: float = 1e-3
    weight_decay: float = 1e-4
    label_smoothing: float = 0.05
    flip: bool | None = None
    shift_pixels: int = 1
    calibration_images: int = 1024
    seed: int = 0
    threads: int = 2
    device: Device = Device.AUTO
    mixed_precision: bool = False

    @property
    def mirrors(self) -> bool:
        """Whether images are mirrored; they are where nothing is said."""
        return self.flip is not False

    def __post_init__(self) -> None:
        check_range(self, 1, MOST, "float_epochs", "quantized_epochs", "calibration_images")
        check_range(self, 1, MOST_IMAGES, "epoch_images")
        check_range(self, 0, MOST_SHIFT, "shift_pixels")
        check_common(self)
        for name in ("float_rate", "quantized_rate"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(f"{name}: expected a rate in (0, 1), got {getattr(self, name)}")
        if not 0.0 <= self.label_smoothing < 1.0:
            raise ValueError(f"label_smoothing: expected 0 to less than 1, got {self.label_smoothing}")
        check_range(self, 0, 100, "weight_decay")


def check_common(config: object) -> None:
    """Raise ValueError unless what all trainings have is possible; batch normalization needs two images."""
    check_range(config, 2, MOST_BATCH, "batch_images")
    check_range(config, 1, MOST_THREADS, "threads")
    check_range(config, 0, MOST_SEED, "seed")
