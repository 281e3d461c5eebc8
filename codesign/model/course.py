"""The exact course of one image through the empty machine, with the real depths of buffers and all waiting.

Every module of the Machine becomes a process of model.words. All of them together compute what simulation would find,
in time that grows with words, not with cycles.
"""

from dataclasses import dataclass

import numpy as np

from codesign.errors import ConfigError
from codesign.machine.converters import Conversion, Converter
from codesign.machine.elaborate import Channel, Instance, Machine, Unit
from codesign.machine.feeds import Feed
from codesign.machine.kinds import Joint, Replay, Stage
from codesign.machine.modules import (
    Fifo,
    Fork,
    OutputQueue,
    array_delay,
    output_depth,
    packet_parts,
)
from codesign.machine.pools import RunningPool
from codesign.model.words import (
    Credits,
    Process,
    Times,
    fifo_in,
    fifo_out,
    fork_words,
    narrow_words,
    pack_words,
    pass_words,
    sink_words,
    source_words,
    step_words,
    widen_words,
    write_words,
)
from codesign.ops.arrays import Int, ceil_div

PATIENCE = 1000  # rounds between checks that some word still moves


def first_image_latency(machine: Machine) -> int:
    """Return the cycles from the first input beat to the last output beat of one image, the machine being at rest.

    Raise ConfigError if the buffers are too small for the machine to move at all.
    """
    course = _Course(machine)
    results = course.build([0] * machine.source.channel.words)
    course.run()
    return max(result.taken[-1] for result in results) - course.times[machine.source.channel.name].taken[0]


@dataclass(frozen=True, slots=True, eq=False)
class Occupancies:
    """What buffers without a limit hold at most: by engine, of its line buffer; by channel behind it, of a FIFO.

    `ends`: the cycle of every image's last output beat, on whichever output.
    """

    buffer_words: dict[str, int]
    fifo_words: dict[str, int]
    ends: list[int]


