"""Builds the RTL projects of many cases as one simulation: each machine with a clock and a test bench of its own.

Only the machine whose clock moves costs time. The test bench is the project's own, compiled without optimisation.
"""

import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from codesign.emit.rtl import render_rtl
from codesign.ir.design import Design, Weights
from codesign.ir.graph import Graph
from codesign.machine.elaborate import elaborate
from codesign.machine.names import engine_names
from codesign.model import golden
from codesign.model.schedule import schedule, size_buffers
from codesign.ops.arrays import IntArray
from codesign.ops.conv import Conv
from projects import small_board
from strategies import random_design, random_graph, random_inputs

_KEPT = tempfile.TemporaryDirectory(prefix="codesign-verilator-")  # removed when Python ends
WORKERS = 2
PER_BUILD = 20
_HEADERS = (
    "algorithm",
    "cstdio",
    "cstdlib",
    "cstring",
    "fstream",
    "memory",
    "random",
    "sstream",
    "string",
    "vector",
    "type_traits",
)
_PORT = re.compile(r"^  (input|output) +logic +(\[\d+:0\])? *(\w+),?$", re.MULTILINE)


@dataclass(frozen=True)
class Machine:
    """A graph, its design, and the images and pace to run it with."""

    seed: int
    graph: Graph
    design: Design
    x: IntArray
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """What the bench of one machine had to say. `times`: cycle of each image's last word, from the first word in."""

    machine: Machine
    status: int
    text: str

    @property
    def times(self) -> list[int]:
        return [int(t) for t in re.findall(r"^image \d+ out (\d+)$", self.text, re.MULTILINE)]

    @property
    def peaks(self) -> dict[str, int]:
        """Largest occupancy of every buffer: that of an engine by its name, a FIFO by that of its instance."""
        names = {e.rtl: e.name for e in engine_names(elaborate(self.machine.graph, self.machine.design))}
        pattern = r"^buffer \S*?batch\.u_\d+\.(\w+)\S* depth \d+ peak (\d+)"
        found = re.findall(pattern, self.text, re.MULTILINE)
        return {names.get(instance) or instance.removeprefix("u_"): int(peak) for instance, peak in found}


def random_machine(
    seed: int,
    *,
    images: int,
    arguments: Sequence[str] = (),
    at_own_pace: bool = False,
    extreme: bool = False,
    every_operator: bool = True,
) -> Machine:
    """The graph and design of this seed, those of the C simulation's batch, with buffers sized by the schedule.

    Some load their weights at start; that is drawn apart, so machines of a seed stay the same.
    `at_own_pace` sends an image every interval, evenly, instead of all at once.
    """
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, extreme=extreme, every_operator=every_operator, several_outputs=every_operator)
    design = size_buffers(graph, random_design(graph, rng, taps=every_operator))
    if every_operator:
        design = loaded_somewhere(graph, design, np.random.default_rng((seed, 1)))
    pace = ("--pace", str(schedule(elaborate(graph, design)).interval_cycles)) if at_own_pace else ()
    return Machine(seed, graph, design, random_inputs(graph, rng, images), (*arguments, *pace))


def loaded_somewhere(graph: Graph, design: Design, rng: np.random.Generator) -> Design:
    """The design, one of six with weights that are loaded at start."""
    can_load = any(isinstance(node, Conv) for node in graph.operations)
    return replace(design, weights=Weights.LOADED) if can_load and rng.random() < 1 / 6 else design


def run_batch(machines: Sequence[Machine], work: Path) -> list[Result]:
    """Run the machines, PER_BUILD in a build, WORKERS builds at a time."""
    runtime = build_runtime()
    groups = [machines[i : i + PER_BUILD] for i in range(0, len(machines), PER_BUILD)]

    def run(index: int) -> list[Result]:
        folder = work / f"batch{index}"
        folder.mkdir()
        return run_group(groups[index], folder, runtime)

    with ThreadPoolExecutor(WORKERS) as pool:
        return [result for results in pool.map(run, range(len(groups))) for result in results]


