"""The line engine: which modules it is made of for a node, and the cycles that follow from its lanes.

Every function takes a single LineEngine or columns of engines; with columns, its results are columns.

Long because every operator has its modules here.
"""

from dataclasses import replace
from typing import overload

from codesign.ir.design import LineEngine
from codesign.machine.feeds import Feed
from codesign.machine.kinds import Choices, Lanes
from codesign.machine.mac import SHALLOW_ROM
from codesign.machine.modules import (
    ArrayModule,
    ChannelRom,
    Collector,
    EngineModule,
    GateArray,
    MacArray,
    OutputQueue,
    ScaledSum,
    WeightRom,
    array_delay,
    queue_depth,
)
from codesign.machine.packing import DSP_MIN_PRODUCT_BITS, is_packed, weight_words
from codesign.machine.pools import PoolArray, RunningPool
from codesign.machine.scales import Requantize, Scale
from codesign.machine.whole import whole_module
from codesign.ops.add import Add
from codesign.ops.arrays import Bool, Int, ceil_div, ceil_log2, largest
from codesign.ops.conv import Conv
from codesign.ops.gate import Gate
from codesign.ops.node import Operation, Windowed
from codesign.ops.pool import Pool, PoolOp
from codesign.ops.requantize import Rounding, Scaling, output_offset, signed_bits


@overload
def input_lanes(node: Operation, engine: LineEngine) -> int: ...
@overload
def input_lanes(node: Operation, engine: Lanes) -> Int: ...
def input_lanes(node: Operation, engine: Lanes) -> Int:
    """Return the channels in one word that the engine reads: SIMD, or PE where channels do not mix."""
    return engine.simd if node.mixes else engine.pe


@overload
def input_fold(node: Operation, engine: LineEngine) -> int: ...
@overload
def input_fold(node: Operation, engine: Lanes) -> Int: ...
def input_fold(node: Operation, engine: Lanes) -> Int:
    """Return the words of one input pixel: ceil(C/SIMD), or ceil(C/PE) where channels do not mix."""
    return ceil_div(node.ishape.c, input_lanes(node, engine))


@overload
def reduction_steps(node: Operation, engine: LineEngine) -> int: ...
@overload
def reduction_steps(node: Operation, engine: Lanes) -> Int: ...
def reduction_steps(node: Operation, engine: Lanes) -> Int:
    """Return the cycles after which PE results are complete: FY / taps * FX * ceil(C/G / SIMD).

    A pooling whose pixels come in order does the words of a pixel in turn. So its first results are complete at the
    first word of the last pixel.
    """
    if isinstance(node, Pool) and node.in_order:
        return (window_pixels(node) - 1) * input_fold(node, engine) + 1
    return steps_at(node, engine.simd, engine.taps)


def steps_at(node: Operation, simd: Int, taps: Int = 1) -> Int:
    """Return the reduction steps of engines with those SIMD and taps."""
    return node.window.fy // taps * node.window.fx * ceil_div(node.reduced_channels, simd)


@overload
def results_apart(node: Operation, pe: int, steps: int) -> int: ...
@overload
def results_apart(node: Operation, pe: Int, steps: Int) -> Int: ...
def results_apart(node: Operation, pe: Int, steps: Int) -> Int:
    """Return the least cycles from PE results to the next, of an engine with these reduction steps.

    A pooling whose pixels come in order completes the words of a pixel in a row.
    """
    if isinstance(node, Pool) and node.in_order:
        return 1 + (pe >= node.oshape.c) * (window_pixels(node) - 1)
    return steps


def window_pixels(node: Pool) -> int:
    """Return the pixels of a window, of a pooling whose windows share none and leave none out."""
    return node.ishape.y * node.ishape.x // (node.oshape.y * node.oshape.x)


@overload
def compute_cycles(node: Operation, engine: LineEngine) -> int: ...
@overload
def compute_cycles(node: Operation, engine: Lanes) -> Int: ...
def compute_cycles(node: Operation, engine: Lanes) -> Int:
    """Return the array's cycles for one image: OY * OX * ceil(K/PE) times the steps of a reduction.

    A pooling whose pixels come in order takes as many as there are words.
    """
    if isinstance(node, Pool) and node.in_order:
        return words_in(node, engine)
    out = node.oshape
    return out.y * out.x * ceil_div(out.c, engine.pe) * reduction_steps(node, engine)


