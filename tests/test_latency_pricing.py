"""What a demanded latency makes of the price of networks: tables follow the exact course of one image."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from codesign.cosearch.chooser import Chooser  # noqa: E402
from codesign.cosearch.config import Objective  # noqa: E402
from codesign.cosearch.finish import grows  # noqa: E402
from codesign.cosearch.pricing import Pricing  # noqa: E402
from codesign.cosearch.row import Row  # noqa: E402
from codesign.cosearch.task import Task  # noqa: E402
from codesign.ir.board import Board  # noqa: E402
from codesign.ir.demand import Demand  # noqa: E402
from codesign.model.space import need_share  # noqa: E402
from codesign.nets.batches import generator  # noqa: E402
from codesign.networks.network import skeleton  # noqa: E402
from codesign.networks.spaces import load_space  # noqa: E402
from codesign.ops.shapes import Shape  # noqa: E402
from codesign.search.sized import quick_sized_design  # noqa: E402
from codesign.testing.small_search import CPU, tiny_config, tiny_task  # noqa: E402

pytestmark = pytest.mark.torch


def rows_of(pricing: Pricing) -> list[Row]:
    """A few networks of the space."""
    rng = np.random.default_rng(0)
    return [Row(tuple(int(rng.integers(size)) for size in pricing.sizes)) for _ in range(3)]


def test_tables_rank_latencies_as_the_quickest_designs_do(board: Board) -> None:
    """On fashion: the table, adapted to one network, against the exact latency of its neighbours' quickest designs."""
    task = Task(
        name="n",
        space=load_space("fashion"),
        shape=Shape(28, 28, 1),
        labels=tuple("abcdefghij"),
        board=board,
        demand=Demand(latency_cycles=6000),
    )

    def exact(row: Row) -> tuple[int, int]:
        cost = quick_sized_design(skeleton(task.network(row)), board, Demand(latency_cycles=1))[2]
        return cost.interval_cycles, cost.latency_cycles

    pricing = Pricing(task, reference=2000)
    row = Row(tuple(min(1, n - 1) for n in pricing.sizes)).changed(2, 0)
    interval, latency = exact(row)
    pricing.adapt(row, interval, latency)
    pairs = [(pricing.log_cost(row), np.log(latency / 6000))]
    assert pairs[0][0] == pytest.approx(pairs[0][1])
    tables = pricing.alternatives(row)
    for i in (0, 2, 6, 8, 12, 14):  # widths and operators
        for option in {(row[i] + 1) % len(tables[i]), (row[i] - 1) % len(tables[i])} - {row[i]}:
            other = row.changed(i, option)
            pairs.append((float(tables[i][option]), np.log(exact(other)[1] / 6000)))
    agree = [(a < b) == (x < y) for (a, x), (b, y) in itertools.combinations(pairs, 2) if abs(x - y) > 0.1]
    assert len(agree) > 10
    assert np.mean(agree) > 0.85
    assert np.std([a - x for a, x in pairs]) < 0.15  # the formula errs by a tenth


@pytest.mark.parametrize("latency", [100, 300])  # the first presses more than the interval, the second less
@pytest.mark.parametrize("objective", list(Objective))
def test_with_both_demands_the_more_pressing_counts(board: Board, objective: Objective, latency: int) -> None:
    both = Pricing(tiny_task(board, 100, latency), objective)
    slow = Pricing(tiny_task(board, 100), objective)
    for row in rows_of(both):
        late = Pricing(tiny_task(board, latency=latency), objective, reference=100)  # anew: adapting moves all costs
        assert (late.log_cost(row) > slow.log_cost(row)) == (latency == 100)
        assert both.log_cost(row) == max(late.log_cost(row), slow.log_cost(row))
        assert both.log_interval(row) == pytest.approx(slow.log_cost(row))
        for pricing in (late, both):
            for i, table in enumerate(pricing.alternatives(row)):
                for option, cost in enumerate(table):
                    assert cost == pytest.approx(pricing.log_cost(row.changed(i, option)))
        late.adapt(row, 150, latency * 3 // 2)
        assert late.log_cost(row) == pytest.approx(np.log(1.5))
        other = Pricing(tiny_task(board, latency=latency), objective, reference=100)
        other.restore(late.state)
        assert other.log_cost(row) == late.log_cost(row)


def test_no_design_within_the_board_waits_less_than_the_table_says(board: Board) -> None:
    """The table's waits are the dual of the least sum of waits, so a lower bound of it."""
    rng = np.random.default_rng(1)
    pricing = Pricing(tiny_task(board, latency=300), reference=100)
    compared = 0
    for row in rows_of(pricing):
        shares = pricing._prices * pricing._scale
        nodes = pricing.nodes(row)
        total = pricing._total(pricing._terms, row)[None, :]
        bound = (np.exp(pricing._log_late(total)) * 3.0 - np.exp(pricing._log_interval(total)))[0]
        for _ in range(2000):
            picks = [int(rng.integers(len(pricing._engines[n].interval))) for n in nodes]
            engines = [(pricing._engines[n], p) for n, p in zip(nodes, picks, strict=True)]
            if sum(e.counts[p] @ shares for e, p in engines) <= 1.0:
                waits = (need_share(n) * e.interval[p] for n, (e, p) in zip(nodes, engines, strict=True))
                assert sum(waits) / 100 >= bound - 1e-9
                compared += 1
    assert compared > 1000


def test_the_demands_multiplier_grows_while_drawn_networks_are_late(board: Board) -> None:
    config = tiny_config(min_fps=None, max_latency_us=0.5)
    task = tiny_task(board, latency=50)
    assert grows(task, config)
    assert not grows(tiny_task(board), config)
    pricing = Pricing(task, reference=50)
    chooser = Chooser(task, config, pricing, CPU)
    draws = chooser.draw(generator(0, 1), 1.0)
    assert chooser.price(draws)[1] == pytest.approx(pricing.log_cost(chooser.drawn(draws)))
    chooser.step(draws, torch.zeros(()))
    assert chooser.multiplier > 0.0
