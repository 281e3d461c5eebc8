"""The co-search with known accuracies: from a table, from a predictor, or by training each network when asked.

Choices are drawn, priced and moved as in cosearch.trainer. Only the task's loss comes from the table, and its gradient
from the two active options of every choice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from codesign.cosearch.accelerators import Accelerator, Accelerators
from codesign.cosearch.choice import Draw, temperature_at
from codesign.cosearch.chooser import Chooser
from codesign.cosearch.finals import finalists
from codesign.cosearch.repair import SLACK
from codesign.cosearch.row import Row
from codesign.errors import InfeasibleError
from codesign.nets.batches import generator

Accuracy = Callable[[Row], float]  # of the network of a row of choices, 0 to 1


@dataclass(frozen=True, slots=True)
class TabularResult:
    """The row found, its accuracy and accelerator, and how many different networks' accuracies were asked for."""

    row: Row
    accuracy: float
    accelerator: Accelerator
    asked: int


class _Table:
    """Accuracies asked for, each once."""

    def __init__(self, accuracy: Accuracy) -> None:
        self._accuracy = accuracy
        self.known: dict[Row, float] = {}

    def __call__(self, row: Row) -> float:
        key = Row(row.network)
        if key not in self.known:
            self.known[key] = self._accuracy(key)
        return self.known[key]


def tabular_search(
    accuracy: Accuracy, chooser: Chooser, accelerators: Accelerators, *, steps: int, rounds: int = 8, scale: float = 4.0
) -> TabularResult:
    """Search the most accurate network whose accelerator meets the demand of its task.

    After each of the `rounds` the likeliest network's accelerator is made and the prices are adapted to it. `scale`:
    task loss of a wrong answer. Raise InfeasibleError if no finalist meets the demand.
    """
    config, table = chooser.config, _Table(accuracy)
    rng, visited = generator(config.seed, 14), []
    for step in range(steps):
        temperature = temperature_at(*config.temperatures, step / max(steps - 1, 1))
        draws = chooser.draw(rng, temperature, paths=2)
        chooser.step(draws, _task_loss(table, draws[: chooser.networks], scale))
        if (step + 1) % max(steps // rounds, 1) == 0:
            visited.append(chooser.likeliest())
            chooser.pricing.adapt(visited[-1], *accelerators.cycles(visited[-1]))
    # The best of all networks asked for, not of those that are likeliest at the end.
    candidates = finalists(chooser, visited, grown=False)
    if accelerators.arrays is None:
        candidates += [row for row in table.known if chooser.pricing.log_cost(row) <= SLACK]
    candidates = [row for row in dict.fromkeys(candidates) if not any(chooser.too_shallow(row))]
    for row in sorted(candidates, key=lambda row: (-table(row), row)):
        found = accelerators.meeting(row)
        if found is not None:
            return TabularResult(row, table(row), found, len(table.known))
    raise InfeasibleError(f"search: no finalist meets the demand on {accelerators.task.board.name}; search longer")


def _task_loss(table: _Table, draws: Sequence[Draw], scale: float) -> Tensor:
    """Return the scaled error of the drawn network; each choice gets its gradient from its second active option."""
    row = Row(tuple(d.index for d in draws))
    right = table(row)
    loss = torch.tensor(scale * (1.0 - right))
    for i, draw in enumerate(draws):
        for option in draw.active[1:]:
            other = table(row.changed(i, option))
            loss = loss + draw.weights[option] * scale * (right - other)
    return loss
