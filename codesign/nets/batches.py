"""The order of the images and what is done to them: a function of seed and epoch only, so that work can be resumed."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from codesign.ir.dataset import Labels, Pixels
from codesign.nets.net import to_input

_SHIFTED_PART = 8  # an image is moved by at most one part in so many of its extent


@dataclass(frozen=True, eq=False)
class Images:
    """Images x uint8 [N,C,Y,X], channels last in memory, and labels y [N], on one device."""

    x: Tensor
    y: Tensor

    @staticmethod
    def of(x: Pixels, y: Labels, device: torch.device) -> "Images":
        """Return the images x[N,Y,X,C] and their labels, on the device."""
        return Images(to_input(torch.tensor(x)).to(device), torch.tensor(y).to(device))

    def __len__(self) -> int:
        return len(self.y)

    def take(self, index: Tensor) -> "Images":
        """Return the images of these indices, in this order."""
        return Images(self.x[index], self.y[index])


def generator(*keys: int) -> torch.Generator:
    """Return a generator that these numbers decide; different numbers give unrelated ones."""
    state = 0x9E3779B97F4A7C15
    for key in keys:  # splitmix64, so that neighbouring seeds and epochs have nothing in common
        state = (state + (key & 0xFFFFFFFFFFFFFFFF) + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return torch.Generator().manual_seed(state & 0x7FFFFFFFFFFFFFFF)


def batch_count(images: int, batch: int, least: int = 0) -> int:
    """Return the batches of an epoch: whole ones only, but at least one.

    A set smaller than `least` is passed over repeatedly.
    """
    return max(images * _passes(images, least) // batch, 1)


def shuffled(
    images: Images, batch: int, rng: torch.Generator, *, flip: bool, least: int = 0, shift: int = 0
) -> Iterator[Images]:
    """Yield the batches of one epoch in a random order.

    With `flip` each image is mirrored left to right with probability 1/2; a map of one row is a signal and stays. A set
    that is passed over repeatedly is also moved, each image by up to `shift` pixels in both directions. Zeros come in.
    No image moves by more than an eighth of its extent.
    """
    passes = _passes(len(images), least)
    order = torch.empty(passes * len(images), dtype=torch.int64)
    for i in range(passes):
        torch.randperm(len(images), generator=rng, out=order[i * len(images) : (i + 1) * len(images)])
    for i in range(batch_count(len(images), batch, least)):
        index = order[i * batch : (i + 1) * batch]
        part = images.take(index.to(images.y.device))
        if flip and part.x.shape[2] > 1:
            mirrored = (torch.rand(len(part), generator=rng) < 0.5).to(images.y.device)
            part = Images(torch.where(mirrored[:, None, None, None], part.x.flip(3), part.x), part.y)
        most = [min(shift, extent // _SHIFTED_PART) for extent in part.x.shape[2:]]
        if any(most) and passes > 1:
            down, right = (torch.randint(0, 2 * n + 1, (len(part),), generator=rng).to(part.x.device) for n in most)
            part = Images(_shifted(part.x, down, right, *most), part.y)
        yield part


def _shifted(x: Tensor, down: Tensor, right: Tensor, rows_most: int, columns_most: int) -> Tensor:
    """Return x[B,C,Y,X] moved by rows_most - down[B] rows and columns_most - right[B] columns."""
    padded = torch.nn.functional.pad(x, (columns_most, columns_most, rows_most, rows_most))
    rows = torch.arange(x.shape[2], device=x.device) + down[:, None]
    columns = torch.arange(x.shape[3], device=x.device) + right[:, None]
    image = torch.arange(len(x), device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _passes(images: int, least: int) -> int:
    return max(-(-least // images), 1)


def in_order(images: Images, batch: int) -> Iterator[Images]:
    """Yield all images, `batch` at a time."""
    for i in range(0, len(images), batch):
        yield Images(images.x[i : i + batch], images.y[i : i + batch])
