"""Cycles of a node on a line engine: what an engine needs per image in steady state, in closed form.

The exact course of a whole design, with latency and buffer occupancy, is model.schedule's.
"""

from codesign.ir.design import LineEngine
from codesign.ir.design import input_lanes as input_lanes
from codesign.ir.design import is_streaming as is_streaming
from codesign.ir.design import reduction_steps as reduction_steps
from codesign.ir.nodes import Add, Conv, Pool


def ceil_div(a: int, b: int) -> int:
    """The least integer not below a / b."""
    return -(-a // b)


def input_fold(node: Conv | Pool | Add, engine: LineEngine) -> int:
    """Words in which one input pixel arrives: ceil(C/SIMD), or ceil(C/PE) where channels do not mix."""
    return ceil_div(node.ishape.c, input_lanes(node, engine))


def compute_cycles(node: Conv | Pool | Add, engine: LineEngine) -> int:
    """Cycles of the array for one image: OY * OX * ceil(K/PE) * FY * FX * ceil(C/G / SIMD)."""
    out = node.oshape
    return out.y * out.x * ceil_div(out.c, engine.pe) * reduction_steps(node, engine)


def words_in(node: Conv | Pool | Add, engine: LineEngine) -> int:
    """Input words of one image, per input."""
    return node.ishape.y * node.ishape.x * input_fold(node, engine)


def words_out(node: Conv | Pool | Add, engine: LineEngine) -> int:
    """Output words of one image."""
    return node.oshape.y * node.oshape.x * ceil_div(node.oshape.c, engine.emit)


def node_interval(node: Conv | Pool | Add, engine: LineEngine) -> int:
    """Cycles between images of one engine in steady state: max(compute, words in, words out)."""
    return max(compute_cycles(node, engine), words_in(node, engine), words_out(node, engine))


def emit_lanes(node: Conv | Pool | Add, pe: int, simd: int) -> int:
    """The narrowest output word, a divisor of PE, that still carries PE results away before the next are complete."""
    steps = reduction_steps(node, LineEngine(pe=pe, simd=simd, emit=pe))
    return next(lanes for lanes in range(1, pe + 1) if pe % lanes == 0 and pe // lanes <= steps)
