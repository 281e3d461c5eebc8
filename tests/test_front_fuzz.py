"""Mutated files: one error of ours or a network, never a traceback, never long, never much memory."""

import os
import random
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest

from codesign.errors import CodesignError
from codesign.front.read import read_network
from front_models import small_qdq, small_qlinear, small_qonnx
from test_front_networks import shuffled, squeeze_excite, two_headed

CASES = int(os.environ.get("CODESIGN_CASES", "60"))
MODELS = os.environ.get("CODESIGN_MODELS", "")
MOST_BYTES = 1 << 30

MAKERS = (
    small_qonnx,
    small_qlinear,
    lambda path, rng: small_qdq(path, rng, powers_of_two=True),
    lambda path, rng: small_qdq(path, rng, powers_of_two=False),
    lambda path, _: squeeze_excite(path),
    lambda path, _: shuffled(path),
    lambda path, _: two_headed(path),
)


def outcome(path: Path) -> str:
    """How reading ends: a network, or the first words of an error of ours. Anything else is raised."""
    tracemalloc.start()
    try:
        read_network(path)
    except CodesignError as error:
        return "refused" if str(path) in str(error) else f"the file is not named: {error}"
    else:
        return "network"
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MOST_BYTES


def with_bytes_changed(content: bytes, draw: random.Random) -> bytes:
    """A few bytes changed, removed, doubled, or the end cut off."""
    data = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 8, 40])):
        at = draw.randrange(len(data))
        match draw.randrange(4):
            case 0:
                data[at] = draw.randrange(256)
            case 1:
                del data[at : at + draw.randrange(1, 9)]
            case 2:
                data[at:at] = data[at : at + draw.randrange(1, 33)]
            case 3:
                data[at] ^= 1 << draw.randrange(8)
        if len(data) < 16:
            break
    return bytes(data[: draw.randrange(1, len(data) + 1)] if draw.random() < 0.1 else data)


def with_structure_changed(content: bytes, draw: random.Random) -> bytes:  # noqa: C901, PLR0912 (a case for each)
    """Nodes, attributes and tensors of a whole file in other places, or with other numbers."""
    model = onnx.load_model_from_string(content)
    nodes, tensors = model.graph.node, model.graph.initializer
    for _ in range(draw.choice([1, 1, 2, 4])):
        node, tensor = draw.choice(nodes), draw.choice(tensors)
        match draw.randrange(8):
            case 0:
                nodes.remove(node)
            case 1:
                tensors.remove(tensor)
            case 2 if node.input:
                node.input[draw.randrange(len(node.input))] = draw.choice([*draw.choice(nodes).output, tensor.name, ""])
            case 3:
                node.op_type = draw.choice([n.op_type for n in nodes] + ["Relu", "Transpose", "Softmax", "Loop"])
            case 4:
                for attribute in node.attribute:
                    attribute.i = draw.choice([-1, 0, 1, 2, 7, 1 << 31, -(1 << 62)])
                    for i in range(len(attribute.ints)):
                        attribute.ints[i] = draw.choice([-1, 0, 1, 2, 3, 9, 1 << 31, 1 << 62])
            case 5:
                numbers = onnx.numpy_helper.to_array(tensor).copy()
                if numbers.size:
                    odd = [0, 1, -1, 127, 1e30, np.nan, np.inf] if numbers.dtype.kind == "f" else [0, 1, 7]
                    numbers.reshape(-1)[draw.randrange(numbers.size)] = draw.choice(odd)
                tensor.CopyFrom(onnx.numpy_helper.from_array(numbers, tensor.name))
            case 6 if tensor.dims:
                tensor.dims[draw.randrange(len(tensor.dims))] = draw.choice([0, 1, -1, 3, 1 << 33])
            case _:
                for extent in model.graph.input[0].type.tensor_type.shape.dim:
                    extent.dim_value = draw.choice([0, 1, 3, 8, 1 << 20, 1 << 40])
        if not nodes or not tensors:
            break
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("change", [with_bytes_changed, with_structure_changed])
def test_mutated_onnx_files_end_in_an_error_or_a_network(tmp_path: Path, change) -> None:  # type: ignore[no-untyped-def]
    draw = random.Random(20)
    contents = [make(tmp_path / "made.onnx", np.random.default_rng(0)).read_bytes() for make in MAKERS]
    path = tmp_path / "changed.onnx"
    found = []
    for case in range(CASES):
        path.write_bytes(change(draw.choice(contents), draw))
        try:
            found.append(outcome(path))
        except BaseException:
            (tmp_path / f"case-{case}.onnx").write_bytes(path.read_bytes())
            raise
    assert set(found) <= {"network", "refused"}
    assert found.count("refused") > CASES // 4


@pytest.mark.skipif(not MODELS, reason="CODESIGN_MODELS names no folder")
def test_mutated_tflite_files_end_in_an_error_or_a_network(tmp_path: Path) -> None:
    pytest.importorskip("tflite")
    draw = random.Random(21)
    contents = [path.read_bytes() for path in sorted(Path(MODELS).glob("*.tflite")) if path.stat().st_size < 100_000]
    path = tmp_path / "changed.tflite"
    found = []
    for _ in range(CASES // 2):
        content = bytearray(draw.choice(contents))
        for _ in range(draw.choice([1, 4, 40])):  # half of them where tables lie, at the end
            at = draw.randrange(len(content)) if draw.random() < 0.5 else len(content) - 1 - draw.randrange(12_000)
            content[at] = draw.choice([0, 1, 127, 255, draw.randrange(256)])
        path.write_bytes(bytes(content[: draw.randrange(len(content))] if draw.random() < 0.1 else content))
        found.append(outcome(path))
    assert set(found) <= {"network", "refused"}
    assert "refused" in found
