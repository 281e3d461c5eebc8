"""Means over rows, columns or both of a map [C, Y, X], or over the columns of rows [C, X]."""

from collections.abc import Collection

from codesign.front.shapes import Shape
from codesign.front.source import Operator, Pool, Reshape


def mean_over(
    name: str, x: str, output: str, shape: Shape, axes: Collection[int], *, keep: bool
) -> tuple[Operator, ...]:
    """Return the operators of a mean over axes of a tensor of this shape; these stay with one element if `keep`.

    Raise ValueError if the channels or none are among the axes, or one is twice.
    """
    if len(shape) not in (2, 3) or not axes or 0 in axes or len(set(axes)) < len(axes):
        told = [axis + 1 for axis in axes]
        raise ValueError(
            f"means over axes {told} of a tensor {[1, *shape]}; expected rows, columns or both: behind axis 1"
        )
    whole = shape if len(shape) == 3 else (shape[0], 1, shape[1])
    left = tuple(1 if i in axes else n for i, n in enumerate(shape))
    kernel = (1 if len(shape) == 2 or 1 not in axes else whole[1], whole[2] if len(shape) - 1 in axes else 1)
    given = left if keep else tuple(n for i, n in enumerate(shape) if i not in axes)
    pooled = (whole[0], whole[1] // kernel[0], whole[2] // kernel[1])
    made: list[Operator] = []
    if whole != shape:
        made.append(Reshape(name=f"{name}:map", input=x, output=f"{output}:map", shape=whole))
        x = f"{output}:map"
    y = output if given == pooled else f"{output}:mean"
    made.append(Pool(name=name, input=x, output=y, average=True, kernel=None if kernel == whole[1:] else kernel))
    if given != pooled:
        made.append(Reshape(name=f"{name}:flat", input=y, output=output, shape=given))
    return tuple(made)
