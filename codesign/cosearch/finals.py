"""The candidates that a co-search ends with: its likeliest networks that meet the demand, and where it could begin.

The accuracy of shared weights only ranks them; it is never reported as the network's. cosearch.finish explains what
happens to the best of them.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn import functional

from codesign.cosearch.accelerators import Accelerator, Accelerators
from codesign.cosearch.beginnings import cheapest
from codesign.cosearch.chooser import Chooser
from codesign.cosearch.finish import finish, grows, short_training
from codesign.cosearch.neighbours import improved
from codesign.cosearch.repair import SLACK, repaired
from codesign.cosearch.row import Row
from codesign.cosearch.trainer import Trainer, certain
from codesign.errors import InfeasibleError
from codesign.ir.dataset import Dataset
from codesign.nets.batches import Images, generator, in_order
from codesign.nets.supernet import recalibrate
from codesign.networks.space import branches
from codesign.progress import Progress

_DRAWS = 400  # networks drawn at the end, to find the finalists among
_STATISTICS_BATCHES = 6
_SCORE_IMAGES = 3000


def best_network(
    trainer: Trainer,
    accelerators: Accelerators,
    images: tuple[Images, Images],
    parts: Dataset,
    folder: Path,
    beginnings: Sequence[Row],
    progress: Progress,
) -> tuple[Row, Accelerator]:
    """Return the best of the finalists and of the networks that the search could begin with, or a better neighbour.

    `images`: those that train weights and those that decide about choices, as `parts` has them too.
    """
    config, pricing = trainer.config, trainer.pricing
    # Beginnings take part: a search that does not beat them has found nothing.
    rows = [*beginnings, *_ranked(trainer, *images, progress)]
    # With exact hardware, shown to meet the demand before the search began.
    rows.append(cheapest(pricing, accelerators.task.space, config.minimum_depth))
    found = finish(accelerators, rows, parts, config, folder, progress)
    if found is None:
        raise InfeasibleError(_none_found(accelerators, rows))

    def judge(row: Row) -> torch.Tensor:
        return short_training(accelerators.network(row), parts, config, folder)

    pricing.adapt(found[0], *accelerators.cycles(found[0]))
    return improved(trainer.chooser, accelerators, found, judge, progress)


def _none_found(accelerators: Accelerators, rows: Sequence[Row]) -> str:
    """Return what the rows lack: the fastest that fits, or why the last, the cheapest, has no accelerator at all."""
    board, demand = accelerators.task.board, accelerators.task.demand
    made = [found for row in rows if (found := accelerators.design(row)) is not None]
    slow, late = ([getattr(found, f"{what}_cycles") for found in made] for what in ("interval", "latency"))
    lacks = []
    if made and demand.interval_cycles is not None:
        lacks.append(
            f"the nearest reaches {board.clock_mhz * 1e6 / min(slow):,.0f} FPS ({min(slow)} cycles), demanded are "
            f"{board.clock_mhz * 1e6 / demand.interval_cycles:,.0f} ({demand.interval_cycles} cycles)"
        )
    if made and demand.latency_cycles is not None:
        lacks.append(
            f"the quickest takes {min(late) / board.clock_mhz:,.4g} us for an image ({min(late)} cycles), allowed are "
            f"{demand.latency_cycles / board.clock_mhz:,.4g} us ({demand.latency_cycles} cycles)"
        )
    nearest = "; ".join(lacks) or f"the cheapest has none because of this: {accelerators.reasons[rows[-1]]}"
    return (
        f"search: none of the {len(rows)} best networks has an accelerator on {board.name} that meets the demand; "
        f"{nearest}. Demand less, search longer, or widen the space"
    )


def _ranked(trainer: Trainer, train: Images, held: Images, progress: Progress) -> list[Row]:
    """Return the finalists, those with most images right first, or of least loss and cost where cost has a price."""
    weight, grown = trainer.config.cost_weight, grows(trainer.task, trainer.config)
    found = finalists(trainer.chooser, trainer.visited, grown=grown)
    batches = [b.x for b in in_order(train.take(torch.arange(_STATISTICS_BATCHES * 256) % len(train)), 256)]
    scores: list[tuple[float, int]] = []
    for i, row in enumerate(found):
        right, loss = _score(trainer, row, batches, held)
        scores.append((loss + weight * trainer.pricing.log_cost(row) if weight else -right, i))
        progress("compare finalists", i + 1, len(found))
    return [found[i] for _, i in sorted(scores)]


def finalists(chooser: Chooser, visited: Sequence[Row], *, grown: bool) -> list[Row]:
    """Return the likeliest networks that meet the demand by the tables: those that were likeliest, and drawn ones.

    Those that will be `grown` differ in operators or poolings, because growth removes most other differences.
    """
    config, pricing = chooser.config, chooser.pricing
    rng = generator(config.seed, 13)
    logits = [chooser.log_shares(i) for i in range(len(pricing.sizes))]
    with torch.no_grad():
        rows = [chooser.likeliest(), *reversed(visited)]
        rows += [chooser.drawn(chooser.draw(rng, 1.0)) for _ in range(_DRAWS)]
    limit = SLACK if chooser.task.demand.is_made else float("inf")
    meeting: dict[Row, float] = {}
    for row in rows:
        made = repaired(pricing, logits, row, limit)
        if made is not None and not any(chooser.too_shallow(made)):
            meeting[made] = sum(x[i] for x, i in zip(logits, made, strict=True))
    chooser.priced += len(rows)
    told = branches(chooser.space) if grown else range(len(pricing.sizes))
    different: dict[tuple[int, ...], Row] = {}
    for meets in sorted(meeting, key=lambda row: (-meeting[row], row)):
        different.setdefault(tuple(meets[at] for at in told), meets)
    return list(different.values())[: config.finalists]


@torch.no_grad()
def _score(trainer: Trainer, row: Row, batches: list[torch.Tensor], held: Images) -> tuple[float, float]:
    """Return the share of held images that the network gets right with shared weights and its own statistics, and its
    loss.
    """
    draws = certain(trainer.task.space, row, trainer.device)
    recalibrate(trainer.net, batches, draws)
    part = Images(held.x[:_SCORE_IMAGES], held.y[:_SCORE_IMAGES])
    hits, loss = 0, 0.0
    for batch in in_order(part, 500):
        logits = trainer.net(batch.x, draws)
        hits += int((logits.argmax(1) == batch.y).sum())
        loss += float(functional.cross_entropy(logits, batch.y, reduction="sum"))
    return hits / len(part), loss / len(part)
