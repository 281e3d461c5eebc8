"""What goes wrong in searches like ours elsewhere, and does not here: one test for each."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from codesign.cosearch import cosearch as search  # noqa: E402
from codesign.cosearch import finals, finish  # noqa: E402
from codesign.cosearch.accelerators import Accelerators  # noqa: E402
from codesign.cosearch.beginnings import ample, beginning  # noqa: E402
from codesign.cosearch.chooser import Chooser  # noqa: E402
from codesign.cosearch.config import SearchConfig  # noqa: E402
from codesign.cosearch.cosearch import cosearch  # noqa: E402
from codesign.cosearch.pricing import Pricing  # noqa: E402
from codesign.cosearch.row import Row  # noqa: E402
from codesign.cosearch.tabular import tabular_search  # noqa: E402
from codesign.cosearch.trainer import Trainer, certain  # noqa: E402
from codesign.ir.board import Board  # noqa: E402
from codesign.ir.boards import load_board  # noqa: E402
from codesign.ir.cost import Resources  # noqa: E402
from codesign.ir.dataset import Dataset  # noqa: E402
from codesign.nets.batches import Images  # noqa: E402
from codesign.nets.supernet import recalibrate  # noqa: E402
from codesign.networks.network import Network  # noqa: E402
from codesign.networks.space import (  # noqa: E402
    BlockSpace,
    HeadPool,
    Kind,
    Operator,
    Space,
    StageSpace,
    decisions,
    sizes,
)
from codesign.progress import silent  # noqa: E402
from codesign.testing.small_search import CPU, first_row, run_tiny, tiny_config, tiny_data, tiny_space, tiny_task  # noqa: E402

pytestmark = pytest.mark.torch


def numbered(first: int, count: int) -> Images:
    """Images whose pixels all are their number."""
    x = torch.arange(first, first + count, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 8, 8)
    return Images(x.contiguous(memory_format=torch.channels_last), torch.arange(count) % 3)


def test_every_step_has_a_batch_of_its_own_and_choices_never_see_training_images(board: Board) -> None:
    task = tiny_task(board, 200)
    trainer = Trainer(task, tiny_config(warmup_epochs=0), Pricing(task), CPU)
    seen: list[tuple[int, ...]] = []
    trainer.net.register_forward_pre_hook(lambda net, inputs: seen.append(tuple(inputs[0][:, 0, 0, 0].tolist())))
    trainer.epoch(numbered(0, 48), numbered(100, 48), silent)
    weights = [batch for batch in seen if max(batch) < 100]
    choices = [batch for batch in seen if min(batch) >= 100]
    assert len(weights) + len(choices) == len(seen)
    assert len(set(weights)) == len(weights) == 3
    assert len(set(choices)) == len(choices) == 2
    assert sorted(i for batch in weights for i in batch) == list(range(48))


def test_the_best_finalist_is_the_result_not_the_last(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores: dict[Row, float] = {}

    def score(trainer: Trainer, row: Row, batches: object, held: object) -> tuple[float, float]:
        scores[row] = [0.2, 0.9, 0.5, 0.1][len(scores) % 4]
        return scores[row], 0.0

    monkeypatch.setattr(finals, "_score", score)
    found = run_tiny(board, tmp_path, finalists=4, trained_finalists=1, trained_neighbours=0, enlarge=False)
    options = [d.options for d in decisions(tiny_space())]
    row = Row(tuple(o.index(choice) for o, (_, choice) in zip(options, found.choices, strict=True)))
    assert len(scores) > 1
    assert scores[row] == max(scores.values())


@pytest.mark.parametrize("best", range(3))
def test_of_finalists_that_are_trained_the_most_accurate_is_the_result(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: int
) -> None:
    """Also where it is one of the two that the search can begin with, which are the first of them."""
    asked = known_trainings(monkeypatch, best)
    found = run_tiny(board, tmp_path, trained_finalists=3, trained_neighbours=0, enlarge=False)
    assert len(asked) == 3
    assert found.network == asked[best]
    assert [accelerated(board).network(row) for row in begun(board)] == asked[:2]


@pytest.mark.parametrize("best", range(2))
def test_a_search_begins_at_the_better_of_two_networks_that_meet_the_demand(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: int
) -> None:
    known_trainings(monkeypatch, best)
    likeliest: list[Row] = []
    monkeypatch.setattr(Trainer, "epoch", lambda self, *_: likeliest.append(self.chooser.likeliest()))
    monkeypatch.setattr(Trainer, "finish", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # the first epoch is enough
        run_tiny(board, tmp_path, trained_finalists=3, enlarge=False)
    assert likeliest == [begun(board)[best]]


def known_trainings(monkeypatch: pytest.MonkeyPatch, best: int) -> list[Network]:
    """In place of short trainings; the network that is asked for as number `best` wins. The networks, as asked for."""
    asked: list[Network] = []

    def trained(network: Network, parts: Dataset, config: SearchConfig, folder: Path) -> torch.Tensor:
        assert (len(parts.train_y), len(parts.test_y)) == (48, 16)
        if network not in asked:
            asked.append(network)
        return torch.arange(16) < (16 if asked.index(network) == best else 8)

    for module in (finish, search):
        monkeypatch.setattr(module, "short_training", trained)
    return asked


def accelerated(board: Board) -> Accelerators:
    return Accelerators(tiny_task(board, 200))


def begun(board: Board) -> list[Row]:
    """The two networks that a search of the tiny space can begin with."""
    task = tiny_task(board, 200)
    chooser = Chooser(task, tiny_config(), Pricing(task), CPU)
    found = [beginning(chooser, accelerated(board)), ample(chooser, accelerated(board))]
    return [row for row in found if row is not None]


def test_where_cost_has_a_price_a_higher_one_gives_a_faster_machine(board: Board, tmp_path: Path) -> None:
    """As a whole: tables, choices and finalists, at intervals of a few hundred cycles."""
    found = [
        run_tiny(board, tmp_path / str(weight), min_fps=None, cost_weight=weight, epochs=6, choice_rate=0.2)
        for weight in (0.0, 0.2, 20.0)
    ]
    intervals = [f.interval_cycles for f in found]
    assert intervals == sorted(intervals, reverse=True)
    assert intervals[0] > intervals[-1]


@pytest.mark.parametrize("falling", [False, True])
def test_widths_and_bits_that_cost_nothing_are_taken(board: Board, tmp_path: Path, falling: bool) -> None:
    """Shared weights favour small networks, which every draw trains; a demand for speed is no reason to stay small.

    In whichever order the space names its options.
    """

    def named(*options: int) -> tuple[int, ...]:
        return tuple(sorted(options, reverse=falling))

    first = BlockSpace(operators=(Operator(kind=Kind.CONV, kernel=3),), weight_bits=named(3, 4, 6))
    stage = StageSpace(stride=2, widths=named(4, 8), activation_bits=named(3, 4), blocks=(first,))
    space = Space(stages=(stage,), head_pools=(HeadPool.GLOBAL,), head_weight_bits=named(4, 6))
    found = cosearch(tiny_data(), space, board, tiny_config(minimum_depth=1), tmp_path)
    largest = {"width": "8", "activation bits": "4", "block 0 weight bits": "6"}
    assert dict(found.choices) == {
        **{f"stage 0 {name}": option for name, option in largest.items()},
        "stage 0 block 0 operator": "conv3",
        "head pool": "global",
        "head weight bits": "6",
    }


@pytest.mark.parametrize(("lut", "target"), [(2500, 200), (2900, 400), (8000, 200)])
def test_a_network_grows_until_nothing_more_fits(board: Board, lut: int, target: int) -> None:
    small = replace(board, resources=Resources(dsp=4, bram18=20, uram=0, lut=lut, ff=10000))
    accelerators = Accelerators(tiny_task(small, target))
    start = first_row(tiny_space())
    first = accelerators.design(start)
    assert first is not None
    row, found = finish.enlarged(accelerators, start, first)
    assert found.interval_cycles <= target
    places = dict(sizes(tiny_space()))
    most = sum(len(order) - 1 for order in places.values())
    assert sum(row) == most if lut == 8000 else 0 < sum(row) < most
    assert all(option == 0 for at, option in enumerate(row) if at not in places)
    for at, order in places.items():
        for larger in order[order.index(row[at]) + 1 :]:
            other = accelerators.design(row.changed(at, larger))
            assert other is None or other.interval_cycles > target


def test_a_derived_network_is_scored_with_statistics_of_its_own() -> None:
    task = tiny_task(load_board("pynq-z2"), 200)
    trainer = Trainer(task, tiny_config(), Pricing(task), CPU)
    x = Images.of(tiny_data().train_x, tiny_data().train_y, CPU).x

    @torch.no_grad()
    def logits(row: Row, calibrated: Row) -> torch.Tensor:
        recalibrate(trainer.net, [x[:32], x[32:]], certain(task.space, calibrated, CPU))
        found: torch.Tensor = trainer.net(x, certain(task.space, row, CPU))
        return found

    for head in trainer.net.heads:
        torch.nn.init.normal_(head.weight, generator=torch.Generator().manual_seed(0))
    first = first_row(task.space)
    second = first.changed(0, 1)  # of another width
    own = logits(first, first)
    assert not torch.equal(logits(first, second), own)
    assert torch.equal(logits(first, first), own)


def test_the_accuracy_of_the_supernet_is_not_in_the_result(board: Board, tmp_path: Path) -> None:
    found = run_tiny(board, tmp_path)
    assert not [name for name in type(found).__slots__ if "accuracy" in name or "score" in name]
    assert search.CosearchResult is type(found)


@pytest.mark.parametrize("seed", range(3))
def test_with_known_accuracies_the_search_finds_the_best_network_that_is_fast_enough(board: Board, seed: int) -> None:
    """The accuracy of a row is the sum of its indices, so the largest network would win, were it fast enough."""
    task = tiny_task(board, 200)
    sizes = [len(d.options) for d in task.decisions]
    worth = np.random.default_rng(5).permutation(len(sizes)) + 1.0
    config = tiny_config(seed=seed, min_fps=500_000.0, finalists=24, choice_rate=0.1)
    accelerators = Accelerators(task)

    def accuracy(row: Row) -> float:
        return float((np.array(row.network) / np.maximum(np.array(sizes) - 1, 1) * worth).sum() / worth.sum())

    chooser = Chooser(task, config, Pricing(task), CPU)
    found = tabular_search(accuracy, chooser, accelerators, steps=200)
    feasible = []
    for row in map(Row, np.ndindex(*sizes)):
        if not any(chooser.too_shallow(row)):
            feasible.append((accuracy(row), row))
    for value, row in sorted(feasible, reverse=True):
        made = accelerators.design(row)
        if made is not None and made.interval_cycles <= 200:
            assert found.accuracy == pytest.approx(value)
            break
    assert found.accelerator.interval_cycles <= 200
    assert found.asked < len(feasible)
