"""The integer Graph under construction behind the operators of a Source; see lower."""

from dataclasses import dataclass

from codesign.front.grids import grids_of
from codesign.front.names import legal_name
from codesign.front.problem import Problem
from codesign.front.quantization import Quantization, Rounding
from codesign.front.shapes import shapes_of
from codesign.front.source import (
    Operator,
    Quantize,
    Source,
)
from codesign.front.stored import (
    Stored,
    bounds_of,
    machine_rounding,
    type_of,
    type_ranges,
)
from codesign.ir.builder import GraphBuilder
from codesign.ir.graph import Encoding, Graph
from codesign.ops.node import Node
from codesign.ops.qtype import QType
from codesign.ops.requantize import OutputRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A node of the Graph and where it comes from: its name in the file, and the bound on what it is off.

    `error`: the largest difference to the file's real arithmetic before rounding, in steps of the output. `tensor`: the
    tensor of the Source that it gives; empty if it is a step on the way to one.
    """

    node: str
    source: str
    error: float = 0.0
    tensor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """The integer network and its layers in order.

    `input`, `outputs`: the grids of the stored integers at both ends. `file_zeros`: their zero points in the file.
    """

    graph: Graph
    layers: tuple[Layer, ...]
    input: Quantization
    outputs: tuple[Quantization, ...]
    file_zeros: tuple[int, ...]


class Lowering:
    """A graph under construction, and how tensors of the source are stored in it."""

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
            legal_name(source.name, set()), (shape[0], shape[1], shape[2]), qtype, self.named(source.input.tensor)
        )
        self.stored[source.input.tensor] = Stored(self.builder.input, self.entry.quantization, zero)

    def result(self) -> Lowered:
        """Return the graph with its ends."""
        assert self.entry is not None
        first, lasts = self.stored[self.source.input.tensor], [self.stored[name] for name in self.source.outputs]
        even = first.grid.rounding is Rounding.HALF_EVEN
        encoding = Encoding(offset=-first.grid.scale * first.zero + 0.0, step=first.grid.scale, half_even=even)
        several = len(lasts) > 1
        graph = self.builder.graph(
            input_scale=first.grid.scale,
            output_scale=1.0 if several else lasts[0].grid.scale,
            encoding=encoding,
            outputs=[last.node for last in lasts],
            output_scales=tuple(last.grid.scale for last in lasts) if several else (),
        )
        return Lowered(
            graph=graph,
            layers=tuple(self.layers),
            input=first.own_grid,
            outputs=tuple(last.own_grid for last in lasts),
            file_zeros=(first.grid.zero, *(last.grid.zero for last in lasts)),
        )

    def output(self, op: Quantize) -> tuple[QType, int, OutputRule]:
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

    def store(self, op: Quantize, node: Node, zero: int, name: str, error: float) -> None:
        self.stored[op.output] = Stored(node, op.quantization, zero)
        self.layers.append(Layer(node=node.name, source=name, error=error, tensor=op.output))

    def problem(self, op: Operator, found: str, instead: str = "") -> None:
        self.problems.append(Problem.of(op, found, instead))

    def named(self, name: str) -> str:
        made = legal_name(name, self.names)
        self.names.add(made)
        return made

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
                    instead="expected one quantization that all first layers read; a float network is quantized first",
                )
            )
            return None
        return found[0]
