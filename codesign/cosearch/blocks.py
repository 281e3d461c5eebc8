"""The blocks of a search space as nodes, for every combination of their choices. There are no tensors here."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from codesign.cosearch.row import Row
from codesign.errors import ConfigError
from codesign.networks.derive import chosen_block, chosen_head, chosen_shape, input_shapes, map_shapes
from codesign.networks.network import INPUT, INPUT_TYPE, Layer, layer_node
from codesign.networks.space import Space, decisions, slots
from codesign.ops.input import Input
from codesign.ops.node import Node, Operation
from codesign.ops.qtype import QType
from codesign.ops.shapes import Shape

_MOST_COMBINATIONS = 1 << 18  # of the choices that a block depends on: all of them are priced


@dataclass(frozen=True, slots=True, eq=False)
class ChoiceBlock:
    """A block or the head: the decisions that its nodes depend on, and the nodes of every combination of them.

    `nodes` has the axes of `decisions`; None where the machine cannot have such a block. Nodes have no names, so that
    equal ones of different blocks are equal.
    """

    decisions: tuple[int, ...]
    nodes: npt.NDArray[np.object_]

    def of(self, row: Row) -> tuple[Operation, ...] | None:
        """Return the nodes of a network's row of choices, none of a skipped block; None if the machine has no such
        block.
        """
        found: tuple[Operation, ...] | None = self.nodes[tuple(row.network[d] for d in self.decisions)]
        return found


def choice_blocks(space: Space, shape: Shape, labels: int) -> tuple[ChoiceBlock, ...]:
    """Return every block of every stage for samples of that shape, then the head for that many labels."""
    shapes = input_shapes(space, shape)
    found = [_block(space, i, j, shapes) for i, stage in enumerate(space.stages) for j in range(len(stage.blocks))]
    return (*found, _head(space, shapes, labels))


def _block(space: Space, i: int, j: int, shapes: tuple[Shape, ...]) -> ChoiceBlock:
    """Return block j of stage i."""
    stages = slots(space).stages
    where, before = stages[i], stages[i - 1] if i and not j else None
    own = (where.width, where.bits, where.operators[j], where.weight_bits[j], where.inner_bits[j])
    axes = [at for at in own if at is not None]
    axes = axes if before is None else [before.width, before.bits, *axes]

    def layers(row: list[int]) -> tuple[list[Layer], Input]:
        sample = chosen_shape(space, row, shapes)
        stage, extent = (i, i + 1) if j else (i - 1, i)
        source = Input(name=INPUT, shape=sample, otype=INPUT_TYPE)
        if i or j:
            source = _source(space, row, stage, map_shapes(space, sample)[extent])
        return chosen_block(space, row, i, j, source.name, source.shape.c, name="b"), source

    return _tabulated(space, axes, layers)


def _head(space: Space, shapes: tuple[Shape, ...], labels: int) -> ChoiceBlock:
    places = slots(space)
    last, axes = places.stages[-1], (places.head_pool, places.head_weight_bits)

    def layers(row: list[int]) -> tuple[list[Layer], Input]:
        extent = map_shapes(space, chosen_shape(space, row, shapes))[-1]
        source = _source(space, row, len(space.stages) - 1, extent)
        return chosen_head(space, row, source.name, labels), source

    return _tabulated(space, [last.width, last.bits, *axes], layers)


def _tabulated(space: Space, axes: list[int], layers: Callable[[list[int]], tuple[list[Layer], Input]]) -> ChoiceBlock:
    """Return the nodes of the layers that every combination of these decisions makes, at every resolution."""
    resolution = slots(space).resolution
    axes = axes if resolution is None else [resolution, *axes]
    every = decisions(space)
    sizes = [len(every[at].options) for at in axes]
    if math.prod(sizes) > _MOST_COMBINATIONS:
        names = ", ".join(every[at].name for at in axes)
        raise ConfigError(
            f"space: the options of {names} have {math.prod(sizes):,} combinations, at most {_MOST_COMBINATIONS:,} can "
            "be priced; give fewer"
        )
    nodes = np.empty(sizes, dtype=np.object_)
    row = [0] * len(every)
    for index in np.ndindex(nodes.shape):
        for at, option in zip(axes, index, strict=True):
            row[at] = option
        nodes[index] = _priced(*layers(row))
    return ChoiceBlock(tuple(axes), nodes)


def _source(space: Space, row: Sequence[int], stage: int, extent: tuple[int, int]) -> Input:
    """Return what a stage hands on, as the input of what follows."""
    own, where = space.stages[stage], slots(space).stages[stage]
    otype = QType(own.activation_bits[row[where.bits]], signed=False)
    return Input(name="x", shape=Shape(*extent, own.widths[row[where.width]]), otype=otype)


def _priced(layers: list[Layer], source: Input) -> tuple[Operation, ...] | None:
    """Return the nodes of the layers, without names, so that equal ones are priced once.

    None if the machine has no such node.
    """
    before: dict[str, Node] = {source.name: source}
    made: list[Operation] = []
    try:
        for layer in layers:
            node = layer_node(layer, before)
            before[layer.name] = node
            made.append(node.nameless())
    except ConfigError:
        return None
    return tuple(made)
