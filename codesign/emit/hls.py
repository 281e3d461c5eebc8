"""Renders a design as an HLS C++ project: kernels as they are, parameters, weights, top level and test bench.

Scripts for the vendors' tools are emit.host's; what they compile is listed here.

Long because every kind of engine has its call here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from codesign.data import folder
from codesign.emit.environment import render
from codesign.emit.hls_config import Config, engine_config, port_config
from codesign.emit.identity import design_hash, heading
from codesign.emit.port import Port, input_port, output_names, output_ports
from codesign.emit.registers import register
from codesign.emit.tables import Scaled, Table, bias_table, memory_table, multiplier_table, weight_table
from codesign.errors import UnsupportedError
from codesign.ir.board import Board
from codesign.ir.design import Design, LineEngine, Memory
from codesign.ir.graph import Graph
from codesign.ir.project import Project
from codesign.machine.converters import Conversion, Converter
from codesign.machine.elaborate import Channel, Instance, Machine, Unit, elaborate
from codesign.machine.kinds import Replay, Whole
from codesign.machine.legal import check_design
from codesign.machine.line import input_lanes
from codesign.machine.modules import Fifo, Fork
from codesign.machine.names import hls_function
from codesign.machine.packing import is_packed
from codesign.machine.pools import RunningPool
from codesign.ops.add import Add
from codesign.ops.arrays import IntArray
from codesign.ops.conv import Conv
from codesign.ops.pool import Pool

STREAM_DEPTH = 2  # of the streams between engines; buffers are in the engines, and where branches meet


@dataclass(frozen=True, slots=True)
class Stream:
    """An hls::stream of words of `lanes` elements of `bits` bits."""

    name: str
    bits: int
    lanes: int
    depth: int = STREAM_DEPTH


@dataclass(frozen=True, slots=True)
class Tap:
    """Where simulation reads a map: the output of `node` is complete in `stream`; `cfg` has its constants."""

    node: str
    cfg: str
    stream: str


@dataclass(frozen=True, slots=True)
class Call:
    """One process of the data flow, and the map that is complete after it."""

    function: str
    arguments: tuple[str, ...]
    tap: Tap | None = None


@dataclass(frozen=True, slots=True)
class EngineCode:
    """What the template of one engine reads."""

    name: str
    function: str
    template: str
    header: str
    kernel: str
    inputs: tuple[str, ...]
    buffered: bool
    running: bool
    by_rows: bool
    tables: tuple[Table, ...]
    weighted: bool
    weight_pragma: str
    buffer_pragma: str

    @property
    def cfg(self) -> str:
        """The struct of constants."""
        return f"{self.name}_cfg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Out:
    """An output of the top function; `number` distinguishes several, and is empty where there is one."""

    name: str
    number: str
    port: Port
    channel: str

    @property
    def config(self) -> str:
        """The struct of constants."""
        return f"AxisOut{self.number}"

    @property
    def title(self) -> str:
        return f"AXI-Stream out {self.number}".rstrip()

    @property
    def word(self) -> str:
        """The type of a beat."""
        return f"axis_out{self.number}_t"

    @property
    def argument(self) -> str:
        """The name of the stream inside the data flow."""
        return f"out{self.number}"


@dataclass(slots=True)
class _Flow:
    """Streams and processes in the order of the data flow.

    `behind`: the stream of every channel; a channel behind a wire or a FIFO shares the one in front.
    """

    streams: dict[str, Stream] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    converters: list[Config] = field(default_factory=list)
    behind: dict[str, str] = field(default_factory=dict)

    def stream(self, channel: Channel, depth: int = STREAM_DEPTH) -> Stream:
        """Return a new stream for the channel."""
        self.streams[channel.name] = Stream(channel.name, channel.bits, channel.lanes, depth)
        self.behind[channel.name] = channel.name
        return self.streams[channel.name]

    def share(self, name: str, given: str, depth: int = STREAM_DEPTH) -> None:
        """Let a channel share the stream in front of it, at least so deep."""
        held = self.streams[self.behind[given]]
        self.streams[held.name] = replace(held, depth=max(held.depth, depth))
        self.behind[name] = held.name


def render_hls(
    graph: Graph, design: Design, board: Board, x: IntArray, y: IntArray, layers: Mapping[str, IntArray]
) -> Project:
    """Render the files below `hls/`: kernel/, csim_include/ and tb/ with x[N,IY,IX,C] and its golden output
    y[N,OY,OX,K].

    `layers`: golden outputs of the nodes for the first images, which the test bench uses to find the first layer that
    differs. The same arguments give the same project digest. Raise ConfigError or UnsupportedError if the design does
    not fit the graph or the kernels.
    """
    del board  # the machine is the same on every board; the scripts are not
    check_design(design, graph)
    if not graph.operations:
        raise UnsupportedError(f"graph {graph.name!r}: has an input only; an accelerator needs at least one node")
    machine = elaborate(graph, design)
    outs = _outs(graph, design, machine)
    flow = _flow(machine, outs)
    engines = tuple(_engine_code(unit, graph) for unit in machine.units)
    configs = [
        port_config("AxisIn", "AXI-Stream in", input_port(graph, design)),
        *(port_config(out.config, out.title, out.port) for out in outs),
    ]
    configs += [engine_config(unit, code.tables) for unit, code in zip(machine.units, engines, strict=True)]
    values: dict[str, object] = {
        "heading": heading(graph, design),
        "hash": design_hash(graph, design),
        "configs": configs + flow.converters,
        "engines": engines,
        "headers": sorted({engine.header for engine in engines}),
        "outs": outs,
        "streams": list(flow.streams.values()),
        "calls": flow.calls,
        "registers": {name: register(name).offset for name in ("images", "hash_lo", "hash_hi")},
    }
    return Project({**_sources(values, engines), **_copied(), **_data(x, y, layers)})


def _sources(values: Mapping[str, object], engines: tuple[EngineCode, ...]) -> dict[str, str | bytes]:
    files: dict[str, str | bytes] = {
        f"hls/kernel/{name}": render(f"hls/project/{name}.j2", values) for name in ("params.hpp", "top.hpp", "top.cpp")
    }
    for engine in (e for e in engines if e.tables):
        text = render("hls/project/weights.hpp.j2", {**values, "engine": engine})
        files[f"hls/kernel/weights_{engine.name}.hpp"] = text
    return files


def _copied() -> dict[str, str | bytes]:
    """Return the files that are the same in every project."""
    source = folder("templates") / "hls"
    files: dict[str, str | bytes] = {"hls/tb/tb.cpp": (source / "project" / "tb.cpp").read_text()}
    files |= {f"hls/kernel/{p.name}": p.read_text() for p in sorted(source.glob("kernels/*.hpp"))}
    files |= {f"hls/csim_include/{p.name}": p.read_text() for p in sorted(source.glob("csim_include/*.h"))}
    return files


def _data(x: IntArray, y: IntArray, layers: Mapping[str, IntArray]) -> dict[str, str | bytes]:
    files: dict[str, str | bytes] = {"hls/tb/data/input.dat": _lines(x), "hls/tb/data/golden.dat": _lines(y)}
    return files | {f"hls/tb/data/layer_{name}.dat": _lines(values) for name, values in sorted(layers.items())}


def _lines(maps: IntArray) -> str:
    """Return one image per line, decimal, HWC."""
    return "".join(" ".join(map(str, row)) + "\n" for row in maps.reshape(len(maps), -1).tolist())


def _engine_code(unit: Unit, graph: Graph) -> EngineCode:
    node, engine = unit.node, unit.engine
    template, header, kernel, tables = _kernel(unit, graph)
    memory = {Memory.LUT: "LUT", Memory.BRAM: "BRAM"}
    return EngineCode(
        name=engine.name,
        function=hls_function(engine.name),
        template=f"hls/project/{template}_engine.cpp.j2",
        header=header,
        kernel=kernel,
        inputs=tuple(f"word<{itype.bits}, {input_lanes(node, engine)}>::type" for itype in node.itypes),
        buffered=any(isinstance(module, Replay) for module in unit.modules),
        running=any(isinstance(module, RunningPool) for module in unit.modules),
        by_rows=engine.taps > 1,
        tables=tables,
        weighted=bool(node.parameters),
        weight_pragma=f"HLS_ROM_{memory[engine.weight_memory]}",
        buffer_pragma=f"HLS_RAM_{memory[engine.buffer_memory]}",
    )


def _kernel(unit: Unit, graph: Graph) -> tuple[str, str, str, tuple[Table, ...]]:
    """Template, header, kernel and memories of an engine."""
    node, engine = unit.node, unit.engine
    match unit.modules:
        case (Whole() as whole,):
            lists = "".join(f", {n}" for v in whole.parameters.values() if isinstance(v, tuple) for n in v)
            tables = (memory_table(node, engine, graph.params),) if whole.tables else ()
            return "whole", f"{whole.name}.hpp", f"{whole.name}<{engine.name}_cfg{lists}>", tables
    match node:
        case Conv():
            kernel = "convolve_channelwise" if node.depthwise else "convolve"
            kernel = "convolve_packed" if is_packed(node, engine) else kernel
            weights = weight_table(node, engine, graph.params)
            return "window", "conv.hpp", kernel, (weights, *_scale_tables(node, engine, graph))
        case Pool(in_order=True):
            return "window", "running_pool.hpp", "running_pool", _scale_tables(node, engine, graph)
        case Pool():
            return "window", "pool.hpp", "pool", _scale_tables(node, engine, graph)
        case Add():
            return "add", "add.hpp", "add", _scale_tables(node, engine, graph)
        case other:
            raise AssertionError(f"{other.name}: an engine of several modules has its kernel here")


def _scale_tables(node: Scaled, engine: LineEngine, graph: Graph) -> tuple[Table, ...]:
    return bias_table(node, engine, graph.params), multiplier_table(node, engine, graph.params)


def _outs(graph: Graph, design: Design, machine: Machine) -> tuple[Out, ...]:
    names, ports = output_names(graph), output_ports(graph, design)
    numbers = [""] if len(names) == 1 else [str(index) for index in range(len(names))]
    return tuple(
        Out(name=name, number=number, port=port, channel=sink.channel.name)
        for name, number, port, sink in zip(names, numbers, ports, machine.sinks, strict=True)
    )


def _flow(machine: Machine, outs: tuple[Out, ...]) -> _Flow:
    flow = _Flow()
    flow.calls.append(Call("read_axis<AxisIn>", ("in", flow.stream(machine.source.channel).name)))
    for instance in machine.instances:
        _process(flow, machine, instance)
    flow.calls += [Call(f"write_axis<{out.config}>", (flow.behind[out.channel], out.argument)) for out in outs]
    return flow


def _process(flow: _Flow, machine: Machine, instance: Instance) -> None:
    """Add the process of an instance, and the streams behind it."""
    given, made = machine.channels[instance.inputs[0]], machine.channels[instance.outputs[0]]
    ins = tuple(flow.behind[name] for name in instance.inputs)
    match instance.block:
        case Converter(conversion=Conversion.WIRE):
            flow.share(made.name, given.name)
        case Converter() as converter:
            config = _converter_config(converter, made)
            flow.converters.append(config)
            flow.calls.append(Call(f"convert_words<{config.name}>", (*ins, flow.stream(made).name)))
        case Fifo(depth=depth):
            flow.share(made.name, given.name, int(depth))
        case Fork(word_bits=bits):
            outs = tuple(flow.stream(machine.channels[name]).name for name in instance.outputs)
            flow.calls.append(Call(f"fork_words<ap_uint<{bits}>, {given.words}>", (*ins, *outs)))
        case Unit(node=node, engine=engine) as unit:
            out = flow.stream(made, _stream_depth(unit)).name
            tap = Tap(node.name, f"{engine.name}_cfg", out)
            flow.calls.append(Call(hls_function(engine.name), (*ins, out), tap))


def _stream_depth(unit: Unit) -> int:
    """Return the depth of the stream behind an engine; results that come in a row need room for all of them."""
    match unit.modules:
        case (RunningPool(fold=fold, pixels=pixels), *_) if unit.engine.pe > 1 and pixels > 1:
            return max(STREAM_DEPTH, int(fold))
    return STREAM_DEPTH


def _converter_config(converter: Converter, made: Channel) -> Config:
    fields = (
        ("BITS", converter.bits),
        ("IN_LANES", int(converter.lanes_in)),
        ("OUT_LANES", int(converter.lanes_out)),
        ("IN_PACKET", converter.packet_in),
        ("OUT_PACKET", converter.packet_out),
        ("OUT_WORDS", made.words),
    )
    title = f"words of {converter.lanes_in} -> words of {converter.lanes_out}"
    return Config(f"Convert_{made.name}", title, fields)
