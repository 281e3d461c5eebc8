"""Legal machines: designs that the rendered SystemVerilog and HLS C++ cannot build are refused, by node."""

from collections.abc import Sequence

import numpy as np

from codesign.errors import ConfigError
from codesign.ir.design import Design, Fifo, LineEngine
from codesign.ir.graph import Graph
from codesign.machine.line import (
    input_lanes,
    is_streaming,
    reduction_steps,
    results_apart,
    row_words,
    tap_choices,
)
from codesign.machine.packing import check_packing
from codesign.ops.arrays import ceil_div
from codesign.ops.conv import Conv
from codesign.ops.node import Operation
from codesign.ops.qtype import QType

MAX_WORD_BITS = 4096  # the widest ap_uint of Vitis HLS (UG1399); Vivado HLS has wider ones
MAX_WEIGHT_WORD_BITS = 65_536  # the widest reshaped array of Vivado HLS (XFORM 203-133); no limit of Vitis HLS is known
MAX_STREAM_BITS = 1024  # the widest AXI-Stream of the vendors' DMA
MAX_BUFFER_WORDS = 1 << 24  # of two bits at least: as much as the block RAM of the largest part that is supported


def check_design(design: Design, graph: Graph) -> None:
    """Raise ConfigError, naming the node, unless the machine can be built: in SystemVerilog, and in HLS C++.

    Whether it fits a board, and whether its FIFOs are deep enough for the images to move, is model.predict's.
    """
    _check_nodes(design, graph)
    _check_stream("input_lanes", design.input_lanes, graph.input.otype)
    if len(design.output_lanes) != len(graph.output_nodes):
        raise ConfigError(
            f"design: output_lanes: expected lanes for each of {len(graph.output_nodes)} outputs, "
            f"got {len(design.output_lanes)}"
        )
    for output, lanes in zip(graph.output_nodes, design.output_lanes, strict=True):
        _check_stream("output_lanes", lanes, output.otype)
    for node in graph.operations:
        engine = design.engine_of(node.name)
        _check_taps(node, engine)
        _check_parallelism(node, engine)
        check_packing(node, engine, graph.params.get(f"{node.name}.weight"))
        _check_buffer(node, engine)
        _check_words(node, engine)
    _check_converters(design, graph)
    _check_fifos(design.fifos, graph.operations)


def _check_nodes(design: Design, graph: Graph) -> None:
    """Raise ConfigError unless every node has one engine, and engines stand in the order of the graph."""
    wanted, found = [n.name for n in graph.operations], [n for engine in design.engines for n in engine.nodes]
    for engine in design.engines:
        if len(engine.nodes) != 1:
            raise ConfigError(
                f"design: engine {engine.name!r}: a line engine runs one node, but its nodes are "
                f"{', '.join(engine.nodes)}; give each an engine of its own"
            )
    for name in found:
        if name not in wanted:
            raise ConfigError(f"design: engine {name!r}: the graph has no such node; its nodes are {', '.join(wanted)}")
        if found.count(name) > 1:
            raise ConfigError(f"design: node {name!r}: {found.count(name)} engines run it; one must")
    for name in wanted:
        if name not in found:
            raise ConfigError(f"design: node {name!r}: no engine runs it; every node but the input has one")
    if found != wanted:
        late = next(f for f, w in zip(found, wanted, strict=True) if f != w)
        raise ConfigError(f"design: engine {late!r} is out of order; the order of the graph is {', '.join(wanted)}")


def _check_converters(design: Design, graph: Graph) -> None:
    """Raise ConfigError if a converter between two engines would hold more than the widest word."""
    out = {graph.input.name: design.input_lanes}
    out |= {node: engine.emit for engine in design.engines for node in engine.nodes}
    for node in graph.operations:
        lanes = input_lanes(node, design.engine_of(node.name))
        for source, itype in zip(node.inputs, node.itypes, strict=True):
            _check_converter(source, node.name, (out[source], lanes), itype.bits)
    for output, lanes in zip(graph.output_nodes, design.output_lanes, strict=True):
        _check_converter(output.name, "output_lanes", (out[output.name], lanes), output.otype.bits)


def _check_stream(name: str, lanes: int, otype: QType) -> None:
    """Raise ConfigError unless an AXI-Stream may have so many elements in a word."""
    most = MAX_STREAM_BITS // (8 if otype.bits <= 8 else 16)
    if lanes < 1 or lanes & (lanes - 1):
        raise ConfigError(f"design: {name}: stream lanes must be a power of two, got {lanes}")
    if lanes > most:
        raise ConfigError(
            f"design: {name}: an AXI-Stream has at most {MAX_STREAM_BITS} bits, so {most} lanes of {otype}; got {lanes}"
        )


def _check_taps(node: Operation, engine: LineEngine) -> None:
    """Raise ConfigError unless the engine can take so many rows of the node's window in a cycle."""
    allowed = (1,) if is_streaming(node, engine) else tap_choices(node)
    if engine.taps not in allowed:
        many = " or ".join(map(str, allowed))
        raise ConfigError(
            f"design: node {node.name!r}: its engine may have {many} taps, but has {engine.taps}; all rows of a window "
            "at once are for convolutions over several rows, not dilated in y, whose engine does not stream"
        )


