"""Several processes on one run, and mixed precision."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codesign.errors import ConfigError
from codesign.ir.boards import load_board
from codesign.model import golden

pytest.importorskip("torch")

import torch

from codesign.nets.batches import Images
from codesign.nets.export import export
from codesign.nets.outputs import integer_outputs
from codesign.nets.parallel import Team, join, team
from codesign.nets.train import train
from codesign.networks.derive import derive
from codesign.networks.space import decisions
from codesign.networks.training import TrainConfig
from codesign.testing.small_search import SHAPE, run_tiny, tiny_data, tiny_space

pytestmark = pytest.mark.torch

CONFIG = TrainConfig(float_epochs=2, quantized_epochs=2, epoch_images=1, batch_images=16, threads=1)

TWICE = """
import sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from codesign.nets import checkpoint
from codesign.progress import silent
from codesign.cosearch.cosearch import cosearch
from codesign.testing.small_search import tiny_config
from test_parallel import *

class Interrupted(Exception):
    pass

def stop(records):
    if len(records) == 2:
        raise Interrupted

mine, found = join(), []
for name in ("whole", "stopped"):
    folder = Path({folder!r}) / name
    network = derive(tiny_space(), [0] * len(decisions(tiny_space())), "n", SHAPE, ("a", "b", "c"))
    for on_epoch in (stop, None) if name == "stopped" else (None,):
        mine.agreed(0)
        try:
            searched = cosearch(
                tiny_data(), tiny_space(), load_board("pynq-z2"), tiny_config(), folder, silent, on_epoch
            )
        except Interrupted:
            pass
        mine.agreed(0)
        try:
            trained = train(network, tiny_data(), CONFIG, folder, silent, on_epoch)
        except Interrupted:
            pass
    found.append([searched.network.digest(), export(trained.net).digest(), trained.losses, weights(trained.net)])
layer = torch.nn.Linear(4, 2, bias=False)
with torch.no_grad():
    layer.weight.copy_(torch.arange(8.0).reshape(2, 4))
batch = Images(torch.arange(28.0).reshape(7, 4), torch.arange(7.0))
def loss(part):
    return (layer(part.x).sum(1) - part.y).square().mean()
whole = torch.autograd.grad(loss(batch), layer.weight)[0]
(mine.weight(batch) * loss(mine.share(batch))).backward()
mine.average_gradients(layer.parameters())
found.append(bool(torch.allclose(layer.weight.grad, whole, rtol=1e-6)))

def late(*arguments, save=checkpoint.save):
    time.sleep(0.5)
    save(*arguments)

checkpoint.save = late  # the leader's last checkpoint comes after the other process has ended its training
for _ in range(2):
    found.append(weights(train(network, tiny_data(), CONFIG, Path({folder!r}) / "late").net))
Path({folder!r}, f"{{mine.rank}}.json").write_text(json.dumps(found))
"""


def weights(net: "torch.nn.Module") -> float:
    """A number that changes with any of them."""
    return float(sum((p.double() * (i + 1)).sum() for i, p in enumerate(net.parameters())).detach())


def together(*command: str, path: str | None = None) -> "subprocess.CompletedProcess[str]":
    """The command in two processes, which see no GPU."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""} | (
        {} if path is None else {"PATH": path}
    )
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return subprocess.run([*start, *command], capture_output=True, text=True, check=False, env=environment)


@pytest.mark.slow
def test_two_processes_end_alike_every_time_and_after_an_interruption(tmp_path: Path) -> None:
    script = tmp_path / "twice.py"
    script.write_text(TWICE.format(tests=str(Path(__file__).parent), folder=str(tmp_path)))
    result = together(str(script))
    assert result.returncode == 0, result.stderr
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first == second
    whole, stopped, gradients_agree, once, again = first
    assert whole == stopped
    assert once == again == whole[3]
    assert gradients_agree


@pytest.mark.slow
def test_no_thread_of_a_team_outlives_a_process_that_fails(tmp_path: Path) -> None:
    script = tmp_path / "fails.py"
    script.write_text(
        f"""
import atexit
from pathlib import Path
from codesign.nets.parallel import join

def threads():
    return " ".join(p.read_text().strip() for p in Path("/proc/self/task").glob("*/comm"))

atexit.register(lambda: Path({str(tmp_path)!r}, f"end{{mine.rank}}").write_text(threads()))  # after what join registers
mine = join()
mine.agreed(0)
import torch._dynamo  # as an optimizer does: what it imports takes the group as a default argument
Path({str(tmp_path)!r}, f"begin{{mine.rank}}").write_text(threads())
mine.agreed(0)
if mine.leads:
    raise SystemExit(1)
"""
    )
    assert together(str(script)).returncode == 1
    assert "gloo" in (tmp_path / "begin0").read_text()
    assert "gloo" not in (tmp_path / "end0").read_text()


