"""The accelerator: its engines, and the placement of every node on one."""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from codesign.errors import ConfigError
from codesign.ir.canonical import digest
from codesign.ir.graph import Graph
from codesign.ir.nodes import Add, Conv, Input, Pool


class Multiplier(Enum):
    """What multiplies weights with activations."""

    DSP = "dsp"
    LUT = "lut"


class Memory(Enum):
    """What a weight memory or line buffer is made of."""

    LUT = "lut"
    BRAM = "bram"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineEngine:
    """A line engine: runs one node, fed by a stream through a line buffer, weights on chip.

    `pe` output channels are computed in parallel, each reducing `simd` input channels a cycle; depthwise convolution,
    pooling and addition have simd 1 and `pe` channels in parallel. Neither need divide its channel count, but those of
    a grouped convolution divide its group's.
    `buffer_words` is the depth of the line buffer in input words, a power of two; `emit` is how many output channels
    leave in one word, a divisor of pe. Multiplier and memories are ignored by nodes without weights or buffer.
    """

    KIND: ClassVar[str] = "line"

    pe: int
    simd: int
    emit: int
    multiplier: Multiplier = Multiplier.DSP
    weight_memory: Memory = Memory.LUT
    buffer_memory: Memory = Memory.LUT
    buffer_words: int = 2

    @property
    def dsp(self) -> bool:
        return self.multiplier is Multiplier.DSP

    @property
    def weight_bram(self) -> bool:
        return self.weight_memory is Memory.BRAM

    @property
    def buffer_bram(self) -> bool:
        return self.buffer_memory is Memory.BRAM

    def __post_init__(self) -> None:
        if min(self.pe, self.simd, self.emit) < 1:
            raise ValueError(f"engine: expected positive pe, simd and emit, got {self.pe}, {self.simd}, {self.emit}")
        if self.pe % self.emit:
            raise ValueError(f"engine: emit must divide pe, got emit {self.emit} and pe {self.pe}")
        if self.buffer_words < 2 or self.buffer_words & (self.buffer_words - 1):
            raise ValueError(f"engine: buffer_words must be a power of two of at least 2, got {self.buffer_words}")


Engine = LineEngine


@dataclass(frozen=True, slots=True)
class Placement:
    """One node on one engine (an index into Design.engines)."""

    node: str
    engine: int


@dataclass(frozen=True, slots=True)
class Fifo:
    """The FIFO in front of input `index` of the addition `node`; `depth` in words, a power of two."""

    node: str
    index: int
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Engines, the placement of every node but the input, and what lies between them.

    `input_lanes` and `output_lanes`: elements in one word of the AXI-Streams at either end.
    """

    engines: tuple[Engine, ...]
    placements: tuple[Placement, ...]
    fifos: tuple[Fifo, ...] = ()
    input_lanes: int = 1
    output_lanes: int = 1

    def engine_of(self, node: str) -> Engine:
        """The engine that runs the node. Raises KeyError."""
        for placement in self.placements:
            if placement.node == node:
                return self.engines[placement.engine]
        raise KeyError(node)

    def fifo_depth(self, node: str, index: int) -> int:
        """Depth of the FIFO in front of an addition's input. Raises KeyError."""
        for fifo in self.fifos:
            if (fifo.node, fifo.index) == (node, index):
                return fifo.depth
        raise KeyError((node, index))

    def digest(self) -> str:
        """SHA-256 in hexadecimal."""
        return digest(self)

    def check(self, graph: Graph) -> None:
        """Raise ConfigError unless every node of the graph has an engine of its own that can run it."""
        nodes = [n for n in graph.nodes if not isinstance(n, Input)]
        if [p.node for p in self.placements] != [n.name for n in nodes]:
            raise ConfigError("design: expected one placement per node, in the order of the graph")
        if sorted(p.engine for p in self.placements) != list(range(len(self.engines))):
            raise ConfigError("design: expected every line engine to run exactly one node")
        for lanes in (self.input_lanes, self.output_lanes):
            if lanes < 1 or lanes & (lanes - 1):
                raise ConfigError(f"design: stream lanes must be a power of two, got {lanes}")
        for node in nodes:
            engine = self.engine_of(node.name)
            simd_limit = node.c_per_group if isinstance(node, Conv) else 1
            if engine.pe > node.oshape.c or engine.simd > simd_limit:
                raise ConfigError(
                    f"design: node {node.name!r} has K = {node.oshape.c} and C = {simd_limit} to compute in parallel, "
                    f"but its engine has PE {engine.pe} and SIMD {engine.simd}"
                )
            if isinstance(node, Conv) and node.grouped:
                _check_divides(node, engine)
            if engine.pe > engine.emit * _reduction_steps(node, engine):
                raise ConfigError(
                    f"design: node {node.name!r} completes {engine.pe} results every {_reduction_steps(node, engine)} "
                    f"cycles, but its engine emits only {engine.emit} a cycle"
                )
        wanted = {(n.name, i) for n in nodes if isinstance(n, Add) for i in range(2)}
        if {(f.node, f.index) for f in self.fifos} != wanted:
            raise ConfigError("design: expected one FIFO per input of each addition")


def _check_divides(node: Conv, engine: LineEngine) -> None:
    """Raise ConfigError if a word of the engine would hold channels of two groups."""
    if node.k_per_group % engine.pe or node.c_per_group % engine.simd:
        raise ConfigError(
            f"design: node {node.name!r} has groups of K = {node.k_per_group} and C = {node.c_per_group}, which the PE "
            f"{engine.pe} and SIMD {engine.simd} of its engine must divide"
        )


def _reduction_steps(node: Conv | Pool | Add, engine: LineEngine) -> int:
    match node:
        case Conv():
            return node.window.positions * -(-node.c_per_group // engine.simd)
        case Pool():
            return node.window.positions
        case Add():
            return 1
