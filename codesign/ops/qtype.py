"""The integer type of an edge or of a weight tensor: how many bits, signed or not."""

from dataclasses import dataclass

MIN_BITS = 2
MAX_BITS = 16


@dataclass(frozen=True, slots=True)
class QType:
    """An integer type; the real value of an integer q is (q - zero point) * scale. Nodes hold the zero points.

    Raises ValueError unless 2 <= bits <= 16.
    """

    bits: int
    signed: bool

    def __post_init__(self) -> None:
        if not MIN_BITS <= self.bits <= MAX_BITS:
            raise ValueError(f"bits: expected {MIN_BITS} to {MAX_BITS}, got {self.bits}")

    @property
    def qmin(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def qmax(self) -> int:
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    def __str__(self) -> str:
        return f"{'int' if self.signed else 'uint'}{self.bits}"
