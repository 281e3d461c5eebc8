"""What modules that store, repeat and convert words become in synthesis: one formula per kind, see model.area."""

import numpy as np

from codesign.ir.technology import Fitted, Technology
from codesign.machine.feeds import Feed, RowRepeater
from codesign.machine.modules import ChannelMux, Converter, Fifo
from codesign.model.counts import counter_ff, counts
from codesign.model.memory import bram18_count, ceil_log2, choice_luts, lutram_luts
from codesign.ops.arrays import Int, IntArray, ceil_div, largest

FEED_FLAGS = 3  # beside a word: whether it is there, whether it is a result's first or last
LINE_FLAGS = 5 + FEED_FLAGS  # the loop that a step moves, whether it begins a result, whether one was just taken
PADDING_FLAGS = 3  # whether a step lies in the padding, in either direction and in any


def feed_area(feed: Feed, technology: Technology) -> IntArray:
    """Count a line buffer, or one register and a step counter where words stream; and the second register."""
    register = _pass_feed(feed.word_bits, feed.steps)
    table = np.where(np.asarray(feed.streams)[..., None], register, _line_buffer(feed, technology))
    return table + counts(feed.fold, ff=feed.late * (feed.word_bits + FEED_FLAGS))


def _line_buffer(feed: Feed, technology: Technology) -> IntArray:
    """Count the circular memory, two distances and two addresses, the loops of the walk, and places in the map.

    Every loop that turns has a counter, and registers that tell a step ahead that it ends and that it moves.
    """
    width, depth, in_bram = feed.word_bits, feed.depth, feed.block_ram
    w, ix, iy, fold = feed.window, feed.ishape.x, feed.ishape.y, feed.fold
    oy, ox = feed.oshape.y, feed.oshape.x
    span = ((w.span_y - 1) * ix + w.span_x - 1) * fold + feed.inner - 1
    column, row = w.stride_x * fold, (w.stride_y * ix - (ox - 1) * w.stride_x) * fold
    image = ((iy - (oy - 1) * w.stride_y) * ix - (ox - 1) * w.stride_x) * fold
    pointer = ceil_log2(np.asarray(depth + largest(image, row) + span + column + 1)) + 1
    turns = [feed.inner, feed.passes, ceil_div(fold, feed.inner), *(np.asarray(n) for n in (w.fx, w.fy, ox, oy))]
    counters = sum((counter_ff(count) for count in turns), np.zeros((), np.int64))
    turning = sum((np.asarray(count > 1) * 1 for count in turns), np.zeros((), np.int64))
    places = _place_bits(iy, w.span_y, w.stride_y, oy) + _place_bits(ix, w.span_x, w.stride_x, ox)
    places = places + _place_bits(iy, w.span_y, w.stride_y, 2) + _place_bits(ix, w.span_x, w.stride_x, 2)
    ff = 2 * (pointer + ceil_log2(depth)) + counters + 2 * turning + LINE_FLAGS + np.where(in_bram, 0, width)
    ff = ff + feed.has_padding * (places + PADDING_FLAGS)
    lut = technology.fitted.line_pointer * pointer + counters + technology.fitted.line_padding * feed.has_padding
    lut = lut + np.where(in_bram, 0, lutram_luts(width, depth, technology))
    return counts(fold, bram18=np.where(in_bram, bram18_count(width, depth, technology), 0), lut=lut, ff=ff)


def row_repeater_area(module: RowRepeater, technology: Technology) -> IntArray:
    """Its memory with the register behind it, three pointers, and a counter for each loop; columns for rows only."""
    width, depth, in_bram = module.word_bits, module.depth, module.block_ram
    pointer = ceil_log2(depth) + 1
    columns = module.ishape.x if module.fy > 1 else 1
    loops = sum(counter_ff(count) for count in (module.fold, module.fx, columns, module.fy))
    lut = technology.fitted.fifo + 3 * pointer + loops + np.where(in_bram, 0, lutram_luts(width, depth, technology))
    lut = lut - technology.fitted.repeated_words * (np.asarray(module.fold) > 1)
    ff = 3 * pointer + loops + 1 + np.where(in_bram, 0, width)
    return counts(depth, bram18=np.where(in_bram, bram18_count(width, depth, technology), 0), lut=lut, ff=ff)


