"""The DRAM that weights are loaded from, and the cycles that loading takes.

One server: bursts in turn at the board's steady rate, a gap for every refresh, then a latency. The test bench in
templates/rtl/tb/tb.cpp has the same memory; the rest of a load is as weight_loader.sv and axi_read.sv have it.
"""

import math
from collections import deque
from dataclasses import dataclass

from codesign.ir.board import Board
from codesign.machine.loading import BEAT_BITS, BURST_BEATS, HEAD_WORDS, HELD_BURSTS, TAIL_WORDS, Loader

UNIT = 1024  # parts of a cycle in which the memory's times are counted
READ_LATENCY_NS = 227.0  # of a read through an interconnect: measured on an Alveo U200; taken for every board
REFRESH_EVERY_NS, REFRESH_NS = 7800.0, 350.0  # JEDEC's tREFI and tRFC of DDR3 and DDR4


@dataclass(frozen=True, slots=True, kw_only=True)
class Dram:
    """A memory in cycles of the accelerator; a beat takes `beat_1024ths` of 1/1024 cycle."""

    latency: int
    beat_1024ths: int
    refresh_every: int
    refresh_cycles: int
    burst_beats: int = BURST_BEATS


def dram_of(board: Board) -> Dram:
    """Return the board's memory as a read port of 64 bits sees it."""
    per_us = board.clock_mhz
    bytes_per_cycle = board.dram_peak_mb_s * board.dram_efficiency / per_us
    return Dram(
        latency=math.ceil(READ_LATENCY_NS * per_us / 1e3),
        beat_1024ths=math.ceil(UNIT * BEAT_BITS / 8 / bytes_per_cycle),
        refresh_every=max(1, round(REFRESH_EVERY_NS * per_us / 1e3)),
        refresh_cycles=math.ceil(REFRESH_NS * per_us / 1e3),
    )


def load_cycles(loader: Loader, dram: Dram) -> int:
    """Return the cycles from the start of a load until the engines leave their reset.

    Exact for a memory whose refreshes count from the first burst.
    """
    server = _Server(dram)
    asked, taken, beat = 0, 0, 0  # cycles in which a burst is asked for, a beat leaves the queue, a beat arrives
    places = deque[int]()  # when the last beat of a burst leaves the queue
    check = HEAD_WORDS + loader.words + TAIL_WORDS - 1
    checked = 0
    for burst in range(loader.bursts):
        asked = asked + 2
        if burst >= HELD_BURSTS:
            asked = max(asked, places.popleft() + 3)
        for index, due in enumerate(server.beats(asked + 1)):
            beat = max(beat + 1, due)
            taken = max(beat + 3, taken + 2)
            if check // 2 == burst * BURST_BEATS + index:
                checked = taken - (check + 1) % 2
        places.append(taken)
    return max(checked + 4 + loader.stages, taken + 2) + 2


@dataclass(slots=True)
class _Server:
    """The memory: when it is free, in parts of a cycle after the first burst came, which was in cycle `begun`."""

    dram: Dram
    free: int = 0
    begun: int = -1

    def beats(self, accepted: int) -> list[int]:
        """Return the cycles from which on the beats of a burst can leave, of a burst that came in that cycle."""
        if self.begun < 0:
            self.begun = accepted
        start = max((accepted - self.begun) * UNIT, self.free)
        every, gap = self.dram.refresh_every * UNIT, self.dram.refresh_cycles * UNIT
        if start >= every and start % every < gap:
            start += gap - start % every
        step = self.dram.beat_1024ths
        self.free = start + BURST_BEATS * step
        first = (self.begun + self.dram.latency) * UNIT + start
        return [-(-(first + i * step) // UNIT) for i in range(BURST_BEATS)]
