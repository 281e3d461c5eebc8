"""The steady state of a design: when every word moves if no buffer is ever full, and so how deep each must be.

Every engine takes its steps in a fixed order and as soon as their words are there. So the times follow from a running
maximum, not from a simulation: step k happens at `k + max over j <= k of (arrival of its word - j)`. With the source
throttled to the design's interval, the largest occupancy of every buffer follows from the times. Buffers of at least
that depth admit this schedule. A data-flow machine that runs as early as it can is never later than a schedule that its
buffers admit. So the design reaches its interval with the buffers sized here.

Streams have no buffers. Where a burst of words comes faster than a converter passes them on, the producer is held up,
and its own line buffer fills further. Then the times come from model.course, which models all waiting and is slower.
"""

from dataclasses import dataclass, replace

import numpy as np

from codesign.ir.design import Design, Fifo, LineEngine
from codesign.ir.graph import Graph
from codesign.machine.converters import Conversion, Converter
from codesign.machine.elaborate import Channel, Instance, Machine, Unit, elaborate, fifo_channel, output_channel
from codesign.machine.feeds import Feed
from codesign.machine.kinds import Joint, Replay, Stage
from codesign.machine.line import node_interval, row_words
from codesign.machine.modules import CREDIT_DELAY, Fork, OutputQueue, array_delay, packet_parts
from codesign.machine.modules import Fifo as FifoModule
from codesign.machine.pools import RunningPool
from codesign.model.course import Occupancies, occupancies
from codesign.ops.arrays import IntArray, ceil_div

