"""How long the paths of hardware modules are: synthesis with Yosys alone, and a walk of the netlist.

Nothing is placed. A path counts LUTs and carry blocks; its nanoseconds are an estimate, see sim/netlist.py.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from codesign.errors import ToolError
from codesign.ir.timing import Delays
from codesign.sim.netlist import Paths, find_paths
from codesign.sim.synth import reading_script
from codesign.sim.tool import run_tool

_RUN = (
    "import sys; from pyosys import libyosys as ys; d = ys.Design(); [d.run_pass(p.strip()) for p in open(sys.argv[1])]"
)
_WORDS, _BITS = 2048, 4096  # of a memory's random contents: more than any module here has; what is too much is cut off
_FILE = re.compile(r'FILE = "([^"]*)"')
_TABLES = 64  # lanes that may have a table of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A module of templates/rtl/modules with parameters, as SystemVerilog spells them."""

    module: str
    parameters: Mapping[str, str]

    def __str__(self) -> str:
        return " ".join([self.module, *(f"{name}={value}" for name, value in self.parameters.items())])


def synthesize_netlist(case: Case, rtl: Path, family: str, work: Path, *, timeout_s: float = 1800.0) -> Path:
    """Synthesize a case for a family of Yosys' synth_xilinx in the folder `work`; return the netlist, a JSON file.

    `rtl` holds modules/. Memories are filled at random, always alike. Raises ToolError if pyosys is missing or fails.
    """
    synthesis = (
        f"synth_xilinx -family {family} -top {case.module} -flatten -noiopad",
        "setattr -mod -unset keep_hierarchy *",
        "flatten",
        "opt_clean -purge",
    )
    return run_passes(case, rtl, synthesis, work, timeout_s=timeout_s)


def run_passes(case: Case, rtl: Path, passes: Sequence[str], work: Path, *, timeout_s: float) -> Path:
    """Read a case, run Yosys passes on it in the folder `work`, and return its netlist, a JSON file."""
    modules = work / "modules"
    modules.mkdir(parents=True, exist_ok=True)
    for source in (rtl / "modules").glob("*.sv"):
        (modules / source.name).write_text(source.read_text())
    _fill_memories(modules, work)
    script = [*reading_script(work, case.module, case.parameters), *passes, "write_json netlist.json"]
    (work / "timing.ys").write_text("\n".join(script) + "\n")
    run_tool([sys.executable, "-c", _RUN, "timing.ys"], cwd=work, timeout_s=timeout_s, log=work / "timing.log")
    return work / "netlist.json"


def measure_paths(case: Case, rtl: Path, family: str, delays: Delays, work: Path) -> Paths:
    """Return the long paths of a case, synthesized for a family in the folder `work`. Raises ToolError."""
    netlist = synthesize_netlist(case, rtl, family, work)
    try:
        module = json.loads(netlist.read_text())["modules"][case.module]
    except (OSError, KeyError, ValueError) as error:
        raise ToolError(f"yosys: no netlist of {case.module} in {netlist}") from error
    return find_paths(module, delays)


def _fill_memories(modules: Path, work: Path) -> None:
    """Write the files that modules read their memories from where no parameter names another."""
    rng = Random(0)
    text = "".join(f"{rng.getrandbits(_BITS):x}\n" for _ in range(_WORDS))
    names = {name for source in modules.glob("*.sv") for name in _FILE.findall(source.read_text())}
    for name in names:
        for file in [name] if name.endswith(".hex") else [f"{name}{lane:04d}.hex" for lane in range(_TABLES)]:
            target = work / file
            if not target.exists():
                target.symlink_to("memory.hex")
    (work / "memory.hex").write_text(text)
