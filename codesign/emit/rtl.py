"""Renders a design as a SystemVerilog project: the top level, its memory contents and the simulation's test bench.

The modules themselves are plain SystemVerilog and are copied as they are; this file only chooses their parameters and
joins their streams.

Long because every kind of module has a row of parameters here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from codesign.data import folder
from codesign.emit.environment import render
from codesign.emit.identity import design_hash
from codesign.emit.port import output_names
from codesign.emit.registers import ADDRESS_BITS
from codesign.emit.rtl_ports import clock_ports, rtl_ports, sink_ports, sinks_ports, source_ports
from codesign.emit.rtl_words import channel_words, factor, factor_bits, table_file, table_files, weight_words
from codesign.ir.board import Board
from codesign.ir.design import Design, LineEngine, Memory, Multiplier
from codesign.ir.graph import Graph
from codesign.ir.project import Project
from codesign.ir.strict import to_plain
from codesign.machine.converters import Converter
from codesign.machine.elaborate import Instance, Machine, Unit, elaborate
from codesign.machine.feeds import Feed
from codesign.machine.kinds import Whole
from codesign.machine.legal import check_design
from codesign.machine.line import is_streaming, node_interval, sum_bits
from codesign.machine.modules import (
    Control,
    Fifo,
    Fork,
    OutputEnds,
    OutputQueue,
    ScaledSum,
)
from codesign.machine.names import ENGINES_FILE, engine_names, rtl_instance
from codesign.machine.packing import packing_parameters
from codesign.machine.scales import Requantize
from codesign.ops.add import Add
from codesign.ops.arrays import Int, IntArray
from codesign.ops.conv import Conv
from codesign.ops.node import Windowed
from codesign.ops.pool import Pool, PoolOp
from codesign.ops.qtype import QType
from codesign.ops.requantize import HALF_UP, Rounding, Scaling, output_offset, signed_bits

ENDS_LATE = 2  # cycles by which output_ends.sv reports images late
MIN_PATIENCE = 200_000  # cycles; random stalls at the ends never last so long

_SCALING = {Scaling.SHIFT: 0, Scaling.POWER_OF_TWO: 1, Scaling.GENERAL: 2}


@dataclass(frozen=True, slots=True)
class Long:
    """An integer of 64 bits."""

    value: int


Value = int | Long | str | bool | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stream:
    """The wires of one valid/ready stream."""

    name: str
    bits: int


@dataclass(frozen=True, slots=True)
class ModuleText:
    """One module instance of the top level, as text."""

    module: str
    name: str
    parameters: tuple[tuple[str, str], ...]
    ports: tuple[tuple[str, str], ...]


def render_rtl(graph: Graph, design: Design, board: Board, x: IntArray, y: IntArray) -> Project:
    """Render the files below `rtl/`: accel.sv, modules/, data/ (memory contents), tb/ (test bench with x and y as its
    data).

    x[N,IY,IX,C] are input images, y[N,OY,OX,K] what the golden model makes of them; see golden.run_joined. The same
    arguments give the same project digest.
    """
    check_design(design, graph)
    machine = elaborate(graph, design)
    ports = rtl_ports(graph, design, machine)
    values: Mapping[str, object] = {
        "digest": f"{design_hash(graph, design):016x}",
        "streams": [Stream(channel.name, channel.word_bits) for channel in machine.channels.values()],
        "instances": _instances(machine, graph, design),
        "io": ports,
        "patience": _patience(machine, graph),
        "settle": _settle(machine),
    }
    files: dict[str, str | bytes] = {"rtl/accel.sv": render("rtl/project/accel.sv.j2", values)}
    files["rtl/tb/config.hpp"] = render("rtl/project/config.hpp.j2", {**values, **_entry(graph, design)})
    modules = sorted((folder("templates") / "rtl" / "modules").glob("*.sv"))
    files |= {f"rtl/modules/{path.name}": path.read_text() for path in modules}
    files["rtl/tb/tb.cpp"] = (folder("templates") / "rtl" / "tb" / "tb.cpp").read_text()
    files["rtl/tb/data/input.dat"] = _rows(x)
    files["rtl/tb/data/golden.dat"] = _rows(y)
    names = engine_names(machine)
    files[ENGINES_FILE] = json.dumps([to_plain(n) for n in names], indent=1) + "\n"
    for unit in machine.units:
        if isinstance(unit.node, Conv):
            files[f"rtl/{_weight_file(unit.engine)}"] = weight_words(unit.node, unit.engine, graph.params)
            files[f"rtl/{_channel_file(unit.engine)}"] = channel_words(unit.node, unit.engine, graph.params)
        files |= table_files(unit, graph.params)
    return Project(files)


def _entry(graph: Graph, design: Design) -> dict[str, object]:
    """Return what the test bench must know of the input beside its port."""
    return {"elements": graph.input.shape.elements, "design": design}


def _settle(machine: Machine) -> int:
    """Return the cycles after reset in which every engine has taken the steps of the padding before its first word."""
    feeds = [m for unit in machine.units for m in unit.modules if isinstance(m, Feed) and not m.streams]
    return max([0, *(int(feed.walk().step[0]) for feed in feeds)]) + 1


def _patience(machine: Machine, graph: Graph) -> int:
    """Return the cycles of silence at both ends after which the machine is stuck: twice what engines in turn need."""
    engines = sum(node_interval(unit.node, unit.engine) for unit in machine.units)
    ends = sum(node.oshape.elements for node in (graph.input, *graph.output_nodes))
    return max(MIN_PATIENCE, 2 * (engines + ends))


def _rows(values: IntArray) -> str:
    """Return one line of decimal integers per image."""
    return "".join(" ".join(map(str, image)) + "\n" for image in values.reshape(len(values), -1).tolist())


def _instances(machine: Machine, graph: Graph, design: Design) -> list[ModuleText]:
    """Return the control block, then every instance in the order of the data flow."""
    names = output_names(graph)
    first = [_control(machine.control, design_hash(graph, design), names)]
    first += [] if machine.ends is None else [_ends(machine.ends, names)]
    return first + [_text(i, graph) for i in machine.instances]


def _text(instance: Instance, graph: Graph) -> ModuleText:
    ins, outs = instance.inputs, instance.outputs
    ports = clock_ports()
    values: dict[str, Value]
    match instance.block:
        case Converter() as c:
            module, ports = "width_converter", ports + sink_ports(ins[0]) + source_ports(outs[0])
            values = {"BITS": c.bits, "IN_LANES": _int(c.lanes_in), "IN_PACKET": c.packet_in}
            values |= {"OUT_LANES": _int(c.lanes_out), "OUT_PACKET": c.packet_out}
        case Fifo() as f:
            module, ports = "stream_fifo", ports + sink_ports(ins[0]) + source_ports(outs[0])
            values = {"WORD_BITS": _int(f.word_bits), "DEPTH": _int(f.depth), "BLOCK_RAM": bool(f.block_ram)}
        case Fork(word_bits=bits):
            module, values = "stream_fork", {"WORD_BITS": bits}
            ports += sink_ports(ins[0]) + source_ports(outs[0], "a_") + source_ports(outs[1], "b_")
        case Unit(modules=(Whole() as whole,)):
            module, values, ports = whole.name, {**whole.parameters}, ports + sinks_ports(ins) + source_ports(outs[0])
            values |= {"FILE": table_file(instance.block.engine)} if whole.tables else {}
        case Unit() as unit:
            module, values = _engine(unit, graph.params)
            sides = ("a_", "b_") if len(ins) == 2 else ("",)
            for name, side in zip(ins, sides, strict=True):
                ports += sink_ports(name, side)
            ports += source_ports(outs[0])
    return ModuleText(module, rtl_instance(instance.name), _parameters(values), tuple(ports))


def _engine(unit: Unit, params: Mapping[str, IntArray]) -> tuple[str, dict[str, Value]]:
    """Return the module of an engine, and its parameters."""
    match unit.node:
        case Conv() as node:
            return "conv_engine", _conv_values(node, unit.engine, params) | _queue_values(unit) | _cut_values(unit)
        case Pool() as node:
            return "pool_engine", _pool_values(node, unit.engine) | _queue_values(unit) | _cut_values(unit)
        case Add() as node:
            return "scaled_sum", _add_values(node, unit.engine) | _cut_values(unit)
        case other:
            raise AssertionError(f"{other.name}: an engine of several modules has its parameters here")


def _queue_values(unit: Unit) -> dict[str, Value]:
    (queue,) = (module for module in unit.modules if isinstance(module, OutputQueue))
    return {"QUEUE_DEPTH": _int(queue.depth)}


def _cut_values(unit: Unit) -> dict[str, Value]:
    """Return whether the engine's requantizer adds in two halves, if it does."""
    cut = any(module.scale.cut for module in unit.modules if isinstance(module, Requantize | ScaledSum))
    return _differing({"CUT": (cut, False)})


