"""A float network from start to end: calibration, widths, roundings, and what is lost where."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.errors import ConfigError
from codesign.front.quantization import RealArray
from codesign.front.shapes import shapes_of
from codesign.front.source import Source
from codesign.ir.dataset import Dataset, Labels
from codesign.progress import Progress, silent
from codesign.ptq.calibration import Calibration, load_calibration
from codesign.ptq.config import QuantizeConfig
from codesign.ptq.losses import Loss, losses
from codesign.ptq.mixed import mixed_widths
from codesign.ptq.observe import Outputs, macs_of, outputs, right_share, scored_output, sqnr_db
from codesign.ptq.quantize import Chosen, Widths, chosen_ranges, finished, observed, quantize, roundings_of

_SCORED_MACS = 20_000_000_000  # of all test images together
STAGE = "quantization"

Given = str | Path | npt.NDArray[Any] | Dataset


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Quantized:
    """A quantized network, what it lost, and the images that scored it.

    `test` [N, Y, X, C], `labels` [N]: accuracies are shares of these, by the scores of the output `scored`. `sqnr_db`:
    signal to noise at that output where it is least.
    """

    source: Source
    calibration: Calibration
    losses: tuple[Loss, ...]
    sqnr_db: float
    test: RealArray
    labels: Labels | None
    scored: int
    float_accuracy: float | None
    quantized_accuracy: float | None
    notes: tuple[str, ...]


def quantize_network(source: Source, given: Given, config: QuantizeConfig, progress: Progress = silent) -> Quantized:
    """Return a float network quantized by calibration data, and where it loses accuracy.

    `source` is one that passes have simplified, with maps [Y, X, C]. Raise ConfigError if the data does not fit it,
    UnsupportedError if it is quantized already, InfeasibleError if widths cannot keep the budget.
    """
    data = load_calibration(given, source, config)
    _check_classes(source, data)
    progress(STAGE, 0, 3)
    floats = observed(source, data.images, config)
    chosen = chosen_ranges(floats, config)
    config = chosen.config
    widths = mixed_widths(floats, data.labels, config, progress) if config.is_mixed else Widths()
    roundings = roundings_of(floats, config, widths, chosen.known)
    made = finished(floats, roundings, config)
    progress(STAGE, 1, 3)
    lost = losses(floats, roundings, made, data.labels)
    progress(STAGE, 2, 3)
    scored = max(16, min(len(data.test), _SCORED_MACS // max(macs_of(source), 1)))
    test, labels = data.test[:scored], None if data.test_labels is None else data.test_labels[:scored]
    exact, found, at = outputs(source, test), outputs(made, test), scored_output(source)
    ratio = sqnr_db(exact, found)
    result = Quantized(
        source=made,
        calibration=data,
        losses=lost,
        sqnr_db=ratio,
        test=test,
        labels=labels,
        scored=at,
        float_accuracy=None if labels is None else right_share(exact[at], labels),
        quantized_accuracy=None if labels is None else right_share(found[at], labels),
        notes=(),
    )
    notes = (_data_note(result, len(floats.images)), *_ranges_note(chosen), *_power_note(source, exact, result, config))
    progress(STAGE, 3, 3, f"{ratio:.1f} dB signal to noise")
    return replace(result, notes=notes)


def _check_classes(source: Source, data: Calibration) -> None:
    """Raise ConfigError if a label is none of the network's scores."""
    scores = int(np.prod(shapes_of(source)[0][source.outputs[scored_output(source)]]))
    for labels in (data.labels, data.test_labels):
        if labels is not None and int(labels.max()) >= scores:
            raise ConfigError(f"{data.where}: has the label {labels.max()}, but the network gives {scores} scores")


def _data_note(made: Quantized, used: int) -> str:
    same = np.shares_memory(made.test, made.calibration.images)
    return (
        f"quantized by {used:,} images of {made.calibration.where}"
        + (", which are among those that it is scored by" if same and made.labels is not None else "")
        + f"; {made.sqnr_db:.1f} dB signal to quantization noise at the output"
    )


def _ranges_note(chosen: Chosen) -> tuple[str, ...]:
    """Return a sentence on the ranges that were chosen, and what the others would have been worth."""
    if not chosen.tried:
        return ()
    told = ", ".join(f"{ranges.value} {ratio:.1f} dB" for ranges, ratio in chosen.tried.items())
    return (f"ranges of maps by {chosen.config.ranges.value}; signal to noise on calibration images by {told}",)


def _power_note(source: Source, exact: Outputs, made: Quantized, config: QuantizeConfig) -> tuple[str, ...]:
    """Return a sentence on what scales that are powers of two cost, where they were asked for."""
    if not config.power_of_two:
        return ()
    other = replace(config, power_of_two=False, most_lost_accuracy=None, least_sqnr_db=None)
    found = outputs(quantize(source, made.calibration.images, other), made.test)
    ratios = made.sqnr_db, sqnr_db(exact, found)
    told = f"scales that are powers of two: {ratios[0]:.1f} dB; any scales in their place: {ratios[1]:.1f} dB"
    if made.labels is None or made.quantized_accuracy is None:
        return (told,)
    right = right_share(found[made.scored], made.labels)
    return (f"{told}; accuracy {made.quantized_accuracy:.2%} against {right:.2%}",)
