"""Boards: what travels with the package, and how a wrong file is refused."""

import dataclasses
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from codesign.data import folder
from codesign.errors import ConfigError, InfeasibleError
from codesign.ir.board import Limits, ProcessorClock
from codesign.ir.boards import list_boards, load_board
from codesign.ir.demand import MOST_CYCLES, Demand

WANTED = {"pynq-z2", "zc706", "ultra96-v2", "zcu102", "kv260"}


def test_the_boards_are_there() -> None:
    assert {b.name for b in list_boards()} >= WANTED


@pytest.mark.parametrize("name", sorted(WANTED))
def test_every_figure_of_a_board_has_a_source(name: str) -> None:
    sources = load_board(name).sources
    for key in ("part", "resources", "clock_mhz", "processor", "dram_peak_mb_s", "dram_efficiency", "fill"):
        assert any(s.startswith(f"{key}:") for s in sources), key


@pytest.mark.parametrize("name", sorted(WANTED))
def test_the_clock_of_a_board_can_be_had(name: str) -> None:
    board = load_board(name)
    made = board.clocking
    assert all(1 <= divisor <= 63 for divisor in made.divisors)
    divided = made.source.io_pll_mhz / (made.divisors[0] * made.divisors[1])
    assert divided == pytest.approx(made.pl_clock_mhz, rel=1e-3)
    feedback = made.source.io_pll_mhz / made.source.crystal_mhz
    assert feedback == pytest.approx(round(feedback), rel=1e-6), "a PLL multiplies its crystal by a whole number"
    if made.ratio == 1.0:
        assert divided == pytest.approx(board.clock_mhz, rel=1e-3)
    else:  # an MMCM: whole factors suffice, and its oscillator is within what both families do
        factors = [(m, o) for m in range(8, 13) for o in range(1, 129) if divided * m / o == board.clock_mhz]
        assert any(800.0 <= divided * m <= 1200.0 for m, _ in factors)


@pytest.mark.parametrize(
    ("clock_mhz", "divisors", "ratio"),
    [(187.5, (8, 1), 1.0), (214.3, (7, 1), 1.0), (1.0, (60, 25), 1.0), (300.0, (5, 1), 1.0)],
)
def test_a_clock_that_divisors_make_needs_no_wizard(clock_mhz: float, divisors: tuple[int, int], ratio: float) -> None:
    made = dataclasses.replace(load_board("zcu102"), clock_mhz=clock_mhz).clocking
    assert (made.divisors, made.ratio) == (divisors, ratio)


def test_a_clock_that_nothing_makes_is_refused() -> None:
    with pytest.raises(ValueError, match="clock_mhz: 999 MHz can be made neither by dividing an IO PLL of 1000 MHz"):
        dataclasses.replace(load_board("pynq-z2"), clock_mhz=999.0)
    with pytest.raises(ValueError, match=r"processor\.io_pll_mhz: expected 400 to 3000, got 5000"):
        ProcessorClock(crystal_mhz=50.0, io_pll_mhz=5000.0)


