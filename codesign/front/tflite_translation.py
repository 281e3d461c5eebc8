"""The state of a TFLite file that is being read into a Source; see Translation for that of an ONNX file."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from codesign.front.onnx_windows import same_pads
from codesign.front.problem import Problem
from codesign.front.quantization import Quantization, RealArray, Rounding
from codesign.front.shapes import shape_of
from codesign.front.source import (
    Constant,
    Layout,
    Operator,
    Quantize,
    inputs_of,
)
from codesign.front.tflite_model import TfliteModel, TfliteOperator, TfliteTensor

_SAME = 0  # of tflite.Padding
_RANGES = {np.int8: (-128, 127), np.uint8: (0, 255), np.int16: (-32768, 32767)}


class TfliteRefusal(ValueError):
    """What is wrong with the operator at hand."""


@dataclass(slots=True)
class TfliteTranslation:
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

    def problem(self, name: str, op: TfliteOperator, found: str) -> None:
        self.problems.append(Problem(node=name, operator=op.name, found=found))

    def quantize(self, name: str, tensor: str, index: int, output: str) -> None:
        made = self.model.tensors[index]
        if made.dtype not in _RANGES or made.scales.size != 1:
            raise TfliteRefusal(f"the tensor {made.name!r} is not quantized to integers with one scale")
        low, high = _RANGES[made.dtype]
        quantization = Quantization(
            scale=float(made.scales[0]), zero=int(made.zeros[0]), low=low, high=high, rounding=Rounding.HALF_UP
        )
        self.emit(Quantize(name=name, input=tensor, output=output, quantization=quantization))

    def emit(self, op: Operator) -> None:
        inputs = [self.shapes[tensor] for tensor in inputs_of(op)]
        self.shapes[op.output] = shape_of(op, inputs, self.constants, Layout.HWC)
        self.operators.append(op)

    def map(self, op: TfliteOperator, at: int) -> str:
        """Return the tensor at an input. Raise ValueError if it is a constant, or has no batch of one."""
        index = op.inputs[at]
        if self.model.tensors[index].values is not None:
            raise TfliteRefusal(f"reads the constant {self.model.tensors[index].name!r} where a map is expected")
        return self.name(index)

    def constant(self, op: TfliteOperator, at: int) -> TfliteTensor:
        tensor = self.model.tensors[op.inputs[at]]
        if tensor.values is None:
            raise TfliteRefusal(f"its input {tensor.name!r} is computed in the network; expected a constant")
        return tensor

    def integers(self, op: TfliteOperator, at: int) -> list[int]:
        """Return the whole numbers of a constant."""
        tensor = self.constant(op, at)
        if tensor.values is None or tensor.values.dtype.kind != "i":
            raise TfliteRefusal(f"the constant {tensor.name!r} holds no integers")
        return [int(n) for n in tensor.values.reshape(-1)]

    def real(self, op: TfliteOperator, at: int) -> RealArray:
        """Return the real values of a constant of one scale."""
        tensor = self.constant(op, at)
        if tensor.values is None or tensor.scales.size != 1:
            raise TfliteRefusal(f"the constant {tensor.name!r} is not quantized with one scale")
        return tensor.scales[0] * (tensor.values.astype(np.float64) - tensor.zeros[0])

    def weight(self, name: str, op: TfliteOperator, axis: int, shape: tuple[int, ...]) -> str:
        """Keep the weights with the channels of the output in front."""
        tensor = self.constant(op, 1)
        if tensor.values is None or tensor.dtype not in (np.int8, np.uint8) or tensor.scales.size == 0:
            raise TfliteRefusal("its weights are not quantized to 8 bits")
        k = tensor.values.shape[axis]
        if tensor.scales.size not in (1, k) or tensor.zeros.size not in (1, k):
            raise TfliteRefusal(f"has {tensor.scales.size} scales for {k} channels")
        if tensor.scales.size > 1 and tensor.axis != axis:
            raise TfliteRefusal(f"its weights have scales along axis {tensor.axis}; expected {axis}")
        moved = np.moveaxis(tensor.values.astype(np.int64), axis, 0)
        spread = (-1,) + (1,) * (moved.ndim - 1)
        integers = (moved - tensor.zeros.reshape(spread)).reshape(k, *shape)
        scale: Any = tensor.scales.reshape((-1,) + (1,) * len(shape)) if tensor.scales.size > 1 else tensor.scales
        self.constants[f"{name}:weight"] = Constant.of(integers, scale)
        return f"{name}:weight"

    def bias(self, name: str, op: TfliteOperator, at: tuple[int, int, int] = (2, 0, 1)) -> str | None:
        """Keep the bias, in steps of input and weights, as kernels read it.

        `at`: the inputs of bias, map and weights.
        """
        if len(op.inputs) <= at[0] or op.inputs[at[0]] < 0:
            return None
        bias, x = self.constant(op, at[0]), self.model.tensors[op.inputs[at[1]]]
        weight = self.constant(op, at[2])
        assert bias.values is not None
        if bias.values.dtype.kind != "i" or x.scales.size != 1:
            raise TfliteRefusal("its bias or its input is not quantized")
        self.constants[f"{name}:bias"] = Constant.of(bias.values.astype(np.int64), weight.scales * x.scales[0])
        return f"{name}:bias"

    def pads(
        self, op: TfliteOperator, x: str, kernel: tuple[int, int], strides: tuple[int, int], dilations: tuple[int, int]
    ) -> tuple[int, int, int, int]:
        if op.options.get("Padding") != _SAME:
            return (0, 0, 0, 0)
        return same_pads(self.shapes[x][:2], kernel, strides, dilations, upper=True)
