"""Transposed convolutions: zeros between pixels, then a convolution with the weights turned around."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from codesign.front.quantization import RealArray
from codesign.front.source import Constant, Conv, Operator, Surround

Pads = tuple[int, int, int, int]


def transposed(op: Conv, kernel: tuple[int, int], extra: tuple[int, int] = (0, 0)) -> tuple[Operator, ...]:
    """Return the operators of a transposed convolution.

    `op` is it as a convolution: its weights are turned around already, its strides and pads are those of the
    transposed one. So its pads say what is cut off the result; a negative number adds rows or columns. `extra`: rows
    below and columns right that are added. Raise ValueError where more is cut off than a pixel reaches.
    """
    below, around = _pads(kernel, op.dilations, op.pads, extra)
    if op.strides == (1, 1) and not any(below):
        return (replace(op, pads=around),)
    apart = f"{op.name}:apart"
    spread = Surround(name=apart, input=op.input, output=apart, pads=below, strides=op.strides)
    return spread, replace(op, input=apart, strides=(1, 1), pads=around)


def _pads(kernel: tuple[int, int], dilations: tuple[int, int], pads: Pads, extra: tuple[int, int]) -> tuple[Pads, Pads]:
    """Return the pads around spread pixels, and those of the convolution over them."""
    reach = tuple((k - 1) * d for k, d in zip(kernel, dilations, strict=True))
    top, left, bottom, right = (r - pad for r, pad in zip((*reach, *reach), pads, strict=True))
    bottom, right = bottom + extra[0], right + extra[1]
    if min(top, left, bottom, right) < 0:
        raise ValueError(f"its pads {list(pads)} cut off more than a window reaches; expected smaller pads")
    below, beside = max(bottom - kernel[0] + 1, 0), max(right - kernel[1] + 1, 0)  # more than a window's padding holds
    return (0, 0, below, beside), (top, left, bottom - below, right - beside)


def turned_around(constant: Constant, groups: int) -> Constant:
    """Return the weights of a transposed convolution as those of a convolution, [K, C/groups, FY, FX].

    They are [C, K/groups, FY, FX], or without FY. Raise ValueError if groups do not divide them, or scales differ by
    input channel.
    """

    def turned(array: RealArray) -> RealArray:
        rows = array if array.ndim == 4 else array[:, :, np.newaxis]
        c, k, fy, fx = rows.shape
        split = rows.reshape(groups, c // groups, k, fy, fx).swapaxes(1, 2)
        return np.ascontiguousarray(split.reshape(groups * k, c // groups, fy, fx)[:, :, ::-1, ::-1])

    if groups < 1 or constant.shape[0] % groups:
        raise ValueError(f"weights {list(constant.shape)} in {groups} groups; expected groups of one size")
    return _turned(constant, turned)


def _turned(constant: Constant, turned: Callable[[RealArray], RealArray]) -> Constant:
    if constant.integers is None or constant.scale is None:
        return Constant(turned(constant.values))
    scale = constant.scale
    if scale.ndim:
        spread = turned(np.broadcast_to(scale, constant.shape))
        scale = spread[:, :1, :1, :1]
        if (spread != scale).any():
            raise ValueError(
                "its weights have scales per channel of the input; expected one, or one per output channel"
            )
    return Constant.of(np.rint(turned(constant.integers.astype(np.float64))).astype(np.int64), scale)
