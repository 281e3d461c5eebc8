"""The race between co-searches: which cells there are, where they are kept, and what is concluded from them."""

import itertools
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from race import plot
from race.final import Final, Measured, Trained
from race.page import page, reach
from race.problem import Step
from race.settings import ABLATIONS, BUDGETS, CHILDREN, RACE, RESULTS, SEEDS, Cell, Method, all_cells
from race.store import Result, Search, Store, key_of, unmeasured
from race.summary import Estimate, differences, groups, met
from race.summary import accuracy as accuracy_of
from race.tiny import Found, Tiny, space
from race.tiny import board as small_board
from race.tiny import text as tiny_text

from codesign.errors import ConfigError
from codesign.ir.cost import Resources
from codesign.networks.space import decisions

pytestmark = pytest.mark.torch


def made(cell: Cell, accuracy: float | None, key: str = "k", profile: str = "short") -> Result:
    search = Search(
        row=None if accuracy is None else (1, 2),
        choice=None,
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


def test_a_result_without_an_end_or_a_simulation_is_kept_as_it_is(tmp_path: Path) -> None:
    store, whole = Store(tmp_path), made(cell(Method.OURS), 0.875)
    assert whole.final is not None
    nothing = made(cell(Method.RL), None)
    waiting = replace(whole, final=replace(whole.final, measured=None))
    chosen = replace(whole, cell=cell(Method.DNA), search=replace(whole.search, choice=(0, 7, 3)))
    slow = replace(waiting, cell=cell(Method.FIXED), final=replace(waiting.final, interval_cycles=None, fps=None))
    for result in (nothing, waiting, chosen, slow):
        store.save(result)
        assert store.find(result.cell, "short") == result
    store.save(whole)
    assert store.all() == [whole, chosen, slow, nothing]


def test_equal_results_are_equal_bytes_in_whatever_order_they_came(tmp_path: Path) -> None:
    results = [made(cell(method, seed), 0.5) for method in (Method.RL, Method.OURS) for seed in (1, 0)]
    texts = []
    for name, order in (("a", results), ("b", results[::-1])):
        store = Store(tmp_path / name)
        for result in (*order, order[0]):
            store.save(result)
        texts.append(store.cells.read_text())
    assert texts[0] == texts[1]
    assert texts[0].count("\n") == 1 + len(results)


def test_a_row_of_older_settings_stays_until_its_cell_is_done_again(tmp_path: Path) -> None:
    store, old = Store(tmp_path), made(cell(Method.OURS), 0.5, key="older")
    store.save(old)
    store.save(made(cell(Method.RL), 0.5))
    assert store.find(old.cell, "short") == old
    store.save(made(old.cell, 0.6))
    assert store.find(old.cell, "short", "older") is None
    assert "older" not in store.settings.read_text()


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    """Threads suffice here: a lock is held by an open file, whichever process or thread opened it."""
    cells = [cell(method, seed) for method in RACE for seed in SEEDS]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda c: Store(tmp_path).save(made(c, 0.5)), cells))
    assert len(Store(tmp_path).all()) == len(cells)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "", "not a whole table"),
        (lambda text: "board,fps\n", "expected the columns cell.board"),
        (lambda text: text[:-20], "row 1: expected"),
        (lambda text: text + text.splitlines()[1] + "\n", "stands there twice"),
        (lambda text: text.replace(",0.875,", ",much,"), "'much'"),
        (lambda text: text.replace(",ours,", ",theirs,"), "theirs"),
    ],
)
def test_a_damaged_table_is_refused_and_stays_as_it_is(
    tmp_path: Path, damage: Callable[[str], str], message: str
) -> None:
    store, result = Store(tmp_path), made(cell(Method.OURS), 0.875)
    store.save(result)
    text = damage(store.cells.read_text())
    store.cells.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)):
        store.all()
    if message != "'much'":  # a row that nobody asks for is copied as it is
        with pytest.raises(ConfigError, match=re.escape(message)):
            store.save(made(cell(Method.RL), 0.5))
        assert store.cells.read_text() == text


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


