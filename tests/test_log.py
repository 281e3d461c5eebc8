"""Logs of search and training: a row for every epoch, once, whatever happened in between."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("torch")

from codesign.cosearch.cosearch import cosearch
from codesign.errors import ToolError
from codesign.flow import verbs
from codesign.flow.config import LogKind
from codesign.flow.log import epoch_log
from codesign.ir.boards import load_board
from codesign.nets.train import TrainRecord, train
from codesign.networks.derive import derive
from codesign.networks.space import decisions
from codesign.networks.training import TrainConfig
from codesign.progress import silent
from codesign.testing.small_search import SHAPE, tiny_config, tiny_data, tiny_space

pytestmark = pytest.mark.torch

CONFIG = TrainConfig(float_epochs=2, quantized_epochs=2, epoch_images=1, batch_images=16, threads=1)


class Interrupted(Exception):
    """Stands for a Ctrl-C."""


@dataclass(frozen=True)
class Record:
    epoch: int
    loss: float
    interval: int | None


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def stopping(log, after: int):  # type: ignore[no-untyped-def]
    """The log, but it is interrupted when there are that many epochs."""

    def write(records: Sequence[TrainRecord]) -> None:
        log(records)
        if len(records) == after:
            raise Interrupted

    return write


def test_training_that_was_interrupted_leaves_every_epoch_once(tmp_path: Path) -> None:
    space = tiny_space()
    network = derive(space, [0] * len(decisions(space)), "n", SHAPE, ("a", "b", "c"))
    log = epoch_log(tmp_path / "log", "train", LogKind.CSV)
    with pytest.raises(Interrupted):
        train(network, tiny_data(), CONFIG, tmp_path, silent, stopping(log, 3))
    assert [r["epoch"] for r in rows(tmp_path / "log" / "train.csv")] == ["1", "2", "3"]
    trained = train(network, tiny_data(), CONFIG, tmp_path, silent, epoch_log(tmp_path / "log", "train", LogKind.CSV))
    found = rows(tmp_path / "log" / "train.csv")
    assert [r["epoch"] for r in found] == ["1", "2", "3", "4"]
    assert [r["phase"] for r in found] == ["float", "float", "quantized", "quantized"]
    assert [float(r["loss"]) for r in found] == list(trained.losses)
    assert all(0.0 <= float(r["accuracy"]) <= 1.0 for r in found)
    assert sorted(p.name for p in (tmp_path / "log").iterdir()) == ["train.csv"]


def test_a_search_that_was_interrupted_leaves_every_epoch_once(tmp_path: Path) -> None:
    board, config = load_board("pynq-z2"), tiny_config(epochs=3)
    log = epoch_log(tmp_path, "search", LogKind.CSV)
    with pytest.raises(Interrupted):
        cosearch(tiny_data(), tiny_space(), board, config, tmp_path, silent, stopping(log, 2))
    found = cosearch(tiny_data(), tiny_space(), board, config, tmp_path, silent, log)
    logged = rows(tmp_path / "search.csv")
    assert [r["epoch"] for r in logged] == ["1", "2", "3"]
    assert [float(r["entropy"]) for r in logged] == [r.entropy for r in found.history]
    assert [r["choice_loss"] == "" for r in logged] == [r.choice_loss is None for r in found.history]


@pytest.mark.tensorboard
def test_tensorboard_sees_every_epoch_once_after_a_second_start(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    records = [Record(1, 3.0, None), Record(2, 2.0, 40), Record(3, 1.0, 30)]
    first = epoch_log(tmp_path, "search", LogKind.TENSORBOARD)
    first(records[:1])
    first(records[:2])
    second = epoch_log(tmp_path, "search", LogKind.TENSORBOARD)
    second(records[:2])
    second(records)
    seen = EventAccumulator(str(tmp_path / "search"))
    seen.Reload()
    assert [(e.step, e.value) for e in seen.Scalars("loss")] == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert [(e.step, e.value) for e in seen.Scalars("interval")] == [(2, 40.0), (3, 30.0)]
    assert len(rows(tmp_path / "search.csv")) == 3


def test_tensorboard_that_is_not_there_is_named_before_anything_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("name: c\nboard: pynq-z2\nlog: tensorboard\n")
    monkeypatch.setattr(verbs.importlib.util, "find_spec", lambda name: None if name == "tensorboard" else True)
    with pytest.raises(ToolError, match=r"tensorboard, which is not installed: pip install 'codesign\[tensorboard\]'"):
        verbs.run(config, tmp_path / "run", silent)
    assert not (tmp_path / "run").exists()
