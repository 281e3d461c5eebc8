"""Two products in one DSP: how two weights share an operand, and when the sums of both come out exact.

An operand holds a pair of weights, w1 * 2**S + w0, and meets one activation x. A chain of N such products is

    P = U * 2**S + L,  U = sum of w1 * x,  L = sum of w0 * x

If -2**(S-1) <= L < 2**(S-1), then L is the low S bits of P as a signed number. P less L is a multiple of 2**S, so
U = (P - L) / 2**S = (P >> S) + (1 if L < 0 else 0): one carry.

Activations of b bits are signed, or made so by taking 2**(b-1) from unsigned ones, so |x| <= 2**(b-1). Weights of a
bits are symmetric, |w| < 2**(a-1). So |L| <= N * (2**(a-1) - 1) * 2**(b-1), and S follows: `field_bits`.

In the memory, w1 is less by one where w0 is negative. Note that w1 * 2**S + w0 = (w1 - 1) * 2**S + (2**S + w0). So the
operand is the bits of w1 above the bits of w0, with the sign of w0 spread over S bits. These are only wires, S + a bits
in all. A port of p bits takes it if S + a <= p. Weights of other values do as well if each sum fits its field:
`check_packing` looks at them.

A DSP48E1 multiplies 25 x 18 bits: 8-bit weights leave S = 17, so four products of 8-bit activations add up. A DSP48E2
of 27 x 18 bits has S = 19, and adds up 16. MAX_CHAIN is below that, because a longer chain delays its later weights in
more registers than the split of its sum would take.
"""

from typing import overload

import numpy as np

from codesign.errors import ConfigError
from codesign.ir.design import LineEngine
from codesign.ir.technology import Technology
from codesign.machine.kinds import Choices, Lanes
from codesign.ops.arrays import Bool, Int, IntArray, ceil_div, ceil_log2, largest
from codesign.ops.conv import Conv
from codesign.ops.node import Operation

MAX_CHAIN = 4
DSP_MIN_PRODUCT_BITS = 9  # a narrower product is not mapped to a DSP; multiply.sv says the same


def can_pack(node: Operation) -> bool:
    """Return whether output channels share the activations that they multiply."""
    return isinstance(node, Conv) and node.mixes


def is_packed(node: Operation, engine: Choices) -> Bool:
    """Return whether the engine's array packs: constant weights need no DSP, whatever the engine says."""
    if not isinstance(node, Conv) or not can_pack(node):
        return engine.packed & False
    return engine.packed & (weight_words(node, engine) > 1)


@overload
def weight_words(node: Conv, engine: LineEngine) -> int: ...
@overload
def weight_words(node: Conv, engine: Lanes) -> Int: ...
def weight_words(node: Conv, engine: Lanes) -> Int:
    """Return how many words of weights the engine reads in turn."""
    rows = node.window.fy // engine.taps * node.window.fx
    return ceil_div(node.k, engine.pe) * rows * ceil_div(node.c_per_group, engine.simd)


def chains_of(operands: Int) -> Int:
    """Return the chains that so many products of a pair form: as few as there can be."""
    return ceil_div(operands, MAX_CHAIN)


def chain_length(operands: Int) -> Int:
    """Return the products of the longest chain; others have one less at most."""
    return ceil_div(operands, chains_of(operands))


def field_bits(w_bits: int, x_bits: int, length: Int) -> Int:
    """Return the least S that holds any sum of so many products of symmetric weights and signed activations.

    Of the narrowest of them it is wider, so that synthesis takes a DSP.
    """
    needed = 1 + ceil_log2(length * (((1 << (w_bits - 1)) - 1) << (x_bits - 1)) + 1)
    return largest(needed, DSP_MIN_PRODUCT_BITS - w_bits - x_bits)


def chain_parameters(node: Conv, engine: LineEngine) -> tuple[int, int]:
    """Return the products of the engine's longest chain, and the bits of its low field."""
    length = int(chain_length(engine.simd * engine.taps))
    return length, int(field_bits(node.wtype.bits, node.itype.bits, length))


def packing_parameters(node: Conv, engine: LineEngine) -> dict[str, int]:
    """Return the parameters that tell both spellings that the engine packs; none where it does not."""
    if not is_packed(node, engine):
        return {}
    length, field = chain_parameters(node, engine)
    return {"CHAIN": length, "FIELD": field}


def fits_port(node: Operation, engine: Lanes, technology: Technology) -> Bool:
    """Return whether pairs of weights and the activations fit the ports of one DSP."""
    if not isinstance(node, Conv):
        return False
    wide, narrow = technology.multiplier.wide_bits, technology.multiplier.narrow_bits
    return (pair_bits(node, engine) <= wide) & (node.itype.bits <= narrow)


def pair_bits(node: Conv, engine: Lanes) -> Int:
    """Return the width of a pair of weights in one operand."""
    length = chain_length(engine.simd * engine.taps)
    return field_bits(node.wtype.bits, node.itype.bits, length) + node.wtype.bits


