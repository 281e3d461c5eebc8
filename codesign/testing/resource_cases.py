"""Whole designs whose resources are predicted and synthesized: random machines, and searched networks of our space."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from codesign.emit.rtl import render_rtl
from codesign.ir.board import Board
from codesign.ir.boards import load_board
from codesign.ir.builder import conv_node
from codesign.ir.cost import Resources
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.ir.technology import technology_of
from codesign.machine.elaborate import elaborate
from codesign.model.resource import NAMES, design_resources
from codesign.model.schedule import size_buffers
from codesign.networks.derive import derive
from codesign.networks.network import SPREAD, Network, skeleton
from codesign.networks.space import decisions
from codesign.networks.spaces import load_space
from codesign.ops.arrays import IntArray
from codesign.ops.conv import Conv
from codesign.ops.node import Node
from codesign.ops.shapes import Shape
from codesign.search.design import search_design
from codesign.sim.synth import synthesize
from codesign.testing.random_machines import random_design, random_graph

SHAPE = Shape(28, 28, 1)
LABELS = tuple("0123456789")
BOARDS = {"xc7": "pynq-z2", "xcup": "ultra96-v2"}


@dataclass(frozen=True, slots=True)
class Case:
    """A machine of the tests' random ones.

    With `share`, it is the fastest of a random network of the space `fashion` that takes no more than that share of the
    board's budget.
    """

    seed: int
    family: str
    share: float | None = None

    def __str__(self) -> str:
        return f"{self.family} {'random' if self.share is None else 'network'} {self.seed}"

    @property
    def board(self) -> Board:
        """Return a board of the family."""
        return load_board(BOARDS[self.family])

    def machine(self) -> tuple[Graph, Design]:
        """Return the graph, with dense random weights, and its design with buffers as the schedule sizes them.

        Synthesis makes less of weights that are special: columns of a weight memory that are constant or equal, all
        zero or mostly zero. No prediction knows the weights, so none of the cases has special ones.
        """
        rng = np.random.default_rng(self.seed)
        if self.share is None:
            graph = random_graph(rng, dense=True, every_operator=False)
            design = random_design(graph, rng, packing=False)
        else:
            graph = with_random_weights(skeleton(random_network(rng)), rng)
            rest = scaled(self.board.budget, 1 - self.share)
            found = search_design(graph, self.board, reserve=rest, explain=False)
            design = found.design
        return graph, size_buffers(graph, design)


@dataclass(frozen=True, slots=True)
class Row:
    """One design: multipliers that work side by side, what is predicted, what synthesis finds, with which tool."""

    case: Case
    multipliers: int
    predicted: Resources
    found: Resources
    tool: str

    def error(self, name: str) -> float:
        """Return (predicted - found) / found of that resource."""
        found: int = getattr(self.found, name)
        return (getattr(self.predicted, name) - found) / max(found, 1)


def compare(case: Case, work: Path) -> Row:
    """Predict and synthesize the case's design, in the folder `work`."""
    graph, design = case.machine()
    x, y = blank_images(graph)
    measured = synthesize(render_rtl(graph, design, case.board, x, y), case.board, work)
    assert measured.resources is not None
    engines = [design.engine_of(n.name) for n in graph.nodes if isinstance(n, Conv)]
    return Row(
        case=case,
        multipliers=sum(e.pe * e.simd * e.taps for e in engines),
        predicted=design_resources(elaborate(graph, design), technology_of(case.family)),
        found=measured.resources,
        tool=measured.version,
    )


def blank_images(graph: Graph) -> tuple[IntArray, IntArray]:
    """Return one blank image and its blank results, one after another: synthesis reads no test data."""
    shape, results = graph.input.shape, sum(node.oshape.elements for node in graph.output_nodes)
    x, y = np.zeros((1, shape.y, shape.x, shape.c), dtype=np.int64), np.zeros((1, results), dtype=np.int64)
    return x, y


def scaled(resources: Resources, share: float) -> Resources:
    """Return that share of every count."""
    return Resources(**{name: int(getattr(resources, name) * share) for name in NAMES})


def random_network(rng: np.random.Generator) -> Network:
    """Return a network of the space `fashion`, every choice at random."""
    space = load_space("fashion")
    row = [int(rng.integers(len(decision.options))) for decision in decisions(space)]
    return derive(space, row, "network", SHAPE, LABELS)


def with_random_weights(graph: Graph, rng: np.random.Generator) -> Graph:
    """Return the graph with uniform weights in place of its placeholders, and accumulators and shifts that fit them."""
    nodes: list[Node] = []
    params: dict[str, IntArray] = {}
    for node in graph.nodes:
        if isinstance(node, Conv):
            shape = (node.k, node.window.fy, node.window.fx, node.c_per_group)
            weight = rng.integers(node.wtype.qmin, node.wtype.qmax + 1, shape, dtype=np.int64)
            bias = rng.integers(node.itype.qmin - 1, node.itype.qmax + 2, node.k, dtype=np.int64)
            multiplier = np.left_shift(1, rng.integers(0, SPREAD + 1, node.k, dtype=np.int64))
            multiplier[0] = 1 << SPREAD
            source = graph.node(node.source)
            made, own = conv_node(
                node.name,
                source,
                weight,
                bias,
                otype=node.otype,
                window=node.window,
                groups=node.groups,
                multiplier=multiplier,
                weight_bits=node.wtype.bits,
            )
            params |= {f"{node.name}.{key}": value for key, value in own.items()}
            nodes.append(replace(made, shift=max(SPREAD, made.acc_bits - node.otype.bits)))
        else:
            nodes.append(node)
    return Graph(graph.name, tuple(nodes), params, labels=graph.labels)
