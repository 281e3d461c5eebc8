"""The epochs of a co-search: weights and choices move in turn, each on its own images, and all can be resumed."""

import logging
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from codesign.cosearch.choice import Draw, blend, fixed, temperature_at
from codesign.cosearch.chooser import Chooser
from codesign.cosearch.config import SearchConfig
from codesign.cosearch.costing import Costing
from codesign.cosearch.row import Row
from codesign.cosearch.task import Task
from codesign.nets import checkpoint
from codesign.nets.batches import Images, batch_count, generator, shuffled
from codesign.nets.parallel import team
from codesign.nets.supernet import SuperNet
from codesign.nets.train import check_sound, cosine_rate
from codesign.networks.space import Space, bit_widths, branches, decisions
from codesign.progress import Progress

_log = logging.getLogger(__name__)
_CHOICE_EVERY = 2  # steps of the weights for one of the choices
_EXPLORE = 0.75  # share of operators and poolings that are drawn when weights move; the others are the likeliest


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecord:
    """One epoch: losses of the drawn networks, the mean estimate of their intervals, and of the likeliest network's.

    `exact_interval_cycles` is None where the likeliest network fits the board at no interval. `entropy`: mean over all
    choices, as a share of the uniform distribution's. `skipped`: mean number of blocks that drawn networks skip.
    """

    epoch: int
    temperature: float
    weight_loss: float
    choice_loss: float | None
    drawn_interval_cycles: float
    likeliest_interval_cycles: float
    exact_interval_cycles: int | None
    multiplier: float
    entropy: float
    skipped: float


@dataclass(eq=False)
class _Sums:
    """Sums over the steps of an epoch."""

    weight_loss: Tensor
    choice_loss: Tensor
    log_interval: float = 0.0
    skipped: int = 0
    weight_steps: int = 0
    choice_steps: int = 0


