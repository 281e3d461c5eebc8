"""The one jinja2 environment and its filters; what a template computes beyond attributes and loops is here."""

from collections.abc import Mapping

import jinja2
import numpy as np

from codesign.data import folder
from codesign.ops.arrays import IntArray

LINE_LENGTH = 120


def render(template: str, values: Mapping[str, object]) -> str:
    """Render the template of that name below templates/. Raise jinja2.UndefinedError if it uses another name."""
    return environment().get_template(template).render(values)


def environment() -> jinja2.Environment:
    """Return an environment that is strict about names, and quiet about the lines that tags stand on."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder("templates")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    env.filters |= {"c_array": c_array, "c_value": c_value, "hex32": hex32, "sv_hex": sv_hex, "tcl_quote": tcl_quote}
    return env


def c_array(table: IntArray) -> str:
    """Return table[rows, columns] as a C initializer, wrapped at the line length."""
    rows = ",\n".join("  {" + _wrapped([str(v) for v in row], "   ") + "}" for row in np.asarray(table).tolist())
    return "{\n" + rows + "\n}"


def c_value(value: int | bool) -> str:
    """Return a C++ literal; the least 32-bit integer has none of its own."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"({value + 1} - 1)" if value == -(1 << 31) else str(value)


def hex32(value: int, shift: int = 0) -> str:
    """Return the 32 bits of value from bit `shift` on, as a C literal: 0x0000002a."""
    return f"0x{value >> shift & 0xFFFFFFFF:08x}"


def sv_hex(value: int, bits: int) -> str:
    """Return a SystemVerilog literal of that width, two's complement if negative: 8'hff."""
    if not -(1 << (bits - 1)) <= value < 1 << bits:
        raise ValueError(f"sv_hex: {value} does not fit {bits} bits")
    return f"{bits}'h{value & ((1 << bits) - 1):0{-(-bits // 4)}x}"


def tcl_quote(text: str) -> str:
    """Return one Tcl word: in double quotes, with everything that Tcl would substitute escaped."""
    escaped = "".join("\\" + c if c in '\\"$[]{}' else c for c in text)
    return f'"{escaped}"'


def _wrapped(words: list[str], indent: str) -> str:
    """Join words with commas, in lines of at most LINE_LENGTH columns behind the indent."""
    lines, line = [], ""
    for word in words:
        if line and len(indent) + len(line) + len(word) + 4 > LINE_LENGTH:
            lines.append(line + ",")
            line = word
        else:
            line = f"{line}, {word}" if line else word
    return f"\n{indent}".join([*lines, line])
