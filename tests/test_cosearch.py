"""The co-search: choices are drawn and learn as they should, costs point the right way, and a kill changes nothing."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from codesign.errors import ConfigError, InfeasibleError  # noqa: E402
from codesign.ir.board import Board  # noqa: E402
from codesign.ir.boards import load_board  # noqa: E402
from codesign.ir.cost import Resources  # noqa: E402
from codesign.ir.dataset import Dataset  # noqa: E402
from codesign.ir.nodes import Add, Conv, Input, Node, Shape  # noqa: E402
from codesign.model import golden  # noqa: E402
from codesign.nets.batches import generator  # noqa: E402
from codesign.nets.config import TrainConfig  # noqa: E402
from codesign.nets.export import export  # noqa: E402
from codesign.nets.network import skeleton  # noqa: E402
from codesign.nets.outputs import integer_outputs  # noqa: E402
from codesign.nets.space import (  # noqa: E402
    BlockSpace,
    HeadPool,
    Kind,
    Operator,
    Space,
    StageSpace,
    decisions,
    depth,
    derive,
)
from codesign.nets.spaces import list_spaces, load_space  # noqa: E402
from codesign.nets.supernet import MaskedConv, SuperNet, recalibrate  # noqa: E402
from codesign.nets.train import train  # noqa: E402
from codesign.search.accelerators import Accelerators  # noqa: E402
from codesign.search.arrays import ARRAYS  # noqa: E402
from codesign.search.choice import Draw, blend, entropy, sample, straight_through, temperature_at  # noqa: E402
from codesign.search.chooser import Chooser  # noqa: E402
from codesign.search.config import Hardware, Objective, SearchConfig  # noqa: E402
from codesign.search.cosearch import CosearchResult, cosearch  # noqa: E402
from codesign.search.design import search_design  # noqa: E402
from codesign.search.dna import ArrayPricing  # noqa: E402
from codesign.search.finals import cheapest, repaired  # noqa: E402
from codesign.search.pricing import Pricing  # noqa: E402
from codesign.search.trainer import Trainer, certain  # noqa: E402

pytestmark = pytest.mark.torch
CPU = torch.device("cpu")
SHAPE = Shape(8, 8, 1)


def tiny_space() -> Space:
    conv, separable = Operator(kind=Kind.CONV, kernel=3), Operator(kind=Kind.SEPARABLE, kernel=3)
    inverted = Operator(kind=Kind.INVERTED, kernel=3, expansion=2)
    first = BlockSpace(operators=(conv, Operator(kind=Kind.CONV, kernel=5)), weight_bits=(3, 8))
    later = BlockSpace(operators=(separable, inverted, Operator(kind=Kind.SKIP)), weight_bits=(4,))
    return Space(
        stages=(
            StageSpace(stride=2, widths=(4, 8), activation_bits=(3, 4), blocks=(first, later)),
            StageSpace(
                stride=1,
                widths=(4, 12),
                activation_bits=(4,),
                blocks=(BlockSpace(operators=(conv, separable), weight_bits=(4,)),),
            ),
        ),
        head_pools=(HeadPool.NONE, HeadPool.GLOBAL, HeadPool.MAXIMUM),
        head_weight_bits=(4,),
    )


def rich_space() -> Space:
    """The tiny space with a resolution to choose, and activations inside the blocks with bits of their own."""
    space = tiny_space()
    first, second = space.stages
    leading, later = first.blocks
    inside = replace(later, activation_bits=(2, 8, 5))
    alone = replace(second.blocks[0], activation_bits=(6, 3))
    stages = (replace(first, blocks=(leading, inside)), replace(second, blocks=(alone,)))
    return replace(space, stages=stages, resolutions=(8, 5, 7))


SPACES = pytest.mark.parametrize("space", [tiny_space(), rich_space()], ids=["tiny", "rich"])


def tiny_data(images: int = 96) -> Dataset:
    """Bright squares in one of three places."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 120, (images, 8, 8, 1), dtype=np.uint8)
    y = np.arange(images) % 3
    for image, label in zip(x, y, strict=True):
        image[2 * label : 2 * label + 3, 1:4] += 120
    half = images // 3
    return Dataset(
        name="tiny",
        source="test",
        train_x=x[half:],
        train_y=y[half:],
        test_x=x[:half],
        test_y=y[:half],
        classes=("a", "b", "c"),
    )


@pytest.fixture(scope="module")
def board() -> Board:
    return load_board("pynq-z2")


