"""Searches at the edge of what can be asked: little of a board, little to choose, little time."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from codesign.cosearch.accelerators import Accelerators  # noqa: E402
from codesign.cosearch.beginnings import cheapest  # noqa: E402
from codesign.cosearch.chooser import Chooser  # noqa: E402
from codesign.cosearch.config import Objective, SearchConfig  # noqa: E402
from codesign.cosearch.cosearch import cosearch  # noqa: E402
from codesign.cosearch.pricing import Pricing  # noqa: E402
from codesign.cosearch.row import Row  # noqa: E402
from codesign.cosearch.task import Task  # noqa: E402
from codesign.cosearch.trainer import Trainer  # noqa: E402
from codesign.errors import ConfigError, InfeasibleError  # noqa: E402
from codesign.ir.board import Board, Limits  # noqa: E402
from codesign.ir.cost import Resources  # noqa: E402
from codesign.ir.demand import Demand  # noqa: E402
from codesign.model.predict import predict  # noqa: E402
from codesign.nets.batches import Images, generator  # noqa: E402
from codesign.nets.train import train  # noqa: E402
from codesign.networks.derive import derive  # noqa: E402
from codesign.networks.network import skeleton  # noqa: E402
from codesign.networks.space import (  # noqa: E402
    BlockSpace,
    HeadPool,
    Kind,
    Operator,
    Space,
    decisions,
    depth,
    magnitude,
)
from codesign.networks.spaces import load_space  # noqa: E402
from codesign.networks.training import TrainConfig  # noqa: E402
from codesign.ops.shapes import Shape  # noqa: E402
from codesign.progress import silent  # noqa: E402
from codesign.testing.small_search import (  # noqa: E402
    CPU,
    SHAPE,
    first_row,
    run_tiny,
    tiny_config,
    tiny_data,
    tiny_space,
    tiny_task,
    train_config,
)

pytestmark = pytest.mark.torch
FASHION, MAP = load_space("fashion"), Shape(28, 28, 1)


def asked(board: Board, interval: int | None, space: Space = FASHION, shape: Shape = MAP) -> Task:
    """A task of ten labels, with a demand of so many cycles."""
    labels, demand = tuple("0123456789"), Demand(interval_cycles=interval)
    return Task(name="n", space=space, shape=shape, labels=labels, board=board, demand=demand)


def space_with(*operators: Operator) -> Space:
    """The tiny space with these operators in its second block, and only the dearer ones in its first."""
    space = tiny_space()
    first, second = space.stages
    later = BlockSpace(operators=operators, weight_bits=(4,))
    return replace(space, stages=(replace(first, blocks=(first.blocks[0], later)), second))


def test_a_block_whose_operators_are_all_too_slow_is_skipped(board: Board) -> None:
    slow = Operator(kind=Kind.CONV, kernel=7)  # 7 steps at least for each of 16 pixels
    space = space_with(slow, Operator(kind=Kind.SKIP))
    task = tiny_task(board, 100, space=space)
    pricing = Pricing(task)
    chooser = Chooser(task, tiny_config(minimum_depth=2), pricing, CPU)
    at = next(i for i, d in enumerate(decisions(space)) if d.name == "stage 0 block 1 operator")
    assert chooser.closed[at].tolist() == [True, False]
    rng = generator(0)
    assert {chooser.draw(rng, 1.0, paths=2)[at].index for _ in range(20)} == {1}
    assert chooser.likeliest()[at] == 1
    with pytest.raises(InfeasibleError, match="minimum_depth: only 0 of 1 blocks that can be skipped have another"):
        Chooser(task, tiny_config(minimum_depth=3), pricing, CPU)


@pytest.mark.parametrize("blocks", [2, 4, 5, 99])
def test_the_cheapest_network_is_as_deep_as_demanded(board: Board, blocks: int) -> None:
    row = cheapest(Pricing(asked(board, 2000)), FASHION, blocks)
    assert depth(FASHION, row.network) >= min(blocks, sum(len(s.blocks) for s in FASHION.stages))


def test_the_cheapest_network_is_found_where_first_options_do_not_exist(board: Board) -> None:
    """The sample's one channel has no two groups, and a map of 28x28 is too large for a classifier."""
    both = (Operator(kind=Kind.CONV, kernel=3, groups=2), Operator(kind=Kind.CONV, kernel=3))
    space = replace(
        tiny_space(),
        stages=(
            replace(
                tiny_space().stages[0], stride=1, widths=(8,), blocks=(BlockSpace(operators=both, weight_bits=(4,)),)
            ),
        ),
        head_pools=(HeadPool.NONE, HeadPool.GLOBAL),
    )
    row = cheapest(Pricing(asked(board, 5000, space)), space, 1)
    names = {d.name: d.options[i] for d, i in zip(decisions(space), row, strict=True)}
    assert names["stage 0 block 0 operator"] == "conv3"
    assert names["head pool"] == "global"


