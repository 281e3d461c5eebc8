"""The integer network: nodes in topological order and their parameters."""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.errors import UnsupportedError
from codesign.ir.canonical import digest, set_fields
from codesign.ops.arrays import IntArray as IntArray
from codesign.ops.input import Input
from codesign.ops.node import Node, Operation
from codesign.ops.qtype import QType

MAX_ELEMENTS = 1 << 28  # of a map
MAX_REACH = 1 << 30  # elements of a map, a window and a stride beside each other
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a user's numbers become the integers of the input: floor((value - offset) / step + 0.5), clamped to the type.

    The default takes integers as they are. `half_even`: halves go to the even integer, as files of other tools have it.
    Raises ValueError unless `step` is positive and both numbers are finite.
    """

    offset: float = 0.0
    step: float = 1.0
    half_even: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.offset) and math.isfinite(self.step) and self.step > 0):
            raise ValueError(f"encoding: expected a finite offset and a positive step, got {self.offset}, {self.step}")

    @property
    def is_identity(self) -> bool:
        """Whether a user's numbers are the integers themselves."""
        return self == IDENTITY

    def encode(self, values: npt.NDArray[Any], qtype: QType) -> IntArray:
        """Return the integers of the type, int64, for finite numbers of any shape."""
        return np.clip(self.steps(values), qtype.qmin, qtype.qmax).astype(np.int64)

    def steps(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return what `encode` clamps: whole numbers in float64, infinite where a number lies too far off."""
        with np.errstate(over="ignore"):
            steps = (values.astype(np.float64) - self.offset) / self.step
            return np.rint(steps) if self.half_even else np.floor(steps + 0.5)

    @property
    def formula(self) -> str:
        """The integer of a number v, before it is clamped, in words of Python."""
        steps = f"(v - {self.offset!r}) / {self.step!r}"
        return f"{steps} rounded, halves to even" if self.half_even else f"floor({steps} + 0.5)"


IDENTITY = Encoding()


@dataclass(frozen=True, eq=False)
class Graph:
    """An integer network with one input, and one output or several.

    `params` holds read-only int64 arrays by `<node>.<parameter>`; see Conv. `input_scale` and `output_scale` are the
    real values of one integer step at either end. `labels` names the classes. `encoding` says how a user's numbers
    become the integers of the input. `outputs` names the nodes whose maps leave, in order; none are named where only
    the last one's does. `output_scales` has a scale for each of several. Compared by `digest()`.

    Raises UnsupportedError, naming the node, if the graph is not well formed.
    """

    name: str
    nodes: tuple[Node, ...]
    params: Mapping[str, IntArray]
    input_scale: float = 1.0
    output_scale: float = 1.0
    labels: tuple[str, ...] = field(default=())
    encoding: Encoding = IDENTITY
    outputs: tuple[str, ...] = ()
    output_scales: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.nodes and self.outputs == (self.nodes[-1].name,):
            object.__setattr__(self, "outputs", ())  # one form, and so one digest
        for array in self.params.values():
            array.setflags(write=False)
        self.check()

    @property
    def input(self) -> Input:
        node = self.nodes[0]
        assert isinstance(node, Input)
        return node

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """The nodes that compute: all but the input."""
        return tuple(n for n in self.nodes if not isinstance(n, Input))

    def parameters(self, node: Node) -> dict[str, IntArray]:
        """Return the parameters of a node by name."""
        return {key: self.params[f"{node.name}.{key}"] for key in node.parameters}

    @cached_property
    def output_nodes(self) -> tuple[Node, ...]:
        """The nodes whose maps leave, in order."""
        return tuple(self.node(name) for name in self.outputs) or self.nodes[-1:]

    @property
    def output(self) -> Node:
        """The only output. Raise UnsupportedError if there are several."""
        if len(self.output_nodes) > 1:
            names = ", ".join(self.outputs)
            raise UnsupportedError(f"graph {self.name!r}: has several outputs: {names}; this works for one only")
        return self.output_nodes[0]

    @property
    def scales(self) -> tuple[float, ...]:
        """The real value of one integer step of each output."""
        return self.output_scales or (self.output_scale,) * len(self.output_nodes)

    def readers(self, name: str) -> int:
        """Return how many inputs and outputs take the map of that node."""
        return len(self.consumers(name)) + sum(node.name == name for node in self.output_nodes)

    def node(self, name: str) -> Node:
        """Return the node of that name. Raise KeyError."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def consumers(self, name: str) -> tuple[tuple[Node, int], ...]:
        """Return the nodes that read `name`, each with the index of that input."""
        return tuple((n, i) for n in self.nodes for i, source in enumerate(n.inputs) if source == name)

    def edges(self) -> tuple[tuple[str, str, int], ...]:
        """Return (producer, consumer, input index) of every edge, in the order of the consumers."""
        return tuple((source, n.name, i) for n in self.nodes for i, source in enumerate(n.inputs))

    def digest(self) -> str:
        """Return the SHA-256 over nodes and parameters, in hexadecimal."""
        held = {name: value for name, value in set_fields(self).items() if name != "params"}
        sha = hashlib.sha256(digest(held).encode())
        for key in sorted(self.params):
            sha.update(key.encode() + np.ascontiguousarray(self.params[key], dtype="<i8").tobytes())
        return sha.hexdigest()

    def check(self) -> None:
        """Raise UnsupportedError unless names, order, shapes, types, parameters and accumulator widths are right."""
        first, *others = self.nodes or (None,)
        if not isinstance(first, Input) or any(isinstance(n, Input) for n in others):
            raise UnsupportedError(f"graph {self.name!r}: expected exactly one input, as first node")
        _check_name(first.name, {})
        _check_elements(first)
        seen: dict[str, Node] = {first.name: first}
        for node in self.operations:
            _check_name(node.name, seen)
            _check_sources(node, seen)
            _check_elements(node)
            _check_reach(node)
            _check_parameters(node, self.params)
            seen[node.name] = node
        _check_outputs(self, seen)
        used = {source for node in self.nodes for source in node.inputs} | {n.name for n in self.output_nodes}
        expected = {f"{node.name}.{key}" for node in self.operations for key in node.parameters}
        unused = [n.name for n in self.nodes if n.name not in used]
        if unused:
            raise UnsupportedError(f"node {unused[0]!r}: its output is not read, and it is no output of the graph")
        if set(self.params) != expected:
            odd = sorted(set(self.params) ^ expected)
            raise UnsupportedError(f"graph {self.name!r}: parameters missing or unknown: {', '.join(odd)}")


def _check_outputs(graph: Graph, seen: Mapping[str, Node]) -> None:
    """Raise UnsupportedError unless the outputs are different nodes that compute, and have a scale each or none."""
    for name in graph.outputs:
        if name not in seen or isinstance(seen[name], Input):
            raise UnsupportedError(f"graph {graph.name!r}: output {name!r} is not a node that computes")
        if graph.outputs.count(name) > 1:
            raise UnsupportedError(f"graph {graph.name!r}: output {name!r} is given {graph.outputs.count(name)} times")
    if graph.output_scales and len(graph.output_scales) != len(graph.outputs):
        raise UnsupportedError(
            f"graph {graph.name!r}: expected a scale for each of {len(graph.outputs)} named outputs, "
            f"got {len(graph.output_scales)}"
        )


def _check_name(name: str, seen: Mapping[str, Node]) -> None:
    if not _NAME.fullmatch(name):
        raise UnsupportedError(f"node {name!r}: a name matches [a-z][a-z0-9_]* and has at most 48 characters")
    if name in seen:
        raise UnsupportedError(f"node {name!r}: two nodes have this name")


def _check_sources(node: Operation, seen: Mapping[str, Node]) -> None:
    for source, ishape, itype in zip(node.inputs, node.ishapes, node.itypes, strict=True):
        if source not in seen:
            raise UnsupportedError(f"node {node.name!r}: its input {source!r} is not an earlier node")
        producer = seen[source]
        if producer.oshape != ishape:
            raise UnsupportedError(f"node {node.name!r}: expects {ishape}, but {source!r} gives {producer.oshape}")
        if producer.otype != itype:
            raise UnsupportedError(f"node {node.name!r}: expects {itype}, but {source!r} gives {producer.otype}")


def _check_elements(node: Node) -> None:
    """Raise UnsupportedError if a map has more elements than the machine's 32-bit numbers count."""
    found = node.oshape.elements
    if found > MAX_ELEMENTS:
        raise UnsupportedError(
            f"node {node.name!r}: a map of {node.oshape} has {found} elements; at most {MAX_ELEMENTS}"
        )


def _check_reach(node: Operation) -> None:
    """Raise UnsupportedError if a window spans more than the machine's 32-bit numbers count."""
    window, shape = node.window, node.ishape
    rows, columns = shape.y + window.span_y + window.stride_y, shape.x + window.span_x + window.stride_x
    if not node.joins and rows * columns * shape.c > MAX_REACH:
        raise UnsupportedError(
            f"node {node.name!r}: its map, window and stride span {rows} rows, {columns} columns and {shape.c} "
            f"channels, {rows * columns * shape.c} elements; at most {MAX_REACH}"
        )


def _check_parameters(node: Operation, params: Mapping[str, IntArray]) -> None:
    """Raise UnsupportedError unless the node has parameters of its shapes, with values that fit it."""
    for key, shape in node.parameters.items():
        array = params.get(f"{node.name}.{key}")
        if array is None or array.shape != shape or array.dtype != np.int64:
            found = "nothing" if array is None else f"{array.dtype}{list(array.shape)}"
            raise UnsupportedError(f"node {node.name!r}: parameter {key!r}: expected int64{list(shape)}, got {found}")
    node.check({key: params[f"{node.name}.{key}"] for key in node.parameters})
