"""The joint search of network and accelerator, by gradient, under a demand on the accelerator's speed.

In every step one batch of the training images moves the weights of a drawn network; after the warm-up, a batch of
images that never train weights moves the choices. To the loss of the choices comes the cost of the drawn network and
of every alternative to it, constants from search.pricing, with a multiplier that grows while drawn networks are too
slow. At the end the likeliest networks that meet the demand are compared, and the best that an exact design search
confirms is the result. The accuracy of shared weights only ranks them; it is never reported as the network's.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from codesign.errors import InfeasibleError
from codesign.ir.board import Board
from codesign.ir.cost import Resources
from codesign.ir.dataset import Dataset
from codesign.ir.design import Design
from codesign.nets.batches import Images, generator, in_order
from codesign.nets.config import use_device
from codesign.nets.network import Network, skeleton
from codesign.nets.space import Space, decisions, derive
from codesign.nets.supernet import recalibrate
from codesign.progress import Progress, silent
from codesign.search.config import SearchConfig
from codesign.search.design import SearchResult, search_design
from codesign.search.pricing import Pricing
from codesign.search.trainer import EpochRecord, Trainer, certain

_DEFAULT_TARGET = 10_000  # cycles around which costs are tabulated if no FPS is demanded
_DRAWS = 400  # networks drawn at the end, to find the finalists among
_STATISTICS_BATCHES = 6
_SCORE_IMAGES = 3000
_SLACK = 0.05  # of log interval, by which a table may err: the exact search decides
_RESERVE = 0.05  # of the board's budget, for buffers that only the schedule of the final design sizes


@dataclass(frozen=True, slots=True, kw_only=True)
class CosearchResult:
    """The network found, its choices by name, an exact design that shows that it meets the demand, and the course.

    `interval_cycles` and `resources` are that design's, with weights not yet known. `priced_networks`: how many
    networks the cost tables gave a cost; `design_searches`: how many exact searches there were, which together priced
    `design_options` engines. `seconds` counts all sessions of an interrupted search.
    """

    network: Network
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
) -> CosearchResult:
    """Search a network of the space together with its accelerator on the board. Test images are not looked at.

    After each epoch a checkpoint `search.npz` is left in `folder`; a call that finds one goes on from it and ends in
    the same network as if never interrupted. Raises InfeasibleError if no network of the space meets the demand, and
    ConfigError if the checkpoint is of other work.
    """
    begun = time.monotonic()
    device = use_device(config.device, config.threads)
    target = _DEFAULT_TARGET if config.min_fps is None else max(int(board.clock_mhz * 1e6 / config.min_fps), 1)
    pricing = Pricing(space, dataset.shape, len(dataset.classes), board, target)
    exact = _Exact(space, dataset, board)
    if config.min_fps is not None:
        _check_possible(pricing, exact, space, config.min_fps)
    train, held = _split(dataset, config, device)
    trainer = Trainer(space, dataset.shape, len(dataset.classes), config, pricing, device)
    path, key = folder / "search.npz", f"{space} {board} {config} {dataset.digest()}"
    extra = trainer.resume(path, key)
    exact.searches, exact.options = int(extra.get("searches", 0)), int(extra.get("options", 0))
    before = extra.get("seconds", 0.0)
    while trainer.done < config.epochs:
        trainer.epoch(train, held, progress)
        result = exact.search(trainer.likeliest())
        record = trainer.finish(result.interval_cycles if result else None)
        pricing.adapt(trainer.visited[-1], record.exact_interval_cycles)
        seconds = before + time.monotonic() - begun
        trainer.save(path, key, {"seconds": seconds, "searches": exact.searches, "options": exact.options})
        _tell(progress, trainer, record)
    row, design = _best(trainer, exact, train, held, progress)
    return CosearchResult(
        network=exact.network(row),
        choices=tuple((d.name, d.options[i]) for d, i in zip(decisions(space), row, strict=True)),
        design=design.design,
        interval_cycles=design.interval_cycles,
        resources=design.resources,
        space_networks=space.networks,
        history=tuple(trainer.history),
        priced_networks=trainer.priced,
        design_searches=exact.searches,
        design_options=exact.options,
        seconds=before + time.monotonic() - begun,
    )


@dataclass(eq=False)
class _Exact:
    """Exact designs of networks of a space, each searched once."""

    space: Space
    dataset: Dataset
    board: Board
    searches: int = 0
    options: int = 0
    found: dict[tuple[int, ...], SearchResult | None] = field(default_factory=dict)

    @property
    def reserve(self) -> Resources:
        """What designs leave free within the board's budget."""
        budget = self.board.budget
        return Resources(
            bram18=int(budget.bram18 * _RESERVE), lut=int(budget.lut * _RESERVE), ff=int(budget.ff * _RESERVE)
        )

    def network(self, row: Sequence[int]) -> Network:
        """The network of these choices."""
        data = self.dataset
        return derive(self.space, row, data.name.replace("-", "_"), data.shape, data.classes)

    def search(self, row: Sequence[int]) -> SearchResult | None:
        """The design of least interval, or None if the network does not fit the board."""
        key = tuple(row)
        if key not in self.found:
            try:
                result = search_design(skeleton(self.network(row)), self.board, reserve=self.reserve, explain=False)
            except InfeasibleError:
                result = None
            self.searches += 1
            self.options += result.evaluations if result else 0
            self.found[key] = result
        return self.found[key]


def _split(dataset: Dataset, config: SearchConfig, device: torch.device) -> tuple[Images, Images]:
    """Images of the training part that train weights, and others that decide about choices."""
    order = torch.randperm(len(dataset.train_y), generator=generator(config.seed, 12))[: config.images]
    held = max(int(len(order) * config.validation_share), 1)
    images = Images.of(dataset.train_x, dataset.train_y, torch.device("cpu"))
    parts = (images.take(order[held:]), images.take(order[:held]))
    train, validation = (Images(p.x.to(device), p.y.to(device)) for p in parts)
    return train, validation


