"""Products of maps of a Source, as gates of the integer Graph."""

from dataclasses import replace

import numpy as np

from codesign.front.lower_sums import look_up, reals, requantized
from codesign.front.lowering import Layer, Lowering
from codesign.front.quantization import Quantization
from codesign.front.scaling import fixed_point, is_power_of_two
from codesign.front.source import (
    Multiply,
    Quantize,
)
from codesign.front.stored import (
    Stored,
    type_of,
)
from codesign.ops import requantize
from codesign.ops.qtype import MAX_BITS
from codesign.ops.requantize import signed_bits
from codesign.ops.shapes import Window


def product(state: Lowering, op: Multiply, quantize: Quantize) -> None:
    """Add a product. A gate of the machine rounds halves up; other roundings follow the exact product."""
    x, other = (state.stored[tensor] for tensor in op.inputs)
    if x.node is other.node:  # the machine's Gate reads two tensors
        look_up(state, quantize, x, reals(x)[np.newaxis] ** 2, op.name)
        return
    a, b = (without_zero(state, tensor) for tensor in op.inputs)
    ends = [p * q for p in (a.grid.low, a.grid.high) for q in (b.grid.low, b.grid.high)]
    scale = a.grid.scale * b.grid.scale
    ratio = scale / quantize.quantization.scale
    _, zero, rule = state.output(quantize)
    found = fixed_point(np.array([ratio]))
    halves = (
        rule.rounding is requantize.Rounding.HALF_UP
        or found.shift == 0
        or (rule.rounding is requantize.Rounding.HALF_EVEN and not is_power_of_two(np.array([ratio])))
    )
    if zero == 0 and rule.bounds is None and halves:
        _gate(state, op, quantize, (a, b), (int(found.multiplier[0]), found.shift), float(found.error[0]))
        return
    held, cut = _product_grid(scale, min(ends), max(ends))
    otype, _ = type_of((held.low, held.high), 0)
    node = state.builder.gate(
        a.node, b.node, otype=otype, multiplier=1, shift=cut, name=state.named(f"{op.name}:product")
    )
    state.layers.append(Layer(node=node.name, source=op.name))
    requantized(state, quantize, Stored(node, held, 0), held.scale / quantize.quantization.scale)
    if cut:  # half a step of the product is lost
        last = state.layers[-1]
        state.layers[-1] = replace(last, error=last.error + 0.5 * held.scale / quantize.quantization.scale)


def _gate(
    state: Lowering,
    op: Multiply,
    quantize: Quantize,
    maps: tuple[Stored, Stored],
    scaling: tuple[int, int],
    error: float,
) -> None:
    """Add a product that is scaled and rounded at once."""
    (a, b), (multiplier, shift), grid = maps, scaling, quantize.quantization
    if multiplier < 1:
        raise ValueError(f"scales by {a.grid.scale * b.grid.scale / grid.scale:g}, which gives nothing but zeros")
    otype, _, _ = state.output(quantize)
    node = state.builder.gate(
        a.node, b.node, otype=otype, multiplier=multiplier, shift=shift, name=state.named(op.name)
    )
    state.store(quantize, node, 0, op.name, error * (grid.high - grid.low))


def without_zero(state: Lowering, tensor: str) -> Stored:
    """Return a tensor whose integers have no zero point; where they have one, another node takes it off."""
    x = state.stored[tensor]
    if x.zero and tensor not in state.plain:
        moved = x.own_grid
        grid = replace(moved, zero=0, low=moved.low - moved.zero, high=moved.high - moved.zero)
        otype, _ = type_of((grid.low, grid.high), 0)
        name = state.named(f"{tensor}:plain")
        made = state.builder.average_pool(x.node, Window(fy=1, fx=1), otype=otype, zero_in=x.zero, name=name)
        state.plain[tensor] = Stored(made, grid, 0)
        state.layers.append(Layer(node=made.name, source=tensor))
    plain = state.plain.get(tensor, x)
    return Stored(plain.node, plain.own_grid, 0)


def _product_grid(scale: float, low: int, high: int) -> tuple[Quantization, int]:
    """Return the grid of products, of which a map holds them, and how many of their lowest bits it has no place for."""
    cut = 0
    while True:
        first, last = ((bound + (1 << cut >> 1)) >> cut for bound in (low, high))
        if signed_bits(first, last) - (first >= 0) <= MAX_BITS:
            return Quantization(scale=scale * 2.0**cut, zero=0, low=first, high=last), cut
        cut += 1
