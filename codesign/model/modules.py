"""What each module of templates/rtl/modules becomes in synthesis: registers counted, LUTs by adders and choices.

Registers follow from the SystemVerilog. LUTs count one a bit for an adder, a comparator or a choice of two; what is
left is in Coefficients, fitted to Yosys. All formulas are written over columns of engines.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.ir.board import Family
from codesign.ir.cost import NAMES as NAMES  # the order of every [N, 5] table of counts
from codesign.ir.graph import IntArray
from codesign.ir.nodes import Shape, Window
from codesign.model.memory import bram18_count, ceil_log2, div_up, lutram_luts, rom_luts

BoolArray = npt.NDArray[np.bool_]

# Operand widths of one DSP48, signed: the wide port by family, the narrow port is 18 in both.
_DSP_WIDE = {Family.SERIES7: 25, Family.ULTRASCALE_PLUS: 27}
SHALLOW_ROM = 16  # words up to which weights never go to block RAM; weight_rom.sv says the same
DSP_MIN_PRODUCT_BITS = 9  # a narrower product is not mapped to a DSP; multiply.sv says the same


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
    constant_product: float = 0.15  # of a multiplier, where its weight is a constant
    control: float = 220.0  # the whole control block, but its counters of beats


FIT = Coefficients()
CONTROL_FF = 291


def counts(
    like: IntArray,
    *,
    dsp: IntArray | int = 0,
    bram18: IntArray | int = 0,
    lut: npt.NDArray[np.floating[Any]] | IntArray | float = 0,
    ff: IntArray | int = 0,
) -> IntArray:
    """A table [..., 5] in the order of NAMES, rounded; single numbers are spread over the shape of `like`."""
    table = np.zeros((*np.shape(like), len(NAMES)), dtype=np.int64)
    for name, column in (("dsp", dsp), ("bram18", bram18), ("lut", np.rint(lut)), ("ff", ff)):
        table[..., NAMES.index(name)] = column
    return table


def is_dsp_product(x_bits: int, w_bits: int) -> bool:
    """Whether a product of signed operands of those widths goes to a DSP where it may."""
    return x_bits + w_bits >= DSP_MIN_PRODUCT_BITS


def counter_ff(count: IntArray | int) -> IntArray:
    """Registers of a counter that takes `count` values; none for one."""
    return ceil_log2(np.maximum(count, 1))


def multiply_luts(x_bits: int, w_bits: int) -> int:
    """LUTs of multiply.sv without DSP: a row of x_bits + 1 for every two bits of the weight. Exact."""
    return (w_bits + 1) // 2 * (x_bits + 1) - 1 - w_bits % 2


@dataclass(frozen=True, slots=True, eq=False)
class Array:
    """N arrays: PE, SIMD, whether products are in DSPs, whether weights are constants."""

    pe: IntArray
    simd: IntArray
    in_dsp: BoolArray
    constant: BoolArray


def mac_array(array: Array, x_bits: int, w_bits: int, acc_bits: int, family: Family) -> IntArray:
    """Multipliers, the registered adder tree of each PE, and its accumulator.

    A DSP48E1 takes in the product register, and the accumulator where SIMD = 1, else the adder of each first pair.
    Synthesis leaves all that outside a DSP48E2. Chains of three registers become one LUT a bit.
    """
    pe, simd, in_dsp = array.pe, array.simd, array.in_dsp
    product = x_bits + w_bits
    packs = in_dsp & (family is Family.SERIES7)
    packs_sum = packs & (simd == 1)
    one = np.where(array.constant, FIT.constant_product, 1.0) * multiply_luts(x_bits, w_bits)
    lut = np.where(in_dsp, 0, simd * one) + np.where(packs_sum | array.constant, 0, acc_bits)
    ff = np.where(packs, 0, simd * product) + np.where(packs_sum, 0, acc_bits)
    chain = np.where(packs, 0, 1)  # registers in a row behind the last, unpaired product
    width, top = product, max(acc_bits, product)
    for level in range(1, int(ceil_log2(simd.max())) + 1):
        below = np.where(simd > 1 << (level - 1), div_up(simd, 1 << (level - 1)), 0)
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


def weight_rom(width: IntArray, depth: IntArray, in_bram: BoolArray, packs: BoolArray) -> IntArray:
    """A word of weights a cycle, in block RAM, or in LUTs with a register; a memory of one word is wires.

    With `packs` the register lies in the DSPs that it feeds.
    """
    block, many = in_bram & (depth > SHALLOW_ROM), depth > 1
    lut = np.where(block, FIT.counter, rom_luts(width, depth) + FIT.counter)
    ff = counter_ff(depth) + np.where(block | packs, 0, width)
    return counts(width, bram18=np.where(block, bram18_count(width, depth), 0), lut=lut * many, ff=ff * many)


def channel_rom(width: IntArray, depth: IntArray) -> IntArray:
    """A word of constants beside every word of results, in LUTs."""
    many = depth > 1
    return counts(width, lut=many * (rom_luts(width, depth) + FIT.counter), ff=counter_ff(depth))


def collector(pe: IntArray, emit: IntArray, k: int, bits: int) -> IntArray:
    """PE results in a register that moves down by `emit`; a wire where all leave at once."""
    waits = emit < pe
    words, passes = pe // emit, div_up(k, pe)
    is_partial = div_up(k - (passes - 1) * pe, emit) != words
    ff = pe * bits + ceil_log2(words + 1) + is_partial * counter_ff(passes)
    return counts(pe, lut=waits * ((pe - emit) * bits + FIT.collector), ff=waits * ff)


@dataclass(frozen=True, slots=True)
class Scale:
    """A requantizer: the kind of its factors, widths of accumulator, factor and sum, the shift and the output.

    `factor_bits` is 0 without factors; `general` tells factors from exponents; `constant`: one set for all words.
    """

    acc_bits: int
    factor_bits: int
    general: bool
    sum_bits: int
    shift: int
    out_bits: int
    out_signed: bool

    @property
    def high_bits(self) -> int:
        """Bits that remain after the shift."""
        return max(self.sum_bits - self.shift, 1)

    @property
    def product_bits(self) -> int:
        """Width of the product register."""
        return min(self.acc_bits + self.factor_bits, self.sum_bits)


def requantize(lanes: IntArray, scale: Scale, family: Family, constant: BoolArray) -> IntArray:
    """Scale, offset and clamp of `lanes` results a word; where `constant`, factors and offsets are part of the LUTs."""
    in_dsp = scale.general and scale.product_bits >= DSP_MIN_PRODUCT_BITS
    dsps = div_up(scale.acc_bits, _DSP_WIDE[family]) if in_dsp else 0
    packs = in_dsp and family is Family.SERIES7 and scale.acc_bits <= _DSP_WIDE[family]
    high = scale.high_bits
    lut, ff, stages = np.where(constant, 0.0, float(scale.sum_bits)), np.full_like(lanes, high), 2
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
    """LUTs that compare with the rails and choose: none where the output holds all signed values."""
    spare = scale.high_bits - scale.out_bits - (0 if scale.out_signed else 1)
    if spare <= 0:
        return 0 if scale.out_signed else 1
    return scale.out_bits + (2 if scale.out_signed else 0) + spare // 2


def has_padding(window: Window, ishape: Shape, oshape: Shape) -> bool:
    """Whether some step of some window lies outside the map."""
    bottom = (oshape.y - 1) * window.stride_y - window.pad_top + window.fy
    right = (oshape.x - 1) * window.stride_x - window.pad_left + window.fx
    return window.pad_top > 0 or window.pad_left > 0 or bottom > ishape.y or right > ishape.x


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """How line buffers walk a map: words of a pixel, words of a group (`inner`), and passes over a group's window."""

    window: Window
    ishape: Shape
    oshape: Shape
    fold: IntArray
    inner: IntArray
    passes: IntArray


