"""`space: auto` in a run: the plain float network beside the result, and what the search does where that is better."""

import gzip
import importlib.util
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch")

from codesign.cli import main  # noqa: E402
from codesign.cosearch import further  # noqa: E402
from codesign.cosearch.accelerators import Accelerator, Accelerators  # noqa: E402
from codesign.cosearch.config import Hardware, SearchConfig  # noqa: E402
from codesign.cosearch.cosearch import CosearchResult  # noqa: E402
from codesign.cosearch.finish import enlarged  # noqa: E402
from codesign.cosearch.row import Row  # noqa: E402
from codesign.datasets.load import DataConfig, DataKind, load_dataset  # noqa: E402
from codesign.flow import auto, learn  # noqa: E402
from codesign.flow.config import load_config  # noqa: E402
from codesign.ir.board import Board, Limits  # noqa: E402
from codesign.ir.boards import load_board  # noqa: E402
from codesign.nets.train import share, train, train_float  # noqa: E402
from codesign.networks.network import ConvLayer, Network  # noqa: E402
from codesign.networks.space import Space, decisions, middle, sizes  # noqa: E402
from codesign.networks.spaces import load_space  # noqa: E402
from codesign.testing.small_search import tiny_config, tiny_data, tiny_space, tiny_task, train_config  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture
def board() -> Board:
    return load_board("pynq-z2")


def first_found(space: Space, board: Board, interval: int | None) -> tuple[Row, CosearchResult]:
    """The smallest network of a space, as if a search had found it."""
    row = [0] * len(decisions(space))
    for at, order in sizes(space):
        row[at] = order[0]
    smallest = Row(tuple(row))
    task = tiny_task(board, interval, space=space)
    accelerators = Accelerators(task)
    made = accelerators.meeting(smallest)
    assert made is not None
    found = CosearchResult(
        network=task.network(smallest), row=smallest, choices=accelerators.choices(smallest), design=made.design,
        interval_cycles=made.interval_cycles, resources=made.resources, space_networks=1, history=(),
        priced_networks=1, design_searches=1, design_options=1, seconds=1.0,
    )  # fmt: skip
    return smallest, found


def judging(monkeypatch: pytest.MonkeyPatch, score: Callable[[Network], int]) -> list[Network]:
    """In place of short trainings: how many of ten images a network gets right. The networks, as asked for."""
    asked: list[Network] = []

    def trained(network: Network, *_: object) -> Any:
        asked.append(network)
        return torch.arange(10) < score(network)

    monkeypatch.setattr(further, "short_training", trained)
    return asked


def go_on(
    found: CosearchResult, plain: float, board: Board, folder: Path, config: SearchConfig, space: Space
) -> tuple[CosearchResult, str]:
    result, notes = further.improved_on(found, plain, tiny_data(), space, board, config, folder)
    return result, "; ".join(notes)


