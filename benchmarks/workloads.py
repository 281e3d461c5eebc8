"""The four networks that generators are compared on: shapes as given, int8, random weights of one seed."""

from dataclasses import dataclass, field, replace
from math import ceil, log2

import numpy as np

from codesign.ir.builder import GraphBuilder, conv_node
from codesign.ir.graph import Graph
from codesign.ops.arrays import IntArray
from codesign.ops.conv import Conv
from codesign.ops.qtype import QType
from codesign.ops.requantize import Scaling
from codesign.ops.shapes import Window

SEED = 1
INT8 = QType(8, signed=True)
RELU8 = QType(8, signed=False)  # a ReLU is an unsigned type
CALIBRATION_IMAGES = 2
LOUD = 3.0  # standard deviations of a channel that fill its output type

MACS = {"W1": 337_024, "W2": 38_634_752, "W3": 3_588_096, "W4": 115_605_504}
TITLES = {
    "W1": "LeNet-like, 28x28x1",
    "W2": "CIFAR net, 32x32x3",
    "W3": "inverted residual, 16x16x32",
    "W4": "conv 3x3, 56x56x64-64",
}


def workload(name: str, scaling: Scaling) -> Graph:
    """Return the network of that name, with multipliers of that kind in every convolution. Raise KeyError."""
    return {"W1": _lenet, "W2": _cifar, "W3": _inverted_residual, "W4": _convolution}[name](scaling)


def macs(graph: Graph) -> int:
    """Return the products of one image."""
    return sum(node.macs for node in graph.nodes)


def random_images(graph: Graph, images: int, seed: int = SEED) -> IntArray:
    """Return x[N,IY,IX,C], uniform over the input type."""
    shape, otype = graph.input.shape, graph.input.otype
    size = (images, shape.y, shape.x, shape.c)
    return np.random.default_rng(seed).integers(otype.qmin, otype.qmax + 1, size, dtype=np.int64)


@dataclass(slots=True)
class _Net:
    """A network under construction, with the values of its nodes for a few random images."""

    name: str
    scaling: Scaling
    size: tuple[int, int, int]
    build: GraphBuilder = field(init=False)
    values: dict[str, IntArray] = field(default_factory=dict)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(SEED))

    def __post_init__(self) -> None:
        self.build = GraphBuilder(self.name, self.size, INT8)
        shape = (CALIBRATION_IMAGES, *self.size)
        self.values["image"] = self.rng.integers(INT8.qmin, INT8.qmax + 1, shape, dtype=np.int64)

    def conv(self, name: str, k: int, kernel: int, *, pad: int = 0, relu: bool = True, depthwise: bool = False) -> None:
        source, groups = self.build.last, k if depthwise else 1
        weight = self.rng.integers(INT8.qmin, INT8.qmax + 1, (k, kernel, kernel, source.oshape.c // groups))
        bias, multiplier = self.rng.integers(-1000, 1001, k), self._multipliers(k)
        window = Window(fy=kernel, fx=kernel, pad_top=pad, pad_left=pad, pad_bottom=pad, pad_right=pad)
        draft, params = conv_node(
            name,
            source,
            weight,
            bias,
            otype=QType(16, signed=True),
            window=window,
            groups=groups,
            multiplier=multiplier,
            weight_bits=INT8.bits,
        )
        otype = RELU8 if relu else INT8
        self.build.conv(
            source,
            weight,
            bias,
            otype=otype,
            window=window,
            groups=groups,
            multiplier=multiplier,
            shift=max(0, ceil(log2(LOUD * self._spread(draft, params) / otype.qmax))),
            weight_bits=INT8.bits,
            name=name,
        )
        self._evaluate(params)

    def max_pool(self, name: str) -> None:
        self.build.max_pool(self.build.last, Window(fy=2, fx=2, stride_y=2, stride_x=2), name=name)
        self._evaluate()

    def global_average(self, name: str) -> None:
        """Add a global average with multiplier 1: the map has a power of two of positions."""
        source = self.build.last
        window = Window(fy=source.oshape.y, fx=source.oshape.x)
        self.build.average_pool(source, window, shift=int(log2(window.positions)), name=name)
        self._evaluate()

    def add(self, name: str, other: str) -> None:
        """Add (last + other) / 2."""
        self.build.add(self.build.last, self.build.node(other), otype=INT8, shift=1, name=name)
        self._evaluate()

    def graph(self) -> Graph:
        graph = self.build.graph()
        if macs(graph) != MACS[self.name.upper()]:
            raise AssertionError(f"{self.name}: expected {MACS[self.name.upper()]} products, got {macs(graph)}")
        return graph

    def _evaluate(self, params: dict[str, IntArray] | None = None) -> None:
        """Compute the values of the node that was added last."""
        node = self.build.last
        self.values[node.name] = node.evaluate([self.values[name] for name in node.inputs], params or {})

    def _multipliers(self, k: int) -> IntArray:
        """Return one per channel: 128 to 255, or 1, 2, 4."""
        if self.scaling is Scaling.GENERAL:
            return self.rng.integers(128, 256, k)
        return np.left_shift(1, self.rng.integers(0, 3, k))

    def _spread(self, draft: Conv, params: dict[str, IntArray]) -> float:
        """Return the standard deviation of scaled accumulators, from sums shifted to fit the draft's 16 bits."""
        shift = draft.acc_bits + draft.multiplier_bits - draft.otype.bits
        y = replace(draft, shift=shift).evaluate([self.values[draft.source]], params)
        return float(y.std()) * 2.0**shift


def _lenet(scaling: Scaling) -> Graph:
    net = _Net("w1", scaling, (28, 28, 1))
    net.conv("conv1", 8, 5)
    net.max_pool("pool1")
    net.conv("conv2", 16, 5)
    net.max_pool("pool2")
    net.conv("fc1", 64, 4)
    net.conv("fc2", 10, 1, relu=False)
    return net.graph()


def _cifar(scaling: Scaling) -> Graph:
    net = _Net("w2", scaling, (32, 32, 3))
    for i, k in enumerate((32, 32, 32, 0, 64, 64, 0, 128)):
        if k:
            net.conv(f"conv{i}", k, 3, pad=1)
        else:
            net.max_pool(f"pool{i}")
    net.global_average("gap")
    net.conv("fc", 10, 1, relu=False)
    return net.graph()


def _inverted_residual(scaling: Scaling) -> Graph:
    net = _Net("w3", scaling, (16, 16, 32))
    net.conv("expand", 192, 1)
    net.conv("depthwise", 192, 3, pad=1, depthwise=True)
    net.conv("project", 32, 1, relu=False)
    net.add("sum", "image")
    return net.graph()


def _convolution(scaling: Scaling) -> Graph:
    net = _Net("w4", scaling, (56, 56, 64))
    net.conv("conv", 64, 3, pad=1, relu=False)
    return net.graph()
