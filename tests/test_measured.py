"""A measurement is checked whole before it is kept: whatever a file holds, a report can be written after it."""

import dataclasses
import json
import math
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.errors import CodesignError, ConfigError
from codesign.flow import look, verbs
from codesign.flow.config import Step
from codesign.ir import files
from codesign.ir.boards import load_board
from codesign.ir.measurement import Measurement
from codesign.progress import silent
from codesign.report.vendor import MAX_BYTES, read_measured
from codesign.report.view import Column
from test_flow import begin, steps
from test_vendor import CSYNTH, HASH, LOG, UTILISATION

BOARD = load_board("pynq-z2")
GOOD = {"board.json": json.dumps(LOG), "csynth.xml": CSYNTH, "utilization.rpt": UTILISATION}
FIGURES = ("images", "mismatches", "interval_cycles", "latency_cycles", "clock_mhz", "seconds")


def read(path: Path, content: str | bytes) -> Measurement:
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return read_measured(path, BOARD, HASH, "digest").measurement


def check_sane(m: Measurement) -> None:
    """Every figure is one that a machine can have."""
    for name in FIGURES:
        value = getattr(m, name)
        assert value is None or (math.isfinite(value) and 0 <= value <= 1 << 62), name
    assert m.interval_cycles is None or m.interval_cycles >= 1
    assert m.latency_cycles is None or m.latency_cycles >= 1
    if m.resources is not None:
        assert all(0 <= value <= 1 << 62 for value in dataclasses.asdict(m.resources).values())
    assert (m.tool + m.version).isprintable()
    assert len(m.version) <= 40


def log(**changed: Any) -> str:
    return json.dumps({**LOG, **changed})


def other(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (log(interval_cycles=0.0), "interval_cycles: expected 1 or more, got 0.0"),
        (log(interval_cycles=0.2), "interval_cycles: expected 1 or more, got 0.2"),
        (log(interval_cycles=-3.0), "interval_cycles: expected 1 or more"),
        (log(latency_cycles=0), "latency_cycles: expected 1 or more"),
        (log(images=0), "images: expected 1 or more, got 0"),
        (log(images=1 << 80), "images: expected 1 or more"),
        (log(mismatches=-1), "mismatches: expected 0 or more, got -1"),
        (log(clock_mhz=0), "clock_mhz: expected a positive number"),
        (log(fps=-1.0), "fps: expected a positive number"),
        (log(host_fps=0.0), "host_fps: expected a positive number"),
        (log(clock_mhz=50.0), "fps: 31,877.60 does not follow from 3137.02 cycles at 50 MHz, which are 15,938.69"),
        (log(timing="host"), "timing: 'host' does not go with interval_cycles 3137.02"),
        (log(spelling="vhdl"), "spelling: expected rtl or hls, got 'vhdl'"),
        (log(design_hash="not a hash"), "design_hash: expected 0x and digits, got 'not a hash'"),
        (log(design_hash=""), "design_hash: expected 0x and digits"),
        (log(design_hash=12345), "design_hash: expected str, got 12345"),
        (log(date="yesterday"), "date: expected a date of ISO 8601"),
        (log(date="\ud800"), "date: expected text, got '\\ud800', which has half a character"),
        (log(part="xczu9eg"), "part: expected 'xc7z020clg400-1' of pynq-z2, got 'xczu9eg'"),
        (log(part="xc7"), "part: expected 'xc7z020clg400-1' of pynq-z2, got 'xc7'"),
        (log(part=""), "part: expected 'xc7z020clg400-1' of pynq-z2, got ''"),
        (log()[:-1] + ', "mismatches": 99}', "a key is given twice"),
        (other(log(), "2048", "9" * 5000), "not a board's log: a number of 5,000 digits"),
        (other(log(), "3137.02", "NaN"), "interval_cycles: expected a finite number"),
        (other(log(), "3137.02", "1e999"), "interval_cycles: expected a finite number"),
        ('{"a":' * 100_000, "not a board's log: nested too deeply"),
        (other(CSYNTH, "5000", "nan"), "Worst-caseLatency: expected a number, got 'nan'"),
        (other(CSYNTH, "5000", "Infinity"), "Worst-caseLatency: expected a number, got 'Infinity'"),
        (other(CSYNTH, "5000", "0"), "latency_cycles: expected 1 or more, got 0"),
        (other(CSYNTH, ">96<", ">1e999<"), "DSP: expected a number, got '1e999'"),
        (other(CSYNTH, ">96<", ">-5<"), "DSP: expected a number, got '-5'"),
        (other(CSYNTH, ">96<", ">9.5<"), "DSP: expected a whole number, got 9.5"),
        (other(CSYNTH, "10.00", "nan"), "TargetClockPeriod: expected a number, got 'nan'"),
        (other(CSYNTH, "10.00", "0"), "synthesized for 0.0 ns"),
        (other(CSYNTH, "xc7z020-clg400-1", "xc7"), "part: expected"),
        (other(UTILISATION, ": Routed", ": Not routed"), "expected a routed design, got 'Not routed'"),
        (other(UTILISATION, ": Routed", ": Unrouted"), "expected a routed design, got 'Unrouted'"),
        (other(UTILISATION, ": Routed", ": Partially Routed"), "expected a routed design, got 'Partially Routed'"),
        (other(UTILISATION, " 30123 ", " 60000 "), "lut: 60,000, but pynq-z2 has 53,200"),
        (other(UTILISATION, " 10.5 ", " 10.2 "), "Block RAM Tile: expected a whole number, got 20.4"),
        (other(UTILISATION, " 10.5 ", " 1.5.2 "), "Block RAM Tile: expected a number, got '1.5.2'"),
        (re.sub(r"\| Device.*\n", "", UTILISATION), "its 'Device' line is missing"),
    ],
)  # fmt: skip
def test_a_figure_that_nothing_can_have_is_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path / "measured", content)
    assert str(caught.value).startswith(f"{tmp_path / 'measured'}: ")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("part", ["xc7z020clg400-1", "xc7z020-clg400-1", "7z020clg400-1", "XC7Z020CLG400-1"])
