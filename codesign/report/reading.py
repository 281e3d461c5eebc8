"""The content of a file that was measured elsewhere, and the checks of every such file."""

from dataclasses import dataclass

from codesign.errors import ConfigError
from codesign.ir.board import Board
from codesign.ir.measurement import Measurement
from codesign.report.view import Column

CLOCK_TOLERANCE = 0.01
MOST = 1 << 62  # of any count


@dataclass(frozen=True, slots=True)
class Reading:
    """The content of a file: its column, the measurement, and remarks on what is missing."""

    column: Column
    measurement: Measurement
    remarks: tuple[str, ...] = ()


def check_part(found: str, board: Board) -> None:
    """Raise ConfigError unless it is the board's part, however the tools spell it.

    Vivado up to 2020 leaves out the leading xc, older reports the letter of the temperature grade at the end.
    """

    def plain(part: str) -> str:
        return part.lower().replace("-", "").removeprefix("xc")

    known = {plain(board.part)}
    if board.part[-2:-1] == "-" and board.part[-1:].isalpha():
        known.add(plain(board.part[:-2]))
    if plain(found) not in known:
        raise ConfigError(f"part: expected {board.part!r} of {board.name}, got {shown(found)}")


def shown(value: object) -> str:
    """Return the value for a message, however long it is."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
