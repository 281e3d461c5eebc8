"""Operators of PyTorch (aten) as operators of a Source, channels first, without the batch.

Long because every operator has a translation here.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from codesign.front.means import mean_over
from codesign.front.quantization import RealArray
from codesign.front.shapes import Shape, gate_last
from codesign.front.source import (
    Add,
    Affine,
    Clip,
    Concat,
    Constant,
    Conv,
    Decide,
    Dense,
    Multiply,
    Pool,
    Reshape,
    Transpose,
)
from codesign.front.torch_activations import ACTIVATIONS
from codesign.front.torch_places import PLACES
from codesign.front.torch_translation import Call, TorchTranslation, Translate, batchless_axis, traced_shape
from codesign.front.transposed import transposed, turned_around


def _same(state: TorchTranslation, call: Call) -> None:
    """What gives its input: dropout in inference mode, copies."""
    first = next(iter(call.arguments.values()))
    if call.arguments.get("train"):
        raise ValueError("drops values at random; expected inference mode")
    state.same[call.output] = state.tensor(first)


def _layer(state: TorchTranslation, call: Call, axes: int) -> None:
    """A convolution over rows and columns, or over columns alone."""
    a = call.arguments
    weight = state.array(a["weight"], "weight")
    x = state.tensor(a["input"])
    y = call.output
    if axes == 1:
        x = _as_map(state, call, x)
        weight, y = weight[:, :, np.newaxis, :], f"{y}:rows"
    padding, strides, dilations = a["padding"], _spread(a["stride"], axes, 1), _spread(a["dilation"], axes, 1)
    made = Conv(
        name=call.name,
        input=x,
        output=y,
        weight=state.keep(f"{call.name}:weight", weight),
        bias=_bias(state, call, a["bias"]),
        strides=strides,
        pads=_same_pads(padding, weight.shape[2:], strides, dilations)
        if isinstance(padding, str)
        else _pads(padding, axes),
        dilations=dilations,
        groups=int(a["groups"]),
    )
    state.emit(made)
    if axes == 1:
        c, _, columns = state.shapes[y]
        state.emit(Reshape(name=f"{call.name}:row", input=y, output=call.output, shape=(c, columns)))


def _transposed(state: TorchTranslation, call: Call, axes: int) -> None:
    """A transposed convolution over rows and columns, or over columns alone."""
    a, y, groups = call.arguments, call.output, int(call.arguments["groups"])
    x = state.tensor(a["input"])
    weight = turned_around(Constant(state.array(a["weight"], "weight")), groups)
    if axes == 1:
        x, y = _as_map(state, call, x), f"{y}:rows"
    made = Conv(
        name=call.name,
        input=x,
        output=y,
        weight=state.keep(f"{call.name}:weight", weight.values),
        bias=_bias(state, call, a["bias"]),
        strides=_spread(a["stride"], axes, 1),
        pads=_pads(a["padding"], axes),
        dilations=_spread(a["dilation"], axes, 1),
        groups=groups,
    )
    kernel = (weight.shape[2], weight.shape[3])
    for op in transposed(made, kernel, _spread(a["output_padding"], axes, 0)):
        state.emit(op)
    if axes == 1:
        c, _, columns = state.shapes[y]
        state.emit(Reshape(name=f"{call.name}:row", input=y, output=call.output, shape=(c, columns)))


def _as_map(state: TorchTranslation, call: Call, x: str) -> str:
    """Return rows [C, X] as a map of one row."""
    c, columns = state.shapes[x]
    made = f"{call.output}:map"
    state.emit(Reshape(name=made, input=x, output=made, shape=(c, 1, columns)))
    return made


def _bias(state: TorchTranslation, call: Call, bias: Any) -> str | None:
    return None if bias is None else state.keep(f"{call.name}:bias", state.array(bias, "bias"))


def _spread(values: Any, axes: int, alone: int) -> tuple[int, int]:
    """Return numbers of an argument for rows and columns; `alone` for the rows of what has none."""
    found = [int(values)] * axes if isinstance(values, int) else [int(v) for v in values]
    found = found * axes if len(found) == 1 else found
    return (alone, found[0]) if axes == 1 else (found[0], found[1])


def _pads(padding: Any, axes: int) -> tuple[int, int, int, int]:
    rows, columns = _spread(padding, axes, 0)
    return rows, columns, rows, columns


def _same_pads(
    padding: str, kernel: tuple[int, ...], strides: tuple[int, int], dilations: tuple[int, int]
) -> tuple[int, int, int, int]:
    if padding == "valid":
        return (0, 0, 0, 0)
    if strides != (1, 1):
        raise ValueError("pads to the same extents with strides; expected strides of 1")
    rows, columns = ((k - 1) * d for k, d in zip(kernel, dilations, strict=True))
    return rows // 2, columns // 2, rows - rows // 2, columns - columns // 2


def _linear(state: TorchTranslation, call: Call) -> None:
    a = call.arguments
    weight = state.array(a["weight"], "weight")
    kept = state.keep(f"{call.name}:weight", weight)
    x = state.tensor(a["input"])
    state.emit(Dense(name=call.name, input=x, output=call.output, weight=kept, bias=_bias(state, call, a["bias"])))


def _batch_norm(state: TorchTranslation, call: Call) -> None:
    a = call.arguments
    if a.get("training"):
        raise ValueError("takes its statistics from the batch; expected inference mode and running statistics")
    mean, variance = (state.array(a[key], key) for key in ("running_mean", "running_var"))
    factor = 1 / np.sqrt(variance + float(a["eps"]))
    if a["weight"] is not None:
        factor = factor * state.array(a["weight"], "weight")
    offset = -mean * factor + (0.0 if a["bias"] is None else state.array(a["bias"], "bias"))
    _affine(state, call, state.tensor(a["input"]), factor, offset)


def _affine(state: TorchTranslation, call: Call, x: str, factor: RealArray, offset: RealArray) -> None:
    names = (state.keep(f"{call.name}:factor", factor), state.keep(f"{call.name}:offset", offset))
    state.emit(Affine(name=call.name, input=x, output=call.output, factor=names[0], offset=names[1]))


def _clip(state: TorchTranslation, call: Call, low: Any, high: Any) -> None:
    x = state.tensor(call.arguments.get("self", call.arguments.get("input")))
    low, high = (-math.inf if low is None else float(low), math.inf if high is None else float(high))
    state.emit(Clip(name=call.name, input=x, output=call.output, low=low, high=high))


def _pool(state: TorchTranslation, call: Call, average: bool, axes: int) -> None:
    a = call.arguments
    x, y = state.tensor(a["self"]), call.output
    if axes == 1:
        x, y = _as_map(state, call, x), f"{y}:rows"
    kernel = _spread(a["kernel_size"], axes, 1)
    strides = _spread(a["stride"], axes, 1) if a["stride"] else kernel
    if a.get("divisor_override") is not None:
        raise ValueError("divides by a number of its own; expected divisor_override = None")
    dilations = _spread(a.get("dilation") or 1, axes, 1)
    pads = _pads(a["padding"], axes)
    if a["ceil_mode"]:
        pads = _whole_windows(state.shapes[x], kernel, strides, dilations, pads)
    made = Pool(
        name=call.name, input=x, output=y, average=average, kernel=kernel, strides=strides, pads=pads,
        dilations=dilations, count_pads=bool(a.get("count_include_pad", True)),
    )  # fmt: skip
    state.emit(made)
    if axes == 1:
        c, _, columns = state.shapes[y]
        state.emit(Reshape(name=f"{call.name}:row", input=y, output=call.output, shape=(c, columns)))


def _whole_windows(
    shape: Shape, kernel: tuple[int, int], strides: tuple[int, int], dilations: tuple[int, int], pads: tuple[int, ...]
) -> tuple[int, int, int, int]:
    """Return the pads if no window is cut off by them. Raise ValueError: torch would add such a one."""
    for n, k, s, d, before, after in zip(shape[1:], kernel, strides, dilations, pads[:2], pads[2:], strict=True):
        if (n + before + after - (k - 1) * d - 1) % s:
            raise ValueError(
                "has ceil_mode = True where a window is cut off; expected extents that windows cover, or padding"
            )
    return pads[0], pads[1], pads[2], pads[3]


def _adaptive(state: TorchTranslation, call: Call, average: bool) -> None:
    x = state.tensor(call.arguments["self"])
    _, y, columns = state.shapes[x]
    wanted = call.pair("output_size")
    if wanted == (1, 1):
        state.emit(Pool(name=call.name, input=x, output=call.output, average=average))
        return
    if y % wanted[0] or columns % wanted[1]:
        raise ValueError(f"makes {list(wanted)} of {y} x {columns}; expected extents that divide these")
    kernel = (y // wanted[0], columns // wanted[1])
    state.emit(Pool(name=call.name, input=x, output=call.output, average=average, kernel=kernel, strides=kernel))


def _arithmetic(state: TorchTranslation, call: Call, operator: str) -> None:
    """The sum or difference of two maps, or a map and a constant."""
    first, second = call.arguments["self"], call.arguments["other"]
    if operator == "rsub":
        first, second, operator = second, first, "sub"
    if call.arguments.get("alpha", 1) != 1:
        raise ValueError(f"alpha = {call.arguments['alpha']}; expected 1")
    if state.is_map(first) and state.is_map(second):
        if operator == "div":
            raise ValueError("divides two maps; expected a constant divisor")
        pair = (state.tensor(first), state.tensor(second))
        if operator == "mul":
            state.emit(Multiply(name=call.name, inputs=gate_last(pair, state.shapes), output=call.output))
            return
        state.emit(Add(name=call.name, inputs=pair, output=call.output, sign=1 if operator == "add" else -1))
        return
    turned = not state.is_map(first)
    x = state.tensor(second if turned else first)
    c = _per_channel(state.array(first if turned else second, "constant"), state.shapes[x])
    one, none = np.ones(()), np.zeros(())
    match operator:
        case "add":
            _affine(state, call, x, one, c)
        case "sub":
            _affine(state, call, x, -one if turned else one, c if turned else -c)
        case "mul":
            _affine(state, call, x, c, none)
        case _ if not turned and (c != 0).all():
            _affine(state, call, x, 1 / c, none)
        case _:
            raise ValueError("divides by a map, or by zero; expected a constant divisor")


def _per_channel(values: RealArray, shape: Shape) -> RealArray:
    """Return a constant of one value, or one per channel of a map [C, ...]."""
    if values.size == 1:
        return values.reshape(())
    aligned = values.reshape((1,) * max(len(shape) + 1 - values.ndim, 0) + values.shape)
    if aligned.ndim == len(shape) + 1 and aligned.shape[1] == aligned.size == shape[0]:
        return aligned.reshape(-1)
    raise ValueError(
        f"a constant {list(values.shape)} beside a map {list(shape)}; expected one value or one per channel"
    )


def _cat(state: TorchTranslation, call: Call) -> None:
    maps = tuple(state.tensor(t) for t in call.arguments["tensors"])
    axis = batchless_axis(int(call.arguments["dim"]), len(state.shapes[maps[0]]))
    if len(maps) == 1:
        state.same[call.output] = maps[0]
    else:
        state.emit(Concat(name=call.name, inputs=maps, output=call.output, axis=axis))


def _mean(state: TorchTranslation, call: Call) -> None:
    x = state.tensor(call.arguments["self"])
    shape, dims = state.shapes[x], call.arguments["dim"]
    axes = [batchless_axis(int(d), len(shape)) for d in dims or ()]
    for op in mean_over(call.name, x, call.output, shape, axes, keep=bool(call.arguments["keepdim"])):
        state.emit(op)


def _reshape(state: TorchTranslation, call: Call) -> None:
    """View, reshape, flatten, squeeze and unsqueeze: as the example's shapes say."""
    x = state.tensor(call.arguments.get("self"))
    whole = traced_shape(state, call)
    if whole[0] != 1 or math.prod(whole) != math.prod(state.shapes[x]):
        raise ValueError(f"gives {list(whole)}; expected the batch in front, as it is")
    state.emit(Reshape(name=call.name, input=x, output=call.output, shape=whole[1:]))


