"""Renders a design as a SystemVerilog project: the top level, its memory contents and the simulation's test bench.

The modules themselves are plain SystemVerilog and are copied as they are; this file only chooses their parameters and
joins their streams.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from codesign.data import folder
from codesign.emit.environment import render
from codesign.emit.identity import design_hash
from codesign.emit.port import Port, input_port, output_port
from codesign.emit.registers import ADDRESS_BITS
from codesign.emit.rtl_words import channel_words, factor, factor_bits, sum_bits, weight_words
from codesign.ir.board import Board
from codesign.ir.design import Design, LineEngine, Memory, Multiplier
from codesign.ir.graph import Graph, IntArray, signed_bits
from codesign.ir.nodes import Add, Conv, Input, Node, Pool, PoolOp, Scaling
from codesign.ir.project import Project
from codesign.model.latency import ceil_div, input_lanes, is_streaming, node_interval
from codesign.model.machine import walk_of

MIN_PATIENCE = 200_000  # cycles; random stalls at the ends never last so long

_SCALING = {Scaling.SHIFT: 0, Scaling.POWER_OF_TWO: 1, Scaling.GENERAL: 2}

Value = int | str | bool


@dataclass(frozen=True, slots=True)
class Stream:
    """The wires of one valid/ready stream."""

    name: str
    bits: int


@dataclass(frozen=True, slots=True)
class Instance:
    """One module instance of the top level."""

    module: str
    name: str
    parameters: tuple[tuple[str, str], ...]
    ports: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Lane:
    """One element of a beat: its bits in the stream's word and in the AXI-Stream's data."""

    low: int
    high: int
    axis_low: int
    axis_high: int
    axis_value_high: int
    extended: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Widths and lanes of the top level's ports."""

    in_bits: int
    out_bits: int
    in_container: int
    out_container: int
    in_stream: str
    out_stream: str
    in_lanes: tuple[Lane, ...]
    out_lanes: tuple[Lane, ...]
    address_bits: int = ADDRESS_BITS


def render_rtl(graph: Graph, design: Design, board: Board, x: IntArray, y: IntArray) -> Project:
    """Files below `rtl/`: accel.sv, modules/, data/ (memory contents), tb/ (test bench with x and y as its data).

    x[N,IY,IX,C] are input images, y[N,OY,OX,K] what the golden model makes of them. Mirrors are word for word: the
    same files give the same project digest.
    """
    design.check(graph)
    streams, instances = _top(graph, design)
    ports = _ports(graph, design)
    values: Mapping[str, object] = {
        "digest": f"{design_hash(graph, design):016x}",
        "streams": streams,
        "instances": instances,
        "io": ports,
        "patience": _patience(graph, design),
        "settle": _settle(graph, design),
    }
    files: dict[str, str | bytes] = {"rtl/accel.sv": render("rtl/project/accel.sv.j2", values)}
    files["rtl/tb/config.hpp"] = render("rtl/project/config.hpp.j2", {**values, "graph": graph, "design": design})
    modules = sorted((folder("templates") / "rtl" / "modules").glob("*.sv"))
    files |= {f"rtl/modules/{path.name}": path.read_text() for path in modules}
    files["rtl/tb/tb.cpp"] = (folder("templates") / "rtl" / "tb" / "tb.cpp").read_text()
    files["rtl/tb/data/input.dat"] = _rows(x)
    files["rtl/tb/data/golden.dat"] = _rows(y)
    for node in graph.nodes:
        if isinstance(node, Conv):
            engine = design.engine_of(node.name)
            files[f"rtl/{_weight_file(node)}"] = weight_words(node, engine, graph.params)
            files[f"rtl/{_channel_file(node)}"] = channel_words(node, engine, graph.params)
    return Project(files)


