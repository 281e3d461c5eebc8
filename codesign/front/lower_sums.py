"""Sums, changes of scale and tables of a Source, as nodes of the integer Graph."""

import numpy as np

from codesign.front.activations import activated
from codesign.front.lowering import Lowering
from codesign.front.quantization import Quantization, RealArray
from codesign.front.scaling import fixed_point, layer_scaling
from codesign.front.source import (
    Activation,
    Add,
    Conv,
    Dense,
    Pool,
    Quantize,
)
from codesign.front.stored import (
    Stored,
    counts_inside,
    machine_rounding,
    same_sums,
    type_of,
    window_of,
)
from codesign.front.sums import sum_bounds
from codesign.ops import requantize
from codesign.ops.arrays import IntArray
from codesign.ops.lookup import MAX_LOOKUP_BITS
from codesign.ops.requantize import MAX_ACC_BITS
from codesign.ops.shapes import Window


def convolution(state: Lowering, op: Conv | Dense, quantize: Quantize) -> None:
    """Add a convolution or a fully connected layer."""
    x, constant = state.stored[op.input], state.source.constants[op.weight]
    if constant.integers is None or constant.scale is None:
        state.problem(op, "its weights are not quantized", "quantize them to 2 to 16 bits")
        return
    weight = constant.integers
    otype, zero, rule = state.output(quantize)
    scale = np.broadcast_to(constant.scale, (len(weight), 1, 1, 1)).reshape(-1)
    step = quantize.quantization.scale
    bias = np.zeros(len(weight)) if op.bias is None else state.source.constants[op.bias].values / step
    low, high = sum_bounds(x.grid, weight)
    span = quantize.quantization.high - quantize.quantization.low
    made = layer_scaling(weight, x.grid.scale * scale / step, bias, np.maximum(-low, high), span)
    node = state.builder.conv(
        x.node,
        made.weight,
        made.bias,
        otype=otype,
        window=_window(op, weight),
        groups=op.groups if isinstance(op, Conv) else 1,
        multiplier=made.multiplier,
        shift=made.shift,
        zero_in=x.zero,
        bias_fraction=made.bias_fraction,
        rule=rule,
        name=state.named(op.name),
    )
    state.store(quantize, node, zero, op.name, made.error)


def average(state: Lowering, op: Pool, quantize: Quantize) -> None:
    """Add an average over windows."""
    x, shape = state.stored[op.input], state.shapes[op.input]
    window = pool_window(op, shape)
    counts = counts_inside(window, shape) if any(op.pads) and not op.count_pads else {window.positions}
    _scaled_sum(state, quantize, x, window, x.grid.scale / quantize.quantization.scale, counts, op.name)


def requantized(state: Lowering, op: Quantize, x: Stored, ratio: float) -> None:
    """Add a change of scale: an average of single values, or a table where that would not be exact."""
    exact = machine_rounding(op.quantization) is not None and _same(x, ratio, op.quantization)
    if exact or x.node.otype.bits > MAX_LOOKUP_BITS:
        _scaled_sum(state, op, x, Window(fy=1, fx=1), ratio, {1}, op.name)
    else:
        look_up(state, op, x, reals(x)[np.newaxis], op.name)


def activation(state: Lowering, op: Activation, quantize: Quantize) -> None:
    """Add an activation: a table."""
    x = state.stored[op.input]
    slope = None if op.slope is None else state.source.constants[op.slope].values.reshape(-1, 1)
    look_up(state, quantize, x, activated(op, reals(x)[np.newaxis], slope), op.name)


def look_up(state: Lowering, op: Quantize, x: Stored, values: RealArray, name: str) -> None:
    """Add a table of the quantized values [1 or C, 2**bits], which belong to the integers of x in order."""
    bits = x.node.otype.bits
    if bits > MAX_LOOKUP_BITS:
        raise ValueError(
            f"reads integers of {bits} bits, and a table has an entry for each; expected a quantization of at most "
            f"{MAX_LOOKUP_BITS} bits before it"
        )
    otype, zero = type_of(state.ranges[op.output], op.quantization.zero)
    table = op.quantization.integers(values) - op.quantization.zero + zero
    node = state.builder.lookup(x.node, table, otype=otype, name=state.named(name))
    state.store(op, node, zero, name, 0.0)


