"""The network that a row of choices gives: layers, and the shapes of its maps."""

from collections.abc import Sequence

from codesign.errors import ConfigError
from codesign.networks.network import INPUT, LOGIT_BITS, AddLayer, ConvLayer, Layer, Network, PoolLayer
from codesign.networks.space import HeadPool, Kind, Operator, Space, slots
from codesign.ops.pool import PoolOp
from codesign.ops.shapes import Shape


def derive(space: Space, row: Sequence[int], name: str, shape: Shape, labels: tuple[str, ...]) -> Network:
    """Return the network of a row of choices, one index for each of decisions(space), for samples of that shape."""
    layers: list[Layer] = []
    shape = chosen_shape(space, row, input_shapes(space, shape))
    source, channels = INPUT, shape.c
    for i, (stage, where) in enumerate(zip(space.stages, slots(space).stages, strict=True)):
        for j in range(len(stage.blocks)):
            made = chosen_block(space, row, i, j, source, channels, name=f"s{i}b{j}")
            layers += made
            source, channels = (made[-1].name, stage.widths[row[where.width]]) if made else (source, channels)
    head = chosen_head(space, row, source, len(labels))
    return Network(name=name, shape=shape, layers=(*layers, *head), labels=labels)


def chosen_block(
    space: Space, row: Sequence[int], i: int, j: int, source: str, channels: int, *, name: str
) -> list[Layer]:
    """Return the layers of block j of stage i for a row of choices, behind a source of so many channels."""
    stage, where = space.stages[i], slots(space).stages[i]
    block, inner = stage.blocks[j], where.inner_bits[j]
    bits = stage.activation_bits[row[where.bits]]
    return block_layers(
        name,
        source,
        block.operators[row[where.operators[j]]],
        channels=channels,
        width=stage.widths[row[where.width]],
        stride=1 if j else stage.stride,
        weight_bits=block.weight_bits[row[where.weight_bits[j]]],
        inner_bits=bits if inner is None else block.activation_bits[row[inner]],
        bits=bits,
        adds=j > 0,
    )


def block_layers(
    name: str,
    source: str,
    operator: Operator,
    *,
    channels: int,
    width: int,
    stride: int,
    weight_bits: int,
    inner_bits: int,
    bits: int,
    adds: bool,
) -> list[Layer]:
    """Return the layers of a block that makes `width` of `channels` channels, and adds its input if it says so."""

    def conv(part: str, after: str, k: int, *, kernel: int = 1, stride: int = 1, last: bool = False) -> ConvLayer:
        """Return a convolution; the depthwise one has as many groups as channels."""
        wide = last and adds
        return ConvLayer(
            name=name + part,
            source=after,
            k=k,
            kernel=kernel,
            stride=stride,
            groups=k if part == "_dw" else operator.groups,
            weight_bits=weight_bits,
            bits=residual_bits(bits) if wide else bits if last else inner_bits,
            relu=not wide,
        )

    made: list[Layer] = []
    match operator.kind:
        case Kind.SKIP:
            return []
        case Kind.CONV:
            made = [conv("", source, width, kernel=operator.kernel, stride=stride, last=True)]
        case Kind.SEPARABLE:
            first = conv("_dw", source, channels, kernel=operator.kernel, stride=stride)
            made = [first, conv("_pw", first.name, width, last=True)]
        case Kind.INVERTED:
            inner = channels * operator.expansion
            expand = conv("_up", source, inner)
            middle = conv("_dw", expand.name, inner, kernel=operator.kernel, stride=stride)
            made = [expand, middle, conv("_pw", middle.name, width, last=True)]
    if adds:
        made.append(AddLayer(name=name + "_add", sources=(source, made[-1].name), bits=bits))
    return made


def chosen_head(space: Space, row: Sequence[int], source: str, labels: int) -> list[Layer]:
    """Return the classifier of a row of choices for that many labels, and the pooling before it."""
    where = slots(space)
    pool, weight_bits = space.head_pools[row[where.head_pool]], space.head_weight_bits[row[where.head_weight_bits]]
    return head_layers(source, pool, labels, weight_bits)


def head_layers(source: str, pool: HeadPool, labels: int, weight_bits: int) -> list[Layer]:
    """Return the classifier, and the pooling before it."""
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
    """Return the bits of the signed branch that is added to activations of `bits`."""
    return min(bits + 2, 8)


def input_shapes(space: Space, shape: Shape) -> tuple[Shape, ...]:
    """Return what samples of a shape are reduced to at each resolution. Raise ConfigError if one would enlarge them."""
    if not space.resolutions:
        return (shape,)
    side = max(shape.y, shape.x)
    if max(space.resolutions) > side:
        raise ConfigError(
            f"space: resolution {max(space.resolutions)} is beyond the samples, whose longer side is {side}; leave it "
            "out, or bring larger samples"
        )
    # to the nearest pixel, halves up
    found = [[max((2 * n * r + side) // (2 * side), 1) for n in (shape.y, shape.x)] for r in space.resolutions]
    return tuple(Shape(y, x, shape.c) for y, x in found)


def chosen_shape(space: Space, row: Sequence[int], shapes: Sequence[Shape]) -> Shape:
    """Return the one of input_shapes that a row of choices takes."""
    at = slots(space).resolution
    return shapes[0 if at is None else row[at]]


def map_shapes(space: Space, shape: Shape) -> tuple[tuple[int, int], ...]:
    """Return rows and columns of an input of that shape, and after every stage."""
    extents = [(shape.y, shape.x)]
    for stage in space.stages:
        extents.append((-(-extents[-1][0] // stage.stride), -(-extents[-1][1] // stage.stride)))
    return tuple(extents)
