"""Turns a board's log, the JSON of driver.py and host.cpp, into a Measurement. It is checked as a whole."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from codesign.errors import ConfigError, UnsupportedError
from codesign.ir.board import Board
from codesign.ir.measurement import Measurement
from codesign.ir.strict import parse
from codesign.report.reading import CLOCK_TOLERANCE, MOST, Reading, check_part, shown
from codesign.report.view import Column

SCHEMA = 1
MAX_CHARACTERS = 1_000_000
MAX_DIGITS = 30
_HASH = re.compile(r"0x[0-9A-Fa-f]{1,16}")
_DATE = re.compile(r"[0-9TZ:.+-]{0,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardLog:
    """The JSON that the project's driver.py and host.cpp write; see the project's host/README.md."""

    schema: int
    tool: str
    driver: str
    board: str
    part: str
    design_hash: str
    spelling: str
    timing: str
    clock_mhz: float
    images: int
    mismatches: int
    fps: float | None = None
    host_fps: float | None = None
    host_latency_us: float | None = None
    interval_cycles: float | None = None
    latency_cycles: float | None = None
    latency_us: float | None = None
    date: str = ""

    def __post_init__(self) -> None:
        for name, known in (
            ("driver", ("pynq", "xrt")),
            ("spelling", ("rtl", "hls")),
            ("timing", ("hardware", "host")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}: expected {' or '.join(known)}, got {shown(getattr(self, name))}")
        for name, pattern, what in (("design_hash", _HASH, "0x and digits"), ("date", _DATE, "a date of ISO 8601")):
            if not pattern.fullmatch(getattr(self, name)):
                raise ValueError(f"{name}: expected {what}, got {shown(getattr(self, name))}")
        for name, least in (("images", 1), ("mismatches", 0), ("interval_cycles", 1), ("latency_cycles", 1)):
            value = getattr(self, name)
            if value is not None and not least <= value <= MOST:
                raise ValueError(f"{name}: expected {least} or more, got {shown(value)}")
        for name in ("clock_mhz", "fps", "host_fps", "host_latency_us", "latency_us"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value <= 1e15:
                raise ValueError(f"{name}: expected a positive number, got {value}")
        self._check_against_each_other()

    def _check_against_each_other(self) -> None:
        counted = self.interval_cycles is not None
        if counted != (self.timing == "hardware"):
            raise ValueError(f"timing: {self.timing!r} does not go with interval_cycles {self.interval_cycles}")
        if self.interval_cycles is None or self.fps is None:
            return
        fps = self.clock_mhz * 1e6 / self.interval_cycles
        if abs(self.fps - fps) > CLOCK_TOLERANCE * fps:
            raise ValueError(
                f"fps: {self.fps:,.2f} does not follow from {self.interval_cycles:g} cycles at {self.clock_mhz:g} MHz, "
                f"which are {fps:,.2f}"
            )


def read_board_log(path: Path, content: str, board: Board, design_hash: int, project_digest: str) -> Reading:
    """Return the log as a measurement. Raise ConfigError if it is not whole, or of another design, board or part.

    Cycles hold at any clock. The measurement has the log's clock, and FPS is shown at that.
    """
    if len(content) > MAX_CHARACTERS:
        raise UnsupportedError(f"{path}: more than {MAX_CHARACTERS:,} characters, which no board's log has")
    try:
        plain = json.loads(content, object_pairs_hook=_unique, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}: line {error.lineno}: not JSON: {error.msg}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: not a board's log: nested too deeply") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not a board's log: {error}") from error
    if plain.get("schema") != SCHEMA or plain.get("tool") != "board":
        found = f"schema {shown(plain.get('schema'))}, tool {shown(plain.get('tool'))}"
        raise UnsupportedError(f"{path}: expected schema {SCHEMA} of tool 'board', got {found}")
    log = parse(BoardLog, plain, str(path))
    if int(log.design_hash, 16) != design_hash:
        raise ConfigError(f"{path}: stale: measured on design {log.design_hash}, but this run's is {design_hash:#018x}")
    if log.board != board.name:
        raise ConfigError(f"{path}: board: expected {board.name!r}, got {shown(log.board)}")
    check_part(log.part, board)
    remarks = [f"{log.clock_mhz:g} MHz by {log.driver}, {log.timing} timing, {log.spelling} spelling"]
    if abs(log.clock_mhz / board.clock_mhz - 1.0) > CLOCK_TOLERANCE:
        remarks.append(f"predicted is FPS at {board.clock_mhz:g} MHz; cycles do not depend on the clock")
    if log.fps is not None:
        remarks.append(f"{log.fps:,.2f} FPS measured")
    if log.interval_cycles is None:
        remarks.append("interval_cycles: the log gives none; its FPS includes the host's own work")
    measurement = Measurement(
        tool=f"{board.name}, {log.driver}",
        version=log.date,
        project_digest=project_digest,
        images=log.images,
        seconds=0.0,
        mismatches=log.mismatches,
        interval_cycles=None if log.interval_cycles is None else round(log.interval_cycles),
        latency_cycles=None if log.latency_cycles is None else round(log.latency_cycles),
        clock_mhz=log.clock_mhz,
    )
    return Reading(Column.BOARD, measurement, tuple(remarks))


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text):,} digits")
    return int(text)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    plain = dict(pairs)
    if len(plain) != len(pairs):
        raise ValueError("a key is given twice")
    return plain
