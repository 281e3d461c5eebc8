"""A simplified Source to the integer Graph: real scales become whole multipliers and shifts.

Every layer is a sum with the quantization behind it. A tensor's integers are stored without their zero point where a
type of no more bits holds them so; else the zero point stays.

Long because every operator has its form in the integer network here.
"""

from dataclasses import dataclass, replace

import numpy as np

from codesign.front.activations import activated
from codesign.front.grids import grids_of
from codesign.front.names import legal_name
from codesign.front.problem import Problem
from codesign.front.quantization import Quantization, RealArray, Rounding
from codesign.front.scaling import fixed_point, is_power_of_two, layer_scaling
from codesign.front.shapes import shapes_of
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
    counts_inside,
    machine_rounding,
    same_sums,
    type_of,
    type_ranges,
    window_of,
)
from codesign.front.sums import sum_bounds
from codesign.ir.builder import GraphBuilder
from codesign.ir.graph import Encoding, Graph
from codesign.ops import requantize
from codesign.ops.arrays import IntArray
from codesign.ops.lookup import MAX_LOOKUP_BITS
from codesign.ops.node import Node
from codesign.ops.qtype import MAX_BITS, QType
from codesign.ops.requantize import MAX_ACC_BITS, OutputRule, signed_bits
from codesign.ops.shapes import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A node of the Graph and where it comes from: its name in the file, and the bound on what it is off.

    `error`: the largest difference to the file's real arithmetic before rounding, in steps of the output.
    """

    node: str
    source: str
    error: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """The integer network and its layers in order.

    `input`, `output`: the grids of the stored integers at both ends. `file_zeros`: their zero points in the file.
    """

    graph: Graph
    layers: tuple[Layer, ...]
    input: Quantization
    output: Quantization
    file_zeros: tuple[int, int]


def lower(source: Source) -> tuple[Lowered | None, list[Problem]]:
    """Return the integer network, or the problems of all operators that have no form in it."""
    state = _Lowering(source)
    if not state.problems:
        for op in source.operators:
            state.walk(op)
    if state.problems:
        return None, state.problems
    return state.result(), []


class _Lowering:
    """A graph under construction, behind the operators of a source."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.shapes, self.problems = shapes_of(source)
        self.grids = grids_of(source)
        self.ranges = type_ranges(source)
        self.stored: dict[str, Stored] = {}
        self.plain: dict[str, Stored] = {}  # tensors once more, without their zero points
        self.layers: list[Layer] = []
        self.names: set[str] = set()
        self.entry = self._entry()
        if self.entry is None:
            return
        qtype, zero = type_of(self.ranges[self.entry.output], self.entry.quantization.zero)
        shape = source.input.shape
        self.builder = GraphBuilder(
            legal_name(source.name, set()), (shape[0], shape[1], shape[2]), qtype, self._name(source.input.tensor)
        )
        first = Stored(self.builder.input, self.entry.quantization, zero)
        self.stored[source.input.tensor] = first
        grid = self.entry.quantization
        if grid.rounding not in (Rounding.HALF_EVEN, Rounding.HALF_UP):
            self._problem(self.entry, f"rounds the input {grid.rounding.value}", "halves to even, or up")
        if bounds_of(grid, qtype, zero) is not None:
            self._requantize(self.entry, first, 1.0)
        else:
            self.stored[self.entry.output] = first
        for other in source.readers(source.input.tensor):
            self.stored[other.output] = self.stored[self.entry.output]

    def result(self) -> Lowered:
        """Return the graph with its ends."""
        assert self.entry is not None
        first, last = self.stored[self.source.input.tensor], self.stored[self.source.output]
        even = first.grid.rounding is Rounding.HALF_EVEN
        encoding = Encoding(offset=-first.grid.scale * first.zero + 0.0, step=first.grid.scale, half_even=even)
        graph = self.builder.graph(input_scale=first.grid.scale, output_scale=last.grid.scale, encoding=encoding)
        return Lowered(
            graph=graph,
            layers=tuple(self.layers),
            input=first.own_grid,
            output=last.own_grid,
            file_zeros=(first.grid.zero, last.grid.zero),
        )

    def walk(self, op: Operator) -> None:
        """Add the node of one operator, or note why there is none."""
        known = self.stored.keys()
        try:
            match op:
                case Quantize() if op.output in known:
                    return
                case Quantize() if op.input in known:
                    stored = self.stored[op.input]
                    self._requantize(op, stored, stored.grid.scale / op.quantization.scale)
                case Quantize():
                    self._layer(op)
                case Concat() if all(tensor in known for tensor in op.inputs):
                    self._concat(op)
                case Pool(average=False) if op.input in known:
                    self._maximum(op)
                case Conv() | Dense() | Add() | Multiply() | Activation() | Pool(average=True):
                    self._check_inputs(op)
                case _ if isinstance(op, Moving) and op.input in known:
                    self._move(op)
                case _:
                    self._refuse_left(op)
        except (ValueError, NotImplementedError) as error:
            layer = self.source.producer(op.input) if isinstance(op, Quantize) and op.input not in known else None
            self._problem(layer or op, str(error))

    def _entry(self) -> Quantize | None:
        """Return the quantization of the input; note a problem if there is none, or several that differ."""
        readers = self.source.readers(self.source.input.tensor)
        found = [op for op in readers if isinstance(op, Quantize)]
        if len(found) < len(readers) or not readers or len({op.quantization for op in found}) > 1:
            what = "is not quantized" if len(found) < len(readers) or not readers else "is quantized in several ways"
            self.problems.append(
                Problem(
                    node=self.source.input.tensor,
                    operator="input",
                    found=what,
                    instead="expected one quantization that all first layers read; quantize a float network first",
                )
            )
            return None
        return found[0]

    def _layer(self, op: Quantize) -> None:
        """Add a sum with the quantization behind it."""
        before = self.source.producer(op.input)
        if before is None or not all(tensor in self.stored for tensor in inputs_of(before)):
            return  # what it reads is refused
        match before:
            case Conv() | Dense():
                self._convolution(before, op)
            case Pool():
                self._average(before, op)
            case Add():
                self._add(before, op)
            case Multiply():
                self._multiply(before, op)
            case Activation():
                self._activate(before, op)

    def _convolution(self, op: Conv | Dense, quantize: Quantize) -> None:
        x, constant = self.stored[op.input], self.source.constants[op.weight]
        if constant.integers is None or constant.scale is None:
            self._problem(op, "its weights are not quantized", "quantize them to 2 to 16 bits")
            return
        weight = constant.integers
        otype, zero, rule = self._output(quantize)
        scale = np.broadcast_to(constant.scale, (len(weight), 1, 1, 1)).reshape(-1)
        step = quantize.quantization.scale
        bias = np.zeros(len(weight)) if op.bias is None else self.source.constants[op.bias].values / step
        low, high = sum_bounds(x.grid, weight)
        span = quantize.quantization.high - quantize.quantization.low
        made = layer_scaling(weight, x.grid.scale * scale / step, bias, np.maximum(-low, high), span)
        node = self.builder.conv(
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
            name=self._name(op.name),
        )
        self._store(quantize, node, zero, op.name, made.error)

    def _average(self, op: Pool, quantize: Quantize) -> None:
        x, shape = self.stored[op.input], self.shapes[op.input]
        window = _pool_window(op, shape)
        counts = counts_inside(window, shape) if any(op.pads) and not op.count_pads else {window.positions}
        self._scaled_sum(quantize, x, window, x.grid.scale / quantize.quantization.scale, counts, op.name)

    def _requantize(self, op: Quantize, x: Stored, ratio: float) -> None:
        """Add a change of scale: an average of single values, or a table where that would not be exact."""
        exact = machine_rounding(op.quantization) is not None and _same(x, ratio, op.quantization)
        if exact or x.node.otype.bits > MAX_LOOKUP_BITS:
            self._scaled_sum(op, x, Window(fy=1, fx=1), ratio, {1}, op.name)
        else:
            self._look_up(op, x, _reals(x)[np.newaxis], op.name)

    def _activate(self, op: Activation, quantize: Quantize) -> None:
        x = self.stored[op.input]
        slope = None if op.slope is None else self.source.constants[op.slope].values.reshape(-1, 1)
        self._look_up(quantize, x, activated(op, _reals(x)[np.newaxis], slope), op.name)

    def _look_up(self, op: Quantize, x: Stored, values: RealArray, name: str) -> None:
        """Add a table of the quantized values [1 or C, 2**bits], which belong to the integers of x in order."""
        bits = x.node.otype.bits
        if bits > MAX_LOOKUP_BITS:
            raise ValueError(
                f"reads integers of {bits} bits, and a table has an entry for each; expected a quantization of at most "
                f"{MAX_LOOKUP_BITS} bits before it"
            )
        otype, zero = type_of(self.ranges[op.output], op.quantization.zero)
        table = op.quantization.integers(values) - op.quantization.zero + zero
        node = self.builder.lookup(x.node, table, otype=otype, name=self._name(name))
        self._store(op, node, zero, name, 0.0)

    def _scaled_sum(self, op: Quantize, x: Stored, window: Window, ratio: float, counts: set[int], name: str) -> None:
        """Add the mean over windows times a ratio; `counts`: of positions that may lie in the map."""
        otype, zero, rule = self._output(op)
        numbers = sorted(counts | {window.positions})
        found = fixed_point(ratio / np.array(numbers, np.float64))
        multipliers = {n: int(m) for n, m in zip(numbers, found.multiplier, strict=True)}
        if min(multipliers.values()) < 1:
            raise ValueError(f"scales by {ratio / numbers[-1]:g}, which gives nothing but zeros")
        node = self.builder.average_pool(
            x.node,
            window,
            multiplier=multipliers[window.positions],
            shift=found.shift,
            otype=otype,
            zero_in=x.zero,
            rule=rule,
            by_count={n: multipliers[n] for n in counts if n < window.positions},
            name=self._name(name),
        )
        reach = max(x.grid.zero - x.grid.low, x.grid.high - x.grid.zero) * ratio
        error = float(found.error.max()) * min(reach, op.quantization.high - op.quantization.low)
        if error and all(
            same_sums(x.grid, n, ratio, multipliers[n], found.shift, op.quantization) for n in sorted(counts)
        ):
            error = 0.0
        self._store(op, node, zero, name, error)

    def _add(self, op: Add, quantize: Quantize) -> None:
        a, b = (self.stored[tensor] for tensor in op.inputs)
        if a is b and op.sign > 0:  # the machine's Add reads two tensors
            ratio = 2 * a.grid.scale / quantize.quantization.scale
            self._requantize(quantize, a, ratio)
            return
        otype, zero, rule = self._output(quantize)
        ratios = np.array([x.grid.scale / quantize.quantization.scale for x in (a, b)])
        widest = max(x.node.otype.bits + (not x.node.otype.signed) for x in (a, b))
        found = fixed_point(ratios, min(requantize.MAX_MULTIPLIER_BITS, MAX_ACC_BITS - 2 - widest))
        if found.multiplier.min() < 1:
            raise ValueError(
                f"adds tensors of the scales {a.grid.scale:g} and {b.grid.scale:g}, too far from each other"
            )
        first, second = (int(m) for m in found.multiplier)
        node = self.builder.add(
            a.node,
            b.node,
            otype=otype,
            multipliers=(first, op.sign * second),
            shift=found.shift,
            zeros=(a.zero, b.zero),
            rule=rule,
            name=self._name(op.name),
        )
        reaches = [max(x.grid.zero - x.grid.low, x.grid.high - x.grid.zero) for x in (a, b)]
        self._store(quantize, node, zero, op.name, float((found.error * ratios * reaches).sum()))

    def _multiply(self, op: Multiply, quantize: Quantize) -> None:
        """Add a product. A gate of the machine rounds halves up; other roundings follow the exact product."""
        if op.inputs[0] == op.inputs[1]:
            x = self.stored[op.inputs[0]]
            self._look_up(quantize, x, _reals(x)[np.newaxis] ** 2, op.name)
            return
        a, b = (self._without_zero(tensor) for tensor in op.inputs)
        ends = [p * q for p in (a.grid.low, a.grid.high) for q in (b.grid.low, b.grid.high)]
        scale = a.grid.scale * b.grid.scale
        ratio = scale / quantize.quantization.scale
        _, zero, rule = self._output(quantize)
        found = fixed_point(np.array([ratio]))
        halves = (
            rule.rounding is requantize.Rounding.HALF_UP
            or found.shift == 0
            or (rule.rounding is requantize.Rounding.HALF_EVEN and not is_power_of_two(np.array([ratio])))
        )
        if zero == 0 and rule.bounds is None and halves:
            self._gate(op, quantize, (a, b), (int(found.multiplier[0]), found.shift), float(found.error[0]))
            return
        held, cut = _product_grid(scale, min(ends), max(ends))
        otype, _ = type_of((held.low, held.high), 0)
        node = self.builder.gate(
            a.node, b.node, otype=otype, multiplier=1, shift=cut, name=self._name(f"{op.name}:product")
        )
        self.layers.append(Layer(node=node.name, source=op.name))
        self._requantize(quantize, Stored(node, held, 0), held.scale / quantize.quantization.scale)
        if cut:  # half a step of the product is lost
            last = self.layers[-1]
            self.layers[-1] = replace(last, error=last.error + 0.5 * held.scale / quantize.quantization.scale)

    def _gate(
        self, op: Multiply, quantize: Quantize, maps: tuple[Stored, Stored], scaling: tuple[int, int], error: float
    ) -> None:
        """Add a product that is scaled and rounded at once."""
        (a, b), (multiplier, shift), grid = maps, scaling, quantize.quantization
        if multiplier < 1:
            raise ValueError(f"scales by {a.grid.scale * b.grid.scale / grid.scale:g}, which gives nothing but zeros")
        otype, _, _ = self._output(quantize)
        node = self.builder.gate(
            a.node, b.node, otype=otype, multiplier=multiplier, shift=shift, name=self._name(op.name)
        )
        self._store(quantize, node, 0, op.name, error * (grid.high - grid.low))

    def _without_zero(self, tensor: str) -> Stored:
        """Return a tensor whose integers have no zero point; where they have one, another node takes it off."""
        x = self.stored[tensor]
        if x.zero and tensor not in self.plain:
            moved = x.own_grid
            grid = replace(moved, zero=0, low=moved.low - moved.zero, high=moved.high - moved.zero)
            otype, _ = type_of((grid.low, grid.high), 0)
            name = self._name(f"{tensor}:plain")
            made = self.builder.average_pool(x.node, Window(fy=1, fx=1), otype=otype, zero_in=x.zero, name=name)
            self.plain[tensor] = Stored(made, grid, 0)
            self.layers.append(Layer(node=made.name, source=tensor))
        plain = self.plain.get(tensor, x)
        return Stored(plain.node, plain.own_grid, 0)

    def _concat(self, op: Concat) -> None:
        parts = [self.stored[tensor] for tensor in op.inputs]
        if op.output not in self.grids:
            found = ", ".join(f"{part.grid.scale:g}" for part in parts)
            self._problem(op, f"joins tensors of the scales {found}", "quantize what it gives, or all inputs alike")
            return
        node = self.builder.concat(*(part.node for part in parts), name=self._name(op.name))
        self.stored[op.output] = Stored(node, self.grids[op.output], parts[0].zero)
        self.layers.append(Layer(node=node.name, source=op.name))

    def _maximum(self, op: Pool) -> None:
        x = self.stored[op.input]
        node = self.builder.max_pool(x.node, _pool_window(op, self.shapes[op.input]), name=self._name(op.name))
        self._keep_grid(op, x, node)

    def _move(self, op: Moving) -> None:
        """Add what moves values, or leaves some out."""
        x, build = self.stored[op.input], self.builder
        match op:
            case Enlarge():
                node: Node = build.resize(x.node, *op.factors, name=self._name(op.name))
            case Surround():
                if op.output not in self.grids:
                    raise ValueError(f"puts {op.value:g} around a map, which its quantization has no integer for")
                x = self._without_zero(op.input) if op.strides != (1, 1) else x
                value = round(op.value / x.grid.scale) + x.zero
                node = build.pad(x.node, op.pads, strides=op.strides, value=value, name=self._name(op.name))
            case Slice():
                node = build.slice(x.node, op.start, op.stop, name=self._name(op.name))
            case Shuffle():
                node = build.shuffle(x.node, op.groups, name=self._name(op.name))
            case DepthToSpace():
                node = build.depth_to_space(x.node, op.block, name=self._name(op.name))
            case SpaceToDepth():
                node = build.space_to_depth(x.node, op.block, name=self._name(op.name))
        self._keep_grid(op, x, node)

    def _keep_grid(self, op: Operator, x: Stored, node: Node) -> None:
        self.stored[op.output] = Stored(node, x.grid, x.zero)
        self.layers.append(Layer(node=node.name, source=op.name))

    def _output(self, op: Quantize) -> tuple[QType, int, OutputRule]:
        """Return the type of a quantization's integers, their zero point, and how sums become them."""
        grid = op.quantization
        qtype, zero = type_of(self.ranges[op.output], grid.zero)
        rounding = machine_rounding(grid)
        if rounding is None:
            raise ValueError(
                f"rounds {grid.rounding.value} where values may be negative; expected half to even, half toward plus "
                "infinity, down or up"
            )
        return qtype, zero, OutputRule(rounding=rounding, zero=zero, bounds=bounds_of(grid, qtype, zero))

    def _store(self, op: Quantize, node: Node, zero: int, name: str, error: float) -> None:
        self.stored[op.output] = Stored(node, op.quantization, zero)
        self.layers.append(Layer(node=node.name, source=name, error=error))

    def _check_inputs(self, op: Operator) -> None:
        """Note a problem if a sum reads real values that nothing quantizes."""
        for tensor in inputs_of(op):
            before = self.source.producer(tensor)
            if tensor not in self.stored and not isinstance(before, Quantize) and not self.problems:
                self._problem(op, f"reads {tensor!r}, which is not quantized", "put a quantization before it")

    def _refuse_left(self, op: Operator) -> None:
        if not self.problems:
            self._problem(op, "stands where the machine has no form for it", "put a quantization before or behind it")

    def _problem(self, op: Operator, found: str, instead: str = "") -> None:
        self.problems.append(Problem.of(op, found, instead))

    def _name(self, name: str) -> str:
        made = legal_name(name, self.names)
        self.names.add(made)
        return made


