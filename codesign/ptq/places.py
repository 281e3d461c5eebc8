"""Where the machine rounds a network: weights of layers, maps behind sums; which maps must share a grid."""

from dataclasses import dataclass

from codesign.front.source import (
    Activation,
    Add,
    Clip,
    Concat,
    Conv,
    Dense,
    Moving,
    Multiply,
    Operator,
    Pool,
    Source,
    Surround,
)
from codesign.ptq.maps import Use


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The input or an operator, with the constant of its weights and the tensor that is rounded behind it, if any.

    A tensor is rounded behind the clip that follows a sum. Scores at the network's end keep their sums. `output`: the
    tensor that would be rounded.
    """

    name: str
    operator: str
    output: str
    weight: str | None = None
    tensor: str | None = None


def places_of(source: Source) -> tuple[Place, ...]:
    """Return every place where the machine rounds, the input first, in order of computation.

    A clip that does not follow a sum, or whose sum others read too, is a separate place.
    """
    entry = source.input.tensor
    places = [Place(name="input", operator="input", output=entry, tensor=entry)]
    followed: set[str] = set()
    for op in source.operators:
        match op:
            case Conv() | Dense() | Add() | Multiply() | Activation() | Pool(average=True):
                tensor = _behind_clips(source, op.output, followed)
                at_end = tensor == op.output and tensor in source.outputs and not source.readers(tensor)
                weight = op.weight if isinstance(op, Conv | Dense) else None
                if not _keeps_sums(source, op):
                    places.append(_place(op, weight, tensor, None if at_end else tensor))
            case Clip() if op.output not in followed:
                places.append(_place(op, None, op.output, op.output))
            case _:
                pass
    return tuple(places)


def shared_grids(source: Source) -> tuple[tuple[str, ...], ...]:
    """Return the tensors that are rounded, in groups of one grid each, the input's first. A Concat joins them."""
    tensors = [place.tensor for place in places_of(source) if place.tensor is not None]
    group = {tensor: [tensor] for tensor in tensors}
    for op in source.operators:
        if not isinstance(op, Concat):
            continue
        found = _origins(source, op.output)
        for other in found[1:]:
            first, second = group[found[0]], group[other]
            if first is not second:
                first += second
                group |= dict.fromkeys(second, first)
    order = {tensor: i for i, tensor in enumerate(tensors)}
    groups = {id(members): members for members in group.values()}
    return tuple(tuple(sorted(members, key=order.__getitem__)) for members in groups.values())


def use_of(source: Source, group: tuple[str, ...]) -> Use:
    """Return how tensors that share a grid are read.

    There is no zero point at the network's end. Nor is there one beside products, or before zeros between pixels, where
    another node would take it off.
    """
    held = [name for tensor in group for name in _unchanged(source, tensor)]
    if any(name in source.outputs for name in held):
        return Use()
    read = [op for name in held for op in source.readers(name) if op.output not in held or isinstance(op, Surround)]
    beside = read + [_before_clips(source, tensor) for tensor in group]
    costs = any(isinstance(op, Multiply) or (isinstance(op, Surround) and op.strides != (1, 1)) for op in beside)
    tables = [op for op in read if isinstance(op, Activation) and op.slope is None]
    return Use(zero_point=not costs, table=tables[0] if len(read) == len(tables) == 1 else None)


def _unchanged(source: Source, tensor: str) -> list[str]:
    """Return the tensor and all that have its values, moved or the largest of some."""
    found = [tensor]
    for op in source.readers(tensor):
        if isinstance(op, Concat | Moving) or (isinstance(op, Pool) and not op.average):
            found += _unchanged(source, op.output)
    return found


def _before_clips(source: Source, tensor: str) -> Operator | None:
    """Return the operator whose results, clipped, a tensor has."""
    op = source.producer(tensor)
    return _before_clips(source, op.input) if isinstance(op, Clip) else op


def _place(op: Operator, weight: str | None, output: str, tensor: str | None) -> Place:
    return Place(name=op.name, operator=type(op).__name__, weight=weight, output=output, tensor=tensor)


def _keeps_sums(source: Source, op: Operator) -> bool:
    """Tell whether this is a mean of two by two pixels at most that another mean alone reads: its sums stay exact."""
    if not isinstance(op, Pool) or op.kernel is None or max(op.kernel) > 2 or not source.read_once(op.output):
        return False
    (reader,) = source.readers(op.output)
    return isinstance(reader, Pool) and reader.average


def _origins(source: Source, tensor: str) -> tuple[str, ...]:
    """Return the tensors whose values reach this one unchanged: through maxima, enlargements and concatenations."""
    match source.producer(tensor):
        case Pool(average=False) as op:
            return _origins(source, op.input)
        case op if isinstance(op, Moving):
            return _origins(source, op.input)
        case Concat() as op:
            return tuple(origin for name in op.inputs for origin in _origins(source, name))
        case _:
            return (tensor,)


def _behind_clips(source: Source, tensor: str, followed: set[str]) -> str:
    """Return the tensor behind the clips that alone read this one, and note them."""
    while source.read_once(tensor):
        reader = source.readers(tensor)[0]
        if not isinstance(reader, Clip):
            break
        tensor = reader.output
        followed.add(tensor)
    return tensor
