"""Axes and channels of tensors of an ONNX file, channels first, without the batch."""

import numpy as np
import numpy.typing as npt

from codesign.front.shapes import Shape
from codesign.front.source import Constant
from codesign.front.translation import Refusal


def batchless_axis(axis: int, rank: int) -> int:
    """Return an axis without the batch. Raise Refusal if it is the batch, or none."""
    found = (axis + rank + 1 if axis < 0 else axis) - 1
    if not 0 <= found < rank:
        raise Refusal(f"works on axis {axis}, the batch or none of a tensor of {rank + 1} axes")
    return found


def per_channel(constant: Constant, shape: Shape) -> npt.NDArray[np.float64]:
    """Return a constant of one value, or one per channel of a map [C, ...]."""
    values = constant.values
    if values.size == 1:
        return values.reshape(())
    aligned = values.reshape((1,) * max(len(shape) + 1 - values.ndim, 0) + values.shape)
    if aligned.ndim == len(shape) + 1 and aligned.shape[1] == aligned.size == shape[0]:
        return aligned.reshape(-1)
    raise Refusal(
        f"a constant {list(values.shape)} beside a map {list(shape)}", "expected one value or one per channel"
    )