def run_group(
    machines: Sequence[Machine], work: Path, runtime: Path, alter: Callable[[Path], None] | None = None
) -> list[Result]:
    """Render, build and run the machines as one program. `alter` may change the modules' folder, to plant a bug."""
    ports = [_write_case(machine, index, work) for index, machine in enumerate(machines)]
    if alter is not None:
        alter(work / "modules")
    (work / "batch.sv").write_text(_batch_module(ports))
    tops = [f"case_{i}/accel_{i}.sv" for i in range(len(machines))]
    verilate = ["verilator", "--cc", "-Wall", "--top-module", "batch", "--Mdir", "obj", "-y", "modules"]
    _run([*verilate, "modules/codesign_pkg.sv", *tops, "batch.sv"], work)
    (work / "all.cpp").write_text(_program(machines, work))
    include = ["-I", str(verilator_root() / "include"), "-I", "obj"]
    _run(["g++", "-std=c++17", "-O0", *include, "all.cpp", str(runtime), "-pthread", "-o", "bench"], work)
    run = subprocess.run(["./bench"], cwd=work, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, f"the batch ended with status {run.returncode}"
    return [_result(machine, index, run.stdout) for index, machine in enumerate(machines)]


@cache
def build_runtime() -> Path:
    """Verilator's run-time library, compiled once in a process."""
    work = Path(_KEPT.name)
    include = verilator_root() / "include"
    sources = "".join(f'#include "{include / name}"\n' for name in ("verilated.cpp", "verilated_threads.cpp"))
    (work / "runtime.cpp").write_text(sources)
    options = ["-std=c++17", "-O1", "-I", str(include), "-I", str(include / "vltstd")]
    _run(["g++", *options, "-c", "runtime.cpp", "-o", "runtime.o"], work)
    return (work / "runtime.o").resolve()


def verilator_root() -> Path:
    """Where Verilator keeps its headers."""
    return Path(_run(["verilator", "--getenv", "VERILATOR_ROOT"], Path.cwd()).strip())


def _write_case(machine: Machine, index: int, work: Path) -> list[tuple[str, str, str]]:
    """Write the project's files below work, the top level renamed; its ports as (direction, range, name)."""
    y = golden.run_joined(machine.graph, machine.x)
    files = render_rtl(machine.graph, machine.design, small_board(), machine.x, y).files
    top = ""
    for name, content in files.items():
        inside = Path(name).relative_to("rtl")
        path = work / inside if inside.parts[0] == "modules" else work / f"case_{index}" / inside
        path.parent.mkdir(parents=True, exist_ok=True)
        text = str(content)
        if name == "rtl/accel.sv":
            top = text = text.replace("module accel (", f"module accel_{index} (")
            text = text.replace('"data/', f'"case_{index}/data/')
            path = path.with_name(f"accel_{index}.sv")
        path.write_text(text)
    return [(way, bits or "", name) for way, bits, name in _PORT.findall(top.split(");")[0])]


def _batch_module(cases: Sequence[list[tuple[str, str, str]]]) -> str:
    """All machines side by side; a port of machine i has the suffix _i."""
    ports = [f"  {way} logic {bits} {name}_{i}" for i, case in enumerate(cases) for way, bits, name in case]
    joined = ",\n".join(ports)
    bodies = [
        f"  accel_{i} u_{i} (" + ", ".join(f".{name}({name}_{i})" for _, _, name in case) + ");"
        for i, case in enumerate(cases)
    ]
    return f"module batch (\n{joined}\n);\n" + "\n".join(bodies) + "\nendmodule\n"


def _program(machines: Sequence[Machine], work: Path) -> str:
    text = "".join(f"#include <{header}>\n" for header in _HEADERS)
    text += "".join(f'#include "{path}"\n' for path in sorted((work / "obj").glob("*.cpp")))
    text += "static Vbatch& batch = *new Vbatch(new VerilatedContext);\n"
    for i, machine in enumerate(machines):
        top = (work / f"case_{i}" / f"accel_{i}.sv").read_text().split(");")[0]
        names = [name for _, _, name in _PORT.findall(top)]
        members = "".join(f"  decltype(Vbatch::{n}_{i}) {n} = batch.{n}_{i};\n" for n in names)
        view = f"struct Vaccel {{\n{members}  explicit Vaccel(VerilatedContext*) {{}}\n"
        view += "  void eval() { batch.eval(); }\n  void final() {}\n};\n"
        config = _without_includes((work / f"case_{i}" / "tb" / "config.hpp").read_text())
        bench = _without_includes((work / f"case_{i}" / "tb" / "tb.cpp").read_text())
        words = ["tb", f"case_{i}/tb/data", *machine.arguments]
        argv = ", ".join(f'const_cast<char*>("{w}")' for w in words)
        run = f"int run_case() {{\n  char* argv[] = {{{argv}, nullptr}};\n  return tb_main({len(words)}, argv);\n}}\n"
        text += f"namespace case_{i} {{\n{view}{config}\n#define main tb_main\n{bench}\n#undef main\n{run}}}\n"
    calls = "".join(
        f'  std::printf("case {i}\\n");\n  std::printf("status {i} %d\\n", case_{i}::run_case());\n'
        for i in range(len(machines))
    )
    return f"{text}int main() {{\n{calls}  batch.final();\n}}\n"


def _result(machine: Machine, index: int, text: str) -> Result:
    """The lines of this case, and of its buffers, which all machines print at the end."""
    found = re.search(rf"^case {index}\n(.*?)^status {index} (-?\d+)\n", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"seed {machine.seed}: the batch ended early:\n{text[-3000:]}"
    buffers = "".join(line + "\n" for line in re.findall(rf"^buffer \S*?batch\.u_{index}\.\S+ .*$", text, re.MULTILINE))
    return Result(machine, int(found[2]), found[1] + buffers)


def _without_includes(text: str) -> str:
    return re.sub(r"^#(include|pragma) .*$", "", text, flags=re.MULTILINE)


def _run(command: list[str], cwd: Path) -> str:
    run = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=900, check=False)
    assert run.returncode == 0, f"{' '.join(command)}\n{run.stdout}{run.stderr}"[-6000:]
    return run.stdout
