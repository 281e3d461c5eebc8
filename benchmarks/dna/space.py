"""DNA's choice tables, and the fixed rule that gives each layer its chunk.

Source: luke-avionics/NN-HW-predictor, predictor_utilities.py (design_choice_gen, allocate_layers) and, for the layout
`4-chunk wide`, analytical_prediction_efficientnetb0.py. A layer's chunk follows from whether it is depthwise and from
its map's size or its block; the search has no say in it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .model import IntArray, Layer, Tiles, Unroll
from .networks import Placed


@dataclass(frozen=True, slots=True)
class Table:
    """Choices of a chunk, descending: rows and columns (OY, OX), and channels (K, C); each for tile and for unroll."""

    rows: tuple[int, ...]
    channels: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Chunks in pairs, standard and depthwise, of one Table each.

    Pair i runs the layers of maps of at least `sizes[i]`, or the blocks from `blocks[i]` on; one of both is empty.
    """

    name: str
    tables: tuple[Table, ...]
    sizes: tuple[int, ...] = ()
    blocks: tuple[int, ...] = ()

    def pair_of(self, placed: Placed) -> int:
        """Return the pair of chunks that runs a layer."""
        if self.sizes:
            return next(i for i, size in enumerate(self.sizes) if placed.layer.o >= size)
        return max(i for i, block in enumerate(self.blocks) if placed.block >= block)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A processing array for standard or for depthwise layers. Theirs are named a0, a1, ... and dwa0, dwa1, ..."""

    pair: int
    depthwise: bool
    table: Table

    @property
    def name(self) -> str:
        return f"{'dwa' if self.depthwise else 'a'}{self.pair}"


_LATE = Table((7, 2, 1), (32, 16, 8, 4, 2, 1))
FOUR = Layout(name="4-chunk", tables=(Table((28, 14, 7, 2, 1), (8, 4, 2, 1)), _LATE), sizes=(28, 0))
FOUR_WIDE = Layout(name="4-chunk wide", tables=(Table((28, 14, 7, 2, 1), (16, 8, 4, 2, 1)), _LATE), sizes=(28, 0))
TEN = Layout(
    name="10-chunk",
    tables=(
        Table((56, 28, 14, 7, 1), (8, 4, 2, 1)),
        Table((28, 14, 7, 1), (32, 16, 8, 4, 2, 1)),
        Table((14, 7, 1), (64, 32, 16, 8, 4, 2, 1)),
        Table((14, 7, 1), (112, 56, 28, 14, 7, 1)),
        Table((7, 1), (32, 16, 8, 4, 2, 1)),
    ),
    blocks=(0, 5, 9, 13, 17),
)
EIGHT = Layout(
    name="8-chunk",
    tables=(
        Table((28, 14, 7, 1), (16, 8, 4, 2, 1)),
        Table((14, 7, 1), (96, 48, 24, 12, 8, 4, 3, 2, 1)),
        Table((14, 7, 1), (128, 64, 32, 16, 8, 4, 2, 1)),
        Table((7, 1), (64, 32, 16, 8, 4, 2, 1)),
    ),
    blocks=(0, 4, 8, 12),
)
CIFAR_FOUR = Layout(
    name="CIFAR 4-chunk",
    tables=(Table((16, 8, 4, 2, 1), (8, 4, 2, 1)), Table((4, 2, 1), (32, 16, 8, 4, 2, 1))),
    sizes=(16, 0),
)
CIFAR_TEN = Layout(
    name="CIFAR 10-chunk",
    tables=(
        Table((32, 16, 8, 4, 2, 1), (8, 4, 2, 1)),
        Table((16, 8, 4, 2, 1), (32, 16, 8, 4, 2, 1)),
        Table((8, 4, 2, 1), (64, 32, 16, 8, 4, 2, 1)),
        Table((8, 4, 2, 1), (112, 56, 28, 14, 7, 1)),
        Table((4, 2, 1), (32, 16, 8, 4, 2, 1)),
    ),
    blocks=(0, 5, 9, 13, 17),
)
LAYOUTS = (FOUR, FOUR_WIDE, TEN, EIGHT, CIFAR_FOUR, CIFAR_TEN)


def chunks(layout: Layout) -> tuple[Chunk, ...]:
    """Return every chunk of a layout, whether a network uses it or not."""
    return tuple(Chunk(i, dw, table) for dw in (False, True) for i, table in enumerate(layout.tables))


def allocate(layout: Layout, layers: Iterable[Placed]) -> Mapping[Chunk, Counter[Layer]]:
    """Return the layers of every chunk that has any, each with how often it occurs."""
    found: dict[Chunk, Counter[Layer]] = {}
    for placed in layers:
        pair = layout.pair_of(placed)
        chunk = Chunk(pair, placed.layer.depthwise, layout.tables[pair])
        found.setdefault(chunk, Counter())[placed.layer] += 1
    return found


def unrolls(depthwise: bool) -> tuple[Unroll, ...]:
    """Return the ways to unroll, in the order of the authors' numbers."""
    return (Unroll.K, Unroll.OY) if depthwise else (Unroll.K, Unroll.KC, Unroll.OY)


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """Pairs [P] of tile and unroll <= tile of one loop, and the pair's number by the places of both in the table."""

    tile: IntArray
    unroll: IntArray
    number: IntArray  # [tile, unroll], -1 where the unroll is larger than the tile


def axis(values: tuple[int, ...]) -> Axis:
    """Return the pairs of a table's row, descending as the table is."""
    n = len(values)
    tile, unroll = np.triu_indices(n)
    number = np.full((n, n), -1, dtype=np.int64)
    number[tile, unroll] = np.arange(len(tile))
    array = np.array(values, dtype=np.int64)
    return Axis(array[tile], array[unroll], number)


def axes(chunk: Chunk) -> tuple[Axis, Axis, Axis, Axis]:
    """Return the loops OY, OX, K, C of a chunk."""
    rows, channels = axis(chunk.table.rows), axis(chunk.table.channels)
    return rows, rows, channels, axis((1,)) if chunk.depthwise else channels


@lru_cache(maxsize=32)
def all_tiles(chunk: Chunk) -> tuple[Tiles, ...]:
    """Return every design of a chunk: one Tiles of the same length for each way to unroll."""
    loops = axes(chunk)
    grids = np.meshgrid(*(np.arange(len(loop.tile)) for loop in loops), indexing="ij")
    tile = [loop.tile[grid.ravel()] for loop, grid in zip(loops, grids, strict=True)]
    unroll = [loop.unroll[grid.ravel()] for loop, grid in zip(loops, grids, strict=True)]
    return tuple(
        Tiles(
            unroll=way,
            tile_oy=tile[0], tile_ox=tile[1], tile_k=tile[2], tile_c=tile[3],
            unroll_oy=unroll[0], unroll_ox=unroll[1], unroll_k=unroll[2], unroll_c=unroll[3],
        )
        for way in unrolls(chunk.depthwise)
    )  # fmt: skip


def size(layout: Layout) -> int:
    """Return how many designs a layout has, at one bit width."""
    total = 1
    for chunk in chunks(layout):
        points = len(unrolls(chunk.depthwise))
        for loop in axes(chunk):
            points *= len(loop.tile)
        total *= points
    return total