def _place_bits(extent: int, kernel: int, stride: int, out: int) -> int:
    """Return the registers of the row or column of a window's start; even strides never change its lowest bits."""
    if out == 1:
        return 0
    bits = (max(extent, kernel) + max(kernel, stride)).bit_length() + 1
    return bits - ((stride & -stride).bit_length() - 1)


def _pass_feed(width: Int, steps: Int) -> IntArray:
    bits = counter_ff(steps)
    many = steps > 1
    return counts(width, lut=2 + many * (bits + 2), ff=width + 1 + many * (bits + 4))


def channel_mux_area(mux: ChannelMux, technology: Technology) -> IntArray:
    """A choice of the inputs a bit, the register behind it, and which word of the pixel it is."""
    word = ceil_log2(np.asarray(sum(mux.words)))
    return counts(
        mux.word_bits,
        lut=mux.word_bits * choice_luts(len(mux.words), technology) + 4 + word,
        ff=mux.word_bits + 1 + word,
    )


def converter_area(converter: Converter, technology: Technology) -> IntArray:
    """Count a converter. Equal widths are a wire. Lanes broadcast.

    Where one width divides the other, and every packet where packets differ, it is a register with parts. Else it is a
    queue of one input and two output words that shifts by their common divisor.
    """
    a, b = np.broadcast_arrays(converter.lanes_in, converter.lanes_out)
    packet_in, packet_out, bits = converter.packet_in, converter.packet_out, converter.bits
    narrow = np.minimum(a, b)
    is_even = (packet_in == packet_out) | ((packet_in % narrow == 0) & (packet_out % narrow == 0))
    fit = technology.fitted
    table = _gearbox(a, b, packet_in, packet_out, bits, fit)
    table = np.where((is_even & (b % a == 0))[..., None], _widener(a, b, packet_out, bits, fit), table)
    table = np.where((is_even & (a % b == 0))[..., None], _narrower(a, b, packet_in, bits, fit), table)
    return np.where((is_even & (a == b))[..., None], 0, table)


def _widener(a: IntArray, b: IntArray, packet: int, bits: int, fit: Fitted) -> IntArray:
    parts, words = np.maximum(b // a, 1), ceil_div(packet, a)
    left = words % parts
    is_short = left != 0
    masks = is_short * (b - left * a) * bits
    ff = b * bits + counter_ff(parts) + 1 + is_short * (counter_ff(words) + 1)
    return counts(a, lut=fit.converter - 2 + parts + masks + 7 * is_short, ff=ff)


def _narrower(a: IntArray, b: IntArray, packet: int, bits: int, fit: Fitted) -> IntArray:
    parts, words = np.maximum(a // b, 1), ceil_div(packet, a)
    is_short = ceil_div(packet - (words - 1) * a, b) != parts
    ff = a * bits + ceil_log2(parts + 1) + is_short * counter_ff(words)
    return counts(a, lut=(a - b) * bits + fit.converter + 2, ff=ff)


def _gearbox(a: IntArray, b: IntArray, packet_in: int, packet_out: int, bits: int, fit: Fitted) -> IntArray:
    unit = np.gcd(np.gcd(a, b), np.gcd(packet_in, packet_out))
    units_in, units_out = a // unit, b // unit
    capacity = units_in + 2 * units_out
    choices = units_in * (2 * units_out + 1) / capacity  # word positions that may reach a unit of the queue
    lut = (fit.queue_hold + fit.queue_choice * choices) * capacity * unit * bits + 4 * ceil_log2(capacity + 1)
    ff = capacity * unit * bits + ceil_log2(capacity + 1)
    for lanes, packet in ((a, packet_in), (b, packet_out)):
        words = ceil_div(packet, lanes)
        is_short = packet - (words - 1) * lanes != lanes
        ff = ff + is_short * counter_ff(words)
    return counts(a, lut=lut, ff=ff)


def fifo_area(fifo: Fifo, technology: Technology) -> IntArray:
    """Count a memory, two pointers of one bit more than the address, and the register behind it."""
    depth, width, in_bram = fifo.depth, fifo.word_bits, fifo.block_ram
    address = ceil_log2(depth)
    lut = (
        technology.fitted.fifo
        + technology.fitted.fifo_pointer * address
        + np.where(in_bram, 0, lutram_luts(width, depth, technology))
    )
    ff = 2 * (address + 1) + 1 + np.where(in_bram, 0, width)
    return counts(depth, bram18=np.where(in_bram, bram18_count(width, depth, technology), 0), lut=lut, ff=ff)