def _settle(graph: Graph, design: Design) -> int:
    """Cycles after reset in which every engine has taken the steps of the padding before its first word."""
    ahead = [0]
    for node in graph.nodes:
        if isinstance(node, Conv | Pool) and not is_streaming(node, design.engine_of(node.name)):
            ahead.append(int(walk_of(node, design.engine_of(node.name)).step[0]))
    return max(ahead) + 1


def _patience(graph: Graph, design: Design) -> int:
    """Cycles of silence at both ends after which the machine is stuck: twice what engines in turn need for an image."""
    engines = sum(node_interval(n, design.engine_of(n.name)) for n in graph.nodes if not isinstance(n, Input))
    return max(MIN_PATIENCE, 2 * (engines + graph.input.shape.elements + graph.output.oshape.elements))


def _rows(values: IntArray) -> str:
    """One line of decimal integers per image."""
    return "".join(" ".join(map(str, image)) + "\n" for image in values.reshape(len(values), -1).tolist())


def _top(graph: Graph, design: Design) -> tuple[list[Stream], list[Instance]]:
    streams: list[Stream] = []
    instances = [_control(graph, design)]
    emitted = {graph.input.name: (design.input_lanes, graph.input.shape.elements)}
    for node in graph.nodes:
        if not isinstance(node, Input):
            emitted[node.name] = (design.engine_of(node.name).emit, node.oshape.c)
    for node in graph.nodes:
        if not isinstance(node, Input):
            engine = design.engine_of(node.name)
            ins: list[str] = []
            for index, source in enumerate(node.inputs):
                lanes = input_lanes(node, engine)
                name = f"in{index}_{node.name}"
                bits = graph.node(source).otype.bits
                streams.append(Stream(name, lanes * bits))
                tap = _tap(graph, source, node.name, index)
                instances.append(_converter(name, tap, bits, emitted[source], (lanes, node.ishape.c)))
                if isinstance(node, Add):
                    fifo = f"fifo{index}_{node.name}"
                    streams.append(Stream(fifo, lanes * bits))
                    instances.append(_fifo(fifo, name, lanes * bits, design.fifo_depth(node.name, index)))
                    name = fifo
                ins.append(name)
            instances.append(_engine(node, engine, ins, graph))
        lanes, _ = emitted[node.name]
        streams.append(Stream(_stream(node.name), lanes * node.otype.bits))
        instances.extend(_forks(graph, node, lanes * node.otype.bits, streams))
    out = graph.output
    streams.append(Stream("result", design.output_lanes * out.otype.bits))
    instances.append(
        _converter(
            "result", _stream(out.name), out.otype.bits, emitted[out.name], (design.output_lanes, out.oshape.elements)
        )
    )
    return streams, instances


def _stream(node: str) -> str:
    """The stream of a node's output; its prefix keeps any node's name apart from all other names of the top level."""
    return f"node_{node}"


def _tap(graph: Graph, source: str, consumer: str, index: int) -> str:
    """The stream on which a consumer gets its copy of a source."""
    taps = [(n.name, i) for n, i in graph.consumers(source)]
    position = taps.index((consumer, index))
    return _stream(source) if len(taps) == 1 else f"tap{position}_{source}"


def _forks(graph: Graph, node: Node, bits: int, streams: list[Stream]) -> Iterator[Instance]:
    """A chain of forks, one fewer than the consumers."""
    taps = len(graph.consumers(node.name))
    source = _stream(node.name)
    for i in range(taps - 1):
        tap = f"tap{i}_{node.name}"
        rest = f"tap{i + 1}_{node.name}" if i == taps - 2 else f"rest{i}_{node.name}"
        streams += [Stream(tap, bits), Stream(rest, bits)]
        ports = (*_clock(), *_sink(source), *_source(tap, "a_"), *_source(rest, "b_"))
        yield Instance("stream_fork", f"u_{tap}", _parameters({"WORD_BITS": bits}), ports)
        source = rest


