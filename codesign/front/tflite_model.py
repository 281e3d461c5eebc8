"""A TFLite file as plain data, checked before anything is made of it."""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tflite

from codesign.errors import ConfigError, UnsupportedError
from codesign.front.limits import MOST_BYTES, MOST_NODES, MOST_WEIGHTS
from codesign.ir.files import check_file

IDENTIFIER = b"TFL3"  # from the fifth byte of a file on
_DAMAGED = (struct.error, ValueError, IndexError, TypeError, AttributeError, KeyError, OverflowError, MemoryError)
_NAMES = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
_DTYPES: dict[int, Any] = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.INT8: np.int8,
    tflite.TensorType.UINT8: np.uint8,
    tflite.TensorType.INT16: np.int16,
    tflite.TensorType.INT32: np.int32,
    tflite.TensorType.INT64: np.int64,
}
_OPTIONS: dict[str, Any] = {
    "CONV_2D": tflite.Conv2DOptions,
    "DEPTHWISE_CONV_2D": tflite.DepthwiseConv2DOptions,
    "AVERAGE_POOL_2D": tflite.Pool2DOptions,
    "MAX_POOL_2D": tflite.Pool2DOptions,
    "ADD": tflite.AddOptions,
    "SUB": tflite.SubOptions,
    "FULLY_CONNECTED": tflite.FullyConnectedOptions,
    "CONCATENATION": tflite.ConcatenationOptions,
    "MEAN": tflite.ReducerOptions,
    "MUL": tflite.MulOptions,
    "LEAKY_RELU": tflite.LeakyReluOptions,
    "GELU": tflite.GeluOptions,
    "STRIDED_SLICE": tflite.StridedSliceOptions,
    "TRANSPOSE_CONV": tflite.TransposeConvOptions,
    "DEPTH_TO_SPACE": tflite.DepthToSpaceOptions,
    "SPACE_TO_DEPTH": tflite.SpaceToDepthOptions,
    "RESIZE_NEAREST_NEIGHBOR": tflite.ResizeNearestNeighborOptions,
    "RESIZE_BILINEAR": tflite.ResizeBilinearOptions,
}

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class TfliteTensor:
    """A tensor: its type, its shape with the batch, its values if it is a constant, its scales and zero points."""

    name: str
    dtype: Any
    shape: tuple[int, ...]
    values: Array | None
    scales: Array
    zeros: Array
    axis: int


@dataclass(frozen=True, slots=True, eq=False)
class TfliteOperator:
    """An operator: its name in TFLite, indices of tensors (-1 for none), and options by their names."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class TfliteModel:
    """What the file holds: one network."""

    path: Path
    tensors: tuple[TfliteTensor, ...]
    operators: tuple[TfliteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_tflite(path: Path) -> TfliteModel:
    """Return what a TFLite file holds. Raise ConfigError if it is not whole, UnsupportedError if it is too large."""
    check_file(path)
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise UnsupportedError(f"{path}: has {size:,} bytes; at most {MOST_BYTES:,} are read")
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    if content[4:8] != IDENTIFIER:
        raise ConfigError(f"{path}: not a TFLite file: its identifier is missing")
    try:
        return _model(path, content)
    except _DAMAGED as error:
        raise ConfigError(f"{path}: not a whole TFLite file: {error}") from error


def _model(path: Path, content: bytes) -> TfliteModel:
    model = tflite.Model.GetRootAs(content, 0)
    if model.SubgraphsLength() != 1:
        raise UnsupportedError(f"{path}: has {model.SubgraphsLength()} networks; expected one")
    graph = model.Subgraphs(0)
    if max(graph.TensorsLength(), graph.OperatorsLength(), model.BuffersLength()) > MOST_NODES:
        raise UnsupportedError(f"{path}: has more than {MOST_NODES:,} tensors or operators")
    tensors = []
    total = 0
    for i in range(graph.TensorsLength()):
        tensors.append(_tensor(path, model, graph.Tensors(i)))
        values = tensors[-1].values
        total += 0 if values is None else values.size
    if total > MOST_WEIGHTS:
        raise UnsupportedError(f"{path}: its constants have {total:,} elements; at most {MOST_WEIGHTS:,} are read")
    operators = tuple(_operator(path, model, graph.Operators(i), len(tensors)) for i in range(graph.OperatorsLength()))
    inputs, outputs = (tuple(int(i) for i in found) for found in (graph.InputsAsNumpy(), graph.OutputsAsNumpy()))
    if not operators or not inputs or not outputs or not all(0 <= i < len(tensors) for i in (*inputs, *outputs)):
        raise ConfigError(f"{path}: holds no whole network")
    return TfliteModel(path, tuple(tensors), operators, inputs, outputs)


def _tensor(path: Path, model: Any, tensor: Any) -> TfliteTensor:
    name = (tensor.Name() or b"").decode("utf-8", "replace")
    shape = tuple(int(n) for n in tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
    dtype = _DTYPES.get(tensor.Type())
    buffer = model.Buffers(tensor.Buffer())
    values = None
    if buffer is not None and buffer.DataLength() and dtype is not None:
        values = np.frombuffer(buffer.DataAsNumpy().tobytes(), np.dtype(dtype).newbyteorder("<")).astype(dtype)
        if min(shape, default=1) < 0 or math.prod(shape) != values.size:
            raise ConfigError(f"{path}: tensor {name!r} of shape {list(shape)} has {values.size} values")
        values = values.reshape(shape)
    if tensor.Sparsity() is not None:
        raise UnsupportedError(f"{path}: tensor {name!r} is sparse; expected dense tensors")
    quantization = tensor.Quantization()
    known = quantization is not None and quantization.ScaleLength() > 0
    with np.errstate(invalid="ignore"):  # what is no number is refused below
        scales = quantization.ScaleAsNumpy().astype(np.float64) if known else np.zeros(0)
    zeros = (
        quantization.ZeroPointAsNumpy().astype(np.int64)
        if known and quantization.ZeroPointLength()
        else np.zeros(1, np.int64)
    )
    axis = int(quantization.QuantizedDimension()) if known else 0
    if not (np.isfinite(scales).all() and (scales > 0).all()):
        raise ConfigError(f"{path}: tensor {name!r} has a scale that is not a positive number")
    return TfliteTensor(name, dtype, shape, values, scales, zeros, axis)


def _operator(path: Path, model: Any, operator: Any, tensors: int) -> TfliteOperator:
    code = model.OperatorCodes(operator.OpcodeIndex())
    name = _NAMES.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "unknown")
    inputs, outputs = (
        tuple(int(i) for i in found) if length else ()
        for found, length in (
            (operator.InputsAsNumpy(), operator.InputsLength()),
            (operator.OutputsAsNumpy(), operator.OutputsLength()),
        )
    )
    if not all(-1 <= i < tensors for i in inputs) or not outputs or not all(0 <= i < tensors for i in outputs):
        raise ConfigError(f"{path}: an operator {name} reads or gives tensors that are not there")
    options: dict[str, Any] = {}
    if name in _OPTIONS and operator.BuiltinOptions() is not None:
        table, made = operator.BuiltinOptions(), _OPTIONS[name]()
        made.Init(table.Bytes, table.Pos)
        for key in dir(_OPTIONS[name]):
            if (
                key[0].isupper()
                and key != "Init"
                and not key.startswith("GetRoot")
                and "BufferHasIdentifier" not in key
            ):
                value = getattr(made, key)()
                options[key] = value if isinstance(value, float) else int(value)
    return TfliteOperator(name, inputs, outputs, options)
