"""Modules that keep a map, or a part of it, and replay its words: what each is, and its steps.

As in modules.py, a field may be an array. Walks mirror the counters of templates/rtl/modules.

Long because every module that keeps a map stands here, with its walk.
"""

from dataclasses import dataclass

import numpy as np

from codesign.machine.kinds import Replay, Walk, Whole
from codesign.ops.arrays import Bool, Int, IntArray, largest
from codesign.ops.shapes import Shape, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed(Replay):
    """A line buffer that walks windows over a map, `taps` rows of a window a step; where it `streams`, one register.

    `fold`: words of a pixel; `inner`: words of a pixel in one group of channels; `passes`: passes over the words of a
    group. `depth`: words of the line buffer. `late`: words pass a second register, because they or the weights beside
    them come out of a block RAM. See line_buffer.sv, pass_feed.sv, feed_register.sv, and row_buffer.sv for rows.
    """

    window: Window
    ishape: Shape
    oshape: Shape
    fold: Int
    inner: Int
    passes: Int
    word_bits: Int
    depth: Int
    block_ram: Bool
    streams: Bool
    late: Bool
    taps: Int = 1

    @property
    def delay(self) -> Int:
        return 1 + 1 * self.late + 1 * (self.taps > 1)  # the last: words are brought to their rows' places

    @property
    def room_delay(self) -> int:
        return 1 if int(self.taps) > 1 else 2

    def walk(self) -> Walk:
        return _window_walk(self)

    @property
    def steps(self) -> Int:
        """Words that make one result."""
        return self.window.fy // self.taps * self.window.fx * self.inner

    @property
    def has_padding(self) -> bool:
        """Whether some step of some window lies outside the map."""
        w, out = self.window, self.oshape
        bottom = (out.y - 1) * w.stride_y - w.pad_top + w.span_y
        right = (out.x - 1) * w.stride_x - w.pad_left + w.span_x
        return w.pad_top > 0 or w.pad_left > 0 or bottom > self.ishape.y or right > self.ishape.x

    @property
    def waits(self) -> bool:
        """Whether an image's first window lies outside the map, so that its first step waits for its first word.

        Else the machine would give results of an image that may never come.
        """
        w = self.window
        rows = (0 <= tap * w.dilation_y - w.pad_top < self.ishape.y for tap in range(w.fy))
        columns = (0 <= tap * w.dilation_x - w.pad_left < self.ishape.x for tap in range(w.fx))
        return not (any(rows) and any(columns))


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRepeater(Whole, Replay):
    """A memory of rows that makes a map larger by whole factors, FY x FX. row_repeater.sv.

    `fold`: words of a pixel. `depth`: words of the memory.
    """

    ishape: Shape
    fy: int
    fx: int
    fold: Int
    word_bits: Int
    depth: Int
    block_ram: Bool

    @property
    def name(self) -> str:
        return "row_repeater"

    @property
    def parameters(self) -> dict[str, int | bool | tuple[int, ...]]:
        return {
            "WORD_BITS": int(self.word_bits),
            "FOLD": int(self.fold),
            "X": self.ishape.x,
            "FY": self.fy,
            "FX": self.fx,
            "DEPTH": int(self.depth),
            "BLOCK_RAM": bool(self.block_ram),
        }

    @property
    def delay(self) -> Int:
        return 2 + 1 * self.block_ram

    def walk(self) -> Walk:
        y, x, fold = self.ishape.y, self.ishape.x, int(self.fold)
        words = np.arange(y * x * fold).reshape(y, 1, x, 1, fold)
        need = np.broadcast_to(words, (y, self.fy, x, self.fx, fold)).ravel()
        steps, following = np.arange(len(need)), np.append(need[fold::fold], words.size)
        return Walk(
            steps=len(need),
            words=words.size,
            results=fold,
            step=steps,
            need=need,
            result=steps,
            freed=np.minimum.accumulate(following[::-1])[::-1],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rearranger(Whole, Replay):
    """A memory that is read in nested loops, the innermost first. rearranger.sv.

    Loop i makes `counts[i]` turns, each `strides[i]` words further on than the one before; all begins at word `first`.
    `image`: words of an input map; `fold`: words of an output pixel. Words before the next are freed when all loops
    below `free` end; with `last_pass`, only in the last turn of that loop. `depth`: words of the memory.
    """

    counts: tuple[Int, ...]
    strides: tuple[Int, ...]
    first: Int
    image: Int
    fold: Int
    free: int
    last_pass: int | None
    word_bits: Int
    depth: Int
    block_ram: Bool

    @property
    def name(self) -> str:
        return "rearranger"

    @property
    def jumps(self) -> tuple[Int, ...]:
        """How far the address moves where each loop advances; the last one: to the next image."""
        spans = [(count - 1) * stride for count, stride in zip(self.counts, self.strides, strict=True)]
        return tuple(step - sum(spans[:i]) for i, step in enumerate((*self.strides, self.image)))

    @property
    def reach(self) -> Int:
        """The furthest that the address moves forward in a step, or lies ahead at first."""
        return largest(self.first, *self.jumps)

    @property
    def parameters(self) -> dict[str, int | bool | tuple[int, ...]]:
        loops = len(self.counts)
        return {
            "WORD_BITS": int(self.word_bits),
            "LOOPS": loops,
            "FIRST": int(self.first),
            "FREE": self.free,
            "PASS": loops if self.last_pass is None else self.last_pass,
            "IMAGE": int(self.image),
            "REACH": int(self.reach),
            "DEPTH": int(self.depth),
            "BLOCK_RAM": bool(self.block_ram),
            "COUNTS": tuple(map(int, self.counts)),
            "STRIDES": tuple(map(int, self.strides)),
        }

    @property
    def delay(self) -> Int:
        return 2 + 1 * self.block_ram

    def walk(self) -> Walk:
        need = np.array([int(self.first)])
        last_pass = np.array([self.last_pass is None])
        for i, (count, stride) in enumerate(zip(self.counts, self.strides, strict=True)):
            turn = np.arange(int(count))[:, None]
            need = (need + turn * int(stride)).ravel()
            last_pass = (last_pass | ((turn == int(count) - 1) & (i == self.last_pass))).ravel()
        steps, fold = np.arange(len(need)), int(self.fold)
        below = int(np.prod([int(count) for count in self.counts[: self.free]], dtype=np.int64))
        following = np.append(need[1:], int(self.image) + int(self.first))
        gives_up = ((steps + 1) % below == 0) & last_pass
        freed = np.maximum.accumulate(np.where(gives_up, following, 0))
        return Walk(
            steps=len(need),
            words=int(self.image),
            results=fold,
            step=steps,
            need=need,
            result=steps,
            freed=freed[fold - 1 :: fold],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Padder(Whole, Replay):
    """A queue whose words become a larger map, with a value around them or zeros between them. padder.sv.

    `place`: row and column of the first pixel; `strides`: rows and columns from one pixel to the next. `fold`: words of
    a pixel. `depth`: words of the queue.
    """

    ishape: Shape
    oshape: Shape
    place: tuple[int, int]
    strides: tuple[int, int]
    value: int
    bits: int
    lanes: Int
    fold: Int
    depth: Int
    block_ram: Bool

    @property
    def name(self) -> str:
        return "padder"

    @property
    def parameters(self) -> dict[str, int | bool | tuple[int, ...]]:
        return {
            "LANES": int(self.lanes),
            "BITS": self.bits,
            "FOLD": int(self.fold),
            "IY": self.ishape.y,
            "IX": self.ishape.x,
            "PAD_OY": self.oshape.y,
            "PAD_OX": self.oshape.x,
            "TOP": self.place[0],
            "LEFT": self.place[1],
            "STRIDE_Y": self.strides[0],
            "STRIDE_X": self.strides[1],
            "VALUE": self.value,
            "DEPTH": int(self.depth),
            "BLOCK_RAM": bool(self.block_ram),
        }

    @property
    def delay(self) -> Int:
        return 2 + 1 * self.block_ram

    def walk(self) -> Walk:
        (top, left), (down, right), fold = self.place, self.strides, int(self.fold)
        real = np.zeros((self.oshape.y, self.oshape.x, fold), np.int64)
        real[top : top + self.ishape.y * down : down, left : left + self.ishape.x * right : right] = 1
        given, words = np.cumsum(real), self.ishape.y * self.ishape.x * fold
        need = given - real.ravel()
        waits = np.flatnonzero(need < words)
        return Walk(
            steps=len(need),
            words=words,
            results=1,
            step=waits,
            need=need[waits],
            result=np.arange(len(need)),
            freed=given,
        )


AnyFeed = Feed | RowRepeater | Rearranger | Padder


def _window_walk(feed: Feed) -> Walk:
    window, shape, out = feed.window, feed.ishape, feed.oshape
    fold, inner, passes = int(feed.fold), int(feed.inner), int(feed.passes)
    groups = fold // inner
    results, rows = groups * passes, window.fy // int(feed.taps)
    oy, ox, g, fy, fx, i = np.meshgrid(
        np.arange(out.y),
        np.arange(out.x),
        np.arange(groups),  # later passes of a group read the words of its first again
        np.arange(rows),
        np.arange(window.fx),
        np.arange(inner),
        indexing="ij",
        sparse=True,
    )
    iy = oy * window.stride_y + fy * window.dilation_y - window.pad_top
    if rows < window.fy:  # the last row that lies inside comes last
        iy = np.minimum(iy + window.span_y - 1, shape.y - 1)
    ix = ox * window.stride_x + fx * window.dilation_x - window.pad_left
    need = (iy * shape.x + ix) * fold + g * inner + i
    per_pass = int(feed.steps)
    step = (((oy * out.x + ox) * results + g * passes) * rows + fy) * window.fx * inner + fx * inner + i
    real = np.broadcast_to((iy >= 0) & (iy < shape.y) & (ix >= 0) & (ix < shape.x), np.broadcast(need, step).shape)
    begins = [0] if feed.waits else []
    return Walk(
        steps=out.y * out.x * results * per_pass,
        words=shape.y * shape.x * fold,
        results=results,
        step=np.concatenate((begins, np.broadcast_to(step, real.shape)[real])).astype(np.int64),
        need=np.concatenate((begins, np.broadcast_to(need, real.shape)[real])).astype(np.int64),
        result=np.arange(1, out.y * out.x * results + 1) * per_pass - 1,
        freed=_freed(feed, fold),
    )


def _freed(feed: Feed, fold: int) -> IntArray:
    """Return the words that the machine frees after each output position, as its `limit_q` counts them."""
    window, shape, out = feed.window, feed.ishape, feed.oshape
    row = np.arange(out.y)[:, None] * window.stride_y - window.pad_top
    column = np.arange(out.x)[None, :] * window.stride_x - window.pad_left
    start = np.where(row < 0, 0, row * shape.x + np.maximum(column, 0)).ravel() * fold
    freed = np.concatenate((start[1:], [shape.y * shape.x * fold]))
    return np.maximum.accumulate(freed)
