"""Quantization after training: turns a float network and images into a network that rounds only as the machine does."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from codesign.errors import UnsupportedError
from codesign.front.problem import Problem, refuse
from codesign.front.quantization import Quantization, RealArray
from codesign.front.shapes import shapes_of
from codesign.front.source import Constant, Conv, Dense, Layout, Quantize, Source
from codesign.ptq.bias import correct_bias
from codesign.ptq.config import QuantizeConfig
from codesign.ptq.equalize import equalize
from codesign.ptq.grids import input_grid, map_grid, weight_constant
from codesign.ptq.observe import Observed, macs_of, observe
from codesign.ptq.places import shared_grids
from codesign.ptq.rounding import Roundings, quantized, round_biases

MOST_MACS = 4_000_000_000  # of all images together, so that a pass over them takes seconds
_LEAST_IMAGES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Widths:
    """Bits of weights by layer and of maps by tensor, where they are not those of the configuration."""

    weights: Mapping[str, int] = field(default_factory=dict)
    maps: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Floats:
    """A float network before any rounding, the images [N, Y, X, C] that are used, and what it holds on them."""

    source: Source
    images: RealArray
    seen: Mapping[str, Observed]


def quantize(source: Source, images: RealArray, config: QuantizeConfig, widths: Widths | None = None) -> Source:
    """Return the network quantized, by what flows through it on real images [N, Y, X, C].

    `source`: a float network with maps [Y, X, C] that passes have simplified. The result is one that `front` lowers.
    Raise UnsupportedError if it is quantized already, or its weights or maps hold numbers that are not finite.
    """
    floats = observed(source, images, config)
    return finished(floats, roundings_of(floats, config, widths or Widths()), config)


def observed(source: Source, images: RealArray, config: QuantizeConfig) -> Floats:
    """Return the float network, equalised if that is asked for, and what flows through it; raises as `quantize`."""
    _check(source)
    floats = equalize(source) if config.equalize else source
    x = images[: images_used(source, len(images))]
    seen = observe(floats, x, [tensor for group in shared_grids(floats) for tensor in group])
    for tensor, observed in seen.items():
        if not np.isfinite([observed.low, observed.high]).all():
            raise UnsupportedError(f"{source.name}: the tensor {tensor!r} is not finite on the calibration data")
    return Floats(source=floats, images=x, seen=seen)


@dataclass(frozen=True, slots=True)
class Known:
    """Roundings of one configuration that were already found, by constant or tensor and bits."""

    weights: dict[tuple[str, int], Constant] = field(default_factory=dict)
    maps: dict[tuple[str, int], Quantization] = field(default_factory=dict)


def roundings_of(floats: Floats, config: QuantizeConfig, widths: Widths, known: Known | None = None) -> Roundings:
    """Return the roundings of weights and maps; those that are found are added to the known ones."""
    source, seen = floats.source, floats.seen
    known = known or Known()
    maps: dict[str, Quantization] = {}
    for i, group in enumerate(shared_grids(source)):
        bits = min(widths.maps.get(tensor, config.activation_bits) for tensor in group)
        key = (group[0], bits)
        if key not in known.maps:
            alone = i == 0 and len(group) == 1
            grid = input_grid(seen[group[0]], config) if alone else map_grid([seen[t] for t in group], bits, config)
            known.maps[key] = grid
        maps |= dict.fromkeys(group, known.maps[key])
    layers = [op for op in source.operators if isinstance(op, Conv | Dense)]
    weight_bits = {op.weight: widths.weights.get(op.name, config.weight_bits) for op in layers}
    for key in weight_bits.items():
        if key not in known.weights:
            known.weights[key] = _weights(source.constants[key[0]], key[1], config)
    weights = {name: known.weights[name, bits] for name, bits in weight_bits.items()}
    return Roundings(weights=weights, maps=maps, weight_bits=weight_bits)


def _weights(constant: Constant, bits: int, config: QuantizeConfig) -> Constant:
    """Return weights as integers of `bits`; those that a pass has made so already, such as ones, stay as they are."""
    if constant.integers is not None and not config.power_of_two and np.abs(constant.integers).max() < 1 << bits - 1:
        return constant
    return weight_constant(constant.values, bits, config)


def finished(floats: Floats, roundings: Roundings, config: QuantizeConfig) -> Source:
    """Return the network with its roundings, and biases that are corrected and in whole steps."""
    made = quantized(floats.source, roundings)
    if config.correct_bias:
        x = floats.images
        made = correct_bias(floats.source, made, x[: correction_images(floats.source, len(x))])
    return round_biases(made)


def images_used(source: Source, given: int) -> int:
    """Return how many of the calibration images are used: fewer for a large network."""
    return min(given, max(_LEAST_IMAGES, MOST_MACS // max(macs_of(source), 1)))


def correction_images(source: Source, given: int) -> int:
    """Return how many images biases are corrected by: as many as fit into memory at once."""
    shapes, _ = shapes_of(source)
    largest = 1
    for op in source.operators:
        if isinstance(op, Conv):
            weight = source.constants[op.weight].shape
            y, columns, _ = shapes[op.output]
            largest = max(largest, y * columns * int(np.prod(weight[1:])) * op.groups)
    return max(1, min(given, (1 << 25) // largest))


def _check(source: Source) -> None:
    """Raise UnsupportedError if the network cannot be quantized, ValueError if its maps are not [Y, X, C]."""
    if source.layout is not Layout.HWC:
        raise ValueError("expected maps [Y, X, C]")
    problems = [
        Problem.of(op, "quantizes already", "give a float network, or compile this one without calibration")
        for op in source.operators
        if isinstance(op, Quantize)
    ]
    refuse(source.name, problems)
