"""DSP, BRAM18, LUT and FF of engines, of what lies around them, and of whole machines: sums of model.area."""

from functools import lru_cache

import numpy as np

from codesign.ir.cost import Resources
from codesign.ir.design import LineEngine, Weights
from codesign.ir.graph import Graph
from codesign.ir.technology import Technology
from codesign.machine.columns import EngineColumns
from codesign.machine.converters import Converter
from codesign.machine.elaborate import Machine, Unit
from codesign.machine.line import (
    can_use_dsp as can_use_dsp,
)
from codesign.machine.line import input_lanes, is_streaming, line_modules, operand_bits
from codesign.machine.loaded import load_stage
from codesign.machine.loading import LOAD_BITS, Loader
from codesign.machine.modules import (
    Control,
    Fifo,
    Fork,
    Module,
    OutputEnds,
    StreamPort,
)
from codesign.model.area import NAMES as NAMES
from codesign.model.area import area, multiply_luts, total_area
from codesign.model.memory import ceil_log2
from codesign.ops.arrays import BoolArray, Int, IntArray, ceil_div
from codesign.ops.conv import Conv
from codesign.ops.node import Operation


def multiplier_luts(node: Conv) -> int:
    """Return the LUTs of one multiplier of an activation and a weight, made without DSP."""
    return multiply_luts(operand_bits(node), node.wtype.bits)


def streaming_columns(node: Operation, pe: IntArray) -> BoolArray:
    """Return whether engines of these PE need no line buffer."""
    return np.asarray((pe >= node.oshape.c) & node.in_order | node.passes)


@lru_cache(maxsize=4096)
def held_pixels(node: Operation) -> int:
    """Pixels that a line buffer holds at most while the map comes in evenly and the engine works all the time.

    The engine starts as late as its windows force it to. It frees a pixel after the last window that reads it. Until a
    window is done, the pixels of the next rows, or of the next image, come in.
    """
    first, last = node.spans()
    needed, kept_from = last + 1, np.minimum.accumulate(first[::-1])[::-1]
    pace = node.ishape.y * node.ishape.x / len(needed)
    count = np.arange(len(needed))
    late = (needed - count * pace).max()
    return int(np.ceil((late + (count + 1) * pace - kept_from).max()))


def buffer_words_at(node: Operation, lanes: Int, taps: Int = 1) -> IntArray:
    """Return the line buffer depth in words of `lanes` channels: a power of two, or whole rows with taps above 1."""
    fold = ceil_div(node.ishape.c, lanes)
    # A word waits a cycle before it can be read; its place is free one cycle after it was read last, or two.
    words, row = held_pixels(node) * fold + 2, node.ishape.x * fold
    return np.where(np.asarray(taps) > 1, ceil_div(words, row) * row, 1 << ceil_log2(words + 1))


@lru_cache(maxsize=4096)
def least_rows(node: Operation) -> int:
    """Return the rows of the input that hold all that any window needs, and what later ones still do."""
    first, last = node.spans()
    kept_from = np.minimum.accumulate(first[::-1])[::-1]
    return int(ceil_div((last + 1 - kept_from).max(), node.ishape.x))


def buffer_words(node: Operation, engine: LineEngine) -> int:
    """Return an engine's line buffer depth in input words, as buffer_words_at; 2 where there is none.

    The schedule is exact.
    """
    if node.joins or is_streaming(node, engine):
        return 2
    return int(buffer_words_at(node, input_lanes(node, engine), engine.taps))


def node_columns(
    node: Operation, engines: EngineColumns, technology: Technology, weights: Weights = Weights.CONSTANT
) -> IntArray:
    """Return counts [N, 5] of a node on each of N engines, in the order of NAMES; where loaded, with their stages."""
    modules = line_modules(node, engines, weights)
    stages = [stage for module in modules if (stage := load_stage(module)) is not None]
    return total_area((*modules, *stages), technology)


def unit_resources(unit: Unit, technology: Technology) -> Resources:
    """Return what an engine takes: array, weights, line buffer, requantize and control."""
    return to_resources(total_area(unit.modules, technology))


def to_resources(row: IntArray) -> Resources:
    """Return a row of counts [5] as Resources."""
    dsp, bram18, uram, lut, ff = (int(count) for count in row)
    return Resources(dsp=dsp, bram18=bram18, uram=uram, lut=lut, ff=ff)


def converter_columns(
    lanes_in: Int, lanes_out: Int, packet_in: int, packet_out: int, bits: int, technology: Technology
) -> IntArray:
    """Return counts [..., 5] of width converters from lanes_in to lanes_out elements of `bits` a word (arrays
    broadcast).

    Packets, in elements, are padded to whole words: the channels of a pixel, or all elements of a map.
    """
    converter = Converter(lanes_in=lanes_in, lanes_out=lanes_out, packet_in=packet_in, packet_out=packet_out, bits=bits)
    return area(converter, technology)


def fifo_columns(depth: IntArray, width: IntArray, technology: Technology) -> IntArray:
    """Return counts [N, 5] of FIFOs of depth words of width bits."""
    return area(Fifo(depth=depth, word_bits=width), technology)


def port_columns(lanes: IntArray, elements: int, technology: Technology) -> IntArray:
    """Return counts [N, 5] of an AXI-Stream port that takes a map of `elements`, `lanes` a beat: the count of its
    beats.
    """
    return area(StreamPort(beats=ceil_div(elements, lanes)), technology)


def shell_resources(machine: Machine, technology: Technology) -> Resources:
    """Return what lies around the engines: control, ports, forks, width converters, FIFOs where branches meet."""
    modules: list[Module] = [machine.control, machine.source.port, *(s.port for s in machine.sinks), *machine.between]
    modules += [] if machine.ends is None else [machine.ends]
    modules += [] if machine.loader is None else [machine.loader, *machine.load_stages]
    return to_resources(total_area(modules, technology))


def design_resources(machine: Machine, technology: Technology) -> Resources:
    """Return what the whole machine takes: its engines and what lies around them."""
    total = shell_resources(machine, technology)
    for unit in machine.units:
        total = total + unit_resources(unit, technology)
    return total


def base_resources(graph: Graph, technology: Technology, weights: Weights = Weights.CONSTANT) -> Resources:
    """Return what every design of the graph takes, whatever its engines: the control block, and a fork per branch.

    Where weights are loaded, also the loader; its counters are for no more than the weights.
    """
    forks = sum(len(node.inputs) - 1 for node in graph.operations) + len(graph.output_nodes) - 1
    loads = weights is Weights.LOADED
    alike: list[Module] = [Control(beats_in=1, beats_out=1, loads=loads), *[Fork(word_bits=1)] * forks]
    if loads:
        bits = sum(
            graph.params[f"{n.name}.weight"].size * n.wtype.bits for n in graph.operations if isinstance(n, Conv)
        )
        alike.append(Loader(words=ceil_div(bits, LOAD_BITS), stages=0))
    if len(graph.output_nodes) > 1:
        alike.append(OutputEnds(beats=(1,) * len(graph.output_nodes)))
    return to_resources(total_area(alike, technology))
