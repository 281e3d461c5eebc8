"""What each kind of module becomes in synthesis: one formula per kind.

Registers follow from the SystemVerilog. LUTs count one a bit for an adder, a comparator or a choice of two; what is
left is fitted, see ir.technology. A module whose fields are arrays [N] has counts [N, 5].

Long because every kind of module has its row here.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from codesign.ir.cost import NAMES as NAMES  # the order of every [N, 5] table of counts
from codesign.ir.technology import Multiplier, Technology
from codesign.machine.converters import Converter
from codesign.machine.feeds import Feed, Padder, Rearranger, RowRepeater
from codesign.machine.mac import multiply_stages
from codesign.machine.modules import (
    ChannelMux,
    ChannelRom,
    Collector,
    Control,
    Fifo,
    Fork,
    GateArray,
    LookupTable,
    MacArray,
    Module,
    OutputEnds,
    OutputQueue,
    ScaledSum,
    StreamPort,
    WeightRom,
    output_depth,
)
from codesign.machine.packing import DSP_MIN_PRODUCT_BITS
from codesign.machine.pools import PoolArray, RunningPool
from codesign.machine.scales import Requantize, Scale
from codesign.model.area_packed import packed_area
from codesign.model.area_streams import (
    channel_mux_area,
    converter_area,
    feed_area,
    fifo_area,
    queue_area,
    row_repeater_area,
)
from codesign.model.area_whole import gate_area, gate_scale, lookup_area, padder_area, rearranger_area
from codesign.model.counts import counter_ff, counts
from codesign.model.memory import bram18_count, ceil_log2, lutram_luts, rom_luts
from codesign.ops.arrays import BoolArray, IntArray, ceil_div

CONTROL_FF = 547
OUTPUT_END_FF = 29  # images by which an output is ahead, and flags; its beats are the port's


def area(module: Module, technology: Technology) -> IntArray:  # noqa: C901, PLR0912 (one row for every kind)
    """Return the counts [5] of a module in the order of NAMES, or [N, 5] where its fields are arrays [N]."""
    match module:
        case Feed():
            return feed_area(module, technology)
        case RowRepeater():
            return row_repeater_area(module, technology)
        case Padder():
            return padder_area(module, technology)
        case Rearranger():
            return rearranger_area(module, technology)
        case WeightRom():
            return _weight_rom(module, technology)
        case MacArray():
            return _mac_array(module, technology)
        case PoolArray():
            return _pool_array(module, technology)
        case RunningPool():
            return _running_pool(module, technology)
        case Collector():
            return _collector(module, technology)
        case ChannelRom():
            return _channel_rom(module, technology)
        case Requantize():
            return _requantize(module, technology)
        case OutputQueue():
            return _output_queue(module, technology)
        case ScaledSum():
            return _scaled_sum(module, technology)
        case ChannelMux():
            return channel_mux_area(module, technology)
        case GateArray():
            product = multiply_luts(*module.operand_bits)
            return gate_area(module, technology, product) + area(gate_scale(module), technology)
        case LookupTable():
            return lookup_area(module, technology)
        case Converter():
            return converter_area(module, technology)
        case Fifo():
            return fifo_area(module, technology)
        case Fork():
            return counts(0, lut=5, ff=2)
        case StreamPort():
            return counts(module.beats, lut=2, ff=counter_ff(module.beats))
        case Control():
            return counts(0, lut=technology.fitted.control, ff=CONTROL_FF)
        case OutputEnds():
            ends = len(module.beats)
            return counts(0, lut=ends * technology.fitted.output_end, ff=ends * OUTPUT_END_FF + 1)


def total_area(modules: Iterable[Module], technology: Technology) -> IntArray:
    """Return the sum of the counts of modules, [5] or [N, 5]."""
    return np.asarray(sum((area(module, technology) for module in modules), np.zeros(len(NAMES), np.int64)))


def multiply_luts(x_bits: int, w_bits: int) -> int:
    """Return the LUTs of multiply.sv without DSP: a row of x_bits + 1 for every two bits of the weight. Exact."""
    return (w_bits + 1) // 2 * (x_bits + 1) - 1 - w_bits % 2


def tiles(a_bits: int, b_bits: int, multiplier: Multiplier) -> int:
    """Return the hardware multipliers of one signed product, in the better of both orders."""
    wide, narrow = multiplier.wide_bits, multiplier.narrow_bits
    return min(ceil_div(a_bits, wide) * ceil_div(b_bits, narrow), ceil_div(b_bits, wide) * ceil_div(a_bits, narrow))


def _mac_array(array: MacArray, technology: Technology) -> IntArray:
    """Count multipliers, the registered adder tree of each PE, and its accumulator.

    A DSP that packs takes in the product register, and the accumulator where SIMD = 1, else the adder of each first
    pair. Synthesis leaves all that outside of others. Chains of three registers become one LUT a bit.
    """
    if np.any(array.packed):
        packed, rest = np.asarray(array.packed)[..., None], replace(array, packed=False)
        return np.where(packed, packed_area(array, technology), _mac_array(rest, technology))
    pe, simd, in_dsp = array.pe, np.asarray(array.simd), array.in_dsp
    w_bits, acc_bits = array.w_bits, array.acc_bits
    product, each = array.x_bits + w_bits, tiles(array.x_bits, w_bits, technology.multiplier)
    packs = in_dsp & technology.multiplier.packs
    packs_sum = packs & (simd == 1)
    one = np.where(array.constant, technology.fitted.constant_product, 1.0) * multiply_luts(array.x_bits, w_bits)
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
    own, shared = _cut_registers(array)
    ff, operands = ff + np.where(in_dsp, 0, simd * own), pe * simd if array.channelwise else simd
    deep = ceil_log2(simd) + multiply_stages(w_bits, in_dsp)  # registers beside which flags travel
    flags = np.where(in_dsp, 0, operands * shared) + np.where(deep >= 3, deep + 1, 3 * deep + 1)
    return counts(pe, dsp=in_dsp * pe * simd * each, lut=pe * lut + np.where(deep >= 3, 4, 2), ff=pe * ff + flags)


def _cut_registers(array: MacArray) -> tuple[IntArray, int]:
    """Return the registers between the stages of a product in LUTs: its own, and those of the activation.

    Its own are the sum so far, the bits of the product that are done, and the digits of the weight that are not.
    """
    digits, cuts = (array.w_bits + 1) // 2, range(1, int(multiply_stages(array.w_bits, False)))
    own = sum(array.x_bits + 4 * cut for cut in cuts)
    weight = sum(2 * (digits - 2 * cut) + 1 - array.w_bits % 2 for cut in cuts)
    return own + np.where(array.constant, 0, weight), array.x_bits * len(cuts)


def _weight_rom(rom: WeightRom, technology: Technology) -> IntArray:
    """Count a memory in block RAM or in LUTs, and a register, unless that is the array's."""
    width, depth = rom.word_bits, rom.depth
    block, many = rom.block_ram, depth > 1
    packs = rom.feeds_dsp & technology.multiplier.packs | rom.feeds_packed
    lut = np.where(block, technology.fitted.counter, rom_luts(width, depth, technology) + technology.fitted.counter)
    ff = counter_ff(depth) + 1 + (rom.late & (block ^ True)) + np.where(packs, 0, width)
    return counts(
        width, bram18=np.where(block, bram18_count(width, depth, technology), 0), lut=lut * many, ff=ff * many
    )


