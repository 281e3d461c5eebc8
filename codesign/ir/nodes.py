"""The node kinds of a Graph: extents and integer types only, never arrays.

Because a node is numbers only it is hashable and comparable, its cost can be cached, and a candidate block can be
priced before it has weights. Maps are laid out HWC, channel innermost. Loop letters: K C OY OX IY IX FY FX.
"""

from dataclasses import dataclass
from enum import Enum

from codesign.ir.qtype import QType


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
    """A sliding window: FY x FX positions, its strides, and the zeros around the map."""

    fy: int
    fx: int
    stride_y: int = 1
    stride_x: int = 1
    pad_top: int = 0
    pad_left: int = 0
    pad_bottom: int = 0
    pad_right: int = 0

    def __post_init__(self) -> None:
        if min(self.fy, self.fx, self.stride_y, self.stride_x) < 1:
            raise ValueError(f"window: expected positive extents and strides, got {self}")
        pads = (self.pad_top, self.pad_left, self.pad_bottom, self.pad_right)
        too_tall = max(self.pad_top, self.pad_bottom) >= self.fy
        if min(pads) < 0 or too_tall or max(self.pad_left, self.pad_right) >= self.fx:
            raise ValueError(f"window: expected 0 <= padding < kernel on each side, got {self}")

    @property
    def positions(self) -> int:
        return self.fy * self.fx

    @property
    def is_padded(self) -> bool:
        return max(self.pad_top, self.pad_left, self.pad_bottom, self.pad_right) > 0

    def out_extents(self, y: int, x: int) -> tuple[int, int]:
        """OY and OX of a map of y rows and x columns. Raises ValueError if the window does not fit."""
        rows = y + self.pad_top + self.pad_bottom - self.fy
        columns = x + self.pad_left + self.pad_right - self.fx
        if rows < 0 or columns < 0:
            raise ValueError(f"window: {self.fy}x{self.fx} does not fit a padded map of {y}x{x}")
        return rows // self.stride_y + 1, columns // self.stride_x + 1


class Scaling(Enum):
    """How a Conv's per-channel multipliers look; it decides what hardware they need."""

    SHIFT = "shift"  # every multiplier is 1: a wire
    POWER_OF_TWO = "power_of_two"  # multipliers are powers of two: a small shifter
    GENERAL = "general"  # any positive multiplier: a DSP per lane