def is_symmetric(node: Conv, weight: IntArray) -> bool:
    """Return whether the weights fit an engine of any lanes that packs: none is the least of its type."""
    return bool(weight.min(initial=0) > node.wtype.qmin)


def taken_from_inputs(node: Conv, engine: LineEngine) -> int:
    """Return what the engine's array takes from every activation, also in padding; offsets of channels return it."""
    return 1 << (node.itype.bits - 1) if is_packed(node, engine) and not node.itype.signed else 0


def borrowed(node: Conv, engine: LineEngine, lanes: IntArray) -> IntArray:
    """Return words of weights [..., PE, operands] as memories hold them: odd channels less what even ones borrow."""
    if not is_packed(node, engine):
        return lanes
    held = lanes.copy()
    held[..., 1::2, :] -= lanes[..., 0::2, :] < 0
    return held


def check_packing(node: Operation, engine: LineEngine, weight: IntArray | None) -> None:
    """Raise ConfigError, naming the node, unless the engine packs as it says, or has nothing to pack.

    weight[K,FY,FX,C/G] where the node has any.
    """
    if not engine.packed or not node.macs:
        return
    if not isinstance(node, Conv) or not can_pack(node):
        raise ConfigError(
            f"design: node {node.name!r}: multiplier: 'packed' needs output channels that share their inputs, and "
            "those of this node do not; use 'dsp' or 'lut'"
        )
    if engine.pe % 2:
        raise ConfigError(
            f"design: node {node.name!r}: multiplier: 'packed' puts two output channels into one DSP, so PE must be "
            f"even; its engine has PE {engine.pe}"
        )
    if weight is not None and is_packed(node, engine) and not is_symmetric(node, weight):
        _check_weights(node, engine, weight)


def check_ports(node: Operation, engine: LineEngine, technology: Technology) -> None:
    """Raise ConfigError, naming the node, unless one DSP of the technology takes a pair of its weights."""
    if isinstance(node, Conv) and is_packed(node, engine) and not fits_port(node, engine, technology):
        dsp = technology.multiplier
        raise ConfigError(
            f"design: node {node.name!r}: multiplier: 'packed' needs {pair_bits(node, engine)} bits for two "
            f"weights and {node.itype.bits} for an activation, but a {technology.labels.dsp} of {technology.title} "
            f"multiplies {dsp.wide_bits} x {dsp.narrow_bits} bits; use 'dsp' or 'lut'"
        )


def _check_weights(node: Conv, engine: LineEngine, weight: IntArray) -> None:
    """Raise ConfigError, naming channels, unless every pair of weights fits its operand and every sum its field."""
    lanes = weight_lanes(node, engine, weight)
    high = borrowed(node, engine, lanes)[:, 1::2, :]
    if high.min(initial=0) < node.wtype.qmin:
        word, pair, tap = np.argwhere(high < node.wtype.qmin)[0]
        _refuse(node, engine, (word, pair), f"a pair of weights, {lanes[word, 2 * pair, tap]} and {node.wtype.qmin},")
    _, field = chain_parameters(node, engine)
    operands = engine.simd * engine.taps
    chains, low = chains_of(operands), lanes[:, 0::2, :]
    least, most = -(1 << (node.itype.bits - 1)), (1 << (node.itype.bits - 1)) - 1
    for c in range(chains):
        part = low[:, :, c * operands // chains : (c + 1) * operands // chains]
        down = np.minimum(part * least, part * most).sum(axis=2)
        up = np.maximum(part * least, part * most).sum(axis=2)
        bad = np.argwhere((down < -(1 << (field - 1))) | (up >= 1 << (field - 1)))
        if len(bad):
            _refuse(node, engine, bad[0], f"{part.shape[2]} products that are added up")


def _refuse(node: Conv, engine: LineEngine, where: IntArray | tuple[int, int], what: str) -> None:
    word, pair = (int(index) for index in where)
    steps = weight_words(node, engine) // ceil_div(node.k, engine.pe)
    channel = word // steps * engine.pe + 2 * pair
    raise ConfigError(
        f"design: node {node.name!r}: multiplier: 'packed' cannot hold {what} of output channels {channel} and "
        f"{channel + 1}; weights of {node.wtype.bits} bits should be {-node.wtype.qmax} to {node.wtype.qmax}, or use "
        "'dsp' or 'lut'"
    )


def weight_lanes(node: Conv, engine: LineEngine, weight: IntArray) -> IntArray:
    """Return weight[K,FY,FX,C/G] as words [words, pe, taps * simd], zeros beyond K and C; see tables.weight_table."""
    outer, inner = ceil_div(node.k, engine.pe), ceil_div(node.c_per_group, engine.simd)
    fy, fx, taps = node.window.fy, node.window.fx, engine.taps
    padded = np.zeros((outer * engine.pe, fy, fx, inner * engine.simd), np.int64)
    padded[: node.k, :, :, : node.c_per_group] = weight
    parts = padded.reshape(outer, engine.pe, fy // taps, taps, fx, inner, engine.simd)
    return parts.transpose(0, 2, 4, 5, 1, 3, 6).reshape(-1, engine.pe, taps * engine.simd)