def test_a_part_is_known_in_every_spelling_of_the_tools(tmp_path: Path, part: str) -> None:
    assert read(tmp_path / "m", other(UTILISATION, "xc7z020clg400-1", part)).resources is not None


def test_a_temperature_grade_may_be_left_out(tmp_path: Path) -> None:
    board = load_board("zcu102")
    for part, known in (("xczu9eg-ffvb1156-2-e", True), ("xczu9eg-ffvb1156-2", True), ("xczu9eg-ffvb1156-1", False)):
        (tmp_path / "m").write_text(other(UTILISATION, "xc7z020clg400-1", part))
        if known:
            read_measured(tmp_path / "m", board, HASH, "digest")
        else:
            with pytest.raises(ConfigError, match="part: expected"):
                read_measured(tmp_path / "m", board, HASH, "digest")


@pytest.mark.parametrize("state", ["Routed", "Fully Routed", "Physopt postRoute"])
def test_what_is_routed_is_taken(tmp_path: Path, state: str) -> None:
    read(tmp_path / "m", other(UTILISATION, ": Routed", f": {state}"))


def test_a_log_at_another_clock_keeps_its_cycles_and_its_clock(tmp_path: Path) -> None:
    content = log(clock_mhz=50.0, fps=50e6 / 3137.02)
    assert (read(tmp_path / "m", content).interval_cycles, read(tmp_path / "m", content).clock_mhz) == (3137, 50.0)
    remarks = read_measured(tmp_path / "m", BOARD, HASH, "digest").remarks
    assert any("predicted is FPS at 100 MHz" in r for r in remarks)


def test_an_estimate_larger_than_the_part_is_taken_and_said(tmp_path: Path) -> None:
    (tmp_path / "m").write_text(other(CSYNTH, ">30200<", ">60000<"))
    reading = read_measured(tmp_path / "m", BOARD, HASH, "digest")
    assert reading.measurement.resources is not None
    assert "the estimate is larger than the part: lut 60,000 of 53,200" in reading.remarks


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    for content in GOOD.values():
        assert read(tmp_path / "m", b"\xef\xbb\xbf" + content.encode()) is not None


