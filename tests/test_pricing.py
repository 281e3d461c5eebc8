"""What networks cost in a search: tables rank as exact designs do, and their gradient points the right way."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from codesign.cosearch.accelerators import Accelerators  # noqa: E402
from codesign.cosearch.arrays import ARRAYS  # noqa: E402
from codesign.cosearch.beginnings import cheapest  # noqa: E402
from codesign.cosearch.choice import Draw, straight_through  # noqa: E402
from codesign.cosearch.chooser import Chooser  # noqa: E402
from codesign.cosearch.config import Objective, SearchConfig  # noqa: E402
from codesign.cosearch.dna import ArrayPricing  # noqa: E402
from codesign.cosearch.pricing import Pricing  # noqa: E402
from codesign.cosearch.repair import repaired  # noqa: E402
from codesign.cosearch.row import Row  # noqa: E402
from codesign.cosearch.task import Task  # noqa: E402
from codesign.cosearch.trainer import Trainer  # noqa: E402
from codesign.ir.board import Board  # noqa: E402
from codesign.ir.cost import Resources  # noqa: E402
from codesign.ir.demand import Demand  # noqa: E402
from codesign.nets.batches import generator  # noqa: E402
from codesign.networks.network import skeleton  # noqa: E402
from codesign.networks.space import decisions  # noqa: E402
from codesign.networks.spaces import load_space  # noqa: E402
from codesign.ops.shapes import Shape  # noqa: E402
from codesign.search.design import search_design  # noqa: E402
from codesign.testing.small_search import CPU, tiny_config, tiny_space, tiny_task  # noqa: E402

pytestmark = pytest.mark.torch


def fashion(board: Board, interval: int | None = None) -> Task:
    """The task of fashion images, with a demand of so many cycles."""
    labels, demand = tuple("abcdefghij"), Demand(interval_cycles=interval)
    space, shape = load_space("fashion"), Shape(28, 28, 1)
    return Task(name="n", space=space, shape=shape, labels=labels, board=board, demand=demand)


def test_table_costs_rank_networks_as_their_exact_designs_do(board: Board) -> None:
    """On fashion: the table, adapted to one network, against exact designs of the network's neighbours."""
    task = fashion(board, 900)
    pricing = Pricing(task)
    row = Row(tuple(min(1, n - 1) for n in pricing.sizes)).changed(2, 0)
    exact = search_design(skeleton(task.network(row)), board, explain=False).interval_cycles
    pricing.adapt(row, exact)
    assert pricing.reference * np.exp(pricing.log_cost(row)) == pytest.approx(exact, rel=0.15)
    tables = pricing.alternatives(row)
    pairs = []
    for i in (0, 2, 6, 12):
        for option in range(len(tables[i])):
            graph = skeleton(task.network(row.changed(i, option)))
            found = search_design(graph, board, explain=False).interval_cycles
            pairs.append((float(tables[i][option]), np.log(found / pricing.reference)))
    agree = [(a < b) == (x < y) for a, x in pairs for b, y in pairs if abs(x - y) > 0.1]
    assert len(agree) > 10
    assert np.mean(agree) > 0.85


def even_draws(trainer: Trainer, row: Row) -> list[Draw]:
    """The draws that give this network, with the gradient of even logits."""
    softs = [torch.softmax(x, 0) for x in trainer.chooser.logits]
    return [Draw(straight_through(soft, i), i, (i,), soft.detach()) for soft, i in zip(softs, row, strict=True)]


def log_intervals(accelerators: Accelerators, row: Row, at: int, size: int) -> list[float]:
    """The true cost of every option of one decision: log interval of the network's exact design."""
    found = [accelerators.design(row.changed(at, option)) for option in range(size)]
    return [np.log(f.interval_cycles) if f else np.inf for f in found]


@pytest.mark.parametrize("seed", range(8))
def test_the_gradient_of_the_cost_has_sign_and_ranking_of_finite_differences(board: Board, seed: int) -> None:
    """Of the exact design's interval, on a board so small that all engines compete for it."""
    small = replace(board, resources=Resources(dsp=20, bram18=40, uram=0, lut=5000, ff=10000))
    accelerators = Accelerators(tiny_task(small))
    sizes = [len(d.options) for d in decisions(tiny_space())]
    row = Row(tuple(int(i) for i in np.random.default_rng(seed).integers(sizes)))
    base = accelerators.design(row)
    assert base is not None
    pricing = Pricing(tiny_task(small, base.interval_cycles))
    pricing.adapt(row, base.interval_cycles)
    trainer = Trainer(tiny_task(small), tiny_config(min_fps=None, cost_weight=1.0), pricing, CPU)
    price, _ = trainer.chooser.price(even_draws(trainer, row))
    gradients = [g.numpy() for g in torch.autograd.grad(price, trainer.chooser.logits)]
    agree = []
    for i, gradient in enumerate(gradients):
        exact = np.array(log_intervals(accelerators, row, i, sizes[i]))
        apart = np.abs(exact[:, None] - exact) > 0.05  # closer ones a table does not tell apart
        agree += list(((gradient[:, None] < gradient) == (exact[:, None] < exact))[apart])
        moved = np.abs(exact - exact.mean()) > 0.05
        agree += list(((gradient < 0) == (exact < exact.mean()))[moved])
    assert len(agree) > 0
    assert np.mean(agree) >= 0.9


