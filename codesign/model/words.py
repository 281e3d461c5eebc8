"""Processes over word times: what every kind of module does to the words of its channels, and when.

`offers[i]` is the cycle from which a channel's producer offers word i, `taken[i]` the cycle in which its consumer takes
it. A process waits until the times that it needs are known. Each mirrors a module of templates/rtl/modules; the delays
are those of its registers.
"""

from collections.abc import Generator
from dataclasses import dataclass, field

from codesign.machine.modules import CREDIT_DELAY

Process = Generator[None, None, None]
_LONG_AGO = -(1 << 40)


@dataclass(slots=True)
class Times:
    """The words of one valid/ready stream: when each is offered, and when it is taken."""

    offers: list[int] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Credits:
    """Arrays that never stand still: a result's last step waits until the output queue has room for its words.

    `counts`: words of every result, over and over; `most`: those for which there must be room. `depth`: of the queue.
    `last`: the cycle of every result's last step; its first word is offered `delay` cycles later, or after the words
    before it.
    """

    delay: int
    depth: int
    most: int
    counts: list[int]
    out: Times
    last: list[int] = field(default_factory=list)
    words: int = 0

    def outputs(self, count: int) -> Process:
        """Offer the words of so many results."""
        free, given = _LONG_AGO, 0
        for index in range(count):
            while len(self.last) <= index:
                yield
            for word in range(self.counts[index % len(self.counts)]):
                self.out.offers.append(max(self.last[index] + self.delay + word, free))
                while len(self.out.taken) <= given:
                    yield
                free = self.out.taken[given] + 1
                given += 1

    def enter(self, enabled: int, earliest: int, ends: bool) -> Generator[None, None, int]:
        """Return the cycle of a step no earlier than both cycles; one that ends a result waits for room as well."""
        cycle = max(enabled, earliest)
        if ends:
            leaves = self.words + self.most - self.depth - 1
            if leaves >= 0:
                while len(self.out.taken) <= leaves:
                    yield
                cycle = max(cycle, self.out.taken[leaves] + CREDIT_DELAY)
            self.words += self.counts[len(self.last) % len(self.counts)]
            self.last.append(cycle)
        return cycle


def source_words(out: Times, beats: list[int]) -> Process:
    """Offer every beat in its cycle, or as soon as the one before has gone: the host."""
    free = _LONG_AGO
    for index, beat in enumerate(beats):
        out.offers.append(max(beat, free))
        while len(out.taken) <= index:
            yield
        free = out.taken[index] + 1


def sink_words(stream: Times, count: int) -> Process:
    """Take every beat at once: the host."""
    for index in range(count):
        while len(stream.offers) <= index:
            yield
        stream.taken.append(stream.offers[index])


def fork_words(stream: Times, taps: list[Times], count: int) -> Process:
    """Let every tap take a word in its own time; it has gone when all have."""
    for index in range(count):
        while len(stream.offers) <= index:
            yield
        for tap in taps:
            tap.offers.append(stream.offers[index])
        while min(len(tap.taken) for tap in taps) <= index:
            yield
        stream.taken.append(max(tap.taken[index] for tap in taps))


def widen_words(stream: Times, out: Times, parts: int, per_packet: int, count: int) -> Process:
    """Widen words: one that waits for its consumer keeps the next part out; both may move in one cycle."""
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


def narrow_words(stream: Times, out: Times, counts: list[int]) -> Process:
    """Split word i into counts[i] words; the next is taken when the last part goes."""
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


def pack_words(stream: Times, credits: Credits, completes: list[int], count: int) -> Process:
    """Join words to wider ones: each completes none, one, or one and the rest of a packet, which leaves a cycle later.

    A rest leaves as soon as there is room; the next word may be taken in the same cycle.
    """
    enabled, rests = _LONG_AGO, False
    for index in range(count):
        while len(stream.offers) <= index:
            yield
        leaves = _LONG_AGO
        if rests:
            leaves = yield from credits.enter(enabled, _LONG_AGO, ends=True)
        words = completes[index % len(completes)]
        cycle = yield from credits.enter(max(enabled, leaves), stream.offers[index], ends=words > 0)
        stream.taken.append(cycle)
        enabled, rests = cycle + 1, words > 1
    if rests:
        yield from credits.enter(enabled, _LONG_AGO, ends=True)


def fifo_in(stream: Times, fetched: list[int], depth: int, count: int) -> Process:
    """Take a word while fewer than `depth` are in the memory."""
    for index in range(count):
        while len(stream.offers) <= index:
            yield
        cycle = stream.offers[index]
        if index >= depth:
            while len(fetched) <= index - depth:
                yield
            cycle = max(cycle, fetched[index - depth] + 1)
        stream.taken.append(cycle)


def fifo_out(stream: Times, out: Times, fetched: list[int], count: int) -> Process:
    """Move a word to the output register when that is free, and offer it from the next cycle on."""
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


def pass_words(turns: list[list[Times]], credits: Credits, count: int, steps: int, results: int = 1) -> Process:
    """Let words enter one a cycle, one of each stream of a turn together.

    Of every `steps` turns the last `results` end an output each. A turn without streams takes a cycle too.
    """
    enabled = _LONG_AGO
    for index in range(count):
        turn = turns[index % len(turns)]
        for stream in turn:
            while len(stream.offers) <= len(stream.taken):
                yield
        earliest = max((stream.offers[len(stream.taken)] for stream in turn), default=_LONG_AGO)
        cycle = yield from credits.enter(enabled, earliest, index % steps >= steps - results)
        for stream in turn:
            stream.taken.append(cycle)
        enabled = cycle + 1


def step_words(
    stream: Times,
    credits: Credits,
    steps: list[int],
    needs: dict[int, int],
    ends: set[int],
    last: set[int],
    done: list[int],
) -> Process:
    """Take the line buffer's steps that wait for a word or end a result; `done` gets the last step of every window."""
    enabled, before = _LONG_AGO, 0
    for step in steps:
        earliest, need = _LONG_AGO, needs.get(step)
        if need is not None:
            while len(stream.taken) <= need:
                yield
            earliest = stream.taken[need] + 1
        cycle = yield from credits.enter(enabled + step - before, earliest, step in ends)
        enabled, before = cycle, step
        if step in last:
            done.append(cycle)


def write_words(stream: Times, after: list[int], done: list[int], delay: int) -> Process:
    """Take a word so many cycles after the window that `after` names for it is done."""
    for index, window in enumerate(after):
        while len(stream.offers) <= index:
            yield
        cycle = stream.offers[index]
        if window >= 0:
            while len(done) <= window:
                yield
            cycle = max(cycle, done[window] + delay)
        stream.taken.append(cycle)
