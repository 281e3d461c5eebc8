"""The course of a whole design, cycle by cycle: when every word moves if no buffer is ever full.

Every engine takes its steps in a fixed order and as soon as their words are there, so the times follow from a
running maximum, not from a simulation: step k happens at `k + max over j <= k of (arrival of its word - j)`. From the
times follow the latency and, with the source throttled to the design's interval, the largest occupancy of every
buffer. Buffers of at least that depth admit this schedule, and a data-flow machine that runs as early as it can is
never later than a schedule that its buffers admit: so the design reaches its interval with the buffers sized here.

Cycle counts per module mirror templates/rtl/modules.
"""

from dataclasses import dataclass, replace
from math import gcd

import numpy as np

from codesign.ir.design import Design, Fifo, LineEngine
from codesign.ir.graph import Graph, IntArray
from codesign.ir.nodes import Add, Conv, Input, Pool, PoolOp, Scaling
from codesign.model.latency import ceil_div, input_fold, is_streaming, node_interval

_LONG_AGO = -(1 << 40)
SETTLED_IMAGES = 6  # images after which the throttled schedule repeats itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Latency of the first image through the empty pipeline, and the occupancy that every buffer needs.

    `buffer_words`: by node, of its line buffer; nodes without one are absent. `fifo_words`: by (addition, input).
    """

    interval_cycles: int
    latency_cycles: int
    buffer_words: dict[str, int]
    fifo_words: dict[tuple[str, int], int]


def interval_cycles(graph: Graph, design: Design) -> int:
    """Cycles between images in steady state: the slowest engine, or the stream ports where they are slower."""
    engines = [node_interval(n, design.engine_of(n.name)) for n in graph.nodes if not isinstance(n, Input)]
    ports = (
        ceil_div(graph.input.shape.elements, design.input_lanes),
        ceil_div(graph.output.oshape.elements, design.output_lanes),
    )
    return max(*engines, *ports)


def schedule(graph: Graph, design: Design) -> Schedule:
    """Latency from a source at full speed; buffers from a source throttled to the interval."""
    interval = interval_cycles(graph, design)
    beats = ceil_div(graph.input.shape.elements, design.input_lanes)
    eager = _Course(graph, design, images=1)
    last = eager.run(np.arange(beats))
    steady = _Course(graph, design, images=SETTLED_IMAGES)
    image = np.arange(SETTLED_IMAGES)[:, None] * interval
    steady.run((image + np.arange(beats) * interval // beats).ravel())
    return Schedule(
        interval_cycles=interval,
        latency_cycles=int(last[-1]),
        buffer_words=steady.buffer_words,
        fifo_words=steady.fifo_words,
    )


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
    """Word times of `images` images through a design with unbounded buffers; collects occupancies on the way."""

    def __init__(self, graph: Graph, design: Design, *, images: int) -> None:
        self.graph = graph
        self.design = design
        self.images = images
        self.buffer_words: dict[str, int] = {}
        self.fifo_words: dict[tuple[str, int], int] = {}

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
            wanted = engine.simd if isinstance(node, Conv) and not node.depthwise else engine.pe
            words = [self._convert(times[s], lanes[s], packet[s], wanted, node.ishape.c) for s in node.inputs]
            times[node.name] = self._engine(node, engine, words)
            lanes[node.name] = engine.emit
            packet[node.name] = node.oshape.c
        out = self.graph.output
        last = (times[out.name], lanes[out.name], packet[out.name])
        return self._convert(*last, self.design.output_lanes, out.oshape.elements)

    def _convert(self, times: IntArray, lanes: int, packet: int, to_lanes: int, to_packet: int) -> IntArray:
        """Times of a width_converter's output words; the three kinds of templates/rtl/modules/width_converter.sv."""
        same = packet == to_packet
        if lanes == to_lanes and (same or (packet % lanes == 0 and to_packet % lanes == 0)):
            return times
        if to_lanes % lanes == 0 and (same or (packet % lanes == 0 and to_packet % lanes == 0)):
            per_packet = ceil_div(to_packet, lanes)
            parts = to_lanes // lanes
            ends = np.minimum((np.arange(ceil_div(to_packet, to_lanes)) + 1) * parts, per_packet) - 1
            packets = len(times) // per_packet
            return times[(np.arange(packets)[:, None] * per_packet + ends).ravel()] + 1
        if lanes % to_lanes == 0 and (same or (packet % to_lanes == 0 and to_packet % to_lanes == 0)):
            return _narrow(times, lanes, packet, to_lanes)
        return _gearbox(times, lanes, packet, to_lanes, to_packet)

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
        return taken + REQUANTIZE_CYCLES

    def _line_buffer(self, node: Conv | Pool, engine: LineEngine, arrived: IntArray) -> IntArray:
        """Cycles of the last step of every result; notes the occupancy that the buffer needs."""
        walk = _walk(node, engine)
        image = np.arange(self.images)[:, None]
        step = (walk.step + image * walk.steps).ravel()
        need = (walk.need + image * walk.words).ravel()
        late = np.maximum.accumulate(arrived[need] + 1 - step)
        result = (walk.result + image * walk.steps).ravel()
        result_times = result + late[np.searchsorted(step, result, side="right") - 1]
        done = result_times[walk.passes - 1 :: walk.passes]
        freed = (walk.freed + image * walk.words).ravel()
        released = np.concatenate(([0], freed))[np.searchsorted(done, arrived, side="left")]
        self.buffer_words[node.name] = int((np.arange(1, len(arrived) + 1) - released).max())
        return result_times


