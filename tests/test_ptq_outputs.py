"""Quantization after training of networks of several outputs, and of interpolation."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from codesign.cli import main
from codesign.front.read import Format, lowered, prepared, read_file
from codesign.front.source import Source
from codesign.model import golden
from codesign.ptq.config import QuantizeConfig
from codesign.ptq.network import quantize_network
from codesign.ptq.observe import outputs, scored_output, sqnr_db
from codesign.ptq.places import places_of
from front_models import OnnxFile

IMAGES = np.random.default_rng(0).uniform(-1, 1, (48, 8, 8, 3)).astype(np.float32)


def two_heads(path: Path) -> Path:
    """A float network of a map a thousand times as large as the scores beside it."""
    rng, f = np.random.default_rng(2), OnnxFile([1, 3, 8, 8])

    def layer(operator: str, x: str, shape: tuple[int, ...], size: float, **attributes: object) -> str:
        weight = f.constant(rng.normal(0, size, shape))
        return f.node(operator, [x, weight, f.constant(rng.normal(0, 0.1, shape[0]))], **attributes)

    x = f.node("Relu", [layer("Conv", "x", (8, 3, 3, 3), 0.3, pads=[1, 1, 1, 1])])
    boxes = layer("Conv", x, (4, 8, 3, 3), 300.0, pads=[1, 1, 1, 1])
    y = f.node("Flatten", [f.node("GlobalAveragePool", [x])])
    scores = layer("Gemm", y, (5, 8), 1.0, transB=1)
    made = f.proto(boxes)
    made.graph.output.append(helper.make_tensor_value_info(scores, TensorProto.FLOAT, None))
    onnx.save(made, str(path))
    return path


def ready(path: Path) -> tuple[Format, Source, Source]:
    found = read_file(path)
    assert isinstance(found, tuple)
    return *found, prepared("made", found[1])


def test_every_output_is_quantized_and_equals_its_integers(tmp_path: Path) -> None:
    form, source, floats = ready(two_heads(tmp_path / "made.onnx"))
    made = quantize_network(floats, IMAGES, QuantizeConfig())
    network = lowered("made", form, source, made.source)
    assert network.origin is not None
    ours = golden.run_outputs(network.graph, network.origin.input.grid.integers(IMAGES.astype(np.float64)))
    wanted = outputs(made.source, IMAGES.astype(np.float64))
    for y, real, end in zip(ours, wanted, network.origin.outputs, strict=True):
        off = np.abs(end.grid.values(y.reshape(len(y), -1)) - real)
        assert off.mean() < 0.01 * np.abs(real).mean()
        assert len(np.unique(y)) > 50
    assert made.sqnr_db == min(
        sqnr_db((a,), (b,)) for a, b in zip(outputs(floats, made.test), outputs(made.source, made.test), strict=True)
    )
    assert made.sqnr_db > 30


def test_a_loss_of_one_output_is_not_hidden_by_another() -> None:
    large, small = np.full((2, 3), 1e4), np.ones((2, 3))
    assert sqnr_db((large, small), (large, small + 1)) == pytest.approx(0.0)


def test_labels_belong_to_the_output_of_scores(tmp_path: Path) -> None:
    path = two_heads(tmp_path / "made.onnx")
    floats = ready(path)[2]
    assert scored_output(floats) == 1
    labels = outputs(floats, IMAGES.astype(np.float64))[1].argmax(1)
    np.savez(tmp_path / "images.npz", images=IMAGES, labels=labels)
    out, given = tmp_path / "run", ["--calibrate", str(tmp_path / "images.npz"), "--until", "predict"]
    assert main(["compile", str(path), "--board", "pynq-z2", "--out", str(out), *given]) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["accuracy"]["float"] == 1.0
    assert summary["accuracy"]["golden"] == summary["accuracy"]["quantized"] > 0.9
    assert len({loss["sqnr_db"] for loss in json.loads((out / "2-quantization.json").read_text())["losses"]}) > 3


def test_means_of_an_interpolation_are_not_rounded(tmp_path: Path) -> None:
    rng, f = np.random.default_rng(3), OnnxFile([1, 3, 8, 8])
    x = f.node("Conv", ["x", f.constant(rng.normal(0, 0.3, (4, 3, 1, 1)))])
    x = f.node("Resize", [x, "", f.constant([1.0, 1.0, 4.0, 4.0])], mode="linear")
    x = f.node("Conv", [x, f.constant(rng.normal(0, 0.3, (4, 4, 1, 1)))], name="last")
    form, source, floats = ready(f.save(tmp_path / "made.onnx", x))
    assert [place.name for place in places_of(floats)] == ["input", "Conv_0", "Resize_1:2", "last"]
    made = quantize_network(floats, IMAGES, QuantizeConfig())
    bits = [node.otype.bits for node in lowered("made", form, source, made.source).graph.operations]
    assert bits[2:5] == [10, 12, 8]
