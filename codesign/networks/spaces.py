"""Search spaces by name or file: the package's, and a user's own."""

import difflib
from pathlib import Path

from codesign.data import folder
from codesign.errors import ConfigError
from codesign.ir.files import read_yaml_as
from codesign.networks.auto import AUTO
from codesign.networks.space import Space


def list_spaces() -> tuple[str, ...]:
    """Return the names of the spaces that travel with the package."""
    return tuple(sorted(path.stem for path in folder("spaces").glob("*.yaml")))


def load_space(name_or_path: str) -> Space:
    """Return the space of that name, or of that file if it ends in .yaml. Raise ConfigError naming file and key."""
    if name_or_path.endswith((".yaml", ".yml")):
        return read_yaml_as(Space, Path(name_or_path))
    known = list_spaces()
    if name_or_path not in known:
        named = (AUTO, *known)
        near = difflib.get_close_matches(name_or_path, named, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known spaces: {', '.join(named)}."
        raise ConfigError(f"space: {name_or_path!r} is not known; {hint} A file of your own must end in .yaml")
    return read_yaml_as(Space, folder("spaces") / f"{name_or_path}.yaml")
