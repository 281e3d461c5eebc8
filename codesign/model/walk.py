"""The steps of one image through a line buffer: which word each needs, and what each window frees.

Mirrors the counters of templates/rtl/modules/line_buffer.sv.
"""

from dataclasses import dataclass

import numpy as np

from codesign.machine.modules import Feed
from codesign.ops.arrays import IntArray


@dataclass(frozen=True, eq=False)
class Walk:
    """The steps of one image through a line buffer: which word each needs, and what each window frees."""

    steps: int  # steps of an image
    words: int  # input words of an image
    results: int  # of an output position: passes of every group
    step: IntArray  # steps that need a word that no earlier step of their window needed
    need: IntArray  # the word of each such step
    result: IntArray  # last step of every result
    freed: IntArray  # words from the image's start that are no longer needed after each window


def walk_of(feed: Feed) -> Walk:
    """Return the walk of a single line buffer."""
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
    iy, ix = oy * window.stride_y + fy - window.pad_top, ox * window.stride_x + fx - window.pad_left
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
    """Words that the machine gives up after each output position, as its `limit_q` counts them."""
    window, shape, out = feed.window, feed.ishape, feed.oshape
    row = np.arange(out.y)[:, None] * window.stride_y - window.pad_top
    column = np.arange(out.x)[None, :] * window.stride_x - window.pad_left
    start = np.where(row < 0, 0, row * shape.x + np.maximum(column, 0)).ravel() * fold
    freed = np.concatenate((start[1:], [shape.y * shape.x * fold]))
    return np.maximum.accumulate(freed)
