"""Integers, or arrays of them: the arithmetic that one formula uses for a single engine and for columns of engines."""

from typing import overload

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Int = int | IntArray
Bool = bool | BoolArray


@overload
def ceil_div(a: int, b: int) -> int: ...
@overload
def ceil_div(a: Int, b: Int) -> Int: ...
def ceil_div(a: Int, b: Int) -> Int:
    """Return the least integer not below a / b."""
    return -(-a // b)


@overload
def ceil_log2(count: int) -> int: ...
@overload
def ceil_log2(count: Int) -> Int: ...
def ceil_log2(count: Int) -> Int:
    """Return the least e with 2**e >= count, for count >= 1."""
    if isinstance(count, int):
        return (count - 1).bit_length()
    return np.frexp((count - 1).astype(np.float64))[1].astype(np.int64)


@overload
def largest(*values: int) -> int: ...
@overload
def largest(*values: Int) -> Int: ...
def largest(*values: Int) -> Int:
    """Return the largest of the values, entry by entry where they are arrays."""
    if all(isinstance(value, int) for value in values):
        return max(values)
    found = values[0]
    for value in values[1:]:
        found = np.maximum(found, value)
    return found