def _check_possible(pricing: Pricing, exact: _Exact, space: Space, min_fps: float) -> None:
    """Raise InfeasibleError, with the nearest, if not even the cheapest network of the space is fast enough."""
    row = cheapest(pricing)
    result = exact.search(row)
    if result is not None and result.interval_cycles <= pricing.target:
        return
    board = exact.board
    names = ", ".join(f"{d.name} {d.options[i]}" for d, i in zip(decisions(space), row, strict=True))
    nearest = (
        "which does not fit the board at all"
        if result is None
        else f"which reaches {board.clock_mhz * 1e6 / result.interval_cycles:,.0f} ({result.interval_cycles} cycles)"
    )
    raise InfeasibleError(
        f"search: no network of the space reaches {min_fps:,.0f} FPS on {board.name} ({pricing.target} cycles at "
        f"{board.clock_mhz:g} MHz); the cheapest is: {names}, {nearest}. Demand less, or widen the space"
    )


def cheapest(pricing: Pricing) -> list[int]:
    """A network of least cost by the tables: from the first of all options, change the best one until none helps."""
    row = [0] * len(pricing.sizes)
    cost = pricing.log_cost(row)
    while True:
        tables = pricing.alternatives(row)
        at = min(range(len(row)), key=lambda i: float(tables[i].min()))
        if float(tables[at].min()) >= cost - 1e-9:
            return row
        row[at] = int(tables[at].argmin())
        cost = float(tables[at].min())


def repaired(pricing: Pricing, logits: Sequence[Sequence[float]], row: Sequence[int], limit: float) -> list[int] | None:
    """The network changed, one choice at a time, until its cost is at most `limit`; None if that does not succeed.

    Each change is the one that loses least log-probability for each unit of cost that it saves.
    """
    row = list(row)
    for _ in range(4 * len(row)):
        cost = pricing.log_cost(row)
        if cost <= limit:
            return row
        best: tuple[float, int, int] | None = None
        for i, table in enumerate(pricing.alternatives(row)):
            for option, value in enumerate(table):
                if value < cost - 1e-6 and logits[i][option] > float("-inf"):
                    loss = (logits[i][row[i]] - logits[i][option] + 0.01) / (cost - max(float(value), limit - 0.1))
                    best = min(best or (loss, i, option), (loss, i, option))
        if best is None:
            return None
        row[best[1]] = best[2]
    return None


def _best(
    trainer: Trainer, exact: _Exact, train: Images, held: Images, progress: Progress
) -> tuple[list[int], SearchResult]:
    """The most accurate of the finalists, with shared weights, that an exact design confirms."""
    finalists = _finalists(trainer)
    batches = [b.x for b in in_order(train.take(torch.arange(_STATISTICS_BATCHES * 256) % len(train)), 256)]
    scores: list[tuple[float, int]] = []
    for i, row in enumerate(finalists):
        scores.append((-_score(trainer, row, batches, held), i))
        progress("compare finalists", i + 1, len(finalists))
    demand = trainer.config.min_fps
    for _, i in sorted(scores):
        result = exact.search(finalists[i])
        if result is not None and (demand is None or result.interval_cycles <= trainer.pricing.target):
            return finalists[i], result
    row = cheapest(trainer.pricing)  # shown to meet the demand before the search began
    result = exact.search(row)
    if result is None:
        raise InfeasibleError(f"search: no network of the space fits {exact.board.name}; widen the space")
    return row, result


def _finalists(trainer: Trainer) -> list[list[int]]:
    """The likeliest networks that meet the demand by the tables: those that were likeliest, and drawn ones."""
    config, pricing = trainer.config, trainer.pricing
    rng = generator(config.seed, 13)
    logits = [torch.log_softmax(trainer.open_logits(i).detach(), 0).tolist() for i in range(len(pricing.sizes))]
    with torch.no_grad():
        rows = [trainer.likeliest(), *reversed(trainer.visited)]
        rows += [[d.index for d in trainer.draw(rng, 1.0)] for _ in range(_DRAWS)]
    limit = _SLACK if config.min_fps is not None else float("inf")
    meeting: dict[tuple[int, ...], float] = {}
    for row in rows:
        found = repaired(pricing, logits, row, limit)
        if found is not None:
            meeting[tuple(found)] = sum(x[i] for x, i in zip(logits, found, strict=True))
    trainer.priced += len(rows)
    order = sorted(meeting, key=lambda row: (-meeting[row], row))
    return [list(row) for row in order[: config.finalists]]


@torch.no_grad()
def _score(trainer: Trainer, row: list[int], batches: list[torch.Tensor], held: Images) -> float:
    """Share of the held images that the network gets right with the shared weights and statistics of its own."""
    draws = certain(trainer.space, row, trainer.device)
    recalibrate(trainer.net, batches, draws)
    part = Images(held.x[:_SCORE_IMAGES], held.y[:_SCORE_IMAGES])
    hits = sum(int((trainer.net(b.x, draws).argmax(1) == b.y).sum()) for b in in_order(part, 500))
    return hits / len(part)


def _tell(progress: Progress, trainer: Trainer, record: EpochRecord) -> None:
    interval = "none fits" if record.exact_interval_cycles is None else f"{record.exact_interval_cycles:,} cycles"
    note = f"loss {record.weight_loss:.3f}, likeliest network {interval}, entropy {record.entropy:.2f}"
    progress("search epochs", trainer.done, trainer.config.epochs, note)
