"""What each kind of module becomes in synthesis: one formula per kind.

Registers follow from the SystemVerilog. LUTs count one a bit for an adder, a comparator or a choice of two; what is
left is in Coefficients, fitted to Yosys. A module whose fields are arrays [N] has counts [N, 5].
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.ir.board import Family
from codesign.ir.cost import NAMES as NAMES  # the order of every [N, 5] table of counts
from codesign.machine.feeds import Feed, RowRepeater
from codesign.machine.line import DSP_MIN_PRODUCT_BITS
from codesign.machine.modules import (
    ChannelMux,
    ChannelRom,
    Collector,
    Control,
    Converter,
    Fifo,
    Fork,
    MacArray,
    Module,
    PoolArray,
    Requantize,
    Scale,
    ScaledSum,
    StreamPort,
    WeightRom,
)
from codesign.model.memory import bram18_count, ceil_log2, choice_luts, lutram_luts, rom_luts
from codesign.ops.arrays import Int, IntArray, ceil_div, largest

# Operand widths of one DSP48, signed: the wide port by family, the narrow port is 18 in both.
_DSP_WIDE = {Family.SERIES7: 25, Family.ULTRASCALE_PLUS: 27}
SHALLOW_ROM = 16  # words up to which weights never go to block RAM; weight_rom.sv says the same


@dataclass(frozen=True, slots=True)
class Coefficients:
    """LUTs that are fitted, not counted: to single modules as pyosys 0.70 synthesizes them for xc7 on 2026-11-21.

    xcup takes the same. What remains over whole machines of both families: docs/resources.md.
    """

    counter: float = 2.0  # wrap of a counter; off by up to 3 LUTs
    line_pointer: float = 5.0  # line buffer, a bit of its pointers
    line_padding: float = 20.0  # line buffer, comparisons with the edges of the map
    collector: float = 8.0  # its count of words
    converter: float = 6.0  # widener and narrower, their handshake
    queue_hold: float = 0.7  # width gearbox, a bit of its queue
    queue_choice: float = 1.0  # width gearbox, a bit of its queue and word position that may reach it
    fifo: float = 4.0  # its handshake
    fifo_pointer: float = 1.5  # a bit of its pointers
    scale_choice: float = 0.4  # barrel shifter, a bit of the sum and of the exponent
    tie_bits: int = 5  # bits shifted out that a LUT compares, to see a tie
    constant_product: float = 0.15  # of a multiplier, where its weight is a constant
    repeated_words: float = 5.0  # row repeater, saved where a pixel has several words
    control: float = 266.0  # the whole control block, but its counters of beats


FIT = Coefficients()
CONTROL_FF = 387


def area(module: Module, family: Family) -> IntArray:  # noqa: C901, PLR0912 (one row for every kind)
    """Return the counts [5] of a module in the order of NAMES, or [N, 5] where its fields are arrays [N]."""
    match module:
        case Feed():
            return _feed(module, family)
        case RowRepeater():
            return _row_repeater(module, family)
        case WeightRom():
            return _weight_rom(module, family)
        case MacArray():
            return _mac_array(module, family)
        case PoolArray():
            return _pool_array(module)
        case Collector():
            return _collector(module)
        case ChannelRom():
            return _channel_rom(module)
        case Requantize():
            return _requantize(module, family)
        case ScaledSum():
            return _scaled_sum(module)
        case ChannelMux():
            return _channel_mux(module)
        case Converter():
            return _converter(module)
        case Fifo():
            return _fifo(module, family)
        case Fork():
            return counts(0, lut=5, ff=2)
        case StreamPort():
            return counts(module.beats, lut=2, ff=counter_ff(module.beats))
        case Control():
            return counts(0, lut=FIT.control, ff=CONTROL_FF)


def total_area(modules: Iterable[Module], family: Family) -> IntArray:
    """Return the sum of the counts of modules, [5] or [N, 5]."""
    return np.asarray(sum((area(module, family) for module in modules), np.zeros(len(NAMES), np.int64)))


def counts(
    like: Int,
    *,
    dsp: Int = 0,
    bram18: Int = 0,
    lut: npt.NDArray[np.floating[Any]] | Int | float = 0,
    ff: Int = 0,
) -> IntArray:
    """Return a table [..., 5] in the order of NAMES, rounded; single numbers are spread over the shape of `like`."""
    table = np.zeros((*np.shape(like), len(NAMES)), dtype=np.int64)
    for name, column in (("dsp", dsp), ("bram18", bram18), ("lut", np.rint(lut)), ("ff", ff)):
        table[..., NAMES.index(name)] = column
    return table


def counter_ff(count: Int) -> IntArray:
    """Return the registers of a counter that takes `count` values; none for one."""
    return ceil_log2(np.maximum(count, 1))


def multiply_luts(x_bits: int, w_bits: int) -> int:
    """Return the LUTs of multiply.sv without DSP: a row of x_bits + 1 for every two bits of the weight. Exact."""
    return (w_bits + 1) // 2 * (x_bits + 1) - 1 - w_bits % 2


def _mac_array(array: MacArray, family: Family) -> IntArray:
    """Count multipliers, the registered adder tree of each PE, and its accumulator.

    A DSP48E1 takes in the product register, and the accumulator where SIMD = 1, else the adder of each first pair.
    Synthesis leaves all that outside a DSP48E2. Chains of three registers become one LUT a bit.
    """
    pe, simd, in_dsp = array.pe, np.asarray(array.simd), array.in_dsp
    w_bits, acc_bits = array.w_bits, array.acc_bits
    product = array.x_bits + w_bits
    packs = in_dsp & (family is Family.SERIES7)
    packs_sum = packs & (simd == 1)
    one = np.where(array.constant, FIT.constant_product, 1.0) * multiply_luts(array.x_bits, w_bits)
    lut = np.where(in_dsp, 0, simd * one) + np.where(packs_sum | array.constant, 0, acc_bits)
    ff = np.where(packs, 0, simd * product) + np.where(packs_sum, 0, acc_bits)
    chain = np.where(packs, 0, 1)  # registers in a row behind the last, unpaired product
    width, top = product, max(acc_bits, product)
    for level in range(1, int(ceil_log2(simd.max())) + 1):
        below = np.where(simd > 1 << (level - 1), ceil_div(simd, 1 << (level - 1)), 0)
        pairs, single = below // 2, below % 2 == 1
        lut = lut + np.where(packs & (level == 1), 0, pairs * width)
        ff = ff + pairs * min(width + 1, top) + single * np.where(chain > 0, product, width)
        ends = ~single & (chain >= 3)
        lut, ff = lut + ends * product, ff - ends * chain * product
        chain = np.where(single & ((chain > 0) | packs), chain + 1, 0)
        width = min(width + 1, top)
    levels = ceil_log2(simd)
    flags = np.where(levels >= 2, levels + 2, 3 * levels + 4)
    return counts(pe, dsp=in_dsp * pe * simd, lut=pe * lut + np.where(levels >= 2, 4, 2), ff=pe * ff + flags)


def _weight_rom(rom: WeightRom, family: Family) -> IntArray:
    """Count a memory in block RAM, or in LUTs with a register, which a DSP48E1 behind it takes in."""
    width, depth = rom.word_bits, rom.depth
    block, many = rom.block_ram & (depth > SHALLOW_ROM), depth > 1
    packs = rom.feeds_dsp & (family is Family.SERIES7)
    lut = np.where(block, FIT.counter, rom_luts(width, depth) + FIT.counter)
    ff = counter_ff(depth) + np.where(block | packs, 0, width)
    return counts(width, bram18=np.where(block, bram18_count(width, depth), 0), lut=lut * many, ff=ff * many)


def _channel_rom(rom: ChannelRom) -> IntArray:
    many = rom.depth > 1
    return counts(rom.depth, lut=many * (rom_luts(rom.word_bits, rom.depth) + FIT.counter), ff=counter_ff(rom.depth))


def _collector(collector: Collector) -> IntArray:
    """Count a register of PE results that moves down by `emit`."""
    pe, emit, bits = collector.pe, collector.emit, collector.bits
    waits = np.asarray(emit < pe)
    words, passes = pe // emit, ceil_div(collector.channels, pe)
    is_partial = ceil_div(collector.channels - (passes - 1) * pe, emit) != words
    ff = pe * bits + ceil_log2(words + 1) + is_partial * counter_ff(passes)
    return counts(pe, lut=waits * ((pe - emit) * bits + FIT.collector), ff=waits * ff)


def _requantize(module: Requantize, family: Family) -> IntArray:
    """Scale, offset and clamp; where `constant`, factors and offsets are part of the LUTs."""
    lanes, scale, constant = module.lanes, module.scale, module.constant
    in_dsp = scale.general and scale.product_bits >= DSP_MIN_PRODUCT_BITS
    dsps = ceil_div(scale.acc_bits, _DSP_WIDE[family]) if in_dsp else 0
    packs = in_dsp and family is Family.SERIES7 and scale.acc_bits <= _DSP_WIDE[family]
    high = scale.high_bits
    adder = float(scale.sum_bits - scale.fraction)  # the bits below a sum's step are the offset's own
    lut, ff, stages = np.where(constant, 0.0, adder), np.asarray(high + scale.tie_bits), 2
    if scale.general:
        stages = 3
        inside = 0 if in_dsp else multiply_luts(scale.acc_bits, scale.factor_bits + 1)
        lut = lut + inside
        ff = ff + scale.product_bits + np.where(constant, 0, scale.sum_bits)
    elif scale.factor_bits:
        choice = FIT.scale_choice * scale.sum_bits * (scale.factor_bits - 1)
        lut = lut + np.where(constant, 0.0, choice)
    if packs:
        lut, ff = lut * 0, ff * 0
    lut, ff = lut + _clamp_luts(scale), ff + min(scale.out_bits, high)
    return counts(lanes, dsp=lanes * dsps, lut=lanes * lut + 1, ff=lanes * ff + stages)


def _clamp_luts(scale: Scale) -> int:
    """Return the LUTs that find ties, compare with the rails and choose: none where all signed values are outputs."""
    spare = scale.high_bits - scale.out_bits - (0 if scale.out_signed else 1)
    ties = scale.ties + scale.tie_bits // FIT.tie_bits
    if spare <= 0:
        return ties + (scale.out_bits // 2 if scale.bounded else 0 if scale.out_signed else 1)
    return ties + scale.out_bits + (2 if scale.out_signed else 0) + 2 * scale.bounded + spare // 2


def _feed(feed: Feed, family: Family) -> IntArray:
    """Count a line buffer, or one register and a step counter where words stream."""
    register = _pass_feed(feed.word_bits, feed.steps)
    return np.where(np.asarray(feed.streams)[..., None], register, _line_buffer(feed, family))


def _line_buffer(feed: Feed, family: Family) -> IntArray:
    """Count the circular memory, its four pointers, and the counters of the walk."""
    width, depth, in_bram = feed.word_bits, feed.depth, feed.block_ram
    w, ix, iy, fold = feed.window, feed.ishape.x, feed.ishape.y, feed.fold
    oy, ox = feed.oshape.y, feed.oshape.x
    span = ((w.span_y - 1) * ix + w.span_x - 1) * fold + feed.inner - 1
    column, row = w.stride_x * fold, (w.stride_y * ix - (ox - 1) * w.stride_x) * fold
    image = ((iy - (oy - 1) * w.stride_y) * ix - (ox - 1) * w.stride_x) * fold
    pointer = ceil_log2(np.asarray(depth + largest(image, row) + span + column + 1)) + 1
    step = np.gcd(np.gcd(column, row), image)
    fixed = np.minimum(
        ceil_log2(np.asarray(step & -step, dtype=np.int64)), pointer
    )  # low bits of a window's start that never change
    place = _place_bits(iy, w.span_y, w.stride_y, oy) + _place_bits(ix, w.span_x, w.stride_x, ox)
    counters = counter_ff(feed.inner) + counter_ff(feed.passes) + counter_ff(ceil_div(fold, feed.inner))
    counters = counters + int(counter_ff(w.fy)) + int(counter_ff(w.fx))
    ff = 4 * pointer - 2 * fixed + place + counters + 3 + feed.has_padding + np.where(in_bram, 0, width)
    lut = FIT.line_pointer * pointer + FIT.line_padding * feed.has_padding
    lut = lut + np.where(in_bram, 0, lutram_luts(width, depth, family))
    return counts(fold, bram18=np.where(in_bram, bram18_count(width, depth), 0), lut=lut, ff=ff)


def _row_repeater(module: RowRepeater, family: Family) -> IntArray:
    """Its memory with the register behind it, three pointers, and a counter for each loop; columns for rows only."""
    width, depth, in_bram = module.word_bits, module.depth, module.block_ram
    pointer = ceil_log2(depth) + 1
    columns = module.ishape.x if module.fy > 1 else 1
    loops = sum(counter_ff(count) for count in (module.fold, module.fx, columns, module.fy))
    lut = FIT.fifo + 3 * pointer + loops + np.where(in_bram, 0, lutram_luts(width, depth, family))
    lut = lut - FIT.repeated_words * (np.asarray(module.fold) > 1)
    ff = 3 * pointer + loops + 1 + np.where(in_bram, 0, width)
    return counts(depth, bram18=np.where(in_bram, bram18_count(width, depth), 0), lut=lut, ff=ff)


def _place_bits(extent: int, kernel: int, stride: int, out: int) -> int:
    """Return the registers of the row or column of a window's start; even strides never change its lowest bits."""
    if out == 1:
        return 0
    bits = (max(extent, kernel) + max(kernel, stride)).bit_length() + 1
    return bits - ((stride & -stride).bit_length() - 1)


