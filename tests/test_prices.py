"""What prices tell of a design space: never more than trying everything, and no option that a design needs is lost."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from codesign.model import space
from codesign.search.elimination import least, marginals, plan
from codesign.search.intervals import achievable
from codesign.search.menu import cheapest, through
from codesign.search.prices import Known, Quest, ask, mend, prune
from codesign.search.quick import way_of
from codesign.search.selection import Query, latency_of, menu_within, rows_of, within
from strategies import random_graph
from test_design_search import BOARD, fitting, row, small_case, weights

SEEDS = st.integers(0, 2**32 - 1)


def tables(rng, pairs, sizes):
    found = {pair: rng.integers(0, 50, (sizes[pair[0]], sizes[pair[1]])).astype(float) for pair in pairs}
    for table in found.values():
        table[rng.random(table.shape) < 0.1] = np.inf
    return found


def sums(singles, pairs, sizes):
    """The sum for every assignment, as an array with an axis per variable."""
    total = np.zeros(sizes)
    for v, single in enumerate(singles):
        total = total + single.reshape([-1 if i == v else 1 for i in range(len(sizes))])
    for (a, b), table in pairs.items():
        total = total + table.reshape([sizes[i] if i in (a, b) else 1 for i in range(len(sizes))])
    return total


@given(SEEDS)
@settings(max_examples=60)
def test_the_least_sum_and_every_marginal_are_those_of_trying_all(seed):
    """A chain with branches around some of its links: what residual blocks make."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, 8).tolist()
    every = [(i, i + 1) for i in range(7)] + [[(1, 4)], [(2, 3), (4, 7)], [(0, 7), (2, 5)]][seed % 3]
    pairs = tables(rng, dict.fromkeys(every), sizes)
    singles = [rng.integers(0, 50, n).astype(float) for n in sizes]
    total = sums(singles, pairs, sizes)
    order = plan(sizes, list(pairs), list(pairs))
    assert not order.dropped
    found = least(order, singles, pairs)
    assert found.total == total.min()
    if np.isfinite(found.total):
        assert total[found.values] == found.total
    for (a, b), table in marginals(found).items():
        axes = tuple(i for i in range(8) if i not in (a, b))
        if (a, b) in pairs:
            assert np.array_equal(table, total.min(axis=axes))


def test_where_a_table_would_have_three_variables_the_longest_pair_is_left_out():
    sizes, every = [2] * 4, list(itertools.combinations(range(4), 2))
    order = plan(sizes, every, every)
    assert order.dropped == {(0, 3)}
    pairs = tables(np.random.default_rng(0), every, sizes)
    kept = {pair: table for pair, table in pairs.items() if pair != (0, 3)}
    assert least(order, [np.zeros(2)] * 4, pairs).total == sums([np.zeros(2)] * 4, kept, sizes).min()


def query_of(graph, board):
    return Query(space.design_space(graph, board), row(board.budget), weights(board), 100)


@given(SEEDS)
@settings(max_examples=25)
def test_the_cheapest_at_prices_and_the_cheapest_through_each_option_are_those_of_trying_all(seed):
    graph, board, tried = small_case(seed)
    query, rng = query_of(graph, board), np.random.default_rng(seed)
    menu = menu_within(query, int(tried[0].max()))
    assume(menu is not None)
    sizes = [len(site.options) for site in query.space.sites]
    chosen = np.indices(sizes).reshape(len(sizes), -1)
    in_menu = np.all([np.isin(c, menu.kept(i)) for i, c in enumerate(chosen)], axis=0)
    prices = rng.random(5)
    costs = (tried[1] - (query.budget - query.limit)) / np.clip(query.limit, 0.25, 1e9) @ prices
    found = cheapest(menu, prices, np.zeros(len(menu.rows)))
    assert found.price == pytest.approx(costs[in_menu].min())
    assert prices @ found.shares == pytest.approx(found.price)
    every = through(menu, prices, np.zeros(len(menu.rows)))
    for site in range(menu.sites):
        for position in range(menu.first[site], menu.first[site + 1]):
            own = in_menu & (chosen[site] == menu.rows[position])
            assert every[position] == pytest.approx(costs[own].min())


def test_where_a_site_may_take_nothing_the_price_is_infinite():
    for seed in range(20):
        query = query_of(random_graph(np.random.default_rng(seed)), BOARD)
        menu = menu_within(query, int(achievable(query.space)[0]))  # so that not every pair of words is there
        for site, (first, end) in enumerate(itertools.pairwise(menu.first)):
            forbidden = np.zeros(len(menu.rows))
            forbidden[first:end] = np.inf
            assert cheapest(menu, np.full(5, 0.2), forbidden).price == np.inf, f"seed {seed}, site {site}"


@given(SEEDS)
@settings(max_examples=25)
def test_no_design_that_fits_loses_an_option(seed):
    graph, board, tried = small_case(seed)
    interval, _, _ = fitting(board, tried)
    assume(len(interval) > 0)
    query, most = query_of(graph, board), int(np.quantile(interval, 0.2))
    menu = menu_within(query, most)
    quest, known = Quest(menu, None, within(menu, most)), Known()
    ask(quest, known)
    assert known.bound <= 1.0 + 1e-9
    smaller, _ = prune(quest, known, 1.0)
    fits = (tried[1] <= query.budget).all(axis=1) & (tried[0] <= most)
    sizes = [len(site.options) for site in query.space.sites]
    for site, chosen in enumerate(np.indices(sizes).reshape(len(sizes), -1)):
        assert set(chosen[fits]) <= set(smaller.menu.kept(site))
    for seen in known.seen:
        picks = mend(quest, seen.picks, np.ones(5))
        if picks is not None:
            at = np.ravel_multi_index(rows_of(menu, picks), sizes)
            assert fits[at]


@given(SEEDS)
@settings(max_examples=25)
def test_a_way_is_the_latency_of_its_selection_and_never_above_that_of_another(seed):
    rng = np.random.default_rng(seed)
    graph = small_case(seed)[0]
    found = space.design_space(graph, BOARD)
    drawn = [tuple(int(rng.integers(len(s.options))) for s in found.sites) for _ in range(12)]
    ways = [way_of(found, rows) for rows in drawn]
    for way, own in zip(ways, drawn, strict=True):
        for rows in drawn:
            pairs = zip(found.sites, rows, strict=True)
            cycles = np.array([(s.options.interval[r], s.options.steps[r]) for s, r in pairs], dtype=float)
            told = way.work @ cycles[:, 0] + way.steps @ cycles[:, 1]
            assert told <= latency_of(found, rows) * (1 + 1e-12)
            if rows == own:
                assert told == pytest.approx(latency_of(found, rows))
