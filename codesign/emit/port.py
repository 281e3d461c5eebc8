"""The AXI-Streams at either end of the accelerator: how the elements of an image lie in words."""

from dataclasses import dataclass

from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.ops.qtype import QType
from codesign.ops.shapes import Shape


@dataclass(frozen=True, slots=True)
class Port:
    """One stream. Elements of an image lie densely in HWC order, `lanes` in a word, the last word padded with zeros.

    An element sits in a container of 8 or 16 bits, little endian, the first element in the low bits of its word.
    """

    shape: Shape
    qtype: QType
    lanes: int

    @property
    def bits(self) -> int:
        return self.qtype.bits

    @property
    def signed(self) -> bool:
        return self.qtype.signed

    @property
    def container_bits(self) -> int:
        return 8 if self.qtype.bits <= 8 else 16

    @property
    def container_bytes(self) -> int:
        return self.container_bits // 8

    @property
    def word_bits(self) -> int:
        return self.lanes * self.container_bits

    @property
    def word_bytes(self) -> int:
        return self.word_bits // 8

    @property
    def words(self) -> int:
        """Words of one image."""
        return -(-self.shape.elements // self.lanes)

    @property
    def image_bytes(self) -> int:
        """Bytes of one image without padding."""
        return self.shape.elements * self.container_bytes

    @property
    def wire_bytes(self) -> int:
        """Bytes of one image on the stream, with the last word padded."""
        return self.words * self.word_bytes

    @property
    def dtype(self) -> str:
        """The numpy type string of one container."""
        return f"<{'i' if self.signed else 'u'}{self.container_bytes}"


def input_port(graph: Graph, design: Design) -> Port:
    """Return the stream that feeds the accelerator."""
    return Port(graph.input.oshape, graph.input.otype, design.input_lanes)


def output_ports(graph: Graph, design: Design) -> tuple[Port, ...]:
    """Return the stream of each output."""
    pairs = zip(graph.output_nodes, design.output_lanes, strict=True)
    return tuple(Port(node.oshape, node.otype, lanes) for node, lanes in pairs)


def output_names(graph: Graph) -> tuple[str, ...]:
    """Return what the stream of each output is called at the top level: a number tells several apart."""
    count = len(graph.output_nodes)
    return ("m_axis",) if count == 1 else tuple(f"m_axis_{index}" for index in range(count))