@dataclass(frozen=True, eq=False)
class _Walk:
    """The steps of one image through a line buffer: which word each needs, and what each window frees."""

    steps: int  # steps of an image
    words: int  # input words of an image
    passes: int  # results of an output position
    step: IntArray  # steps that need a word that no earlier step of their window needed
    need: IntArray  # the word of each such step
    result: IntArray  # last step of every result
    freed: IntArray  # words from the image's start that are no longer needed after each window


def _walk(node: Conv | Pool, engine: LineEngine) -> _Walk:
    """Mirrors the counters of templates/rtl/modules/line_buffer.sv."""
    window, shape, out = node.window, node.ishape, node.oshape
    fold = input_fold(node, engine)
    channelwise = isinstance(node, Pool) or node.depthwise
    passes = fold if channelwise else ceil_div(out.c, engine.pe)
    inner = 1 if channelwise else fold
    oy, ox, p, fy, fx, i = np.meshgrid(
        np.arange(out.y),
        np.arange(out.x),
        np.arange(passes if channelwise else 1),  # later passes read the words of the first again
        np.arange(window.fy),
        np.arange(window.fx),
        np.arange(inner),
        indexing="ij",
        sparse=True,
    )
    iy, ix = oy * window.stride_y + fy - window.pad_top, ox * window.stride_x + fx - window.pad_left
    need = (iy * shape.x + ix) * fold + p + i
    per_pass = window.positions * inner
    step = (((oy * out.x + ox) * passes + p) * window.fy + fy) * window.fx * inner + fx * inner + i
    real = np.broadcast_to((iy >= 0) & (iy < shape.y) & (ix >= 0) & (ix < shape.x), np.broadcast(need, step).shape)
    return _Walk(
        steps=out.y * out.x * passes * per_pass,
        words=shape.y * shape.x * fold,
        passes=passes,
        step=np.broadcast_to(step, real.shape)[real],
        need=np.broadcast_to(need, real.shape)[real],
        result=np.arange(1, out.y * out.x * passes + 1) * per_pass - 1,
        freed=_freed(node, fold),
    )


def _freed(node: Conv | Pool, fold: int) -> IntArray:
    """Words that the machine gives up after each output position, as its `limit_q` counts them."""
    window, shape, out = node.window, node.ishape, node.oshape
    row = np.arange(out.y)[:, None] * window.stride_y - window.pad_top
    column = np.arange(out.x)[None, :] * window.stride_x - window.pad_left
    start = np.where(row < 0, 0, row * shape.x + np.maximum(column, 0)).ravel() * fold
    freed = np.concatenate((start[1:], [shape.y * shape.x * fold]))
    return np.maximum.accumulate(freed)


# Cycles from taking a word to offering the result, of requantize.sv: two, or three where it multiplies.
REQUANTIZE_CYCLES = 2


def array_delay(node: Conv | Pool, engine: LineEngine) -> int:
    """Cycles from a result's last step to its appearance behind the array."""
    if isinstance(node, Pool):
        return 2
    return 3 + (engine.simd - 1).bit_length()


def _emit(node: Conv | Pool, engine: LineEngine, results: IntArray) -> IntArray:
    """Times of an engine's output words, from the times at which its results appear: collector and requantize."""
    delay = REQUANTIZE_CYCLES
    if isinstance(node, Conv) and node.scaling is Scaling.GENERAL:
        delay += 1
    if isinstance(node, Pool):
        is_general = node.multiplier & (node.multiplier - 1) != 0
        delay = 0 if node.op is PoolOp.MAX else delay + int(is_general)
    if engine.pe == engine.emit:
        return results + delay
    passes = ceil_div(node.oshape.c, engine.pe)
    full = engine.pe // engine.emit
    last = ceil_div(node.oshape.c - (passes - 1) * engine.pe, engine.emit)
    counts = np.full(passes, full)
    counts[-1] = last
    counts = np.tile(counts, len(results) // passes)
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


def _narrow(times: IntArray, lanes: int, packet: int, to_lanes: int) -> IntArray:
    per_packet = ceil_div(packet, lanes)
    counts = np.full(per_packet, lanes // to_lanes)
    counts[-1] = ceil_div(packet - (per_packet - 1) * lanes, to_lanes)
    counts = np.tile(counts, len(times) // per_packet)
    before = np.cumsum(counts) - counts
    taken = before + np.maximum.accumulate(times - before)
    within = np.arange(counts.sum()) - np.repeat(before, counts)
    return np.repeat(taken, counts) + 1 + within


def _gearbox(times: IntArray, lanes: int, packet: int, to_lanes: int, to_packet: int) -> IntArray:
    """Word by word, because what the queue takes depends on what it gave; mirrors width_gearbox.sv."""
    unit = gcd(gcd(lanes, to_lanes), gcd(packet, to_packet))
    into, out = _word_units(lanes, packet, unit), _word_units(to_lanes, to_packet, unit)
    room = 2 * (to_lanes // unit)
    popped_at: list[int] = []
    popped, taken, pushed = 0, _LONG_AGO, 0
    frees: list[int] = []  # units popped after each pop
    pop_time = _LONG_AGO
    done = 0
    for word, offered in enumerate(times.tolist()):
        taken = max(offered, taken + 1)
        while pushed - (frees[done - 1] if done else 0) > room:
            taken = max(taken, popped_at[done] + 1)
            done += 1
        pushed += into[word % len(into)]
        while popped + out[len(popped_at) % len(out)] <= pushed:
            popped += out[len(popped_at) % len(out)]
            pop_time = max(pop_time + 1, taken + 1)
            popped_at.append(pop_time)
            frees.append(popped)
    return np.array(popped_at, dtype=np.int64)


def _word_units(lanes: int, packet: int, unit: int) -> list[int]:
    """Units in each word of a packet."""
    full, rest = divmod(packet, lanes)
    return [lanes // unit] * full + ([rest // unit] if rest else [])
