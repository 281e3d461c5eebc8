"""DNA's networks as integer graphs of ours, with random weights: what our design search can price.

Ours adds what their layer lists leave out: additions of residual blocks and, where they are known, stem, header,
global average and classifier. Their equal halves of a `g2` block are one grouped convolution here.
"""

from dataclasses import dataclass, field

import numpy as np

from codesign.ir.builder import GraphBuilder, conv_node
from codesign.ir.graph import Graph
from codesign.ops.node import Node
from codesign.ops.qtype import QType
from codesign.ops.shapes import Window

from .model import Layer
from .networks import Network, block_layers

SEED = 1
AVERAGE_BITS = 10  # of the multiplier that stands for 1 / positions


def graph_of(network: Network, weight_bits: int, activation_bits: int, *, whole: bool) -> Graph:
    """Return the graph of the network's blocks, or with `whole` of all of it. Raise ValueError if its ends are not
    known.
    """
    if whole and network.ends is None:
        raise ValueError(f"network {network.name!r}: stem, header and classifier are not known")
    size, width = (network.ends.image, 3) if whole and network.ends else network.shape_before(0)
    build = GraphBuilder(network.name, (size, size, width), QType(activation_bits, signed=True))
    net = _Net(build, weight_bits, activation_bits)
    if whole:
        net.conv("stem", Layer(c=3, k=network.first[0], o=network.sizes[0], f=3, stride=2), relu=True)
    for block in range(len(network.blocks)):
        _add_block(net, network, block)
    if whole and network.ends:
        net.conv("header", Layer(c=net.last.oshape.c, k=network.ends.header, o=net.last.oshape.y), relu=True)
        net.global_average("pool")
        net.conv("classifier", Layer(c=network.ends.header, k=network.ends.classes, o=1), relu=False)
    return build.graph()


@dataclass(slots=True)
class _Net:
    """A graph under construction."""

    build: GraphBuilder
    weight_bits: int
    activation_bits: int
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(SEED))

    @property
    def last(self) -> Node:
        return self.build.last

    def conv(self, name: str, layer: Layer, *, relu: bool, parts: int = 1) -> None:
        """Add a layer, or equal `parts` side by side. The map that enters decides padding; a ReLU is unsigned."""
        source, wtype = self.last, QType(self.weight_bits, signed=True)
        k, groups = layer.k * parts, layer.k if layer.depthwise else parts
        weight = self.rng.integers(wtype.qmin, wtype.qmax + 1, (k, layer.f, layer.f, source.oshape.c // groups))
        bias = self.rng.integers(-1000, 1001, k)
        multiplier = np.left_shift(1, self.rng.integers(0, 3, k))
        after = (layer.o - 1) * layer.stride + layer.f - source.oshape.y - (layer.f // 2)
        window = Window(
            fy=layer.f, fx=layer.f, stride_y=layer.stride, stride_x=layer.stride, pad_top=layer.f // 2,
            pad_left=layer.f // 2, pad_bottom=max(after, 0), pad_right=max(after, 0),
        )  # fmt: skip
        otype = QType(self.activation_bits, signed=not relu)
        bits = conv_node(name, source, weight, bias, otype=otype, window=window, groups=groups)[0].acc_bits
        self.build.conv(
            source, weight, bias, otype=otype, window=window, groups=groups, multiplier=multiplier,
            shift=max(0, bits - self.activation_bits), weight_bits=self.weight_bits, name=name,
        )  # fmt: skip

    def add(self, name: str, other: Node) -> None:
        """Add half the sum of the last node and another."""
        self.build.add(self.last, other, otype=QType(self.activation_bits, signed=True), shift=1, name=name)

    def global_average(self, name: str) -> None:
        source = self.last
        window = Window(fy=source.oshape.y, fx=source.oshape.x)
        shift = AVERAGE_BITS + (window.positions - 1).bit_length() - 1
        self.build.average_pool(source, window, multiplier=round(2**shift / window.positions), shift=shift, name=name)


def _add_block(net: _Net, network: Network, block: int) -> None:
    before, layers = net.last, block_layers(network, block)
    names, parts = ("expand", "depthwise", "project"), len(layers) // 2
    for name, layer in zip(names, layers[:: max(parts, 1)], strict=True) if layers else ():
        net.conv(f"b{block}_{name}", layer, relu=name != "project", parts=1 if layer.depthwise else parts)
    if layers and net.last.oshape == before.oshape:
        net.add(f"b{block}_sum", before)
