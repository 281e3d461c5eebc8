"""Categorical choices by Gumbel-softmax: hard draws whose gradient is that of the soft ones."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Draw:
    """One sample of a choice among n.

    `weights` [n]: exactly one-hot in value, with the gradient of the relaxed sample `soft`. `index`: the one. `active`:
    the candidates to run, best first; with two, the second gets a gradient though it adds nothing.
    """

    weights: Tensor
    index: int
    active: tuple[int, ...]
    soft: Tensor

    def without_gradient(self) -> "Draw":
        """Return the same draw as a constant."""
        return Draw(self.weights.detach(), self.index, self.active[:1], self.soft)


def sample(logits: Tensor, temperature: float, rng: torch.Generator, paths: int = 1) -> Draw:
    """Draw from softmax(logits[n]); entries of -inf are never drawn.

    The draw itself does not depend on the temperature, only its gradient does:

        weights = one_hot(argmax(log p + g)) + y - stop(y),   y = softmax((log p + g) / temperature)
    """
    uniform = torch.rand(logits.shape, generator=rng, dtype=torch.float64).clamp_min(1e-12)
    noise = -torch.log(-torch.log(uniform))
    perturbed = torch.log_softmax(logits, 0) + noise.to(logits.device, logits.dtype)
    soft = torch.softmax(perturbed / temperature, 0)
    allowed = int(torch.isfinite(logits).sum())
    order = torch.argsort(perturbed.detach(), descending=True).tolist()
    return Draw(straight_through(soft, order[0]), order[0], tuple(order[: min(paths, allowed)]), soft.detach())


def blend(logits: Tensor, temperature: float, rng: torch.Generator) -> Draw:
    """Return a relaxed sample as a constant: every allowed option is active, with its share of a softmax."""
    drawn = sample(logits.detach(), temperature, rng, paths=len(logits))
    return Draw(drawn.soft, drawn.index, drawn.active, drawn.soft)


def straight_through(soft: Tensor, index: int) -> Tensor:
    """Return a vector that is one-hot at index in value, and soft[n] in gradient."""
    hard = torch.zeros_like(soft)
    hard[index] = 1.0
    return hard + (soft - soft.detach())


def fixed(index: int, options: int, device: torch.device) -> Draw:
    """Return the certain draw, without a gradient."""
    hard = torch.zeros(options, device=device)
    hard[index] = 1.0
    return Draw(hard, index, (index,), hard)


def temperature_at(start: float, end: float, done: float) -> float:
    """Return the temperature of a geometric schedule from start to end, as `done` goes from 0 to 1."""
    return float(start * (end / start) ** done)


def entropy(logits: Tensor) -> float:
    """Return the entropy of softmax(logits) as a share of the uniform one's; 0 if only one option is allowed."""
    allowed = logits[torch.isfinite(logits)]
    if len(allowed) < 2:
        return 0.0
    log_p = torch.log_softmax(allowed, 0)
    return float(-(log_p.exp() * log_p).sum()) / float(torch.log(torch.tensor(float(len(allowed)))))