def tiny_config(**changes: object) -> SearchConfig:
    config = SearchConfig(
        min_fps=500_000.0,
        epochs=4,
        warmup_epochs=1,
        images=64,
        batch_images=16,
        minimum_depth=2,
        finalists=4,
        threads=1,
    )
    return replace(config, **changes)  # type: ignore[arg-type]


def run_tiny(board: Board, folder: Path, **changes: object) -> CosearchResult:
    return cosearch(tiny_data(), tiny_space(), board, tiny_config(**changes), folder)


# Choices.


def test_draws_have_the_frequencies_of_the_softmax() -> None:
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0, float("-inf")])
    rng = generator(1)
    for temperature in (0.3, 4.0):
        counts = np.bincount([sample(logits, temperature, rng).index for _ in range(6000)], minlength=5)
        expected = torch.softmax(logits, 0).numpy()
        assert np.abs(counts / 6000 - expected).max() < 0.02
        assert counts[4] == 0


def test_a_draw_is_exactly_one_hot_with_the_gradient_of_the_soft_sample() -> None:
    logits = torch.tensor([0.5, -0.2, 0.1], requires_grad=True)
    draw = sample(logits, 0.7, generator(3), paths=2)
    assert sorted(draw.weights.tolist()) == [0.0, 0.0, 1.0]
    assert draw.weights[draw.index] == 1.0
    assert draw.active[0] == draw.index
    assert len(draw.active) == 2
    values = torch.tensor([3.0, -1.0, 2.0])
    (found,) = torch.autograd.grad((draw.weights * values).sum(), logits)
    uniform = torch.rand(3, generator=generator(3), dtype=torch.float64).clamp_min(1e-12)
    noise = (-torch.log(-torch.log(uniform))).to(torch.float32)
    soft = torch.softmax((torch.log_softmax(logits, 0) + noise) / 0.7, 0)
    (expected,) = torch.autograd.grad((soft * values).sum(), logits)
    assert torch.allclose(found, expected)
    assert float(found.abs().sum()) > 0


def test_low_temperature_makes_the_soft_sample_hard() -> None:
    logits = torch.tensor([0.5, -0.2, 0.1], requires_grad=True)
    soft = torch.softmax(logits / 1e-3, 0)
    assert torch.allclose(soft, straight_through(soft, 0), atol=1e-6)
    assert temperature_at(4.0, 0.5, 0.0) == 4.0
    assert temperature_at(4.0, 0.5, 1.0) == pytest.approx(0.5)


def test_entropy_is_a_share_of_the_uniform_distribution() -> None:
    assert entropy(torch.zeros(4)) == pytest.approx(1.0)
    assert entropy(torch.tensor([50.0, 0.0])) == pytest.approx(0.0, abs=1e-6)
    assert entropy(torch.tensor([1.0, float("-inf")])) == 0.0


def test_generators_of_neighbouring_keys_are_unrelated_and_repeatable() -> None:
    draws = [torch.rand(4, generator=generator(7, i)).tolist() for i in range(3)]
    assert len({tuple(d) for d in draws}) == 3
    assert torch.rand(4, generator=generator(7, 1)).tolist() == draws[1]


# The space.


def test_every_choice_is_part_of_the_derived_network() -> None:
    space = tiny_space()
    base = [0] * len(decisions(space))
    first = derive(space, base, "n", SHAPE, ("a", "b", "c"))
    for i, decision in enumerate(decisions(space)):
        for option in range(1, len(decision.options)):
            row = list(base)
            row[i] = option
            assert derive(space, row, "n", SHAPE, ("a", "b", "c")).layers != first.layers, decision.name


def test_size_of_the_space_and_depth_are_counted() -> None:
    space = tiny_space()
    assert space.networks == 2 * 2 * 2 * 2 * 3 * 1 * 2 * 1 * 2 * 1 * 3 * 1
    assert depth(space, [0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]) == 2
    assert f"{load_space('fashion').networks:.1e}" == "8.5e+09"


def test_wrong_spaces_are_refused() -> None:
    skip = Operator(kind=Kind.SKIP)
    with pytest.raises(ValueError, match="first block changes width or size and cannot be skipped"):
        StageSpace(
            stride=1, widths=(4,), activation_bits=(4,), blocks=(BlockSpace(operators=(skip,), weight_bits=(4,)),)
        )
    with pytest.raises(ValueError, match="bits: expected 2 to 8, got 9"):
        replace(tiny_space(), head_weight_bits=(9,))
    with pytest.raises(ConfigError, match="'fasion' is not known; did you mean 'fashion'"):
        load_space("fasion")