def _check_parallelism(node: Operation, engine: LineEngine) -> None:
    simd_limit = node.reduced_channels
    if engine.pe > node.oshape.c or engine.simd > simd_limit:
        raise ConfigError(
            f"design: node {node.name!r} has K = {node.oshape.c} and C = {simd_limit} to compute in parallel, "
            f"but its engine has PE {engine.pe} and SIMD {engine.simd}"
        )
    k, c = node.aligned_lanes or (engine.pe, engine.simd)
    if k % engine.pe or c % engine.simd:
        raise ConfigError(
            f"design: node {node.name!r}: no word may hold channels of two groups or inputs, so PE must divide {k} and "
            f"SIMD {c}; its engine has PE {engine.pe} and SIMD {engine.simd}"
        )
    apart = results_apart(node, engine.pe, reduction_steps(node, engine))
    if engine.pe > engine.emit * apart:
        raise ConfigError(
            f"design: node {node.name!r} completes {engine.pe} results every {apart} "
            f"cycles, but its engine emits only {engine.emit} a cycle"
        )


def _check_buffer(node: Operation, engine: LineEngine) -> None:
    """Raise ConfigError unless a window of the node fits the line buffer; an engine that needs none may have any."""
    row = row_words(node, engine)
    if engine.buffer_words > MAX_BUFFER_WORDS:
        raise ConfigError(
            f"design: node {node.name!r}: buffer_words: expected at most {MAX_BUFFER_WORDS}, got {engine.buffer_words}"
        )
    least = 2 if node.joins or is_streaming(node, engine) else _least_buffer_words(node, engine)
    if engine.taps > 1 and engine.buffer_words % row:
        raise ConfigError(
            f"design: node {node.name!r}: with taps above 1 the buffer holds whole rows of {row} words, but "
            f"buffer_words is {engine.buffer_words}; {ceil_div(max(least, engine.buffer_words), row) * row} would do"
        )
    if engine.buffer_words < least:
        enough = 1 << (least - 1).bit_length() if engine.taps == 1 else ceil_div(least, row) * row
        raise ConfigError(
            f"design: node {node.name!r}: one of its windows spans {least} words, but buffer_words is "
            f"{engine.buffer_words}; {enough} would do"
        )


def _check_words(node: Operation, engine: LineEngine) -> None:
    """Raise ConfigError if a word of the engine is wider than an integer of HLS, naming what makes it wide."""
    lanes = input_lanes(node, engine)
    words = [("an input word", f"{lanes} lanes", lanes, itype.bits, MAX_WORD_BITS) for itype in node.itypes]
    words += [
        ("a word of sums", f"PE {engine.pe}", engine.pe, node.sum_bits, MAX_WORD_BITS),
        ("an output word", f"emit {engine.emit}", engine.emit, node.otype.bits, MAX_WORD_BITS),
    ]
    if isinstance(node, Conv):
        text = f"PE {engine.pe} x SIMD {engine.simd}" + (f" x {engine.taps} taps" if engine.taps > 1 else "")
        lanes = engine.pe * engine.simd * engine.taps
        words.append(("a word of weights", text, lanes, node.wtype.bits, MAX_WEIGHT_WORD_BITS))
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


def _check_fifos(fifos: tuple[Fifo, ...], nodes: Sequence[Operation]) -> None:
    """Raise ConfigError unless every input where branches meet has one FIFO, of a depth that the machine has."""
    wanted = [(n.name, i) for n in nodes if n.joins for i in range(len(n.inputs))]
    given = [(f.node, f.index) for f in fifos]
    for key in given:
        if key not in wanted:
            raise ConfigError(f"design: FIFO of node {key[0]!r}, index {key[1]}: no branches meet at such an input")
        if given.count(key) > 1:
            raise ConfigError(f"design: FIFO of node {key[0]!r}, index {key[1]}: given {given.count(key)} times")
    for key in wanted:
        if key not in given:
            raise ConfigError(
                f"design: node {key[0]!r}: no FIFO for index {key[1]}; every input where branches meet has one"
            )
    for fifo in fifos:
        if not 2 <= fifo.depth <= MAX_BUFFER_WORDS or fifo.depth & (fifo.depth - 1):
            raise ConfigError(
                f"design: FIFO of node {fifo.node!r}, index {fifo.index}: depth: expected a power of two from 2 to "
                f"{MAX_BUFFER_WORDS}, got {fifo.depth}"
            )


def _least_buffer_words(node: Operation, engine: LineEngine) -> int:
    """Return the words from the oldest that is still needed to the last that a window reads, over all windows."""
    first, last = node.spans()
    oldest = np.minimum.accumulate(first[::-1])[::-1]
    lanes, pixels = input_lanes(node, engine), int((last + 1 - oldest).max())
    return (pixels - 1) * ceil_div(node.ishape.c, lanes) + ceil_div(node.channels_held or node.ishape.c, lanes)
