"""Settings that suit a user's own samples: batches by their number, epochs by steps, and no mirrored characters."""

from dataclasses import replace

from codesign.cosearch.config import SearchConfig
from codesign.datasets.load import OWN
from codesign.flow.config import RunConfig
from codesign.ir.dataset import Dataset
from codesign.networks.training import TrainConfig

_BATCHES = 8  # that a pass over few samples should have
_LEAST_BATCH = 16
_SHORT_STEPS = 64  # of an epoch of the short trainings


def suited(config: RunConfig, dataset: Dataset) -> RunConfig:
    """Return the configuration with schedules that suit a user's own samples; that of a known set is as it was.

    Few samples get smaller batches, in epochs of as many steps. Images are mirrored only where that is asked for.
    """
    if config.data.kind not in OWN:
        return config
    train = _train(config.train, len(dataset.train_x))
    return replace(config, search=_search(config.search, len(dataset.train_x), mirrors=train.mirrors), train=train)


def _train(config: TrainConfig, samples: int) -> TrainConfig:
    batch = _batch(config.batch_images, samples)
    images = max(config.epoch_images * batch // config.batch_images, 1)
    return replace(config, batch_images=batch, epoch_images=images, flip=config.flip is True)


def _search(config: SearchConfig, samples: int, *, mirrors: bool) -> SearchConfig:
    used = min(config.images, samples)
    batch = _batch(config.batch_images, int(used * (1.0 - config.validation_share)))
    images = max(config.images * batch // config.batch_images, used)
    epoch = int(images * (1.0 - config.validation_share))
    return replace(
        config,
        batch_images=batch,
        images=images,
        short_images=max(config.short_images, min(epoch, _SHORT_STEPS * config.batch_images)),
        flip=config.flip and mirrors,
    )


def _batch(most: int, samples: int) -> int:
    """Return a batch of which few samples have several: the largest power of two, if it is less than `most`."""
    wanted = max(samples // _BATCHES, 1)
    return min(most, max(_LEAST_BATCH, 1 << (wanted.bit_length() - 1)))
