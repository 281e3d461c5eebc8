"""Small TFLite files, written with flatbuffers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import tflite

TYPES = {
    np.dtype(np.int8): tflite.TensorType.INT8,
    np.dtype(np.int32): tflite.TensorType.INT32,
}


@dataclass
class TfliteFile:
    """A TFLite file of int8 tensors, operator by operator; every method returns the index of a tensor."""

    shape: Sequence[int]
    scale: float = 1 / 16
    zero: int = 3
    tensors: list[Any] = field(default_factory=list)  # shape, dtype, values, scale, zero
    operators: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tensors.append((self.shape, np.int8, None, [self.scale], self.zero))

    def constant(self, values: Any, scale: Any = None, dtype: Any = np.int32) -> int:
        array = np.asarray(values, dtype)
        self.tensors.append((array.shape, dtype, array, scale, 0))
        return len(self.tensors) - 1

    def node(
        self,
        operator: str,
        inputs: Sequence[int],
        shape: Sequence[int],
        scale: float = 1 / 16,
        zero: int = 3,
        options: Callable[[Any], int] | None = None,
        outputs: int = 1,
    ) -> int:
        """Add an operator with int8 outputs of one shape; return the first. `options` writes a table of options."""
        first = len(self.tensors)
        self.tensors += [(shape, np.int8, None, [scale], zero)] * outputs
        self.operators.append((operator, inputs, range(first, first + outputs), options))
        return first

    def save(self, path: Path, *outputs: int) -> Path:
        b = flatbuffers.Builder(0)
        data = [b""] + [b"" if t[2] is None else t[2].tobytes() for t in self.tensors]
        buffers = [self._buffer(b, part) for part in data]
        tensors = [self._tensor(b, i, *t) for i, t in enumerate(self.tensors)]
        names = sorted({op[0] for op in self.operators})
        codes = [self._code(b, name) for name in names]
        made = [self._operator(b, names.index(name), *rest) for name, *rest in self.operators]
        ends = [b.CreateNumpyVector(np.array(v, np.int32)) for v in ([0], outputs)]
        offsets = [vector(b, v) for v in (tensors, made)]
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, offsets[0])
        tflite.SubGraphAddOperators(b, offsets[1])
        tflite.SubGraphAddInputs(b, ends[0])
        tflite.SubGraphAddOutputs(b, ends[1])
        graph = tflite.SubGraphEnd(b)
        parts = [vector(b, v) for v in ([graph], codes, buffers)]
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddSubgraphs(b, parts[0])
        tflite.ModelAddOperatorCodes(b, parts[1])
        tflite.ModelAddBuffers(b, parts[2])
        b.Finish(tflite.ModelEnd(b), b"TFL3")
        path.write_bytes(b.Output())
        return path

    @staticmethod
    def _buffer(b: Any, data: bytes) -> int:
        held = b.CreateByteVector(data) if data else 0
        tflite.BufferStart(b)
        if data:
            tflite.BufferAddData(b, held)
        return int(tflite.BufferEnd(b))

    @staticmethod
    def _tensor(b: Any, i: int, shape: Any, dtype: Any, values: Any, scale: Any, zero: int) -> int:
        name, extents = b.CreateString(f"t{i}"), b.CreateNumpyVector(np.array(shape, np.int32))
        quantization = 0
        if scale is not None:
            scales = np.atleast_1d(np.array(scale, np.float32))
            parts = [b.CreateNumpyVector(scales), b.CreateNumpyVector(np.full(len(scales), zero, np.int64))]
            tflite.QuantizationParametersStart(b)
            tflite.QuantizationParametersAddScale(b, parts[0])
            tflite.QuantizationParametersAddZeroPoint(b, parts[1])
            quantization = tflite.QuantizationParametersEnd(b)
        tflite.TensorStart(b)
        tflite.TensorAddShape(b, extents)
        tflite.TensorAddType(b, TYPES[np.dtype(dtype)])
        tflite.TensorAddBuffer(b, 0 if values is None else i + 1)
        tflite.TensorAddName(b, name)
        if quantization:
            tflite.TensorAddQuantization(b, quantization)
        return int(tflite.TensorEnd(b))

    @staticmethod
    def _code(b: Any, name: str) -> int:
        code = getattr(tflite.BuiltinOperator, name)
        tflite.OperatorCodeStart(b)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(code, 127))
        tflite.OperatorCodeAddBuiltinCode(b, code)
        tflite.OperatorCodeAddVersion(b, 1 if name in ONLY_FIRST else 2)
        return int(tflite.OperatorCodeEnd(b))

    def _operator(self, b: Any, code: int, inputs: Any, outputs: Any, options: Any) -> int:
        name = sorted({op[0] for op in self.operators})[code]
        ends = [b.CreateNumpyVector(np.array(list(v), np.int32)) for v in (inputs, outputs)]
        table = options(b) if options else 0
        tflite.OperatorStart(b)
        tflite.OperatorAddOpcodeIndex(b, code)
        tflite.OperatorAddInputs(b, ends[0])
        tflite.OperatorAddOutputs(b, ends[1])
        if table:
            tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, OPTIONS[name]))
            tflite.OperatorAddBuiltinOptions(b, table)
        return int(tflite.OperatorEnd(b))


def small_files(folder: Path) -> list[Path]:
    """Files with layers, activations, arithmetic, parts and interpolation."""
    rng = np.random.default_rng(0)

    def layers(f: TfliteFile) -> int:
        w = f.constant(rng.integers(-127, 128, (8, 3, 3, 8)), rng.uniform(0.01, 0.02, 8), np.int8)
        b = f.constant(rng.integers(-500, 500, 8), rng.uniform(0.001, 0.002, 8))
        x = f.node("CONV_2D", [0, w, b], [1, 4, 2, 8], options=options("Conv2D", Padding=1, StrideH=1, StrideW=1))
        x = f.node("ADD", [x, f.node("LOGISTIC", [x], [1, 4, 2, 8], 1 / 256, -128)], [1, 4, 2, 8])
        x = f.node("MEAN", [x, f.constant([1, 2])], [1, 8])
        w = f.constant(rng.integers(-127, 128, (5, 8)), [0.01], np.int8)
        return f.node("SOFTMAX", [f.node("FULLY_CONNECTED", [x, w, -1], [1, 5])], [1, 5], 1 / 256, -128)

    def places(f: TfliteFile) -> int:
        first = f.node("SPLIT", [f.constant(3), 0], [1, 6, 4, 4], options=options("Split", NumSplits=2), outputs=2)
        x = f.node("CONCATENATION", [first + 1, first], [1, 6, 4, 8], options=options("Concatenation", Axis=3))
        x = f.node("MUL", [x, f.constant(np.arange(-4, 4), [1 / 8], np.int8)], [1, 6, 4, 8])
        x = f.node("PAD", [x, f.constant([[0, 0], [1, 0], [0, 1], [0, 0]])], [1, 7, 5, 8])
        return f.node("RESIZE_BILINEAR", [x, f.constant([14, 10])], [1, 14, 10, 8],
                      options=options("ResizeBilinear", HalfPixelCenters=True))  # fmt: skip

    made = []
    for name, write in (("layers", layers), ("places", places)):
        f = TfliteFile([1, 6, 4, 8])
        made.append(f.save(folder / f"{name}.tflite", write(f)))
    return made


ONLY_FIRST = ("ELU", "HARD_SWISH", "PRELU", "RESHAPE")  # that have no second version
OPTIONS = {
    "LEAKY_RELU": "LeakyReluOptions",
    "MUL": "MulOptions",
    "MEAN": "ReducerOptions",
    "SPLIT": "SplitOptions",
    "SPLIT_V": "SplitVOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
    "DEPTH_TO_SPACE": "DepthToSpaceOptions",
    "SPACE_TO_DEPTH": "SpaceToDepthOptions",
    "CONCATENATION": "ConcatenationOptions",
    "GELU": "GeluOptions",
    "CONV_2D": "Conv2DOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
}


def vector(b: Any, offsets: Sequence[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return int(b.EndVector())


def options(kind: str, **values: Any) -> Callable[[Any], int]:
    """What writes a table of options: `kind` without `Options`, and its fields."""

    def write(b: Any) -> int:
        getattr(tflite, f"{kind}OptionsStart")(b)
        for key, value in values.items():
            getattr(tflite, f"{kind}OptionsAdd{key}")(b, value)
        return int(getattr(tflite, f"{kind}OptionsEnd")(b))

    return write
