"""Sweeps: every value meets every other, one failure leaves the others alone, and what is done is not done again."""

import csv
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch")

from codesign.cli import main
from codesign.errors import ConfigError, ToolError
from codesign.flow.config import load_config
from codesign.flow.sweep import SweepConfig, SweepFolder, cells_of, sweep
from codesign.progress import silent
from codesign.report.sweep import Outcome, State, front, sweep_page, table
from codesign.testing.small_search import write_tiny_run

pytestmark = pytest.mark.torch


@pytest.fixture
def swept(tmp_path: Path) -> SweepConfig:
    """A sweep of one board and two seeds, of seconds each."""
    return SweepConfig(name="small", run=str(write_tiny_run(tmp_path)), boards=("pynq-z2",), seeds=(0, 1))


def outcome(**changes: object) -> Outcome:
    known = Outcome(
        cell="a",
        board="b",
        space="s",
        min_fps=1.0,
        max_latency_us=None,
        seed=0,
        state=State.DONE,
        accuracy=0.5,
        fps=10.0,
    )
    return replace(known, **changes)  # type: ignore[arg-type]


def test_every_value_meets_every_other_and_the_rest_is_as_in_the_run(swept: SweepConfig) -> None:
    config = replace(swept, boards=("pynq-z2", "zcu102"), min_fps=(100.0, 2e4), seeds=(0, 7))
    cells = cells_of(config)
    assert [cell.name for cell in cells[:3]] == [
        "pynq-z2-fps100-seed0",
        "pynq-z2-fps100-seed7",
        "pynq-z2-fps20000-seed0",
    ]
    assert len({(c.config.board, c.config.search.min_fps, c.config.search.seed) for c in cells}) == 8
    assert {c.config.train.seed for c in cells} == {0, 7}
    base = load_config(Path(str(swept.run)))
    assert all(replace(c.config.search, min_fps=None, seed=0) == replace(base.search, min_fps=None) for c in cells)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"boards": ("pynq-z2", "pynq-z2")}, "boards: a value stands there twice"),
        ({"boards": ("nowhere",)}, "sweep: nowhere-seed0: .*nowhere"),
        ({"min_fps": (-1.0,)}, "sweep: pynq-z2-fps-1-seed0: min_fps: expected"),
        ({"spaces": ("no-such",)}, "sweep: pynq-z2-no-such-seed0: .*no-such"),
        ({"name": "Bad Name"}, "name: expected a letter"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_before_anything_is_written(
    changes: dict[str, object], said: str, swept: SweepConfig, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        sweep(replace(swept, **changes), tmp_path / "out", silent)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_left_alone(swept: SweepConfig, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not the folder of a sweep, and not empty"):
        sweep(swept, other, silent)
    assert [path.name for path in other.iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_cells_that_fail_leave_the_others_and_only_they_are_tried_again(
    swept: SweepConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    out, path = tmp_path / "all of it", tmp_path / "sweep.yaml"
    space = tmp_path / "mine.yaml"
    plain = yaml.safe_load(Path(str(swept.run)).read_text())
    space.write_text(yaml.safe_dump(plain["space"]))
    path.write_text(
        yaml.safe_dump({"name": "small", "run": str(swept.run), "min_fps": [2e4, 5e7], "spaces": ["mine.yaml"]})
    )
    data = tmp_path / "data.npz"
    moved = data.rename(tmp_path / "elsewhere.npz")
    assert main(["sweep", str(path), "--out", str(out), "--jobs", "2"]) == 1
    assert capsys.readouterr().out.count("data.npz: no such file") == 2
    moved.rename(data)
    assert main(["sweep", str(path), "--out", str(out), "--jobs", "2"]) == 0
    rows = {row["cell"]: row for row in csv.DictReader((out / "sweep.csv").read_text().splitlines())}
    states = {name: row["state"] for name, row in rows.items()}
    assert states == {"mine-fps20000": "done", "mine-fps5e+07": "infeasible"}
    summary = json.loads((out / "runs" / "mine-fps20000" / "summary.json").read_text())
    assert float(rows["mine-fps20000"]["fps"]) == summary["predicted"]["fps"]
    assert float(rows["mine-fps20000"]["accuracy"]) == summary["accuracy"]["golden"]
    assert "FPS" in rows["mine-fps5e+07"]["error"] or "fps" in rows["mine-fps5e+07"]["error"]
    page = (out / "sweep.html").read_text()
    assert "pynq-z2: accuracy in % over FPS" in page
    assert "mine-fps5e+07" in page
    times = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*") if path.is_file()}
    assert main(["sweep", str(path), "--out", str(out)]) == 0  # nothing is left to do
    assert times == {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*") if path.is_file()}


@pytest.mark.slow
def test_an_interrupted_sweep_leaves_no_process_and_goes_on(swept: SweepConfig, tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump({"name": "small", "run": str(swept.run), "seeds": [0]}))
    command = [sys.executable, "-m", "codesign", "sweep", str(path), "--out", "out", "--jobs", "1"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, start_new_session=True)
    log = tmp_path / "out" / "logs" / "seed0.log"
    for _ in range(1200):
        if log.is_file() and log.stat().st_size:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    for _ in range(100):
        mine = [p for p in Path("/proc").iterdir() if p.name.isdigit() and str(tmp_path).encode() in _arguments(p)]
        if not mine:
            break
        time.sleep(0.1)
    assert not mine
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr + again.stdout
    assert again.stdout.count(" done ") == 1
    assert SweepFolder(tmp_path / "out").table.read_text().count("done") == 1


def _arguments(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.slow
def test_a_local_ray_cluster_of_two_workers_comes_to_the_same(swept: SweepConfig, tmp_path: Path) -> None:
    ray_utils = pytest.importorskip("ray.cluster_utils")
    cluster = ray_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        there = sweep(swept, tmp_path / "there", silent, ray=cluster.address)
    finally:
        cluster.shutdown()
    here = sweep(swept, tmp_path / "here", silent)
    assert there == here
    assert [o.state for o in here] == [State.DONE, State.DONE]


def test_a_cluster_that_is_not_there_is_one_sentence(swept: SweepConfig, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with pytest.raises(ToolError, match="ray: no cluster at"):
        sweep(swept, tmp_path / "out", silent, ray="127.0.0.1:1")


def test_the_front_holds_what_none_surpasses_in_both() -> None:
    points = [(10.0, 0.5), (20.0, 0.5), (5.0, 0.9), (4.0, 0.8), (20.0, 0.4)]
    found = front([outcome(fps=fps, accuracy=a) for fps, a in points] + [outcome(accuracy=None)])
    assert [(o.fps, o.accuracy) for o in found] == [(5.0, 0.9), (20.0, 0.5)]


def test_table_and_page_hold_every_cell_and_escape_what_processes_said() -> None:
    cells = [outcome(), outcome(cell="c", state=State.FAILED, accuracy=None, fps=None, error="<b> is no board")]
    rows = list(csv.DictReader(table(cells).splitlines()))
    assert [row["state"] for row in rows] == ["done", "failed"]
    assert rows[1]["fps"] == ""
    page = sweep_page("both", cells, "1.0")
    assert "&lt;b&gt; is no board" in page
    assert "2 cells: 1 done, 1 failed" in page
