"""What is demanded of a design: cycles, made once of what the user wrote and of the clock."""

import ast
from pathlib import Path

import pytest

from codesign.errors import InfeasibleError
from codesign.ir.demand import MOST_CYCLES, NO_DEMAND, Demand

SOURCES = Path(__file__).parent.parent / "codesign"


@pytest.mark.parametrize(
    ("clock_mhz", "fps", "most_us", "cycles"),
    [
        (100.0, None, None, (None, None)),
        (100.0, 20_000.0, None, (5000, None)),
        (100.0, 30_000.0, None, (3333, None)),  # 3,334 cycles would be too slow
        (100.0, None, 12.349, (None, 1234)),
        (187.5, 1e6, 1.0, (187, 187)),
        (100.0, 1e8, 0.01, (1, 1)),
    ],
)
def test_a_demand_is_the_most_cycles_that_keep_it(
    clock_mhz: float, fps: float | None, most_us: float | None, cycles: tuple[int | None, int | None]
) -> None:
    found = Demand.at(clock_mhz, fps, most_us)
    assert (found.interval_cycles, found.latency_cycles) == cycles
    assert found.is_made is (cycles != (None, None))


def test_a_demand_of_less_than_a_cycle_is_refused_by_the_name_that_the_user_wrote() -> None:
    with pytest.raises(InfeasibleError, match=r"^min_fps: 1.00001e\+08 is more than one image a cycle at 100 MHz"):
        Demand.at(100.0, min_fps=1.00001e8)
    with pytest.raises(InfeasibleError, match=r"^max_latency_us: 0.009 is less than a cycle at 100 MHz"):
        Demand.at(100.0, max_latency_us=0.009)
    for cycles in (0, -1, MOST_CYCLES + 1):
        with pytest.raises(ValueError, match=r"interval_cycles: expected 1 to 1,099,511,627,776"):
            Demand(interval_cycles=cycles)


def test_what_misses_a_demand_is_named_with_both_figures() -> None:
    demand = Demand(interval_cycles=10, latency_cycles=30)
    assert demand.excess(10, 30) == ()
    assert demand.excess(11, 30) == (("cycles between images", 11, 10),)
    assert demand.excess(10, 31) == (("cycles for an image", 31, 30),)
    assert NO_DEMAND.excess(MOST_CYCLES, MOST_CYCLES) == ()
    assert (demand.slow(11), demand.late(31), NO_DEMAND.slow(11), NO_DEMAND.late(31)) == (True, True, False, False)


@pytest.mark.skipif(not SOURCES.exists(), reason="not in a checkout")
def test_no_other_file_makes_cycles_of_what_the_user_wrote() -> None:
    """Arithmetic on `min_fps` or `max_latency_us` is in ir/demand.py alone."""
    found = []
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.BinOp | ast.Compare):
                names = {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
                names |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
                is_test = isinstance(node, ast.Compare) and all(isinstance(op, ast.Is | ast.IsNot) for op in node.ops)
                if names & {"min_fps", "max_latency_us"} and not is_test:
                    found.append(path.name)
    assert set(found) == {"demand.py"}