def _reals(x: Stored) -> RealArray:
    """Return the real values of all integers of a tensor's type, in order."""
    otype = x.node.otype
    return x.own_grid.values(np.arange(otype.qmin, otype.qmax + 1))


def _same(x: Stored, ratio: float, output: Quantization) -> bool:
    """Tell whether a multiplier gives exactly the integers of another scale."""
    found = fixed_point(np.array([ratio]))
    return not found.error.any() or same_sums(x.grid, 1, ratio, int(found.multiplier[0]), found.shift, output)


def _product_grid(scale: float, low: int, high: int) -> tuple[Quantization, int]:
    """Return the grid of products, of which a map holds them, and how many of their lowest bits it has no place for."""
    cut = 0
    while True:
        first, last = ((bound + (1 << cut >> 1)) >> cut for bound in (low, high))
        if signed_bits(first, last) - (first >= 0) <= MAX_BITS:
            return Quantization(scale=scale * 2.0**cut, zero=0, low=first, high=last), cut
        cut += 1


def _window(op: Conv | Dense, weight: IntArray) -> Window:
    fy, fx = weight.shape[1:3]
    if isinstance(op, Dense):
        return Window(fy=fy, fx=fx)
    return window_of(fy, fx, op.strides, op.pads, op.dilations)


def _pool_window(op: Pool, shape: tuple[int, ...]) -> Window:
    fy, fx = op.kernel or (shape[0], shape[1])
    return window_of(fy, fx, op.strides, op.pads, op.dilations)
