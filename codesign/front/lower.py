"""A simplified Source to the integer Graph: real scales become whole multipliers and shifts.

Every layer is a sum with the quantization behind it. A tensor's integers are stored without their zero point where a
type of no more bits holds them so; else the zero point stays.
"""

from codesign.front.lower_products import product, without_zero
from codesign.front.lower_sums import activation, addition, average, convolution, pool_window, requantized
from codesign.front.lowering import Layer, Lowered, Lowering
from codesign.front.problem import Problem
from codesign.front.quantization import Rounding
from codesign.front.source import (
    Activation,
    Add,
    Concat,
    Conv,
    Dense,
    DepthToSpace,
    Enlarge,
    Moving,
    Multiply,
    Operator,
    Pool,
    Quantize,
    Shuffle,
    Slice,
    Source,
    SpaceToDepth,
    Surround,
    inputs_of,
)
from codesign.front.stored import (
    Stored,
    bounds_of,
)
from codesign.ops.node import Node


def lower(source: Source) -> tuple[Lowered | None, list[Problem]]:
    """Return the integer network, or the problems of all operators that have no form in it."""
    state = Lowering(source)
    if not state.problems:
        _begin(state)
        for op in source.operators:
            _walk(state, op)
    for name in source.outputs:
        last = source.producer(name)
        if not state.problems and last is not None and name not in state.stored:
            state.problem(last, f"gives the output {name!r}, which nothing quantizes", "put a quantization behind it")
    if not state.problems:
        _check_outputs(state)
    if state.problems:
        return None, state.problems
    return state.result(), []


def _check_outputs(state: Lowering) -> None:
    """Note a problem if two outputs are one tensor."""
    held: set[str] = set()
    for name in state.source.outputs:
        node = state.stored[name].node.name
        if node in held:
            found, instead = "gives one tensor several times", "expected outputs that differ"
            state.problems.append(Problem(node=name, operator="output", found=found, instead=instead))
        held.add(node)


def _begin(state: Lowering) -> None:
    """Store what the input is rounded to: the machine takes integers of this quantization."""
    source, entry = state.source, state.entry
    assert entry is not None
    first, grid = state.stored[source.input.tensor], entry.quantization
    if grid.rounding not in (Rounding.HALF_EVEN, Rounding.HALF_UP):
        state.problem(entry, f"rounds the input {grid.rounding.value}", "halves to even, or up")
        return
    if bounds_of(grid, first.node.otype, first.zero) is not None:
        requantized(state, entry, first, 1.0)
    else:
        state.stored[entry.output] = first
    for other in source.readers(source.input.tensor):
        state.stored[other.output] = state.stored[entry.output]


def _walk(state: Lowering, op: Operator) -> None:
    """Add the node of one operator, or note why there is none."""
    known = state.stored.keys()
    try:
        match op:
            case Quantize() if op.output in known:
                return
            case Quantize() if op.input in known:
                stored = state.stored[op.input]
                requantized(state, op, stored, stored.grid.scale / op.quantization.scale)
            case Quantize():
                _layer(state, op)
            case Concat() if all(tensor in known for tensor in op.inputs):
                _concat(state, op)
            case Pool(average=False) if op.input in known:
                _maximum(state, op)
            case Conv() | Dense() | Add() | Multiply() | Activation() | Pool(average=True):
                _check_inputs(state, op)
            case _ if isinstance(op, Moving) and op.input in known:
                _move(state, op)
            case _:
                _refuse_left(state, op)
    except (ValueError, NotImplementedError) as error:
        state.problem(op, str(error))


def _layer(state: Lowering, op: Quantize) -> None:
    """Add a sum with the quantization behind it."""
    before = state.source.producer(op.input)
    if before is None or not all(tensor in state.stored for tensor in inputs_of(before)):
        return  # what it reads is refused
    if not isinstance(before, Activation):
        state.output(op)  # what is wrong with the quantization is told of it, anything else of the layer
    try:
        match before:
            case Conv() | Dense():
                convolution(state, before, op)
            case Pool():
                average(state, before, op)
            case Add():
                addition(state, before, op)
            case Multiply():
                product(state, before, op)
            case Activation():
                activation(state, before, op)
    except (ValueError, NotImplementedError) as error:
        state.problem(before, str(error))


def _concat(state: Lowering, op: Concat) -> None:
    parts = [state.stored[tensor] for tensor in op.inputs]
    if op.output not in state.grids:
        found = ", ".join(f"{part.grid.scale:g}" for part in parts)
        state.problem(op, f"joins tensors of the scales {found}", "quantize what it gives, or all inputs alike")
        return
    node = state.builder.concat(*(part.node for part in parts), name=state.named(op.name))
    state.stored[op.output] = Stored(node, state.grids[op.output], parts[0].zero)
    state.layers.append(Layer(node=node.name, source=op.name, tensor=op.output))


def _maximum(state: Lowering, op: Pool) -> None:
    x = state.stored[op.input]
    node = state.builder.max_pool(x.node, pool_window(op, state.shapes[op.input]), name=state.named(op.name))
    _keep_grid(state, op, x, node)


def _move(state: Lowering, op: Moving) -> None:
    """Add what moves values, or leaves some out."""
    x, build = state.stored[op.input], state.builder
    match op:
        case Enlarge():
            node: Node = build.resize(x.node, *op.factors, name=state.named(op.name))
        case Surround():
            if op.output not in state.grids:
                raise ValueError(f"puts {op.value:g} around a map, which its quantization has no integer for")
            x = without_zero(state, op.input) if op.strides != (1, 1) else x
            value = round(op.value / x.grid.scale) + x.zero
            node = build.pad(x.node, op.pads, strides=op.strides, value=value, name=state.named(op.name))
        case Slice():
            node = build.slice(x.node, op.start, op.stop, name=state.named(op.name))
        case Shuffle():
            node = build.shuffle(x.node, op.groups, name=state.named(op.name))
        case DepthToSpace():
            node = build.depth_to_space(x.node, op.block, name=state.named(op.name))
        case SpaceToDepth():
            node = build.space_to_depth(x.node, op.block, name=state.named(op.name))
    _keep_grid(state, op, x, node)


def _keep_grid(state: Lowering, op: Operator, x: Stored, node: Node) -> None:
    state.stored[op.output] = Stored(node, x.grid, x.zero)
    state.layers.append(Layer(node=node.name, source=op.name, tensor=op.output))


def _check_inputs(state: Lowering, op: Operator) -> None:
    """Note a problem if a sum reads real values that nothing quantizes."""
    for tensor in inputs_of(op):
        before = state.source.producer(tensor)
        if tensor not in state.stored and not isinstance(before, Quantize) and not state.problems:
            state.problem(op, f"reads {tensor!r}, which is not quantized", "put a quantization before it")


def _refuse_left(state: Lowering, op: Operator) -> None:
    if not state.problems:
        state.problem(op, "stands where the machine has no form for it", "put a quantization before or behind it")
