"""DNA's FPGA cost model: cycles, DSPs and BRAMs of layers on a chunk, as its public code computes them.

It is stated again in our letters from two public repositories that hold the same functions. These are
luke-avionics/NN-HW-predictor (predictor_utilities.py) and GATECH-EIC/Auto-NBA
(analytical_model/analytical_prediction.py). `Fixes` switches on, one by one, what that model leaves out. With none of
them the results equal the authors'.

Theirs to ours: N, M, F, K (a layer's) are c, k, o, f. Tr Tc Tm Tn are unroll_oy _ox _k _c. Trb Tcb Tmb Tnb are tile_oy
_ox _k _c.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

BANK_BITS = 1125 * 16  # what the model takes one BRAM18 for
WORD_BITS = 16
PORT_WORDS = 4  # of 16 bits, over a 64-bit port
CLOCK_HZ = 200e6
BUDGET = {"dsp": 900, "bram18": 700}


class Unroll(Enum):
    """The loops that are unrolled. Theirs are numbers: 0, 1, 2, and for depthwise layers 0 and 1 (K and OY)."""

    K = "k"
    KC = "kc"
    OY = "oy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A square convolution, k channels of o x o from c channels with f x f filters; depthwise has c = 1.

    The model itself ignores `stride`.
    """

    c: int
    k: int
    o: int
    f: int = 1
    stride: int = 1
    depthwise: bool = False

    def __post_init__(self) -> None:
        if self.depthwise and self.c != 1:
            raise ValueError(f"layer: a depthwise layer has c = 1, got {self.c}")

    @property
    def macs(self) -> int:
        return self.c * self.k * self.o**2 * self.f**2

    @property
    def weights(self) -> int:
        return self.c * self.k * self.f**2


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Tiles:
    """N ways to cut a layer's loops, as columns [N]: extents in the buffers (tile), in the array (unroll <= tile)."""

    unroll: Unroll
    tile_oy: IntArray
    tile_ox: IntArray
    tile_k: IntArray
    tile_c: IntArray
    unroll_oy: IntArray
    unroll_ox: IntArray
    unroll_k: IntArray
    unroll_c: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixes:
    """What the model leaves out, each off by default.

    `whole_tiles`: a tile that is partly outside its layer takes as long as any, as in loops of constant bounds.
    `true_halo`: an input tile is what an output tile needs, with the layer's stride. `weight_bram`: weight buffers
    take BRAM too. `startup_cycles`: cycles before the first word of every transfer of a tile.
    """

    whole_tiles: bool = False
    true_halo: bool = False
    weight_bram: bool = False
    startup_cycles: int = 0


NO_FIXES = Fixes()


def lanes(tiles: Tiles) -> IntArray:
    """Return the products per cycle."""
    match tiles.unroll:
        case Unroll.K:
            return tiles.unroll_k
        case Unroll.KC:
            return tiles.unroll_k * tiles.unroll_c
        case Unroll.OY:
            return tiles.unroll_oy


