"""What loading weights at start becomes in synthesis: memories that are written, the load bus, the loader."""

import numpy as np

from codesign.ir.technology import Technology
from codesign.machine.loading import BEAT_BITS, BURST_BEATS, HELD_BURSTS, LOAD_BITS, Loader, LoadStage, parts_of
from codesign.machine.modules import ChannelRom, Control, WeightRom
from codesign.model.counts import counter_ff, counts
from codesign.model.memory import bram18_count, ceil_log2, lutram_luts
from codesign.ops.arrays import Int, IntArray

BUS_FF = LOAD_BITS + 3  # of a stage: data, the start, and whether they are for its memory or for another
CONTROL_LOAD_FF, CONTROL_LOAD_LUT = 98, 40  # the address, a start, what the host reads
LOADER_FF, LOADER_LUT = 273, 294  # addresses, the word, where it is in the image, its CRC-32
STAGE_LUT = 4


def load_area(part: WeightRom | ChannelRom | Loader | LoadStage, technology: Technology) -> IntArray:
    """Return the counts [5] of a part of what loads weights, or [N, 5] where its fields are arrays [N]."""
    match part:
        case WeightRom():
            return _loaded_weights(part, technology)
        case ChannelRom():
            return _loaded_channels(part, technology)
        case LoadStage():
            return _load_stage(part)
        case Loader():
            return _loader(part, technology)


def _loaded_weights(rom: WeightRom, technology: Technology) -> IntArray:
    """Count a memory of weights that is written at start; one word is a register."""
    width, depth, block = rom.word_bits, np.asarray(rom.depth), np.asarray(rom.block_ram)
    packs = rom.feeds_dsp & technology.multiplier.packs | rom.feeds_packed
    lut = np.where(block, 0, lutram_luts(width, depth, technology)) + technology.fitted.counter
    ff = counter_ff(depth) + 1 + (rom.late & (block ^ True)) + np.where(packs, 0, width)
    bram18 = np.where(block, bram18_count(width, depth, technology), 0)
    many = depth > 1
    table = counts(width, bram18=bram18 * many, lut=lut * many, ff=np.where(many, ff, width))
    return table + _port(width, depth)


def _loaded_channels(rom: ChannelRom, technology: Technology) -> IntArray:
    """Count a memory of channel constants that is written at start; one word is a register."""
    width, depth = rom.word_bits, np.asarray(rom.depth)
    many = depth > 1
    lut = lutram_luts(width, depth, technology) + technology.fitted.counter
    ff = counter_ff(depth) + width + many
    return counts(width, lut=lut * many, ff=ff) + _port(width, depth)


def _port(width: Int, depth: Int) -> IntArray:
    """Count load_port: the parts of a word that wait for the last one, which part comes, the address."""
    parts = np.asarray(parts_of(width))
    held = (parts > 1) * (parts + LOAD_BITS * (parts - 1))
    address = counter_ff(depth)
    return counts(width, lut=address + 1, ff=held + address)


def _load_stage(stage: LoadStage) -> IntArray:
    """Count a stage of the load bus."""
    left = np.maximum(counter_ff(stage.words), 1)
    return counts(stage.words, lut=STAGE_LUT, ff=BUS_FF + 1 + left)


def _loader(loader: Loader, technology: Technology) -> IntArray:
    """Count the loader and of the queue behind the port to DRAM."""
    queue = lutram_luts(BEAT_BITS, BURST_BEATS * HELD_BURSTS, technology)
    words = ceil_log2(BURST_BEATS * BEAT_BITS // LOAD_BITS * loader.bursts)  # of the image, bursts and all
    counters = ceil_log2(loader.words + 1) + words + ceil_log2(loader.bursts + 1)
    return counts(0, lut=queue + LOADER_LUT + counters / 2, ff=BEAT_BITS + LOADER_FF + counters)


def control_load_area(control: Control) -> IntArray:
    """Return what the control block takes more where it starts a loader."""
    return counts(0, lut=CONTROL_LOAD_LUT * control.loads, ff=CONTROL_LOAD_FF * control.loads)