def _channel_rom(rom: ChannelRom, technology: Technology) -> IntArray:
    many = rom.depth > 1
    return counts(
        rom.depth,
        lut=many * (rom_luts(rom.word_bits, rom.depth, technology) + technology.fitted.counter),
        ff=counter_ff(rom.depth) + many * (rom.word_bits + 1),
    )


def _collector(collector: Collector, technology: Technology) -> IntArray:
    """Count a register of PE results that moves down by `emit`."""
    pe, emit, bits = collector.pe, collector.emit, collector.bits
    waits = np.asarray(emit < pe)
    words, passes = pe // emit, ceil_div(collector.channels, pe)
    is_partial = ceil_div(collector.channels - (passes - 1) * pe, emit) != words
    ff = pe * bits + ceil_log2(words + 1) + is_partial * counter_ff(passes)
    return counts(pe, lut=waits * ((pe - emit) * bits + technology.fitted.collector), ff=waits * ff)


def _output_queue(queue: OutputQueue, technology: Technology) -> IntArray:
    """Count a memory in LUTs, its pointers and count, and the count of the places that are not promised.

    Yosys keeps the read pointer twice.
    """
    pe, emit, depth = queue.pe, queue.emit, queue.depth
    address, passes = ceil_log2(depth), ceil_div(queue.channels, pe)
    is_partial = ceil_div(queue.channels - (passes - 1) * pe, emit) != pe // emit
    ff = 3 * address + 2 * ceil_log2(depth + 1) + 3 + is_partial * counter_ff(passes)
    lut = technology.fitted.output_queue + technology.fitted.output_pointer * address
    return counts(pe, lut=lut + lutram_luts(queue.word_bits, depth, technology), ff=ff)