def _pass_feed(width: Int, steps: Int) -> IntArray:
    bits = counter_ff(steps)
    many = steps > 1
    return counts(width, lut=1 + many * (bits + 2), ff=width + 1 + many * (bits + 2))


def _pool_array(array: PoolArray) -> IntArray:
    """Count an adder per lane, or a comparator that lets the larger in; a floor is a choice in front of it."""
    pe, x_bits = array.pe, array.x_bits
    lane = array.acc_bits if array.average else x_bits + array.has_floor * (x_bits + 1)
    bits = int(counter_ff(array.counts)) if array.counts else 0
    table = rom_luts(array.constant_bits, array.counts)  # constants of every count
    ff = pe * (array.acc_bits if array.average else x_bits) + 1 + bits * (1 + np.asarray(array.held))
    return counts(pe, lut=pe * lane + 1 + bits + table, ff=ff)


def _scaled_sum(module: ScaledSum) -> IntArray:
    """Count, per lane, adders for all set bits of the two constant factors but one, rounding, and clamp: no DSP."""
    pe, scale = module.pe, module.scale
    adders = sum(m.bit_count() for m in module.multipliers) - 1
    lane = adders * (module.bits + 2) + _clamp_luts(scale)
    return counts(pe, lut=pe * lane + 3, ff=pe * (scale.high_bits + scale.tie_bits + scale.out_bits) + 2)


