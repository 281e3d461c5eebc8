"""A small space, its data and a short search on them, for tests that need a search of any kind."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from codesign.ir.board import Board  # noqa: E402
from codesign.ir.dataset import Dataset  # noqa: E402
from codesign.ir.nodes import Shape  # noqa: E402
from codesign.nets.config import TrainConfig  # noqa: E402
from codesign.nets.space import BlockSpace, HeadPool, Kind, Operator, Space, StageSpace  # noqa: E402
from codesign.search.config import SearchConfig  # noqa: E402
from codesign.search.cosearch import CosearchResult, cosearch  # noqa: E402

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


def tiny_config(**changes: object) -> SearchConfig:
    config = SearchConfig(
        min_fps=500_000.0,
        epochs=4,
        warmup_epochs=1,
        images=64,
        batch_images=16,
        minimum_depth=2,
        finalists=4,
        trained_neighbours=2,
        threads=1,
    )
    return replace(config, **changes)  # type: ignore[arg-type]


def run_tiny(board: Board, folder: Path, **changes: object) -> CosearchResult:
    return cosearch(tiny_data(), tiny_space(), board, tiny_config(**changes), folder)


def train_config() -> TrainConfig:
    return TrainConfig(float_epochs=3, quantized_epochs=3, epoch_images=1, batch_images=16, threads=1)
