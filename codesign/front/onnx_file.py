"""The Graph as an ONNX file of quantize and dequantize nodes (QDQ), and back from a file that was written here.

Opset 21, IR version 10. A node becomes DequantizeLinear -> Conv, MaxPool or Add -> Clip -> QuantizeLinear. Types below
8 or 16 bits live in the next larger container behind a Clip. An average pooling becomes the depthwise convolution that
it is.

QuantizeLinear rounds halves to even. Where the machine rounds them up, halves are avoided: weights are stored doubled
at half the scale. The bias gets one such half step more where the output is coarser than the accumulator. Every such
value is an odd number of half steps, never a tie. So the file computes the graph exactly, as long as multipliers and
scales are powers of two and sums stay below 2**24 (float32). For other multipliers some ties remain, which go to even.
Where the machine rounds down or up, a Floor or a Ceil stands before QuantizeLinear. Zero points are those of ONNX.

Long because both directions stand here, operator by operator.
"""

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from codesign.errors import ConfigError, UnsupportedError
from codesign.front.onnx_moves import Made, looked_up, moved
from codesign.front.onnx_numbers import ROUNDERS, container_of, fitting, half_steps, own_scale, window_attributes
from codesign.front.onnx_same import difference_of, tensors_of
from codesign.ir.files import check_file, write_bytes
from codesign.ir.graph import Encoding, Graph
from codesign.ir.strict import parse, to_plain
from codesign.ops.add import Add
from codesign.ops.arrays import IntArray
from codesign.ops.concat import Concat
from codesign.ops.conv import Conv
from codesign.ops.depth_to_space import DepthToSpace
from codesign.ops.gate import Gate
from codesign.ops.input import Input
from codesign.ops.lookup import Lookup
from codesign.ops.node import Node, Operation, Windowed
from codesign.ops.pad import Pad
from codesign.ops.pool import Pool, PoolOp
from codesign.ops.qtype import QType
from codesign.ops.requantize import HALF_UP, Rounding
from codesign.ops.resize import Resize
from codesign.ops.shuffle import Shuffle
from codesign.ops.slice import Slice
from codesign.ops.space_to_depth import SpaceToDepth

