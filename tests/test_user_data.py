"""A user's own data, images that are not square and signals, from an .npz file to the proof, without touching code."""

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("torch")

from codesign.cli import main
from codesign.data import folder
from codesign.errors import InfeasibleError
from codesign.flow import steps
from codesign.flow.folder import opened
from codesign.ir import files
from codesign.ir.board import Limits
from codesign.progress import silent

pytestmark = [pytest.mark.torch, pytest.mark.gxx, pytest.mark.verilator, pytest.mark.slow]

SMALL = {  # than what a user would write, so that simulators are built fast
    "space": {
        "stages": [
            {
                "stride": 2,
                "widths": [4, 6],
                "activation_bits": [3, 4],
                "blocks": [
                    {
                        "operators": [{"kind": "conv", "kernel": 3}, {"kind": "separable", "kernel": 5}],
                        "weight_bits": [3, 4],
                    },
                    {"operators": [{"kind": "separable", "kernel": 3}, {"kind": "skip"}], "weight_bits": [4]},
                ],
            }
        ],
        "head_pools": ["none", "maximum", "global"],
        "head_weight_bits": [4],
    },
    "search": {
        "min_fps": 20000.0, "epochs": 3, "warmup_epochs": 1, "images": 180, "batch_images": 20, "finalists": 3,
        "threads": 1, "device": "cpu", "minimum_depth": 1,
    },
    "train": {
        "float_epochs": 6, "quantized_epochs": 2, "epoch_images": 400, "batch_images": 20, "flip": False, "threads": 1,
        "device": "cpu",
    },
    "proof": {"csim_images": 8, "rtlsim_images": 4, "synthesis": False},
}  # fmt: skip


def samples(shape: tuple[int, ...], path: Path) -> None:
    """Three classes, each with levels of its own in every channel, under noise, in the user's own units and names."""
    rng = np.random.default_rng(5)
    patterns = rng.normal(size=(3, 1, 1, shape[-1])) + np.zeros((3, *shape))
    arrays = {"classes": np.array(["calm", "breeze", "storm"])}
    for part, count in (("train", 240), ("test", 60)):
        y = np.arange(count) % 3
        arrays |= {f"x_{part}": 7.0 * (patterns[y] + 0.5 * rng.normal(size=(count, *shape))), f"y_{part}": y}
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("shape", "longer", "seen"),
    [((9, 31, 4), [24], (7, 24, 4)), ((64, 1, 6), [], (64, 1, 6))],
    ids=["9x31x4", "64x1x6"],
)
def test_samples_of_any_shape_go_from_data_to_proof(
    shape: tuple[int, ...],
    longer: list[int],
    seen: tuple[int, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    samples(shape, tmp_path / "mine.npz")
    example = yaml.safe_load((folder("examples") / "user-data.yaml").read_text())
    small = {key: {**example[key], **value} if key in ("search", "train") else value for key, value in SMALL.items()}
    small["space"] = {**SMALL["space"], "resolutions": longer}
    Path("mine.yaml").write_text(yaml.safe_dump({**example, **small}))
    assert main(["run", "mine.yaml", "--out", "run"]) == 0, capsys.readouterr().err
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["csim"]["mismatches"] == summary["rtlsim"]["mismatches"] == 0
    assert summary["rtlsim"]["interval_cycles"] == summary["predicted"]["interval_cycles"] <= 5000
    assert summary["accuracy"]["golden"] > 0.8
    for name, epochs in (("search", 3), ("train", 8)):
        with Path(f"run/log/{name}.csv").open() as file:
            assert [row["epoch"] for row in csv.DictReader(file)] == [str(i + 1) for i in range(epochs)]
    _classifies_without_the_package(seen)


def _classifies_without_the_package(shape: tuple[int, ...]) -> None:
    """The network of the run folder, on the images that were simulated."""
    with np.load("run/3-vectors.npz") as vectors:
        np.save("images.npy", vectors["x"].astype(np.uint8))
        expected = vectors["y"]
    assert np.load("images.npy").shape[1:] == shape
    command = [sys.executable, "-I", "run/network/model.py", "images.npy", "outputs.npy"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert np.array_equal(np.load("outputs.npy"), expected)
    assert set(result.stdout.split()) <= {"calm", "breeze", "storm"}


def test_arrays_chosen_with_the_network_are_its_accelerator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    samples((16, 1, 6), tmp_path / "mine.npz")
    example = yaml.safe_load((folder("examples") / "user-data.yaml").read_text())
    search = {**example["search"], **SMALL["search"], "hardware": "dna"}
    train = {**example["train"], **SMALL["train"]}
    Path("mine.yaml").write_text(yaml.safe_dump({**example, **SMALL, "search": search, "train": train}))
    assert main(["run", "mine.yaml", "--out", "run"]) == 0, capsys.readouterr().err
    chosen, design = (files.load_design(Path("run") / name) for name in ("1-arrays.yaml", "4-design.yaml"))
    lanes = [[(e.pe, e.simd, e.multiplier) for e in d.engines] for d in (chosen, design)]
    assert lanes[0] == lanes[1]
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["csim"]["mismatches"] == summary["rtlsim"]["mismatches"] == 0
    assert summary["rtlsim"]["interval_cycles"] == summary["predicted"]["interval_cycles"] <= 5000
    assert not summary["search"]["proved_optimal"]
    assert "its best design would need" in Path("run/report.html").read_text()
    run_folder, settings, board = opened(Path("run"))
    tight = replace(board, limits=Limits(lut=summary["predicted"]["lut"] - 1))
    with pytest.raises(InfeasibleError, match=r"arrays chosen with the network need [\d,]+ lut, allowed are [\d,]+"):
        steps.design_step(steps.Run(run_folder, settings, tight, silent))
