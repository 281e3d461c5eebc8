"""Every refusal of nodes and graphs: one case at least for each `raise` of codesign/ops and ir/graph.py."""

import ast
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
import pytest

from codesign import ops
from codesign.errors import UnsupportedError
from codesign.ir import graph as graph_module
from codesign.ir.graph import Encoding, Graph
from codesign.ops.add import Add
from codesign.ops.arrays import IntArray
from codesign.ops.concat import Concat
from codesign.ops.conv import Conv
from codesign.ops.depth_to_space import DepthToSpace
from codesign.ops.gate import Gate
from codesign.ops.input import Input
from codesign.ops.lookup import Lookup
from codesign.ops.node import Node
from codesign.ops.pad import Pad
from codesign.ops.pool import Pool, PoolOp
from codesign.ops.qtype import QType
from codesign.ops.requantize import OutputRule, Scaling
from codesign.ops.resize import Resize
from codesign.ops.shapes import Shape, Window
from codesign.ops.shuffle import Shuffle
from codesign.ops.slice import Slice
from codesign.ops.space_to_depth import SpaceToDepth
from codesign.testing.small import small_graph

S8, U8 = QType(8, signed=True), QType(8, signed=False)
X = Input(name="x", shape=Shape(4, 4, 2), otype=U8)
CONV = Conv(
    name="conv", source="x", ishape=X.shape, itype=U8, k=2, window=Window(fy=1, fx=1), groups=1, wtype=S8, acc_bits=20,
    scaling=Scaling.GENERAL, multiplier_bits=8, shift=4, otype=U8,
)  # fmt: skip
POOL = Pool(
    name="pool", source="conv", ishape=CONV.oshape, itype=U8, op=PoolOp.AVERAGE, window=Window(fy=2, fx=2),
    multiplier=1, shift=2, otype=U8,
)  # fmt: skip
ADD = Add(name="add", sources=("x", "conv"), ishape=X.shape, itypes=(U8, U8), multipliers=(1, 1), shift=1, otype=U8)
CONCAT = Concat(name="concat", sources=("x", "conv"), ishapes=(X.shape, CONV.oshape), otype=U8)
RESIZE = Resize(name="resize", source="conv", ishape=CONV.oshape, fy=2, fx=3, otype=U8)
LOOKUP = Lookup(name="lookup", source="conv", ishape=CONV.oshape, itype=U8, per_channel=True, otype=S8)
SLICE = Slice(name="slice", source="conv", ishape=CONV.oshape, start=1, stop=2, otype=U8)
GATE = Gate(
    name="gate", sources=("x", "conv"), ishape=X.shape, gate_shape=X.shape, itypes=(U8, U8), multiplier=1, shift=8,
    otype=U8,
)  # fmt: skip
PAD = Pad(
    name="pad", source="conv", ishape=CONV.oshape, top=1, left=0, bottom=0, right=5, stride_y=1, stride_x=1, value=255,
    otype=U8,
)  # fmt: skip
APART = DepthToSpace(name="apart", source="conv", ishape=CONV.oshape, block=1, otype=U8)
TOGETHER = SpaceToDepth(name="together", source="conv", ishape=CONV.oshape, block=2, otype=U8)
SHUFFLE = Shuffle(name="shuffle", source="conv", ishape=CONV.oshape, groups=2, otype=U8)
TABLE = {"lookup.table": np.full((2, 256), -128, dtype=np.int64)}
PARAMS = {
    "conv.weight": np.array([[[[1, -2]]], [[[3, 127]]]], dtype=np.int64),
    "conv.bias": np.array([0, 5], dtype=np.int64),
    "conv.multiplier": np.array([1, 255], dtype=np.int64),
}


def graph(*nodes: Node, others: Mapping[str, object] | None = None, **params: object) -> Graph:
    """A graph of these nodes with the parameters of CONV, some of them replaced, and others; None takes one away."""
    changed = {f"conv.{key}": value for key, value in params.items()}
    held = {key: value for key, value in {**PARAMS, **changed, **(others or {})}.items() if value is not None}
    return Graph("case", nodes, {key: np.array(value) for key, value in held.items()})


