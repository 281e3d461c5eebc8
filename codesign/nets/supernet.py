"""All networks of a space in one: every candidate has weights, widths are masks, bits are quantizers."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from codesign.nets.drawn import Bits, BlockBits, Chosen, Width, mixture
from codesign.networks.derive import input_shapes, map_shapes
from codesign.networks.network import same_window
from codesign.networks.space import BlockSpace, HeadPool, Kind, Operator, Space, StageSpace, slots
from codesign.ops.shapes import Shape, Window


class MaskedConv(nn.Module):
    """Convolution and batch normalization for every width.

    Where the width is to learn, channels beyond the drawn one become zero. Where it is not, they are not computed.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self, channels: int, width: int, kernels: tuple[int, ...], stride: int, shape: Shape, groups: int | None
    ) -> None:
        super().__init__()
        self.kernels, self.stride = kernels, stride
        self.largest = same_window(shape, max(kernels), stride)  # over the largest map there is
        self.groups = groups  # None: as many as there are channels
        taps = channels // (groups or channels)
        self.weight = nn.Parameter(torch.empty(width, taps, self.largest.fy, self.largest.fx))
        self.gain = nn.Parameter(torch.ones(width))
        self.shift = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))
        self.momentum = 0.1

    def forward(
        self, x: Tensor, kernel: int, width: Width | None, weight_bits: Bits, bits: Bits, *, signed: bool = False
    ) -> Tensor:
        """Convolve x[B,C,IY,IX] to y[B,K,OY,OX]; C and K are the drawn widths, or the larger active ones where they
        learn.
        """
        k = len(self.gain) if width is None else width.computed
        shape = Shape(x.shape[2], x.shape[3], x.shape[1])
        window = same_window(shape, kernel, self.stride)
        groups = self.groups or x.shape[1]
        part = self._part(window, same_window(shape, max(self.kernels), self.stride), k, x.shape[1] // groups)
        acc = _convolved(x, weight_bits.weight(self.weight, part), window, groups)
        mean, var = self.running_mean[:k], self.running_var[:k]
        acc = functional.batch_norm(acc, mean, var, self.gain[:k], self.shift[:k], self.training, self.momentum)
        value = bits.activation(acc, signed=signed)
        return value if width is None or width.mask is None else value * width.mask[:, None, None]

    def _part(self, window: Window, largest: Window, k: int, c: int) -> Tensor:
        """Return the weights of the first k and c channels that lie where the window does in the largest one of its
        map.

        That is smaller than the weights where a map has become a single row or column: their middle is what is left.
        """
        y = (self.largest.fy - largest.fy) // 2 + largest.pad_top - window.pad_top
        x = (self.largest.fx - largest.fx) // 2 + largest.pad_left - window.pad_left
        return self.weight[:k, :c, y : y + window.fy, x : x + window.fx]


def _convolved(x: Tensor, weight: Tensor, window: Window, groups: int) -> Tensor:
    stride = (window.stride_y, window.stride_x)
    if (window.pad_top, window.pad_left) == (window.pad_bottom, window.pad_right):
        return functional.conv2d(x, weight, None, stride, (window.pad_top, window.pad_left), groups=groups)
    padded = functional.pad(x, (window.pad_left, window.pad_right, window.pad_top, window.pad_bottom))
    return functional.conv2d(padded, weight, None, stride, groups=groups)


class Candidate(nn.Module):
    """The operators of a block that differ in their kernel only, at the largest widths."""

    def __init__(
        self, operators: tuple[Operator, ...], channels: int, width: int, stride: int, shape: Shape, *, adds: bool
    ) -> None:
        super().__init__()
        kind, self.expansion, groups = operators[0].kind, operators[0].expansion, operators[0].groups
        self.adds = adds and kind is not Kind.SKIP
        kernels = tuple(op.kernel for op in operators)
        inner = channels * self.expansion
        middle = Shape(shape.y, shape.x, inner)
        out = Shape(-(-shape.y // stride), -(-shape.x // stride), inner)
        parts: list[MaskedConv] = []
        if kind is Kind.CONV:
            parts = [MaskedConv(channels, width, kernels, stride, shape, groups)]
        if kind is Kind.INVERTED:
            parts = [MaskedConv(channels, inner, (1,), 1, shape, groups)]
        if kind in (Kind.SEPARABLE, Kind.INVERTED):
            parts.append(MaskedConv(inner, inner, kernels, stride, middle, None))
            parts.append(MaskedConv(inner, width, (1,), 1, out, groups))
        self.parts = nn.ModuleList(parts)
        if self.adds:
            nn.init.zeros_(parts[-1].gain)  # a residual block begins as nothing, so that all fit together

    def forward(self, x: Tensor, kernel: int, before: Width | None, width: Width, bits: BlockBits) -> Tensor:
        """Compute y[B,K,OY,OX] of x[B,C,IY,IX]; `before`: the drawn width of x, None for the network's input."""
        inner = None if before is None else before.times(self.expansion)
        value = x
        for i, part in enumerate(self.parts):
            is_last = i == len(self.parts) - 1
            made = (width, bits.weight, bits.outer) if is_last else (inner, bits.weight, bits.inner)
            value = part(value, kernel if kernel in part.kernels else 1, *made, signed=is_last and self.adds)
        return bits.outer.activation(x + value) if self.adds else value


class Block(nn.Module):
    """The candidates of one block; those that differ in their kernel only share weights, smaller inside larger."""

    def __init__(self, space: BlockSpace, channels: int, width: int, stride: int, shape: Shape, *, adds: bool) -> None:
        super().__init__()
        self.operators = space.operators
        kinds = list(dict.fromkeys(replace(op, kernel=1) for op in space.operators))
        self.member = [kinds.index(replace(op, kernel=1)) for op in space.operators]
        alike = [tuple(op for op in space.operators if replace(op, kernel=1) == kind) for kind in kinds]
        self.candidates = nn.ModuleList(Candidate(ops, channels, width, stride, shape, adds=adds) for ops in alike)

    def forward(self, x: Tensor, draw: Chosen, before: Width | None, width: Width, bits: BlockBits) -> Tensor:
        """Return the drawn candidate's map; another active one adds nothing but a gradient to its weight."""

        def run(i: int) -> Tensor:
            value: Tensor = self.candidates[self.member[i]](x, self.operators[i].kernel, before, width, bits)
            return value

        return mixture(draw, run)


class Head(nn.Module):
    """The classifier after one kind of pooling."""

    def __init__(self, pool: HeadPool, width: int, labels: int, shape: tuple[int, int]) -> None:
        super().__init__()
        self.pool = pool
        y, x = shape if pool is HeadPool.NONE else (1, 1)
        if pool is HeadPool.MAXIMUM:
            y, x = (shape[0] - min(2, shape[0])) // 2 + 1, (shape[1] - min(2, shape[1])) // 2 + 1
        self.weight = nn.Parameter(torch.zeros(labels, width, y, x))
        self.bias = nn.Parameter(torch.zeros(labels))

    def forward(self, x: Tensor, weight_bits: Bits) -> Tensor:
        """Compute logits [B,labels] of x[B,C,Y,X]."""
        if self.pool is HeadPool.MAXIMUM:
            size = (min(2, x.shape[2]), min(2, x.shape[3]))
            x = functional.max_pool2d(x, size)
        elif self.pool is HeadPool.GLOBAL:
            x = x.mean((2, 3), keepdim=True)
        weight = weight_bits.weight(self.weight, self.weight[:, : x.shape[1]]).flatten(1)
        return functional.linear(x.flatten(1), weight, self.bias)


class SuperNet(nn.Module):
    """Every network of the space, at shared weights."""

    def __init__(self, space: Space, shape: Shape, labels: int, rng: torch.Generator) -> None:
        super().__init__()
        self.space, self.slots = space, slots(space)
        self.shapes = input_shapes(space, shape)
        extents = map_shapes(space, max(self.shapes, key=lambda s: s.y * s.x))
        channels = shape.c
        blocks: list[nn.ModuleList] = []
        for i, stage in enumerate(space.stages):
            width = max(stage.widths)
            row = [Block(stage.blocks[0], channels, width, stage.stride, Shape(*extents[i], channels), adds=False)]
            inside = Shape(*extents[i + 1], width)
            row += [Block(b, width, width, 1, inside, adds=True) for b in stage.blocks[1:]]
            blocks.append(nn.ModuleList(row))
            channels = width
        self.blocks = nn.ModuleList(blocks)
        ends = [map_shapes(space, own)[-1] for own in self.shapes]
        # a classifier that sees the whole map has weights of its own for every size of it
        self.heads = nn.ModuleList(Head(p, channels, labels, end) for end in ends for p in space.head_pools)
        for module in self.modules():
            if isinstance(module, MaskedConv):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=rng)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, draws: Sequence[Chosen]) -> Tensor:
        """Compute logits [B,labels] of images x uint8 [B,C,Y,X], with a draw for each decision of the space."""
        value = x.to(torch.float32)
        if self.slots.resolution is None:
            return self._logits(value, draws, 0)
        return mixture(draws[self.slots.resolution], lambda i: self._logits(self._reduced(value, i), draws, i))

    def _reduced(self, x: Tensor, resolution: int) -> Tensor:
        """Return the images at that resolution, in whole steps of a pixel; as datasets.resize does, but for ties."""
        size = (self.shapes[resolution].y, self.shapes[resolution].x)
        return x if size == x.shape[2:] else torch.floor(functional.interpolate(x, size, mode="area") + 0.5)

    def _logits(self, pixels: Tensor, draws: Sequence[Chosen], resolution: int) -> Tensor:
        value, before = pixels * 2.0**-8, None
        for stage, where, blocks in zip(self.space.stages, self.slots.stages, self.blocks, strict=True):
            value, before = self._stage(stage, draws, where, blocks, value, before)
        weight_bits = Bits(self.space.head_weight_bits, draws[self.slots.head_weight_bits])
        first = resolution * len(self.space.head_pools)
        return mixture(draws[self.slots.head_pool], lambda i: self.heads[first + i](value, weight_bits))

    def _stage(self, stage: StageSpace, draws: Sequence[Chosen], where, blocks, value, before):  # type: ignore[no-untyped-def]
        width = Width(stage.widths, draws[where.width])
        outer = Bits(stage.activation_bits, draws[where.bits])
        for space, block, operator, weight_bits, inner_bits in zip(
            stage.blocks, blocks, where.operators, where.weight_bits, where.inner_bits, strict=True
        ):
            inner = outer if inner_bits is None else Bits(space.activation_bits, draws[inner_bits])
            bits = BlockBits(Bits(space.weight_bits, draws[weight_bits]), inner, outer)
            value = block(value, draws[operator], before, width, bits)
            before = width
        return value, before


def recalibrate(net: SuperNet, batches: Sequence[Tensor], draws: Sequence[Chosen]) -> None:
    """Set the running statistics of the batch normalizations that the drawn network uses to their mean over batches."""
    convs = [m for m in net.modules() if isinstance(m, MaskedConv)]
    net.train()
    with torch.no_grad():
        for i, batch in enumerate(batches):
            for conv in convs:
                conv.momentum = 1.0 / (i + 1)
            net(batch, draws)
    net.eval()
