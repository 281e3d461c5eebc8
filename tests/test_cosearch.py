"""The co-search as a whole: its result meets the demand, and a kill changes nothing."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from codesign.cosearch.choice import Draw  # noqa: E402
from codesign.cosearch.config import Hardware  # noqa: E402
from codesign.cosearch.cosearch import CosearchResult, cosearch  # noqa: E402
from codesign.errors import ConfigError, InfeasibleError  # noqa: E402
from codesign.ir.board import Board  # noqa: E402
from codesign.ir.cost import Resources  # noqa: E402
from codesign.ir.dataset import Dataset  # noqa: E402
from codesign.machine.legal import check_design  # noqa: E402
from codesign.model import golden  # noqa: E402
from codesign.nets import checkpoint  # noqa: E402
from codesign.nets.export import export  # noqa: E402
from codesign.nets.outputs import integer_outputs  # noqa: E402
from codesign.nets.supernet import SuperNet  # noqa: E402
from codesign.nets.train import train  # noqa: E402
from codesign.networks.derive import derive  # noqa: E402
from codesign.networks.network import skeleton  # noqa: E402
from codesign.networks.space import bit_widths, decisions  # noqa: E402
from codesign.ops.shapes import Shape  # noqa: E402
from codesign.testing.small_search import SHAPE, run_tiny, tiny_config, tiny_data, tiny_space, train_config  # noqa: E402

pytestmark = pytest.mark.torch


def test_a_demand_pushes_drawn_networks_below_it(board: Board, tmp_path: Path) -> None:
    small = replace(board, resources=Resources(dsp=8, bram18=20, lut=3000, ff=20000))  # so that the demand binds
    slow = run_tiny(small, tmp_path / "a", min_fps=150_000.0, epochs=6, choice_rate=0.2)
    fast = run_tiny(small, tmp_path / "b", min_fps=600_000.0, epochs=6, choice_rate=0.2)
    assert slow.interval_cycles <= 666
    assert fast.interval_cycles <= 166
    assert fast.history[-1].drawn_interval_cycles < slow.history[-1].drawn_interval_cycles


def test_a_demand_that_no_network_meets_is_infeasible_and_names_the_nearest(board: Board, tmp_path: Path) -> None:
    with pytest.raises(InfeasibleError, match=r"was found that reaches 50,000,000 FPS on pynq-z2 \(2 cycles.*which"):
        run_tiny(board, tmp_path, min_fps=50e6)


def same(a: CosearchResult, b: CosearchResult) -> bool:
    return (a.network, a.choices, a.history, a.design) == (b.network, b.choices, b.history, b.design)


def test_the_same_seed_gives_the_same_search_and_another_seed_another(board: Board, tmp_path: Path) -> None:
    first, second = run_tiny(board, tmp_path / "1"), run_tiny(board, tmp_path / "2")
    assert same(first, second)
    assert (tmp_path / "1" / "search.npz").exists()
    assert not same(first, run_tiny(board, tmp_path / "3", seed=1))


def test_the_result_meets_the_demand_with_an_exact_design(board: Board, tmp_path: Path) -> None:
    found = run_tiny(board, tmp_path)
    graph = skeleton(found.network)
    check_design(found.design, graph)
    assert found.interval_cycles <= 200
    assert found.resources.fits(board.budget)
    assert len(found.history) == 4
    assert found.priced_networks > 0
    assert dict(found.choices).keys() == {d.name for d in decisions(tiny_space())}


def test_a_checkpoint_of_other_work_is_refused(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_tiny(board, tmp_path, epochs=2)
    with pytest.raises(ConfigError, match=r"search\.npz: belongs to other data, another network or other settings"):
        run_tiny(board, tmp_path, epochs=3)
    with monkeypatch.context() as before:
        before.setattr(checkpoint, "FORMAT", 1)
        checkpoint.save(tmp_path / "search.npz", {"key": ""}, {})
    with pytest.raises(ConfigError, match=r"search\.npz: of format 1, this version of codesign goes on from format 2"):
        run_tiny(board, tmp_path, epochs=2)
    (tmp_path / "search.npz").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(ConfigError, match=r"search\.npz: not a whole checkpoint"):
        run_tiny(board, tmp_path, epochs=2)


KILLED = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from codesign.ir.boards import load_board
from codesign.nets.train import train
from codesign.testing.small_search import run_tiny, tiny_data, train_config
from test_cosearch import digest
found = run_tiny(load_board("pynq-z2"), Path({folder!r}), epochs=6)
trained = train(found.network, tiny_data(), train_config(), Path({folder!r}))
print(found.network.digest(), digest(trained.net))
"""


def digest(net: torch.nn.Module) -> str:
    return export(net).digest()  # type: ignore[arg-type]


def start(folder: Path) -> "subprocess.Popen[str]":
    code = KILLED.format(tests=str(Path(__file__).parent), folder=str(folder))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)


def kill_when(process: "subprocess.Popen[str]", path: Path, changes: int) -> bool:
    """Kill -9 after the file changed that often; whether the process was still running."""
    seen: set[int] = set()
    while process.poll() is None and len(seen) < changes:
        if path.exists():
            seen.add(path.stat().st_mtime_ns)
        time.sleep(0.001)
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return alive


