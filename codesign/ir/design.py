"""The accelerator: its engines, and the placement of every node on one."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

import numpy as np

from codesign.errors import ConfigError
from codesign.ir.canonical import digest
from codesign.ir.graph import Graph
from codesign.ir.nodes import Add, Conv, Input, Pool
from codesign.ir.qtype import QType

MAX_WORD_BITS = 4096  # the widest ap_uint of Vitis HLS (UG1399); Vivado HLS has wider ones
MAX_WEIGHT_WORD_BITS = 65_536  # the widest reshaped array of Vivado HLS (XFORM 203-133); no limit of Vitis HLS is known
MAX_STREAM_BITS = 1024  # the widest AXI-Stream of the vendors' DMA
MAX_BUFFER_WORDS = 1 << 24  # of two bits at least: as much as the block RAM of the largest part that is supported


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
        """Raise ConfigError, naming the node, unless the machine can be built: in SystemVerilog, and in HLS C++.

        Whether it fits a board, and whether its FIFOs are deep enough for the images to move, is model.predict's.
        """
        nodes = [n for n in graph.nodes if not isinstance(n, Input)]
        if [p.node for p in self.placements] != [n.name for n in nodes]:
            raise ConfigError("design: expected one placement per node, in the order of the graph")
        if sorted(p.engine for p in self.placements) != list(range(len(self.engines))):
            raise ConfigError("design: expected every line engine to run exactly one node")
        _check_stream("input_lanes", self.input_lanes, graph.input.otype)
        _check_stream("output_lanes", self.output_lanes, graph.output.otype)
        for node in nodes:
            engine = self.engine_of(node.name)
            _check_parallelism(node, engine)
            _check_buffer(node, engine)
            _check_words(node, engine)
        self._check_converters(graph)
        _check_fifos(self.fifos, nodes)

    def _check_converters(self, graph: Graph) -> None:
        """Raise ConfigError if a converter between two engines would hold more than the widest word."""
        out = {graph.input.name: self.input_lanes}
        out |= {p.node: self.engines[p.engine].emit for p in self.placements}
        for source, reader, _ in graph.edges():
            node, bits = graph.node(reader), graph.node(source).otype.bits
            assert not isinstance(node, Input)
            _check_converter(source, reader, (out[source], input_lanes(node, self.engine_of(reader))), bits)
        last = graph.output
        _check_converter(last.name, "output_lanes", (out[last.name], self.output_lanes), last.otype.bits)


def _check_stream(name: str, lanes: int, otype: QType) -> None:
    """Raise ConfigError unless an AXI-Stream may have so many elements in a word."""
    most = MAX_STREAM_BITS // (8 if otype.bits <= 8 else 16)
    if lanes < 1 or lanes & (lanes - 1):
        raise ConfigError(f"design: {name}: stream lanes must be a power of two, got {lanes}")
    if lanes > most:
        raise ConfigError(
            f"design: {name}: an AXI-Stream has at most {MAX_STREAM_BITS} bits, so {most} lanes of {otype}; got {lanes}"
        )


def _check_parallelism(node: Conv | Pool | Add, engine: LineEngine) -> None:
    simd_limit = node.c_per_group if isinstance(node, Conv) else 1
    if engine.pe > node.oshape.c or engine.simd > simd_limit:
        raise ConfigError(
            f"design: node {node.name!r} has K = {node.oshape.c} and C = {simd_limit} to compute in parallel, "
            f"but its engine has PE {engine.pe} and SIMD {engine.simd}"
        )
    if isinstance(node, Conv) and node.grouped:
        _check_divides(node, engine)
    if engine.pe > engine.emit * reduction_steps(node, engine):
        raise ConfigError(
            f"design: node {node.name!r} completes {engine.pe} results every {reduction_steps(node, engine)} "
            f"cycles, but its engine emits only {engine.emit} a cycle"
        )


def _check_buffer(node: Conv | Pool | Add, engine: LineEngine) -> None:
    """Raise ConfigError unless a window of the node fits the line buffer; an engine that needs none may have any."""
    if engine.buffer_words > MAX_BUFFER_WORDS:
        raise ConfigError(
            f"design: node {node.name!r}: buffer_words: expected at most {MAX_BUFFER_WORDS}, got {engine.buffer_words}"
        )
    least = 2 if isinstance(node, Add) or is_streaming(node, engine) else _least_buffer_words(node, engine)
    if engine.buffer_words < least:
        raise ConfigError(
            f"design: node {node.name!r}: one of its windows spans {least} words, but buffer_words is "
            f"{engine.buffer_words}; {1 << (least - 1).bit_length()} would do"
        )


def _check_words(node: Conv | Pool | Add, engine: LineEngine) -> None:
    """Raise ConfigError if a word of the engine is wider than an integer of HLS, naming what makes it wide."""
    itypes = node.itypes if isinstance(node, Add) else (node.itype,)
    lanes = input_lanes(node, engine)
    words = [("an input word", f"{lanes} lanes", lanes, itype.bits, MAX_WORD_BITS) for itype in itypes]
    words += [
        ("a word of sums", f"PE {engine.pe}", engine.pe, node.sum_bits, MAX_WORD_BITS),
        ("an output word", f"emit {engine.emit}", engine.emit, node.otype.bits, MAX_WORD_BITS),
    ]
    if isinstance(node, Conv):
        text = f"PE {engine.pe} x SIMD {engine.simd}"
        words.append(("a word of weights", text, engine.pe * engine.simd, node.wtype.bits, MAX_WEIGHT_WORD_BITS))
    for what, text, count, bits, most in words:
        if count * bits > most:
            raise ConfigError(
                f"design: node {node.name!r}: {what} has {text} of {bits} bits, {count * bits} in all; HLS allows "
                f"{most}, so at most {most // bits}"
            )


def _check_converter(source: str, reader: str, lanes: tuple[int, int], bits: int) -> None:
    """Raise ConfigError if words of so many lanes on either side are too wide to be converted; equal ones never are."""
    if lanes[0] != lanes[1] and sum(lanes) * bits > MAX_WORD_BITS:
        raise ConfigError(
            f"design: between {source!r} and {reader!r}, words of {lanes[0]} lanes become words of {lanes[1]}, of "
            f"{bits} bits each; the converter holds one of both, and HLS allows {MAX_WORD_BITS} bits: use fewer lanes"
        )


def _check_fifos(fifos: tuple[Fifo, ...], nodes: Sequence[Conv | Pool | Add]) -> None:
    """Raise ConfigError unless every input of every addition has one FIFO, of a depth that the machine has."""
    wanted = [(n.name, i) for n in nodes if isinstance(n, Add) for i in range(2)]
    given = [(f.node, f.index) for f in fifos]
    for key in given:
        if key not in wanted:
            raise ConfigError(f"design: FIFO of node {key[0]!r}, index {key[1]}: no addition has such an input")
        if given.count(key) > 1:
            raise ConfigError(f"design: FIFO of node {key[0]!r}, index {key[1]}: given {given.count(key)} times")
    for key in wanted:
        if key not in given:
            raise ConfigError(
                f"design: node {key[0]!r}: no FIFO for index {key[1]}; every input of an addition has one"
            )
    for fifo in fifos:
        if not 2 <= fifo.depth <= MAX_BUFFER_WORDS or fifo.depth & (fifo.depth - 1):
            raise ConfigError(
                f"design: FIFO of node {fifo.node!r}, index {fifo.index}: depth: expected a power of two from 2 to "
                f"{MAX_BUFFER_WORDS}, got {fifo.depth}"
            )


def _check_divides(node: Conv, engine: LineEngine) -> None:
    """Raise ConfigError if a word of the engine would hold channels of two groups."""
    if node.k_per_group % engine.pe or node.c_per_group % engine.simd:
        raise ConfigError(
            f"design: node {node.name!r} has groups of K = {node.k_per_group} and C = {node.c_per_group}, which the PE "
            f"{engine.pe} and SIMD {engine.simd} of its engine must divide"
        )


def input_lanes(node: Conv | Pool | Add, engine: LineEngine) -> int:
    """Return the channels in one word that the engine reads: SIMD, or PE where channels do not mix."""
    return engine.simd if isinstance(node, Conv) and not node.depthwise else engine.pe


def reduction_steps(node: Conv | Pool | Add, engine: LineEngine) -> int:
    """Return the cycles after which PE results are complete: FY * FX * ceil(C/G / SIMD); 1 for an addition."""
    match node:
        case Conv():
            return node.window.positions * -(-node.c_per_group // engine.simd)
        case Pool():
            return node.window.positions
        case Add():
            return 1


def is_streaming(node: Conv | Pool | Add, engine: LineEngine) -> bool:
    """Return whether the engine reads every input word once and in order, and so needs no line buffer.

    One pass over windows that do not overlap and lie in stream order: the whole map, or 1x1 positions. An addition has
    no windows at all.
    """
    if isinstance(node, Add):
        return True
    window = node.window
    one_pass = node.oshape.c <= engine.pe
    whole_map = (window.fy, window.fx) == (node.ishape.y, node.ishape.x)
    pointwise = window.positions == window.stride_y == window.stride_x == 1
    return one_pass and not window.is_padded and (whole_map or pointwise)


def _least_buffer_words(node: Conv | Pool, engine: LineEngine) -> int:
    """Words from the oldest that is still needed to the last that a window reads, over all windows."""
    window, shape, out = node.window, node.ishape, node.oshape
    row = np.arange(out.y)[:, None] * window.stride_y - window.pad_top
    column = np.arange(out.x)[None, :] * window.stride_x - window.pad_left
    first = np.where(row < 0, 0, row * shape.x + np.maximum(column, 0))
    oldest = np.maximum.accumulate(first.ravel()).reshape(first.shape)
    end = (np.minimum(row + window.fy, shape.y) - 1) * shape.x + np.minimum(column + window.fx, shape.x)
    return int((end - oldest).max()) * -(-shape.c // input_lanes(node, engine))
