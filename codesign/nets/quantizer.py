"""Fake quantization: float tensors on the integer grid, equal to what model.golden computes, with a gradient.

Every scale is a power of two. So a real value and its integer differ by an exponent only. float32 holds both exactly,
as long as the integer stays below 2**24.
"""

from typing import Any

import torch
from torch import Tensor

from codesign.ops.qtype import QType

EXACT = 1 << 24  # integers up to here are exact in float32


class _Quantize(torch.autograd.Function):
    """clamp(floor(x / scale + 1/2)) * scale; the gradient passes where the value was not clamped."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
        steps = torch.floor(x / scale + 0.5)
        ctx.save_for_backward((steps >= low) & (steps <= high))
        return steps.clamp_(low, high) * scale

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        (inside,) = ctx.saved_tensors
        return grad * inside, None, None, None


def quantize(x: Tensor, exponent: Tensor | int, qtype: QType) -> Tensor:
    """Round x half up to multiples of 2**exponent and clamp to the type; the gradient is straight-through.

    `exponent` is one number, or a tensor that broadcasts against x.
    """
    scale = power(exponent, x)
    quantized: Tensor = _Quantize.apply(x, scale, qtype.qmin, qtype.qmax)
    return quantized


def quantize_weight(weight: Tensor, exponent: Tensor, bits: int) -> Tensor:
    """Quantize weight[K,...] with one exponent[K] per output channel, symmetrically: -(2**(bits-1) - 1) and up."""
    scale = power(exponent, weight).reshape(-1, *[1] * (weight.dim() - 1))
    limit = QType(bits, signed=True).qmax
    quantized: Tensor = _Quantize.apply(weight, scale, -limit, limit)
    return quantized


def power(exponent: Tensor | int, like: Tensor) -> Tensor:
    """Return 2**exponent for -126 <= exponent <= 127, exactly, in the type and on the device of `like`.

    It is built from the bits of a float32, because a library's power function may be off in the last place.
    """
    steps = exponent if isinstance(exponent, Tensor) else torch.tensor(exponent, device=like.device)
    bits = (steps.to(like.device, torch.int32) + 127) << 23
    return bits.view(torch.float32).to(like.dtype)


def covering_exponent(weight: Tensor, bits: int) -> Tensor:
    """Return, per output channel of weight[K,...], the least exponent whose grid reaches the largest magnitude; int64
    [K].
    """
    peak = weight.detach().abs().flatten(1).amax(1).clamp_min(1e-8)
    return torch.ceil(torch.log2(peak / QType(bits, signed=True).qmax)).to(torch.int64)


def typical_exponent(weight: Tensor, bits: int) -> Tensor:
    """Return, per output channel, an exponent for weights in training, from their mean magnitude; int64 [K].

    Few bits clip: the step is 2 * mean|w| / sqrt(largest integer), the usual start of learned steps. It is never beyond
    covering.
    """
    largest = QType(bits, signed=True).qmax
    step = 2.0 * weight.detach().abs().flatten(1).mean(1).clamp_min(1e-8) / largest**0.5
    return torch.minimum(torch.round(torch.log2(step)).to(torch.int64), covering_exponent(weight, bits))


def best_weight_exponent(weight: Tensor, bits: int, spread: int) -> Tensor:
    """Return, per output channel, the exponent of least squared error, none further than `spread` apart; int64 [K]."""
    top = covering_exponent(weight, bits)
    candidates = torch.stack([top - i for i in range(3)])
    errors = torch.stack([(quantize_weight(weight, e, bits) - weight).square().flatten(1).sum(1) for e in candidates])
    best = candidates.gather(0, errors.argmin(0, keepdim=True))[0]
    return best.clamp_min(int(best.max()) - spread)


def best_exponent(x: Tensor, qtype: QType) -> int:
    """Return the exponent with which quantizing x loses least in the square."""
    x = x.detach()
    peak = max(float(x.abs().max()), 1e-8)
    top = int(torch.ceil(torch.log2(torch.tensor(peak / qtype.qmax))))
    errors = [(float((quantize(x, top - i, qtype) - x).square().mean()), top - i) for i in range(5)]
    return min(errors)[1]
