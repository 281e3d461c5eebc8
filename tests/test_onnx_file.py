"""ONNX: a round trip is exact, onnxruntime computes what the golden model does, and other files are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from codesign.errors import ConfigError, UnsupportedError  # noqa: E402
from codesign.front.onnx_file import read_onnx, write_onnx  # noqa: E402
from codesign.front.onnx_run import compare_onnx  # noqa: E402
from codesign.ir.builder import GraphBuilder  # noqa: E402
from codesign.ir.compose import conv_transpose  # noqa: E402
from codesign.ir.graph import Graph  # noqa: E402
from codesign.nets.export import export  # noqa: E402
from codesign.networks.network import Network  # noqa: E402
from codesign.ops.qtype import QType  # noqa: E402
from codesign.ops.requantize import OutputRule, Rounding  # noqa: E402
from codesign.ops.shapes import Window  # noqa: E402
from test_nets import networks, quantized  # noqa: E402
from test_unet import unet  # noqa: E402

pytestmark = pytest.mark.torch
helper = onnx.helper

# Values of JSON that a file may hold in any place.
EXTREMES: st.SearchStrategy[Any] = st.sampled_from(
    [None, 0, -1, 1, 2**31, 2**63, 1e-310, 1e308, -0.0, "", "x" * 300, [], {}, ["input"], {"kind": "conv"}, True]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("onnx")


@pytest.fixture(scope="module")
def graph() -> Graph:
    from codesign.networks.network import AddLayer, ConvLayer, PoolLayer
    from codesign.ops.pool import PoolOp
    from codesign.ops.shapes import Shape

    layers = (
        ConvLayer(name="a", source="input", k=4, kernel=3, stride=2, weight_bits=8, bits=4, relu=True),
        ConvLayer(name="b", source="a", k=4, kernel=5, groups=4, weight_bits=4, bits=6, relu=False),
        AddLayer(name="s", sources=("a", "b"), bits=4),
        PoolLayer(name="m", source="s", op=PoolOp.MAX, kernel=2),
        PoolLayer(name="g", source="m", op=PoolOp.AVERAGE, kernel=0),
        ConvLayer(name="fc", source="g", k=3, kernel=1, covers=True, weight_bits=4, bits=16, relu=False),
    )
    network = Network(name="n", shape=Shape(9, 7, 2), layers=layers, labels=("x", "y", "z"))
    return export(quantized(network, 4)[0])


@settings(max_examples=40)
@given(networks(), st.integers(0, 2**16))
def test_random_graphs_survive_the_file_and_onnxruntime_agrees_on_every_word(
    folder: Path, network: Network, seed: int
) -> None:
    net, images = quantized(network, seed)
    graph = export(net)
    path = folder / "random.onnx"
    write_onnx(graph, path)
    assert read_onnx(path).digest() == graph.digest()
    onnx.checker.check_model(str(path), full_check=True)
    found = compare_onnx(path, graph, images.astype(np.int64))
    assert (found.differing_words, found.differing_predictions, found.largest_difference) == (0, 0, 0)


def test_joined_and_resized_maps_survive_the_file_and_onnxruntime_agrees_on_every_word(folder: Path) -> None:
    graph, path = unet(), folder / "unet.onnx"
    write_onnx(graph, path)
    assert read_onnx(path).digest() == graph.digest()
    onnx.checker.check_model(str(path), full_check=True)
    assert {"Concat", "Resize"} <= {node.op_type for node in onnx.load(str(path)).graph.node}
    x = np.random.default_rng(0).integers(0, 16, (20, 15, 9, 2))
    assert compare_onnx(path, graph, x).differing_words == 0


def elementwise() -> Graph:
    """Values looked up in a table of all channels, then in one of each."""
    rng, s5 = np.random.default_rng(3), QType(5, signed=True)
    build = GraphBuilder("looked_up", (3, 4, 2), s5)
    shared = build.lookup(build.input, rng.integers(0, 1024, 32), otype=QType(10, signed=False))
    build.lookup(shared, rng.integers(-16, 16, (2, 1024)), otype=s5)
    return build.graph(input_scale=0.5, output_scale=0.25)


def parts() -> Graph:
    """Channels of a map in three parts, put together in another order."""
    build = GraphBuilder("parts", (3, 4, 5), QType(8, signed=True))
    first, second, third = (build.slice(build.input, *ends) for ends in ((0, 2), (2, 3), (3, 5)))
    build.slice(build.concat(third, first, second), 1, 5)
    return build.graph(input_scale=0.5, output_scale=0.25)


def gated() -> Graph:
    """Squeeze and excite, and a product of two maps with a factor that is no power of two."""
    rng = np.random.default_rng(4)
    build = GraphBuilder("gated", (3, 4, 2), QType(5, signed=True))
    wide = build.conv(build.input, rng.integers(-8, 8, (3, 1, 1, 2)), otype=QType(6, signed=False), shift=2)
    mean = build.average_pool(wide, Window(fy=3, fx=4), shift=3)
    factors = build.conv(mean, rng.integers(-8, 8, (3, 1, 1, 3)), otype=QType(4, signed=True), shift=5)
    other = build.gate(wide, factors, otype=QType(8, signed=True), shift=1)
    build.gate(other, wide, otype=QType(8, signed=True), multiplier=5, shift=9)
    return build.graph(input_scale=0.5, output_scale=0.25)


def moved() -> Graph:
    """Pixels apart, values around them, and blocks of pixels as channels and back, in another order."""
    build = GraphBuilder("moved", (2, 3, 1), QType(5, signed=True))
    wide = build.pad(build.pad(build.input, strides=(3, 2)), (1, 0, 3, 1), value=-7)
    build.depth_to_space(build.shuffle(build.space_to_depth(wide, 2), 2), 2)
    return build.graph(input_scale=0.5, output_scale=0.25)


def turned() -> Graph:
    """A transposed convolution."""
    build, rng = GraphBuilder("turned", (2, 3, 2), QType(5, signed=True)), np.random.default_rng(5)
    weight = rng.integers(-8, 8, (3, 3, 3, 2))
    conv_transpose(build, build.input, weight, otype=QType(8, signed=True), strides=(2, 2), pads=(1, 1, 1, 1), shift=2)
    return build.graph(input_scale=0.5, output_scale=0.25)


OPERATORS: dict[str, tuple[Callable[[], Graph], set[str]]] = {
    "lookup": (elementwise, {"Gather"}),
    "slice": (parts, {"Slice"}),
    "gate": (gated, {"Mul"}),
    "moved": (moved, {"ConvTranspose", "Pad", "SpaceToDepth", "Transpose", "DepthToSpace"}),
    "conv_transpose": (turned, {"ConvTranspose"}),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_survives_the_file_and_onnxruntime_agrees_on_every_word(folder: Path, name: str) -> None:
    make, kinds = OPERATORS[name]
    graph, path = make(), folder / f"{name}.onnx"
    write_onnx(graph, path)
    assert read_onnx(path).digest() == graph.digest()
    onnx.checker.check_model(str(path), full_check=True)
    assert kinds <= {node.op_type for node in onnx.load(str(path)).graph.node}
    shape, otype = graph.input.shape, graph.input.otype
    x = np.random.default_rng(0).integers(otype.qmin, otype.qmax + 1, (20, shape.y, shape.x, shape.c))
    assert compare_onnx(path, graph, x).differing_words == 0


def with_zero_points(seed: int, rounding: Rounding) -> Graph:
    """Convolutions, a difference and an average with zero points, bounds and fine biases; scales are powers of two."""
    rng = np.random.default_rng(seed)
    s8, u6 = QType(8, signed=True), QType(6, signed=False)

    def drawn(*shape: int) -> np.ndarray:
        return rng.integers(-8, 8, shape, dtype=np.int64)

    def rule(otype: QType) -> OutputRule:
        zero = int(rng.integers(otype.qmin, otype.qmax + 1))
        bounds = (otype.qmin + 3, otype.qmax - 2) if rng.random() < 0.5 else None
        return OutputRule(rounding=rounding, zero=zero, bounds=bounds)

    build = GraphBuilder("zeros", (5, 4, 2), s8)
    same = Window(fy=3, fx=3, pad_top=1, pad_left=1, pad_bottom=1, pad_right=1)
    a = build.conv(build.input, drawn(4, 3, 3, 2), drawn(4) * 99, otype=u6, window=same, multiplier=[1, 2, 4, 1],
                   shift=7, zero_in=-5, bias_fraction=3, rule=rule(u6))  # fmt: skip
    b = build.conv(a, drawn(4, 1, 1, 1), otype=s8, groups=4, shift=3, zero_in=a.rule.zero, rule=rule(s8))
    c = build.add(a, b, otype=s8, multipliers=(-4, 3), shift=2, zeros=(a.rule.zero, b.rule.zero), rule=rule(s8))
    apart = Window(fy=2, fx=3, pad_top=2, pad_left=2, pad_bottom=1, pad_right=2, dilation_y=3, dilation_x=2)
    by_count = {1: 32, 2: 16, 3: 16, 4: 8} if seed % 2 else {}
    d = build.average_pool(c, apart, multiplier=8, shift=6, zero_in=c.rule.zero, rule=rule(s8), by_count=by_count)
    build.conv(d, drawn(3, d.oshape.y, d.oshape.x, 4), drawn(3), otype=s8, shift=4, zero_in=d.rule.zero, rule=rule(s8))
    return build.graph(output_scale=0.1)


@pytest.mark.parametrize("rounding", Rounding)
def test_every_rounding_and_zero_point_survives_the_file_and_onnxruntime_agrees(
    folder: Path, rounding: Rounding
) -> None:
    path = folder / "zeros.onnx"
    for seed in range(8):
        graph = with_zero_points(seed, rounding)
        write_onnx(graph, path)
        assert read_onnx(path).digest() == graph.digest()
        onnx.checker.check_model(str(path), full_check=True)
        x = np.random.default_rng(seed).integers(-128, 128, (20, 5, 4, 2))
        assert compare_onnx(path, graph, x).differing_words == 0


def test_rounding_halves_to_even_would_differ(folder: Path, graph: Graph) -> None:
    """The half step in the bias is what makes QuantizeLinear round as the machine does."""
    path = folder / "halves.onnx"
    write_onnx(graph, path)
    model = onnx.load(str(path))
    for tensor in model.graph.initializer:
        if tensor.name.endswith(".bias"):
            even = onnx.numpy_helper.to_array(tensor) // 2 * 2
            tensor.CopyFrom(onnx.numpy_helper.from_array(even, tensor.name))
    onnx.save(model, str(path))
    x = np.random.default_rng(0).integers(0, 256, (200, 9, 7, 2))
    assert compare_onnx(path, graph, x).differing_words > 0


def test_a_changed_file_is_refused(folder: Path, graph: Graph) -> None:
    path = folder / "changed.onnx"
    write_onnx(graph, path)
    model = onnx.load(str(path))

    def refused(change: object, match: str) -> None:
        other = onnx.ModelProto()
        other.CopyFrom(model)
        change(other)  # type: ignore[operator]
        onnx.save(other, str(path))
        with pytest.raises(ConfigError, match=rf"changed\.onnx.*{match}"):
            read_onnx(path)

    def edit_weight(m: object) -> None:
        tensor = next(t for t in m.graph.initializer if t.name == "fc.weight")  # type: ignore[attr-defined]
        tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) ^ 2, "fc.weight"))

    def cut_weight(m: object) -> None:
        tensor = next(t for t in m.graph.initializer if t.name == "fc.weight")  # type: ignore[attr-defined]
        tensor.raw_data = tensor.raw_data[:-3]

    def edit_header(m: object) -> None:
        prop = next(p for p in m.metadata_props if p.key == "codesign.graph")  # type: ignore[attr-defined]
        prop.value = prop.value.replace('"labels": ["x"', '"labels": ["w"')

    refused(edit_weight, "changed since it was written")
    refused(cut_weight, "changed since it was written")
    refused(edit_header, "changed since it was written")
    refused(lambda m: m.graph.node.pop(), "changed since it was written")
    refused(lambda m: m.graph.initializer.pop(0), "changed since it was written")


def saved_again(path: Path, graph: Graph, change: Callable[[Any], Any]) -> Path:
    """The graph's file, loaded, changed and saved by onnx; `change` may return another model."""
    write_onnx(graph, path)
    model = onnx.load(str(path))
    onnx.save(change(model) or model, str(path))
    return path


