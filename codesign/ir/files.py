"""Writes Graph, Design, Cost and Measurement to files and reads them, exactly; a file is written whole or not touched.

Long because every noun has its file format here, for writing and for reading.
"""

import contextlib
import errno
import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import yaml

from codesign.errors import CodesignError, ConfigError, StorageError
from codesign.ir.cost import Cost
from codesign.ir.design import Design
from codesign.ir.graph import Encoding, Graph
from codesign.ir.measurement import Measurement
from codesign.ir.strict import parse, to_plain
from codesign.ops.arrays import IntArray
from codesign.ops.node import Node

T = TypeVar("T")

FORMAT = 2  # of every file below; raised when an older reader could not read it
_WRITERS = {1: "0.1 or 0.2"}  # of files that this version does not read
TEMPORARY = ".codesign-tmp-"  # begins the name of a file that is not finished; no other code makes such names
_FULL = (errno.ENOSPC, errno.EDQUOT)
_EPOCH = (1980, 1, 1, 0, 0, 0)  # no time of day in a file: equal content is equal bytes


@dataclass(frozen=True)
class _GraphHeader:
    format: int
    name: str
    nodes: tuple[Node, ...]
    input_scale: float
    output_scale: float
    labels: tuple[str, ...]
    encoding: Encoding = field(default=Encoding())
    outputs: tuple[str, ...] = ()
    output_scales: tuple[float, ...] = ()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError into a StorageError that names the file or folder, `path` if the system names none."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(_cannot_write(error, path)) from error


def _cannot_write(error: OSError, path: Path) -> str:
    named = error.filename if isinstance(error.filename, str) and TEMPORARY not in error.filename else path
    remedy = "; free some space, then run the same command again" if error.errno in _FULL else ""
    reason = "its folder is gone" if error.errno == errno.ENOENT else error.strerror or str(error)
    return f"{named}: cannot be written: {reason}{remedy}"


