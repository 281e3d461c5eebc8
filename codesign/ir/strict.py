"""Turns plain data (from YAML and JSON) into frozen dataclasses and back, with type hints as the only schema.

Strict: an unknown key, a missing key, a wrong type or an impossible value is a ConfigError that names file and key.
"""

import dataclasses
import difflib
import math
import reprlib
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

from codesign.errors import CodesignError, ConfigError
from codesign.ir.canonical import kind_of

T = TypeVar("T")

KIND = "kind"  # names the class where a hint allows several


_SHOWN = reprlib.Repr()  # what is wrong may be large, or hold itself
_SHOWN.maxstring = _SHOWN.maxother = _SHOWN.maxlong = 200
_SHOWN.maxlevel = 3


def check_range(owner: object, least: float, most: float, *names: str) -> None:
    """Raise ValueError, naming the attribute, unless each of these is None or a number from `least` to `most`."""
    for name in names:
        value = getattr(owner, name)
        if value is not None and not least <= value <= most:
            raise ValueError(f"{name}: expected {_figure(least)} to {_figure(most)}, got {_figure(value)}")


def _figure(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def parse(hint: type[T], plain: object, where: str) -> T:
    """Build a value of type `hint` from plain data; `where` (a file name) begins every message.

    Known hints: int, float, str, bool, Enum (by value), tuple, dict[str, X], frozen dataclasses, X | None. Unions of
    dataclasses are distinguished by the key `kind`. Raise ConfigError.
    """
    value: T = _parse(hint, plain, where)
    return value


def to_plain(value: object, hint: Any = None) -> Any:
    """Return the inverse of parse: dataclasses become dicts, enums their values, tuples lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = typing.get_type_hints(type(value))
        fields = {f.name: to_plain(getattr(value, f.name), hints[f.name]) for f in dataclasses.fields(value)}
        named = hasattr(type(value), "KIND") or len(_dataclasses_of(hint)) > 1
        return {KIND: kind_of(type(value)), **fields} if named else fields
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [to_plain(v, h) for v, h in zip(value, _item_hints(hint, len(value)), strict=True)]
    if isinstance(value, Mapping):
        return {k: to_plain(v) for k, v in value.items()}
    return value


def _parse(hint: Any, plain: object, where: str) -> Any:
    if hint is Any or hint is object:
        return plain
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _parse_union(hint, plain, where)
    if origin is tuple:
        return _parse_tuple(hint, plain, where)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return _parse_mapping(hint, plain, where)
    if dataclasses.is_dataclass(hint):
        return _parse_dataclass(hint, plain, where)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _parse_enum(hint, plain, where)
    return _parse_scalar(hint, plain, where)


def _parse_scalar(hint: Any, plain: object, where: str) -> object:
    if hint is float and isinstance(plain, int) and not isinstance(plain, bool) and abs(plain) < 2**1023:
        return float(plain)
    if isinstance(plain, float) and not math.isfinite(plain):
        raise ConfigError(f"{where}: expected a finite number, got {plain}")
    if isinstance(plain, str) and any("\ud800" <= c <= "\udfff" for c in plain):
        raise ConfigError(f"{where}: expected text, got {plain!a}, which has half a character (a lone surrogate)")
    if isinstance(plain, hint) and (hint is bool or not isinstance(plain, bool)):
        return plain
    remedy = ""
    if hint is float and isinstance(plain, str) and _is_number(plain):
        remedy = f" (YAML reads a number with an exponent only with a point, as {float(plain)})"
    raise ConfigError(f"{where}: expected {hint.__name__}, got {_SHOWN.repr(plain)}{remedy}")


def _parse_enum(hint: type[Enum], plain: object, where: str) -> Enum:
    for member in hint:
        if member.value == plain and type(member.value) is type(plain):
            return member
    raise ConfigError(f"{where}: expected one of {', '.join(repr(m.value) for m in hint)}, got {_SHOWN.repr(plain)}")


def _parse_tuple(hint: Any, plain: object, where: str) -> tuple[object, ...]:
    if not isinstance(plain, list | tuple):
        raise ConfigError(f"{where}: expected a list, got {_SHOWN.repr(plain)}")
    args = typing.get_args(hint)
    if args[-1] is not Ellipsis and len(args) != len(plain):
        raise ConfigError(f"{where}: expected {len(args)} entries, got {len(plain)}")
    pairs = zip(_item_hints(hint, len(plain)), plain, strict=True)
    return tuple(_parse(h, v, f"{where}[{i}]") for i, (h, v) in enumerate(pairs))


def _parse_mapping(hint: Any, plain: object, where: str) -> dict[str, object]:
    if not isinstance(plain, dict) or not all(isinstance(k, str) for k in plain):
        raise ConfigError(f"{where}: expected names with values, got {_SHOWN.repr(plain)}")
    return {k: _parse(typing.get_args(hint)[1], v, f"{where}: {k}") for k, v in plain.items()}


def _parse_union(hint: Any, plain: object, where: str) -> object:
    options = typing.get_args(hint)
    if plain is None and type(None) in options:
        return None
    classes = {kind_of(o): o for o in _dataclasses_of(hint)}
    if len(classes) > 1:
        if not isinstance(plain, dict) or plain.get(KIND) not in classes:
            found = plain.get(KIND, "nothing") if isinstance(plain, dict) else plain
            raise ConfigError(f"{where}: {KIND}: expected one of {', '.join(classes)}, got {_SHOWN.repr(found)}")
        rest = {k: v for k, v in plain.items() if k != KIND}
        return _parse(classes[plain[KIND]], rest, where)
    others = [o for o in options if o is not type(None)]
    for option in others[:-1]:
        try:
            return _parse(option, plain, where)
        except ConfigError:
            continue
    return _parse(others[-1], plain, where)


def _parse_dataclass(hint: Any, plain: object, where: str) -> object:
    if not isinstance(plain, dict):
        raise ConfigError(f"{where}: expected keys with values, got {_SHOWN.repr(plain)}")
    plain = _without_kind(hint, plain, where)
    hints = typing.get_type_hints(hint)
    fields = {f.name: f for f in dataclasses.fields(hint) if f.init}
    for key in plain:
        if key not in fields:
            near = difflib.get_close_matches(str(key)[:200], fields, n=1)
            remedy = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(fields)}"
            raise ConfigError(f"{where}: unknown key {_SHOWN.repr(key)}; {remedy}")
    for name, field in fields.items():
        has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if name not in plain and not has_default:
            raise ConfigError(f"{where}: missing key {name!r}")
    values = {key: _parse(hints[key], value, f"{where}: {key}") for key, value in plain.items()}
    try:
        return hint(**values)
    except CodesignError as error:
        raise ConfigError(f"{where}: {error}") from error
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def _without_kind(hint: Any, plain: dict[Any, object], where: str) -> dict[Any, object]:
    """Return the keys without `kind`, which a class with a KIND may name. Raise ConfigError for another kind."""
    if not hasattr(hint, "KIND") or KIND not in plain:
        return plain
    if plain[KIND] != kind_of(hint):
        raise ConfigError(f"{where}: {KIND}: expected {kind_of(hint)!r}, got {_SHOWN.repr(plain[KIND])}")
    return {key: value for key, value in plain.items() if key != KIND}


def _item_hints(hint: Any, count: int) -> tuple[Any, ...]:
    """Return the hint of each entry of a tuple with that many entries."""
    for option in (hint, *typing.get_args(hint)):
        if typing.get_origin(option) is tuple:
            args = typing.get_args(option)
            return (args[0],) * count if args[-1] is Ellipsis else args
    return (None,) * count


def _dataclasses_of(hint: Any) -> tuple[Any, ...]:
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    return tuple(o for o in options if isinstance(o, type) and dataclasses.is_dataclass(o))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
