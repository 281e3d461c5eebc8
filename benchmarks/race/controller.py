"""The rival that learns by reward: a recurrent controller over all decisions, network and accelerator, by REINFORCE."""

import math

import torch
from torch import Tensor, nn

from .problem import Candidate, Judge

HIDDEN = 64
RATE = 5e-3
BATCH = 8  # samples between two updates
SMOOTHING = 0.8  # of the moving average of accuracies
PENALTY = 0.1  # the largest, for samples that miss the demand
WORST = 2.0  # violation at which it is reached
ENTROPY = 3e-3


class Controller(nn.Module):
    """An LSTM that decides one decision after the other; what it decided is what it sees next."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.sizes = sizes
        self.cell = nn.LSTMCell(HIDDEN, HIDDEN)
        self.start = nn.Parameter(torch.zeros(HIDDEN))
        self.seen = nn.ModuleList(nn.Embedding(n, HIDDEN) for n in sizes)
        self.heads = nn.ModuleList(nn.Linear(HIDDEN, n) for n in sizes)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1)

    def forward(self, samples: int, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return decisions [samples, D] drawn, the log-probability of each sample, and its entropy [samples]."""
        x = self.start.expand(samples, HIDDEN)
        state = (torch.zeros(samples, HIDDEN), torch.zeros(samples, HIDDEN))
        drawn, log_p, entropy = [], torch.zeros(samples), torch.zeros(samples)
        for seen, head in zip(self.seen, self.heads, strict=True):
            state = self.cell(x, state)
            logits = torch.log_softmax(head(state[0]), 1)
            pick = torch.multinomial(logits.detach().exp(), 1, generator=rng)
            log_p = log_p + logits.gather(1, pick)[:, 0]
            entropy = entropy - (logits.exp() * logits).sum(1)
            drawn.append(pick)
            x = seen(pick[:, 0])
        return torch.cat(drawn, 1), log_p, entropy


def reinforcement(judge: Judge, seed: int) -> Candidate | None:
    """Search by rewards: a sample that meets the demand earns accuracy - EWA(accuracy) + interval / target / 10.

    Others get a penalty of up to 0.1, and their accuracy is not asked for. As published the penalty is the same for all
    of them, which says nothing about the way. Here it grows with the violation. Rewards are compared with the mean of
    their batch.
    """
    problem = judge.problem
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Controller((*problem.sizes, *problem.arrays))
    rng = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
    network, average = len(problem.sizes), math.nan
    while not judge.spent:
        drawn, log_p, entropy = net(BATCH, rng)
        rewards = []
        for sample in drawn.tolist():
            reward, average = _reward(judge, tuple(sample[:network]), tuple(sample[network:]), average)
            rewards.append(reward)
            if judge.spent:
                break
        gain = torch.tensor(rewards) - sum(rewards) / len(rewards)
        loss = -(gain * log_p[: len(rewards)]).mean() - ENTROPY * entropy.mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    return judge.best


def _reward(judge: Judge, row: tuple[int, ...], choice: tuple[int, ...], average: float) -> tuple[float, float]:
    """Return the reward of a sample, and the moving average of accuracies after it."""
    if not judge.problem.legal(row):
        judge.points += 1
        return -PENALTY, average
    price = judge.price(row, choice)
    if not price.meets:
        return -PENALTY * min(price.violation / WORST, 1.0), average
    accuracy = judge.accuracy(row)
    judge.keep(row, choice, accuracy, price.interval)
    before = accuracy if math.isnan(average) else average
    reward = accuracy - before + price.interval / judge.problem.target / 10
    return reward, SMOOTHING * before + (1 - SMOOTHING) * accuracy
