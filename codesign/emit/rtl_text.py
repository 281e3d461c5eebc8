"""One module instance of the SystemVerilog top level, as text."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Long:
    """An integer of 64 bits."""

    value: int


Value = int | Long | str | bool | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModuleText:
    """One module instance of the top level, as text."""

    module: str
    name: str
    parameters: tuple[tuple[str, str], ...]
    ports: tuple[tuple[str, str], ...]


def parameters(values: Mapping[str, Value], *, quote: bool = True) -> tuple[tuple[str, str], ...]:
    """Return parameters and their values as text; names in values are strings unless `quote` is false."""
    return tuple((name, literal(value, quote=quote)) for name, value in values.items())


def literal(value: Value, *, quote: bool = True) -> str:
    """Return a parameter's value as SystemVerilog; a list becomes a packed vector, its first entry lowest."""
    if isinstance(value, bool):
        return "1'b1" if value else "1'b0"
    if isinstance(value, tuple):
        return "{" + ", ".join(f"32'd{entry}" for entry in reversed(value)) + "}"
    if isinstance(value, Long):
        return f"{'-' if value.value < 0 else ''}64'sd{abs(value.value)}"
    return f'"{value}"' if isinstance(value, str) and quote else str(value)
