"""A TFLite file of a network in integers to a Source, channels last.

Long because every operator of the format has its few lines here, over one state.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from codesign.errors import UnsupportedError
from codesign.front.limits import MOST_ELEMENTS
from codesign.front.onnx_windows import same_pads
from codesign.front.problem import Problem, refuse
from codesign.front.quantization import Quantization, Rounding
from codesign.front.shapes import shape_of
from codesign.front.source import (
    Add,
    Clip,
    Concat,
    Constant,
    Conv,
    Decide,
    Dense,
    Enlarge,
    Layout,
    Operator,
    Pool,
    Quantize,
    Reshape,
    Source,
    SourceInput,
    Surround,
    inputs_of,
)
from codesign.front.tflite_model import TfliteModel, TfliteOperator, TfliteTensor, read_tflite
from codesign.front.tflite_rules import TFLITE_OPERATORS

_SAME = 0  # of tflite.Padding
_CLIPS = {0: None, 1: (0.0, math.inf), 2: (-1.0, 1.0), 3: (0.0, 6.0)}  # of tflite.ActivationFunctionType
_RANGES = {np.int8: (-128, 127), np.uint8: (0, 255), np.int16: (-32768, 32767)}


def read_tflite_source(path: Path) -> Source:
    """Return the network of a TFLite file. Raise ConfigError if it is not whole, UnsupportedError with all problems."""
    model = read_tflite(path)
    for what, found in (("input", model.inputs), ("output", model.outputs)):
        if len(found) != 1:
            raise UnsupportedError(f"{path}: expected one {what}, found {len(found)}")
    entry = model.tensors[model.inputs[0]]
    if not 2 <= len(entry.shape) <= 4 or min(entry.shape) < 1 or math.prod(entry.shape) > MOST_ELEMENTS:
        raise UnsupportedError(
            f"{path}: the input {entry.name!r} has the shape {list(entry.shape)}; expected a batch of maps [Y, X, C], "
            "rows [X, C] or vectors [C], of known extents"
        )
    state = _Translation(model)
    state.read()
    refuse(str(path), state.problems)
    return Source(
        name=path.stem,
        layout=Layout.HWC,
        input=SourceInput(tensor=state.entry, shape=entry.shape[1:], integer=entry.dtype is not np.float32),
        output=state.name(model.outputs[0]),
        operators=tuple(state.operators),
        constants=state.constants,
    )


class _Refusal(ValueError):
    """What is wrong with the operator at hand."""


@dataclass(slots=True)
class _Translation:
    """A TFLite network on its way to a Source; see Translation for that of an ONNX file."""

    model: TfliteModel
    operators: list[Operator] = field(default_factory=list)
    constants: dict[str, Constant] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    same: dict[int, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def entry(self) -> str:
        """The tensor that the network takes, as it is in the file."""
        index = self.model.inputs[0]
        return f"{index}:{self.model.tensors[index].name}"

    def name(self, index: int) -> str:
        """Return the name of a tensor, which no other has."""
        return self.same.get(index, f"{index}:{self.model.tensors[index].name}")

    def read(self) -> None:
        """Translate all operators; a problem of one does not keep others from being told."""
        index = self.model.inputs[0]
        first, entry = self.entry, self.model.tensors[index]
        self.shapes[first] = entry.shape[1:]
        if entry.dtype is not np.float32:
            try:
                self._quantize("input", first, index, f"{first}:real")
            except ValueError as error:
                self.problems.append(Problem(node=entry.name, operator="input", found=str(error)))
                return
            self.same[index] = f"{first}:real"
        for i, op in enumerate(self.model.operators):
            name = f"{op.name}_{i}"
            maps = [j for j in op.inputs if j >= 0 and self.model.tensors[j].values is None]
            if op.name not in TFLITE_OPERATORS:
                self._problem(name, op, "is not supported; docs/operators.md lists those that are")
            elif all(self.name(j) in self.shapes for j in maps):
                try:
                    self._translate(name, op)
                except (ValueError, IndexError, KeyError, TypeError) as error:
                    self._problem(name, op, str(error) or "is not as TFLite describes it")

    def _problem(self, name: str, op: TfliteOperator, found: str) -> None:
        self.problems.append(Problem(node=name, operator=op.name, found=found))

    def _translate(self, name: str, op: TfliteOperator) -> None:  # noqa: C901 (a case for each)
        x, output = self._map(op, 0), f"{self.name(op.outputs[0])}:sum"
        match op.name:
            case "CONV_2D" | "DEPTHWISE_CONV_2D":
                self._conv(name, op, x, output)
            case "FULLY_CONNECTED":
                self._dense(name, op, x, output)
            case "AVERAGE_POOL_2D" | "MAX_POOL_2D":
                self._pool(name, op, x, output)
            case "ADD" | "SUB":
                pair = (x, self._map(op, 1))
                self._emit(Add(name=name, inputs=pair, output=output, sign=1 if op.name == "ADD" else -1))
            case "CONCATENATION":
                maps = tuple(self._map(op, i) for i in range(len(op.inputs)))
                rank = len(self.shapes[x])
                axis = op.options.get("Axis", 0)
                self._emit(Concat(name=name, inputs=maps, output=output, axis=(axis + rank if axis < 0 else axis - 1)))
            case "MEAN":
                self._mean(name, op, x, output)
            case "PAD":
                self._pad(name, op, x, output)
            case "RESIZE_NEAREST_NEIGHBOR":
                self._enlarge(name, op, x, output)
            case "RESHAPE" | "SQUEEZE":
                shape = self.model.tensors[op.outputs[0]].shape
                self._emit(Reshape(name=name, input=x, output=output, shape=shape[1:]))
            case "RELU" | "RELU6":
                high = 6.0 if op.name == "RELU6" else math.inf
                self._emit(Clip(name=name, input=x, output=output, low=0.0, high=high))
            case "SOFTMAX" | "ARG_MAX":
                self._emit(Decide(name=name, input=x, output=self.name(op.outputs[0]), operator=op.name))
                return
            case "DEQUANTIZE" | "QUANTIZE":
                output = x
        self._finish(name, op, output)

    def _finish(self, name: str, op: TfliteOperator, tensor: str) -> None:
        """Emit the fused activation, and the quantization of what the operator gives."""
        index = op.outputs[0]
        bounds = _CLIPS.get(op.options.get("FusedActivationFunction", 0), ())
        if bounds == ():
            raise _Refusal("has a fused activation that is not supported; expected NONE, RELU, RELU6 or RELU_N1_TO_1")
        if bounds:
            clipped = f"{tensor}:clipped"
            self._emit(Clip(name=f"{name}:activation", input=tensor, output=clipped, low=bounds[0], high=bounds[1]))
            tensor = clipped
        if self.model.tensors[index].dtype is np.float32:
            if op.name != "DEQUANTIZE":
                raise _Refusal("gives real values; expected a network quantized to integers throughout")
            self.same[index] = tensor
            return
        self._quantize(f"{name}:quantize", tensor, index, self.name(index))

    def _quantize(self, name: str, tensor: str, index: int, output: str) -> None:
        made = self.model.tensors[index]
        if made.dtype not in _RANGES or made.scales.size != 1:
            raise _Refusal(f"the tensor {made.name!r} is not quantized to integers with one scale")
        low, high = _RANGES[made.dtype]
        quantization = Quantization(
            scale=float(made.scales[0]), zero=int(made.zeros[0]), low=low, high=high, rounding=Rounding.HALF_UP
        )
        self._emit(Quantize(name=name, input=tensor, output=output, quantization=quantization))

    def _emit(self, op: Operator) -> None:
        inputs = [self.shapes[tensor] for tensor in inputs_of(op)]
        self.shapes[op.output] = shape_of(op, inputs, self.constants, Layout.HWC)
        self.operators.append(op)

    def _map(self, op: TfliteOperator, at: int) -> str:
        """Return the tensor at an input. Raise ValueError if it is a constant, or has no batch of one."""
        index = op.inputs[at]
        if self.model.tensors[index].values is not None:
            raise _Refusal(f"reads the constant {self.model.tensors[index].name!r} where a map is expected")
        return self.name(index)

    def _constant(self, op: TfliteOperator, at: int) -> TfliteTensor:
        tensor = self.model.tensors[op.inputs[at]]
        if tensor.values is None:
            raise _Refusal(f"its input {tensor.name!r} is computed in the network; expected a constant")
        return tensor

    def _weight(self, name: str, op: TfliteOperator, axis: int, shape: tuple[int, ...]) -> str:
        """Keep the weights with the channels of the output in front."""
        tensor = self._constant(op, 1)
        if tensor.values is None or tensor.dtype not in (np.int8, np.uint8) or tensor.scales.size == 0:
            raise _Refusal("its weights are not quantized to 8 bits")
        k = tensor.values.shape[axis]
        if tensor.scales.size not in (1, k) or tensor.zeros.size not in (1, k):
            raise _Refusal(f"has {tensor.scales.size} scales for {k} channels")
        if tensor.scales.size > 1 and tensor.axis != axis:
            raise _Refusal(f"its weights have scales along axis {tensor.axis}; expected {axis}")
        moved = np.moveaxis(tensor.values.astype(np.int64), axis, 0)
        spread = (-1,) + (1,) * (moved.ndim - 1)
        integers = (moved - tensor.zeros.reshape(spread)).reshape(k, *shape)
        scale: Any = tensor.scales.reshape((-1,) + (1,) * len(shape)) if tensor.scales.size > 1 else tensor.scales
        self.constants[f"{name}:weight"] = Constant.of(integers, scale)
        return f"{name}:weight"

    def _bias(self, name: str, op: TfliteOperator) -> str | None:
        """Keep the bias, in steps of input and weights, as kernels read it."""
        if len(op.inputs) < 3 or op.inputs[2] < 0:
            return None
        bias, x = self._constant(op, 2), self.model.tensors[op.inputs[0]]
        weight = self._constant(op, 1)
        assert bias.values is not None
        if bias.values.dtype.kind != "i" or x.scales.size != 1:
            raise _Refusal("its bias or its input is not quantized")
        self.constants[f"{name}:bias"] = Constant.of(bias.values.astype(np.int64), weight.scales * x.scales[0])
        return f"{name}:bias"

    def _conv(self, name: str, op: TfliteOperator, x: str, output: str) -> None:
        values = self._constant(op, 1).values
        assert values is not None
        depthwise = op.name == "DEPTHWISE_CONV_2D"
        if values.ndim != 4:
            raise _Refusal(f"has weights {list(values.shape)}; expected four axes")
        fy, fx = values.shape[1:3]
        shape = (fy, fx, 1 if depthwise else values.shape[3])
        weight = self._weight(name, op, 3 if depthwise else 0, shape)
        strides, dilations = _pair(op, "Stride"), _pair(op, "Dilation", "Factor")
        channels = self.shapes[x][-1]
        groups = channels if depthwise else channels // max(values.shape[3], 1)
        made = Conv(
            name=name,
            input=x,
            output=output,
            weight=weight,
            bias=self._bias(name, op),
            strides=strides,
            dilations=dilations,
            pads=self._pads(op, x, (fy, fx), strides, dilations),
            groups=groups,
        )
        self._emit(made)

    def _pads(
        self, op: TfliteOperator, x: str, kernel: tuple[int, int], strides: tuple[int, int], dilations: tuple[int, int]
    ) -> tuple[int, int, int, int]:
        if op.options.get("Padding") != _SAME:
            return (0, 0, 0, 0)
        return same_pads(self.shapes[x][:2], kernel, strides, dilations, upper=True)

    def _dense(self, name: str, op: TfliteOperator, x: str, output: str) -> None:
        values = self._constant(op, 1).values
        assert values is not None
        if values.ndim != 2 or op.options.get("WeightsFormat", 0):
            raise _Refusal(f"has weights {list(values.shape)}; expected a matrix, not shuffled")
        if len(self.shapes[x]) > 1:
            flat = f"{name}:flat"
            self._emit(Reshape(name=flat, input=x, output=flat, shape=(math.prod(self.shapes[x]),)))
            x = flat
        weight = self._weight(name, op, 0, values.shape[1:])
        self._emit(Dense(name=name, input=x, output=output, weight=weight, bias=self._bias(name, op)))

    def _pool(self, name: str, op: TfliteOperator, x: str, output: str) -> None:
        kernel = (op.options["FilterHeight"], op.options["FilterWidth"])
        strides = _pair(op, "Stride")
        made = Pool(
            name=name,
            input=x,
            output=output,
            average=op.name == "AVERAGE_POOL_2D",
            kernel=kernel,
            strides=strides,
            pads=self._pads(op, x, kernel, strides, (1, 1)),
            count_pads=False,
        )
        self._emit(made)

    def _mean(self, name: str, op: TfliteOperator, x: str, output: str) -> None:
        axes = self._constant(op, 1).values
        assert axes is not None
        rank = len(self.shapes[x]) + 1
        if rank != 4 or sorted(int(a) % rank for a in axes.reshape(-1)) != [1, 2]:
            raise _Refusal(f"means over axes {axes.reshape(-1).tolist()}; expected rows and columns, 1 and 2")
        keep = bool(op.options.get("KeepDims", 0))
        y = output if keep else f"{output}:map"
        self._emit(Pool(name=name, input=x, output=y, average=True))
        if not keep:
            self._emit(Reshape(name=f"{name}:flat", input=y, output=output, shape=self.shapes[x][-1:]))

    def _pad(self, name: str, op: TfliteOperator, x: str, output: str) -> None:
        pads = self._constant(op, 1).values
        assert pads is not None
        if pads.shape != (4, 2) or pads.min() < 0 or pads[[0, 3]].any():
            raise _Refusal(f"pads {pads.tolist()}; expected zeros around rows and columns of a map")
        around = (int(pads[1, 0]), int(pads[2, 0]), int(pads[1, 1]), int(pads[2, 1]))
        self._emit(Surround(name=name, input=x, output=output, pads=around))

    def _enlarge(self, name: str, op: TfliteOperator, x: str, output: str) -> None:
        if op.options.get("AlignCorners") or op.options.get("HalfPixelCenters"):
            raise _Refusal("aligns corners or takes half pixels; expected neither")
        y, columns, _ = self.shapes[x]
        wanted = self.model.tensors[op.outputs[0]].shape[1:3]
        if len(wanted) != 2 or wanted[0] % y or wanted[1] % columns or min(wanted) < 1:
            raise _Refusal(f"makes {list(wanted)} of {y} rows and {columns} columns; expected whole factors")
        self._emit(Enlarge(name=name, input=x, output=output, factors=(wanted[0] // y, wanted[1] // columns)))


def _pair(op: TfliteOperator, what: str, tail: str = "") -> tuple[int, int]:
    return op.options.get(f"{what}H{tail}", 1), op.options.get(f"{what}W{tail}", 1)
