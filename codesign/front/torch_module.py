"""A PyTorch module to a Source, through torch.export: a graph of aten operators with the values of its parameters.

Nothing of the module's own code is read. It is traced in inference mode; the module comes back as it was.
"""

import contextlib
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.errors import ConfigError, UnsupportedError
from codesign.front.problem import refuse
from codesign.front.source import Source
from codesign.front.torch_layers import OPERATORS
from codesign.front.torch_translation import TorchTranslation

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Traced:
    """A module, and the network that it is."""

    module: Any
    source: Source


def is_module(model: object) -> bool:
    """Tell whether this is a torch.nn.Module; torch is not loaded for it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def read_module(module: Any, example: Any, name: str = "module") -> Source:
    """Return the network of a torch.nn.Module, channels first, traced with an example input [N, ...].

    `example`: a tensor or an array of the input's shape, with a batch in front; its values do not matter. Raise
    ConfigError if it is no such, UnsupportedError with all operators that are refused.
    """
    given = _tensor(example, name)
    program = _exported(module, given, name)
    state = TorchTranslation(name, program, tuple(given.shape))
    state.walk(OPERATORS)
    refuse(name, state.problems)
    return state.result()


def run_module(module: Any, x: Array) -> tuple[Array, ...]:
    """Return what a module gives for inputs x[N, ...] in inference mode: each of its outputs."""
    import torch

    with _inference(module), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = torch.from_numpy(np.ascontiguousarray(x)).to(_type_of(module))
        found = module(given)
        return tuple(np.asarray(y.to(torch.float64).numpy()) for y in _tensors(found))


def _tensors(found: Any) -> list[Any]:
    """Return the tensors of what a module gives: one, or any nesting of tuples, lists and dictionaries."""
    if isinstance(found, dict):
        found = tuple(found.values())
    return [t for part in found for t in _tensors(part)] if isinstance(found, tuple | list) else [found]


def _type_of(module: Any) -> Any:
    """Return the floating-point type that the module computes in."""
    import torch

    held = (*module.parameters(), *module.buffers())
    return next((values.dtype for values in held if values.is_floating_point()), torch.float32)


@contextlib.contextmanager
def _inference(module: Any) -> Iterator[None]:
    """Have the module in inference mode, and all its parts as they were afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def _tensor(example: Any, name: str) -> Any:
    import torch

    given = example if isinstance(example, torch.Tensor) else torch.as_tensor(np.asarray(example))
    if not 2 <= given.ndim <= 4 or min(given.shape) < 1:
        raise ConfigError(
            f"{name}: example: expected a batch of inputs [N, C, Y, X], [N, C, X] or [N, C], got {list(given.shape)}"
        )
    return given[:1].detach().to(torch.float32)


def _exported(module: Any, example: Any, name: str) -> Any:
    import torch

    try:
        with _inference(module), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(module, (example.to(_type_of(module)),))
    except Exception as error:  # whatever the module's own code and the tracer raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UnsupportedError(
            f"{name}: torch.export cannot trace the module with an example {list(example.shape)}: {reason[:300]}"
        ) from error
