"""What modules that are an engine by themselves become in synthesis; see area.py."""

import numpy as np

from codesign.ir.technology import Technology
from codesign.machine.feeds import Padder, Rearranger
from codesign.machine.modules import GateArray, LookupTable, output_depth
from codesign.machine.scales import Requantize
from codesign.model.area_streams import queue_area
from codesign.model.counts import counter_ff, counts
from codesign.model.memory import bram18_count, ceil_log2, lutram_luts, rom_luts
from codesign.ops.arrays import IntArray, ceil_div


def rearranger_area(module: Rearranger, technology: Technology) -> IntArray:
    """Its memory with the register behind it, five pointers, and a counter for each loop with what ends it.

    The outermost loop has none where the address moves as far to its next turn as to the next image.
    """
    width, depth, in_bram = module.word_bits, module.depth, module.block_ram
    pointer = ceil_log2(depth + module.reach) + 1
    endless = np.equal(module.jumps[-2], module.jumps[-1])
    bits = [counter_ff(count) for count in module.counts]
    bits[-1] = np.where(endless, 0, bits[-1])
    loops = sum((np.where(each > 1, each + 1, each) for each in bits), np.zeros(np.shape(depth), np.int64))
    ff = 5 * pointer + loops + 4 + 1 + in_bram + width
    lut = technology.fitted.loop_pointer * pointer + technology.fitted.loop * loops
    lut = lut + np.where(in_bram, 0, lutram_luts(width, depth, technology))
    memory = np.where(in_bram, bram18_count(width, depth, technology), 0)
    return counts(depth, bram18=memory, lut=lut, ff=ff) + queue_area(width, output_depth(module.delay), technology)


def padder_area(module: Padder, technology: Technology) -> IntArray:
    """Its memory with the register behind it, two pointers and their distance, and two rows and columns: the next
    step's and the next real.
    """
    width, depth, in_bram = module.lanes * module.bits, module.depth, module.block_ram
    pointer = ceil_log2(depth) + 1
    places = sum(2 * int(ceil_log2(extent + 1)) for extent in (module.oshape.y, module.oshape.x))
    loops = places + counter_ff(module.fold)
    lut = technology.fitted.fifo_pointer * pointer + technology.fitted.place * places
    lut = lut + np.where(in_bram, 0, lutram_luts(width, depth, technology))
    ff = 3 * pointer - 2 + loops + 4 + 1 + in_bram + width
    memory = np.where(in_bram, bram18_count(width, depth, technology), 0)
    return counts(depth, bram18=memory, lut=lut, ff=ff) + queue_area(width, output_depth(module.delay), technology)


def gate_area(gate: GateArray, technology: Technology, product: int) -> IntArray:
    """A multiplier a lane, without the requantizer behind it; where one is kept, the gate's pixel and two counters.

    A DSP that packs takes in the registers of factors and product. It takes in the sum too, where no other factor comes
    in between; else the accumulator is kept apart from the other factor's DSP. Bits below the rounding half have no
    registers.
    """
    pe, scale, in_dsp = gate.pe, gate.scale, np.asarray(gate.in_dsp)
    (a_bits, _), (b_bits, _) = gate.types
    packs, unread = technology.multiplier.packs, max(scale.shift - 1 - (0 if scale.general else gate.factor), 0)
    lut = np.where(in_dsp, 0, technology.fitted.gate_product * product)
    factors, given = a_bits + b_bits, scale.acc_bits - unread
    if scale.general:
        ff = np.where(in_dsp, 0, factors) if packs else factors + given
    else:
        ff = np.where(in_dsp, -scale.high_bits, factors + given) if packs else factors + given
    stages = ceil_div((gate.operand_bits[1] + 1) // 2, 2)  # of a product in LUTs, two rows each
    low = 0 if scale.general else unread
    kept_bits = (max(b_bits - 4 * k + 1, 0) + max(4 * k - low, 0) for k in range(1, stages))
    cuts = sum(kept_bits) + (stages - 1) * (a_bits + gate.operand_bits[0])
    if scale.general and not packs:  # low bits of a product pass three registers in a row
        chains = np.where(in_dsp, 0, 4 * (stages - 1))
        lut, ff = lut + chains, ff - 3 * chains
    ff = pe * (ff + np.where(in_dsp, 0, cuts)) + 2 + np.where(in_dsp, 0, stages - 1)
    table = counts(pe, dsp=pe * in_dsp, lut=pe * lut + 2, ff=ff)
    if gate.repeat > 1:
        width, one = pe * b_bits, np.asarray(gate.fold == 1)
        counters = 2 * counter_ff(gate.fold) + counter_ff(gate.repeat) + 2  # the memory has its own address
        kept = np.where(one, 0, lutram_luts(width, gate.fold, technology))
        table = table + counts(pe, lut=width + kept + counters + 2, ff=counters + np.where(one, width, 0))
    return table + queue_area(pe * scale.out_bits, output_depth(gate.delay), technology)


def lookup_area(table: LookupTable, technology: Technology) -> IntArray:
    """A memory and registers around it for every lane, in block RAM or in LUTs, and which word of the pixel it is."""
    pe, words, in_bram = table.pe, table.fold << table.in_bits, table.block_ram
    word = counter_ff(table.fold)
    lut = 2 + word + np.where(in_bram, 0, pe * rom_luts(table.out_bits, words, technology))
    ff = 2 + in_bram + 2 * word + pe * (table.in_bits + table.out_bits)
    memory = np.where(in_bram, pe * bram18_count(table.out_bits, words, technology), 0)
    queue = queue_area(pe * table.out_bits, output_depth(table.delay), technology)
    return counts(pe, bram18=memory, lut=lut, ff=ff) + queue


def gate_scale(gate: GateArray) -> Requantize:
    """Return the requantizer of a gate."""
    return Requantize(lanes=gate.pe, scale=gate.scale, constant=True)
