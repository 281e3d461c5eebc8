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
from codesign.cosearch.trainer import Trainer  # noqa: E402
from codesign.ir.board import Board  # noqa: E402
from codesign.ir.cost import Resources  # noqa: E402
from codesign.nets.batches import generator  # noqa: E402
from codesign.networks.network import skeleton  # noqa: E402
from codesign.networks.space import decisions, derive  # noqa: E402
from codesign.networks.spaces import load_space  # noqa: E402
from codesign.ops.shapes import Shape  # noqa: E402
from codesign.search.design import search_design  # noqa: E402
from codesign.testing.small_search import CPU, SHAPE, tiny_config, tiny_data, tiny_space  # noqa: E402

pytestmark = pytest.mark.torch


def test_table_costs_rank_networks_as_their_exact_designs_do(board: Board) -> None:
    """On fashion: the table, adapted to one network, against exact designs of the network's neighbours."""
    space, shape = load_space("fashion"), Shape(28, 28, 1)
    labels = tuple("abcdefghij")
    pricing = Pricing(space, shape, 10, board, 3333)
    row = [min(1, n - 1) for n in pricing.sizes]
    row[2] = 0
    exact = search_design(skeleton(derive(space, row, "n", shape, labels)), board, explain=False).interval_cycles
    pricing.adapt(row, exact)
    assert pricing.target * np.exp(pricing.log_cost(row)) == pytest.approx(exact, rel=0.15)
    tables = pricing.alternatives(row)
    pairs = []
    for i in (0, 2, 6, 12):
        for option in range(len(tables[i])):
            other = [*row[:i], option, *row[i + 1 :]]
            graph = skeleton(derive(space, other, "n", shape, labels))
            found = search_design(graph, board, explain=False).interval_cycles
            pairs.append((float(tables[i][option]), np.log(found / pricing.target)))
    agree = [(a < b) == (x < y) for a, x in pairs for b, y in pairs if abs(x - y) > 0.1]
    assert len(agree) > 10
    assert np.mean(agree) > 0.85


def even_draws(trainer: Trainer, row: list[int]) -> list[Draw]:
    """The draws that give this network, with the gradient of even logits."""
    softs = [torch.softmax(x, 0) for x in trainer.chooser.logits]
    return [Draw(straight_through(soft, i), i, (i,), soft.detach()) for soft, i in zip(softs, row, strict=True)]


def log_intervals(accelerators: Accelerators, row: list[int], at: int, size: int) -> list[float]:
    """The true cost of every option of one decision: log interval of the network's exact design."""
    found = [accelerators.design([*row[:at], option, *row[at + 1 :]]) for option in range(size)]
    return [np.log(f.interval_cycles) if f else np.inf for f in found]


@pytest.mark.parametrize("seed", range(8))
def test_the_gradient_of_the_cost_has_sign_and_ranking_of_finite_differences(board: Board, seed: int) -> None:
    """Of the exact design's interval, on a board so small that all engines compete for it."""
    small = replace(board, resources=Resources(dsp=20, bram18=40, uram=0, lut=5000, ff=10000))
    accelerators = Accelerators(tiny_space(), tiny_data(), small)
    sizes = [len(d.options) for d in decisions(tiny_space())]
    row = [int(i) for i in np.random.default_rng(seed).integers(sizes)]
    base = accelerators.design(row)
    assert base is not None
    pricing = Pricing(tiny_space(), SHAPE, 3, small, base.interval_cycles)
    pricing.adapt(row, base.interval_cycles)
    trainer = Trainer(tiny_space(), SHAPE, 3, tiny_config(min_fps=None, cost_weight=1.0), pricing, CPU)
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
    pricing = Pricing(tiny_space(), SHAPE, 3, board, 300)
    row = [1] * len(pricing.sizes)
    row = [min(1, n - 1) for n in pricing.sizes]
    for i, table in enumerate(pricing.alternatives(row)):
        for option, cost in enumerate(table):
            assert cost == pytest.approx(pricing.log_cost([*row[:i], option, *row[i + 1 :]]))


