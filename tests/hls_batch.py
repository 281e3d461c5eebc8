"""Compiles the HLS projects of many cases as one program: each case, with its test bench, in a namespace of its own."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codesign.data import folder
from codesign.emit.hls import render_hls
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.ir.project import Project
from codesign.model import golden
from projects import small_board
from strategies import random_design, random_graph, random_inputs

TEMPLATES = folder("templates") / "hls"
OPTIONS = ["-std=c++17", "-O0", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-label"]
CSIM_INCLUDE = ("-I", str(TEMPLATES / "csim_include"))


@dataclass(frozen=True)
class Case:
    """A graph, its design and its rendered project with the data of a few images."""

    seed: int
    graph: Graph
    design: Design
    project: Project


def random_case(seed: int, images: int = 3, *, extreme: bool = False) -> Case:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, extreme=extreme, several_outputs=True)
    return case_of(seed, graph, random_design(graph, rng), rng, images)


def case_of(seed: int, graph: Graph, design: Design, rng: np.random.Generator, images: int) -> Case:
    """The case of this graph and design, with random images and the golden outputs of all nodes."""
    x = random_inputs(graph, rng, images)
    values = golden.run_all(graph, x)
    layers = {n.name: values[n.name] for n in graph.nodes[1:]}
    y = golden.joined([values[node.name] for node in graph.output_nodes])
    return Case(seed, graph, design, render_hls(graph, design, small_board(), x, y, layers))


def failures(
    cases: Sequence[Case],
    work: Path,
    options: Sequence[str] = (),
    include: Sequence[str] = CSIM_INCLUDE,
    compiler: str = "g++",
) -> str:
    """What the benches of all cases have to say if not all of them pass, else the empty string."""
    program = compiled(cases, work, options, include, compiler)
    run = subprocess.run([program], cwd=work, capture_output=True, text=True, timeout=300, check=False)
    if run.returncode == 0:
        return ""
    return run.stdout[-4000:] + run.stderr[-4000:] or f"the program ended with status {run.returncode}"


def compiled(cases: Sequence[Case], work: Path, options: Sequence[str], include: Sequence[str], compiler: str) -> Path:
    source = [
        "#include <limits.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <time.h>\n"
        "#include <string>\n#include <vector>"
    ]
    kernels = sorted((TEMPLATES / "kernels").glob("*.hpp"))
    source += [f'#include "{path}"' for path in kernels]
    source += [_case_source(i, case, work) for i, case in enumerate(cases)]
    calls = "".join(
        f'  failed += report({c.seed}, case_{i}::bench("case_{i}/tb/data"));\n' for i, c in enumerate(cases)
    )
    source.append(
        'int report(int seed, int status) {\n  if (status != 0) printf("seed %d: status %d\\n", seed, status);\n'
        f"  return status != 0;\n}}\nint main() {{\n  int failed = 0;\n{calls}  return failed != 0;\n}}\n"
    )
    (work / "batch.cpp").write_text("\n".join(source))
    command = [compiler, *OPTIONS, *options, *include, "batch.cpp", "-o", "batch"]
    run = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, run.stderr[:4000]
    return work / "batch"


def _case_source(index: int, case: Case, work: Path) -> str:
    """The case's files, written below work/case_<index>, and the text that includes them in a namespace."""
    for name, content in case.project.files.items():
        path = work / f"case_{index}" / Path(name).relative_to("hls")
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else content.decode()
        path.write_text(_own_files_only(text))
    return (
        f"#define accel accel_{index}\nnamespace case_{index} {{\n"
        f'#include "case_{index}/kernel/top.cpp"\n'
        f'#define main tb_main\n#include "case_{index}/tb/tb.cpp"\n#undef main\n'
        'int bench(const char* data) {\n  char name[] = "tb";\n  std::string folder(data);\n'
        "  char* argv[] = {name, &folder[0], nullptr};\n  return tb_main(2, argv);\n}\n}  // namespace\n"
        "#undef accel\n#undef ACCEL_OUTPUTS"
    )


def _own_files_only(text: str) -> str:
    """Without the includes of what the batch has included once and for all."""
    own = r'^#include (?!"(\.\./kernel/top|top|params|weights_\w+)\.hpp").*$'
    return re.sub(own, "", text, flags=re.MULTILINE)
