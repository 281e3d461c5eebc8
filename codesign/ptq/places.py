"""Where the machine rounds a network's maps, and which of these places must share one grid of values."""

from codesign.front.source import (
    Add,
    Clip,
    Concat,
    Conv,
    Dense,
    Enlarge,
    Pool,
    Source,
)


def places_of(source: Source) -> tuple[tuple[str, ...], ...]:
    """Return the tensors that are rounded, in groups of one grid each; the first group has the input.

    The machine rounds the input and what every sum gives, behind the clip that follows it. A clip that does not
    follow a sum is rounded too. Scores at the end are not: they keep the sums. Tensors that are joined share a grid.
    """
    tensors = [source.input.tensor]
    followed: set[str] = set()
    for op in source.operators:
        match op:
            case Conv() | Dense() | Add() | Pool(average=True):
                tensor = _behind_clips(source, op.output, followed)
                if tensor != source.output or source.readers(tensor) or tensor in followed:
                    tensors.append(tensor)
            case Clip() if op.output not in followed:
                tensors.append(op.output)
            case _:
                pass
    return _joined(source, tensors)


def origins(source: Source, tensor: str) -> tuple[str, ...]:
    """Return the tensors whose values reach this one unchanged: through maxima, enlargements and concatenations."""
    match source.producer(tensor):
        case Pool(average=False) | Enlarge() as op:
            return origins(source, op.input)
        case Concat() as op:
            return tuple(origin for name in op.inputs for origin in origins(source, name))
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


def _joined(source: Source, tensors: list[str]) -> tuple[tuple[str, ...], ...]:
    """Return the tensors in groups, in their order; those that a Concat joins are in one."""
    group = {tensor: [tensor] for tensor in tensors}
    for op in source.operators:
        if not isinstance(op, Concat):
            continue
        found = origins(source, op.output)
        for other in found[1:]:
            first, second = group[found[0]], group[other]
            if first is not second:
                first += second
                group |= {tensor: first for tensor in second}
    order = {tensor: i for i, tensor in enumerate(tensors)}
    groups = {id(members): members for members in group.values()}
    return tuple(tuple(sorted(members, key=order.__getitem__)) for members in groups.values())
