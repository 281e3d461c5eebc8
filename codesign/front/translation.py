"""The state of a file that is being read into a Source: operators up to now, constants, shapes, and all problems."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.front.onnx_model import OnnxModel, OnnxNode
from codesign.front.problem import Problem
from codesign.front.quantization import Quantization
from codesign.front.shapes import Shape, shape_of
from codesign.front.source import Constant, Layout, Operator, inputs_of

Array = npt.NDArray[Any]


class Refusal(ValueError):
    """What is wrong with the node at hand, and the nearest supported form."""

    def __init__(self, found: str, instead: str = "") -> None:
        super().__init__(found)
        self.instead = instead


@dataclass(slots=True)
class Translation:
    """An ONNX network on its way to a Source.

    `arrays`: constants as they lie in the file. `constants`: those that operators read. `same`: tensors that are
    another under a second name. `integers`: how tensors of integers stand for real values. `raw`: those that are
    integers in the file, where a Source has the real values. `lost`: tensors that a refused node gives.
    """

    model: OnnxModel
    arrays: dict[str, Array]
    shapes: dict[str, Shape]
    operators: list[Operator] = field(default_factory=list)
    constants: dict[str, Constant] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    integers: dict[str, Quantization] = field(default_factory=dict)
    raw: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def tensor(self, name: str) -> str:
        """Return the tensor of a map, under its first name. Raise Refusal if it is a constant."""
        if self.is_constant(name):
            raise Refusal(f"{name!r} is a constant where a map is expected", "fold it before the export")
        return self.same.get(name, name)

    def shape(self, name: str) -> Shape:
        """Return the shape of a map."""
        return self.shapes[self.tensor(name)]

    def is_constant(self, name: str) -> bool:
        """Tell whether the file gives the values of this tensor."""
        return name in self.arrays or name in self.constants

    def array(self, node: OnnxNode, index: int, what: str) -> Array:
        """Return the constant at an input of the node. Raise Refusal if it is none."""
        name = node.inputs[index] if index < len(node.inputs) else ""
        if name in self.arrays:
            return self.arrays[name]
        raise Refusal(f"its {what} is computed in the network, not a constant", f"expected a constant {what}")

    def number(self, node: OnnxNode, index: int, what: str, default: float | None = None) -> float:
        """Return a constant of one value. Raise Refusal if it has more, or is not finite."""
        if default is not None and (index >= len(node.inputs) or not node.inputs[index]):
            return default
        held = self.constants.get(node.inputs[index]) if index < len(node.inputs) else None
        array = self.array(node, index, what) if held is None else held.values
        values = np.unique(array.astype(np.float64))
        if array.size < 1 or len(values) != 1:
            raise Refusal(f"its {what} has the shape {list(array.shape)}", f"expected one {what}")
        return float(values[0])

    def constant(self, name: str) -> Constant:
        """Return a constant as operators read it. Raise Refusal unless its values are finite."""
        held = self.constants.get(name)
        if held is None:
            held = Constant(self.arrays[name].astype(np.float64))
        if not np.isfinite(held.values).all():
            raise Refusal(f"the tensor {name!r} holds values that are infinite or no numbers")
        return held

    def keep(self, name: str, constant: Constant) -> str:
        """Keep a constant for operators; return its name."""
        self.constants[name] = constant
        return name

    def emit(self, operator: Operator) -> None:
        """Append an operator whose inputs are there. Raise ValueError if they do not fit it."""
        inputs = [self.shapes[tensor] for tensor in inputs_of(operator)]
        self.shapes[operator.output] = shape_of(operator, inputs, self.constants, Layout.CHW)
        self.operators.append(operator)

    def each(self, translate: Callable[["Translation", OnnxNode], None]) -> None:
        """Translate every node; note a problem for each that is refused, and pass over what depends on it."""
        for node in self.model.nodes:
            if self.lost.intersection(node.inputs):
                self.lost.update(node.outputs)
                continue
            try:
                translate(self, node)
            except Refusal as error:
                self._refuse(node, str(error), error.instead)
            except (ValueError, IndexError, KeyError, TypeError, OverflowError, ArithmeticError) as error:
                self._refuse(node, str(error) or "is not as ONNX describes it", "")

    def _refuse(self, node: OnnxNode, found: str, instead: str) -> None:
        self.problems.append(Problem(node=node.name, operator=node.operator, found=found, instead=instead))
        self.lost.update(node.outputs)