def noted(model: Any) -> None:
    model.doc_string, model.graph.doc_string, model.graph.node[0].doc_string = "ours", "a graph", "a node"
    model.producer_version, model.producer_name, model.graph.name = "7", "another", "renamed"
    helper.set_model_props(model, {**{p.key: p.value for p in model.metadata_props}, "author": "somebody"})


def reordered(model: Any) -> None:
    tensors = list(model.graph.initializer)[::-1]
    del model.graph.initializer[:]
    model.graph.initializer.extend(tensors)
    for node in model.graph.node:
        attributes = list(node.attribute)[::-1]
        del node.attribute[:]
        node.attribute.extend(attributes)
    weights = [n for n in model.graph.node if n.output[0].endswith((".weight.r", ".bias.r"))]
    others = [n for n in model.graph.node if n not in weights]
    del model.graph.node[:]
    model.graph.node.extend(weights + others)


def unpacked(model: Any) -> None:
    """Weights as numbers in place of bytes."""
    for tensor in model.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(helper.make_tensor(tensor.name, tensor.data_type, array.shape, array.ravel().tolist()))


def renamed_nodes(model: Any) -> None:
    for i, node in enumerate(model.graph.node):
        node.name = f"node_{i}"


def one_image(model: Any) -> None:
    for end in (*model.graph.input, *model.graph.output):
        end.type.tensor_type.shape.dim[0].dim_value = 1


