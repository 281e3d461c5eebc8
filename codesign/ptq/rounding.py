"""A float network with roundings: weights as integers with a scale, and a Quantize where a map is rounded."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from codesign.front.grids import grids_of
from codesign.front.quantization import Quantization
from codesign.front.source import Constant, Conv, Dense, Operator, Quantize, Source, inputs_of

MOST_BIAS = 2.0**30  # steps of a sum


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Roundings:
    """Weights by the name of their constant with their bits, and the grids of maps by tensor."""

    weights: Mapping[str, Constant]
    maps: Mapping[str, Quantization]
    weight_bits: Mapping[str, int]


def quantized(source: Source, roundings: Roundings) -> Source:
    """Return the network with these weights and with these maps rounded; what is not named stays real."""
    return round_maps(round_weights(source, roundings.weights), roundings.maps)


def round_weights(source: Source, weights: Mapping[str, Constant]) -> Source:
    """Return the network with other weights, by the name of their constant."""
    return replace(source, constants={**source.constants, **weights})


def round_maps(source: Source, grids: Mapping[str, Quantization]) -> Source:
    """Return the network with a Quantize behind each of the tensors, which all that read it read instead."""
    names = {tensor: f"{tensor}:rounded" for tensor in grids}
    operators: list[Operator] = []

    def add(tensor: str) -> None:
        if tensor in grids:
            name = f"{tensor}:quantize"
            operators.append(Quantize(name=name, input=tensor, output=names[tensor], quantization=grids[tensor]))

    add(source.input.tensor)
    for op in source.operators:
        operators.append(_reading(op, names))
        add(op.output)
    return replace(source, operators=tuple(operators), output=names.get(source.output, source.output))


def round_biases(source: Source) -> Source:
    """Return the network with the biases of quantized layers in whole steps of their sums."""
    grids = grids_of(source)
    constants = dict(source.constants)
    for op in source.operators:
        if not isinstance(op, Conv | Dense) or op.bias is None or op.input not in grids:
            continue
        weight = source.constants[op.weight]
        if weight.integers is None or weight.scale is None:
            continue
        step = grids[op.input].scale * np.broadcast_to(weight.scale.reshape(-1), (len(weight.values),))
        whole = np.clip(np.rint(source.constants[op.bias].values / step), -MOST_BIAS, MOST_BIAS)
        constants[op.bias] = Constant.of(whole.astype(np.int64), step)
    return replace(source, constants=constants)


def _reading(op: Operator, names: Mapping[str, str]) -> Operator:
    """Return the operator with its inputs under other names."""
    found = tuple(names.get(tensor, tensor) for tensor in inputs_of(op))
    if found == inputs_of(op):
        return op
    if "inputs" in op.__slots__:
        return replace(op, inputs=found)  # type: ignore[arg-type]
    return replace(op, input=found[0])  # type: ignore[arg-type]
