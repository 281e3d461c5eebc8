"""An ONNX file as plain data, checked before anything is made of it: no other file is read, and nothing is run."""

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from codesign.errors import ConfigError, UnsupportedError
from codesign.front.limits import MOST_BYTES, MOST_NODES, MOST_WEIGHTS
from codesign.front.problem import Problem, refuse
from codesign.ir.files import check_file

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class OnnxNode:
    """One node of the file: its tensors by name, and its attributes as numbers, texts, lists and arrays."""

    name: str
    operator: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class OnnxModel:
    """What the file holds: nodes in order of computation, its constants, its input with extents, its outputs.

    An extent of the input is None where the file leaves it open; the first is the batch.
    """

    path: Path
    producer: str
    opset: int
    nodes: tuple[OnnxNode, ...]
    arrays: Mapping[str, Array]
    input: str
    input_type: int
    extents: tuple[int | None, ...]
    outputs: tuple[str, ...]


def parse_onnx(path: Path) -> Any:
    """Return the file as onnx.ModelProto. Raise ConfigError if it is missing, too large or no ONNX file."""
    check_file(path)
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise ConfigError(f"{path}: has {size:,} bytes; expected at most {MOST_BYTES:,}")
        return onnx.load_model_from_string(path.read_bytes())
    except ConfigError:
        raise
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except Exception as error:  # protobuf's own exceptions differ between its versions
        raise ConfigError(f"{path}: not an ONNX file: {error}") from error


def read_model(path: Path, proto: Any) -> OnnxModel:
    """Return what the file holds. Raise ConfigError if it is not whole, UnsupportedError if nothing reads it."""
    made = proto.graph
    if not made.node:
        raise ConfigError(f"{path}: holds no network: it has no nodes")
    if len(made.node) > MOST_NODES:
        raise UnsupportedError(f"{path}: has {len(made.node):,} nodes; at most {MOST_NODES:,} are read")
    if proto.functions or made.sparse_initializer:
        what = "functions of its own" if proto.functions else "sparse tensors"
        raise UnsupportedError(f"{path}: has {what}, which are not read; export it without them")
    arrays = _arrays(path, made)
    nodes = _nodes(path, made)
    inputs = [i for i in made.input if _text(i.name) not in arrays]
    if len(inputs) != 1:
        named = ", ".join(repr(_text(i.name)) for i in inputs) or "none"
        raise UnsupportedError(f"{path}: expected one input, found {len(inputs)}: {named}")
    (entry,) = inputs
    tensor = entry.type.tensor_type
    extents = tuple(d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in tensor.shape.dim)
    return OnnxModel(
        path=path,
        producer=_text(proto.producer_name),
        opset=max((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), default=1),
        nodes=_sorted(path, nodes, {_text(entry.name), *arrays}),
        arrays=arrays,
        input=_text(entry.name),
        input_type=tensor.elem_type,
        extents=extents,
        outputs=tuple(_text(o.name) for o in made.output),
    )


def _arrays(path: Path, made: Any) -> dict[str, Array]:
    """Return the constants by name. Raise ConfigError if one is elsewhere, damaged, double or not finite."""
    found: dict[str, Array] = {}
    total = 0
    for tensor in made.initializer:
        name = _text(tensor.name)
        if name in found:
            raise ConfigError(f"{path}: tensor {name!r} is there twice")
        total += math.prod(tensor.dims)
        if total > MOST_WEIGHTS or min(tensor.dims, default=1) < 0:
            raise UnsupportedError(
                f"{path}: tensor {tensor.name!r} has the extents {list(tensor.dims)}, the constants up to it together "
                f"{total:,} elements; at most {MOST_WEIGHTS:,} are read"
            )
        found[name] = _array(path, tensor)
    return found


