"""The ports of the SystemVerilog top level: widths, and where the elements of a beat lie."""

from dataclasses import dataclass

from codesign.emit.port import Port, input_port, output_names, output_ports
from codesign.emit.registers import ADDRESS_BITS
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.machine.elaborate import Machine


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
class OutPort:
    """An output of the top level, and the stream that feeds it."""

    name: str
    stream: str
    elements: int
    bits: int
    container: int
    signed: bool
    lanes: tuple[Lane, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Widths and lanes of the top level's ports."""

    in_bits: int
    in_container: int
    in_stream: str
    in_lanes: tuple[Lane, ...]
    outs: tuple[OutPort, ...]
    address_bits: int = ADDRESS_BITS

    @property
    def out_containers(self) -> str:
        """The bits of a container of each output, as text."""
        return ", ".join(str(out.container) for out in self.outs)


def rtl_ports(graph: Graph, design: Design, machine: Machine) -> Ports:
    """Return the streams at both ends."""
    into = input_port(graph, design)
    outs = zip(output_names(graph), machine.sinks, output_ports(graph, design), strict=True)
    return Ports(
        in_bits=into.word_bits,
        in_container=into.container_bits,
        in_stream=machine.source.channel.name,
        in_lanes=_lanes(into, machine.source.channel.name),
        outs=tuple(_out_port(name, sink.channel.name, port) for name, sink, port in outs),
    )


def _out_port(name: str, stream: str, port: Port) -> OutPort:
    return OutPort(
        name=name,
        stream=stream,
        elements=port.shape.elements,
        bits=port.word_bits,
        container=port.container_bits,
        signed=port.signed,
        lanes=_lanes(port, stream),
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


def clock_ports(reset: str = "ap_rst_n") -> list[tuple[str, str]]:
    """Return the ports for clock and reset."""
    return [("clk_i", "ap_clk"), ("rst_ni", reset)]


def sink_ports(stream: str, prefix: str = "") -> list[tuple[str, str]]:
    """Return the ports of the side that takes a stream."""
    data = ("data_i" if not prefix else f"{prefix}i", f"{stream}_data")
    return [data, (f"{prefix}valid_i", f"{stream}_valid"), (f"{prefix}ready_o", f"{stream}_ready")]


def sinks_ports(streams: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the ports of the side that takes several streams: vectors, the first stream lowest."""
    if len(streams) == 1:
        return sink_ports(streams[0])
    ports = (("data_i", "data"), ("valid_i", "valid"), ("ready_o", "ready"))
    return [(port, "{" + ", ".join(f"{name}_{s}" for name in reversed(streams)) + "}") for port, s in ports]


def source_ports(stream: str, prefix: str = "") -> list[tuple[str, str]]:
    """Return the ports of the side that gives a stream."""
    signals = (("data", "o"), ("valid", "o"), ("ready", "i"))
    return [(f"{prefix}{signal}_{way}", f"{stream}_{signal}") for signal, way in signals]
