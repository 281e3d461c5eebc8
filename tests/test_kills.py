"""Killed at random moments, again and again, a command leaves no process, and ends in the same summary.

CODESIGN_KILLS=100 (`make test-kills`) is the long version, of a whole run: search, training, simulations, synthesis.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign.testing.small import small_graph

KILLS = int(os.environ.get("CODESIGN_KILLS", "0"))
EMULATED = Path(__file__).parent / "emulated_pyosys"
GONE_S = 20.0  # for the system to end what was killed
SHORTEST_S = 0.2  # from here to most of a whole command, moments are drawn by their logarithms
LIMIT_S = 1200.0  # for a whole command; a safety only
CONFIG = """
name: tiny
board: pynq-z2
data: {{kind: arrays, path: {data}}}
space:
  stages:
    - {{stride: 2, widths: [2, 4], activation_bits: [3, 4], blocks: [
        {{operators: [{{kind: conv, kernel: 3}}, {{kind: separable, kernel: 3}}], weight_bits: [3, 4]}}]}}
  head_pools: [none, global]
  head_weight_bits: [4]
search: {{min_fps: 50000.0, epochs: 4, warmup_epochs: 1, images: 64, batch_images: 16, finalists: 2, threads: 1,
  device: cpu, minimum_depth: 1}}
train: {{float_epochs: 3, quantized_epochs: 3, batch_images: 16, calibration_images: 16, threads: 1, device: cpu}}
proof: {{csim_images: 4, rtlsim_images: 4, synthesis: true}}
"""


def begun(command: list[str], out: Path, environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    """The command, at work in `out`."""
    return subprocess.Popen(
        [sys.executable, "-m", "codesign", *command, "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def processes_of(folder: Path) -> list[str]:
    """Commands of the processes that work in the folder, or have it in their command line."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            place = os.readlink(process / "cwd")
        except OSError:  # no process, or no longer
            continue
        if process.name != str(os.getpid()) and (place.startswith(str(folder)) or str(folder) in " ".join(words)):
            found.append(f"{process.name}: {' '.join(words)}")
    return found


def left_behind(folder: Path) -> list[str]:
    """What is still there after the system had time to end it."""
    deadline = time.monotonic() + GONE_S
    while (found := processes_of(folder)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def result_of(folder: Path) -> Any:
    """The summary and what synthesis counted, apart from seconds."""

    def without(plain: Any) -> Any:
        if isinstance(plain, dict):
            return {key: without(value) for key, value in plain.items() if "seconds" not in key}
        return [without(value) for value in plain] if isinstance(plain, list) else plain

    return [without(json.loads((folder / name).read_text())) for name in ("summary.json", "8-synthesis.json")]


def survives(command: list[str], work: Path, kills: int, environment: Mapping[str, str] | None = None) -> None:
    """Kill the command `kills` times, at random moments; let it finish; compare. A finished one begins afresh."""
    draw, environment = random.Random(1), environment or {}
    started = time.monotonic()
    process = begun(command, work / "whole", environment)
    _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, errors
    longest, expected = 0.6 * (time.monotonic() - started), result_of(work / "whole")
    chain = 0
    for kill in range(kills + 1):
        out = work / f"killed{chain}"
        process = begun(command, out, environment)
        if kill < kills:
            try:
                process.wait(SHORTEST_S * (longest / SHORTEST_S) ** draw.random())
            except subprocess.TimeoutExpired:
                process.send_signal(draw.choice((signal.SIGKILL, signal.SIGTERM)))
        _, errors = process.communicate(timeout=LIMIT_S)
        assert "Traceback" not in errors
        assert left_behind(out) == []
        if process.returncode == 0:
            assert result_of(out) == expected
            chain += 1
        else:
            assert process.returncode in (-signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGTERM), errors
        print(f"kill {kill + 1}: folder {chain}, status {process.returncode}", flush=True)
    assert chain > 0


@pytest.mark.gxx
@pytest.mark.verilator
@pytest.mark.slow
def test_a_compilation_survives_kills(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from codesign.front.onnx_file import write_onnx

    write_onnx(small_graph(), tmp_path / "small.onnx")
    command = ["compile", str(tmp_path / "small.onnx"), "--board", "pynq-z2", "--until", "synthesize"]
    # Real synthesis takes half a minute more.
    emulated = {"PYTHONPATH": f"{EMULATED}:{os.environ.get('PYTHONPATH', '')}", "EMULATED_PYOSYS": str(tmp_path)}
    survives([*command, "--csim-images", "4", "--rtlsim-images", "4"], tmp_path / "runs", 4, emulated)


@pytest.mark.gxx
@pytest.mark.verilator
@pytest.mark.torch
@pytest.mark.yosys
@pytest.mark.slow
@pytest.mark.skipif(KILLS == 0, reason="takes long: make test-kills")
def test_a_whole_run_survives_kills(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 96), ("test", 40)):
        y = np.arange(count) % 2
        arrays[f"x_{part}"] = (rng.integers(0, 128, (count, 8, 8, 1)) + 120 * y[:, None, None, None]).astype(np.uint8)
        arrays[f"y_{part}"] = y
    np.savez(tmp_path / "data.npz", **arrays)
    (tmp_path / "tiny.yaml").write_text(CONFIG.format(data=tmp_path / "data.npz"))
    survives(["run", str(tmp_path / "tiny.yaml")], tmp_path / "runs", KILLS)
