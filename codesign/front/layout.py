"""All maps as [Y, X, C], weights with them; operators that only move axes or join them are gone then.

A tensor of the file has axes of its own. For each of them this pass knows which of Y, X and C it runs over, in order: a
map of a channels-first file has ("C", "Y", "X"), its flattened vector ("CYX",). A tensor without an axis has one
element along it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from codesign.front.problem import Problem
from codesign.front.quantization import RealArray
from codesign.front.shapes import Shape, shapes_of
from codesign.front.source import (
    Activation,
    Add,
    Affine,
    Axes,
    Concat,
    Constant,
    Conv,
    Decide,
    Dense,
    Layout,
    Moving,
    Multiply,
    Operator,
    Pool,
    Quantize,
    Reshape,
    Slice,
    Source,
    Transpose,
    constants_of,
    inputs_of,
)

_MAP = {Layout.CHW: ("C", "Y", "X"), Layout.HWC: ("Y", "X", "C")}
_ROWS = {Layout.CHW: ("C", "X"), Layout.HWC: ("X", "C")}
_CANONICAL = ("Y", "X", "C")


def channels_last(source: Source) -> tuple[Source, list[Problem]]:
    """Return the network with all maps as [Y, X, C], and problems of operators that move data in other ways."""
    state = _Layouts(source)
    return state.result(), state.problems


@dataclass(frozen=True, slots=True)
class _Lie:
    """How a tensor of the file lies: its axes, and the extents of its map."""

    axes: Axes
    y: int
    x: int
    c: int

    def extent(self, letter: str) -> int:
        return {"Y": self.y, "X": self.x, "C": self.c}[letter]

    @property
    def shape(self) -> Shape:
        return (self.y, self.x, self.c)


class _Layouts:
    """The walk over a source: how each tensor lies, and the operators that are left."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.shapes, self.problems = shapes_of(source)
        self.kept: list[Operator] = []
        self.constants = dict(source.constants)
        self.same: dict[str, str] = {}
        axes = _input_axes(source)
        self.lies = {source.input.tensor: _lie(axes, source.input.shape)}
        for op in source.operators:
            if all(tensor in self.lies for tensor in inputs_of(op)) and op.output in self.shapes:
                self._walk(op)

    def result(self) -> Source:
        """Return the source as it is after the walk."""
        source = self.source
        entry = self.lies[source.input.tensor]
        return replace(
            source,
            layout=Layout.HWC,
            input=replace(source.input, shape=entry.shape),
            outputs=tuple(self.same.get(output, output) for output in source.outputs),
            operators=tuple(self.kept),
            constants=self.constants,
            axes=(entry.axes, *(self.lies.get(output, entry).axes for output in source.outputs)),
        )

    def _walk(self, op: Operator) -> None:
        """Take one operator over, or note why it cannot be."""
        lie = self.lies[inputs_of(op)[0]]
        try:
            match op:
                case Transpose():
                    self._alias(op, replace(lie, axes=tuple(lie.axes[axis] for axis in op.axes)))
                case Reshape():
                    self._alias(op, replace(lie, axes=_regrouped(lie, op.shape)))
                case Dense():
                    self._dense(op, lie)
                case Slice():
                    self._slice(op, lie)
                case _ if isinstance(op, Conv | Pool | Moving):
                    self._windowed(op, lie)
                case _:
                    self._elementwise(op, lie)
        except ValueError as error:
            self.problems.append(Problem.of(op, str(error)))

    def _alias(self, op: Transpose | Reshape, lie: _Lie) -> None:
        self.same[op.output] = self.same.get(op.input, op.input)
        self.lies[op.output] = lie

    def _windowed(self, op: Conv | Pool | Moving, lie: _Lie) -> None:
        """Take over an operator that needs rows and columns."""
        _expect(lie, _MAP[self.source.layout])
        if isinstance(op, Conv):
            _check_scale(self.constants[op.weight])
        if isinstance(op, Conv) and self.source.layout is Layout.CHW:
            weight = self.constants[op.weight]
            op = replace(op, weight=self._keep(f"{op.weight}:hwc", _moved(weight, lambda a: a.transpose(0, 2, 3, 1))))
        self._keep_operator(op, _lie(lie.axes, self.shapes[op.output]))

    def _slice(self, op: Slice, lie: _Lie) -> None:
        """Take over a slice of channels."""
        if lie.axes[op.axis] != "C":
            raise ValueError(f"takes a part of {_told((lie.axes[op.axis],))}; expected a part of the channels")
        self._keep_operator(replace(op, axis=2), replace(lie, c=op.stop - op.start))

    def _elementwise(self, op: Operator, lie: _Lie) -> None:
        """Take over an operator for which only the order of its inputs' axes must be one."""
        for tensor in inputs_of(op)[1:]:
            other = self.lies[tensor]
            if other.axes != lie.axes:
                raise ValueError(
                    f"joins tensors whose axes lie as {_told(lie.axes)} and {_told(other.axes)}; expected one order"
                )
        if isinstance(op, Affine | Activation):
            self._check_channels(op, lie)
        if isinstance(op, Decide) and op.axis is not None:
            op = replace(op, axis=_CANONICAL.index(lie.axes[op.axis]) if lie.axes[op.axis] in _CANONICAL else None)
        made = lie
        if isinstance(op, Concat):
            if lie.axes[op.axis] != "C":
                raise ValueError(f"joins tensors along {_told((lie.axes[op.axis],))}; expected their channels")
            made = replace(lie, c=sum(self.lies[tensor].c for tensor in op.inputs))
            op = replace(op, axis=2)
        self._keep_operator(op, made)

    def _check_channels(self, op: Affine | Activation, lie: _Lie) -> None:
        """Raise ValueError if constants per channel meet a tensor whose channels are not where they are expected."""
        if all(self.constants[name].values.ndim == 0 for name in constants_of(op)):
            return
        axis = 0 if self.source.layout is Layout.CHW else len(lie.axes) - 1
        if lie.axes[axis] != "C":
            raise ValueError(f"has constants along {_told((lie.axes[axis],))}; expected one per channel")

    def _dense(self, op: Dense, lie: _Lie) -> None:
        """Take over a fully connected layer with weights [K, Y, X, C]."""
        letters = "".join(lie.axes)
        extents = [lie.extent(letter) for letter in letters]
        missing = [letter for letter in _CANONICAL if letter not in letters]
        order = [1 + (letters + "".join(missing)).index(letter) for letter in _CANONICAL]

        def moved(array: RealArray) -> RealArray:
            spread = array.reshape(len(array), *extents, *(1 for _ in missing))
            return np.ascontiguousarray(spread.transpose(0, *order))

        _check_scale(self.constants[op.weight])
        weight = _moved(self.constants[op.weight], moved)
        made = replace(op, weight=self._keep(f"{op.weight}:hwc", weight))
        self._keep_operator(made, _Lie(("C",), 1, 1, weight.shape[0]))

    def _keep(self, name: str, constant: Constant) -> str:
        self.constants[name] = constant
        return name

    def _keep_operator(self, op: Operator, lie: _Lie) -> None:
        """Append an operator that reads tensors under their first names."""
        match op:
            case Add() | Multiply():
                first, second = (self.same.get(tensor, tensor) for tensor in op.inputs)
                self.kept.append(replace(op, inputs=(first, second)))
            case Concat():
                self.kept.append(replace(op, inputs=tuple(self.same.get(t, t) for t in op.inputs)))
            case _:
                self.kept.append(replace(op, input=self.same.get(op.input, op.input)))
        self.lies[op.output] = lie


