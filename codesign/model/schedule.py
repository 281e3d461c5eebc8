"""The steady state of a design: when every word moves if no buffer is ever full, and so how deep each must be.

Every engine takes its steps in a fixed order and as soon as their words are there, so the times follow from a
running maximum, not from a simulation: step k happens at `k + max over j <= k of (arrival of its word - j)`. With the
source throttled to the design's interval, the largest occupancy of every buffer follows from the times. Buffers of at
least that depth admit this schedule, and a data-flow machine that runs as early as it can is never later than a
schedule that its buffers admit: so the design reaches its interval with the buffers sized here.

Streams have no buffers. Where a burst of words comes faster than a converter hands them on, the producer is held up,
and its own line buffer fills further. Then the times come from model.course, which knows all that waits, more slowly.
"""

from dataclasses import dataclass, replace

import numpy as np

from codesign.ir.design import Design, Fifo, LineEngine
from codesign.ir.graph import Graph, IntArray
from codesign.ir.nodes import Add, Conv, Input, Pool
from codesign.model.course import Occupancies, occupancies
from codesign.model.latency import ceil_div, input_lanes, is_streaming, node_interval
from codesign.model.machine import (
    Converter,
    Gearbox,
    array_delay,
    converter_kind,
    gearbox,
    packet_parts,
    requantize_delay,
    walk_of,
)

