"""DSP, BRAM18, LUT and FF of every part of a design, in closed form.

Formulas are written over columns of engines, so that one definition prices a single engine and all the options of a
node at once. The counts of a design are the sum over its nodes, converters, forks, FIFOs, ports and the control block.
Every function prices one module of templates/rtl/modules; coefficients stand beside what they count.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from codesign.ir.board import Family
from codesign.ir.cost import Resources
from codesign.ir.design import Design, Fifo, LineEngine, Memory, Multiplier
from codesign.ir.graph import Graph, IntArray
from codesign.ir.nodes import Add, Conv, Input, Pool, PoolOp, Scaling
from codesign.ir.qtype import QType
from codesign.model.latency import ceil_div, is_streaming
from codesign.model.memory import bram18_count, ceil_log2, div_up, lutram_luts, rom_luts

BoolArray = npt.NDArray[np.bool_]

NAMES = ("dsp", "bram18", "uram", "lut", "ff")  # the order of every [N, 5] table of counts

# Operand widths of one DSP48, signed: the wide port by family, the narrow port is 18 in both.
_DSP_WIDE = {Family.SERIES7: 25, Family.ULTRASCALE_PLUS: 27}
# A product narrower than this is not mapped to a DSP: xc7 and xcup switch at 9 bits (Yosys 0.23, open synthesis).
_DSP_MIN_PRODUCT_BITS = 9
# LUTs of one signed multiplier without DSP, by the product of its operand widths (Yosys 0.23, xc7, registers outside).
_LUT_MULTIPLY = ((4, 5), (9, 9), (16, 26), (32, 61), (36, 83), (64, 166), (144, 345), (256, 631))
_FEED_LUT, _FEED_FF = 20, 12  # step counter and handshake of an engine without line buffer
_FORK = Resources(lut=4, ff=2)
FIFO_LUTRAM_BITS = 4096  # a larger FIFO goes to block RAM
_BASE = Resources(lut=450, ff=700)  # AXI-Lite registers, cycle counters, start and status


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class EngineColumns:
    """N engines as columns; the fields are LineEngine's, choices as booleans."""

    pe: IntArray
    simd: IntArray
    emit: IntArray
    dsp: BoolArray
    weight_bram: BoolArray
    buffer_bram: BoolArray
    buffer_words: IntArray

    @staticmethod
    def of(engine: LineEngine) -> "EngineColumns":
        """One engine as columns of length 1."""
        return EngineColumns(
            pe=np.array([engine.pe]),
            simd=np.array([engine.simd]),
            emit=np.array([engine.emit]),
            dsp=np.array([engine.multiplier is Multiplier.DSP]),
            weight_bram=np.array([engine.weight_memory is Memory.BRAM]),
            buffer_bram=np.array([engine.buffer_memory is Memory.BRAM]),
            buffer_words=np.array([engine.buffer_words]),
        )

    def engine(self, row: int) -> LineEngine:
        """The engine of that row."""
        return LineEngine(
            pe=int(self.pe[row]),
            simd=int(self.simd[row]),
            emit=int(self.emit[row]),
            multiplier=Multiplier.DSP if self.dsp[row] else Multiplier.LUT,
            weight_memory=Memory.BRAM if self.weight_bram[row] else Memory.LUT,
            buffer_memory=Memory.BRAM if self.buffer_bram[row] else Memory.LUT,
            buffer_words=int(self.buffer_words[row]),
        )


def can_use_dsp(node: Conv) -> bool:
    """Whether the product of a weight and an activation is wide enough for a DSP."""
    return _operand_bits(node) + node.wtype.bits >= _DSP_MIN_PRODUCT_BITS


def multiplier_luts(node: Conv) -> int:
    """LUTs of one multiplier of an activation and a weight, made without DSP."""
    grid, luts = zip(*_LUT_MULTIPLY, strict=True)
    return round(float(np.interp(_operand_bits(node) * node.wtype.bits, grid, luts)))