def _input_axes(source: Source) -> Axes:
    """Return how the input lies: as the layout says, unless the first thing done with it says otherwise."""
    shape = source.input.shape
    readers = list(source.readers(source.input.tensor))
    while len(readers) == 1 and isinstance(readers[0], Quantize):
        readers = list(source.readers(readers[0].output))
    turned = readers and all(isinstance(op, Transpose) and op.axes == (2, 0, 1) for op in readers)
    if source.layout is Layout.CHW and len(shape) == 3 and turned:
        return _MAP[Layout.HWC]
    if len(shape) == 2:
        flattened = readers and all(isinstance(op, Reshape) and len(op.shape) == 1 for op in readers)
        return ("Y", "X") if flattened else _ROWS[source.layout]
    return ("C",) if len(shape) == 1 else _MAP[source.layout]


def _lie(axes: Axes, shape: Shape) -> _Lie:
    """Return how a tensor of these axes, one letter each, and this shape lies."""
    extents = {"Y": 1, "X": 1, "C": 1} | dict(zip(axes, shape, strict=True))
    return _Lie(axes, extents["Y"], extents["X"], extents["C"])


def _regrouped(lie: _Lie, shape: Shape) -> Axes:
    """Return the axes after a reshape: each new one runs over whole old ones, in their order.

    Raise ValueError if it splits or crosses one.
    """
    letters = [letter for letter in "".join(lie.axes) if lie.extent(letter) > 1]
    idle = [letter for letter in _CANONICAL if letter not in letters]
    axes = []
    for extent in shape:
        group = ""
        while letters and math.prod(lie.extent(letter) for letter in group) * lie.extent(letters[0]) <= extent:
            group += letters.pop(0)
        if math.prod(lie.extent(letter) for letter in group) != extent:
            raise ValueError(
                f"makes {list(shape)} of {_told(lie.axes)}, {lie.y} x {lie.x} x {lie.c}, which splits an axis; "
                "expected whole axes joined, or axes of one element added or removed"
            )
        axes.append(group)
    return _named_idle(tuple(axes), idle)


