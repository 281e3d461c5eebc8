"""The page on rank correlation: what its accelerators, choices and losses mean."""

import correlation as c
import correlation_page
import numpy as np
import pytest

from codesign.model.resource import NAMES
from codesign.model.space import design_space


@pytest.fixture(scope="module")
def graphs() -> list:
    return c.draw(6, 3)


@pytest.fixture(scope="module")
def table(graphs: list) -> np.ndarray:
    return c.tabulate(graphs, lambda what: None)


def test_networks_are_drawn_alike_every_time_and_differ(graphs: list) -> None:
    assert [g.digest() for g in c.draw(6, 3)] == [g.digest() for g in graphs]
    assert len({g.nodes for g in graphs}) == 6


def test_engines_are_within_the_parts_share_and_no_faster_choice_of_the_rule_is(graphs: list) -> None:
    board = c.board_of("pynq-z2", 0.5)
    budget = np.array([getattr(board.budget, name) for name in NAMES]) * 0.25
    options = [s.options for s in design_space(graphs[0], board).sites[1:-1] if c._part(s) == 1]
    chosen = c.fastest(options, budget)
    assert chosen is not None
    assert (sum(o.counts[r] for o, r in zip(options, chosen, strict=True)) <= budget).all()
    slower = max(int(o.interval[r]) for o, r in zip(options, chosen, strict=True))
    prices = 1 / np.maximum(budget, 1e-3)
    for limit in sorted({int(i) for o in options for i in o.interval if i < slower}):
        cheap = []
        for o in options:
            rows = np.flatnonzero(o.interval <= limit)
            cheap.append(o.counts[rows[(o.counts[rows] @ prices).argmin()]] if len(rows) else np.full(5, 10**9))
        assert (sum(cheap) > budget).any()


def test_more_of_a_board_is_never_slower(graphs: list) -> None:
    for graph in graphs:
        found = []
        for size in (0.5, 1.0):
            board = c.board_of("pynq-z2", size)
            found.append(c.cycles(c.Accelerator("pynq-z2", size), design_space(graph, board), board))
        assert found[1] <= found[0]


def test_a_rule_that_leaves_less_to_choose_from_keeps_to_it(graphs: list) -> None:
    space = design_space(graphs[0], c.board_of("pynq-z2", 1.0))
    for grow, holds in (
        (c.Grow.OUTPUTS, lambda pe, simd, k, n: simd == 1 or pe == k),
        (c.Grow.INPUTS, lambda pe, simd, k, n: pe == 1 or simd == n),
    ):
        for site in space.sites[1:-1]:
            node = space.graph.node(site.name)
            engines = site.options.take(c._allowed(c.Accelerator("pynq-z2", 1.0, grow=grow), space, site)).engines
            if isinstance(node, c.Conv) and not node.depthwise:
                assert all(holds(p, s, node.k, node.ishape.c) for p, s in zip(engines.pe, engines.simd, strict=True))


def test_a_front_has_what_nothing_beats() -> None:
    assert c.pareto(np.array([1.0, 2, 2, 3]), np.array([1.0, 3, 2, 3])).tolist() == [0, 1]


def test_losses_count_from_the_best_of_each_accelerator() -> None:
    table = np.array([[10.0, 30.0], [20.0, 15.0], [10.0, 45.0]])
    worth = np.array([1.0, 2.0, 1.5])
    assert c.regrets(table, worth, 0.0).tolist() == [[0.0, 1.5], [1.0, 0.0]]
    assert c.regrets(table, worth, 1.2).tolist() == [[0.0, 2.0], [1.0, 0.0]]
    assert c.regrets(table, worth, 0.0, front=True).tolist() == [[0.0, 0.0], [1.0, 0.0]]


def test_twenty_accelerators_make_a_page_and_a_plot(graphs: list, table: np.ndarray) -> None:
    assert table.shape == (6, 20)
    assert len(set(c.ACCELERATORS)) == 20
    exact = table.min(axis=1)
    table = np.where(np.isfinite(table), table, 1e6)
    found = c.figures(graphs, table, np.where(np.isfinite(exact), exact, 1e6), 1.0)
    text = correlation_page.page(found, "x.svg")
    for column in ("Spearman with MACs", "Loss, mean", "Designed after, mean", "How many"):
        assert f"| {column} |" in text
    assert "nan" not in text.lower().replace("finan", "")
    image = correlation_page.plot(found)
    assert image.startswith("<svg")