def test_alternatives_are_the_costs_of_the_changed_networks(board: Board) -> None:
    pricing = Pricing(tiny_task(board, 300))
    row = Row(tuple(min(1, n - 1) for n in pricing.sizes))
    for i, table in enumerate(pricing.alternatives(row)):
        for option, cost in enumerate(table):
            assert cost == pytest.approx(pricing.log_cost(row.changed(i, option)))


def test_prices_sum_to_one_and_survive_being_restored(board: Board) -> None:
    pricing = Pricing(tiny_task(board, 300))
    row = Row((0,) * len(pricing.sizes))
    pricing.adapt(row, 500)
    prices = np.array(pricing.state["prices"])
    assert prices.sum() == pytest.approx(1.0)
    assert (prices >= 0).all()
    other = Pricing(tiny_task(board, 300))
    other.restore(pricing.state)
    assert other.log_cost(row) == pricing.log_cost(row)


def test_options_that_no_fast_enough_network_has_are_closed(board: Board) -> None:
    task = fashion(board, 900)
    closed = [
        (d.name, d.options[i])
        for d, allowed in zip(task.decisions, Pricing(task).allowed(), strict=True)
        for i in np.flatnonzero(~allowed)
    ]
    assert closed == [("stage 0 block 0 operator", "conv5"), ("stage 0 block 1 operator", "separable5")]


def test_repair_ends_below_the_limit_and_changes_little(board: Board) -> None:
    task = fashion(board, 2000)
    pricing = Pricing(task)
    plain = ("operator", "pool")
    row = Row(tuple(0 if any(n in d.name for n in plain) else len(d.options) - 1 for d in task.decisions))
    assert pricing.log_cost(row) > 0
    logits = [[0.0] * n for n in pricing.sizes]
    found = repaired(pricing, logits, row, 0.0)
    assert found is not None
    assert pricing.log_cost(found) <= 0.0
    assert repaired(pricing, logits, cheapest(pricing, task.space, 4), -20.0) is None


def test_raising_the_weight_of_cost_makes_choices_cheaper(board: Board) -> None:
    def expected_cost(weight: float) -> float:
        pricing = Pricing(tiny_task(board, 300))
        trainer = Trainer(tiny_task(board), tiny_config(min_fps=None, cost_weight=weight), pricing, CPU)
        rng = generator(5)
        optimizer = torch.optim.Adam(trainer.chooser.logits, lr=0.1)
        for _ in range(40):
            price, _ = trainer.chooser.price(trainer.chooser.draw(rng, 1.0))
            optimizer.zero_grad()
            price.backward()
            optimizer.step()
        with torch.no_grad():
            rows = [trainer.chooser.drawn(trainer.chooser.draw(rng, 1.0)) for _ in range(60)]
        return float(np.mean([pricing.log_cost(r) for r in rows]))

    costs = [expected_cost(w) for w in (0.0, 0.02, 1.0)]
    assert costs[0] > costs[2]
    assert costs[2] < costs[1] + 0.05


