"""Hypothesis strategies of random legal graphs and designs; codesign/testing/random_machines.py draws them."""

import numpy as np
from hypothesis import strategies as st

from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.testing.random_machines import random_design as random_design
from codesign.testing.random_machines import random_graph as random_graph
from codesign.testing.random_machines import random_inputs as random_inputs


def graphs() -> st.SearchStrategy[Graph]:
    """Legal graphs of one to about eight nodes."""
    return st.integers(0, 2**32 - 1).map(lambda seed: random_graph(np.random.default_rng(seed)))


def designs_for(graph: Graph) -> st.SearchStrategy[Design]:
    """Legal designs of the graph, with buffers and FIFOs that are large enough for any schedule."""
    return st.integers(0, 2**32 - 1).map(lambda seed: random_design(graph, np.random.default_rng(seed)))
