"""Several processes that work on one run, as torchrun starts them: each takes its share of every batch.

    torchrun --nproc-per-node=2 -m codesign run CONFIG.yaml

All have the same weights, draws and order of images, so only gradients are exchanged, and after every epoch what batch
normalization has seen. The first process leads: it alone writes files and shows progress. All read the same run folder.
A process alone is a team of one, for which nothing here does anything.
"""

import atexit
import datetime
import importlib
import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from codesign.errors import ConfigError
from codesign.nets.batches import Images

_PATIENCE = datetime.timedelta(days=1)  # torchrun ends all of a team as soon as one has failed


@dataclass(frozen=True, slots=True)
class Team:
    """How many processes there are, and which this one is."""

    rank: int
    size: int

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    @property
    def key(self) -> str:
        """What a checkpoint's key says of the team: others end in other weights."""
        return f" {self.size} processes" if self.size > 1 else ""

    def share(self, batch: Images) -> Images:
        """Return the images of a batch that are for this process."""
        return batch if self.size == 1 else Images(batch.x[self.rank :: self.size], batch.y[self.rank :: self.size])

    def weight(self, batch: Images) -> float:
        """Return what the mean loss over the share counts for, so that the mean over processes is the batch's."""
        return len(batch.y[self.rank :: self.size]) * self.size / len(batch)

    def check(self, batch_images: int) -> None:
        """Raise ConfigError unless every process gets an image of every batch."""
        if batch_images < self.size:
            raise ConfigError(f"batch_images: {batch_images} images cannot be shared by {self.size} processes")

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace floating-point tensors by their means over all processes."""
        found = [t for t in tensors if t.is_floating_point()]
        if self.size == 1 or not found:
            return
        flat = torch.cat([t.detach().flatten() for t in found])
        distributed.all_reduce(flat)
        flat /= self.size
        for t, mean in zip(found, flat.split([t.numel() for t in found]), strict=True):
            t.detach().copy_(mean.view(t.shape))

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace gradients by their means over all processes."""
        self.average(p.grad for p in parameters if p.grad is not None)

    def agreed(self, value: int) -> int:
        """Return the leader's value, on every process; all wait for each other here."""
        if self.size == 1:
            return value
        held = torch.tensor(value, dtype=torch.int64)
        distributed.broadcast(held, 0)
        return int(held)


def team() -> Team:
    """Return the team that this process has joined."""
    if distributed.is_available() and distributed.is_initialized():
        return Team(distributed.get_rank(), distributed.get_world_size())
    return Team(0, 1)


def join() -> Team:
    """Join the team that torchrun's environment describes, if there is one."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not distributed.is_initialized():
        importlib.import_module("torch.distributed.nn.functional")  # whoever imports it later keeps the group for ever
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        distributed.init_process_group(backend, timeout=_PATIENCE)
        if not torch.cuda.is_available():  # NCCL would wait for the others, who may wait for this one
            atexit.register(leave)  # also after an error: Gloo's threads abort a process whose interpreter has ended
    return team()


def leave() -> None:
    """Leave the team: what follows is done by one process, or in no common order."""
    if team().size > 1:
        distributed.destroy_process_group()


def gpu() -> torch.device:
    """Return the GPU of this process: the first, or each of a team its own. Raise ConfigError if there are too few."""
    own, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if team().size == 1:
        return torch.device("cuda")
    if own >= count:
        raise ConfigError(f"process {own} has no GPU of its own: torch finds {count}; start fewer processes")
    torch.cuda.set_device(own)
    return torch.device("cuda", own)
