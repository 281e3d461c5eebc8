"""`space: auto` on data of a user's own, beside the plain float network of each space -> docs/auto_space.md.

Runs are kept in the folder --work, and go on there. What a data set lacks to be had here is said on the page.
"""

import gzip
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from common import parser_of, processor, publish, run_cases, table

from codesign.datasets.load import DataConfig, DataKind, load_dataset
from codesign.errors import ConfigError
from codesign.flow.config import RunConfig, Step
from codesign.flow.verbs import run
from codesign.ir.files import make_folder
from codesign.ir.strict import parse
from codesign.progress import silent

BOARD = "pynq-z2"
SETTINGS: Mapping[str, Any] = {
    "search": {"epochs": 4, "warmup_epochs": 1, "images": 12_000, "trained_finalists": 3, "trained_neighbours": 1,
               "threads": 1, "device": "cpu"},
    "train": {"float_epochs": 6, "quantized_epochs": 5, "epoch_images": 8_000, "threads": 1, "device": "cpu"},
}  # fmt: skip

PAGE = """# A space for data of one's own

Written by `make bench-auto-space` on one core of {cpu}. `space: auto` makes the search space from the shape and
number of the samples. The *plain float network* is the middle of that space: convolutions of three taps, trained for
the float epochs that the result gets too. *Golden* is the golden model of the network found, whose integers have 3 to
8 bits. Both columns are shares of test images, at which no decision looks. All runs are for {board}, with {search}
epochs of search and {float} + {quantized} of training, which is less than the defaults. Epochs of `fashion` are half as
long, or less. `signals` is made, and its plain network learned little of it in so few epochs.

{rows}
Each run's `1-space.yaml` has its space. {asked}

What the search said of the plain network, by images of the training part:

{said}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A data set, the frames per second that are demanded of its accelerator, and settings that are shorter for it."""

    name: str
    write: Callable[[Path], None]
    min_fps: float
    search: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def digits(path: Path, samples: int = 1437) -> None:
    """Write the 8x8 digits that come with scikit-learn, whose code is not loaded; 360 of them test."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise ConfigError("scikit-learn, which brings the digits, is not installed: pip install scikit-learn")
    with gzip.open(Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz") as packed:
        held = np.loadtxt(packed, delimiter=",")
    held = held[np.random.default_rng(0).permutation(len(held))]
    x, y = held[:, :64].reshape(-1, 8, 8, 1), held[:, 64].astype(np.int64)
    np.savez(path, x_train=x[:samples], y_train=y[:samples], x_test=x[1437:], y_test=y[1437:])


def few_digits(path: Path) -> None:
    """Write 300 of these digits to train with, and the same to test."""
    digits(path, 300)


def signals(path: Path) -> None:
    """Write 270 + 370 made signals of 25 samples of 12 sensors, in 9 classes: two tones, of a class's own strengths.

    Sensors see them in fixed mixtures, at any phase, and as much noise.
    """
    rng = np.random.default_rng(7)
    pace = 2 * np.pi * np.arange(25) / 25
    tones, mixture = rng.uniform(1.0, 6.0, (9, 2)), rng.normal(size=(9, 2, 12))
    arrays: dict[str, Any] = {}
    for part, count in (("train", 270), ("test", 370)):
        y = np.arange(count) % 9
        phase = rng.uniform(0, 2 * np.pi, (count, 2, 1))
        waves = np.sin(tones[y][:, :, None] * pace + phase)
        x = np.einsum("nts,ntc->nsc", waves, mixture[y]) + rng.normal(size=(count, 25, 12))
        arrays |= {f"x_{part}": x[:, :, None, :], f"y_{part}": y}
    np.savez(path, **arrays)


def clothes(path: Path) -> None:
    """Write 3,000 training and 1,000 test images of Fashion-MNIST."""
    held = load_dataset(DataConfig(kind=DataKind.FASHION_MNIST))
    x, y = held.train_x[:3000], held.train_y[:3000]
    np.savez(path, x_train=x, y_train=y, x_test=held.test_x[:1000], y_test=held.test_y[:1000])


CASES = (
    Case("digits", digits, 20_000.0),
    Case("digits-300", few_digits, 20_000.0),
    Case("signals", signals, 100_000.0),
    Case(
        "fashion",
        clothes,
        5_000.0,
        search={"images": 4_000, "trained_finalists": 2, "trained_neighbours": 0},
        train={"epoch_images": 4_000},
    ),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What a run came to."""

    case: Case
    shape: str
    samples: str
    plain: dict[str, Any]
    golden: float
    fps: float
    said: str


