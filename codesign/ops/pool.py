"""Pooling: maximum or average."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from codesign.ops.arrays import IntArray
from codesign.ops.qtype import QType
from codesign.ops.requantize import (
    HALF_UP,
    OutputRule,
    Scaling,
    check_requantize,
    check_rule,
    check_zero,
    requantize,
    scaling_of,
)
from codesign.ops.shapes import Shape, Window, check_output, window_counts, window_view
from codesign.ops.windowed import WindowOperator


class PoolOp(Enum):
    """What a pooling keeps of its window."""

    MAX = "max"
    AVERAGE = "average"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool(WindowOperator):
    """Maximum or average over a window, channel by channel; a global pooling's window covers the map.

    Maximum: padding never wins; otype equals itype, multiplier 1, shift 0, and nothing is rounded.
    Average: y = clamp(round(sum of (x - zero_in) * multiplier / 2**shift) + zero); padding is `zero_in`, and counts.
    The multiplier holds 1/(FY*FX) and the ratio of scales. `rule`: how to round, `zero`, and where outputs end.
    Where padding does not count, `by_count` has a multiplier for every smaller count of positions inside the map.
    """

    name: str
    source: str
    ishape: Shape
    itype: QType
    op: PoolOp
    window: Window
    multiplier: int
    shift: int
    otype: QType
    zero_in: int = 0  # the input's zero point
    rule: OutputRule = HALF_UP
    by_count: tuple[tuple[int, int], ...] = ()  # count and multiplier

    def __post_init__(self) -> None:
        if self.op is PoolOp.MAX and (self.multiplier != 1 or self.shift != 0 or self.otype != self.itype):
            raise ValueError(f"{self.name}: maximum pooling has multiplier 1, shift 0 and otype = itype")
        if self.op is PoolOp.MAX and (self.zero_in != 0 or self.rule != HALF_UP):
            raise ValueError(f"{self.name}: maximum pooling gives its inputs as they are, without zero point or rule")
        if min(self.multipliers.values()) < 1:
            raise ValueError(f"{self.name}: expected a positive multiplier, got {min(self.multipliers.values())}")
        check_requantize(self.name, self.acc_bits, self.largest_multiplier.bit_length(), self.shift)
        check_zero(self.name, self.zero_in, self.itype)
        check_rule(self.name, self.rule, self.shift, self.otype)
        check_output(self.name, self.ishape, self.window, self.ishape.c)
        counts = {int(n) for n in np.unique(window_counts(self.window, self.ishape))} - {0, self.window.positions}
        if self.by_count and (self.op is PoolOp.MAX or sorted(counts) != sorted(n for n, _ in self.by_count)):
            raise ValueError(
                f"{self.name}: expected no multipliers by count, or in an average one for each of the counts "
                f"{sorted(counts)}, got {[n for n, _ in self.by_count]}"
            )

    @property
    def oshape(self) -> Shape:
        return Shape(*self.window.out_extents(self.ishape.y, self.ishape.x), self.ishape.c)

    @property
    def covers_map(self) -> bool:
        """Whether there is one window, with every pixel of the map in it."""
        if (self.oshape.y, self.oshape.x) != (1, 1):
            return False
        return int(window_counts(self.window, self.ishape)[0, 0]) == self.ishape.y * self.ishape.x

    @property
    def in_order(self) -> bool:
        """Whether windows read every pixel once, in raster order: single pixels, or the whole map, padded or not."""
        return self.window.in_order(self.ishape) or self.covers_map

    @property
    def passes(self) -> bool:
        """Whether an engine needs results so far in place of pixels, and so no line buffer."""
        return self.in_order

    @property
    def without_padding(self) -> "Pool":
        """The same pooling with the map for its window where that covers the map; else itself."""
        if self.window.in_order(self.ishape) or not self.covers_map:
            return self
        window = Window(fy=self.ishape.y, fx=self.ishape.x)
        return replace(self, window=window, multiplier=int(self.multiplier_map()[0, 0, 0]), by_count=())

    @property
    def acc_bits(self) -> int:
        """Signed width of the sum over the window."""
        bound = max(-self.itype.qmin, self.itype.qmax + 1) * self.window.positions
        return (bound - 1).bit_length() + 1

    @property
    def multipliers(self) -> dict[int, int]:
        """The multiplier of every count of positions inside the map."""
        return {self.window.positions: self.multiplier, **dict(self.by_count)}

    @property
    def largest_multiplier(self) -> int:
        return max(self.multipliers.values())

    @property
    def added(self) -> int:
        """What the machine adds to its sums of inputs: the zero point's part, taken away."""
        return -self.zero_in * self.window.positions

    @property
    def sum_bits(self) -> int:
        """Signed width of what an engine's array gives; a maximum needs no more than its inputs."""
        return self.acc_bits if self.op is PoolOp.AVERAGE else self.itype.bits + (not self.itype.signed)

    @property
    def scaling(self) -> Scaling:
        """The kind of its multipliers; where counts choose one, any."""
        return Scaling.GENERAL if self.by_count else scaling_of(np.array([self.multiplier]))

    @property
    def title(self) -> str:
        w = self.window
        kind = "maximum" if self.op is PoolOp.MAX else "average"
        return f"global {kind}" if (w.fy, w.fx) == (self.ishape.y, self.ishape.x) else f"{kind} {w.fy}×{w.fx}"

    def nameless(self) -> "Pool":
        """Return the node without names, so that equal nodes of different networks compare equal."""
        return replace(self, name="n", source="a")

    def evaluate(self, maps: Sequence[IntArray], params: Mapping[str, IntArray]) -> IntArray:
        """Return y[B,OY,OX,C] for x[B,IY,IX,C]; there are no parameters."""
        (x,) = maps
        if self.op is PoolOp.MAX:
            return np.asarray(window_view(x, self.window, self.itype.qmin).max(axis=(3, 4)))
        total = window_view(x - self.zero_in, self.window, 0).sum(axis=(3, 4))
        return requantize(total, self.multiplier_map(), self.shift, self.otype, self.rule)

    def multiplier_map(self) -> IntArray:
        """Return the multiplier of every output position, [OY,OX,1]; where nothing is inside the map, any will do."""
        counts = window_counts(self.window, self.ishape)[:, :, None]
        found = np.full_like(counts, self.multiplier)
        for count, multiplier in self.by_count:
            found[counts == count] = multiplier
        return found
