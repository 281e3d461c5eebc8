"""The values in a network on given images: its outputs, and the values of its maps that determine ranges."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from codesign.front.evaluate import evaluate
from codesign.front.quantization import RealArray
from codesign.front.shapes import shapes_of
from codesign.front.source import Conv, Dense, Source
from codesign.ir.dataset import Labels

MOST_VALUES = 1 << 17  # of a tensor that are kept; of more a share, drawn at random
_ELEMENTS = 1 << 22  # of all windows of a layer that lie in memory at a time
_SEED = 0

Outputs = tuple[RealArray, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """The least and the largest value of a tensor on the calibration images, and a sample of values with both."""

    low: float
    high: float
    values: RealArray


def outputs(source: Source, x: RealArray) -> Outputs:
    """Return what the network gives for images x[N, ...], each output as [N, elements]."""
    parts = [[held[output].reshape(len(part), -1) for output in source.outputs] for part, held in _parts(source, x)]
    return tuple(np.concatenate(found) for found in zip(*parts, strict=True))


def scored_output(source: Source) -> int:
    """Return which output has the scores that labels belong to: the first of one position, else the first."""
    shapes, _ = shapes_of(source)
    vectors = [i for i, output in enumerate(source.outputs) if math.prod(shapes[output]) == shapes[output][-1]]
    return vectors[0] if vectors else 0


def observe(source: Source, x: RealArray, tensors: Iterable[str]) -> dict[str, Observed]:
    """Return what each of the tensors holds for images x[N, ...]."""
    shapes, _ = shapes_of(source)
    wanted = tuple(tensors)
    rng = np.random.default_rng(_SEED)
    lows, highs = dict.fromkeys(wanted, math.inf), dict.fromkeys(wanted, -math.inf)
    kept: dict[str, list[RealArray]] = {tensor: [] for tensor in wanted}
    for _, held in _parts(source, x):
        for tensor in wanted:
            values = held[tensor].reshape(-1)
            lows[tensor] = min(lows[tensor], float(values.min()))
            highs[tensor] = max(highs[tensor], float(values.max()))
            share = MOST_VALUES / (len(x) * math.prod(shapes[tensor]))
            kept[tensor].append(values if share >= 1 else values[rng.random(len(values)) < share])
    return {t: Observed(lows[t], highs[t], np.concatenate([[lows[t], highs[t]], *kept[t]])) for t in wanted}


def sqnr_of(source: Source, noisy: Source, x: RealArray, tensors: Mapping[str, str]) -> dict[str, float]:
    """Return the ratio of signal to noise in decibels of tensors, given how the noisy network names them."""
    power, noise = dict.fromkeys(tensors, 0.0), dict.fromkeys(tensors, 0.0)
    for (_, exact), (_, found) in zip(_parts(source, x), _parts(noisy, x), strict=True):
        for tensor, other in tensors.items():
            power[tensor] += float(np.square(exact[tensor]).sum())
            noise[tensor] += float(np.square(found[other] - exact[tensor]).sum())
    return {tensor: _decibels(power[tensor], noise[tensor]) for tensor in tensors}


def macs_of(source: Source) -> int:
    """Return the multiplications of all layers for one image."""
    shapes, _ = shapes_of(source)
    total = 0
    for op in source.operators:
        if isinstance(op, Conv | Dense):
            weight = source.constants[op.weight].shape
            total += math.prod(shapes[op.output]) * math.prod(weight[1:])
    return total


def sqnr_db(signal: Outputs, noisy: Outputs) -> float:
    """Return the ratio of signal to noise in decibels, of that output where it is least; infinite without noise."""
    pairs = zip(signal, noisy, strict=True)
    return min(_decibels(float(np.square(a).sum()), float(np.square(b - a).sum())) for a, b in pairs)


def right_share(found: RealArray, labels: Labels) -> float:
    """Return the share of images whose largest score [N, K] is at their label."""
    return float((found.argmax(axis=1) == labels).mean())


def _decibels(power: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    return 10 * math.log10(max(power / noise, 1e-30))


def _parts(source: Source, x: RealArray) -> Iterator[tuple[RealArray, dict[str, RealArray]]]:
    """Yield images with the values of all tensors, as many images at a time as memory is for."""
    shapes, _ = shapes_of(source)
    largest = max(math.prod(shape) for shape in shapes.values())
    for op in source.operators:
        if isinstance(op, Conv):
            largest = max(
                largest, math.prod(shapes[op.output][:2]) * math.prod(source.constants[op.weight].shape[1:]) * op.groups
            )
    step = max(1, min(64, _ELEMENTS // largest))
    for at in range(0, len(x), step):
        part = x[at : at + step]
        yield part, evaluate(source, part)
