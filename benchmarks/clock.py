"""Fits what clocks are estimated from to netlists: the key `paths` of boards/technologies, and tests/clock.csv.

    python benchmarks/clock.py [--measured] [--table FILE.csv]

Machines are synthesized whole, every instance for itself, for each family. Some are fitted, others checked: the errors
of both are printed. With --measured, what the table has is fitted again and nothing is synthesized.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from common import parser_of, run_cases

from codesign.data import folder
from codesign.ir.files import write_text
from codesign.ir.technology import families
from codesign.machine.elaborate import elaborate
from codesign.testing.clock_cases import (
    CHECKED,
    FITTED,
    Measured,
    Sample,
    blocks_of,
    errors_of,
    fit,
    measure_sample,
    read_measured,
    samples_of,
    write_measured,
)

TABLE = Path(__file__).parent.parent / "tests" / "clock.csv"
KEY = "  paths: # fitted to netlists by `make bench-clock`; do not edit\n"


def measure(work: Path) -> tuple[list[Measured], list[str]]:
    """Return every instance of all samples in all families, and what went wrong."""
    cases = [(family, sample) for family in families() for sample in samples_of(family)]

    def found(case: tuple[str, Sample]) -> tuple[list[Measured], str]:
        rows = measure_sample(case[1], case[0], work / f"{case[0]}-{(*FITTED, *CHECKED).index(case[1])}")
        return rows, f"{len(rows)} instances"

    results, troubles = run_cases(cases, found)
    return [row for rows in results for row in rows], troubles


def write_paths(family: str, rows: Sequence[Measured]) -> None:
    """Write the fitted paths of a family to the end of its file."""
    blocks = {}
    for sample in FITTED:
        graph, design = sample.machine()
        blocks |= {(repr(sample), name): block for name, block in blocks_of(elaborate(graph, design)).items()}
    fitted = {repr(sample) for sample in FITTED}
    paths = fit([row for row in rows if row.family == family and row.sample in fitted], blocks)
    target = folder("boards") / "technologies" / f"{family}.yaml"
    lines = [target.read_text().partition(KEY)[0], KEY]
    for kind, ways in paths.items():
        lines.append(f"    {kind}:\n")
        for way, terms in ways.items():
            lines.append(f"      {way}: {{{', '.join(f'{name}: {ns:g}' for name, ns in terms.items())}}}\n")
    write_text(target, "".join(lines))


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--table", type=Path, default=TABLE, help="the table (%(default)s)")
    parser.add_argument("--measured", action="store_true", help="fit what the table has; synthesize nothing")
    options = parser.parse_args()
    troubles: list[str] = []
    if options.measured:
        rows = read_measured(options.table)
    else:
        with tempfile.TemporaryDirectory(prefix="clock-") as scratch:
            rows, troubles = measure(Path(scratch))
        if troubles:
            print("".join(f"{trouble}\n" for trouble in troubles), end="")
            return 1
        write_measured(rows, options.table)
    for family in families():
        write_paths(family, rows)
    for family in families():
        for title, samples in (("fitted", FITTED), ("checked", CHECKED)):
            errors = errors_of([row for row in rows if row.family == family], samples)
            if errors:
                sizes = np.abs(list(errors.values()))
                print(
                    f"{family}, {title}: {len(sizes)} instances, {np.median(sizes):.1%} median, {sizes.max():.1%} most"
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
