"""A Network in torch, twice: in float with batch normalization, and fake-quantized with the normalization folded in.

Maps are [B,C,Y,X] with channels last in memory; images enter as uint8 and are multiplied by 1/256.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from codesign.errors import UnsupportedError
from codesign.nets.quantizer import EXACT, best_exponent, best_weight_exponent, power, quantize, quantize_weight
from codesign.networks.network import INPUT, SPREAD, Network, average_divisor_exponent, skeleton
from codesign.ops.add import Add
from codesign.ops.conv import Conv
from codesign.ops.node import Node
from codesign.ops.pool import Pool, PoolOp
from codesign.ops.qtype import QType
from codesign.ops.shapes import Window

INPUT_EXPONENT = -8
_BIAS_LIMIT = 1 << 23


class FloatConv(nn.Module):
    """A convolution with batch normalization (the last one: with a bias) and, where its type is unsigned, a ReLU."""

    def __init__(self, node: Conv, is_last: bool) -> None:
        super().__init__()
        self.node = node
        self.weight = nn.Parameter(torch.empty(node.k, node.c_per_group, node.window.fy, node.window.fx))
        self.norm = None if is_last else nn.BatchNorm2d(node.k)
        self.bias = nn.Parameter(torch.zeros(node.k)) if is_last else None

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x[B,C,IY,IX] to y[B,K,OY,OX]."""
        acc = convolve(x, self.weight, self.bias, self.node)
        if self.norm is not None:
            acc = self.norm(acc)
        return acc if self.node.otype.signed else functional.relu(acc)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Return weight [K,C,FY,FX] and bias [K] of the convolution that does what this one does after training."""
        if self.norm is None:
            assert self.bias is not None
            return self.weight.detach().clone(), self.bias.detach().clone()
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        gain = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
        return self.weight.detach() * gain[:, None, None, None], norm.bias.detach() - norm.running_mean * gain


class FloatNet(nn.Module):
    """The network in floating point."""

    def __init__(self, network: Network, seed: int) -> None:
        super().__init__()
        self.network = network
        self.nodes = skeleton(network).nodes
        convs = [n for n in self.nodes if isinstance(n, Conv)]
        self.convs = nn.ModuleDict({n.name: FloatConv(n, n is self.nodes[-1]) for n in convs})
        generator = torch.Generator().manual_seed(seed)
        for conv in self.convs.values():
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu", generator=generator)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits [B,classes] of images x uint8 [B,C,Y,X]."""
        return run_float(self.nodes, x, lambda node, value: self.convs[node.name](value))


class QuantConv(nn.Module):
    """A fake-quantized convolution; its scales are powers of two, set by `calibrate`."""

    weight_exponent: Tensor
    exponent: Tensor

    def __init__(self, node: Conv) -> None:
        super().__init__()
        self.node = node
        self.weight = nn.Parameter(torch.zeros(node.k, node.c_per_group, node.window.fy, node.window.fx))
        self.bias = nn.Parameter(torch.zeros(node.k))
        self.register_buffer("weight_exponent", torch.zeros(node.k, dtype=torch.int64))
        self.register_buffer("exponent", torch.zeros((), dtype=torch.int64))

    def calibrate(self, x: Tensor, source_exponent: int) -> None:
        """Choose the scales that fit the weights, and the outputs on x best."""
        self.weight_exponent.copy_(best_weight_exponent(self.weight, self.node.wtype.bits, SPREAD))
        acc = convolve(x, self.quantized_weight(), self.quantized_bias(source_exponent), self.node)
        otype = self.node.otype
        headroom = 1 if otype.signed and otype.bits > 8 else 0  # logits must not saturate on images not seen here
        wanted = best_exponent(acc if otype.signed else functional.relu(acc), otype) + headroom
        # Shifts stay between 0 and 30, whatever the values on x were, and so multipliers at most 2**SPREAD.
        finest = source_exponent + int(self.weight_exponent.min())
        self.exponent.fill_(min(max(wanted, finest), finest + 30))

    def quantized_weight(self) -> Tensor:
        """Return the weights [K,C,FY,FX], real values."""
        return quantize_weight(self.weight, self.weight_exponent, self.node.wtype.bits)

    def quantized_bias(self, source_exponent: int) -> Tensor:
        """Return the bias [K], real values: multiples of the accumulator's step, at most 2**23 of them."""
        step = power(self.weight_exponent + source_exponent, self.bias)
        rounded = torch.floor(self.bias / step + 0.5).clamp(-_BIAS_LIMIT, _BIAS_LIMIT) * step
        return self.bias + (rounded - self.bias).detach() if self.training else rounded

    def forward(self, x: Tensor, source_exponent: int) -> Tensor:
        """Convolve x[B,C,IY,IX] to y[B,K,OY,OX]; outside training exactly what the golden model gives."""
        weight, bias = self.quantized_weight(), self.quantized_bias(source_exponent)
        if not self.training and self._largest_sum(weight, bias, source_exponent) > EXACT:
            wide = convolve(x.double(), weight.double(), bias.double(), self.node)
            return quantize(wide, self.exponent, self.node.otype).float()
        return quantize(convolve(x, weight, bias, self.node), self.exponent, self.node.otype)

    @torch.no_grad()
    def _largest_sum(self, weight: Tensor, bias: Tensor, source_exponent: int) -> float:
        """Return the largest magnitude that an accumulator, its bias and half a step of the output can reach, in
        integers.
        """
        itype = self.node.itype
        step = power(self.weight_exponent + source_exponent, weight)
        peak = max(-itype.qmin, itype.qmax) * 2.0**source_exponent
        half = power(self.exponent - 1, weight)
        total = weight.abs().flatten(1).sum(1) * peak + bias.abs() + half
        return float((total / step).max())