def test_killed_anywhere_and_resumed_it_ends_in_the_same_network(board: Board, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    whole = run_tiny(board, tmp_path, epochs=6)
    trained = train(whole.network, tiny_data(), train_config(), tmp_path)
    folder = tmp_path / "killed"
    folder.mkdir()
    kills = [kill_when(start(folder), folder / name, 2) for name in ("search.npz", "train.npz")]
    assert any(kills)
    resumed, _ = start(folder).communicate(timeout=120)
    assert resumed.split() == [whole.network.digest(), digest(trained.net)]


def test_training_twice_gives_the_same_weights_and_other_settings_are_refused(board: Board, tmp_path: Path) -> None:
    space = tiny_space()
    network = derive(space, [0] * len(decisions(space)), "n", SHAPE, ("a", "b", "c"))
    first = train(network, tiny_data(), train_config(), tmp_path / "1")
    second = train(network, tiny_data(), train_config(), tmp_path / "2")
    again = train(network, tiny_data(), train_config(), tmp_path / "1")
    assert digest(first.net) == digest(second.net) == digest(again.net)
    assert first.losses == again.losses
    assert first.losses[2] < first.losses[0]
    with pytest.raises(ConfigError, match=r"train\.npz: belongs to other data"):
        train(network, tiny_data(), replace(train_config(), seed=3), tmp_path / "1")


@pytest.mark.parametrize("shape", [Shape(9, 31, 4), Shape(64, 1, 6)])
def test_maps_of_any_shape_are_searched_and_derived(board: Board, tmp_path: Path, shape: Shape) -> None:
    """A classifier over more than 7 rows is none of the machine's; the search must find what is."""
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (48, shape.y, shape.x, shape.c), dtype=np.uint8)
    y = np.arange(48) % 3
    data = Dataset(name="odd", source="t", train_x=x, train_y=y, test_x=x[:8], test_y=y[:8], classes=("a", "b", "c"))
    config = tiny_config(min_fps=20_000.0, epochs=2, images=48, finalists=2)
    found = cosearch(data, tiny_space(), board, config, tmp_path)
    assert found.interval_cycles <= 5000
    assert dict(found.choices)["head pool"] == "global"
    trained = train(found.network, data, replace(train_config(), float_epochs=1, quantized_epochs=1), tmp_path)
    graph = export(trained.net)
    expected = golden.run(graph, x.astype(np.int64))
    assert np.array_equal(integer_outputs(trained.net, x), expected)


def test_chosen_arrays_are_searched_with_the_network_and_meet_the_demand(board: Board, tmp_path: Path) -> None:
    found = run_tiny(board, tmp_path, hardware=Hardware.DNA, epochs=6)
    assert found.interval_cycles <= board.clock_mhz * 1e6 / 500_000.0
    assert not found.resources.excess(board.budget)
    assert dict(found.choices)["head array"].split()[0] in ("lut", "dsp", "packed")
    assert found.design_searches == 0


def test_a_search_of_arrays_killed_after_an_epoch_ends_the_same(board: Board, tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int, note: str = "") -> None:
        if stage == "search epochs" and done == 3:
            raise KeyboardInterrupt

    whole = run_tiny(board, tmp_path / "whole", hardware=Hardware.DNA)
    with pytest.raises(KeyboardInterrupt):
        cosearch(tiny_data(), tiny_space(), board, tiny_config(hardware=Hardware.DNA), tmp_path / "cut", stop)
    assert run_tiny(board, tmp_path / "cut", hardware=Hardware.DNA).choices == whole.choices


def drawn_in(board: Board, folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: object) -> list[list[Draw]]:
    """Every list of draws that the supernet ran with during the epochs of a tiny search."""
    seen: list[list[Draw]] = []
    forward = SuperNet.forward

    def noting(net: SuperNet, x: torch.Tensor, draws: list[Draw]) -> torch.Tensor:
        if net.training:
            seen.append(list(draws))
        return forward(net, x, draws)

    monkeypatch.setattr(SuperNet, "forward", noting)
    run_tiny(board, folder, **changes)
    return seen


@pytest.mark.parametrize("paths", [1, 2])
def test_as_many_candidates_run_as_paths_are_active(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paths: int
) -> None:
    seen = drawn_in(board, tmp_path, monkeypatch, active_paths=paths)
    learning = [d for draws in seen for d in draws if d.weights.requires_grad]
    assert learning
    assert max(len(d.active) for d in learning) == paths


@pytest.mark.parametrize("heterogeneous", [False, True])
def test_weights_learn_on_blends_of_bit_widths_where_that_is_asked_for(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heterogeneous: bool
) -> None:
    seen = drawn_in(board, tmp_path, monkeypatch, heterogeneous=heterogeneous)
    weights = [draws for draws in seen if not any(d.weights.requires_grad for d in draws)]
    at = [i for i in bit_widths(tiny_space()) if len(decisions(tiny_space())[i].options) > 1]
    blended = [draws for draws in weights if any(len(draws[i].active) > 1 for i in at)]
    assert len(blended) == (4 * 3 if heterogeneous else 0)  # three steps in each of four epochs