def test_prices_sum_to_one_and_survive_being_restored(board: Board) -> None:
    pricing = Pricing(tiny_space(), SHAPE, 3, board, 300)
    row = [0] * len(pricing.sizes)
    pricing.adapt(row, 500)
    prices = np.array(pricing.state["prices"])
    assert prices.sum() == pytest.approx(1.0)
    assert (prices >= 0).all()
    other = Pricing(tiny_space(), SHAPE, 3, board, 300)
    other.restore(pricing.state)
    assert other.log_cost(row) == pricing.log_cost(row)


def test_options_that_no_fast_enough_network_has_are_closed(board: Board) -> None:
    space = load_space("fashion")
    closed = [
        (d.name, d.options[i])
        for d, allowed in zip(
            decisions(space), Pricing(space, Shape(28, 28, 1), 10, board, 3333).allowed(), strict=True
        )
        for i in np.flatnonzero(~allowed)
    ]
    assert closed == [("stage 0 block 0 operator", "conv5"), ("stage 0 block 1 operator", "separable5")]


def test_repair_ends_below_the_limit_and_changes_little(board: Board) -> None:
    pricing = Pricing(load_space("fashion"), Shape(28, 28, 1), 10, board, 2000)
    row = [
        0 if "operator" in d.name or "pool" in d.name else len(d.options) - 1 for d in decisions(load_space("fashion"))
    ]
    assert pricing.log_cost(row) > 0
    logits = [[0.0] * n for n in pricing.sizes]
    found = repaired(pricing, logits, row, 0.0)
    assert found is not None
    assert pricing.log_cost(found) <= 0.0
    assert repaired(pricing, logits, cheapest(pricing, load_space("fashion"), 4), -20.0) is None


def test_raising_the_weight_of_cost_makes_choices_cheaper(board: Board) -> None:
    def expected_cost(weight: float) -> float:
        pricing = Pricing(tiny_space(), SHAPE, 3, board, 300)
        trainer = Trainer(tiny_space(), SHAPE, 3, tiny_config(min_fps=None, cost_weight=weight), pricing, CPU)
        rng = generator(5)
        optimizer = torch.optim.Adam(trainer.chooser.logits, lr=0.1)
        for _ in range(40):
            price, _ = trainer.chooser.price(trainer.chooser.draw(rng, 1.0))
            optimizer.zero_grad()
            price.backward()
            optimizer.step()
        with torch.no_grad():
            rows = [[d.index for d in trainer.chooser.draw(rng, 1.0)] for _ in range(60)]
        return float(np.mean([pricing.log_cost(r) for r in rows]))

    costs = [expected_cost(w) for w in (0.0, 0.02, 1.0)]
    assert costs[0] > costs[2]
    assert costs[2] < costs[1] + 0.05