def _channel_mux(mux: ChannelMux) -> IntArray:
    """A choice of the inputs a bit, the register behind it, and which word of the pixel it is."""
    word = ceil_log2(np.asarray(sum(mux.words)))
    return counts(
        mux.word_bits, lut=mux.word_bits * choice_luts(len(mux.words)) + 4 + word, ff=mux.word_bits + 1 + word
    )


def _converter(converter: Converter) -> IntArray:
    """Count a converter. Equal widths are a wire. Lanes broadcast.

    Where one width divides the other, and every packet where packets differ, it is a register with parts. Else it is a
    queue of one input and two output words that shifts by their common divisor.
    """
    a, b = np.broadcast_arrays(converter.lanes_in, converter.lanes_out)
    packet_in, packet_out, bits = converter.packet_in, converter.packet_out, converter.bits
    narrow = np.minimum(a, b)
    is_even = (packet_in == packet_out) | ((packet_in % narrow == 0) & (packet_out % narrow == 0))
    table = _gearbox(a, b, packet_in, packet_out, bits)
    table = np.where((is_even & (b % a == 0))[..., None], _widener(a, b, packet_out, bits), table)
    table = np.where((is_even & (a % b == 0))[..., None], _narrower(a, b, packet_in, bits), table)
    return np.where((is_even & (a == b))[..., None], 0, table)


