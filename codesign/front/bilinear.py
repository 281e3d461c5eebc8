"""Bilinear enlargement by whole factors, as repeated pixels and averages over them.

Averages that leave out their padding repeat the pixels at the edges, as bilinear interpolation does. So the results are
the same in every place.
"""

from dataclasses import dataclass
from itertools import zip_longest

from codesign.front.source import Enlarge, Operator, Pool


@dataclass(frozen=True, slots=True)
class _Mean:
    """A mean along one axis: of how many pixels, how far apart, and the padding before and behind."""

    taps: int = 1
    apart: int = 1
    before: int = 0
    behind: int = 0


def bilinear(name: str, x: str, output: str, factors: tuple[int, int], *, half_pixels: bool) -> tuple[Operator, ...]:
    """Return the operators that enlarge the map `x` by whole factors of rows and columns, and interpolate.

    `half_pixels`: whether pixel i of n ones stands at (i + 1/2) / n of the map; else at i / n.
    """
    made: list[Operator] = [Enlarge(name=name, input=x, output=f"{output}:repeated", factors=factors)]
    rows, columns = (_means(factor, half_pixels=half_pixels) for factor in factors)
    stages = list(zip_longest(rows, columns, fillvalue=_Mean()))
    for i, (y, across) in enumerate(stages):
        pads = (y.before, across.before, y.behind, across.behind)
        made.append(
            Pool(
                name=f"{name}:{i}",
                input=made[-1].output,
                output=output if i == len(stages) - 1 else f"{output}:{i}",
                average=True,
                kernel=(y.taps, across.taps),
                pads=pads,
                dilations=(y.apart, across.apart),
                count_pads=not any(pads),
            )
        )
    return tuple(made)


def _means(factor: int, *, half_pixels: bool) -> list[_Mean]:
    """Return the means that interpolate an axis whose pixels are repeated.

    An output is the mean of as many pixels as the factor: from its place on, or around it. With an even factor a place
    among half pixels lies between two of them, so these are averaged first. A mean of 2**k pixels is k means of two.
    Then all divisors are powers of two, and nothing is rounded.
    """
    begin = [_Mean(2, 1, 1, 1)] if half_pixels and factor % 2 == 0 else []
    if factor & (factor - 1):
        inner = (factor - 1) // 2
        return [*begin, _Mean(factor, 1, inner, inner) if half_pixels else _Mean(factor, 1, 0, factor - 1)]
    distances = [1 << i for i in range(factor.bit_length() - 1)]
    if half_pixels:
        return begin + [_Mean(2, apart, apart // 2, apart // 2) for apart in distances]
    return [_Mean(2, apart, 0, apart) for apart in distances]
