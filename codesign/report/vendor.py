"""Turns vendor reports and the board's log into Measurements; what is uncertain is refused, never guessed."""

import re
from pathlib import Path
from xml.etree import ElementTree

from codesign.errors import CodesignError, ConfigError, UnsupportedError
from codesign.ir.board import Board
from codesign.ir.cost import Resources
from codesign.ir.files import read_text
from codesign.ir.measurement import Measurement
from codesign.report.board_log import read_board_log
from codesign.report.reading import CLOCK_TOLERANCE, MOST, Reading, check_part, shown
from codesign.report.view import Column

TOP = "accel"
MAX_BYTES = 64 << 20  # no report and no log comes near it
_HLS_VERSION = re.compile(r"20(1[7-9]|2[0-5])\.\d(\.\d)?")
_VIVADO_VERSION = re.compile(r"Tool Version\s*:\s*Vivado v\.?(20\d\d\.[\w.]{1,12})")
_ROUTED = ("routed", "fully routed", "physopt postroute")


def read_measured(path: Path, board: Board, design_hash: int, project_digest: str) -> Reading:
    """Read a csynth.xml, a Vivado utilisation report of a routed design, or a board log, and check it as a whole.

    Raise UnsupportedError if it is none of these. Raise ConfigError if it belongs to another design, part or schema, or
    has a figure that nothing can have. Both name the file.
    """
    try:
        return _read(path, board, design_hash, project_digest)
    except CodesignError as error:
        raise error if str(error).startswith(str(path)) else type(error)(f"{path}: {error}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


def _read(path: Path, board: Board, design_hash: int, project_digest: str) -> Reading:
    content = _content(path)
    if content.startswith("<"):
        return _csynth(content, board, project_digest)
    if content.startswith("{"):
        return read_board_log(path, content, board, design_hash, project_digest)
    if "Utilization Design Information" in content:
        return _utilisation(content, board, project_digest)
    raise UnsupportedError(
        "not a report that is known; expected csynth.xml of Vitis or Vivado HLS, a Vivado utilization report "
        "of the routed design, or the JSON of the project's driver.py or host.cpp"
    )


def _content(path: Path) -> str:
    """Return the text without byte order mark and leading space. Raise ConfigError, also if it is too large."""
    if path.exists() and path.stat().st_size > MAX_BYTES:
        raise ConfigError(f"larger than {MAX_BYTES >> 20} MiB, which no report and no log is")
    return read_text(path).removeprefix("\ufeff").lstrip()


def _csynth(content: str, board: Board, project_digest: str) -> Reading:
    if "<!DOCTYPE" in content or "<!ENTITY" in content:
        raise UnsupportedError("has a DOCTYPE, which no csynth.xml has")
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ConfigError(f"not XML: {error}") from error
    version = _xml(root, "ReportVersion/Version")
    if not _HLS_VERSION.fullmatch(version):
        raise UnsupportedError(f"report version {version!r} is not known; 2017.1 to 2025.9 are read")
    top = _xml(root, "UserAssignments/TopModelName")
    if top != TOP:
        raise ConfigError(f"top function: expected {TOP!r}, got {top!r}; give the report of the top function")
    check_part(_xml(root, "UserAssignments/Part"), board)
    period_ns = _number("TargetClockPeriod", _xml(root, "UserAssignments/TargetClockPeriod"))
    if not 0.0 < period_ns < 1e6 or abs(period_ns * board.clock_mhz / 1e3 - 1.0) > CLOCK_TOLERANCE:
        raise ConfigError(f"synthesized for {period_ns} ns, but {board.name} runs at {board.clock_mhz:g} MHz")
    area = root.find("AreaEstimates/Resources")
    if area is None:
        raise ConfigError("AreaEstimates/Resources is missing")
    resources = Resources(
        dsp=_count(area, "DSP", "DSP48E"),
        bram18=_count(area, "BRAM_18K"),
        uram=_count(area, "URAM") if area.find("URAM") is not None else 0,
        lut=_count(area, "LUT"),
        ff=_count(area, "FF"),
    )
    remarks: list[str] = []
    latency = "PerformanceEstimates/SummaryOfOverallLatency/"
    measurement = Measurement(
        tool="HLS C synthesis",
        version=version,
        project_digest=project_digest,
        images=0,
        seconds=0.0,
        interval_cycles=_cycles(root, latency + "Interval-max", remarks),
        latency_cycles=_cycles(root, latency + "Worst-caseLatency", remarks),
        resources=resources,
    )
    over = [f"{name} {needed:,} of {have:,}" for name, needed, have in resources.excess(board.resources)]
    if over:
        remarks.append(f"the estimate is larger than the part: {', '.join(over)}")
    return Reading(Column.HLS_ESTIMATE, measurement, tuple(remarks))


def _utilisation(content: str, board: Board, project_digest: str) -> Reading:
    version = _VIVADO_VERSION.search(content)
    if version is None:
        raise UnsupportedError("its 'Tool Version' line is missing or not Vivado's")
    state = re.search(r"Design State\s*:\s*([^|\n]+)", content)
    if state is None or state.group(1).strip().lower() not in _ROUTED:
        found = "nothing" if state is None else state.group(1).strip()
        raise ConfigError(f"design state: expected a routed design, got {found!r}; run report_utilization after route")
    device = re.search(r"Device\s*:\s*(\S+)", content)
    if device is None:
        raise ConfigError("its 'Device' line is missing")
    check_part(device.group(1), board)
    resources = Resources(
        dsp=_whole("DSPs", _row(content, ("DSPs",))),
        bram18=_whole("Block RAM Tile", 2 * _row(content, ("Block RAM Tile",))),
        uram=_whole("URAM", _row(content, ("URAM",), default=0.0)),
        lut=_whole("LUTs", _row(content, ("CLB LUTs", "Slice LUTs"))),
        ff=_whole("Registers", _row(content, ("CLB Registers", "Slice Registers"))),
    )
    for name, needed, have in resources.excess(board.resources):
        raise ConfigError(f"{name}: {needed:,}, but {board.name} has {have:,}")
    measurement = Measurement(
        tool="Vivado",
        version=version.group(1),
        project_digest=project_digest,
        images=0,
        seconds=0.0,
        resources=resources,
    )
    return Reading(Column.POST_ROUTE, measurement)


def _xml(root: ElementTree.Element, name: str) -> str:
    text = (root.findtext(name) or "").strip()
    if not text:
        raise ConfigError(f"{name} is missing or empty")
    return text


def _count(area: ElementTree.Element, *names: str) -> int:
    for name in names:
        if area.find(name) is not None:
            return _whole(name, _number(name, _xml(area, name)))
    raise ConfigError(f"AreaEstimates/Resources: {' or '.join(names)} is missing")


def _cycles(root: ElementTree.Element, name: str, remarks: list[str]) -> int | None:
    text, short = _xml(root, name), name.rsplit("/", 1)[1]
    if text in ("undef", "?", "-", "inf"):
        remarks.append(f"{short}: the report says {text!r} (it depends on the data), so the cell stays empty")
        return None
    return _whole(short, _number(short, text))


def _number(name: str, text: str) -> float:
    if not re.fullmatch(r"\d{1,20}(\.\d{1,20})?", text):
        raise ConfigError(f"{name}: expected a number, got {shown(text)}")
    return float(text)


def _whole(name: str, value: float) -> int:
    """Return the count. Raise ConfigError unless it is a whole number that a count can be."""
    if value != round(value) or value > MOST:
        raise ConfigError(f"{name}: expected a whole number, got {value:g}")
    return round(value)


def _row(content: str, names: tuple[str, ...], default: float | None = None) -> float:
    """Return the first figure of the row of any of these names."""
    for name in names:
        found = re.search(rf"^\|\s*{re.escape(name)}\*?\s*\|\s*([^|\n]*?)\s*\|", content, re.MULTILINE)
        if found is not None:
            return _number(name, found.group(1))
    if default is None:
        raise ConfigError(f"row {' or '.join(names)} is missing")
    return default
