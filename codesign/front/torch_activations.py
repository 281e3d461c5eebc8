"""Activations, products of maps and shuffles of pixels of a PyTorch module as operators of a Source."""

from collections.abc import Callable, Mapping

import numpy as np

from codesign.front.source import Activation, DepthToSpace, Function, Shuffle, SpaceToDepth
from codesign.front.torch_translation import Call, TorchTranslation, Translate

_PLAIN = {
    "hardswish": Function.HARD_SWISH,
    "mish": Function.MISH,
    "sigmoid": Function.SIGMOID,
    "silu": Function.SILU,
    "tanh": Function.TANH,
}


def _activate(state: TorchTranslation, call: Call, function: Function, alpha: float = 1.0, beta: float = 0.0) -> None:
    x = state.tensor(call.arguments["self"])
    made = Activation(name=call.name, input=x, output=call.output, function=function, alpha=alpha, beta=beta)
    state.emit(made)


def _plain(function: Function) -> Translate:
    return lambda state, call: _activate(state, call, function)


def _leaky(state: TorchTranslation, call: Call) -> None:
    """A LeakyReLU, or a PReLU with its weight."""
    a = call.arguments
    slope = state.array(a["weight"], "weight") if "weight" in a else np.asarray(float(a["negative_slope"]))
    slope = slope.reshape(()) if slope.size == 1 else slope.reshape(-1)
    kept = state.keep(f"{call.name}:slope", slope)
    x = state.tensor(a["self"])
    made = Activation(name=call.name, input=x, output=call.output, function=Function.LEAKY_RELU, slope=kept)
    state.emit(made)


def _elu(state: TorchTranslation, call: Call) -> None:
    scales = call.arguments["scale"], call.arguments["input_scale"]
    if scales != (1, 1):
        raise ValueError(f"scale, input_scale = {scales}; expected 1")
    _activate(state, call, Function.ELU, float(call.arguments["alpha"]))


def _gelu(state: TorchTranslation, call: Call) -> None:
    tanh = call.arguments["approximate"] == "tanh"
    _activate(state, call, Function.GELU_TANH if tanh else Function.GELU)


def _hard_sigmoid(state: TorchTranslation, call: Call) -> None:
    _activate(state, call, Function.HARD_SIGMOID, 1 / 6, 0.5)


def _pixels(state: TorchTranslation, call: Call) -> None:
    """Channels to pixels; those of one output channel lie side by side."""
    x, block = state.tensor(call.arguments["self"]), int(call.arguments["upscale_factor"])
    turned = f"{call.output}:turned"
    groups = state.shapes[x][0] // max(block, 1) ** 2
    state.emit(Shuffle(name=f"{call.name}:order", input=x, output=turned, groups=groups))
    state.emit(DepthToSpace(name=call.name, input=turned, output=call.output, block=block))


def _channels(state: TorchTranslation, call: Call) -> None:
    """Pixels to channels; those of one input channel lie side by side."""
    x, block = state.tensor(call.arguments["self"]), int(call.arguments["downscale_factor"])
    blocks = f"{call.output}:blocks"
    state.emit(SpaceToDepth(name=call.name, input=x, output=blocks, block=block))
    state.emit(Shuffle(name=f"{call.name}:order", input=blocks, output=call.output, groups=block**2))


def _shuffle(state: TorchTranslation, call: Call) -> None:
    x, groups = state.tensor(call.arguments["self"]), int(call.arguments["groups"])
    state.emit(Shuffle(name=call.name, input=x, output=call.output, groups=groups))


_OTHERS: Mapping[str, Callable[[TorchTranslation, Call], None]] = {
    "elu": _elu,
    "gelu": _gelu,
    "hardsigmoid": _hard_sigmoid,
    "leaky_relu": _leaky,
    "prelu": _leaky,
    "pixel_shuffle": _pixels,
    "pixel_unshuffle": _channels,
    "channel_shuffle": _shuffle,
}
ACTIVATIONS: Mapping[str, Translate] = {
    f"{name}{tail}": translate
    for name, translate in (*((name, _plain(function)) for name, function in _PLAIN.items()), *_OTHERS.items())
    for tail in ("", "_")
}