def _int(value: Int) -> int:
    assert isinstance(value, int)
    return value


def _conv_values(node: Conv, engine: LineEngine, params: Mapping[str, IntArray]) -> dict[str, Value]:
    largest = int(params[f"{node.name}.multiplier"].max())
    return {
        "C": node.ishape.c,
        "K": node.k,
        **_window_values(node, engine),
        "GROUPS": node.groups,
        "DEPTHWISE": node.depthwise,
        "SIMD": engine.simd,
        "BLOCK_ROM": engine.weight_memory is Memory.BRAM,
        "USE_DSP": engine.multiplier is Multiplier.DSP,
        **packing_parameters(node, engine),
        "X_BITS": node.itype.bits,
        "X_SIGNED": node.itype.signed,
        "W_BITS": node.wtype.bits,
        "ACC_BITS": node.acc_bits,
        "SCALING": _SCALING[node.scaling],
        "MULTIPLIER_BITS": factor_bits(node),
        "SUM_BITS": sum_bits(node, largest),
        "SHIFT": node.shift,
        "OUT_BITS": node.otype.bits,
        "OUT_SIGNED": node.otype.signed,
        **_differing({"FILL": (node.zero_in, 0), "BIAS_FRACTION": (node.bias_fraction, 0)}),
        **_rule_values(node),
        **_differing({"TAPS": (engine.taps, 1)}),
        "WEIGHT_FILE": _weight_file(engine),
        "CHANNEL_FILE": _channel_file(engine),
    }


