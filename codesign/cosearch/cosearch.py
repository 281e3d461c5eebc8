"""The joint search of network and accelerator, by gradient, under a demand on the accelerator's speed.

It begins at the better of two networks that meet the demand, after a short training of each. In every step one batch of
training images moves the weights of a drawn network. After the warm-up, a batch of other images, which never train
weights, moves the choices. Their loss has two parts: that of the images, and the cost of the drawn network and of every
alternative to it. Costs are constants from a pricing; their weight grows while drawn networks are too slow. At the end
shared weights rank the likeliest networks that meet the demand. This accuracy is never reported as the network's. The
first of them are confirmed by exact designs, enlarged, trained briefly and compared.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from codesign.cosearch.accelerators import Accelerators, named
from codesign.cosearch.arrays import BlockArrays
from codesign.cosearch.beginnings import ample, beginning, cheapest
from codesign.cosearch.config import Hardware, Objective, SearchConfig
from codesign.cosearch.costing import Costing
from codesign.cosearch.dna import ArrayPricing
from codesign.cosearch.finals import best_network
from codesign.cosearch.finish import fitted, short_training
from codesign.cosearch.pricing import Pricing
from codesign.cosearch.row import Row
from codesign.cosearch.task import Task
from codesign.cosearch.trainer import EpochRecord, Trainer
from codesign.errors import ConfigError, InfeasibleError
from codesign.ir.board import Board
from codesign.ir.canonical import digest
from codesign.ir.cost import Resources
from codesign.ir.dataset import Dataset
from codesign.ir.design import Design
from codesign.nets.batches import Images, generator
from codesign.nets.device import use_device
from codesign.nets.parallel import team
from codesign.nets.train import share
from codesign.networks.network import Network, skeleton
from codesign.networks.space import Space, magnitude, middle
from codesign.progress import Progress, silent

OnEpoch = Callable[[Sequence[EpochRecord]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CosearchResult:
    """The network found, its choices as a row and by name, an exact design that meets the demand, and the course.

    `interval_cycles` and `resources` are that design's, with weights not yet known. `priced_networks`: how many
    networks the cost tables gave a cost; `design_searches`: how many exact searches there were, which together priced
    `design_options` engines. `seconds` counts an interrupted search as a whole.
    """

    network: Network
    row: Row
    choices: tuple[tuple[str, str], ...]
    design: Design
    interval_cycles: int
    resources: Resources
    space_networks: int
    history: tuple[EpochRecord, ...]
    priced_networks: int
    design_searches: int
    design_options: int
    seconds: float


def cosearch(
    dataset: Dataset,
    space: Space,
    board: Board,
    config: SearchConfig,
    folder: Path,
    progress: Progress = silent,
    on_epoch: OnEpoch | None = None,
) -> CosearchResult:
    """Search a network of the space together with its accelerator on the board. Test images are not looked at.

    After each epoch a checkpoint `search.npz` is left in `folder`. A call that finds one continues from it, and ends in
    the same network. `on_epoch` gets all records after each epoch, and those of the checkpoint at the beginning. Raise
    InfeasibleError if no network of the space meets the demand, ConfigError if the checkpoint is of other work.
    """
    begun = time.monotonic()
    device = use_device(config.device, config.threads)
    task = Task.of(dataset, space, board, config.demand(board.clock_mhz))
    reference = _reference(task)
    pricing, arrays = _pricing(task, config, reference)
    accelerators = Accelerators(task, arrays)
    is_exact = config.hardware is Hardware.EXACT and config.objective is Objective.BOTTLENECK
    least = cheapest(pricing if is_exact else Pricing(task, reference=reference), space, config.minimum_depth)
    _check_possible(task, least)
    _check_in_time(accelerators, least)
    parts = parted(dataset, config)
    train, held = (Images.of(x, y, device) for x, y in ((parts.train_x, parts.train_y), (parts.test_x, parts.test_y)))
    progress("search", 0, 1, f"a space of {magnitude(space.networks)} networks")
    trainer = Trainer(task, config, pricing, device)
    key = " ".join([digest(space), digest(board.figures()), digest(config), dataset.digest()]) + trainer.team.key
    beginnings = _begin(trainer, accelerators, parts, folder, progress)
    before = _epochs(trainer, accelerators, folder / "search.npz", key, (train, held), progress, on_epoch)
    row, found = best_network(trainer, accelerators, (train, held), parts, folder, beginnings, progress)
    return CosearchResult(
        network=accelerators.network(row),
        row=row,
        choices=accelerators.choices(row),
        design=found.design,
        interval_cycles=found.interval_cycles,
        resources=found.resources,
        space_networks=space.networks,
        history=tuple(trainer.history),
        priced_networks=trainer.chooser.priced,
        design_searches=accelerators.searches,
        design_options=accelerators.options,
        seconds=before + time.monotonic() - begun,
    )


def _begin(trainer: Trainer, accelerators: Accelerators, parts: Dataset, folder: Path, progress: Progress) -> list[Row]:
    """Return the networks that the search can begin with, and let it begin with the better of them.

    Return none where finalists are not trained, or none of them meets the demand; then the chooser begins as it is.
    """
    chooser, config = trainer.chooser, trainer.config
    first = beginning(chooser, accelerators)  # prices are adapted to it in any case
    if config.compared == 1:
        return []
    accuracies: dict[Row, float] = {}
    for i, row in enumerate((first, ample(chooser, accelerators))):
        candidate = None if row is None else fitted(accelerators, row, config)
        if row is not None and candidate is not None:
            network = accelerators.network(candidate[0])
            accuracies[row] = share(short_training(network, parts, config, folder))
            progress("train beginnings", i + 1, 2)
    if accuracies:
        best = max(accuracies, key=lambda row: accuracies[row])
        chooser.begin(best)
        trainer.pricing.adapt(best, *accelerators.cycles(best))
    return list(accuracies)


def _epochs(
    trainer: Trainer,
    accelerators: Accelerators,
    path: Path,
    key: str,
    images: tuple[Images, Images],
    progress: Progress,
    on_epoch: OnEpoch | None,
) -> float:
    """Run all epochs, or those that the checkpoint lacks; return the seconds of earlier runs too."""
    begun = time.monotonic()
    extra = trainer.resume(path, key)
    accelerators.searches, accelerators.options = int(extra.get("searches", 0)), int(extra.get("options", 0))
    before = extra.get("seconds", 0.0)
    if on_epoch is not None:
        on_epoch(trainer.history)
    while trainer.done < trainer.config.epochs:
        trainer.epoch(*images, progress)
        # A search that hits its time limit may end elsewhere in another process.
        cycles = accelerators.cycles(trainer.chooser.likeliest())
        interval, late = (trainer.team.agreed(c or 0) or None for c in cycles)
        trainer.finish(interval)
        trainer.pricing.adapt(trainer.visited[-1], interval, late)
        seconds = before + time.monotonic() - begun
        trainer.save(
            path, key, {"seconds": seconds, "searches": accelerators.searches, "options": accelerators.options}
        )
        if on_epoch is not None:
            on_epoch(trainer.history)
        _tell(progress, trainer)
    return before


def _pricing(task: Task, config: SearchConfig, reference: int) -> tuple[Costing, BlockArrays | None]:
    """Return what tells the costs of choices, and the arrays, where these are chosen too."""
    if config.hardware is Hardware.EXACT:
        return Pricing(task, config.objective, reference=reference), None
    chosen = ArrayPricing(task, reference=reference)
    return chosen, chosen.arrays


def parted(dataset: Dataset, config: SearchConfig) -> Dataset:
    """Return the images of the training part that a search uses: what trains weights, and as test part what decides.

    Raise ConfigError if one of them has too few.
    """
    order = torch.randperm(len(dataset.train_y), generator=generator(config.seed, 12))[: config.images].numpy()
    held = max(int(len(order) * config.validation_share), 1)
    if min(len(order) - held, held) < (least := max(2, team().size)):
        raise ConfigError(
            f"search: of {len(order)} training samples {len(order) - held} would train weights and {held} decide about "
            f"choices, expected at least {least} each; set a larger `images` or `validation_share`, or bring more"
        )
    x, y = dataset.train_x, dataset.train_y
    return replace(
        dataset, train_x=x[order[held:]], train_y=y[order[held:]], test_x=x[order[:held]], test_y=y[order[:held]]
    )


def _reference(task: Task) -> int:
    """Return the demanded interval in cycles; if none is demanded, that of a middle network: costs are known around it.

    A demanded latency bounds it too: no interval is longer than a latency.
    """
    if task.demand.interval_cycles is not None:
        return task.demand.interval_cycles
    accelerators, latency = Accelerators(task.undemanding), task.demand.latency_cycles
    found = [accelerators.design(Row(row)) for row in (middle(task.space), (0,) * len(task.decisions))]
    fitting = [accelerator.interval_cycles for accelerator in found if accelerator is not None]
    middling = fitting[0] if fitting else task.shape.y * task.shape.x
    return middling if latency is None else min(middling, latency)


def _check_possible(task: Task, row: Row) -> None:
    """Raise InfeasibleError, with the nearest, if not even the cheapest network found, `row`, fits and is fast enough.

    ConfigError, naming the layer, if the machine has not even that.
    """
    accelerators, board = Accelerators(task.undemanding), task.board
    skeleton(accelerators.network(row))
    result = accelerators.design(row)
    if result is None:
        raise InfeasibleError(
            f"search: no network of the space was found that fits {board.name}; the cheapest found is: "
            f"{_names(task, row)}. {accelerators.reasons[row]}"
        )
    asked = task.demand.interval_cycles
    if asked is not None and result.interval_cycles > asked:
        raise InfeasibleError(
            f"search: no network of the space was found that reaches {board.clock_mhz * 1e6 / asked:,.0f} FPS on "
            f"{board.name} ({asked} cycles at {board.clock_mhz:g} MHz); the cheapest found is: {_names(task, row)}, "
            f"which reaches {board.clock_mhz * 1e6 / result.interval_cycles:,.0f} ({result.interval_cycles} cycles). "
            "Demand less, or widen the space"
        )


def _check_in_time(accelerators: Accelerators, row: Row) -> None:
    """Raise InfeasibleError, with the nearest, if one image takes too long even on the cheapest network found, `row`.

    Its designs are searched; arrays that are chosen are not known yet.
    """
    task = accelerators.task
    most, clock = task.demand.latency_cycles, task.board.clock_mhz
    if most is None:
        return
    exact = accelerators if accelerators.arrays is None else Accelerators(task)
    interval, late = exact.cycles(row)
    if interval is not None and late is None:
        return
    best = (
        f"takes {late / clock:,.4g} us ({late} cycles)"
        if late is not None
        else f"has no design that also meets the other demands: {exact.reasons[row]}"
    )
    raise InfeasibleError(
        f"search: no network of the space was found that takes at most {most / clock:,.4g} us for one "
        f"image on {task.board.name} ({most} cycles at {clock:g} MHz); the quickest found is: "
        f"{_names(task, row)}, which {best}. Demand less, or widen the space"
    )


def _names(task: Task, row: Row) -> str:
    return ", ".join(f"{name} {option}" for name, option in named(task, row))


def _tell(progress: Progress, trainer: Trainer) -> None:
    record = trainer.history[-1]
    interval = "none fits" if record.exact_interval_cycles is None else f"{record.exact_interval_cycles:,} cycles"
    note = f"loss {record.weight_loss:.3f}, likeliest network {interval}, entropy {record.entropy:.2f}"
    progress("search epochs", trainer.done, trainer.config.epochs, note)
