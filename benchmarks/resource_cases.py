"""Whole designs whose resources are predicted and synthesized: random machines, and searched networks of our space."""

from dataclasses import dataclass, replace

import numpy as np

from codesign.ir.board import Board, Family
from codesign.ir.boards import load_board
from codesign.ir.cost import Resources
from codesign.ir.design import Design
from codesign.ir.graph import Graph, IntArray, accumulator_bounds, signed_bits
from codesign.ir.nodes import Conv, Node, Shape
from codesign.model.resource import NAMES
from codesign.model.schedule import size_buffers
from codesign.nets.network import SPREAD, Network, skeleton
from codesign.nets.space import decisions, derive
from codesign.nets.spaces import load_space
from codesign.search.design import search_design
from random_machines import random_design, random_graph

SHAPE = Shape(28, 28, 1)
LABELS = tuple("0123456789")
SEARCH_LIMIT_S = 30.0
BOARDS = {Family.SERIES7: "pynq-z2", Family.ULTRASCALE_PLUS: "ultra96-v2"}


@dataclass(frozen=True, slots=True)
class Case:
    """A machine of the tests' random ones; or with `share` the fastest of a random network of the space `fashion` that
    takes no more than that share of the board's budget.
    """

    seed: int
    family: Family
    share: float | None = None

    def __str__(self) -> str:
        return f"{self.family.value} {'random' if self.share is None else 'network'} {self.seed}"

    @property
    def board(self) -> Board:
        """A board of the family."""
        return load_board(BOARDS[self.family])

    def machine(self) -> tuple[Graph, Design]:
        """The graph, with dense random weights, and its design with buffers as the schedule sizes them.

        Synthesis makes less of weights that are special: columns of a weight memory that are constant or equal, all
        zero or mostly zero. No prediction knows the weights, so none of the cases has special ones.
        """
        rng = np.random.default_rng(self.seed)
        if self.share is None:
            graph = random_graph(rng, dense=True)
            design = random_design(graph, rng)
        else:
            graph = with_random_weights(skeleton(random_network(rng)), rng)
            rest = scaled(self.board.budget, 1 - self.share)
            found = search_design(graph, self.board, reserve=rest, time_limit_s=SEARCH_LIMIT_S, explain=False)
            design = found.design
        return graph, size_buffers(graph, design)


def scaled(resources: Resources, share: float) -> Resources:
    """That share of every count."""
    return Resources(**{name: int(getattr(resources, name) * share) for name in NAMES})


def random_network(rng: np.random.Generator) -> Network:
    """A network of the space `fashion`, every choice at random."""
    space = load_space("fashion")
    row = [int(rng.integers(len(decision.options))) for decision in decisions(space)]
    return derive(space, row, "network", SHAPE, LABELS)


def with_random_weights(graph: Graph, rng: np.random.Generator) -> Graph:
    """The graph with uniform weights in place of its placeholders, and accumulators and shifts that fit them."""
    nodes: list[Node] = []
    params: dict[str, IntArray] = {}
    for node in graph.nodes:
        if isinstance(node, Conv):
            shape = (node.k, node.window.fy, node.window.fx, node.c_per_group)
            weight = rng.integers(node.wtype.qmin, node.wtype.qmax + 1, shape, dtype=np.int64)
            bias = rng.integers(node.itype.qmin - 1, node.itype.qmax + 2, node.k, dtype=np.int64)
            multiplier = np.left_shift(1, rng.integers(0, SPREAD + 1, node.k, dtype=np.int64))
            multiplier[0] = 1 << SPREAD
            params |= {f"{node.name}.weight": weight, f"{node.name}.bias": bias, f"{node.name}.multiplier": multiplier}
            bits = signed_bits(*accumulator_bounds(node.itype, weight, bias))
            nodes.append(replace(node, acc_bits=bits, shift=max(SPREAD, bits - node.otype.bits)))
        else:
            nodes.append(node)
    return Graph(graph.name, tuple(nodes), params, labels=graph.labels)