_LONG_AGO = -(1 << 40)
SETTLED_IMAGES = 6  # images after which the throttled schedule repeats itself
SLOWLY_SETTLED_IMAGES = 30  # the same where words wait, each image a little longer than the one before


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The interval, and the occupancy that every buffer needs to reach it.

    `buffer_words`: by node, of its line buffer; nodes without one are absent. `fifo_words`: by (addition, input).
    """

    interval_cycles: int
    buffer_words: dict[str, int]
    fifo_words: dict[tuple[str, int], int]


def interval_cycles(graph: Graph, design: Design) -> int:
    """The least cycles between images: the slowest engine, or the stream ports where they are slower.

    What `schedule` finds is more only where words of a packet are so uneven that a converter idles between them.
    """
    engines = [node_interval(n, design.engine_of(n.name)) for n in graph.nodes if not isinstance(n, Input)]
    ports = (
        ceil_div(graph.input.shape.elements, design.input_lanes),
        ceil_div(graph.output.oshape.elements, design.output_lanes),
    )
    return max(*engines, *ports)


def schedule(graph: Graph, design: Design) -> Schedule:
    """The course of images that come at the interval's pace; the buffers' depths in the design do not matter."""
    interval = interval_cycles(graph, design)
    beats = ceil_div(graph.input.shape.elements, design.input_lanes)
    steady = _Course(graph, design, images=SETTLED_IMAGES)
    image = np.arange(SETTLED_IMAGES)[:, None] * interval
    steady.run((image + np.arange(beats) * interval // beats).ravel())
    if steady.is_held_up:
        interval, found = _held_up(graph, design, interval)
        return Schedule(interval_cycles=interval, buffer_words=found.buffer_words, fifo_words=found.fifo_words)
    return Schedule(
        interval_cycles=interval,
        buffer_words=steady.buffer_words,
        fifo_words=steady.fifo_words,
    )


def _held_up(graph: Graph, design: Design, interval: int) -> tuple[int, Occupancies]:
    """The interval of a design in which words wait for converters, and what its buffers hold at that pace."""
    found = occupancies(graph, design, SETTLED_IMAGES, interval)
    if found.ends[-1] - found.ends[-2] > interval:  # later images still fall back, or do so for ever
        found = occupancies(graph, design, SLOWLY_SETTLED_IMAGES, interval)
        settled = found.ends[-1] - found.ends[-2]
        if settled > interval:
            return settled, occupancies(graph, design, SETTLED_IMAGES, settled)
    return interval, found


def size_buffers(graph: Graph, design: Design) -> Design:
    """The design with every line buffer and FIFO as deep as its schedule needs, rounded up to a power of two."""
    found = schedule(graph, design)
    engines = list(design.engines)
    for placement in design.placements:
        words = found.buffer_words.get(placement.node, 2)
        engines[placement.engine] = replace(engines[placement.engine], buffer_words=power_of_two(words))
    fifos = tuple(Fifo(f.node, f.index, power_of_two(found.fifo_words[f.node, f.index])) for f in design.fifos)
    return replace(design, engines=tuple(engines), fifos=fifos)


def power_of_two(words: int) -> int:
    """The least power of two, at least 2, that holds so many words."""
    return max(2, 1 << (words - 1).bit_length())


class _Course:
    """Word times of `images` images through a design with unbounded buffers; collects occupancies on the way.

    `is_held_up`: a converter let a word wait, so that times before it would have been later than computed here.
    """

    def __init__(self, graph: Graph, design: Design, *, images: int) -> None:
        self.graph = graph
        self.design = design
        self.images = images
        self.buffer_words: dict[str, int] = {}
        self.fifo_words: dict[tuple[str, int], int] = {}
        self.is_held_up = False

    def run(self, beats: IntArray) -> IntArray:
        """Cycles in which output beats leave, for input beats that come in the given cycles."""
        source = self.graph.input
        lanes = {source.name: self.design.input_lanes}
        packet = {source.name: source.shape.elements}
        times = {source.name: beats}
        for node in self.graph.nodes:
            if isinstance(node, Input):
                continue
            engine = self.design.engine_of(node.name)
            wanted = input_lanes(node, engine)
            words = [self._convert(times[s], lanes[s], packet[s], wanted, node.ishape.c) for s in node.inputs]
            times[node.name] = self._engine(node, engine, words)
            lanes[node.name] = engine.emit
            packet[node.name] = node.oshape.c
        out = self.graph.output
        last = (times[out.name], lanes[out.name], packet[out.name])
        return self._convert(*last, self.design.output_lanes, out.oshape.elements)

    def _convert(self, times: IntArray, lanes: int, packet: int, to_lanes: int, to_packet: int) -> IntArray:
        """Times of a width_converter's output words, the consumer always ready."""
        match converter_kind(lanes, packet, to_lanes, to_packet):
            case Converter.WIRE:
                return times
            case Converter.NARROWING:
                taken, given = _narrow(times, lanes, packet, to_lanes)
            case Converter.GENERAL:
                taken, given = _gearbox(times, gearbox(lanes, packet, to_lanes, to_packet))
            case Converter.WIDENING:
                per_packet, parts = ceil_div(to_packet, lanes), to_lanes // lanes
                ends = np.minimum((np.arange(ceil_div(to_packet, to_lanes)) + 1) * parts, per_packet) - 1
                packets = np.arange(len(times) // per_packet)
                return times[(packets[:, None] * per_packet + ends).ravel()] + 1
        self.is_held_up |= bool((taken > times).any())
        return given

    def _engine(self, node: Conv | Pool | Add, engine: LineEngine, words: list[IntArray]) -> IntArray:
        if isinstance(node, Add):
            return self._add(node, words)
        if is_streaming(node, engine):
            steps = len(words[0]) // self.images // (node.oshape.y * node.oshape.x)
            results = words[0][steps - 1 :: steps]
        else:
            results = self._line_buffer(node, engine, words[0])
        return _emit(node, engine, results + array_delay(node, engine))

    def _add(self, node: Add, words: list[IntArray]) -> IntArray:
        fetched = [_in_order(w + 1) for w in words]
        taken = _in_order(np.maximum(fetched[0], fetched[1]) + 1)
        for index, arrived in enumerate(words):
            # A word is fetched into the output register once the word before has been taken.
            free = np.concatenate(([_LONG_AGO], taken[:-1]))
            out = np.maximum(arrived + 1, free)
            self.fifo_words[node.name, index] = _peak(arrived, out)
        return taken + requantize_delay(node)

    def _line_buffer(self, node: Conv | Pool, engine: LineEngine, arrived: IntArray) -> IntArray:
        """Cycles of the last step of every result; notes the occupancy that the buffer needs."""
        walk = walk_of(node, engine)
        image = np.arange(self.images)[:, None]
        step = (walk.step + image * walk.steps).ravel()
        need = (walk.need + image * walk.words).ravel()
        late = np.maximum.accumulate(arrived[need] + 1 - step)
        result = (walk.result + image * walk.steps).ravel()
        result_times = result + late[np.searchsorted(step, result, side="right") - 1]
        done = result_times[walk.results - 1 :: walk.results]
        freed = (walk.freed + image * walk.words).ravel()
        released = np.concatenate(([0], freed))[np.searchsorted(done, arrived, side="left")]
        self.buffer_words[node.name] = int((np.arange(1, len(arrived) + 1) - released).max())
        return result_times


def _emit(node: Conv | Pool, engine: LineEngine, results: IntArray) -> IntArray:
    """Times of an engine's output words, from the times at which its results appear: collector and requantize."""
    delay = requantize_delay(node)
    if engine.pe == engine.emit:
        return results + delay
    per_pixel = packet_parts(engine.pe, node.oshape.c, engine.emit)
    counts = np.tile(per_pixel, len(results) // len(per_pixel))
    first = np.cumsum(counts) - counts
    within = np.arange(counts.sum()) - np.repeat(first, counts)
    return np.repeat(results, counts) + 1 + within + delay


def _in_order(times: IntArray) -> IntArray:
    """The earliest times, one event a cycle, that are not before the given ones."""
    index = np.arange(len(times))
    return index + np.maximum.accumulate(times - index)


def _peak(pushed: IntArray, popped: IntArray) -> int:
    """Largest number of words pushed up to a cycle and not popped before it."""
    gone = np.searchsorted(np.sort(popped), pushed, side="left")
    return int((np.arange(1, len(pushed) + 1) - gone).max())


def _narrow(times: IntArray, lanes: int, packet: int, to_lanes: int) -> tuple[IntArray, IntArray]:
    """When words that are offered at `times` are taken, and when their parts go."""
    per_packet = packet_parts(lanes, packet, to_lanes)
    counts = np.tile(per_packet, len(times) // len(per_packet))
    before = np.cumsum(counts) - counts
    taken = before + np.maximum.accumulate(times - before)
    within = np.arange(counts.sum()) - np.repeat(before, counts)
    return taken, np.repeat(taken, counts) + 1 + within


def _gearbox(times: IntArray, box: Gearbox) -> tuple[IntArray, IntArray]:
    """When words are taken, and others go: word by word, because what the queue takes depends on what it gave."""
    into, out, room = box.into, box.out, box.room
    popped_at: list[int] = []
    popped, taken, pushed = 0, _LONG_AGO, 0
    frees: list[int] = []  # units popped after each pop
    pop_time = _LONG_AGO
    done = 0
    taken_at: list[int] = []
    for word, offered in enumerate(times.tolist()):
        taken = max(offered, taken + 1)
        while pushed - (frees[done - 1] if done else 0) > room:
            taken = max(taken, popped_at[done] + 1)
            done += 1
        taken_at.append(taken)
        pushed += into[word % len(into)]
        while popped + out[len(popped_at) % len(out)] <= pushed:
            popped += out[len(popped_at) % len(out)]
            pop_time = max(pop_time + 1, taken + 1)
            popped_at.append(pop_time)
            frees.append(popped)
    return np.array(taken_at, dtype=np.int64), np.array(popped_at, dtype=np.int64)