def line_buffer(walk: Walk, width: IntArray, depth: IntArray, in_bram: BoolArray, family: Family) -> IntArray:
    """The circular memory, its four pointers, and the counters of the walk."""
    w, ix, iy, fold = walk.window, walk.ishape.x, walk.ishape.y, walk.fold
    oy, ox = walk.oshape.y, walk.oshape.x
    span = ((w.fy - 1) * ix + w.fx - 1) * fold + walk.inner - 1
    column, row = w.stride_x * fold, (w.stride_y * ix - (ox - 1) * w.stride_x) * fold
    image = ((iy - (oy - 1) * w.stride_y) * ix - (ox - 1) * w.stride_x) * fold
    pointer = ceil_log2(depth + np.maximum(image, row) + span + column + 1) + 1
    step = np.gcd(np.gcd(column, row), image)
    fixed = np.minimum(
        ceil_log2(np.asarray(step & -step, dtype=np.int64)), pointer
    )  # low bits of a window's start that never change
    is_padded = has_padding(w, walk.ishape, walk.oshape)
    place = _place_bits(iy, w.fy, w.stride_y, oy) + _place_bits(ix, w.fx, w.stride_x, ox)
    counters = counter_ff(walk.inner) + counter_ff(walk.passes) + counter_ff(div_up(fold, walk.inner))
    counters = counters + int(counter_ff(w.fy)) + int(counter_ff(w.fx))
    ff = 4 * pointer - 2 * fixed + place + counters + 3 + is_padded + np.where(in_bram, 0, width)
    lut = FIT.line_pointer * pointer + FIT.line_padding * is_padded
    lut = lut + np.where(in_bram, 0, lutram_luts(width, depth, family))
    return counts(fold, bram18=in_bram * bram18_count(width, depth), lut=lut, ff=ff)