@pytest.mark.slow
def test_torchrun_starts_a_run_that_one_process_writes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(96) % 2
    x = (rng.integers(0, 128, (96, 8, 8, 1)) + 120 * y[:, None, None, None]).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y, x_test=x[:40], y_test=y[:40])
    config = tmp_path / "team.yaml"
    config.write_text(
        f"""
name: team
board: pynq-z2
data: {{kind: arrays, path: {tmp_path / "data.npz"}}}
search: {{epochs: 3, warmup_epochs: 1, images: 64, batch_images: 16, finalists: 2, threads: 1, device: cpu}}
train: {{float_epochs: 2, quantized_epochs: 1, epoch_images: 64, batch_images: 16, threads: 1, device: cpu}}
proof: {{csim_images: 4, rtlsim_images: 4, synthesis: false}}
"""
    )
    graphs = []
    for name in ("one", "two"):  # with no simulator in the path: the proof is tested elsewhere
        result = together("-m", "codesign", "run", str(config), "--out", str(tmp_path / name), path="")
        assert result.returncode == 0, result.stderr
        assert result.stdout.count("accuracy   golden") == 1
        with (tmp_path / name / "log" / "train.csv").open() as file:
            assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]
        assert json.loads((tmp_path / name / "3-accuracy.json").read_text())["differing"] == 0
        graphs.append((tmp_path / name / "2-graph.npz").read_bytes())
    assert graphs[0] == graphs[1]


def test_a_process_alone_is_a_team_of_one() -> None:
    assert join() == team() == Team(0, 1)
    batch = Images(torch.zeros(3, 1), torch.arange(3))
    assert Team(0, 1).share(batch) is batch
    assert Team(0, 1).agreed(7) == 7
    assert Team(0, 1).key == ""


@pytest.mark.parametrize(("images", "size"), [(8, 2), (7, 2), (7, 3), (4, 4)])
def test_shares_are_the_batch_and_their_weighted_means_its_mean(images: int, size: int) -> None:
    batch = Images(torch.arange(float(images))[:, None], torch.arange(images))
    teams = [Team(rank, size) for rank in range(size)]
    assert sorted(int(i) for t in teams for i in t.share(batch).y) == list(range(images))
    means = [t.weight(batch) * float(t.share(batch).x.mean()) for t in teams]
    assert sum(means) / size == pytest.approx((images - 1) / 2)


def test_a_batch_that_is_too_small_to_share_is_refused() -> None:
    with pytest.raises(ConfigError, match="batch_images: 3 images cannot be shared by 4 processes"):
        Team(1, 4).check(3)


def test_mixed_precision_changes_the_float_epochs_and_leaves_the_quantized_net_exact(tmp_path: Path) -> None:
    space, data = tiny_space(), tiny_data()
    network = derive(space, [0] * len(decisions(space)), "n", SHAPE, ("a", "b", "c"))
    plain = train(network, data, CONFIG, tmp_path / "plain")
    mixed = train(network, data, replace(CONFIG, mixed_precision=True), tmp_path / "mixed")
    assert mixed.losses[0] != plain.losses[0]
    assert mixed.losses[0] == pytest.approx(plain.losses[0], rel=0.05)
    assert all(p.dtype is torch.float32 for p in mixed.net.parameters())
    assert np.array_equal(
        golden.run(export(mixed.net), data.test_x.astype(np.int64)), integer_outputs(mixed.net, data.test_x)
    )


def test_a_search_in_mixed_precision_meets_the_demand(tmp_path: Path) -> None:
    board = load_board("pynq-z2")
    plain, mixed = (run_tiny(board, tmp_path / str(m), mixed_precision=m) for m in (False, True))
    assert mixed.interval_cycles <= 200
    # not the first epoch: its few steps each draw another pooling, whose classifier begins at zero
    assert mixed.history[-1].weight_loss != plain.history[-1].weight_loss
    assert mixed.history[-1].weight_loss == pytest.approx(plain.history[-1].weight_loss, rel=0.1)