def streaming_columns(node: Conv | Pool | Add, pe: IntArray) -> BoolArray:
    """latency.is_streaming over columns: whether engines of these PE need no line buffer."""
    engine = LineEngine(pe=node.oshape.c, simd=1, emit=node.oshape.c)
    return (pe >= node.oshape.c) & is_streaming(node, engine)


@lru_cache(maxsize=4096)
def held_pixels(node: Conv | Pool) -> int:
    """Pixels that a line buffer holds at most while the map comes in evenly and the engine works all the time.

    The engine starts as late as its windows force it to, and frees a pixel after the last window that reads it; until
    a window is done, the pixels of the next rows, or of the next image, come in.
    """
    window, shape, out = node.window, node.ishape, node.oshape
    row = np.arange(out.y)[:, None] * window.stride_y - window.pad_top
    column = np.arange(out.x)[None, :] * window.stride_x - window.pad_left
    last_row = np.minimum(row + window.fy, shape.y) - 1
    last_column = np.minimum(column + window.fx, shape.x) - 1
    needed = (last_row * shape.x + last_column + 1).ravel()
    kept_from = np.where(row < 0, 0, row * shape.x + np.maximum(column, 0)).ravel()
    pace = shape.y * shape.x / len(needed)
    count = np.arange(len(needed))
    late = (needed - count * pace).max()
    return int(np.ceil((late + (count + 1) * pace - kept_from).max()))


def buffer_words_at(node: Conv | Pool, lanes: IntArray) -> IntArray:
    """Line buffer depth in words of `lanes` channels, a power of two."""
    words = held_pixels(node) * div_up(node.ishape.c, lanes) + 2  # a word waits one cycle before it can be read
    return np.asarray(1 << ceil_log2(words))


def buffer_words(node: Conv | Pool | Add, engine: LineEngine) -> int:
    """Line buffer depth in input words, a power of two; 2 where there is none. The schedule gives the exact depth."""
    if isinstance(node, Add) or is_streaming(node, engine):
        return 2
    lanes = engine.simd if isinstance(node, Conv) and not node.depthwise else engine.pe
    return int(buffer_words_at(node, np.array([lanes]))[0])


def node_columns(node: Conv | Pool | Add, engines: EngineColumns, family: Family) -> IntArray:
    """Counts [N, 5] of a node on each of N engines, in the order of NAMES."""
    match node:
        case Conv():
            parts = [
                _conv_array(node, engines),
                _conv_weights(node, engines),
                _conv_requantize(node, engines, family),
                _feed(node, engines, family),
            ]
        case Pool():
            parts = [_pool_array(node, engines, family), _feed(node, engines, family)]
        case Add():
            parts = [_scaled_sum(node, engines)]
    return np.asarray(sum(parts))


@lru_cache(maxsize=65536)
def node_resources(node: Conv | Pool | Add, engine: LineEngine, family: Family) -> Resources:
    """What a node takes on an engine: array, weights, line buffer, requantize and control."""
    return to_resources(node_columns(node, EngineColumns.of(engine), family)[0])


def to_resources(row: IntArray) -> Resources:
    """A row of counts [5] as Resources."""
    dsp, bram18, uram, lut, ff = (int(count) for count in row)
    return Resources(dsp=dsp, bram18=bram18, uram=uram, lut=lut, ff=ff)