@pytest.mark.parametrize(
    ("name", "shape", "networks"),
    [
        # 22 blocks, of which 7 lead a stage: 8 operators, the other 15 one more, a skip
        ("fbnet-cifar", Shape(32, 32, 3), 8**7 * 9**15),
        ("fbnet-imagenet", Shape(224, 224, 3), 8**7 * 9**15),
        # and three weight widths for each block, stem, header and classifier, three activation widths for 9 stages
        ("auto-nba", Shape(32, 32, 3), 8**7 * 9**15 * 3**25 * 3**9),
        ("fashion", Shape(28, 28, 1), 8_503_056_000),
    ],
)
def test_the_spaces_that_travel_with_the_package_have_their_published_size(
    name: str, shape: Shape, networks: int
) -> None:
    space = load_space(name)
    assert name in list_spaces()
    assert space.networks == networks
    largest = [max(range(len(d.options)), key=lambda i, d=d: d.options[i] != "skip") for d in decisions(space)]
    graph = skeleton(derive(space, largest, "n", shape, tuple(f"c{i}" for i in range(10))))
    assert graph.output.oshape == Shape(1, 1, 10)


def nameless(node: Node) -> Node:
    """The node without what says where it stands."""
    if isinstance(node, Input):
        return node
    return replace(node, name="", **({"sources": ("", "")} if isinstance(node, Add) else {"source": ""}))


@SPACES
@settings(max_examples=15)
@given(st.integers(0, 2**16))
def test_a_derived_network_of_a_random_row_has_the_nodes_that_were_priced(space: Space, seed: int) -> None:
    pricing = Pricing(space, SHAPE, 3, load_board("pynq-z2"), 400)
    rng = np.random.default_rng(seed)
    row = [int(rng.integers(n)) for n in pricing.sizes]
    graph = skeleton(derive(space, row, "n", SHAPE, ("a", "b", "c")))
    priced = sorted(str(nameless(n)) for n in pricing.nodes(row))
    assert priced == sorted(str(nameless(n)) for n in graph.nodes[1:])


# Costs.


def test_table_costs_rank_networks_as_their_exact_designs_do(board: Board) -> None:
    """On fashion: the table, adapted to one network, against exact designs of the network's neighbours."""
    space, shape = load_space("fashion"), Shape(28, 28, 1)
    labels = tuple("abcdefghij")
    pricing = Pricing(space, shape, 10, board, 3333)
    row = [min(1, n - 1) for n in pricing.sizes]
    row[2] = 0
    exact = search_design(skeleton(derive(space, row, "n", shape, labels)), board, explain=False).interval_cycles
    pricing.adapt(row, exact)
    assert pricing.target * np.exp(pricing.log_cost(row)) == pytest.approx(exact, rel=0.15)
    tables = pricing.alternatives(row)
    pairs = []
    for i in (0, 2, 6, 12):
        for option in range(len(tables[i])):
            other = [*row[:i], option, *row[i + 1 :]]
            graph = skeleton(derive(space, other, "n", shape, labels))
            found = search_design(graph, board, explain=False).interval_cycles
            pairs.append((float(tables[i][option]), np.log(found / pricing.target)))
    agree = [(a < b) == (x < y) for a, x in pairs for b, y in pairs if abs(x - y) > 0.1]
    assert len(agree) > 10
    assert np.mean(agree) > 0.85


def even_draws(trainer: Trainer, row: list[int]) -> list[Draw]:
    """The draws that give this network, with the gradient of even logits."""
    softs = [torch.softmax(x, 0) for x in trainer.chooser.logits]
    return [Draw(straight_through(soft, i), i, (i,), soft.detach()) for soft, i in zip(softs, row, strict=True)]


def log_intervals(accelerators: Accelerators, row: list[int], at: int, size: int) -> list[float]:
    """The true cost of every option of one decision: log interval of the network's exact design."""
    found = [accelerators.design([*row[:at], option, *row[at + 1 :]]) for option in range(size)]
    return [np.log(f.interval_cycles) if f else np.inf for f in found]


