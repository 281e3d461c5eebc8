"""Trained networks as people publish them, in the folder that CODESIGN_MODELS names, beside their own runtimes."""

import os
from pathlib import Path

import numpy as np
import pytest

from codesign.front.read import Imported, read_network
from codesign.front.runtime import compare_with_source, random_inputs

MODELS = os.environ.get("CODESIGN_MODELS", "")

pytestmark = pytest.mark.skipif(not MODELS, reason="CODESIGN_MODELS names no folder")


def read(name: str) -> tuple[Path, Imported]:
    path = Path(MODELS) / name
    return path, read_network(path)


def inputs(network: Imported, images: int) -> np.ndarray:
    assert network.origin is not None
    shape = network.graph.input.shape
    return random_inputs(network.origin, (shape.y, shape.x, shape.c), images, 5)


@pytest.mark.parametrize("name", ["resnet8_a8w8b16.onnx", "resnet8_a4w4b32.onnx"])
def test_qonnx_networks_equal_their_execution_in_every_word(name: str) -> None:
    pytest.importorskip("qonnx")
    path, network = read(name)
    assert network.origin is not None
    assert all(layer.error == 0 for layer in network.origin.layers)
    found = compare_with_source(path, network, inputs(network, 4))
    assert (found.words, found.differing_words) == (40, 0)


@pytest.mark.slow
def test_mobilenet_v2_equals_its_execution_in_every_word() -> None:
    pytest.importorskip("qonnx")
    path, network = read("mobilenet_v2_a8w6b32.onnx")
    found = compare_with_source(path, network, inputs(network, 1))
    assert (found.words, found.differing_words) == (1000, 0)


@pytest.mark.parametrize(("name", "steps", "mean"), [("kws", 3, 0.5), ("resnet8", 8, 1.5), ("vww", 4, 1.0)])
def test_tflite_networks_are_near_litert(name: str, steps: int, mean: float) -> None:
    pytest.importorskip("ai_edge_litert")
    path, network = read(f"mlperf_tiny_{name}_int8.tflite")
    found = compare_with_source(path, network, inputs(network, 16))
    assert found.largest_steps <= steps
    assert found.mean_steps <= mean
    assert found.differing_predictions <= 1


@pytest.mark.parametrize("name", ["kws", "resnet8", "vww"])
def test_no_layer_of_a_tflite_network_is_off_by_more_than_a_step(name: str) -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    path, network = read(f"mlperf_tiny_{name}_int8.tflite")
    runtime = interpreter.Interpreter(
        str(path),
        experimental_op_resolver_type=interpreter.OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    runtime.allocate_tensors()
    (entry,) = runtime.get_input_details()
    image = np.random.default_rng(3).integers(-128, 128, entry["shape"]).astype(np.int8)
    runtime.set_tensor(entry["index"], image)
    runtime.invoke()
    operators = {f"{op['op_name']}_{op['index']}": op for op in runtime._get_ops_details()}
    assert network.origin is not None
    checked = 0
    for layer in network.origin.layers:
        node = network.graph.node(layer.node)
        op = operators[layer.source]
        maps = [
            _stored(runtime, int(index), source)
            for index, source in zip([i for i in op["inputs"] if i >= 0], node.ishapes, strict=False)
        ]
        maps = [_moved(m.reshape(1, s.y, s.x, s.c), t) for m, s, t in zip(maps, node.ishapes, node.itypes, strict=True)]
        found = node.evaluate(maps, network.graph.parameters(node))
        theirs = _moved(_stored(runtime, int(op["outputs"][0]), node.oshape), node.otype)
        off = np.abs(found.reshape(-1) - theirs.reshape(-1))
        assert off.max() <= 1, layer
        checked += off.size
    assert checked > 10_000


def _stored(runtime: object, index: int, shape: object) -> np.ndarray:
    return runtime.get_tensor(index).astype(np.int64)  # type: ignore[attr-defined,no-any-return]


def _moved(integers: np.ndarray, qtype: object) -> np.ndarray:
    """Integers of the file as the graph stores them: unsigned ones lack their zero point of -128."""
    return integers if qtype.signed else integers + 128  # type: ignore[attr-defined]