_LONG_AGO = -(1 << 40)
SETTLED_IMAGES = 6  # images after which the throttled schedule repeats itself
SLOWLY_SETTLED_IMAGES = 30  # the same where words wait, each image a little longer than the one before


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The interval, and the occupancy that every buffer needs to reach it.

    `buffer_words`: by engine, of its line buffer; engines without one are absent.
    `fifo_words`: by channel behind the FIFO.
    """

    interval_cycles: int
    buffer_words: dict[str, int]
    fifo_words: dict[str, int]


def interval_cycles(machine: Machine) -> int:
    """Return the least cycles between images: the slowest engine, or the stream ports where they are slower.

    What `schedule` finds is more only where words of a packet are so uneven that a converter idles between them.
    """
    engines = [node_interval(unit.node, unit.engine) for unit in machine.units]
    return max(*engines, machine.source.channel.words, *(sink.channel.words for sink in machine.sinks))


def schedule(machine: Machine) -> Schedule:
    """Return the schedule of images that come at the interval's pace; the depths of the buffers do not matter."""
    interval, beats = interval_cycles(machine), machine.source.channel.words
    steady = _Steady(machine, images=SETTLED_IMAGES)
    image = np.arange(SETTLED_IMAGES)[:, None] * interval
    steady.run((image + np.arange(beats) * interval // beats).ravel())
    if steady.is_held_up:
        interval, found = _held_up(machine, interval)
        return Schedule(interval_cycles=interval, buffer_words=found.buffer_words, fifo_words=found.fifo_words)
    return Schedule(
        interval_cycles=interval,
        buffer_words=steady.buffer_words,
        fifo_words=steady.fifo_words,
    )


def _held_up(machine: Machine, interval: int) -> tuple[int, Occupancies]:
    """Return the interval of a design in which words wait for converters, and what its buffers hold at that pace."""
    found = occupancies(machine, SETTLED_IMAGES, interval)
    if found.ends[-1] - found.ends[-2] > interval:  # later images still fall back, or do so for ever
        found = occupancies(machine, SLOWLY_SETTLED_IMAGES, interval)
        settled = found.ends[-1] - found.ends[-2]
        if settled > interval:
            return settled, occupancies(machine, SETTLED_IMAGES, settled)
    return interval, found


def size_buffers(graph: Graph, design: Design) -> Design:
    """Return the design with every buffer as deep as its schedule needs: whole rows, or else a power of two."""
    machine = elaborate(graph, design)
    found = schedule(machine)
    held, rows = found.buffer_words, {u.engine.name: row_words(u.node, u.engine) for u in machine.units}
    engines = tuple(replace(e, buffer_words=_depth(e, held.get(e.name, 2), rows[e.name])) for e in design.engines)
    words_of = found.fifo_words
    fifos = tuple(Fifo(f.node, f.index, power_of_two(words_of[fifo_channel(f.node, f.index)])) for f in design.fifos)
    return replace(design, engines=engines, fifos=fifos)


def _depth(engine: LineEngine, words: int, row: int) -> int:
    """Return the words of the engine's buffer that holds so many, of rows of so many."""
    return power_of_two(words) if engine.taps == 1 else ceil_div(words, row) * row


def power_of_two(words: int) -> int:
    """Return the least power of two, at least 2, that holds so many words."""
    return max(2, 1 << (words - 1).bit_length())


class _Steady:
    """Word times of `images` images through a machine with unbounded buffers; collects occupancies on the way.

    `is_held_up`: a converter let a word wait, so that times before it would have been later than computed here.
    """

    def __init__(self, machine: Machine, *, images: int) -> None:
        self.machine = machine
        self.images = images
        self.times: dict[str, IntArray] = {}
        self.buffer_words: dict[str, int] = {}
        self.fifo_words: dict[str, int] = {}
        self.queues: dict[str, tuple[int, int]] = {}  # of engines whose results come in bursts: delay and depth
        self.is_held_up = False

    def run(self, beats: IntArray) -> None:
        """Find the times of every channel, for input beats that come in the given cycles."""
        self.times[self.machine.source.channel.name] = beats
        for instance in self.machine.instances:
            self._instance(instance)

    def _instance(self, instance: Instance) -> None:
        channels, ins = self.machine.channels, [self.times[name] for name in instance.inputs]
        given, made = channels[instance.inputs[0]], channels[instance.outputs[0]]
        match instance.block:
            case Converter() as converter:
                self.times[made.name] = self._converted(converter, ins[0], given, made)
            case FifoModule():
                self.times[made.name] = ins[0]
            case Fork():
                self.times |= dict.fromkeys(instance.outputs, ins[0])
            case Unit() as unit:
                self.times[made.name] = self._unit(unit, ins, instance.inputs)

    def _converted(self, converter: Converter, times: IntArray, given: Channel, made: Channel) -> IntArray:
        """Return the times of a converter's output words, the consumer always ready."""
        match converter.conversion:
            case Conversion.WIRE:
                return times
            case Conversion.WIDENING:
                return _widen(times, ceil_div(made.packet, given.lanes), made.lanes // given.lanes)
            case Conversion.NARROWING:
                return self._narrowed(times, packet_parts(given.lanes, given.packet, made.lanes), given.name)
            case Conversion.SPLITTING:
                into, wide = converter.real_lanes[0], converter.wide_lanes
                if wide > into:
                    times = _widen(times, ceil_div(given.packet, into), wide // into)
                return self._split(times, converter.moves) + converter.delay
            case Conversion.PACKING:
                out, wide = converter.real_lanes[1], converter.wide_lanes
                times = self._packed(times, converter.moves) + converter.delay
                return times if wide == out else self._narrowed(times, packet_parts(wide, made.packet, out))

    def _narrowed(self, times: IntArray, parts: list[int], channel: str = "") -> IntArray:
        taken, given = _narrow(times, parts)
        self.is_held_up |= bool((taken > times).any()) and not self._is_queued(channel, times, taken)
        return given

    def _is_queued(self, channel: str, times: IntArray, taken: IntArray) -> bool:
        """Tell whether an output queue has room for all words of a channel that wait, so that its engine does not."""
        if channel not in self.queues:
            return False
        delay, depth = self.queues[channel]
        gone = np.searchsorted(taken + CREDIT_DELAY, times - delay, side="right")
        return bool((np.arange(len(times)) - gone).max() < depth)

    def _split(self, times: IntArray, moves: list[int]) -> IntArray:
        """Return the cycles of a splitter's steps; `moves`: words that each takes, 0 or 1."""
        takes = np.flatnonzero(np.resize(moves, len(times) // sum(moves) * len(moves)))
        earliest = np.full(len(times) // sum(moves) * len(moves), _LONG_AGO)
        earliest[takes] = times
        steps = _in_order(earliest)
        self.is_held_up |= bool((steps[takes] > times).any())
        return steps

    def _packed(self, times: IntArray, moves: list[int]) -> IntArray:
        """Return the cycles in which a packer completes words; `moves`: words that each one taken completes."""
        taken = _in_order(times)
        self.is_held_up |= bool((taken > times).any())
        count = np.resize(moves, len(times))
        return np.sort(np.concatenate((taken[count > 0], taken[count > 1] + 1)))

    def _unit(self, unit: Unit, ins: list[IntArray], names: tuple[str, ...]) -> IntArray:
        """Return the times of an engine's output words."""
        engine, times = unit.engine, ins[0]
        match unit.modules:
            case (Feed() as feed, *_):
                steps = int(feed.steps)
                last = times[steps - 1 :: steps] if feed.streams else self._line_buffer(engine.name, feed, times)
                return _collect(last + array_delay(unit.modules), unit)
            case (RunningPool(pixels=pixels, fold=fold), *_):
                last, delay = times.reshape(-1, pixels, int(fold))[:, -1].ravel(), int(array_delay(unit.modules))
                if engine.emit == engine.pe:
                    (queue,) = (module for module in unit.modules if isinstance(module, OutputQueue))
                    self.queues[output_channel(unit.node.name)] = delay, int(queue.depth)
                return _collect(last + delay, unit)
            case (Replay() as replay,):
                return self._line_buffer(engine.name, replay, times) + replay.delay
            case (Stage() as stage,):
                return times + stage.delay
            case (Joint() as joint,):
                return self._meet(ins, names, joint.turns) + joint.delay
        raise AssertionError(f"{engine.name}: how its modules follow one another is not known")

    def _meet(self, words: list[IntArray], fifos: tuple[str, ...], turns: tuple[tuple[int, ...], ...]) -> IntArray:
        """Times at which words of several FIFOs are taken, in turns; those of one turn together."""
        count = sum(map(len, words)) // sum(map(len, turns)) * len(turns)
        at = [_of_turns(turns, index, count) for index in range(len(words))]
        offered = np.full(count, _LONG_AGO)
        for index, arrived in zip(at, words, strict=True):
            offered[index] = np.maximum(offered[index], _in_order(arrived + 1) + 1)
        taken = _in_order(offered)
        for name, index, arrived in zip(fifos, at, words, strict=True):
            # A word is fetched into the output register once the word before has been taken.
            free = np.concatenate(([_LONG_AGO], taken[index][:-1]))
            self.fifo_words[name] = _peak(arrived, np.maximum(arrived + 1, free))
        return taken

    def _line_buffer(self, engine: str, feed: Replay, arrived: IntArray) -> IntArray:
        """Return the cycles of the last step of every result; note the occupancy that the buffer needs."""
        walk = feed.walk()
        image = np.arange(self.images)[:, None]
        step = (walk.step + image * walk.steps).ravel()
        need = (walk.need + image * walk.words).ravel()
        late = np.maximum.accumulate(arrived[need] + 1 - step)
        result = (walk.result + image * walk.steps).ravel()
        result_times = result + late[np.searchsorted(step, result, side="right") - 1]
        done = result_times[walk.results - 1 :: walk.results]
        freed = (walk.freed + image * walk.words).ravel()
        released = np.concatenate(([0], freed))[np.searchsorted(done + feed.room_delay - 1, arrived, side="left")]
        self.buffer_words[engine] = int((np.arange(1, len(arrived) + 1) - released).max())
        return result_times


def _collect(results: IntArray, unit: Unit) -> IntArray:
    """Return the times of all words of an engine's results, from those of the first word of each."""
    per_pixel = packet_parts(unit.engine.pe, unit.node.oshape.c, unit.engine.emit)
    counts = np.tile(per_pixel, len(results) // len(per_pixel))
    first = np.cumsum(counts) - counts
    within = np.arange(counts.sum()) - np.repeat(first, counts)
    return np.repeat(results, counts) + within


def _of_turns(turns: tuple[tuple[int, ...], ...], index: int, count: int) -> IntArray:
    """Which of `count` turns take a word of the input of that index."""
    return np.flatnonzero(np.resize([index in turn for turn in turns], count))


def _in_order(times: IntArray) -> IntArray:
    """Return the earliest times, one event a cycle, that are not before the given ones."""
    index = np.arange(len(times))
    return index + np.maximum.accumulate(times - index)


def _peak(pushed: IntArray, popped: IntArray) -> int:
    """Return the largest number of words pushed up to a cycle and not popped before it."""
    gone = np.searchsorted(np.sort(popped), pushed, side="left")
    return int((np.arange(1, len(pushed) + 1) - gone).max())


def _narrow(times: IntArray, per_packet: list[int]) -> tuple[IntArray, IntArray]:
    """Return when words that are offered at `times` are taken, and when their parts go."""
    counts = np.tile(per_packet, len(times) // len(per_packet))
    before = np.cumsum(counts) - counts
    taken = before + np.maximum.accumulate(times - before)
    within = np.arange(counts.sum()) - np.repeat(before, counts)
    return taken, np.repeat(taken, counts) + 1 + within


def _widen(times: IntArray, per_packet: int, parts: int) -> IntArray:
    """Return when words of so many parts go, those of the packet's end with fewer, from when the parts are offered."""
    ends = np.minimum((np.arange(ceil_div(per_packet, parts)) + 1) * parts, per_packet) - 1
    packets = np.arange(len(times) // per_packet)
    return times[(packets[:, None] * per_packet + ends).ravel()] + 1
