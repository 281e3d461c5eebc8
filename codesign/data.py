"""Finds the folders of the package's data."""

from pathlib import Path

from codesign.errors import CodesignError


def folder(name: str) -> Path:
    """Return the folder `templates`, `boards`, `spaces` or `examples`, in an installed package or beside it in a
    checkout.

    Raise CodesignError if the installation lacks it.
    """
    inside = Path(__file__).parent / name
    beside = Path(__file__).parent.parent / name
    for candidate in (inside, beside):
        if candidate.is_dir():
            return candidate
    raise CodesignError(f"installation: no folder {name!r} at {inside} nor at {beside}; reinstall codesign")
