"""What a co-search costs by preset space: cost tables, design points a second, time and memory of steps -> a page.

Every measurement runs in a separate process, so that its peak memory is known. Times are means of a few steps, in
processor seconds of one thread, or of the clock on a GPU. Epochs are those steps times the batches of an epoch of
50,000 images (CIFAR) or as many as stated.
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from codesign.cosearch.blocks import choice_blocks
from codesign.cosearch.config import SearchConfig
from codesign.cosearch.pricing import Pricing
from codesign.cosearch.row import Row
from codesign.cosearch.task import Task
from codesign.cosearch.trainer import Trainer
from codesign.ir.boards import load_board
from codesign.ir.dataset import Dataset
from codesign.ir.demand import Demand
from codesign.ir.files import write_text
from codesign.model.space import node_options
from codesign.nets.batches import Images, generator
from codesign.nets.device import use_device
from codesign.nets.train import train
from codesign.networks.derive import derive
from codesign.networks.space import middle
from codesign.networks.spaces import load_space
from codesign.networks.training import Device, TrainConfig
from codesign.ops.conv import Conv
from codesign.ops.shapes import Shape
from codesign.progress import silent

DOC = Path(__file__).parent.parent / "docs" / "search_costs.md"
FPS = 100.0  # demanded
POINTS_S = 3.0  # for which design points are priced
STEPS = 8  # of weights, and half as many of choices, in an epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A space with the samples and the board that its table is measured with."""

    space: str
    shape: Shape
    labels: int
    board: str
    batch: int
    epoch_images: int


