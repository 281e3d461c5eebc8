"""Another training's parameters on the nodes of a machine whose weights are loaded."""

from dataclasses import replace

import numpy as np

from codesign.errors import UnsupportedError
from codesign.ir.graph import Graph
from codesign.ops.arrays import IntArray
from codesign.ops.conv import Conv
from codesign.ops.node import Node
from codesign.ops.requantize import MAX_ACC_BITS, MAX_PRODUCT_BITS


def with_room(graph: Graph) -> Graph:
    """Return the graph with accumulators for any weights of its types, and biases as large as their sums can be.

    Its outputs are the same. So a machine made for it takes the weights of other trainings.
    """
    return replace(graph, nodes=tuple(_roomy(node) for node in graph.nodes))


def _roomy(node: Node) -> Node:
    if not isinstance(node, Conv):
        return node
    itype, positions = node.itype, node.window.positions * node.c_per_group
    reach = max(abs(bound - node.zero_in) for bound in (itype.qmin, itype.qmax))
    wanted = (2 * positions * reach * -node.wtype.qmin).bit_length() + 1
    most = min(MAX_ACC_BITS, MAX_PRODUCT_BITS - node.multiplier_bits - node.bias_fraction)
    return replace(node, acc_bits=max(node.acc_bits, min(wanted, most)))


def retrained(machine: Graph, training: Graph) -> Graph:
    """Return the nodes of `machine` with the parameters of `training`: it computes what `training` does.

    Accumulators, multipliers and shifts may differ, as far as the machine has room. Raise UnsupportedError, naming the
    node, where the machine cannot compute it.
    """
    if len(machine.nodes) != len(training.nodes) or machine.outputs != training.outputs:
        raise UnsupportedError(
            f"weights: the machine has {len(machine.nodes)} nodes, the network {len(training.nodes)}, or their "
            "outputs differ; only another training of the same network can be loaded"
        )
    if machine.encoding != training.encoding:
        raise UnsupportedError("weights: the network takes its input in another encoding; train it with the same one")
    params: dict[str, IntArray] = {}
    for own, other in zip(machine.nodes, training.nodes, strict=True):
        params |= _parameters(own, other, machine, training)
    try:
        return replace(training, name=machine.name, nodes=machine.nodes, params=params)
    except UnsupportedError as error:
        raise UnsupportedError(f"weights: the machine has no room for them: {error}") from error


def _parameters(own: Node, other: Node, machine: Graph, training: Graph) -> dict[str, IntArray]:
    """Return the parameters of a node, as the machine's node takes them."""
    held = {f"{other.name}.{key}": training.params[f"{other.name}.{key}"] for key in other.parameters}
    if isinstance(own, Conv) and isinstance(other, Conv):
        alike = replace(
            other,
            acc_bits=own.acc_bits,
            multiplier_bits=own.multiplier_bits,
            scaling=own.scaling,
            shift=own.shift,
        )
        if alike == own:
            key = f"{own.name}.multiplier"
            return held | {key: _rescaled(held[key], own.shift - other.shift, own.name)}
    elif own == other and all(np.array_equal(array, machine.params[key]) for key, array in held.items()):
        return held
    raise UnsupportedError(
        f"weights: node {own.name!r}: the machine has another shape, type, constant or table built in than the network "
        f"has in {other.name!r}; only weights, biases and multipliers of convolutions are loaded"
    )


def _rescaled(multiplier: IntArray, by: int, name: str) -> IntArray:
    """Return the multipliers in front of a shift that is larger by so many bits: the quotients stay the same."""
    scaled = multiplier << by if by >= 0 else multiplier >> -by
    if not np.array_equal(scaled << max(-by, 0), multiplier << max(by, 0)):
        raise UnsupportedError(f"weights: node {name!r}: the machine shifts by {-by} bits less than the network does")
    return scaled
