"""The map that enters a graph."""

from dataclasses import dataclass

from codesign.ops.operator import Operator
from codesign.ops.qtype import QType
from codesign.ops.shapes import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Input(Operator):
    """The map that enters the graph; always the first node."""

    name: str
    shape: Shape
    otype: QType

    @property
    def inputs(self) -> tuple[str, ...]:
        return ()

    @property
    def oshape(self) -> Shape:
        return self.shape

    @property
    def title(self) -> str:
        return "input"
