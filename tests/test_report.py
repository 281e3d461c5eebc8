"""The report: summary.json key by key, and a page that stands alone and never mixes columns."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codesign.ir.boards import load_board
from codesign.ir.cost import Cost, EngineCost, Resources
from codesign.ir.measurement import Measurement
from codesign.machine.line import compute_cycles, node_interval
from codesign.model.limit import limit_interval
from codesign.report import svg
from codesign.report.page import page
from codesign.report.summary import summary
from codesign.report.usage import design_usage, engine_usage, reason
from codesign.report.view import Accuracy, Column, PlainFloat, Search, Series, View
from codesign.testing.small import small_design, small_graph

GRAPH, DESIGN, BOARD = small_graph(), small_design(), load_board("pynq-z2")
ENGINES = tuple(
    EngineCost(
        name=n.name,
        nodes=(n.name,),
        busy_cycles=compute_cycles(n, DESIGN.engine_of(n.name)),  # type: ignore[arg-type]
        interval_cycles=node_interval(n, DESIGN.engine_of(n.name)),  # type: ignore[arg-type]
        macs=getattr(n, "macs", 0),
        resources=Resources(dsp=2, lut=100, ff=90),
    )
    for n in GRAPH.nodes[1:]
)
COST = Cost(
    latency_cycles=400, interval_cycles=max(e.interval_cycles for e in ENGINES), dram_bytes=42, engines=ENGINES,
    resources=Resources(dsp=6, lut=350, ff=300), shell=Resources(lut=50, ff=30),
)  # fmt: skip
SIMULATED = Measurement(
    tool="Verilator", version="5.006", project_digest="d", images=8, seconds=1.23456, mismatches=0, latency_cycles=401,
    interval_cycles=COST.interval_cycles, engine_cycles={e.name: e.busy_cycles for e in ENGINES}, fifo_peak={"conv": 9},
)  # fmt: skip
SYNTHESIZED = replace(SIMULATED, interval_cycles=None, latency_cycles=None, resources=Resources(dsp=6, lut=300))
FULL = View(
    name="small", board=BOARD, graph=GRAPH, design=DESIGN, cost=COST,
    accuracy=Accuracy(images=100, golden=0.9, float_=0.92, quantized=0.9, differing=0),
    search=Search(seconds=1.0, evaluations=12, proved_optimal=True, gap=0.0, notes=("a <b> note",)),
    course=(Series(title="loss", points=((0, 2.0), (1, 1.5)), target=1.0), Series(title="empty", points=())),
    csim=replace(SIMULATED, tool="csim", interval_cycles=None, latency_cycles=None, images=100),
    rtlsim=SIMULATED, rtlsim_stalls=SIMULATED,
    measured=((Column.OPEN_SYNTHESIS, SYNTHESIZED),),
)  # fmt: skip

SHAPE = {
    "accuracy": {"float", "quantized", "golden", "test_images"},
    "predicted": {
        "interval_cycles",
        "latency_cycles",
        "fps",
        "dsp",
        "bram18",
        "uram",
        "lut",
        "ff",
        "dram_bytes",
        "useful_products",
        "clock",
    },
    "limit": {"interval_cycles", "fps"},
    "csim": {"images", "mismatches", "seconds"},
    "rtlsim": {"images", "mismatches", "interval_cycles", "latency_cycles", "fps", "seconds"},
    "synthesis": {"dsp", "bram18", "uram", "lut", "ff", "seconds"},
    "search": {"seconds", "evaluations", "proved_optimal"},
}


def test_the_summary_has_exactly_the_keys_of_its_schema() -> None:
    plain = summary(FULL)
    assert list(plain) == ["schema", "name", "board", "clock_mhz", *SHAPE]
    assert {part: set(plain[part]) for part in SHAPE} == SHAPE
    assert plain["schema"] == 1
    assert plain["rtlsim"]["fps"] == round(100e6 / COST.interval_cycles, 2)
    json.dumps(plain)


def test_a_part_that_was_not_run_is_absent() -> None:
    assert summary(View(name="x", board=BOARD)) == {
        "schema": 1, "name": "x", "board": "pynq-z2", "clock_mhz": 100.0,
    }  # fmt: skip
    compiled = replace(FULL, accuracy=Accuracy(images=3, golden=1.0))
    assert summary(compiled)["accuracy"] == {"golden": 1.0, "test_images": 3}


def test_a_plain_float_network_stands_beside_the_result() -> None:
    beside = replace(FULL, plain=PlainFloat(weights=12204, epochs=6, judged=0.5, test=0.9512))
    assert summary(beside)["accuracy"]["plain_float"] == 0.9512
    assert "<tr><td>plain float network of 12,204 weights, 6 epochs</td><td>95.12%</td></tr>" in page(beside, "1")
    assert "plain float" not in page(FULL, "1")


def test_the_limit_is_every_multiplier_busy_every_cycle() -> None:
    macs = sum(n.macs for n in ENGINES)

    def limit(**counts: int) -> int | None:
        return limit_interval(GRAPH, replace(BOARD, resources=Resources(**counts)))

    assert limit(dsp=1, lut=1) <= macs
    assert limit(dsp=1, lut=10**9) == limit(dsp=10**9, lut=1) == limit_interval(GRAPH, BOARD)
    assert limit(dsp=2, lut=100) <= limit(dsp=1, lut=100) <= limit(dsp=1, lut=50)
    assert limit_interval(GRAPH, replace(BOARD, dram_peak_mb_s=1.0)) == 5250  # 42 bytes at 0.8 MB/s and 100 MHz


def test_what_multipliers_do_not_make_is_lost_in_empty_lanes_or_in_waiting() -> None:
    machine = FULL.machine
    assert machine is not None
    conv, pool, dense = machine.units
    assert engine_usage(pool, COST) is None
    lanes = {unit.engine.name: unit.engine.pe * unit.engine.simd for unit in (conv, dense)}
    busy = {engine.name: engine.busy_cycles for engine in COST.engines}
    alone = engine_usage(conv, COST)
    assert alone is not None
    assert alone.useful == conv.node.macs / (lanes["conv"] * COST.interval_cycles)
    usage = design_usage(machine, COST)
    assert usage is not None
    assert usage.useful + usage.empty + usage.waiting == pytest.approx(1)
    working = sum(lanes[n] * busy[n] for n in lanes)
    assert usage.waiting == pytest.approx(1 - working / (sum(lanes.values()) * COST.interval_cycles))
    slow = replace(COST, interval_cycles=10**9, engines=(replace(ENGINES[0], interval_cycles=10**9), *ENGINES[1:]))
    assert "100% in engines that wait for conv, the slowest" in reason(machine, slow)


class Cells(HTMLParser):
    """Collects the rows of every table, and checks that tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "br", "rect", "line", "path", "circle"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.rows and {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def cells_of(view: View) -> dict[str, list[str]]:
    parser = Cells()
    parser.feed(page(view, "0"))
    assert parser.open == []
    return {row[0]: row for row in parser.rows}


def test_columns_are_apart_and_what_nobody_measured_is_empty() -> None:
    rows = cells_of(FULL)
    assert rows[""][1:] == [c.value for c in Column]
    assert rows["latency, cycles"][1:] == ["400", "401-0.2%", "", "", "", ""]
    assert rows["interval, cycles"][2].endswith("equal")
    assert rows["LUT"][1:] == ["350", "", "300+16.7%", "", "", ""]
    assert "URAM" not in rows


def test_a_slower_measurement_shows_its_own_frame_rate() -> None:
    slower = replace(FULL, rtlsim=replace(SIMULATED, interval_cycles=2 * COST.interval_cycles))
    predicted, measured = cells_of(slower)["FPS"][1:3]
    assert measured.endswith("+100.0%")
    assert not measured.startswith(predicted)


@pytest.mark.parametrize("view", [FULL, View(name="x", board=BOARD), replace(FULL, rtlsim=None, search=None)])
def test_the_page_needs_no_network_and_no_script(view: View) -> None:
    text = page(view, "0")
    assert "<script" not in text
    assert not re.search(r"(src|href)=|url\(|@import", text)
    assert set(re.findall(r"https?://[^\"' ]+", text)) <= {"http://www.w3.org/2000/svg"}


def test_text_is_escaped() -> None:
    text = page(FULL, "0")
    assert "a &lt;b&gt; note" in text
    assert "a <b> note" not in text


def test_a_mismatch_is_shown_in_red() -> None:
    text = page(replace(FULL, csim=replace(SIMULATED, mismatches=3)), "0")
    assert "3 mismatches" in text
    assert '<div class="tile bad">' in text


def test_equal_runs_give_equal_pages() -> None:
    assert page(FULL, "0") == page(replace(FULL), "0")


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9))
@example(0.0, 5e-324)
@example(5e-324, 0.0)
@example(-1.2e-304, 0.0)
@example(-9e-307, 0.0)
def test_ticks_cover_the_values_with_few_round_steps(low: float, extent: float) -> None:
    high = low + extent
    ticks = svg.round_ticks(low, high)
    size = max(abs(low), abs(high), 1e-300)
    assert ticks[0] <= low + 1e-6 * size
    assert ticks[-1] >= high - 1e-6 * size
    assert 2 <= len(ticks) <= 8


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.5"), (999, "999"), (3333, "3,333"), (12000, "12k"), (2.5e6, "2.5M"), (3e9, "3G"), (0, "0")],
)
def test_axis_numbers_are_short(value: float, text: str) -> None:
    assert svg.short(value) == text
