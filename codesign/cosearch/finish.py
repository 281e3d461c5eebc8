"""The end of any search of networks: its best candidates are enlarged, trained briefly, and the most accurate is taken.

Accuracies of shared weights distinguish bad networks from good ones, but not good ones from each other. They say little
about widths and bits: every draw trains the first channels and the coarsest weights, but not what a larger network
adds. So a few candidates grow as far as a design still meets the demand. They are compared as they will be used. Each
is trained on its own, for a short time, on images that train weights in the search. Other images judge it.
"""

from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from codesign.cosearch.accelerators import Accelerator, Accelerators
from codesign.cosearch.config import SearchConfig
from codesign.cosearch.row import Row
from codesign.cosearch.task import Task
from codesign.datasets.resize import reduced
from codesign.ir.dataset import Dataset
from codesign.ir.files import make_folder
from codesign.nets.train import share, train
from codesign.networks.network import Network
from codesign.networks.space import sizes
from codesign.networks.training import TrainConfig
from codesign.progress import Progress, silent

FLOAT_EPOCHS, QUANTIZED_EPOCHS = 2, 1  # of the short training


def finish(
    accelerators: Accelerators,
    rows: Iterable[Row],
    parts: Dataset,
    config: SearchConfig,
    folder: Path,
    progress: Progress = silent,
) -> tuple[Row, Accelerator] | None:
    """Return the best of the first config.compared different rows with an accelerator that meets the demand.

    `rows`: networks in the order of promise, with their arrays where those are chosen.
    `parts`: the training part of the data set, what judges as its test part. None if no row has such an accelerator.
    Interrupted trainings continue from `folder`.
    """
    pool: dict[Row, Accelerator] = {}
    for row in rows:
        candidate = fitted(accelerators, row, config, progress)
        if candidate is not None:
            pool[candidate[0]] = candidate[1]
        if len(pool) == config.compared:
            break
    if not pool:
        return None
    grown_rows, scores = list(pool), [0.0] * len(pool)
    for i, row in enumerate(grown_rows if len(grown_rows) > 1 else ()):  # one needs no comparison
        scores[i] = share(short_training(accelerators.network(row), parts, config, folder))
        progress("train finalists", i + 1, len(grown_rows))
    best = grown_rows[scores.index(max(scores))]
    return best, pool[best]


def fitted(
    accelerators: Accelerators, row: Row, config: SearchConfig, progress: Progress = silent
) -> tuple[Row, Accelerator] | None:
    """Return the network as it is compared, enlarged where the search does that, and its accelerator, if it has one."""
    found = accelerators.meeting(row)
    if found is None:
        return None
    return enlarged(accelerators, row, found, progress) if grows(accelerators.task, config) else (row, found)


def grows(task: Task, config: SearchConfig) -> bool:
    """Tell whether the network found is enlarged: under a demand, and where being faster than that has no price."""
    return config.enlarge and task.demand.is_made and config.cost_weight == 0.0


def enlarged(
    accelerators: Accelerators, row: Row, found: Accelerator, progress: Progress = silent
) -> tuple[Row, Accelerator]:
    """Return the network with widths and bits as large as its accelerator, `found`, can become within the demand.

    Where half of the demanded interval is unused, the largest at all is tried first. Otherwise they grow by one option
    in turn, so that the first do not take all that is left of the board. What cannot grow is not tried again.
    """
    growing = list(sizes(accelerators.task.space))
    if not accelerators.task.demand.slow(2 * found.interval_cycles):
        largest = row
        for at, order in growing:
            largest = largest.changed(at, order[-1])
        at_once = accelerators.meeting(largest)
        if at_once is not None:
            return largest, at_once
    total = len(growing)
    while growing:
        for at, order in tuple(growing):
            larger = order[order.index(row[at]) + 1 :]
            grown = row.changed(at, larger[0]) if larger else row
            confirmed = accelerators.meeting(grown) if larger else None
            if confirmed is None:
                growing.remove((at, order))
                progress("enlarge the network", total - len(growing), total)
            else:
                row, found = grown, confirmed
    return row, found


def short_training(network: Network, parts: Dataset, config: SearchConfig, folder: Path) -> Tensor:
    """Tell which of the judging images, [N], are right after a short training, the same for all compared."""
    own = folder / f"finalist-{network.digest()[:16]}"
    for made in (folder, own):
        make_folder(made)
    return train(network, reduced(parts, network.shape), short_settings(parts, config), own).right


def short_settings(parts: Dataset, config: SearchConfig) -> TrainConfig:
    """Return the settings of the short training on these images."""
    return TrainConfig(
        float_epochs=FLOAT_EPOCHS,
        quantized_epochs=QUANTIZED_EPOCHS,
        epoch_images=max(len(parts.train_y), config.short_images),
        batch_images=config.batch_images,
        flip=config.flip,
        seed=config.seed,
        threads=config.threads,
        device=config.device,
        mixed_precision=config.mixed_precision,
    )
