"""The race between co-searches: its rivals on a toy problem, its store, and its page."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from race import plot, rivals
from race.children import Children
from race.controller import reinforcement
from race.final import Final, Measured, Trained
from race.page import page
from race.problem import Candidate, Judge, Limit, Problem, Scored, Step, best_arrays
from race.settings import ABLATIONS, BUDGETS, CHILDREN, PROFILES, RACE, SEEDS, Cell, Method, ProxySettings, all_cells
from race.store import Result, Search, Store, unmeasured
from race.tiny import Found, Tiny, space
from race.tiny import board as small_board
from race.tiny import text as tiny_text

from codesign.ir.cost import Resources
from codesign.ir.dataset import Dataset
from codesign.nets.space import decisions
from codesign.search.arrays import ArrayTable

pytestmark = pytest.mark.torch

SIZES = (4, 3, 4, 3, 4)  # decisions about the network; each of the first four is also the size of a block
LANES = np.array([1, 2, 4, 8])
LIMIT = Limit(evaluations=40, points=600)


def toy_accuracy(row: tuple[int, ...]) -> float:
    """Larger is better, but neighbours should match, and the last decision is a matter of taste."""
    mismatch = sum(abs(a - b) for a, b in itertools.pairwise(row[:4]))
    return 0.5 + 0.03 * sum(row[:4]) - 0.02 * mismatch - 0.01 * abs(row[4] - 2)


def toy_tables(row: tuple[int, ...]) -> list[ArrayTable]:
    work = [24 * (1 + size) for size in row[:4]]
    return [
        ArrayTable(-(-w // LANES), np.stack([LANES * 3, np.full(4, size)], axis=1))
        for w, size in zip(work, row[:4], strict=True)
    ]


def toy(target: int = 24, budget: int = 30) -> Problem:
    limits = np.array([budget, 100.0])

    def exact(row: tuple[int, ...]) -> int | None:
        problem = toy(target, budget)
        choice = best_arrays(problem, row)
        return None if choice is None else problem.price(row, choice).interval

    return Problem(
        sizes=SIZES,
        arrays=(len(LANES),) * 4,
        target=target,
        budget=limits,
        lanes=budget // 3,
        middle=tuple(n // 2 for n in SIZES),
        setup_s=1.0,
        tables=toy_tables,
        legal=lambda row: row[0] + row[2] > 0,
        products=lambda row: 24 * sum(1 + size for size in row[:4]),
        accuracy=lambda row: Scored(toy_accuracy(row), 0.5),
        exact=exact,
    )


def raced(method: Method, seed: int, problem: Problem, limit: Limit = LIMIT) -> tuple[Candidate | None, Judge]:
    judge = Judge(problem, limit)
    if method is Method.RL:
        return reinforcement(judge, seed), judge
    search = {
        Method.RANDOM: rivals.random_joint,
        Method.EVOLUTION: rivals.evolution,
        Method.FIXED: rivals.fixed,
        Method.TWO_STEP: rivals.two_step,
        Method.SEMI_DECOUPLED: rivals.semi_decoupled,
    }[method]
    return search(judge, np.random.default_rng(seed)), judge


BLACK_BOX = (Method.RANDOM, Method.EVOLUTION, Method.FIXED, Method.TWO_STEP, Method.SEMI_DECOUPLED, Method.RL)


def optimum(problem: Problem) -> float:
    rows = itertools.product(*(range(n) for n in SIZES))
    return max(
        toy_accuracy(r) for r in rows if problem.legal(r) and (problem.exact(r) or problem.target + 1) <= problem.target
    )


@pytest.mark.parametrize("method", BLACK_BOX)
def test_a_result_meets_the_demand_and_is_in_the_space(method: Method) -> None:
    problem = toy()
    best, judge = raced(method, 1, problem)
    assert best is not None
    assert best is judge.best
    assert problem.legal(best.row)
    assert best.accuracy == toy_accuracy(best.row)
    if best.choice is None:
        assert problem.exact(best.row) == best.interval <= problem.target
    else:
        assert problem.price(best.row, best.choice).meets
        assert best.interval <= problem.target
    assert best.accuracy <= optimum(problem)
    assert [s.accuracy for s in judge.course] == sorted({s.accuracy for s in judge.course})


@pytest.mark.parametrize("method", BLACK_BOX)
def test_a_seed_gives_the_same_result_and_the_same_counts(method: Method) -> None:
    (a, first), (b, second) = (raced(method, 3, toy()) for _ in range(2))
    assert a == b
    assert (first.evaluations, first.points, first.designs) == (second.evaluations, second.points, second.designs)


@pytest.mark.parametrize("method", BLACK_BOX)
def test_a_search_ends_at_its_limit(method: Method) -> None:
    _, judge = raced(method, 2, toy(), Limit(evaluations=10, points=500))
    trials = rivals.HALVINGS if method is Method.TWO_STEP else 1
    assert 0 < judge.evaluations <= 10 * trials
    assert judge.points <= 500 * trials


@pytest.mark.parametrize("method", BLACK_BOX)
def test_nothing_is_found_where_nothing_fits(method: Method) -> None:
    best, judge = raced(method, 0, toy(target=3, budget=12), Limit(evaluations=20, points=200))
    assert best is None
    assert judge.course == []


def test_searches_that_learn_are_not_below_random() -> None:
    problem, limit = toy(budget=24), Limit(evaluations=60, points=1200)
    mean = {}
    for method in (Method.RANDOM, Method.EVOLUTION, Method.RL):
        found = [raced(method, seed, problem, limit)[0] for seed in range(3)]
        mean[method] = float(np.mean([0.0 if best is None else best.accuracy for best in found]))
    assert mean[Method.EVOLUTION] >= mean[Method.RANDOM]
    assert mean[Method.RL] >= mean[Method.RANDOM]
    assert mean[Method.EVOLUTION] > 0.95 * optimum(problem)


def test_seconds_count_what_an_accuracy_took_when_it_was_measured() -> None:
    judge = Judge(toy(), LIMIT)
    judge.accuracy((1, 1, 1, 1, 1))
    judge.accuracy((1, 1, 1, 1, 1))
    judge.accuracy((1, 1, 1, 1, 2))
    assert judge.evaluations == 2
    assert 2.0 <= judge.seconds < 2.5  # the proxy's second, and twice half a second


def test_the_best_arrays_are_those_of_brute_force() -> None:
    problem = toy(budget=33)
    for row in ((0, 0, 1, 0, 0), (3, 2, 3, 2, 1), (1, 2, 0, 1, 3)):
        prices = [problem.price(row, c) for c in itertools.product(range(4), repeat=4)]
        over = np.log(np.maximum([p.interval for p in prices], problem.target) / problem.target)
        fitting = [p.interval for p, v in zip(prices, over, strict=True) if abs(p.violation - v) < 1e-12]
        choice = best_arrays(problem, row)
        assert choice is not None
        assert problem.price(row, choice).interval == min(fitting)


# Store and page.


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
    raced, demands = len(RACE) + len(ABLATIONS), [len(budgets) for budgets in BUDGETS.values()]
    assert len(set(cells)) == len(cells) == raced * len(SEEDS) * sum(demands) + len(CHILDREN) * demands[0]
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
    assert "15.00 points above the best of the 2 of 7 rivals that ran, reinforcement learning, joint" in text
    assert "Nothing that meets the demand: random, joint" in text
    assert "| regularised evolution, joint | missing |" in text
    assert text.count(f"### {BOARD}, {FPS:,} FPS") == 1
    drawing = plot.plot(store)
    assert drawing.count("<circle") == 2 + 2
    assert drawing.startswith("<svg")


def test_the_controller_is_compared_by_the_accuracies_that_it_was_judged_by(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for method, accuracy, course in (
        (Method.OURS, 0.9, (Step(0, 5.0, 0.6), Step(16, 50.0, 0.9))),
        (Method.RL, 0.8, (Step(30, 40.0, 0.8),)),
        (Method.OURS_CHILDREN, 0.9, (Step(0, 5.0, 0.72), Step(16, 50.0, 0.9))),
        (Method.RL_CHILDREN, 0.7, (Step(3, 30.0, 0.5), Step(70, 600.0, 0.7))),
    ):
        result = made(cell(method), accuracy)
        search = replace(result.search, proxy_accuracy=accuracy, course=course)
        store.save(replace(result, search=search))
    text = page(store)
    assert "| 80.0 % | 30 | 40 | 16 | 50 | 0.8 times |" in text
    assert "| 70.0 % | 70 | 600 | 0 | 5 | 120 times |" in text


def test_every_child_is_trained_on_its_own_and_only_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (60, 8, 8, 1), dtype=np.uint8), np.arange(60) % 4
    data = Dataset(name="d", source="t", train_x=x, train_y=y, test_x=x[:4], test_y=y[:4], classes=("a", "b", "c", "d"))
    row = tuple(0 for _ in decisions(space()))

    def asked(folder: Path) -> Scored:
        settings = ProxySettings(images=40, epochs=1, score_images=20)
        return Children(space(), data, settings, 0, folder).accuracy(row)

    first = asked(tmp_path / "a")
    assert first.accuracy * 20 == pytest.approx(round(first.accuracy * 20))
    assert asked(tmp_path / "a") == first
    assert asked(tmp_path / "b").accuracy == first.accuracy


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
