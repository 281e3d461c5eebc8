"""Where torch computes, and how it is made repeatable."""

import torch

from codesign.errors import ConfigError
from codesign.nets.parallel import gpu
from codesign.networks.training import Device


def check_device(device: Device) -> None:
    """Raise ConfigError if the device is not there."""
    if device is Device.CUDA and not torch.cuda.is_available():
        raise ConfigError("device: 'cuda' was asked for, but torch finds no CUDA device; 'auto' or 'cpu' would do")


def use_device(device: Device, threads: int) -> torch.device:
    """Set torch's threads and make its arithmetic repeatable; the device to compute on. Raise ConfigError."""
    torch.set_num_threads(threads)
    check_device(device)
    if device is Device.CPU or not torch.cuda.is_available():
        return torch.device("cpu")
    # Sums of integers are exact in float32, but not in TF32.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    return gpu()
