"""Rendering of the HLS project: tables, buffers, streams, and a small project as a readable tree."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.data import folder
from codesign.emit.hls import render_hls
from codesign.emit.registers import REGISTERS
from codesign.emit.tables import bias_table, multiplier_table, weight_table
from codesign.errors import ConfigError, UnsupportedError
from codesign.ir.design import Design, Multiplier
from codesign.ir.graph import Graph
from codesign.ir.project import Project
from codesign.model import golden
from codesign.ops.conv import Conv
from codesign.ops.input import Input
from codesign.testing.small import small_design, small_graph
from projects import small_board
from strategies import designs_for, graphs, random_inputs


def render(graph: Graph, design: Design, images: int = 2, seed: int = 3) -> Project:
    x = random_inputs(graph, np.random.default_rng(seed), images)
    values = golden.run_all(graph, x)
    layers = {node.name: values[node.name][:1] for node in graph.nodes[1:]}
    return render_hls(graph, design, small_board(), x, values[graph.output.name], layers)


def test_the_small_project_is_as_stored(snapshot: Callable[[str, Project], None]) -> None:
    project = render(small_graph(), small_design())
    written = {"params.hpp", "top.hpp", "top.cpp"}
    files = {
        name: content
        for name, content in project.files.items()
        if PurePosixPath(name).name in written or "weights_" in name or "/data/" in name
    }
    snapshot("hls_small", Project(files))


def test_every_kernel_travels_with_the_project() -> None:
    names = set(render(small_graph(), small_design()).files)
    kernels = ("pragmas", "types", "line_buffer", "conv", "pool", "add", "requantize", "convert", "axis", "tap")
    assert {f"hls/kernel/{kernel}.hpp" for kernel in kernels} <= names
    assert {"hls/csim_include/ap_int.h", "hls/csim_include/hls_stream.h", "hls/tb/tb.cpp"} <= names


def test_the_registers_are_those_of_the_table() -> None:
    top = str(render(small_graph(), small_design()).files["hls/kernel/top.cpp"])
    for register in REGISTERS:
        if not register.rtl_only and register.name != "ctrl":
            assert f"HLS_PORT_REGISTER({register.name}, 0x{register.offset:08x})" in top


@given(st.data())
def test_rendering_twice_gives_one_digest(data: st.DataObject) -> None:
    graph = data.draw(graphs())
    design = data.draw(designs_for(graph))
    assert render(graph, design).digest() == render(graph, design).digest()


@given(st.data())
def test_tables_hold_every_parameter_once(data: st.DataObject) -> None:
    graph = data.draw(graphs())
    design = data.draw(designs_for(graph))
    for node in graph.nodes:
        if isinstance(node, Conv):
            engine = design.engine_of(node.name)
            weight, given = weight_table(node, engine, graph.params), graph.params[f"{node.name}.weight"]
            borrowed = np.count_nonzero(given[::2] < 0) if engine.multiplier is Multiplier.PACKED else 0
            assert weight.values.sum() == given.sum() - borrowed
            if not borrowed:
                assert np.count_nonzero(weight.values) == np.count_nonzero(given)
            bias = np.tile(bias_table(node, engine, graph.params).values.reshape(-1), node.k)[: node.k]
            packed = engine.multiplier is Multiplier.PACKED and not node.itype.signed
            zero = node.zero_in - (1 << node.itype.bits - 1 if packed else 0)  # packing multiplies x - 2**(bits - 1)
            inputs = zero * given.sum() << node.bias_fraction  # what a map of zero points adds
            assert bias.sum() == graph.params[f"{node.name}.bias"].sum() - inputs
            assert multiplier_table(node, engine, graph.params).lanes == engine.emit


def test_a_graph_without_nodes_is_refused() -> None:
    graph = Graph("empty", (small_graph().input,), {})
    with pytest.raises(UnsupportedError, match="needs at least one node"):
        render_hls(graph, Design(engines=()), small_board(), np.zeros((1, 6, 6, 1), np.int64), np.zeros(1), {})


def test_a_design_of_another_graph_is_refused() -> None:
    graph = small_graph()
    assert isinstance(graph.nodes[0], Input)
    with pytest.raises(ConfigError, match="node 'dense': no engine runs it"):
        render(graph, replace(small_design(), engines=small_design().engines[:2]))


@pytest.mark.parametrize("path", sorted((folder("templates") / "hls" / "kernels").glob("*.hpp")), ids=lambda p: p.name)
def test_every_loop_of_a_kernel_has_a_label_and_says_how_it_runs(path: Path) -> None:
    lines = path.read_text().splitlines() if path.name != "tap.hpp" else []
    for number, line in enumerate(lines):
        if line.lstrip().startswith(("for (", "while (")):
            assert re.fullmatch(r" *loop_\w+:", lines[number - 1]), f"line {number + 1}: no label"
            assert lines[number + 1].strip() in {"HLS_PIPELINE", "HLS_UNROLL"}, f"line {number + 1}: no directive"
