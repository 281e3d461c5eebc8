"""Activations of sums that are too wide for a table: in exact linear pieces, or refused."""

from pathlib import Path

import numpy as np
import pytest

from codesign.errors import UnsupportedError
from codesign.front.read import Imported, read_network
from codesign.front.runtime import SourceComparison, compare_with_source, random_inputs
from codesign.ops.conv import Conv
from codesign.ops.lookup import Lookup
from front_models import OnnxFile

RNG = np.random.default_rng(3)


def compared(f: OnnxFile, path: Path, y: str) -> tuple[Imported, SourceComparison]:
    pytest.importorskip("qonnx")
    network = read_network(f.save(path, y))
    assert network.origin is not None
    shape = network.graph.input.shape
    x = random_inputs(network.origin, (shape.y, shape.x, shape.c), 8, 0)
    return network, compare_with_source(path, network, x)


def conv(f: OnnxFile, x: str, c: int, bits: int = 6) -> str:
    weight = f.quant(f.constant(RNG.normal(0, 0.5, (6, c, 3, 3))), 1 / 32, bits)
    return f.node("Conv", [x, weight, f.quant(f.constant(RNG.normal(0, 0.5, 6)), 1 / 256, 12)], pads=[1, 1, 1, 1])


@pytest.mark.parametrize("slope", [0.125, 0.0, 1.0, 2.0, -0.5, 4.0])
@pytest.mark.parametrize("bits", [3, 6])
def test_a_leaky_relu_of_a_convolution_is_exact(tmp_path: Path, slope: float, bits: int) -> None:
    """Of weights of 3 bits sums have 16 bits at most, so that the convolution is there once."""
    f = OnnxFile([1, 3, 6, 5])
    x = f.node("LeakyRelu", [conv(f, f.quant("x", 1 / 32, 8), 3, bits)], alpha=slope)
    network, found = compared(f, tmp_path / "made.onnx", f.quant(x, 1 / 16, 6))
    assert (found.words, found.differing_words) == (8 * 6 * 6 * 5, 0)
    assert sum(isinstance(node, Conv) and node.reduced_channels == 3 for node in network.graph.operations) == bits // 3
    assert not any(isinstance(node, Lookup) for node in network.graph.operations)


@pytest.mark.parametrize("slopes", [[0.5, 0.25, 0.125, 0.0, -1.0, 1.0], [1.0, 2.0, 4.0, 1.5, 1.0, 8.0]])
def test_a_prelu_of_a_sum_is_exact(tmp_path: Path, slopes: list[float]) -> None:
    """A residual sum of 12 bits, with a slope for each channel; then another with a zero point."""
    f = OnnxFile([1, 6, 4, 4])
    x = f.quant("x", 1 / 32, 11)
    y = f.node(
        "PRelu", [f.node("Add", [x, f.quant(conv(f, x, 6), 1 / 32, 11)]), f.constant(np.reshape(slopes, (6, 1, 1)))]
    )
    _, found = compared(f, tmp_path / "made.onnx", f.quant(y, 1 / 8, 8, signed=0, zero=120))
    assert (found.words, found.differing_words) == (8 * 6 * 16, 0)


def test_any_slope_is_within_a_step(tmp_path: Path) -> None:
    f = OnnxFile([1, 3, 6, 5])
    x = f.node("LeakyRelu", [conv(f, f.quant("x", 0.031, 8), 3)], alpha=0.1)
    _, found = compared(f, tmp_path / "made.onnx", f.quant(x, 0.043, 6))
    assert found.largest_steps <= 1
    assert found.mean_steps < 0.005


def test_a_hard_sigmoid_of_a_convolution_is_a_clip(tmp_path: Path) -> None:
    f = OnnxFile([1, 3, 6, 5])
    x = f.node("HardSigmoid", [conv(f, f.quant("x", 1 / 32, 8), 3)], alpha=0.25, beta=0.5)
    network, found = compared(f, tmp_path / "made.onnx", f.quant(x, 1 / 64, 6, signed=0))
    assert (found.words, found.differing_words) == (8 * 6 * 6 * 5, 0)
    assert [type(node) for node in network.graph.operations] == [Conv]


def test_a_narrow_sum_is_looked_up(tmp_path: Path) -> None:
    f = OnnxFile([1, 3, 6, 5])
    w = f.quant(f.constant(RNG.normal(0, 0.5, (6, 1, 1, 1))), 1 / 4, 3)
    x = f.node("LeakyRelu", [f.node("Conv", [f.quant("x", 1 / 4, 4), w], group=3)], alpha=0.125)
    network, found = compared(f, tmp_path / "made.onnx", f.quant(x, 1 / 16, 6))
    assert found.differing_words == 0
    assert [type(node) for node in network.graph.operations] == [Conv, Lookup]


@pytest.mark.parametrize("operator", ["Sigmoid", "HardSwish"])
def test_other_activations_of_wide_sums_are_refused_with_what_would_do(tmp_path: Path, operator: str) -> None:
    f = OnnxFile([1, 3, 6, 5])
    x = f.node(operator, [conv(f, f.quant("x", 1 / 32, 8), 3)])
    with pytest.raises(UnsupportedError, match="quantize them to at most 10 bits"):
        read_network(f.save(tmp_path / "made.onnx", f.quant(x, 1 / 16, 6)))


def test_slopes_on_both_sides_of_one_are_refused(tmp_path: Path) -> None:
    f = OnnxFile([1, 3, 6, 5])
    slope = f.constant(np.reshape([0.5, 2, 1, 1, 1, 1], (6, 1, 1)))
    x = f.node("PRelu", [conv(f, f.quant("x", 1 / 32, 8), 3), slope])
    with pytest.raises(UnsupportedError, match="quantize them to at most 10 bits"):
        read_network(f.save(tmp_path / "made.onnx", f.quant(x, 1 / 16, 6)))
