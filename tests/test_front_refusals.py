"""Files that are refused: all problems in one error, each with node, operator, what was found and what would do."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from codesign.cli import main
from codesign.errors import CodesignError, ConfigError, ToolError, UnsupportedError
from codesign.front.names import RESERVED, legal_name
from codesign.front.read import read_network
from front_models import OnnxFile, conv, small_qonnx

RNG = np.random.default_rng(0)


def message(path: Path) -> str:
    with pytest.raises(CodesignError) as caught:
        read_network(path)
    assert str(path) in str(caught.value)
    return str(caught.value).replace(f"{path}: ", "")


def test_all_refused_nodes_are_listed_at_once(tmp_path: Path) -> None:
    f = OnnxFile([1, 3, 8, 8])
    x = f.quant("x", 1 / 16, 8)
    y = f.node("LayerNormalization", [x, f.constant(np.ones(8))], name="norm")
    z = f.node("ConvInteger", [x, f.constant(np.ones((3, 3, 2, 2)), np.int8)], name="sums")
    f.node("Add", [y, z], name="behind")  # depends on refused nodes: not a problem of its own
    w = f.quant(f.constant(np.ones((4, 3, 3, 3))), 0.5, 4)
    x = f.node("Conv", [x, w], name="odd", auto_pad="SAME", kernel_shape=[3, 3])
    lines = message(f.save(tmp_path / "made.onnx", f.node("Einsum", [x], name="sum", equation="ii"))).splitlines()
    assert lines == [
        "3 nodes cannot be compiled:",
        "  node 'norm' (LayerNormalization): is not supported: statistics that are computed at run time; use "
        "BatchNormalization",
        "  node 'sums' (ConvInteger): is not supported: sums without a scale, of dynamic quantization; use quantize "
        "statically, with calibration",
        "  node 'odd' (Conv): attribute auto_pad = 'SAME' is not supported; expected NOTSET or VALID or SAME_UPPER or "
        "SAME_LOWER",
    ]


def test_what_is_refused_names_attribute_and_nearest_form(tmp_path: Path) -> None:
    f = OnnxFile([1, 3, 8, 8])
    w = f.quant(f.constant(np.ones((4, 3, 3, 3))), 0.5, 4)
    x = f.node("Conv", [f.quant("x", 1 / 16, 8), w], name="odd", auto_pad="SAME", kernel_shape=[3, 3])
    assert message(f.save(tmp_path / "made.onnx", x)) == (
        "node 'odd' (Conv): attribute auto_pad = 'SAME' is not supported; expected NOTSET or VALID or SAME_UPPER or "
        "SAME_LOWER"
    )


def one_conv(f: OnnxFile, x: str, **attributes: object) -> str:
    return conv(f, x, np.random.default_rng(0), 4, 3, bits=4, **attributes)


def float_network(f: OnnxFile) -> str:
    return f.node("Conv", ["x", f.constant(np.ones((4, 3, 3, 3)))], name="first")


def float_weights(f: OnnxFile) -> str:
    return f.quant(f.node("Conv", [f.quant("x", 1.0, 8), f.constant(np.ones((4, 3, 3, 3)))], name="first"), 1.0, 8)


def unrounded(f: OnnxFile) -> str:
    x = one_conv(f, f.quant("x", 1 / 16, 12))
    return f.quant(conv(f, x, np.random.default_rng(0), 4, 4, bits=4), 1.0, 8)


def per_channel_map(f: OnnxFile) -> str:
    return f.quant("x", np.reshape([0.1, 0.2, 0.3], (1, 3, 1, 1)), 8)


def one_bit(f: OnnxFile) -> str:
    return f.quant("x", 0.1, 1)


def bipolar(f: OnnxFile) -> str:
    return f.node("BipolarQuant", ["x", f.constant(1.0)], "qonnx.custom_op.general", name="b")


def truncated_sum(f: OnnxFile) -> str:
    x = f.quant("x", 1.0, 8)
    inputs = [x, f.constant(1.0), f.constant(0.0), f.constant(8.0), f.constant(4.0)]
    return f.node("Trunc", inputs, "qonnx.custom_op.general", name="t", rounding_mode="FLOOR")


def not_finite(f: OnnxFile) -> str:
    w = np.ones((4, 3, 3, 3))
    w[1, 2, 0, 0] = np.nan
    return f.quant(f.node("Conv", [f.quant("x", 1.0, 8), f.quant(f.constant(w), 1.0, 4)], name="first"), 1.0, 8)


def negative_scale(f: OnnxFile) -> str:
    return f.quant("x", -1.0, 8)


def infinite_zero_point(f: OnnxFile) -> str:
    w = f.quant(f.constant(np.ones((4, 3, 3, 3))), 1.0, 4, zero=np.inf)
    return f.quant(f.node("Conv", [f.quant("x", 1.0, 8), w]), 1.0, 8)


def gigantic_zero_point(f: OnnxFile) -> str:
    return f.quant("x", 1.0, 8, zero=1e30)


def softmax_inside(f: OnnxFile) -> str:
    return one_conv(f, f.node("Softmax", [f.quant("x", 1.0, 8)], name="s", axis=1))


def two_scales(f: OnnxFile) -> str:
    q = f.node("QuantizeLinear", ["x", f.constant(0.5), f.constant(3, np.uint8)])
    return f.node("DequantizeLinear", [q, f.constant(0.25), f.constant(3, np.uint8)], name="d")


def integers_added(f: OnnxFile) -> str:
    q = f.node("QuantizeLinear", ["x", f.constant(0.5), f.constant(3, np.uint8)], name="q")
    return f.node("Add", [q, q], name="sum")


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (float_network, "node 'x' (input): is not quantized; expected one quantization that all first layers read"),
        (float_weights, "node 'first' (Conv): its weights are not quantized; quantize them to 2 to 16 bits"),
        (per_channel_map, "node 'Quant_0' (Quant): its scale has the shape [1, 3, 1, 1]; expected one scale"),
        (one_bit, "node 'Quant_0' (Quant): quantizes to 1 bits; expected 2 to 16"),
        (bipolar, "node 'b' (BipolarQuant): is not supported: values of one bit, -1 and 1; use quantize to 2 bits"),
        (truncated_sum, "node 't' (Trunc): is not supported: truncation of a quantized value; use a Quant whose"),
        (not_finite, "holds values that are infinite or no numbers"),
        (negative_scale, "node 'Quant_0' (Quant): expected a positive scale, got -1"),
        (infinite_zero_point, "node 'Quant_0' (Quant): its zero point is not a whole number"),
        (gigantic_zero_point, "node 'Quant_0' (Quant): expected a zero point of at most 32 bits, got 1000000"),
        (softmax_inside, "node 's' (Softmax): is read by other nodes: the machine has no quotient of maps"),
        (two_scales, "node 'd' (DequantizeLinear): reads 't0' with scale 0.25 and zero point 3, but it was quantized"),
        (integers_added, "node 'sum' (Add): computes with the integers 't0'; put a DequantizeLinear before it"),
        (unrounded, "its results are read without a quantization"),
    ],
)
def test_networks_that_are_not_quantized_throughout_are_refused(
    tmp_path: Path, build: Callable[[OnnxFile], str], said: str
) -> None:
    f = OnnxFile([1, 3, 8, 8])
    assert said in message(f.save(tmp_path / "made.onnx", build(f)))


def changed(path: Path, change: Callable[[onnx.ModelProto], object]) -> Path:
    """A small network that is whole but for one change."""
    model = onnx.load(str(small_qonnx(path, np.random.default_rng(0))))
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def weights_of(model: onnx.ModelProto) -> onnx.TensorProto:
    return next(t for t in model.graph.initializer if list(t.dims) == [8, 3, 3, 3])


def outside(model: onnx.ModelProto) -> None:
    tensor = weights_of(model)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def gigantic_tensor(model: onnx.ModelProto) -> None:
    weights_of(model).dims[0] = 1 << 40


def negative_extent(model: onnx.ModelProto) -> None:
    weights_of(model).dims[0] = -8


def gigantic_input(model: onnx.ModelProto) -> None:
    dims = model.graph.input[0].type.tensor_type.shape.dim
    dims[2].dim_value = dims[3].dim_value = 1 << 30


def gigantic_padding(model: onnx.ModelProto) -> None:
    node = next(n for n in model.graph.node if n.op_type == "Conv")
    (pads,) = (a for a in node.attribute if a.name == "pads")
    pads.ints[0] = 1 << 40


def cycle(model: onnx.ModelProto) -> None:
    nodes = [n for n in model.graph.node if n.op_type == "Conv"]
    nodes[0].input[0] = nodes[1].output[0]


def missing_tensor(model: onnx.ModelProto) -> None:
    model.graph.initializer.remove(weights_of(model))


def double_tensor(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(weights_of(model))


def double_output(model: onnx.ModelProto) -> None:
    nodes = model.graph.node
    nodes[5].output[0] = nodes[4].output[0]


def short_data(model: onnx.ModelProto) -> None:
    tensor = weights_of(model)
    tensor.raw_data = tensor.raw_data[:-4]


def no_nodes(model: onnx.ModelProto) -> None:
    del model.graph.node[:]


def two_inputs(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [1]))


def a_loop(model: onnx.ModelProto) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", ["", ""], ["looped"], name="again", body=body))


def odd_attribute(model: onnx.ModelProto) -> None:
    node = next(n for n in model.graph.node if n.op_type == "Conv")
    node.attribute.append(helper.make_attribute("secret", 7))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (outside, "lies in another file; save the model as one file"),
        (gigantic_tensor, "has the extents [1099511627776, 3, 3, 3]"),
        (negative_extent, "has the extents [-8, 3, 3, 3]"),
        (gigantic_input, "expected at most 33,554,432 elements"),
        (gigantic_padding, "expected 1 to 33,554,432 elements"),
        (cycle, "the network has a cycle"),
        (missing_tensor, "which is not in the file"),
        (double_tensor, "is there twice"),
        (double_output, "is made twice"),
        (short_data, "is damaged"),
        (no_nodes, "holds no network"),
        (two_inputs, "expected one input, found 2: 'x', 'other'"),
        (a_loop, "node 'again' (Loop): holds a network of its own"),
        (odd_attribute, "attribute secret = 7 is not supported; expected of: auto_pad, dilations"),
    ],
)
def test_hostile_files_end_in_one_error_at_once(
    tmp_path: Path, change: Callable[[onnx.ModelProto], object], said: str
) -> None:
    begun = time.process_time()
    assert said in message(changed(tmp_path / "made.onnx", change))
    assert time.process_time() - begun < 10


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 100, b"\x08", b"not a network", b"\x1c\x00\x00\x00TFL3" + b"\xff" * 60]
)
def test_garbage_is_a_file_of_no_kind(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "made.onnx"
    path.write_bytes(content)
    with pytest.raises((ConfigError, UnsupportedError, ToolError), match="made"):  # the last without tflite
        read_network(path)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file; expected an ONNX or TFLite file"):
        read_network(tmp_path / "none.onnx")


def test_a_refused_file_leaves_nothing_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    f = OnnxFile([1, 3, 8, 8])
    path = f.save(tmp_path / "made.onnx", float_network(f))
    out = tmp_path / "run"
    assert main(["compile", str(path), "--board", "pynq-z2", "--out", str(out)]) == 1
    assert "is not quantized" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_no_keyword_is_a_name(name: str) -> None:
    assert legal_name(name.upper(), set()) not in RESERVED


@pytest.mark.parametrize(
    ("name", "made"),
    [("Conv_0", "conv_0"), ("/layer1/Conv", "layer1_conv"), ("7up", "n_7up"), ("", "n"), ("module", "module_node"),
     ("ä b;$(c)", "b_c"), ("x" * 100, "x" * 40), ("_", "n")],
)  # fmt: skip
def test_names_become_identifiers(name: str, made: str) -> None:
    assert legal_name(name, set()) == made
    assert legal_name(name, {made}) == f"{made}_2"


def test_names_in_the_file_are_kept_beside_ours(tmp_path: Path) -> None:
    f = OnnxFile([1, 3, 8, 8])
    w = f.quant(f.constant(np.ones((4, 3, 3, 3))), 0.5, 4)
    x = f.node("Conv", [f.quant("x", 1 / 16, 8), w], name="module", kernel_shape=[3, 3])
    network = read_network(f.save(tmp_path / "1-for.onnx", f.quant(x, 1.0, 8)))
    assert network.origin is not None
    assert [(layer.node, layer.source) for layer in network.origin.layers] == [("module_node", "module")]
    assert network.graph.name == "n_1_for"
