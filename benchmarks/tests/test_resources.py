"""The page on predicted resources: its cases and its tables."""

from resources import cases, page

from codesign.ir.cost import Resources
from codesign.testing.resource_cases import Case, Row


def test_the_page_names_its_columns_and_what_failed() -> None:
    right, found = Resources(dsp=3, bram18=2, lut=110, ff=100), Resources(dsp=3, bram18=2, lut=100, ff=100)
    rows = [
        Row(Case(1, "xc7"), 7, right, found, "tool 1"),
        Row(Case(2, "xcup", 0.1), 7, found, found, "tool 1"),
    ]
    text = page(rows, ["xc7 random 3: no luck"])
    for word in ("DSP equal", "LUT error, median", "LUT predicted", "FF found", "+10.0%", "Failed: xc7 random 3"):
        assert word in text


def test_the_benchmark_draws_every_machine_once() -> None:
    todo = cases(11, 3)
    assert len({str(case) for case in todo}) == len(todo) == 28
