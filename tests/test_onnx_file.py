"""ONNX: a round trip is exact, onnxruntime computes what the golden model does, and other files are refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from codesign.errors import ConfigError, UnsupportedError  # noqa: E402
from codesign.ir.graph import Graph  # noqa: E402
from codesign.nets.export import export  # noqa: E402
from codesign.nets.network import Network  # noqa: E402
from codesign.nets.onnx_file import compare_onnx, read_onnx, write_onnx  # noqa: E402
from test_nets import networks, quantized  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("onnx")


@pytest.fixture(scope="module")
def graph() -> Graph:
    from codesign.ir.nodes import PoolOp, Shape
    from codesign.nets.network import AddLayer, ConvLayer, PoolLayer

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


def test_files_of_other_programs_are_refused_with_producer_and_operator(folder: Path) -> None:
    helper = onnx.helper
    made = helper.make_graph(
        [helper.make_node("Sigmoid", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", 1, [1])],
        [helper.make_tensor_value_info("y", 1, [1])],
    )
    onnx.save(helper.make_model(made, producer_name="pytorch"), str(folder / "other.onnx"))
    with pytest.raises(UnsupportedError, match=r"other\.onnx: written by pytorch, and uses the operator Sigmoid; only"):
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
