"""The history of search and training for other programs: a CSV file each, and TensorBoard on demand."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from codesign.flow.config import LogKind
from codesign.ir.files import make_folder, write_text


def epoch_log(folder: Path, part: str, kind: LogKind) -> Callable[[Sequence[Any]], None]:
    """Return what takes all records of a piece of work, frozen dataclasses of plain values, after each of its epochs.

    `<part>.csv` is written again each time, from the history in the checkpoint: a row for every epoch, once.
    TensorBoard's files are in a folder `<part>`.
    """
    events = None
    if kind is LogKind.TENSORBOARD:
        from codesign.nets.event_log import EventLog  # not before it is known that tensorboard is there

        events = EventLog(folder / part)

    def write(records: Sequence[Any]) -> None:
        if not records:
            return
        make_folder(folder)
        write_text(folder / f"{part}.csv", _csv(records))
        if events is not None:
            events.write([_figures(record) for record in records])

    return write


def _csv(records: Sequence[Any]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(records[0])], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(record) for record in records)
    return text.getvalue()


def _figures(record: Any) -> dict[str, float]:
    return {k: float(v) for k, v in asdict(record).items() if isinstance(v, int | float) and k != "epoch"}
