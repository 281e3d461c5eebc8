"""The page on published networks says what a row carries, and no more."""

import pytest
from published import Table, cases
from published_page import page
from published_row import Case, Row, Source
from rivals import PUBLISHED

SPEED = Case("resnet8_a8w8b16.onnx", "kv260", "interval")
DESIGN = Row(
    model=SPEED.model, board=SPEED.board, goal=SPEED.goal, macs=1_000_000, multipliers=200, interval=10_000,
    latency=15_000, least_interval=10_000, proved=1, dsp=100, bram18=3, lut=5000, ff=6000, search_s=1.5,
)  # fmt: skip
SIMULATED = Row(
    model="mlperf_tiny_kws_int8.tflite", board="pynq-z2", goal="latency", macs=2_000_000, multipliers=800,
    interval=5000, latency=100_000, least_interval=4000, binding="lut", rtl_images=4, rtl_words=48, rtl_interval=5000,
    rtl_latency=100_000, csim_images=4,
)  # fmt: skip
REFUSED = Row(model="resnet8_a4w4b32.onnx", board="pynq-z2", goal="interval", refusal="dsp: needs 9, available 3")
SOURCE = Source(
    model=SPEED.model, runtime="qonnx 1", images=2, words=20, differing_words=1, largest_steps=1, mean_steps=0.05,
    differing_predictions=0,
)  # fmt: skip


def test_a_row_that_was_not_simulated_is_called_predicted_and_stays_open():
    text = page([DESIGN], [], [SPEED], [])
    assert "predicted, not simulated yet" in text
    assert "on kv260** (predicted): " in text
    assert f"{SPEED}: not simulated yet" in text
    assert "| RTL simulation, " not in text


def test_a_slower_row_says_by_how_much_and_why():
    text = page([DESIGN], [], [SPEED], [])
    assert "0.66 times the published frame rate at 200 MHz, our board file's clock" in text  # 20,000 of 30,153
    assert "the published rate at 302 MHz" in text  # 30,153 * 10,000 cycles
    assert "10,000 cycles are the least that our engines can do" in text
    assert "50% are busy" in text


def test_a_row_of_mlperf_is_compared_by_latency_at_the_published_clock():
    text = page([SIMULATED], [], [SIMULATED.case], [])
    assert "699.3 us in the accelerator, beside 324 us published with DMA and driver" in text  # 100,000 at 143 MHz
    assert "Ours is slower even without DMA and driver. A multiplication takes a DSP" in text
    assert "| 28,600 | 699.3 |" in text


def test_a_network_that_does_not_fit_is_told_with_its_reason_and_is_not_open():
    text = page([REFUSED], [], [REFUSED.case], ["x: broken"])
    assert "dsp: needs 9, available 3" in text
    assert "Nothing is left." in text
    assert "- x: broken" in text


def test_a_row_is_read_back_as_it_was_written(tmp_path):
    for kind, rows in ((Row, [DESIGN, REFUSED, SIMULATED]), (Source, [SOURCE])):
        table = Table(kind, tmp_path / kind.__name__, lambda row: row.model)
        for row in rows:
            table.put(row)
        again = Table(kind, tmp_path / kind.__name__, lambda row: row.model)
        assert again.of([row.model for row in rows]) == rows


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda p: f"{p.model}-{p.board}")
def test_every_published_row_has_a_case_of_ours(published):
    assert Case(published.model, published.board, "latency" if published.single_image else "interval") in cases()