def test_the_pages_run_on_a_small_table_and_name_its_columns(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert "no results yet" in page(store)
    assert plot.plot(store).startswith("<svg")
    for method, accuracy in ((Method.OURS, 0.9), (Method.RL, 0.7), (Method.RANDOM, None), (Method.OURS_SUM, 0.8)):
        store.save(made(cell(method), accuracy))
    text = page(store, tiny())
    for column in ("Method", "Seeds", "Accuracy, %", "FPS measured", "Evaluations", "RL: accuracy as judged"):
        assert f"| {column} |" in text
    assert "finds the optimum in 1 of 2 seeds" in text
    assert plot.plot(store).count("<circle") == 2 + 2


def test_both_courses_are_compared_from_where_the_controller_reaches_its_best() -> None:
    for accuracy, seconds, course, expected in (
        (0.8, 100.0, (Step(30, 40.0, 0.8),), ("80.0 %", "30", "40", "100", "16", "50", "0.8 times", "2.0 times")),
        (
            0.7,
            1000.0,
            (Step(3, 30.0, 0.5), Step(70, 600.0, 0.7)),
            ("70.0 %", "70", "600", "1,000", "0", "5", "120 times", "200 times"),
        ),
    ):
        own, theirs = made(cell(Method.OURS), 0.9), made(cell(Method.RL), accuracy)
        own = replace(own, search=replace(own.search, course=(Step(0, 5.0, 0.72), Step(16, 50.0, 0.9))))
        theirs = replace(theirs, search=replace(theirs.search, course=course, seconds=seconds))
        assert reach("name", own, theirs) == ("name", *expected)


def test_profiles_and_settings_are_never_mixed() -> None:
    results = [
        made(cell(Method.OURS), 0.9, profile="full"),
        made(cell(Method.OURS, 1), 0.8),
        made(cell(Method.OURS, 2), 0.7, key="older"),
    ]
    assert [group.results for group in groups(results)] == [(result,) for result in results]


def test_a_changed_part_is_judged_by_pairs_of_one_seed() -> None:
    results = [made(cell(Method.OURS_HETEROGENEOUS, 2), 0.95)]  # no cell of ours with that seed
    for seed, own, other in ((0, 0.90, 0.89), (1, 0.80, 0.77)):
        results += [made(cell(Method.OURS, seed), own), made(cell(Method.OURS_SUM, seed), other)]
    group = groups(results)[0]
    gaps = differences(group, Method.OURS_SUM, group.demands())
    assert gaps == {0: [pytest.approx(-0.01)], 1: [pytest.approx(-0.03)]}
    assert Estimate.of(gaps) == Estimate(pytest.approx(-0.02), pytest.approx(0.01))
    assert differences(group, Method.OURS_HETEROGENEOUS, group.demands()) == {}


def test_demands_of_one_seed_count_as_one() -> None:
    """They share images and supernet. As many pairs as there are demands would make differences look surer."""
    results, other = [], BUDGETS[BOARD][0]
    for seed, gap in ((0, 0.01), (1, 0.03)):
        for fps in (FPS, other):
            results.append(made(replace(cell(Method.OURS, seed), fps=fps), 0.9))
            results.append(made(replace(cell(Method.DNA, seed), fps=fps), 0.9 - gap))
    group = groups(results)[0]
    found = Estimate.of(differences(group, Method.DNA, group.demands()))
    assert found == Estimate(pytest.approx(-0.02), pytest.approx(0.01))
    assert found is not None
    assert not found.is_clear


def test_a_difference_within_twice_its_error_is_called_none() -> None:
    clear, unclear = (Estimate.of({0: [0.02], 1: [0.03], 2: [last]}) for last in (0.02, -0.03))
    assert clear is not None
    assert unclear is not None
    assert (clear.is_clear, unclear.is_clear) == (True, False)
    one = Estimate.of({0: [0.02]})
    assert one == Estimate(0.02, None)
    assert not one.is_clear


def test_a_result_that_is_too_slow_does_not_count() -> None:
    result = made(cell(Method.OURS), 0.9)
    assert result.final is not None
    assert result.final.measured is not None
    slow = replace(result.final.measured, interval_cycles=result.target_cycles + 1)
    late = replace(result, final=replace(result.final, measured=slow))
    assert (met(result), met(late), met(made(cell(Method.OURS), None))) == (True, False, False)
    assert accuracy_of([late]) is None


def test_what_is_not_simulated_yet_counts_as_predicted() -> None:
    result = made(cell(Method.OURS), 0.9)
    assert result.final is not None
    waiting = replace(result, final=replace(result.final, measured=None))
    unfit = replace(result, final=replace(waiting.final, interval_cycles=None, fps=None))
    assert [unmeasured(r) for r in (result, waiting, unfit)] == [False, True, False]
    assert [met(r) for r in (result, waiting, unfit)] == [True, True, False]


def test_stored_results_are_whole_and_of_their_settings() -> None:
    store = Store(RESULTS)
    found = store.all()
    assert len(found) == store.cells.read_text().count("\n") - 1 > 0
    assert all(result.key == key_of(result.settings) for result in found)


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


def test_a_known_optimum_is_found_where_its_accuracy_is() -> None:
    known = tiny()
    assert known.hits == 1
    assert known.meeting == len(known.accuracies) // 2
    assert tiny(optimum=None).hits == 0


def test_the_tiny_space_is_complete_and_its_board_binds() -> None:
    assert space().networks == 192
    assert len(decisions(space())) == 10
    assert small_board().budget.lut < 2000
