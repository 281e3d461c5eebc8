"""The integer network: nodes in topological order and their parameters."""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.errors import UnsupportedError
from codesign.ir.arrays import IntArray as IntArray
from codesign.ir.canonical import digest, set_fields
from codesign.ir.nodes import Add, Conv, Input, Node, Pool, Scaling
from codesign.ir.qtype import QType

MAX_ELEMENTS = 1 << 28  # of a map
MAX_REACH = 1 << 30  # elements of a map, a window and a stride beside each other
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a user's numbers become the integers of the input: floor((value - offset) / step + 0.5), clamped to the type.

    The default takes integers as they are. Raises ValueError unless `step` is positive and both are finite.
    """

    offset: float = 0.0
    step: float = 1.0

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
            return np.floor((values.astype(np.float64) - self.offset) / self.step + 0.5)


IDENTITY = Encoding()


@dataclass(frozen=True, eq=False)
class Graph:
    """An integer network with one input and one output (its last node).

    `params` holds read-only int64 arrays by `<node>.<parameter>`; see Conv. `input_scale` and `output_scale` are the
    real values of one integer step at either end; `labels` names the classes; `encoding` says how a user's numbers
    become the integers of the input. Compared by `digest()`.
    Raises UnsupportedError, naming the node, if the graph is not well formed.
    """

    name: str
    nodes: tuple[Node, ...]
    params: Mapping[str, IntArray]
    input_scale: float = 1.0
    output_scale: float = 1.0
    labels: tuple[str, ...] = field(default=())
    encoding: Encoding = IDENTITY

    def __post_init__(self) -> None:
        for array in self.params.values():
            array.setflags(write=False)
        self.check()

    @property
    def input(self) -> Input:
        node = self.nodes[0]
        assert isinstance(node, Input)
        return node

    @property
    def output(self) -> Node:
        return self.nodes[-1]

    def node(self, name: str) -> Node:
        """The node of that name. Raises KeyError."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def consumers(self, name: str) -> tuple[tuple[Node, int], ...]:
        """The nodes that read `name`, each with the index of that input."""
        return tuple((n, i) for n in self.nodes for i, source in enumerate(n.inputs) if source == name)

    def edges(self) -> tuple[tuple[str, str, int], ...]:
        """(producer, consumer, input index) of every edge, in the order of the consumers."""
        return tuple((source, n.name, i) for n in self.nodes for i, source in enumerate(n.inputs))

    def digest(self) -> str:
        """SHA-256 over nodes and parameters, in hexadecimal."""
        held = {name: value for name, value in set_fields(self).items() if name != "params"}
        sha = hashlib.sha256(digest(held).encode())
        for key in sorted(self.params):
            sha.update(key.encode() + np.ascontiguousarray(self.params[key], dtype="<i8").tobytes())
        return sha.hexdigest()

    def check(self) -> None:
        """Raise UnsupportedError unless names, order, shapes, types, parameters and accumulator widths are right."""
        if not self.nodes or not isinstance(self.nodes[0], Input) or any(isinstance(n, Input) for n in self.nodes[1:]):
            raise UnsupportedError(f"graph {self.name!r}: expected exactly one input, as first node")
        seen: dict[str, Node] = {}
        used: set[str] = set()
        expected: set[str] = set()
        for node in self.nodes:
            _check_name(node.name, seen)
            _check_sources(node, seen)
            _check_extents(node)
            used.update(node.inputs)
            if isinstance(node, Conv):
                expected |= {f"{node.name}.{p}" for p in ("weight", "bias", "multiplier")}
                _check_conv(node, self.params)
            seen[node.name] = node
        unused = [n.name for n in self.nodes[:-1] if n.name not in used]
        if unused:
            raise UnsupportedError(f"node {unused[0]!r}: its output is not read; a graph has one output, its last node")
        if set(self.params) != expected:
            odd = sorted(set(self.params) ^ expected)
            raise UnsupportedError(f"graph {self.name!r}: parameters missing or unknown: {', '.join(odd)}")


def accumulator_bounds(itype: QType, weight: IntArray, bias: IntArray) -> tuple[int, int]:
    """Smallest and largest value that any partial sum, or sum with bias, of a Conv can take.

    weight[K,FY,FX,C], bias[K]. Zero lies inside every activation type, so a partial sum never leaves the bounds of
    the whole sum.
    """
    low = np.minimum(weight * itype.qmin, weight * itype.qmax).reshape(len(bias), -1).sum(axis=1)
    high = np.maximum(weight * itype.qmin, weight * itype.qmax).reshape(len(bias), -1).sum(axis=1)
    return int(min(low.min(), (low + bias).min())), int(max(high.max(), (high + bias).max()))