def _pool_values(node: Pool, engine: LineEngine) -> dict[str, Value]:
    average = node.op is PoolOp.AVERAGE
    stored = factor(node.scaling, node.multiplier)
    return {
        "C": node.ishape.c,
        **_window_values(node, engine),
        "AVERAGE": average,
        "X_BITS": node.itype.bits,
        "X_SIGNED": node.itype.signed,
        "ACC_BITS": node.sum_bits,
        "SCALING": _SCALING[node.scaling],
        "MULTIPLIER_BITS": max(1, node.largest_multiplier.bit_length() if node.by_count else stored.bit_length()),
        "MULTIPLIER": stored,
        "SUM_BITS": sum_bits(node, node.largest_multiplier),
        "SHIFT": node.shift,
        "OUT_BITS": node.otype.bits,
        "OUT_SIGNED": node.otype.signed,
        **_differing({"FILL": (node.zero_in, 0)}),
        **_rule_values(node),
        **_count_values(node),
    }


def _count_values(node: Pool) -> dict[str, Value]:
    """Return what tells the constants of every count of positions inside the map, where that matters."""
    if not node.by_count:
        return {}
    table = tuple(node.multipliers.get(count, 0) for count in range(node.window.positions + 1))
    return {"COUNTS": len(table), "MULTIPLIERS": table, "ADDED": node.added}


def _window_values(node: Windowed, engine: LineEngine) -> dict[str, Value]:
    window, out = node.window, node.oshape
    return {
        "IY": node.ishape.y,
        "IX": node.ishape.x,
        "OY": out.y,
        "OX": out.x,
        "FY": window.fy,
        "FX": window.fx,
        "STRIDE_Y": window.stride_y,
        "STRIDE_X": window.stride_x,
        "PAD_TOP": window.pad_top,
        "PAD_LEFT": window.pad_left,
        **_differing({"DILATION_Y": (window.dilation_y, 1), "DILATION_X": (window.dilation_x, 1)}),
        "PE": engine.pe,
        "EMIT": engine.emit,
        "STREAMING": is_streaming(node, engine),
        "BUFFER_DEPTH": engine.buffer_words,
        "BLOCK_BUFFER": engine.buffer_memory is Memory.BRAM,
    }


def _add_values(node: Add, engine: LineEngine) -> dict[str, Value]:
    (a, b), (am, bm) = node.itypes, node.multipliers
    offset = node.added + output_offset(node.rule, node.shift)
    low, high = (sum(ends) for ends in zip(_products(a, am), _products(b, bm), strict=True))
    bits = signed_bits(min(low, low + offset), max(high, high + offset))
    return {
        "PE": engine.pe,
        "A_BITS": a.bits,
        "A_SIGNED": a.signed,
        "A_MULTIPLIER": am,
        "B_BITS": b.bits,
        "B_SIGNED": b.signed,
        "B_MULTIPLIER": bm,
        "SUM_BITS": max(bits, node.shift + 1, a.bits + 1, b.bits + 1),
        "SHIFT": node.shift,
        "OUT_BITS": node.otype.bits,
        "OUT_SIGNED": node.otype.signed,
        **_rule_values(node),
    }