def test_of_what_the_board_has_none_nothing_is_taken(board: Board) -> None:
    """With eight-bit weights DSPs pay; a table that took them for nothing would promise far too much."""
    few = replace(board, limits=Limits(lut=6000, dsp=0))
    pricing = Pricing(asked(few, 5000))
    row = Row(tuple(len(d.options) - 1 if "bits" in d.name else 0 for d in decisions(FASHION)))
    found = Accelerators(asked(few, None)).design(row)
    assert found is not None
    assert found.resources.dsp == 0
    pricing.adapt(row, None)
    assert 5000 * np.exp(pricing.log_cost(row)) > 0.7 * found.interval_cycles
    nothing = replace(board, limits=Limits(dsp=0, bram18=0, uram=0, lut=0, ff=0))
    with pytest.raises(InfeasibleError, match="a design may take nothing of pynq-z2"):
        Pricing(asked(nothing, 5000))


def test_without_a_demand_nothing_is_closed_that_the_machine_has(board: Board) -> None:
    space, shape = load_space("fbnet-imagenet"), Shape(224, 224, 3)
    slow = Pricing(asked(board, None, space, shape), reference=100)
    assert all(allowed.all() for allowed in slow.allowed())
    demanded = Pricing(asked(board, 100, space, shape))
    assert not all(allowed.any() for allowed in demanded.allowed())


def test_a_skipped_block_adds_nothing_to_a_sum_of_latencies(board: Board) -> None:
    pricing = Pricing(asked(board, 5000), Objective.SUM)
    every = decisions(FASHION)
    at = next(i for i, d in enumerate(every) if "operator" in d.name and "skip" in d.options)
    row = first_row(FASHION)
    costs = {o: np.exp(c) for o, c in zip(every[at].options, pricing.alternatives(row)[at], strict=True)}
    blocks = sum(len(s.blocks) for s in FASHION.stages) + 1
    latencies = np.array([float(t[tuple(row[d] for d in g.decisions)][0]) for g, t in
                          zip(pricing._groups, pricing._terms, strict=True)])  # fmt: skip
    assert blocks * costs[every[at].options[0]] == pytest.approx(latencies.sum())
    own = next(i for i, g in enumerate(pricing._groups) if at in g.decisions)
    assert blocks * costs["skip"] == pytest.approx(latencies.sum() - latencies[own])
    head = pricing.alternatives(row)[-1]
    assert len(set(np.round(head, 12))) == len(head)  # also the smallest block has a price


def test_what_fits_no_board_is_refused_before_anything_is_trained(board: Board, tmp_path: Path) -> None:
    small = replace(board, limits=Limits(lut=100))
    with pytest.raises(InfeasibleError, match="no network of the space was found that fits pynq-z2; the cheapest"):
        run_tiny(small, tmp_path, min_fps=None)
    assert not (tmp_path / "search.npz").exists()


