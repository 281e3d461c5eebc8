"""One small network and a design for it, made by hand: for tests that need any, not many."""

import numpy as np

from codesign.ir.builder import GraphBuilder
from codesign.ir.design import Design, LineEngine
from codesign.ir.graph import Graph
from codesign.ops.conv import Conv
from codesign.ops.qtype import QType
from codesign.ops.shapes import Window

U8 = QType(8, signed=False)
S4 = QType(4, signed=True)


def small_graph(seed: int = 1) -> Graph:
    """Return 6x6x1 -> conv 3x3 to 4 channels, stride 2 -> maximum 2x2 -> dense to 3 classes."""
    rng = np.random.default_rng(seed)
    build = GraphBuilder("small", (6, 6, 1), U8, input_name="x")
    window = Window(fy=3, fx=3, stride_y=2, stride_x=2, pad_top=1, pad_left=1)
    conv = _conv(build, "conv", 4, window, U8, 3, rng)
    pool = build.max_pool(conv, Window(fy=2, fx=2), name="pool")
    _conv(build, "dense", 3, Window(fy=pool.oshape.y, fx=pool.oshape.x), QType(16, signed=True), 0, rng)
    return build.graph(input_scale=1 / 256, labels=("cat", "dog", "owl"))


def small_design() -> Design:
    """Return an engine per node, neither PE nor SIMD dividing everything."""
    engines = (
        LineEngine(nodes=("conv",), pe=3, simd=1, emit=1, buffer_words=64),
        LineEngine(nodes=("pool",), pe=2, simd=1, emit=1, buffer_words=64),
        LineEngine(nodes=("dense",), pe=2, simd=3, emit=1, buffer_words=64),
    )
    return Design(engines=engines)


def _conv(
    build: GraphBuilder, name: str, k: int, window: Window, otype: QType, shift: int, rng: np.random.Generator
) -> Conv:
    weight = rng.integers(S4.qmin, S4.qmax + 1, (k, window.fy, window.fx, build.last.oshape.c))
    bias = rng.integers(-99, 100, k)
    return build.conv(build.last, weight, bias, otype=otype, window=window, shift=shift, weight_bits=S4.bits, name=name)
