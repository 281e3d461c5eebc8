"""Parts of maps, pixels repeated or interpolated, and numbers around a map, of a PyTorch module."""

import math
from collections.abc import Mapping

from codesign.front.bilinear import bilinear
from codesign.front.source import Enlarge, Slice, Surround
from codesign.front.torch_translation import Call, TorchTranslation, Translate, batchless_axis, traced_shape


def _pad(state: TorchTranslation, call: Call) -> None:
    a = call.arguments
    x, pads = state.tensor(a["self"]), [int(p) for p in a["pad"]]
    value = float(a.get("value") or 0)
    if a.get("mode", "constant") != "constant" or not math.isfinite(value):
        raise ValueError(f"mode = {a.get('mode')}, value = {value}; expected a constant number")
    if len(state.shapes[x]) != 3 or len(pads) not in (2, 4) or min(pads) < 0:
        raise ValueError(f"pads = {pads}; expected a constant around rows and columns of a map")
    left, right, top, bottom = [*pads, 0, 0][:4]
    state.emit(Surround(name=call.name, input=x, output=call.output, pads=(top, left, bottom, right), value=value))


def _upsample(state: TorchTranslation, call: Call, *, linear: bool) -> None:
    a = call.arguments
    x = state.tensor(a.get("input", a.get("self")))
    _, y, columns = traced_shape(state, call)[1:]
    rows, across = state.shapes[x][1:]
    if y % rows or columns % across:
        raise ValueError(f"makes {y} x {columns} of {rows} x {across}; expected whole factors")
    factors = (y // rows, columns // across)
    scales = a.get("scale_factors") or [a.get("scales_h") or factors[0], a.get("scales_w") or factors[1]]
    if a.get("align_corners") or tuple(map(float, scales)) != factors:
        raise ValueError(f"aligns corners, or scales by {scales}; expected align_corners = False and whole factors")
    if linear:
        for op in bilinear(call.name, x, call.output, factors, half_pixels=True):
            state.emit(op)
    else:
        state.emit(Enlarge(name=call.name, input=x, output=call.output, factors=factors))


def _element(state: TorchTranslation, call: Call) -> None:
    """A part of what an operator gives; of one that gives no parts, the first alone is a map."""
    parts, index = state.parts.get(str(call.arguments["0"])), int(call.arguments["1"])
    if parts is None and index != 0:
        raise ValueError(f"takes output {index} of {call.arguments['0']}; expected the first alone")
    state.same[call.output] = state.tensor(call.arguments["0"] if parts is None else parts[index])


def _split(state: TorchTranslation, call: Call) -> None:
    """Split and chunk: a slice for each part, as the example's shapes say."""
    x = state.tensor(call.arguments["self"])
    axis = batchless_axis(int(call.arguments["dim"]), len(state.shapes[x]))
    (node,) = (n for n in state.program.graph.nodes if n.name == call.output)
    sizes = [int(part.shape[axis + 1]) for part in node.meta["val"]]
    names = [f"{call.output}:{i}" for i in range(len(sizes))]
    start = 0
    for i, (name, size) in enumerate(zip(names, sizes, strict=True)):
        part = f"{call.name}:{i}" if i else call.name
        state.emit(Slice(name=part, input=x, output=name, axis=axis, start=start, stop=start + size))
        start += size
    state.parts[call.output] = tuple(names)


def _slice(state: TorchTranslation, call: Call) -> None:
    """A part of an axis, in steps of one: x[:, a:b], or narrow."""
    a = call.arguments
    x = state.tensor(a["self"])
    whole = traced_shape(state, call)
    if int(a["dim"]) % len(whole) == 0 and whole[0] == 1:  # x[:, ...] takes the whole batch first
        state.same[call.output] = x
        return
    axis = batchless_axis(int(a["dim"]), len(state.shapes[x]))
    if int(a.get("step") or 1) != 1:
        raise ValueError(f"takes every {a['step']}th element; expected steps of 1")
    start, extent = int(a.get("start") or 0), state.shapes[x][axis]
    start = min(max(start + extent if start < 0 else start, 0), extent)
    stop = start + whole[axis + 1]
    state.emit(Slice(name=call.name, input=x, output=call.output, axis=axis, start=start, stop=stop))


PLACES: Mapping[str, Translate] = {
    **dict.fromkeys(("pad", "constant_pad_nd"), _pad),
    "upsample_nearest2d": lambda s, c: _upsample(s, c, linear=False),
    "upsample_bilinear2d": lambda s, c: _upsample(s, c, linear=True),
    **dict.fromkeys(("split", "split_with_sizes", "chunk"), _split),
    **dict.fromkeys(("slice", "narrow"), _slice),
    "getitem": _element,
}