def converter_columns(lanes_in: IntArray, lanes_out: IntArray, packet_in: int, packet_out: int, bits: int) -> IntArray:
    """Counts [N, 5] of width converters from lanes_in to lanes_out elements of `bits` a word (arrays broadcast).

    Packets, in elements, are padded to whole words: the channels of a pixel, or all elements of a map. Equal widths
    are a wire; where one divides the other, and every packet where packets differ, a register with parts; else a queue
    of one input and two output words that shifts by their common divisor.
    """
    a, b = np.broadcast_arrays(lanes_in, lanes_out)
    narrow, wide = np.minimum(a, b), np.maximum(a, b)
    is_even = packet_in == packet_out or ((packet_in % narrow == 0) & (packet_out % narrow == 0))
    is_plain = (wide % narrow == 0) & is_even
    unit = np.gcd(np.gcd(a, b), np.gcd(packet_in, packet_out))
    queue = (a + 2 * b) * bits
    # A queue element takes from above after an output word, or any of the units of an input word.
    queue_lut = queue * (1 + div_up(a // unit, 2)) + 4 * ceil_log2((a + 2 * b) // unit + 1) + 8
    plain_lut = np.where(a > b, a * bits, 0) + ceil_log2(wide // narrow + 1) + 6
    plain_ff = wide * bits + ceil_log2(wide // narrow + 1) + 2
    queue_ff = queue + ceil_log2((a + 2 * b) // unit + 1)
    needed = ~(is_plain & (a == b))
    lut, ff = np.where(is_plain, plain_lut, queue_lut), np.where(is_plain, plain_ff, queue_ff)
    return _counts(a, lut=lut * needed, ff=ff * needed)


def converter_resources(lanes_in: int, lanes_out: int, packet_in: int, packet_out: int, bits: int) -> Resources:
    """What a width converter takes; see converter_columns."""
    return to_resources(converter_columns(np.array([lanes_in]), np.array([lanes_out]), packet_in, packet_out, bits)[0])


def fifo_columns(depth: IntArray, width: IntArray, family: Family) -> IntArray:
    """Counts [N, 5] of FIFOs of depth words of width bits: block RAM above FIFO_LUTRAM_BITS, else distributed RAM."""
    deep = depth * width > FIFO_LUTRAM_BITS
    pointers = 3 * ceil_log2(depth) + 6
    lut = pointers + np.where(deep, 0, lutram_luts(width, depth, family))
    bram = np.where(deep, bram18_count(width, depth), 0)
    return _counts(depth, bram18=bram, lut=lut, ff=pointers + np.where(deep, 0, width))


def fifo_resources(depth: int, width: int, family: Family) -> Resources:
    """What a FIFO takes; see fifo_columns."""
    return to_resources(fifo_columns(np.array([depth]), np.array([width]), family)[0])


def port_columns(lanes: IntArray, bits: int) -> IntArray:
    """Counts [N, 5] of an AXI-Stream port of `lanes` elements of `bits`: a register slice and the TLAST counter."""
    return _counts(lanes, lut=lanes * bits + 30, ff=2 * lanes * bits + 40)


@dataclass(frozen=True, slots=True)
class EdgeWords:
    """An edge's words: lanes and packet where it leaves, where it enters, and the bits of an element."""

    lanes_in: int
    lanes_out: int
    packet_in: int
    packet_out: int
    bits: int


def edge_words(graph: Graph, design: Design) -> tuple[EdgeWords, ...]:
    """The words of every edge; the AXI-Streams at either end are packets of a whole map."""
    lanes = {graph.input.name: (design.input_lanes, graph.input.shape.elements)}
    found: list[EdgeWords] = []
    for node in graph.nodes:
        if isinstance(node, Input):
            continue
        engine = design.engine_of(node.name)
        into = engine.simd if isinstance(node, Conv) and not node.depthwise else engine.pe
        for source in node.inputs:
            out, packet = lanes[source]
            found.append(EdgeWords(out, into, packet, node.ishape.c, graph.node(source).otype.bits))
        lanes[node.name] = (engine.emit, node.oshape.c)
    last = graph.output
    out, packet = lanes[last.name]
    return (*found, EdgeWords(out, design.output_lanes, packet, last.oshape.elements, last.otype.bits))


def shell_resources(graph: Graph, design: Design, family: Family) -> Resources:
    """What lies around the engines: control block, forks, ports, width converters and the FIFOs of additions."""
    total = base_resources(graph) + port_resources(graph, design)
    for e in edge_words(graph, design):
        total = total + converter_resources(e.lanes_in, e.lanes_out, e.packet_in, e.packet_out, e.bits)
    for fifo in design.fifos:
        total = total + fifo_resources(fifo.depth, _fifo_width(graph, design, fifo), family)
    return total


def design_resources(graph: Graph, design: Design, family: Family) -> Resources:
    """What the whole design takes: its nodes and its shell."""
    total = shell_resources(graph, design, family)
    for node in graph.nodes:
        if not isinstance(node, Input):
            total = total + node_resources(node, design.engine_of(node.name), family)
    return total


def base_resources(graph: Graph) -> Resources:
    """What every design of the graph takes, whatever its engines: the control block, and a fork per branch."""
    forks = sum(len(node.inputs) - 1 for node in graph.nodes if not isinstance(node, Input))
    return sum([_FORK] * forks, _BASE)


def port_resources(graph: Graph, design: Design) -> Resources:
    """What the two AXI-Stream ports take."""
    lanes = ((design.input_lanes, graph.input.otype.bits), (design.output_lanes, graph.output.otype.bits))
    return to_resources(np.asarray(sum(port_columns(np.array([n]), bits)[0] for n, bits in lanes)))


def _fifo_width(graph: Graph, design: Design, fifo: Fifo) -> int:
    node = graph.node(fifo.node)
    return design.engine_of(fifo.node).pe * graph.node(node.inputs[fifo.index]).otype.bits


def _conv_array(node: Conv, engines: EngineColumns) -> IntArray:
    """Multipliers, the registered adder tree of each PE, and its accumulator."""
    a, b = _operand_bits(node), node.wtype.bits
    pe, simd = engines.pe, engines.simd
    products = pe * simd
    in_dsp = engines.dsp & can_use_dsp(node)
    multiply = multiplier_luts(node)
    tree_bits = a + b + (ceil_log2(simd) + 1) // 2
    adders = pe * (simd - 1) * tree_bits
    lut = np.where(in_dsp, 0, products * multiply) + adders + pe * node.acc_bits
    ff = np.where(in_dsp, 0, products * (a + b)) + adders + pe * node.acc_bits
    return _counts(pe, dsp=np.where(in_dsp, products, 0), lut=lut, ff=ff)


def _conv_weights(node: Conv, engines: EngineColumns) -> IntArray:
    """Weight memory: one word of PE * SIMD weights a cycle; a memory of one word is wires."""
    width = engines.pe * engines.simd * node.wtype.bits
    depth = div_up(node.k, engines.pe) * node.window.positions * div_up(node.c_per_group, engines.simd)
    in_bram = engines.weight_bram & (depth > 1)
    lut = np.where(in_bram, 0, rom_luts(width, depth))
    bram = np.where(in_bram, bram18_count(width, depth), 0)
    ff = np.where(in_bram | (depth <= 1), 0, width)
    return _counts(width, bram18=bram, lut=lut, ff=ff)


def _conv_requantize(node: Conv, engines: EngineColumns, family: Family) -> IntArray:
    """Collector, channel memory (factor and offset per channel), and one requantizer per emitted lane."""
    factor_bits = node.multiplier_bits
    if node.scaling is Scaling.POWER_OF_TWO:
        factor_bits = max(1, (node.multiplier_bits - 1).bit_length())
    sum_bits = max(node.acc_bits + node.multiplier_bits, node.shift + 1)
    word = engines.emit * (sum_bits + (0 if node.scaling is Scaling.SHIFT else factor_bits))
    depth = div_up(node.k, engines.emit)
    channels = _counts(depth, lut=rom_luts(word, depth) + ceil_log2(depth), ff=ceil_log2(depth))
    lanes = engines.emit[:, None] * _requantizer(
        node.scaling, node.acc_bits, factor_bits, node.shift, node.otype, family
    )
    return _collector(engines, node.acc_bits) + channels + lanes


def _collector(engines: EngineColumns, bits: int) -> IntArray:
    """PE results in a register that moves down by `emit`; a wire where all leave at once."""
    waits = engines.emit < engines.pe
    count = ceil_log2(engines.pe // engines.emit + 1)
    return _counts(engines.pe, lut=waits * (engines.pe * bits + count + 4), ff=waits * (engines.pe * bits + count))


def _requantizer(
    scaling: Scaling, acc_bits: int, factor_bits: int, shift: int, otype: QType, family: Family
) -> IntArray:
    """Counts [5] of one lane: scale and offset, then clamp. A general factor is one DSP that adds the offset too."""
    sum_bits = max(acc_bits + (factor_bits if scaling is Scaling.GENERAL else 1 << factor_bits), shift + 1)
    sum_bits = min(sum_bits, acc_bits + 16)
    clamp = otype.bits + max(sum_bits - shift - otype.bits, 0) // 3
    dsp = ceil_div(acc_bits, _DSP_WIDE[family]) if scaling is Scaling.GENERAL else 0
    lut = {Scaling.SHIFT: acc_bits, Scaling.POWER_OF_TWO: sum_bits * (1 + ceil_div(factor_bits, 2)), Scaling.GENERAL: 0}
    ff = 0 if dsp else sum_bits
    return _counts(np.array(0), dsp=dsp, lut=lut[scaling] + clamp, ff=ff + otype.bits)


def _feed(node: Conv | Pool, engines: EngineColumns, family: Family) -> IntArray:
    """The line buffer, one word written and one read a cycle, and its pointers; or a register where words stream."""
    mixes = isinstance(node, Conv) and not node.depthwise
    lanes = engines.simd if mixes else engines.pe
    width, words = lanes * node.itype.bits, engines.buffer_words
    streams = streaming_columns(node, engines.pe)
    in_bram = engines.buffer_bram & ~streams
    in_lut = ~engines.buffer_bram & ~streams
    pointer = ceil_log2(words + node.ishape.y * node.ishape.x * div_up(node.ishape.c, lanes) + 1) + 2
    return _counts(
        words,
        bram18=in_bram * bram18_count(width, words),
        lut=np.where(streams, _FEED_LUT, 7 * pointer + 60) + in_lut * lutram_luts(width, words, family),
        ff=np.where(streams, _FEED_FF, 4 * pointer + 30) + np.where(in_bram, 0, width),
    )


def _pool_array(node: Pool, engines: EngineColumns, family: Family) -> IntArray:
    """A comparator or an adder with a register per lane; for the average a requantizer per emitted lane."""
    pe = engines.pe
    if node.op is PoolOp.MAX:
        bits = node.itype.bits + (0 if node.itype.signed else 1)
        return _counts(pe, lut=2 * pe * bits, ff=pe * bits) + _collector(engines, bits)
    scaling = Scaling.GENERAL
    if node.multiplier & (node.multiplier - 1) == 0:
        scaling = Scaling.SHIFT if node.multiplier == 1 else Scaling.POWER_OF_TWO
    factor_bits = max(1, node.multiplier.bit_length())
    lane = _requantizer(scaling, node.acc_bits, factor_bits, node.shift, node.otype, family)
    array = _counts(pe, lut=pe * node.acc_bits, ff=pe * node.acc_bits)
    return array + _collector(engines, node.acc_bits) + engines.emit[:, None] * lane


def _scaled_sum(node: Add, engines: EngineColumns) -> IntArray:
    """Per lane an adder for every set bit of the two constant factors, the rounding, and the clamp: no DSP."""
    adders = sum(m.bit_count() for m in node.multipliers)
    lut = adders * node.acc_bits + node.otype.bits + max(node.acc_bits - node.shift - node.otype.bits, 0) // 3
    return _counts(engines.pe, lut=engines.pe * lut + 10, ff=engines.pe * (node.acc_bits + node.otype.bits) + 4)


def _operand_bits(node: Conv) -> int:
    """Width of an activation as a signed operand."""
    return node.itype.bits + (0 if node.itype.signed else 1)


def _counts(
    like: IntArray,
    *,
    dsp: IntArray | int = 0,
    bram18: IntArray | int = 0,
    lut: IntArray | int = 0,
    ff: IntArray | int = 0,
) -> IntArray:
    """A table [..., 5] in the order of NAMES; single numbers are spread over the shape of `like`."""
    table = np.zeros((*np.shape(like), len(NAMES)), dtype=np.int64)
    for name, column in (("dsp", dsp), ("bram18", bram18), ("lut", lut), ("ff", ff)):
        table[..., NAMES.index(name)] = column
    return table
