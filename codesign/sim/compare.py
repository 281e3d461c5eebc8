"""Finds the first difference between golden and simulated maps; equality is exact, element by element."""

from dataclasses import dataclass

import numpy as np

from codesign.errors import MismatchError
from codesign.ops.arrays import IntArray


@dataclass(frozen=True, slots=True)
class Difference:
    """The first element that differs: index is (image, y, x, channel)."""

    layer: str
    index: tuple[int, ...]
    expected: int
    got: int
    count: int

    def __str__(self) -> str:
        return (
            f"layer {self.layer!r}, index {list(self.index)} (image, y, x, channel): expected {self.expected}, "
            f"got {self.got}; {self.count} elements differ"
        )


def first_difference(layer: str, expected: IntArray, got: IntArray) -> Difference | None:
    """Return the first difference between the maps [N,Y,X,C]; None if equal. Raise MismatchError if shapes differ."""
    if expected.shape != got.shape:
        raise MismatchError(f"layer {layer!r}: expected a map of shape {list(expected.shape)}, got {list(got.shape)}")
    wrong = np.argwhere(expected != got)
    if len(wrong) == 0:
        return None
    index = tuple(int(i) for i in wrong[0])
    return Difference(layer, index, int(expected[index]), int(got[index]), len(wrong))


def require_equal(layer: str, expected: IntArray, got: IntArray) -> None:
    """Raise MismatchError naming layer, index, expected and got unless the maps [N,Y,X,C] are equal."""
    difference = first_difference(layer, expected, got)
    if difference is not None:
        raise MismatchError(str(difference))
