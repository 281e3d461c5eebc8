"""The exact course of one image through the empty machine, with buffers as deep as they are and all that waits.

Joins the processes of model.words as emit/rtl.py joins the modules that they stand for. All of them together compute
what simulation would find, in time that grows with words, not with cycles.
"""

from collections.abc import Iterator

import numpy as np

from codesign.errors import ConfigError
from codesign.ir.design import Design, LineEngine
from codesign.ir.graph import Graph
from codesign.ir.nodes import Add, Conv, Input, Pool
from codesign.model.latency import ceil_div, is_streaming, reduction_steps
from codesign.model.machine import (
    Converter,
    array_delay,
    converter_kind,
    gearbox,
    packet_parts,
    requantize_delay,
    walk_of,
)
from codesign.model.words import (
    Channel,
    Pipe,
    Process,
    fifo_in,
    fifo_out,
    fork_words,
    gearbox_in,
    gearbox_out,
    narrow_words,
    pass_words,
    sink_words,
    source_words,
    step_words,
    widen_words,
    write_words,
)

PATIENCE = 1000  # rounds between looks at whether any word still moves


def first_image_latency(graph: Graph, design: Design) -> int:
    """Cycles from the first input beat to the last output beat of one image at full speed, the machine being at rest.

    Raises ConfigError if the buffers are too small for the machine to move at all.
    """
    machine = _Machine(graph, design)
    result = machine.build()
    _run(machine)
    return result.taken[-1] - machine.source.taken[0]


def _run(machine: "_Machine") -> None:
    """Let every process go as far as it can, until all have ended."""
    waiting, rounds, moves = machine.processes, 0, -1
    while waiting:
        still = []
        for process in waiting:
            for _ in process:
                still.append(process)
                break
        waiting, rounds = still, rounds + 1
        if rounds % PATIENCE == 0:
            before, moves = moves, sum(len(c.offers) + len(c.taken) for c in machine.channels)
            if moves == before:
                raise ConfigError("design: its buffers are too small, the machine stops; size_buffers sizes them")