def test_the_budget_is_the_filled_share() -> None:
    board = load_board("pynq-z2")
    assert (board.resources.dsp, board.resources.bram18) == (220, 280)
    assert board.budget.lut == int(board.resources.lut * board.fill.lut)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("clock_mhz: 100.0", "clock_mhz: fast", r"mine\.yaml: clock_mhz: expected float, got 'fast'"),
        ("clock_mhz: 100.0", "clock_mhz: 0", r"mine\.yaml: clock_mhz: expected 1 to 1000, got 0"),
        ("clock_mhz: 100.0", "clock: 100.0", r"mine\.yaml: unknown key 'clock'; did you mean 'clock_mhz'\?"),
        ("clock_mhz: 100.0", "", r"mine\.yaml: missing key 'clock_mhz'"),
        ("clock_mhz: 100.0", "clock_mhz: 1.0\nclock_mhz: 2.0", r"mine\.yaml: line 7: key 'clock_mhz' is given twice"),
        ("family: xc7", "family: xc9", r"mine\.yaml: family: expected one of 'xc7', 'xcup', got 'xc9'"),
        ("dsp: 0.9", "dsp: 1.9", r"mine\.yaml: fill: fill\.dsp: expected a share in \(0, 1\], got 1\.9"),
        ("dsp: 220", "dps: 220", r"mine\.yaml: resources: unknown key 'dps'; did you mean 'dsp'\?"),
        ("dsp: 220", "dsp: -4", r"mine\.yaml: resources\.dsp: expected 0 to 1,000,000,000, got -4"),
        ("uram: 0", "uram: -1", r"mine\.yaml: resources\.uram: expected 0 to 1,000,000,000, got -1"),
        ("ff: 106400", "ff: 1000000000000", r"resources\.ff: expected 0 to 1,000,000,000, got 1,000,000,000,000"),
        ("2100.0", "1.0e-300", r"mine\.yaml: dram_peak_mb_s: expected 1 to 10,000,000, got 1e-300"),
        ("2100.0", "1.0e+300", r"mine\.yaml: dram_peak_mb_s: expected 1 to 10,000,000, got 1e\+300"),
        ("dram_efficiency: 0.8", "dram_efficiency: 1.0e-300", r"dram_efficiency: expected a share of 0\.01 to 1, got"),
        ("name: pynq-z2", "name: [", r"mine\.yaml: line \d+: "),
        (
            "name: pynq-z2",
            "name: my board",
            r"mine\.yaml: name: expected letters, digits and any of _ \. -, got 'my board'",
        ),
        ("part: xc7z020clg400-1", "part: 'a\"b'", r"mine\.yaml: part: expected letters, digits and any of _ \. -, got"),
        ("title: ", 'title: "a\\nb" #', r"mine\.yaml: title: expected one line of text, got 'a\\nb'"),
    ],
)
def test_a_wrong_board_file_is_refused_with_file_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (folder("boards") / "pynq-z2.yaml").read_text()
    assert old in text
    (tmp_path / "mine.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message):
        load_board(str(tmp_path / "mine.yaml"))


def test_a_board_of_ones_own_is_read(tmp_path: Path) -> None:
    plain = yaml.safe_load((folder("boards") / "pynq-z2.yaml").read_text())
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({**plain, "name": "mine"}))
    assert load_board(str(tmp_path / "mine.yaml")).name == "mine"


def test_a_limit_above_the_board_bounds_nothing() -> None:
    board = load_board("pynq-z2")
    limited = replace(board, limits=Limits(lut=100, dsp=10**9))
    assert limited.limited == ("lut",)
    assert (limited.budget.lut, limited.budget.dsp) == (100, board.budget.dsp)
    assert limited.bounded_by("lut").startswith("the limit of lut")
    assert limited.bounded_by("dsp") == "pynq-z2"


def test_cycles_of_an_extreme_demand_are_a_number_or_none_is_possible() -> None:
    for tiny, huge in ((5e-324, 1e308), (1e-310, 1e30), (1e-30, 1e12)):
        longest = Demand(interval_cycles=MOST_CYCLES, latency_cycles=MOST_CYCLES)
        assert Demand.at(100.0, min_fps=tiny, max_latency_us=huge) == longest
        with pytest.raises(InfeasibleError, match=r"min_fps: .* is more than one image a cycle at 100 MHz"):
            Demand.at(100.0, min_fps=huge)
        with pytest.raises(InfeasibleError, match=r"max_latency_us: .* is less than a cycle at 100 MHz"):
            Demand.at(100.0, max_latency_us=tiny)


def test_an_unknown_board_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"board 'pynq_z2' is not known; did you mean 'pynq-z2'\?"):
        load_board("pynq_z2")
    with pytest.raises(ConfigError, match="known boards: kv260, pynq-z2"):
        load_board("q")


def test_a_missing_board_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load_board("nowhere.yaml")
