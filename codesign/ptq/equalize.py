"""Cross-layer equalisation: channels between two layers get similar ranges in both, and the function stays the same."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from codesign.front.quantization import RealArray
from codesign.front.source import Clip, Constant, Conv, Dense, Enlarge, Operator, Pool, Source

_SWEEPS = 20  # over all pairs; each brings the ranges nearer to each other
_SETTLED = 1e-3


def equalize(source: Source) -> Source:
    """Return the network with channels scaled between layers, so that both layers' weights reach alike far in them.

    Between the two there may be a ReLU, poolings and enlargements: a positive factor of a channel passes them. Maps
    are [Y, X, C]. Other networks come back as they are.
    """
    constants = dict(source.constants)
    pairs = list(_pairs(source))
    for _ in range(_SWEEPS):
        furthest = max((_balance(constants, *pair) for pair in pairs), default=0.0)
        if furthest < _SETTLED:
            break
    return replace(source, constants=constants)


def _balance(constants: dict[str, Constant], first: Conv | Dense, second: Conv | Dense) -> float:
    """Scale the channels between two layers; return how far the largest factor is from 1."""
    before, after = constants[first.weight].values, constants[second.weight].values
    reach = np.abs(before.reshape(len(before), -1)).max(axis=1)
    taken = _by_input(second, np.abs(after)).max(axis=1)
    usable = (reach > 0) & (taken > 0)
    factor = np.ones(len(before))
    factor[usable] = np.sqrt(taken[usable] / reach[usable])
    constants[first.weight] = Constant(before * factor.reshape(-1, *(1,) * (before.ndim - 1)))
    if first.bias is not None:
        constants[first.bias] = Constant(constants[first.bias].values * factor)
    constants[second.weight] = Constant(_times_input(second, after, 1 / factor))
    return float(np.abs(np.log(factor)).max())


def _pairs(source: Source) -> Iterator[tuple[Conv | Dense, Conv | Dense]]:
    """Yield every two layers between which channels may be scaled; each of their weights belongs to them alone."""
    for op in source.operators:
        second = _next(source, op.output) if isinstance(op, Conv | Dense) else None
        if isinstance(op, Conv | Dense) and second is not None:
            yield op, second


def _next(source: Source, tensor: str) -> Conv | Dense | None:
    """Return the layer that alone reads a tensor, through what a positive factor passes; None if there is none."""
    while source.read_once(tensor):
        reader: Operator = source.readers(tensor)[0]
        match reader:
            case Conv() | Dense():
                return reader
            case Clip(low=0.0, high=high) if np.isinf(high):
                pass
            case Pool() | Enlarge():
                pass
            case _:
                return None
        tensor = reader.output
    return None


def _by_input(layer: Conv | Dense, weight: RealArray) -> RealArray:
    """Return weights as [C, ...]: for each channel of the input those that read it."""
    groups = layer.groups if isinstance(layer, Conv) else 1
    spread = weight.reshape(groups, len(weight) // groups, -1, weight.shape[-1])
    return spread.transpose(0, 3, 1, 2).reshape(groups * weight.shape[-1], -1)


def _times_input(layer: Conv | Dense, weight: RealArray, factor: RealArray) -> RealArray:
    """Return weights [K, ..., C/G] times a factor [C] of the input's channels."""
    groups = layer.groups if isinstance(layer, Conv) else 1
    spread = weight.reshape(groups, len(weight) // groups, -1, weight.shape[-1])
    return np.asarray(spread * factor.reshape(groups, 1, 1, -1)).reshape(weight.shape)
