"""Choices and shared weights: draws are what their logits say, and a drawn network is the derived one."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from codesign.cosearch.choice import blend, entropy, sample, straight_through, temperature_at  # noqa: E402
from codesign.cosearch.pricing import Pricing  # noqa: E402
from codesign.cosearch.row import Row  # noqa: E402
from codesign.cosearch.trainer import Trainer, certain  # noqa: E402
from codesign.ir.board import Board  # noqa: E402
from codesign.ir.boards import load_board  # noqa: E402
from codesign.nets.batches import generator  # noqa: E402
from codesign.nets.supernet import MaskedConv, SuperNet, recalibrate  # noqa: E402
from codesign.networks.space import Space, decisions, depth  # noqa: E402
from codesign.testing.small_search import CPU, SHAPE, rich_space, tiny_config, tiny_space, tiny_task  # noqa: E402

pytestmark = pytest.mark.torch
SPACES = pytest.mark.parametrize("space", [tiny_space(), rich_space()], ids=["tiny", "rich"])


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


@SPACES
def test_a_drawn_network_of_the_supernet_gives_the_logits_of_the_labels(space: Space) -> None:
    net = SuperNet(space, SHAPE, 3, generator(0))
    x = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8, generator=generator(1))
    rng = generator(2)
    for _ in range(10):
        row = Row(tuple(int(torch.randint(len(d.options), (1,), generator=rng)) for d in decisions(space)))
        assert net(x, certain(space, row, CPU)).shape == (5, 3)


@SPACES
def test_learning_draws_have_the_value_of_the_certain_network(space: Space) -> None:
    """With a gradient, widths are masks; without, slices. In evaluation mode both must be the same network."""
    task = tiny_task(load_board("pynq-z2"), 300, space=space)
    trainer = Trainer(task, tiny_config(), Pricing(task), CPU)
    net = trainer.net
    for p in net.parameters():
        p.data.add_(0.01 * torch.randn(p.shape, generator=generator(4)))
    x = torch.randint(0, 256, (6, 1, 8, 8), dtype=torch.uint8, generator=generator(1))
    for i in range(10):
        draws = trainer.chooser.draw(generator(9, i), 1.0, paths=2)
        row = trainer.chooser.drawn(draws)
        recalibrate(net, [x], certain(space, row, CPU))
        # Channels beyond the drawn width get statistics nobody measured; the mask must remove them all the same.
        assert torch.allclose(net(x, draws), net(x, certain(space, row, CPU)), atol=1e-4)


@SPACES
def test_choices_get_a_gradient_from_the_task(board: Board, space: Space) -> None:
    task = tiny_task(board, 1000, space=space)
    trainer = Trainer(task, tiny_config(), Pricing(task), CPU)
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
    space, task = tiny_space(), tiny_task(board, 300)
    trainer = Trainer(task, tiny_config(minimum_depth=3), Pricing(task), CPU)
    trainer.chooser.logits[4].data[2] = 50.0  # where it may, it skips
    assert trainer.chooser.logits[4].argmax() == 2
    assert depth(space, trainer.chooser.likeliest().network) == 3
    for i in range(20):
        assert depth(space, [d.index for d in trainer.chooser.draw(generator(i), 1.0)]) == 3


def test_a_blend_has_every_allowed_option_and_no_gradient() -> None:
    logits = torch.tensor([0.3, float("-inf"), 0.1], requires_grad=True)
    draw = blend(logits, 1.0, generator(0, 1))
    assert sorted(draw.active) == [0, 2]
    assert float(draw.weights.sum()) == pytest.approx(1.0)
    assert not draw.weights.requires_grad
    assert 0.0 < float(draw.weights[0]) < 1.0
