"""Where a search can begin: within the demand, and of most products whatever the order of a space's options."""

import itertools
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from codesign.cosearch.accelerators import Accelerators  # noqa: E402
from codesign.cosearch.beginnings import ample, beginning  # noqa: E402
from codesign.cosearch.chooser import Chooser  # noqa: E402
from codesign.cosearch.finals import finalists  # noqa: E402
from codesign.cosearch.pricing import Pricing  # noqa: E402
from codesign.cosearch.row import Row  # noqa: E402
from codesign.errors import ConfigError  # noqa: E402
from codesign.ir.board import Board, Limits  # noqa: E402
from codesign.networks.network import skeleton  # noqa: E402
from codesign.networks.space import Space, branches, decisions  # noqa: E402
from codesign.ops.conv import Conv  # noqa: E402
from codesign.testing.small_search import CPU, tiny_config, tiny_space, tiny_task  # noqa: E402
from codesign.testing.spaces import turned  # noqa: E402

pytestmark = pytest.mark.torch


def setting(board: Board, space: Space, cycles: int) -> tuple[Chooser, Accelerators]:
    config = tiny_config(min_fps=board.clock_mhz * 1e6 / cycles)
    task = tiny_task(board, cycles, space=space)
    return Chooser(task, config, Pricing(task), CPU), Accelerators(task)


def products(accelerators: Accelerators, row: Row) -> int:
    return sum(n.macs for n in skeleton(accelerators.network(row)).nodes if isinstance(n, Conv))


@pytest.mark.parametrize("cycles", [150, 200, 400, 5000])
@pytest.mark.parametrize("make", [beginning, ample])
def test_a_beginning_meets_the_demand(board: Board, cycles: int, make: object) -> None:
    chooser, accelerators = setting(board, tiny_space(), cycles)
    row = make(chooser, accelerators)  # type: ignore[operator]
    assert row is not None
    found = accelerators.design(row)
    assert found is not None
    assert found.interval_cycles <= cycles
    assert not list(chooser.too_shallow(row))


def test_where_the_demand_leaves_room_no_network_has_more_products(board: Board) -> None:
    chooser, accelerators = setting(board, tiny_space(), 5000)
    row = ample(chooser, accelerators)
    assert row is not None
    every = itertools.product(*(range(len(d.options)) for d in decisions(tiny_space())))
    most = 0
    for other in every:
        try:
            most = max(most, products(accelerators, Row(other)))
        except ConfigError:  # the machine has no such network
            continue
    assert products(accelerators, row) == most


def test_where_the_largest_networks_fit_at_no_pace_a_smaller_one_is_found(board: Board) -> None:
    small = replace(board, limits=Limits(lut=900, dsp=0))
    chooser, accelerators = setting(small, tiny_space(), 20_000)
    row = ample(chooser, accelerators)
    assert row is not None
    assert accelerators.meeting(row) is not None
    assert None in accelerators.found.values()  # else nothing was asked for that this is about


@pytest.mark.parametrize("cycles", [150, 5000])
def test_most_products_do_not_depend_on_the_order_of_options(board: Board, cycles: int) -> None:
    found = []
    for space in (tiny_space(), turned(tiny_space())):
        chooser, accelerators = setting(board, space, cycles)
        row = ample(chooser, accelerators)
        assert row is not None
        found.append(accelerators.choices(row))
    assert found[0] == found[1]


@pytest.mark.parametrize("grown", [True, False])
def test_finalists_that_grow_differ_in_operators(board: Board, grown: bool) -> None:
    chooser, _ = setting(board, tiny_space(), 400)
    chooser.config = replace(chooser.config, finalists=30)
    rows = finalists(chooser, [], grown=grown)
    told = {tuple(row[at] for at in branches(tiny_space())) for row in rows}
    assert len(set(rows)) == len(rows) > 5
    assert (len(told) == len(rows)) is grown