def _widener(a: IntArray, b: IntArray, packet: int, bits: int) -> IntArray:
    parts, words = np.maximum(b // a, 1), ceil_div(packet, a)
    left = words % parts
    is_short = left != 0
    masks = is_short * (b - left * a) * bits
    ff = b * bits + counter_ff(parts) + 1 + is_short * (counter_ff(words) + 1)
    return counts(a, lut=FIT.converter - 2 + parts + masks + 7 * is_short, ff=ff)


def _narrower(a: IntArray, b: IntArray, packet: int, bits: int) -> IntArray:
    parts, words = np.maximum(a // b, 1), ceil_div(packet, a)
    is_short = ceil_div(packet - (words - 1) * a, b) != parts
    ff = a * bits + ceil_log2(parts + 1) + is_short * counter_ff(words)
    return counts(a, lut=(a - b) * bits + FIT.converter + 2, ff=ff)


def _gearbox(a: IntArray, b: IntArray, packet_in: int, packet_out: int, bits: int) -> IntArray:
    unit = np.gcd(np.gcd(a, b), np.gcd(packet_in, packet_out))
    units_in, units_out = a // unit, b // unit
    capacity = units_in + 2 * units_out
    choices = units_in * (2 * units_out + 1) / capacity  # word positions that may reach a unit of the queue
    lut = (FIT.queue_hold + FIT.queue_choice * choices) * capacity * unit * bits + 4 * ceil_log2(capacity + 1)
    ff = capacity * unit * bits + ceil_log2(capacity + 1)
    for lanes, packet in ((a, packet_in), (b, packet_out)):
        words = ceil_div(packet, lanes)
        is_short = packet - (words - 1) * lanes != lanes
        ff = ff + is_short * counter_ff(words)
    return counts(a, lut=lut, ff=ff)


def _fifo(fifo: Fifo, family: Family) -> IntArray:
    """Count a memory, two pointers of one bit more than the address, and the register behind it."""
    depth, width, in_bram = fifo.depth, fifo.word_bits, fifo.block_ram
    address = ceil_log2(depth)
    lut = FIT.fifo + FIT.fifo_pointer * address + np.where(in_bram, 0, lutram_luts(width, depth, family))
    ff = 2 * (address + 1) + 1 + np.where(in_bram, 0, width)
    return counts(depth, bram18=np.where(in_bram, bram18_count(width, depth), 0), lut=lut, ff=ff)