class PoolOp(Enum):
    """What a pooling keeps of its window."""

    MAX = "max"
    AVERAGE = "average"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """The map that enters the graph; always the first node."""

    name: str
    shape: Shape
    otype: QType

    @property
    def inputs(self) -> tuple[str, ...]:
        return ()

    @property
    def oshape(self) -> Shape:
        return self.shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv:
    """A convolution, requantized to `otype`: dense (groups = 1), grouped, or depthwise (groups = C = K).

    A fully connected layer is the Conv whose window covers its whole input map. A ReLU is an unsigned `otype`.

        acc[oy,ox,k] = bias[k] + sum over fy,fx,c of w[k,fy,fx,c] * x[oy*SY+fy-PT, ox*SX+fx-PL, g*C/G + c]
        y = clamp((acc * multiplier[k] + 2**(shift-1)) >> shift)

    with g = floor(k / (K/G)), the group of output channel k. Parameters in Graph.params: `<name>.weight`
    [K,FY,FX,C/G], `<name>.bias` [K], `<name>.multiplier` [K].
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

    def __post_init__(self) -> None:
        if self.groups < 1 or self.k % self.groups or self.ishape.c % self.groups:
            raise ValueError(
                f"{self.name}: groups must divide K and C, got {self.groups} for K = {self.k} and C = {self.ishape.c}"
            )
        _check_requantize(self.name, self.acc_bits, self.multiplier_bits, self.shift)
        _check_output(self)

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.source,)

    @property
    def oshape(self) -> Shape:
        return Shape(*self.window.out_extents(self.ishape.y, self.ishape.x), self.k)

    @property
    def depthwise(self) -> bool:
        """Whether every output channel has an input channel of its own; a single channel counts as dense."""
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
        """Whether an output channel depends on several input channels."""
        return not self.depthwise

    @property
    def reduced_channels(self) -> int:
        """Input channels that make one output."""
        return self.c_per_group

    @property
    def macs(self) -> int:
        return self.oshape.elements * self.window.positions * self.c_per_group

    @property
    def covers_map(self) -> bool:
        """Whether the window is the whole map, as in a fully connected layer."""
        return self.oshape.y == self.oshape.x == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Maximum or average over a window, channel by channel; a global pooling's window covers the map.

    Maximum: padding never wins; otype equals itype, multiplier 1, shift 0.
    Average: y = clamp((sum * multiplier + 2**(shift-1)) >> shift), padding counts as zeros. The multiplier holds
    1/(FY*FX) and the ratio of scales.
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

    def __post_init__(self) -> None:
        if self.op is PoolOp.MAX and (self.multiplier != 1 or self.shift != 0 or self.otype != self.itype):
            raise ValueError(f"{self.name}: maximum pooling has multiplier 1, shift 0 and otype = itype")
        if self.multiplier < 1:
            raise ValueError(f"{self.name}: expected a positive multiplier, got {self.multiplier}")
        _check_requantize(self.name, self.acc_bits, self.multiplier.bit_length(), self.shift)
        _check_output(self)

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.source,)

    @property
    def oshape(self) -> Shape:
        return Shape(*self.window.out_extents(self.ishape.y, self.ishape.x), self.ishape.c)

    @property
    def mixes(self) -> bool:
        return False

    @property
    def reduced_channels(self) -> int:
        return 1

    @property
    def acc_bits(self) -> int:
        """Signed width of the sum over the window."""
        bound = max(-self.itype.qmin, self.itype.qmax + 1) * self.window.positions
        return (bound - 1).bit_length() + 1

    @property
    def sum_bits(self) -> int:
        """Signed width of what an engine's array gives; a maximum needs no more than its inputs."""
        return self.acc_bits if self.op is PoolOp.AVERAGE else self.itype.bits + (not self.itype.signed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Add:
    """Elementwise sum of two maps of one shape.

    y = clamp((a * multipliers[0] + b * multipliers[1] + 2**(shift-1)) >> shift)
    """

    name: str
    sources: tuple[str, str]
    ishape: Shape
    itypes: tuple[QType, QType]
    multipliers: tuple[int, int]
    shift: int
    otype: QType

    def __post_init__(self) -> None:
        if min(self.multipliers) < 1:
            raise ValueError(f"{self.name}: expected positive multipliers, got {self.multipliers}")
        _check_requantize(self.name, self.acc_bits, 1, self.shift)

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.sources

    @property
    def oshape(self) -> Shape:
        return self.ishape

    @property
    def mixes(self) -> bool:
        return False

    @property
    def reduced_channels(self) -> int:
        return 1

    @property
    def window(self) -> Window:
        """One position."""
        return Window(fy=1, fx=1)

    @property
    def acc_bits(self) -> int:
        """Signed width of the scaled sum, before rounding."""
        bound = sum(max(-t.qmin, t.qmax + 1) * m for t, m in zip(self.itypes, self.multipliers, strict=True))
        return (bound - 1).bit_length() + 1

    @property
    def sum_bits(self) -> int:
        """Signed width of what an engine's array gives."""
        return self.acc_bits


Node = Input | Conv | Pool | Add

MAX_ACC_BITS = 32
MAX_MULTIPLIER_BITS = 16
# The widest product: what one DSP48 adds, and safely inside int64 everywhere.
MAX_PRODUCT_BITS = MAX_ACC_BITS + MAX_MULTIPLIER_BITS


def _check_output(node: Conv | Pool) -> None:
    """Raise ValueError, naming the node, unless its window fits its input and it has channels."""
    try:
        _ = node.oshape
    except ValueError as error:
        raise ValueError(f"{node.name}: {error}") from None


def _check_requantize(name: str, acc_bits: int, multiplier_bits: int, shift: int) -> None:
    if not 2 <= acc_bits <= MAX_ACC_BITS:
        raise ValueError(f"{name}: expected an accumulator of 2 to {MAX_ACC_BITS} bits, got {acc_bits}")
    if not 1 <= multiplier_bits <= MAX_MULTIPLIER_BITS:
        raise ValueError(f"{name}: expected a multiplier of 1 to {MAX_MULTIPLIER_BITS} bits, got {multiplier_bits}")
    if not 0 <= shift < MAX_PRODUCT_BITS:
        raise ValueError(f"{name}: expected a shift of 0 to {MAX_PRODUCT_BITS - 1}, got {shift}")
