"""A small space, its data and a short search on them, for tests that need a search of any kind. Needs torch."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from codesign.cosearch.config import SearchConfig
from codesign.cosearch.cosearch import CosearchResult, cosearch
from codesign.cosearch.row import Row
from codesign.cosearch.task import Task
from codesign.ir.board import Board
from codesign.ir.dataset import Dataset
from codesign.ir.demand import Demand
from codesign.networks.space import BlockSpace, HeadPool, Kind, Operator, Space, StageSpace, decisions
from codesign.networks.training import TrainConfig
from codesign.ops.shapes import Shape

TINY_RUN = """
name: tiny
board: pynq-z2
data: {{kind: arrays, path: {data}}}
space:
  stages:
    - {{stride: 2, widths: [2, 4], activation_bits: [3, 4], blocks: [
        {{operators: [{{kind: conv, kernel: 3}}, {{kind: separable, kernel: 3}}], weight_bits: [3, 4]}}]}}
  head_pools: [none, global]
  head_weight_bits: [4]
search: {{min_fps: 50000.0, epochs: 2, warmup_epochs: 1, images: 64, batch_images: 16, finalists: 2, threads: 1,
  device: cpu, minimum_depth: 1}}
train: {{float_epochs: 1, quantized_epochs: 1, batch_images: 16, calibration_images: 16, threads: 1, device: cpu}}
proof: {{csim_images: 4, rtlsim_images: 4, synthesis: false}}
"""

CPU = torch.device("cpu")
SHAPE = Shape(8, 8, 1)


def tiny_space() -> Space:
    """Return a space of two stages, three blocks and 8x8 samples."""
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
    """Return the tiny space with resolutions to choose from, and with separate bits inside the blocks."""
    space = tiny_space()
    first, second = space.stages
    leading, later = first.blocks
    inside = replace(later, activation_bits=(2, 8, 5))
    alone = replace(second.blocks[0], activation_bits=(6, 3))
    stages = (replace(first, blocks=(leading, inside)), replace(second, blocks=(alone,)))
    return replace(space, stages=stages, resolutions=(8, 5, 7))


def tiny_data(images: int = 96) -> Dataset:
    """Return images of a bright square in one of three places, which is the label; a third is for tests."""
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


def tiny_task(
    board: Board, interval: int | None = None, latency: int | None = None, space: Space | None = None
) -> Task:
    """Return the task of the tiny data, with a demand of so many cycles, on the tiny space if no other is given."""
    demand = Demand(interval_cycles=interval, latency_cycles=latency)
    return Task.of(tiny_data(), space or tiny_space(), board, demand)


def first_row(space: Space) -> Row:
    """Return the row of the first option of every decision."""
    return Row((0,) * len(decisions(space)))


def tiny_config(**changes: object) -> SearchConfig:
    """Return settings of a search of seconds, with these fields changed."""
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
    """Return what the search of the tiny space finds, with these fields of its settings changed."""
    return cosearch(tiny_data(), tiny_space(), board, tiny_config(**changes), folder)


def train_config() -> TrainConfig:
    """Return settings of a training of seconds."""
    return TrainConfig(float_epochs=3, quantized_epochs=3, epoch_images=1, batch_images=16, threads=1)


def write_tiny_run(folder: Path) -> Path:
    """Write a configuration of `run` that takes seconds, and two classes of 8x8 images that differ in brightness."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for part, count in (("train", 96), ("test", 40)):
        y = np.arange(count) % 2
        arrays[f"x_{part}"] = (rng.integers(0, 128, (count, 8, 8, 1)) + 120 * y[:, None, None, None]).astype(np.uint8)
        arrays[f"y_{part}"] = y
    np.savez(folder / "data.npz", **arrays)
    path = folder / "tiny.yaml"
    path.write_text(TINY_RUN.format(data=folder / "data.npz"))
    return path