def test_a_network_that_is_as_good_as_the_plain_one_is_kept(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, found = first_found(tiny_space(), board, 200)
    asked = judging(monkeypatch, lambda _: 9)
    result, told = go_on(found, 0.905, board, tmp_path, tiny_config(), tiny_space())
    assert (result, asked) == (found, [found.network])
    assert "the plain float network reaches 90.5%, the network found 90.0%" in told


def test_a_worse_network_uses_what_the_demand_leaves(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = tiny_space()
    smallest, found = first_found(space, board, 100_000)
    asked = judging(monkeypatch, lambda network: 5 if network == found.network else 9)
    config = tiny_config(min_fps=1000.0)
    result, told = go_on(found, 0.9, board, tmp_path, config, space)
    largest = smallest
    for at, order in sizes(space):
        largest = largest.changed(at, order[-1])
    assert result.row == largest
    assert result.network == tiny_task(board, 100_000).network(largest) == asked[1]
    assert dict(result.choices)["stage 0 width"] == "8"
    assert "the network found 50.0%; " in told
    assert "larger networks within the demand were trained too, the best of all reaches 90.0%" in told
    assert "binds" not in told


def test_growth_goes_beyond_the_widths_of_the_space_and_ends(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = tiny_space()
    _, found = first_found(space, board, 100_000)
    asked = judging(monkeypatch, by_size)
    result, told = go_on(found, 1.0, board, tmp_path, tiny_config(min_fps=1000.0), space)
    assert dict(result.choices)["stage 1 width"] == "24"  # twice the largest of the space
    assert len(asked) <= 5
    assert "neither the demand nor the board binds" in told


def test_a_demand_that_binds_is_told(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space, interval = tiny_space(), 70
    board = replace(board, limits=Limits(lut=9000))  # on which the largest networks take 144 cycles
    _, found = first_found(space, board, interval)
    judging(monkeypatch, by_size)
    config = tiny_config(min_fps=board.clock_mhz * 1e6 / interval)
    result, told = go_on(found, 1.0, board, tmp_path, config, space)
    assert result.interval_cycles <= interval
    assert "what binds is the demand: stage " in told
    assert f"cycles an image, allowed are {interval:,}" in told


def test_a_board_that_binds_is_told(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smallest, found = first_found(tiny_space(), board, None)
    judging(monkeypatch, by_size)

    def only_the_smallest(accelerators: Accelerators, row: Row) -> Accelerator | None:
        accelerators.reasons[row] = "needs 99 BRAM18, available are 9"
        return Accelerator(found.design, 64, found.resources) if row == smallest else None

    monkeypatch.setattr(Accelerators, "design", only_the_smallest)
    result, told = go_on(found, 1.0, board, tmp_path, tiny_config(min_fps=None), tiny_space())
    assert result == found
    assert "what binds is pynq-z2: " in told
    assert "has no design there: needs 99 BRAM18" in told


def by_size(network: Network) -> int:
    """Return a score that grows with the widest layer, and stays below all images."""
    return 3 + max(layer.k for layer in network.layers if isinstance(layer, ConvLayer)) // 5


@pytest.mark.parametrize("change", [{"cost_weight": 0.1}, {"hardware": Hardware.DNA}, {"enlarge": False}])
def test_what_the_demand_leaves_is_not_used_where_the_configuration_says_so(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    _, found = first_found(tiny_space(), board, 100_000)
    judging(monkeypatch, lambda _: 5)
    result, told = go_on(found, 0.9, board, tmp_path, tiny_config(min_fps=1000.0, **change), tiny_space())
    assert result == found
    assert "is not used with cost_weight, hardware: dna, or enlarge: false" in told


def test_a_loose_demand_takes_one_design_search_to_enlarge(board: Board) -> None:
    space = tiny_space()
    smallest, _ = first_found(space, board, 100_000)
    accelerators = Accelerators(tiny_task(board, 100_000))
    accelerator = accelerators.meeting(smallest)
    assert accelerator is not None
    row, _ = enlarged(accelerators, smallest, accelerator)
    assert all(order.index(row[at]) == len(order) - 1 for at, order in sizes(space))
    assert accelerators.searches == 2  # of the smallest, and of the largest


def test_a_float_training_is_the_first_part_of_the_whole_one_and_goes_on(tmp_path: Path, board: Board) -> None:
    network = tiny_task(board).network(Row(middle(tiny_space())))
    data, config = tiny_data(), train_config()
    whole = train(network, data, config, made(tmp_path / "whole"))
    right = train_float(network, data, config, made(tmp_path / "float"))
    assert share(right) == whole.float_accuracy
    stopped = made(tmp_path / "stopped")

    def stop(stage: str, done: int, total: int, note: str = "") -> None:
        if done >= 2 * total // 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_float(network, data, config, stopped, stop)
    epochs: list[int] = []
    again = train_float(network, data, config, stopped, lambda stage, done, total, note="": epochs.append(done))
    assert torch.equal(again, right)
    assert len(epochs) == 1  # the others were done


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


SHORT = {
    "search": {"epochs": 2, "warmup_epochs": 1, "images": 1000, "finalists": 2, "trained_finalists": 2,
               "trained_neighbours": 0, "threads": 1, "device": "cpu", "min_fps": 5000.0},
    "train": {"float_epochs": 4, "quantized_epochs": 3, "epoch_images": 4000, "threads": 1, "device": "cpu"},
    "proof": {"csim_images": 4, "rtlsim_images": 4},
}  # fmt: skip


def signals(path: Path) -> None:
    """270 + 300 signals of 12 samples of 3 sensors; a class is the shape of a pulse, at any place, under noise."""
    rng = np.random.default_rng(3)
    pulses = np.array([[0, 1, 2, 3, 2], [3, 2, 1, 0, 0], [2, -2, 2, -2, 0], [1, 1, 1, 1, 1], [0, -3, 0, 3, 0]], float)
    arrays: dict[str, Any] = {}
    for part, count in (("train", 270), ("test", 300)):
        y = np.arange(count) % 5
        x = 0.4 * rng.normal(size=(count, 12, 1, 3))
        for i, at in enumerate(rng.integers(0, 8, count)):
            x[i, at : at + 5, 0, :] += pulses[y[i]][:, None] * np.array([1.0, -0.5, 0.7])
        arrays |= {f"x_{part}": x, f"y_{part}": y}
    np.savez(path, **arrays)


def digits(path: Path) -> None:
    """The 8x8 digits that come with scikit-learn, read without loading it: 1,000 train, the others test."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        pytest.skip("scikit-learn is not installed")
    with gzip.open(Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz") as packed:
        held = np.loadtxt(packed, delimiter=",")
    held = held[np.random.default_rng(0).permutation(len(held))]
    x, y = held[:, :64].reshape(-1, 8, 8, 1), held[:, 64].astype(np.int64)
    np.savez(path, x_train=x[:1000], y_train=y[:1000], x_test=x[1000:], y_test=y[1000:])


def clothes(path: Path) -> None:
    """A part of Fashion-MNIST's built-in subset: 28x28."""
    held = load_dataset(DataConfig(kind=DataKind.FASHION_MNIST_SUBSET))
    x, y = held.train_x[:600], held.train_y[:600]
    np.savez(path, x_train=x, y_train=y, x_test=held.test_x[:300], y_test=held.test_y[:300])


def run_of(folder: Path, write: Callable[[Path], None], **changes: Any) -> Path:
    """Write data and a short configuration for it; return the configuration."""
    write(folder / "mine.npz")
    plain = {"name": "mine", "board": "pynq-z2", "data": {"kind": "arrays", "path": str(folder / "mine.npz")}}
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({**plain, **SHORT, **changes}))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    "write",
    # `make test-long` has clothes as well: they take as long as the other two.
    [signals, digits, *([clothes] if "CODESIGN_CASES" in os.environ else [])],
    ids=lambda write: write.__name__,
)
def test_golden_is_at_most_a_point_below_the_plain_float_network_where_the_demand_is_loose(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], write: Callable[[Path], None]
) -> None:
    quick = {"train": {**SHORT["train"], "epoch_images": 2500}} if write is clothes else {}
    path, out = run_of(tmp_path, write, **quick), tmp_path / "run"
    assert main(["run", str(path), "--out", str(out), "--until", "predict"]) == 0, capsys.readouterr().err
    summary = json.loads((out / "summary.json").read_text())
    accuracy = summary["accuracy"]
    assert accuracy["golden"] >= accuracy["plain_float"] - 0.01
    assert accuracy["plain_float"] > 0.6  # it learned something
    assert summary["predicted"]["fps"] >= 5000
    assert f"plain float {accuracy['plain_float']:.2%}" in capsys.readouterr().out
    report = (out / "report.html").read_text()
    assert "plain float network of " in report
    assert "1-space.yaml" in report


@pytest.mark.slow
def test_a_run_with_a_made_space_goes_on_and_leaves_a_space_to_edit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = run_of(tmp_path, signals), tmp_path / "run"
    monkeypatch.setattr(learn, "cosearch", interrupted)
    assert main(["run", str(path), "--out", str(out), "--until", "predict"]) == 130
    first = (out / "1-plain.json").read_bytes()
    monkeypatch.undo()
    monkeypatch.setattr(auto, "train_float", None)  # what was trained is not trained again
    monkeypatch.setattr(auto, "judged_plain", None)
    monkeypatch.setattr(learn, "cosearch", interrupted)
    assert main(["run", str(path), "--out", str(out), "--until", "predict"]) == 130
    assert (out / "1-plain.json").read_bytes() == first
    capsys.readouterr()
    space = load_space(str(out / "1-space.yaml"))
    (out / "1-space.yaml").write_text((out / "1-space.yaml").read_text().replace("stride: 2", "stride: 3"))
    assert load_space(str(out / "1-space.yaml")) != space
    assert main(["run", str(path), "--out", str(out)]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "1-space.yaml: is not the space that `space: auto` made here" in told
    edited = path.with_name("edited.yaml")
    edited.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "space": str(out / "1-space.yaml")}))
    assert load_config(edited).space == str(out / "1-space.yaml")


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt
