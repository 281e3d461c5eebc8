"""Constants of the HLS kernels: what each kernel's `Cfg` must supply, from a node and its engine."""

from dataclasses import dataclass

from codesign.emit.port import Port
from codesign.emit.tables import Scaled, Table, multiplies
from codesign.ir.design import LineEngine, Multiplier
from codesign.machine.elaborate import Unit
from codesign.machine.kinds import Whole
from codesign.machine.line import (
    compute_cycles,
    group_walk,
    input_fold,
    input_lanes,
    is_streaming,
    row_words,
    words_in,
)
from codesign.machine.packing import is_packed, packing_parameters
from codesign.ops.add import Add
from codesign.ops.arrays import ceil_div
from codesign.ops.conv import Conv
from codesign.ops.node import Operation, Windowed
from codesign.ops.pool import Pool, PoolOp
from codesign.ops.requantize import Rounding

_ROUNDING = {Rounding.HALF_UP: 0, Rounding.HALF_EVEN: 1, Rounding.FLOOR: 2, Rounding.CEIL: 3}
MAX_TRIPS = (1 << 31) - 1  # of a loop, as told to synthesis for its report; slow engines take more

Fields = tuple[tuple[str, int | bool], ...]


@dataclass(frozen=True, slots=True)
class Config:
    """A C++ struct of constants."""

    name: str
    title: str
    fields: Fields


def engine_config(unit: Unit, tables: tuple[Table, ...]) -> Config:
    """Return the struct of one engine: its kernel's constants, and those of its output words."""
    node = unit.node
    title = f"{type(node).__name__} {node.ishape} -> {node.oshape}"
    return Config(f"{unit.engine.name}_cfg", title, _fields(unit, tables))


def _fields(unit: Unit, tables: tuple[Table, ...]) -> Fields:
    node, engine = unit.node, unit.engine
    match unit.modules:
        case (Whole() as whole,):
            own = tuple((name, value) for name, value in whole.parameters.items() if not isinstance(value, tuple))
            return own + output_fields(node, engine)
    match node:
        case Conv() | Pool():
            return window_fields(node, engine) + emit_fields(node, engine, tables)
        case Add():
            return add_fields(node, engine) + emit_fields(node, engine, tables)
        case _:
            raise AssertionError(f"{node.name}: an engine of several modules has its constants here")


def output_fields(node: Operation, engine: LineEngine) -> Fields:
    """Return the constants of an engine's output words."""
    return (
        ("EMIT", engine.emit),
        ("K", node.oshape.c),
        ("OY", node.oshape.y),
        ("OX", node.oshape.x),
        ("PIXELS", node.oshape.y * node.oshape.x),
        ("OUT_PIXEL_WORDS", ceil_div(node.oshape.c, engine.emit)),
        ("OBITS", node.otype.bits),
        ("OSIGNED", node.otype.signed),
    )


def window_fields(node: Windowed, engine: LineEngine) -> Fields:
    """Return the constants of line_buffer.hpp and of the kernel behind it."""
    window, shape, out = node.window, node.ishape, node.oshape
    inner, passes = group_walk(node, engine)
    maximum = isinstance(node, Pool) and node.op is PoolOp.MAX
    fields: Fields = (
        ("IY", shape.y),
        ("IX", shape.x),
        ("OY", out.y),
        ("OX", out.x),
        ("FY", window.fy),
        ("FX", window.fx),
        ("STRIDE_Y", window.stride_y),
        ("STRIDE_X", window.stride_x),
        ("DILATION_Y", window.dilation_y),
        ("DILATION_X", window.dilation_x),
        ("PAD_TOP", window.pad_top),
        ("PAD_LEFT", window.pad_left),
        ("LANES", input_lanes(node, engine)),
        ("PIXEL_WORDS", input_fold(node, engine)),
        ("INNER", inner),
        ("PASSES", passes),
        ("STREAMING", is_streaming(node, engine)),
        ("BUFFER_WORDS", _buffer_words(node, engine)),
        ("IBITS", node.itype.bits),
        ("ISIGNED", node.itype.signed),
        ("FILL", node.itype.qmin if maximum else node.zero_in),
        ("STEPS", min(compute_cycles(node, engine), MAX_TRIPS)),
    )
    if isinstance(node, Pool):
        return (*fields, ("MAXIMUM", maximum))
    words = compute_cycles(node, engine) // (out.y * out.x)
    rows: Fields = (("TAPS", engine.taps),)
    rows += (("BANKS", engine.buffer_words // row_words(node, engine)),) if engine.taps > 1 else ()
    fields = (*fields, *rows, ("WBITS", node.wtype.bits), ("WEIGHT_WORDS", words))
    if is_packed(node, engine):
        return (*fields, *packing_parameters(node, engine).items())
    return (*fields, ("USE_DSP", engine.multiplier is Multiplier.DSP))


def _buffer_words(node: Windowed, engine: LineEngine) -> int:
    """Return the words of the memory in front of the arithmetic, or of running results beside it."""
    if isinstance(node, Pool) and node.in_order:
        return input_fold(node, engine)
    return 1 if is_streaming(node, engine) else engine.buffer_words


def add_fields(node: Add, engine: LineEngine) -> Fields:
    """Return the constants of add.hpp."""
    a, b = node.itypes
    return (
        ("OY", node.oshape.y),
        ("OX", node.oshape.x),
        ("WORDS", words_in(node, engine)),
        ("ABITS", a.bits),
        ("ASIGNED", a.signed),
        ("BBITS", b.bits),
        ("BSIGNED", b.signed),
        ("A_MULTIPLIER", node.multipliers[0]),
        ("B_MULTIPLIER", node.multipliers[1]),
    )


def emit_fields(node: Scaled, engine: LineEngine, tables: tuple[Table, ...]) -> Fields:
    """Return the constants of requantize.hpp."""
    bias, multiplier = (next(t for t in tables if t.name == name) for name in ("bias", "multiplier"))
    largest = int(multiplier.values.max())
    factor_bits = multiplier.bits if multiplies(node) else largest
    fraction = node.bias_fraction if isinstance(node, Conv) else 0
    zero_bits = abs(node.rule.zero).bit_length()
    lowest, highest = node.rule.limits(node.otype)
    return (
        ("PE", engine.pe),
        ("EMIT", engine.emit),
        ("K", node.oshape.c),
        ("PIXELS", node.oshape.y * node.oshape.x),
        ("OUT_PIXEL_WORDS", ceil_div(node.oshape.c, engine.emit)),
        ("SUM_BITS", node.sum_bits),
        ("BIAS_BITS", bias.bits),
        ("BIAS_WORDS", bias.words),
        ("MULTIPLY", multiplies(node)),
        ("MULTIPLIER_BITS", multiplier.bits),
        ("MULTIPLIER_WORDS", multiplier.words),
        ("COUNTED", isinstance(node, Pool) and bool(node.by_count)),
        ("PRODUCT_BITS", max(node.acc_bits + fraction + factor_bits, node.shift, zero_bits) + 2),
        ("BIAS_FRACTION", fraction),
        ("SHIFT", node.shift),
        ("ROUNDING", _ROUNDING[node.rule.rounding]),
        ("ZERO", node.rule.zero),
        ("LOWEST", lowest),
        ("HIGHEST", highest),
        ("OBITS", node.otype.bits),
        ("OSIGNED", node.otype.signed),
    )


def port_config(name: str, title: str, port: Port) -> Config:
    """Return the struct of one AXI-Stream."""
    fields: Fields = (
        ("ELEMENTS", port.shape.elements),
        ("Y", port.shape.y),
        ("X", port.shape.x),
        ("C", port.shape.c),
        ("BITS", port.bits),
        ("SIGNED", port.signed),
        ("CONTAINER", port.container_bits),
        ("LANES", port.lanes),
        ("WORDS", port.words),
        ("TAIL", port.shape.elements - (port.words - 1) * port.lanes),
    )
    return Config(name, title, fields)
