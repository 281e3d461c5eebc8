"""`codesign compile` of files of other tools: what was read, and the file's own runtime beside the golden model."""

import json
from pathlib import Path

import numpy as np
import pytest

import codesign
from codesign.cli import main
from codesign.flow import origin
from codesign.flow.config import check_name, run_name
from codesign.ir import files
from front_models import OnnxFile, small_qdq, small_qonnx

FEW = ["--csim-images", "8", "--rtlsim-images", "4"]


def compiled(path: Path, out: Path, *options: str) -> dict[str, object]:
    """The summary of a compile on a PYNQ-Z2, which must succeed."""
    assert main(["compile", str(path), "--board", "pynq-z2", "--out", str(out), *FEW, *options]) == 0
    return dict(json.loads((out / "summary.json").read_text()))


@pytest.mark.gxx
def test_a_file_of_another_tool_is_compiled_and_proven_in_c(tmp_path: Path) -> None:
    pytest.importorskip("qonnx")
    path = small_qonnx(tmp_path / "7 Made.onnx", np.random.default_rng(0))
    out = tmp_path / "run"
    summary = compiled(path, out, "--until", "csim")
    assert summary["name"] == "net-7-made"
    assert summary["csim"] | {"seconds": 0} == {"images": 8, "mismatches": 0, "seconds": 0}  # type: ignore[operator]
    source = summary["source"]
    assert isinstance(source, dict)
    assert source["format"] == "QONNX"
    assert (source["images"], source["words"], source["differing_words"]) == (16, 160, 0)
    assert source["verdict"].startswith("QONNX; equals qonnx ")
    page = (out / "report.html").read_text()
    assert "<h2>The file</h2>" in page
    assert "<td>maxpool_13</td><td>MaxPool_13</td>" in page
    assert (out / "0-model.onnx").read_bytes() == path.read_bytes()
    assert files.load_graph(out / "2-graph.npz").encoding.step == 1 / 32


def test_a_second_compile_compares_nothing_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = small_qdq(tmp_path / "made.onnx", np.random.default_rng(0), powers_of_two=True)
    first = compiled(path, tmp_path / "run", "--until", "predict")
    monkeypatch.setattr(origin, "compare_with_source", lambda *_: pytest.fail("compared again"))
    again = compiled(path, tmp_path / "run", "--until", "predict")
    assert first["source"] == again["source"]
    assert "equals onnxruntime" in first["source"]["verdict"]  # type: ignore[index]


def test_a_runtime_that_cannot_run_the_file_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no kernel for this\nand more")

    monkeypatch.setattr(origin, "compare_with_source", fail)
    path = small_qdq(tmp_path / "made.onnx", np.random.default_rng(0), powers_of_two=True)
    summary = compiled(path, tmp_path / "run", "--until", "predict")
    assert summary["source"]["verdict"].endswith("cannot run the file: no kernel for this")  # type: ignore[index]


def test_without_the_runtime_nothing_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "runtime_of", lambda imported: None)
    path = small_qdq(tmp_path / "made.onnx", np.random.default_rng(0), powers_of_two=True)
    summary = compiled(path, tmp_path / "run", "--until", "predict")
    assert summary["source"]["verdict"] == "ONNX; not compared: the file's own runtime is not installed"  # type: ignore[index]
    assert "differing_words" not in summary["source"]  # type: ignore[operator]


def test_the_user_s_own_images_are_compared(tmp_path: Path) -> None:
    path = small_qdq(tmp_path / "made.onnx", np.random.default_rng(0), powers_of_two=True)
    images = np.random.default_rng(1).uniform(-1, 1, (9, 9, 9, 3)).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    summary = compiled(path, tmp_path / "run", "--until", "predict", "--images", str(tmp_path / "images.npy"))
    assert (summary["source"]["images"], summary["source"]["differing_words"]) == (8, 0)  # type: ignore[index]


def test_open_extents_are_an_option_in_both_interfaces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    f = OnnxFile(["N", 3, "H", "W"])
    w = f.quant(f.constant(np.ones((4, 3, 1, 1))), 0.5, 4)
    path = f.save(tmp_path / "open.onnx", f.quant(f.node("Conv", [f.quant("x", 0.25, 8), w]), 1.0, 8))
    assert main(["compile", str(path), "--board", "pynq-z2"]) == 1
    assert "give those behind the batch, such as --input-shape 3,224,224" in " ".join(capsys.readouterr().err.split())
    assert main(["compile", str(path), "--board", "pynq-z2", "--input-shape", "3,x"]) == 1
    assert "--input-shape: expected numbers between commas" in capsys.readouterr().err
    compiled(path, tmp_path / "run", "--until", "predict", "--input-shape", "3,5,6")
    built = codesign.compile(path, board="pynq-z2", input_shape=(3, 5, 6))
    assert str(built.graph.input.shape) == "5x6x3"


@pytest.mark.parametrize("stem", ["7up", "Model v2.1", "ünïcode", "-", "x" * 99, "a_b-c", "__", "2024-11-02 final (1)"])
def test_every_file_name_gives_a_run_its_name(stem: str) -> None:
    check_name(run_name(stem))


def test_a_network_too_large_is_refused_with_what_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = small_qdq(tmp_path / "wide.onnx", np.random.default_rng(0), powers_of_two=True)
    command = ["compile", str(path), "--board", "pynq-z2", "--out", str(tmp_path / "run"), "--until", "predict"]
    assert main([*command, "--limit", "lut=100"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "on board 'pynq-z2': lut needs about" in said
    assert "available 100; raise lut to about" in said


def test_more_images_than_memory_holds_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    f = OnnxFile([1, 3, 2048, 2048])
    w = f.quant(f.constant(np.ones((4, 3, 1, 1))), 0.5, 4)
    path = f.save(tmp_path / "large_map.onnx", f.quant(f.node("Conv", [f.quant("x", 0.25, 8), w]), 1.0, 8))
    assert main(["compile", str(path), "--board", "pynq-z2", "--out", str(tmp_path / "run")]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "csim_images: 100 images of 2048x2048x3 take more memory than simulations may; expected at most 10" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.verilator
@pytest.mark.slow
def test_zero_points_of_another_tool_are_proven_in_rtl_with_stalls(tmp_path: Path) -> None:
    path = small_qdq(tmp_path / "made.onnx", np.random.default_rng(0), powers_of_two=False)
    summary = compiled(path, tmp_path / "run", "--until", "rtlsim")
    found, predicted = summary["rtlsim"], summary["predicted"]
    assert found["mismatches"] == 0  # type: ignore[index]
    for cycles in ("interval_cycles", "latency_cycles"):
        assert found[cycles] == predicted[cycles]  # type: ignore[index]
