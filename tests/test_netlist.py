"""The netlist that synthesis makes, simulated gate by gate: it computes what the SystemVerilog does."""

import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codesign.emit.rtl import render_rtl
from codesign.ir.design import Design, Memory
from codesign.ir.graph import Graph
from codesign.model import golden
from codesign.sim.synth import synthesis_script
from codesign.sim.tool import run_tool
from codesign.testing.random_machines import random_inputs
from codesign.testing.resource_cases import Case
from test_packing import design_of, graph_of, random_weights

IMAGES = 3
RUN_SCRIPT = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for line in open(sys.argv[1]):
    design.run_pass(line.strip())
"""


def cell_models() -> Path:
    """Yosys' models of the family's primitives."""
    spec = importlib.util.find_spec("pyosys")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "share" / "xilinx" / "cells_sim.v"


def netlist(graph: Graph, design: Design, case: Case, work: Path) -> tuple[Path, Path]:
    """The RTL folder of a machine, and its netlist. Memories are of LUTs: there is no model of block RAM.

    Seed and family are those of the case.
    """
    engines = (replace(e, weight_memory=Memory.LUT, buffer_memory=Memory.LUT) for e in design.engines)
    design = replace(design, engines=tuple(engines))
    x = random_inputs(graph, np.random.default_rng(case.seed), IMAGES)
    render_rtl(graph, design, case.board, x, golden.run(graph, x)).write(work)
    folder, net, script = work / "rtl", work / "netlist.v", work / "synth.ys"
    lines = (*synthesis_script(folder, case.family, "accel", work / "stat.json"), f"write_verilog -noattr {net}")
    script.write_text("\n".join(lines) + "\n")
    run_tool([sys.executable, "-c", RUN_SCRIPT, script], cwd=folder, timeout_s=600, log=work / "synth.log")
    return folder, net


def simulate(folder: Path, net: Path, work: Path) -> str:
    """What the machine's own test bench says of the netlist."""
    argv: list[str | Path] = ["verilator", "--cc", "--exe", "--build", "-O3", "--x-assign", "0", "--x-initial", "0"]
    argv += ["-Wno-fatal", "-Wno-lint", "-Wno-style", "-Wno-MULTITOP", "-Wno-TIMESCALEMOD", "--bbox-unsup"]
    argv += ["--top-module", "accel", "-CFLAGS", f"-std=c++17 -I{folder / 'tb'}", "--Mdir", work / "build"]
    argv += ["-MAKEFLAGS", "OPT_FAST=-O0 OPT_GLOBAL=-O0 OPT_SLOW=-O0"]
    argv += [net, "-v", cell_models(), folder / "tb" / "tb.cpp"]
    run_tool(argv, cwd=folder, timeout_s=600, log=work / "build.log")
    return run_tool([work / "build" / "Vaccel", "tb/data"], cwd=folder, timeout_s=60, log=work / "run.log")


# Its accumulators lie in front of DSPs; without kept_register.sv Yosys 0.70 takes them in and loses their feedback.
@pytest.mark.yosys
@pytest.mark.verilator
@pytest.mark.gxx
@pytest.mark.slow
def test_the_netlist_computes_the_golden_words(tmp_path: Path) -> None:
    case = Case(43, "xc7")
    graph, _ = case.machine()
    folder, net = netlist(*case.machine(), case, tmp_path)
    text = simulate(folder, net, tmp_path)
    words = IMAGES * graph.output.oshape.elements
    assert f"result images {IMAGES} words {words} mismatches 0" in text


@pytest.mark.yosys
@pytest.mark.verilator
@pytest.mark.gxx
@pytest.mark.slow
def test_packing_survives_synthesis(tmp_path: Path) -> None:
    """A pair of products takes one DSP with all of its registers, and chains of four add up in them."""
    graph, (pe, simd) = graph_of(random_weights(4, 8)), (4, 8)
    folder, net = netlist(graph, design_of(graph, pe, simd), Case(1, "xc7"), tmp_path)
    dsps = re.findall(r"DSP48E1 #\((.*?)\) \S+ \((.*?)\);", net.read_text(), re.DOTALL)
    assert len(dsps) == pe // 2 * simd
    for parameters, _ in dsps:
        held = re.findall(r"\.([ABMP]REG)\((?:\d*'[hd])?(\w+)\)", parameters)
        assert len(held) == 4
        assert all(int(value, 16) > 0 for _, value in held)
    cascades = [re.search(r"\.PCIN\((.*?)\)", ports, re.DOTALL) for _, ports in dsps]
    assert sum(found is not None and "48'" not in found[1] for found in cascades) == pe // 2 * simd * 3 // 4
    words = IMAGES * graph.output.oshape.elements
    assert f"result images {IMAGES} words {words} mismatches 0" in simulate(folder, net, tmp_path)
