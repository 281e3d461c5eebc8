"""Extents of maps, and windows that slide over them. Loop letters: K C OY OX IY IX FY FX."""

from dataclasses import dataclass

import numpy as np

from codesign.ops.arrays import IntArray


@dataclass(frozen=True, slots=True)
class Shape:
    """Extents of a map: rows, columns, channels."""

    y: int
    x: int
    c: int

    def __post_init__(self) -> None:
        if min(self.y, self.x, self.c) < 1:
            raise ValueError(f"shape: expected positive extents, got {self.y}x{self.x}x{self.c}")

    @property
    def elements(self) -> int:
        return self.y * self.x * self.c

    def __str__(self) -> str:
        return f"{self.y}x{self.x}x{self.c}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A sliding window: FY x FX positions, its strides, the padding around the map, and the distances of positions."""

    fy: int
    fx: int
    stride_y: int = 1
    stride_x: int = 1
    pad_top: int = 0
    pad_left: int = 0
    pad_bottom: int = 0
    pad_right: int = 0
    dilation_y: int = 1
    dilation_x: int = 1

    def __post_init__(self) -> None:
        if min(self.fy, self.fx, self.stride_y, self.stride_x, self.dilation_y, self.dilation_x) < 1:
            raise ValueError(f"window: expected positive extents, strides and dilations, got {self}")
        pads = (self.pad_top, self.pad_left, self.pad_bottom, self.pad_right)
        too_tall = max(self.pad_top, self.pad_bottom) >= self.span_y
        if min(pads) < 0 or too_tall or max(self.pad_left, self.pad_right) >= self.span_x:
            raise ValueError(f"window: expected 0 <= padding < kernel, dilated, on each side, got {self}")

    @property
    def span_y(self) -> int:
        """Rows from the first position to the last."""
        return (self.fy - 1) * self.dilation_y + 1

    @property
    def span_x(self) -> int:
        """Columns from the first position to the last."""
        return (self.fx - 1) * self.dilation_x + 1

    @property
    def positions(self) -> int:
        return self.fy * self.fx

    @property
    def is_dilated(self) -> bool:
        return (self.span_y, self.span_x) != (self.fy, self.fx)

    @property
    def is_padded(self) -> bool:
        return max(self.pad_top, self.pad_left, self.pad_bottom, self.pad_right) > 0

    def out_extents(self, y: int, x: int) -> tuple[int, int]:
        """Return OY and OX of a map of y rows and x columns. Raise ValueError if the window does not fit."""
        rows = y + self.pad_top + self.pad_bottom - self.span_y
        columns = x + self.pad_left + self.pad_right - self.span_x
        if rows < 0 or columns < 0:
            raise ValueError(f"window: {self.span_y}x{self.span_x} does not fit a padded map of {y}x{x}")
        return rows // self.stride_y + 1, columns // self.stride_x + 1

    def in_order(self, shape: Shape) -> bool:
        """Return whether the windows over a map do not overlap and lie in raster order: 1x1 positions, or the map."""
        whole_map = (self.fy, self.fx) == (shape.y, shape.x)
        pointwise = self.positions == self.stride_y == self.stride_x == 1
        return not self.is_padded and (whole_map or pointwise)


def check_output(name: str, shape: Shape, window: Window, channels: int) -> None:
    """Raise ValueError, naming the node, unless the window fits its input, reads some of it, and it has channels."""
    try:
        Shape(*window.out_extents(shape.y, shape.x), channels)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if window.is_dilated and not window_counts(window, shape).any():  # others always meet the map
        raise ValueError(f"{name}: no position of its window lies in the map of {shape}; pad or dilate less")


def window_spans(window: Window, shape: Shape) -> tuple[IntArray, IntArray]:
    """Return Operator.spans of windows over a map; one that begins above the map keeps all from the first pixel.

    A window that lies between the pixels of the map reads none.
    """
    oy, ox = window.out_extents(shape.y, shape.x)
    row = np.arange(oy)[:, None] * window.stride_y - window.pad_top
    column = np.arange(ox)[None, :] * window.stride_x - window.pad_left
    first = np.where(row < 0, 0, row * shape.x + np.maximum(column, 0))
    last_row = row + window.dilation_y * np.minimum(window.fy - 1, (shape.y - 1 - row) // window.dilation_y)
    last_column = column + window.dilation_x * np.minimum(window.fx - 1, (shape.x - 1 - column) // window.dilation_x)
    reads = (last_row >= 0) & (last_column >= 0)
    last = np.where(reads, last_row * shape.x + last_column, first - 1)
    return first.ravel(), last.ravel()


def window_counts(window: Window, shape: Shape) -> IntArray:
    """Return how many positions of each window over a map lie inside it, [OY,OX]."""
    oy, ox = window.out_extents(shape.y, shape.x)
    rows = np.arange(oy)[:, None] * window.stride_y - window.pad_top + np.arange(window.fy) * window.dilation_y
    columns = np.arange(ox)[:, None] * window.stride_x - window.pad_left + np.arange(window.fx) * window.dilation_x
    inside = [((at >= 0) & (at < extent)).sum(axis=1) for at, extent in ((rows, shape.y), (columns, shape.x))]
    return np.asarray(np.outer(*inside))


def window_view(x: IntArray, window: Window, fill: int) -> IntArray:
    """Return a view [B,OY,OX,FY,FX,C] of the padded map, one window per output position, for x[B,IY,IX,C]."""
    pads = ((0, 0), (window.pad_top, window.pad_bottom), (window.pad_left, window.pad_right), (0, 0))
    padded = np.pad(x, pads, constant_values=fill) if window.is_padded else x
    taps = np.lib.stride_tricks.sliding_window_view(padded, (window.span_y, window.span_x), axis=(1, 2))
    taps = taps[:, :: window.stride_y, :: window.stride_x, :, :: window.dilation_y, :: window.dilation_x]
    return np.moveaxis(taps, 3, 5)
