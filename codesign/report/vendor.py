"""Reports of vendor tools and the board's log to Measurements; what is not known for sure is refused, never guessed."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from codesign.errors import ConfigError, UnsupportedError
from codesign.ir.board import Board
from codesign.ir.cost import Resources
from codesign.ir.files import read_text
from codesign.ir.measurement import Measurement
from codesign.ir.strict import parse
from codesign.report.view import Column

TOP = "accel"
BOARD_LOG_SCHEMA = 1
CLOCK_TOLERANCE = 0.01
_HLS_VERSION = re.compile(r"20(1[7-9]|2[0-5])\.\d(\.\d)?")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file tells: its column, the measurement, and remarks on what it does not tell."""

    column: Column
    measurement: Measurement
    remarks: tuple[str, ...] = ()


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


def read_measured(path: Path, board: Board, design_hash: int, project_digest: str) -> Reading:
    """Read a csynth.xml, a Vivado utilisation report of a routed design, or a board log.

    Raises ConfigError if it belongs to another design, part, clock or schema, UnsupportedError if it is none of these.
    """
    content = read_text(path)
    if content.lstrip().startswith("<"):
        return _csynth(path, content, board, project_digest)
    if content.lstrip().startswith("{"):
        return _board_log(path, content, board, design_hash, project_digest)
    if "Utilization Design Information" in content:
        return _utilisation(path, content, board, project_digest)
    raise UnsupportedError(
        f"{path}: not a report that is known; expected csynth.xml of Vitis or Vivado HLS, a Vivado utilization report "
        "of the routed design, or the JSON of the project's driver.py or host.cpp"
    )


def _csynth(path: Path, content: str, board: Board, project_digest: str) -> Reading:
    if "<!DOCTYPE" in content or "<!ENTITY" in content:
        raise UnsupportedError(f"{path}: has a DOCTYPE, which no csynth.xml has")
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise ConfigError(f"{path}: not XML: {error}") from error
    version = _xml(path, root, "ReportVersion/Version")
    if not _HLS_VERSION.fullmatch(version):
        raise UnsupportedError(f"{path}: report version {version!r} is not known; 2017.1 to 2025.9 are read")
    top = _xml(path, root, "UserAssignments/TopModelName")
    if top != TOP:
        raise ConfigError(f"{path}: top function: expected {TOP!r}, got {top!r}; give the report of the top function")
    _check_part(path, _xml(path, root, "UserAssignments/Part"), board)
    period_ns = _number(path, "TargetClockPeriod", _xml(path, root, "UserAssignments/TargetClockPeriod"))
    if abs(period_ns * board.clock_mhz / 1e3 - 1.0) > CLOCK_TOLERANCE:
        raise ConfigError(f"{path}: synthesized for {period_ns} ns, but {board.name} runs at {board.clock_mhz:g} MHz")
    area = root.find("AreaEstimates/Resources")
    if area is None:
        raise ConfigError(f"{path}: AreaEstimates/Resources is missing")
    resources = Resources(
        dsp=_count(path, area, "DSP", "DSP48E"),
        bram18=_count(path, area, "BRAM_18K"),
        uram=_count(path, area, "URAM") if area.find("URAM") is not None else 0,
        lut=_count(path, area, "LUT"),
        ff=_count(path, area, "FF"),
    )
    remarks: list[str] = []
    latency = "PerformanceEstimates/SummaryOfOverallLatency/"
    measurement = Measurement(
        tool="HLS C synthesis",
        version=version,
        project_digest=project_digest,
        images=0,
        seconds=0.0,
        interval_cycles=_cycles(path, root, latency + "Interval-max", remarks),
        latency_cycles=_cycles(path, root, latency + "Worst-caseLatency", remarks),
        resources=resources,
    )
    return Reading(Column.HLS_ESTIMATE, measurement, tuple(remarks))


