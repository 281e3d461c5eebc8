"""Random quantized layers beside onnxruntime: off by one step at most, and only where a sum is near a tie."""

import os
from pathlib import Path

import numpy as np

from codesign.front.read import read_network
from codesign.front.runtime import compare_with_source, random_inputs
from front_models import OnnxFile

CASES = int(os.environ.get("CODESIGN_CASES", "60"))


def drawn_layer(path: Path, rng: np.random.Generator) -> Path:
    """One layer between quantizations, with scales and zero points of any kind."""
    y, x = (int(n) for n in rng.integers(1, 9, 2))
    c = int(rng.choice([1, 3, 4, 8]))
    f = OnnxFile([1, c, y, x])
    dtype = rng.choice([np.int8, np.uint8])
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max

    def scale(most: float = 0.1) -> float:
        return float(np.float32(most * np.exp(rng.uniform(-3, 0))))

    def zero() -> int:
        return int(rng.integers(low, high + 1)) if rng.random() < 0.7 else 0

    sx = scale()
    a = f.qdq("x", sx, zero(), dtype)
    match rng.integers(5):
        case 0 | 1:
            k, groups = int(rng.choice([1, 2, 4, 8])) * c, int(rng.choice([1, c]))
            fy, fx = min(y, int(rng.integers(1, 4))), min(x, int(rng.integers(1, 4)))
            sw = np.array([scale(0.02) for _ in range(k)]) if rng.random() < 0.6 else np.array(scale(0.02))
            w = f.weight(rng.integers(-127, 128, (k, c // groups, fy, fx)), sw)
            b = f.weight(rng.integers(-3000, 3000, k), np.float32(sw) * np.float32(sx), np.int32)
            pads = [int(p) for p in rng.integers(0, [fy, fx, fy, fx])]
            strides = [int(s) for s in rng.integers(1, 3, 2)]
            a = f.node("Conv", [a, w, b], group=groups, pads=pads, strides=strides)
        case 2:
            a = f.node(str(rng.choice(["Add", "Sub"])), [a, f.qdq(a, scale(), zero(), dtype)])
        case 3:
            kernel = [min(y, 3), min(x, 2)]
            pads = [int(p) for p in rng.integers(0, [*kernel, *kernel])]
            count = int(rng.integers(2))
            a = f.node("AveragePool", [a], kernel_shape=kernel, pads=pads, count_include_pad=count)
        case _:
            w = f.weight(rng.integers(-127, 128, (6, c * y * x)), scale(0.02))
            a = f.node("Gemm", [f.node("Flatten", [a]), w], transB=1)
    if rng.random() < 0.5:
        return f.save(path, f.qdq(f.node("Relu", [a]), scale(0.3), int(rng.integers(low, high - 20)), dtype))
    return f.save(path, f.qdq(a, scale(0.3), zero(), dtype))


def test_random_layers_are_off_by_one_step_at_most(tmp_path: Path) -> None:
    rng = np.random.default_rng(14)
    words = differing = 0
    for case in range(CASES):
        path = drawn_layer(tmp_path / "layer.onnx", rng)
        network = read_network(path)
        assert network.origin is not None
        shape = network.graph.input.shape
        x = random_inputs(network.origin, (shape.y, shape.x, shape.c), 6, case)
        found = compare_with_source(path, network, x)
        assert found.largest_steps <= len(network.graph.operations), f"case {case}: {network.origin.layers}"
        assert max(layer.error for layer in network.origin.layers) < 0.1
        words, differing = words + found.words, differing + found.differing_words
    assert 0 < differing < 0.02 * words
