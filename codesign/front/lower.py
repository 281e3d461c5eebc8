"""A simplified Source to the integer Graph: real scales become whole multipliers and shifts.

Every layer is a sum with the quantization behind it. A tensor's integers are stored without their zero point where a
type of no more bits holds them so; else the zero point stays.

Long because every kind of operator has its few lines here, over one state.
"""

from dataclasses import dataclass

import numpy as np

from codesign.front.grids import grids_of
from codesign.front.names import legal_name
from codesign.front.problem import Problem
from codesign.front.quantization import Quantization, Rounding
from codesign.front.scaling import fixed_point, layer_scaling
from codesign.front.shapes import shapes_of
from codesign.front.source import Add, Concat, Conv, Dense, Enlarge, Operator, Pool, Quantize, Source, inputs_of
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
from codesign.ops.node import Node
from codesign.ops.qtype import QType
from codesign.ops.requantize import MAX_ACC_BITS, OutputRule
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
            return
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
                case Enlarge() | Pool(average=False) if op.input in known:
                    self._same_grid(op)
                case Conv() | Dense() | Add() | Pool(average=True):
                    self._check_inputs(op)
                case _:
                    self._refuse_left(op)
        except (ValueError, NotImplementedError) as error:
            self._problem(op, str(error))

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
        self._output(op)  # what is wrong with the quantization is told of it, anything else of the layer
        try:
            match before:
                case Conv() | Dense():
                    self._convolution(before, op)
                case Pool():
                    self._average(before, op)
                case Add():
                    self._add(before, op)
        except (ValueError, NotImplementedError) as error:
            self._problem(before, str(error))

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
        """Add a change of scale: an average of single values."""
        self._scaled_sum(op, x, Window(fy=1, fx=1), ratio, {1}, op.name)

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
        if a is b:
            raise ValueError("subtracts a tensor from itself; expected two tensors")
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

    def _concat(self, op: Concat) -> None:
        parts = [self.stored[tensor] for tensor in op.inputs]
        if op.output not in self.grids:
            found = ", ".join(f"{part.grid.scale:g}" for part in parts)
            self._problem(op, f"joins tensors of the scales {found}", "quantize what it gives, or all inputs alike")
            return
        node = self.builder.concat(*(part.node for part in parts), name=self._name(op.name))
        self.stored[op.output] = Stored(node, self.grids[op.output], parts[0].zero)
        self.layers.append(Layer(node=node.name, source=op.name))

    def _same_grid(self, op: Enlarge | Pool) -> None:
        x = self.stored[op.input]
        if isinstance(op, Enlarge):
            node: Node = self.builder.resize(x.node, *op.factors, name=self._name(op.name))
        else:
            node = self.builder.max_pool(x.node, _pool_window(op, self.shapes[op.input]), name=self._name(op.name))
        self.stored[op.output] = Stored(node, x.grid, x.zero)
        self.layers.append(Layer(node=node.name, source=op.name))

    def _output(self, op: Quantize) -> tuple[QType, int, OutputRule]:
        """Return the type of a quantization's integers, their zero point, and how sums become them."""
        grid = op.quantization
        qtype, zero = type_of(self.ranges[op.output], grid.zero)
        rounding = machine_rounding(grid)
        if grid.rounding is Rounding.HALF_ODD:
            raise ValueError(f"rounds halves to even around the odd zero point {grid.zero}; expected an even one")
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


def _window(op: Conv | Dense, weight: IntArray) -> Window:
    fy, fx = weight.shape[1:3]
    if isinstance(op, Dense):
        return Window(fy=fy, fx=fx)
    return window_of(fy, fx, op.strides, op.pads, op.dilations)


def _pool_window(op: Pool, shape: tuple[int, ...]) -> Window:
    fy, fx = op.kernel or (shape[0], shape[1])
    return window_of(fy, fx, op.strides, op.pads, op.dilations)