def _engine(node: Node, engine: LineEngine, ins: Sequence[str], graph: Graph) -> Instance:
    ports = _clock()
    match node:
        case Conv():
            module, values = "conv_engine", _conv_values(node, engine, graph.params)
        case Pool():
            module, values = "pool_engine", _pool_values(node, engine)
        case Add():
            module, values = "scaled_sum", _add_values(node, engine)
            ports += [*_sink(ins[0], "a_"), *_sink(ins[1], "b_")]
        case Input():
            raise AssertionError("the input has no engine")
    if not isinstance(node, Add):
        ports += _sink(ins[0])
    stream = _stream(node.name)
    return Instance(module, f"u_{stream}", _parameters(values), (*ports, *_source(stream)))


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
        "X_BITS": node.itype.bits,
        "X_SIGNED": node.itype.signed,
        "W_BITS": node.wtype.bits,
        "ACC_BITS": node.acc_bits,
        "SCALING": _SCALING[node.scaling],
        "MULTIPLIER_BITS": factor_bits(node),
        "SUM_BITS": sum_bits(node.acc_bits, largest, node.shift),
        "SHIFT": node.shift,
        "OUT_BITS": node.otype.bits,
        "OUT_SIGNED": node.otype.signed,
        "WEIGHT_FILE": _weight_file(node),
        "CHANNEL_FILE": _channel_file(node),
    }


def _pool_values(node: Pool, engine: LineEngine) -> dict[str, Value]:
    average = node.op is PoolOp.AVERAGE
    is_power = node.multiplier & (node.multiplier - 1) == 0
    scaling = Scaling.SHIFT if node.multiplier == 1 else Scaling.POWER_OF_TWO if is_power else Scaling.GENERAL
    stored = factor(scaling, node.multiplier)
    return {
        "C": node.ishape.c,
        **_window_values(node, engine),
        "AVERAGE": average,
        "X_BITS": node.itype.bits,
        "X_SIGNED": node.itype.signed,
        "ACC_BITS": node.sum_bits,
        "SCALING": _SCALING[scaling],
        "MULTIPLIER_BITS": max(1, stored.bit_length()),
        "MULTIPLIER": stored,
        "SUM_BITS": sum_bits(node.sum_bits, node.multiplier, node.shift),
        "SHIFT": node.shift,
        "OUT_BITS": node.otype.bits,
        "OUT_SIGNED": node.otype.signed,
    }


def _window_values(node: Conv | Pool, engine: LineEngine) -> dict[str, Value]:
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
        "PE": engine.pe,
        "EMIT": engine.emit,
        "STREAMING": is_streaming(node, engine),
        "BUFFER_DEPTH": engine.buffer_words,
        "BLOCK_BUFFER": engine.buffer_memory is Memory.BRAM,
    }


def _add_values(node: Add, engine: LineEngine) -> dict[str, Value]:
    (a, b), (am, bm) = node.itypes, node.multipliers
    half = (1 << node.shift) >> 1
    bits = signed_bits(a.qmin * am + b.qmin * bm, a.qmax * am + b.qmax * bm + half)
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
    }


def _converter(name: str, source: str, bits: int, given: tuple[int, int], wanted: tuple[int, int]) -> Instance:
    values: dict[str, Value] = {
        "BITS": bits,
        "IN_LANES": given[0],
        "IN_PACKET": given[1],
        "OUT_LANES": wanted[0],
        "OUT_PACKET": wanted[1],
    }
    ports = (*_clock(), *_sink(source), *_source(name))
    return Instance("width_converter", f"u_{name}", _parameters(values), ports)


def _fifo(name: str, source: str, bits: int, depth: int) -> Instance:
    values: dict[str, Value] = {"WORD_BITS": bits, "DEPTH": depth, "BLOCK_RAM": depth * bits > FIFO_LUTRAM_BITS}
    return Instance("stream_fifo", f"u_{name}", _parameters(values), (*_clock(), *_sink(source), *_source(name)))


