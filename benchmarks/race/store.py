"""The race's results: one JSON file per cell."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codesign.errors import CodesignError
from codesign.ir import files
from codesign.ir.dataset import Dataset
from codesign.ir.strict import parse, to_plain
from codesign.nets.config import TrainConfig
from codesign.nets.space import Space, decisions
from codesign.search.config import SearchConfig

from .final import Final
from .problem import Step
from .settings import PROFILES, SHARE, SPACE, Cell, Profile, all_cells

FORMAT = 1
REVISION = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How a search went.

    `row`, `choice`: the result, None if nothing met the demand. `evaluations`: networks whose accuracy it asked for.
    `points`: designs priced. `designs`: exact design searches. `seconds`: of the processor, `setup_s` of them for the
    proxy. `proxy_accuracy`: of the result by the common proxy, for searches by gradient found afterwards. `course`:
    whenever something better was found.
    """

    row: tuple[int, ...] | None
    choice: tuple[int, ...] | None
    choices: tuple[str, ...]
    evaluations: int
    points: int
    designs: int
    seconds: float
    setup_s: float
    proxy_accuracy: float | None
    course: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A finished cell. `settings` is all that it depends on beside its name, as text; `key` is their digest."""

    cell: Cell
    profile: str
    key: str
    settings: Mapping[str, str]
    target_cycles: int
    search: Search
    final: Final | None
    machine: str


def unmeasured(result: Result) -> bool:
    """Whether the cell has an accelerator that has not been simulated."""
    final = result.final
    return final is not None and final.interval_cycles is not None and final.measured is None


def settings_of(profile: Profile, space: Space, data: Dataset) -> dict[str, str]:
    """Everything that a cell depends on beside its name.

    Of the package's own settings those that the profile sets: the others are the package's defaults. What changes in
    the code is not seen; REVISION is raised when old cells must not stand beside new ones.
    """
    text = f"{[(d.name, d.options) for d in decisions(space)]} {[stage.stride for stage in space.stages]}"
    return {
        "revision": str(REVISION),
        "space": f"{SPACE}, {space.networks:.3g} networks, digest {hashlib.sha256(text.encode()).hexdigest()[:16]}",
        "boards": f"{SHARE:.0%} of what designs may usually take of each",
        "data": f"{data.name}, {len(data.train_y):,} + {len(data.test_y):,} images, digest {data.digest()[:16]}",
        "proxy": _plain(to_plain(profile.proxy)),
        "limit": _plain(to_plain(profile.limit)),
        "search": _plain(changed(profile.search, SearchConfig())),
        "train": _plain({"images": profile.train_images, **changed(profile.train, TrainConfig())}),
        "simulated images": str(profile.rtlsim_images),
    }


def key_of(settings: Mapping[str, str]) -> str:
    """Digest of the settings."""
    return hashlib.sha256(json.dumps([FORMAT, settings], sort_keys=True).encode()).hexdigest()[:16]


def _plain(settings: Mapping[str, Any]) -> str:
    """Names and values in one line."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items())


def changed(config: object, default: object) -> dict[str, Any]:
    """The settings that are not the default's."""
    usual = to_plain(default)
    return {name: value for name, value in to_plain(config).items() if value != usual[name]}


class Store:
    """Cells in a folder, a folder in it for each profile.

    A file that is broken, of another format or of other settings counts as not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, cell: Cell, profile: str, key: str | None = None) -> Result | None:
        """The result of the cell in that profile, with that key if one is given."""
        path = self.folder / profile / cell.path
        if not path.is_file():
            return None
        try:
            result = parse(Result, _without_format(files.read_json(path)), str(path))
        except CodesignError:
            return None
        same = (result.cell, result.profile) == (cell, profile)
        return result if same and key in (None, result.key) else None

    def all(self) -> list[Result]:
        """Every whole result there is, by profile in the order of all_cells."""
        found = (self.find(cell, profile) for profile in PROFILES for cell in all_cells())
        return [result for result in found if result is not None]

    def save(self, result: Result) -> Path:
        """Write the cell's file as a whole."""
        path = self.folder / result.profile / result.cell.path
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(path, {"format": FORMAT, **to_plain(result)})
        return path


def _without_format(plain: Any) -> Any:
    if not isinstance(plain, dict) or plain.pop("format", None) != FORMAT:
        raise CodesignError("not of this format")
    return plain
