"""The outputs of a graph, bit for bit: what C++, SystemVerilog and torch must equal.

The arithmetic of each operator is in codesign/ops and nowhere else. Maps are int64 [B, Y, X, C].
"""

from collections.abc import Sequence

import numpy as np

from codesign.errors import ConfigError
from codesign.ir.graph import Graph
from codesign.ops.arrays import IntArray


def run_all(graph: Graph, x: IntArray) -> dict[str, IntArray]:
    """Compute the output of every node, by name, for x[B,IY,IX,C] of the graph's input type.

    Raise ConfigError naming expected and found if the shape or a value of x does not fit the graph's input.
    """
    check_input(graph, x)
    values = {graph.input.name: x.astype(np.int64)}
    for node in graph.operations:
        values[node.name] = node.evaluate([values[source] for source in node.inputs], graph.parameters(node))
    return values


def run(graph: Graph, x: IntArray, batch: int = 256) -> IntArray:
    """Compute the only output [B,OY,OX,K] for x[B,IY,IX,C], `batch` images at a time.

    Raise UnsupportedError if there are several: most callers want one array, and run_outputs gives all.
    """
    check_input(graph, x)
    parts = [run_all(graph, x[i : i + batch])[graph.output.name] for i in range(0, len(x), batch)]
    return np.concatenate(parts)


def run_outputs(graph: Graph, x: IntArray, batch: int = 256) -> tuple[IntArray, ...]:
    """Compute each output [B,OY,OX,K], in the order of the graph's, for x[B,IY,IX,C], `batch` images at a time."""
    check_input(graph, x)
    parts = [run_all(graph, x[i : i + batch]) for i in range(0, len(x), batch)]
    return tuple(np.concatenate([part[node.name] for part in parts]) for node in graph.output_nodes)


def run_joined(graph: Graph, x: IntArray) -> IntArray:
    """Compute what the machine gives for x: as run, or with several outputs all elements of an image, [B, elements]."""
    return joined(run_outputs(graph, x))


def joined(outputs: Sequence[IntArray]) -> IntArray:
    """Return outputs [B,OY,OX,K] as one array: the only one unchanged, several one after another, [B, elements]."""
    if len(outputs) == 1:
        return outputs[0]
    return np.concatenate([values.reshape(len(values), -1) for values in outputs], axis=1)


def check_input(graph: Graph, x: IntArray) -> None:
    """Raise ConfigError unless x[B,IY,IX,C] is a batch of inputs of the graph."""
    shape, otype = graph.input.shape, graph.input.otype
    if x.ndim != 4 or len(x) == 0 or x.shape[1:] != (shape.y, shape.x, shape.c):
        raise ConfigError(f"input: expected [B, {shape.y}, {shape.x}, {shape.c}] (HWC), got {list(x.shape)}")
    if not np.issubdtype(x.dtype, np.integer):
        raise ConfigError(f"input: expected integers of type {otype}, got {x.dtype}")
    if x.min() < otype.qmin or x.max() > otype.qmax:
        raise ConfigError(f"input: expected {otype} values, got {x.min()} to {x.max()}")
