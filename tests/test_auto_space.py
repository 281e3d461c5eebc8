"""`space: auto`: what is made for samples of a shape can be built, read, edited and searched."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codesign.cosearch.blocks import choice_blocks
from codesign.cosearch.config import SearchConfig
from codesign.datasets.load import DataConfig, DataKind
from codesign.errors import ConfigError
from codesign.flow.config import RunConfig, load_config
from codesign.flow.suited import suited
from codesign.ir import files
from codesign.ir.dataset import Dataset
from codesign.ir.strict import to_plain
from codesign.networks.auto import auto_space, roomier
from codesign.networks.derive import derive, map_shapes
from codesign.networks.network import skeleton
from codesign.networks.space import Kind, Space, bit_widths, decisions, middle, sizes
from codesign.networks.spaces import load_space
from codesign.networks.training import TrainConfig
from codesign.ops.conv import Conv
from codesign.ops.shapes import Shape

SHAPES = [
    Shape(*extents)
    for extents in (
        (1, 1, 20), (2, 2, 1), (8, 8, 1), (25, 1, 12), (1, 300, 3), (9, 31, 4), (28, 28, 1), (32, 32, 3), (500, 3, 2),
        (224, 224, 3), (1000, 1000, 1), (20000, 1, 1),
    )
]  # fmt: skip
SAMPLES = (100, 5000, 60_000)
LABELS = tuple("abcdefghi")


def rows(space: Space) -> list[tuple[int, ...]]:
    """The middle, the first and the last options, and rows drawn at random."""
    counts = [len(d.options) for d in decisions(space)]
    rng = np.random.default_rng(0)
    drawn = [tuple(int(rng.integers(n)) for n in counts) for _ in range(8)]
    return [middle(space), tuple(0 for _ in counts), tuple(n - 1 for n in counts), *drawn]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_network_of_a_made_space_can_be_built(shape: Shape) -> None:
    for space in (auto_space(shape, 500), roomier(auto_space(shape, 100_000))):
        for row in rows(space):
            skeleton(derive(space, row, "n", shape, LABELS))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bits_reach_from_3_to_8_and_the_plain_network_is_of_plain_convolutions(shape: Shape) -> None:
    space = auto_space(shape, 1000)
    for at in bit_widths(space):
        options = [int(text) for text in decisions(space)[at].options]
        assert (min(options), max(options)) == (3, 8)
    layers = skeleton(derive(space, middle(space), "n", shape, LABELS)).operations
    assert [n.groups for n in layers if isinstance(n, Conv)] == [1] * (2 * len(space.stages) + 1)
    names = [d.name for d in decisions(space)]
    for at, order in sizes(space):
        if names[at].endswith("width"):  # some are narrower and some wider than the plain network
            assert order.index(middle(space)[at]) not in (0, len(order) - 1)


def test_stages_halve_a_map_until_a_classifier_sees_all_of_it() -> None:
    for shape in SHAPES:
        y, x = map_shapes(auto_space(shape, 1000), shape)[-1]
        assert max(y, x) <= 7 or max(shape.y, shape.x) > 7000, shape
        assert y * x <= 16 or max(shape.y, shape.x) > 7000, shape
    assert [s.stride for s in auto_space(Shape(28, 28, 1), 1000).stages] == [2, 2, 2]
    assert [s.stride for s in auto_space(Shape(25, 1, 12), 270).stages] == [1, 2, 2]
    assert [s.stride for s in auto_space(Shape(8, 8, 1), 1437).stages] == [1, 2]


def test_a_signal_has_longer_kernels_of_one_column_only() -> None:
    space = auto_space(Shape(64, 1, 6), 1000)
    kernels = {op.kernel for s in space.stages for b in s.blocks for op in b.operators if op.kind is Kind.CONV}
    assert 7 in kernels
    for row in rows(space):
        nodes = skeleton(derive(space, row, "n", Shape(64, 1, 6), LABELS)).operations
        assert {n.window.fx for n in nodes if isinstance(n, Conv)} == {1}
    image = auto_space(Shape(64, 64, 1), 1000)
    assert max(op.kernel for s in image.stages for b in s.blocks for op in b.operators) == 5


def test_single_positions_get_dense_layers() -> None:
    space = auto_space(Shape(1, 1, 30), 1000)
    assert {str(op) for s in space.stages for b in s.blocks for op in b.operators} == {"conv1", "skip"}


def test_more_samples_get_wider_networks() -> None:
    for few, more in itertools.pairwise(SAMPLES):
        narrow, wide = (auto_space(Shape(28, 28, 1), n) for n in (few, more))
        pairs = zip(narrow.stages, wide.stages, strict=True)
        assert all(max(a.widths) < max(b.widths) and min(a.widths) < min(b.widths) for a, b in pairs)


@pytest.mark.parametrize("shape", [Shape(8, 8, 1), Shape(25, 1, 12), Shape(28, 28, 1), Shape(32, 32, 3)], ids=str)
def test_tables_of_costs_stay_as_small_as_those_of_spaces_by_hand(shape: Shape) -> None:
    def entries(space: Space, of: Shape) -> int:
        return sum(block.nodes.size for block in choice_blocks(space, of, 10))

    by_hand = entries(load_space("fashion"), Shape(28, 28, 1))
    assert entries(auto_space(shape, 1000), shape) < 6 * by_hand


def test_a_roomier_space_keeps_what_a_row_means() -> None:
    shape = Shape(25, 1, 12)
    space = auto_space(shape, 270)
    wide = roomier(space)
    for row in rows(space):
        assert derive(wide, row, "n", shape, LABELS) == derive(space, row, "n", shape, LABELS)
    assert all(max(b.widths) > max(a.widths) for a, b in zip(space.stages, wide.stages, strict=True))


def test_a_written_space_is_read_back_as_it_was(tmp_path: Path) -> None:
    for shape in SHAPES:
        space = auto_space(shape, 1000)
        files.write_yaml(tmp_path / "space.yaml", to_plain(space))
        assert load_space(str(tmp_path / "space.yaml")) == space


@pytest.mark.parametrize(
    ("kind", "given", "taken"),
    [
        ("arrays", None, "auto"),
        ("folder", None, "auto"),
        ("fashion-mnist", None, "fashion"),
        ("cifar-10", None, "fashion"),
        ("arrays", "fashion", "fashion"),
        ("fashion-mnist", "auto", "auto"),
    ],
)
def test_a_users_own_data_get_a_space_of_their_own(tmp_path: Path, kind: str, given: str | None, taken: str) -> None:
    path = tmp_path / "c.yaml"
    space = "" if given is None else f"space: {given}\n"
    path.write_text(f"name: a\nboard: pynq-z2\ndata: {{kind: {kind}, path: x}}\n{space}")
    assert load_config(path).space == taken


def test_a_misspelt_auto_is_told() -> None:
    with pytest.raises(ConfigError, match="'autoo' is not known; did you mean 'auto'"):
        RunConfig(name="a", board="pynq-z2", space="autoo")


def some_data(samples: int) -> Dataset:
    x, y = np.zeros((samples, 8, 8, 1), np.uint8), np.arange(samples) % 2
    return Dataset(name="d", source="d", train_x=x, train_y=y, test_x=x[:4], test_y=y[:4], classes=("a", "b"))


def own(**changes: object) -> RunConfig:
    config = RunConfig(name="a", board="pynq-z2", data=DataConfig(kind=DataKind.ARRAYS, path="x.npz"))
    return replace(config, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("samples", [40, 270, 600, 1500])
def test_few_samples_get_smaller_batches_in_epochs_of_as_many_steps(samples: int) -> None:
    usual, config = own(), suited(own(), some_data(samples))
    used = int(samples * 0.75)
    for batch, of in ((config.train.batch_images, samples), (config.search.batch_images, used)):
        assert batch == 128 or of // batch >= 8 or batch == 16
    assert config.train.batch_images < 128 or samples >= 1024
    steps = [c.train.epoch_images // c.train.batch_images for c in (usual, config)]
    assert steps[0] == steps[1]
    assert config.search.images // config.search.batch_images == usual.search.images // usual.search.batch_images
    assert config.search.images >= samples  # none is left out
    least = 64 * config.search.batch_images  # of an epoch of the trainings that compare networks
    assert config.search.short_images >= min(least, int(config.search.images * 0.75))


def test_many_samples_and_known_sets_keep_their_schedules() -> None:
    config = suited(own(), some_data(9000))
    assert config.train.batch_images == config.search.batch_images == 128
    assert (config.train.epoch_images, config.search.images) == (20_000, 24_000)
    known = RunConfig(name="a", board="pynq-z2")
    assert suited(known, some_data(100)) == known


def test_a_users_own_images_are_mirrored_only_if_asked() -> None:
    silent, asked, refused = (suited(own(train=TrainConfig(flip=f)), some_data(100)) for f in (None, True, False))
    assert [c.train.mirrors for c in (silent, asked, refused)] == [False, True, False]
    assert [c.search.flip for c in (silent, asked, refused)] == [False, True, False]
    both = own(train=TrainConfig(flip=True), search=SearchConfig(flip=False))
    assert not suited(both, some_data(100)).search.flip
    assert TrainConfig().mirrors