def occupancies(machine: Machine, images: int, interval: int) -> Occupancies:
    """Return what every buffer holds when so many images come at the interval's pace and no buffer is ever full."""
    beats = machine.source.channel.words
    course = _Course(machine, images=images, bounded=False)
    results = course.build([i * interval + k * interval // beats for i in range(images) for k in range(beats)])
    course.run()
    ends = [result.taken[len(result.taken) // images - 1 :: len(result.taken) // images] for result in results]
    return Occupancies(
        buffer_words={name: _held(*kept, images) for name, kept in course.line_buffers.items()},
        fifo_words={name: _queued(*queue) for name, queue in course.fifos.items()},
        ends=[max(of_image) for of_image in zip(*ends, strict=True)],
    )


def _held(feed: Replay, stream: Times, done: list[int], images: int) -> int:
    """Return the most words of a line buffer that are still needed, a word counting from when it is taken."""
    walk = feed.walk()
    freed = (walk.freed + np.arange(images)[:, None] * walk.words).ravel()
    arrived = np.array(stream.taken)
    released = np.concatenate(([0], freed))[np.searchsorted(done, arrived - feed.room_delay + 1, side="left")]
    return int((np.arange(1, len(arrived) + 1) - released).max())


def _queued(stream: Times, fetched: list[int]) -> int:
    """Return the most words in a FIFO."""
    pushed = np.array(stream.taken)
    return int((np.arange(1, len(pushed) + 1) - np.searchsorted(fetched, pushed, side="left")).max())


class _Course:
    """The processes of a machine, one or two for each module, over the times of the words between them."""

    def __init__(self, machine: Machine, *, images: int = 1, bounded: bool = True) -> None:
        self.machine = machine
        self.images = images
        self.bounded = bounded
        self.line_buffers: dict[str, tuple[Replay, Times, list[int]]] = {}
        self.fifos: dict[str, tuple[Times, list[int]]] = {}
        self.processes: list[Process] = []
        self.made: list[Times] = []
        self.times = {machine.source.channel.name: self._new()}  # by channel; those behind wires are those in front

    def build(self, beats: list[int]) -> list[Times]:
        """Set up all processes, for input beats in the given cycles or later; return the times of each output's."""
        self.processes.append(source_words(self.times[self.machine.source.channel.name], beats))
        for instance in self.machine.instances:
            self._instance(instance)
        results = []
        for sink in self.machine.sinks:
            results.append(self.times[sink.channel.name])
            self.processes.append(sink_words(results[-1], self.images * sink.channel.words))
        return results

    def run(self) -> None:
        """Let every process go as far as it can, until all have ended."""
        waiting, rounds, moves = self.processes, 0, -1
        while waiting:
            still = []
            for process in waiting:
                for _ in process:
                    still.append(process)
                    break
            waiting, rounds = still, rounds + 1
            if rounds % PATIENCE == 0:
                before, moves = moves, sum(len(t.offers) + len(t.taken) for t in self.made)
                if moves == before:
                    raise ConfigError(
                        "design: its buffers are too small, the machine would stop; set `buffer_words` and `depth` to "
                        "larger powers of two, or delete 4-design.yaml to have a design searched"
                    )

    def _new(self) -> Times:
        self.made.append(Times())
        return self.made[-1]

    def _instance(self, instance: Instance) -> None:
        channels, ins = self.machine.channels, [self.times[name] for name in instance.inputs]
        given, made = channels[instance.inputs[0]], channels[instance.outputs[0]]
        match instance.block:
            case Converter() as converter:
                self.times[made.name] = self._converted(converter, ins[0], given, made)
            case Fifo(depth=depth):
                self.times[made.name] = self._queued(made.name, ins[0], depth, self.images * given.words)
            case Fork():
                taps = [self._new() for _ in instance.outputs]
                self.times |= dict(zip(instance.outputs, taps, strict=True))
                self.processes.append(fork_words(ins[0], taps, self.images * given.words))
            case Unit() as unit:
                self.times[made.name] = self._unit(unit, ins)

    def _converted(self, converter: Converter, stream: Times, given: Channel, made: Channel) -> Times:
        packets = self.images * (given.elements // given.packet)
        match converter.conversion:
            case Conversion.WIRE:
                return stream
            case Conversion.WIDENING:
                per_packet = ceil_div(made.packet, given.lanes)
                count = self.images * (given.elements // made.packet) * per_packet
                return self._widened(stream, made.lanes // given.lanes, per_packet, count)
            case Conversion.NARROWING:
                return self._narrowed(stream, packet_parts(given.lanes, given.packet, made.lanes) * packets)
            case Conversion.SPLITTING:
                into, wide = converter.real_lanes[0], converter.wide_lanes
                per_packet = ceil_div(given.packet, into)
                if wide > into:
                    stream = self._widened(stream, wide // into, per_packet, packets * per_packet)
                turns = [[stream] * words for words in converter.moves]
                return self._passed(turns, converter.delay, self.images * made.words)
            case Conversion.PACKING:
                out, wide, moves = converter.real_lanes[1], converter.wide_lanes, converter.moves
                count = self.images * given.words // len(moves)
                credits = self._credits(converter.delay, count * sum(moves))
                self.processes.append(pack_words(stream, credits, moves, self.images * given.words))
                if wide == out:
                    return credits.out
                return self._narrowed(credits.out, packet_parts(wide, made.packet, out) * count)

    def _widened(self, stream: Times, parts: int, per_packet: int, count: int) -> Times:
        out = self._new()
        self.processes.append(widen_words(stream, out, parts, per_packet, count))
        return out

    def _narrowed(self, stream: Times, counts: list[int]) -> Times:
        out = self._new()
        self.processes.append(narrow_words(stream, out, counts))
        return out

    def _credits(self, delay: int, words: int) -> Credits:
        """Return the output queue of so many words behind modules that never wait, one word a step."""
        credits = Credits(delay=delay, depth=int(output_depth(delay)), most=1, counts=[1], out=self._new())
        self.processes.append(credits.outputs(words))
        return credits

    def _queued(self, name: str, stream: Times, depth: Int, words: int) -> Times:
        out, fetched = self._new(), list[int]()
        room = int(depth) if self.bounded else words
        self.fifos[name] = (stream, fetched)
        self.processes += [fifo_in(stream, fetched, room, words), fifo_out(stream, out, fetched, words)]
        return out

    def _unit(self, unit: Unit, ins: list[Times]) -> Times:
        """Return the words behind an engine, from those in front of it."""
        node, engine = unit.node, unit.engine
        words = self.images * node.oshape.y * node.oshape.x * ceil_div(node.oshape.c, engine.emit)
        match unit.modules:
            case (Feed() | RunningPool(), *_):
                return self._array(unit, ins[0])
            case (Replay() as replay,):
                credits = self._credits(int(replay.delay), words)
                self._line_buffer(engine.name, replay, ins[0], credits)
                return credits.out
            case (Stage() as stage,):
                return self._passed([ins], int(stage.delay), words)
            case (Joint() as joint,):
                return self._passed([[ins[i] for i in turn] for turn in joint.turns], int(joint.delay), words)
        raise AssertionError(f"{engine.name}: how its modules follow one another is not known")

    def _passed(self, turns: list[list[Times]], delay: int, words: int) -> Times:
        """Return the words behind a module that makes one in every turn."""
        credits = self._credits(delay, words)
        self.processes.append(pass_words(turns, credits, words, 1))
        return credits.out

    def _array(self, unit: Unit, stream: Times) -> Times:
        """Join what takes words and all that flows behind it up to the output queue, which alone lets words wait."""
        node, engine = unit.node, unit.engine
        (queue,) = (module for module in unit.modules if isinstance(module, OutputQueue))
        credits = Credits(
            delay=int(array_delay(unit.modules)),
            depth=int(queue.depth),
            most=int(queue.most),
            counts=packet_parts(engine.pe, node.oshape.c, engine.emit),
            out=self._new(),
        )
        results = self.images * node.oshape.y * node.oshape.x * ceil_div(node.oshape.c, engine.pe)
        self.processes.append(credits.outputs(results))
        match unit.modules[0]:
            case RunningPool(pixels=pixels, fold=fold):
                count = results * pixels  # fold words end as many results
                self.processes.append(pass_words([[stream]], credits, count, pixels * int(fold), int(fold)))
            case Feed(streams=True) as feed:
                steps = int(feed.steps)
                self.processes.append(pass_words([[stream]], credits, results * steps, steps))
            case Feed() as feed:
                self._line_buffer(engine.name, feed, stream, credits)
        return credits.out

    def _line_buffer(self, engine: str, feed: Replay, stream: Times, array: Credits) -> None:
        walk, image = feed.walk(), np.arange(self.images)[:, None]
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
        room = int(feed.depth) if self.bounded else len(words)
        after = np.where(words <= room, -1, np.searchsorted(freed, words - room))
        self.processes.append(write_words(stream, after.tolist(), done, feed.room_delay))
        self.line_buffers[engine] = (feed, stream, done)
