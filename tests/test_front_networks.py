"""Networks of a file with gates, shuffles and two heads: equal to their own runtime, and proven in both spellings."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from codesign.cli import main
from codesign.errors import UnsupportedError
from codesign.front.read import read_network
from codesign.front.runtime import compare_with_source, random_inputs, run_source
from codesign.model import golden
from codesign.model.schedule import size_buffers
from codesign.search.design import search_design
from front_models import OnnxFile, conv
from projects import small_board
from rtl_batch import Machine, run_batch
from test_rtl_random import check_cycles, check_words

SAME = {"pads": [1, 1, 1, 1]}


def squeeze_excite(path: Path) -> Path:
    """A map times what two layers of 1x1 make of its mean, through a HardSigmoid; a HardSwish before it."""
    rng, f = np.random.default_rng(0), OnnxFile([1, 3, 8, 8])
    x = f.quant(conv(f, f.quant("x", 1 / 32, 8), rng, 8, 3, bits=4, **SAME), 1 / 8, 8)
    x = f.quant(f.node("HardSwish", [x]), 1 / 8, 6)
    y = f.quant(f.node("GlobalAveragePool", [x]), 1 / 16, 6)
    for k, c in ((4, 8), (8, 4)):
        w = f.quant(f.constant(rng.normal(0, 0.5, (k, c, 1, 1))), 0.125, 4)
        y = f.node("Conv", [y, w])
        y = f.quant(f.node("Relu", [y]) if k == 4 else y, 1 / 16, 6, signed=int(k == 8))
    y = f.quant(f.node("HardSigmoid", [y], alpha=0.25, beta=0.5), 1 / 64, 6, signed=0)
    x = f.quant(f.node("Mul", [x, y]), 1 / 16, 6)
    return f.save(path, f.quant(conv(f, x, rng, 4, 8, bits=4, **SAME), 1 / 4, 6))


def shuffled(path: Path) -> Path:
    """Half of the channels through a grouped convolution, joined again, and shuffled."""
    rng, f = np.random.default_rng(1), OnnxFile([1, 3, 8, 8])
    x = f.quant(f.node("Relu", [conv(f, f.quant("x", 1 / 32, 8), rng, 8, 3, bits=4, **SAME)]), 1 / 8, 5, signed=0)
    left = f.node("Split", [x], axis=1)
    f.nodes[-1].output.append("right")
    right = conv(f, "right", rng, 4, 1, bits=4, group=4, **SAME)
    right = f.quant(f.node("Relu", [right]), 1 / 8, 5, signed=0)
    x = f.node("Concat", [left, right], axis=1)
    x = f.node("Reshape", [x, f.constant([0, 2, 4, 8, 8], np.int64)])
    x = f.node("Transpose", [x], perm=[0, 2, 1, 3, 4])
    x = f.node("Reshape", [x, f.constant([0, 8, 8, 8], np.int64)])
    return f.save(path, f.quant(conv(f, x, rng, 4, 4, bits=4, group=2, **SAME), 1 / 4, 6))


def two_headed(path: Path) -> Path:
    """A map and a vector of scores, each with its own scale."""
    rng, f = np.random.default_rng(2), OnnxFile([1, 3, 8, 8])
    x = f.quant(f.node("Relu", [conv(f, f.quant("x", 1 / 32, 8), rng, 8, 3, bits=4, **SAME)]), 1 / 8, 5, signed=0)
    boxes = f.quant(conv(f, x, rng, 4, 8, bits=4, **SAME), 1 / 4, 8)
    y = f.quant(f.node("Flatten", [f.node("GlobalAveragePool", [x])]), 1 / 16, 6, signed=0)
    w = f.quant(f.constant(rng.normal(0, 1, (5, 8))), 0.125, 5)
    scores = f.node("Softmax", [f.quant(f.node("Gemm", [y, w], transB=1), 1 / 16, 7)])
    made = f.proto(boxes)
    made.graph.output.append(helper.make_tensor_value_info(scores, TensorProto.FLOAT, None))
    onnx.save(made, str(path))
    return path


NETWORKS = [squeeze_excite, shuffled, two_headed]


@pytest.mark.parametrize("write", NETWORKS)
def test_a_network_equals_qonnx_in_every_word(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    pytest.importorskip("qonnx")
    path = write(tmp_path / "made.onnx")
    network = read_network(path)
    shape = network.graph.input.shape
    assert network.origin is not None
    x = random_inputs(network.origin, (shape.y, shape.x, shape.c), 8, 0)
    found = compare_with_source(path, network, x)
    assert found.words == 8 * sum(node.oshape.elements for node in network.graph.output_nodes)
    assert found.differing_words == 0


def test_each_output_has_its_scale_and_is_compared(tmp_path: Path) -> None:
    pytest.importorskip("qonnx")
    path = two_headed(tmp_path / "made.onnx")
    network = read_network(path)
    assert network.graph.scales == (1 / 4, 1 / 16)
    assert network.origin is not None
    assert [end.axes for end in network.origin.outputs] == [("C", "Y", "X"), ("C",)]
    x = random_inputs(network.origin, (8, 8, 3), 3, 0)
    given = run_source(path, network, x)
    ours = golden.run_outputs(network.graph, network.origin.input.grid.integers(x))
    assert [part.shape for part in given] == [(3, 8, 8, 4), (3, 1, 1, 5)]
    assert all(np.array_equal(a, b) for a, b in zip(ours, given, strict=True))
    assert all(len(np.unique(part)) > 3 for part in ours)


def test_one_tensor_as_two_outputs_is_refused(tmp_path: Path) -> None:
    f = OnnxFile([1, 3, 8, 8])
    x = f.quant("x", 1 / 32, 8)
    made = f.proto(f.node("MaxPool", [x], kernel_shape=[2, 2]))
    made.graph.node.append(helper.make_node("Identity", [made.graph.output[0].name], ["again"]))
    made.graph.output.append(helper.make_tensor_value_info("again", TensorProto.FLOAT, None))
    onnx.save(made, str(tmp_path / "made.onnx"))
    with pytest.raises(UnsupportedError, match="one tensor several times"):
        read_network(tmp_path / "made.onnx")


@pytest.mark.gxx
def test_compile_proves_two_heads_in_c(tmp_path: Path) -> None:
    pytest.importorskip("qonnx")
    path, out = two_headed(tmp_path / "made.onnx"), tmp_path / "run"
    wanted = ["--until", "csim", "--csim-images", "6", "--rtlsim-images", "4"]
    assert main(["compile", str(path), "--board", "pynq-z2", "--out", str(out), *wanted]) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["csim"]["images"], summary["csim"]["mismatches"]) == (6, 0)
    assert (summary["source"]["words"], summary["source"]["differing_words"]) == (16 * (8 * 8 * 4 + 5), 0)
    assert summary["source"]["output_axes"] == "NCHW, NC"


def test_a_float_network_of_gates_and_activations_is_quantized(tmp_path: Path) -> None:
    """HardSwish, a gate, a transposed convolution and a LeakyRelu: 8 bits lose little."""
    rng, f = np.random.default_rng(3), OnnxFile([1, 3, 8, 8], opset=18)

    def layer(operator: str, x: str, shape: tuple[int, ...], **attributes: object) -> str:
        return f.node(operator, [x, f.constant(rng.normal(0, 0.3, shape))], **attributes)

    x = f.node("HardSwish", [layer("Conv", "x", (8, 3, 3, 3), pads=[1, 1, 1, 1])])
    y = f.node("Relu", [layer("Conv", f.node("GlobalAveragePool", [x]), (4, 8, 1, 1))])
    x = f.node("Mul", [f.node("Sigmoid", [layer("Conv", y, (8, 4, 1, 1))]), x])
    x = f.node("LeakyRelu", [layer("ConvTranspose", x, (8, 4, 2, 2), strides=[2, 2])], alpha=0.1)
    path = f.save(tmp_path / "made.onnx", x)
    np.save(tmp_path / "images.npy", rng.uniform(-1, 1, (32, 8, 8, 3)).astype(np.float32))
    out, given = tmp_path / "run", ["--calibrate", str(tmp_path / "images.npy"), "--until", "predict"]
    assert main(["compile", str(path), "--board", "pynq-z2", "--out", str(out), *given]) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["quantization"]["sqnr_db"] > 25


@pytest.mark.verilator
@pytest.mark.gxx
@pytest.mark.slow
def test_rtl_simulation_with_stalls_gives_every_word(tmp_path: Path) -> None:
    machines = []
    for i, write in enumerate(NETWORKS):
        network = read_network(write(tmp_path / f"{i}.onnx"))
        assert network.origin is not None
        real = random_inputs(network.origin, (8, 8, 3), 4, i)
        x = network.origin.input.grid.integers(real)
        design = size_buffers(network.graph, search_design(network.graph, small_board()).design)
        machines += [
            Machine(2 * i, network.graph, design, x),
            Machine(2 * i + 1, network.graph, design, x, ("--stalls", "7")),
        ]
    results = run_batch(machines, tmp_path)
    for result in results:
        check_words(result)
    for result in results[::2]:
        check_cycles(result)


def test_an_output_that_no_node_gives_is_refused(tmp_path: Path) -> None:
    made = onnx.load(str(two_headed(tmp_path / "made.onnx")))
    made.graph.node.remove(made.graph.node[-1])
    onnx.save(made, str(tmp_path / "made.onnx"))
    with pytest.raises(UnsupportedError, match="no node gives its output 't16'"):
        read_network(tmp_path / "made.onnx")


@pytest.mark.parametrize("form", ["Gemm", "MatMul"])
def test_fully_connected_layers_after_each_other_equal_qonnx(tmp_path: Path, form: str) -> None:
    """Between the two of a MatMul there are an addition of its own, and an activation."""
    pytest.importorskip("qonnx")
    rng, f = np.random.default_rng(4), OnnxFile([1, 12])
    x = f.quant("x", 1 / 32, 8)
    for k, c in ((8, 12), (8, 8), (5, 8)):
        w = f.quant(f.constant(rng.normal(0, 0.5, (k, c) if form == "Gemm" else (c, k))), 1 / 8, 4)
        if form == "Gemm":
            x = f.node("Gemm", [x, w, f.quant(f.constant(rng.normal(0, 0.5, k)), 1 / 64, 12)], transB=1)
        else:
            x = f.quant(f.node("MatMul", [x, w]), 1 / 16, 8)
            x = f.node("LeakyRelu", [f.quant(f.node("Add", [x, f.constant(rng.normal(0, 0.5, k))]), 1 / 8, 8)])
        x = f.quant(x, 1 / 16, 8)
    path = f.save(tmp_path / "made.onnx", x)
    network = read_network(path)
    assert network.origin is not None
    found = compare_with_source(path, network, random_inputs(network.origin, (1, 1, 12), 16, 0))
    assert (found.words, found.differing_words) == (80, 0)
