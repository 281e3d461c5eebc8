"""DNA's networks as integer graphs of ours, with random weights: what our design search can price.

Ours adds what their layer lists leave out: additions of residual blocks and, where they are known, stem, header,
global average and classifier. Their equal halves of a `g2` block are one grouped convolution here.
"""

from dataclasses import dataclass, field

import numpy as np

from codesign.ir.graph import Graph
from codesign.ops.add import Add
from codesign.ops.arrays import IntArray
from codesign.ops.conv import Conv, accumulator_bounds
from codesign.ops.input import Input
from codesign.ops.node import Node
from codesign.ops.pool import Pool, PoolOp
from codesign.ops.qtype import QType
from codesign.ops.requantize import scaling_of, signed_bits
from codesign.ops.shapes import Shape, Window

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
    net = _Net(Shape(size, size, width), weight_bits, activation_bits)
    if whole:
        net.conv("stem", Layer(c=3, k=network.first[0], o=network.sizes[0], f=3, stride=2), relu=True)
    for block in range(len(network.blocks)):
        _add_block(net, network, block)
    if whole and network.ends:
        net.conv("header", Layer(c=net.last.oshape.c, k=network.ends.header, o=net.last.oshape.y), relu=True)
        net.global_average("pool")
        net.conv("classifier", Layer(c=network.ends.header, k=network.ends.classes, o=1), relu=False)
    return Graph(network.name, tuple(net.nodes), net.params)


@dataclass(slots=True)
class _Net:
    """A graph under construction: `last` is the node built last."""

    shape: Shape
    weight_bits: int
    activation_bits: int
    nodes: list[Node] = field(default_factory=list)
    params: dict[str, IntArray] = field(default_factory=dict)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(SEED))

    def __post_init__(self) -> None:
        self.nodes.append(Input(name="image", shape=self.shape, otype=QType(self.activation_bits, signed=True)))

    @property
    def last(self) -> Node:
        return self.nodes[-1]

    def conv(self, name: str, layer: Layer, *, relu: bool, parts: int = 1) -> None:
        """Add a layer, or equal `parts` side by side. The map that enters decides padding; a ReLU is unsigned."""
        source, wtype = self.last, QType(self.weight_bits, signed=True)
        k, groups = layer.k * parts, layer.k if layer.depthwise else parts
        weight = self.rng.integers(wtype.qmin, wtype.qmax + 1, (k, layer.f, layer.f, source.oshape.c // groups))
        bias = self.rng.integers(-1000, 1001, k)
        multiplier = np.left_shift(1, self.rng.integers(0, 3, k))
        acc_bits = signed_bits(*accumulator_bounds(source.otype, weight, bias))
        after = (layer.o - 1) * layer.stride + layer.f - source.oshape.y - (layer.f // 2)
        window = Window(
            fy=layer.f, fx=layer.f, stride_y=layer.stride, stride_x=layer.stride, pad_top=layer.f // 2,
            pad_left=layer.f // 2, pad_bottom=max(after, 0), pad_right=max(after, 0),
        )  # fmt: skip
        self.params |= {f"{name}.weight": weight, f"{name}.bias": bias, f"{name}.multiplier": multiplier}
        self.nodes.append(
            Conv(
                name=name, source=source.name, ishape=source.oshape, itype=source.otype, k=k, window=window,
                groups=groups, wtype=wtype, acc_bits=acc_bits,
                scaling=scaling_of(multiplier), multiplier_bits=int(multiplier.max()).bit_length(),
                shift=max(0, acc_bits - self.activation_bits), otype=QType(self.activation_bits, signed=not relu),
            )
        )  # fmt: skip

    def add(self, name: str, other: Node) -> None:
        """Add half the sum of the last node and another."""
        otype = QType(self.activation_bits, signed=True)
        pair = (self.last, other)
        self.nodes.append(
            Add(
                name=name, sources=(pair[0].name, pair[1].name), ishape=self.last.oshape,
                itypes=(pair[0].otype, pair[1].otype), multipliers=(1, 1), shift=1, otype=otype,
            )
        )  # fmt: skip

    def global_average(self, name: str) -> None:
        source = self.last
        window = Window(fy=source.oshape.y, fx=source.oshape.x)
        shift = AVERAGE_BITS + (window.positions - 1).bit_length() - 1
        self.nodes.append(
            Pool(
                name=name, source=source.name, ishape=source.oshape, itype=source.otype, op=PoolOp.AVERAGE,
                window=window, multiplier=round(2**shift / window.positions), shift=shift, otype=source.otype,
            )
        )  # fmt: skip


def _add_block(net: _Net, network: Network, block: int) -> None:
    before, layers = net.last, block_layers(network, block)
    names, parts = ("expand", "depthwise", "project"), len(layers) // 2
    for name, layer in zip(names, layers[:: max(parts, 1)], strict=True) if layers else ():
        net.conv(f"b{block}_{name}", layer, relu=name != "project", parts=1 if layer.depthwise else parts)
    if layers and net.last.oshape == before.oshape:
        net.add(f"b{block}_sum", before)
