"""What keeps a network from being compiled: every problem of a file, in one error."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from codesign.errors import UnsupportedError

MOST_LISTED = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One node that is refused: its name and operator in the file, what was found, and the nearest supported form."""

    node: str
    operator: str
    found: str
    instead: str = ""

    @classmethod
    def of(cls, operator: Any, found: str, instead: str = "") -> "Problem":
        """Return a problem of an operator of a Source."""
        return cls(node=operator.name, operator=type(operator).__name__, found=found, instead=instead)

    def __str__(self) -> str:
        remedy = f"; {self.instead}" if self.instead else ""
        return f"node {self.node!r} ({self.operator}): {self.found}{remedy}"


def refuse(where: str, problems: Iterable[Problem]) -> None:
    """Raise UnsupportedError that lists all problems, each on a line of its own, if there are any."""
    lines = list(dict.fromkeys(str(problem) for problem in problems))
    if not lines:
        return
    if len(lines) == 1:
        raise UnsupportedError(f"{where}: {lines[0]}")
    more = [f"and {len(lines) - MOST_LISTED} more"] if len(lines) > MOST_LISTED else []
    listed = "\n  ".join([*lines[:MOST_LISTED], *more])
    raise UnsupportedError(f"{where}: {len(lines)} nodes cannot be compiled:\n  {listed}")