def signed_bits(low: int, high: int) -> int:
    """Width of the two's complement type that holds both."""
    return max((-low - 1).bit_length() if low < 0 else 0, high.bit_length()) + 1


def scaling_of(multiplier: IntArray) -> Scaling:
    """The cheapest Scaling that the multipliers allow."""
    if (multiplier == 1).all():
        return Scaling.SHIFT
    if ((multiplier & (multiplier - 1)) == 0).all():
        return Scaling.POWER_OF_TWO
    return Scaling.GENERAL


def _check_name(name: str, seen: Mapping[str, Node]) -> None:
    if not _NAME.fullmatch(name):
        raise UnsupportedError(f"node {name!r}: a name matches [a-z][a-z0-9_]* and has at most 48 characters")
    if name in seen:
        raise UnsupportedError(f"node {name!r}: two nodes have this name")


def _check_sources(node: Node, seen: Mapping[str, Node]) -> None:
    types: tuple[QType, ...] = ()
    match node:
        case Conv() | Pool():
            types = (node.itype,)
        case Add():
            types = node.itypes
            if node.sources[0] == node.sources[1]:
                raise UnsupportedError(f"node {node.name!r}: adds {node.sources[0]!r} to itself; double its multiplier")
        case Input():
            pass
    for source, itype in zip(node.inputs, types, strict=True):
        if source not in seen:
            raise UnsupportedError(f"node {node.name!r}: its input {source!r} is not an earlier node")
        producer = seen[source]
        if isinstance(node, Input):
            continue
        if producer.oshape != node.ishape:
            raise UnsupportedError(f"node {node.name!r}: expects {node.ishape}, but {source!r} gives {producer.oshape}")
        if producer.otype != itype:
            raise UnsupportedError(f"node {node.name!r}: expects {itype}, but {source!r} gives {producer.otype}")


def _check_extents(node: Node) -> None:
    """Raise UnsupportedError if a map, or what a window spans, is more than the machine's 32-bit numbers count."""
    found = node.oshape.elements
    if found > MAX_ELEMENTS:
        raise UnsupportedError(
            f"node {node.name!r}: a map of {node.oshape} has {found} elements; at most {MAX_ELEMENTS}"
        )
    if isinstance(node, Conv | Pool):
        window, shape = node.window, node.ishape
        rows, columns = shape.y + window.fy + window.stride_y, shape.x + window.fx + window.stride_x
        if rows * columns * shape.c > MAX_REACH:
            raise UnsupportedError(
                f"node {node.name!r}: its map, window and stride span {rows} rows, {columns} columns and {shape.c} "
                f"channels, {rows * columns * shape.c} elements; at most {MAX_REACH}"
            )


def _check_conv(node: Conv, params: Mapping[str, IntArray]) -> None:
    filters = (node.k, node.window.fy, node.window.fx, node.c_per_group)
    shapes = {"weight": filters, "bias": (node.k,), "multiplier": (node.k,)}
    for key, shape in shapes.items():
        array = params.get(f"{node.name}.{key}")
        if array is None or array.shape != shape or array.dtype != np.int64:
            found = "nothing" if array is None else f"{array.dtype}{list(array.shape)}"
            raise UnsupportedError(f"node {node.name!r}: parameter {key!r}: expected int64{list(shape)}, got {found}")
    weight, bias, multiplier = (params[f"{node.name}.{key}"] for key in shapes)
    if weight.min() < node.wtype.qmin or weight.max() > node.wtype.qmax:
        raise UnsupportedError(f"node {node.name!r}: a weight lies outside {node.wtype}")
    if multiplier.min() < 1 or int(multiplier.max()).bit_length() > node.multiplier_bits:
        raise UnsupportedError(f"node {node.name!r}: a multiplier is not in 1 to {2**node.multiplier_bits - 1}")
    if node.scaling is not scaling_of(multiplier) and node.scaling is not Scaling.GENERAL:
        raise UnsupportedError(f"node {node.name!r}: its multipliers are not of the kind {node.scaling.value!r}")
    needed = signed_bits(*accumulator_bounds(node.itype, weight, bias))
    if needed > node.acc_bits:
        raise UnsupportedError(f"node {node.name!r}: {node.acc_bits} accumulator bits, but its weights need {needed}")