def _scaled_sum(
    state: Lowering, op: Quantize, x: Stored, window: Window, ratio: float, counts: set[int], name: str
) -> None:
    """Add the mean over windows times a ratio; `counts`: of positions that may lie in the map."""
    otype, zero, rule = state.output(op)
    numbers = sorted(counts | {window.positions})
    found = fixed_point(ratio / np.array(numbers, np.float64))
    multipliers = {n: int(m) for n, m in zip(numbers, found.multiplier, strict=True)}
    if min(multipliers.values()) < 1:
        raise ValueError(f"scales by {ratio / numbers[-1]:g}, which gives nothing but zeros")
    node = state.builder.average_pool(
        x.node,
        window,
        multiplier=multipliers[window.positions],
        shift=found.shift,
        otype=otype,
        zero_in=x.zero,
        rule=rule,
        by_count={n: multipliers[n] for n in counts if n < window.positions},
        name=state.named(name),
    )
    reach = max(x.grid.zero - x.grid.low, x.grid.high - x.grid.zero) * ratio
    error = float(found.error.max()) * min(reach, op.quantization.high - op.quantization.low)
    if error and all(same_sums(x.grid, n, ratio, multipliers[n], found.shift, op.quantization) for n in sorted(counts)):
        error = 0.0
    state.store(op, node, zero, name, error)


def addition(state: Lowering, op: Add, quantize: Quantize) -> None:
    """Add the sum or difference of two maps."""
    a, b = (state.stored[tensor] for tensor in op.inputs)
    if a is b and op.sign > 0:  # the machine's Add reads two tensors
        ratio = 2 * a.grid.scale / quantize.quantization.scale
        requantized(state, quantize, a, ratio)
        return
    if a is b:
        raise ValueError("subtracts a tensor from itself; expected two tensors")
    otype, zero, rule = state.output(quantize)
    ratios = np.array([x.grid.scale / quantize.quantization.scale for x in (a, b)])
    widest = max(x.node.otype.bits + (not x.node.otype.signed) for x in (a, b))
    found = fixed_point(ratios, min(requantize.MAX_MULTIPLIER_BITS, MAX_ACC_BITS - 2 - widest))
    if found.multiplier.min() < 1:
        raise ValueError(f"adds tensors of the scales {a.grid.scale:g} and {b.grid.scale:g}, too far from each other")
    first, second = (int(m) for m in found.multiplier)
    node = state.builder.add(
        a.node,
        b.node,
        otype=otype,
        multipliers=(first, op.sign * second),
        shift=found.shift,
        zeros=(a.zero, b.zero),
        rule=rule,
        name=state.named(op.name),
    )
    reaches = [max(x.grid.zero - x.grid.low, x.grid.high - x.grid.zero) for x in (a, b)]
    state.store(quantize, node, zero, op.name, float((found.error * ratios * reaches).sum()))


def reals(x: Stored) -> RealArray:
    """Return the real values of all integers of a tensor's type, in order."""
    otype = x.node.otype
    return x.own_grid.values(np.arange(otype.qmin, otype.qmax + 1))


def _same(x: Stored, ratio: float, output: Quantization) -> bool:
    """Tell whether a multiplier gives exactly the integers of another scale."""
    found = fixed_point(np.array([ratio]))
    return not found.error.any() or same_sums(x.grid, 1, ratio, int(found.multiplier[0]), found.shift, output)


def _window(op: Conv | Dense, weight: IntArray) -> Window:
    fy, fx = weight.shape[1:3]
    if isinstance(op, Dense):
        return Window(fy=fy, fx=fx)
    return window_of(fy, fx, op.strides, op.pads, op.dilations)


def pool_window(op: Pool, shape: tuple[int, ...]) -> Window:
    """Return the window of a pooling over a map of this shape."""
    fy, fx = op.kernel or (shape[0], shape[1])
    return window_of(fy, fx, op.strides, op.pads, op.dilations)
