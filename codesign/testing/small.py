"""One small network and a design for it, made by hand: for tests that need any, not many."""

import numpy as np

from codesign.ir.design import Design, LineEngine
from codesign.ir.graph import Graph
from codesign.ops.arrays import IntArray
from codesign.ops.conv import Conv, accumulator_bounds
from codesign.ops.input import Input
from codesign.ops.pool import Pool, PoolOp
from codesign.ops.qtype import QType
from codesign.ops.requantize import Scaling, signed_bits
from codesign.ops.shapes import Shape, Window

U8 = QType(8, signed=False)
S4 = QType(4, signed=True)


def small_graph(seed: int = 1) -> Graph:
    """Return 6x6x1 -> conv 3x3 to 4 channels, stride 2 -> maximum 2x2 -> dense to 3 classes."""
    rng = np.random.default_rng(seed)
    params: dict[str, IntArray] = {}
    x = Input(name="x", shape=Shape(6, 6, 1), otype=U8)
    window = Window(fy=3, fx=3, stride_y=2, stride_x=2, pad_top=1, pad_left=1)
    conv = _conv("conv", x.name, x.shape, U8, 4, window, U8, params, rng)
    pool = Pool(
        name="pool", source="conv", ishape=conv.oshape, itype=U8, op=PoolOp.MAX, multiplier=1, shift=0, otype=U8,
        window=Window(fy=2, fx=2),
    )  # fmt: skip
    head = Window(fy=pool.oshape.y, fx=pool.oshape.x)
    dense = _conv("dense", "pool", pool.oshape, U8, 3, head, QType(16, signed=True), params, rng)
    return Graph("small", (x, conv, pool, dense), params, input_scale=1 / 256, labels=("cat", "dog", "owl"))


def small_design() -> Design:
    """Return an engine per node, neither PE nor SIMD dividing everything."""
    engines = (
        LineEngine(nodes=("conv",), pe=3, simd=1, emit=1, buffer_words=64),
        LineEngine(nodes=("pool",), pe=2, simd=1, emit=1, buffer_words=64),
        LineEngine(nodes=("dense",), pe=2, simd=3, emit=1, buffer_words=64),
    )
    return Design(engines=engines)


def _conv(
    name: str, source: str, ishape: Shape, itype: QType, k: int, window: Window, otype: QType,
    params: dict[str, IntArray], rng: np.random.Generator,
) -> Conv:  # fmt: skip
    weight = rng.integers(S4.qmin, S4.qmax + 1, (k, window.fy, window.fx, ishape.c))
    bias = rng.integers(-99, 100, k)
    params |= {f"{name}.weight": weight, f"{name}.bias": bias, f"{name}.multiplier": np.ones(k, dtype=np.int64)}
    return Conv(
        name=name, source=source, ishape=ishape, itype=itype, k=k, window=window, groups=1, wtype=S4,
        acc_bits=signed_bits(*accumulator_bounds(itype, weight, bias)), scaling=Scaling.SHIFT, multiplier_bits=1,
        shift=3 if name == "conv" else 0, otype=otype,
    )  # fmt: skip
