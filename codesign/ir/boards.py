"""Boards by name or file: the package's, and a user's own."""

import difflib
from pathlib import Path

from codesign.data import folder
from codesign.errors import ConfigError
from codesign.ir.board import Board
from codesign.ir.files import read_yaml_as


def list_boards() -> tuple[Board, ...]:
    """Return every board of the package, by name."""
    return tuple(load_board(path.stem) for path in sorted(folder("boards").glob("*.yaml")))


def load_board(name_or_path: str) -> Board:
    """Return the board of that name, or of that file if it ends in .yaml. Raise ConfigError naming file and key."""
    if name_or_path.endswith((".yaml", ".yml")):
        return read_yaml_as(Board, Path(name_or_path))
    path = folder("boards") / f"{name_or_path}.yaml"
    known = sorted(p.stem for p in folder("boards").glob("*.yaml"))
    if name_or_path not in known:
        near = difflib.get_close_matches(name_or_path, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known boards: {', '.join(known)}."
        raise ConfigError(f"board {name_or_path!r} is not known; {hint} A file of your own must end in .yaml")
    board = read_yaml_as(Board, path)
    if board.name != path.stem:
        raise ConfigError(f"{path}: name: expected {path.stem!r} like the file, got {board.name!r}")
    return board
