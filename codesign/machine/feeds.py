"""Modules that keep a map, or a part of it, and replay its words: what each is, and its steps.

As in modules.py, a field may be an array. Walks mirror the counters of templates/rtl/modules.
"""

from dataclasses import dataclass

import numpy as np

from codesign.machine.kinds import Replay, Walk, Whole
from codesign.ops.arrays import Bool, Int, IntArray
from codesign.ops.shapes import Shape, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed(Replay):
    """A line buffer that walks windows over a map; where the engine `streams`, one register.

    `fold`: words of a pixel; `inner`: words of a pixel in one group of channels; `passes`: passes over the words of a
    group. `depth`: words of the line buffer. line_buffer.sv and pass_feed.sv.
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

    @property
    def delay(self) -> int:
        return 0  # its array counts it

    def walk(self) -> Walk:
        return _window_walk(self)

    @property
    def steps(self) -> Int:
        """Words that make one result."""
        return self.window.positions * self.inner

    @property
    def has_padding(self) -> bool:
        """Whether some step of some window lies outside the map."""
        w, out = self.window, self.oshape
        bottom = (out.y - 1) * w.stride_y - w.pad_top + w.span_y
        right = (out.x - 1) * w.stride_x - w.pad_left + w.span_x
        return w.pad_top > 0 or w.pad_left > 0 or bottom > self.ishape.y or right > self.ishape.x


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
    def delay(self) -> int:
        return 1

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


AnyFeed = Feed | RowRepeater


def _window_walk(feed: Feed) -> Walk:
    window, shape, out = feed.window, feed.ishape, feed.oshape
    fold, inner, passes = int(feed.fold), int(feed.inner), int(feed.passes)
    groups = fold // inner
    results = groups * passes
    oy, ox, g, fy, fx, i = np.meshgrid(
        np.arange(out.y),
        np.arange(out.x),
        np.arange(groups),  # later passes of a group read the words of its first again
        np.arange(window.fy),
        np.arange(window.fx),
        np.arange(inner),
        indexing="ij",
        sparse=True,
    )
    iy = oy * window.stride_y + fy * window.dilation_y - window.pad_top
    ix = ox * window.stride_x + fx * window.dilation_x - window.pad_left
    need = (iy * shape.x + ix) * fold + g * inner + i
    per_pass = window.positions * inner
    step = (((oy * out.x + ox) * results + g * passes) * window.fy + fy) * window.fx * inner + fx * inner + i
    real = np.broadcast_to((iy >= 0) & (iy < shape.y) & (ix >= 0) & (ix < shape.x), np.broadcast(need, step).shape)
    return Walk(
        steps=out.y * out.x * results * per_pass,
        words=shape.y * shape.x * fold,
        results=results,
        step=np.broadcast_to(step, real.shape)[real],
        need=np.broadcast_to(need, real.shape)[real],
        result=np.arange(1, out.y * out.x * results + 1) * per_pass - 1,
        freed=_freed(feed, fold),
    )


def _freed(feed: Feed, fold: int) -> IntArray:
    """Return the words that the machine gives up after each output position, as its `limit_q` counts them."""
    window, shape, out = feed.window, feed.ishape, feed.oshape
    row = np.arange(out.y)[:, None] * window.stride_y - window.pad_top
    column = np.arange(out.x)[None, :] * window.stride_x - window.pad_left
    start = np.where(row < 0, 0, row * shape.x + np.maximum(column, 0)).ravel() * fold
    freed = np.concatenate((start[1:], [shape.y * shape.x * fold]))
    return np.maximum.accumulate(freed)
