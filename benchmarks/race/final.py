"""What a search's result is worth: trained in full, on the machine, measured. The same for every method."""

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codesign.emit.rtl import render_rtl
from codesign.errors import InfeasibleError, MismatchError
from codesign.ir import files
from codesign.ir.board import Board
from codesign.ir.cost import Resources
from codesign.ir.dataset import Dataset
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.ir.strict import to_plain
from codesign.model import golden
from codesign.model.predict import predict
from codesign.nets.export import export
from codesign.nets.train import train
from codesign.networks.network import Network
from codesign.networks.training import TrainConfig
from codesign.search.sized import search_sized_design
from codesign.sim.rtlsim import rtlsim

GOLDEN_BATCH = 250
TOOL_LIMIT_S = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """Accuracy on the test images, and the seconds of wall clock that training and the golden model took."""

    float_accuracy: float
    quantized_accuracy: float
    golden_accuracy: float
    test_images: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A design in RTL simulation, every output word equal to the golden model's."""

    predicted_interval_cycles: int
    interval_cycles: int
    latency_cycles: int
    images: int
    fps: float
    resources: Resources
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """`interval_cycles`: predicted, of the method's own accelerator, or of the best design where the method chose none.
    None if its accelerator does not fit with its buffers. `measured`: the same in simulation, None until it has run.
    `exact_interval_cycles`: predicted, of the best design of the same network.
    """

    network: str
    trained: Trained
    interval_cycles: int | None
    fps: float | None
    measured: Measured | None
    exact_interval_cycles: int
    exact_fps: float


class Finisher:
    """Trains, designs and simulates; keeps everything in `folder`, so that equal work is done once."""

    def __init__(self, dataset: Dataset, board: Board, config: TrainConfig, images: int, folder: Path) -> None:
        self.dataset, self.board, self.config, self.images = dataset, board, config, images
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def trained(self, network: Network) -> tuple[Graph, Trained]:
        """Return the network's graph and what it reaches."""
        key = _digest(network.digest(), str(self.config), self.dataset.digest())
        folder = self.folder / f"net-{key}"
        graph_path, path = folder / "graph.npz", folder / "trained.json"
        if not path.is_file():
            begun = time.monotonic()
            done = train(network, self.dataset, self.config, folder)
            graph = export(done.net)
            x, y = self.dataset.test_x.astype(np.int64), self.dataset.test_y
            parts = [golden.run(graph, x[i : i + GOLDEN_BATCH]) for i in range(0, len(x), GOLDEN_BATCH)]
            right = np.concatenate(parts).reshape(len(x), -1).argmax(axis=1) == y
            files.save_graph(graph, graph_path)
            found = Trained(
                float_accuracy=done.float_accuracy,
                quantized_accuracy=done.quantized_accuracy,
                golden_accuracy=float(right.mean()),
                test_images=len(x),
                seconds=time.monotonic() - begun,
            )
            files.write_json(path, to_plain(found))
        return files.load_graph(graph_path), files.read_json_as(Trained, path)

    def best_design(self, graph: Graph) -> Design:
        """Return the fastest design that still fits with its buffers sized. Raise InfeasibleError."""
        path = self.folder / f"design-{_digest(graph.digest(), str(self.board))}.yaml"
        if not path.is_file():
            files.save_design(search_sized_design(graph, self.board, explain=False)[1], path)
        return files.load_design(path)

    def measured(self, graph: Graph, design: Design) -> Measured:
        """Measure the design in RTL simulation, images back to back. Raise MismatchError if a word is not golden's."""
        key = _digest(graph.digest(), design.digest(), str(self.images), self.board.name)
        folder = self.folder / f"rtl-{key}"
        path = folder / "measured.json"
        if not path.is_file():
            begun = time.monotonic()
            x = self.dataset.test_x[: self.images].astype(np.int64)
            project = render_rtl(graph, design, self.board, x, golden.run(graph, x))
            found = rtlsim(project, folder, timeout_s=TOOL_LIMIT_S)
            if found.mismatches != 0 or found.interval_cycles is None or found.latency_cycles is None:
                raise MismatchError(f"{folder}: {found.mismatches} words differ from the golden model's")
            cost = predict(graph, design, self.board)
            result = Measured(
                predicted_interval_cycles=cost.interval_cycles,
                interval_cycles=found.interval_cycles,
                latency_cycles=found.latency_cycles,
                images=found.images,
                fps=self.board.clock_mhz * 1e6 / found.interval_cycles,
                resources=cost.resources,
                seconds=time.monotonic() - begun,
            )
            files.write_json(path, to_plain(result))
            _remove_build(folder)
        return files.read_json_as(Measured, path)

    def finish(self, network: Network, own: Callable[[Graph], Design] | None, *, simulate: bool) -> Final:
        """Return everything about one result. `own` makes the method's accelerator for the trained graph."""
        graph, trained = self.trained(network)
        best = self.best_design(graph)
        exact = predict(graph, best, self.board).interval_cycles
        try:
            design = best if own is None else own(graph)
        except InfeasibleError:
            design = None
        interval = None if design is None else predict(graph, design, self.board).interval_cycles
        clock_hz = self.board.clock_mhz * 1e6
        return Final(
            network=network.digest(),
            trained=trained,
            interval_cycles=interval,
            fps=None if interval is None else clock_hz / interval,
            measured=self.measured(graph, design) if simulate and design is not None else None,
            exact_interval_cycles=exact,
            exact_fps=clock_hz / exact,
        )


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _remove_build(folder: Path) -> None:
    """Remove what the simulator built: it is large, and is not needed once it has run."""
    for name in ("rtlsim_build", "project"):
        shutil.rmtree(folder / name, ignore_errors=True)