class Rescale(nn.Module):
    """An average pooling or an addition, and the exponent of its output.

    `total`: the sum of its sources before rounding. `spare`: how far below its sources the exponent may be.
    """

    exponent: Tensor

    def __init__(self, total: Callable[[list[Tensor]], Tensor], otype: QType, spare: int = 0) -> None:
        super().__init__()
        self.total, self.otype, self.spare = total, otype, spare
        self.register_buffer("exponent", torch.zeros((), dtype=torch.int64))

    def calibrate(self, sources: list[Tensor], exponents: list[int]) -> None:
        """Choose the best exponent that needs a shift between 0 and 15 only."""
        finest, total = min(exponents) - self.spare, self.total(sources)
        wanted = best_exponent(total if self.otype.signed else functional.relu(total), self.otype)
        self.exponent.fill_(min(max(wanted, finest), finest + 15))

    def forward(self, sources: list[Tensor]) -> Tensor:
        """Compute the output of the sources."""
        return quantize(self.total(sources), self.exponent, self.otype)


class QuantNet(nn.Module):
    """The fake-quantized network; outside training it equals the golden model of its exported graph."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.nodes = skeleton(network).nodes
        self.units = nn.ModuleDict()
        self.maxima: dict[str, Pool] = {}  # what keeps the scale of its source
        for node in self.nodes[1:]:
            match node:
                case Conv():
                    self.units[node.name] = QuantConv(node)
                case Pool(op=PoolOp.MAX):
                    self.maxima[node.name] = node
                case Pool():
                    spare = average_divisor_exponent(node.window)
                    self.units[node.name] = Rescale(partial(_pooled, node), node.otype, spare)
                case Add():
                    self.units[node.name] = Rescale(_added, node.otype)
                case other:
                    raise UnsupportedError(f"node {other.name!r}: networks with {other.title} are not trained")
        self.to(memory_format=torch.channels_last)

    @staticmethod
    def from_float(net: FloatNet, x: Tensor) -> "QuantNet":
        """Fold the batch normalization of a trained net, and choose all scales on the images x uint8 [B,C,Y,X]."""
        quantized = QuantNet(net.network)
        for name, conv in net.convs.items():
            weight, bias = conv.folded()
            unit = quantized.units[name]
            unit.weight.data.copy_(weight)
            unit.bias.data.copy_(bias)
        quantized.to(x.device)
        quantized.eval()
        with torch.no_grad():
            quantized._run(x, calibrate=True)
        return quantized

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits [B,classes], real values, of images x uint8 [B,C,Y,X]."""
        values, _ = self._run(x, calibrate=False)
        return values[self.nodes[-1].name].flatten(1)

    @torch.no_grad()
    def integers(self, x: Tensor) -> dict[str, Tensor]:
        """Compute the integer output of every node, int64 [B,Y,X,C], for x uint8 [B,C,Y,X]; as golden.run_all."""
        values, exponents = self._run(x, calibrate=False)
        steps = {name: (v / power(exponents[name], v)).to(torch.int64) for name, v in values.items()}
        return {name: v.permute(0, 2, 3, 1) for name, v in steps.items()}

    def exponents(self) -> dict[str, int]:
        """Return the exponent of every node's output scale."""
        known = {INPUT: INPUT_EXPONENT}
        for node in self.nodes[1:]:
            known[node.name] = (
                known[node.inputs[0]] if node.name in self.maxima else int(self.units[node.name].exponent)
            )
        return known

    def _run(self, x: Tensor, *, calibrate: bool) -> tuple[dict[str, Tensor], dict[str, int]]:
        values = {INPUT: x.to(torch.float32) * 2.0**INPUT_EXPONENT}
        exponents = {INPUT: INPUT_EXPONENT}
        for node in self.nodes[1:]:
            sources, before = [values[s] for s in node.inputs], [exponents[s] for s in node.inputs]
            if node.name in self.maxima:
                values[node.name], exponents[node.name] = pool(sources[0], self.maxima[node.name]), before[0]
                continue
            unit = self.units[node.name]
            if isinstance(unit, QuantConv):
                if calibrate:
                    unit.calibrate(sources[0], before[0])
                values[node.name] = unit(sources[0], before[0])
            else:
                if calibrate:
                    unit.calibrate(sources, before)
                values[node.name] = unit(sources)
            exponents[node.name] = int(unit.exponent)
        return values, exponents


