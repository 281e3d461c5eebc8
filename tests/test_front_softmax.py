"""Softmax inside a network: over two channels a Sigmoid of their difference, else refused."""

from pathlib import Path

import numpy as np
import pytest

from codesign.errors import UnsupportedError
from codesign.front.evaluate import evaluate
from codesign.front.layout import channels_last
from codesign.front.read import read_file, read_network
from codesign.front.runtime import compare_with_source, random_inputs
from codesign.front.softmax import without_softmax
from codesign.ops.conv import Conv
from codesign.ops.lookup import Lookup
from front_models import OnnxFile

RNG = np.random.default_rng(6)


def gated(f: OnnxFile, channels: int, *, axis: int = 1) -> str:
    """A map that is weighed by a Softmax of its scores."""
    x = f.quant("x", 1 / 32, 7)
    w = f.quant(f.constant(RNG.normal(0, 0.5, (channels, 4, 1, 1))), 1 / 8, 4)
    scores = f.quant(f.node("Conv", [x, w]), 1 / 32, 8)
    share = f.quant(f.node("Softmax", [scores], axis=axis), 1 / 128, 8, signed=0)
    return f.quant(f.node("Mul", [scores, share]), 1 / 32, 8)


def test_over_two_channels_it_equals_its_runtime_within_a_step(tmp_path: Path) -> None:
    pytest.importorskip("qonnx")
    f = OnnxFile([1, 4, 6, 6])
    path = f.save(tmp_path / "made.onnx", gated(f, 2))
    network = read_network(path)
    assert network.origin is not None
    found = compare_with_source(path, network, random_inputs(network.origin, (6, 6, 4), 16, 0))
    assert found.largest_steps <= 1
    assert found.mean_steps < 1e-3
    assert [type(node) for node in network.graph.operations][1:3] == [Conv, Lookup]


def test_the_pass_computes_the_same(tmp_path: Path) -> None:
    f = OnnxFile([1, 2, 3, 5])
    path = f.save(tmp_path / "made.onnx", f.node("Relu", [f.node("Softmax", ["x"], axis=1)]))
    found = read_file(path)
    assert isinstance(found, tuple)
    before, _ = channels_last(found[1])
    after, problems = without_softmax(before)
    x = RNG.normal(0, 3, (7, 3, 5, 2))
    given, made = (evaluate(source, x)[source.outputs[0]] for source in (before, after))
    assert problems == []
    assert np.abs(given.sum(axis=3) - 1).max() < 1e-12
    assert np.abs(given - made).max() < 1e-12


@pytest.mark.parametrize(("channels", "axis", "opset"), [(3, 1, 17), (2, 3, 17), (2, 1, 12)])
def test_any_other_is_refused_with_what_would_do(tmp_path: Path, channels: int, axis: int, opset: int) -> None:
    """Three channels; two columns; and two channels in opset 12, where it is over all pixels too."""
    f = OnnxFile([1, 4, 6, 2], opset=opset)
    with pytest.raises(UnsupportedError, match=r"\(Softmax\): is read by other nodes: .* over two channels"):
        read_network(f.save(tmp_path / "made.onnx", gated(f, channels, axis=axis)))
