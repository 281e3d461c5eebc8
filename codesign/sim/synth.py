"""Open synthesis: counts primitives of the SystemVerilog project with Yosys, through the `pyosys` package.

Synthesis only: no placement, no routing, no clock rate. The counts are for the RTL spelling; only a vendor tool can
count those of the HLS spelling.
"""

import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from codesign.errors import ToolError, UnsupportedError
from codesign.ir.board import Board
from codesign.ir.cost import Resources
from codesign.ir.measurement import Measurement
from codesign.ir.project import Project
from codesign.machine.names import engines_of
from codesign.sim import yosys_parts
from codesign.sim.tool import run_tool, tool_version

_VERSION = "import importlib.metadata; print('pyosys', importlib.metadata.version('pyosys'))"

# LUTs of a primitive that is built of LUTs; every LUT1 to LUT6 counts one, an inverter is part of another LUT.
_LUTS = {
    "RAM32X1D": 2,
    "RAM64X1D": 2,
    "RAM128X1D": 4,
    "RAM256X1D": 8,
    "RAM32M": 4,
    "RAM64M": 4,
    "RAM32M16": 8,
    "RAM64M8": 8,
    "SRL16E": 1,
    "SRLC32E": 1,
}


def synthesize(project: Project, board: Board, work: Path, *, timeout_s: float = 7200.0) -> Measurement:
    """Synthesize the files below `rtl/` for the board's family in the folder `work`; return the whole machine's
    resources.

    Every engine is synthesized alone, and what is left of the top; the counts are the sums, see sim.yosys_parts. A part
    that was synthesized before in this folder, from the same content by the same version, is not done again. Raises
    ToolError if pyosys is missing, fails or takes longer than timeout_s seconds. Raises UnsupportedError at once if an
    engine has more products in one piece than can be synthesized in a reasonable time.
    """
    family = board.fabric.synthesis
    if family is None:
        raise UnsupportedError(f"open synthesis: Yosys' synth_xilinx does not know {board.fabric.title}; leave it out")
    project.write(work / "synth_project")
    folder, stats = work / "synth_project" / "rtl", work / "synth_stats"
    shutil.rmtree(stats, ignore_errors=True)
    stats.mkdir()
    (work / "synth_parts").mkdir(exist_ok=True)
    version = tool_version([sys.executable, "-c", _VERSION], cwd=work)
    (work / "synth.ys").write_text("\n".join(reading_script(folder, "accel")) + "\n")
    started = time.perf_counter()
    # Yosys reads a space as the end of a path, so that it is given none but relative ones.
    above = Path("..", "..")
    argv: list[str | Path] = [sys.executable, Path(yosys_parts.__file__), above / "synth.ys", family]
    argv += ["accel", above / "synth_stats", above / "synth_parts", version]
    argv += [engine.rtl for engine in engines_of(project)]
    log = work / "synth.log"
    try:
        run_tool(argv, cwd=folder, timeout_s=timeout_s, log=log)
    except ToolError as error:
        raise _trouble(stats, log) or error from error
    seconds = time.perf_counter() - started
    return Measurement(
        tool="yosys",
        version=version,
        project_digest=project.digest(),
        images=0,
        seconds=seconds,
        resources=count_resources(_sum_of_parts(stats)),
    )


def _trouble(stats: Path, log: Path) -> UnsupportedError | ToolError | None:
    """Return what the program said of a part that is too large, or failed, if it said so."""
    too_large, failed = stats / "too_large", stats / "failed"
    if too_large.exists():
        return UnsupportedError(f"open synthesis: {too_large.read_text()}; that would take hours and gigabytes")
    if failed.exists():
        remedy = "free some, or go without open synthesis"
        return ToolError(f"open synthesis: {failed.read_text()}; {remedy}\nlog: {log}")
    return None


def _sum_of_parts(stats: Path) -> dict[str, int]:
    """Return the cell counts of all parts, each taken as often as parts.json says."""
    try:
        parts = json.loads((stats / "parts.json").read_text())
    except (OSError, ValueError) as error:
        raise ToolError(f"yosys: no list of parts in {stats}") from error
    total: Counter[str] = Counter()
    for part in parts:
        for name, count in read_cells(stats / part["file"]).items():
            total[name] += count * int(part["times"])
    return dict(total)


def synthesis_script(
    folder: Path, family: str, top: str, stat: Path, parameters: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Return Yosys passes that synthesize module `top` of an RTL folder whole and write its cell counts to `stat`."""
    return (
        *reading_script(folder, top, parameters),
        f"synth_xilinx -family {family} -top {top} -flatten -noiopad",
        f"tee -q -o {stat} stat -json",
    )


def reading_script(folder: Path, top: str, parameters: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return Yosys passes that read module `top` of an RTL folder with all below it, to be run in the folder.

    Vendor tools call a constant memory in LUTs "distributed", Yosys calls it "logic"; the script translates.
    """
    modules = sorted(path.name for path in (folder / "modules").glob("*.sv") if path.name != "codesign_pkg.sv")
    sources = ["modules/codesign_pkg.sv", *(f"modules/{name}" for name in modules)]
    if (folder / f"{top}.sv").is_file():
        sources.append(f"{top}.sv")
    overrides = "".join(f"-G {name}={value} " for name, value in (parameters or {}).items())
    return (
        f"read_slang --keep-hierarchy -DSYNTHESIS=1 --top {top} {overrides}{' '.join(sources)}",
        'setattr -set rom_style "logic" a:rom_style=distributed',
    )


def read_cells(stat: Path) -> dict[str, int]:
    """Return cell counts by type. Raise ToolError if Yosys wrote none."""
    try:
        cells = json.loads(stat.read_text())["design"]["num_cells_by_type"]
    except (OSError, KeyError, ValueError) as error:
        raise ToolError(f"yosys: no cell counts in {stat}") from error
    return {str(name): int(count) for name, count in cells.items()}


def count_resources(cells: Mapping[str, int]) -> Resources:
    """Count the resources of cells: a RAMB36 is two BRAM18, a distributed memory as many LUTs as it is built of."""
    luts = sum(count for name, count in cells.items() if name in {f"LUT{i}" for i in range(1, 7)})
    luts += sum(count * _LUTS[name] for name, count in cells.items() if name in _LUTS)
    return Resources(
        dsp=sum(count for name, count in cells.items() if name.startswith("DSP48")),
        bram18=sum(count * (2 if "36" in name else 1) for name, count in cells.items() if name.startswith("RAMB")),
        uram=sum(count for name, count in cells.items() if name.startswith("URAM")),
        lut=luts,
        ff=sum(count for name, count in cells.items() if name.startswith("FD")),
    )
