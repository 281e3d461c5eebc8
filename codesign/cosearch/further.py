"""What follows a search in a space that was made for the samples: the plain float network, and the use of what is left.

The plain network is the middle of the space, in float, trained as long as the networks that the search compares. Both
are judged by the same images, which trained neither. Where the found network is clearly worse, it grows, and so does
the plain network quantized: first within the space, then beyond its widths. Test images are not looked at.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from codesign.cosearch.accelerators import Accelerator, Accelerators
from codesign.cosearch.config import Hardware, SearchConfig
from codesign.cosearch.cosearch import CosearchResult, parted
from codesign.cosearch.finish import FLOAT_EPOCHS, QUANTIZED_EPOCHS, enlarged, short_settings, short_training
from codesign.cosearch.row import Row
from codesign.cosearch.task import Task
from codesign.ir.board import Board
from codesign.ir.dataset import Dataset
from codesign.nets.train import share, train_float
from codesign.networks.auto import roomier
from codesign.networks.network import Network
from codesign.networks.space import Space, middle, sizes
from codesign.progress import Progress, silent

SHORTFALL = 0.01  # of the share of right answers, which is no reason yet to go on


def judged_plain(
    network: Network, dataset: Dataset, config: SearchConfig, folder: Path, progress: Progress = silent
) -> Tensor:
    """Tell which of the judging images, [N], the float network gets right, trained as long as others are to compare."""
    parts = parted(dataset, config)
    settings = replace(short_settings(parts, config), float_epochs=FLOAT_EPOCHS + QUANTIZED_EPOCHS)
    return train_float(network, parts, settings, folder, progress)


def improved_on(
    found: CosearchResult,
    plain: float,
    dataset: Dataset,
    space: Space,
    board: Board,
    config: SearchConfig,
    folder: Path,
    progress: Progress = silent,
) -> tuple[CosearchResult, tuple[str, ...]]:
    """Return the network found, or a larger one that judging images prefer, where it is worse than the plain network.

    `plain`: the share of judging images that the plain network gets right. Sentences tell what was done, and what
    binds. Trainings that were interrupted go on from `folder`.
    """
    task, parts = Task.of(dataset, space, board, config.demand(board.clock_mhz)), parted(dataset, config)

    def judged(network_task: Task, row: Row) -> float:
        return share(short_training(network_task.network(row), parts, config, folder))

    best = judged(task, found.row)
    told = f"on {len(parts.test_y):,} images of the training part, the plain float network reaches {plain:.1%}"
    if plain - best <= SHORTFALL:
        return found, (f"{told}, the network found {best:.1%} after as short a training",)
    if config.cost_weight or config.hardware is not Hardware.EXACT or not config.enlarge:
        why = "what the demand leaves is not used with cost_weight, hardware: dna, or enlarge: false"
        return found, (f"{told}, the network found {best:.1%}; {why}",)
    first, trained = best, 0
    for wide in (space, roomier(space)):
        accelerators = Accelerators(replace(task, space=wide))
        for row, accelerator in _grown(accelerators, (found.row, Row(middle(space))), progress):
            trained += 1
            if (score := judged(accelerators.task, row)) > best:
                best, found = score, _with(found, accelerators, row, accelerator)
        if plain - best <= SHORTFALL:
            break
    more = f"{trained} larger networks within the demand were trained too, the best of all reaches {best:.1%}"
    story = f"{told}, the network found {first:.1%}; {more}"
    binds = () if plain - best <= SHORTFALL else (_binding(Accelerators(replace(task, space=wide)), found.row),)
    return found, (story, *binds)


def _grown(accelerators: Accelerators, rows: Sequence[Row], progress: Progress) -> Iterator[tuple[Row, Accelerator]]:
    """Yield the networks, each once, as large as the demand allows; the first only where that is larger than it is."""
    seen = {rows[0]}
    for row in rows:
        accelerator = accelerators.meeting(row)
        if accelerator is None:
            continue
        larger = enlarged(accelerators, row, accelerator, progress)
        if larger[0] not in seen:
            seen.add(larger[0])
            yield larger


def _with(found: CosearchResult, accelerators: Accelerators, row: Row, accelerator: Accelerator) -> CosearchResult:
    return replace(
        found,
        row=row,
        network=accelerators.network(row),
        choices=accelerators.choices(row),
        design=accelerator.design,
        interval_cycles=accelerator.interval_cycles,
        resources=accelerator.resources,
        design_searches=found.design_searches + accelerators.searches,
        design_options=found.design_options + accelerators.options,
    )


def _binding(accelerators: Accelerators, row: Row) -> str:
    """Return what keeps the network from growing, by the first growth that the demand or the board refuses."""
    task, demand = accelerators.task, accelerators.task.demand
    for at, order in sizes(task.space):
        larger = order[order.index(row[at]) + 1 :]
        grown = row.changed(at, larger[0]) if larger else row
        if grown == row or accelerators.meeting(grown) is not None:
            continue
        what = f"{task.decisions[at].name} {task.decisions[at].options[larger[0]]}"
        made = accelerators.design(grown)
        if made is None:
            return f"what binds is {task.board.name}: {what} has no design there: {accelerators.reasons[grown]}"
        if demand.interval_cycles is not None and demand.slow(made.interval_cycles):
            needed, allowed = made.interval_cycles, demand.interval_cycles
            return f"what binds is the demand: {what} would take {needed:,} cycles an image, allowed are {allowed:,}"
        return f"what binds is the demanded latency: {what} would take {made.latency_cycles:,} cycles, or more"
    return "neither the demand nor the board binds, larger networks are no better: more samples or epochs may help"
