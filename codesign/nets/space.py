"""The search space as plain data: stages of blocks with their choices, and the network that a row of choices gives."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from codesign.ir.nodes import PoolOp, Shape
from codesign.nets.network import INPUT, LOGIT_BITS, MAX_WINDOW, AddLayer, ConvLayer, Layer, Network, PoolLayer


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
        if not 1 <= self.kernel <= MAX_WINDOW:
            raise ValueError(f"kernel: expected 1 to {MAX_WINDOW}, got {self.kernel}")
        for name in ("expansion", "groups"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")

    def __str__(self) -> str:
        if self.kind is Kind.SKIP:
            return "skip"
        expansion = f"x{self.expansion}" if self.kind is Kind.INVERTED else ""
        groups = f"g{self.groups}" if self.groups > 1 else ""
        return f"{self.kind.value}{self.kernel}{expansion}{groups}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockSpace:
    """The choices of one block."""

    operators: tuple[Operator, ...]
    weight_bits: tuple[int, ...]


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
    """Stages, then a classifier. Every bit width is 2 to 8."""

    stages: tuple[StageSpace, ...]
    head_pools: tuple[HeadPool, ...]
    head_weight_bits: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.stages or not self.head_pools or not self.head_weight_bits:
            raise ValueError("space: expected at least one stage, one head_pool and one head_weight_bits")
        for before, stage in itertools.pairwise(self.stages):
            for groups in {op.groups for op in stage.blocks[0].operators} - {1}:
                if len(before.widths) > 1 or before.widths[0] % groups:
                    raise ValueError(f"stage: groups: {groups} need one width of the stage before, a multiple of it")
        bits = [b for s in self.stages for b in s.activation_bits + sum((k.weight_bits for k in s.blocks), ())]
        for found in (*bits, *self.head_weight_bits):
            if not 2 <= found <= 8:
                raise ValueError(f"bits: expected 2 to 8, got {found}")

    @property
    def networks(self) -> int:
        """How many networks the space holds; blocks that are skipped count once for each of their weight bits."""
        return math.prod(len(d.options) for d in decisions(self))


@dataclass(frozen=True, slots=True)
class Decision:
    """One choice: its name, and what can be chosen, as text."""

    name: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StageSlots:
    """Where a stage's decisions are in the row of all: width, activation bits, and each block's operator and bits."""

    width: int
    bits: int
    operators: tuple[int, ...]
    weight_bits: tuple[int, ...]


def decisions(space: Space) -> tuple[Decision, ...]:
    """All decisions, in the order of `slots`."""
    row: list[Decision] = []
    for i, stage in enumerate(space.stages):
        row.append(Decision(f"stage {i} width", tuple(map(str, stage.widths))))
        row.append(Decision(f"stage {i} activation bits", tuple(map(str, stage.activation_bits))))
        for j, block in enumerate(stage.blocks):
            row.append(Decision(f"stage {i} block {j} operator", tuple(map(str, block.operators))))
            row.append(Decision(f"stage {i} block {j} weight bits", tuple(map(str, block.weight_bits))))
    row.append(Decision("head pool", tuple(p.value for p in space.head_pools)))
    row.append(Decision("head weight bits", tuple(map(str, space.head_weight_bits))))
    return tuple(row)


def slots(space: Space) -> tuple[StageSlots, ...]:
    """The places of every stage's decisions; the last two decisions are the head's pool and weight bits."""
    found, at = [], 0
    for stage in space.stages:
        blocks = range(len(stage.blocks))
        found.append(
            StageSlots(at, at + 1, tuple(at + 2 + 2 * j for j in blocks), tuple(at + 3 + 2 * j for j in blocks))
        )
        at += 2 + 2 * len(stage.blocks)
    return tuple(found)


def sizes(space: Space) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Where activation bits, widths and weight bits are, in this order, and the options of each from the least up."""
    every, where = decisions(space), slots(space)
    weight_bits = [at for w in where for at in w.weight_bits] + [len(every) - 1]
    found = []
    for at in [w.bits for w in where] + [w.width for w in where] + weight_bits:
        numbers = [int(text) for text in every[at].options]
        found.append((at, tuple(sorted(range(len(numbers)), key=numbers.__getitem__))))
    return tuple(found)