@pytest.mark.parametrize("seed", range(8))
def test_the_gradient_of_the_cost_has_sign_and_ranking_of_finite_differences(board: Board, seed: int) -> None:
    """Of the exact design's interval, on a board so small that all engines compete for it."""
    small = replace(board, resources=Resources(dsp=20, bram18=40, uram=0, lut=5000, ff=10000))
    accelerators = Accelerators(tiny_space(), tiny_data(), small)
    sizes = [len(d.options) for d in decisions(tiny_space())]
    row = [int(i) for i in np.random.default_rng(seed).integers(sizes)]
    base = accelerators.design(row)
    assert base is not None
    pricing = Pricing(tiny_space(), SHAPE, 3, small, base.interval_cycles)
    pricing.adapt(row, base.interval_cycles)
    trainer = Trainer(tiny_space(), SHAPE, 3, tiny_config(min_fps=None, cost_weight=1.0), pricing, CPU)
    price, _ = trainer.chooser.price(even_draws(trainer, row))
    gradients = [g.numpy() for g in torch.autograd.grad(price, trainer.chooser.logits)]
    agree = []
    for i, gradient in enumerate(gradients):
        exact = np.array(log_intervals(accelerators, row, i, sizes[i]))
        apart = np.abs(exact[:, None] - exact) > 0.05  # closer ones a table does not tell apart
        agree += list(((gradient[:, None] < gradient) == (exact[:, None] < exact))[apart])
        moved = np.abs(exact - exact.mean()) > 0.05
        agree += list(((gradient < 0) == (exact < exact.mean()))[moved])
    assert len(agree) > 0
    assert np.mean(agree) >= 0.9


def test_alternatives_are_the_costs_of_the_changed_networks(board: Board) -> None:
    pricing = Pricing(tiny_space(), SHAPE, 3, board, 300)
    row = [1] * len(pricing.sizes)
    row = [min(1, n - 1) for n in pricing.sizes]
    for i, table in enumerate(pricing.alternatives(row)):
        for option, cost in enumerate(table):
            assert cost == pytest.approx(pricing.log_cost([*row[:i], option, *row[i + 1 :]]))


def test_prices_sum_to_one_and_survive_being_restored(board: Board) -> None:
    pricing = Pricing(tiny_space(), SHAPE, 3, board, 300)
    row = [0] * len(pricing.sizes)
    pricing.adapt(row, 500)
    prices = np.array(pricing.state["prices"])
    assert prices.sum() == pytest.approx(1.0)
    assert (prices >= 0).all()
    other = Pricing(tiny_space(), SHAPE, 3, board, 300)
    other.restore(pricing.state)
    assert other.log_cost(row) == pricing.log_cost(row)


def test_options_that_no_fast_enough_network_has_are_closed(board: Board) -> None:
    space = load_space("fashion")
    closed = [
        (d.name, d.options[i])
        for d, allowed in zip(
            decisions(space), Pricing(space, Shape(28, 28, 1), 10, board, 3333).allowed(), strict=True
        )
        for i in np.flatnonzero(~allowed)
    ]
    assert closed == [("stage 0 block 0 operator", "conv5"), ("stage 0 block 1 operator", "separable5")]


def test_repair_ends_below_the_limit_and_changes_little(board: Board) -> None:
    pricing = Pricing(load_space("fashion"), Shape(28, 28, 1), 10, board, 2000)
    row = [
        0 if "operator" in d.name or "pool" in d.name else len(d.options) - 1 for d in decisions(load_space("fashion"))
    ]
    assert pricing.log_cost(row) > 0
    logits = [[0.0] * n for n in pricing.sizes]
    found = repaired(pricing, logits, row, 0.0)
    assert found is not None
    assert pricing.log_cost(found) <= 0.0
    assert repaired(pricing, logits, cheapest(pricing), -20.0) is None


def test_raising_the_weight_of_cost_makes_choices_cheaper(board: Board) -> None:
    def expected_cost(weight: float) -> float:
        pricing = Pricing(tiny_space(), SHAPE, 3, board, 300)
        trainer = Trainer(tiny_space(), SHAPE, 3, tiny_config(min_fps=None, cost_weight=weight), pricing, CPU)
        rng = generator(5)
        optimizer = torch.optim.Adam(trainer.chooser.logits, lr=0.1)
        for _ in range(40):
            price, _ = trainer.chooser.price(trainer.chooser.draw(rng, 1.0))
            optimizer.zero_grad()
            price.backward()
            optimizer.step()
        with torch.no_grad():
            rows = [[d.index for d in trainer.chooser.draw(rng, 1.0)] for _ in range(60)]
        return float(np.mean([pricing.log_cost(r) for r in rows]))

    costs = [expected_cost(w) for w in (0.0, 0.02, 1.0)]
    assert costs[0] > costs[2]
    assert costs[2] < costs[1] + 0.05


