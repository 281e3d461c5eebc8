"""Quantization after training: turns a float network and images into a network that rounds only as the machine does."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from codesign.errors import UnsupportedError
from codesign.front.problem import Problem, refuse
from codesign.front.quantization import Quantization, RealArray
from codesign.front.shapes import shapes_of
from codesign.front.source import Constant, Conv, Dense, Layout, Quantize, Source
from codesign.ptq.bias import correct_bias
from codesign.ptq.config import QuantizeConfig, Ranges
from codesign.ptq.equalize import equalize
from codesign.ptq.grids import input_grid, weight_constant
from codesign.ptq.maps import map_grid
from codesign.ptq.observe import Observed, macs_of, observe, outputs, sqnr_db
from codesign.ptq.places import shared_grids, use_of
from codesign.ptq.rounding import Roundings, quantized, round_biases

MOST_MACS = 4_000_000_000  # of all images together, so that a pass over them takes seconds
_MOST_OF_PASSES = 8 * MOST_MACS  # of all passes together, where there is one for each place
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
    chosen = chosen_ranges(floats, config)
    return finished(floats, roundings_of(floats, chosen.config, widths or Widths(), chosen.known), chosen.config)


@dataclass(frozen=True, slots=True)
class Known:
    """Roundings of one configuration that were found before, by constant or tensor and bits."""

    weights: dict[tuple[str, int], Constant] = field(default_factory=dict)
    maps: dict[tuple[str, int], Quantization] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A configuration whose ranges are not AUTO, with roundings of it.

    `tried`: the ratio of signal to quantization noise in decibels, of each kind of ranges.
    """

    config: QuantizeConfig
    tried: Mapping[Ranges, float] = field(default_factory=dict)
    known: Known = field(default_factory=Known)


def chosen_ranges(floats: Floats, config: QuantizeConfig) -> Chosen:
    """Return the configuration with those ranges of maps that have the least noise at the network's output.

    Noise is that on the calibration images that biases are corrected by. Of equal ranges, mse comes before percentile.
    Where widths are mixed, maps have the fewest bits here: then ranges matter most.
    """
    if config.ranges is not Ranges.AUTO:
        return Chosen(config)
    x = floats.images[: correction_images(floats.source, len(floats.images))]
    exact = outputs(floats.source, x)
    weights: dict[tuple[str, int], Constant] = {}
    tried, known = dict[Ranges, float](), dict[Ranges, Known]()
    few = (
        replace(config, activation_bits=min(config.activation_bits, config.lowest_bits)) if config.is_mixed else config
    )
    for ranges in (Ranges.MSE, Ranges.PERCENTILE, Ranges.MAX):
        one, known[ranges] = replace(few, ranges=ranges), Known(weights=weights)
        made = finished(floats, roundings_of(floats, one, Widths(), known[ranges]), one)
        tried[ranges] = sqnr_db(exact, outputs(made, x))
    best = max(tried, key=lambda ranges: tried[ranges])
    return Chosen(replace(config, ranges=best), tried, known[best])


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
            held = [seen[tensor] for tensor in group]
            known.maps[key] = (
                input_grid(held[0], config) if alone else map_grid(held, bits, config, use_of(source, group))
            )
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


def images_used(source: Source, given: int, passes: int = 1) -> int:
    """Return how many of the calibration images are used: fewer for a large network, and for many passes over them."""
    most = min(MOST_MACS, _MOST_OF_PASSES // passes)
    return min(given, max(_LEAST_IMAGES, most // max(macs_of(source), 1)))


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
