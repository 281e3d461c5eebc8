"""ConvTranspose of an ONNX file, channels first, without the batch."""

from codesign.front.onnx_model import OnnxNode
from codesign.front.onnx_windows import bias_of, pads_of, pair_of, to_map, to_rows
from codesign.front.shapes import Shape
from codesign.front.source import Conv
from codesign.front.translation import Refusal, Translation
from codesign.front.transposed import transposed, turned_around


def transposed_convolution(state: Translation, node: OnnxNode) -> None:
    """Translate a transposed convolution. Raise ValueError if it is refused."""
    found, groups = state.constant(node.inputs[1]), int(node.attributes.get("group", 1))
    kernel = found.shape[2:]
    if len(kernel) not in (1, 2) or list(node.attributes.get("kernel_shape", kernel)) != list(kernel):
        raise Refusal(f"weights {list(found.shape)}", "expected [C, K/groups, FY, FX] or [C, K/groups, FX]")
    x, output, axes = to_map(state, node), node.outputs[0], len(kernel)
    weight = state.keep(f"{node.name}:weight", turned_around(found, groups))
    size = (1, kernel[0]) if axes == 1 else (kernel[0], kernel[1])
    more = [int(n) for n in node.attributes.get("output_padding", [0] * axes)]
    extra = (0, more[0]) if axes == 1 else (more[0], more[1])
    strides, dilations = pair_of(node, "strides", axes), pair_of(node, "dilations", axes)
    wanted = _wanted(node, state.shapes[x], strides, axes)
    if wanted is None:
        pads = pads_of(node, state.shapes[x], size, strides, dilations, axes)
    else:
        reach = [s * (n - 1) + (k - 1) * d + 1 for n, s, k, d in zip(state.shapes[x][1:], strides, size, dilations,
                                                                      strict=True)]  # fmt: skip
        pads, extra = _cut_off(reach, wanted, upper=node.attributes.get("auto_pad") == "SAME_UPPER"), (0, 0)
    made = Conv(
        name=node.name,
        input=x,
        output=output if axes == 2 else f"{output}:rows",
        weight=weight,
        bias=bias_of(state, node, 2),
        strides=strides,
        pads=pads,
        dilations=dilations,
        groups=groups,
    )
    for op in transposed(made, size, extra):
        state.emit(op)
    to_rows(state, node, made.output)


def _wanted(node: OnnxNode, shape: Shape, strides: tuple[int, int], axes: int) -> tuple[int, int] | None:
    """Return the extents that the result is to have; None if its pads say so."""
    asked = [int(n) for n in node.attributes.get("output_shape", ())]
    if asked:
        rows = asked[-2] if axes == 2 else 1
        return rows, asked[-1]
    if node.attributes.get("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER"):
        return shape[1] * strides[0], shape[2] * strides[1]
    return None


def _cut_off(reach: list[int], wanted: tuple[int, int], *, upper: bool) -> tuple[int, int, int, int]:
    """Return what is cut off the sides; what is missing is added at the end. An odd one is at the end if `upper`."""
    cut = [have - size for have, size in zip(reach, wanted, strict=True)]
    first = [max(n + (not upper), 0) // 2 for n in cut]
    return first[0], first[1], cut[0] - first[0], cut[1] - first[1]
