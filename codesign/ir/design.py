"""The accelerator: its engines, each with the nodes that it runs."""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from codesign.ir.canonical import digest


class Multiplier(Enum):
    """What multiplies weights with activations. PACKED: two output channels share each DSP."""

    DSP = "dsp"
    LUT = "lut"
    PACKED = "packed"


class Memory(Enum):
    """What a weight memory or line buffer is made of."""

    LUT = "lut"
    BRAM = "bram"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineEngine:
    """A line engine: runs one node, fed by a stream through a line buffer, weights on chip.

    `nodes` has the name of that one node. `pe` output channels are computed in parallel, each reducing `simd` input
    channels a cycle. Where channels do not mix, simd is 1. Neither needs to divide its channel count, with two
    exceptions. In a grouped convolution both divide the channels of a group. In a concat, pe divides the channels of
    every input but the last. `emit` is how many output channels leave in one word, a divisor of pe.

    `taps` is how many rows of the window a convolution takes in a cycle, at one column: 1, or all of them.
    `buffer_words` is the depth of the line buffer in input words: a power of two, or whole rows where taps is above 1.
    Multiplier and memories are ignored by nodes without weights or buffer. A packed multiplier needs an even pe.
    """

    KIND: ClassVar[str] = "line"

    nodes: tuple[str, ...]
    pe: int
    simd: int
    emit: int
    multiplier: Multiplier = Multiplier.DSP
    weight_memory: Memory = Memory.LUT
    buffer_memory: Memory = Memory.LUT
    buffer_words: int = 2
    taps: int = 1

    @property
    def name(self) -> str:
        """The name of the engine in messages, costs and hardware: that of its first node."""
        return self.nodes[0]

    @property
    def dsp(self) -> bool:
        return self.multiplier is Multiplier.DSP

    @property
    def packed(self) -> bool:
        return self.multiplier is Multiplier.PACKED

    @property
    def weight_bram(self) -> bool:
        return self.weight_memory is Memory.BRAM

    @property
    def buffer_bram(self) -> bool:
        return self.buffer_memory is Memory.BRAM

    def __post_init__(self) -> None:
        if not self.nodes:
            raise ValueError("engine: nodes: expected the name of a node, got none")
        if min(self.pe, self.simd, self.emit) < 1:
            raise ValueError(f"engine: expected positive pe, simd and emit, got {self.pe}, {self.simd}, {self.emit}")
        if self.taps < 1:
            raise ValueError(f"engine: expected positive taps, got {self.taps}")
        if self.pe % self.emit:
            raise ValueError(f"engine: emit must divide pe, got emit {self.emit} and pe {self.pe}")
        if self.taps > 1 and self.buffer_words < 1:
            raise ValueError(f"engine: buffer_words must be positive, got {self.buffer_words}")
        if self.taps == 1 and (self.buffer_words < 2 or self.buffer_words & (self.buffer_words - 1)):
            raise ValueError(f"engine: buffer_words must be a power of two of at least 2, got {self.buffer_words}")


Engine = LineEngine


@dataclass(frozen=True, slots=True)
class Fifo:
    """The FIFO in front of input `index` of `node`, where several inputs meet; `depth` in words, a power of two."""

    node: str
    index: int
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Engines in the order of the data flow, and what lies between them. Every node but the input has one engine.

    `input_lanes`, and `output_lanes` of each output: elements in one word of the AXI-Streams at either end.
    """

    engines: tuple[Engine, ...]
    fifos: tuple[Fifo, ...] = ()
    input_lanes: int = 1
    output_lanes: tuple[int, ...] = (1,)

    def engine_of(self, node: str) -> Engine:
        """Return the engine that runs the node. Raise KeyError."""
        for engine in self.engines:
            if node in engine.nodes:
                return engine
        raise KeyError(node)

    def fifo_depth(self, node: str, index: int) -> int:
        """Return the depth of the FIFO in front of a node's input. Raise KeyError."""
        for fifo in self.fifos:
            if (fifo.node, fifo.index) == (node, index):
                return fifo.depth
        raise KeyError((node, index))

    def digest(self) -> str:
        """Return the SHA-256 in hexadecimal."""
        return digest(self)
