"""C simulation: compiles the HLS project with g++ and runs its test bench. It proves values; it knows no cycles."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from codesign.errors import MismatchError, ToolError
from codesign.ir.measurement import Measurement
from codesign.ir.project import Project
from codesign.ops.arrays import IntArray
from codesign.sim.tool import run_tool, tool_version

COMPILER = "g++"
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-label")
# Loops over lanes run in vector instructions unless they are unrolled before: up to four times faster (g++ 12).
FAST = ("-O3", "-march=native", "--param", "max-completely-peel-times=4")
SANITIZED = ("-O1", "-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")
SOURCES = ("kernel/top.cpp", "tb/tb.cpp")


def csim(project: Project, work: Path, *, timeout_s: float = 600.0, sanitize: bool = False) -> Measurement:
    """Compile and run the test bench of the files below `hls/`, in the folder `work`.

    outputs[N,OY,OX,K] are those of the images in tb/data; of several outputs all elements, [N, elements]. `seconds` is
    the processor time inside the top function, on one core. With `sanitize`, undefined behaviour and wrong addresses
    are errors.

    Raise MismatchError, naming layer, index, expected and got, if a word differs from the golden model's. Raise
    ToolError if compiler or bench fail or take longer than timeout_s seconds each.
    """
    project.write(work / "project")
    folder = work / "project" / "hls"
    bench = compile_bench(folder, work, timeout_s=timeout_s, sanitize=sanitize)
    log, output = work / "csim.log", work / "csim_output.dat"
    output.unlink(missing_ok=True)
    try:
        text = run_tool([bench, "tb/data", output.resolve()], cwd=folder, timeout_s=timeout_s, log=log)
    except ToolError as error:
        raise mismatch_of(log.read_text(errors="replace")) or error from error
    result = _result(text, log)
    return Measurement(
        tool="csim",
        version=tool_version([COMPILER, "--version"], cwd=work),
        project_digest=project.digest(),
        images=int(result["images"]),
        seconds=float(result["seconds"]),
        outputs=_outputs(output, result["shape"]),
        mismatches=int(result["mismatches"]),
    )


def compile_bench(folder: Path, work: Path, *, timeout_s: float, sanitize: bool = False) -> Path:
    """Compile the bench of the HLS folder to a program in `work`. Raise ToolError."""
    bench = work.resolve() / "csim_bench"
    options = ["-std=c++17", *(SANITIZED if sanitize else FAST), *WARNINGS, "-I", "csim_include", "-I", "kernel"]
    command: list[str | Path] = [COMPILER, *options, *SOURCES, "-o", bench]
    run_tool(command, cwd=folder, timeout_s=timeout_s, log=work / "csim_compile.log")
    return bench


def mismatch_of(log: str) -> MismatchError | None:
    """Return the first difference that the bench printed, or None if it found none."""
    counts = _line(log, "CSIM")
    if counts is None or not counts["mismatches"]:
        return None
    first = _line(log, "MISMATCH")
    total = f"{counts['mismatches']} output words of {counts['images']} images differ from the golden model"
    if first is None:
        return MismatchError(f"csim: {total}")
    where = f"layer {first['layer']!r}, image {first['image']}, index {first['index']}"
    return MismatchError(f"csim: {where}: expected {first['expected']}, got {first['got']}; {total}")


def _line(log: str, name: str) -> dict[str, Any] | None:
    found = re.search(rf"^{name} (\{{.*\}})$", log, re.MULTILINE)
    return dict(json.loads(found[1])) if found else None


def _result(text: str, log: Path) -> dict[str, Any]:
    result = _line(text, "CSIM")
    if result is None:
        raise ToolError(f"csim: the bench ended well but printed no result; its log is {log}")
    return result


def _outputs(path: Path, shape: Sequence[int]) -> IntArray:
    """Read the bench's output file as [N, *shape]."""
    values = np.array(path.read_text().split(), dtype=np.int64)
    return values.reshape(-1, *shape)
