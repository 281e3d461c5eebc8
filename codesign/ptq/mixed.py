"""A separate width for every layer's weights and every map: as few bits as a budget of accuracy or noise allows."""

from collections.abc import Callable
from dataclasses import dataclass

from codesign.errors import ConfigError, InfeasibleError
from codesign.front.source import Conv, Dense, Source
from codesign.ir.dataset import Labels
from codesign.progress import Progress
from codesign.ptq.config import QuantizeConfig
from codesign.ptq.observe import Outputs, outputs, right_share, scored_output, sqnr_db
from codesign.ptq.places import shared_grids
from codesign.ptq.quantize import Floats, Known, Widths, finished, roundings_of
from codesign.ptq.rounding import Roundings, quantized

STAGE = "widths of layers"


@dataclass(frozen=True, slots=True)
class _Lowered:
    """What may have fewer bits: the weights of one layer, or the maps of one grid."""

    layer: str | None
    tensor: str | None


def mixed_widths(floats: Floats, labels: Labels | None, config: QuantizeConfig, progress: Progress) -> Widths:
    """Return widths from `lowest_bits` on with which the network keeps its budget on the calibration images.

    Those that lose least when they alone have few bits are lowered first, each as far as the budget allows. Raise
    InfeasibleError if the network does not keep it without that, ConfigError if the budget needs labels.
    """
    exact = outputs(floats.source, floats.images)
    told_of = _budget(exact, scored_output(floats.source), labels, config)
    known = Known()

    def broken(widths: Widths) -> str:
        made = finished(floats, roundings_of(floats, config, widths, known), config)
        return told_of(outputs(made, floats.images))

    told = broken(Widths())
    if told:
        raise InfeasibleError(f"{floats.source.name}: {told}; allow more, or give more bits")
    widths = Widths()
    order = sorted(_candidates(floats.source), key=lambda lowered: -_alone(floats, exact, lowered, config, known))
    for i, lowered in enumerate(order):
        progress(STAGE, i, len(order))
        most = config.weight_bits if lowered.layer is not None else config.activation_bits
        for bits in range(config.lowest_bits, most):
            tried = _with(widths, lowered, bits, floats.source)
            if not broken(tried):
                widths = tried
                break
    progress(STAGE, len(order), len(order))
    return widths


def _budget(exact: Outputs, at: int, labels: Labels | None, config: QuantizeConfig) -> Callable[[Outputs], str]:
    """Return what tells how outputs break the budget; nothing if they keep it. `at`: the output with scores."""
    if config.most_lost_accuracy is not None:
        if labels is None:
            raise ConfigError("most_lost_accuracy: needs calibration images with labels; give these, or least_sqnr_db")
        known, most = labels[: len(exact[at])], config.most_lost_accuracy
        right = right_share(exact[at], known)

        def accuracy(found: Outputs) -> str:
            lost = right - right_share(found[at], known)
            return "" if lost <= most else f"loses {lost:.2%} accuracy, and the budget is {most:.2%}"

        return accuracy
    least = config.least_sqnr_db
    assert least is not None

    def noise(found: Outputs) -> str:
        ratio = sqnr_db(exact, found)
        return "" if ratio >= least else f"has {ratio:.1f} dB signal to noise, and the budget is {least:g} dB"

    return noise


def _candidates(source: Source) -> list[_Lowered]:
    layers = [_Lowered(op.name, None) for op in source.operators if isinstance(op, Conv | Dense)]
    return layers + [_Lowered(None, group[0]) for group in shared_grids(source)[1:]]


def _alone(floats: Floats, exact: Outputs, lowered: _Lowered, config: QuantizeConfig, known: Known) -> float:
    """Return the signal to noise at the output, in decibels, if this alone is quantized, and to the lowest bits."""
    widths = _with(Widths(), lowered, config.lowest_bits, floats.source)
    whole = roundings_of(floats, config, widths, known)
    if lowered.layer is not None:
        (weight,) = {
            op.weight for op in floats.source.operators if isinstance(op, Conv | Dense) and op.name == lowered.layer
        }
        alone = Roundings(weights={weight: whole.weights[weight]}, maps={}, weight_bits=whole.weight_bits)
    else:
        maps = {tensor: whole.maps[tensor] for tensor in widths.maps}
        alone = Roundings(weights={}, maps=maps, weight_bits=whole.weight_bits)
    return sqnr_db(exact, outputs(quantized(floats.source, alone), floats.images))


def _with(widths: Widths, lowered: _Lowered, bits: int, source: Source) -> Widths:
    """Return the widths with one more lowered."""
    if lowered.layer is not None:
        return Widths(weights={**widths.weights, lowered.layer: bits}, maps=widths.maps)
    (group,) = (group for group in shared_grids(source) if lowered.tensor in group)
    return Widths(weights=widths.weights, maps={**widths.maps, **dict.fromkeys(group, bits)})