def _requantize(module: Requantize, technology: Technology) -> IntArray:
    """Scale, offset and clamp; where `constant`, factors and offsets are part of the LUTs."""
    lanes, scale, constant = module.lanes, module.scale, np.asarray(module.constant)
    high, in_dsp = scale.high_bits, scale.general and scale.product_bits >= DSP_MIN_PRODUCT_BITS
    dsps = 1 + scale.cut if in_dsp else 0
    packs = in_dsp and technology.multiplier.packs
    lut, ff = _product_area(scale, constant, packs) if scale.general else _sum_area(scale, constant, technology)
    lut = lut + (0 if in_dsp or not scale.general else multiply_luts(scale.acc_bits, scale.factor_bits + 1))
    if scale.ties:  # bits that no rail compares pass three registers in a row
        chains = 0 if packs else max(min(scale.out_bits, high) - 1, 0)
        lut, ff = lut + chains, ff + high - 3 * chains
    spare = high - scale.out_bits - (0 if scale.out_signed else 1)
    rails = 2 if spare > 0 or scale.bounded else 0 if scale.out_signed else 1
    ff = ff + 2 * min(scale.out_bits, high) + rails
    return counts(
        lanes, dsp=lanes * dsps, lut=lanes * (lut + _clamp_luts(scale, technology)) + 1, ff=lanes * ff + module.delay
    )


def _product_area(scale: Scale, constant: BoolArray, packs: bool) -> tuple[IntArray, IntArray]:
    """LUTs and registers of scale_product, without the product; a DSP that packs takes in all but the first offset."""
    acc, total, kept = scale.acc_bits, scale.sum_bits, scale.high_bits + scale.tie_bits
    factor, offset = np.where(constant, 0, scale.factor_bits), np.where(constant, 0, total)
    if packs:
        return 0 * offset, offset
    if not scale.cut:
        return offset, acc + factor + scale.product_bits + 2 * offset + kept
    products = acc + 2 * scale.factor_bits
    low = 17
    return offset + scale.high_bits, 2 * factor + 2 * acc - low + products + 2 * offset + total - low + kept


def _sum_area(scale: Scale, constant: BoolArray, technology: Technology) -> tuple[npt.NDArray[np.float64], IntArray]:
    """LUTs and registers of the moves by an exponent, and of the sum; those of a constant offset are the sum's."""
    total, moves = scale.sum_bits, ceil_div(scale.factor_bits, 2)
    offset = np.where(constant, 0, total)
    lut = np.where(constant, 0.0, total - scale.fraction)  # the bits below a sum's step are the offset's own
    lut = lut + np.where(constant, 0.0, technology.fitted.scale_choice * total * max(scale.factor_bits - 1, 0))
    moved = sum(min(scale.acc_bits + (1 << 2 * (s + 1)) - 1, total) for s in range(moves))
    ff = scale.high_bits + scale.tie_bits + np.where(constant, moves * scale.acc_bits, moved) + moves * offset
    if scale.cut:
        ff = ff + total - total // 2 + np.where(constant | (moves > 1), 0, total - total // 2)
    return lut, ff


