"""Digests of nouns that survive a new field: a field at its default is left out, and each class has its own name."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from enum import Enum
from typing import Any


def digest(value: object) -> str:
    """Return the SHA-256, in hexadecimal, of the canonical form of a frozen dataclass or of plain data."""
    text = json.dumps(canonical(value), sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(value: object) -> Any:
    """Return plain data that is equal for equal values; arrays are not covered.

    A dataclass becomes its kind and those of its fields that differ from their default. So a field that is added with
    a default leaves every digest as it was.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"kind": kind_of(type(value)), **{name: canonical(held) for name, held in set_fields(value).items()}}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple):
        return [canonical(entry) for entry in value]
    if isinstance(value, Mapping):
        return {str(key): canonical(entry) for key, entry in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"no canonical form of {type(value).__name__}")


def set_fields(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that differ from their default, by name."""
    return {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if not _at_default(value, f)}


def kind_of(cls: type) -> str:
    """Return the name of a class in files and digests: its KIND, or its own name in lower case."""
    return str(getattr(cls, "KIND", cls.__name__.lower()))


def _at_default(value: object, field: "dataclasses.Field[Any]") -> bool:
    held = getattr(value, field.name)
    if field.default is not dataclasses.MISSING:
        return bool(held == field.default)
    return field.default_factory is not dataclasses.MISSING and bool(held == field.default_factory())