class _Machine:
    """The processes and channels of a design, joined as emit/rtl.py joins the modules."""

    def __init__(self, graph: Graph, design: Design) -> None:
        self.graph = graph
        self.design = design
        self.processes: list[Process] = []
        self.channels: list[Channel] = []
        self.source = self._channel()

    def build(self) -> Channel:
        """Set up all processes; the channel of the output beats."""
        graph, design = self.graph, self.design
        beats = ceil_div(graph.input.shape.elements, design.input_lanes)
        self.processes.append(source_words(self.source, beats))
        words = {graph.input.name: (self.source, design.input_lanes, graph.input.shape.elements)}
        taps: dict[str, Iterator[Channel]] = {}
        taps[graph.input.name] = self._taps(graph.input.name, self.source, beats)
        for node in graph.nodes:
            if isinstance(node, Input):
                continue
            engine = design.engine_of(node.name)
            lanes = engine.simd if isinstance(node, Conv) and not node.depthwise else engine.pe
            ins = []
            for source in node.inputs:
                _, given, packet = words[source]
                stream = self._convert(next(taps[source]), (given, packet), (lanes, node.ishape.c), graph.node(source))
                ins.append(stream)
            out = self._add(node, ins) if isinstance(node, Add) else self._windowed(node, engine, ins[0])
            words[node.name] = (out, engine.emit, node.oshape.c)
            count = node.oshape.y * node.oshape.x * ceil_div(node.oshape.c, engine.emit)
            taps[node.name] = self._taps(node.name, out, count)
        last = graph.output
        _, lanes, packet = words[last.name]
        wanted = (design.output_lanes, last.oshape.elements)
        result = self._convert(next(taps[last.name]), (lanes, packet), wanted, last)
        self.processes.append(sink_words(result, ceil_div(last.oshape.elements, design.output_lanes)))
        return result

    def _channel(self) -> Channel:
        self.channels.append(Channel())
        return self.channels[-1]

    def _taps(self, name: str, stream: Channel, words: int) -> Iterator[Channel]:
        """One channel for each consumer of a node."""
        count = max(1, len(self.graph.consumers(name)))
        if count == 1:
            return iter([stream])
        taps = [self._channel() for _ in range(count)]
        self.processes.append(fork_words(stream, taps, words))
        return iter(taps)

    def _convert(
        self, stream: Channel, given: tuple[int, int], wanted: tuple[int, int], node: Input | Conv | Pool | Add
    ) -> Channel:
        """The channel behind a width converter of a whole image of the node's output."""
        (lanes, packet), (to_lanes, to_packet) = given, wanted
        kind = converter_kind(lanes, packet, to_lanes, to_packet)
        if kind is Converter.WIRE:
            return stream
        out, elements = self._channel(), node.oshape.elements
        if kind is Converter.WIDENING:
            per_packet = ceil_div(to_packet, lanes)
            self.processes.append(
                widen_words(stream, out, to_lanes // lanes, per_packet, elements // to_packet * per_packet)
            )
        elif kind is Converter.NARROWING:
            counts = packet_parts(lanes, packet, to_lanes) * (elements // packet)
            self.processes.append(narrow_words(stream, out, counts))
        else:
            box = gearbox(lanes, packet, to_lanes, to_packet)
            into, outof = box.into * (elements // packet), box.out * (elements // to_packet)
            self.processes += [gearbox_in(stream, out, into, outof, box.room), gearbox_out(stream, out, into, outof)]
        return out

    def _pipe(self, delay: int, count: int) -> Pipe:
        pipe = Pipe(delay, self._channel())
        self.processes.append(pipe.outputs(count))
        return pipe

    def _add(self, node: Add, ins: list[Channel]) -> Channel:
        words = node.oshape.y * node.oshape.x * ceil_div(node.oshape.c, self.design.engine_of(node.name).pe)
        behind = []
        for index, stream in enumerate(ins):
            out, fetched = self._channel(), list[int]()
            depth = self.design.fifo_depth(node.name, index)
            self.processes += [fifo_in(stream, fetched, depth, words), fifo_out(stream, out, fetched, words)]
            behind.append(out)
        pipe = self._pipe(requantize_delay(node), words)
        self.processes.append(pass_words(behind, pipe, words, 1))
        return pipe.out

    def _windowed(self, node: Conv | Pool, engine: LineEngine, stream: Channel) -> Channel:
        """Feed, array, collector and requantize."""
        out = node.oshape
        passes = ceil_div(out.c, engine.pe)
        results = out.y * out.x * passes
        array = self._pipe(array_delay(node, engine), results)
        if is_streaming(node, engine):
            steps = reduction_steps(node, engine)
            self.processes.append(pass_words([stream], array, results * steps, steps))
        else:
            self._line_buffer(node, engine, stream, array)
        words = array.out
        if engine.pe != engine.emit:
            words = self._channel()
            counts = packet_parts(engine.pe, out.c, engine.emit) * (out.y * out.x)
            self.processes.append(narrow_words(array.out, words, counts))
        delay = requantize_delay(node)
        if not delay:
            return words
        count = out.y * out.x * ceil_div(out.c, engine.emit)
        pipe = self._pipe(delay, count)
        self.processes.append(pass_words([words], pipe, count, 1))
        return pipe.out

    def _line_buffer(self, node: Conv | Pool, engine: LineEngine, stream: Channel, array: Pipe) -> None:
        walk = walk_of(node, engine)
        fresh = np.concatenate(([True], walk.need[1:] > np.maximum.accumulate(walk.need)[:-1]))
        ends = walk.result
        needs = dict(zip(walk.step[fresh].tolist(), walk.need[fresh].tolist(), strict=True))
        steps = np.union1d(walk.step[fresh], ends).tolist()
        done: list[int] = []
        last_of_window = set(ends[walk.passes - 1 :: walk.passes].tolist())
        self.processes.append(step_words(stream, array, steps, needs, set(ends.tolist()), last_of_window, done))
        # The window that must be done before word i finds room.
        words = np.arange(1, walk.words + 1)
        after = np.where(words <= engine.buffer_words, -1, np.searchsorted(walk.freed, words - engine.buffer_words))
        self.processes.append(write_words(stream, after.tolist(), done))
