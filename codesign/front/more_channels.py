"""Zeros before and behind the channels of a map: a convolution that copies, so that no other operator is needed."""

import numpy as np

from codesign.front.source import Constant, Conv, Layout

MOST_MORE = 1 << 12  # channels


def with_more_channels(
    name: str, x: str, output: str, channels: int, more: tuple[int, int], layout: Layout
) -> tuple[Conv, Constant]:
    """Return the convolution that puts `more` channels of zeros before and behind those of a map, and its weights."""
    before, behind = more
    copies = np.eye(before + channels + behind, channels, -before, dtype=np.int64)
    k, c = copies.shape
    weight = Constant.of(copies.reshape((k, c, 1, 1) if layout is Layout.CHW else (k, 1, 1, c)), 1.0)
    return Conv(name=name, input=x, output=output, weight=f"{name}:copies"), weight