PRODUCER = "codesign"
OPSET, IR_VERSION = 21, 10
_FORMAT = 2
_FORMAT_WITHOUT_CANONICAL_DIGEST = 1  # its digest cannot be made again; nodes and weights are compared all the same
_HEADER, _DIGEST = "codesign.graph", "codesign.digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """What the ONNX nodes do not say of a graph."""

    format: int
    name: str
    nodes: tuple[Node, ...]
    input_scale: float
    output_scale: float
    labels: tuple[str, ...]
    encoding: Encoding = field(default=Encoding())
    outputs: tuple[str, ...] = ()
    output_scales: tuple[float, ...] = ()

    @property
    def scales(self) -> dict[str, float]:
        """The real value of one step of each output, by its node."""
        names = self.outputs or (self.nodes[-1].name,)
        return dict(zip(names, self.output_scales or (self.output_scale,) * len(names), strict=True))


def write_onnx(graph: Graph, path: Path) -> None:
    """Write the graph as ONNX. Input: integers [N,C,IY,IX]; output: real values, [N,K] if the last map is 1x1.

    Raise UnsupportedError if a weight or bias is too large for its container.
    """
    write_bytes(path, to_onnx(graph).SerializeToString(deterministic=True))


def read_onnx(path: Path) -> Graph:
    """Return the graph of a file that write_onnx wrote, exactly.

    Another program may have saved the file again, with added shapes, names or notes, or in another order. What it
    computes and the metadata of write_onnx must be the same.

    Raise ConfigError if the file is broken or its content was changed, UnsupportedError if another program made it.
    """
    model = _parsed(path)
    held = {p.key: p.value for p in model.metadata_props}
    if _HEADER not in held or _DIGEST not in held:
        raise _foreign(path, model)
    try:
        header = parse(_Header, json.loads(held[_HEADER]), f"{path}: {_HEADER}")
        if header.format not in (_FORMAT, _FORMAT_WITHOUT_CANONICAL_DIGEST):
            raise ConfigError(
                f"{path}: format {header.format}, of a later codesign; this one reads formats up to {_FORMAT}"
            )
        params = _params(header, tensors_of(model.graph))
        graph = Graph(params=params, **{f.name: getattr(header, f.name) for f in fields(header) if f.name != "format"})
        difference = difference_of(model.graph, to_onnx(graph).graph)
    except ConfigError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, RecursionError, UnsupportedError) as error:
        raise _changed(path, f"{error} is missing" if isinstance(error, KeyError) else str(error)) from error
    if not difference and header.format == _FORMAT and graph.digest() != held[_DIGEST]:
        difference = f"its weights or its {_HEADER} are not those of its {_DIGEST}"
    if difference:
        raise _changed(path, difference)
    return graph


def is_ours(model: Any) -> bool:
    """Tell whether write_onnx made the onnx.ModelProto, or another program saved such a one again."""
    return model.producer_name == PRODUCER or any(p.key in (_HEADER, _DIGEST) for p in model.metadata_props)


def to_onnx(graph: Graph) -> Any:
    """Return the graph as an onnx.ModelProto."""
    builder = _Builder(graph)
    for node in graph.nodes[1:]:
        builder.add(node)
    ends = [builder.end(index) for index in range(len(graph.output_nodes))]
    entry = graph.input
    made = helper.make_graph(
        builder.nodes,
        graph.name,
        [
            helper.make_tensor_value_info(
                entry.name, container_of(entry.otype)[0], ["N", entry.shape.c, entry.shape.y, entry.shape.x]
            )
        ],
        ends,
        builder.initializers,
    )
    model = helper.make_model(
        made, producer_name=PRODUCER, ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)]
    )
    header = _Header(
        format=_FORMAT,
        name=graph.name,
        nodes=graph.nodes,
        input_scale=graph.input_scale,
        output_scale=graph.output_scale,
        labels=graph.labels,
        encoding=graph.encoding,
        outputs=graph.outputs,
        output_scales=graph.output_scales,
    )
    # What is empty is left out: so files of one output are those that earlier versions wrote, and read.
    plain = {key: v for key, v in to_plain(header).items() if v or key not in ("outputs", "output_scales")}
    helper.set_model_props(model, {_HEADER: json.dumps(plain), _DIGEST: graph.digest()})
    return model


class _Builder:
    """ONNX nodes and initializers of a graph. The integers of node n are the tensor `n.q`, the input's its own name.

    Real values between nodes are the integers themselves (scale 1), but for the graph's input and output.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def add(self, node: Node) -> None:
        """Append the ONNX nodes of one node."""
        name = node.name
        match node:
            case Conv():
                weight, bias, multiplier = (self.graph.params[f"{name}.{p}"] for p in ("weight", "bias", "multiplier"))
                self._conv(node, weight, bias, multiplier, node.groups)
            case Pool() if node.op is PoolOp.MAX:
                x = self._source(node.source, name, self._scale(name))
                self.nodes.append(
                    helper.make_node("MaxPool", [x], [f"{name}.acc"], name=name, **window_attributes(node))
                )
                self._finish(node, f"{name}.acc")
            case Pool():
                c, window = node.ishape.c, node.window
                ones, counted = np.ones((c, window.fy, window.fx, 1), np.int64), bool(node.by_count)
                factor = 1 << node.shift if counted else node.multiplier
                self._conv(node, ones, np.zeros(c, np.int64), np.full(c, factor, np.int64), c)
            case Add():
                self._pair(node, "Add", [self._term(node, i, self._scale(name)) for i in range(2)])
            case Gate():
                scales = (node.multiplier * self._scale(name) / 2.0**node.shift, 1.0)
                factors = zip(node.sources, scales, strict=True)
                self._pair(node, "Mul", [self._source(s, f"{name}.{i}", v) for i, (s, v) in enumerate(factors)])
            case Concat():
                maps = [self._source(s, f"{name}.{i}", self._scale(name)) for i, s in enumerate(node.sources)]
                self.nodes.append(helper.make_node("Concat", maps, [f"{name}.acc"], name=name, axis=1))
                self._finish(node, f"{name}.acc")
            case Lookup():
                is_input = node.source == self.graph.input.name
                integers = node.source if is_input else f"{node.source}.q"
                table = self.graph.params[f"{name}.table"]
                self._extend(looked_up(node, integers, table, container_of(node.otype)[1]))
            case Resize() | Pad() | Slice() | DepthToSpace() | SpaceToDepth() | Shuffle():
                scale = self._scale(name)
                self._extend(moved(node, self._source(node.source, name, scale), scale))
                self._finish(node, f"{name}.acc")
            case Input():
                raise AssertionError("the input is not a node of the ONNX graph")

    def _conv(self, node: Windowed, weight: IntArray, bias: IntArray, multiplier: IntArray, groups: int) -> None:
        """Add weight[K,FY,FX,C], bias[K], multiplier[K]: doubled, and half an accumulator step more where ties are."""
        name, source = node.name, self._scale(node.source)
        x = self._source(node.source, name, source, node.zero_in)
        fraction = node.bias_fraction if isinstance(node, Conv) else 0
        step = multiplier / 2.0 ** (node.shift + 1) * self._scale(name)
        doubled = fitting(2 * weight.transpose(0, 3, 1, 2), name)
        self._constant(f"{name}.weight", doubled)
        self._constant(f"{name}.weight_scale", (step * 2.0**fraction / source).astype(np.float32))
        self._constant(f"{name}.weight_zero", np.zeros(len(step), doubled.dtype))
        self._constant(f"{name}.bias", fitting(2 * bias + half_steps(node, multiplier), name, np.int32))
        self._constant(f"{name}.bias_scale", step.astype(np.float32))
        for part, zero in (("weight", [f"{name}.weight_zero"]), ("bias", [])):
            inputs = [f"{name}.{part}", f"{name}.{part}_scale", *zero]
            made = helper.make_node("DequantizeLinear", inputs, [f"{name}.{part}.r"], name=f"{name}.{part}.dq", axis=0)
            self.nodes.append(made)
        inputs = [x, f"{name}.weight.r", f"{name}.bias.r"]
        self.nodes.append(
            helper.make_node("Conv", inputs, [f"{name}.acc"], name=name, group=groups, **window_attributes(node))
        )
        self._finish(node, self._scaled_by_count(node) if isinstance(node, Pool) and node.by_count else f"{name}.acc")

    def _scaled_by_count(self, node: Pool) -> str:
        """Multiply each position's sum by a factor of its own, and round halves up; return the tensor."""
        name, found = node.name, f"{node.name}.mean"
        factors = node.multiplier_map().transpose(2, 0, 1)[None] / 2.0**node.shift
        self._constant(f"{name}.factors", factors.astype(np.float32))
        self.nodes.append(helper.make_node("Mul", [f"{name}.acc", f"{name}.factors"], [found], name=f"{name}.by_count"))
        if node.rule.rounding is not Rounding.HALF_UP:
            return found
        self._constant(f"{name}.half", np.array(0.5, np.float32))
        self.nodes.append(helper.make_node("Add", [found, f"{name}.half"], [f"{name}.up"], name=f"{name}.half_up"))
        self.nodes.append(helper.make_node("Floor", [f"{name}.up"], [f"{name}.rounded"], name=f"{name}.floor"))
        return f"{name}.rounded"

    def _pair(self, node: Add | Gate, operator: str, pair: list[str]) -> None:
        """Add a sum or product of two maps, and half of its finest step more, so that there are no ties."""
        name, own = node.name, self._scale(node.name)
        self.nodes.append(helper.make_node(operator, pair, [f"{name}.acc"], name=name))
        if node.shift == 0 or node.rule.rounding is not Rounding.HALF_UP:
            self._finish(node, f"{name}.acc")
            return
        self._constant(f"{name}.half", np.array(0.5 ** (node.shift + 1) * own, np.float32))
        self.nodes.append(
            helper.make_node("Add", [f"{name}.acc", f"{name}.half"], [f"{name}.up"], name=f"{name}.half_up")
        )
        self._finish(node, f"{name}.up")

    def _extend(self, made: Made) -> None:
        """Append nodes, and the constants that they read."""
        self.nodes += made.nodes
        for name, value in made.constants.items():
            self._constant(name, value)

    def _term(self, node: Add, index: int, own: float) -> str:
        """Return the real tensor of an input times its multiplier; scales are positive, so a Neg makes the sign."""
        multiplier, term = node.multipliers[index], f"{node.name}.{index}"
        real = self._source(node.sources[index], term, abs(multiplier) / 2.0**node.shift * own, node.zeros[index])
        if multiplier > 0:
            return real
        self.nodes.append(helper.make_node("Neg", [real], [f"{term}.minus"], name=f"{term}.neg"))
        return f"{term}.minus"

    def _finish(self, node: Operation, tensor: str) -> None:
        """Round where QuantizeLinear does it otherwise, clamp unless the container does, and quantize."""
        name, qtype, scale = node.name, node.otype, self._scale(node.name)
        rule = node.rule if isinstance(node, Conv | Pool | Add) else HALF_UP
        if rule.rounding in ROUNDERS:
            made = helper.make_node(ROUNDERS[rule.rounding], [tensor], [f"{name}.whole"], name=f"{name}.round")
            self.nodes.append(made)
            tensor = f"{name}.whole"
        low, high = rule.limits(qtype)
        if qtype.bits not in (8, 16) or (low, high) != (qtype.qmin, qtype.qmax):
            self._constant(f"{name}.low", np.array((low - rule.zero) * scale, np.float32))
            self._constant(f"{name}.high", np.array((high - rule.zero) * scale, np.float32))
            inputs = [tensor, f"{name}.low", f"{name}.high"]
            self.nodes.append(helper.make_node("Clip", inputs, [f"{name}.clip"], name=f"{name}.clip"))
            tensor = f"{name}.clip"
        self._constant(f"{name}.scale", np.array(scale, np.float32))
        self._constant(f"{name}.zero", np.array(rule.zero, container_of(qtype)[1]))
        inputs = [tensor, f"{name}.scale", f"{name}.zero"]
        self.nodes.append(helper.make_node("QuantizeLinear", inputs, [f"{name}.q"], name=f"{name}.quantize"))

    def _source(self, source: str, reader: str, scale: float, zero: int = 0) -> str:
        """Dequantize the output of a node for one reader; return the real tensor's name."""
        integers = source if source == self.graph.input.name else f"{source}.q"
        self.dequantize(integers, f"{reader}.x", scale, self.graph.node(source).otype, zero)
        return f"{reader}.x"

    def dequantize(self, integers: str, real: str, scale: float, qtype: QType, zero: int = 0) -> None:
        """Append a DequantizeLinear."""
        self._constant(f"{real}.scale", np.array(scale, np.float32))
        self._constant(f"{real}.zero", np.array(zero, container_of(qtype)[1]))
        inputs = [integers, f"{real}.scale", f"{real}.zero"]
        self.nodes.append(helper.make_node("DequantizeLinear", inputs, [real], name=f"{real}.dq"))

    def end(self, index: int) -> Any:
        """Append what makes real values of an output, flat where its map is 1x1; return the tensor's name and shape."""
        out, scale = self.graph.output_nodes[index], self.graph.scales[index]
        number = "" if len(self.graph.output_nodes) == 1 else str(index)
        real, output = f"real{number}", f"output{number}"
        flat = out.oshape.y * out.oshape.x == 1
        self.dequantize(f"{out.name}.q", real if flat else output, scale, out.otype)
        shape: list[str | int] = ["N", out.oshape.c, out.oshape.y, out.oshape.x]
        if flat:
            self.nodes.append(helper.make_node("Flatten", [real], [output], name=f"flatten{number}", axis=1))
        return helper.make_tensor_value_info(output, TensorProto.FLOAT, shape[:2] if flat else shape)

    def _scale(self, name: str) -> float:
        if name == self.graph.input.name:
            return self.graph.input_scale
        scales = zip(self.graph.output_nodes, self.graph.scales, strict=True)
        return next((own_scale(node, scale) for node, scale in scales if node.name == name), 1.0)

    def _constant(self, name: str, array: npt.NDArray[Any]) -> None:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))