def test_a_demand_pushes_drawn_networks_below_it(board: Board, tmp_path: Path) -> None:
    slow = run_tiny(board, tmp_path / "a", min_fps=150_000.0, epochs=6, choice_rate=0.2)
    fast = run_tiny(board, tmp_path / "b", min_fps=600_000.0, epochs=6, choice_rate=0.2)
    assert slow.interval_cycles <= 666
    assert fast.interval_cycles <= 166
    assert fast.history[-1].drawn_interval_cycles < slow.history[-1].drawn_interval_cycles


def test_a_demand_that_no_network_meets_is_infeasible_and_names_the_nearest(board: Board, tmp_path: Path) -> None:
    with pytest.raises(InfeasibleError, match=r"no network of the space reaches 50,000,000 FPS on pynq-z2 \(2 cycles"):
        run_tiny(board, tmp_path, min_fps=50e6)


# Shared weights.


@SPACES
def test_a_drawn_network_of_the_supernet_gives_the_logits_of_the_labels(space: Space) -> None:
    net = SuperNet(space, SHAPE, 3, generator(0))
    x = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8, generator=generator(1))
    rng = generator(2)
    for _ in range(10):
        row = [int(torch.randint(len(d.options), (1,), generator=rng)) for d in decisions(space)]
        assert net(x, certain(space, row, CPU)).shape == (5, 3)


@SPACES
def test_learning_draws_have_the_value_of_the_certain_network(space: Space) -> None:
    """With a gradient, widths are masks; without, slices. In evaluation mode both must be the same network."""
    pricing = Pricing(space, SHAPE, 3, load_board("pynq-z2"), 300)
    trainer = Trainer(space, SHAPE, 3, tiny_config(), pricing, CPU)
    net = trainer.net
    for p in net.parameters():
        p.data.add_(0.01 * torch.randn(p.shape, generator=generator(4)))
    x = torch.randint(0, 256, (6, 1, 8, 8), dtype=torch.uint8, generator=generator(1))
    for i in range(10):
        draws = trainer.chooser.draw(generator(9, i), 1.0, paths=2)
        row = [d.index for d in draws]
        recalibrate(net, [x], certain(space, row, CPU))
        # Channels beyond the drawn width get statistics nobody measured; the mask must remove them all the same.
        assert torch.allclose(net(x, draws), net(x, certain(space, row, CPU)), atol=1e-4)


@SPACES
def test_choices_get_a_gradient_from_the_task(board: Board, space: Space) -> None:
    trainer = Trainer(space, SHAPE, 3, tiny_config(), Pricing(space, SHAPE, 3, board, 1000), CPU)
    for head in trainer.net.heads:
        head.weight.data.normal_(generator=generator(6))
    for block in trainer.net.blocks.modules():
        if isinstance(block, MaskedConv):
            block.gain.data.fill_(1.0)  # residual blocks begin as nothing, and nothing inside them matters then
    x = torch.randint(0, 256, (6, 1, 8, 8), dtype=torch.uint8, generator=generator(1))
    moved = set()
    for i in range(30):
        loss = trainer.net(x, trainer.chooser.draw(generator(8, i), 1.0, paths=2)).square().sum()
        found = torch.autograd.grad(loss, trainer.chooser.logits, allow_unused=True)
        moved |= {j for j, g in enumerate(found) if g is not None and float(g.abs().sum()) > 0}
    assert moved >= {j for j, d in enumerate(decisions(space)) if len(d.options) > 1}


def test_networks_are_never_shallower_than_demanded(board: Board) -> None:
    space = tiny_space()
    trainer = Trainer(space, SHAPE, 3, tiny_config(minimum_depth=3), Pricing(space, SHAPE, 3, board, 300), CPU)
    trainer.chooser.logits[4].data[2] = 50.0  # where it may, it skips
    assert trainer.chooser.logits[4].argmax() == 2
    assert depth(space, trainer.chooser.likeliest()) == 3
    for i in range(20):
        assert depth(space, [d.index for d in trainer.chooser.draw(generator(i), 1.0)]) == 3


# The whole, and interruption.


def same(a: CosearchResult, b: CosearchResult) -> bool:
    return (a.network, a.choices, a.history, a.design) == (b.network, b.choices, b.history, b.design)


def test_the_same_seed_gives_the_same_search_and_another_seed_another(board: Board, tmp_path: Path) -> None:
    first, second = run_tiny(board, tmp_path / "1"), run_tiny(board, tmp_path / "2")
    assert same(first, second)
    assert (tmp_path / "1" / "search.npz").exists()
    assert not same(first, run_tiny(board, tmp_path / "3", seed=1))


