"""Renders a design as an HLS C++ project: kernels as they are, parameters, weights, top level and test bench.

Scripts for the vendors' tools are emit.host's; what they compile is listed here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from codesign.data import folder
from codesign.emit.environment import render
from codesign.emit.hls_config import Config, node_config, port_config
from codesign.emit.identity import design_hash, heading
from codesign.emit.port import Port, input_port, output_port
from codesign.emit.registers import register
from codesign.emit.tables import Table, bias_table, multiplier_table, weight_table
from codesign.errors import UnsupportedError
from codesign.ir.board import Board
from codesign.ir.design import Design, LineEngine, Memory
from codesign.ir.graph import Graph, IntArray
from codesign.ir.nodes import Add, Conv, Input, Node, Pool
from codesign.ir.project import Project
from codesign.model.latency import input_lanes

STREAM_DEPTH = 2  # of the streams between engines; buffers are in the engines, and in front of additions


@dataclass(frozen=True, slots=True)
class Stream:
    """An hls::stream of words of `lanes` elements of `bits` bits."""

    name: str
    bits: int
    lanes: int
    depth: int = STREAM_DEPTH


@dataclass(frozen=True, slots=True)
class Call:
    """One process of the data flow; `tap` names the node whose output is complete in `shown` after it."""

    function: str
    arguments: tuple[str, ...]
    tap: str = ""
    shown: str = ""


@dataclass(frozen=True, slots=True)
class EngineCode:
    """What the template of one engine reads."""

    name: str
    template: str
    kernel: str
    tables: tuple[Table, ...]
    weighted: bool
    weight_pragma: str
    buffer_pragma: str

    @property
    def cfg(self) -> str:
        """The struct of constants."""
        return f"{self.name}_cfg"


@dataclass(slots=True)
class _Flow:
    """Streams and processes in the order of the data flow."""

    streams: list[Stream] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    converters: list[Config] = field(default_factory=list)

    def stream(self, name: str, bits: int, lanes: int, depth: int = STREAM_DEPTH) -> Stream:
        """Return a new stream."""
        self.streams.append(Stream(name, bits, lanes, depth))
        return self.streams[-1]


def render_hls(
    graph: Graph, design: Design, board: Board, x: IntArray, y: IntArray, layers: Mapping[str, IntArray]
) -> Project:
    """Files below `hls/`: kernel/, csim_include/ and tb/ with x[N,IY,IX,C] and its golden output y[N,OY,OX,K].

    `layers`: golden outputs of the nodes for the first images, which the test bench uses to find the first layer that
    differs. The same arguments give the same project digest. Raises ConfigError or UnsupportedError if the design does
    not fit the graph or the kernels.
    """
    del board  # the machine is the same on every board; the scripts are not
    design.check(graph)
    if isinstance(graph.output, Input):
        raise UnsupportedError(f"graph {graph.name!r}: has an input only; an accelerator needs at least one node")
    ports = (input_port(graph, design), output_port(graph, design))
    flow = _flow(graph, design, ports)
    engines = tuple(_engine_code(node, design.engine_of(node.name), graph) for node in _nodes(graph))
    configs = [
        port_config("AxisIn", "AXI-Stream in", ports[0]),
        port_config("AxisOut", "AXI-Stream out", ports[1]),
    ]
    configs += [
        node_config(node, design.engine_of(node.name), code.tables)
        for node, code in zip(_nodes(graph), engines, strict=True)
    ]
    values: dict[str, object] = {
        "heading": heading(graph, design),
        "hash": design_hash(graph, design),
        "configs": configs + flow.converters,
        "engines": engines,
        "streams": flow.streams,
        "calls": flow.calls,
        "registers": {name: register(name).offset for name in ("images", "hash_lo", "hash_hi")},
    }
    return Project({**_sources(values, engines), **_copied(), **_data(x, y, layers)})


def _sources(values: Mapping[str, object], engines: tuple[EngineCode, ...]) -> dict[str, str | bytes]:
    files: dict[str, str | bytes] = {
        f"hls/kernel/{name}": render(f"hls/project/{name}.j2", values) for name in ("params.hpp", "top.hpp", "top.cpp")
    }
    for engine in engines:
        text = render("hls/project/weights.hpp.j2", {**values, "engine": engine})
        files[f"hls/kernel/weights_{engine.name}.hpp"] = text
    return files


def _copied() -> dict[str, str | bytes]:
    """Files that are the same in every project."""
    source = folder("templates") / "hls"
    files: dict[str, str | bytes] = {"hls/tb/tb.cpp": (source / "project" / "tb.cpp").read_text()}
    files |= {f"hls/kernel/{p.name}": p.read_text() for p in sorted(source.glob("kernels/*.hpp"))}
    files |= {f"hls/csim_include/{p.name}": p.read_text() for p in sorted(source.glob("csim_include/*.h"))}
    return files


def _data(x: IntArray, y: IntArray, layers: Mapping[str, IntArray]) -> dict[str, str | bytes]:
    files: dict[str, str | bytes] = {"hls/tb/data/input.dat": _lines(x), "hls/tb/data/golden.dat": _lines(y)}
    return files | {f"hls/tb/data/layer_{name}.dat": _lines(values) for name, values in sorted(layers.items())}


def _lines(maps: IntArray) -> str:
    """One image per line, decimal, HWC."""
    return "".join(" ".join(map(str, row)) + "\n" for row in maps.reshape(len(maps), -1).tolist())


def _nodes(graph: Graph) -> tuple[Conv | Pool | Add, ...]:
    return tuple(node for node in graph.nodes if not isinstance(node, Input))


def _engine_code(node: Conv | Pool | Add, engine: LineEngine, graph: Graph) -> EngineCode:
    tables: tuple[Table, ...] = (bias_table(node, engine, graph.params), multiplier_table(node, engine, graph.params))
    if isinstance(node, Conv):
        tables = (weight_table(node, engine, graph.params), *tables)
    kernel = "pool"
    if isinstance(node, Conv):
        kernel = "convolve_channelwise" if node.depthwise else "convolve"
    memory = {Memory.LUT: "LUT", Memory.BRAM: "BRAM"}
    return EngineCode(
        name=node.name,
        template=f"hls/project/{'add' if isinstance(node, Add) else 'window'}_engine.cpp.j2",
        kernel=kernel,
        tables=tables,
        weighted=isinstance(node, Conv),
        weight_pragma=f"HLS_ROM_{memory[engine.weight_memory]}",
        buffer_pragma=f"HLS_RAM_{memory[engine.buffer_memory]}",
    )


def _flow(graph: Graph, design: Design, ports: tuple[Port, Port]) -> _Flow:
    flow = _Flow()
    inlet = flow.stream("image_words", ports[0].bits, ports[0].lanes)
    flow.calls.append(Call("read_axis<AxisIn>", ("in", inlet.name)))
    waiting = _share(flow, graph, graph.input, inlet, ports[0].words)
    for node in _nodes(graph):
        engine = design.engine_of(node.name)
        sources = [_feed(flow, node, i, design, graph, waiting[(node.name, i)]) for i in range(len(node.inputs))]
        out = flow.stream(f"{node.name}_out", node.otype.bits, engine.emit)
        arguments = (*(s.name for s in sources), out.name)
        flow.calls.append(Call(f"{node.name}_engine", arguments, node.name, out.name))
        pixel_words = -(-node.oshape.c // engine.emit)
        waiting |= _share(flow, graph, node, out, node.oshape.y * node.oshape.x * pixel_words)
        last = out
    packets = (graph.output.oshape.c, graph.output.oshape.elements)
    outlet = _converted(flow, "result", last, ports[1].lanes, packets, graph.output.oshape.elements, STREAM_DEPTH)
    flow.calls.append(Call("write_axis<AxisOut>", (outlet.name, "out")))
    return flow


def _share(flow: _Flow, graph: Graph, node: Node, out: Stream, words: int) -> dict[tuple[str, int], Stream]:
    """The stream for every consumer of the node, by (name, input), behind a chain of forks where there are several."""
    consumers = [(consumer.name, index) for consumer, index in graph.consumers(node.name)]
    shared: dict[tuple[str, int], Stream] = {}
    for position, key in enumerate(consumers[:-1]):
        mine = flow.stream(f"{node.name}_to{position}", out.bits, out.lanes)
        rest = flow.stream(f"{node.name}_rest{position}", out.bits, out.lanes)
        word = f"ap_uint<{out.bits * out.lanes}>"
        flow.calls.append(Call(f"fork_words<{word}, {words}>", (out.name, mine.name, rest.name)))
        shared[key], out = mine, rest
    return shared | dict.fromkeys(consumers[-1:], out)


def _feed(flow: _Flow, node: Conv | Pool | Add, index: int, design: Design, graph: Graph, source: Stream) -> Stream:
    """The stream that the node's input reads, behind a converter and a FIFO where it needs them."""
    engine = design.engine_of(node.name)
    lanes = input_lanes(node, engine)
    given = node.ishape.elements if node.inputs[index] == graph.input.name else node.ishape.c
    depth = design.fifo_depth(node.name, index) if isinstance(node, Add) else STREAM_DEPTH
    packets = (given, node.ishape.c)
    return _converted(flow, f"{node.name}_in{index}", source, lanes, packets, node.ishape.elements, depth)


def _converted(
    flow: _Flow, name: str, source: Stream, lanes: int, packets: tuple[int, int], elements: int, depth: int
) -> Stream:
    """The source itself, deep enough, if its words are already those wanted; else a converter and its output."""
    same_packing = packets[0] == packets[1] or all(p % lanes == 0 for p in packets)
    if source.lanes == lanes and same_packing:
        at = flow.streams.index(source)
        flow.streams[at] = Stream(source.name, source.bits, lanes, max(depth, source.depth))
        return flow.streams[at]
    out = flow.stream(name, source.bits, lanes, depth)
    words = elements // packets[1] * -(-packets[1] // lanes)
    fields = (
        ("BITS", source.bits),
        ("IN_LANES", source.lanes),
        ("OUT_LANES", lanes),
        ("IN_PACKET", packets[0]),
        ("OUT_PACKET", packets[1]),
        ("OUT_WORDS", words),
    )
    config = Config(f"Convert_{name}", f"words of {source.lanes} -> words of {lanes}", fields)
    flow.converters.append(config)
    flow.calls.append(Call(f"convert_words<{config.name}>", (source.name, out.name)))
    return out
