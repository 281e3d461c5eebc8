"""Builds and runs the RTL projects of many cases, each as its own small program, two at a time.

The same test bench as in a project, compiled without optimisation beside one shared copy of Verilator's run-time.
"""

import re
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codesign.emit.rtl import render_rtl
from codesign.ir.design import Design
from codesign.ir.graph import Graph, IntArray
from codesign.model import golden
from codesign.model.schedule import interval_cycles, size_buffers
from projects import small_board
from strategies import random_design, random_graph, random_inputs

WORKERS = 2


@dataclass(frozen=True)
class Result:
    """What the bench of one case had to say. `times`: cycle of the last word of each image, from the first word in."""

    seed: int
    graph: Graph
    design: Design
    status: int
    text: str

    @property
    def times(self) -> list[int]:
        return [int(t) for t in re.findall(r"^image \d+ out (\d+)$", self.text, re.MULTILINE)]

    @property
    def peaks(self) -> dict[str, int]:
        found = re.findall(
            r"^buffer \S*?accel\.u_(?:node_)?(\w+)(?:\.\S+)? depth \d+ peak (\d+)", self.text, re.MULTILINE
        )
        return {name: int(peak) for name, peak in found}


def random_machine(seed: int) -> tuple[Graph, Design, np.random.Generator]:
    """The graph and design of this seed, those of the C simulation's batch, with buffers sized by the schedule."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    return graph, size_buffers(graph, random_design(graph, rng)), rng


def run_batch(
    seeds: Sequence[int],
    work: Path,
    *,
    images: int = 6,
    arguments: Sequence[str] = (),
    at_own_pace: bool = False,
) -> list[Result]:
    """Run the machine of every seed; `at_own_pace` sends an image every interval, evenly, instead of all at once."""
    runtime = build_runtime(work)

    def one(seed: int) -> Result:
        graph, design, rng = random_machine(seed)
        pace = ["--pace", str(interval_cycles(graph, design))] if at_own_pace else []
        x = random_inputs(graph, rng, images)
        return run_machine(seed, graph, design, x, work, runtime, [*arguments, *pace])

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(one, seeds))


def run_machine(
    seed: int,
    graph: Graph,
    design: Design,
    x: IntArray,
    work: Path,
    runtime: Path,
    arguments: Sequence[str] = (),
    alter: Callable[[Path], None] | None = None,
) -> Result:
    """Render, build and run one machine in work/<seed>. `alter` may change the RTL folder, to plant a bug."""
    folder = work / str(seed)
    render_rtl(graph, design, small_board(), x, golden.run(graph, x)).write(folder)
    rtl = folder / "rtl"
    if alter is not None:
        alter(rtl)
    verilate = ["verilator", "--cc", "-Wall", "--top-module", "accel", "--Mdir", "obj", "-y", "modules"]
    _run([*verilate, "modules/codesign_pkg.sv", "accel.sv"], rtl)
    sources = [*sorted((rtl / "obj").glob("*.cpp")), rtl / "tb" / "tb.cpp"]
    (rtl / "all.cpp").write_text("".join(f'#include "{path}"\n' for path in sources))
    include = ["-I", str(verilator_root() / "include"), "-I", "obj", "-I", "tb"]
    _run(["g++", "-std=c++17", "-O0", *include, "all.cpp", str(runtime), "-pthread", "-o", "bench"], rtl)
    run = subprocess.run(
        ["./bench", "tb/data", *arguments], cwd=rtl, capture_output=True, text=True, timeout=300, check=False
    )
    return Result(seed, graph, design, run.returncode, run.stdout + run.stderr)


def build_runtime(work: Path) -> Path:
    """Verilator's run-time library, compiled once."""
    include = verilator_root() / "include"
    sources = "".join(f'#include "{include / name}"\n' for name in ("verilated.cpp", "verilated_threads.cpp"))
    (work / "runtime.cpp").write_text(sources)
    options = ["-std=c++17", "-O1", "-I", str(include), "-I", str(include / "vltstd")]
    _run(["g++", *options, "-c", "runtime.cpp", "-o", "runtime.o"], work)
    return work / "runtime.o"


def verilator_root() -> Path:
    """Where Verilator keeps its headers."""
    return Path(_run(["verilator", "--getenv", "VERILATOR_ROOT"], Path.cwd()).strip())


def _run(command: list[str], cwd: Path) -> str:
    run = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, f"{' '.join(command)}\n{run.stdout}{run.stderr}"[-6000:]
    return run.stdout
