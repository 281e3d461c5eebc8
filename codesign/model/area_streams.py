"""What modules that store, repeat and convert words become in synthesis: one formula per kind, see model.area."""

import numpy as np

from codesign.ir.technology import Fitted, Technology
from codesign.machine.converters import Converter
from codesign.machine.feeds import Feed, RowRepeater
from codesign.machine.modules import ChannelMux, Fifo, output_depth
from codesign.model.counts import counter_ff, counts
from codesign.model.memory import bram18_count, ceil_log2, choice_luts, lutram_luts
from codesign.ops.arrays import Int, IntArray, ceil_div, largest

FEED_FLAGS = 3  # beside a word: whether it is there, whether it is a result's first or last
LINE_FLAGS = 5 + FEED_FLAGS  # the loop that a step moves, whether it begins a result, whether one was just taken
PADDING_FLAGS = 3  # whether a step lies in the padding, in either direction and in any


def feed_area(feed: Feed, technology: Technology) -> IntArray:
    """Count a line buffer, by words or by rows, or one register and a step counter where words stream; and the second
    register.
    """
    by_rows, streams = np.asarray(feed.taps)[..., None] > 1, np.asarray(feed.streams)[..., None]
    table = np.where(streams, _pass_feed(feed.word_bits, feed.steps), _line_buffer(feed, technology))
    table = np.where(by_rows, _row_buffer(feed, technology), table) if by_rows.any() else table
    return table + counts(feed.fold, ff=feed.late * (feed.taps * feed.word_bits + FEED_FLAGS))


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
    ff = ff + feed.has_padding * (places + PADDING_FLAGS) + feed.waits
    lut = technology.fitted.line_pointer * pointer + counters + technology.fitted.line_padding * feed.has_padding
    lut = lut + np.where(in_bram, 0, lutram_luts(width, depth, technology))
    return counts(fold, bram18=np.where(in_bram, bram18_count(width, depth, technology), 0), lut=lut, ff=ff)