def _clamp_luts(scale: Scale, technology: Technology) -> int:
    """Return the LUTs that find ties, compare with the rails and choose: none where all signed values are outputs."""
    spare = scale.high_bits - scale.out_bits - (0 if scale.out_signed else 1)
    ties = scale.ties + scale.tie_bits // (technology.lut_inputs - 1)
    if spare <= 0:
        return ties + (scale.out_bits // 2 if scale.bounded else 0 if scale.out_signed else 1)
    return ties + scale.out_bits + (2 if scale.out_signed else 0) + 2 * scale.bounded + spare // 2


def _pool_array(array: PoolArray, technology: Technology) -> IntArray:
    """Count an adder per lane, or a comparator that lets the larger in; a floor is a choice in front of it."""
    pe, x_bits = array.pe, array.x_bits
    lane = array.acc_bits if array.average else x_bits + array.has_floor * (x_bits + 1)
    bits = int(counter_ff(array.counts)) if array.counts else 0
    table = rom_luts(array.constant_bits, array.counts, technology)  # constants of every count
    ff = pe * (array.acc_bits if array.average else x_bits) + 1 + bits * (1 + np.asarray(array.held))
    return counts(pe, lut=pe * lane + 1 + bits + table, ff=ff)


def _running_pool(pool: RunningPool, technology: Technology) -> IntArray:
    """Count an adder or a comparator per lane, the results so far, and which word of which pixel comes."""
    pe, fold, bits, memory, block = np.asarray(pool.pe), pool.fold, pool.bits, pool.in_memory, pool.in_block_ram
    if pool.pixels == 1:
        return counts(pe, lut=1, ff=pe * 2 * pool.x_bits + 2)
    place, pixel, ring = counter_ff(fold), int(counter_ff(pool.pixels)), ~np.asarray(memory)
    kept = bits * np.where(ring, fold, 2)  # results; or the last one, and the word that was read
    ff = pe * (kept + pool.x_bits * (1 + block)) + 5 + pixel + place + np.where(memory, 1 + place, 1) + 2 * block
    # A positive word from a memory adds only a carry to the upper bits. Registers choose between 0 and a sum. That
    # choice is part of the adder only for positive words.
    adder = np.where(ring, bits * (1 + pool.signed), bits if pool.signed else pool.x_bits)
    lut = pe * (adder if pool.average else 2 * bits) + 5 + pixel + place
    in_luts = np.asarray(memory & ~np.asarray(block))
    lut = lut + np.where(in_luts, lutram_luts(pe * bits, fold, technology), 0)
    return counts(pe, bram18=np.where(block, bram18_count(pe * bits, fold, technology), 0), lut=lut, ff=ff)


def _scaled_sum(module: ScaledSum, technology: Technology) -> IntArray:
    """Count, per lane, adders for all powers of two but one, with a register behind each but the last, and clamp."""
    pe, levels = module.pe, module.levels
    bits = module.bits + 1 + max(abs(m).bit_length() for m in module.multipliers) // 2
    sums = sum(ceil_div(module.terms, 1 << level) - (module.terms % (1 << level) == 1) for level in range(1, levels))
    adders = technology.fitted.constant_sum * (module.terms - 2) * (module.bits + 2)
    table = counts(pe, lut=pe * adders + 2, ff=pe * sums * bits + levels - 1)
    table = table + area(Requantize(lanes=pe, scale=module.scale, constant=True), technology)
    return table + queue_area(pe * module.scale.out_bits, output_depth(module.delay), technology)
