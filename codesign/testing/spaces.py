"""The same search space in another order."""

from dataclasses import replace

from codesign.networks.space import BlockSpace, Kind, Space


def turned(space: Space) -> Space:
    """Return the same networks with the last operators and poolings first, so that a search begins elsewhere.

    To skip stays the last option.
    """

    def block(b: BlockSpace) -> BlockSpace:
        back = b.operators[::-1]
        others = (op for op in back if op.kind is not Kind.SKIP)
        return replace(b, operators=(*others, *(op for op in back if op.kind is Kind.SKIP)))

    stages = tuple(replace(stage, blocks=tuple(map(block, stage.blocks))) for stage in space.stages)
    return replace(space, stages=stages, head_pools=space.head_pools[::-1])