def listed_inputs(model: Any) -> None:
    """Initializers as inputs too, as old programs do."""
    for tensor in list(model.graph.initializer):
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))


@pytest.mark.parametrize(
    "change",
    [onnx.shape_inference.infer_shapes, noted, reordered, unpacked, renamed_nodes, one_image, listed_inputs],
    ids=lambda f: f.__name__,
)
def test_a_file_that_was_saved_again_with_the_same_nodes_and_weights_is_read(
    folder: Path, graph: Graph, change: Callable[[Any], Any]
) -> None:
    path = saved_again(folder / "again.onnx", graph, change)
    first = folder / "first.onnx"
    write_onnx(graph, first)
    assert path.read_bytes() != first.read_bytes()
    assert read_onnx(path).digest() == graph.digest()


def edited(name: str) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        tensor = next(t for t in model.graph.initializer if t.name == name)
        tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) + 1, name))

    return change


def unpadded(model: Any) -> None:
    node = next(n for n in model.graph.node if n.op_type == "Conv")
    next(a for a in node.attribute if a.name == "pads").ints[0] ^= 1


def typed(model: Any) -> None:
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT8


def twice(model: Any) -> None:
    model.graph.node.append(model.graph.node[0])


def more(model: Any) -> None:
    model.graph.node.append(helper.make_node("Neg", ["output"], ["negative"]))


