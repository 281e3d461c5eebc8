"""How long the paths of hardware modules are: synthesis with Yosys alone, and a walk of the netlist.

Nothing is placed. A path counts LUTs and carry blocks; its nanoseconds are an estimate, see sim/netlist.py.
"""

import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from codesign.errors import ToolError
from codesign.ir.project import Project
from codesign.ir.timing import Delays
from codesign.sim.netlist import Paths, find_paths
from codesign.sim.synth import reading_script
from codesign.sim.tool import run_tool

_RUN = (
    "import sys; from pyosys import libyosys; d = libyosys.Design(); [d.run_pass(p.strip()) for p in open(sys.argv[1])]"
)
_WORDS, _BITS = 2048, 4096  # of a memory's random contents: more than any module here has; what is too much is cut off
_FILE = re.compile(r'FILE = "([^"]*)"')
_INSTANCE = re.compile(r"^  (\w+) #\((?:\n    .*)*\n  \) (\w+) \(", re.MULTILINE)  # of accel.sv
_TABLES = 64  # lanes that may have their own table
_FLAT = "setattr -mod -unset keep_hierarchy *"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What Yosys synthesizes: the passes that read it, in which folder, and the module at its top."""

    folder: Path
    reading: tuple[str, ...]
    top: str


def module_source(text: str, rtl: Path, work: Path) -> Source:
    """Return a module with parameters, `NAME PARAMETER=VALUE ...` as SystemVerilog spells them; `rtl` holds modules/.

    Memories are filled at random, always alike. The folder `work` gets copies.
    """
    modules = work / "modules"
    modules.mkdir(parents=True, exist_ok=True)
    for source in (rtl / "modules").glob("*.sv"):
        (modules / source.name).write_text(source.read_text())
    _fill_memories(modules, work)
    top, *pairs = text.split()
    return Source(folder=work, reading=reading_script(work, top, dict(pair.split("=", 1) for pair in pairs)), top=top)


def machine_source(project: Project, work: Path) -> Source:
    """Return the SystemVerilog of a project, written into the folder `work`."""
    project.write(work)
    return Source(folder=work / "rtl", reading=reading_script(work / "rtl", "accel"), top="accel")


def synthesize_netlist(source: Source, passes: Sequence[str], netlist: Path, *, timeout_s: float = 1800.0) -> None:
    """Read what is to be synthesized, run Yosys passes, and write the file `netlist` as JSON, with script and log.

    Raises ToolError if pyosys is missing or fails.
    """
    folder = netlist.parent.resolve()
    script = folder / f"{netlist.stem}.ys"
    # Yosys reads a space as the end of a path, so that it is given none but relative ones.
    place = os.path.relpath(folder, source.folder.resolve())
    script.write_text("\n".join([*source.reading, *passes, f"write_json {place}/{netlist.name}"]) + "\n")
    argv: list[str | Path] = [sys.executable, "-c", _RUN, script]
    run_tool(argv, cwd=source.folder, timeout_s=timeout_s, log=folder / f"{netlist.stem}.log")


def flat_passes(top: str, family: str) -> tuple[str, ...]:
    """Return passes that make a flat netlist of a module for a family of Yosys' synth_xilinx."""
    return (f"synth_xilinx -family {family} -top {top} -flatten -noiopad", _FLAT, "flatten", "opt_clean -purge")


def ecp5_passes(top: str) -> tuple[str, ...]:
    """Return passes that synthesize a module for an ECP5."""
    return (_FLAT, f"synth_ecp5 -top {top}")


def measure_paths(source: Source, family: str, delays: Delays, work: Path) -> Paths:
    """Return the long paths of a module, synthesized for a family; the netlist goes to the folder `work`.

    Raises ToolError.
    """
    netlist = work / f"{family}.json"
    synthesize_netlist(source, flat_passes(source.top, family), netlist)
    return find_paths(read_netlist(netlist, source.top), delays)


def measure_instances(project: Project, family: str, delays: Delays, work: Path) -> dict[str, Paths]:
    """Return the long paths of every instance in the top module of a project, by name, as measure_paths does.

    All are synthesized at once in the folder `work`, and nothing is shared between them.
    """
    source, netlist = machine_source(project, work), work / f"{family}.json"
    text = project.files["rtl/accel.sv"]
    assert isinstance(text, str)
    modules = {name: f"{module}$accel.{name}" for module, name in _INSTANCE.findall(text)}
    passes = [
        *(f"setattr -mod -set keep_hierarchy 1 {module}" for module in modules.values()),
        f"synth_xilinx -family {family} -top accel -flatten -noiopad",
        "setattr -mod -unset keep_hierarchy rom_page*",
        *(f"flatten {module}" for module in modules.values()),
        "opt_clean",
    ]
    synthesize_netlist(source, passes, netlist)
    return {name: find_paths(read_netlist(netlist, module), delays) for name, module in modules.items()}


def read_netlist(netlist: Path, module: str) -> dict[str, Any]:
    """Return a module of a netlist that Yosys wrote as JSON. Raises ToolError."""
    try:
        found: dict[str, Any] = json.loads(netlist.read_text())["modules"][module]
    except (OSError, KeyError, ValueError) as error:
        raise ToolError(f"yosys: no netlist of {module} in {netlist}") from error
    return found


def _fill_memories(modules: Path, work: Path) -> None:
    """Write the files that modules read their memories from where no parameter names another."""
    rng = Random(0)
    names = {name for source in modules.glob("*.sv") for name in _FILE.findall(source.read_text())}
    for name in names:
        for file in [name] if name.endswith(".hex") else [f"{name}{lane:04d}.hex" for lane in range(_TABLES)]:
            if not (work / file).exists():
                (work / file).symlink_to("memory.hex")
    (work / "memory.hex").write_text("".join(f"{rng.getrandbits(_BITS):x}\n" for _ in range(_WORDS)))