def _params(header: _Header, held: dict[str, npt.NDArray[Any]]) -> dict[str, IntArray]:
    """Return the parameters of the graph from the doubled ones and the scales of the file. Raise ValueError."""
    scales = header.scales if header.nodes else {}
    if not scales or not all(2.0**-99 < scale < 2.0**99 for scale in (header.input_scale, *scales.values())):
        raise ValueError(f"{_HEADER} has no nodes, or a scale that no graph has")
    params: dict[str, IntArray] = {}
    for node in header.nodes:
        if isinstance(node, Conv):
            own = own_scale(node, scales[node.name]) if node.name in scales else 1.0
            weight, bias = (_kept(held, f"{node.name}.{part}", "i", 2.0**31) for part in ("weight", "bias"))
            scale = _kept(held, f"{node.name}.bias_scale", "f", 2.0**16 * own / 2.0 ** (node.shift + 1))
            multiplier = scale.astype(np.float64) * 2.0 ** (node.shift + 1) / own
            params[f"{node.name}.weight"] = weight.transpose(0, 2, 3, 1).astype(np.int64) // 2
            params[f"{node.name}.bias"] = bias.astype(np.int64) // 2  # the half step falls away
            params[f"{node.name}.multiplier"] = np.floor(multiplier + 0.5).astype(np.int64)
        if isinstance(node, Lookup):
            table = held[f"{node.name}.table"].reshape(node.parameters["table"])
            params[f"{node.name}.table"] = table.astype(np.int64)
    return params