def test_the_result_meets_the_demand_with_an_exact_design(board: Board, tmp_path: Path) -> None:
    found = run_tiny(board, tmp_path)
    graph = skeleton(found.network)
    found.design.check(graph)
    assert found.interval_cycles <= 200
    assert found.resources.fits(board.budget)
    assert len(found.history) == 4
    assert found.priced_networks > 0
    assert dict(found.choices).keys() == {d.name for d in decisions(tiny_space())}


def test_a_checkpoint_of_other_work_is_refused(board: Board, tmp_path: Path) -> None:
    run_tiny(board, tmp_path, epochs=2)
    with pytest.raises(ConfigError, match=r"search\.npz: belongs to other data, another network or other settings"):
        run_tiny(board, tmp_path, epochs=3)
    (tmp_path / "search.npz").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(ConfigError, match=r"search\.npz: not a whole checkpoint"):
        run_tiny(board, tmp_path, epochs=2)


KILLED = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_cosearch import *
found = run_tiny(load_board("pynq-z2"), Path({folder!r}), epochs=6)
trained = train(found.network, tiny_data(), train_config(), Path({folder!r}))
print(found.network.digest(), digest(trained.net))
"""


def train_config() -> TrainConfig:
    return TrainConfig(float_epochs=3, quantized_epochs=3, epoch_images=1, batch_images=16, threads=1)


def digest(net: torch.nn.Module) -> str:
    return export(net).digest()  # type: ignore[arg-type]


def start(folder: Path) -> "subprocess.Popen[str]":
    code = KILLED.format(tests=str(Path(__file__).parent), folder=str(folder))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)


def kill_when(process: "subprocess.Popen[str]", path: Path, changes: int) -> bool:
    """Kill -9 after the file changed that often; whether the process was still running."""
    seen: set[int] = set()
    while process.poll() is None and len(seen) < changes:
        if path.exists():
            seen.add(path.stat().st_mtime_ns)
        time.sleep(0.001)
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return alive


def test_killed_anywhere_and_resumed_it_ends_in_the_same_network(board: Board, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    whole = run_tiny(board, tmp_path, epochs=6)
    trained = train(whole.network, tiny_data(), train_config(), tmp_path)
    folder = tmp_path / "killed"
    folder.mkdir()
    kills = [kill_when(start(folder), folder / name, 2) for name in ("search.npz", "train.npz")]
    assert any(kills)
    resumed, _ = start(folder).communicate(timeout=120)
    assert resumed.split() == [whole.network.digest(), digest(trained.net)]


def test_training_twice_gives_the_same_weights_and_other_settings_are_refused(board: Board, tmp_path: Path) -> None:
    space = tiny_space()
    network = derive(space, [0] * len(decisions(space)), "n", SHAPE, ("a", "b", "c"))
    first = train(network, tiny_data(), train_config(), tmp_path / "1")
    second = train(network, tiny_data(), train_config(), tmp_path / "2")
    again = train(network, tiny_data(), train_config(), tmp_path / "1")
    assert digest(first.net) == digest(second.net) == digest(again.net)
    assert first.losses == again.losses
    assert first.losses[2] < first.losses[0]
    with pytest.raises(ConfigError, match=r"train\.npz: belongs to other data"):
        train(network, tiny_data(), replace(train_config(), seed=3), tmp_path / "1")


@pytest.mark.parametrize("shape", [Shape(9, 31, 4), Shape(64, 1, 6)])
def test_maps_of_any_shape_are_searched_and_derived(board: Board, tmp_path: Path, shape: Shape) -> None:
    """A classifier over more than 7 rows is none of the machine's; the search must find what is."""
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (48, shape.y, shape.x, shape.c), dtype=np.uint8)
    y = np.arange(48) % 3
    data = Dataset(name="odd", source="t", train_x=x, train_y=y, test_x=x[:8], test_y=y[:8], classes=("a", "b", "c"))
    config = tiny_config(min_fps=20_000.0, epochs=2, images=48, finalists=2)
    found = cosearch(data, tiny_space(), board, config, tmp_path)
    assert found.interval_cycles <= 5000
    assert dict(found.choices)["head pool"] == "global"
    trained = train(found.network, data, replace(train_config(), float_epochs=1, quantized_epochs=1), tmp_path)
    graph = export(trained.net)
    expected = golden.run(graph, x.astype(np.int64))
    assert np.array_equal(integer_outputs(trained.net, x), expected)


