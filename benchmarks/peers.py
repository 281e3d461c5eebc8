"""Our designs beside what other generators make of the same networks: cycles, exactness, and the time it all takes.

    python benchmarks/peers.py [--workloads W1,W3] [--out FILE.md] [--work FOLDER]

Every network is generated, compiled and simulated here and now; the rivals' figures are constants of rivals.py. The
table goes to FILE.md, or to the screen. Ends with status 1 if a case failed or was not exact.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from measure import Case, Result, measure
from tables import page
from workloads import MACS

from codesign.errors import CodesignError
from codesign.ir.nodes import Scaling

# Multipliers allowed: those of NNgen's largest operator, and of all its operators together (rivals.py).
BUDGETS = {"W1": (25, 52, 100, 400), "W2": (36, 144, 220, 880), "W3": (144,), "W4": (144,)}
GENERAL = {"W1": 100, "W2": 144, "W3": 144, "W4": 144}  # once more with a multiplier of its own for every channel
CSIM_IMAGES = {"W1": 4000, "W2": 60, "W3": 400, "W4": 20}
RTL_IMAGES = {"W1": 8, "W2": 4, "W3": 8, "W4": 3}


def cases(names: list[str]) -> list[Case]:
    """Every case of the networks of those names."""
    found = []
    for name in names:
        images = (CSIM_IMAGES[name], RTL_IMAGES[name])
        found += [Case(name, budget, Scaling.POWER_OF_TWO, *images) for budget in BUDGETS[name]]
        found.append(Case(name, GENERAL[name], Scaling.GENERAL, *images))
    return found


def run(todo: list[Case], work: Path) -> tuple[list[Result], list[str]]:
    """The results, and what went wrong with the other cases."""
    results: list[Result] = []
    troubles: list[str] = []
    for i, case in enumerate(todo):
        begun = time.monotonic()
        try:
            results.append(measure(case, work / f"case{i}"))
            verdict = "exact"
        except CodesignError as error:
            troubles.append(f"{case}: {error}")
            verdict = f"FAILED: {error}"
        print(f"[{i + 1}/{len(todo)}] {case}: {verdict}, {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    return results, troubles


def machine() -> str:
    """The machine that measured, in one line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.machine()
    return f"{os.cpu_count()} cores ({model}), Python {platform.python_version()}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", default=",".join(MACS), help="which of %(default)s, separated by commas")
    parser.add_argument("--out", type=Path, help="write the tables to this file")
    parser.add_argument("--work", type=Path, help="keep the projects and logs in this folder")
    options = parser.parse_args()
    names = options.workloads.split(",")
    unknown = sorted(set(names) - set(MACS))
    if unknown:
        parser.error(f"--workloads: expected some of {', '.join(MACS)}, got {', '.join(unknown)}")
    with tempfile.TemporaryDirectory(prefix="peers-") as scratch:
        results, troubles = run(cases(names), options.work or Path(scratch))
    text = page(results, troubles, machine())
    if options.out:
        fresh = options.out.with_suffix(".tmp")
        fresh.write_text(text)
        os.replace(fresh, options.out)
    else:
        print(text, end="")
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