def changed(node: Node, **fields: object) -> Node:
    return dataclasses.replace(node, **fields)  # type: ignore[arg-type]


def weight_with(value: int) -> IntArray:
    weight = PARAMS["conv.weight"].copy()
    weight[0, 0, 0, 1] = value
    return weight


Refused = tuple[Callable[[], object], type[Exception], str]

CASES: dict[str, Refused] = {
    # integer types
    "a type of one bit": (lambda: QType(1, signed=True), ValueError, "bits: expected 2 to 16, got 1"),
    "a type of 17 bits": (lambda: QType(17, signed=False), ValueError, "bits: expected 2 to 16, got 17"),
    # shapes and windows
    "an empty map": (lambda: Shape(4, 0, 2), ValueError, "shape: expected positive extents, got 4x0x2"),
    "an empty window": (lambda: Window(fy=0, fx=1), ValueError, "window: expected positive extents, strides and"),
    "a stride of 0": (lambda: Window(fy=1, fx=1, stride_x=0), ValueError, "positive extents, strides and"),
    "padding below 0": (lambda: Window(fy=3, fx=3, pad_left=-1), ValueError, "0 <= padding < kernel, dilated, on each"),
    "a dilation of 0": (lambda: Window(fy=1, fx=1, dilation_y=0), ValueError, "extents, strides and dilations"),
    "padding of a whole dilated window": (
        lambda: Window(fy=3, fx=3, dilation_y=2, pad_bottom=5), ValueError, "0 <= padding < kernel, dilated"),
    "a dilated window that reads nothing": (
        lambda: changed(POOL, ishape=Shape(1, 1, 2), window=Window(fy=2, fx=1, dilation_y=2, pad_top=1, pad_bottom=1)),
        ValueError, "pool: no position of its window lies in the map of 1x1x2; pad or dilate less"),
    "a dilated window that does not fit": (
        lambda: Window(fy=2, fx=1, dilation_y=4).out_extents(4, 4), ValueError, "5x1 does not fit a padded map"),
    "padding of a whole window above": (lambda: Window(fy=3, fx=4, pad_top=3), ValueError, "0 <= padding < kernel"),
    "padding of a whole window on the right": (lambda: Window(fy=3, fx=2, pad_right=2), ValueError, "0 <= padding <"),
    "a window taller than the map": (
        lambda: Window(fy=5, fx=1).out_extents(4, 4), ValueError, "window: 5x1 does not fit a padded map of 4x4"),
    "a window wider than the map": (
        lambda: Window(fy=1, fx=7, pad_left=2).out_extents(4, 4), ValueError, "1x7 does not fit a padded map of 4x4"),
    # nodes
    "groups that do not divide K": (
        lambda: changed(CONV, k=3, groups=2), ValueError, "conv: groups must divide K and C, got 2 for K = 3"),
    "groups that do not divide C": (
        lambda: changed(CONV, k=4, groups=4), ValueError, "groups must divide K and C, got 4 for K = 4 and C = 2"),
    "a convolution without channels": (
        lambda: changed(CONV, k=0), ValueError, "conv: shape: expected positive extents, got 4x4x0"),
    "no groups": (lambda: changed(CONV, groups=0), ValueError, "conv: groups must divide K and C, got 0"),
    "a convolution whose window does not fit": (
        lambda: changed(CONV, window=Window(fy=5, fx=5)), ValueError, "conv: window: 5x5 does not fit a padded map"),
    "a pooling whose window does not fit": (
        lambda: changed(POOL, window=Window(fy=5, fx=5)), ValueError, "pool: window: 5x5 does not fit a padded map"),
    "an accumulator of one bit": (
        lambda: changed(CONV, acc_bits=1), ValueError, "conv: expected an accumulator of 2 to 32 bits, got 1"),
    "an accumulator of 33 bits": (
        lambda: changed(CONV, acc_bits=33), ValueError, "conv: expected an accumulator of 2 to 32 bits, got 33"),
    "a sum over a window of 33 bits": (
        lambda: changed(POOL, itype=QType(16, signed=False), window=Window(fy=256, fx=256, pad_top=255, pad_left=255),
                        ishape=Shape(256, 256, 1)), ValueError, "expected an accumulator of 2 to 32 bits, got 33"),
    "a multiplier of no bits": (
        lambda: changed(CONV, multiplier_bits=0), ValueError, "conv: expected a multiplier of 1 to 16 bits, got 0"),
    "a multiplier of 17 bits": (
        lambda: changed(POOL, multiplier=1 << 16), ValueError, "pool: expected a multiplier of 1 to 16 bits, got 17"),
    "a shift below 0": (lambda: changed(ADD, shift=-1), ValueError, "add: expected a shift of 0 to 47, got -1"),
    "a shift of 48": (lambda: changed(CONV, shift=48), ValueError, "conv: expected a shift of 0 to 47, got 48"),
    "a maximum with a shift": (
        lambda: changed(POOL, op=PoolOp.MAX), ValueError, "pool: maximum pooling has multiplier 1, shift 0"),
    "a maximum of another type": (
        lambda: changed(POOL, op=PoolOp.MAX, shift=0, otype=S8), ValueError, "maximum pooling has .* otype = itype"),
    "an average times 0": (
        lambda: changed(POOL, multiplier=0), ValueError, "pool: expected a positive multiplier, got 0"),
    "an addition times 0": (
        lambda: changed(ADD, multipliers=(1, 0)), ValueError, r"expected multipliers that are not 0, got \(1, 0\)"),
    "a multiplier for a count that does not occur": (
        lambda: changed(POOL, by_count=((3, 1),)), ValueError, r"pool: .* for each of the counts \[\], got \[3\]"),
    "no multiplier for a count that occurs": (
        lambda: changed(POOL, window=Window(fy=2, fx=2, pad_top=1, pad_left=1), by_count=((2, 1),)), ValueError,
        r"pool: .* for each of the counts \[1, 2\], got \[2\]"),
    "a maximum by count": (
        lambda: changed(POOL, op=PoolOp.MAX, shift=0, window=Window(fy=2, fx=1, pad_top=1), by_count=((1, 1),)),
        ValueError, "pool: expected no multipliers by count"),
    "a multiplier of 0 by count": (
        lambda: changed(POOL, window=Window(fy=2, fx=1, pad_top=1), by_count=((1, 0),)), ValueError, "got 0"),
    "a maximum with a zero point": (
        lambda: changed(POOL, op=PoolOp.MAX, shift=0, zero_in=1), ValueError, "pool: maximum pooling gives its inputs"),
    "a maximum with bounds": (
        lambda: changed(POOL, op=PoolOp.MAX, shift=0, rule=OutputRule(bounds=(0, 9))), ValueError,
        "pool: maximum pooling gives its inputs as they are"),
    "a zero point beyond the input": (
        lambda: changed(CONV, zero_in=256), ValueError, "conv: expected a zero point within 0 to 255 .* got 256"),
    "a zero point beyond the second input": (
        lambda: changed(ADD, zeros=(1, -1)), ValueError, r"add: expected a zero point within 0 to 255 .* got -1"),
    "a zero point beyond the output": (
        lambda: changed(POOL, rule=OutputRule(zero=-1)), ValueError, "pool: expected a zero point within 0 to 255"),
    "a zero point beyond a product": (
        lambda: changed(ADD, shift=47, rule=OutputRule(zero=1)), ValueError,
        "add: a zero point of 1 and a shift of 47 need more than the 48 bits of a product"),
    "bounds beyond the output": (
        lambda: changed(ADD, rule=OutputRule(bounds=(-1, 4))), ValueError, "add: expected bounds within 0 to 255"),
    "bounds in the wrong order": (
        lambda: changed(ADD, rule=OutputRule(bounds=(5, 4))), ValueError, "add: expected bounds within .* got 5 to 4"),
    "a fraction of the bias below 0": (
        lambda: changed(CONV, bias_fraction=-1), ValueError, "conv: expected a fraction of the bias of 0 bits or more"),
    "a fraction of the bias beyond a product": (
        lambda: changed(CONV, bias_fraction=21), ValueError, "conv: .* at most 48 bits, got 21 and 49"),
    "a concat of one map": (
        lambda: changed(CONCAT, sources=("x",), ishapes=(X.shape,)), ValueError, "concat: expected two inputs or more"),
    "a concat without a shape for each map": (
        lambda: changed(CONCAT, ishapes=(X.shape,)), ValueError, "got 2 inputs and 1 shapes"),
    "a concat of maps of two extents": (
        lambda: changed(CONCAT, ishapes=(X.shape, Shape(4, 5, 2))), ValueError,
        "concat: maps of different extents cannot be joined in channels: 4x4x2, 4x5x2; a Resize"),
    "a resize to nothing": (
        lambda: changed(RESIZE, fy=0), ValueError, "resize: expected whole factors of at least 1, got 0 and 3"),
    "a resize by less than nothing": (
        lambda: changed(RESIZE, fx=-2), ValueError, "resize: expected whole factors of at least 1, got 2 and -2"),
    "a table of eleven bits": (
        lambda: changed(LOOKUP, itype=QType(11, signed=True)), ValueError,
        r"lookup: a table has an entry for each of 2\*\*11 values of int11; expected an input of at most 10 bits"),
    "a table entry outside its type": (
        lambda: graph(X, CONV, LOOKUP, others={"lookup.table": TABLE["lookup.table"] + 256}), UnsupportedError,
        "node 'lookup': an entry of its table lies outside int8"),
    "a slice of no channels": (lambda: changed(SLICE, start=2), ValueError, "slice: expected .* got 2 to 2"),
    "a slice of channels that are not there": (
        lambda: changed(SLICE, stop=3), ValueError, "at most the 2 that there are; got 1 to 3"),
    "a gate of neither shape": (
        lambda: changed(GATE, gate_shape=Shape(1, 4, 2)), ValueError,
        "gate: expected a gate of 4x4x2 or 1x1x2 for a map of 4x4x2, got 1x4x2"),
    "a gate times 0": (lambda: changed(GATE, multiplier=0), ValueError, "gate: expected a positive multiplier, got 0"),
    "a product of 33 bits": (
        lambda: changed(GATE, itypes=(QType(16, signed=False),) * 2), ValueError, "gate: expected an acc.* got 33"),
    "another shape at a gate": (
        lambda: graph(X, CONV, changed(GATE, gate_shape=Shape(1, 1, 2))), UnsupportedError,
        "node 'gate': expects 1x1x2, but 'conv' gives 4x4x2"),
    "less than nothing around a map": (
        lambda: changed(PAD, top=-1), ValueError, r"pad: expected 0 or more rows .* got \(-1, 0, 0, 5\) and \(1, 1\)"),
    "pixels no row apart": (lambda: changed(PAD, stride_y=0), ValueError, r"strides of at least 1; got .* \(0, 1\)"),
    "a value around a map that is none of its type": (
        lambda: changed(PAD, value=256), ValueError, "pad: expected a value of uint8 around the map, got 256"),
    "a value between pixels": (
        lambda: changed(PAD, stride_x=2), ValueError, "pad: between pixels lie zeros, .* as well; got 255"),
    "blocks of more pixels than channels": (
        lambda: changed(APART, block=2), ValueError, "apart: expected blocks whose pixels divide the 2 chan"),
    "blocks of no pixels": (lambda: changed(APART, block=0), ValueError, "apart: expected blocks .* got 0 x 0"),
    "blocks that do not divide the map": (
        lambda: changed(TOGETHER, block=3), ValueError, "together: expected blocks that divide a map of 4x4x2"),
    "groups of a shuffle that do not divide the channels": (
        lambda: changed(SHUFFLE, groups=3), ValueError, "shuffle: groups must divide the 2 channels, got 3"),
    # the input's encoding
    "a step of 0": (lambda: Encoding(step=0), ValueError, "encoding: expected a finite offset and a positive step"),
    "a step that is no number": (lambda: Encoding(step=float("nan")), ValueError, "a positive step, got 0.0, nan"),
    "an endless offset": (lambda: Encoding(offset=float("inf")), ValueError, "a finite offset .* got inf, 1.0"),
    # the graph as a whole
    "a graph without nodes": (lambda: Graph("none", (), {}), UnsupportedError, "graph 'none': expected exactly one"),
    "a graph without an input": (lambda: graph(CONV), UnsupportedError, "exactly one input, as first node"),
    "a second input": (lambda: graph(X, CONV, changed(X, name="y")), UnsupportedError, "exactly one input, as first"),
    "a name that is none": (
        lambda: graph(X, changed(CONV, name="Conv")), UnsupportedError, r"node 'Conv': a name matches \[a-z\]"),
    "a name of 49 characters": (lambda: graph(changed(X, name="x" * 49)), UnsupportedError, "at most 48 characters"),
    "two nodes of one name": (
        lambda: graph(X, CONV, changed(POOL, name="conv")), UnsupportedError, "node 'conv': two nodes have this name"),
    "a map added to itself": (
        lambda: graph(X, CONV, changed(ADD, sources=("conv", "conv"))), UnsupportedError, "adds 'conv' to itself"),
    "a source that is not there": (
        lambda: graph(X, changed(CONV, source="y")), UnsupportedError, "node 'conv': its input 'y' is not an earlier"),
    "a source that comes later": (
        lambda: graph(X, changed(POOL, ishape=X.shape), CONV), UnsupportedError, "its input 'conv' is not an earlier"),
    "another shape": (
        lambda: graph(X, CONV, changed(POOL, ishape=Shape(4, 4, 3))), UnsupportedError,
        "node 'pool': expects 4x4x3, but 'conv' gives 4x4x2"),
    "another shape at an addition": (
        lambda: graph(X, CONV, changed(ADD, ishape=Shape(4, 5, 2))), UnsupportedError, "expects 4x5x2, but 'x' gives"),
    "a map of more elements than the machine counts": (
        lambda: graph(changed(X, shape=Shape(1 << 15, 1 << 14, 1))), UnsupportedError, "has 536870912 elements"),
    "a window that reaches further than the machine counts": (
        lambda: graph(X, changed(CONV, window=Window(fy=1, fx=1, stride_y=1 << 15, stride_x=1 << 15))),
        UnsupportedError, "node 'conv': its map, window and stride span 32773 rows"),
    "another shape at a concat": (
        lambda: graph(X, CONV, changed(CONCAT, ishapes=(X.shape, Shape(4, 4, 3)))), UnsupportedError,
        "node 'concat': expects 4x4x3, but 'conv' gives 4x4x2"),
    "another type at a concat": (
        lambda: graph(X, CONV, changed(CONCAT, otype=S8)), UnsupportedError, "'concat': expects int8, but 'x' gives"),
    "another shape at a resize": (
        lambda: graph(X, CONV, changed(RESIZE, ishape=Shape(3, 4, 2))), UnsupportedError, "'resize': expects 3x4x2"),
    "another type at a resize": (
        lambda: graph(X, CONV, changed(RESIZE, otype=S8)), UnsupportedError, "expects int8, but 'conv' gives uint8"),
    "a map resized to more elements than the machine counts": (
        lambda: graph(X, CONV, changed(RESIZE, fy=1 << 13, fx=1 << 12)), UnsupportedError, "node 'resize': a map of"),
    "another type": (
        lambda: graph(X, CONV, changed(POOL, itype=S8)), UnsupportedError, "expects int8, but 'conv' gives uint8"),
    "another type at an addition's second input": (
        lambda: graph(X, CONV, changed(ADD, itypes=(U8, S8))), UnsupportedError, "expects int8, but 'conv' gives"),
    "an output that nobody reads": (
        lambda: graph(X, CONV, changed(POOL, source="x")), UnsupportedError, "node 'conv': its output is not read"),
    "an output that is no node": (
        lambda: dataclasses.replace(small_graph(), outputs=("nobody",)), UnsupportedError,
        "output 'nobody' is not a node that computes"),
    "an output that is the input": (
        lambda: dataclasses.replace(small_graph(), outputs=("x", "dense")), UnsupportedError,
        "output 'x' is not a node that computes"),
    "an output given twice": (
        lambda: dataclasses.replace(small_graph(), outputs=("dense", "dense")), UnsupportedError,
        "output 'dense' is given 2 times"),
    "scales of outputs that are not there": (
        lambda: dataclasses.replace(small_graph(), outputs=("conv", "dense"), output_scales=(1.0,)), UnsupportedError,
        "expected a scale for each of 2 named outputs, got 1"),
    "one output asked for where there are several": (
        lambda: dataclasses.replace(small_graph(), outputs=("conv", "dense")).output, UnsupportedError,
        "graph 'small': has several outputs: conv, dense; this works for one only"),
    "a parameter too many": (
        lambda: graph(X, CONV, scale=[1]), UnsupportedError, "graph 'case': parameters missing or unknown: conv.scale"),
    "a node that is not there": (lambda: small_graph().node("nobody"), KeyError, "nobody"),
    # parameters
    "a parameter that is missing": (
        lambda: graph(X, CONV, bias=None), UnsupportedError, r"parameter 'bias': expected int64\[2\], got nothing"),
    "a parameter of another shape": (
        lambda: graph(X, CONV, bias=[1, 2, 3]), UnsupportedError, r"'bias': expected int64\[2\], got int64\[3\]"),
    "a parameter of another type": (
        lambda: graph(X, CONV, multiplier=[1.0, 2.0]), UnsupportedError, r"expected int64\[2\], got float64\[2\]"),
    "a weight above its type": (
        lambda: graph(X, CONV, weight=weight_with(128)), UnsupportedError, "node 'conv': a weight lies outside int8"),
    "a weight below its type": (
        lambda: graph(X, CONV, weight=weight_with(-129)), UnsupportedError, "node 'conv': a weight lies outside int8"),
    "a multiplier of 0": (
        lambda: graph(X, CONV, multiplier=[1, 0]), UnsupportedError, "node 'conv': a multiplier is not in 1 to 255"),
    "a multiplier above its bits": (
        lambda: graph(X, CONV, multiplier=[1, 256]), UnsupportedError, "node 'conv': a multiplier is not in 1 to 255"),
    "multipliers that need a DSP where a wire was promised": (
        lambda: graph(X, changed(CONV, scaling=Scaling.SHIFT)), UnsupportedError, "not of the kind 'shift'"),
    "multipliers that are no powers of two": (
        lambda: graph(X, changed(CONV, scaling=Scaling.POWER_OF_TWO)), UnsupportedError, "kind 'power_of_two'"),
    "sums wider than the accumulator": (
        lambda: graph(X, changed(CONV, acc_bits=15)), UnsupportedError, "15 accumulator bits, but its weights need 17"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_is_refused_by_name_and_reason(case: str) -> None:
    make, error, message = CASES[case]
    with pytest.raises(error, match=message):
        make()


def test_what_the_cases_change_is_legal_itself() -> None:
    assert graph(X, CONV, POOL).output is POOL
    assert graph(X, CONV, ADD).output is ADD
    assert graph(X, CONV, CONCAT).output is CONCAT
    assert graph(X, CONV, RESIZE).output is RESIZE
    assert all(graph(X, CONV, node).output is node for node in (PAD, APART, TOGETHER, SHUFFLE))
    assert graph(X, CONV, GATE).output is GATE
    assert graph(X, CONV, SLICE).output.oshape == Shape(4, 4, 1)
    assert graph(X, CONV, LOOKUP, others=TABLE).output is LOOKUP
    assert graph(X, CONV, changed(CONCAT, sources=("conv", "conv"))).output.oshape == Shape(4, 4, 4)


def test_the_accumulator_may_be_as_narrow_as_the_sums_but_no_narrower() -> None:
    # uint8 times (3, 127), and a bias of 5: the largest sum is 255 * 130 + 5, and its type has a sign bit.
    needed = (255 * 130 + 5).bit_length() + 1
    assert graph(X, changed(CONV, acc_bits=needed)).output.name == "conv"
    negative = [[[[-3, -127]]], [[[-1, -1]]]]
    least = (255 * 130 - 1).bit_length() + 1
    assert graph(X, changed(CONV, acc_bits=least), weight=negative, bias=[0, 0]).output.name == "conv"
    with pytest.raises(UnsupportedError, match=f"{least - 1} accumulator bits, but its weights need {least}"):
        graph(X, changed(CONV, acc_bits=least - 1), weight=negative, bias=[0, 0])


def test_the_zero_point_counts_in_the_accumulator() -> None:
    # Sums of uint8 times (3, 127) reach 255 * 130; a zero point of 255 takes all of it away again.
    needed = (255 * 130).bit_length() + 1
    assert graph(X, changed(CONV, acc_bits=needed, zero_in=255)).output.name == "conv"
    with pytest.raises(UnsupportedError, match=f"{needed} accumulator bits, but its weights need {needed + 1}"):
        graph(X, changed(CONV, acc_bits=needed, zero_in=255), bias=[0, -(255 * 130)])


def test_a_fine_bias_counts_in_whole_steps() -> None:
    needed = (255 * 130 + 5).bit_length() + 1
    conv = changed(CONV, acc_bits=needed, bias_fraction=3)
    room = (1 << (needed - 1)) - 1 - 255 * 130
    assert graph(X, conv, bias=[0, (room << 3) + 7]).output.name == "conv"
    with pytest.raises(UnsupportedError, match=f"its weights need {needed + 1}"):
        graph(X, conv, bias=[0, (room + 1) << 3])


def test_the_least_input_counts_as_well() -> None:
    # int8 times -64 twice: -128 gives 2 ** 14, which needs 16 bits; 127 gives -16,256, which 15 bits hold.
    weight = [[[[-64, -64]]], [[[0, 0]]]]
    x, conv = changed(X, otype=S8), changed(CONV, itype=S8, acc_bits=16)
    assert graph(x, conv, weight=weight, bias=[0, 0]).output is conv
    with pytest.raises(UnsupportedError, match="15 accumulator bits, but its weights need 16"):
        graph(x, changed(conv, acc_bits=15), weight=weight, bias=[0, 0])


def raise_statements(path: Path) -> dict[tuple[str, int], range]:
    """File and first line of every `raise`, with its lines."""
    found = (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Raise))
    return {(path.name, n.lineno): range(n.lineno, (n.end_lineno or n.lineno) + 1) for n in found}


def raised_at(make: Callable[[], object]) -> tuple[str, int]:
    """File name and line where `make` raises."""
    with pytest.raises(Exception) as caught:
        make()
    trace: TracebackType = caught.tb
    while trace.tb_next is not None:
        trace = trace.tb_next
    return Path(trace.tb_frame.f_code.co_filename).name, trace.tb_lineno


def test_every_raise_has_a_case() -> None:
    sources = [Path(str(graph_module.__file__)), *Path(str(ops.__file__)).parent.glob("*.py")]
    statements = {k: v for path in sources for k, v in raise_statements(path).items()}
    reached = [raised_at(make) for make, _, _ in CASES.values()]
    without = [f"{name}:{line}" for (name, line), lines in statements.items()
               if not any(file == name and at in lines for file, at in reached)]  # fmt: skip
    assert without == []
    assert len(statements) > 20, "the sources were not found"