def elsewhere(model: Any) -> None:
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "weights.bin")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (edited("fc.weight"), "the tensor 'fc.weight' differs"),
        (edited("real.scale"), "the tensor 'real.scale' differs"),
        (unpadded, "the node that gives 'a.acc' differs"),
        (typed, "the input 'input' differs"),
        (twice, "a node is there twice"),
        (more, "the node that gives 'negative' was added"),
        (lambda m: m.graph.output.pop(), "the output 'output' is missing"),
        (lambda m: m.graph.node.pop(), "the node that gives 'output' is missing"),
        (lambda m: m.graph.initializer.append(m.graph.initializer[0]), "'a.x.scale' is there twice"),
        (elsewhere, "lies in another file; save the model as one file"),
    ],
    ids=range(10),
)
def test_a_refusal_names_what_was_changed(
    folder: Path, graph: Graph, change: Callable[[Any], Any], reason: str
) -> None:
    path = saved_again(folder / "odd.onnx", graph, lambda m: change(m) and None)
    with pytest.raises(ConfigError, match=rf"odd\.onnx: changed since it was written: .*{reason}"):
        read_onnx(path)


def test_a_file_of_ours_without_its_metadata_is_refused_for_that(folder: Path, graph: Graph) -> None:
    path = saved_again(folder / "bare.onnx", graph, lambda m: m.metadata_props.pop() and None)
    with pytest.raises(UnsupportedError, match=r"bare\.onnx: written by codesign, but its metadata .* are gone"):
        read_onnx(path)


