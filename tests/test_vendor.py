"""Vendor reports and board logs: what belongs to the run is read exactly, anything else is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from codesign.errors import ConfigError, UnsupportedError
from codesign.ir.boards import load_board
from codesign.ir.cost import Resources
from codesign.report.reading import Reading
from codesign.report.vendor import read_measured
from codesign.report.view import Column

HASH = 0x0123456789ABCDEF

CSYNTH = """<?xml version="1.0"?>
<profile>
<ReportVersion><Version>2023.2</Version></ReportVersion>
<UserAssignments><unit>ns</unit><Part>xc7z020-clg400-1</Part><TopModelName>accel</TopModelName>
<TargetClockPeriod>10.00</TargetClockPeriod><ClockUncertainty>2.70</ClockUncertainty></UserAssignments>
<PerformanceEstimates><SummaryOfOverallLatency><Worst-caseLatency>5000</Worst-caseLatency>
<Interval-max>3137</Interval-max></SummaryOfOverallLatency></PerformanceEstimates>
<AreaEstimates><Resources><BRAM_18K>12</BRAM_18K><DSP>96</DSP><FF>20100</FF><LUT>30200</LUT><URAM>0</URAM></Resources>
</AreaEstimates></profile>
"""

UTILISATION = """Copyright 1986-2022 Xilinx, Inc. All Rights Reserved.
| Tool Version : Vivado v.2022.1 (lin64) Build 3526262
| Design       : design_1_wrapper
| Device       : xc7z020clg400-1
| Design State : Routed
Utilization Design Information
1. Slice Logic
| Slice LUTs                 | 30123 |     0 |          0 |     53200 | 56.62 |
| Slice Registers            | 25001 |     0 |          0 |    106400 | 23.50 |
| Block RAM Tile    | 10.5 |     0 |          0 |       140 |  7.50 |
| DSPs           |   96 |     0 |          0 |       220 | 43.64 |
"""

LOG: dict[str, Any] = {
    "schema": 1, "tool": "board", "driver": "pynq", "board": "pynq-z2", "part": "xc7z020clg400-1",
    "design_hash": f"{HASH:#018x}", "spelling": "rtl", "timing": "hardware", "clock_mhz": 100.0, "images": 2048,
    "mismatches": 0, "fps": 31877.6, "host_fps": 9000.5, "host_latency_us": 300.0, "interval_cycles": 3137.02,
    "latency_cycles": 5001, "latency_us": 50.01, "date": "2026-01-01T00:00:00Z",
}  # fmt: skip


def read(tmp_path: Path, content: str) -> Reading:
    path = tmp_path / "measured"
    path.write_text(content)
    return read_measured(path, load_board("pynq-z2"), HASH, "digest")


def test_csynth_is_an_hls_estimate(tmp_path: Path) -> None:
    reading = read(tmp_path, CSYNTH)
    assert reading.column is Column.HLS_ESTIMATE
    assert reading.measurement.resources == Resources(dsp=96, bram18=12, lut=30200, ff=20100)
    assert (reading.measurement.interval_cycles, reading.measurement.latency_cycles) == (3137, 5000)
    assert reading.measurement.version == "2023.2"


def test_an_older_csynth_names_its_dsps_otherwise(tmp_path: Path) -> None:
    older = CSYNTH.replace("DSP>", "DSP48E>").replace("2023.2", "2019.1").replace("<URAM>0</URAM>", "")
    assert read(tmp_path, older).measurement.resources == Resources(dsp=96, bram18=12, lut=30200, ff=20100)


@pytest.mark.parametrize("word", ["undef", "?"])
def test_a_latency_that_depends_on_data_stays_empty_with_a_reason(tmp_path: Path, word: str) -> None:
    reading = read(tmp_path, CSYNTH.replace("5000", word))
    assert reading.measurement.latency_cycles is None
    assert "Worst-caseLatency" in reading.remarks[0]


def test_a_routed_utilisation_is_post_route_with_ram_tiles_doubled(tmp_path: Path) -> None:
    reading = read(tmp_path, UTILISATION)
    assert reading.column is Column.POST_ROUTE
    assert reading.measurement.resources == Resources(dsp=96, bram18=21, lut=30123, ff=25001)
    assert reading.measurement.interval_cycles is None


def test_a_board_log_is_the_board(tmp_path: Path) -> None:
    reading = read(tmp_path, json.dumps(LOG))
    assert reading.column is Column.BOARD
    assert (reading.measurement.interval_cycles, reading.measurement.mismatches) == (3137, 0)
    assert any("31,877.60 FPS" in r for r in reading.remarks)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (CSYNTH.replace("2023.2", "2031.1"), UnsupportedError, r"report version '2031\.1' is not known"),
        (CSYNTH.replace(">accel<", ">main<"), ConfigError, "expected 'accel', got 'main'"),
        (CSYNTH.replace("xc7z020-clg400-1", "xc7z045-ffg900-2"), ConfigError, "part: expected 'xc7z020clg400-1'"),
        (CSYNTH.replace("10.00", "5.00"), ConfigError, r"synthesized for 5\.0 ns, but pynq-z2 runs at 100 MHz"),
        (CSYNTH.replace("<LUT>30200</LUT>", ""), ConfigError, "LUT is missing"),
        (CSYNTH.replace("30200", "many"), ConfigError, "LUT: expected a number, got 'many'"),
        (CSYNTH.replace("<Interval-max>3137</Interval-max>", ""), ConfigError, "Interval-max is missing"),
        (CSYNTH[:200], ConfigError, "not XML"),
        ('<!DOCTYPE a [<!ENTITY b "c">]>' + CSYNTH[22:], UnsupportedError, "DOCTYPE"),
        (UTILISATION.replace("Routed", "Synthesized"), ConfigError, "expected a routed design, got 'Synthesized'"),
        (UTILISATION.replace("xc7z020", "xc7z045"), ConfigError, "part: expected"),
        (UTILISATION.replace("| DSPs", "| XYZs"), ConfigError, "row DSPs is missing"),
        (UTILISATION.replace("Vivado v", "Quartus v"), UnsupportedError, "Tool Version"),
        (json.dumps({**LOG, "design_hash": "0x1"}), ConfigError, "stale: measured on design 0x1"),
        (json.dumps({**LOG, "board": "zc706"}), ConfigError, "board: expected 'pynq-z2', got 'zc706'"),
        (json.dumps({**LOG, "schema": 2}), UnsupportedError, "expected schema 1"),
        (json.dumps({**LOG, "images": "many"}), ConfigError, "images: expected int"),
        (json.dumps({**LOG, "more": 1}), ConfigError, "unknown key 'more'"),
        ("{", ConfigError, "not JSON"),
        ("hello", UnsupportedError, "not a report that is known"),
    ],
)
def test_what_does_not_belong_is_refused(tmp_path: Path, content: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read(tmp_path, content)
