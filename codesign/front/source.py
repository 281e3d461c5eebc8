"""A network as its file has it, whatever the format: real numbers, with the roundings that the file asks for.

Readers make a Source, passes turn one Source into another that computes the same, and `lower` makes the integer Graph.
Every tensor holds real values. `Quantize` is the only operator that rounds: it gives the nearest of the values that an
integer type can represent. A constant is real, or integers with their scale. There is no batch axis.

Long because every operator has its class here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

import numpy as np

from codesign.front.quantization import Quantization, RealArray
from codesign.ops.arrays import IntArray

Axes = tuple[str, ...]  # such as ("C", "Y", "X") for a map, channels first, or ("CYX",) where it was flattened


class Layout(Enum):
    """The order of a map's axes, for which weights and axes are written too."""

    CHW = "channels first"
    HWC = "channels last"


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """An array of real values, `integers * scale` where it is quantized.

    `scale` is then a number, or an array of as many axes that broadcasts over the integers. `values` is what the
    constant means.
    """

    values: RealArray
    integers: IntArray | None = None
    scale: RealArray | None = None

    @classmethod
    def of(cls, integers: IntArray, scale: RealArray | float) -> "Constant":
        """Return the constant of these integers and their scale."""
        factors = np.asarray(scale, np.float64)
        missing = integers.ndim - factors.ndim
        factors = factors.reshape(() if factors.size == 1 else (*(1,) * missing, *factors.shape))
        return cls(integers.astype(np.float64) * factors, integers.astype(np.int64), factors)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.values.shape)

    def times(self, factor: RealArray | float) -> "Constant":
        """Return the constant times numbers that broadcast over it; sizes go into scales, signs into integers."""
        if self.integers is None or self.scale is None:
            return Constant(self.values * factor)
        signs, sizes = np.sign(factor), np.where(factor == 0, 1.0, np.abs(factor))
        return Constant.of((self.integers * signs).astype(np.int64), self.scale * sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantize:
    """Every value to the nearest that the quantization can represent."""

    name: str
    input: str
    output: str
    quantization: Quantization


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv:
    """A convolution with the constants `weight` and `bias`; padding is zeros.

    Weights are [K, C/G, FY, FX] in a CHW source and [K, FY, FX, C/G] in an HWC one. Pads: top, left, bottom, right.
    """

    name: str
    input: str
    output: str
    weight: str
    bias: str | None = None
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    groups: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """A fully connected layer with the constants `weight` [K, F] and `bias` [K].

    Once layouts are resolved its input is a map [Y, X, C], its weights are [K, Y, X, C], and it gives [1, 1, K].
    """

    name: str
    input: str
    output: str
    weight: str
    bias: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Maximum or average over windows, or over the whole map where `kernel` is None.

    `count_pads`: whether an average divides by the whole window, or by what of it lies in the map.
    """

    name: str
    input: str
    output: str
    average: bool
    kernel: tuple[int, int] | None = None
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    count_pads: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Add:
    """The sum of two tensors of one shape, the second times `sign`."""

    name: str
    inputs: tuple[str, str]
    output: str
    sign: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiply:
    """A map times another of its shape, or times a gate of one pixel, which serves all pixels."""

    name: str
    inputs: tuple[str, str]
    output: str


class Function(Enum):
    """A function of each value alone, by its name in ONNX."""

    CELU = "Celu"
    ELU = "Elu"
    GELU = "Gelu"
    GELU_TANH = "Gelu of tanh"
    HARD_SIGMOID = "HardSigmoid"
    HARD_SWISH = "HardSwish"
    LEAKY_RELU = "LeakyRelu"
    MISH = "Mish"
    SELU = "Selu"
    SIGMOID = "Sigmoid"
    SILU = "Swish"
    SOFTPLUS = "Softplus"
    SOFTSIGN = "Softsign"
    TANH = "Tanh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """Every value through a function; `alpha` and `beta` are what ONNX calls so (`beta` is gamma of SELU).

    `slope`: of a LEAKY_RELU, the constant that negative values are multiplied with; one value, or one per channel.
    """

    name: str
    input: str
    output: str
    function: Function
    alpha: float = 1.0
    beta: float = 0.0
    slope: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Affine:
    """Every channel times a constant factor, plus a constant offset: BatchNormalization, or arithmetic with constants.

    Both constants have one value, or one per channel.
    """

    name: str
    input: str
    output: str
    factor: str
    offset: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Every value held between two numbers; a ReLU is 0 to infinity."""

    name: str
    input: str
    output: str
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Concat:
    """Tensors side by side along an axis."""

    name: str
    inputs: tuple[str, ...]
    output: str
    axis: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Enlarge:
    """Every pixel FY times below itself and FX times beside itself."""

    name: str
    input: str
    output: str
    factors: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surround:
    """A map with a value around it. Pads: top, left, bottom, right.

    With `strides`, pixels lie so many rows and columns apart, and the value lies between them too.
    """

    name: str
    input: str
    output: str
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    value: float = 0.0
    strides: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What lies along an axis from `start` to `stop`, without `stop` itself."""

    name: str
    input: str
    output: str
    axis: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shuffle:
    """Channels in another order: the first of every group, then the second of every group, and so on."""

    name: str
    input: str
    output: str
    groups: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthToSpace:
    """Every pixel a block of block x block pixels: its channels are those of the first one, then of the one beside."""

    name: str
    input: str
    output: str
    block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceToDepth:
    """Every block of block x block pixels one pixel, with the channels of all of them in order."""

    name: str
    input: str
    output: str
    block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transpose:
    """Axes in another order."""

    name: str
    input: str
    output: str
    axes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshape:
    """The same values, in the same order, as another shape."""

    name: str
    input: str
    output: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """What a host does with the scores of a classifier: `Softmax` or `ArgMax`, by its operator's name.

    `axis`: that of a Softmax over one axis alone.
    """

    name: str
    input: str
    output: str
    operator: str
    axis: int | None = None


Moving = Enlarge | Surround | Slice | Shuffle | DepthToSpace | SpaceToDepth  # values go to other places, unchanged
Sum = Conv | Dense | Add | Multiply | Pool | Activation  # what a quantization may follow
Operator = Quantize | Sum | Affine | Clip | Concat | Moving | Transpose | Reshape | Decide


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInput:
    """The network's input: its tensor, its shape without the batch, and whether the file takes integers there."""

    tensor: str
    shape: tuple[int, ...]
    integer: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Source:
    """A network of real numbers: operators in order of computation, and its constants by name.

    `outputs` are the tensors that the network gives, in order. `layout` says how maps, weights and axes lie. `notes`
    are sentences for the user, such as on what is left to the host. `axes` says how the file's own input and outputs
    lie, once all maps are [Y, X, C]: for each of its axes, those of Y, X and C that it runs over.
    """

    name: str
    layout: Layout
    input: SourceInput
    outputs: tuple[str, ...]
    operators: tuple[Operator, ...]
    constants: Mapping[str, Constant]
    notes: tuple[str, ...] = field(default=())
    axes: tuple[Axes, ...] = field(default=())

    def producer(self, tensor: str) -> Operator | None:
        """Return the operator that gives the tensor; None for the input."""
        return self._producers.get(tensor)

    def readers(self, tensor: str) -> tuple[Operator, ...]:
        """Return the operators that read the tensor."""
        return tuple(self._readers.get(tensor, ()))

    def read_once(self, tensor: str) -> bool:
        """Tell whether one operator alone reads the tensor, and the network does not give it."""
        return len(self.readers(tensor)) == 1 and tensor not in self.outputs

    @cached_property
    def _producers(self) -> dict[str, Operator]:
        return {op.output: op for op in self.operators}

    @cached_property
    def _readers(self) -> dict[str, list[Operator]]:
        found: dict[str, list[Operator]] = {}
        for op in self.operators:
            for tensor in dict.fromkeys(inputs_of(op)):
                found.setdefault(tensor, []).append(op)
        return found


def inputs_of(operator: Operator) -> tuple[str, ...]:
    """Return the tensors that an operator reads, constants left out."""
    match operator:
        case Add() | Multiply() | Concat():
            return operator.inputs
        case _:
            return (operator.input,)


def constants_of(operator: Operator) -> tuple[str, ...]:
    """Return the names of the constants that an operator reads."""
    match operator:
        case Conv() | Dense():
            return (operator.weight,) if operator.bias is None else (operator.weight, operator.bias)
        case Affine():
            return (operator.factor, operator.offset)
        case Activation(slope=str() as slope):
            return (slope,)
        case _:
            return ()
