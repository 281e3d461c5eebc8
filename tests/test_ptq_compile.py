"""`compile` of float networks: an ONNX file or a PyTorch module, and images, to an accelerator with its proof."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import numpy_helper

import codesign
from codesign.cli import main
from codesign.errors import ConfigError, UnsupportedError
from codesign.front.evaluate import evaluate
from codesign.front.onnx_source import read_onnx_source
from codesign.front.read import read_network
from front_models import OnnxFile

OPSETS = (11, 13, 15, 17, 19, 21, 23, 26)  # up to the newest that the pinned onnxruntime reads


def float_file(path: Path, *, opset: int = 17, batch: int | str = 1) -> Path:
    """A float network of the operators that exporters write, with a batch normalization, a sum and a concatenation."""
    rng = np.random.default_rng(0)
    f = OnnxFile([batch, 1, 8, 8], opset=opset)

    def conv(x: str, k: int, c: int, **attributes: Any) -> str:
        weight, bias = f.constant(rng.normal(0, 0.4, (k, c, 3, 3))), f.constant(rng.normal(0, 0.2, k))
        return f.node("Conv", [x, weight, bias], pads=[1, 1, 1, 1], **attributes)

    x = conv("x", 6, 1)
    statistics = [f.constant(values) for values in (rng.uniform(0.5, 2, 6), rng.normal(0, 1, 6), rng.normal(0, 1, 6))]
    x = f.node("BatchNormalization", [x, *statistics, f.constant(rng.uniform(0.5, 2, 6))])
    x = skip = f.node("Relu", [x])
    x = f.node("Relu", [f.node("Add", [conv(x, 6, 1, group=6), skip])])
    x = f.node("Concat", [x, skip], axis=1)
    x = f.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
    x = f.node("Clip", [conv(x, 8, 12), f.constant(0.0), f.constant(6.0)])
    x = f.node("Flatten", [f.node("GlobalAveragePool", [x])])
    x = f.node("Gemm", [x, f.constant(rng.normal(0, 1, (4, 8))), f.constant(rng.normal(0, 1, 4))], transB=1)
    return f.save(path, f.node("Softmax", [x], axis=1))


def images(n: int = 24) -> Any:
    """Images [N, 1, 8, 8] of pixels from 0 to 1, as float32."""
    return (np.random.default_rng(1).integers(0, 256, (n, 1, 8, 8)) / 255).astype(np.float32)


def runtime_scores(path: Path, x: Any) -> Any:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"x": image[np.newaxis]})[0] for image in x])


@pytest.mark.parametrize("opset", OPSETS)
def test_a_float_file_means_what_onnxruntime_computes(tmp_path: Path, opset: int) -> None:
    path = float_file(tmp_path / "made.onnx", opset=opset)
    source, x = read_onnx_source(path), images(6)
    found = evaluate(source, x.astype(np.float64))[source.outputs[0]]
    # float32 has 24 bits; sums of some hundred products of values below 100 leave 1e-4 of them
    assert np.abs(found - runtime_scores(path, x)).max() < 1e-4


def test_an_open_extent_is_fixed_by_an_option_or_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    f = OnnxFile(["N", 1, "H", "W"])
    path = f.save(tmp_path / "open.onnx", f.node("Conv", ["x", f.constant(rng.normal(0, 1, (2, 1, 3, 3)))]))
    with pytest.raises(UnsupportedError, match=r"the input 'x' has the extents \[\?, 1, \?, \?\]"):
        codesign.compile(path, board="pynq-z2", calibrate=images())
    built = codesign.compile(path, board="pynq-z2", calibrate=images(), input_shape=(1, 8, 8))
    assert built.graph.input.shape.x == 8


def test_compile_of_a_float_file_ends_in_proof_summary_and_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, x = float_file(tmp_path / "made.onnx"), images(40)
    labels = runtime_scores(path, x).argmax(axis=1)
    np.savez(tmp_path / "images.npz", images=x, labels=labels)
    out = tmp_path / "run"
    command = [
        "compile",
        str(path),
        "--board",
        "pynq-z2",
        "--out",
        str(out),
        "--calibrate",
        str(tmp_path / "images.npz"),
    ]
    command += ["--csim-images", "8", "--rtlsim-images", "4", "--quantize", "weight_bits=6", "--min-fps", "100"]
    assert main(command) == 0
    told = capsys.readouterr().out
    summary = json.loads((out / "summary.json").read_text())
    assert summary["csim"]["mismatches"] == summary["rtlsim"]["mismatches"] == 0
    assert summary["accuracy"]["float"] == 1.0
    assert summary["accuracy"]["golden"] >= 0.9
    assert "float 100.00%" in told
    assert summary["source"]["format"] == "ONNX"
    assert summary["source"]["differing_predictions"] <= 1
    assert "the largest score is another in" in summary["source"]["verdict"]
    places = {loss["name"]: loss for loss in summary["quantization"]["losses"]}
    assert [loss["weight_bits"] for loss in places.values() if "weight_bits" in loss] == [6, 6, 6, 6]
    page = (out / "report.html").read_text()
    assert "<h2>Quantization</h2>" in page
    assert all(name in page for name in places)
    assert main(command) == 0  # the same command goes on, and does nothing twice


def test_a_float_file_without_images_is_refused_and_says_what_would_do(tmp_path: Path) -> None:
    path = float_file(tmp_path / "made.onnx")
    with pytest.raises(UnsupportedError, match="--calibrate"):
        codesign.compile(path, board="pynq-z2")
    with pytest.raises(UnsupportedError, match="is not quantized"):
        read_network(path)


def test_images_for_a_quantized_file_are_refused(tmp_path: Path) -> None:
    f = OnnxFile([1, 1, 8, 8])
    w = f.quant(f.constant(np.ones((2, 1, 1, 1))), 0.5, 4)
    path = f.save(tmp_path / "quantized.onnx", f.quant(f.node("Conv", [f.quant("x", 1.0, 8), w]), 1.0, 8))
    with pytest.raises(ConfigError, match="is quantized already"):
        codesign.compile(path, board="pynq-z2", calibrate=images())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--quantize", "weight_bits=4"], "give the images too"),
        (["--calibrate", "none.npz"], "no such file"),
        (["--calibrate", "x.npy", "--quantize", "weight_bits=40"], "weight_bits"),
        (["--calibrate", "x.npy", "--quantize", "bits=4"], "bits"),
        (["--calibrate", "x.npy", "--quantize", "ranges=most"], "ranges"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    path = float_file(tmp_path / "made.onnx")
    assert main(["compile", str(path), "--board", "pynq-z2", "--out", str(tmp_path / "run"), *options]) == 1
    assert told in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


def test_a_module_is_compiled_by_its_images_alone() -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(64, 5),
    )  # fmt: skip
    built = codesign.compile(module, board="pynq-z2", calibrate=images(), quantize={"power_of_two": True}, min_fps=100)
    summary = built.summary()
    assert summary["source"]["format"] == "PyTorch"
    assert summary["source"]["differing_predictions"] <= 1
    assert any("powers of two" in remark for remark in summary["remarks"])
    assert summary["source"]["largest_scaling_error_steps"] < 1
    with pytest.raises(ConfigError, match="example"):
        codesign.compile(module, board="pynq-z2", calibrate="fashion-mnist-subset")
    with pytest.raises(UnsupportedError, match="--calibrate"):
        codesign.compile(module, board="pynq-z2", example=images())


def test_the_accelerator_takes_the_numbers_of_the_calibration_data(tmp_path: Path) -> None:
    path, x = float_file(tmp_path / "made.onnx"), images(24)
    pixel = np.rint(x * 255).astype(np.uint8)
    half = codesign.compile(path, board="pynq-z2", calibrate=x)
    whole = codesign.compile(path, board="pynq-z2", calibrate=pixel, quantize={"std": 255.0})
    shifted = codesign.compile(path, board="pynq-z2", calibrate=pixel + 10.0, quantize={"mean": 10.0, "std": 255.0})
    assert whole.graph.encoding.is_identity
    assert half.graph.encoding.step == pytest.approx(1 / 255)
    for built, given in ((half, x), (shifted, pixel + 10.0)):
        assert np.array_equal(built.graph.encoding.encode(given, built.graph.input.otype), pixel)


def test_constants_that_a_file_fills_by_shape_are_read(tmp_path: Path) -> None:
    f = OnnxFile([1, 1, 8, 8])
    shape = f.constant([2, 1, 3, 3], np.int64)
    weight = f.node("ConstantOfShape", [shape], value=numpy_helper.from_array(np.array([0.25], np.float32)))
    path = f.save(tmp_path / "filled.onnx", f.node("Conv", ["x", weight]))
    source, x = read_onnx_source(path), images(2)
    assert np.abs(evaluate(source, x.astype(np.float64))[source.outputs[0]] - runtime_scores(path, x)).max() < 1e-5
