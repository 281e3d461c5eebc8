"""A network as plain frozen data: its layers and bit widths, without weights; and the graph it will become.

Padding is always the least that gives ceil(IY / stride) rows; where it is odd, bottom and right get one more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.errors import ConfigError
from codesign.ir.canonical import digest
from codesign.ir.compose import untrained_conv
from codesign.ir.graph import Graph
from codesign.ops.add import Add
from codesign.ops.arrays import IntArray
from codesign.ops.conv import Conv
from codesign.ops.input import Input
from codesign.ops.node import Node, Operation
from codesign.ops.pool import Pool, PoolOp
from codesign.ops.qtype import QType
from codesign.ops.shapes import Shape, Window

INPUT = "input"
INPUT_TYPE = QType(8, signed=False)  # pixels as they are, at a scale of 1/256
LOGIT_BITS = 16
MOST_WEIGHTS = 1 << 25  # of a layer: all weights stay on chip
MAX_WINDOW = 7  # of a convolution
SPREAD = 3  # multipliers of one convolution are at most 2**SPREAD apart


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvLayer:
    """A convolution of `k` channels in `groups`; depthwise if they are as many as the channels on both sides.

    `kernel` and `stride` in both directions, cut to 1 where the map has one row or column. With `covers` the window is
    the whole map, unpadded: a fully connected layer. With `relu` the output type is unsigned.
    """

    name: str
    source: str
    k: int
    kernel: int
    stride: int = 1
    groups: int = 1
    covers: bool = False
    weight_bits: int
    bits: int
    relu: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLayer:
    """Pooling without padding; kernel and stride are equal, and 0 stands for the whole map.

    An average is the sum divided by the least power of two not below the window's size, so it needs no multiplier. What
    follows absorbs the factor. It has the bits of its source.
    """

    name: str
    source: str
    op: PoolOp
    kernel: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AddLayer:
    """The sum of two maps, then a ReLU."""

    name: str
    sources: tuple[str, str]
    bits: int


Layer = ConvLayer | PoolLayer | AddLayer


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Layers in topological order from the source "input"; the last gives one logit per label."""

    FORMAT: ClassVar[int] = 1

    name: str
    shape: Shape
    layers: tuple[Layer, ...]
    labels: tuple[str, ...]

    def digest(self) -> str:
        """Return the SHA-256 in hexadecimal."""
        return digest(self)


def skeleton(network: Network) -> Graph:
    """Return the network's graph with placeholder parameters: right in shapes and types, and what it costs.

    Accumulators are as wide as the worst weights of their type need. Raise ConfigError, naming the layer, if a window
    is larger than the machine's.
    """
    before: dict[str, Node] = {INPUT: Input(name=INPUT, shape=network.shape, otype=INPUT_TYPE)}
    params: dict[str, IntArray] = {}
    for layer in network.layers:
        node = layer_node(layer, before)
        params |= _placeholders(node)
        before[layer.name] = node
    return Graph(network.name, tuple(before.values()), params, labels=network.labels)


def layer_node(layer: Layer, before: Mapping[str, Node]) -> Operation:
    """Return the node of a layer whose sources are `before`, with shift and widths as good as known without weights."""
    match layer:
        case ConvLayer():
            return _conv_node(layer, before[layer.source])
        case PoolLayer():
            return _pool_node(layer, before[layer.source])
        case AddLayer():
            a, b = (before[s] for s in layer.sources)
            return Add(
                name=layer.name,
                sources=layer.sources,
                ishape=a.oshape,
                itypes=(a.otype, b.otype),
                multipliers=(1, 1),
                shift=1,
                otype=QType(layer.bits, signed=False),
            )


def same_window(shape: Shape, kernel: int, stride: int) -> Window:
    """Return the window that gives ceil(extent / stride) rows and columns with the least padding."""
    fy, sy, top, bottom = _same_axis(shape.y, kernel, stride)
    fx, sx, left, right = _same_axis(shape.x, kernel, stride)
    return Window(
        fy=fy, fx=fx, stride_y=sy, stride_x=sx, pad_top=top, pad_left=left, pad_bottom=bottom, pad_right=right
    )


def pool_window(shape: Shape, kernel: int) -> Window:
    """Return the window of a PoolLayer over a map of that shape."""
    fy, fx = (shape.y, shape.x) if kernel == 0 else (min(kernel, shape.y), min(kernel, shape.x))
    return Window(fy=fy, fx=fx, stride_y=fy, stride_x=fx)


def average_divisor_exponent(window: Window) -> int:
    """Return the least e with 2**e not below the positions of the window."""
    return (window.positions - 1).bit_length()


def _same_axis(extent: int, kernel: int, stride: int) -> tuple[int, int, int, int]:
    if extent == 1:
        return 1, 1, 0, 0
    out = -(-extent // stride)
    padding = max((out - 1) * stride + kernel - extent, 0)
    return kernel, stride, padding // 2, padding - padding // 2


def _conv_node(layer: ConvLayer, source: Node) -> Conv:
    shape = source.oshape
    window = Window(fy=shape.y, fx=shape.x) if layer.covers else same_window(shape, layer.kernel, layer.stride)
    if max(window.fy, window.fx) > MAX_WINDOW:
        raise ConfigError(
            f"layer {layer.name!r}: its window is {window.fy}x{window.fx}, but a convolution's has at most "
            f"{MAX_WINDOW}x{MAX_WINDOW}; pool or stride before it"
        )
    if layer.groups < 1 or layer.k % layer.groups or shape.c % layer.groups:
        raise ConfigError(
            f"layer {layer.name!r}: its {layer.groups} groups do not divide its {layer.k} channels and the "
            f"{shape.c} of {layer.source!r}"
        )
    taps = window.positions * shape.c // layer.groups
    if taps * layer.k > MOST_WEIGHTS:
        raise ConfigError(
            f"layer {layer.name!r}: its {taps * layer.k:,} weights are more than the {MOST_WEIGHTS:,} that a layer may "
            "have, because all weights stay on chip; use fewer channels, or pool before it"
        )
    return untrained_conv(
        layer.name,
        source,
        k=layer.k,
        window=window,
        groups=layer.groups,
        wtype=QType(layer.weight_bits, signed=True),
        spread=SPREAD,
        otype=QType(layer.bits, signed=not layer.relu),
    )


def _pool_node(layer: PoolLayer, source: Node) -> Pool:
    window = pool_window(source.oshape, layer.kernel)
    return Pool(
        name=layer.name,
        source=layer.source,
        ishape=source.oshape,
        itype=source.otype,
        op=layer.op,
        window=window,
        multiplier=1,
        shift=0 if layer.op is PoolOp.MAX else average_divisor_exponent(window),
        otype=source.otype,
    )


def _placeholders(node: Operation) -> dict[str, IntArray]:
    """Return zeros for all parameters, but multipliers that are as far apart as they may be."""
    values = {name: np.zeros(shape, np.int64) for name, shape in node.parameters.items()}
    if "multiplier" in values:
        values["multiplier"][:] = 1
        values["multiplier"][0] = 1 << SPREAD
    return {f"{node.name}.{name}": value for name, value in values.items()}