def with_header(change: Callable[[str], str]) -> Callable[[Any], None]:
    def apply(model: Any) -> None:
        held = next(p for p in model.metadata_props if p.key == "codesign.graph")
        held.value = change(held.value)

    return apply


def no_number(model: Any) -> None:
    tensor = next(t for t in model.graph.initializer if t.name == "fc.bias")
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.full(3, np.nan, np.float32), "fc.bias"))


@pytest.mark.parametrize(
    "change",
    [
        with_header(lambda _: "[" * 100_000),
        with_header(lambda text: json.dumps({**json.loads(text), "nodes": []})),
        with_header(lambda text: json.dumps({**json.loads(text), "input_scale": 0.0})),
        with_header(lambda text: json.dumps({**json.loads(text), "output_scale": 1e-310})),
        with_header(lambda text: text[:-9]),
        no_number,
    ],
    ids=["deep", "no nodes", "no scale", "tiny scale", "cut off", "no number"],
)
def test_a_damaged_header_or_tensor_is_refused(folder: Path, graph: Graph, change: Callable[[Any], None]) -> None:
    path = saved_again(folder / "damaged.onnx", graph, change)
    with pytest.raises(ConfigError, match=r"damaged\.onnx: changed since it was written: "):
        read_onnx(path)


@settings(max_examples=60)
@given(st.data())
def test_whatever_is_in_a_file_it_is_read_exactly_or_refused(folder: Path, graph: Graph, data: st.DataObject) -> None:
    path = folder / "any.onnx"
    write_onnx(graph, path)
    model = onnx.load(str(path))
    plain = json.loads(next(p.value for p in model.metadata_props if p.key == "codesign.graph"))
    kind = data.draw(st.sampled_from(["bytes", "header", "tensor"]))
    if kind == "header":
        owner = data.draw(st.sampled_from([plain, *plain["nodes"]]))
        owner[data.draw(st.sampled_from(sorted(owner)))] = data.draw(EXTREMES)
        next(p for p in model.metadata_props if p.key == "codesign.graph").value = json.dumps(plain)
    elif kind == "tensor":
        tensor = data.draw(st.sampled_from(list(model.graph.initializer)))
        array = data.draw(st.sampled_from([np.zeros(0, np.int8), np.array(np.nan, np.float32), np.ones((3, 3, 3))]))
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    content = bytearray(model.SerializeToString())
    if kind == "bytes":
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        assert read_onnx(path).digest() == graph.digest()
    except (ConfigError, UnsupportedError) as refused:
        message = str(refused)
    else:
        message = "any.onnx is read"
    assert "any.onnx" in message


def test_files_of_other_programs_are_refused_with_producer_and_operator(folder: Path) -> None:
    made = helper.make_graph(
        [helper.make_node("Sigmoid", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", 1, [1])],
        [helper.make_tensor_value_info("y", 1, [1])],
    )
    onnx.save(helper.make_model(made, producer_name="pytorch"), str(folder / "other.onnx"))
    with pytest.raises(UnsupportedError, match=r"other\.onnx: written by pytorch, not by codesign"):
        read_onnx(folder / "other.onnx")
    onnx.save(helper.make_model(made), str(folder / "other.onnx"))
    with pytest.raises(UnsupportedError, match="written by an unnamed program"):
        read_onnx(folder / "other.onnx")


def test_what_is_no_onnx_file_is_refused(folder: Path) -> None:
    (folder / "bad.onnx").write_bytes(b"\xff\xfe not a protobuf")
    with pytest.raises(ConfigError, match=r"bad\.onnx: not an ONNX file"):
        read_onnx(folder / "bad.onnx")
    with pytest.raises(ConfigError, match=r"absent\.onnx: no such file"):
        read_onnx(folder / "absent.onnx")