def test_what_is_no_file_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a file"):
        read_measured(tmp_path, BOARD, HASH, "digest")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ConfigError, match="larger than 64 MiB"):
        read_measured(tmp_path / "large", BOARD, HASH, "digest")


WORDS = (
    "nan", "inf", "-1", "0", "1e999", "9" * 400, "undef", "?", "-", "", "null", "true", "[]", "{}", '"x"', "1e-310",
    "0x", "\\ud800", "<", ">", "|", "\u0663", "0.2", "3.5", "xc7", "Not routed",
)  # fmt: skip


@st.composite
def spoiled(draw: st.DrawFn) -> str:
    """A good file in which words were exchanged, cut, doubled or moved."""
    text = draw(st.sampled_from(sorted(GOOD.values())))
    for _ in range(draw(st.integers(1, 4))):
        pieces = re.findall(r"[\w.+-]+|\s+|.", text)
        at = draw(st.integers(0, len(pieces) - 1)) if pieces else 0
        match draw(st.integers(0, 3)):
            case 0:
                pieces[at : at + 1] = [draw(st.sampled_from(WORDS))]
            case 1:
                del pieces[at : at + draw(st.integers(1, 5))]
            case 2:
                pieces[at:at] = pieces[at : at + draw(st.integers(1, 30))]
            case _:
                pieces[at : at + 1] = [draw(st.text(max_size=5))]
        text = "".join(pieces)
    return text


@settings(max_examples=400, deadline=None)
@given(spoiled())
def test_a_spoiled_file_is_refused_or_gives_sane_figures(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "spoiled"
    try:
        found = read(path, text)
    except CodesignError:
        return
    check_sane(found)
    files.save_measurement(found, path)
    assert vars(files.load_measurement(path)) == vars(found)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run as far as its project."""
    now = begin(tmp_path_factory.mktemp("measured") / "run")
    for step in (steps.design_step, steps.predict_step, steps.render_step):
        step(now)
    return now


def test_after_any_file_a_report_is_written(run: Any, tmp_path: Path) -> None:
    manifest = json.loads((run.folder.project / "manifest.json").read_text())
    rng = random.Random(1)
    taken = 0
    for content in GOOD.values():
        content = content.replace(f"{HASH:#018x}", manifest["design"]["hash"])
        for round_ in range(15):
            pieces = re.findall(r"[\w.+-]+|\s+|.", content)
            if round_:
                pieces[rng.randrange(len(pieces))] = rng.choice(WORDS)
            path = tmp_path / "file"
            path.write_text("".join(pieces))
            try:
                verbs.compare(run.folder.path, path)
                taken += 1
            except CodesignError:
                verbs.bring(Step.REPORT, run.folder.path, silent)
    assert taken >= 3


def test_a_poisoned_folder_is_reported_without_what_poisons_it(run: Any) -> None:
    """A folder of an earlier version can hold a measurement that would be refused today."""
    path = look.measured_file(run.folder, Column.BOARD)
    good = Measurement(tool="t", version="", project_digest="x", images=1, seconds=0.0, interval_cycles=7)
    files.save_measurement(good, path)
    path.write_text(path.read_text().replace('"interval_cycles": 7', '"interval_cycles": 0'))
    remarks = verbs.bring(Step.REPORT, run.folder.path, silent).summary["remarks"]
    assert any("interval_cycles: expected 1 or more, got 0; left out of the report" in r for r in remarks)
    path.unlink()


def test_fps_is_shown_at_the_clock_that_was_measured(run: Any, tmp_path: Path) -> None:
    manifest = json.loads((run.folder.project / "manifest.json").read_text())
    cost = files.load_cost(run.folder.cost)
    interval = cost.interval_cycles
    path = tmp_path / "board.json"
    path.write_text(
        log(clock_mhz=50.0, fps=50e6 / interval, interval_cycles=interval, design_hash=manifest["design"]["hash"])
    )
    verbs.compare(run.folder.path, path)
    page = run.folder.report.read_text()
    assert "FPS is at 100 MHz, board at 50 MHz, each against the prediction at its clock." in page
    assert f'<td>{50e6 / interval:,.0f}<span class="error exact">equal</span></td>' in page
