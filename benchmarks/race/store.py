"""The race's results: two tables, one with a row for each cell."""

import csv
import fcntl
import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from codesign.cosearch.config import SearchConfig
from codesign.errors import ConfigError
from codesign.ir import files
from codesign.ir.dataset import Dataset
from codesign.ir.strict import parse, to_plain
from codesign.networks.space import Space, decisions
from codesign.networks.training import TrainConfig

from .final import Final
from .problem import Step
from .settings import PROFILES, SHARE, SPACE, Cell, Profile, all_cells

FORMAT = 1  # of what a key is the digest of
REVISION = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How a search went.

    `row`, `choice`: the result, None if nothing met the demand. `evaluations`: networks whose accuracy it asked for.
    `points`: designs priced. `designs`: exact design searches. `seconds`: of the processor, `setup_s` of them for the
    proxy. `proxy_accuracy`: of the result by the common proxy, for searches by gradient found afterwards. `course`:
    whenever something better was found.
    """

    row: tuple[int, ...] | None
    choice: tuple[int, ...] | None
    evaluations: int
    points: int
    designs: int
    seconds: float
    setup_s: float
    proxy_accuracy: float | None
    course: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A finished cell. `settings` is all that it depends on beside its name, as text; `key` is their digest."""

    cell: Cell
    profile: str
    key: str
    settings: Mapping[str, str]
    target_cycles: int
    search: Search
    final: Final | None
    machine: str


def unmeasured(result: Result) -> bool:
    """Tell whether the cell has an accelerator that has not been simulated."""
    final = result.final
    return final is not None and final.interval_cycles is not None and final.measured is None


def settings_of(profile: Profile, space: Space, data: Dataset) -> dict[str, str]:
    """Return everything that a cell depends on beside its name.

    Of the package's own settings these are what the profile sets: the others are the package's defaults. A change of
    the code is not seen. REVISION is raised when old cells must not stand beside new ones.
    """
    text = f"{[(d.name, d.options) for d in decisions(space)]} {[stage.stride for stage in space.stages]}"
    return {
        "revision": str(REVISION),
        "space": f"{SPACE}, {space.networks:.3g} networks, digest {hashlib.sha256(text.encode()).hexdigest()[:16]}",
        "boards": f"{SHARE:.0%} of what designs may usually take of each",
        "data": f"{data.name}, {len(data.train_y):,} + {len(data.test_y):,} images, digest {data.digest()[:16]}",
        "proxy": _plain(to_plain(profile.proxy)),
        "limit": _plain(to_plain(profile.limit)),
        "search": _plain(changed(profile.search, SearchConfig())),
        "train": _plain({"images": profile.train_images, **changed(profile.train, TrainConfig())}),
        "simulated images": str(profile.rtlsim_images),
    }


def key_of(settings: Mapping[str, str]) -> str:
    """Return the digest of the settings."""
    return hashlib.sha256(json.dumps([FORMAT, settings], sort_keys=True).encode()).hexdigest()[:16]


def _plain(settings: Mapping[str, Any]) -> str:
    """Return names and values in one line."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items())


def changed(config: object, default: object) -> dict[str, Any]:
    """Return the settings that are not the default's."""
    usual = to_plain(default)
    return {name: value for name, value in to_plain(config).items() if value != usual[name]}