def _kept(held: dict[str, npt.NDArray[Any]], name: str, kind: str, most: float) -> npt.NDArray[Any]:
    """Return the array of that name and numpy kind. Raise ValueError unless its values are numbers of at most that
    size.
    """
    array = held[name]
    if array.dtype.kind != kind or not (np.abs(array.astype(np.float64)) <= most).all():
        raise ValueError(f"tensor {name!r} is not of the type or the range that was written")
    return array


def _parsed(path: Path) -> Any:
    check_file(path)
    try:
        return onnx.load_model_from_string(path.read_bytes())
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except Exception as error:  # protobuf's own exceptions differ between its versions
        raise ConfigError(f"{path}: not an ONNX file: {error}") from error


def _changed(path: Path, how: str) -> ConfigError:
    return ConfigError(f"{path}: changed since it was written: {how}; bring the file as codesign wrote it")


def _foreign(path: Path, model: Any) -> UnsupportedError:
    if model.producer_name == PRODUCER:
        return UnsupportedError(
            f"{path}: written by codesign, but its metadata {_HEADER} and {_DIGEST} are gone; a program that saved it "
            "again may have left them out. Bring the file as codesign wrote it"
        )
    producer = model.producer_name or "an unnamed program"
    return UnsupportedError(f"{path}: written by {producer}, not by codesign; front.read reads files of other tools")
