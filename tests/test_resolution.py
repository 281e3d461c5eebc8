"""Two choices that reach beyond a block: how many pixels the network sees, and bits between a block's convolutions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from codesign.cosearch.config import Hardware  # noqa: E402
from codesign.cosearch.cosearch import cosearch  # noqa: E402
from codesign.datasets.resize import reduced  # noqa: E402
from codesign.errors import ConfigError  # noqa: E402
from codesign.ir.board import Board  # noqa: E402
from codesign.ir.dataset import Dataset  # noqa: E402
from codesign.machine.legal import check_design  # noqa: E402
from codesign.model import golden  # noqa: E402
from codesign.nets.batches import generator  # noqa: E402
from codesign.nets.export import export  # noqa: E402
from codesign.nets.outputs import integer_outputs  # noqa: E402
from codesign.nets.supernet import SuperNet  # noqa: E402
from codesign.nets.train import train  # noqa: E402
from codesign.networks.derive import derive, input_shapes  # noqa: E402
from codesign.networks.network import skeleton  # noqa: E402
from codesign.networks.space import HeadPool, decisions  # noqa: E402
from codesign.ops.shapes import Shape  # noqa: E402
from codesign.testing.small_search import SHAPE, rich_space, tiny_config, tiny_data, tiny_space, train_config  # noqa: E402

pytestmark = pytest.mark.torch


def test_bits_inside_a_block_are_not_those_that_leave_it() -> None:
    space = rich_space()
    row = [0] * len(decisions(space))
    names = {d.name: at for at, d in enumerate(decisions(space))}
    row[names["stage 0 block 1 operator"]] = 1  # inverted
    row[names["stage 0 block 1 activation bits"]] = 1  # 8
    graph = skeleton(derive(space, row, "n", SHAPE, ("a", "b", "c")))
    found = [(n.name, n.otype.bits) for n in graph.nodes if n.name.startswith("s0b1")]
    # the branch of a residual has two more bits than its sum
    assert found == [("s0b1_up", 8), ("s0b1_dw", 8), ("s0b1_pw", 5), ("s0b1_add", 3)]


def test_a_resolution_keeps_the_proportions_and_never_enlarges() -> None:
    space = replace(tiny_space(), resolutions=(31, 24, 1))
    assert input_shapes(space, Shape(9, 31, 4)) == (Shape(9, 31, 4), Shape(7, 24, 4), Shape(1, 1, 4))
    assert input_shapes(space, Shape(62, 2, 1)) == (Shape(31, 1, 1), Shape(24, 1, 1), Shape(1, 1, 1))
    with pytest.raises(ConfigError, match="resolution 31 is beyond the samples, whose longer side is 28"):
        derive(space, [0] * len(decisions(space)), "n", Shape(28, 28, 1), ("a", "b"))


def test_a_network_of_a_chosen_resolution_is_searched_trained_and_exact(board: Board, tmp_path: Path) -> None:
    data, space = tiny_data(), rich_space()
    found = cosearch(data, space, board, tiny_config(min_fps=100_000.0), tmp_path)
    side = int(dict(found.choices)["resolution"])
    assert found.network.shape == Shape(side, side, 1)
    for resolution in (0, 1, 2):
        row = [resolution, *(0 for _ in decisions(space)[1:])]
        network = derive(space, row, "n", SHAPE, ("a", "b", "c"))
        seen = reduced(data, network.shape)
        folder = tmp_path / str(resolution)
        trained = train(network, seen, replace(train_config(), float_epochs=1, quantized_epochs=1), folder)
        x = seen.test_x
        assert x.shape[1] == space.resolutions[resolution]
        assert np.array_equal(integer_outputs(trained.net, x), golden.run(export(trained.net), x.astype(np.int64)))


def test_a_network_sees_the_same_pixels_in_search_and_in_training() -> None:
    data, space = tiny_data(), rich_space()
    net = SuperNet(space, SHAPE, 3, generator(0))
    x = torch.from_numpy(data.train_x.copy()).permute(0, 3, 1, 2).to(torch.float32)
    for resolution, side in enumerate(space.resolutions):
        seen = net._reduced(x, resolution)[:, 0].to(torch.int64).numpy()
        # means of one or four pixels: exact in float as well
        assert np.array_equal(seen, reduced(data, Shape(side, side, 1)).train_x[..., 0])


@pytest.mark.parametrize("hardware", Hardware)
@pytest.mark.parametrize("fps", [None, 100_000.0])
def test_combinations_that_the_machine_lacks_are_avoided(
    board: Board, tmp_path: Path, hardware: Hardware, fps: float | None
) -> None:
    """A classifier over eight rows is none of the machine's, over four it is."""
    space = replace(tiny_space(), resolutions=(16, 8), head_pools=(HeadPool.NONE, HeadPool.GLOBAL))
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 256, (48, 16, 1, 6), dtype=np.uint8), np.arange(48) % 3
    data = Dataset(name="odd", source="t", train_x=x, train_y=y, test_x=x[:8], test_y=y[:8], classes=("a", "b", "c"))
    for seed in range(4):
        config = tiny_config(min_fps=fps, epochs=2, images=48, hardware=hardware, seed=seed)
        found = cosearch(data, space, board, config, tmp_path / str(seed))
        choices = dict(found.choices)
        assert (choices["resolution"], choices["head pool"]) != ("16", "none")
        check_design(found.design, skeleton(found.network))