def _row_buffer(feed: Feed, technology: Technology) -> IntArray:
    """Count the banks of rows, the choice of a bank for every row of a window, the counts of words, and the walk."""
    w, width, fold, taps = feed.window, feed.word_bits, feed.fold, feed.window.fy
    iy, ix, oy, ox = feed.ishape.y, feed.ishape.x, feed.oshape.y, feed.oshape.x
    row, in_bram = ix * fold, feed.block_ram
    banks, ram_depth = largest(feed.depth // row, 1), largest(row, 2)
    end = ((ox - 1) * w.stride_x - w.pad_left + w.span_x) * fold  # of the last window in its row
    place = ceil_log2(np.asarray(largest(row, end) + w.pad_left * fold + 1)) + 1
    place = place * (1 + ((ox - 1) * w.stride_x - w.pad_left + w.span_x > ix))  # twice if windows end beyond a row
    first_low, last_low = (min(top + taps - 1 - w.pad_top, iy - 1) for top in (0, (oy - 1) * w.stride_y))
    reach = max(iy - last_low + first_low, w.stride_y) * row + end + w.pad_left * fold
    pointers = place + 2 * (ceil_log2(np.asarray(feed.depth + reach + 1)) + 1)
    # A row of the window finds its words in some of the banks only, if rows move on by several.
    choices = banks // np.gcd(banks, np.gcd(w.stride_y, iy - (oy - 1) * w.stride_y))
    chosen = taps * ceil_log2(choices)
    groups = ceil_div(fold, feed.inner)
    loops = _loop_ff(feed.inner) + _loop_ff(w.fx * feed.inner) + _loop_ff(feed.passes) + _loop_ff(groups)
    loops = loops + _place_bits(iy, taps, w.stride_y, oy) + _place_bits(ix, w.span_x, w.stride_x, ox)
    loops = loops + (oy > 1) + (ox > 1) + _loop_ff(row) + banks * (banks > 1)
    loops = loops + _ahead_ff(feed)
    memory = bram18_count(width, ram_depth, technology)
    lut = technology.fitted.row_pointer * pointers + loops + technology.fitted.row_bank * chosen
    lut = lut + taps * width * choice_luts(choices, technology)
    lut = lut + np.where(in_bram, 0, banks * lutram_luts(width, ram_depth, technology))
    ff = pointers + loops + 2 * chosen + taps * (feed.has_padding + width) + 7 + np.where(in_bram, 0, banks * width)
    ff = ff + feed.waits
    return counts(fold, bram18=np.where(in_bram, banks * memory, 0), lut=lut, ff=ff)


def _ahead_ff(feed: Feed) -> int:
    """Return the registers of what the ends of rows and windows bring: one for each way in which the values differ."""
    w, iy = feed.window, feed.ishape.y
    tops = np.arange(feed.oshape.y) * w.stride_y - w.pad_top
    lows = np.minimum(tops + w.fy - 1, iy - 1)
    turns = len({*np.diff(lows).tolist(), -1})  # the last row's is like no other
    rows = len({*np.diff(np.maximum(tops, 0)).tolist(), -1})
    columns = np.diff(np.maximum(np.arange(feed.oshape.x) * w.stride_x - w.pad_left, 0))
    windows = len({*columns.tolist(), *([0] if w.pad_top else [])})
    # One that frees nothing is all ones.
    return 2**turns - 2 + (2 ** (rows - 1) - 1 if w.pad_top else 2**rows - 2) + 2 ** (max(windows, 1) - 1) - 1


def _loop_ff(count: Int) -> IntArray:
    """Return the registers of loop_counter.sv: the count, and whether it is the last; one tells both of two."""
    return counter_ff(count) + (np.asarray(count) > 2)


def row_repeater_area(module: RowRepeater, technology: Technology) -> IntArray:
    """Its memory with the register behind it, five pointers, and a counter for each loop; columns for rows only."""
    width, depth, in_bram = module.word_bits, module.depth, module.block_ram
    pointer = ceil_log2(depth) + 1
    columns = module.ishape.x if module.fy > 1 else 1
    loops = sum(counter_ff(count) for count in (module.fold, module.fx, columns, module.fy))
    lut = technology.fitted.loop_pointer * pointer + loops + np.where(in_bram, 0, lutram_luts(width, depth, technology))
    ff = 5 * pointer + loops + 4 + 1 + in_bram + width
    memory = np.where(in_bram, bram18_count(width, depth, technology), 0)
    return counts(depth, bram18=memory, lut=lut, ff=ff) + queue_area(width, output_depth(module.delay), technology)


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
    """A choice of the inputs a bit, the register behind it, which word of the pixel is next and whose turn it is."""
    word, inputs = ceil_log2(np.asarray(sum(mux.words))), len(mux.words)
    lut = mux.word_bits * choice_luts(inputs, technology) + 4 + word
    table = counts(mux.word_bits, lut=lut, ff=mux.word_bits + 1 + word + counter_ff(inputs))
    return table + queue_area(mux.word_bits, output_depth(mux.delay), technology)


def converter_area(converter: Converter, technology: Technology) -> IntArray:
    """Count a converter. Equal widths are a wire. Lanes broadcast.

    Where one width divides the other, and every packet where packets differ, it is a register with parts. Else words
    are cut or moved in stages.
    """
    a, b = np.broadcast_arrays(converter.lanes_in, converter.lanes_out)
    packet_in, packet_out, bits = converter.packet_in, converter.packet_out, converter.bits
    narrow = np.minimum(a, b)
    is_even = (packet_in == packet_out) | ((packet_in % narrow == 0) & (packet_out % narrow == 0))
    fit = technology.fitted
    into, out = np.minimum(a, packet_in), np.minimum(b, packet_out)
    if packet_in == packet_out:
        splits = _splitting(into, np.minimum(out, into), packet_in, packet_out, bits, technology)
        packs = _packing(into, np.maximum(out, into), packet_in, packet_out, bits, technology)
        table = np.where((into >= out)[..., None], splits, packs)
    elif packet_in % packet_out == 0:
        table = _splitting(into, out, packet_in, packet_out, bits, technology)
    else:
        table = _packing(into, out, packet_in, packet_out, bits, technology)
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


def _splitting(
    into: IntArray, out: IntArray, packet_in: int, packet_out: int, bits: int, technology: Technology
) -> IntArray:
    """Count a width_splitter, and a widener where words come narrower than they leave."""
    words = ceil_div(out, into)
    wide, fit = words * into, technology.fitted
    unit = np.gcd(np.gcd(wide, out), np.gcd(packet_in, packet_out))
    units, given, width = wide // unit, out // unit, unit * bits
    place = np.maximum(ceil_log2(units), 1)
    stages = ceil_div(place, 2)
    moved = stages * (given - 1) + ((1 << 2 * stages) - 1) // 3  # units behind all stages
    is_short = packet_out % out != 0
    counters = is_short * (counter_ff(ceil_div(packet_out, out)) + stages)
    counters = counters + (packet_in % wide != 0) * (packet_in != packet_out) * (
        counter_ff(packet_in // packet_out) + 1
    )
    ff = (units - 1 + moved) * width + 2 * place + 3 * stages - 1 - (stages > 1) + counters
    lut = fit.split_choice * moved * width + fit.splitter + 2 * counters
    table = counts(into, lut=lut, ff=ff) + queue_area(out * bits, output_depth(stages + 1), technology)
    widener = _widener(into, wide, packet_in, bits, fit)
    return table + np.where(np.asarray(words > 1)[..., None], widener, 0)


def _packing(
    into: IntArray, out: IntArray, packet_in: int, packet_out: int, bits: int, technology: Technology
) -> IntArray:
    """Count a width_packer, and a narrower where words leave narrower than they come."""
    words = into // out + 1
    wide, fit = words * out, technology.fitted
    unit = np.gcd(np.gcd(into, wide), np.gcd(packet_in, packet_out))
    taken, units, width = into // unit, wide // unit, unit * bits
    place = np.maximum(ceil_log2(units), 1)
    stages = ceil_div(place, 2)
    moved = stages * taken + ((1 << 2 * stages) - 1) // 3 * 4 - stages
    moved = moved - np.maximum((1 << 2 * stages) - units, 0)  # the last stage has no more than one place beyond
    is_short = packet_out % wide != 0
    counters = (packet_in % into != 0) * counter_ff(ceil_div(packet_in, into)) + is_short * (stages + 4)
    counters = counters + is_short * (packet_in != packet_out) * (counter_ff(packet_out // packet_in) + 1)
    ff = (moved + 2 * units) * width + 2 * units + 2 * place + 6 * stages - 3 + counters
    lut = fit.pack_choice * (moved + units + taken) * width + 2 * units + 2 * counters
    table = counts(into, lut=lut, ff=ff) + queue_area(wide * bits, output_depth(stages + 2), technology)
    narrower = _narrower(wide, out, packet_out, bits, fit)
    return table + np.where((words > 1)[..., None], narrower, 0)


def queue_area(width: Int, depth: Int, technology: Technology) -> IntArray:
    """Count an output queue of results of one word: a memory in LUTs, its pointers and its counts."""
    address = ceil_log2(np.asarray(depth))
    ff = 3 * address + 2 * ceil_log2(np.asarray(depth) + 1) + 3  # the memory has its own read address
    lut = technology.fitted.output_queue + technology.fitted.output_pointer * address - 3  # every step claims one word
    return counts(width, lut=lut + lutram_luts(width, depth, technology), ff=ff)


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