def depth(space: Space, row: Sequence[int]) -> int:
    """Blocks of the network that are not skipped."""
    pairs = [(k.operators[row[at]].kind, at) for s, w in zip(space.stages, slots(space), strict=True)
             for k, at in zip(s.blocks, w.operators, strict=True)]  # fmt: skip
    return sum(kind is not Kind.SKIP for kind, _ in pairs)


def derive(space: Space, row: Sequence[int], name: str, shape: Shape, labels: tuple[str, ...]) -> Network:
    """The network of a row of choices, one index for each of decisions(space)."""
    layers: list[Layer] = []
    source, channels = INPUT, shape.c
    for i, (stage, where) in enumerate(zip(space.stages, slots(space), strict=True)):
        width, bits = stage.widths[row[where.width]], stage.activation_bits[row[where.bits]]
        for j, block in enumerate(stage.blocks):
            operator = block.operators[row[where.operators[j]]]
            made = block_layers(
                f"s{i}b{j}",
                source,
                operator,
                channels=channels,
                width=width,
                stride=stage.stride if j == 0 else 1,
                weight_bits=block.weight_bits[row[where.weight_bits[j]]],
                bits=bits,
                adds=j > 0,
            )
            layers += made
            source, channels = (made[-1].name, width) if made else (source, channels)
    head = head_layers(source, space.head_pools[row[-2]], len(labels), space.head_weight_bits[row[-1]])
    return Network(name=name, shape=shape, layers=(*layers, *head), labels=labels)


def block_layers(
    name: str,
    source: str,
    operator: Operator,
    *,
    channels: int,
    width: int,
    stride: int,
    weight_bits: int,
    bits: int,
    adds: bool,
) -> list[Layer]:
    """The layers of a block that makes `width` of `channels` channels, and adds them to its input if it says so."""

    def conv(part: str, after: str, k: int, *, kernel: int = 1, stride: int = 1, wide: bool = False) -> ConvLayer:
        """A convolution; the depthwise one has as many groups as channels."""
        return ConvLayer(
            name=name + part,
            source=after,
            k=k,
            kernel=kernel,
            stride=stride,
            groups=k if part == "_dw" else operator.groups,
            weight_bits=weight_bits,
            bits=residual_bits(bits) if wide else bits,
            relu=not wide,
        )

    made: list[Layer] = []
    match operator.kind:
        case Kind.SKIP:
            return []
        case Kind.CONV:
            made = [conv("", source, width, kernel=operator.kernel, stride=stride, wide=adds)]
        case Kind.SEPARABLE:
            first = conv("_dw", source, channels, kernel=operator.kernel, stride=stride)
            made = [first, conv("_pw", first.name, width, wide=adds)]
        case Kind.INVERTED:
            inner = channels * operator.expansion
            expand = conv("_up", source, inner)
            middle = conv("_dw", expand.name, inner, kernel=operator.kernel, stride=stride)
            made = [expand, middle, conv("_pw", middle.name, width, wide=adds)]
    if adds:
        made.append(AddLayer(name=name + "_add", sources=(source, made[-1].name), bits=bits))
    return made


def head_layers(source: str, pool: HeadPool, labels: int, weight_bits: int) -> list[Layer]:
    """The classifier, and the pooling before it."""
    before: list[Layer] = []
    if pool is HeadPool.MAXIMUM:
        before = [PoolLayer(name="pool", source=source, op=PoolOp.MAX, kernel=2)]
    elif pool is HeadPool.GLOBAL:
        before = [PoolLayer(name="pool", source=source, op=PoolOp.AVERAGE, kernel=0)]
    dense = ConvLayer(
        name="classifier",
        source="pool" if before else source,
        k=labels,
        kernel=1,
        covers=True,
        weight_bits=weight_bits,
        bits=LOGIT_BITS,
        relu=False,
    )
    return [*before, dense]


def residual_bits(bits: int) -> int:
    """Bits of the signed branch that is added to activations of `bits`."""
    return min(bits + 2, 8)


def map_shapes(space: Space, shape: Shape) -> tuple[tuple[int, int], ...]:
    """Rows and columns of the input, and after every stage."""
    extents = [(shape.y, shape.x)]
    for stage in space.stages:
        extents.append((-(-extents[-1][0] // stage.stride), -(-extents[-1][1] // stage.stride)))
    return tuple(extents)