def test_a_latency_that_nothing_reaches_is_infeasible_and_says_how_near_it_came(board: Board, tmp_path: Path) -> None:
    with pytest.raises(
        InfeasibleError,
        match=r"at most 0.5 us for one image on pynq-z2 \(50 cycles .* which takes [0-9.]+ us \(\d+ cyc",
    ):
        run_tiny(board, tmp_path, min_fps=None, max_latency_us=0.5)
    assert not (tmp_path / "search.npz").exists()


def test_a_latency_that_likely_networks_miss_is_met_by_a_rarer_one(board: Board, tmp_path: Path) -> None:
    """On this board about one network in twenty is so quick."""
    small = replace(board, resources=Resources(dsp=4, bram18=20, uram=0, lut=2500, ff=10_000))
    found = run_tiny(small, tmp_path, min_fps=None, max_latency_us=2.5, trained_finalists=1)
    cost = predict(skeleton(found.network), found.design, small)
    assert cost.latency_cycles <= 250
    assert cost.resources.fits(small.budget)


def test_with_a_latency_the_interval_is_demanded_of_the_same_design(board: Board) -> None:
    row = first_row(tiny_space())
    free = Accelerators(tiny_task(board, latency=10_000)).design(row)
    assert free is not None
    least = free.interval_cycles
    both = [Accelerators(tiny_task(board, most, 10_000)) for most in (least, least - 1)]
    assert [a.design(row) for a in both] == [free, None]
    assert f"{least - 1} cycles" in both[1].reasons[row]


def test_too_few_samples_are_refused(board: Board, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"of 2 training samples 1 would train weights and 1 decide"):
        cosearch(tiny_data(), tiny_space(), board, tiny_config(images=2), tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"min_fps": 1e-3, "temperatures": (0.01, 0.01)},
        {"min_fps": None, "max_latency_us": 1e9, "temperatures": (1000.0, 0.01), "choice_rate": 0.999},
        {"min_fps": None, "cost_weight": 1e6, "weight_rate": 1e-300},
    ],
)
def test_settings_at_the_end_of_their_range_work(board: Board, tmp_path: Path, changes: dict[str, object]) -> None:
    found = run_tiny(board, tmp_path, epochs=2, trained_finalists=1, trained_neighbours=0, **changes)
    assert found.interval_cycles > 0
    assert all(np.isfinite(record.weight_loss) for record in found.history)


def test_a_search_that_diverges_ends_in_one_sentence_that_names_the_settings(board: Board) -> None:
    task = tiny_task(board, 200)
    trainer = Trainer(task, tiny_config(), Pricing(task), CPU)
    data = tiny_data()
    images = Images.of(data.train_x, data.train_y, CPU)
    with torch.no_grad():
        next(iter(trainer.net.parameters())).fill_(1e30)
    with pytest.raises(ConfigError, match=r"search: epoch 1: it diverged, .*; set a smaller weight_rate \(now 0.003\)"):
        trainer.epoch(images, images, silent)


