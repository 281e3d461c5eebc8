"""Float networks, trained on Fashion-MNIST without a thought of quantization, that quantization is tried on."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from codesign.ir.dataset import Dataset

EPOCHS, BATCH, RATE = 4, 128, 0.004
SCALE = 1 / 255.0  # the networks read pixels from 0 to 1


def plain(*channels: int) -> nn.Module:
    """Return 3x3 convolutions, each with batch normalization, ReLU and a 2x2 maximum, and a fully connected layer."""
    parts: list[nn.Module] = []
    for before, c in zip((1, *channels), channels, strict=False):
        parts += [nn.Conv2d(before, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(channels[-1] * 9, 10))


def separable() -> nn.Module:
    """Return depthwise and pointwise convolutions with ReLU6, as in MobileNet."""
    parts: list[nn.Module] = [nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6()]
    for before, c, stride in ((16, 32, 1), (32, 64, 2), (64, 64, 1)):
        parts += [
            nn.Conv2d(before, before, 3, stride, 1, groups=before, bias=False),
            nn.BatchNorm2d(before),
            nn.ReLU6(),
        ]
        parts += [nn.Conv2d(before, c, 1, bias=False), nn.BatchNorm2d(c), nn.ReLU6()]
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class Residual(nn.Module):
    """Two blocks with a sum around each, as in ResNet."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.inner = nn.ModuleList([self._block(16, 16, 1), self._block(16, 32, 2)])
        self.around = nn.ModuleList([nn.Identity(), nn.Conv2d(16, 32, 1, 2)])
        self.head = nn.Linear(32, 10)

    @staticmethod
    def _block(before: int, c: int, stride: int) -> nn.Module:
        first = [nn.Conv2d(before, c, 3, stride, 1, bias=False), nn.BatchNorm2d(c), nn.ReLU()]
        return nn.Sequential(*first, nn.Conv2d(c, c, 3, 1, 1, bias=False), nn.BatchNorm2d(c))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores [N, 10] of images [N, 1, 28, 28]."""
        x = self.stem(x)
        for inner, around in zip(self.inner, self.around, strict=True):
            x = torch.relu(inner(x) + around(x))
        return self.head(x.mean((2, 3)))


def networks() -> Mapping[str, nn.Module]:
    """Return untrained networks by name, always with the same weights."""
    torch.manual_seed(0)
    return {"plain": plain(16, 32, 64), "separable": separable(), "residual": Residual()}


def trained(name: str, dataset: Dataset, work: Path) -> nn.Module:
    """Return the network of that name, trained; the folder `work` keeps its weights for the next time."""
    net = networks()[name]
    kept = work / f"{name}.npz"
    if not kept.exists():
        _train(net, dataset, name)
        np.savez(kept, **{key: value.numpy() for key, value in net.state_dict().items()})
    with np.load(kept) as arrays:
        net.load_state_dict({key: torch.from_numpy(arrays[key]) for key in arrays.files})
    return net.eval()


def _train(net: nn.Module, dataset: Dataset, name: str) -> None:
    torch.manual_seed(1)
    x = torch.from_numpy(dataset.train_x.transpose(0, 3, 1, 2).astype(np.float32) * SCALE)
    y = torch.from_numpy(np.array(dataset.train_y))
    net.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), RATE)
    batches = len(x) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * batches)
    for epoch in range(EPOCHS):
        for at in torch.randperm(len(x))[: batches * BATCH].reshape(batches, BATCH):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x[at]), y[at])
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"{name}: epoch {epoch + 1} of {EPOCHS}, loss {loss.item():.3f}", flush=True)