def make_folder(path: Path) -> None:
    """Make the folder unless it is there; the one that holds it must be. Raise StorageError."""
    with writing(path):
        path.mkdir(exist_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write the file as a whole, by way of a temporary name beside it; its folder must be there.

    Raise StorageError naming the file. Then the file is as it was, and no other is left.
    """
    with writing(path):
        handle, name = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise


def write_text(path: Path, content: str) -> None:
    """Write the text as UTF-8, as a whole; what UTF-8 does not have, lone surrogates, becomes an escape."""
    write_bytes(path, content.encode(errors="backslashreplace"))


def write_json(path: Path, plain: object) -> None:
    """Write plain data as JSON with indented lines; every text is read back as it was."""
    text = json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")  # an escape of a surrogate, \\udcff, is JSON's own


def write_yaml(path: Path, plain: object) -> None:
    """Write plain data as YAML that a person can read and edit."""
    write_text(path, yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=120))


def is_there(path: Path) -> bool:
    """Return whether the path leads to something; False as well where nothing can be, as below a file."""
    try:
        return path.exists()
    except OSError:  # such as a name that is too long
        return False


def check_file(path: Path) -> None:
    """Raise ConfigError if a folder, a pipe or a device is found where a file is expected; a device may never end."""
    if is_there(path) and not path.is_file():
        raise ConfigError(f"{path}: expected a file, found {'a folder' if path.is_dir() else 'a pipe or a device'}")


def read_text(path: Path) -> str:
    """Return the file's text. Raise ConfigError naming it."""
    check_file(path)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # also a name that no file can have
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read: {reason}") from error


def read_json(path: Path) -> Any:
    """Return the file's plain data. Raise ConfigError naming file and line."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}: line {error.lineno}: not JSON: {error.msg}") from error
    except ConfigError:
        raise
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or deep nesting
        raise ConfigError(f"{path}: not JSON: {error}") from error


def read_plain(path: Path) -> dict[str, Any]:
    """Return the file's names and values. Raise ConfigError naming it unless it holds one JSON object."""
    plain = read_json(path)
    if not isinstance(plain, dict):
        raise ConfigError(f"{path}: expected names with values, got {type(plain).__name__}; not a file of codesign's")
    return plain


def read_yaml(path: Path) -> Any:
    """Return the file's plain data; a key given twice is refused. Raise ConfigError naming file and line."""
    try:
        return yaml.load(read_text(path), _StrictLoader)  # noqa: S506 (a SafeLoader, below)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ConfigError(f"{path}: {line}{error.problem or 'not YAML'}") from error
    except ConfigError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # such as a date that there is not, or deep nesting
        raise ConfigError(f"{path}: not YAML: {error}") from error


def read_yaml_as(hint: type[T], path: Path) -> T:
    """Return the file as a value of that type; see strict.parse."""
    return parse(hint, read_yaml(path), str(path))


def read_json_as(hint: type[T], path: Path) -> T:
    """Return the file as a value of that type; see strict.parse."""
    return parse(hint, read_json(path), str(path))


def save_graph(graph: Graph, path: Path) -> None:
    """Write a `.npz` with the nodes as JSON and the parameters as arrays."""
    header = _GraphHeader(FORMAT, **{f.name: getattr(graph, f.name) for f in fields(graph) if f.name != "params"})
    write_bytes(path, _npz({"header": _text_array(to_plain(header)), **graph.params}))


def load_graph(path: Path) -> Graph:
    """Read what save_graph wrote. Raise ConfigError naming the file and what is wrong."""
    with _naming(path):
        arrays = _read_npz(path)
        header = parse(_GraphHeader, _checked(json.loads(str(arrays.pop("header")))), str(path))
        held = {f.name: getattr(header, f.name) for f in fields(header) if f.name != "format"}
        return Graph(params=arrays, **held)


def save_arrays(path: Path, arrays: Mapping[str, IntArray]) -> None:
    """Write integer arrays by name as an `.npz`."""
    write_bytes(path, _npz(arrays))


def load_arrays(path: Path) -> dict[str, IntArray]:
    """Read what save_arrays wrote. Raise ConfigError naming the file and what is wrong."""
    with _naming(path):
        return _read_npz(path)


def save_design(design: Design, path: Path) -> None:
    """Write a `.yaml` that a person can read and edit."""
    write_yaml(path, {"format": FORMAT, **to_plain(design)})


def load_design(path: Path) -> Design:
    """Read what save_design wrote. Raise ConfigError naming the file and what is wrong."""
    return parse(Design, _without_format(read_yaml(path), path), str(path))


def save_cost(cost: Cost, path: Path) -> None:
    """Write a `.json`."""
    write_json(path, {"format": FORMAT, **to_plain(cost)})


def load_cost(path: Path) -> Cost:
    """Read what save_cost wrote. Raise ConfigError naming the file and what is wrong."""
    return parse(Cost, _without_format(read_json(path), path), str(path))


@dataclass(frozen=True)
class _MeasurementFile:
    measurement: dict[str, Any]
    outputs_sha256: str | None


def save_measurement(measurement: Measurement, path: Path) -> None:
    """Write a `.json`, and the outputs beside it as `.npy`, whose hash the JSON holds."""
    sha = None
    if measurement.outputs is not None:
        buffer = io.BytesIO()
        np.save(buffer, measurement.outputs, allow_pickle=False)
        sha = hashlib.sha256(buffer.getvalue()).hexdigest()
        write_bytes(path.with_suffix(".npy"), buffer.getvalue())
    plain = to_plain(replace(measurement, outputs=None))
    del plain["outputs"]
    write_json(path, {"format": FORMAT, "measurement": plain, "outputs_sha256": sha})


def load_measurement(path: Path) -> Measurement:
    """Read what save_measurement wrote. Raise ConfigError naming the file and what is wrong."""
    stored = parse(_MeasurementFile, _without_format(read_json(path), path), str(path))
    measurement = parse(Measurement, stored.measurement, f"{path}: measurement")
    if stored.outputs_sha256 is None:
        return measurement
    with _naming(path.with_suffix(".npy")):
        content = path.with_suffix(".npy").read_bytes()
        if hashlib.sha256(content).hexdigest() != stored.outputs_sha256:
            raise ValueError(f"its content is not what {path.name} says; run the simulation again")
        return replace(measurement, outputs=np.load(io.BytesIO(content), allow_pickle=False))


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, and numbers that YAML 1.1 reads otherwise than most people."""

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        self._refuse_ambiguous(node)
        return int(super().construct_yaml_int(node))

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        self._refuse_ambiguous(node)
        return float(super().construct_yaml_float(node))

    @staticmethod
    def _refuse_ambiguous(node: yaml.ScalarNode) -> None:
        digits = node.value.lstrip("+-").replace("_", "")
        if ":" in digits:
            problem = "would be read to the base of 60; write a plain number, or a text in quotes"
        elif digits.isdecimal() and digits.startswith("0") and int(digits, 8) != int(digits):
            problem = f"would be read as octal; write {int(digits, 8)} or {int(digits)}, or a text in quotes"
        else:
            return
        raise yaml.MarkedYAMLError(None, None, f"{node.value} {problem}", node.start_mark)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str | int | float) and key in seen:
                raise yaml.MarkedYAMLError(None, None, f"key {key!r} is given twice", key_node.start_mark)
            seen.add(key if isinstance(key, str | int | float) else id(key_node))
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


_StrictLoader.add_constructor("tag:yaml.org,2002:int", _StrictLoader.construct_yaml_int)
_StrictLoader.add_constructor("tag:yaml.org,2002:float", _StrictLoader.construct_yaml_float)


def _npz(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as archive:
        for name, array in arrays.items():
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), entry.getvalue(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _read_npz(path: Path) -> dict[str, IntArray]:
    content = path.read_bytes()
    if not zipfile.is_zipfile(io.BytesIO(content)):  # numpy would advise to load it as a pickle
        raise ValueError("not an .npz file, or not a whole one")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _text_array(plain: object) -> npt.NDArray[Any]:
    return np.array(json.dumps(plain))


def _without_format(plain: Any, path: Path) -> dict[str, Any]:
    with _naming(path):
        checked = dict(_checked(plain))
        del checked["format"]
        return checked


def _checked(plain: Any) -> dict[str, Any]:
    if not isinstance(plain, dict):
        found = "nothing" if plain is None else type(plain).__name__
        raise ValueError(f"expected names with values, got {found}; not a file of codesign's")
    held = plain.get("format")
    if held != FORMAT:
        writer = _WRITERS.get(held) if isinstance(held, int) else None
        by = f"codesign {writer}; use that version" if writer else "another version of codesign"
        raise ValueError(f"format: expected {FORMAT}, got {held!r}; written by {by}, or make the file again")
    return plain


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn what goes wrong while reading into a ConfigError that names the file."""
    try:
        yield
    except ConfigError as error:
        raise error if str(error).startswith(str(path)) else ConfigError(f"{path}: {error}") from error
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except (OSError, ValueError, KeyError, EOFError, RecursionError, zipfile.BadZipFile, CodesignError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
