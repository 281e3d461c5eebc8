"""Resources as predicted beside what open synthesis finds in the same designs, module for module of whole machines.

    python benchmarks/resources.py [--random 11] [--networks 3] [--out FILE.md] [--work FOLDER]

Every design is rendered and synthesized here and now, for both families; the random machines are those of the tests.
The table goes to FILE.md, or to the screen. Ends with status 1 if a design failed.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from common import parser_of, publish, run_cases

from codesign.ir.technology import families
from codesign.testing.resource_cases import BOARDS, Case, Row, compare

SHARES = (0.12, 0.16, 0.2)  # of the board's budget, for the networks in turn

INTRO = """# Predicted resources beside open synthesis

Made by `make bench-resources`, which is `python benchmarks/resources.py --out docs/resources.md`; do not edit this
page by hand. Tool: {tool}, `synth_xilinx -flatten` for one part family at a time. Nothing is placed, and no
figures are a vendor's.

A row is a whole machine: engines, buffers, FIFOs, width converters, streams and control block. *random*: small
machines of the tests, any width from 2 to 16 bits, any PE and SIMD, memories and multipliers chosen at random.
*network*: a random network of the space `fashion` (28x28 images, 10 classes), and its fastest design in a part of a
{boards}. Weights are dense and random. Synthesis saves logic where weights are zero or alike, and no prediction can
know how much. The largest errors are of small machines with an engine whose weights are a single word. These weights
are constants, and what is left of a product with a constant depends on its value. Engines are synthesized one by one,
as `codesign run` does, and their counts are added up. Nothing is simplified across engines, so there are more LUTs
than in a machine that is synthesized as a whole.

{summary}

| design | PE x SIMD | DSP | BRAM18 | LUT predicted | LUT found | error | FF predicted | FF found | error |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
"""


def cases(random: int, networks: int) -> list[Case]:
    """Return so many random machines and networks for each family; no machine comes twice."""
    known = tuple(enumerate(families()))
    small = [Case(100 * i + seed, family) for i, family in known for seed in range(random)]
    shares = [SHARES[seed % len(SHARES)] for seed in range(networks)]
    return small + [Case(100 * i + seed, family, share) for i, family in known for seed, share in enumerate(shares)]


def page(rows: Sequence[Row], troubles: Sequence[str]) -> str:
    """Return the results as Markdown."""
    tool = rows[0].tool if rows else "none"
    lines = [_line(row) for row in rows]
    failed = "".join(f"\nFailed: {trouble}\n" for trouble in troubles)
    boards = " or ".join(BOARDS.values())
    return INTRO.format(tool=tool, boards=boards, summary=summary(rows)) + "\n".join(lines) + "\n" + failed


def summary(rows: Sequence[Row]) -> str:
    """Return the median and largest error of LUT and FF, and how often DSP and BRAM18 are equal, by kind and family."""
    groups = {
        "all": list(rows),
        "random": [r for r in rows if r.case.share is None],
        "network": [r for r in rows if r.case.share is not None],
        **{family: [r for r in rows if r.case.family == family] for family in families()},
    }
    lines = [
        "| designs | number | DSP equal | BRAM18 equal | LUT error, median | largest | FF error, median | largest |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, group in groups.items():
        if group:
            equal = [sum(r.error(kind) == 0 for r in group) for kind in ("dsp", "bram18")]
            errors = [f"{e:.1%}" for kind in ("lut", "ff") for e in _spread([r.error(kind) for r in group])]
            lines.append("| " + " | ".join([name, str(len(group)), *map(str, equal), *errors]) + " |")
    return "\n".join(lines)


def _spread(errors: Sequence[float]) -> tuple[float, float]:
    """Return the median and maximum of the errors without their signs."""
    sizes = np.abs(errors)
    return float(np.median(sizes)), float(sizes.max())


def _line(row: Row) -> str:
    p, f = row.predicted, row.found
    dsp, bram = (
        str(a) if a == b else f"**{a}** predicted, {b} found" for a, b in ((p.dsp, f.dsp), (p.bram18, f.bram18))
    )
    luts = [str(p.lut), str(f.lut), f"{row.error('lut'):+.1%}"]
    ffs = [str(p.ff), str(f.ff), f"{row.error('ff'):+.1%}"]
    return "| " + " | ".join([str(row.case), str(row.multipliers), dsp, bram, *luts, *ffs]) + " |"


def measured(case: Case, work: Path) -> tuple[Row, str]:
    """Return the row of a case, and words for the screen."""
    row = compare(case, work / str(case).replace(" ", "-"))
    verdict = f"LUT {row.error('lut'):+.1%}, FF {row.error('ff'):+.1%}"
    if row.error("dsp") or row.error("bram18"):
        verdict += f", {row.predicted} predicted, {row.found} found"
    return row, verdict


def main() -> int:
    parser = parser_of(__doc__, work=True)
    parser.add_argument("--random", type=int, default=11, help="random machines of each family (%(default)s)")
    parser.add_argument("--networks", type=int, default=3, help="networks of each family (%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="resources-") as scratch:
        work = options.work or Path(scratch)
        rows, troubles = run_cases(cases(options.random, options.networks), lambda case: measured(case, work))
    publish(page(rows, troubles), options.out)
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
