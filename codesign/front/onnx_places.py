"""Operators of an ONNX file that take channels out of a map, or move them, channels first, without the batch."""

from codesign.front.onnx_axes import batchless_axis
from codesign.front.onnx_model import OnnxNode
from codesign.front.source import DepthToSpace, Shuffle, Slice, SpaceToDepth
from codesign.front.translation import Refusal, Translation


def places(state: Translation, node: OnnxNode) -> None:
    """Translate a node that takes channels out of a map, or moves them. Raise ValueError if it is refused."""
    match node.operator:
        case "Split":
            _parts(state, node)
        case "Slice":
            _taken(state, node)
        case _:
            _blocks(state, node)


def _parts(state: Translation, node: OnnxNode) -> None:
    """Translate a Split: a slice for each part. Raise ValueError if it is refused."""
    x = state.tensor(node.inputs[0])
    shape = state.shapes[x]
    axis = batchless_axis(int(node.attributes.get("axis", 0)), len(shape))
    count, whole = len(node.outputs), shape[axis]
    if "split" in node.attributes:
        sizes = [int(n) for n in node.attributes["split"]]
    elif len(node.inputs) > 1 and node.inputs[1]:
        sizes = [int(n) for n in state.array(node, 1, "split").reshape(-1)]
    else:
        size = -(-whole // count)  # the last part may be smaller
        sizes = [size] * (count - 1) + [whole - size * (count - 1)]
    if len(sizes) != count or min(sizes) < 1 or sum(sizes) != whole:
        raise Refusal(f"splits {whole} elements into {sizes}", f"expected {count} parts that make up the whole")
    start = 0
    for i, (size, output) in enumerate(zip(sizes, node.outputs, strict=True)):
        name = f"{node.name}:{i}" if i else node.name
        if output:
            state.emit(Slice(name=name, input=x, output=output, axis=axis, start=start, stop=start + size))
        start += size


def _taken(state: Translation, node: OnnxNode) -> None:
    """Translate a Slice along one axis in steps of one. Raise ValueError if it is refused."""
    x = state.tensor(node.inputs[0])
    shape = state.shapes[x]
    starts, ends = (_whole(state, node, i, what) for i, what in ((1, "starts"), (2, "ends")))
    assert starts is not None
    assert ends is not None
    axes = _whole(state, node, 3, "axes") or list(range(len(starts)))
    steps = _whole(state, node, 4, "steps") or [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise Refusal("starts, ends, axes and steps are not of one number")
    if any(step != 1 for step in steps):
        raise Refusal(f"takes every {max(steps, key=abs)}th element", "expected steps of 1")
    for i, (asked, start, stop) in enumerate(zip(axes, starts, ends, strict=True)):
        axis = batchless_axis(asked, len(shape))
        extent = shape[axis]
        first, last = (min(max(n + extent if n < 0 else n, 0), extent) for n in (start, stop))
        y = node.outputs[0] if i == len(axes) - 1 else f"{node.outputs[0]}:{i}"
        state.emit(Slice(name=f"{node.name}:{i}" if i else node.name, input=x, output=y, axis=axis, start=first,
                         stop=last))  # fmt: skip
        x = y


def _blocks(state: Translation, node: OnnxNode) -> None:
    """Translate DepthToSpace, in either order of channels, or SpaceToDepth. Raise ValueError if it is refused."""
    x, block = state.tensor(node.inputs[0]), int(node.attributes["blocksize"])
    side_by_side = node.attributes.get("mode", "DCR") == "CRD"  # the channels of one channel of more pixels
    if node.operator == "SpaceToDepth":
        y = f"{node.outputs[0]}:blocks" if side_by_side else node.outputs[0]
        state.emit(SpaceToDepth(name=node.name, input=x, output=y, block=block))
        if side_by_side:
            state.emit(Shuffle(name=f"{node.name}:order", input=y, output=node.outputs[0], groups=block**2))
        return
    if side_by_side:
        turned = f"{node.outputs[0]}:turned"
        groups = state.shapes[x][0] // max(block, 1) ** 2
        state.emit(Shuffle(name=f"{node.name}:order", input=x, output=turned, groups=groups))
        x = turned
    state.emit(DepthToSpace(name=node.name, input=x, output=node.outputs[0], block=block))


def _whole(state: Translation, node: OnnxNode, index: int, what: str) -> list[int] | None:
    """Return whole numbers of an attribute or a constant input; None if there are none."""
    if what in node.attributes:
        return [int(n) for n in node.attributes[what]]
    if index >= 3 and (len(node.inputs) <= index or not node.inputs[index]):
        return None
    return [int(n) for n in state.array(node, index, what).reshape(-1)]
