"""Mutated files of all front ends: one error of ours or a network, never a traceback, never long, never much memory.

CODESIGN_CASES is the number of all of them: two fifths with bytes changed, two with structure, and one of TFLite.
"""

import os
import random
import signal
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest

from codesign.errors import CodesignError
from codesign.front.read import Imported, imported, read_file
from front_models import OnnxFile, conv, small_qdq, small_qlinear, small_qonnx
from test_front_networks import shuffled, squeeze_excite, two_headed

CASES = int(os.environ.get("CODESIGN_CASES", "150"))
SECONDS = 10.0  # of the processor's time, so that other work does not count
MODELS = os.environ.get("CODESIGN_MODELS", "")
MOST_BYTES = 1 << 30


def resized(path: Path, rng: np.random.Generator) -> Path:
    """Interpolation, a transposed convolution, a wide activation, a Pad, a Softmax of two channels and a Sum."""
    f = OnnxFile([1, 3, 4, 4], opset=18)
    x = f.quant(conv(f, f.quant("x", 1 / 32, 8), rng, 6, 3, bits=4, pads=[1, 1, 1, 1]), 1 / 8, 6)
    x = f.quant(f.node("Resize", [x, "", f.constant([1.0, 1.0, 2.0, 2.0])], mode="linear"), 1 / 8, 6)
    w = f.quant(f.constant(rng.normal(0, 0.5, (6, 4, 2, 2))), 1 / 8, 4)
    x = f.quant(f.node("LeakyRelu", [f.node("ConvTranspose", [x, w], strides=[2, 2])], alpha=0.25), 1 / 8, 6)
    x = f.quant(f.node("Pad", [x, f.constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64)]), 1 / 8, 6)
    y = f.quant(f.node("Sum", [x, f.quant(f.node("Sigmoid", [x]), 1 / 64, 6), x]), 1 / 4, 7)
    y = f.quant(f.node("Slice", [y, *(f.constant([n], np.int64) for n in (0, 2, 1))]), 1 / 4, 7)
    return f.save(path, f.quant(f.node("Relu", [f.node("Softmax", [y], axis=1)]), 1 / 64, 6))


def in_float(path: Path, rng: np.random.Generator) -> Path:
    """A float network: it is read and simplified, and refused at the end."""
    f = OnnxFile([1, 3, 8, 8], opset=13)
    x = f.node("Conv", ["x", f.constant(rng.normal(0, 0.3, (8, 3, 3, 3))), f.constant(np.ones(8))], pads=[1, 1, 1, 1])
    x = f.node("BatchNormalization", [x, *(f.constant(np.linspace(0.5, 2, 8)) for _ in range(4))])
    x = f.node("Clip", [x, f.constant(0.0), f.constant(6.0)])
    x = f.node("AveragePool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1)
    x = f.node("Div", [f.node("Mul", [x, f.node("HardSigmoid", [x])]), f.constant(3.0)])
    x = f.node("Reshape", [f.node("ReduceMean", [x], axes=[2, 3]), f.constant([0, -1], np.int64)])
    x = f.node("Gemm", [x, f.constant(rng.normal(0, 0.3, (5, 8))), f.constant(np.zeros(5))], transB=1)
    return f.save(path, f.node("Softmax", [x]))


MAKERS = (
    resized,
    in_float,
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
        with within_seconds():
            found = read_file(path)
            if not isinstance(found, Imported):
                form, source = found
                imported(str(path), form, source)
    except CodesignError as error:
        return "refused" if str(path) in str(error) else f"the file is not named: {error}"
    else:
        return "network"
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MOST_BYTES


@contextmanager
def within_seconds() -> Iterator[None]:
    """Raise TimeoutError in what takes too long."""

    def late(*_: object) -> None:
        raise TimeoutError(f"took more than {SECONDS} seconds")

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


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
    resized = set()  # tensors that are no whole ones any more
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
            case 5 if tensor.name not in resized:
                numbers = onnx.numpy_helper.to_array(tensor).copy()
                if numbers.size:
                    odd = [0, 1, -1, 127, 1e30, np.nan, np.inf] if numbers.dtype.kind == "f" else [0, 1, 7]
                    numbers.reshape(-1)[draw.randrange(numbers.size)] = draw.choice(odd)
                tensor.CopyFrom(onnx.numpy_helper.from_array(numbers, tensor.name))
            case 6 if tensor.dims:
                resized.add(tensor.name)
                tensor.dims[draw.randrange(len(tensor.dims))] = draw.choice([0, 1, -1, 3, 1 << 33])
            case _:
                for extent in model.graph.input[0].type.tensor_type.shape.dim:
                    extent.dim_value = draw.choice([0, 1, 3, 8, 1 << 20, 1 << 40])
        if not nodes or not tensors:
            break
    return bytes(model.SerializeToString())


def check(tmp_path: Path, contents: list[bytes], change: Callable[[bytes, random.Random], bytes], cases: int,
          suffix: str) -> None:  # fmt: skip
    """Change files again and again; one that ends in anything else is kept."""
    draw, path = random.Random(20), tmp_path / f"changed.{suffix}"
    found = []
    for case in range(cases):
        path.write_bytes(change(draw.choice(contents), draw))
        try:
            found.append(outcome(path))
        except BaseException:
            (tmp_path / f"case-{case}.{suffix}").write_bytes(path.read_bytes())
            raise
    assert set(found) <= {"network", "refused"}
    assert found.count("refused") > cases // 4
    assert "network" in found


@pytest.mark.parametrize("change", [with_bytes_changed, with_structure_changed])
def test_mutated_onnx_files_end_in_an_error_or_a_network(
    tmp_path: Path, change: Callable[[bytes, random.Random], bytes]
) -> None:
    contents = [make(tmp_path / "made.onnx", np.random.default_rng(0)).read_bytes() for make in MAKERS]
    check(tmp_path, contents, change, 2 * CASES // 5, "onnx")


def test_mutated_tflite_files_end_in_an_error_or_a_network(tmp_path: Path) -> None:
    """Files made here, and those of the folder CODESIGN_MODELS if there is one."""
    pytest.importorskip("tflite")
    from tflite_models import small_files

    contents = [path.read_bytes() for path in small_files(tmp_path)]
    contents += [path.read_bytes() for path in sorted(Path(MODELS).glob("*.tflite")) if path.stat().st_size < 100_000]

    def change(content: bytes, draw: random.Random) -> bytes:
        made = bytearray(content)
        for _ in range(draw.choice([1, 4, 40])):  # half of them where tables lie, at the end
            at = draw.randrange(len(made)) if draw.random() < 0.5 else len(made) - 1 - draw.randrange(len(made) // 2)
            made[at] = draw.choice([0, 1, 127, 255, draw.randrange(256)])
        return bytes(made[: draw.randrange(len(made))] if draw.random() < 0.1 else made)

    check(tmp_path, contents, change, CASES // 5, "tflite")