def measure(case: Case, work: Path) -> tuple[Row, str]:
    """Run the case in its folder, or go on there; return its row, and its words for the screen."""
    data, out = work / f"{case.name}.npz", work / case.name
    if not data.exists():
        case.write(data)
    search = {**SETTINGS["search"], "min_fps": case.min_fps, **case.search}
    train = {**SETTINGS["train"], **case.train}
    named = {"name": case.name, "board": BOARD, "data": {"kind": "arrays", "path": str(data)}}
    config = parse(RunConfig, {**named, "search": search, "train": train}, case.name)
    result = run(config, out, silent, Step.PREDICT)
    assert result is not None
    found = result.summary
    notes = json.loads((out / "1-network.json").read_text())["notes"]
    with np.load(data) as held:
        shape, counts = held["x_train"].shape[1:], (len(held["y_train"]), len(held["y_test"]))
    row = Row(
        case=case,
        shape="x".join(map(str, shape)),
        samples=" + ".join(f"{n:,}" for n in counts),
        plain=json.loads((out / "1-plain.json").read_text()),
        golden=found["accuracy"]["golden"],
        fps=found["predicted"]["fps"],
        said="; ".join(note for note in notes if "plain float network" in note or "bind" in note),
    )
    return row, f"plain {row.plain['test']:.2%}, golden {row.golden:.2%}, {row.fps:,.0f} FPS"


def lines(rows: list[Row]) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each row."""
    for row in rows:
        points = 100 * (row.golden - row.plain["test"])
        yield (
            row.case.name,
            row.shape,
            row.samples,
            f"{row.plain['weights']:,}",
            f"{row.plain['test']:.2%}",
            f"{row.golden:.2%}",
            f"{points:+.2f}",
            f"{row.case.min_fps:,.0f}",
            f"{row.fps:,.0f}",
        )


def page(rows: list[Row], troubles: list[str]) -> str:
    """Return the page."""
    worst = min((100 * (row.golden - row.plain["test"]) for row in rows), default=0.0)
    asked = f"Golden should be at most one point below, the demands being loose; the least difference is {worst:+.2f}."
    head = ("data", "sample", "train + test", "weights of plain", "plain, float", "golden", "points", "demanded FPS")
    return PAGE.format(
        cpu=processor(),
        board=BOARD,
        search=SETTINGS["search"]["epochs"],
        float=SETTINGS["train"]["float_epochs"],
        quantized=SETTINGS["train"]["quantized_epochs"],
        rows=table((*head, "predicted FPS"), lines(rows)),
        asked=asked,
        said="\n".join([*(f"- `{row.case}`: {row.said}." for row in rows), *(f"- {t}" for t in troubles)]),
    )


def main() -> int:
    """Run all cases, or those named, and write the page."""
    parser = parser_of(__doc__, work=True)
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(map(str, CASES))}; all without any")
    arguments = parser.parse_args()
    work = arguments.work or Path("runs") / "auto-space"
    for folder in (*reversed(work.parents), work):
        make_folder(folder)
    chosen = [case for case in CASES if not arguments.cases or case.name in arguments.cases]
    rows, troubles = run_cases(chosen, lambda case: measure(case, work))
    publish(page(rows, troubles), arguments.out)
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