class Store:
    """Results in two tables of a folder: `cells.csv`, a row for each cell, and `settings.csv`, what keys stand for.

    Several processes may write: each puts its own rows into the tables as they are then. A row of other settings stays
    until its cell is done again. A table that is not whole is refused with a ConfigError, and stays as it is.
    """

    def __init__(self, folder: Path) -> None:
        self.cells, self.settings = folder / "cells.csv", folder / "settings.csv"

    def find(self, cell: Cell, profile: str, key: str | None = None) -> Result | None:
        """Return the result of the cell in that profile, with that key if one is given."""
        row = self._rows().get((profile, cell))
        return None if row is None or key not in (None, row["key"]) else self._result(row, self._settings())

    def all(self) -> list[Result]:
        """Return every result there is, by profile in the order of all_cells."""
        rows, settings = self._rows(), self._settings()
        names = [(profile, cell) for profile in PROFILES for cell in all_cells()]
        return [self._result(rows[name], settings) for name in names if name in rows]

    def save(self, result: Result) -> None:
        """Put the cell's row into the table, in place of an older one of the same profile."""
        with _alone(self.cells.parent):
            rows, settings = self._rows(), self._settings()
            rows[result.profile, result.cell] = _row(result)
            settings[result.key] = dict(result.settings)
            used = [key for key in settings if key in {row["key"] for row in rows.values()}]
            _write(self.settings, SETTINGS, [(k, *pair) for k in used for pair in settings[k].items()])
            order = sorted(rows, key=lambda name: (name[0], *name[1].place))
            _write(self.cells, tuple(COLUMNS), [tuple(rows[name].values()) for name in order])

    def _rows(self) -> dict[tuple[str, Cell], dict[str, str]]:
        found: dict[tuple[str, Cell], dict[str, str]] = {}
        for row in _read(self.cells, tuple(COLUMNS)):
            plain = {name: _value(row, f"cell.{name}", self.cells) for name in ("board", "fps", "method", "seed")}
            name = (row["profile"], parse(Cell, plain, str(self.cells)))
            if name in found:
                raise ConfigError(f"{self.cells}: profile {name[0]}, {name[1]} stands there twice; remove one row")
            found[name] = row
        return found

    def _settings(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for row in _read(self.settings, SETTINGS):
            found.setdefault(row["key"], {})[row["name"]] = row["value"]
        return found

    def _result(self, row: Mapping[str, str], settings: Mapping[str, Mapping[str, str]]) -> Result:
        if row["key"] not in settings:
            raise ConfigError(f"{self.settings}: no settings of key {row['key']}, which {self.cells} names")
        plain = _nested({column: _value(row, column, self.cells) for column in COLUMNS})
        return parse(Result, {**plain, "settings": settings[row["key"]]}, str(self.cells))


def _columns(kind: Any, prefix: str = "") -> dict[str, Any]:
    """Return every field by its name, with its type; a field within another dataclass has both names and a dot."""
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(kind).items():
        inner = [h for h in (hint, *get_args(hint)) if is_dataclass(h)]
        if inner and get_origin(hint) is not tuple:
            found |= _columns(inner[0], f"{prefix}{name}.")
        else:
            found[prefix + name] = hint
    return found


COLUMNS = {column: hint for column, hint in _columns(Result).items() if column != "settings"}
SETTINGS = ("key", "name", "value")


def _row(result: Result) -> dict[str, str]:
    """Return the cell's row as text: None is empty, numbers of a tuple are apart by spaces, steps by semicolons."""
    plain = to_plain(result)

    def text(column: str, hint: Any) -> str:
        value: Any = plain
        for part in column.split("."):
            value = None if value is None else value[part]
        if value is None or isinstance(value, str):
            return value or ""
        if hint == tuple[Step, ...]:
            return "; ".join(" ".join(json.dumps(number) for number in step.values()) for step in value)
        return " ".join(map(str, value)) if isinstance(value, list) else json.dumps(value)

    return {column: text(column, hint) for column, hint in COLUMNS.items()}


def _value(row: Mapping[str, str], column: str, path: Path) -> Any:
    """Return the inverse of a row's text, as plain data."""
    text, hint = row[column], COLUMNS[column]
    try:
        if hint == tuple[Step, ...]:
            names = [f.name for f in fields(Step)]
            steps = [map(json.loads, step.split(" ")) for step in text.split("; ") if text]
            return [dict(zip(names, step, strict=True)) for step in steps]
        if not text:
            return None
        if isinstance(hint, type) and issubclass(hint, (str, Enum)):
            return text
        return json.loads(text) if tuple not in map(get_origin, get_args(hint)) else list(map(int, text.split(" ")))
    except ValueError as error:
        raise ConfigError(f"{path}: column {column}: {text!r} is not a {hint}") from error


def _nested(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return columns put back into one another; what has no value in any of its columns is None."""
    found: dict[str, Any] = {}
    for column, value in row.items():
        name, _, rest = column.partition(".")
        if rest:
            found.setdefault(name, {})[rest] = value
        else:
            found[name] = value
    for name, value in found.items():
        if isinstance(value, dict):
            found[name] = None if all(v is None for v in value.values()) else _nested(value)
    return found


def _read(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read the rows of a table, none if there is no file."""
    if not path.is_file():
        return []
    try:
        header, *rows = csv.reader(io.StringIO(files.read_text(path), newline=""), strict=True)
    except (csv.Error, ValueError) as error:
        raise ConfigError(f"{path}: not a whole table ({error}); restore or remove it") from error
    if header != list(columns):
        raise ConfigError(f"{path}: expected the columns {', '.join(columns)}, got {', '.join(header)}")
    for i, row in enumerate(rows):
        if len(row) != len(columns):
            raise ConfigError(f"{path}: row {i + 1}: expected {len(columns)} values, got {len(row)}; restore the table")
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _write(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    files.write_text(path, text.getvalue())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process changes the tables of the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
