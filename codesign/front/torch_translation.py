"""A PyTorch program that is being read into a Source: operators up to now, parameters, shapes, problems."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from codesign.errors import UnsupportedError
from codesign.front.problem import Problem
from codesign.front.quantization import RealArray
from codesign.front.shapes import Shape, shape_of
from codesign.front.source import Constant, Layout, Operator, Source, SourceInput, inputs_of

Arguments = dict[str, Any]
Translate = Callable[["TorchTranslation", "Call"], None]


@dataclass(slots=True)
class TorchTranslation:
    """A program of torch.export on its way to a Source. `parts`: the tensors of operators that give several."""

    name: str
    program: Any
    shape: Shape
    operators: list[Operator] = field(default_factory=list)
    constants: dict[str, Constant] = field(default_factory=dict)
    arrays: dict[str, RealArray] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    parts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    entry: str = ""
    outputs: tuple[str, ...] = ()

    def walk(self, operators: Mapping[str, Translate]) -> None:
        """Translate every node by a table. Raise UnsupportedError unless there is one input, and outputs are maps."""
        self._ends()
        for node in self.program.graph.nodes:
            if node.op != "call_function" or not node.users:
                continue
            if self.lost.intersection(str(n) for n in node.all_input_nodes):
                self.lost.add(node.name)
                continue
            full = str(getattr(node.target, "__name__", node.target)) if _is_plain(node) else str(node.target)
            operator = full.removeprefix("aten.").partition(".")[0]
            name = self._name_of(node)
            try:
                if operator not in operators:
                    known = ", ".join(sorted({o.removesuffix("_") for o in operators}))
                    raise ValueError(f"is not supported; expected of: {known}")
                operators[operator](self, Call(name, node.name, _arguments(node)))
            except (ValueError, IndexError, KeyError, TypeError) as error:
                self.problems.append(Problem(node=name, operator=full, found=str(error)))
                self.lost.add(node.name)

    def result(self) -> Source:
        """Return the network. Raise UnsupportedError if it is a constant."""
        outputs = tuple(self.same.get(output, output) for output in self.outputs)
        if any(output not in self.shapes or output == self.entry for output in outputs):
            raise UnsupportedError(f"{self.name}: its output does not depend on its input")
        needed, kept = set(outputs), []
        for op in reversed(self.operators):
            if op.output in needed:
                needed.update(inputs_of(op))
                kept.append(op)
        return Source(
            name=self.name,
            layout=Layout.CHW,
            input=SourceInput(tensor=self.entry, shape=self.shape[1:]),
            outputs=outputs,
            operators=tuple(reversed(kept)),
            constants=self.constants,
        )

    def tensor(self, node: Any) -> str:
        """Return the tensor of a map. Raise ValueError if it is none."""
        name = self.same.get(str(node), str(node))
        if name not in self.shapes:
            raise ValueError(f"reads {node}, a constant, where a map is expected")
        return name

    def array(self, value: Any, what: str) -> RealArray:
        """Return a parameter or a number. Raise ValueError if it is computed in the network, or not finite."""
        if isinstance(value, int | float):
            return np.asarray(value, np.float64)
        if str(value) not in self.arrays:
            raise ValueError(f"its {what} is computed in the network; expected a parameter")
        found = self.arrays[str(value)]
        if not np.isfinite(found).all():
            raise ValueError(f"its {what} holds values that are infinite or no numbers")
        return found

    def is_map(self, value: Any) -> bool:
        """Tell whether an argument is a tensor that depends on the input."""
        return self.same.get(str(value), str(value)) in self.shapes and not isinstance(value, int | float)

    def emit(self, op: Operator) -> None:
        """Append an operator. Raise ValueError if its inputs do not fit it."""
        self.shapes[op.output] = shape_of(op, [self.shapes[t] for t in inputs_of(op)], self.constants, Layout.CHW)
        self.operators.append(op)

    def keep(self, name: str, values: RealArray) -> str:
        """Keep a constant; return its name."""
        self.constants[name] = Constant(np.asarray(values, np.float64))
        return name

    def _ends(self) -> None:
        signature = self.program.graph_signature
        held = {**self.program.state_dict, **self.program.constants}
        entries, outputs = list(signature.user_inputs), list(signature.user_outputs)
        if len(entries) != 1 or not outputs or not all(isinstance(output, str) for output in outputs):
            raise UnsupportedError(
                f"{self.name}: expected one input, and maps as outputs, found {len(entries)} and {len(outputs)}"
            )
        for spec in signature.input_specs:
            if spec.target is not None:
                self.arrays[spec.arg.name] = held[spec.target].detach().double().numpy()
        self.entry, self.outputs = str(entries[0]), tuple(outputs)
        self.shapes[self.entry] = self.shape[1:]

    def _name_of(self, node: Any) -> str:
        """Return the path of the module that the node is of, or the node's own name where that is taken."""
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        path = str(stack[-1][0]) if stack else ""
        name = path if path and path not in self.names else node.name
        self.names.add(name)
        return str(name)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operator: its name for the user, the tensor that it gives, its arguments by name."""

    name: str
    output: str
    arguments: Arguments

    def pair(self, key: str) -> tuple[int, int]:
        """Return an argument for rows and columns. Raise ValueError if it has more."""
        values = self.arguments[key]
        found = [int(values)] * 2 if isinstance(values, int) else [int(v) for v in values]
        if len(found) == 1:
            found = found * 2
        if len(found) != 2:
            raise ValueError(f"{key} = {found}; expected one or two numbers")
        return found[0], found[1]


def batchless_axis(axis: int, rank: int) -> int:
    """Return an axis without the batch. Raise ValueError if it is the batch, or none."""
    found = (axis + rank + 1 if axis < 0 else axis) - 1
    if not 0 <= found < rank:
        raise ValueError(f"works on axis {axis}, the batch or none of a tensor of {rank + 1} axes")
    return found


def traced_shape(state: TorchTranslation, call: Call) -> Shape:
    """Return the shape that an operator gives for the example, with the batch."""
    (node,) = (n for n in state.program.graph.nodes if n.name == call.output)
    return tuple(int(n) for n in node.meta["val"].shape)


def _arguments(node: Any) -> Arguments:
    """Return all arguments of a call by name, with what the operator's schema has where they are left out."""
    if _is_plain(node):
        return {str(i): value for i, value in enumerate(node.args)}
    declared = node.target._schema.arguments
    found: Arguments = {}
    for i, argument in enumerate(declared):
        if i < len(node.args):
            found[argument.name] = node.args[i]
        elif argument.name in node.kwargs:
            found[argument.name] = node.kwargs[argument.name]
        else:
            found[argument.name] = argument.default_value if argument.has_default_value() else None
    return found


def _is_plain(node: Any) -> bool:
    """Tell whether a call is of a function of Python, such as one that takes an element of a tuple."""
    return not hasattr(node.target, "_schema")
