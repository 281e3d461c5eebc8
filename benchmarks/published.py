"""Trained networks that others have put on boards, on the same parts with our machine: exact, fast, and how large.

    CODESIGN_MODELS=FOLDER python benchmarks/published.py [--simulations N] [--out FILE.md] [--work FOLDER]

Every row is kept in results/published.csv as soon as it is done, and is not done again. The page goes to FILE.md, or to
the screen. Without the folder nothing is done. Ends with status 1 if a row failed.
"""

import csv
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import astuple, fields
from pathlib import Path
from typing import Generic, TypeVar, get_type_hints

from common import parser_of, publish
from published_page import page
from published_row import Case, Row, Source, compared, designed, simulated

from codesign.errors import CodesignError
from codesign.ir.files import write_text
from codesign.search.goal import Goal

RESULTS = Path(__file__).parent / "results"
VARIABLE = "CODESIGN_MODELS"

RESNET8, RESNET4, MOBILENET2 = "resnet8_a8w8b16.onnx", "resnet8_a4w4b32.onnx", "mobilenet_v2_a8w6b32.onnx"
MLPERF = tuple(f"mlperf_tiny_{name}_int8.tflite" for name in ("resnet8", "kws", "vww"))
MODELS = (RESNET8, RESNET4, *MLPERF, MOBILENET2)


def cases() -> list[Case]:
    """Return every case, those of most worth first: time may end before the last."""
    speed, promptness = Goal.INTERVAL.value, Goal.LATENCY.value
    return [
        *(Case(RESNET8, board, speed) for board in ("kv260", "pynq-z2")),
        *(Case(name, "pynq-z2", promptness) for name in MLPERF[:2]),
        Case(RESNET4, "kv260", speed),
        Case(RESNET8, "ultra96-v2", speed),
        Case(MLPERF[0], "zc706", promptness),
        *(Case(RESNET4, board, speed) for board in ("pynq-z2", "ultra96-v2")),
        *(Case(name, "zc706", promptness) for name in MLPERF[:0:-1]),
        Case(MLPERF[2], "pynq-z2", promptness),
        *(Case(name, board, speed) for board in ("pynq-z2", "zc706") for name in MLPERF),
        *(Case(MOBILENET2, board, speed) for board in ("kv260", "zcu102")),
    ]


R = TypeVar("R", Row, Source)


class Table(Generic[R]):
    """The rows of a CSV file, by a key. The file is written whenever one is put in."""

    def __init__(self, kind: type[R], path: Path, key: Callable[[R], object]) -> None:
        self._kind, self._path, self._key = kind, path, key
        types, lines = get_type_hints(kind), path.read_text().splitlines() if path.is_file() else []
        self._rows: dict[object, R] = {}
        for line in csv.DictReader(lines):
            row = kind(**{name: types[name](value) for name, value in line.items()})
            self._rows[key(row)] = row

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def of(self, keys: Iterable[object]) -> list[R]:
        """Return the rows of these keys that there are, in the order of the keys."""
        return [self._rows[key] for key in keys if key in self._rows]

    def put(self, row: R) -> None:
        """Take a row, in place of one of the same key."""
        self._rows[self._key(row)] = row
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([field.name for field in fields(self._kind)])
        for each in self._rows.values():
            writer.writerow([f"{v:.6g}" if isinstance(v, float) else v for v in astuple(each)])
        write_text(self._path, text.getvalue())


def attempt(what: str, do: Callable[[], None], troubles: list[str]) -> None:
    """Do one thing, and say how it went."""
    begun = time.monotonic()
    try:
        do()
        verdict = "done"
    except CodesignError as error:  # the others continue
        troubles.append(f"{what}: {error}")
        verdict = f"FAILED: {error}"
    print(f"{what}: {verdict}, {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)


def work_on(models: Path, results: Path, work: Path, simulations: int) -> tuple[list[Row], list[Source], list[str]]:
    """Do what is missing in the tables, at most so many simulations, and return them with what went wrong."""
    rows = Table(Row, results / "published.csv", lambda row: row.case)
    sources = Table(Source, results / "published_sources.csv", lambda source: source.model)
    troubles: list[str] = []
    for model in MODELS:
        if model not in sources:
            attempt(f"{model}, source runtime", lambda m=model: sources.put(compared(models / m)), troubles)
    for case in cases():
        if case not in rows:
            attempt(f"{case}, design", lambda c=case: rows.put(designed(c, models / c.model)), troubles)
    todo = [row for row in rows.of(cases()) if not row.refusal and not row.rtl_images]
    for row in todo[:simulations]:
        folder = work / f"{row.model}-{row.board}-{row.goal}"
        attempt(
            f"{row.case}, simulations",
            lambda r=row, f=folder: rows.put(simulated(r, models / r.model, f)),
            troubles,
        )
    return rows.of(cases()), sources.of(MODELS), troubles


def main() -> int:
    parser = parser_of(__doc__, work=True)
    parser.add_argument("--simulations", type=int, default=len(cases()), help="how many designs to simulate at most")
    options = parser.parse_args()
    models = Path(os.environ.get(VARIABLE, ""))
    if not os.environ.get(VARIABLE) or not models.is_dir():
        parser.error(f"{VARIABLE}: expected a folder with {', '.join(MODELS)}; set the variable to it")
    with tempfile.TemporaryDirectory(prefix="published-") as scratch:
        rows, sources, troubles = work_on(models, RESULTS, options.work or Path(scratch), options.simulations)
    publish(page(rows, sources, cases(), troubles), options.out)
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
