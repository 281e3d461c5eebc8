"""The small network as a complete project, for the tests of host code, scripts and manifest."""

import numpy as np

from codesign.emit.scripts import complete_project
from codesign.ir.board import Board, Fill, Shell
from codesign.ir.cost import Cost, EngineCost, Resources
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.ir.project import Project
from codesign.model import golden
from codesign.testing.small import small_design, small_graph


def small_board(shell: Shell = Shell.ZYNQ) -> Board:
    """A board of its own, so that a change of boards/ changes no snapshot."""
    return Board(
        name="bench-1", title="Bench board 1", part="xc7z020clg400-1", family="xc7", shell=shell,
        clock_mhz=150.0, resources=Resources(dsp=220, bram18=280, lut=53200, ff=106400),
        fill=Fill(dsp=0.9, bram18=0.9, uram=0.9, lut=0.7, ff=0.5), dram_peak_mb_s=2100.0, dram_efficiency=0.8,
        sources=("made up",),
    )  # fmt: skip


def small_cost() -> Cost:
    """Figures that tell apart in a document."""
    engine = EngineCost(
        name="conv", nodes=("conv",), busy_cycles=144, interval_cycles=144, macs=324, resources=Resources(dsp=3)
    )
    have = Resources(dsp=9, bram18=2, lut=1234, ff=2345)
    return Cost(
        latency_cycles=345, interval_cycles=144, resources=have, dram_bytes=42, engines=(engine,),
        shell=Resources(lut=99),
    )  # fmt: skip


def small_kernels() -> Project:
    """Stands for what the other renderers give; scripts only list it."""
    names = ("accel.sv", "modules/conv_engine.sv", "modules/codesign_pkg.sv", "data/conv_weight.hex", "tb/tb.cpp")
    files = {f"rtl/{name}": f"// {name}\n" for name in names}
    files |= {f"hls/{name}": f"// {name}\n" for name in ("kernel/top.cpp", "tb/tb.cpp", "tb/data/input.dat")}
    return Project(files)


def small_project(
    graph: Graph | None = None,
    design: Design | None = None,
    shell: Shell = Shell.ZYNQ,
    count: int = 8,
    board: Board | None = None,
) -> Project:
    """The complete project, of the small network unless another is given."""
    graph, design = graph or small_graph(), design or small_design()
    shape, otype = graph.input.shape, graph.input.otype
    x = np.random.default_rng(7).integers(otype.qmin, otype.qmax + 1, (count, shape.y, shape.x, shape.c))
    board = board or small_board(shell)
    return complete_project(graph, design, board, small_cost(), small_kernels(), x, golden.run_joined(graph, x))