def _utilisation(path: Path, content: str, board: Board, project_digest: str) -> Reading:
    version = re.search(r"Tool Version\s*:\s*Vivado v\.?(\S+)", content)
    if version is None:
        raise UnsupportedError(f"{path}: its 'Tool Version' line is missing or not Vivado's")
    state = re.search(r"Design State\s*:\s*([^|\n]+)", content)
    if state is None or "rout" not in state.group(1).lower():
        found = "nothing" if state is None else state.group(1).strip()
        raise ConfigError(
            f"{path}: design state: expected a routed design, got {found!r}; run report_utilization after route"
        )
    device = re.search(r"Device\s*:\s*(\S+)", content)
    if device is not None:
        _check_part(path, device.group(1), board)
    resources = Resources(
        dsp=round(_row(path, content, ("DSPs",))),
        bram18=round(2 * _row(path, content, ("Block RAM Tile",))),
        uram=round(_row(path, content, ("URAM",), default=0.0)),
        lut=round(_row(path, content, ("CLB LUTs", "Slice LUTs"))),
        ff=round(_row(path, content, ("CLB Registers", "Slice Registers"))),
    )
    measurement = Measurement(
        tool="Vivado",
        version=version.group(1),
        project_digest=project_digest,
        images=0,
        seconds=0.0,
        resources=resources,
    )
    return Reading(Column.POST_ROUTE, measurement)


def _board_log(path: Path, content: str, board: Board, design_hash: int, project_digest: str) -> Reading:
    try:
        plain = json.loads(content)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}: line {error.lineno}: not JSON: {error.msg}") from error
    if plain.get("schema") != BOARD_LOG_SCHEMA or plain.get("tool") != "board":
        found = f"schema {plain.get('schema')!r}, tool {plain.get('tool')!r}"
        raise UnsupportedError(f"{path}: expected schema {BOARD_LOG_SCHEMA} of tool 'board', got {found}")
    log = parse(BoardLog, plain, str(path))
    if int(log.design_hash, 16) != design_hash:
        raise ConfigError(f"{path}: stale: measured on design {log.design_hash}, but this run's is {design_hash:#018x}")
    if log.board != board.name:
        raise ConfigError(f"{path}: board: expected {board.name!r}, got {log.board!r}")
    remarks = [f"{log.clock_mhz:g} MHz by {log.driver}, {log.timing} timing, {log.spelling} spelling"]
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
    )
    return Reading(Column.BOARD, measurement, tuple(remarks))


def _xml(path: Path, root: ElementTree.Element, name: str) -> str:
    element = root.find(name)
    if element is None or not (element.text or "").strip():
        raise ConfigError(f"{path}: {name} is missing or empty")
    return (element.text or "").strip()


def _count(path: Path, area: ElementTree.Element, *names: str) -> int:
    for name in names:
        if area.find(name) is not None:
            return int(_number(path, name, _xml(path, area, name)))
    raise ConfigError(f"{path}: AreaEstimates/Resources: {' or '.join(names)} is missing")


def _cycles(path: Path, root: ElementTree.Element, name: str, remarks: list[str]) -> int | None:
    text = _xml(path, root, name)
    if text in ("undef", "?", "-", "inf"):
        remarks.append(
            f"{name.rsplit('/', 1)[1]}: the report says {text!r} (it depends on the data), so the cell stays empty"
        )
        return None
    return int(_number(path, name, text))


def _number(path: Path, name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"{path}: {name}: expected a number, got {text!r}") from error


def _row(path: Path, content: str, names: tuple[str, ...], default: float | None = None) -> float:
    for name in names:
        found = re.search(rf"^\|\s*{re.escape(name)}\*?\s*\|\s*([\d.]+)\s*\|", content, re.MULTILINE)
        if found is not None:
            return _number(path, name, found.group(1))
    if default is None:
        raise ConfigError(f"{path}: row {' or '.join(names)} is missing")
    return default


def _check_part(path: Path, found: str, board: Board) -> None:
    def plain(part: str) -> str:
        return part.lower().replace("-", "")

    if not plain(board.part).startswith(plain(found)) and not plain(found).startswith(plain(board.part)):
        raise ConfigError(f"{path}: part: expected {board.part!r} of {board.name}, got {found!r}")
