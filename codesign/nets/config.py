"""How a derived network is trained, and on what."""

from dataclasses import dataclass
from enum import Enum

import torch

from codesign.errors import ConfigError
from codesign.nets.parallel import gpu

MOST = 10**9  # epochs, images: far beyond use, and within what torch takes
MOST_SHIFT = 64  # pixels
MOST_THREADS = 1024
MOST_SEED = 2**63 - 1


class Device(Enum):
    """Where torch computes."""

    AUTO = "auto"  # CUDA where there is any
    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Training of the derived network: first in float, then fake-quantized.

    An epoch is a pass over the training images; a smaller set than `epoch_images` is passed over several times, and
    its images are moved by up to `shift_pixels`.
    Rates are the largest of a warm-up and cosine schedule over each of the two. `threads` is torch's; on a CPU the
    result depends on it in the last bits, so it belongs to the settings. With `mixed_precision` the float epochs
    multiply in bfloat16, which needs no scaling of losses; the quantized ones always stay exact in float32.
    """

    float_epochs: int = 8
    quantized_epochs: int = 8
    epoch_images: int = 20_000
    batch_images: int = 128
    float_rate: float = 4e-3
    quantized_rate: float = 1e-3
    weight_decay: float = 1e-4
    label_smoothing: float = 0.05
    flip: bool = True
    shift_pixels: int = 1
    calibration_images: int = 1024
    seed: int = 0
    threads: int = 2
    device: Device = Device.AUTO
    mixed_precision: bool = False

    def __post_init__(self) -> None:
        check_counts(self, 1, "float_epochs", "quantized_epochs", "epoch_images", "calibration_images")
        check_counts(self, 0, "shift_pixels", most=MOST_SHIFT)
        check_common(self)
        for name in ("float_rate", "quantized_rate"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(f"{name}: expected a rate in (0, 1), got {getattr(self, name)}")
        if not 0.0 <= self.label_smoothing < 1.0:
            raise ValueError(f"label_smoothing: expected 0 to less than 1, got {self.label_smoothing}")
        if not self.weight_decay >= 0.0:
            raise ValueError(f"weight_decay: expected 0 or more, got {self.weight_decay}")


def check_counts(config: object, least: int, *names: str, most: int = MOST) -> None:
    """Raise ValueError unless each of these attributes is from `least` to `most`."""
    for name in names:
        if not least <= getattr(config, name) <= most:
            raise ValueError(f"{name}: expected {least} to {most:,}, got {getattr(config, name):,}")


def check_common(config: object) -> None:
    """check_counts of what everything that trains has: a batch, of which batch normalization needs two images."""
    check_counts(config, 2, "batch_images")
    check_counts(config, 1, "threads", most=MOST_THREADS)
    check_counts(config, 0, "seed", most=MOST_SEED)


def use_device(device: Device, threads: int) -> torch.device:
    """Set torch's threads and make its arithmetic repeatable; the device to compute on. Raises ConfigError."""
    torch.set_num_threads(threads)
    has_cuda = torch.cuda.is_available()
    if device is Device.CUDA and not has_cuda:
        raise ConfigError("device: 'cuda' was asked for, but torch finds no CUDA device; 'auto' or 'cpu' would do")
    if device is Device.CPU or not has_cuda:
        return torch.device("cpu")
    # Sums of integers are exact in float32, but not in TF32.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    return gpu()
