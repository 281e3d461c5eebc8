"""The page on clocks, and the command that names what became longer; no tool is run."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import paths
import pytest
import timing
from timing import MACHINE, REFERENCE, page

from codesign.ir.technology import families
from codesign.sim.netlist import Path as Way
from codesign.sim.netlist import Paths, Side
from codesign.sim.place import Placed
from codesign.testing.timing_cases import CASES, ENGINES, LARGE, Row, read_table


def tries(*rates: float) -> tuple[Placed, ...]:
    return tuple(Placed(mhz=mhz, logic_ns=1.0, routing_ns=2.0, cells=3, begin="a[1]", end="b") for mhz in rates)


def netlist(ns: float) -> Paths:
    way = Way(ns=ns, luts=4, carries=2, names=("a", "b"))
    ways = {(begin, end): way for begin in Side for end in Side}
    return Paths(ways=ways, parts={"top": ns}, fan_out=1234, widest="a", reset=9)


def row(title: str, mhz: float, ns: float) -> timing.Row:
    netlists = {family: netlist(ns) for family in families()}
    return timing.Row(title=title, placed=tries(mhz - 5, mhz, mhz + 9), netlists=netlists)


def test_the_page_scales_the_engines_by_the_design_that_is_known_on_both_sides() -> None:
    rows = [row(REFERENCE, 1e3 / 8.4, 6.3), row(MACHINE, 1e3 / 16.8, 7.0), row(next(iter(ENGINES)), 1e3 / 16.8, 4.2)]
    text = " ".join(page(rows, 3, ()).split())
    assert "takes 2.00 times as long as an Artix-7 of grade 1" in text  # 8.4 ns here, 4.2 ns there
    assert "sum is 1.50 times what Vivado reached" in text
    assert "they would take 1.60 times their sums of delays (from 1.20 to 2.00)" in text
    assert "| 60 | 55 to 69 | 16.80 |" in text
    assert "1,234" in text


def test_a_trouble_stands_on_the_page() -> None:
    rows = [row(REFERENCE, 150.0, 6.0), row(MACHINE, 100.0, 7.0)]
    assert page(rows, 3, ("x: lost",)).endswith("\nFailed: x: lost\n")


def test_what_was_left_out_is_named() -> None:
    rows = [row(title, 100.0, 6.0) for title in timing.subjects()]
    assert "Not measured" not in page(rows, 3, ())
    text = page([r for r in rows if r.title != MACHINE], 3, ())
    assert text.endswith(f"Not measured this time:\n\n- {MACHINE}\n")


def test_the_middle_of_several_tries_counts() -> None:
    assert row("x", 100.0, 5.0).median.mhz == 100.0
    assert replace(row("x", 100.0, 5.0), placed=tries(90.0, 110.0)).median.mhz == 90.0


def test_subjects_are_the_engines_parts_of_a_machine_and_a_whole_one() -> None:
    titles = list(timing.subjects())
    assert set(ENGINES) | {MACHINE, REFERENCE} < set(titles)
    assert len(titles) == len(set(titles))
    assert all(re.match(r"\w+", title) for title in titles)


def found(module: str, family: str, longer: str) -> Row:
    """What a synthesis would give if nothing had changed but one module."""
    kept = read_table(paths.TABLE)[family, module]
    return replace(kept, luts=kept.luts + 1) if module == longer and family == "xc7" else kept


@pytest.mark.parametrize(("longer", "status"), [("", 0), (LARGE[0], 1)])
def test_a_longer_path_is_named_and_ends_with_status_1(
    longer: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(paths, "measure", lambda module, family, _: found(module, family, longer))
    monkeypatch.setattr(sys, "argv", ["paths.py"])
    assert paths.main() == status
    out = capsys.readouterr().out
    assert out == "nothing is longer\n" if status == 0 else f"{longer} in xc7: luts" in out
    table = tmp_path / "t.csv"
    monkeypatch.setattr(sys, "argv", ["paths.py", "--rewrite", "--table", str(table)])
    assert paths.main() == 0
    assert set(read_table(table)) == set(CASES)