def test_arrays_follow_a_network_before_it_is_changed(board: Board) -> None:
    task = fashion(board, 2500)
    pricing = ArrayPricing(task)
    chooser = Chooser(task, SearchConfig(min_fps=40_000.0), pricing, torch.device("cpu"))
    row = replace(chooser.likeliest(), network=tuple(len(d.options) // 2 for d in task.decisions))
    before = [x.clone() for x in chooser.logits[: chooser.networks]]
    at_first = pricing.log_cost(row)
    rng = torch.Generator().manual_seed(0)
    for _ in range(100):
        chooser.fit_arrays(row, 1.0, rng)
    assert at_first > 1.0
    fitted = replace(row, arrays=chooser.likeliest().arrays)
    assert pricing.log_cost(fitted) == pytest.approx(0.0)
    assert all(torch.equal(x, y) for x, y in zip(before, chooser.logits, strict=False))


def arrays_row(pricing: ArrayPricing, seed: int) -> Row:
    rng = np.random.default_rng(seed)
    return Row.of((int(rng.integers(size)) for size in pricing.sizes), pricing.networks)


@pytest.mark.parametrize("seed", range(6))
def test_alternatives_of_arrays_are_the_costs_of_the_changed_rows(board: Board, seed: int) -> None:
    pricing = ArrayPricing(tiny_task(board, 200 if seed % 2 else None), reference=200)
    row = arrays_row(pricing, seed)
    for i, table in enumerate(pricing.alternatives(row)):
        for option, cost in enumerate(table):
            assert cost == pytest.approx(pricing.log_cost(row.changed(i, option)))


@pytest.mark.parametrize("seed", range(6))
def test_a_design_of_chosen_arrays_has_the_cycles_of_their_tables(board: Board, seed: int) -> None:
    arrays = ArrayPricing(tiny_task(board, 200))
    row = arrays_row(arrays, seed)
    accelerators = Accelerators(tiny_task(board), arrays.arrays)
    found = accelerators.design(row)
    cost = arrays.arrays.cost(row)
    assert found is not None or not cost.fits
    if found is not None:
        assert found.interval_cycles == cost.interval_cycles


def test_beyond_the_board_arrays_cost_more_though_they_are_faster(board: Board) -> None:
    task = fashion(board, 3000)
    pricing = ArrayPricing(task)
    network = tuple(len(d.options) // 2 for d in task.decisions)
    costs = [pricing.log_cost(Row(network, (i,) * pricing.arrays.blocks)) for i in range(len(ARRAYS))]
    assert costs[-1] > min(costs)


@pytest.mark.parametrize("seed", range(8))
def test_the_gradient_of_arrays_has_the_sign_and_ranking_of_finite_differences(board: Board, seed: int) -> None:
    """Against the true cost of other arrays: the slowest block's interval and what is over the board.

    The smooth maximum adds at most log(blocks) / sharpness; differences below twice that are not asked about.
    """
    task = fashion(board)
    pricing = ArrayPricing(task, reference=3000)
    rng = np.random.default_rng(seed)
    blocks = pricing.arrays.blocks
    network = tuple(int(rng.integers(size)) for size in pricing.sizes[:-blocks])
    row, first = Row(network, tuple(int(rng.integers(len(ARRAYS))) for _ in range(blocks))), len(network)
    chooser = Chooser(task, SearchConfig(min_fps=None, cost_weight=1.0), pricing, CPU)

    def true_cost(row: Row) -> float:
        made = pricing.arrays.cost(row)
        over = np.log(np.maximum(made.counts, 1) / np.maximum(pricing.arrays.budget, 1))
        return float(np.log(made.interval_cycles / 3000) + 2.0 * np.maximum(over, 0).sum())

    softs = [torch.softmax(x, 0) for x in chooser.logits]
    draws = [Draw(straight_through(s, i), i, (i,), s.detach()) for s, i in zip(softs, row, strict=True)]
    chooser.price(draws)[0].backward()
    now, slack, pairs = true_cost(row), 2 * np.log(blocks) / 8.0, []
    for block in range(blocks):
        gradient = chooser.logits[first + block].grad
        assert gradient is not None
        mean = float(pricing.alternatives(row)[first + block].mean())
        for option in range(len(ARRAYS)):
            other = row.changed(first + block, option)
            change = true_cost(other) - now
            expected = (pricing.log_cost(other) - mean) / len(ARRAYS)
            assert float(gradient[option]) == pytest.approx(expected, rel=0.02, abs=2e-3)
            pairs.append((float(gradient[option]), change, block))
    wrong = [(a, b) for a in pairs for b in pairs if a[2] == b[2] and a[1] + slack < b[1] and a[0] >= b[0]]
    assert len(pairs) == blocks * len(ARRAYS)
    assert not wrong


@pytest.mark.parametrize("seed", range(4))
def test_the_sum_of_latencies_is_a_table_too(board: Board, seed: int) -> None:
    pricing = Pricing(tiny_task(board, 200), Objective.SUM)
    rng = np.random.default_rng(seed)
    row = Row(tuple(int(rng.integers(size)) for size in pricing.sizes))
    for i, table in enumerate(pricing.alternatives(row)):
        for option, cost in enumerate(table):
            assert cost == pytest.approx(pricing.log_cost(row.changed(i, option)))
    pricing.adapt(row, 400)
    assert pricing.log_cost(row) == pytest.approx(np.log(2.0))
