"""Which operators and attributes of ONNX are read: readers check files by this table, docs/operators.md shows it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from onnx import TensorProto

from codesign.front.onnx_model import OnnxNode
from codesign.front.problem import Problem

QONNX = frozenset({"qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general"})
MICROSOFT = frozenset({"com.microsoft"})
CHANNELS_LAST = "qonnx.custom_op.channels_last"  # maps lie as [N, Y, X, C] there, weights as elsewhere
_ONNX = frozenset({""})
_BOTH = frozenset({"", CHANNELS_LAST})


@dataclass(frozen=True, slots=True)
class Rule:
    """An attribute: what of it is supported, in words, and as a check of one value."""

    attribute: str
    supported: str
    accepts: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class OperatorRule:
    """An operator: the domains it comes from, what its inputs may be, and its attributes."""

    domains: frozenset[str]
    inputs: str
    rules: tuple[Rule, ...] = ()


def _any(attribute: str, supported: str = "any") -> Rule:
    return Rule(attribute, supported, lambda value: True)


def _only(attribute: str, *values: Any) -> Rule:
    return Rule(attribute, " or ".join(str(v) for v in values), lambda value: value in values)


_AUTO_PAD = _only("auto_pad", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
_WINDOW = (
    _AUTO_PAD,
    Rule("dilations", "any; 1 or 2 axes", lambda v: len(v) in (1, 2) and min(v) >= 1),
    Rule("kernel_shape", "any; 1 or 2 axes", lambda v: len(v) in (1, 2) and min(v) >= 1),
    Rule("pads", "any from 0 on", lambda v: len(v) in (2, 4) and min(v) >= 0),
    Rule("strides", "any; 1 or 2 axes", lambda v: len(v) in (1, 2) and min(v) >= 1),
)
_AXIS = _any("axis", "that of the channels, of a weight")
_ROUNDINGS = ("ROUND", "HALF_EVEN", "HALF_UP", "HALF_DOWN", "UP", "DOWN", "CEIL", "FLOOR")
_QUANT = OperatorRule(
    QONNX,
    "constant scale, zero point and bits: 2 to 16 for maps, to 32 for constants, which may have a scale per channel",
    (
        _only("narrow", 0, 1),
        Rule(
            "rounding_mode",
            "all; of maps with negative values ROUND, FLOOR and CEIL",
            lambda v: str(v).upper() in _ROUNDINGS,
        ),
        _only("signed", 0, 1),
    ),
)
_TABLE = "between two quantizations, the first of at most 10 bits: a table"
_ACTIVATIONS: dict[str, tuple[Rule, ...]] = {
    "Celu": (_any("alpha"),),
    "Elu": (_any("alpha"),),
    "Gelu": (_only("approximate", "none", "tanh"),),
    "HardSigmoid": (_any("alpha"), _any("beta")),
    "HardSwish": (),
    "LeakyRelu": (_any("alpha"),),
    "Mish": (),
    "Selu": (_any("alpha"), _any("gamma")),
    "Sigmoid": (),
    "Softplus": (),
    "Softsign": (),
    "Swish": (_any("alpha"),),
    "Tanh": (),
}
_SOFTMAX = "the last node: left to the host; inside a network over two channels: a table"
_QLINEAR = "8-bit tensors with constant scales and zero points"

RULES: dict[str, OperatorRule] = {
    "Add": OperatorRule(_ONNX, "two maps of one shape, or a map and a constant per channel"),
    "ArgMax": OperatorRule(
        _ONNX, "the last node only: left to the host", tuple(map(_any, ("axis", "keepdims", "select_last_index")))
    ),
    "AveragePool": OperatorRule(_ONNX, "a map", (*_WINDOW, _only("ceil_mode", 0, 1), _only("count_include_pad", 0, 1))),
    "BatchNormalization": OperatorRule(
        _BOTH,
        "constant statistics; folded into the convolution before it",
        (_any("epsilon"), _only("is_test", 1), _any("momentum"), _only("spatial", 1), _only("training_mode", 0)),
    ),
    "Cast": OperatorRule(
        _ONNX,
        "to float32 or float64; of constants any",
        (
            Rule("to", "FLOAT or DOUBLE", lambda v: v in (TensorProto.FLOAT, TensorProto.DOUBLE)),
            _any("saturate"),
            _any("round_mode"),
        ),
    ),
    "Clip": OperatorRule(_ONNX, "constant bounds", (_any("max"), _any("min"))),
    "Concat": OperatorRule(_ONNX, "maps of one extent and one scale", (_any("axis", "that of the channels"),)),
    "Constant": OperatorRule(
        _ONNX, "none", tuple(map(_any, ("value", "value_float", "value_floats", "value_int", "value_ints")))
    ),
    "Conv": OperatorRule(_BOTH, "constant quantized weights, symmetric or with zero points", (*_WINDOW, _any("group"))),
    "ConvTranspose": OperatorRule(
        _ONNX,
        "as Conv; composed of zeros between pixels and a convolution",
        (
            *_WINDOW,
            _any("group"),
            Rule("output_shape", "any from 1 on", lambda v: len(v) in (1, 2) and min(v) >= 1),
            Rule("output_padding", "any from 0 on", lambda v: len(v) in (1, 2) and min(v) >= 0),
        ),
    ),
    "DepthToSpace": OperatorRule(
        _ONNX, "a map", (Rule("blocksize", "any from 1 on", lambda v: v >= 1), _only("mode", "DCR", "CRD"))
    ),
    "SpaceToDepth": OperatorRule(
        _ONNX, "a map", (Rule("blocksize", "any from 1 on", lambda v: v >= 1), _only("mode", "DCR", "CRD"))
    ),
    "Split": OperatorRule(
        _ONNX, "channels", (_any("axis", "that of the channels"), _any("split"), _any("num_outputs"))
    ),
    "Slice": OperatorRule(_ONNX, "channels, in steps of 1", tuple(map(_any, ("axes", "ends", "starts")))),
    **{name: OperatorRule(_ONNX, _TABLE, rules) for name, rules in _ACTIVATIONS.items()},
    "PRelu": OperatorRule(_ONNX, f"{_TABLE}; a constant slope, one or per channel"),
    "DequantizeLinear": OperatorRule(
        _ONNX,
        "constant scale and zero point; of a map those of its QuantizeLinear",
        (_AXIS, _only("block_size", 0), _any("output_dtype")),
    ),
    "Div": OperatorRule(_ONNX, "a map by a constant, one or per channel", ()),
    "Dropout": OperatorRule(_ONNX, "left out", (_any("ratio"), _any("seed"), _only("is_test", 1))),
    "Flatten": OperatorRule(
        _ONNX,
        "before a fully connected layer, or where only 1x1 maps flow",
        (_any("axis", "the first after the batch"),),
    ),
    "Gemm": OperatorRule(
        _ONNX,
        "a vector times constant quantized weights, and a constant bias",
        (_any("alpha"), _any("beta"), _only("broadcast", 0, 1), _only("transA", 0), _only("transB", 0, 1)),
    ),
    "GlobalAveragePool": OperatorRule(_ONNX, "a map"),
    "GlobalMaxPool": OperatorRule(_ONNX, "a map"),
    "Identity": OperatorRule(_ONNX, "left out"),
    "IntQuant": _QUANT,
    "LogSoftmax": OperatorRule(_ONNX, "the last node only: left to the host", (_any("axis"),)),
    "MatMul": OperatorRule(_ONNX, "a vector times constant quantized weights"),
    "MaxPool": OperatorRule(
        _BOTH, "a map; one output", (*_WINDOW, _only("ceil_mode", 0, 1), _only("storage_order", 0))
    ),
    "Mul": OperatorRule(_ONNX, "a map and a constant, one or per channel; two maps of one shape; a map and a 1x1 gate"),
    "Pad": OperatorRule(
        _ONNX,
        "a constant around rows and columns; zeros around channels",
        (
            _only("mode", "constant"),
            _any("pads", "of all but the batch, from 0 on"),
            _any("value", "any number"),
        ),
    ),
    "QLinearLeakyRelu": OperatorRule(MICROSOFT, _QLINEAR, (_any("alpha"),)),
    "QLinearMul": OperatorRule(MICROSOFT, _QLINEAR + ", as Mul"),
    "QLinearSigmoid": OperatorRule(MICROSOFT, _QLINEAR),
    "QGemm": OperatorRule(MICROSOFT, _QLINEAR, (_only("alpha", 1.0), _only("transA", 0), _only("transB", 0, 1))),
    "QLinearAdd": OperatorRule(MICROSOFT, _QLINEAR),
    "QLinearAveragePool": OperatorRule(
        MICROSOFT,
        _QLINEAR,
        (*_WINDOW, _only("ceil_mode", 0, 1), _only("count_include_pad", 0, 1), _only("channels_last", 0)),
    ),
    "QLinearConcat": OperatorRule(MICROSOFT, _QLINEAR, (_any("axis", "that of the channels"),)),
    "QLinearConv": OperatorRule(_ONNX, _QLINEAR, (*_WINDOW, _any("group"))),
    "QLinearGlobalAveragePool": OperatorRule(MICROSOFT, _QLINEAR, (_only("channels_last", 0),)),
    "QLinearMatMul": OperatorRule(_ONNX, _QLINEAR),
    "QLinearSoftmax": OperatorRule(MICROSOFT, _SOFTMAX, (_any("axis"), _any("opset"))),
    "Quant": _QUANT,
    "QuantizeLinear": OperatorRule(
        _ONNX,
        "constant scale and zero point, one for a map, one or per channel for a weight",
        (
            _AXIS,
            _only("block_size", 0),
            _any("output_dtype", "int8, uint8, int16, uint16"),
            _any("precision"),
            _only("saturate", 1),
        ),
    ),
    "ReduceMean": OperatorRule(
        _ONNX,
        "over rows, columns or both",
        (_any("axes", "of rows and columns"), _only("keepdims", 0, 1), _only("noop_with_empty_axes", 0)),
    ),
    "Relu": OperatorRule(_ONNX, "before a quantization"),
    "Reshape": OperatorRule(_ONNX, "constant shape; as Flatten", (_only("allowzero", 0),)),
    "Resize": OperatorRule(
        _ONNX,
        "whole constant factors of rows and columns: pixels repeated, left out, or interpolated",
        (
            _only("mode", "nearest", "linear"),
            _any("axes", "rows, columns and channels"),
            _only(
                "coordinate_transformation_mode",
                "half_pixel",
                "half_pixel_symmetric",
                "pytorch_half_pixel",
                "align_corners",
                "asymmetric",
            ),
            _only("nearest_mode", "round_prefer_floor", "round_prefer_ceil", "floor", "ceil"),
            _any("cubic_coeff_a", "not read"),
            _any("exclude_outside", "not read"),
            _any("extrapolation_value", "not read"),
            _only("antialias", 0),
            _only("keep_aspect_ratio_policy", "stretch"),
        ),
    ),
    "Softmax": OperatorRule(_ONNX, _SOFTMAX, (_any("axis"),)),
    "Squeeze": OperatorRule(_ONNX, "as Flatten", (_any("axes"),)),
    "Sub": OperatorRule(_ONNX, "two maps of one shape, or a map and a constant per channel"),
    "Sum": OperatorRule(_ONNX, "maps of one shape, and constants as of Add: additions, one after the other"),
    "Transpose": OperatorRule(_ONNX, "between channels first and channels last", (_any("perm"),)),
    "Unsqueeze": OperatorRule(_ONNX, "as Flatten", (_any("axes"),)),
}

# Operators that people bring and that are refused: the reason, and the nearest supported form.
REFUSED: dict[str, tuple[str, str]] = {
    "BipolarQuant": ("values of one bit, -1 and 1", "quantize to 2 bits with Quant"),
    "Trunc": ("truncation of a quantized value", "a Quant whose rounding_mode is FLOOR"),
    "FloatQuant": ("small floating-point types", "Quant with 2 to 16 bits"),
    "MultiThreshold": ("thresholds of FINN", "export from Brevitas as QONNX, before FINN's transformations"),
    "DynamicQuantizeLinear": ("scales that are computed at run time", "quantize statically, with calibration"),
    "ConvInteger": ("sums without a scale, of dynamic quantization", "quantize statically, with calibration"),
    "MatMulInteger": ("sums without a scale, of dynamic quantization", "quantize statically, with calibration"),
    "LSTM": ("a recurrent layer", "convolutions over time"),
    "GRU": ("a recurrent layer", "convolutions over time"),
    "LayerNormalization": ("statistics that are computed at run time", "BatchNormalization"),
    "InstanceNormalization": ("statistics that are computed at run time", "BatchNormalization"),
}


def rule_problem(node: OnnxNode) -> Problem | None:
    """Return what the table says against a node; None if its operator and attributes are supported."""

    def problem(found: str, instead: str) -> Problem:
        return Problem(node=node.name, operator=node.operator, found=found, instead=instead)

    rule = RULES.get(node.operator)
    if rule is None or node.domain not in rule.domains:
        if node.operator in REFUSED:
            return problem(f"is not supported: {REFUSED[node.operator][0]}", f"use {REFUSED[node.operator][1]}")
        of = f" of the domain {node.domain!r}" if node.domain else ""
        return problem(f"the operator{of} is not supported", "docs/operators.md lists those that are")
    known = {r.attribute: r for r in rule.rules}
    for attribute, value in node.attributes.items():
        if attribute not in known:
            allowed = ", ".join(known) or "none"
            return problem(f"attribute {attribute} = {_short(value)} is not supported", f"expected of: {allowed}")
        try:
            accepted = known[attribute].accepts(value)
        except (TypeError, ValueError):
            accepted = False
        if not accepted:
            expected = known[attribute].supported
            return problem(f"attribute {attribute} = {_short(value)} is not supported", f"expected {expected}")
    return None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