def _place_bits(extent: int, kernel: int, stride: int, out: int) -> int:
    """Registers of the row or column of a window's start; its lowest bits never change where strides are even."""
    if out == 1:
        return 0
    bits = (max(extent, kernel) + max(kernel, stride)).bit_length() + 1
    return bits - ((stride & -stride).bit_length() - 1)


def pass_feed(width: IntArray, steps: IntArray) -> IntArray:
    """One register, and a step counter where a result has several steps."""
    bits = counter_ff(steps)
    many = steps > 1
    return counts(width, lut=1 + many * (bits + 2), ff=width + 1 + many * (bits + 2))


def pool_array(pe: IntArray, *, average: bool, x_bits: int, acc_bits: int, has_floor: bool) -> IntArray:
    """An adder per lane, or a comparator that lets the larger in; has_floor: padding is a choice in front of it."""
    lane = acc_bits if average else x_bits + has_floor * (x_bits + 1)
    return counts(pe, lut=pe * lane + 1, ff=pe * (acc_bits if average else x_bits) + 1)


def scaled_sum(pe: IntArray, multipliers: tuple[int, int], bits: int, scale: Scale) -> IntArray:
    """Per lane an adder for every set bit of the two constant factors but one, the rounding, and the clamp: no DSP."""
    adders = sum(m.bit_count() for m in multipliers) - 1
    lane = adders * (bits + 2) + _clamp_luts(scale)
    return counts(pe, lut=pe * lane + 3, ff=pe * (scale.high_bits + scale.out_bits) + 2)


def width_converter(lanes_in: IntArray, lanes_out: IntArray, packet_in: int, packet_out: int, bits: int) -> IntArray:
    """Elements of `bits` from lanes_in to lanes_out a word (arrays broadcast).

    Packets, in elements, are padded to whole words: the channels of a pixel, or all elements of a map. Equal widths
    are a wire; where one divides the other, and every packet where packets differ, a register with parts; else a queue
    of one input and two output words that shifts by their common divisor.
    """
    a, b = np.broadcast_arrays(lanes_in, lanes_out)
    narrow = np.minimum(a, b)
    is_even = (packet_in == packet_out) | ((packet_in % narrow == 0) & (packet_out % narrow == 0))
    table = _gearbox(a, b, packet_in, packet_out, bits)
    table = np.where((is_even & (b % a == 0))[..., None], _widener(a, b, packet_out, bits), table)
    table = np.where((is_even & (a % b == 0))[..., None], _narrower(a, b, packet_in, bits), table)
    return np.where((is_even & (a == b))[..., None], 0, table)


def _widener(a: IntArray, b: IntArray, packet: int, bits: int) -> IntArray:
    parts, words = np.maximum(b // a, 1), div_up(packet, a)
    left = words % parts
    is_short = left != 0
    masks = is_short * (b - left * a) * bits
    ff = b * bits + counter_ff(parts) + 1 + is_short * (counter_ff(words) + 1)
    return counts(a, lut=FIT.converter - 2 + parts + masks + 7 * is_short, ff=ff)


def _narrower(a: IntArray, b: IntArray, packet: int, bits: int) -> IntArray:
    parts, words = np.maximum(a // b, 1), div_up(packet, a)
    is_short = div_up(packet - (words - 1) * a, b) != parts
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
        words = div_up(packet, lanes)
        is_short = packet - (words - 1) * lanes != lanes
        ff = ff + is_short * counter_ff(words)
    return counts(a, lut=lut, ff=ff)


def stream_fifo(depth: IntArray, width: IntArray, in_bram: BoolArray, family: Family) -> IntArray:
    """Memory, two pointers of one bit more than the address, and the register behind it."""
    address = ceil_log2(depth)
    lut = FIT.fifo + FIT.fifo_pointer * address + np.where(in_bram, 0, lutram_luts(width, depth, family))
    ff = 2 * (address + 1) + 1 + np.where(in_bram, 0, width)
    return counts(depth, bram18=np.where(in_bram, bram18_count(width, depth), 0), lut=lut, ff=ff)


def stream_fork() -> IntArray:
    """One fork: [5]."""
    return counts(np.array(0), lut=5, ff=2)


def control() -> IntArray:
    """The control block without the counters of the streams: [5]."""
    return counts(np.array(0), lut=FIT.control, ff=CONTROL_FF)


def port(beats: IntArray) -> IntArray:
    """Counter of one AXI-Stream's beats in an image."""
    return counts(beats, lut=2, ff=counter_ff(beats))