def test_arrays_follow_a_network_before_it_is_changed(board: Board) -> None:
    space, shape = load_space("fashion"), Shape(28, 28, 1)
    pricing = ArrayPricing(space, shape, 10, board, 5000, demanded=True)
    chooser = Chooser(space, SearchConfig(min_fps=20_000.0), pricing, torch.device("cpu"))
    network = [len(d.options) // 2 for d in decisions(space)]
    before = [x.clone() for x in chooser.logits[: chooser.networks]]
    at_first = pricing.log_cost([*network, *chooser.likeliest()[chooser.networks :]])
    rng = torch.Generator().manual_seed(0)
    for _ in range(100):
        chooser.fit_arrays(network, 1.0, rng)
    assert at_first > 1.0
    assert pricing.log_cost([*network, *chooser.likeliest()[chooser.networks :]]) == pytest.approx(0.0)
    assert all(torch.equal(x, y) for x, y in zip(before, chooser.logits, strict=False))


def arrays_row(pricing: ArrayPricing, seed: int) -> list[int]:
    rng = np.random.default_rng(seed)
    return [int(rng.integers(size)) for size in pricing.sizes]


@pytest.mark.parametrize("seed", range(6))
def test_alternatives_of_arrays_are_the_costs_of_the_changed_rows(board: Board, seed: int) -> None:
    pricing = ArrayPricing(tiny_space(), SHAPE, 3, board, 200, demanded=bool(seed % 2))
    row = arrays_row(pricing, seed)
    for i, table in enumerate(pricing.alternatives(row)):
        for option, cost in enumerate(table):
            assert cost == pytest.approx(pricing.log_cost([*row[:i], option, *row[i + 1 :]]))


@pytest.mark.parametrize("seed", range(6))
def test_a_design_of_chosen_arrays_has_the_cycles_of_their_tables(board: Board, seed: int) -> None:
    arrays = ArrayPricing(tiny_space(), SHAPE, 3, board, 200, demanded=True)
    row = arrays_row(arrays, seed)
    networks = arrays.networks
    accelerators = Accelerators(tiny_space(), tiny_data(), board, arrays.arrays)
    found = accelerators.design(row)
    cost = arrays.arrays.cost(row[:networks], row[networks:])
    assert found is not None or not cost.fits
    if found is not None:
        assert found.interval_cycles == cost.interval_cycles


def test_beyond_the_board_arrays_cost_more_though_they_are_faster(board: Board) -> None:
    pricing = ArrayPricing(load_space("fashion"), Shape(28, 28, 1), 10, board, 3000, demanded=True)
    row = [len(d.options) // 2 for d in decisions(load_space("fashion"))]
    largest = pricing.log_cost([*row, *[len(ARRAYS) - 1] * pricing.arrays.blocks])
    assert largest > min(pricing.log_cost([*row, *[i] * pricing.arrays.blocks]) for i in range(len(ARRAYS)))


@pytest.mark.parametrize("seed", range(8))
def test_the_gradient_of_arrays_has_the_sign_and_ranking_of_finite_differences(board: Board, seed: int) -> None:
    """Against the true cost of other arrays: the slowest block's interval and what is over the board.

    The smooth maximum adds at most log(blocks) / sharpness; differences below twice that are not asked about.
    """
    pricing = ArrayPricing(load_space("fashion"), Shape(28, 28, 1), 10, board, 3000, demanded=False)
    rng = np.random.default_rng(seed)
    blocks = pricing.arrays.blocks
    row = [int(rng.integers(size)) for size in pricing.sizes[:-blocks]]
    choice = [int(rng.integers(len(ARRAYS))) for _ in range(blocks)]
    chooser = Chooser(load_space("fashion"), SearchConfig(min_fps=None, cost_weight=1.0), pricing, CPU)

    def true_cost(arrays: list[int]) -> float:
        made = pricing.arrays.cost(row, arrays)
        over = np.log(np.maximum(made.counts, 1) / np.maximum(pricing.arrays.budget, 1))
        return float(np.log(made.interval_cycles / 3000) + 2.0 * np.maximum(over, 0).sum())

    softs = [torch.softmax(x, 0) for x in chooser.logits]
    draws = [Draw(straight_through(s, i), i, (i,), s.detach()) for s, i in zip(softs, [*row, *choice], strict=True)]
    chooser.price(draws)[0].backward()
    now, slack, pairs = true_cost(choice), 2 * np.log(blocks) / 8.0, []
    for block in range(blocks):
        gradient = chooser.logits[len(row) + block].grad
        assert gradient is not None
        mean = float(pricing.alternatives([*row, *choice])[len(row) + block].mean())
        for option in range(len(ARRAYS)):
            change = true_cost([*choice[:block], option, *choice[block + 1 :]]) - now
            expected = (pricing.log_cost([*row, *choice[:block], option, *choice[block + 1 :]]) - mean) / len(ARRAYS)
            assert float(gradient[option]) == pytest.approx(expected, rel=0.02, abs=2e-3)
            pairs.append((float(gradient[option]), change, block))
    wrong = [(a, b) for a in pairs for b in pairs if a[2] == b[2] and a[1] + slack < b[1] and a[0] >= b[0]]
    assert len(pairs) == blocks * len(ARRAYS)
    assert not wrong


@pytest.mark.parametrize("seed", range(4))
def test_the_sum_of_latencies_is_a_table_too(board: Board, seed: int) -> None:
    pricing = Pricing(tiny_space(), SHAPE, 3, board, 200, Objective.SUM)
    rng = np.random.default_rng(seed)
    row = [int(rng.integers(size)) for size in pricing.sizes]
    for i, table in enumerate(pricing.alternatives(row)):
        for option, cost in enumerate(table):
            assert cost == pytest.approx(pricing.log_cost([*row[:i], option, *row[i + 1 :]]))
    pricing.adapt(row, 400)
    assert pricing.log_cost(row) == pytest.approx(np.log(2.0))
