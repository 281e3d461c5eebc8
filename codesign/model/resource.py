"""DSP, BRAM18, LUT and FF of every part of a design, in closed form.

Formulas are written over columns of engines, so that one definition prices a single engine and all the options of a
node at once. The counts of a design are the sum over its nodes, converters, FIFOs, ports and the control block.
Coefficients are estimates for registered RTL; each stands beside what it counts.
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
from codesign.model.latency import ceil_div

BoolArray = npt.NDArray[np.bool_]

NAMES = ("dsp", "bram18", "uram", "lut", "ff")  # the order of every [N, 5] table of counts

# Operand widths of one DSP48, signed: the wide port by family, the narrow port is 18 in both.
_DSP_WIDE = {Family.SERIES7: 25, Family.ULTRASCALE_PLUS: 27}
# A product narrower than this is not mapped to a DSP: xc7 and xcup switch at 9 bits (Yosys 0.23, open synthesis).
_DSP_MIN_PRODUCT_BITS = 9
# LUTs of one signed multiplier without DSP, by the product of its operand widths (Yosys 0.23, xc7, registers outside).
_LUT_MULTIPLY = ((4, 5), (9, 9), (16, 26), (32, 61), (36, 83), (64, 166), (144, 345), (256, 631))
# Shapes of one RAMB18 as (width, depth).
_BRAM18 = ((1, 16384), (2, 8192), (4, 4096), (9, 2048), (18, 1024), (36, 512))
# Distributed RAM, one write and one read port, as (LUTs of a primitive, bits wide at depth 32, at depth 64).
_LUTRAM = {Family.SERIES7: (4, 6, 3), Family.ULTRASCALE_PLUS: (8, 14, 7)}
_CONTROL_LUT, _CONTROL_FF = 60, 80  # loop counters, addresses and handshakes of one engine
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


def div_up(a: IntArray | int, b: IntArray | int) -> IntArray:
    """The least integers not below a / b."""
    return np.asarray(-(-np.asarray(a) // b))


def ceil_log2(count: IntArray) -> IntArray:
    """The least e with 2**e >= count, for count >= 1."""
    return np.frexp((np.asarray(count) - 1).astype(np.float64))[1].astype(np.int64)


def bram18_count(width: IntArray, depth: IntArray) -> IntArray:
    """RAMB18 of a memory of depth words of width bits, in the best of the shapes; a RAMB36 counts two."""
    counts = [div_up(width, w) * div_up(depth, d) for w, d in _BRAM18]
    return np.asarray(np.minimum.reduce(counts))


def lutram_luts(width: IntArray, depth: IntArray, family: Family) -> IntArray:
    """LUTs of a distributed RAM of depth words of width bits, with its read multiplexers."""
    luts, wide, narrow = _LUTRAM[family]
    banks = div_up(depth, 64)
    deep = banks * luts * div_up(width, narrow) + width * (div_up(banks, 4) - 1) + (banks > 1) * banks
    return np.where(depth <= 32, luts * div_up(width, wide), deep)


def rom_luts(width: IntArray, depth: IntArray) -> IntArray:
    """LUTs of a constant memory: one LUT6 per bit and 64 words, F7 and F8 join four; a single word is wires."""
    banks = div_up(depth, 64)
    return np.where(depth <= 1, 0, width * (banks + div_up(banks, 4) - 1))


def can_use_dsp(node: Conv) -> bool:
    """Whether the product of a weight and an activation is wide enough for a DSP."""
    return _operand_bits(node) + node.wtype.bits >= _DSP_MIN_PRODUCT_BITS


def buffer_words_at(node: Conv | Pool, lanes: IntArray) -> IntArray:
    """Line buffer depth in words of `lanes` channels, a power of two.

    Holds the rows of one window, less what is already used up of its first row, and the rows or, where the window
    covers the map, the next image that come in meanwhile.
    """
    fold = div_up(node.ishape.c, lanes)
    window, out = node.window, node.oshape
    rows_ahead = window.stride_y if out.y > 1 else min(window.fy, node.ishape.y)
    rows = min(window.fy - 1, node.ishape.y) + rows_ahead
    columns = min(window.fx, node.ishape.x) if out.y > 1 else 0
    if window.positions == 1:
        rows, columns = 0, 2 * window.stride_x
    if out.y == out.x == 1:
        rows, columns = 2 * node.ishape.y, 0
    words = np.maximum((rows * node.ishape.x + columns) * fold, 2)
    return np.asarray(1 << ceil_log2(words))


def buffer_words(node: Conv | Pool | Add, engine: LineEngine) -> int:
    """Line buffer depth in input words, a power of two; 2 for an addition, which has none."""
    if isinstance(node, Add):
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
                _line_buffer(node, node.itype.bits, engines, family),
            ]
        case Pool():
            parts = [_pool_array(node, engines, family), _line_buffer(node, node.itype.bits, engines, family)]
        case Add():
            parts = [_add_array(node, engines, family)]
    control = _counts(engines.pe, lut=_CONTROL_LUT, ff=_CONTROL_FF)
    return np.asarray(sum(parts, control))


@lru_cache(maxsize=65536)
def node_resources(node: Conv | Pool | Add, engine: LineEngine, family: Family) -> Resources:
    """What a node takes on an engine: array, weights, line buffer, requantize and control."""
    return to_resources(node_columns(node, EngineColumns.of(engine), family)[0])


def to_resources(row: IntArray) -> Resources:
    """A row of counts [5] as Resources."""
    dsp, bram18, uram, lut, ff = (int(count) for count in row)
    return Resources(dsp=dsp, bram18=bram18, uram=uram, lut=lut, ff=ff)


def converter_columns(lanes_in: IntArray, lanes_out: IntArray, bits: int) -> IntArray:
    """Counts [N, 5] of width converters from lanes_in to lanes_out elements of `bits` a word (arrays broadcast).

    Equal widths need none. Where one divides the other it is a shift register; else a buffer of both words.
    """
    a, b = np.broadcast_arrays(lanes_in, lanes_out)
    wide = np.maximum(a, b)
    simple = (a % b == 0) | (b % a == 0)
    ff = np.where(simple, wide, a + b) * bits + 2 * ceil_log2(wide + 1) + 4
    lut = np.where(simple, (wide * bits + 1) // 2, (a + b) * bits * (1 + ceil_log2(np.minimum(a, b) + 1)) // 2) + 8
    keep = a != b
    return _counts(a, lut=lut * keep, ff=ff * keep)


def converter_resources(lanes_in: int, lanes_out: int, bits: int) -> Resources:
    """What a width converter takes; see converter_columns."""
    return to_resources(converter_columns(np.array([lanes_in]), np.array([lanes_out]), bits)[0])


def fifo_columns(depth: IntArray, width: IntArray, family: Family) -> IntArray:
    """Counts [N, 5] of FIFOs of depth words of width bits: BRAM from 512 words on, else distributed RAM."""
    deep = depth >= 512
    pointers = 3 * ceil_log2(depth) + 6
    lut = pointers + np.where(deep, 0, lutram_luts(width, depth, family))
    bram = np.where(deep, bram18_count(width, depth), 0)
    return _counts(depth, bram18=bram, lut=lut, ff=pointers + width)


def fifo_resources(depth: int, width: int, family: Family) -> Resources:
    """What a FIFO takes; see fifo_columns."""
    return to_resources(fifo_columns(np.array([depth]), np.array([width]), family)[0])


def port_columns(lanes: IntArray, bits: int) -> IntArray:
    """Counts [N, 5] of an AXI-Stream port of `lanes` elements of `bits`: a register slice and the TLAST counter."""
    return _counts(lanes, lut=lanes * bits + 30, ff=2 * lanes * bits + 40)


def edge_lanes(graph: Graph, design: Design) -> tuple[tuple[int, int, int], ...]:
    """(lanes that leave, lanes that enter, bits) of every edge, the AXI-Streams at either end included."""
    found: list[tuple[int, int, int]] = []
    for source, consumer, _ in graph.edges():
        producer, node = graph.node(source), graph.node(consumer)
        out = design.input_lanes if isinstance(producer, Input) else design.engine_of(source).emit
        engine = design.engine_of(consumer)
        mixes = isinstance(node, Conv) and not node.depthwise
        found.append((out, engine.simd if mixes else engine.pe, producer.otype.bits))
    last = graph.output
    out = design.input_lanes if isinstance(last, Input) else design.engine_of(last.name).emit
    return (*found, (out, design.output_lanes, last.otype.bits))


def shell_resources(graph: Graph, design: Design, family: Family) -> Resources:
    """What lies around the engines: control block, ports, width converters and the FIFOs of additions."""
    total = _BASE + port_resources(graph, design)
    for lanes_in, lanes_out, bits in edge_lanes(graph, design):
        total = total + converter_resources(lanes_in, lanes_out, bits)
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


def base_resources() -> Resources:
    """What every design takes, whatever its engines."""
    return _BASE


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
    grid, luts = zip(*_LUT_MULTIPLY, strict=True)
    multiply = round(float(np.interp(a * b, grid, luts)))
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
    """Bias and multiplier memories, PE results moved to `emit` lanes, and one requantizer per lane."""
    pe, emit = engines.pe, engines.emit
    groups = div_up(node.k, emit)
    bias = rom_luts(emit * node.acc_bits, groups)
    move = np.where(emit < pe, pe * node.acc_bits, 0)
    product_bits = node.acc_bits + node.multiplier_bits
    lane_lut = node.acc_bits + max(product_bits - node.shift, 1) + node.otype.bits
    lane_ff = product_bits + node.acc_bits + node.otype.bits
    dsp, multiplier_rom = 0, np.zeros_like(pe)
    if node.scaling is Scaling.GENERAL:
        dsp = _requantize_dsps(node.acc_bits, node.multiplier_bits, family)
    if node.scaling is Scaling.POWER_OF_TWO:
        lane_lut += node.acc_bits * max(1, (node.multiplier_bits - 1).bit_length())
    if node.scaling is not Scaling.SHIFT:
        multiplier_rom = rom_luts(emit * node.multiplier_bits, groups)
    lut = bias + multiplier_rom + move + emit * lane_lut
    return _counts(pe, dsp=emit * dsp, lut=lut, ff=move + emit * lane_ff)


def _requantize_dsps(value_bits: int, multiplier_bits: int, family: Family) -> int:
    """DSPs of one signed value times one unsigned multiplier of at most 16 bits."""
    if value_bits + multiplier_bits + 1 < _DSP_MIN_PRODUCT_BITS:
        return 0
    return ceil_div(value_bits, _DSP_WIDE[family])


def _line_buffer(node: Conv | Pool, bits: int, engines: EngineColumns, family: Family) -> IntArray:
    """The line buffer: one word written, one read a cycle."""
    mixes = isinstance(node, Conv) and not node.depthwise
    width = (engines.simd if mixes else engines.pe) * bits
    words = engines.buffer_words
    bram = np.where(engines.buffer_bram, bram18_count(width, words), 0)
    lut = np.where(engines.buffer_bram, 0, lutram_luts(width, words, family))
    ff = np.where(engines.buffer_bram, 0, width)
    return _counts(words, bram18=bram, lut=lut, ff=ff)


def _pool_array(node: Pool, engines: EngineColumns, family: Family) -> IntArray:
    """Maximum: a comparator and a register per lane. Average: an accumulator, and a requantizer per emitted lane."""
    pe, emit = engines.pe, engines.emit
    if node.op is PoolOp.MAX:
        return _counts(pe, lut=2 * pe * node.itype.bits, ff=2 * pe * node.itype.bits)
    move = np.where(emit < pe, pe * node.acc_bits, 0)
    scale_bits = node.multiplier.bit_length()
    is_shift = node.multiplier & (node.multiplier - 1) == 0
    dsp = 0 if is_shift else _requantize_dsps(node.acc_bits, scale_bits, family)
    lane = 2 * node.acc_bits + scale_bits + node.otype.bits
    bits = pe * node.acc_bits + move + emit * lane
    return _counts(pe, dsp=emit * dsp, lut=bits, ff=bits)


def _add_array(node: Add, engines: EngineColumns, family: Family) -> IntArray:
    """Two multipliers by a constant, none where it is a power of two, one adder, rounding and clamp, per lane."""
    pe = engines.pe
    scaled = [(t.bits, m) for t, m in zip(node.itypes, node.multipliers, strict=True) if m & (m - 1)]
    dsp = sum(_requantize_dsps(bits + 1, m.bit_length(), family) for bits, m in scaled)
    lane = 2 * node.acc_bits + node.otype.bits
    return _counts(pe, dsp=pe * dsp, lut=pe * lane, ff=pe * lane)


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
