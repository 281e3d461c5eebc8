"""Our designs beside what other generators make of the same networks: cycles, exactness, and the time it all takes.

    python benchmarks/peers.py [--workloads W1,W3] [--out FILE.md] [--work FOLDER]

Every network is generated, compiled and simulated here and now; the rivals' figures are constants of rivals.py. The
table goes to FILE.md, or to the screen. Ends with status 1 if a case failed or was not exact.
"""

import os
import platform
import sys
import tempfile
from pathlib import Path

from common import parser_of, processor, publish, run_cases
from measure import Case, measure
from tables import page
from workloads import MACS

from codesign.ops.requantize import Scaling

# Multipliers allowed: those of NNgen's largest operator, and of all its operators together (rivals.py).
BUDGETS = {"W1": (25, 52, 100, 400), "W2": (36, 144, 220, 880), "W3": (144,), "W4": (144,)}
GENERAL = {"W1": 100, "W2": 144, "W3": 144, "W4": 144}  # once more with a separate multiplier for every channel
CSIM_IMAGES = {"W1": 4000, "W2": 60, "W3": 400, "W4": 20}
RTL_IMAGES = {"W1": 8, "W2": 4, "W3": 8, "W4": 3}


def cases(names: list[str]) -> list[Case]:
    """Return every case of the networks of those names."""
    found = []
    for name in names:
        images = (CSIM_IMAGES[name], RTL_IMAGES[name])
        found += [Case(name, budget, Scaling.POWER_OF_TWO, *images) for budget in BUDGETS[name]]
        found.append(Case(name, GENERAL[name], Scaling.GENERAL, *images))
    return found


def main() -> int:
    parser = parser_of(__doc__, work=True)
    parser.add_argument("--workloads", default=",".join(MACS), help="which of %(default)s, separated by commas")
    options = parser.parse_args()
    names = options.workloads.split(",")
    unknown = sorted(set(names) - set(MACS))
    if unknown:
        parser.error(f"--workloads: expected some of {', '.join(MACS)}, got {', '.join(unknown)}")
    todo = cases(names)
    with tempfile.TemporaryDirectory(prefix="peers-") as scratch:
        work = options.work or Path(scratch)
        results, troubles = run_cases(todo, lambda case: (measure(case, work / f"case{todo.index(case)}"), "exact"))
    machine = f"{os.cpu_count()} cores ({processor()}), Python {platform.python_version()}"
    publish(page(results, troubles, machine), options.out)
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