def _array(path: Path, tensor: Any) -> Array:
    """Return one tensor as an array. Raise ConfigError naming it."""
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise ConfigError(
            f"{path}: tensor {tensor.name!r} lies in another file; save the model as one file, as "
            "onnx.save(onnx.load(FILE), NEW) does"
        )
    try:
        array = numpy_helper.to_array(tensor)
    except Exception as error:  # whatever numpy and onnx make of damaged data
        raise ConfigError(f"{path}: tensor {tensor.name!r} is damaged: {error}") from error
    if array.dtype.kind not in "fiub":
        array = array.astype(np.float64) if array.dtype.kind == "V" else array
    if array.dtype.kind not in "fiub":
        raise UnsupportedError(f"{path}: tensor {tensor.name!r} has the type {array.dtype}; expected numbers")
    return array


def _nodes(path: Path, made: Any) -> list[OnnxNode]:
    """Return the nodes as plain data. Raise UnsupportedError naming all that hold a network inside."""
    nodes, problems = [], []
    for i, node in enumerate(made.node):
        name = _text(node.name) or f"{_text(node.op_type)}_{i}"
        kinds = {a.type for a in node.attribute}
        if kinds & {onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS}:
            found = "holds a network of its own, which runs under a condition"
            problems.append(
                Problem(node=name, operator=_text(node.op_type), found=found, instead="export without control flow")
            )
            continue
        domain = "" if node.domain == "ai.onnx" else _text(node.domain)
        attributes = {_text(a.name): _attribute(path, name, a) for a in node.attribute}
        inputs, outputs = (tuple(map(_text, tensors)) for tensors in (node.input, node.output))
        nodes.append(OnnxNode(name, _text(node.op_type), domain, inputs, outputs, attributes))
    refuse(str(path), problems)
    return nodes


def _text(value: str | bytes) -> str:
    """Return a text of the file; protobuf gives bytes where it is not UTF-8."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _attribute(path: Path, node: str, attribute: Any) -> Any:
    """Return an attribute as a number, a text, a list or an array. Raise ConfigError naming its node."""
    if attribute.type == onnx.AttributeProto.TENSOR:
        if math.prod(attribute.t.dims) > MOST_WEIGHTS or min(attribute.t.dims, default=1) < 0:
            raise UnsupportedError(f"{path}: node {node!r}: {attribute.name} has the extents {list(attribute.t.dims)}")
        return _array(path, attribute.t)
    try:
        value = helper.get_attribute_value(attribute)
    except ValueError as error:
        raise ConfigError(f"{path}: node {node!r}: attribute {attribute.name!r}: {error}") from error
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return list(value) if attribute.type in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS) else value


def _sorted(path: Path, nodes: list[OnnxNode], known: set[str]) -> tuple[OnnxNode, ...]:
    """Return the nodes so that each stands behind those it reads.

    Raise ConfigError if a tensor is made twice, by nobody, or of itself.
    """
    made: dict[str, str] = {}
    for node in nodes:
        for output in node.outputs:
            if output and (output in made or output in known):
                raise ConfigError(f"{path}: tensor {output!r} is made twice, by node {node.name!r} too")
            made[output] = node.name
    for node in nodes:
        for tensor in node.inputs:
            if tensor and tensor not in made and tensor not in known:
                raise ConfigError(f"{path}: node {node.name!r} reads tensor {tensor!r}, which is not in the file")
    return _ordered(path, nodes, known)


def _ordered(path: Path, nodes: list[OnnxNode], known: set[str]) -> tuple[OnnxNode, ...]:
    """Return the nodes so that each stands behind those it reads, in the file's order where that is free."""
    readers: dict[str, list[int]] = {}
    missing = []
    for i, node in enumerate(nodes):
        needed = {tensor for tensor in node.inputs if tensor and tensor not in known}
        missing.append(len(needed))
        for tensor in needed:
            readers.setdefault(tensor, []).append(i)
    ready = [i for i, count in enumerate(missing) if count == 0]
    heapq.heapify(ready)
    order = []
    while ready:
        node = nodes[heapq.heappop(ready)]
        order.append(node)
        for tensor in node.outputs:
            for i in readers.get(tensor, ()):
                missing[i] -= 1
                if missing[i] == 0:
                    heapq.heappush(ready, i)
    if len(order) < len(nodes):
        late = next(node for i, node in enumerate(nodes) if missing[i])
        raise ConfigError(f"{path}: node {late.name!r} depends on what it gives itself: the network has a cycle")
    return tuple(order)
