"""The search space as plain data: stages of blocks with their choices, and where each choice is in a row of all."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from codesign.ir.strict import check_range
from codesign.networks.network import MAX_WINDOW

# Engines of one node each hold all weights on chip: far below these bounds nothing fits any board.
_MOST_CHANNELS, _MOST_EXPANSION, _MOST_STRIDE, _MOST_BLOCKS = 4096, 64, 64, 256


class Kind(Enum):
    """The kinds of candidate blocks."""

    CONV = "conv"  # one convolution
    SEPARABLE = "separable"  # depthwise, then 1x1
    INVERTED = "inverted"  # 1x1 to `expansion` times the channels, depthwise, 1x1 back
    SKIP = "skip"  # nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A candidate of a block; kernel and expansion where its kind has them. `groups`: of what mixes channels in it."""

    kind: Kind
    kernel: int = 1
    expansion: int = 1
    groups: int = 1

    def __post_init__(self) -> None:
        check_range(self, 1, MAX_WINDOW, "kernel")
        check_range(self, 1, _MOST_EXPANSION, "expansion")
        check_range(self, 1, _MOST_CHANNELS, "groups")

    def __str__(self) -> str:
        if self.kind is Kind.SKIP:
            return "skip"
        expansion = f"x{self.expansion}" if self.kind is Kind.INVERTED else ""
        groups = f"g{self.groups}" if self.groups > 1 else ""
        return f"{self.kind.value}{self.kernel}{expansion}{groups}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockSpace:
    """The choices of one block.

    `activation_bits`: of what passes between its convolutions; the stage's if none are given. What enters and leaves
    blocks has the stage's bits: a residual sum ties one block's to the next one's.
    """

    operators: tuple[Operator, ...]
    weight_bits: tuple[int, ...]
    activation_bits: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _check_different(operators=self.operators, weight_bits=self.weight_bits, activation_bits=self.activation_bits)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpace:
    """Blocks with one width and one activation type.

    The first has the stride and makes the width; the others are residual, their result is added to their input.
    """

    stride: int
    widths: tuple[int, ...]
    activation_bits: tuple[int, ...]
    blocks: tuple[BlockSpace, ...]

    def __post_init__(self) -> None:
        if not self.blocks or not self.widths or not self.activation_bits:
            raise ValueError("stage: expected at least one block, one width and one number of activation bits")
        check_range(self, 1, _MOST_STRIDE, "stride")
        for width in self.widths:
            if not 1 <= width <= _MOST_CHANNELS:
                raise ValueError(f"widths: expected 1 to {_MOST_CHANNELS:,} channels, got {width:,}")
        _check_different(widths=self.widths, activation_bits=self.activation_bits)
        if any(op.kind is Kind.SKIP for op in self.blocks[0].operators):
            raise ValueError("stage: its first block changes width or size and cannot be skipped")
        for block in self.blocks:
            if not block.operators or not block.weight_bits:
                raise ValueError("block: expected at least one operator and one number of weight bits")
        for groups in {op.groups for block in self.blocks for op in block.operators} - {1}:
            # a narrower network's groups are not those of the wider one that it shares its weights with
            if len(self.widths) > 1 or self.widths[0] % groups:
                widths = ", ".join(map(str, self.widths))
                raise ValueError(f"stage: groups: {groups} need one width, a multiple of it; got the widths {widths}")


