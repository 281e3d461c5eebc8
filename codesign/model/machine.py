"""Facts of the machine's modules that its cycle models share: steps, delays in registers, packing of words.

Mirrors templates/rtl/modules; what is stated here is what the registers there do.
"""

from dataclasses import dataclass
from enum import Enum
from math import gcd

import numpy as np

from codesign.ir.design import LineEngine
from codesign.ir.graph import IntArray
from codesign.ir.nodes import Add, Conv, Pool, PoolOp, Scaling
from codesign.model.latency import ceil_div, input_fold


@dataclass(frozen=True, eq=False)
class Walk:
    """The steps of one image through a line buffer: which word each needs, and what each window frees."""

    steps: int  # steps of an image
    words: int  # input words of an image
    results: int  # of an output position: passes of every group
    step: IntArray  # steps that need a word that no earlier step of their window needed
    need: IntArray  # the word of each such step
    result: IntArray  # last step of every result
    freed: IntArray  # words from the image's start that are no longer needed after each window


def walk_of(node: Conv | Pool, engine: LineEngine) -> Walk:
    """Mirrors the counters of templates/rtl/modules/line_buffer.sv."""
    window, shape, out = node.window, node.ishape, node.oshape
    fold = input_fold(node, engine)
    inner, passes = group_walk(node, engine)
    groups = fold // inner
    results = groups * passes
    oy, ox, g, fy, fx, i = np.meshgrid(
        np.arange(out.y),
        np.arange(out.x),
        np.arange(groups),  # later passes of a group read the words of its first again
        np.arange(window.fy),
        np.arange(window.fx),
        np.arange(inner),
        indexing="ij",
        sparse=True,
    )
    iy, ix = oy * window.stride_y + fy - window.pad_top, ox * window.stride_x + fx - window.pad_left
    need = (iy * shape.x + ix) * fold + g * inner + i
    per_pass = window.positions * inner
    step = (((oy * out.x + ox) * results + g * passes) * window.fy + fy) * window.fx * inner + fx * inner + i
    real = np.broadcast_to((iy >= 0) & (iy < shape.y) & (ix >= 0) & (ix < shape.x), np.broadcast(need, step).shape)
    return Walk(
        steps=out.y * out.x * results * per_pass,
        words=shape.y * shape.x * fold,
        results=results,
        step=np.broadcast_to(step, real.shape)[real],
        need=np.broadcast_to(need, real.shape)[real],
        result=np.arange(1, out.y * out.x * results + 1) * per_pass - 1,
        freed=_freed(node, fold),
    )


def group_walk(node: Conv | Pool, engine: LineEngine) -> tuple[int, int]:
    """Words of a pixel in one group of channels, and passes over them; where channels do not mix, 1 and 1."""
    if isinstance(node, Pool) or node.depthwise:
        return 1, 1
    return ceil_div(node.c_per_group, engine.simd), ceil_div(node.k_per_group, engine.pe)


def _freed(node: Conv | Pool, fold: int) -> IntArray:
    """Words that the machine gives up after each output position, as its `limit_q` counts them."""
    window, shape, out = node.window, node.ishape, node.oshape
    row = np.arange(out.y)[:, None] * window.stride_y - window.pad_top
    column = np.arange(out.x)[None, :] * window.stride_x - window.pad_left
    start = np.where(row < 0, 0, row * shape.x + np.maximum(column, 0)).ravel() * fold
    freed = np.concatenate((start[1:], [shape.y * shape.x * fold]))
    return np.maximum.accumulate(freed)


def array_delay(node: Conv | Pool, engine: LineEngine) -> int:
    """Cycles from a result's last step to its appearance behind the array."""
    if isinstance(node, Pool):
        return 2
    return 3 + (engine.simd - 1).bit_length()


def requantize_delay(node: Conv | Pool | Add) -> int:
    """Cycles from taking a word to offering it requantized: two, three where a DSP multiplies, none for a maximum."""
    match node:
        case Conv():
            return 3 if node.scaling is Scaling.GENERAL else 2
        case Pool():
            if node.op is PoolOp.MAX:
                return 0
            return 3 if node.multiplier & (node.multiplier - 1) else 2
        case Add():
            return 2


class Converter(Enum):
    """The kinds of width_converter.sv."""

    WIRE = "wire"
    WIDENING = "widening"
    NARROWING = "narrowing"
    GENERAL = "general"


def converter_kind(lanes: int, packet: int, to_lanes: int, to_packet: int) -> Converter:
    """Which kind turns words of `lanes` into words of `to_lanes` elements, given where either side pads."""

    def both_whole(unit: int) -> bool:
        return packet == to_packet or (packet % unit == 0 and to_packet % unit == 0)

    if lanes == to_lanes and both_whole(lanes):
        return Converter.WIRE
    if to_lanes % lanes == 0 and both_whole(lanes):
        return Converter.WIDENING
    if lanes % to_lanes == 0 and both_whole(to_lanes):
        return Converter.NARROWING
    return Converter.GENERAL


def packet_parts(lanes: int, packet: int, to_lanes: int) -> list[int]:
    """Narrow words in each word of a packet; the last word may hold fewer."""
    words = ceil_div(packet, lanes)
    return [lanes // to_lanes] * (words - 1) + [ceil_div(packet - (words - 1) * lanes, to_lanes)]


@dataclass(frozen=True, slots=True)
class Gearbox:
    """Units that words of one packet hold on either side of a width_gearbox, and those it may hold to take a word."""

    into: list[int]
    out: list[int]
    room: int


def gearbox(lanes: int, packet: int, to_lanes: int, to_packet: int) -> Gearbox:
    """A unit is as many elements as both sides always move together."""
    unit = gcd(gcd(lanes, to_lanes), gcd(packet, to_packet))
    return Gearbox(_units(lanes, packet, unit), _units(to_lanes, to_packet, unit), 2 * (to_lanes // unit))


def _units(lanes: int, packet: int, unit: int) -> list[int]:
    full, rest = divmod(packet, lanes)
    return [lanes // unit] * full + ([rest // unit] if rest else [])
