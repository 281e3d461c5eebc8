"""Random windows, weights, multipliers and shifts, many of them corner cases."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from codesign.ops.arrays import IntArray
from codesign.ops.qtype import QType
from codesign.ops.requantize import Scaling
from codesign.ops.shapes import Shape, Window, window_counts

Rng = np.random.Generator
T = TypeVar("T")


def divisors(extent: int) -> tuple[int, ...]:
    """Return the numbers that divide an extent."""
    return tuple(n for n in range(1, extent + 1) if extent % n == 0)


def random_window(shape: Shape, rng: Rng, limit: int) -> Window:
    """Return a window of at most limit x limit that fits the padded map; pads and strides at random."""
    fy, top, bottom = _extent(shape.y, rng, limit)
    fx, left, right = _extent(shape.x, rng, limit)
    sy, sx = (pick(rng, (1, 1, 1, 2, 2, 3)) for _ in range(2))
    return Window(
        fy=fy,
        fx=fx,
        stride_y=sy,
        stride_x=sx,
        pad_top=top,
        pad_left=left,
        pad_bottom=bottom,
        pad_right=right,
    )


def dilated_window(window: Window, shape: Shape, rng: Rng) -> Window:
    """Return the window with its positions further apart and more padding, if it still fits the map."""
    dy, dx = (int(rng.integers(1, 4)) for _ in range(2))
    top, left, bottom, right = (int(rng.integers(1 + (f - 1) * d)) for f, d in 2 * ((window.fy, dy), (window.fx, dx)))
    apart = replace(
        window, dilation_y=dy, dilation_x=dx, pad_top=top, pad_left=left, pad_bottom=bottom, pad_right=right
    )
    fits = apart.span_y <= shape.y + top + bottom and apart.span_x <= shape.x + left + right
    return apart if fits and window_counts(apart, shape).any() else window


def _extent(size: int, rng: Rng, limit: int) -> tuple[int, int, int]:
    """Return kernel extent and the padding on both sides."""
    kernel = int(rng.integers(1, limit + 1))
    before, after = (int(rng.integers(kernel)) if rng.random() < 0.6 else 0 for _ in range(2))
    if size + before + after < kernel:
        return size, 0, 0
    return kernel, before, after


def weight_bits(itype: QType, taps: int, rng: Rng) -> int:
    """Return as many bits that a sum of `taps` products and a bias of their size fit an accumulator of 31 bits."""
    wide = itype.bits <= 8 and rng.random() < 0.05
    drawn = 16 if wide else int(rng.integers(2, 9))
    return min(drawn, 31 - itype.bits - (taps + 1).bit_length())


def random_weights(shape: Sequence[int], wtype: QType, rng: Rng, *, dense: bool) -> IntArray:
    """Return weights: uniform, or unless they must be dense mostly zero, all minimum, or only the extremes."""
    kind = 1.0 if dense else rng.random()
    if kind < 0.1:
        return np.full(shape, wtype.qmin, dtype=np.int64)
    if kind < 0.3:
        return rng.choice(np.array([wtype.qmin, wtype.qmax], dtype=np.int64), shape)
    weight = rng.integers(wtype.qmin, wtype.qmax + 1, shape, dtype=np.int64)
    return np.where(rng.random(shape) < 0.7, 0, weight) if kind < 0.4 else weight


def random_multipliers(k: int, scaling: Scaling, limit_bits: int, rng: Rng) -> IntArray:
    """Return multipliers [k] of the kind, of at most so many bits."""
    match scaling:
        case Scaling.SHIFT:
            return np.ones(k, dtype=np.int64)
        case Scaling.POWER_OF_TWO:
            return np.left_shift(1, rng.integers(0, min(limit_bits, 8), k, dtype=np.int64))
        case Scaling.GENERAL:
            return rng.integers(1, 1 << int(rng.integers(1, limit_bits + 1)), k, dtype=np.int64)


def large_multiplier(itype: QType, rng: Rng) -> int:
    """Return an addition's multiplier of any width, at most as large as leaves room for another in 32 bits."""
    most = (1 << 30) // max(-itype.qmin, itype.qmax + 1)
    bits = int(rng.integers(1, most.bit_length() + 1))
    return pick(rng, (most, min(most, (1 << bits) - 1), int(rng.integers(1, most + 1)), 1))


def largest_multipliers(scaling: Scaling, drawn: IntArray, limit_bits: int, rng: Rng) -> IntArray:
    """Return those drawn, or half of the time in each channel the largest that there is."""
    most = {Scaling.SHIFT: 1, Scaling.POWER_OF_TWO: 1 << (limit_bits - 1), Scaling.GENERAL: (1 << limit_bits) - 1}
    return np.where(rng.random(len(drawn)) < 0.5, most[scaling], drawn)


def declared_scaling(scaling: Scaling, multiplier: IntArray) -> Scaling:
    """Return the kind drawn, or SHIFT where powers of two all came out as 1."""
    return Scaling.SHIFT if scaling is Scaling.POWER_OF_TWO and (multiplier == 1).all() else scaling


def random_shift(bound: int, otype: QType, rng: Rng) -> int:
    """Return a shift that brings `bound` to about the output's range: a little saturation, or some lost bits."""
    fit = max(bound, 1).bit_length() - otype.bits
    return int(np.clip(fit - rng.integers(-1, 4), 0, 47))


def power_of_two(least: int) -> int:
    """Return the least power of two that is at least 2 and not below the number."""
    return max(2, 1 << (least - 1).bit_length())


def pick(rng: Rng, options: Sequence[T]) -> T:
    """Return one of the options."""
    return options[int(rng.integers(len(options)))]


def random_outputs(names: list[str], rng: Rng) -> tuple[str, ...]:
    """Return two or three of the nodes as outputs in any order, the last one among them, or none for that one alone."""
    if rng.random() < 0.7 or len(names) == 1:
        return ()
    others = rng.permutation(len(names) - 1)[: pick(rng, (1, 1, 2))].tolist()
    return tuple(names[i] for i in rng.permutation([*others, len(names) - 1]).tolist())
