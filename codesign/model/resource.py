"""DSP, BRAM18, LUT and FF of every part of a design, in closed form.

Formulas are written over columns of engines, so that one definition prices a single engine and all the options of a
node at once. The counts of a design are the sum over its nodes, converters, forks, FIFOs, ports and the control block.
codesign/model/modules.py prices the modules of the machine; this file puts them together as emit/rtl.py does.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from codesign.ir.board import Family
from codesign.ir.cost import Resources
from codesign.ir.design import Design, Fifo, LineEngine, Memory, Multiplier
from codesign.ir.graph import Graph, IntArray, signed_bits
from codesign.ir.nodes import Add, Conv, Input, Pool, PoolOp, Scaling
from codesign.ir.qtype import QType
from codesign.model import modules
from codesign.model.latency import input_lanes, is_streaming
from codesign.model.memory import ceil_log2, div_up
from codesign.model.modules import NAMES as NAMES
from codesign.model.modules import Array, Scale, Walk, has_padding

BoolArray = npt.NDArray[np.bool_]

FIFO_LUTRAM_BITS = 4096  # a larger FIFO goes to block RAM


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
    return modules.is_dsp_product(_operand_bits(node), node.wtype.bits)


def multiplier_luts(node: Conv) -> int:
    """LUTs of one multiplier of an activation and a weight, made without DSP."""
    return modules.multiply_luts(_operand_bits(node), node.wtype.bits)


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
    return int(buffer_words_at(node, np.array([input_lanes(node, engine)]))[0])


def node_columns(node: Conv | Pool | Add, engines: EngineColumns, family: Family) -> IntArray:
    """Counts [N, 5] of a node on each of N engines, in the order of NAMES."""
    match node:
        case Conv():
            return _conv_columns(node, engines, family)
        case Pool():
            return _pool_columns(node, engines, family)
        case Add():
            return _add_columns(node, engines)


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

    Packets, in elements, are padded to whole words: the channels of a pixel, or all elements of a map.
    """
    return modules.width_converter(lanes_in, lanes_out, packet_in, packet_out, bits)


def converter_resources(lanes_in: int, lanes_out: int, packet_in: int, packet_out: int, bits: int) -> Resources:
    """What a width converter takes; see converter_columns."""
    return to_resources(converter_columns(np.array([lanes_in]), np.array([lanes_out]), packet_in, packet_out, bits)[0])


def fifo_columns(depth: IntArray, width: IntArray, family: Family) -> IntArray:
    """Counts [N, 5] of FIFOs of depth words of width bits: block RAM above FIFO_LUTRAM_BITS, else distributed RAM."""
    return modules.stream_fifo(depth, width, depth * width > FIFO_LUTRAM_BITS, family)


def fifo_resources(depth: int, width: int, family: Family) -> Resources:
    """What a FIFO takes; see fifo_columns."""
    return to_resources(fifo_columns(np.array([depth]), np.array([width]), family)[0])


def port_columns(lanes: IntArray, elements: int) -> IntArray:
    """Counts [N, 5] of an AXI-Stream port that takes a map of `elements`, `lanes` a beat: the count of its beats."""
    return modules.port(div_up(elements, lanes))


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
        into = input_lanes(node, engine)
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
    return sum([to_resources(modules.stream_fork())] * forks, to_resources(modules.control()))


def port_resources(graph: Graph, design: Design) -> Resources:
    """What the two AXI-Stream ports take."""
    lanes = ((design.input_lanes, graph.input.shape), (design.output_lanes, graph.output.oshape))
    return to_resources(np.asarray(sum(port_columns(np.array([n]), shape.elements)[0] for n, shape in lanes)))


def _fifo_width(graph: Graph, design: Design, fifo: Fifo) -> int:
    node = graph.node(fifo.node)
    return design.engine_of(fifo.node).pe * graph.node(node.inputs[fifo.index]).otype.bits