def _named_idle(axes: Axes, idle: list[str]) -> Axes:
    """Return the axes with letters for those of one element, so that maps are recognised as such."""
    for order in (("C", "Y", "X"), ("Y", "X", "C"), ("C", "X"), ("X", "C"), ("C",)):
        if len(order) == len(axes) and all(a == b or (a == "" and b in idle) for a, b in zip(axes, order, strict=True)):
            return order
    if len(axes) == 1 and axes[0] != "":
        return axes
    left = [letter for letter in ("C", "Y", "X") if letter in idle]
    return tuple(a if a else (left.pop(0) if left else "") for a in axes)


def _expect(lie: _Lie, axes: Axes) -> None:
    if lie.axes != axes:
        raise ValueError(f"reads a tensor whose axes lie as {_told(lie.axes)}; expected {_told(axes)}")


def _check_scale(weight: Constant) -> None:
    """Raise ValueError unless weights [K, ...] have one scale, or one for each of the K outputs."""
    scale = weight.scale
    if scale is None or scale.ndim == 0:
        return
    spread = scale.reshape(scale.shape[0], -1)
    if scale.ndim != len(weight.shape) or (spread != spread[:, :1]).any():
        raise ValueError(
            f"its weights {list(weight.shape)} have scales {list(scale.shape)}; expected one scale, or one per output "
            "channel"
        )


def _moved(constant: Constant, move: Callable[[RealArray], RealArray]) -> Constant:
    """Return a constant with its axes moved; the scale moves along."""
    if constant.integers is None or constant.scale is None:
        return Constant(move(constant.values))
    scale = constant.scale
    if scale.ndim:
        scale = move(np.broadcast_to(scale, constant.integers.shape))
        scale = scale[(slice(None), *(slice(0, 1),) * (scale.ndim - 1))]
    return Constant.of(move(constant.integers.astype(np.float64)).astype(np.int64), scale)


def _told(axes: Axes) -> str:
    words = {"Y": "rows", "X": "columns", "C": "channels"}
    return ", ".join("·".join(words[letter] for letter in axis) or "nothing" for axis in axes) or "nothing"
