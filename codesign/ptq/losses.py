"""Where a quantized network loses accuracy, place by place."""

from dataclasses import dataclass

from codesign.front.source import Source
from codesign.ir.dataset import Labels
from codesign.ptq.observe import outputs, right_share, scored_output, sqnr_db, sqnr_of
from codesign.ptq.places import Place, places_of
from codesign.ptq.quantize import Floats, images_used
from codesign.ptq.rounding import Roundings, quantized


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What one place loses: signal to quantization noise in decibels, infinite where nothing is lost.

    `sqnr_db`: of what it gives, in the quantized network. `alone_sqnr_db`: at the network's output, if this place alone
    is quantized; `alone_accuracy` on the labelled images then.
    """

    name: str
    operator: str
    weight_bits: int | None
    map_bits: int | None
    sqnr_db: float
    alone_sqnr_db: float
    alone_accuracy: float | None


def losses(floats: Floats, roundings: Roundings, made: Source, labels: Labels | None) -> tuple[Loss, ...]:
    """Return what each place of the quantized network `made` loses on calibration images, in order.

    Each place takes a pass over the images. So the more places there are, the fewer images are used.
    """
    source, places = floats.source, places_of(floats.source)
    x = floats.images[: images_used(source, len(floats.images), len(places))]
    given = {place.name: place.output for place in places}
    names = {tensor: f"{tensor}:rounded" if tensor in roundings.maps else tensor for tensor in given.values()}
    ratios = sqnr_of(source, made, x, names)
    exact, scored = outputs(source, x), scored_output(source)
    found = []
    for place in places:
        alone = outputs(quantized(source, _only(roundings, place)), x)
        found.append(
            Loss(
                name=place.name,
                operator=place.operator,
                weight_bits=_weight_bits(roundings, place),
                map_bits=_map_bits(roundings, place),
                sqnr_db=ratios[given[place.name]],
                alone_sqnr_db=sqnr_db(exact, alone),
                alone_accuracy=None if labels is None else right_share(alone[scored], labels[: len(x)]),
            )
        )
    return tuple(found)


def _only(roundings: Roundings, place: Place) -> Roundings:
    """Return the roundings of one place."""
    return Roundings(
        weights={} if place.weight is None else {place.weight: roundings.weights[place.weight]},
        maps={} if place.tensor is None else {place.tensor: roundings.maps[place.tensor]},
        weight_bits=roundings.weight_bits,
    )


def _weight_bits(roundings: Roundings, place: Place) -> int | None:
    return None if place.weight is None else roundings.weight_bits[place.weight]


def _map_bits(roundings: Roundings, place: Place) -> int | None:
    if place.tensor is None:
        return None
    grid = roundings.maps[place.tensor]
    return (grid.high - grid.low).bit_length()
