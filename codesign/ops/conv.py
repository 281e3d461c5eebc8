"""The convolution: dense, grouped or depthwise, and fully connected layers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from codesign.errors import UnsupportedError
from codesign.ops.arrays import IntArray
from codesign.ops.qtype import QType
from codesign.ops.requantize import (
    HALF_UP,
    MAX_PRODUCT_BITS,
    OutputRule,
    Scaling,
    check_requantize,
    check_rule,
    check_zero,
    requantize,
    scaling_of,
    signed_bits,
)
from codesign.ops.shapes import Shape, Window, check_output, window_view
from codesign.ops.windowed import WindowOperator


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv(WindowOperator):
    """A convolution, requantized to `otype`: dense (groups = 1), grouped, or depthwise (groups = C = K).

    A fully connected layer is the Conv whose window covers its whole input map. A ReLU is an unsigned `otype`.

        sum[oy,ox,k] = sum over fy,fx,c of w[k,fy,fx,c] * (x[oy*SY+fy*DY-PT, ox*SX+fx*DX-PL, g*C/G + c] - zero_in)
        y = clamp(round((sum * 2**bias_fraction + bias[k]) * multiplier[k] / 2**shift) + zero)

    with g = floor(k / (K/G)), the group of output channel k. Padding adds nothing: it is `zero_in`. `rule` says how to
    round, what `zero` is, and where outputs end. Parameters in Graph.params: `<name>.weight` [K,FY,FX,C/G],
    `<name>.bias` [K], `<name>.multiplier` [K].
    """

    name: str
    source: str
    ishape: Shape
    itype: QType
    k: int
    window: Window
    groups: int
    wtype: QType
    acc_bits: int  # signed width that holds every partial sum and every sum with its bias
    scaling: Scaling
    multiplier_bits: int  # unsigned width of the largest multiplier
    shift: int
    otype: QType
    zero_in: int = 0  # the input's zero point
    bias_fraction: int = 0  # bits of a bias below the step of a sum
    rule: OutputRule = HALF_UP

    def __post_init__(self) -> None:
        if self.groups < 1 or self.k % self.groups or self.ishape.c % self.groups:
            raise ValueError(
                f"{self.name}: groups must divide K and C, got {self.groups} for K = {self.k} and C = {self.ishape.c}"
            )
        check_requantize(self.name, self.acc_bits, self.multiplier_bits, self.shift)
        bits = self.acc_bits + self.multiplier_bits + self.bias_fraction
        if self.bias_fraction < 0 or bits > MAX_PRODUCT_BITS:
            raise ValueError(
                f"{self.name}: expected a fraction of the bias of 0 bits or more, and with accumulator and multiplier "
                f"at most {MAX_PRODUCT_BITS} bits, got {self.bias_fraction} and {bits}"
            )
        check_zero(self.name, self.zero_in, self.itype)
        check_rule(self.name, self.rule, self.shift, self.otype)
        check_output(self.name, self.ishape, self.window, self.k)

    @property
    def oshape(self) -> Shape:
        return Shape(*self.window.out_extents(self.ishape.y, self.ishape.x), self.k)

    @property
    def depthwise(self) -> bool:
        """Whether every output channel has its own input channel; a single channel counts as dense."""
        return self.groups == self.k == self.ishape.c > 1

    @property
    def grouped(self) -> bool:
        """Whether channels mix, but only within one of several groups."""
        return self.groups > 1 and not self.depthwise

    @property
    def sum_bits(self) -> int:
        """Signed width of what an engine's array gives."""
        return self.acc_bits

    @property
    def c_per_group(self) -> int:
        return self.ishape.c // self.groups

    @property
    def k_per_group(self) -> int:
        return self.k // self.groups

    @property
    def mixes(self) -> bool:
        return not self.depthwise

    @property
    def reduced_channels(self) -> int:
        return self.c_per_group

    @property
    def macs(self) -> int:
        return self.oshape.elements * self.window.positions * self.c_per_group

    @property
    def covers_map(self) -> bool:
        """Whether the window is the whole map, as in a fully connected layer."""
        return self.oshape.y == self.oshape.x == 1

    @property
    def aligned_lanes(self) -> tuple[int, int] | None:
        return (self.k_per_group, self.c_per_group) if self.grouped else None

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        filters = (self.k, self.window.fy, self.window.fx, self.c_per_group)
        return {"weight": filters, "bias": (self.k,), "multiplier": (self.k,)}

    @property
    def title(self) -> str:
        w = self.window
        if self.covers_map and (w.fy, w.fx) == (self.ishape.y, self.ishape.x):
            return "dense"
        stride = f", stride {w.stride_y}" if w.stride_y == w.stride_x != 1 else ""
        stride = stride or (f", stride {w.stride_y}×{w.stride_x}" if w.stride_y != w.stride_x else "")
        groups = f" in {self.groups} groups" if self.groups > 1 and not self.depthwise else ""
        apart = f", dilation {w.dilation_y}×{w.dilation_x}" if w.is_dilated else ""
        return f"{'depthwise' if self.depthwise else 'conv'} {w.fy}×{w.fx}{stride}{apart}{groups}"

    def nameless(self) -> "Conv":
        """Return the node without names, so that equal nodes of different networks compare equal."""
        return replace(self, name="n", source="a")

    def check(self, params: Mapping[str, IntArray]) -> None:
        weight, multiplier = params["weight"], params["multiplier"]
        if weight.min() < self.wtype.qmin or weight.max() > self.wtype.qmax:
            raise UnsupportedError(f"node {self.name!r}: a weight lies outside {self.wtype}")
        if multiplier.min() < 1 or int(multiplier.max()).bit_length() > self.multiplier_bits:
            raise UnsupportedError(f"node {self.name!r}: a multiplier is not in 1 to {2**self.multiplier_bits - 1}")
        if self.scaling is not scaling_of(multiplier) and self.scaling is not Scaling.GENERAL:
            raise UnsupportedError(f"node {self.name!r}: its multipliers are not of the kind {self.scaling.value!r}")
        added = self.added(params) >> self.bias_fraction
        needed = signed_bits(*accumulator_bounds(self.itype, weight, added))
        if needed > self.acc_bits:
            raise UnsupportedError(
                f"node {self.name!r}: {self.acc_bits} accumulator bits, but its weights need {needed}"
            )

    def evaluate(self, maps: Sequence[IntArray], params: Mapping[str, IntArray]) -> IntArray:
        """Return y[B,OY,OX,K] for x[B,IY,IX,C] and the parameters by name.

        A partial product of float64 matrices is exact here: every sum stays below 2**53 because acc_bits <= 32.
        """
        (x,), weight = maps, params["weight"]
        taps = window_view(x - self.zero_in, self.window, 0)
        if self.depthwise:
            acc = np.einsum("bijyxk,kyx->bijk", taps, weight[:, :, :, 0])
        else:
            b, oy, ox = taps.shape[:3]
            split = zip(np.split(taps, self.groups, axis=5), np.split(weight, self.groups), strict=True)
            flat = [(t.reshape(b * oy * ox, -1).astype(np.float64), w.reshape(len(w), -1)) for t, w in split]
            sums = [t @ w.T.astype(np.float64) for t, w in flat]
            acc = np.concatenate(sums, axis=1).astype(np.int64).reshape(b, oy, ox, self.k)
        total = (acc << self.bias_fraction) + params["bias"]
        return requantize(total, params["multiplier"], self.shift, self.otype, self.rule)

    def added(self, params: Mapping[str, IntArray]) -> IntArray:
        """Return what the machine adds to its sums, [K] in steps of the bias, from the parameters by name."""
        return added_bias(params["weight"], params["bias"], self.zero_in, self.bias_fraction)


def added_bias(weight: IntArray, bias: IntArray, zero_in: int, bias_fraction: int) -> IntArray:
    """Return the bias less what the input's zero point adds to a sum of weights times inputs.

    weight[K,FY,FX,C/G], bias[K] and the result in steps of the bias. The machine multiplies inputs as they are, and
    outside the map they are the zero point.
    """
    return bias - ((zero_in * weight.reshape(len(bias), -1).sum(axis=1)) << bias_fraction)


def accumulator_bounds(itype: QType, weight: IntArray, bias: IntArray) -> tuple[int, int]:
    """Return the smallest and largest value that any partial sum, or sum with bias, of a Conv can take.

    weight[K,FY,FX,C], bias[K] in steps of the sum, rounded down. Zero lies inside every activation type, so a partial
    sum never leaves the bounds of the whole sum.
    """
    low = np.minimum(weight * itype.qmin, weight * itype.qmax).reshape(len(bias), -1).sum(axis=1)
    high = np.maximum(weight * itype.qmin, weight * itype.qmax).reshape(len(bias), -1).sum(axis=1)
    return int(min(low.min(), (low + bias).min())), int(max(high.max(), (high + bias).max()))
