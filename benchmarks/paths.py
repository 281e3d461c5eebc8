"""Whether a path of a hardware module became longer: every module of the table synthesized again, and compared.

    python benchmarks/paths.py [--rewrite] [--only WORD] [--table FILE.csv] [--work FOLDER]

Ends with status 1 if a path, a row of LUTs or carry blocks, or a fan-out is larger than the table says.
With --rewrite the table says what is found now. --only takes the modules whose line has the word.
"""

import sys
import tempfile
from pathlib import Path

from common import parser_of, run_cases

from codesign.testing.timing_cases import CASES, Row, longer, measure, read_table, write_table

TABLE = Path(__file__).parent.parent / "tests" / "timing.csv"


def main() -> int:
    parser = parser_of(__doc__, work=True)
    parser.add_argument("--table", type=Path, default=TABLE, help="the table (%(default)s)")
    parser.add_argument("--rewrite", action="store_true", help="write what is found to the table")
    parser.add_argument("--only", default="", help="take the modules whose line has this word")
    options = parser.parse_args()
    known = read_table(options.table) if options.table.is_file() else {}
    cases = [case for case in CASES if options.only in case[1]]

    def found(case: tuple[str, str]) -> tuple[Row, str]:
        family, module = case
        row = measure(module, family, work / str(CASES.index(case)))
        return row, f"{row.luts} LUTs, {row.carries} carry blocks, fan-out {row.fan_out}, {row.inner_ns:.2f} ns"

    with tempfile.TemporaryDirectory(prefix="paths-") as scratch:
        work = options.work or Path(scratch)
        rows, troubles = run_cases(cases, found)
    if options.rewrite:
        fresh = known | {(row.family, row.module): row for row in rows}
        write_table([fresh[case] for case in CASES if case in fresh], options.table)
    else:
        unknown = [f"{f}: {m}: not in the table; add it with --rewrite" for f, m in cases if (f, m) not in known]
        pairs = [(row, known[row.family, row.module]) for row in rows if (row.family, row.module) in known]
        troubles += [*unknown, *(words for now, before in pairs for words in longer(now, before))]
    fine = f"{options.table} is written\n" if options.rewrite else "nothing is longer\n"
    print("".join(f"{trouble}\n" for trouble in troubles) or fine, end="")
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