def grouped_space(operator: Operator) -> Space:
    """One stage of 8 channels whose second block may be the operator."""
    conv = Operator(kind=Kind.CONV, kernel=3)
    blocks = (BlockSpace(operators=(conv,), weight_bits=(4,)), BlockSpace(operators=(operator,), weight_bits=(4,)))
    stage = StageSpace(stride=2, widths=(8,), activation_bits=(4,), blocks=blocks)
    return Space(stages=(stage,), head_pools=(HeadPool.GLOBAL,), head_weight_bits=(4,))


@pytest.mark.parametrize("kind", [Kind.CONV, Kind.SEPARABLE, Kind.INVERTED])
def test_a_network_of_grouped_convolutions_is_searched_trained_and_exact(
    board: Board, tmp_path: Path, kind: Kind
) -> None:
    space = grouped_space(Operator(kind=kind, kernel=3, groups=4))
    data, config = tiny_data(), tiny_config(min_fps=100_000.0, minimum_depth=1)
    found = cosearch(data, space, board, config, tmp_path)
    trained = train(found.network, data, replace(train_config(), float_epochs=1, quantized_epochs=1), tmp_path)
    graph = export(trained.net)
    grouped = [n for n in graph.nodes if isinstance(n, Conv) and n.groups == 4]
    assert [n.c_per_group for n in grouped] == [2] * (2 if kind is Kind.INVERTED else 1)
    design = search_design(graph, board).design
    design.check(graph)
    at = next(p.engine for p in design.placements if p.node == grouped[0].name)
    engines = [replace(e, pe=3, emit=3) if i == at else e for i, e in enumerate(design.engines)]
    with pytest.raises(
        ConfigError, match=r"has groups of K = \d+ and C = 2, which the PE 3 and SIMD \d of its engine must"
    ):
        replace(design, engines=tuple(engines)).check(graph)
    x = data.test_x
    assert np.array_equal(integer_outputs(trained.net, x), golden.run(graph, x.astype(np.int64)))


def test_groups_need_widths_that_they_divide(board: Board, tmp_path: Path) -> None:
    operator = Operator(kind=Kind.CONV, kernel=3, groups=4)
    assert str(operator) == "conv3g4"
    blocks = (BlockSpace(operators=(operator,), weight_bits=(4,)),)
    for widths in ((8, 12), (6,)):
        with pytest.raises(ValueError, match="groups: 4 need one width, a multiple of it; got the widths"):
            StageSpace(stride=1, widths=widths, activation_bits=(4,), blocks=blocks)
    stage = StageSpace(stride=1, widths=(8,), activation_bits=(4,), blocks=blocks)
    wide = replace(stage, widths=(4, 8), blocks=(BlockSpace(operators=(Operator(kind=Kind.CONV),), weight_bits=(4,)),))
    with pytest.raises(ValueError, match="need one width of the stage before"):
        Space(stages=(wide, stage), head_pools=(HeadPool.GLOBAL,), head_weight_bits=(4,))
    both = BlockSpace(operators=(replace(operator, groups=2), operator), weight_bits=(4,))
    six = replace(wide, widths=(6,))  # which two divide, and four do not
    with pytest.raises(ValueError, match="groups: 4 need one width of the stage before"):
        Space(stages=(six, replace(stage, blocks=(both,))), head_pools=(HeadPool.GLOBAL,), head_weight_bits=(4,))
    space = Space(stages=(stage,), head_pools=(HeadPool.GLOBAL,), head_weight_bits=(4,))
    with pytest.raises(ConfigError, match="4 groups do not divide its 8 channels and the 1 of 'input'"):
        cosearch(tiny_data(), space, board, tiny_config(), tmp_path)


# DNA's own hardware search, and the other ways to be compared.


def test_chosen_arrays_are_searched_with_the_network_and_meet_the_demand(board: Board, tmp_path: Path) -> None:
    found = run_tiny(board, tmp_path, hardware=Hardware.DNA, epochs=6)
    assert found.interval_cycles <= board.clock_mhz * 1e6 / 500_000.0
    assert not found.resources.excess(board.budget)
    assert dict(found.choices)["head array"].split()[0] in ("lut", "dsp")
    assert found.design_searches == 0


def test_a_search_of_arrays_killed_after_an_epoch_ends_the_same(board: Board, tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int, note: str = "") -> None:
        if stage == "search epochs" and done == 3:
            raise KeyboardInterrupt

    whole = run_tiny(board, tmp_path / "whole", hardware=Hardware.DNA)
    with pytest.raises(KeyboardInterrupt):
        cosearch(tiny_data(), tiny_space(), board, tiny_config(hardware=Hardware.DNA), tmp_path / "cut", stop)
    assert run_tiny(board, tmp_path / "cut", hardware=Hardware.DNA).choices == whole.choices


