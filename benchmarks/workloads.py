"""The four networks that generators are compared on: shapes as given, int8, random weights of one seed."""

from dataclasses import dataclass, field, replace
from math import ceil, log2

import numpy as np

from codesign.ir.graph import Graph
from codesign.ops.add import Add
from codesign.ops.arrays import IntArray
from codesign.ops.conv import Conv, accumulator_bounds
from codesign.ops.input import Input
from codesign.ops.node import Node
from codesign.ops.pool import Pool, PoolOp
from codesign.ops.qtype import QType
from codesign.ops.requantize import Scaling, scaling_of, signed_bits
from codesign.ops.shapes import Shape, Window

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
    """A network under construction: `last` is the node built last, `x` its output for a few random images."""

    scaling: Scaling
    shape: Shape
    nodes: list[Node] = field(default_factory=list)
    params: dict[str, IntArray] = field(default_factory=dict)
    values: dict[str, IntArray] = field(default_factory=dict)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(SEED))

    def __post_init__(self) -> None:
        size = (CALIBRATION_IMAGES, self.shape.y, self.shape.x, self.shape.c)
        x = self.rng.integers(INT8.qmin, INT8.qmax + 1, size, dtype=np.int64)
        self._append(Input(name="image", shape=self.shape, otype=INT8), x)

    @property
    def last(self) -> Node:
        return self.nodes[-1]

    def conv(self, name: str, k: int, kernel: int, *, pad: int = 0, relu: bool = True, depthwise: bool = False) -> None:
        source = self.last
        shape, itype = source.oshape, source.otype
        weight = self.rng.integers(INT8.qmin, INT8.qmax + 1, (k, kernel, kernel, 1 if depthwise else shape.c))
        bias = self.rng.integers(-1000, 1001, k)
        multiplier = self._multipliers(k)
        draft = Conv(
            name=name,
            source=source.name,
            ishape=shape,
            itype=itype,
            k=k,
            window=Window(fy=kernel, fx=kernel, pad_top=pad, pad_left=pad, pad_bottom=pad, pad_right=pad),
            groups=k if depthwise else 1,
            wtype=INT8,
            acc_bits=signed_bits(*accumulator_bounds(itype, weight, bias)),
            scaling=scaling_of(multiplier),
            multiplier_bits=int(multiplier.max()).bit_length(),
            shift=0,
            otype=QType(16, signed=True),
        )
        self.params |= {f"{name}.weight": weight, f"{name}.bias": bias, f"{name}.multiplier": multiplier}
        otype = RELU8 if relu else INT8
        node = _scaled(draft, self._spread(draft, weight, bias, multiplier), otype)
        params = {"weight": weight, "bias": bias, "multiplier": multiplier}
        self._append(node, node.evaluate([self.values[source.name]], params))

    def max_pool(self, name: str) -> None:
        source = self.last
        self._pool(name, Window(fy=2, fx=2, stride_y=2, stride_x=2), PoolOp.MAX, 0, source)

    def global_average(self, name: str) -> None:
        """Add a global average with multiplier 1: the map has a power of two of positions."""
        source = self.last
        window = Window(fy=source.oshape.y, fx=source.oshape.x)
        self._pool(name, window, PoolOp.AVERAGE, int(log2(window.positions)), source)

    def add(self, name: str, other: str) -> None:
        """Add (last + other) / 2."""
        pair = (self.last, next(n for n in self.nodes if n.name == other))
        node = Add(
            name=name,
            sources=(pair[0].name, pair[1].name),
            ishape=self.last.oshape,
            itypes=(pair[0].otype, pair[1].otype),
            multipliers=(1, 1),
            shift=1,
            otype=INT8,
        )
        self._append(node, node.evaluate([self.values[source.name] for source in pair], {}))

    def graph(self, name: str) -> Graph:
        graph = Graph(name, tuple(self.nodes), self.params)
        if macs(graph) != MACS[name.upper()]:
            raise AssertionError(f"{name}: expected {MACS[name.upper()]} products, got {macs(graph)}")
        return graph

    def _pool(self, name: str, window: Window, op: PoolOp, shift: int, source: Node) -> None:
        node = Pool(
            name=name,
            source=source.name,
            ishape=source.oshape,
            itype=source.otype,
            op=op,
            window=window,
            multiplier=1,
            shift=shift,
            otype=source.otype,
        )
        self._append(node, node.evaluate([self.values[source.name]], {}))

    def _append(self, node: Node, value: IntArray) -> None:
        self.nodes.append(node)
        self.values[node.name] = value

    def _multipliers(self, k: int) -> IntArray:
        """Return one per channel: 128 to 255, or 1, 2, 4."""
        if self.scaling is Scaling.GENERAL:
            return self.rng.integers(128, 256, k)
        return np.left_shift(1, self.rng.integers(0, 3, k))

    def _spread(self, draft: Conv, weight: IntArray, bias: IntArray, multiplier: IntArray) -> float:
        """Return the standard deviation of scaled accumulators, from sums shifted to fit the draft's 16 bits."""
        x = self.values[draft.source]
        shift = draft.acc_bits + draft.multiplier_bits - draft.otype.bits
        y = _with_shift(draft, shift, draft.otype).evaluate(
            [x], {"weight": weight, "bias": bias, "multiplier": multiplier}
        )
        return float(y.std()) * 2.0**shift


def _scaled(draft: Conv, spread: float, otype: QType) -> Conv:
    return _with_shift(draft, max(0, ceil(log2(LOUD * spread / otype.qmax))), otype)


def _with_shift(draft: Conv, shift: int, otype: QType) -> Conv:
    return replace(draft, shift=shift, otype=otype)


def _lenet(scaling: Scaling) -> Graph:
    net = _Net(scaling, Shape(28, 28, 1))
    net.conv("conv1", 8, 5)
    net.max_pool("pool1")
    net.conv("conv2", 16, 5)
    net.max_pool("pool2")
    net.conv("fc1", 64, 4)
    net.conv("fc2", 10, 1, relu=False)
    return net.graph("w1")


def _cifar(scaling: Scaling) -> Graph:
    net = _Net(scaling, Shape(32, 32, 3))
    for i, k in enumerate((32, 32, 32, 0, 64, 64, 0, 128)):
        if k:
            net.conv(f"conv{i}", k, 3, pad=1)
        else:
            net.max_pool(f"pool{i}")
    net.global_average("gap")
    net.conv("fc", 10, 1, relu=False)
    return net.graph("w2")


def _inverted_residual(scaling: Scaling) -> Graph:
    net = _Net(scaling, Shape(16, 16, 32))
    net.conv("expand", 192, 1)
    net.conv("depthwise", 192, 3, pad=1, depthwise=True)
    net.conv("project", 32, 1, relu=False)
    net.add("sum", "image")
    return net.graph("w3")


def _convolution(scaling: Scaling) -> Graph:
    net = _Net(scaling, Shape(56, 56, 64))
    net.conv("conv", 64, 3, pad=1, relu=False)
    return net.graph("w4")
