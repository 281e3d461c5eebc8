"""Checkpoints of long work: tensors and plain data in one .npz, written as a whole; never a pickle."""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from codesign.errors import ConfigError
from codesign.ir.files import make_folder, write_bytes

FORMAT = 2  # of what checkpoints hold; raised where an older one would not do any more
_META = "meta"


def save(path: Path, meta: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write plain data and tensors; a reader finds the old file or the new one, never a part."""
    buffer = io.BytesIO()
    arrays = {f"t.{name}": t.detach().cpu().numpy() for name, t in tensors.items()}
    plain = json.dumps({**meta, "format": FORMAT})
    np.savez(buffer, **{_META: np.array(plain)}, **arrays)  # type: ignore[arg-type]
    make_folder(path.parent)
    write_bytes(path, buffer.getvalue())


def load(path: Path, key: str) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Read what `save` wrote with meta["key"] == key; None if there is no such file.

    Raise ConfigError naming the file if it is broken, of another version's format, or belongs to other work.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            meta: dict[str, Any] = json.loads(str(held[_META]))
            tensors = {n[2:]: torch.from_numpy(held[n]) for n in held.files if n.startswith("t.")}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path}: not a whole checkpoint ({error}); delete it to start this step again") from error
    if meta.get("format") != FORMAT:
        raise ConfigError(
            f"{path}: of format {meta.get('format', 1)}, this version of codesign goes on from format {FORMAT} only; "
            "delete it to start this step again"
        )
    if meta.get("key") != key:
        raise ConfigError(
            f"{path}: belongs to other data, another network or other settings than these; delete it to start again, "
            "or give the run a folder of its own"
        )
    return meta, tensors


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under `<prefix>.<name>`."""
    return {f"{prefix}.{name}": t for name, t in tensors.items()}


def without_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors named `<prefix>.<name>`, under `<name>`."""
    start = prefix + "."
    return {name.removeprefix(start): t for name, t in tensors.items() if name.startswith(start)}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of an optimizer, as `<parameter index>.<key>`; rates belong to the schedule and are not kept."""
    state = optimizer.state_dict()["state"]
    return {f"{i}.{k}": torch.as_tensor(v) for i, entry in state.items() for k, v in entry.items() if v is not None}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give the optimizer the state that optimizer_tensors took from one over the same parameters."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
