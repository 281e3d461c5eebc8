"""The blocks of a search space as the nodes that every combination of their choices makes; no tensor comes here."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from codesign.errors import ConfigError
from codesign.ir.nodes import Add, Conv, Input, Node, Pool, Shape
from codesign.ir.qtype import QType
from codesign.nets.network import INPUT, INPUT_TYPE, Layer, layer_node
from codesign.nets.space import Space, block_layers, head_layers, map_shapes, slots


@dataclass(frozen=True, slots=True, eq=False)
class ChoiceBlock:
    """A block or the head: the decisions that its nodes depend on, and the nodes of every combination of them.

    `nodes` has the axes of `decisions`; None where the machine cannot have such a block. Nodes have no names, so that
    equal ones of different blocks are equal.
    """

    decisions: tuple[int, ...]
    nodes: npt.NDArray[np.object_]

    def of(self, row: Sequence[int]) -> tuple[Conv | Pool | Add, ...]:
        """The nodes of a network's row of choices."""
        return self.nodes[tuple(row[d] for d in self.decisions)] or ()


def choice_blocks(space: Space, shape: Shape, labels: int) -> tuple[ChoiceBlock, ...]:
    """Every block of every stage for samples of that shape, then the head for that many labels."""
    extents = map_shapes(space, shape)
    where = slots(space)
    found: list[ChoiceBlock] = []
    for i, stage in enumerate(space.stages):
        own = (where[i].width, where[i].bits)
        for j in range(len(stage.blocks)):
            before = () if j else ((where[i - 1].width, where[i - 1].bits) if i else None)
            before_slots = before or ()
            axes = (*before_slots, *own, where[i].operators[j], where[i].weight_bits[j])
            found.append(_block(space, i, j, axes, extents, shape.c))
    last = where[-1]
    count = sum(2 + 2 * len(s.blocks) for s in space.stages)
    found.append(_head(space, (last.width, last.bits, count, count + 1), extents[-1], labels))
    return tuple(found)


def _block(
    space: Space, i: int, j: int, axes: tuple[int, ...], extents: tuple[tuple[int, int], ...], channels: int
) -> ChoiceBlock:
    stage = space.stages[i]
    block = stage.blocks[j]
    previous = space.stages[i - 1] if i and not j else None
    sizes = [len(stage.widths), len(stage.activation_bits), len(block.operators), len(block.weight_bits)]
    if previous is not None:
        sizes = [len(previous.widths), len(previous.activation_bits), *sizes]
    nodes = np.empty(sizes, dtype=np.object_)
    for index in itertools.product(*map(range, sizes)):
        width, bits, operator, weight = index[-4:]
        if previous is not None:
            source = _source("x", extents[i], previous.widths[index[0]], previous.activation_bits[index[1]])
        elif j:
            source = _source("x", extents[i + 1], stage.widths[width], stage.activation_bits[bits])
        else:
            source = Input(name=INPUT, shape=Shape(*extents[0], channels), otype=INPUT_TYPE)
        layers = block_layers(
            "b",
            source.name,
            block.operators[operator],
            channels=source.shape.c,
            width=stage.widths[width],
            stride=1 if j else stage.stride,
            weight_bits=block.weight_bits[weight],
            bits=stage.activation_bits[bits],
            adds=j > 0,
        )
        nodes[index] = _priced(layers, source)
    return ChoiceBlock(axes, nodes)


def _head(space: Space, axes: tuple[int, ...], extent: tuple[int, int], labels: int) -> ChoiceBlock:
    stage = space.stages[-1]
    sizes = (len(stage.widths), len(stage.activation_bits), len(space.head_pools), len(space.head_weight_bits))
    nodes = np.empty(sizes, dtype=np.object_)
    for index in itertools.product(*map(range, sizes)):
        width, bits, pool, weight = index
        source = _source("x", extent, stage.widths[width], stage.activation_bits[bits])
        layers = head_layers(source.name, space.head_pools[pool], labels, space.head_weight_bits[weight])
        nodes[index] = _priced(layers, source)
    return ChoiceBlock(axes, nodes)


def _source(name: str, extent: tuple[int, int], channels: int, bits: int) -> Input:
    return Input(name=name, shape=Shape(*extent, channels), otype=QType(bits, signed=False))


def _priced(layers: list[Layer], source: Input) -> tuple[Conv | Pool | Add, ...] | None:
    """The nodes of the layers, nameless, so that equal ones are priced once; None if the machine has no such node."""
    before: dict[str, Node] = {source.name: source}
    try:
        for layer in layers:
            before[layer.name] = layer_node(layer, before)
    except ConfigError:
        return None
    return tuple(_nameless(n) for n in before.values() if not isinstance(n, Input))


def _nameless(node: Conv | Pool | Add) -> Conv | Pool | Add:
    if isinstance(node, Add):
        return replace(node, name="n", sources=("a", "b"))
    return replace(node, name="n", source="a")