class HeadPool(Enum):
    """What is between the last block and the classifier."""

    NONE = "none"  # the classifier sees the whole map
    MAXIMUM = "maximum"  # of 2x2
    GLOBAL = "global"  # average over the map


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Stages, then a classifier. Every bit width is 2 to 8.

    `resolutions`: the pixels to which the longer side of a sample may be reduced, the other one in proportion. Samples
    stay as they are if none are given.
    """

    stages: tuple[StageSpace, ...]
    head_pools: tuple[HeadPool, ...]
    head_weight_bits: tuple[int, ...]
    resolutions: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.stages or not self.head_pools or not self.head_weight_bits:
            raise ValueError("space: expected at least one stage, one head_pool and one head_weight_bits")
        for before, stage in itertools.pairwise(self.stages):
            for groups in {op.groups for op in stage.blocks[0].operators} - {1}:
                if len(before.widths) > 1 or before.widths[0] % groups:
                    raise ValueError(f"stage: groups: {groups} need one width of the stage before, a multiple of it")
        blocks = sum(len(stage.blocks) for stage in self.stages)
        if blocks > _MOST_BLOCKS:
            raise ValueError(f"stages: expected at most {_MOST_BLOCKS} blocks in all, got {blocks:,}")
        _check_different(
            head_pools=self.head_pools, head_weight_bits=self.head_weight_bits, resolutions=self.resolutions
        )
        bits = [b for s in self.stages for k in s.blocks for b in k.weight_bits + k.activation_bits]
        bits += [b for s in self.stages for b in s.activation_bits]
        for found in (*bits, *self.head_weight_bits):
            if not 2 <= found <= 8:
                raise ValueError(f"bits: expected 2 to 8, got {found}")
        if any(pixels < 1 for pixels in self.resolutions):
            raise ValueError(f"resolutions: expected at least 1, got {min(self.resolutions)}")

    @property
    def networks(self) -> int:
        """How many networks the space holds; blocks that are skipped count once for each of their weight bits."""
        return math.prod(len(d.options) for d in decisions(self))


def magnitude(networks: int) -> str:
    """Return a number of networks in three digits; it may be larger than a float."""
    digits = len(str(networks)) - 1
    return f"{networks:,.3g}" if digits < 300 else f"1e+{digits}"


def _check_different(**options: tuple[object, ...]) -> None:
    """Raise ValueError if an option is given twice: the size of the space would be wrong."""
    for name, found in options.items():
        twice = next((o for i, o in enumerate(found) if o in found[:i]), None)
        if twice is not None:
            raise ValueError(f"{name}: expected different options, got {getattr(twice, 'value', twice)} twice")


@dataclass(frozen=True, slots=True)
class Decision:
    """One choice: its name, and what can be chosen, as text."""

    name: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StageSlots:
    """Where a stage's decisions are in the row of all: width, activation bits, and those of each block.

    `inner_bits`: of the activations inside a block, None where these have the stage's.
    """

    width: int
    bits: int
    operators: tuple[int, ...]
    weight_bits: tuple[int, ...]
    inner_bits: tuple[int | None, ...]


def decisions(space: Space) -> tuple[Decision, ...]:
    """Return all decisions, in the order of `slots`: the resolution if any, stages, the head's pool and bits."""
    row: list[Decision] = []
    if space.resolutions:
        row.append(Decision("resolution", tuple(map(str, space.resolutions))))
    for i, stage in enumerate(space.stages):
        row.append(Decision(f"stage {i} width", tuple(map(str, stage.widths))))
        row.append(Decision(f"stage {i} activation bits", tuple(map(str, stage.activation_bits))))
        for j, block in enumerate(stage.blocks):
            row.append(Decision(f"stage {i} block {j} operator", tuple(map(str, block.operators))))
            row.append(Decision(f"stage {i} block {j} weight bits", tuple(map(str, block.weight_bits))))
            if block.activation_bits:
                row.append(Decision(f"stage {i} block {j} activation bits", tuple(map(str, block.activation_bits))))
    row.append(Decision("head pool", tuple(p.value for p in space.head_pools)))
    row.append(Decision("head weight bits", tuple(map(str, space.head_weight_bits))))
    return tuple(row)


@dataclass(frozen=True, slots=True)
class Slots:
    """Where the decisions are in the row of all. `resolution`: None where samples stay as they are."""

    resolution: int | None
    stages: tuple[StageSlots, ...]
    head_pool: int
    head_weight_bits: int


def slots(space: Space) -> Slots:
    """Return the places of all decisions."""
    found, free = [], itertools.count()
    resolution = next(free) if space.resolutions else None
    for stage in space.stages:
        width, bits = next(free), next(free)
        blocks = [(next(free), next(free), next(free) if b.activation_bits else None) for b in stage.blocks]
        operators, weight_bits, inner_bits = zip(*blocks, strict=True)
        found.append(StageSlots(width, bits, operators, weight_bits, inner_bits))
    return Slots(resolution, tuple(found), head_pool=next(free), head_weight_bits=next(free))


def branches(space: Space) -> tuple[int, ...]:
    """Return where options are different computations, not parts or roundings of one: resolution, operators, pool."""
    where = slots(space)
    first = () if where.resolution is None else (where.resolution,)
    return (*first, *(at for stage in where.stages for at in stage.operators), where.head_pool)


def middle(space: Space) -> tuple[int, ...]:
    """Return the row to take without a search: the first of what branches, the middle of widths and bits."""
    first = branches(space)
    return tuple(0 if at in first else len(d.options) // 2 for at, d in enumerate(decisions(space)))


def bit_widths(space: Space) -> tuple[int, ...]:
    """Return where bits are decided, of activations and of weights."""
    return (*_activation_bits(space), *_weight_bits(space))


def sizes(space: Space) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Return where activation bits, widths and weight bits are decided, in this order, and their options by size."""
    every, found = decisions(space), []
    for at in (*_activation_bits(space), *(w.width for w in slots(space).stages), *_weight_bits(space)):
        numbers = [int(text) for text in every[at].options]
        found.append((at, tuple(sorted(range(len(numbers)), key=numbers.__getitem__))))
    return tuple(found)


def _activation_bits(space: Space) -> list[int]:
    return [at for where in slots(space).stages for at in (where.bits, *where.inner_bits) if at is not None]


def _weight_bits(space: Space) -> list[int]:
    where = slots(space)
    return [at for stage in where.stages for at in stage.weight_bits] + [where.head_weight_bits]


def skips(space: Space) -> list[tuple[int, int]]:
    """Return (decision, option) of every block that can be skipped."""
    pairs = ((k, at) for s, w in zip(space.stages, slots(space).stages, strict=True)
             for k, at in zip(s.blocks, w.operators, strict=True))  # fmt: skip
    return [(at, i) for block, at in pairs for i, op in enumerate(block.operators) if op.kind is Kind.SKIP]


def depth(space: Space, row: Sequence[int]) -> int:
    """Count the blocks of the network that are not skipped."""
    return sum(len(s.blocks) for s in space.stages) - sum(row[at] == skip for at, skip in skips(space))


def must_keep(space: Space, minimum_depth: int) -> int:
    """Return how many blocks that can be skipped must not be, for so many blocks in all, or all that there are."""
    blocks, can = sum(len(s.blocks) for s in space.stages), len(skips(space))
    return max(min(minimum_depth, blocks) - (blocks - can), 0)