def _permute(state: TorchTranslation, call: Call) -> None:
    x = state.tensor(call.arguments["self"])
    rank = len(state.shapes[x]) + 1
    axes = list(range(rank))
    if "dims" in call.arguments:
        axes = [int(d) % rank for d in call.arguments["dims"]]
    else:
        i, j = int(call.arguments["dim0"]) % rank, int(call.arguments["dim1"]) % rank
        axes[i], axes[j] = axes[j], axes[i]
    if axes[0] != 0:
        raise ValueError(f"orders the axes as {axes}; expected the batch to stay in front")
    state.emit(Transpose(name=call.name, input=x, output=call.output, axes=tuple(a - 1 for a in axes[1:])))


def _decide(state: TorchTranslation, call: Call, operator: str) -> None:
    x = state.tensor(call.arguments["self"])
    dim = call.arguments.get("dim")
    axis = batchless_axis(int(dim), len(state.shapes[x])) if operator == "Softmax" and dim is not None else None
    state.emit(Decide(name=call.name, input=x, output=call.output, operator=operator, axis=axis))


OPERATORS: Mapping[str, Translate] = {
    **ACTIVATIONS,
    **PLACES,
    **dict.fromkeys(
        ("dropout", "dropout_", "feature_dropout", "clone", "contiguous", "alias", "detach", "to", "_to_copy"), _same
    ),
    **dict.fromkeys(("view", "reshape", "_unsafe_view", "flatten", "squeeze", "unsqueeze"), _reshape),
    **dict.fromkeys(("permute", "transpose"), _permute),
    "conv_transpose1d": lambda s, c: _transposed(s, c, 1),
    "conv_transpose2d": lambda s, c: _transposed(s, c, 2),
    **dict.fromkeys(("relu", "relu_"), lambda s, c: _clip(s, c, 0.0, None)),
    **dict.fromkeys(("relu6", "relu6_"), lambda s, c: _clip(s, c, 0.0, 6.0)),
    **dict.fromkeys(
        ("hardtanh", "hardtanh_"), lambda s, c: _clip(s, c, c.arguments["min_val"], c.arguments["max_val"])
    ),
    **dict.fromkeys(("clamp", "clamp_"), lambda s, c: _clip(s, c, c.arguments["min"], c.arguments["max"])),
    **dict.fromkeys(("clamp_min", "clamp_min_"), lambda s, c: _clip(s, c, c.arguments["min"], None)),
    **dict.fromkeys(("clamp_max", "clamp_max_"), lambda s, c: _clip(s, c, None, c.arguments["max"])),
    **dict.fromkeys(("add", "add_"), lambda s, c: _arithmetic(s, c, "add")),
    **dict.fromkeys(("sub", "sub_"), lambda s, c: _arithmetic(s, c, "sub")),
    **dict.fromkeys(("mul", "mul_"), lambda s, c: _arithmetic(s, c, "mul")),
    **dict.fromkeys(("div", "div_"), lambda s, c: _arithmetic(s, c, "div")),
    "rsub": lambda s, c: _arithmetic(s, c, "rsub"),
    "conv2d": lambda s, c: _layer(s, c, 2),
    "conv1d": lambda s, c: _layer(s, c, 1),
    "linear": _linear,
    "batch_norm": _batch_norm,
    "max_pool2d": lambda s, c: _pool(s, c, False, 2),
    "avg_pool2d": lambda s, c: _pool(s, c, True, 2),
    "max_pool1d": lambda s, c: _pool(s, c, False, 1),
    "avg_pool1d": lambda s, c: _pool(s, c, True, 1),
    "adaptive_avg_pool2d": lambda s, c: _adaptive(s, c, True),
    "adaptive_max_pool2d": lambda s, c: _adaptive(s, c, False),
    "cat": _cat,
    "concat": _cat,
    "mean": _mean,
    "softmax": lambda s, c: _decide(s, c, "Softmax"),
    "log_softmax": lambda s, c: _decide(s, c, "LogSoftmax"),
    "argmax": lambda s, c: _decide(s, c, "ArgMax"),
}
