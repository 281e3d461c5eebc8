"""What designs are made for, as spaces, predictions and costs see it."""

from typing import Protocol

from codesign.ir.cost import Resources
from codesign.ir.technology import Technology


class Target(Protocol):
    """Whatever a design can be made for; an FPGA board is one kind."""

    @property
    def name(self) -> str:
        """The name in messages."""
        ...

    @property
    def clock_mhz(self) -> float:
        """The clock of the accelerator."""
        ...

    @property
    def budget(self) -> Resources:
        """The most that a design may take."""
        ...

    @property
    def fabric(self) -> Technology:
        """The technology that it is made of."""
        ...

    @property
    def port_bits(self) -> int:
        """The width of the memory port at either end, so the most bits of an AXI-Stream word."""
        ...

    def bounded_by(self, name: str) -> str:
        """Return what keeps a design from more of a resource, for a message."""
        ...
