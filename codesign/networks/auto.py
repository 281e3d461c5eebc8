"""`space: auto`: the search space for samples of a shape, and so many of them; and the same space with more room.

Stages halve rows and columns until a classifier can look at the whole map. Widths grow with the number of samples.
Kernels are those that the maps are large enough for. First options are plain convolutions. So the middle of the space
is the plain network that an engineer would try first.
"""

from dataclasses import replace

from codesign.networks.network import MAX_WINDOW
from codesign.networks.space import BlockSpace, HeadPool, Kind, Operator, Space, StageSpace
from codesign.ops.shapes import Shape

AUTO = "auto"

# Few options each: tables of costs have an entry for every combination that a layer can meet.
_BITS = (3, 5, 8)
_SEEN = 16  # positions of the last map, at most, so that a classifier looks at all of them
_FEW = 2  # halvings, with which a first stage still affords all rows and columns
_MOST_STAGES = 5
_BASES = ((1_000, 12), (10_000, 16))  # below so many samples: channels of the middle network's first stage
_BASE = 24
_MOST_BASES = 4  # later stages have up to so many times as many
_PARTS = (0.5, 1.0, 2.0)  # of the middle width
_MORE = (1.5, 2.0)  # of the largest width, where there is room
_WIDE_KERNELS, _LONG_KERNELS = 7, 13  # extents of a map from which it has kernels of 5, a signal of 7


def auto_space(shape: Shape, samples: int) -> Space:
    """Return the space for samples of that shape, of which there are so many to train with."""
    base = next((base for most, base in _BASES if samples < most), _BASE)
    stages, before = [], shape
    for i, stride in enumerate(_strides(shape)):
        after = Shape(-(-before.y // stride), -(-before.x // stride), before.c)
        leading = BlockSpace(operators=_leading(before, stride, is_first=i == 0), weight_bits=_BITS)
        later = BlockSpace(operators=_later(after), weight_bits=_BITS)
        widths = tuple(int(base * min(i + 1, _MOST_BASES) * part) for part in _PARTS)
        stages.append(StageSpace(stride=stride, widths=widths, activation_bits=_BITS, blocks=(leading, later)))
        before = after
    return Space(stages=tuple(stages), head_pools=_pools(before), head_weight_bits=_BITS)


def roomier(space: Space) -> Space:
    """Return the space with larger widths behind its own, so that a row of choices keeps its meaning."""
    return replace(
        space,
        stages=tuple(
            replace(stage, widths=(*stage.widths, *(int(max(stage.widths) * part) for part in _MORE)))
            for stage in space.stages
        ),
    )


def _strides(shape: Shape) -> list[int]:
    """Return the stride of every stage; rows and columns of large samples are quartered first."""
    halvings = 0
    while halvings < 2 * _MOST_STAGES and not _is_seen(shape, halvings):
        halvings += 1
    quarters = max(halvings - _MOST_STAGES, 0)
    first = [1] * (1 if halvings else 2) if halvings <= _FEW else []
    return [*first, *[4] * quarters, *[2] * (halvings - 2 * quarters)]


def _is_seen(shape: Shape, halvings: int) -> bool:
    """Tell whether one window can look at the whole map after so many halvings."""
    y, x = (-(-n // (1 << halvings)) for n in (shape.y, shape.x))
    return y * x <= _SEEN and max(y, x) <= MAX_WINDOW


def _kernels(shape: Shape) -> tuple[int, ...]:
    """Return the kernels that are worth trying on such a map; a single position needs none."""
    longest, is_signal = max(shape.y, shape.x), min(shape.y, shape.x) == 1
    if longest == 1:
        return (1,)
    if longest < _WIDE_KERNELS:
        return (3,)
    return (3, 7) if is_signal and longest >= _LONG_KERNELS else (3, 5)


def _leading(shape: Shape, stride: int, *, is_first: bool) -> tuple[Operator, ...]:
    """Return the operators of a stage's first block over such a map. Single channels of samples say little alone."""
    kernels = tuple(k for k in (5, 7) if k > stride) if stride > 2 else _kernels(shape)
    found = [Operator(kind=Kind.CONV, kernel=k) for k in kernels]
    if not is_first and kernels != (1,):
        found.append(Operator(kind=Kind.SEPARABLE, kernel=kernels[-1]))
    return tuple(found)


def _later(shape: Shape) -> tuple[Operator, ...]:
    """Return the operators of a residual block over such a map."""
    kernels, skip = _kernels(shape), Operator(kind=Kind.SKIP)
    found = [Operator(kind=Kind.CONV, kernel=k) for k in kernels]
    if kernels == (1,):
        return (*found, skip)
    found.append(Operator(kind=Kind.SEPARABLE, kernel=kernels[-1]))
    return (*found, Operator(kind=Kind.INVERTED, kernel=3, expansion=2), skip)


def _pools(last: Shape) -> tuple[HeadPool, ...]:
    """Return what may stand between a last map of that shape and the classifier."""
    longest = max(last.y, last.x)
    if longest == 1:
        return (HeadPool.NONE,)
    return (HeadPool.NONE, HeadPool.MAXIMUM, HeadPool.GLOBAL) if longest <= MAX_WINDOW else (HeadPool.GLOBAL,)
