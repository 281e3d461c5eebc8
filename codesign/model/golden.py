"""The integer meaning of every node, bit for bit: the one definition that C++, SystemVerilog and torch must equal.

Only this file defines the arithmetic. Maps are int64 [B, Y, X, C].
"""

from collections.abc import Mapping

import numpy as np

from codesign.errors import ConfigError
from codesign.ir.graph import Graph, IntArray
from codesign.ir.nodes import Add, Conv, Input, Pool, PoolOp, Window
from codesign.ir.qtype import QType


def requantize(acc: IntArray, multiplier: IntArray | int, shift: int, otype: QType) -> IntArray:
    """Scale accumulators to `otype`, rounding half up, toward plus infinity at ties.

        y = clamp(floor(acc * multiplier / 2**shift + 1/2), otype.qmin, otype.qmax)

    The multiplier is one number or one per channel (last axis of acc). Exact in int64 while the product has at most
    48 bits, which the nodes check. Mirrored by templates/hls/kernels/requantize.hpp and
    templates/rtl/modules/requantize.sv.
    """
    half = (1 << shift) >> 1
    return np.clip((acc * multiplier + half) >> shift, otype.qmin, otype.qmax)


def conv(node: Conv, x: IntArray, weight: IntArray, bias: IntArray, multiplier: IntArray) -> IntArray:
    """x[B,IY,IX,C], weight[K,FY,FX,C/G], bias[K], multiplier[K] -> y[B,OY,OX,K]; the formula is Conv's.

    A partial product of float64 matrices is exact here: every sum stays below 2**53 because acc_bits <= 32.
    """
    taps = _windows(x, node.window, 0)
    if node.depthwise:
        acc = np.einsum("bijyxk,kyx->bijk", taps, weight[:, :, :, 0])
    else:
        b, oy, ox = taps.shape[:3]
        split = zip(np.split(taps, node.groups, axis=5), np.split(weight, node.groups), strict=True)
        flat = [(t.reshape(b * oy * ox, -1).astype(np.float64), w.reshape(len(w), -1)) for t, w in split]
        sums = [t @ w.T.astype(np.float64) for t, w in flat]
        acc = np.concatenate(sums, axis=1).astype(np.int64).reshape(b, oy, ox, node.k)
    return requantize(acc + bias, multiplier, node.shift, node.otype)


def pool(node: Pool, x: IntArray) -> IntArray:
    """x[B,IY,IX,C] -> y[B,OY,OX,C]; the formula is Pool's."""
    if node.op is PoolOp.MAX:
        return _windows(x, node.window, node.itype.qmin).max(axis=(3, 4))
    return requantize(_windows(x, node.window, 0).sum(axis=(3, 4)), node.multiplier, node.shift, node.otype)


def add(node: Add, a: IntArray, b: IntArray) -> IntArray:
    """a, b [B,Y,X,C] -> y[B,Y,X,C]; the formula is Add's."""
    return requantize(a * node.multipliers[0] + b * node.multipliers[1], 1, node.shift, node.otype)


def run_all(graph: Graph, x: IntArray) -> dict[str, IntArray]:
    """The output of every node, by name, for x[B,IY,IX,C] of the graph's input type.

    Raises ConfigError naming expected and found if the shape or a value of x does not fit the graph's input.
    """
    check_input(graph, x)
    values: dict[str, IntArray] = {}
    for node in graph.nodes:
        sources = [values[s] for s in node.inputs]
        match node:
            case Input():
                values[node.name] = x.astype(np.int64)
            case Conv():
                values[node.name] = conv(node, sources[0], *_parameters(node, graph.params))
            case Pool():
                values[node.name] = pool(node, sources[0])
            case Add():
                values[node.name] = add(node, sources[0], sources[1])
    return values


def run(graph: Graph, x: IntArray, batch: int = 256) -> IntArray:
    """The output of the last node [B,OY,OX,K] for x[B,IY,IX,C], computed `batch` images at a time."""
    check_input(graph, x)
    parts = [run_all(graph, x[i : i + batch])[graph.output.name] for i in range(0, len(x), batch)]
    return np.concatenate(parts)


def check_input(graph: Graph, x: IntArray) -> None:
    """Raise ConfigError unless x[B,IY,IX,C] is a batch of inputs of the graph."""
    shape, otype = graph.input.shape, graph.input.otype
    if x.ndim != 4 or len(x) == 0 or x.shape[1:] != (shape.y, shape.x, shape.c):
        raise ConfigError(f"input: expected [B, {shape.y}, {shape.x}, {shape.c}] (HWC), got {list(x.shape)}")
    if not np.issubdtype(x.dtype, np.integer):
        raise ConfigError(f"input: expected integers of type {otype}, got {x.dtype}")
    if x.min() < otype.qmin or x.max() > otype.qmax:
        raise ConfigError(f"input: expected {otype} values, got {x.min()} to {x.max()}")


def _parameters(node: Conv, params: Mapping[str, IntArray]) -> tuple[IntArray, IntArray, IntArray]:
    return params[f"{node.name}.weight"], params[f"{node.name}.bias"], params[f"{node.name}.multiplier"]


def _windows(x: IntArray, window: Window, fill: int) -> IntArray:
    """x[B,IY,IX,C] -> a view [B,OY,OX,FY,FX,C] of the padded map, one window per output position."""
    pads = ((0, 0), (window.pad_top, window.pad_bottom), (window.pad_left, window.pad_right), (0, 0))
    padded = np.pad(x, pads, constant_values=fill) if window.is_padded else x
    taps = np.lib.stride_tricks.sliding_window_view(padded, (window.fy, window.fx), axis=(1, 2))
    taps = taps[:, :: window.stride_y, :: window.stride_x]
    return np.moveaxis(taps, 3, 5)