PRESETS = (
    Preset(space="fashion", shape=Shape(28, 28, 1), labels=10, board="pynq-z2", batch=128, epoch_images=60_000),
    Preset(space="fbnet-cifar", shape=Shape(32, 32, 3), labels=100, board="zcu102", batch=64, epoch_images=50_000),
    Preset(space="auto-nba", shape=Shape(32, 32, 3), labels=100, board="zcu102", batch=64, epoch_images=50_000),
    Preset(space="fbnet-imagenet", shape=Shape(224, 224, 3), labels=100, board="zcu102", batch=8, epoch_images=100_000),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One row: seconds and MiB."""

    preset: str
    paths: int
    networks: float
    tables_s: float
    row_us: float
    weight_step_s: float
    choice_step_s: float
    peak_mib: float
    alone_mib: float
    device: str


def design_points_a_second() -> float:
    """Return the engines of convolutions priced a second on one core, cycles and five resources each, that are kept."""
    blocks = choice_blocks(load_space("fbnet-cifar"), Shape(32, 32, 3), 100)
    nodes = sorted({n for b in blocks for made in b.nodes.ravel() for n in made or () if isinstance(n, Conv)}, key=repr)
    rng, points, begun = np.random.default_rng(0), 0, time.process_time()
    technology = load_board("pynq-z2").fabric
    while time.process_time() - begun < POINTS_S:
        points += len(node_options(nodes[int(rng.integers(len(nodes)))], technology))
    return points / (time.process_time() - begun)


def memory_alone(preset: Preset) -> float:
    """Return the peak MiB of training one network of the space: first operators, middle widths and bits."""
    space, shape, count = load_space(preset.space), preset.shape, STEPS * preset.batch
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (count, shape.y, shape.x, shape.c), dtype=np.uint8)
    y, classes = rng.integers(0, preset.labels, count), tuple(map(str, range(preset.labels)))
    data = Dataset(name="random", source="random", train_x=x, train_y=y, test_x=x[:2], test_y=y[:2], classes=classes)
    config = TrainConfig(
        float_epochs=1,
        quantized_epochs=1,
        epoch_images=count,
        batch_images=preset.batch,
        calibration_images=preset.batch,
        threads=1,
    )
    with tempfile.TemporaryDirectory() as folder:
        train(derive(space, middle(space), "alone", shape, classes), data, config, Path(folder))
    return _peak_mib()


def _peak_mib() -> float:
    """Return the peak memory of this process in MiB; on a GPU, of its memory."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(preset: Preset, paths: int, alone_mib: float) -> Figures:
    """Measure tables, and steps of the supernet, in this process. `alone_mib`: of one network."""
    space, board = load_space(preset.space), load_board(preset.board)
    begun = time.process_time()
    task = Task(
        name="costs",
        space=space,
        shape=preset.shape,
        labels=tuple(map(str, range(preset.labels))),
        board=board,
        demand=Demand.at(board.clock_mhz, min_fps=FPS),
    )
    pricing = Pricing(task)
    tables_s = time.process_time() - begun
    row = Row((0,) * len(pricing.sizes))
    begun = time.process_time()
    for _ in range(20):
        pricing.alternatives(row)
    row_us = (time.process_time() - begun) / 20 / sum(pricing.sizes) * 1e6
    config = SearchConfig(
        batch_images=preset.batch,
        active_paths=paths,
        cost_weight=0.1,
        epochs=3,
        warmup_epochs=2,
        images=STEPS * preset.batch,
        threads=1,
    )
    device = use_device(Device.AUTO, config.threads)
    trainer = Trainer(task, config, pricing, device)
    weights, choices = _steps(trainer, preset, device)
    return Figures(
        preset=preset.space,
        paths=paths,
        networks=float(space.networks),
        tables_s=tables_s,
        row_us=row_us,
        weight_step_s=weights,
        choice_step_s=choices,
        peak_mib=_peak_mib(),
        alone_mib=alone_mib,
        device=torch.cuda.get_device_name() if device.type == "cuda" else "CPU, one thread",
    )


def _steps(trainer: Trainer, preset: Preset, device: torch.device) -> tuple[float, float]:
    """Return the seconds of a step of weights and of one of choices, from short epochs on random images."""
    rng, shape, count = generator(0, 99), preset.shape, STEPS * preset.batch
    x = torch.randint(0, 256, (count, shape.c, shape.y, shape.x), generator=rng, dtype=torch.uint8)
    images = Images(x.to(device), torch.randint(0, preset.labels, (count,), generator=rng).to(device))
    seconds, clock = [], time.perf_counter if device.type == "cuda" else time.process_time
    for _ in range(trainer.config.epochs):
        begun = clock()
        trainer.epoch(images, images, silent)
        trainer.finish(None)
        seconds.append(clock() - begun)
    _, weights, both = seconds  # the first warms up
    return weights / STEPS, max(both - weights, 0.0) / -(-STEPS // 2)


def _page(points: float, rows: list[Figures]) -> str:
    """Return the page, in Markdown."""
    lines = [
        "# What a co-search costs",
        "",
        f"Written by `make bench-search-costs` ({rows[0].device}; torch {torch.__version__}). Times are processor "
        f"seconds; on a GPU seconds. Steps are means of {STEPS}. An epoch is a step of the weights for every batch, "
        "and one of the choices for every second batch. *One network* is the peak memory of training one network "
        "alone, in batches of the same size. It has the first operators and middle widths and bits. Python and torch "
        "are in both.",
        "",
        f"The cost model prices **{points:,.0f} design points a second** on one core. A design point is an engine of a "
        "node with its cycles and its five resources.",
        "",
        "| space | networks | batch | active paths | tables, s | a network's cost, us | step of weights, s "
        "| of choices, s | epoch, min | peak memory, MiB | one network, MiB |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    by_name = {p.space: p for p in PRESETS}
    for row in rows:
        preset = by_name[row.preset]
        epoch = preset.epoch_images / preset.batch * (row.weight_step_s + row.choice_step_s / 2) / 60
        lines.append(
            f"| `{row.preset}` {preset.shape.y}x{preset.shape.x}x{preset.shape.c} | {row.networks:.1e} "
            f"| {preset.batch} | {row.paths} | {row.tables_s:.1f} | {row.row_us:.1f} | {row.weight_step_s:.2f} "
            f"| {row.choice_step_s:.2f} | {epoch:.1f} | {row.peak_mib:,.0f} | {row.alone_mib:,.0f} |"
        )
    lines += ["", f"Epochs are of {', '.join(f'{p.epoch_images:,} images ({p.space})' for p in PRESETS)}.", ""]
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Measure every preset with one and two active paths, each in a separate process, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=DOC)
    options = parser.parse_args(arguments)
    context = multiprocessing.get_context("spawn")
    rows: list[Figures] = []
    with context.Pool(1, maxtasksperchild=1) as pool:
        points = pool.apply(design_points_a_second)
        for preset in PRESETS:
            alone_mib = pool.apply(memory_alone, (preset,))
            for paths in (1, 2):
                rows.append(pool.apply(measure, (preset, paths, alone_mib)))
                print(rows[-1], file=sys.stderr, flush=True)
    write_text(options.out, _page(points, rows))


if __name__ == "__main__":
    main(sys.argv[1:])