def test_arrays_follow_a_network_before_it_is_changed(board: Board) -> None:
    space, shape = load_space("fashion"), Shape(28, 28, 1)
    pricing = ArrayPricing(space, shape, 10, board, 5000, demanded=True)
    chooser = Chooser(space, SearchConfig(min_fps=20_000.0), pricing, torch.device("cpu"))
    network = [len(d.options) // 2 for d in decisions(space)]
    before = [x.clone() for x in chooser.logits[: chooser.networks]]
    at_first = pricing.log_cost([*network, *chooser.likeliest()[chooser.networks :]])
    rng = torch.Generator().manual_seed(0)
    for _ in range(100):
        chooser.fit_arrays(network, 1.0, rng)
    assert at_first > 1.0
    assert pricing.log_cost([*network, *chooser.likeliest()[chooser.networks :]]) == pytest.approx(0.0)
    assert all(torch.equal(x, y) for x, y in zip(before, chooser.logits, strict=False))


def arrays_row(pricing: ArrayPricing, seed: int) -> list[int]:
    rng = np.random.default_rng(seed)
    return [int(rng.integers(size)) for size in pricing.sizes]


@pytest.mark.parametrize("seed", range(6))
def test_alternatives_of_arrays_are_the_costs_of_the_changed_rows(board: Board, seed: int) -> None:
    pricing = ArrayPricing(tiny_space(), SHAPE, 3, board, 200, demanded=bool(seed % 2))
    row = arrays_row(pricing, seed)
    for i, table in enumerate(pricing.alternatives(row)):
        for option, cost in enumerate(table):
            assert cost == pytest.approx(pricing.log_cost([*row[:i], option, *row[i + 1 :]]))


@pytest.mark.parametrize("seed", range(6))
def test_a_design_of_chosen_arrays_has_the_cycles_of_their_tables(board: Board, seed: int) -> None:
    arrays = ArrayPricing(tiny_space(), SHAPE, 3, board, 200, demanded=True)
    row = arrays_row(arrays, seed)
    networks = arrays.networks
    accelerators = Accelerators(tiny_space(), tiny_data(), board, arrays.arrays)
    found = accelerators.design(row)
    cost = arrays.arrays.cost(row[:networks], row[networks:])
    assert found is not None or not cost.fits
    if found is not None:
        assert found.interval_cycles == cost.interval_cycles


def test_beyond_the_board_arrays_cost_more_though_they_are_faster(board: Board) -> None:
    pricing = ArrayPricing(load_space("fashion"), Shape(28, 28, 1), 10, board, 3000, demanded=True)
    row = [len(d.options) // 2 for d in decisions(load_space("fashion"))]
    largest = pricing.log_cost([*row, *[len(ARRAYS) - 1] * pricing.arrays.blocks])
    assert largest > min(pricing.log_cost([*row, *[i] * pricing.arrays.blocks]) for i in range(len(ARRAYS)))


@pytest.mark.parametrize("seed", range(4))
def test_the_sum_of_latencies_is_a_table_too(board: Board, seed: int) -> None:
    pricing = Pricing(tiny_space(), SHAPE, 3, board, 200, Objective.SUM)
    rng = np.random.default_rng(seed)
    row = [int(rng.integers(size)) for size in pricing.sizes]
    for i, table in enumerate(pricing.alternatives(row)):
        for option, cost in enumerate(table):
            assert cost == pytest.approx(pricing.log_cost([*row[:i], option, *row[i + 1 :]]))
    pricing.adapt(row, 400)
    assert pricing.log_cost(row) == pytest.approx(np.log(2.0))


def test_a_blend_has_every_allowed_option_and_no_gradient() -> None:
    logits = torch.tensor([0.3, float("-inf"), 0.1], requires_grad=True)
    draw = blend(logits, 1.0, generator(0, 1))
    assert sorted(draw.active) == [0, 2]
    assert float(draw.weights.sum()) == pytest.approx(1.0)
    assert not draw.weights.requires_grad
    assert 0.0 < float(draw.weights[0]) < 1.0


def test_one_active_path_is_enough_for_a_gradient(board: Board, tmp_path: Path) -> None:
    assert run_tiny(board, tmp_path, active_paths=1).interval_cycles <= 200


def test_weights_learn_on_blends_of_bit_widths(board: Board, tmp_path: Path) -> None:
    assert run_tiny(board, tmp_path, heterogeneous=True).interval_cycles <= 200
