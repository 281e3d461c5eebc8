"""Engines that are one module, made from their nodes: those that look up values, or only move them."""

from codesign.machine.feeds import Padder, Rearranger, RowRepeater
from codesign.machine.kinds import Choices
from codesign.machine.modules import ChannelMux, LookupTable
from codesign.ops.arrays import Int, ceil_div
from codesign.ops.concat import Concat
from codesign.ops.depth_to_space import DepthToSpace
from codesign.ops.lookup import Lookup
from codesign.ops.node import Moving
from codesign.ops.pad import Pad
from codesign.ops.resize import Resize
from codesign.ops.shuffle import Shuffle
from codesign.ops.slice import Slice
from codesign.ops.space_to_depth import SpaceToDepth


def whole_module(
    node: Moving | Concat | Lookup, engine: Choices, fold: Int
) -> RowRepeater | Padder | Rearranger | ChannelMux | LookupTable:
    """Return the module of the node's engine, for pixels that come in `fold` words."""
    match node:
        case Concat():
            words = tuple(ceil_div(shape.c, engine.pe) for shape in node.ishapes)
            return ChannelMux(word_bits=engine.pe * node.otype.bits, words=words)
        case Resize():
            return _row_repeater(node, engine, fold)
        case Pad():
            return _padder(node, engine, fold)
        case Lookup():
            return _lookup(node, engine, fold)
        case Slice() | DepthToSpace() | SpaceToDepth() | Shuffle():
            return _rearranger(node, engine, fold)


def _row_repeater(node: Resize, engine: Choices, fold: Int) -> RowRepeater:
    return RowRepeater(
        ishape=node.ishape,
        fy=node.fy,
        fx=node.fx,
        fold=fold,
        word_bits=engine.pe * node.otype.bits,
        depth=engine.buffer_words,
        block_ram=engine.buffer_bram,
    )


def _padder(node: Pad, engine: Choices, fold: Int) -> Padder:
    return Padder(
        ishape=node.ishape,
        oshape=node.oshape,
        place=(node.top, node.left),
        strides=(node.stride_y, node.stride_x),
        value=node.value,
        bits=node.otype.bits,
        lanes=engine.pe,
        fold=fold,
        depth=engine.buffer_words,
        block_ram=engine.buffer_bram,
    )


_Rearranged = Slice | DepthToSpace | SpaceToDepth | Shuffle


def _rearranger(node: _Rearranged, engine: Choices, fold: Int) -> Rearranger:
    loops, free, last_pass = _loops(node, engine, fold)
    return Rearranger(
        counts=tuple(count for count, _ in loops),
        strides=tuple(stride for _, stride in loops),
        first=node.start // engine.pe if isinstance(node, Slice) else 0,
        image=node.ishape.y * node.ishape.x * fold,
        fold=ceil_div(node.oshape.c, engine.pe),
        free=free,
        last_pass=last_pass,
        word_bits=engine.pe * node.otype.bits,
        depth=engine.buffer_words,
        block_ram=engine.buffer_bram,
    )


def _loops(node: _Rearranged, engine: Choices, fold: Int) -> tuple[tuple[tuple[Int, Int], ...], int, int | None]:
    """Return the loops in which a rearranger reads, as turns and words between turns, the innermost first.

    With it, Rearranger.free and last_pass.
    """
    y, x, kept = node.ishape.y, node.ishape.x, ceil_div(node.oshape.c, engine.pe)
    match node:
        case Slice():
            return ((kept, 1), (y * x, fold)), 1, None
        case Shuffle(groups=groups):
            return ((groups, fold // groups), (fold // groups, 1), (y * x, fold)), 2, None
        case DepthToSpace(block=b):
            return ((b * kept, 1), (x, fold), (b, b * kept), (y, x * fold)), 1, 2
        case SpaceToDepth(block=b):
            return ((b * fold, 1), (b, x * fold), (x // b, b * fold), (y // b, b * x * fold)), 2, None


def _lookup(node: Lookup, engine: Choices, fold: Int) -> LookupTable:
    return LookupTable(
        pe=engine.pe,
        fold=fold if node.per_channel else 1,
        in_bits=node.itype.bits,
        out_bits=node.otype.bits,
        per_lane=node.per_channel,
        block_ram=engine.weight_bram,
    )