def run_float(nodes: tuple[Node, ...], x: Tensor, conv: Callable[[Conv, Tensor], Tensor]) -> Tensor:
    """Compute logits [B,classes] of x uint8 [B,C,Y,X] in floating point, with `conv` for the convolutions."""
    values: dict[str, Tensor] = {INPUT: x.to(torch.float32) * 2.0**INPUT_EXPONENT}
    for node in nodes[1:]:
        match node:
            case Conv():
                values[node.name] = conv(node, values[node.source])
            case Pool():
                values[node.name] = pool(values[node.source], node)
            case Add():
                values[node.name] = functional.relu(values[node.sources[0]] + values[node.sources[1]])
            case other:
                raise UnsupportedError(f"node {other.name!r}: networks with {other.title} are not trained")
    return values[nodes[-1].name].flatten(1)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, node: Conv) -> Tensor:
    """Convolve x[B,C,IY,IX] with weight[K,C/G,FY,FX] and bias[K] to [B,K,OY,OX], with the node's window and groups."""
    window = node.window
    stride = (window.stride_y, window.stride_x)
    if (window.pad_top, window.pad_left) == (window.pad_bottom, window.pad_right):
        return functional.conv2d(x, weight, bias, stride, (window.pad_top, window.pad_left), groups=node.groups)
    return functional.conv2d(_padded(x, window, 0.0), weight, bias, stride, groups=node.groups)


def pool(x: Tensor, node: Pool) -> Tensor:
    """Return [B,C,OY,OX] for x[B,C,IY,IX]: the maximum, or the sum over the least power of two >= the window's size."""
    size, stride = (node.window.fy, node.window.fx), (node.window.stride_y, node.window.stride_x)
    if node.op is PoolOp.MAX:
        return functional.max_pool2d(x, size, stride)
    return functional.avg_pool2d(x, size, stride, divisor_override=1 << average_divisor_exponent(node.window))


def to_input(images: Tensor) -> Tensor:
    """Return images uint8 [B,Y,X,C] as the nets take them: [B,C,Y,X], channels last in memory."""
    return images.permute(0, 3, 1, 2)


def _padded(x: Tensor, window: Window, value: float) -> Tensor:
    return functional.pad(x, (window.pad_left, window.pad_right, window.pad_top, window.pad_bottom), value=value)


def _pooled(node: Pool, sources: list[Tensor]) -> Tensor:
    return pool(sources[0], node)


def _added(sources: list[Tensor]) -> Tensor:
    return sources[0] + sources[1]
