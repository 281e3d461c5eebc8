"""Training of a derived network: in float, then with its weights and activations quantized."""

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from codesign.errors import ConfigError
from codesign.ir.canonical import digest
from codesign.ir.dataset import Dataset
from codesign.nets import checkpoint, parallel
from codesign.nets.batches import Images, batch_count, generator, in_order, shuffled
from codesign.nets.device import use_device
from codesign.nets.net import FloatNet, QuantNet
from codesign.networks.network import Network
from codesign.networks.training import TrainConfig
from codesign.progress import Progress, silent

_log = logging.getLogger(__name__)
_SCORE_BATCH = 500
_LARGEST_WEIGHT = 65536.0  # hundreds of times what sound training gives, and within what scales can express


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRecord:
    """One epoch: in float or quantized, mean loss and share of right answers on the images as they were trained on."""

    epoch: int
    phase: str
    loss: float
    accuracy: float
    rate: float


OnEpoch = Callable[[Sequence[TrainRecord]], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedNet:
    """The quantized net and what it, and the float net that it came from, reach on the test images.

    `right`: for each of them, [N], whether the quantized net's largest logit is its label's.
    """

    net: QuantNet
    float_accuracy: float
    right: Tensor
    history: tuple[TrainRecord, ...]

    @property
    def quantized_accuracy(self) -> float:
        """Share of the test images that the quantized net gets right."""
        return share(self.right)

    @property
    def losses(self) -> tuple[float, ...]:
        """Mean training loss of each epoch, float ones first."""
        return tuple(record.loss for record in self.history)


def train(
    network: Network,
    dataset: Dataset,
    config: TrainConfig,
    folder: Path,
    progress: Progress = silent,
    on_epoch: OnEpoch | None = None,
) -> TrainedNet:
    """Train the network on the training part, and score it once, after the last epoch, on the test part.

    After each epoch a checkpoint `train.npz` is left in `folder`. A call that finds one goes on from it, and ends in
    the same weights. A team of processes shares every batch, and its leader writes. `on_epoch` gets all records after
    each epoch, and those of the checkpoint at the beginning. Raise ConfigError if the checkpoint is of other work.
    """
    run = _trained(network, dataset, config, folder, config.float_epochs + config.quantized_epochs, progress, on_epoch)
    test = Images.of(dataset.test_x, dataset.test_y, run.device)
    assert isinstance(run.net, QuantNet)
    run.net.eval()
    return TrainedNet(
        net=run.net,
        float_accuracy=run.float_score(test),
        right=right_answers(run.net, test),
        history=tuple(run.history),
    )


def train_float(
    network: Network, dataset: Dataset, config: TrainConfig, folder: Path, progress: Progress = silent
) -> Tensor:
    """Train the network in float only; tell which of the test images, [N], are right after the last epoch.

    It goes on from a checkpoint, and raises, as `train` does.
    """
    run = _trained(network, dataset, config, folder, config.float_epochs, progress)
    return right_answers(run.net, Images.of(dataset.test_x, dataset.test_y, run.device))


def _trained(
    network: Network,
    dataset: Dataset,
    config: TrainConfig,
    folder: Path,
    epochs: int,
    progress: Progress,
    on_epoch: OnEpoch | None = None,
) -> "_Run":
    """Return the training after so many epochs, or after as many as the checkpoint has."""
    device, team = use_device(config.device, config.threads), parallel.team()
    team.check(config.batch_images)
    images = Images.of(dataset.train_x, dataset.train_y, device)
    key = " ".join([network.digest(), digest(config), dataset.digest()]) + team.key
    run = _Run(network, config, folder / "train.npz", key, device, team)
    run.resume(images)
    if on_epoch is not None:
        on_epoch(run.history)
    for epoch in range(run.done, epochs):
        run.epoch(epoch, images, progress)
        if on_epoch is not None:
            on_epoch(run.history)
    return run


@torch.no_grad()
def right_answers(net: nn.Module, images: Images) -> Tensor:
    """Tell for each image, [N], whether its largest logit is its label's; of equal logits the first counts."""
    net.eval()
    return torch.cat([net(part.x).argmax(1) == part.y for part in in_order(images, _SCORE_BATCH)])


def accuracy(net: nn.Module, images: Images) -> float:
    """Return the share of the images that are right."""
    return share(right_answers(net, images))


def share(right: Tensor) -> float:
    """Return how many of the images, [N], are right."""
    return int(right.sum()) / len(right)


def check_sound(where: str, losses: Iterable[float], weights: Iterable[Tensor], settings: str) -> None:
    """Raise ConfigError, naming the settings that may be why, if a loss or a weight is not finite or far too large."""
    for loss in losses:
        if not math.isfinite(loss):
            raise ConfigError(f"{where}: it diverged, its loss is {loss}; {settings}")
    for weight in weights:
        peak = float(weight.detach().abs().max())
        if not peak <= _LARGEST_WEIGHT:
            raise ConfigError(f"{where}: it diverged, a weight is {peak:g}; {settings}")


def cosine_rate(peak: float, done: float, warm: float = 0.1) -> float:
    """Return the learning rate after the share `done` of the steps: a linear rise over `warm`, then half a cosine to
    zero.
    """
    if done < warm:
        return peak * (0.1 + 0.9 * done / warm)
    return peak * 0.5 * (1.0 + math.cos(math.pi * (done - warm) / (1.0 - warm)))


class _Run:
    """The state of a training: which net, after how many epochs."""

    def __init__(
        self, network: Network, config: TrainConfig, path: Path, key: str, device: torch.device, team: parallel.Team
    ) -> None:
        self.config, self.path, self.key, self.device, self.team = config, path, key, device, team
        self.float_net = FloatNet(network, config.seed).to(device)
        self.net: FloatNet | QuantNet = self.float_net
        self.optimizer = self._optimizer(config.float_rate)
        self.done = 0
        self.history: list[TrainRecord] = []

    def resume(self, images: Images) -> None:
        """Take up the state of the checkpoint, if there is one."""
        self.team.agreed(0)  # when the leader has written what came before: all must find the same
        found = checkpoint.load(self.path, self.key)
        if found is None:
            return
        meta, tensors = found
        self.float_net.load_state_dict(checkpoint.without_prefix("float", tensors))
        self.done, self.history = meta["done"], [TrainRecord(**r) for r in meta["history"]]
        if self.done > self.config.float_epochs:
            self.start_quantized(images)
            self.net.load_state_dict(checkpoint.without_prefix("quantized", tensors))
        checkpoint.restore_optimizer(self.optimizer, checkpoint.without_prefix("optimizer", tensors))
        _log.info("training goes on after epoch %d", self.done)

    def start_quantized(self, images: Images) -> None:
        """Fold the trained float net and choose its scales."""
        count = min(self.config.calibration_images, len(images))
        index = torch.randperm(len(images), generator=generator(self.config.seed, 1, 0))[:count]
        self.float_net.eval()
        self.net = QuantNet.from_float(self.float_net, images.take(index.to(self.device)).x)
        self.optimizer = self._optimizer(self.config.quantized_rate)

    def epoch(self, epoch: int, images: Images, progress: Progress) -> None:
        """Train for one epoch and leave a checkpoint."""
        config = self.config
        if epoch == config.float_epochs:
            self.start_quantized(images)
        is_float = epoch < config.float_epochs
        first, epochs = (0, config.float_epochs) if is_float else (config.float_epochs, config.quantized_epochs)
        peak = config.float_rate if is_float else config.quantized_rate
        count = batch_count(len(images), config.batch_images, config.epoch_images)
        stage = "train in float" if is_float else "train quantized"
        self.net.train()
        sums = torch.zeros(2, device=self.device)  # of the loss, and of the share of right answers
        rng = generator(config.seed, 2, epoch)
        batches = shuffled(
            images,
            config.batch_images,
            rng,
            flip=config.mirrors,
            least=config.epoch_images,
            shift=config.shift_pixels,
        )
        for i, batch in enumerate(batches):
            step = (epoch - first) * count + i
            _set_rate(self.optimizer, cosine_rate(peak, step / (epochs * count)))
            sums += self._step(batch, mixed=config.mixed_precision and is_float)
            if i % 20 == 19:
                progress(stage, step + 1, epochs * count, f"epoch {epoch - first + 1} of {epochs}")
        self.team.average([sums, *self.net.buffers()])
        loss, right = (sums / count).tolist()
        self._check_sound(epoch - first + 1, loss, "float" if is_float else "quantized")
        phase, rate = "float" if is_float else "quantized", self.optimizer.param_groups[0]["lr"]
        self.history.append(TrainRecord(epoch=epoch + 1, phase=phase, loss=loss, accuracy=right, rate=rate))
        self.done = epoch + 1
        self._save()
        progress(stage, (epoch - first + 1) * count, epochs * count, f"loss {loss:.3f}")

    def _check_sound(self, epoch: int, loss: float, phase: str) -> None:
        config, rate = self.config, f"{phase}_rate"
        check_sound(
            f"train: epoch {epoch} ({phase})",
            [loss],
            self.net.parameters(),
            f"set a smaller {rate} (now {getattr(config, rate):g}) or weight_decay (now {config.weight_decay:g})",
        )

    def float_score(self, test: Images) -> float:
        """Return the accuracy of the float net."""
        return accuracy(self.float_net, test)

    def _step(self, batch: Images, *, mixed: bool) -> Tensor:
        """Take one step on this process's share; return its part of the batch's loss and right answers, [2]."""
        part, weight = self.team.share(batch), self.team.weight(batch)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
            logits = self.net(part.x)
        logits = logits.float()
        loss = weight * functional.cross_entropy(logits, part.y, label_smoothing=self.config.label_smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.team.average_gradients(self.net.parameters())
        nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimizer.step()
        right = weight * (logits.detach().argmax(1) == part.y).to(loss.dtype).mean()
        return torch.stack([loss.detach(), right])

    def _optimizer(self, rate: float) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.net.parameters(), lr=rate, weight_decay=self.config.weight_decay)

    def _save(self) -> None:
        if not self.team.leads:
            return
        tensors = checkpoint.prefixed("float", self.float_net.state_dict())
        if isinstance(self.net, QuantNet):
            tensors |= checkpoint.prefixed("quantized", self.net.state_dict())
        tensors |= checkpoint.prefixed("optimizer", checkpoint.optimizer_tensors(self.optimizer))
        history = [asdict(record) for record in self.history]
        checkpoint.save(self.path, {"key": self.key, "done": self.done, "history": history}, tensors)


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
