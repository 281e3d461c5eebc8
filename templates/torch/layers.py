# SPDX-License-Identifier: MIT-0
"""A network of integers in plain PyTorch: this file and weights.npz beside it need torch and numpy, nothing else.

    python model.py IMAGES.npy [OUTPUTS.npy]

prints the class of every image of an .npy file, [Y,X,C] or [N,Y,X,C], and leaves the integer outputs [N,OY,OX,K].
The numbers are those of the training data: `Network.encode` makes integers of them as the training did, see ENCODING.

Layers exchange integers, held in float64. Every sum and product here is exact in it, so the outputs equal those of the
machine in every word. Weights and biases are parameters: real numbers in steps of the layer's output. They are rounded
to their grid in each pass, and the gradient passes through the rounding. To fine-tune:

    network = load()
    loss = functional.cross_entropy(network(images), labels)   # images [B,C,Y,X]: network.encode(numbers [B,Y,X,C])
    ...                                                        # any optimizer of network.parameters()
    save(network)

`network.float()` trains faster, but its sums may be off in the last step; go back to `network.double()` before save.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

WEIGHTS = Path(__file__).with_name("weights.npz")


def rounded(x: Tensor) -> Tensor:
    """The nearest integer, of two the larger; the gradient is that of x."""
    return x - x.detach() + torch.floor(x.detach() + 0.5)


def rounded_even(x: Tensor) -> Tensor:
    """The nearest integer, of two the even one; the gradient is that of x."""
    return x - x.detach() + torch.round(x.detach())


def rounded_down(x: Tensor) -> Tensor:
    """The next integer below; the gradient is that of x."""
    return x - x.detach() + torch.floor(x.detach())


def rounded_up(x: Tensor) -> Tensor:
    """The next integer above; the gradient is that of x."""
    return x - x.detach() + torch.ceil(x.detach())


class Conv(nn.Module):
    """A convolution x[B,C,IY,IX] -> [B,K,OY,OX]; with groups = K a depthwise one, and dense where it covers its map.

    `padding`: inputs of value `zero_in` left, right, above and below. `weights`, `outputs`: least and largest integer.
    One step of the weights of output channel k is worth scale[k] steps of the output; one of its bias `bias_steps`
    times less. `zero_in`, `zero`: the integers that stand for 0. `rounding`: what makes integers of the sums.
    """

    def __init__(
        self,
        channels: tuple[int, int],
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int, int, int],
        weights: tuple[int, int],
        outputs: tuple[int, int],
        groups: int = 1,
        zero_in: int = 0,
        zero: int = 0,
        bias_steps: int = 1,
        rounding: Callable[[Tensor], Tensor] = rounded,
        dilation: tuple[int, int] = (1, 1),
    ) -> None:
        super().__init__()
        c, k = channels
        self.stride, self.padding, self.weights, self.outputs, self.groups = stride, padding, weights, outputs, groups
        self.zero_in, self.zero, self.bias_steps, self.rounding = zero_in, zero, bias_steps, rounding
        self.dilation = dilation
        self.weight = nn.Parameter(torch.zeros(k, c // groups, *kernel, dtype=torch.float64))
        self.bias = nn.Parameter(torch.zeros(k, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(k, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        scale = self.scale[:, None, None, None]
        weight = rounded(self.weight / scale).clamp(*self.weights) * scale
        step = self.scale / self.bias_steps
        bias = rounded(self.bias / step) * step
        inputs = functional.pad(x - self.zero_in, self.padding)
        total = functional.conv2d(inputs, weight, bias, self.stride, 0, self.dilation, self.groups)
        return (self.rounding(total) + self.zero).clamp(*self.outputs)


class Lookup(nn.Module):
    """Every value of x[B,C,Y,X] replaced by its entry of a table, which is one for all channels or one for each.

    `least`: the value of the first entry. The gradient is the slope between the neighbouring entries.
    """

    def __init__(self, rows: int, entries: int, least: int) -> None:
        super().__init__()
        self.least = least
        self.register_buffer("table", torch.zeros(rows, entries, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        rows, entries = self.table.shape
        index = (x.detach() - self.least).long()
        row = torch.arange(rows, device=x.device)[:, None, None] * entries
        low, high = (index - 1).clamp(min=0), (index + 1).clamp(max=entries - 1)
        y, below, above = (self.table.flatten()[i + row] for i in (index, low, high))
        return y + (above - below) / (high - low) * (x - x.detach())


def maximum(
    x: Tensor,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    least: int,
    dilation: tuple[int, int] = (1, 1),
) -> Tensor:
    """The largest of every window; what is padded never is."""
    return functional.max_pool2d(functional.pad(x, padding, value=float(least)), kernel, stride, 0, dilation)


def average(
    x: Tensor,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    scale: float,
    outputs: tuple[int, int],
    zero_in: int = 0,
    zero: int = 0,
    rounding: Callable[[Tensor], Tensor] = rounded,
    dilation: tuple[int, int] = (1, 1),
    by_count: Mapping[int, float] = MappingProxyType({}),
) -> Tensor:
    """The sum of every window times scale; `by_count` has the scale of windows with so many positions in the map."""
    ones = torch.ones(x.shape[1], 1, *kernel, dtype=x.dtype)
    inputs = functional.pad(x - zero_in, padding)
    total = functional.conv2d(inputs, ones, None, stride, 0, dilation, x.shape[1])
    scales = torch.full(total.shape[2:], scale, dtype=x.dtype)
    counts = functional.conv2d(functional.pad(torch.ones_like(x[:1, :1]), padding), ones[:1], None, stride, 0, dilation)
    for count, other in by_count.items():
        scales[counts[0, 0] == count] = other
    return (rounding(total * scales) + zero).clamp(*outputs)


def spread(x: Tensor, strides: tuple[int, int], padding: tuple[int, int, int, int], value: int) -> Tensor:
    """The pixels so many rows and columns apart, with zeros between, and a value around them."""
    b, c, rows, columns = x.shape
    apart = x.new_zeros(b, c, (rows - 1) * strides[0] + 1, (columns - 1) * strides[1] + 1)
    apart[:, :, :: strides[0], :: strides[1]] = x
    return functional.pad(apart, padding, value=float(value))


def depth_to_space(x: Tensor, block: int) -> Tensor:
    """Every pixel as block x block pixels, which share its channels in order."""
    b, c, rows, columns = x.shape
    parts = x.reshape(b, block, block, c // block**2, rows, columns).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(b, c // block**2, rows * block, columns * block)


def space_to_depth(x: Tensor, block: int) -> Tensor:
    """Every block x block pixels as one, with the channels of all of them in order."""
    b, c, rows, columns = x.shape
    parts = x.reshape(b, c, rows // block, block, columns // block, block).permute(0, 3, 5, 1, 2, 4)
    return parts.reshape(b, c * block**2, rows // block, columns // block)


def add(
    a: Tensor,
    b: Tensor,
    scales: tuple[float, float],
    outputs: tuple[int, int],
    zeros: tuple[int, int] = (0, 0),
    zero: int = 0,
    rounding: Callable[[Tensor], Tensor] = rounded,
) -> Tensor:
    """The weighted sum of two maps."""
    return (rounding((a - zeros[0]) * scales[0] + (b - zeros[1]) * scales[1]) + zero).clamp(*outputs)


def encoded(values: np.ndarray, offset: float, step: float, half_even: bool, inputs: tuple[int, int]) -> np.ndarray:
    """The integers of the input, int64, for numbers as in the training data: floor((value - offset) / step + 0.5).

    With `half_even` halves go to the even integer. They are clamped to `inputs`, the least and largest. Where the
    network was trained on integers as they are (offset 0, step 1), integers stay as they are. Elsewhere integers
    of one byte are taken for integers of the input.
    Raises ValueError where it is not clear which numbers these are.
    """
    if values.dtype.kind not in "iuf":
        raise ValueError(f"expected integers or floating-point numbers, got {values.dtype}")
    as_they_are = (offset, step) == (0.0, 1.0)
    if values.dtype.kind in "iu":
        if as_they_are or values.dtype.itemsize == 1:
            return values.astype(np.int64)
        if inputs[0] <= values.min() and values.max() <= inputs[1]:
            raise ValueError(
                f"integers from {inputs[0]} to {inputs[1]} could be those of the input or those of the training data: "
                "images.astype(np.uint8) makes them the first, images.astype(float) the second"
            )
    wide = values.astype(np.float64)
    if not np.isfinite(wide).all():
        raise ValueError("expected finite numbers")
    if as_they_are and np.abs(wide).max() <= 16.0 and np.any(wide != np.floor(wide)):
        raise ValueError(
            f"expected numbers from {inputs[0]} to {inputs[1]} as in training, got fractions within -16 to 16; undo "
            "what normalised them"
        )
    with np.errstate(over="ignore"):
        steps = (wide - offset) / step
        steps = np.rint(steps) if half_even else np.floor(steps + 0.5)
    beyond = int(np.count_nonzero((steps < inputs[0]) | (steps > inputs[1])))
    if beyond:
        print(f"{beyond} of {wide.size} numbers lie beyond those of the training and were clipped", file=sys.stderr)
    return np.clip(steps, *inputs).astype(np.int64)


def fill(network: nn.Module, path: Path = WEIGHTS) -> nn.Module:
    """The network with the weights of the file, ready to be used."""
    with np.load(path) as held:
        network.load_state_dict({name: torch.from_numpy(held[name]) for name in held.files})
    return network.eval()


def save(network: nn.Module, path: Path = WEIGHTS) -> None:
    """Keep the network's weights; the file is written as a whole."""
    fresh = path.with_suffix(".tmp.npz")
    np.savez(fresh, **{name: value.detach().cpu().numpy() for name, value in network.state_dict().items()})
    os.replace(fresh, path)


@torch.no_grad()
def classify(network: nn.Module, labels: tuple[str, ...], arguments: list[str]) -> int:
    """Print the class of every image of a file; the status of the program."""
    if not 1 <= len(arguments) <= 2:
        print("usage: python model.py IMAGES.npy [OUTPUTS.npy]", file=sys.stderr)
        return 1
    try:
        images = np.load(arguments[0], allow_pickle=False)
        if not isinstance(images, np.ndarray) or images.ndim not in (3, 4) or not images.size:
            raise ValueError("expected numbers [Y,X,C] or [N,Y,X,C] in an .npy file")
        outputs = network.integers(network.encode(images.reshape(-1, *images.shape[-3:])))
    except (OSError, ValueError) as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return 1
    for best in outputs.flatten(1).argmax(1).tolist():
        print(labels[best] if labels else best)
    if len(arguments) == 2:
        np.save(arguments[1], outputs.numpy())
    return 0
