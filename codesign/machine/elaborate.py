"""The machine of a design: every instance, and the channels that join them. This is the only walk that makes it.

Timing, area, SystemVerilog and HLS C++ read the Machine. None of them looks at how nodes join.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

from codesign.ir.design import Design, LineEngine
from codesign.ir.graph import Graph
from codesign.machine.converters import Converter
from codesign.machine.line import input_lanes, line_modules
from codesign.machine.loaded import load_stage
from codesign.machine.loading import Loader, LoadStage
from codesign.machine.modules import (
    Control,
    EngineModule,
    Fifo,
    Fork,
    OutputEnds,
    StreamPort,
)
from codesign.ops.arrays import ceil_div
from codesign.ops.node import Node, Operation
from codesign.ops.pool import Pool


@dataclass(frozen=True, slots=True)
class Channel:
    """A valid/ready stream of one map, that of `node`: elements of `bits` bits, `lanes` in a word.

    Packets are padded to whole words.
    """

    name: str
    node: str
    lanes: int
    bits: int
    packet: int
    elements: int

    @property
    def word_bits(self) -> int:
        return self.lanes * self.bits

    @property
    def packet_words(self) -> int:
        """Words of one packet."""
        return ceil_div(self.packet, self.lanes)

    @property
    def words(self) -> int:
        """Words of one image."""
        return self.elements // self.packet * self.packet_words


@dataclass(frozen=True, slots=True)
class Unit:
    """An engine, the node that it runs, and the modules that it is made of."""

    node: Operation
    engine: LineEngine
    modules: tuple[EngineModule, ...]

    @property
    def instance(self) -> str:
        """The name of its instance; the prefix keeps any engine's name apart from all other names."""
        return f"engine_{self.engine.name}"


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance between channels, named; `block` says what it is."""

    name: str
    block: Unit | Converter | Fifo | Fork
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class End:
    """An AXI-Stream at either end: the node whose map it carries, and the channel behind or in front of it."""

    node: Node
    channel: Channel

    @property
    def port(self) -> StreamPort:
        """The module that moves the beats."""
        return StreamPort(beats=self.channel.words)


@dataclass(frozen=True, eq=False)
class Machine:
    """All that a design is made of, in the order of the data flow; `source` takes images, `sinks` give results.

    `ends` tells the images that several sinks have given, and `control` then counts these. One sink needs none.
    """

    channels: dict[str, Channel]
    instances: tuple[Instance, ...]
    source: End
    sinks: tuple[End, ...]
    control: Control
    ends: OutputEnds | None

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """The engines, in the order of the data flow."""
        return tuple(i.block for i in self.instances if isinstance(i.block, Unit))

    @cached_property
    def between(self) -> tuple[Converter | Fifo | Fork, ...]:
        """What lies between the engines."""
        return tuple(i.block for i in self.instances if not isinstance(i.block, Unit))

    @cached_property
    def load_stages(self) -> tuple[LoadStage, ...]:
        """The stages of the load bus, one for each memory that is filled at start, in the order of the engines."""
        memories = (module for unit in self.units for module in unit.modules)
        return tuple(stage for module in memories if (stage := load_stage(module)) is not None)

    @cached_property
    def loader(self) -> Loader | None:
        """What fills the memories at start; None where weights are constants."""
        if not self.control.loads:
            return None
        return Loader(words=sum(int(stage.words) for stage in self.load_stages), stages=len(self.load_stages))


def elaborate(graph: Graph, design: Design) -> Machine:
    """Return the machine of a design of the graph; `legal.check_design` must have passed."""
    made = _Elaboration()
    entry, elements = graph.input, graph.input.shape.elements
    name = output_channel(entry.name)
    source = made.channel(Channel(name, entry.name, design.input_lanes, entry.otype.bits, elements, elements))
    taps = {entry.name: iter(made.forked(entry.name, source, graph.readers(entry.name)))}
    nodes = {node.name: node for node in graph.operations}
    for engine in design.engines:
        (node,) = (nodes[name] for name in engine.nodes)
        out = made.unit(node, engine, design, [next(taps[name]) for name in node.inputs])
        taps[node.name] = iter(made.forked(node.name, out, graph.readers(node.name)))
    sinks = []
    for index, (output, lanes) in enumerate(zip(graph.output_nodes, design.output_lanes, strict=True)):
        given = next(taps[output.name])
        sinks.append(End(output, made.converted(sink_channel(index, graph), given, lanes, given.elements)))
    beats = tuple(sink.channel.words for sink in sinks)
    return Machine(
        channels=made.channels,
        instances=tuple(made.instances),
        source=End(entry, source),
        sinks=tuple(sinks),
        control=Control(beats_in=source.words, beats_out=beats[0] if len(beats) == 1 else 1, loads=design.is_loaded),
        ends=None if len(beats) == 1 else OutputEnds(beats=beats),
    )


@dataclass(slots=True)
class _Elaboration:
    """Channels and instances as they are made."""

    channels: dict[str, Channel] = field(default_factory=dict)
    instances: list[Instance] = field(default_factory=list)

    def channel(self, made: Channel) -> Channel:
        self.channels[made.name] = made
        return made

    def converted(self, name: str, given: Channel, lanes: int, packet: int) -> Channel:
        """Return the channel behind a converter; one that changes nothing is a wire."""
        block = Converter(
            lanes_in=given.lanes, lanes_out=lanes, packet_in=given.packet, packet_out=packet, bits=given.bits
        )
        self.instances.append(Instance(name, block, (given.name,), (name,)))
        return self.channel(replace(given, name=name, lanes=lanes, packet=packet))

    def queued(self, name: str, given: Channel, depth: int) -> Channel:
        """Return the channel behind a FIFO."""
        block = Fifo(depth=depth, word_bits=given.word_bits)
        self.instances.append(Instance(name, block, (given.name,), (name,)))
        return self.channel(replace(given, name=name))

    def unit(self, node: Operation, engine: LineEngine, design: Design, sources: list[Channel]) -> Channel:
        """Return the output of a node's engine, with converters in front of it, and FIFOs where branches meet."""
        ins = list[str]()
        lanes = input_lanes(node, engine)
        for index, source in enumerate(sources):
            into = self.converted(f"in{index}_{node.name}", source, lanes, node.ishapes[index].c)
            if node.joins:
                into = self.queued(fifo_channel(node.name, index), into, design.fifo_depth(node.name, index))
            ins.append(into.name)
        name, shape = output_channel(node.name), node.oshape
        unit = Unit(_machine_node(node), engine, line_modules(node, engine, design.weights))
        self.instances.append(Instance(unit.instance, unit, tuple(ins), (name,)))
        return self.channel(Channel(name, node.name, engine.emit, node.otype.bits, shape.c, shape.elements))

    def forked(self, node: str, given: Channel, count: int) -> list[Channel]:
        """Return a channel for each consumer of the node, behind a chain of forks."""
        taps = []
        for i in range(count - 1):
            tap = replace(given, name=f"tap{i}_{node}")
            rest = replace(given, name=f"tap{i + 1}_{node}" if i == count - 2 else f"rest{i}_{node}")
            names = self.channel(tap).name, self.channel(rest).name
            self.instances.append(Instance(tap.name, Fork(word_bits=given.word_bits), (given.name,), names))
            taps.append(tap)
            given = rest
        return [*taps, given]


def sink_channel(index: int, graph: Graph) -> str:
    """Return the channel in front of an output's port; a number tells several apart."""
    return "result" if len(graph.output_nodes) == 1 else f"result{index}"


def fifo_channel(node: str, index: int) -> str:
    """Return the channel behind the FIFO in front of a node's input."""
    return f"fifo{index}_{node}"


def output_channel(node: str) -> str:
    """Return the channel of a node's output; its prefix keeps any node's name apart from all other names."""
    return f"node_{node}"


def _machine_node(node: Operation) -> Operation:
    """Return the node that the machine computes instead of that one: the same, without padding that adds nothing."""
    return node.without_padding if isinstance(node, Pool) else node
