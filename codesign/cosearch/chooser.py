"""The choices of a search: their logits, what is drawn from them, what they cost, and how they learn.

A step moves the logits against two losses. One is the task loss of the drawn network. The other is the cost of the
network and of every alternative to it, constants from a pricing. Under a demand the weight of the cost grows while
drawn networks are too slow.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from codesign.cosearch.choice import Draw, entropy, sample
from codesign.cosearch.config import SearchConfig
from codesign.cosearch.costing import Costing
from codesign.cosearch.row import Row
from codesign.cosearch.task import Task
from codesign.errors import InfeasibleError
from codesign.nets import checkpoint
from codesign.nets.parallel import team
from codesign.networks.space import middle, must_keep, skips

_MULTIPLIER_RATE = 0.05  # growth of the demand's multiplier, per step and factor e of violation
_QUADRATIC = 1.0  # growth of the cost's weight with the violation of the drawn network
_HAIR = 1e-3  # by how much the option that is likeliest at first exceeds the others
_ARRAY_STEPS = 4  # of the arrays, for one of the weights; they need no images


class Chooser:
    """The logits of all choices, those about the network first, then those about arrays, and their optimizer.

    At first the space's middle network is the likeliest, and the middle of arrays.
    """

    def __init__(self, task: Task, config: SearchConfig, pricing: Costing, device: torch.device) -> None:
        """Begin at the middle of the space. Raise InfeasibleError if too few blocks can meet the demand."""
        self.task, self.space, self.config, self.pricing, self.device = task, task.space, config, pricing, device
        self.networks = len(task.decisions)
        allowed = pricing.allowed()
        self.closed = [torch.tensor(~a, device=device) for a in allowed]
        self.skips = skips(task.space)
        self._kept = [(at, skip) for at, skip in self.skips if allowed[at].sum() > allowed[at][skip]]
        self._must_keep = must_keep(task.space, config.minimum_depth)
        if self._must_keep > len(self._kept):
            raise InfeasibleError(
                f"minimum_depth: only {len(self._kept)} of {len(self.skips)} blocks that can be skipped have another "
                f"operator that meets the demand on the board, but {self._must_keep} must be there; demand less, or "
                "fewer blocks"
            )
        self.logits = [torch.zeros(size, device=device, requires_grad=True) for size in pricing.sizes]
        self.begin(Row(middle(task.space), tuple(size // 2 for size in pricing.sizes[self.networks :])))
        self.optimizer = torch.optim.Adam(self.logits, lr=config.choice_rate, betas=(0.5, 0.999))
        self.multiplier = 0.0
        self.priced = 0

    @torch.no_grad()
    def begin(self, row: Row) -> None:
        """Make the row the likeliest, by a hair; for a chooser that has not learned yet."""
        for logits, option in zip(self.logits, row, strict=True):
            logits.zero_()
            logits[option] = _HAIR

    def row(self, options: Iterable[int]) -> Row:
        """Return the row of one option for every decision."""
        return Row.of(options, self.networks)

    def open_logits(self, i: int) -> Tensor:
        """Return the logits of a decision, -inf where an option can be part of no network that meets the demand."""
        return self.logits[i].masked_fill(self.closed[i], float("-inf"))

    def log_shares(self, i: int) -> list[float]:
        """Return the log-probability of each option of a decision, -inf where it is closed."""
        found: list[float] = torch.log_softmax(self.open_logits(i).detach(), 0).tolist()
        return found

    def likeliest(self) -> Row:
        """Return the option of largest logit of every decision, with as many blocks as are demanded."""
        with torch.no_grad():
            row = self.row(int(self.open_logits(i).argmax()) for i in range(len(self.logits)))
            for at, skip in self.too_shallow(row):
                row = row.changed(at, int(self._without(self.open_logits(at), skip).argmax()))
        return row

    def entropy(self) -> float:
        """Return the mean entropy of the choices, as a share of the uniform distribution's."""
        return sum(entropy(self.open_logits(i).detach()) for i in range(len(self.logits))) / len(self.logits)

    def draw(self, rng: torch.Generator, temperature: float, *, paths: int = 1, uniform: bool = False) -> list[Draw]:
        """Draw an option of every decision; too shallow networks get the likelier of the other operators instead."""
        logits = [self.open_logits(i) for i in range(len(self.logits))]
        if uniform:
            logits = [torch.where(torch.isfinite(x), 0.0, x).detach() for x in logits]
        draws = [sample(x, temperature, rng, paths) for x in logits]
        for at, skip in self.too_shallow(self.drawn(draws)):
            draws[at] = sample(self._without(logits[at], skip), temperature, rng, paths)
        return draws

    def drawn(self, draws: Sequence[Draw]) -> Row:
        """Return the row that was drawn."""
        return self.row(d.index for d in draws)

    def step(self, draws: list[Draw], task: Tensor) -> None:
        """Move the logits against the task loss of the drawn network and its price."""
        price, violation = self.price(draws)
        self.optimizer.zero_grad(set_to_none=True)
        gradients = torch.autograd.grad(task + price, self.logits, allow_unused=True)
        for logit, gradient in zip(self.logits, gradients, strict=True):
            logit.grad = gradient
        team().average_gradients(self.logits)
        self.optimizer.step()
        self.multiplier = max(0.0, self.multiplier + _MULTIPLIER_RATE * violation)

    def fit_arrays(self, row: Row, temperature: float, rng: torch.Generator) -> None:
        """Move the arrays' logits towards what the row's network wants; DNA's inner problem. Nothing without arrays."""
        logits = self.logits[self.networks :]
        for _ in range(_ARRAY_STEPS if logits else 0):
            draws = [sample(x, temperature, rng) for x in logits]
            tables = self.pricing.array_alternatives(replace(row, arrays=tuple(d.index for d in draws)))
            self.priced += sum(len(t) for t in tables)
            cost = self._expected(draws, tables)
            self.optimizer.zero_grad(set_to_none=True)
            for logit, gradient in zip(logits, torch.autograd.grad(cost, logits), strict=True):
                logit.grad = gradient
            self.optimizer.step()

    def price(self, draws: list[Draw]) -> tuple[Tensor, float]:
        """Return the cost's part of the loss, and the drawn network's log cost, above 0 where it misses the demand."""
        row = self.drawn(draws)
        log_cost = self.pricing.log_cost(row)
        weight = self.config.cost_weight
        if self.task.demand.is_made:
            weight += self.multiplier + _QUADRATIC * max(log_cost, 0.0)
        tables = self.pricing.alternatives(row)
        self.priced += sum(len(t) for t in tables)
        price: Tensor = weight * (log_cost + self._expected(draws, tables))
        return price, (log_cost if self.task.demand.is_made else 0.0)

    def too_shallow(self, row: Row) -> Iterator[tuple[int, int]]:
        """Yield (decision, its skip) of the first skipped blocks that must not be, for the demanded depth."""
        skipped = [(at, skip) for at, skip in self._kept if row[at] == skip]
        missing = self._must_keep - (len(self._kept) - len(skipped))
        yield from skipped[: max(missing, 0)]

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return everything that `restore` needs, as plain data and tensors."""
        meta = {"multiplier": self.multiplier, "priced": self.priced, "pricing": self.pricing.state}
        tensors = checkpoint.prefixed("logits", {str(i): x for i, x in enumerate(self.logits)})
        return meta, tensors | checkpoint.prefixed("choice_optimizer", checkpoint.optimizer_tensors(self.optimizer))

    def restore(self, meta: Mapping[str, Any], tensors: dict[str, Tensor]) -> None:
        """Take up what `state` gave."""
        with torch.no_grad():
            for name, value in checkpoint.without_prefix("logits", tensors).items():
                self.logits[int(name)].copy_(value)
        checkpoint.restore_optimizer(self.optimizer, checkpoint.without_prefix("choice_optimizer", tensors))
        self.multiplier, self.priced = meta["multiplier"], meta["priced"]
        self.pricing.restore(meta["pricing"])

    def _expected(self, draws: Sequence[Draw], tables: Sequence[npt.NDArray[np.float64]]) -> Tensor:
        """Return 0 in value; its gradient is the cost's, if each choice alone could be any mixture of its options."""
        costs = [torch.tensor(t, dtype=torch.float32, device=self.device) for t in tables]
        terms = [(d.weights * (c - c[d.index])).sum() for d, c in zip(draws, costs, strict=True)]
        return sum(terms, start=torch.zeros((), device=self.device))

    def _without(self, logits: Tensor, option: int) -> Tensor:
        return logits.index_fill(0, torch.tensor([option], device=self.device), -math.inf)
