"""The race between co-searches: its rivals on a toy problem."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from race import gradient, rivals
from race.children import Children
from race.controller import reinforcement
from race.problem import Candidate, Judge, Limit, Problem, Scored, best_arrays
from race.proxy import Book
from race.setting import Ground, network_of, part_of, translated
from race.settings import Cell, Method, ProxySettings
from race.tiny import space
from race.unsearched import unsearched

from codesign.cosearch.accelerators import Accelerators
from codesign.cosearch.arrays import ARRAYS, ArrayTable
from codesign.cosearch.cosearch import CosearchResult, cosearch
from codesign.cosearch.row import Row
from codesign.ir.boards import load_board
from codesign.ir.dataset import Dataset
from codesign.networks.space import decisions, middle, sizes
from codesign.progress import silent
from codesign.testing.small_search import tiny_config, tiny_data, tiny_space, tiny_task
from codesign.testing.spaces import turned

pytestmark = pytest.mark.torch

SIZES = (4, 3, 4, 3, 4)  # decisions about the network; each of the first four is also the size of a block
LANES = np.array([1, 2, 4, 8])
LIMIT = Limit(evaluations=40, points=600)


def toy_accuracy(row: tuple[int, ...]) -> float:
    """Return an accuracy: larger is better, but neighbours should match, and the last decision is a matter of taste."""
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


def test_what_no_search_found_meets_the_demand_and_is_grown() -> None:
    board = part_of(load_board("pynq-z2"), 0.1)
    ground = Ground(tiny_space(), tiny_data(), board, minimum_depth=2)
    problem = ground.problem(500_000.0, lambda row: Scored(0.5, 0.0), 0.0)
    config = tiny_config(trained_finalists=1)
    found = unsearched(Judge(problem, LIMIT), ground, ground.space, config, silent)
    assert found is not None
    assert found.interval <= problem.target == 200
    accelerators = Accelerators(tiny_task(board))
    for at, order in sizes(tiny_space()):
        for larger in order[order.index(found.row[at]) + 1 :]:
            other = accelerators.design(Row(found.row).changed(at, larger))
            assert other is None or other.interval_cycles > problem.target
    hopeless = ground.problem(50e6, problem.accuracy, 0.0)
    assert unsearched(Judge(hopeless, LIMIT), ground, ground.space, replace(config, min_fps=50e6), silent) is None


def test_a_turned_space_has_the_same_networks_and_begins_elsewhere() -> None:
    space = tiny_space()
    other = turned(space)
    assert turned(other) == space
    assert middle(other) != translated(middle(space), space, other)
    assert [d.options[0] for d in decisions(other) if "operator" in d.name] == ["conv5", "inverted3x2", "separable3"]
    rng = np.random.default_rng(0)
    for _ in range(20):
        row = tuple(int(rng.integers(len(d.options))) for d in decisions(space))
        there = translated(row, space, other)
        assert network_of(other, tiny_data(), there) == network_of(space, tiny_data(), row)
        assert translated(there, other, space) == row


@pytest.mark.parametrize(
    ("method", "trained"),
    [
        (Method.OURS, 3),
        (Method.OURS_NEIGHBOURS, 5),
        (Method.OURS_ELSEWHERE, 3),
        (Method.OURS_ELSEWHERE_NEIGHBOURS, 5),
        (Method.DNA, 3),
    ],
)
def test_a_search_by_gradient_is_told_in_the_rows_of_the_race(
    method: Method, trained: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = Ground(tiny_space(), tiny_data(), part_of(load_board("pynq-z2"), 0.1), minimum_depth=2)
    judged: list[tuple[int, ...]] = []

    def accuracy(row: tuple[int, ...]) -> Scored:
        judged.append(row)
        return Scored(0.5, 0.0)

    problem = ground.problem(500_000.0, accuracy, 0.0)
    cell = Cell(board="pynq-z2", fps=500_000, method=method, seed=1)
    config = tiny_config(trained_finalists=3, enlarge=False)
    ended: list[CosearchResult] = []

    def heard(*arguments: object) -> CosearchResult:
        ended.append(cosearch(*arguments))  # type: ignore[arg-type]
        return ended[-1]

    monkeypatch.setattr(gradient, "cosearch", heard)
    found = gradient.search(cell, config, ground, problem, tmp_path, silent)
    assert found.row is not None
    named = {d.name: d.options[i] for d, i in zip(decisions(tiny_space()), found.row, strict=True)}
    assert named == dict(ended[0].choices[: len(named)])
    arrays = [option for _, option in ended[0].choices[len(named) :]]
    assert [str(ARRAYS[i]) for i in found.choice or ()] == arrays
    assert bool(arrays) is (method is Method.DNA)
    assert found.row in judged
    assert ground.legal(found.row)
    assert found.evaluations == 4 + trained  # finalists by shared weights, then what was trained
    assert all(ground.exact(row) is not None for row in judged)


def test_a_search_that_is_refused_before_it_begins_has_no_result(tmp_path: Path) -> None:
    ground = Ground(tiny_space(), tiny_data(), part_of(load_board("pynq-z2"), 0.1), minimum_depth=2)
    problem = ground.problem(50e6, lambda row: Scored(0.5, 0.0), 0.0)
    cell = Cell(board="pynq-z2", fps=50_000_000, method=Method.OURS, seed=0)
    found = gradient.search(cell, tiny_config(), ground, problem, tmp_path, silent)
    assert (found.row, found.points, found.course) == (None, 0, ())


def test_a_part_of_a_board_is_that_share_of_what_designs_may_take() -> None:
    whole, part = load_board("ultra96-v2"), part_of(load_board("ultra96-v2"), 0.25)
    assert part.resources == whole.resources
    for name in ("dsp", "bram18", "lut", "ff"):
        assert getattr(part.budget, name) == pytest.approx(getattr(whole.budget, name) / 4, abs=1)


def test_a_line_that_was_cut_off_costs_nothing_but_itself(tmp_path: Path) -> None:
    path, asked = tmp_path / "accuracies.jsonl", []

    def measure(row: tuple[int, ...]) -> float:
        asked.append(row)
        return 0.5

    Book(path, measure).accuracy((0, 1))
    for cut in ("[[0, 2]", "[[0", "x"):
        path.write_text(path.read_text() + cut)
        book = Book(path, measure)
        assert book.accuracy((0, 1)).accuracy == 0.5
        book.accuracy((3, len(cut)))
        assert Book(path, measure).accuracy((3, len(cut))).accuracy == 0.5
    assert len(asked) == 4
