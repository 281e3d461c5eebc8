"""QONNX whose maps are [N, Y, X, C]: equal to its runtime in every word."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from codesign.errors import UnsupportedError
from codesign.front.read import read_file, read_network
from codesign.front.rules import CHANNELS_LAST
from codesign.front.runtime import compare_with_source, random_inputs
from codesign.front.shapes import shapes_of
from front_models import OnnxFile

RNG = np.random.default_rng(9)


def network(path: Path) -> Path:
    """Convolutions, a maximum, an enlargement, a concatenation and a LeakyRelu of wide sums."""
    f = OnnxFile([1, 6, 8, 3])

    def conv(x: str, k: int, c: int, **attributes: object) -> str:
        weight = f.quant(f.constant(RNG.normal(0, 0.5, (k, 3, 3, c))), 1 / 16, 5)
        same = {"pads": [1, 1, 1, 1], "dilations": [1, 1], "kernel_shape": [3, 3], "strides": [1, 1]}
        return f.node("Conv", [x, weight], CHANNELS_LAST, **{"group": 1, **same, **attributes})

    x = f.quant("x", 1 / 32, 8)
    x = skip = f.quant(f.node("LeakyRelu", [conv(x, 6, 1, group=3)], alpha=13 / 128), 1 / 16, 6)
    x = f.node("MaxPool", [x], CHANNELS_LAST, kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0], ceil_mode=0)
    x = f.quant(f.node("LeakyRelu", [conv(x, 6, 6)], alpha=13 / 128), 1 / 16, 6)
    x = f.node("Resize", [x, "", f.constant([1.0, 2.0, 2.0, 1.0])], coordinate_transformation_mode="asymmetric",
               nearest_mode="floor")  # fmt: skip
    x = f.node("Concat", [x, skip], axis=-1)
    f.save(path, f.quant(conv(x, 4, 12), 1 / 4, 6))
    return with_shapes(path)


def with_shapes(path: Path) -> Path:
    """The file with the shapes of its tensors, which qonnx needs."""
    made, found = onnx.load(str(path)), read_file(path)
    assert isinstance(found, tuple)
    shapes = {name: (1, *shape) for name, shape in shapes_of(found[1])[0].items()}
    weights = {tensor.name: tuple(tensor.dims) for tensor in made.graph.initializer}
    shapes |= {node.output[0]: weights[node.input[0]] for node in made.graph.node if node.input[0] in weights}
    named = {name for node in made.graph.node for name in node.output}
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shapes[n]) for n in sorted(named & set(shapes))]
    made.graph.value_info.extend(info for info in infos if info.name != made.graph.output[0].name)
    made.graph.output[0].CopyFrom(next(info for info in infos if info.name == made.graph.output[0].name))
    onnx.save(made, str(path))
    return path


def test_maps_with_channels_last_equal_qonnx(tmp_path: Path) -> None:
    pytest.importorskip("qonnx")
    path = network(tmp_path / "made.onnx")
    found = read_network(path)
    assert found.origin is not None
    assert found.origin.input.axes == ("Y", "X", "C")
    compared = compare_with_source(path, found, random_inputs(found.origin, (6, 8, 3), 4, 0))
    assert (compared.words, compared.differing_words) == (4 * 6 * 8 * 4, 0)


def test_a_node_of_channels_last_needs_a_map(tmp_path: Path) -> None:
    f = OnnxFile([1, 8])
    x = f.node("MaxPool", [f.quant("x", 0.5, 8)], CHANNELS_LAST, kernel_shape=[2, 2], name="it")
    with pytest.raises(UnsupportedError, match=r"node 'it' \(MaxPool\): reads a tensor \[1, 8\]; expected a map"):
        read_network(f.save(tmp_path / "made.onnx", x))
