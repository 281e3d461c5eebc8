"""What a drawn choice means in a supernet: bits are quantizers, widths are masks, candidates are mixed.

Activations are quantized over a fixed range after batch normalization, which learns to use it; weights over their own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from codesign.nets.quantizer import quantize, quantize_weight, typical_exponent
from codesign.networks.derive import residual_bits
from codesign.ops.qtype import QType

_RANGE_EXPONENT = 2  # activations are clipped at 2**2, four standard deviations


class Chosen(Protocol):
    """A drawn choice: `weights` one-hot in value, and the candidates to run, best first."""

    @property
    def weights(self) -> Tensor:
        """One weight per option, with a gradient if the choice is to learn."""
        ...

    @property
    def index(self) -> int:
        """The option drawn."""
        ...

    @property
    def active(self) -> tuple[int, ...]:
        """The options to run."""
        ...


class Bits:
    """The quantization of tensors by a drawn number of bits."""

    def __init__(self, options: tuple[int, ...], draw: Chosen) -> None:
        self.options, self.draw = options, draw

    def weight(self, weight: Tensor, part: Tensor) -> Tensor:
        """Return a part of weight[K,...], its first channels, on the drawn grid; scales are those of the whole."""

        def one(bits: int) -> Tensor:
            return quantize_weight(part, typical_exponent(weight, bits)[: len(part)], bits)

        return self._mixed(list(self.options), one)

    def activation(self, x: Tensor, *, signed: bool = False) -> Tensor:
        """Return the map on the drawn grid: a ReLU, or for the branch of a residual two more bits and a sign."""

        def one(bits: int) -> Tensor:
            qtype = QType(residual_bits(bits) if signed else bits, signed=signed)
            return quantize(x, _RANGE_EXPONENT - qtype.bits + int(signed), qtype)

        return self._mixed(list(self.options), one)

    def _mixed(self, options, quantized):  # type: ignore[no-untyped-def]
        """Return the drawn one's value; other active ones join for the gradient of the choice, or with their shares of
        it.
        """
        weights = self.draw.weights
        if len(self.draw.active) == 1 and not weights.requires_grad:
            return quantized(options[self.draw.index])
        return sum(weights[i] * quantized(options[i]) for i in self.draw.active)


@dataclass(frozen=True, slots=True)
class BlockBits:
    """The quantizations in a block: of its weights, of what passes between its convolutions, and of what leaves it."""

    weight: Bits
    inner: Bits
    outer: Bits


def mixture(draw: Chosen, run: Callable[[int], Tensor]) -> Tensor:
    """Return the drawn option's value; another active one adds nothing but a gradient to its weight."""
    if not draw.weights.requires_grad:
        return run(draw.index)
    return sum((draw.weights[i] * run(i) for i in draw.active), torch.zeros((), device=draw.weights.device))


class Width:
    """A drawn width: how many channels are computed, and the mask over them where the width is to learn."""

    def __init__(self, options: tuple[int, ...], draw: Chosen) -> None:
        self.options, self.draw = options, draw
        self.learns = draw.weights.requires_grad and len(options) > 1
        self.computed = max(options[i] for i in draw.active) if self.learns else options[draw.index]
        self.mask = self._mask() if self.learns else None

    def times(self, factor: int) -> "Width":
        """Return the width of an expansion of this one."""
        return self if factor == 1 else Width(tuple(o * factor for o in self.options), self.draw)

    def _mask(self) -> Tensor:
        """Return 1 for the drawn channels, 0 for the others; [computed]."""
        channel = torch.arange(self.computed, device=self.draw.weights.device)
        widths = torch.tensor(self.options, device=channel.device)
        return self.draw.weights @ (channel < widths[:, None]).to(torch.float32)
