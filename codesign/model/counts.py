"""Tables of counts: a column for each resource, a row for each option; and the registers of a counter."""

from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.ir.cost import NAMES
from codesign.model.memory import ceil_log2
from codesign.ops.arrays import Int, IntArray


def counts(
    like: Int,
    *,
    dsp: Int = 0,
    bram18: Int = 0,
    lut: npt.NDArray[np.floating[Any]] | Int | float = 0,
    ff: Int = 0,
) -> IntArray:
    """Return a table [..., 5] in the order of NAMES, rounded; single numbers are spread over the shape of `like`."""
    table = np.zeros((*np.shape(like), len(NAMES)), dtype=np.int64)
    for name, column in (("dsp", dsp), ("bram18", bram18), ("lut", np.rint(lut)), ("ff", ff)):
        table[..., NAMES.index(name)] = column
    return table


def counter_ff(count: Int) -> IntArray:
    """Return the registers of a counter that takes `count` values; none for one."""
    return ceil_log2(np.maximum(count, 1))