FIFO_LUTRAM_BITS = 4096  # a larger FIFO goes to block RAM


def _control(graph: Graph, design: Design) -> Instance:
    values: dict[str, Value] = {
        "DESIGN_HASH": f"64'h{design_hash(graph, design):016x}",
        "BEATS_IN": ceil_div(graph.input.shape.elements, design.input_lanes),
        "BEATS_OUT": ceil_div(graph.output.oshape.elements, design.output_lanes),
        "ADDRESS_BITS": ADDRESS_BITS,
    }
    axi = [f"{ch}{s}" for ch in ("aw", "ar") for s in ("addr", "valid", "ready")]
    axi += ["wdata", "wvalid", "wready", "bvalid", "bready", "rdata", "rvalid", "rready"]
    outs = {"awready", "arready", "wready", "bvalid", "rdata", "rvalid"}
    ports = [(f"{s}_{'o' if s in outs else 'i'}", f"s_axi_control_{s}") for s in axi]
    ports += [
        ("open_o", "open"),
        ("in_beat_i", "s_axis_tvalid && s_axis_tready"),
        ("out_beat_i", "m_axis_tvalid && m_axis_tready"),
        ("out_last_o", "m_axis_tlast"),
    ]
    return Instance("accel_control", "u_control", _parameters(values, quote=False), (*_clock(), *ports))


def _ports(graph: Graph, design: Design) -> Ports:
    into, out = input_port(graph, design), output_port(graph, design)
    return Ports(
        in_bits=into.word_bits,
        out_bits=out.word_bits,
        in_container=into.container_bits,
        out_container=out.container_bits,
        in_stream=_stream(graph.input.name),
        out_stream="result",
        in_lanes=_lanes(into, _stream(graph.input.name)),
        out_lanes=_lanes(out, "result"),
    )


def _lanes(port: Port, stream: str) -> tuple[Lane, ...]:
    return tuple(_lane(i, port, stream) for i in range(port.lanes))


def _lane(index: int, port: Port, stream: str) -> Lane:
    bits, container = port.bits, port.container_bits
    low, axis_low = index * bits, index * container
    value = f"{stream}_data[{low + bits - 1}:{low}]"
    fill = f"{stream}_data[{low + bits - 1}]" if port.signed else "1'b0"
    pad = container - bits
    # A space keeps nested braces apart from the template's own.
    extended = f"{{ {{ {pad} {{ {fill} }} }}, {value} }}" if pad else value
    return Lane(low, low + bits - 1, axis_low, axis_low + container - 1, axis_low + bits - 1, extended)


def _clock() -> list[tuple[str, str]]:
    return [("clk_i", "ap_clk"), ("rst_ni", "ap_rst_n")]


def _sink(stream: str, prefix: str = "") -> list[tuple[str, str]]:
    """Ports of the side that takes a stream."""
    data = ("data_i" if not prefix else f"{prefix}i", f"{stream}_data")
    return [data, (f"{prefix}valid_i", f"{stream}_valid"), (f"{prefix}ready_o", f"{stream}_ready")]


def _source(stream: str, prefix: str = "") -> list[tuple[str, str]]:
    """Ports of the side that gives a stream."""
    signals = (("data", "o"), ("valid", "o"), ("ready", "i"))
    return [(f"{prefix}{signal}_{way}", f"{stream}_{signal}") for signal, way in signals]


def _parameters(values: Mapping[str, Value], *, quote: bool = True) -> tuple[tuple[str, str], ...]:
    def literal(value: Value) -> str:
        if isinstance(value, bool):
            return "1'b1" if value else "1'b0"
        return f'"{value}"' if isinstance(value, str) and quote else str(value)

    return tuple((name, literal(value)) for name, value in values.items())


def _weight_file(node: Conv) -> str:
    return f"data/{node.name}_weights.hex"


def _channel_file(node: Conv) -> str:
    return f"data/{node.name}_channels.hex"
