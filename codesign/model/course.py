"""The exact course of one image through the empty machine, with buffers as deep as they are and all that waits.

Joins the processes of model.words as emit/rtl.py joins the modules that they stand for. All of them together compute
what simulation would find, in time that grows with words, not with cycles.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from codesign.errors import ConfigError
from codesign.ir.design import Design, LineEngine
from codesign.ir.graph import Graph
from codesign.ir.nodes import Add, Conv, Input, Pool
from codesign.model.latency import ceil_div, input_lanes, is_streaming, reduction_steps
from codesign.model.machine import (
    Converter,
    Walk,
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
    beats = ceil_div(graph.input.shape.elements, design.input_lanes)
    machine = _Machine(graph, design)
    result = machine.build([0] * beats)
    _run(machine)
    return result.taken[-1] - machine.source.taken[0]


@dataclass(frozen=True, slots=True, eq=False)
class Occupancies:
    """What buffers without a limit hold at most: by node, of its line buffer; by (addition, input), of its FIFO.

    `ends`: the cycle of every image's last output beat.
    """

    buffer_words: dict[str, int]
    fifo_words: dict[tuple[str, int], int]
    ends: list[int]


def occupancies(graph: Graph, design: Design, images: int, interval: int) -> Occupancies:
    """What every buffer comes to hold when so many images come at the interval's pace and no buffer is ever full."""
    beats = ceil_div(graph.input.shape.elements, design.input_lanes)
    machine = _Machine(graph, design, images=images, bounded=False)
    result = machine.build([i * interval + k * interval // beats for i in range(images) for k in range(beats)])
    _run(machine)
    per_image = len(result.taken) // images
    return Occupancies(
        buffer_words={name: _held(*held, images) for name, held in machine.line_buffers.items()},
        fifo_words={key: _queued(*queue) for key, queue in machine.fifos.items()},
        ends=result.taken[per_image - 1 :: per_image],
    )


def _held(walk: Walk, stream: Channel, done: list[int], images: int) -> int:
    """The most words of a line buffer that are still needed, a word counting from when it is taken."""
    freed = (walk.freed + np.arange(images)[:, None] * walk.words).ravel()
    arrived = np.array(stream.taken)
    released = np.concatenate(([0], freed))[np.searchsorted(done, arrived, side="left")]
    return int((np.arange(1, len(arrived) + 1) - released).max())


def _queued(stream: Channel, fetched: list[int]) -> int:
    """The most words in a FIFO."""
    pushed = np.array(stream.taken)
    return int((np.arange(1, len(pushed) + 1) - np.searchsorted(fetched, pushed, side="left")).max())


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
                raise ConfigError(
                    "design: its buffers are too small, the machine would stop; set `buffer_words` and `depth` to "
                    "larger powers of two, or delete 4-design.yaml to have a design searched"
                )


class _Machine:
    """The processes and channels of a design, joined as emit/rtl.py joins the modules."""

    def __init__(self, graph: Graph, design: Design, *, images: int = 1, bounded: bool = True) -> None:
        self.graph = graph
        self.design = design
        self.images = images
        self.bounded = bounded
        self.line_buffers: dict[str, tuple[Walk, Channel, list[int]]] = {}
        self.fifos: dict[tuple[str, int], tuple[Channel, list[int]]] = {}
        self.processes: list[Process] = []
        self.channels: list[Channel] = []
        self.source = self._channel()

    def build(self, beats: list[int]) -> Channel:
        """Set up all processes, for input beats in the given cycles or later; the channel of the output beats."""
        graph, design = self.graph, self.design
        self.processes.append(source_words(self.source, beats))
        words = {graph.input.name: (self.source, design.input_lanes, graph.input.shape.elements)}
        taps: dict[str, Iterator[Channel]] = {}
        taps[graph.input.name] = self._taps(graph.input.name, self.source, len(beats))
        for node in graph.nodes:
            if isinstance(node, Input):
                continue
            engine = design.engine_of(node.name)
            lanes = input_lanes(node, engine)
            ins = []
            for source in node.inputs:
                _, given, packet = words[source]
                stream = self._convert(next(taps[source]), (given, packet), (lanes, node.ishape.c), graph.node(source))
                ins.append(stream)
            out = self._add(node, ins) if isinstance(node, Add) else self._windowed(node, engine, ins[0])
            words[node.name] = (out, engine.emit, node.oshape.c)
            count = self.images * node.oshape.y * node.oshape.x * ceil_div(node.oshape.c, engine.emit)
            taps[node.name] = self._taps(node.name, out, count)
        last = graph.output
        _, lanes, packet = words[last.name]
        wanted = (design.output_lanes, last.oshape.elements)
        result = self._convert(next(taps[last.name]), (lanes, packet), wanted, last)
        count = self.images * ceil_div(last.oshape.elements, design.output_lanes)
        self.processes.append(sink_words(result, count))
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
        out, elements = self._channel(), self.images * node.oshape.elements
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
        pe = self.design.engine_of(node.name).pe
        words = self.images * node.oshape.y * node.oshape.x * ceil_div(node.oshape.c, pe)
        behind = []
        for index, stream in enumerate(ins):
            out, fetched = self._channel(), list[int]()
            depth = self.design.fifo_depth(node.name, index) if self.bounded else words
            self.fifos[node.name, index] = (stream, fetched)
            self.processes += [fifo_in(stream, fetched, depth, words), fifo_out(stream, out, fetched, words)]
            behind.append(out)
        pipe = self._pipe(requantize_delay(node), words)
        self.processes.append(pass_words(behind, pipe, words, 1))
        return pipe.out

    def _windowed(self, node: Conv | Pool, engine: LineEngine, stream: Channel) -> Channel:
        """Feed, array, collector and requantize."""
        out = node.oshape
        passes = ceil_div(out.c, engine.pe)
        results = self.images * out.y * out.x * passes
        array = self._pipe(array_delay(node, engine), results)
        if is_streaming(node, engine):
            steps = reduction_steps(node, engine)
            self.processes.append(pass_words([stream], array, results * steps, steps))
        else:
            self._line_buffer(node, engine, stream, array)
        words = array.out
        if engine.pe != engine.emit:
            words = self._channel()
            counts = packet_parts(engine.pe, out.c, engine.emit) * (self.images * out.y * out.x)
            self.processes.append(narrow_words(array.out, words, counts))
        delay = requantize_delay(node)
        if not delay:
            return words
        count = self.images * out.y * out.x * ceil_div(out.c, engine.emit)
        pipe = self._pipe(delay, count)
        self.processes.append(pass_words([words], pipe, count, 1))
        return pipe.out

    def _line_buffer(self, node: Conv | Pool, engine: LineEngine, stream: Channel, array: Pipe) -> None:
        walk, image = walk_of(node, engine), np.arange(self.images)[:, None]
        fresh = np.concatenate(([True], walk.need[1:] > np.maximum.accumulate(walk.need)[:-1]))
        ends = (walk.result + image * walk.steps).ravel()
        step = (walk.step[fresh] + image * walk.steps).ravel()
        needs = dict(zip(step.tolist(), (walk.need[fresh] + image * walk.words).ravel().tolist(), strict=True))
        done: list[int] = []
        last_of_window = set(ends[walk.results - 1 :: walk.results].tolist())
        steps = np.union1d(step, ends).tolist()
        self.processes.append(step_words(stream, array, steps, needs, set(ends.tolist()), last_of_window, done))
        # The window that must be done before word i finds room.
        words = np.arange(1, self.images * walk.words + 1)
        freed = (walk.freed + image * walk.words).ravel()
        room = engine.buffer_words if self.bounded else len(words)
        after = np.where(words <= room, -1, np.searchsorted(freed, words - room))
        self.processes.append(write_words(stream, after.tolist(), done))
        self.line_buffers[node.name] = (walk, stream, done)
