"""The runtime that a file is made for, beside the integer graph that was made of it."""

import contextlib
import importlib.metadata
import importlib.util
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.front.quantization import Quantization, RealArray
from codesign.front.read import Format, Imported, Origin
from codesign.front.source import Axes
from codesign.front.torch_module import Traced, run_module
from codesign.model import golden
from codesign.ops.arrays import IntArray

MOST_IMAGES = 16
_MACS = 500_000_000  # of all images together; a comparison takes seconds
_IR_VERSION = 10  # of the single nodes that qonnx has onnxruntime run; newer ones may be unknown to it
_LEAST_OPSET = 11
_PACKAGES = {
    Format.QONNX: ("qonnx", "qonnx"),
    Format.ONNX: ("onnxruntime", "onnxruntime"),
    Format.TFLITE: ("ai_edge_litert", "ai-edge-litert"),
    Format.TORCH: ("torch", "torch"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceComparison:
    """The golden model beside the file's own runtime: of all output words, how many differ, and by how many steps."""

    runtime: str
    images: int
    words: int
    differing_words: int
    largest_steps: int
    mean_steps: float
    differing_predictions: int


def runtime_of(imported: Imported) -> str | None:
    """Return the installed runtime for the file, with its version; None if there is none."""
    if imported.format not in _PACKAGES:
        return None
    module, package = _PACKAGES[imported.format]
    if importlib.util.find_spec(module) is None:
        return None
    return f"{package} {importlib.metadata.version(package)}"


def comparison_images(imported: Imported, wanted: int = MOST_IMAGES) -> int:
    """Return how many images are compared: fewer of a large network, so that it takes seconds."""
    macs = sum(node.macs for node in imported.graph.operations)
    return max(1, min(wanted, MOST_IMAGES, _MACS // max(macs, 1)))


def random_inputs(origin: Origin, graph_shape: tuple[int, int, int], images: int, seed: int) -> RealArray:
    """Return real inputs [N, Y, X, C], uniform over what the input's integers stand for and a little beyond."""
    grid = origin.input.grid
    low, high = (grid.scale * (bound - grid.zero) for bound in (grid.low, grid.high))
    spread = 0.02 * (high - low)
    rng = np.random.default_rng(seed)
    x: RealArray = rng.uniform(low - spread, high + spread, (images, *graph_shape))
    return x.astype(np.float32).astype(np.float64)


def compare_with_source(file: Path | Traced, imported: Imported, x: RealArray) -> SourceComparison:
    """Run the file or module in its runtime and the graph in the golden model on real inputs x[N, Y, X, C].

    Raise whatever the runtime raises on a file that it cannot run.
    """
    origin, graph, runtime = imported.origin, imported.graph, runtime_of(imported)
    assert origin is not None
    assert runtime is not None
    ours = golden.run_outputs(graph, origin.input.grid.integers(x))
    theirs = run_source(file, imported, x)
    pairs = [[a.reshape(len(x), -1) for a in pair] for pair in zip(ours, theirs, strict=True)]
    off = np.concatenate([np.abs(a - b) for a, b in pairs], axis=1)
    unlike = np.any([a.argmax(1) != b.argmax(1) for a, b in pairs], axis=0)
    return SourceComparison(
        runtime=runtime,
        images=len(x),
        words=off.size,
        differing_words=int((off > 0).sum()),
        largest_steps=int(off.max()),
        mean_steps=float(off.mean()),
        differing_predictions=int(unlike.sum()),
    )


def run_source(file: Path | Traced, imported: Imported, x: RealArray) -> tuple[IntArray, ...]:
    """Return what the runtime of a file or module gives for real x[N, Y, X, C]: integers of each output."""
    origin = imported.origin
    assert origin is not None
    given = to_file(x, origin.input.axes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        match file, imported.format:
            case Traced(module=module), _:
                parts: list[tuple[npt.NDArray[Any], ...]] = [run_module(module, given)]
            case Path() as path, Format.TFLITE:
                parts = list(_run_tflite(path, origin, given))
            case Path() as path, Format.QONNX:
                parts = list(_run_qonnx(path, origin, given))
            case Path() as path, _:
                parts = list(_run_onnx(path, origin, given))
    found = []
    for end, node, part in zip(origin.outputs, imported.graph.output_nodes, zip(*parts, strict=True), strict=True):
        o = node.oshape
        found.append(_steps(from_file(np.concatenate(part), end.axes, (o.y, o.x, o.c)), end.grid))
    return tuple(found)


def to_file(x: npt.NDArray[Any], axes: Axes) -> npt.NDArray[Any]:
    """Return maps [N, Y, X, C] with the axes of the file."""
    letters = "".join(axes)
    missing = [letter for letter in "YXC" if letter not in letters]
    moved = x.transpose(0, *(1 + "YXC".index(letter) for letter in [*letters, *missing]))
    extents = dict(zip("YXC", x.shape[1:], strict=True))
    return np.ascontiguousarray(moved).reshape(len(x), *(int(np.prod([extents[v] for v in axis])) for axis in axes))


def from_file(y: npt.NDArray[Any], axes: Axes, shape: tuple[int, int, int]) -> npt.NDArray[Any]:
    """Return tensors with the axes of the file as maps [N, Y, X, C] of that shape."""
    letters = "".join(axes)
    order = letters + "".join(letter for letter in "YXC" if letter not in letters)
    extents = dict(zip("YXC", shape, strict=True))
    spread = y.reshape(len(y), *(extents[letter] for letter in order))
    return spread.transpose(0, *(1 + order.index(letter) for letter in "YXC"))


def _steps(values: npt.NDArray[Any], grid: Quantization) -> IntArray:
    """Return the nearest integers of a grid for real values, without its bounds."""
    return np.rint(values.astype(np.float64) / grid.scale).astype(np.int64) + grid.zero


def _real(values: npt.NDArray[Any], scale: float, zero: int) -> npt.NDArray[Any]:
    """Return the real values [1, elements] of integers; `scale` is 0 of what is real already."""
    flat = values.reshape(1, -1).astype(np.float64)
    return flat if scale == 0 else scale * (flat - zero)


def _file_integers(origin: Origin, x: RealArray, zero: int, dtype: Any) -> npt.NDArray[Any]:
    """Return real inputs as the integers of a file that takes such."""
    grid = origin.input.grid
    return (grid.integers(x) - grid.zero + zero).astype(dtype)


def _run_tflite(path: Path, origin: Origin, x: RealArray) -> Iterator[tuple[npt.NDArray[Any], ...]]:
    from ai_edge_litert.interpreter import Interpreter

    with contextlib.redirect_stdout(None):
        interpreter = Interpreter(str(path), num_threads=1, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    indices = [int(end.tensor.partition(":")[0]) for end in origin.outputs]
    for image in x:
        given = image[np.newaxis]
        if origin.integer_input:
            given = _file_integers(origin, given, entry["quantization"][1], entry["dtype"])
        interpreter.set_tensor(entry["index"], given.astype(entry["dtype"]))
        interpreter.invoke()
        scales = {detail["index"]: detail["quantization"] for detail in interpreter.get_tensor_details()}
        yield tuple(_real(interpreter.get_tensor(index), *scales[index]) for index in indices)


def _run_onnx(path: Path, origin: Origin, x: RealArray) -> Iterator[tuple[npt.NDArray[Any], ...]]:
    import onnx
    import onnxruntime

    model = onnx.load(str(path), load_external_data=False)
    tensors, given_out = [end.tensor for end in origin.outputs], [o.name for o in model.graph.output]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors if name not in given_out)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # some change results
    options.add_session_config_entry("session.x64quantprecision", "1")  # sums of 16 bits saturate on older processors
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    for image in x:
        given = _for_entry(origin, image, model.graph.input, entry.name)
        found = session.run(tensors, {entry.name: given})
        yield tuple(
            _real(_first(values, given), end.file_grid.scale if values.dtype.kind in "iu" else 0.0, end.file_grid.zero)
            for values, end in zip(found, origin.outputs, strict=True)
        )


def _for_entry(origin: Origin, image: RealArray, entries: Any, name: str) -> npt.NDArray[Any]:
    """Return an image in the number type of a file's input, as often as its batch has images."""
    from onnx import helper

    (entry,) = (e.type.tensor_type for e in entries if e.name == name)
    dtype = helper.tensor_dtype_to_np_dtype(entry.elem_type)
    batch = max(entry.shape.dim[0].dim_value, 1)
    given = np.repeat(image[np.newaxis], batch, axis=0)
    return (
        _file_integers(origin, given, origin.input.file_grid.zero, dtype) if dtype.kind in "iu" else given.astype(dtype)
    )


def _first(values: npt.NDArray[Any], given: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return what belongs to the first image of a batch that was given."""
    return values[: 1 if len(given) > 1 else None]


def _run_qonnx(path: Path, origin: Origin, x: RealArray) -> Iterator[tuple[npt.NDArray[Any], ...]]:
    from qonnx.core import onnx_exec
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.infer_shapes import InferShapes

    model = ModelWrapper(str(path))
    with _known_version():
        model = model.transform(InferShapes())
        for image in x:
            given = _for_entry(origin, image, model.graph.input, origin.input.tensor)
            held = onnx_exec.execute_onnx(model, {origin.input.tensor: given}, return_full_exec_context=True)
            yield tuple(_first(held[end.tensor], given).reshape(1, -1) for end in origin.outputs)


@contextlib.contextmanager
def _known_version() -> Iterator[None]:
    """Have qonnx make single nodes of versions that onnxruntime knows."""
    from onnx.helper import make_opsetid
    from qonnx.core import onnx_exec
    from qonnx.custom_op.channels_last import base_wrapped_op

    make = onnx_exec.qonnx_make_model

    def known(graph: Any, **kwargs: Any) -> Any:
        asked = kwargs.pop("opset_imports", [])
        opsets = [make_opsetid(o.domain, o.version if o.domain else max(o.version, _LEAST_OPSET)) for o in asked]
        return make(graph, ir_version=_IR_VERSION, opset_imports=opsets or None, **kwargs)

    modules: tuple[Any, ...] = (onnx_exec, base_wrapped_op)
    for module in modules:
        module.qonnx_make_model = known
    try:
        yield
    finally:
        for module in modules:
            module.qonnx_make_model = make
