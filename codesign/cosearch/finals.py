"""The candidates that a co-search ends with: its likeliest networks that meet the demand, and where it could begin.

The accuracy of shared weights only ranks them; it is never reported as the network's. What becomes of the best of them
is told in cosearch.finish.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn import functional

from codesign.cosearch.accelerators import Accelerator, Accelerators
from codesign.cosearch.beginnings import cheapest
from codesign.cosearch.chooser import Chooser
from codesign.cosearch.finish import finish, short_training
from codesign.cosearch.neighbours import improved
from codesign.cosearch.repair import SLACK, repaired
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
    beginnings: Sequence[Sequence[int]],
    progress: Progress,
) -> tuple[list[int], Accelerator]:
    """Return the best of the finalists and of the networks that the search could begin with, or a better neighbour.

    `images`: those that train weights and those that decide about choices, as `parts` has them too.
    """
    config, pricing, target = trainer.config, trainer.pricing, trainer.chooser.longest_interval
    # Beginnings take part: a search that does not beat them has found nothing.
    rows = [*map(list, beginnings), *_ranked(trainer, *images, progress)]
    # With exact hardware, shown to meet the demand before the search began.
    rows.append(cheapest(pricing, accelerators.space, config.minimum_depth))
    found = finish(accelerators, rows, target, parts, config, folder, progress)
    if found is None:
        raise InfeasibleError(_none_found(accelerators, rows, target))

    def judge(row: Sequence[int]) -> torch.Tensor:
        return short_training(accelerators.network(row), parts, config, folder)

    pricing.adapt(found[0], *accelerators.cycles(found[0]))
    return improved(trainer.chooser, accelerators, found, target, judge, progress)


def _none_found(accelerators: Accelerators, rows: Sequence[Sequence[int]], target: float) -> str:
    """Return what the rows lack: the fastest that fits, or why the last, the cheapest, has no accelerator at all."""
    board, clock_hz = accelerators.board.name, accelerators.board.clock_mhz * 1e6
    slow = [found.interval_cycles for row in rows if (found := accelerators.design(row)) is not None]
    nearest = (
        f"the nearest reaches {clock_hz / min(slow):,.0f} FPS ({min(slow)} cycles), demanded are "
        f"{clock_hz / target:,.0f} ({target:.0f} cycles)"
        if slow
        else f"the cheapest has none because of this: {accelerators.reasons[tuple(rows[-1])]}"
    )
    return (
        f"search: none of the {len(rows)} best networks has an accelerator on {board} that meets the demand; "
        f"{nearest}. Demand less, search longer, or widen the space"
    )


def _ranked(trainer: Trainer, train: Images, held: Images, progress: Progress) -> list[list[int]]:
    """Return the finalists, those with most images right first, or of least loss and cost where cost has a price."""
    weight, found = trainer.config.cost_weight, finalists(trainer.chooser, trainer.visited, grown=trainer.config.grows)
    batches = [b.x for b in in_order(train.take(torch.arange(_STATISTICS_BATCHES * 256) % len(train)), 256)]
    scores: list[tuple[float, int]] = []
    for i, row in enumerate(found):
        right, loss = _score(trainer, row, batches, held)
        scores.append((loss + weight * trainer.pricing.log_cost(row) if weight else -right, i))
        progress("compare finalists", i + 1, len(found))
    return [found[i] for _, i in sorted(scores)]


def finalists(chooser: Chooser, visited: Sequence[list[int]], *, grown: bool) -> list[list[int]]:
    """Return the likeliest networks that meet the demand by the tables: those that were likeliest, and drawn ones.

    Those that will be `grown` differ in operators or poolings, because growth removes most other differences.
    """
    config, pricing = chooser.config, chooser.pricing
    rng = generator(config.seed, 13)
    logits = [chooser.log_shares(i) for i in range(len(pricing.sizes))]
    with torch.no_grad():
        rows = [chooser.likeliest(), *reversed(visited)]
        rows += [[d.index for d in chooser.draw(rng, 1.0)] for _ in range(_DRAWS)]
    limit = SLACK if config.demanded else float("inf")
    meeting: dict[tuple[int, ...], float] = {}
    for row in rows:
        made = repaired(pricing, logits, row, limit)
        if made is not None and not any(chooser.too_shallow(made)):
            meeting[tuple(made)] = sum(x[i] for x, i in zip(logits, made, strict=True))
    chooser.priced += len(rows)
    told = branches(chooser.space) if grown else range(len(pricing.sizes))
    different: dict[tuple[int, ...], tuple[int, ...]] = {}
    for meets in sorted(meeting, key=lambda row: (-meeting[row], row)):
        different.setdefault(tuple(meets[at] for at in told), meets)
    return [list(row) for row in different.values()][: config.finalists]


@torch.no_grad()
def _score(trainer: Trainer, row: list[int], batches: list[torch.Tensor], held: Images) -> tuple[float, float]:
    """Return the share of held images that the network gets right with shared weights and its own statistics, and its
    loss.
    """
    draws = certain(trainer.space, row, trainer.device)
    recalibrate(trainer.net, batches, draws)
    part = Images(held.x[:_SCORE_IMAGES], held.y[:_SCORE_IMAGES])
    hits, loss = 0, 0.0
    for batch in in_order(part, 500):
        logits = trainer.net(batch.x, draws)
        hits += int((logits.argmax(1) == batch.y).sum())
        loss += float(functional.cross_entropy(logits, batch.y, reduction="sum"))
    return hits / len(part), loss / len(part)
