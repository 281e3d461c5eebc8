"""From a trained fake-quantized net to the integer Graph that computes the same."""

import numpy as np
import torch

from codesign.errors import UnsupportedError
from codesign.ir.graph import IDENTITY, Encoding, Graph
from codesign.nets.net import INPUT_EXPONENT, QuantConv, QuantNet
from codesign.nets.quantizer import power
from codesign.networks.network import average_divisor_exponent
from codesign.ops.add import Add
from codesign.ops.arrays import IntArray
from codesign.ops.conv import Conv, accumulator_bounds
from codesign.ops.node import Node
from codesign.ops.pool import Pool, PoolOp
from codesign.ops.requantize import scaling_of, signed_bits


def export(net: QuantNet, encoding: Encoding = IDENTITY) -> Graph:
    """Return the net's integer graph: `golden.run_all(graph, x)` equals `net.integers(x)` for every node and image.

    `encoding`: how the numbers of the data set became the integers that the net was trained on.
    """
    exponents = net.exponents()
    nodes: list[Node] = [net.nodes[0]]
    params: dict[str, IntArray] = {}
    for node in net.nodes[1:]:
        match node:
            case Conv():
                exported, own = _export_conv(node, net.units[node.name], exponents)
                nodes.append(exported)
                params |= own
            case Pool():
                nodes.append(_export_pool(node, exponents))
            case Add():
                nodes.append(_export_add(node, exponents))
            case other:
                raise UnsupportedError(f"node {other.name!r}: networks with {other.title} are not trained")
    network = net.network
    return Graph(
        network.name,
        tuple(nodes),
        params,
        input_scale=2.0**INPUT_EXPONENT,
        output_scale=2.0 ** exponents[nodes[-1].name],
        labels=network.labels,
        encoding=encoding,
    )


@torch.no_grad()
def _export_conv(node: Conv, unit: QuantConv, exponents: dict[str, int]) -> tuple[Conv, dict[str, IntArray]]:
    source = exponents[node.source]
    own, accumulator = unit.weight_exponent, unit.weight_exponent + source
    weight = unit.quantized_weight() / power(own, unit.weight)[:, None, None, None]
    bias = unit.eval().quantized_bias(source) / power(accumulator, unit.bias)
    weight_int = weight.permute(0, 2, 3, 1).cpu().numpy().astype(np.int64, order="C")
    bias_int = bias.cpu().numpy().astype(np.int64)
    shifts = (int(unit.exponent) - accumulator).cpu().numpy()
    shift = max(int(shifts.max()), 0)
    multiplier = np.left_shift(np.int64(1), shift - shifts).astype(np.int64)
    exported = Conv(
        name=node.name,
        source=node.source,
        ishape=node.ishape,
        itype=node.itype,
        k=node.k,
        window=node.window,
        groups=node.groups,
        wtype=node.wtype,
        acc_bits=max(signed_bits(*accumulator_bounds(node.itype, weight_int, bias_int)), 2),
        scaling=scaling_of(multiplier),
        multiplier_bits=int(multiplier.max()).bit_length(),
        shift=shift,
        otype=node.otype,
    )
    names = ("weight", "bias", "multiplier")
    return exported, {f"{node.name}.{n}": a for n, a in zip(names, (weight_int, bias_int, multiplier), strict=True)}


def _export_pool(node: Pool, exponents: dict[str, int]) -> Pool:
    if node.op is PoolOp.MAX:
        return node
    shift = average_divisor_exponent(node.window) + exponents[node.name] - exponents[node.source]
    return Pool(
        name=node.name,
        source=node.source,
        ishape=node.ishape,
        itype=node.itype,
        op=node.op,
        window=node.window,
        multiplier=1,
        shift=shift,
        otype=node.otype,
    )


def _export_add(node: Add, exponents: dict[str, int]) -> Add:
    a, b = (exponents[s] for s in node.sources)
    own = exponents[node.name]
    base = min(a, b, own)
    if max(a, b) - base > 15:
        raise UnsupportedError(f"node {node.name!r}: its inputs' scales are 2**{a} and 2**{b}, more than 2**15 apart")
    return Add(
        name=node.name,
        sources=node.sources,
        ishape=node.ishape,
        itypes=node.itypes,
        multipliers=(1 << (a - base), 1 << (b - base)),
        shift=own - base,
        otype=node.otype,
    )
