"""Operations that are built of several nodes, and convolutions that have no weights yet."""

import numpy as np

from codesign.errors import UnsupportedError
from codesign.ir.builder import GraphBuilder
from codesign.ops.arrays import IntArray
from codesign.ops.conv import Conv
from codesign.ops.node import Node
from codesign.ops.qtype import QType
from codesign.ops.requantize import MAX_ACC_BITS, Scaling
from codesign.ops.shapes import Window


def conv_transpose(
    build: GraphBuilder,
    source: Node,
    weight: IntArray,
    bias: IntArray | None = None,
    *,
    otype: QType,
    strides: tuple[int, int],
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    extra: tuple[int, int] = (0, 0),
    groups: int = 1,
    multiplier: IntArray | int = 1,
    shift: int = 0,
    name: str = "",
) -> Conv:
    """Add a transposed convolution: zeros between the pixels, then a convolution with the weights turned around.

    weight[K,FY,FX,C/G]: what a pixel gives to the outputs around it. `pads`: how much is cut off the result: rows
    above, columns left, rows below, columns right. `extra`: how much is added to it: rows below, columns right. Raise
    UnsupportedError where more is cut off than a pixel reaches.
    """
    name, weight = name or f"conv_transpose_{len(build.nodes)}", np.asarray(weight, dtype=np.int64)
    fy, fx = weight.shape[1:3]
    top, left, bottom, right = (reach - 1 - pad for reach, pad in zip((fy, fx, fy, fx), pads, strict=True))
    bottom, right = bottom + extra[0], right + extra[1]
    if min(top, left, bottom, right) < 0:
        raise UnsupportedError(
            f"node {name!r}: pads {pads} cut off more than a window of {fy} x {fx} reaches; a slice of rows or "
            "columns is not supported"
        )
    below, beside = max(bottom - fy + 1, 0), max(right - fx + 1, 0)  # what padding of the window cannot hold
    if strides != (1, 1) or below or beside:
        source = build.pad(source, (0, 0, below, beside), strides=strides, name=f"{name}_apart")
    around = {"pad_top": top, "pad_left": left, "pad_bottom": bottom - below, "pad_right": right - beside}
    window, turned = Window(fy=fy, fx=fx, **around), weight[:, ::-1, ::-1]
    return build.conv(
        source,
        turned,
        bias,
        otype=otype,
        window=window,
        groups=groups,
        multiplier=multiplier,
        shift=shift,
        name=name,
    )


def untrained_conv(
    name: str, source: Node, *, k: int, window: Window, groups: int, wtype: QType, spread: int, otype: QType
) -> Conv:
    """Return a convolution as good as known without weights.

    Its accumulators hold the worst weights of their type. Its multipliers are powers of two, at most 2**spread apart.
    """
    taps = window.positions * source.oshape.c // groups
    worst = taps * max(-source.otype.qmin, source.otype.qmax) * -wtype.qmin
    return Conv(
        name=name,
        source=source.name,
        ishape=source.oshape,
        itype=source.otype,
        k=k,
        window=window,
        groups=groups,
        wtype=wtype,
        acc_bits=min(worst.bit_length() + 1, MAX_ACC_BITS),
        scaling=Scaling.POWER_OF_TWO,
        multiplier_bits=spread + 1,
        shift=max(worst.bit_length() - otype.bits, spread),
        otype=otype,
    )
