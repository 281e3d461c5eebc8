"""Small float networks for tests of quantization after training."""

import numpy as np

from codesign.front.quantization import RealArray
from codesign.front.read import prepared
from codesign.front.source import (
    Activation,
    Add,
    Affine,
    Clip,
    Concat,
    Constant,
    Conv,
    Dense,
    Function,
    Layout,
    Multiply,
    Pool,
    Reshape,
    Source,
    SourceInput,
)

INF = float("inf")


def float_network(seed: int = 0) -> Source:
    """A network, channels first, with a batch normalization, a sum, a concatenation and both poolings."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int, size: float = 0.3) -> Constant:
        return Constant(rng.normal(0, size, shape))

    constants = {
        "w1": normal(8, 3, 3, 3),
        "b1": normal(8),
        "factor": Constant(rng.uniform(0.2, 4, 8)),
        "offset": normal(8),
        "w2": normal(8, 8, 3, 3, size=0.1),
        "w3": normal(6, 16, 3, 3, size=0.1),
        "b3": normal(6),
        "w4": normal(6, 1, 3, 3),
        "w5": normal(10, 6),
        "b5": normal(10),
    }
    operators = (
        Conv(name="first", input="x", output="a", weight="w1", bias="b1", pads=(1, 1, 1, 1)),
        Affine(name="normalize", input="a", output="b", factor="factor", offset="offset"),
        Clip(name="relu1", input="b", output="c", low=0.0, high=INF),
        Conv(name="second", input="c", output="d", weight="w2", pads=(1, 1, 1, 1)),
        Add(name="sum", inputs=("d", "c"), output="e"),
        Clip(name="relu2", input="e", output="f", low=0.0, high=INF),
        Concat(name="both", inputs=("f", "c"), output="g", axis=0),
        Pool(name="largest", input="g", output="h", average=False, kernel=(2, 2), strides=(2, 2)),
        Conv(name="third", input="h", output="i", weight="w3", bias="b3"),
        Clip(name="relu3", input="i", output="j", low=0.0, high=INF),
        Conv(name="depthwise", input="j", output="k", weight="w4", groups=6, pads=(1, 1, 1, 1)),
        Clip(name="relu4", input="k", output="l", low=0.0, high=INF),
        Pool(name="mean", input="l", output="m", average=True),
        Reshape(name="flat", input="m", output="n", shape=(6,)),
        Dense(name="last", input="n", output="o", weight="w5", bias="b5"),
    )
    entry = SourceInput(tensor="x", shape=(3, 8, 8))
    return Source(
        name="small", layout=Layout.CHW, input=entry, outputs=("o",), operators=operators, constants=constants
    )


def swish_network(seed: int = 0) -> Source:
    """A network, channels first, of hard swishes, with padding, a squeeze-and-excite product and a concatenation."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int, size: float = 0.3) -> Constant:
        return Constant(rng.normal(0, size, shape))

    constants = {
        "w1": normal(8, 3, 3, 3, size=1.5),
        "b1": normal(8),
        "w2": normal(8, 8, 3, 3),
        "w3": normal(8, 8, 1, 1),
        "w4": normal(6, 16, 3, 3),
        "w5": normal(5, 6),
    }
    swish = Function.HARD_SWISH
    operators = (
        Conv(name="first", input="x", output="a", weight="w1", bias="b1", pads=(1, 1, 1, 1)),
        Activation(name="swish1", input="a", output="b", function=swish),
        Conv(name="second", input="b", output="c", weight="w2", pads=(1, 1, 1, 1)),
        Activation(name="swish2", input="c", output="d", function=swish),
        Conv(name="gate", input="d", output="e", weight="w3"),
        Activation(name="sigmoid", input="e", output="f", function=Function.HARD_SIGMOID, alpha=0.2, beta=0.5),
        Multiply(name="product", inputs=("d", "f"), output="g"),
        Concat(name="both", inputs=("b", "b"), output="h", axis=0),
        Conv(name="third", input="h", output="i", weight="w4", pads=(1, 1, 1, 1)),
        Activation(name="swish3", input="i", output="j", function=swish),
        Pool(name="mean", input="j", output="k", average=True),
        Reshape(name="flat", input="k", output="l", shape=(6,)),
        Dense(name="last", input="l", output="o", weight="w5"),
    )
    entry = SourceInput(tensor="x", shape=(3, 8, 8))
    return Source(
        name="swish", layout=Layout.CHW, input=entry, outputs=("o", "g"), operators=operators, constants=constants
    )


def ready(source: Source | None = None) -> Source:
    """The network as quantization takes it."""
    return prepared("small", float_network() if source is None else source)


def pixels(images: int, seed: int = 1, shape: tuple[int, int, int] = (8, 8, 3)) -> RealArray:
    """Images [N, Y, X, C] of whole steps of 1/255."""
    rng = np.random.default_rng(seed)
    return np.rint(rng.uniform(0, 1, (images, *shape)) * 255) / 255