def dsp_count(tiles: Tiles, bits: int) -> IntArray:
    """Return the DSPs of the array by NN-HW-predictor's rule: one per product, two above 16 bits, half up to 8."""
    if bits > 16:
        return 2 * lanes(tiles)
    return lanes(tiles) if bits > 8 else np.maximum(1, lanes(tiles) // 2)


def layer_cycles(layer: Layer, tiles: Tiles, bits: int, fixes: Fixes = NO_FIXES) -> FloatArray:
    """Return the cycles [N] of a layer, tile after tile. Inputs load while the array computes; weights and results do
    not.
    """
    scale = bits / WORD_BITS
    words, start = _tile_words(layer, tiles, fixes), fixes.startup_cycles
    read = np.ceil(words["input"] / _port(_input_lanes(layer, tiles, fixes))) * scale + start
    load = _weight_cycles(layer, tiles) * scale + start
    write = _output_cycles(tiles, fixes) * scale + start
    busy = np.maximum(_compute_cycles(layer, tiles, fixes), read) + load
    oy, ox, k, c = _tile_counts(layer, tiles, fixes)
    return np.asarray(oy * ox * k * (c * busy + write))


def dram_bytes(layer: Layer, tiles: Tiles, bits: int, fixes: Fixes = NO_FIXES) -> FloatArray:
    """Return the bytes [N] that one image's run of the layer moves to and from DRAM."""
    words = _tile_words(layer, tiles, fixes)
    oy, ox, k, c = _tile_counts(layer, tiles, fixes)
    return np.asarray(oy * ox * k * (c * (words["input"] + words["weight"]) + words["output"]) * bits / 8)


def bram_count(layer: Layer, tiles: Tiles, bits: int, fixes: Fixes = NO_FIXES) -> IntArray:
    """Return the BRAMs [N] of a chunk's buffers: inputs twice, results once, weights only where rows are unrolled."""
    iy, ix = _input_extents(layer, tiles, fixes)
    if tiles.unroll is Unroll.OY:
        read_c = np.ones_like(tiles.tile_c) if layer.depthwise else tiles.tile_c
        weights = layer.f * _banks(layer.f * tiles.tile_k * tiles.tile_c, bits)
        results = tiles.unroll_oy * _banks(tiles.tile_ox * tiles.tile_k, bits)
        return 2 * iy * _banks(ix * read_c, bits) + results + weights
    into, every_in = (tiles.unroll_k, tiles.tile_k) if layer.depthwise else (tiles.unroll_c, tiles.tile_c)
    k_each = tiles.tile_k / tiles.unroll_k
    total = 2 * into * _banks(iy * ix * (every_in / into), bits)
    total += tiles.unroll_k * _banks(tiles.tile_oy * tiles.tile_ox * k_each, bits)
    if fixes.weight_bram:
        arrays = tiles.unroll_k * (tiles.unroll_c if tiles.unroll is Unroll.KC else 1)
        total += arrays * _banks(layer.f**2 * tiles.tile_c * tiles.tile_k / arrays, bits)
    return total


def _compute_cycles(layer: Layer, tiles: Tiles, fixes: Fixes) -> FloatArray:
    """Return the cycles [N] of the array for one tile."""
    products = tiles.tile_oy * tiles.tile_ox * tiles.tile_k * tiles.tile_c * layer.f**2
    if not fixes.whole_tiles:
        return np.asarray(products / lanes(tiles))
    match tiles.unroll:
        case Unroll.K:
            pairs = [(tiles.tile_k, tiles.unroll_k)]
        case Unroll.KC:
            pairs = [(tiles.tile_k, tiles.unroll_k), (tiles.tile_c, tiles.unroll_c)]
        case Unroll.OY:
            pairs = [(tiles.tile_oy, tiles.unroll_oy)]
    cycles = products.astype(np.float64)
    for tile, unroll in pairs:
        cycles = cycles / tile * np.ceil(tile / unroll)
    return np.round(cycles)


def _weight_cycles(layer: Layer, tiles: Tiles) -> FloatArray:
    """Return the cycles [N] at 16 bits to load one tile of weights. Where rows are unrolled, it is one filter row a
    cycle.
    """
    weights = tiles.tile_k * tiles.tile_c * layer.f
    if tiles.unroll is Unroll.OY:
        return weights.astype(np.float64)
    return np.ceil(weights * layer.f / _port(tiles.unroll_k))


def _output_cycles(tiles: Tiles, fixes: Fixes) -> FloatArray:
    """Return the cycles [N] at 16 bits to write one tile of results, and to clear their buffer."""
    unroll, tile = (tiles.unroll_oy, tiles.tile_oy) if tiles.unroll is Unroll.OY else (tiles.unroll_k, tiles.tile_k)
    results = tiles.tile_k * tiles.tile_oy * tiles.tile_ox
    clear = results / tile * np.ceil(tile / unroll) if fixes.whole_tiles else results / unroll
    return np.asarray(np.ceil(results / _port(unroll)) + clear)


def _tile_words(layer: Layer, tiles: Tiles, fixes: Fixes) -> Mapping[str, IntArray]:
    """Return the elements [N] of one tile of each operand."""
    iy, ix = _input_extents(layer, tiles, fixes)
    return {
        "input": (tiles.tile_k if layer.depthwise else tiles.tile_c) * iy * ix,
        "weight": tiles.tile_k * tiles.tile_c * layer.f**2,
        "output": tiles.tile_k * tiles.tile_oy * tiles.tile_ox,
    }


def _tile_counts(layer: Layer, tiles: Tiles, fixes: Fixes) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return the tiles [N] along OY, OX, K and C: fractions, unless tiles are whole."""
    extents = ((layer.o, tiles.tile_oy), (layer.o, tiles.tile_ox), (layer.k, tiles.tile_k), (layer.c, tiles.tile_c))
    counts = [extent / tile for extent, tile in extents]
    oy, ox, k, c = (np.ceil(count) for count in counts) if fixes.whole_tiles else counts
    return oy, ox, k, c


def _input_extents(layer: Layer, tiles: Tiles, fixes: Fixes) -> tuple[IntArray, IntArray]:
    """Return rows and columns [N] of an input tile. The model adds the filter's border to the unrolled extent only."""
    if fixes.true_halo:
        iy, ix = ((tile - 1) * layer.stride + layer.f for tile in (tiles.tile_oy, tiles.tile_ox))
        return iy, ix
    border = layer.f - 1
    return np.maximum(tiles.unroll_oy + border, tiles.tile_oy), np.maximum(tiles.unroll_ox + border, tiles.tile_ox)


def _input_lanes(layer: Layer, tiles: Tiles, fixes: Fixes) -> IntArray:
    """Return how many words [N] the input buffer could take in a cycle."""
    if layer.depthwise:
        return tiles.unroll_k
    return _input_extents(layer, tiles, fixes)[0] if tiles.unroll is Unroll.OY else tiles.unroll_c


def _port(lanes_wanted: IntArray) -> IntArray:
    """Return the words moved in a cycle: what the buffer can take, at least two and at most the port's."""
    return np.maximum(np.minimum(PORT_WORDS, lanes_wanted), 2)


def _banks(words: IntArray | FloatArray, bits: int) -> IntArray:
    """Return the BRAMs [N] of a buffer bank of so many words."""
    return np.ceil(words * bits / BANK_BITS).astype(np.int64)
