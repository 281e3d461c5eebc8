"""Rendered folders of a run: what was rendered is replaced, and what the user put there or changed is never lost.

`rendered.json` notes the SHA-256 of every file that was rendered, so that a change by hand differs from an older
rendering. While files are replaced it also holds those of the rendering before, so that a command that was killed
half-way is finished by the next.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from codesign.errors import ConfigError
from codesign.flow.folder import RunFolder
from codesign.ir.files import TEMPORARY, make_folder, read_plain, write_json, writing
from codesign.ir.project import MANIFEST, Project, as_bytes, check_names, recorded
from codesign.ir.strict import parse, to_plain

SHOWN = 5  # names in a message


@dataclass(frozen=True, slots=True)
class _Note:
    """Hashes of the latest rendering; `earlier`: of those before, while their files may still stand."""

    files: dict[str, str] = field(default_factory=dict)
    earlier: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def known(self, name: str) -> set[str]:
        """Return every content of the file that was rendered, and so can be rendered again."""
        latest = self.files.get(name)
        return {*self.earlier.get(name, ()), *(() if latest is None else (latest,))}


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a rendered folder: whether a rendering was cut off, and which files are gone or were changed."""

    cut_off: bool
    gone: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every rendered file is there."""
        return not self.cut_off and not self.gone


def standing(run: RunFolder, target: Path) -> Standing:
    """Return how the rendered files of the folder `target` stand; files of the user's do not count."""
    note = _read(run, target)
    found = {name: _sha_of(target / name) for name in note.files}
    return Standing(
        cut_off=bool(note.earlier),
        gone=tuple(sorted(name for name, sha in found.items() if not sha)),
        changed=tuple(sorted(name for name, sha in found.items() if sha and sha not in note.known(name))),
    )


def check_unchanged(run: RunFolder, target: Path) -> None:
    """Raise ConfigError, naming them, if rendered files in the folder `target` were changed by hand."""
    _refuse(target, standing(run, target).changed)


def place(run: RunFolder, target: Path, project: Project, *, changed_stand: bool = False) -> tuple[str, ...]:
    """Bring the rendered files into the folder `target`, and return what else lies there if it is of an older design.

    Rendered files that the project has no more are removed; everything else stays. A call that was killed is finished
    by the next. Raise ConfigError, before anything is touched, naming files of the user's that would be lost; with
    `changed_stand` these stay as they are.
    """
    note = _read(run, target)
    fresh = {name: hashlib.sha256(as_bytes(content)).hexdigest() for name, content in project.files.items()}
    found = {name: _sha_of(target / name) for name in sorted({*note.files, *note.earlier, *fresh})}
    lost = [n for n, sha in found.items() if sha and sha != fresh.get(n) and sha not in note.known(n)]
    if lost and not changed_stand:
        _refuse(target, lost)
    earlier = {name: tuple(sorted(note.known(name) - {fresh.get(name)})) for name in found}
    _write(run, target, _Note(fresh, {name: shas for name, shas in earlier.items() if shas}))
    wanted = {n: c for n, c in project.files.items() if found[n] != fresh[n] and n not in lost}
    _put(target, wanted)
    _remove(target, [n for n, sha in found.items() if sha and n not in fresh and n not in lost])
    _write(run, target, _Note(fresh))
    replaced = any(found[name] for name in wanted)
    return _others(target, fresh) if replaced else ()


def listed(names: Iterable[str]) -> str:
    """Return the first of the names, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more


def _refuse(target: Path, names: Iterable[str]) -> None:
    every = list(names)
    if every:
        raise ConfigError(
            f"{target}: changed by hand, and would be lost: {listed(every)}. Move these files away, or delete them to "
            "have them rendered again; to change the design, edit 4-design.yaml"
        )


def _put(target: Path, contents: dict[str, str | bytes]) -> None:
    """Write all files under temporary names, then move each to its place; the manifest is the last."""
    make_folder(target)
    if not contents:
        return
    with writing(target):
        staged = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=target))
        try:
            for name, content in contents.items():
                path = staged / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(as_bytes(content))
            for name in sorted(contents, key=lambda name: (name == MANIFEST, name)):
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(staged / name, target / name)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def _remove(target: Path, names: Iterable[str]) -> None:
    """Remove rendered files, and folders that are empty without them."""
    with writing(target):
        for name in names:
            (target / name).unlink()
            for parent in PurePosixPath(name).parents[:-1]:
                folder = target / parent
                if any(folder.iterdir()):
                    break
                folder.rmdir()


def _others(target: Path, rendered: Iterable[str]) -> tuple[str, ...]:
    """Return what lies in the folder and in its rendered folders that was not rendered."""
    ours = {PurePosixPath(name) for name in rendered}
    folders = {parent for path in ours for parent in path.parents}
    found = (
        PurePosixPath(entry.relative_to(target).as_posix())
        for folder in folders
        for entry in (target / folder).iterdir()
    )
    return tuple(sorted(str(path) for path in found if path not in ours and path not in folders))


def _sha_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal; empty if there is none, and a word if something else is there."""
    sha = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                sha.update(part)
    except (FileNotFoundError, NotADirectoryError):
        return "" if not path.is_symlink() else "link"
    except IsADirectoryError:
        return "folder"
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    return sha.hexdigest()


def _read(run: RunFolder, target: Path) -> _Note:
    """Read the note on the folder; where there is none, what the manifest of the folder says."""
    notes = read_plain(run.rendered) if run.rendered.exists() else {}
    if target.name in notes:
        note = parse(_Note, notes[target.name], f"{run.rendered}: {target.name}")
        check_names({**note.files, **note.earlier})
        return note
    manifest = target / MANIFEST
    return _Note({**recorded(manifest), MANIFEST: _sha_of(manifest)} if manifest.exists() else {})


def _write(run: RunFolder, target: Path, note: _Note) -> None:
    notes = read_plain(run.rendered) if run.rendered.exists() else {}
    write_json(run.rendered, {**notes, target.name: to_plain(note)})
