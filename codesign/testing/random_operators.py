"""Random nodes of the operators that act on single values, or only move them."""

from typing import Protocol

import numpy as np

from codesign.ops.arrays import IntArray
from codesign.ops.concat import Concat
from codesign.ops.depth_to_space import DepthToSpace
from codesign.ops.gate import Gate
from codesign.ops.lookup import MAX_LOOKUP_BITS, Lookup
from codesign.ops.node import Node
from codesign.ops.pad import Pad
from codesign.ops.qtype import QType
from codesign.ops.shuffle import Shuffle
from codesign.ops.slice import Slice
from codesign.ops.space_to_depth import SpaceToDepth
from codesign.testing.random_values import divisors, pick

Rng = np.random.Generator


class Draws(Protocol):
    """A graph under construction; every method but the first three adds nodes and returns the last."""

    rng: Rng
    params: dict[str, IntArray]

    def activation(self) -> QType: ...
    def fresh(self, kind: str) -> str: ...
    def shift(self, bound: int, otype: QType) -> int: ...
    def add_node(self, node: Node) -> Node: ...
    def global_pool(self, source: Node) -> Node: ...
    def pointwise(self, source: Node, k: int, otype: QType | None = None) -> Node: ...
    def same_extent_conv(self, source: Node, k: int, otype: QType) -> Node: ...


def lookup(build: Draws, source: Node) -> Node:
    """Replace values by entries of random tables, of all channels or of each; a wide map becomes narrower first."""
    if source.otype.bits > MAX_LOOKUP_BITS:
        source = build.pointwise(source, 2, QType(int(build.rng.integers(2, 9)), True))
    name, otype = build.fresh("lookup"), build.activation()
    per_channel = bool(build.rng.random() < 0.4)
    node = Lookup(
        name=name,
        source=source.name,
        ishape=source.oshape,
        itype=source.otype,
        per_channel=per_channel,
        otype=otype,
    )
    build.params[f"{name}.table"] = build.rng.integers(
        otype.qmin, otype.qmax + 1, node.parameters["table"], dtype=np.int64
    )
    return build.add_node(node)


def split(build: Draws, source: Node) -> Node:
    """Take some channels, or join two parts the other way round."""
    c = source.oshape.c
    ends = sorted(int(build.rng.integers(0, c + 1)) for _ in range(2))
    if ends[0] == ends[1] or build.rng.random() < 0.5:
        start = int(build.rng.integers(c))
        return _slice(build, source, start, int(build.rng.integers(start, c)) + 1)
    parts = _slice(build, source, 0, max(ends[0], 1)), _slice(build, source, min(ends[0], c - 1), c)
    return build.add_node(
        Concat(
            name=build.fresh("concat"),
            sources=(parts[1].name, parts[0].name),
            ishapes=(parts[1].oshape, parts[0].oshape),
            otype=source.otype,
        )
    )


def _slice(build: Draws, source: Node, start: int, stop: int) -> Node:
    name, shape = build.fresh("slice"), source.oshape
    node = Slice(name=name, source=source.name, ishape=shape, start=start, stop=stop, otype=source.otype)
    return build.add_node(node)


def gate(build: Draws, source: Node) -> Node:
    """Multiply a map with a convolution of it, or with the factors that a global pooling and a dense layer give."""
    if source.otype.bits > 12:
        source = build.pointwise(source, 3, QType(int(build.rng.integers(2, 9)), True))
    otype, c = QType(int(build.rng.integers(2, 9)), bool(build.rng.random() < 0.4)), source.oshape.c
    if build.rng.random() < 0.6:
        gate = build.pointwise(build.global_pool(source), c, otype)
    else:
        gate = build.same_extent_conv(source, c, otype)
    multiplier = pick(build.rng, (1, 1, 8, int(build.rng.integers(1, 200))))
    made, bound = build.activation(), multiplier << (source.otype.bits + otype.bits - 1)
    return build.add_node(
        Gate(
            name=build.fresh("gate"),
            sources=(source.name, gate.name),
            ishape=source.oshape,
            gate_shape=gate.oshape,
            itypes=(source.otype, otype),
            multiplier=multiplier,
            shift=build.shift(bound, made),
            otype=made,
        )
    )


def pad(build: Draws, source: Node) -> Node:
    """Put a value around a map, or move its pixels apart, unless it would become large."""
    shape, otype = source.oshape, source.otype
    pads = [pick(build.rng, (0, 0, 1, 2, 4)) for _ in range(4)]
    strides = [pick(build.rng, (1, 1, 1, 2, 3)) if extent <= 5 else 1 for extent in (shape.y, shape.x)]
    value = 0 if max(strides) > 1 else pick(build.rng, (0, otype.qmin, int(build.rng.integers(otype.qmax + 1))))
    return build.add_node(
        Pad(
            name=build.fresh("pad"),
            source=source.name,
            ishape=shape,
            top=pads[0],
            left=pads[1],
            bottom=pads[2],
            right=pads[3],
            stride_y=strides[0],
            stride_x=strides[1],
            value=value,
            otype=otype,
        )
    )


def reorder(build: Draws, source: Node) -> Node:
    """Exchange channels and pixels, or shuffle channels; a convolution gives the channels that it takes."""
    shape, name = source.oshape, build.fresh("reorder")
    blocks = [b for b in (2, 3) if shape.y % b == shape.x % b == 0 and shape.c * b * b <= 18]
    kind = pick(build.rng, ("shuffle", "depth", "space"))
    if kind == "space" and blocks:
        block = pick(build.rng, blocks)
        return build.add_node(
            SpaceToDepth(name=name, source=source.name, ishape=shape, block=block, otype=source.otype)
        )
    if kind == "depth" and max(shape.y, shape.x) <= 6:
        wide = build.pointwise(source, 4 * int(build.rng.integers(1, 4)))
        return build.add_node(
            DepthToSpace(name=build.fresh("reorder"), source=wide.name, ishape=wide.oshape, block=2, otype=wide.otype)
        )
    if shape.c < 4:
        source = build.pointwise(source, pick(build.rng, (4, 6, 8)))
    shape, groups = source.oshape, pick(build.rng, divisors(source.oshape.c))
    return build.add_node(
        Shuffle(name=build.fresh("reorder"), source=source.name, ishape=shape, groups=groups, otype=source.otype)
    )
