"""Where a search can begin: networks that meet the demand before anything is learned, by tables and exact designs.

Choices by gradient depend on their start, because weights are trained around it. So a search begins at the more
accurate of two networks. One is the space's own first operators. The other is the network of most products that the
demand leaves room for. It does not depend on the order in which a space names its options.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from codesign.cosearch.accelerators import Accelerators
from codesign.cosearch.blocks import ChoiceBlock, choice_blocks
from codesign.cosearch.chooser import Chooser
from codesign.cosearch.costing import Costing
from codesign.cosearch.repair import repaired
from codesign.cosearch.row import Row
from codesign.networks.space import Space, decisions, must_keep, skips

_ADAPTED = 6  # times that prices are adapted to the network of the beginning


def cheapest(pricing: Costing, space: Space, minimum_depth: int) -> Row:
    """Return a network of little cost by the tables: from all blocks on, change the best option until none helps."""
    places, keep = skips(space), must_keep(space, minimum_depth)
    row = Row.of((0,) * len(pricing.sizes), len(decisions(space)))
    for at, skip in places:
        row = row.changed(at, int(skip == 0))
    cost = pricing.log_cost(row)
    while True:
        tables = pricing.alternatives(row)
        if sum(row[at] != skip for at, skip in places) <= keep:  # no further block may go
            for at, skip in places:
                tables[at][skip] = np.inf if row[at] != skip else tables[at][skip]
        at = min(range(len(row)), key=lambda i: float(tables[i].min()))
        if not float(tables[at].min()) < cost - 1e-9:
            return row
        row = row.changed(at, int(tables[at].argmin()))
        cost = float(tables[at].min())


def beginning(chooser: Chooser, accelerators: Accelerators) -> Row | None:
    """Return the chooser's likeliest network, changed at least cost until an accelerator meets the demand.

    Prices are adapted to it on the way. None if that does not help.
    """
    return _meeting(chooser, accelerators, chooser.likeliest(), _even(chooser))


def ample(chooser: Chooser, accelerators: Accelerators) -> Row | None:
    """Return the network of most products, changed until an accelerator meets the demand.

    Each change loses few products for its cost. Prices are adapted to it on the way. None if that does not help.
    """
    task = chooser.task
    blocks = [(b, _block_products(b)) for b in choice_blocks(task.space, task.shape, len(task.labels))]

    def products(row: Row) -> float:
        total = sum(float(table[tuple(row[at] for at in block.decisions)]) for block, table in blocks)
        return math.log(total) if total > 0.0 else -math.inf

    row, before = chooser.likeliest(), None
    while row != before:
        before = row
        for at in range(chooser.networks):
            table = _alternatives(chooser, row, at, products)
            if max(table) > table[row[at]]:
                row = row.changed(at, table.index(max(table)))
    tables = [_alternatives(chooser, row, at, products) for at in range(chooser.networks)]
    return _meeting(chooser, accelerators, row, [*tables, *_even(chooser)[chooser.networks :]])


def _even(chooser: Chooser) -> list[list[float]]:
    """Return the same worth for each option of every decision; -inf where it is closed."""
    return [[-math.inf if c else 0.0 for c in closed.tolist()] for closed in chooser.closed]


def _block_products(block: ChoiceBlock) -> npt.NDArray[np.float64]:
    """Return the products for one image of every combination of decisions; -inf where the machine lacks the block."""
    found = np.empty(block.nodes.shape)
    for index in np.ndindex(found.shape):
        nodes = block.nodes[index]
        found[index] = -math.inf if nodes is None else sum(n.macs for n in nodes)
    return found


def _alternatives(chooser: Chooser, row: Row, at: int, value: Callable[[Row], float]) -> list[float]:
    """Return the value of the row with each option of one decision; -inf where it is closed."""
    closed = chooser.closed[at].tolist()
    return [-math.inf if c else value(row.changed(at, option)) for option, c in enumerate(closed)]


def _meeting(chooser: Chooser, accelerators: Accelerators, start: Row, worth: Sequence[Sequence[float]]) -> Row | None:
    """Return the row changed, where that loses least worth for its cost, until an accelerator meets the demand."""
    pricing = chooser.pricing
    for _ in range(_ADAPTED):
        row = repaired(pricing, worth, start, 0.0 if chooser.task.demand.is_made else math.inf)
        if row is None or any(chooser.too_shallow(row)):
            return None
        if accelerators.meeting(row) is not None:
            return row
        pricing.adapt(row, *accelerators.cycles(row))
    return None
