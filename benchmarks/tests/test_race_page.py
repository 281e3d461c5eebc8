"""The race between co-searches: which cells there are, where they are kept, and the page that is made of them."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from race import plot
from race.final import Final, Measured, Trained
from race.page import page
from race.problem import Step
from race.settings import ABLATIONS, BUDGETS, CHILDREN, PROFILES, RACE, SEEDS, Cell, Method, all_cells
from race.store import Result, Search, Store, unmeasured
from race.tiny import Found, Tiny, space
from race.tiny import board as small_board
from race.tiny import text as tiny_text

from codesign.ir.cost import Resources
from codesign.nets.space import decisions

pytestmark = pytest.mark.torch


def made(cell: Cell, accuracy: float | None, key: str = "k", profile: str = "short") -> Result:
    search = Search(
        row=None if accuracy is None else (1, 2),
        choice=None,
        choices=(),
        evaluations=20,
        points=300,
        designs=1,
        seconds=12.0,
        setup_s=5.0,
        proxy_accuracy=accuracy,
        course=() if accuracy is None else (Step(3, 4.0, accuracy),),
    )
    final = None
    if accuracy is not None:
        interval = 100_000_000 // cell.fps
        final = Final(
            network="n",
            trained=Trained(
                float_accuracy=accuracy,
                quantized_accuracy=accuracy,
                golden_accuracy=accuracy,
                test_images=10_000,
                seconds=1.0,
            ),
            interval_cycles=interval,
            fps=1e8 / interval,
            measured=Measured(
                predicted_interval_cycles=interval,
                interval_cycles=interval,
                latency_cycles=2 * interval,
                images=6,
                fps=1e8 / interval,
                resources=Resources(dsp=1),
                seconds=1.0,
            ),
            exact_interval_cycles=interval,
            exact_fps=1e8 / interval,
        )
    return Result(
        cell=cell,
        profile=profile,
        key=key,
        settings={"space": "toy"},
        target_cycles=100_000_000 // cell.fps,
        search=search,
        final=final,
        machine="m",
    )


BOARD = next(iter(BUDGETS))
FPS = BUDGETS[BOARD][1]


def cell(method: Method, seed: int = 0) -> Cell:
    return Cell(board=BOARD, fps=FPS, method=method, seed=seed)


def test_cells_are_all_there_once() -> None:
    cells = all_cells()
    demands = [len(budgets) for budgets in BUDGETS.values()]
    raced, ablated = len(RACE) * len(SEEDS) * sum(demands), len(ABLATIONS) * len(SEEDS) * demands[0]
    assert len(set(cells)) == len(cells) == raced + ablated + len(CHILDREN) * demands[0]
    assert {c.method for c in cells[: len(Method)]} == set(Method)
    assert len({(c.board, c.fps, c.seed) for c in cells[: len(Method)]}) == 1


def test_the_store_gives_back_what_it_was_given(tmp_path: Path) -> None:
    store, result = Store(tmp_path), made(cell(Method.OURS), 0.875)
    store.save(result)
    assert store.find(result.cell, "short") == result
    assert store.find(result.cell, "short", "k") == result
    assert store.find(result.cell, "short", "other settings") is None
    assert store.find(cell(Method.DNA), "short") is None


def test_profiles_do_not_overwrite_one_another(tmp_path: Path) -> None:
    store, short = Store(tmp_path), made(cell(Method.OURS), 0.875)
    full = replace(short, profile="full")
    store.save(short)
    assert store.find(short.cell, "full") is None
    store.save(full)
    assert store.all() == [full, short]


@pytest.mark.parametrize("damage", ["", "{", '{"format": 1}', "[]", '{"format": 99}'])
def test_a_damaged_file_counts_as_not_there(tmp_path: Path, damage: str) -> None:
    store, result = Store(tmp_path), made(cell(Method.OURS), 0.875)
    store.save(result).write_text(damage)
    assert store.find(result.cell, "short") is None
    assert store.all() == []


def test_finished_cells_are_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = pytest.importorskip("cosearch")
    ran = []

    class Race:
        def finished(self, cell: Cell, *, simulate: bool) -> bool:
            return store.find(cell, "short", "k") is not None

        def run(self, cell: Cell, tell: object, *, simulate: bool) -> Result:
            ran.append(cell)
            result = made(cell, 0.5)
            store.save(result)
            return result

    store = Store(tmp_path)
    cells = [cell(m) for m in (Method.OURS, Method.DNA, Method.RL)]
    store.save(made(cells[1], 0.7))
    for _ in range(2):
        assert command.run_cells(Race(), cells, "short", store) == 0
    assert ran == [cells[0], cells[2]]
    assert "3 of 3 cells are finished" in capsys.readouterr().err


def test_the_page_shows_what_is_missing_and_what_was_not_found(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert "no results yet" in page(store)
    assert "no results yet" in plot.plot(store)
    store.save(made(cell(Method.OURS), 0.9))
    store.save(made(cell(Method.OURS, 1), 0.8))
    store.save(made(cell(Method.RL), 0.7))
    store.save(made(cell(Method.RANDOM), None))
    text = page(store)
    assert f"4 of {len(all_cells())} cells" in text
    assert "85.00 (80.00 to 90.00)" in text
    one = "20.00 points above, with one seed and no error known, the best of the 2 of 8 rivals that ran, reinforcement"
    assert one in text
    assert "Nothing that meets the demand: random, joint" in text
    assert "| regularised evolution, joint | missing |" in text
    assert text.count(f"### {BOARD}, {FPS:,} FPS") == 1
    drawing = plot.plot(store)
    assert drawing.count("<circle") == 2 + 2
    assert drawing.startswith("<svg")


def test_the_controller_is_compared_by_the_accuracies_that_it_was_judged_by(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for method, accuracy, seconds, course in (
        (Method.OURS, 0.9, 60.0, (Step(0, 5.0, 0.6), Step(16, 50.0, 0.9))),
        (Method.RL, 0.8, 100.0, (Step(30, 40.0, 0.8),)),
        (Method.OURS_CHILDREN, 0.9, 60.0, (Step(0, 5.0, 0.72), Step(16, 50.0, 0.9))),
        (Method.RL_CHILDREN, 0.7, 1000.0, (Step(3, 30.0, 0.5), Step(70, 600.0, 0.7))),
    ):
        result = made(cell(method), accuracy)
        search = replace(result.search, proxy_accuracy=accuracy, course=course, seconds=seconds)
        store.save(replace(result, search=search))
    text = page(store)
    assert "| 80.0 % | 30 | 40 | 100 | 16 | 50 | 0.8 times | 2.0 times |" in text
    assert "| 70.0 % | 70 | 600 | 1,000 | 0 | 5 | 120 times | 200 times |" in text


def test_profiles_and_settings_are_never_mixed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(made(cell(Method.OURS), 0.9, profile="full"))
    store.save(made(cell(Method.OURS, 1), 0.8))
    store.save(made(cell(Method.OURS, 2), 0.7, key="older"))
    text = page(store)
    assert text.count("## Profile full") == 1
    assert text.count("## Profile short") == 2
    assert "(70.00 to" not in text
    assert "(80.00 to" not in text


def test_a_changed_part_is_judged_by_pairs_of_one_seed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed, own, other in ((0, 0.90, 0.89), (1, 0.80, 0.77)):
        store.save(made(cell(Method.OURS, seed), own))
        store.save(made(cell(Method.OURS_SUM, seed), other))
    store.save(made(cell(Method.OURS_HETEROGENEOUS, 2), 0.95))  # no cell of ours with that seed
    text = page(store)
    assert "- ours, sum in place of bottleneck: -2.00 ± 1.00 (2 seeds, 2 pairs)" in text
    assert "heterogeneous sampling of bits: " not in text


def test_demands_of_one_seed_count_as_one(tmp_path: Path) -> None:
    """They share images and supernet; as many pairs as there are demands would make differences look surer."""
    store, other = Store(tmp_path), BUDGETS[BOARD][0]
    for seed, gap in ((0, 0.01), (1, 0.03)):
        for fps in (FPS, other):
            store.save(made(replace(cell(Method.OURS, seed), fps=fps), 0.9))
            store.save(made(replace(cell(Method.DNA, seed), fps=fps), 0.9 - gap))
    text = page(store)
    assert "- DNA's hardware search: -2.00 ± 1.00 (2 seeds, 4 pairs)" in text
    assert "ours is 2.00 ± 1.00 points above, not told apart from it." in text


def test_a_difference_within_twice_its_error_is_called_none(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed, own, other in ((0, 0.90, 0.88), (1, 0.90, 0.87), (2, 0.90, 0.88)):
        store.save(made(cell(Method.OURS, seed), own))
        store.save(made(cell(Method.DNA, seed), other))
    assert "ours is 2.33 ± 0.33 points above the best" in page(store)
    store.save(made(cell(Method.DNA, 2), 0.93))
    assert "points above, not told apart from the best" in page(store)


def test_a_result_that_is_too_slow_does_not_count(tmp_path: Path) -> None:
    store, result = Store(tmp_path), made(cell(Method.OURS), 0.9)
    assert result.final is not None
    assert result.final.measured is not None
    slow = replace(result.final.measured, interval_cycles=result.target_cycles + 1)
    store.save(replace(result, final=replace(result.final, measured=slow)))
    assert "1, 1 without a result" in page(store)


def test_what_is_not_simulated_yet_stands_as_predicted_only(tmp_path: Path) -> None:
    store, result = Store(tmp_path), made(cell(Method.OURS), 0.9)
    assert result.final is not None
    waiting = replace(result, final=replace(result.final, measured=None))
    store.save(waiting)
    pace = f"{result.final.fps:,.0f}"
    assert not unmeasured(result)
    assert unmeasured(waiting)
    assert f"| 90.00 | {pace} |  | {pace} |" in page(store)
    store.save(made(cell(Method.OURS, 1), 0.9))
    assert f"| {pace} (1 of 2) |" in page(store)
    assert '#fff" stroke' in plot.plot(store)


def test_stored_cells_are_of_their_names() -> None:
    folder = Path(__file__).parent.parent / "benchmarks" / "results" / "cosearch"
    for path in folder.glob("*/*.json"):
        plain = json.loads(path.read_text())["cell"]
        found = Cell(**{**plain, "method": Method(plain["method"])})
        assert found.path == path.name
        assert Store(folder).find(found, path.parent.name) is not None, path
    assert {path.parent.name for path in folder.rglob("*.json")} <= set(PROFILES)


def tiny(**changes: object) -> Tiny:
    rows = list(itertools.product(*(range(len(d.options)) for d in decisions(space()))))
    accuracies = {tiny_text(row): 0.5 + 0.001 * sum(row) for row in rows}
    intervals = {tiny_text(row): 1000 * (1 + row[0]) for row in rows}
    best = max((row for row in rows if row[0] == 0), key=lambda row: accuracies[tiny_text(row)])
    found = (
        Found(seed=0, row=best, asked=9, seconds=1.0),
        Found(seed=1, row=rows[0], asked=9, seconds=1.0),
    )
    known = Tiny(digest="d", accuracies=accuracies, intervals=intervals, target_cycles=1000, optimum=best, found=found)
    return replace(known, **changes)  # type: ignore[arg-type]


def test_the_page_says_how_often_a_known_optimum_is_found(tmp_path: Path) -> None:
    known = tiny()
    text = page(Store(tmp_path), known)
    assert known.hits == 1
    assert known.meeting == len(known.accuracies) // 2
    assert "finds the optimum in 1 of 2 seeds" in text
    assert "The other seeds end with 50.00 %" in text
    assert "0 of 192 networks are trained" in page(Store(tmp_path), tiny(accuracies={}))
    assert "Missing." in page(Store(tmp_path))


def test_the_tiny_space_is_complete_and_its_board_binds() -> None:
    assert space().networks == 192
    assert len(decisions(space())) == 10
    assert small_board().budget.lut < 2000