@overload
def words_in(node: Operation, engine: LineEngine) -> int: ...
@overload
def words_in(node: Operation, engine: Lanes) -> Int: ...
def words_in(node: Operation, engine: Lanes) -> Int:
    """Return the input words of one image, per input."""
    return node.ishape.y * node.ishape.x * input_fold(node, engine)


@overload
def words_out(node: Operation, engine: LineEngine) -> int: ...
@overload
def words_out(node: Operation, engine: Lanes) -> Int: ...
def words_out(node: Operation, engine: Lanes) -> Int:
    """Return the output words of one image."""
    return node.oshape.y * node.oshape.x * ceil_div(node.oshape.c, engine.emit)


@overload
def node_interval(node: Operation, engine: LineEngine) -> int: ...
@overload
def node_interval(node: Operation, engine: Lanes) -> Int: ...
def node_interval(node: Operation, engine: Lanes) -> Int:
    """Return the cycles between images of one engine in steady state: max(compute, words in, words out)."""
    return largest(compute_cycles(node, engine), words_in(node, engine), words_out(node, engine))


def emit_lanes(node: Operation, pe: int, simd: int, taps: int = 1) -> int:
    """Return the narrowest output word that carries PE results away before the next are complete; it divides PE."""
    steps = results_apart(node, pe, int(steps_at(node, simd, taps)))
    return next(lanes for lanes in range(1, pe + 1) if pe % lanes == 0 and pe // lanes <= steps)


@overload
def is_streaming(node: Operation, engine: LineEngine) -> bool: ...
@overload
def is_streaming(node: Operation, engine: Lanes) -> Bool: ...
def is_streaming(node: Operation, engine: Lanes) -> Bool:
    """Return whether the engine reads every input word once and in order, and so needs no line buffer."""
    return (engine.pe >= node.oshape.c) & node.in_order | node.passes


def tap_choices(node: Operation) -> tuple[int, ...]:
    """Return the taps that an engine of the node may have: 1, and where it can hold them apart, all rows of a window.

    An engine that streams has 1, whatever its node.
    """
    window = node.window
    many = isinstance(node, Conv) and window.fy > 1 and window.dilation_y == 1
    return (1, window.fy) if many else (1,)


@overload
def row_words(node: Operation, engine: LineEngine) -> int: ...
@overload
def row_words(node: Operation, engine: Lanes) -> Int: ...
def row_words(node: Operation, engine: Lanes) -> Int:
    """Return the words of one row of the input."""
    return node.ishape.x * input_fold(node, engine)


@overload
def group_walk(node: Operation, engine: LineEngine) -> tuple[int, int]: ...
@overload
def group_walk(node: Operation, engine: Lanes) -> tuple[Int, Int]: ...
def group_walk(node: Operation, engine: Lanes) -> tuple[Int, Int]:
    """Return the words of a pixel in one group of channels, and the passes over them; 1, 1 where none mix."""
    if not node.mixes:
        return 1, 1
    assert isinstance(node, Conv)
    return ceil_div(node.c_per_group, engine.simd), ceil_div(node.k_per_group, engine.pe)


def line_modules(node: Operation, engine: Choices) -> tuple[EngineModule, ...]:
    """Return the modules of the engine in the order of the data flow; a memory comes before what it feeds."""
    match node:
        case Conv():
            return _conv_modules(node, engine)
        case Pool():
            return _pool_modules(node, engine)
        case Add():
            scale = _scale(node, 1, factor_bits=0, general=False)
            bits = max(itype.bits for itype in node.itypes)
            return (ScaledSum(pe=engine.pe, multipliers=node.multipliers, bits=bits, scale=scale),)
        case Gate():
            return (_gate(node, engine),)
        case whole:
            return (whole_module(whole, engine, input_fold(whole, engine)),)


def can_use_dsp(node: Operation) -> bool:
    """Return whether the engine multiplies two operands that together are wide enough for a DSP."""
    match node:
        case Conv():
            return operand_bits(node) + node.wtype.bits >= DSP_MIN_PRODUCT_BITS
        case Gate():
            return sum(itype.bits + (not itype.signed) for itype in node.itypes) >= DSP_MIN_PRODUCT_BITS
    return False


def operand_bits(node: Conv) -> int:
    """Return the width of an activation as a signed operand."""
    return node.itype.bits + (0 if node.itype.signed else 1)


def sum_bits(node: Conv | Pool | Add | Gate, largest_multiplier: int) -> int:
    """Return the signed width of a sum times the multiplier, and what rounding and zero points add to it."""
    bound, added, offset = 1 << (node.sum_bits - 1), 0, output_offset(node.rule, node.shift)
    match node:
        case Conv():
            bound <<= node.bias_fraction
        case Pool() | Add():
            added = node.added
        case Gate():
            pass
    low, high = min(added, 0) - bound, max(added, 0) + bound - 1
    return signed_bits(low * largest_multiplier + min(offset, 0), high * largest_multiplier + max(offset, 0))


def _conv_modules(node: Conv, engine: Choices) -> tuple[EngineModule, ...]:
    pe, operands, emit = engine.pe, engine.simd * engine.taps, engine.emit
    words = weight_words(node, engine)
    scale, outputs = _conv_scale(node), ceil_div(node.k, emit)
    in_dsp, packed = engine.dsp & can_use_dsp(node) & (words > 1), is_packed(node, engine)
    in_bram = engine.weight_bram & (words > SHALLOW_ROM)
    feed = _feed(node, engine, in_bram)
    rom = WeightRom(
        word_bits=pe * operands * node.wtype.bits,
        depth=words,
        block_ram=in_bram,
        late=feed.late,
        feeds_dsp=in_dsp,
        feeds_packed=packed,
    )
    array = MacArray(
        pe=pe,
        simd=operands,
        channelwise=not node.mixes,
        x_bits=operand_bits(node),
        w_bits=node.wtype.bits,
        acc_bits=node.acc_bits,
        in_dsp=in_dsp,
        constant=words == 1,
        packed=packed,
        x_signed=node.itype.signed,
    )
    return _queued(
        node,
        engine,
        feed,
        rom,
        array,
        Collector(pe=pe, emit=emit, channels=node.k, bits=node.acc_bits),
        ChannelRom(word_bits=emit * (scale.factor_bits + scale.sum_bits), depth=outputs),
        Requantize(lanes=emit, scale=scale, constant=outputs == 1),
    )


def _pool_modules(node: Pool, engine: Choices) -> tuple[EngineModule, ...]:
    if node.in_order:
        return _running_modules(node.without_padding, engine)
    average, feed = node.op is PoolOp.AVERAGE, _feed(node, engine, False)
    bits = node.acc_bits if average else node.itype.bits
    has_floor = node.itype.signed and not average and feed.has_padding
    scale, counts = _pool_scale(node), node.window.positions + 1 if node.by_count else 0
    array = PoolArray(
        pe=engine.pe,
        average=average,
        x_bits=node.itype.bits,
        acc_bits=bits,
        has_floor=has_floor,
        counts=counts,
        held=engine.emit < engine.pe,
        constant_bits=scale.factor_bits + scale.sum_bits,
    )
    collector = Collector(pe=engine.pe, emit=engine.emit, channels=node.oshape.c, bits=bits)
    if not average:
        return _queued(node, engine, feed, array, collector)
    requantize = Requantize(lanes=engine.emit, scale=scale, constant=not counts)
    return _queued(node, engine, feed, array, collector, requantize)


def _running_modules(node: Pool, engine: Choices) -> tuple[EngineModule, ...]:
    average = node.op is PoolOp.AVERAGE
    bits = node.acc_bits if average else node.itype.bits
    pool = RunningPool(
        pe=engine.pe,
        average=average,
        signed=node.itype.signed,
        x_bits=node.itype.bits,
        bits=bits,
        pixels=window_pixels(node),
        fold=input_fold(node, engine),
        block_ram=engine.buffer_bram,
    )
    collector = Collector(pe=engine.pe, emit=engine.emit, channels=node.oshape.c, bits=bits)
    if not average:
        return _queued(node, engine, pool, collector)
    return _queued(node, engine, pool, collector, Requantize(lanes=engine.emit, scale=_pool_scale(node), constant=True))


def _queued(node: Windowed, engine: Choices, *modules: ArrayModule) -> tuple[EngineModule, ...]:
    """Return the modules and the output queue behind them."""
    pe, emit, channels = engine.pe, engine.emit, node.oshape.c
    queue = OutputQueue(pe=pe, emit=emit, channels=channels, word_bits=emit * node.otype.bits, depth=2)
    apart = results_apart(node, pe, reduction_steps(node, engine))
    depth = queue_depth(queue.most, apart, array_delay((*modules, queue)))
    if isinstance(node, Pool) and node.in_order:
        # Results of all words of a pixel come in a row; a consumer of narrower words takes them later.
        depth = largest(depth, 1 << (engine.pe > 1) * (window_pixels(node) > 1) * ceil_log2(ceil_div(channels, pe)))
    return (*modules, replace(queue, depth=depth))


def _gate(node: Gate, engine: Choices) -> GateArray:
    scale = _gate_scale(node)
    a, b = ((itype.bits, itype.signed) for itype in node.itypes)
    return GateArray(
        pe=engine.pe,
        fold=input_fold(node, engine),
        repeat=node.repeat,
        types=(a, b),
        in_dsp=engine.dsp & can_use_dsp(node),
        scale=scale,
        factor=node.multiplier if scale.general else node.multiplier.bit_length() - 1,
    )


def _feed(node: Windowed, engine: Choices, weights_late: Bool) -> Feed:
    inner, passes = group_walk(node, engine)
    streams = is_streaming(node, engine)
    return Feed(
        window=node.window,
        ishape=node.ishape,
        oshape=node.oshape,
        fold=input_fold(node, engine),
        inner=inner,
        passes=passes,
        word_bits=input_lanes(node, engine) * node.itype.bits,
        depth=engine.buffer_words,
        block_ram=engine.buffer_bram,
        streams=streams,
        late=weights_late | (engine.buffer_bram & (streams ^ True) & (engine.taps == 1)),
        taps=engine.taps,
    )


def _conv_scale(node: Conv) -> Scale:
    """Return the requantizer of a convolution. Of general factors only the width is known: the largest is assumed."""
    match node.scaling:
        case Scaling.SHIFT:
            return _scale(node, 1, factor_bits=0, general=False)
        case Scaling.POWER_OF_TWO:
            exponent = node.multiplier_bits - 1
            bits = max(1, exponent.bit_length())
            return _scale(node, 1 << exponent, factor_bits=bits, general=False)
        case Scaling.GENERAL:
            bits = node.multiplier_bits
            return _scale(node, (1 << bits) - 1, factor_bits=bits, general=True)


def _pool_scale(node: Pool) -> Scale:
    """Return the requantizer of an average pooling; a single factor that is a power of two is part of the wiring."""
    largest = node.largest_multiplier
    general = bool(node.by_count) or largest & (largest - 1) != 0
    return _scale(node, largest, factor_bits=largest.bit_length() if general else 0, general=general)


def _gate_scale(node: Gate) -> Scale:
    """Return the requantizer of a gate; a factor that is a power of two is part of the wiring."""
    general = node.multiplier & (node.multiplier - 1) != 0
    return _scale(node, node.multiplier, factor_bits=node.multiplier.bit_length() if general else 0, general=general)


def _scale(node: Conv | Pool | Add | Gate, factor: int, *, factor_bits: int, general: bool) -> Scale:
    otype, rule = node.otype, node.rule
    return Scale(
        acc_bits=node.acc_bits,
        factor_bits=factor_bits,
        general=general,
        sum_bits=sum_bits(node, factor),
        shift=node.shift,
        out_bits=otype.bits,
        out_signed=otype.signed,
        fraction=node.bias_fraction if isinstance(node, Conv) else 0,
        ties=rule.rounding is Rounding.HALF_EVEN and node.shift > 0,
        bounded=rule.limits(otype) != (otype.qmin, otype.qmax),
    )
