"""From a trained fake-quantized net to the integer Graph that computes the same."""

import numpy as np
import torch

from codesign.errors import UnsupportedError
from codesign.ir.builder import GraphBuilder
from codesign.ir.graph import IDENTITY, Encoding, Graph
from codesign.nets.net import INPUT_EXPONENT, QuantConv, QuantNet
from codesign.nets.quantizer import power
from codesign.networks.network import average_divisor_exponent
from codesign.ops.add import Add
from codesign.ops.conv import Conv
from codesign.ops.pool import Pool, PoolOp


def export(net: QuantNet, encoding: Encoding = IDENTITY) -> Graph:
    """Return the net's integer graph: `golden.run_all(graph, x)` equals `net.integers(x)` for every node and image.

    `encoding`: how the numbers of the data set became the integers that the net was trained on.
    """
    exponents, network, first = net.exponents(), net.network, net.nodes[0]
    size = (first.oshape.y, first.oshape.x, first.oshape.c)
    build = GraphBuilder(network.name, size, first.otype, input_name=first.name)
    for node in net.nodes[1:]:
        match node:
            case Conv():
                _export_conv(build, node, net.units[node.name], exponents)
            case Pool():
                _export_pool(build, node, exponents)
            case Add():
                _export_add(build, node, exponents)
            case other:
                raise UnsupportedError(f"node {other.name!r}: networks with {other.title} are not trained")
    return build.graph(
        input_scale=2.0**INPUT_EXPONENT,
        output_scale=2.0 ** exponents[build.last.name],
        labels=network.labels,
        encoding=encoding,
    )


@torch.no_grad()
def _export_conv(build: GraphBuilder, node: Conv, unit: QuantConv, exponents: dict[str, int]) -> None:
    source = exponents[node.source]
    own, accumulator = unit.weight_exponent, unit.weight_exponent + source
    weight = unit.quantized_weight() / power(own, unit.weight)[:, None, None, None]
    bias = unit.eval().quantized_bias(source) / power(accumulator, unit.bias)
    shifts = (int(unit.exponent) - accumulator).cpu().numpy()
    shift = max(int(shifts.max()), 0)
    build.conv(
        build.node(node.source),
        weight.permute(0, 2, 3, 1).cpu().numpy().astype(np.int64, order="C"),
        bias.cpu().numpy().astype(np.int64),
        otype=node.otype,
        window=node.window,
        groups=node.groups,
        multiplier=np.left_shift(np.int64(1), shift - shifts).astype(np.int64),
        shift=shift,
        weight_bits=node.wtype.bits,
        name=node.name,
    )


def _export_pool(build: GraphBuilder, node: Pool, exponents: dict[str, int]) -> None:
    source = build.node(node.source)
    if node.op is PoolOp.MAX:
        build.max_pool(source, node.window, name=node.name)
        return
    shift = average_divisor_exponent(node.window) + exponents[node.name] - exponents[node.source]
    build.average_pool(source, node.window, shift=shift, otype=node.otype, name=node.name)


def _export_add(build: GraphBuilder, node: Add, exponents: dict[str, int]) -> None:
    a, b = (exponents[s] for s in node.sources)
    own = exponents[node.name]
    base = min(a, b, own)
    if max(a, b) - base > 15:
        raise UnsupportedError(f"node {node.name!r}: its inputs' scales are 2**{a} and 2**{b}, more than 2**15 apart")
    first, second = (build.node(name) for name in node.sources)
    multipliers = (1 << (a - base), 1 << (b - base))
    build.add(first, second, otype=node.otype, multipliers=multipliers, shift=own - base, name=node.name)