class Trainer:
    """Shared weights, the logits of all choices, and their optimizers."""

    def __init__(self, task: Task, config: SearchConfig, pricing: Costing, device: torch.device) -> None:
        self.task, self.config, self.pricing, self.device, self.team = task, config, pricing, device, team()
        self.team.check(config.batch_images)
        self.net = SuperNet(task.space, task.shape, len(task.labels), generator(config.seed, 10)).to(device)
        self.chooser = Chooser(task, config, pricing, device)
        self.branches, self.bits = set(branches(task.space)), set(bit_widths(task.space))
        self.weight_optimizer = torch.optim.AdamW(self.net.parameters(), lr=config.weight_rate, weight_decay=1e-4)
        self.done = 0
        self.history: list[EpochRecord] = []
        self.visited: list[Row] = []  # the likeliest network after every epoch

    def epoch(self, train: Images, held: Images, progress: Progress) -> None:
        """Run one epoch; its record then lacks the exact interval, which the caller gives to `finish`."""
        config, epoch = self.config, self.done
        self.net.train()
        warm = epoch < config.warmup_epochs
        rng = generator(config.seed, 11, epoch)
        temperature = temperature_at(*config.temperatures, epoch / max(config.epochs - 1, 1))
        self._sums = _Sums(torch.zeros((), device=self.device), torch.zeros((), device=self.device))
        least = int(config.images * (1.0 - config.validation_share))
        count = batch_count(len(train), config.batch_images, least)
        choice_batches = _endless(held, config.batch_images, rng)
        for i, batch in enumerate(shuffled(train, config.batch_images, rng, flip=False, least=least)):
            step = epoch * count + i
            self._set_rate(cosine_rate(config.weight_rate, step / (config.epochs * count)))
            row = self._explored(rng, warm=warm)
            self._weight_step(batch, row, self._weight_draws(row, temperature, rng))
            self.chooser.fit_arrays(row, temperature, rng)
            if not warm and i % _CHOICE_EVERY == 0:
                self._choice_step(next(choice_batches), temperature, rng)
            if i % 10 == 9:
                progress("search", step + 1, config.epochs * count, f"epoch {epoch + 1} of {config.epochs}")
        self.team.average([self._sums.weight_loss, self._sums.choice_loss, *self.net.buffers()])
        check_sound(
            f"search: epoch {epoch + 1}",
            [float(self._sums.weight_loss), float(self._sums.choice_loss)],
            [*self.net.parameters(), *self.chooser.logits],
            f"set a smaller weight_rate (now {config.weight_rate:g}) or choice_rate (now {config.choice_rate:g}), or "
            f"higher temperatures (now {config.temperatures[0]:g} to {config.temperatures[1]:g})",
        )
        self.done += 1
        self.temperature = temperature

    def finish(self, exact: int | None) -> EpochRecord:
        """Record the epoch, with the interval of the exact design of the likeliest network."""
        sums, row = self._sums, self.chooser.likeliest()
        steps = max(sums.choice_steps, 1)
        self.visited.append(row)
        record = EpochRecord(
            epoch=self.done,
            temperature=self.temperature,
            weight_loss=float(sums.weight_loss) / max(sums.weight_steps, 1),
            choice_loss=float(sums.choice_loss) / steps if sums.choice_steps else None,
            drawn_interval_cycles=self.pricing.reference * math.exp(sums.log_interval / max(sums.weight_steps, 1)),
            likeliest_interval_cycles=self.pricing.reference * math.exp(self.pricing.log_interval(row)),
            exact_interval_cycles=exact,
            multiplier=self.chooser.multiplier,
            entropy=self.chooser.entropy(),
            skipped=sums.skipped / max(sums.weight_steps, 1),
        )
        self.history.append(record)
        return record

    def save(self, path: Path, key: str, extra: dict[str, float]) -> None:
        """Leave everything that `resume` needs; of a team, the leader does."""
        if not self.team.leads:
            return
        meta, tensors = self.chooser.state()
        meta |= {
            "key": key,
            "done": self.done,
            "history": [asdict(r) for r in self.history],
            "visited": [row.options for row in self.visited],
            "extra": extra,
        }
        tensors |= checkpoint.prefixed("net", self.net.state_dict())
        tensors |= checkpoint.prefixed("weight_optimizer", checkpoint.optimizer_tensors(self.weight_optimizer))
        checkpoint.save(path, meta, tensors)

    def resume(self, path: Path, key: str) -> dict[str, float]:
        """Take up what `save` left; its extra, or nothing if there is no checkpoint."""
        found = checkpoint.load(path, key)
        if found is None:
            return {}
        meta, tensors = found
        self.net.load_state_dict(checkpoint.without_prefix("net", tensors))
        checkpoint.restore_optimizer(self.weight_optimizer, checkpoint.without_prefix("weight_optimizer", tensors))
        self.chooser.restore(meta, tensors)
        self.done, self.visited = meta["done"], [self.chooser.row(options) for options in meta["visited"]]
        self.history = [EpochRecord(**r) for r in meta["history"]]
        _log.info("search goes on after epoch %d", self.done)
        extra: dict[str, float] = meta["extra"]
        return extra

    @torch.no_grad()
    def _explored(self, rng: torch.Generator, *, warm: bool) -> Row:
        """Return the network whose weights move: drawn widths and bits, and operators of which a few are the likeliest.

        During the warm-up draws are even: an operator that is trained less would seem worse. Those that are likeliest
        give the others something that works to fit into.
        """
        draws = self.chooser.draw(rng, 1.0, uniform=warm)
        coins = torch.rand(len(draws), generator=rng) < _EXPLORE
        anchor = [i if at in self.branches else draws[at].index for at, i in enumerate(self.chooser.likeliest())]
        pairs = zip(draws, coins.tolist(), anchor, strict=True)
        row = self.chooser.row(d.index if coin else i for d, coin, i in pairs)
        for at, skip in self.chooser.too_shallow(row):
            closed = self.chooser.closed[at]
            row = row.changed(at, next(i for i in range(len(closed)) if i != skip and not bool(closed[i])))
        return row

    def _weight_draws(self, row: Row, temperature: float, rng: torch.Generator) -> list[Draw]:
        """Return the draws of that network, with blends of bit widths where weights are to see all of them."""
        draws = certain(self.task.space, row, self.device)
        if self.config.heterogeneous:
            draws = [
                blend(self.chooser.open_logits(i), temperature, rng) if i in self.bits else d
                for i, d in enumerate(draws)
            ]
        return draws

    def _weight_step(self, batch: Images, row: Row, draws: list[Draw]) -> None:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.mixed_precision):
            loss = self._loss(batch, draws)
        self.weight_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.team.average_gradients(self.net.parameters())
        nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.weight_optimizer.step()
        sums = self._sums
        sums.weight_loss += loss.detach()
        sums.log_interval += self.pricing.log_interval(row)
        sums.skipped += sum(row[at] == skip for at, skip in self.chooser.skips)
        sums.weight_steps += 1
        self.chooser.priced += 1

    def _choice_step(self, batch: Images, temperature: float, rng: torch.Generator) -> None:
        draws = self.chooser.draw(rng, temperature, paths=self.config.active_paths)
        # Operators and pooling learn in every other step, widths and bits between: all at once costs twice the time.
        branching = self._sums.choice_steps % 2 == 0
        drawn = [d if (i in self.branches) == branching else d.without_gradient() for i, d in enumerate(draws)]
        loss = self._loss(batch, drawn[: self.chooser.networks])
        self.chooser.step(draws, loss)
        self._sums.choice_loss += loss.detach()
        self._sums.choice_steps += 1

    def _loss(self, batch: Images, draws: list[Draw]) -> Tensor:
        """Return the batch's loss, or this process's part of it."""
        part = self.team.share(batch)
        return self.team.weight(batch) * functional.cross_entropy(self.net(part.x, draws).float(), part.y)

    def _set_rate(self, rate: float) -> None:
        for group in self.weight_optimizer.param_groups:
            group["lr"] = rate


def _endless(images: Images, batch: int, rng: torch.Generator) -> Iterator[Images]:
    while True:
        yield from shuffled(images, batch, rng, flip=False)


def certain(space: Space, row: Row, device: torch.device) -> list[Draw]:
    """Return the draws that give exactly the row's network."""
    return [fixed(i, len(d.options), device) for i, d in zip(row.network, decisions(space), strict=True)]