@pytest.mark.parametrize(
    ("config", "match"),
    [
        (
            {"float_rate": 0.999},
            r"epoch 1 \(float\): it diverged, .* smaller float_rate \(now 0.999\)",
        ),
        (
            {"quantized_rate": 0.999},
            r"epoch [123] \(quantized\): .* or weight_decay \(now 100\)",
        ),
    ],
)
def test_a_training_that_diverges_ends_in_one_sentence_that_names_the_settings(
    tmp_path: Path, config: dict[str, object], match: str
) -> None:
    network = derive(tiny_space(), [0] * len(decisions(tiny_space())), "t", SHAPE, ("a", "b", "c"))
    with pytest.raises(ConfigError, match=match):
        train(network, tiny_data(), replace(train_config(), weight_decay=100.0, **config), tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"weight_decay": 1e308}, "weight_decay: expected 0 to 100, got 1e[+]308"),
        ({"epoch_images": 10**9}, "epoch_images: expected 1 to 10,000,000"),
        ({"float_epochs": 10**10}, "float_epochs: expected 1 to 1,000,000,000"),
        ({"label_smoothing": 1.0}, "label_smoothing: expected 0 to less than 1"),
        ({"threads": 1024}, "threads: expected 1 to 64"),
        ({"float_rate": float("nan")}, "float_rate: expected a rate"),
    ],
)
def test_impossible_trainings_are_refused_by_name(changes: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        TrainConfig(**changes)  # type: ignore[arg-type]


def test_what_no_board_can_hold_is_refused_before_a_search(board: Board, tmp_path: Path) -> None:
    first, second = tiny_space().stages
    for width in (0, 4097, 1_000_000):
        with pytest.raises(ValueError, match=rf"widths: expected 1 to 4,096 channels, got {width:,}"):
            replace(first, widths=(width,))
    with pytest.raises(ValueError, match="stride: expected 1 to 64"):
        replace(first, stride=10**9)
    with pytest.raises(ValueError, match="expansion: expected 1 to 64"):
        Operator(kind=Kind.INVERTED, expansion=10**6)
    with pytest.raises(ValueError, match="expected at most 256 blocks in all, got 400"):
        replace(tiny_space(), stages=(replace(first, blocks=(first.blocks[0],) * 400),))
    wide = (replace(first, widths=(4096,), blocks=first.blocks[:1]), replace(second, widths=(4096,)))
    space = replace(tiny_space(), stages=wide)
    network = derive(space, [0] * len(decisions(space)), "t", SHAPE, ("a", "b"))
    with pytest.raises(ConfigError, match="weights are more than the 33,554,432 that a layer may have"):
        skeleton(network)
    many = replace(tiny_space(), stages=(replace(first, widths=tuple(range(1, 600))),
                                         replace(second, widths=tuple(range(1, 600)))))  # fmt: skip
    with pytest.raises(ConfigError, match="combinations, at most 262,144 can be priced; give fewer"):
        cosearch(tiny_data(), many, board, tiny_config(min_fps=None, minimum_depth=1), tmp_path)


def test_a_space_of_more_networks_than_a_float_can_count_has_a_size() -> None:
    assert magnitude(1234) == "1.23e+03"
    assert magnitude(10**400) == "1e+400"


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"min_fps": float("nan")}, "min_fps: expected 0.001 to 1e[+]12, got nan"),
        ({"cost_weight": float("inf")}, "cost_weight: expected 0 to 1e[+]06, got inf"),
        ({"temperatures": (1.0, float("nan"))}, "temperatures: expected 0.01 to 1000"),
        ({"batch_images": 1}, "batch_images: expected 2 to"),
        ({"seed": 2**70}, "seed: expected 0 to"),
        ({"min_fps": 1e-310}, "min_fps: expected 0.001 to 1e[+]12, got 1e-310"),
        ({"max_latency_us": 1e308}, "max_latency_us: expected 0.001 to 1e[+]09, got 1e[+]308"),
        ({"max_latency_us": 1e-300}, "max_latency_us: expected 0.001 to"),
        ({"temperatures": (1e-300, 1e-300)}, "temperatures: expected 0.01 to 1000"),
        ({"cost_weight": 1e308}, "cost_weight: expected 0 to 1e[+]06"),
        ({"batch_images": 10**9}, "batch_images: expected 2 to 65,536, got 1,000,000,000"),
        ({"images": 10**9}, "images: expected 2 to 10,000,000"),
        ({"seed": -1}, "seed: expected 0 to"),
        ({"threads": 2**40}, "threads: expected 1 to 64"),
        ({"minimum_depth": -1}, "minimum_depth: expected 0 to"),
        ({"epochs": 0, "warmup_epochs": 0}, "epochs: expected 1 to"),
    ],
)
def test_impossible_settings_are_refused_by_name(changes: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        SearchConfig(**changes)  # type: ignore[arg-type]