def _conv_columns(node: Conv, engines: EngineColumns, family: Family) -> IntArray:
    """A convolution: feed, weights, array, collector, constants of the channels, requantize."""
    pe, simd, emit = engines.pe, engines.simd, engines.emit
    words = div_up(node.k, pe) * node.window.positions * div_up(node.c_per_group, simd)
    scale = conv_scale(node)
    outputs = div_up(node.k, emit)
    array = Array(
        pe=pe,
        simd=simd,
        in_dsp=engines.dsp & can_use_dsp(node) & (words > 1),
        constant=words == 1,
    )
    packs = array.in_dsp & (family is Family.SERIES7)
    parts = [
        _feed(node, engines, family),
        modules.weight_rom(pe * simd * node.wtype.bits, words, engines.weight_bram, packs),
        modules.mac_array(array, _operand_bits(node), node.wtype.bits, node.acc_bits, family),
        modules.collector(pe, emit, node.k, node.acc_bits),
        modules.channel_rom(emit * (scale.factor_bits + scale.sum_bits), outputs),
        modules.requantize(emit, scale, family, outputs == 1),
    ]
    return np.asarray(sum(parts))


def _pool_columns(node: Pool, engines: EngineColumns, family: Family) -> IntArray:
    """A pooling: feed, lanes, collector; for the average a requantize."""
    average, itype = node.op is PoolOp.AVERAGE, node.itype
    bits = node.acc_bits if average else itype.bits
    has_floor = itype.signed and not average and has_padding(node.window, node.ishape, node.oshape)
    parts = [
        _feed(node, engines, family),
        modules.pool_array(engines.pe, average=average, x_bits=itype.bits, acc_bits=bits, has_floor=has_floor),
        modules.collector(engines.pe, engines.emit, node.oshape.c, bits),
    ]
    if average:
        constant = np.ones_like(engines.emit, dtype=np.bool_)
        parts.append(modules.requantize(engines.emit, pool_scale(node), family, constant))
    return np.asarray(sum(parts))


def _add_columns(node: Add, engines: EngineColumns) -> IntArray:
    """An addition of two streams; the FIFOs in front of it are priced apart."""
    bits = max(itype.bits for itype in node.itypes)
    scale = _scale(node.acc_bits, 1, node.shift, node.otype, factor_bits=0, general=False)
    return modules.scaled_sum(engines.pe, node.multipliers, bits, scale)


def conv_scale(node: Conv) -> Scale:
    """The requantizer of a convolution. Of general factors only the width is known here, so the largest is assumed."""
    match node.scaling:
        case Scaling.SHIFT:
            return _scale(node.acc_bits, 1, node.shift, node.otype, factor_bits=0, general=False)
        case Scaling.POWER_OF_TWO:
            exponent = node.multiplier_bits - 1
            bits = max(1, exponent.bit_length())
            return _scale(node.acc_bits, 1 << exponent, node.shift, node.otype, factor_bits=bits, general=False)
        case Scaling.GENERAL:
            bits = node.multiplier_bits
            return _scale(node.acc_bits, (1 << bits) - 1, node.shift, node.otype, factor_bits=bits, general=True)


def pool_scale(node: Pool) -> Scale:
    """The requantizer of an average pooling, whose factor is a constant; a power of two is part of the wiring."""
    general = node.multiplier & (node.multiplier - 1) != 0
    bits = node.multiplier.bit_length() if general else 0
    return _scale(node.acc_bits, node.multiplier, node.shift, node.otype, factor_bits=bits, general=general)


def _scale(acc_bits: int, largest: int, shift: int, otype: QType, *, factor_bits: int, general: bool) -> Scale:
    half, bound = (1 << shift) >> 1, 1 << (acc_bits - 1)
    return Scale(
        acc_bits=acc_bits,
        factor_bits=factor_bits,
        general=general,
        sum_bits=signed_bits(-bound * largest, (bound - 1) * largest + half),
        shift=shift,
        out_bits=otype.bits,
        out_signed=otype.signed,
    )


def _feed(node: Conv | Pool, engines: EngineColumns, family: Family) -> IntArray:
    """The line buffer, or a register where words stream."""
    lanes, inner, passes = engines.pe, np.ones_like(engines.pe), np.ones_like(engines.pe)
    if isinstance(node, Conv) and not node.depthwise:
        lanes = engines.simd
        inner, passes = div_up(node.c_per_group, engines.simd), div_up(node.k_per_group, engines.pe)
    width, fold = lanes * node.itype.bits, div_up(node.ishape.c, lanes)
    walk = Walk(node.window, node.ishape, node.oshape, fold, inner, passes)
    line = modules.line_buffer(walk, width, engines.buffer_words, engines.buffer_bram, family)
    streams = streaming_columns(node, engines.pe)
    return np.where(streams[:, None], modules.pass_feed(width, node.window.positions * inner), line)


def _operand_bits(node: Conv) -> int:
    """Width of an activation as a signed operand."""
    return node.itype.bits + (0 if node.itype.signed else 1)
