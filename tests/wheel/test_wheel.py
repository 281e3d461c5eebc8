"""The built wheel in an environment without torch, onnx or any other extra, run from another folder."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import codesign
from codesign.data import folder
from codesign.flow import vectors
from codesign.flow.begin import create
from codesign.flow.config import CompileConfig, ProofConfig
from codesign.flow.folder import RunFolder
from codesign.ir import files
from codesign.ir.boards import load_board
from codesign.testing.small import small_graph

SCRIPT = Path(sys.executable).parent / "codesign"
CHECKOUT = Path(__file__).resolve().parents[2]


def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(SCRIPT), *arguments], check=False, capture_output=True, text=True)


def test_the_package_under_test_is_the_installed_one() -> None:
    assert not Path(codesign.__file__).is_relative_to(CHECKOUT / "codesign")
    assert Path.cwd() != CHECKOUT


@pytest.mark.parametrize("extra", ["torch", "onnx", "pyosys"])
def test_no_extra_is_installed(extra: str) -> None:
    assert importlib.util.find_spec(extra) is None


@pytest.mark.parametrize("name", ["templates", "boards", "examples"])
def test_what_is_beside_the_package_in_a_checkout_travels_with_it(name: str) -> None:
    installed = {str(p.relative_to(folder(name))) for p in folder(name).rglob("*") if p.is_file()}
    assert folder(name).is_relative_to(Path(codesign.__file__).parent)
    assert {n for n in installed if not n.endswith((".pyc", ".py"))} >= _sources(CHECKOUT / name)


def _sources(home: Path) -> set[str]:
    return {str(p.relative_to(home)) for p in home.rglob("*") if p.is_file() and p.suffix not in (".pyc", ".py")}


def test_the_data_subset_travels_with_the_package() -> None:
    from codesign.datasets.load import DataConfig, DataKind, load_dataset

    dataset = load_dataset(DataConfig(kind=DataKind.FASHION_MNIST_SUBSET))
    assert (len(dataset.train_x), len(dataset.test_x)) == (5000, 1000)


def test_the_boards_are_listed() -> None:
    result = call("boards")
    assert result.returncode == 0, result.stderr
    assert "pynq-z2" in result.stdout


def test_the_doctor_names_what_is_missing_and_what_works_without_it() -> None:
    result = call("doctor")
    assert result.returncode == 0, result.stderr
    assert "missing  torch" in result.stdout
    assert "compile and every verb on a run folder work" in result.stdout


def test_a_run_without_torch_says_what_to_install(tmp_path: Path) -> None:
    config = folder("examples") / "fashion-pynq-z2.yaml"
    result = call("run", str(config), "--out", str(tmp_path / "run"))
    assert result.returncode == 1
    assert "needs torch" in result.stderr
    assert "codesign[train]" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(shutil.which("g++") is None or shutil.which("verilator") is None, reason="needs g++ and verilator")
def test_a_run_folder_is_rendered_and_simulated_with_what_the_wheel_brings(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    proof = ProofConfig(csim_images=4, rtlsim_images=4)
    create(run, "compile", CompileConfig(name="small", board="pynq-z2", proof=proof), load_board("pynq-z2"))
    files.save_graph(small_graph(), run.graph)
    vectors.save_vectors(run, small_graph(), vectors.random_images(small_graph(), 0, 4))
    for verb in ("csim", "rtlsim", "report"):
        result = call(verb, str(run.path))
        assert result.returncode == 0, result.stderr
    assert "rtlsim     4 images, 0 mismatches" in result.stdout
    assert run.report.exists()
