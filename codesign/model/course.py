"""The exact course of one image through the empty machine, with buffers as deep as they are and all that waits.

Every part of the machine is a small process over word times: `offers[i]` is the cycle from which its producer offers
word i of a channel, `taken[i]` the cycle in which its consumer takes it. A process waits until the times that it needs
are known, so all of them together compute what simulation would find, in time that grows with words, not with cycles.

Each process mirrors a module of templates/rtl/modules; the delays are those of its registers.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

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

Process = Generator[None, None, None]
_LONG_AGO = -(1 << 40)
PATIENCE = 1000  # rounds between looks at whether any word still moves


@dataclass(slots=True)
class Channel:
    """One valid/ready stream: when each word is offered, and when it is taken."""

    offers: list[int] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Pipe:
    """A pipeline that stands still as a whole while its output waits: the array, or requantize.

    Time in the pipe runs in enabled cycles; `frozen` is how many cycles it stood still before the present input. `due`
    holds the enabled cycle in which each output appears; outputs before `passed` are accounted for in `frozen`.
    """

    delay: int
    out: Channel
    due: list[int] = field(default_factory=list)
    frozen: int = 0
    passed: int = 0

    def outputs(self, count: int) -> Process:
        """Offer every output when it is due, later by what the outputs before it waited."""
        waited = 0
        for index in range(count):
            while len(self.due) <= index:
                yield
            self.out.offers.append(self.due[index] + waited)
            while len(self.out.taken) <= index:
                yield
            waited += self.out.taken[index] - self.out.offers[index]

    def enter(self, enabled: int, earliest: int) -> Generator[None, None, int]:
        """The cycle of an input that comes no earlier than `earliest`, nor than that enabled cycle of the pipe."""
        cycle = max(enabled + self.frozen, earliest)
        while self.passed < len(self.due):
            appears = self.due[self.passed] + self.frozen
            if appears > cycle:
                break
            while len(self.out.taken) <= self.passed:
                yield
            left = self.out.taken[self.passed]
            self.frozen += left - appears
            self.passed += 1
            cycle = max(enabled + self.frozen, earliest, left)
        return cycle


def first_image_latency(graph: Graph, design: Design) -> int:
    """Cycles from the first input beat to the last output beat of one image, sent at full speed into the empty one.


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
        self.processes.append(_source(self.source, beats))
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
        self.processes.append(_sink(result, ceil_div(last.oshape.elements, design.output_lanes)))
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
        self.processes.append(_fork(stream, taps, words))
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
                _widen(stream, out, to_lanes // lanes, per_packet, elements // to_packet * per_packet)
            )
        elif kind is Converter.NARROWING:
            counts = packet_parts(lanes, packet, to_lanes) * (elements // packet)
            self.processes.append(_narrow(stream, out, counts))
        else:
            box = gearbox(lanes, packet, to_lanes, to_packet)
            into, outof = box.into * (elements // packet), box.out * (elements // to_packet)
            self.processes += [_gearbox_in(stream, out, into, outof, box.room), _gearbox_out(stream, out, into, outof)]
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
            self.processes += [_fifo_in(stream, fetched, depth, words), _fifo_out(stream, out, fetched, words)]
            behind.append(out)
        pipe = self._pipe(requantize_delay(node), words)
        self.processes.append(_pass(behind, pipe, words, 1))
        return pipe.out

    def _windowed(self, node: Conv | Pool, engine: LineEngine, stream: Channel) -> Channel:
        """Feed, array, collector and requantize."""
        out = node.oshape
        passes = ceil_div(out.c, engine.pe)
        results = out.y * out.x * passes
        array = self._pipe(array_delay(node, engine), results)
        if is_streaming(node, engine):
            steps = reduction_steps(node, engine)
            self.processes.append(_pass([stream], array, results * steps, steps))
        else:
            self._line_buffer(node, engine, stream, array)
        words = array.out
        if engine.pe != engine.emit:
            words = self._channel()
            counts = packet_parts(engine.pe, out.c, engine.emit) * (out.y * out.x)
            self.processes.append(_narrow(array.out, words, counts))
        delay = requantize_delay(node)
        if not delay:
            return words
        count = out.y * out.x * ceil_div(out.c, engine.emit)
        pipe = self._pipe(delay, count)
        self.processes.append(_pass([words], pipe, count, 1))
        return pipe.out

    def _line_buffer(self, node: Conv | Pool, engine: LineEngine, stream: Channel, array: Pipe) -> None:
        walk = walk_of(node, engine)
        fresh = np.concatenate(([True], walk.need[1:] > np.maximum.accumulate(walk.need)[:-1]))
        ends = walk.result
        needs = dict(zip(walk.step[fresh].tolist(), walk.need[fresh].tolist(), strict=True))
        steps = np.union1d(walk.step[fresh], ends).tolist()
        done: list[int] = []
        last_of_window = set(ends[walk.passes - 1 :: walk.passes].tolist())
        self.processes.append(_steps(stream, array, steps, needs, set(ends.tolist()), last_of_window, done))
        # The window that must be done before word i finds room.
        words = np.arange(1, walk.words + 1)
        after = np.where(words <= engine.buffer_words, -1, np.searchsorted(walk.freed, words - engine.buffer_words))
        self.processes.append(_write(stream, after.tolist(), done))


def _source(out: Channel, count: int) -> Process:
    cycle = 0
    for index in range(count):
        out.offers.append(cycle)
        while len(out.taken) <= index:
            yield
        cycle = out.taken[index] + 1


def _sink(stream: Channel, count: int) -> Process:
    for index in range(count):
        while len(stream.offers) <= index:
            yield
        stream.taken.append(stream.offers[index])


def _fork(stream: Channel, taps: list[Channel], count: int) -> Process:
    for index in range(count):
        while len(stream.offers) <= index:
            yield
        for tap in taps:
            tap.offers.append(stream.offers[index])
        while min(len(tap.taken) for tap in taps) <= index:
            yield
        stream.taken.append(max(tap.taken[index] for tap in taps))


def _widen(stream: Channel, out: Channel, parts: int, per_packet: int, count: int) -> Process:
    """A word that waits for its consumer keeps the next part out; both may move in one cycle."""
    done = 0
    for index in range(count):
        while len(stream.offers) <= index:
            yield
        cycle = stream.offers[index]
        if done:
            while len(out.taken) < done:
                yield
            cycle = max(cycle, out.taken[done - 1])
        stream.taken.append(cycle)
        position = index % per_packet
        if position == per_packet - 1 or position % parts == parts - 1:
            out.offers.append(cycle + 1)
            done += 1


def _narrow(stream: Channel, out: Channel, counts: list[int]) -> Process:
    free, given = _LONG_AGO, 0
    for index, count in enumerate(counts):
        while len(stream.offers) <= index:
            yield
        stream.taken.append(max(stream.offers[index], free))
        cycle = stream.taken[index] + 1
        for _ in range(count):
            out.offers.append(cycle)
            while len(out.taken) <= given:
                yield
            free = out.taken[given]
            cycle = free + 1
            given += 1


def _gearbox_in(stream: Channel, out: Channel, into: list[int], outof: list[int], room: int) -> Process:
    """A word is taken once no more than `room` units are in the queue."""
    pushed, popped, pops = 0, 0, 0
    for index, units in enumerate(into):
        while len(stream.offers) <= index:
            yield
        cycle = stream.offers[index]
        while pushed - popped > room:
            while len(out.taken) <= pops:
                yield
            cycle = max(cycle, out.taken[pops] + 1)
            popped += outof[pops]
            pops += 1
        stream.taken.append(cycle)
        pushed += units


def _gearbox_out(stream: Channel, out: Channel, into: list[int], outof: list[int]) -> Process:
    words, units, wanted = 0, 0, 0
    cycle = _LONG_AGO
    for index, count in enumerate(outof):
        wanted += count
        while units < wanted:
            while len(stream.taken) <= words:
                yield
            cycle = max(cycle, stream.taken[words] + 1)
            units += into[words]
            words += 1
        out.offers.append(cycle)
        while len(out.taken) <= index:
            yield
        cycle = out.taken[index] + 1


def _fifo_in(stream: Channel, fetched: list[int], depth: int, count: int) -> Process:
    for index in range(count):
        while len(stream.offers) <= index:
            yield
        cycle = stream.offers[index]
        if index >= depth:
            while len(fetched) <= index - depth:
                yield
            cycle = max(cycle, fetched[index - depth] + 1)
        stream.taken.append(cycle)


def _fifo_out(stream: Channel, out: Channel, fetched: list[int], count: int) -> Process:
    for index in range(count):
        while len(stream.taken) <= index:
            yield
        cycle = stream.taken[index] + 1
        if index:
            while len(out.taken) < index:
                yield
            cycle = max(cycle, out.taken[index - 1], fetched[index - 1] + 1)
        fetched.append(cycle)
        out.offers.append(cycle + 1)


def _pass(streams: list[Channel], pipe: Pipe, count: int, steps: int) -> Process:
    """Words enter a pipe one a cycle, one of every stream together; `steps` of them make one output."""
    enabled = _LONG_AGO
    for index in range(count):
        for stream in streams:
            while len(stream.offers) <= index:
                yield
        cycle = yield from pipe.enter(enabled, max(stream.offers[index] for stream in streams))
        for stream in streams:
            stream.taken.append(cycle)
        enabled = cycle - pipe.frozen + 1
        if index % steps == steps - 1:
            pipe.due.append(enabled - 1 + pipe.delay)


def _steps(
    stream: Channel,
    pipe: Pipe,
    steps: list[int],
    needs: dict[int, int],
    ends: set[int],
    last: set[int],
    done: list[int],
) -> Process:
    """The line buffer's steps that wait for a word or end a result; `done` gets the last step of every window."""
    enabled, before = _LONG_AGO, 0
    for step in steps:
        earliest, need = _LONG_AGO, needs.get(step)
        if need is not None:
            while len(stream.taken) <= need:
                yield
            earliest = stream.taken[need] + 1
        cycle = yield from pipe.enter(enabled + step - before, earliest)
        enabled, before = cycle - pipe.frozen, step
        if step in ends:
            pipe.due.append(enabled + pipe.delay)
        if step in last:
            done.append(cycle)


def _write(stream: Channel, after: list[int], done: list[int]) -> Process:
    """A word is taken once the window that `after` names for it is done."""
    for index, window in enumerate(after):
        while len(stream.offers) <= index:
            yield
        cycle = stream.offers[index]
        if window >= 0:
            while len(done) <= window:
                yield
            cycle = max(cycle, done[window] + 1)
        stream.taken.append(cycle)