def _products(itype: QType, multiplier: int) -> tuple[int, int]:
    """Return the least and the largest product of an input and its multiplier."""
    low, high = sorted((itype.qmin * multiplier, itype.qmax * multiplier))
    return low, high


def _rule_values(node: Conv | Pool | Add) -> dict[str, Value]:
    """Return the parameters of a requantizer that differ from its module's own; a Conv's offsets are in a memory."""
    rule, otype = node.rule, node.otype
    (low, high), usual = rule.limits(otype), output_offset(HALF_UP, node.shift)
    ties = 0 if rule.rounding is not Rounding.HALF_EVEN or node.shift == 0 else 2 if rule.zero % 2 else 1
    found: dict[str, tuple[Value, Value]] = {
        "TIES": (ties, 0),
        "LOWEST": (low, otype.qmin),
        "HIGHEST": (high, otype.qmax),
    }
    if isinstance(node, Conv):
        return _differing(found)
    times = 1
    if isinstance(node, Pool):
        times = 0 if node.by_count else node.multiplier
    offset = node.added * times + output_offset(rule, node.shift)
    return _differing(found | {"OFFSET": (Long(offset), Long(usual))})


def _differing(values: Mapping[str, tuple[Value, Value]]) -> dict[str, Value]:
    """Return the values that are not what the module takes by itself: of pairs of both."""
    return {name: value for name, (value, usual) in values.items() if value != usual}


def _ends(ends: OutputEnds, names: tuple[str, ...]) -> ModuleText:
    """Return what marks the ends of images on several outputs; in a vector, the first output is the lowest."""
    values: dict[str, Value] = {"OUTPUTS": len(ends.beats), "BEATS": ends.beats}
    beats = ", ".join(_beat(name) for name in reversed(names))
    lasts = ", ".join(f"{name}_tlast" for name in reversed(names))
    ports = (("beat_i", f"{{{beats}}}"), ("last_o", f"{{{lasts}}}"), ("image_o", "image_out"))
    return ModuleText("output_ends", rtl_instance("output_ends"), _parameters(values), (*clock_ports(), *ports))


def _beat(name: str) -> str:
    return f"{name}_tvalid && {name}_tready"


def _control(control: Control, number: int, names: tuple[str, ...]) -> ModuleText:
    """Return the control block; of several outputs it counts images, which output_ends tells."""
    values: dict[str, Value] = {
        "DESIGN_HASH": f"64'h{number:016x}",
        "BEATS_IN": control.beats_in,
        "BEATS_OUT": control.beats_out,
        "ADDRESS_BITS": ADDRESS_BITS,
        **_differing({"IN_LATE": (0 if len(names) == 1 else ENDS_LATE, 0)}),
    }
    axi = [f"{ch}{s}" for ch in ("aw", "ar") for s in ("addr", "valid", "ready")]
    axi += ["wdata", "wvalid", "wready", "bvalid", "bready", "rdata", "rvalid", "rready"]
    outs = {"awready", "arready", "wready", "bvalid", "rdata", "rvalid"}
    ports = [(f"{s}_{'o' if s in outs else 'i'}", f"s_axi_control_{s}") for s in axi]
    ports += [
        ("open_o", "open"),
        ("in_beat_i", _beat("s_axis")),
        ("out_beat_i", _beat(names[0]) if len(names) == 1 else "image_out"),
        ("out_last_o", f"{names[0]}_tlast" if len(names) == 1 else "image_last"),
    ]
    return ModuleText(
        "accel_control", rtl_instance("control"), _parameters(values, quote=False), (*clock_ports(), *ports)
    )


def _parameters(values: Mapping[str, Value], *, quote: bool = True) -> tuple[tuple[str, str], ...]:
    return tuple((name, literal(value, quote=quote)) for name, value in values.items())


def literal(value: Value, *, quote: bool = True) -> str:
    """Return a parameter's value as SystemVerilog; a list becomes a packed vector, its first entry lowest."""
    if isinstance(value, bool):
        return "1'b1" if value else "1'b0"
    if isinstance(value, tuple):
        return "{" + ", ".join(f"32'd{entry}" for entry in reversed(value)) + "}"
    if isinstance(value, Long):
        return f"{'-' if value.value < 0 else ''}64'sd{abs(value.value)}"
    return f'"{value}"' if isinstance(value, str) and quote else str(value)


def _weight_file(engine: LineEngine) -> str:
    return f"data/{engine.name}_weights.hex"


def _channel_file(engine: LineEngine) -> str:
    return f"data/{engine.name}_channels.hex"
