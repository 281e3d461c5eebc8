"""The design space: the legal engines of every node of a graph on a board, each with its cycles and counts.

A space is a row of sites, one per node and one per AXI-Stream, and the edges between them. A design takes one option
per site. Its interval is the largest of the options'. Its counts are the sum of the options' and of one width converter
per edge. A new kind of engine joins by adding its rows to `node_options`.

Long because options, sites and estimates of buffers are one model.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from codesign.ir.cost import Resources
from codesign.ir.design import Design, Fifo, LineEngine, Weights
from codesign.ir.graph import Graph
from codesign.ir.target import Target
from codesign.ir.technology import Technology
from codesign.machine.columns import EngineColumns
from codesign.machine.legal import MAX_WEIGHT_WORD_BITS, MAX_WORD_BITS
from codesign.machine.line import node_interval, reduction_steps, results_apart, steps_at, tap_choices
from codesign.machine.packing import can_pack, fits_port, is_packed, is_symmetric
from codesign.model import resource
from codesign.model.memory import ceil_log2
from codesign.ops.arrays import BoolArray, IntArray, ceil_div
from codesign.ops.conv import Conv
from codesign.ops.node import Operation
from codesign.ops.pool import Pool
from codesign.ops.shapes import Shape

ALL_LANES = 12  # up to this extent every number of lanes is in the space


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Options:
    """N options of one site, as columns.

    `lanes_in`, `lanes_out`: elements of a word that enters or leaves. `interval`: cycles per image in steady state.
    `steps`: cycles from when it works all the time to its first result. `counts` [N, 5] in the order of resource.NAMES.
    `engines` is None for an AXI-Stream.
    """

    lanes_in: IntArray
    lanes_out: IntArray
    interval: IntArray
    steps: IntArray
    counts: IntArray
    engines: EngineColumns | None

    def __len__(self) -> int:
        return len(self.interval)

    def take(self, rows: IntArray) -> "Options":
        """Return the options of those rows only."""
        return Options(
            lanes_in=self.lanes_in[rows],
            lanes_out=self.lanes_out[rows],
            interval=self.interval[rows],
            steps=self.steps[rows],
            counts=self.counts[rows],
            engines=None if self.engines is None else self.engines.take(rows),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """A node, or an AXI-Stream at either end, and its options.

    `need`: the share of its input map, in the order of rows, that must be there before it works all the time. `last`:
    the share of its work that waits for the last input word.
    """

    name: str
    options: Options
    need: float = 0.0
    last: float = 0.0


@dataclass(frozen=True, slots=True)
class Edge:
    """A stream of elements of `bits` from one site to another (indices into Space.sites), in packets of so many."""

    producer: int
    consumer: int
    packet_in: int
    packet_out: int
    bits: int


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """All designs of a graph on a target: the first site is the input stream, the last ones are the output streams."""

    graph: Graph
    sites: tuple[Site, ...]
    edges: tuple[Edge, ...]
    fifo_pixels: dict[tuple[str, int], int]
    base: Resources
    technology: Technology
    weights: Weights = Weights.CONSTANT

    @property
    def points(self) -> int:
        """How many options there are, over all sites."""
        return sum(len(site.options) for site in self.sites)

    def design(self, rows: tuple[int, ...]) -> Design:
        """Return the design that takes option rows[i] of site i."""
        engines: list[LineEngine] = []
        fifos: list[Fifo] = []
        ends = 1 + len(self.graph.operations)
        for site, row in zip(self.sites[1:ends], rows[1:ends], strict=True):
            assert site.options.engines is not None
            engines.append(site.options.engines.engine(row, site.name))
        for node, engine in zip(self.graph.operations, engines, strict=True):
            for i in range(len(node.inputs) if node.joins else 0):
                depth = _fifo_depth(node, i, np.array(engine.pe), self.fifo_pixels[node.name, i])
                fifos.append(Fifo(node.name, i, int(depth)))
        return Design(
            engines=tuple(engines),
            fifos=tuple(fifos),
            input_lanes=int(self.sites[0].options.lanes_out[rows[0]]),
            output_lanes=tuple(
                int(site.options.lanes_in[row]) for site, row in zip(self.sites[ends:], rows[ends:], strict=True)
            ),
            weights=self.weights,
        )


def design_space(
    graph: Graph, target: Target, *, least_buffers: bool = False, weights: Weights = Weights.CONSTANT
) -> Space:
    """Return the space of a graph on a target.

    Buffer depths are estimates until `size_buffers` replaces them. With `least_buffers` they are the least that there
    are, so no design with sized buffers takes less than the space says.
    """
    pixels = fifo_pixels(graph)
    if least_buffers:
        pixels = dict.fromkeys(pixels, 0)
    first = graph.input
    sites = [Site("", stream_options(first.shape, first.otype.bits, target))]
    index = {first.name: 0}
    edges: list[Edge] = []
    for node in graph.operations:
        options = _cached_options(node.nameless(), target.fabric, least_buffers, _can_pack(node, graph), weights)
        if node.joins:
            options = _with_fifos(node, options, pixels, target.fabric)
        for source, ishape, itype in zip(node.inputs, node.ishapes, node.itypes, strict=True):
            packet = graph.input.shape.elements if source == first.name else ishape.c
            edges.append(Edge(index[source], len(sites), packet, ishape.c, itype.bits))
        index[node.name] = len(sites)
        sites.append(Site(node.name, options, _wait_share(node), _last_share(node)))
    for last in graph.output_nodes:
        edges.append(Edge(index[last.name], len(sites), last.oshape.c, last.oshape.elements, last.otype.bits))
        sites.append(Site("", stream_options(last.oshape, last.otype.bits, target)))
    base = resource.base_resources(graph, target.fabric, weights)
    return Space(graph, tuple(sites), tuple(edges), pixels, base, target.fabric, weights)


def lane_choices(extent: int) -> IntArray:
    """Return numbers of lanes for `extent` channels, ascending.

    These are all numbers up to ALL_LANES channels. Above, there are two for every number of folds. One is the smallest
    number of lanes: more lanes would only idle. The other is the roundest, the multiple of the highest power of two,
    which its neighbours convert cheaply.
    """
    if extent <= ALL_LANES:
        return np.arange(1, extent + 1)
    lanes = np.arange(1, extent + 1)
    folds = ceil_div(extent, lanes)
    chosen = {int(lanes[folds == fold][0]) for fold in np.unique(folds)}
    chosen |= {max((int(n) for n in lanes[folds == fold]), key=_roundness) for fold in np.unique(folds)}
    return np.array(sorted(chosen))


def divisors(extent: int) -> IntArray:
    """Return the numbers of lanes that divide `extent` channels, ascending."""
    lanes = np.arange(1, extent + 1)
    return lanes[extent % lanes == 0]


def node_options(
    node: Operation,
    technology: Technology,
    least_buffers: bool = False,
    *,
    packing: bool = True,
    weights: Weights = Weights.CONSTANT,
) -> Options:
    """Return every engine of the space that can run the node, less those that another beats at the same lanes.

    `packing`: the node's weights allow that output channels share DSPs, as all do that are symmetric.
    """
    pe_choices = lane_choices(node.oshape.c)
    simd_choices = lane_choices(node.ishape.c) if node.mixes else np.array([1])
    if node.aligned_lanes is not None:
        pe_choices, simd_choices = (divisors(lanes) for lanes in node.aligned_lanes)
    grids = np.meshgrid(pe_choices, simd_choices, np.array(tap_choices(node)), indexing="ij")
    pe, simd, taps = (grid.ravel() for grid in grids)
    lanes_in = simd if node.mixes else pe
    emit = _emit(pe_choices, pe, np.asarray(results_apart(node, pe, steps_at(node, simd, taps))))
    kept = _buildable(node, pe, simd * taps, lanes_in, emit) & ((taps == 1) | ~resource.streaming_columns(node, pe))
    pe, simd, taps, lanes_in, emit = (column[kept] for column in (pe, simd, taps, lanes_in, emit))
    words = _buffer_words(node, pe, taps, lanes_in, least_buffers)
    kinds = _kinds(node, packing)
    pairs = np.repeat(np.arange(len(pe)), len(kinds))
    dsp, packed, weight_bram, buffer_bram = np.tile(np.array(kinds, dtype=np.bool_), (len(pe), 1)).T
    engines = EngineColumns(
        pe=pe[pairs],
        simd=simd[pairs],
        emit=emit[pairs],
        dsp=dsp,
        packed=packed,
        weight_bram=weight_bram,
        buffer_bram=buffer_bram,
        buffer_words=words[pairs],
        taps=taps[pairs],
    )
    counts = resource.node_columns(node, engines, technology, weights)
    options = Options(
        lanes_in=lanes_in[pairs],
        lanes_out=engines.emit,
        interval=np.asarray(node_interval(node, engines)),
        steps=np.asarray(reduction_steps(node, engines)),
        counts=counts,
        engines=engines,
    )
    return options.take(_best_kinds(counts, len(kinds), ~packed | _packs(node, engines, technology)))


def _buffer_words(node: Operation, pe: IntArray, taps: IntArray, lanes_in: IntArray, least: bool) -> IntArray:
    """Return the words of the engines' buffers: an estimate, or the `least` that there are."""
    if node.joins:
        return np.full_like(pe, 2)
    streams = resource.streaming_columns(node, pe)
    if not least:
        return np.where(streams, 2, resource.buffer_words_at(node, lanes_in, taps))
    rows = resource.least_rows(node) if taps.max() > 1 else 1
    return np.where(taps > 1, rows * node.ishape.x * ceil_div(node.ishape.c, lanes_in), 2)


def _buildable(node: Operation, pe: IntArray, operands: IntArray, lanes_in: IntArray, emit: IntArray) -> BoolArray:
    """Tell which engines have words that HLS holds; on streams half of that, so that a converter holds any two."""
    streams = np.maximum(lanes_in * max(itype.bits for itype in node.itypes), emit * node.otype.bits)
    kept = (2 * streams <= MAX_WORD_BITS) & (pe * node.sum_bits <= MAX_WORD_BITS)
    if isinstance(node, Conv):
        kept &= pe * operands * node.wtype.bits <= MAX_WEIGHT_WORD_BITS
    return np.asarray(kept)


def stream_options(shape: Shape, bits: int, target: Target) -> Options:
    """Return AXI-Streams of 1, 2, 4, ... elements a word, up to the width of the target's port; maps lie densely."""
    element_bits = 8 if bits <= 8 else 16
    lanes = np.array([1 << i for i in range((target.port_bits // element_bits).bit_length())])
    return Options(
        lanes_in=lanes,
        lanes_out=lanes,
        interval=np.asarray(ceil_div(shape.elements, lanes)),
        steps=np.ones_like(lanes),
        counts=resource.port_columns(lanes, shape.elements, target.fabric),
        engines=None,
    )


def need_share(node: Operation) -> float:
    """Return the share of the input map, row by row, that must have come in before the first result."""
    window = node.window
    rows = min(max(window.span_y - window.pad_top, 1), node.ishape.y)
    columns = min(max(window.span_x - window.pad_left, 1), node.ishape.x)
    return ((rows - 1) * node.ishape.x + columns) / (node.ishape.y * node.ishape.x)


def fifo_pixels(graph: Graph) -> dict[tuple[str, int], int]:
    """Pixels that must wait in front of each input (node, index) where branches meet for the slower branch to fill.

    It counts what the windows of the longer branch need before their first result. Where the branches differ, it adds
    one pixel and one row of slack. It is an estimate for the search: the schedule sizes the FIFOs of the final design.
    """
    lead: dict[str, float] = {graph.input.name: 0.0}
    wait: dict[tuple[str, int], int] = {}
    for node in graph.operations:
        latest = max(lead[source] for source in node.inputs)
        lead[node.name] = latest + need_share(node)
        if node.joins:
            for i, source in enumerate(node.inputs):
                pixels = round((latest - lead[source]) * node.ishape.y * node.ishape.x)
                wait[node.name, i] = pixels + node.ishape.x if pixels else 0
    return wait


@lru_cache(maxsize=4096)
def _cached_options(
    node: Operation, technology: Technology, least_buffers: bool, packing: bool, weights: Weights
) -> Options:
    return node_options(node, technology, least_buffers, packing=packing, weights=weights)


def _with_fifos(
    node: Operation, options: Options, pixels: dict[tuple[str, int], int], technology: Technology
) -> Options:
    """The options of a node where branches meet, with the FIFOs in front of it counted in."""
    counts = options.counts
    for i, itype in enumerate(node.itypes):
        depth = _fifo_depth(node, i, options.lanes_in, pixels[node.name, i])
        counts = counts + resource.fifo_columns(depth, options.lanes_in * itype.bits, technology)
    return replace(options, counts=counts)


def _fifo_depth(node: Operation, index: int, pe: IntArray, pixels: int) -> IntArray:
    words = np.maximum(pixels * ceil_div(node.ishapes[index].c, pe), 2)
    return np.asarray(1 << ceil_log2(words))


def _wait_share(node: Operation) -> float:
    """Return the share of the input map that must be there before the node works all the time on its first result.

    A pooling whose pixels come in order works from the first word on.
    """
    return 0.0 if isinstance(node, Pool) and node.in_order else need_share(node)


def _last_share(node: Operation) -> float:
    """Return the share of the work that waits for the last input word: the last row of windows, or all of one row.

    Where branches meet, and of a pooling whose pixels come in order, it is the last pixel.
    """
    if isinstance(node, Pool) and node.in_order:
        return 1 / (node.ishape.y * node.ishape.x)
    return 1 / (node.oshape.y * node.oshape.x if node.joins else node.oshape.y)


def _emit(pe_choices: IntArray, pe: IntArray, apart: IntArray) -> IntArray:
    """Return line.emit_lanes over columns: the smallest divisor of PE that is at least PE / cycles between results."""
    emit = np.empty_like(pe)
    for lanes in pe_choices:
        widths, rows = divisors(int(lanes)), pe == lanes
        emit[rows] = widths[np.searchsorted(widths, ceil_div(lanes, apart[rows]))]
    return emit


def _kinds(node: Operation, packing: bool) -> list[tuple[bool, bool, bool, bool]]:
    """Return the (DSP multipliers, packed ones, weights in BRAM, buffer in BRAM) that differ for this node."""
    multipliers = [(False, False), (True, False)] if resource.can_use_dsp(node) else [(False, False)]
    multipliers += [(False, True)] if packing and can_pack(node) else []
    weights = (False, True) if node.parameters else (False,)
    keeps = isinstance(node, Pool) or not (node.joins or node.passes)  # words, or running sums
    buffers = (False, True) if keeps else (False,)
    return [(d, p, w, b) for d, p in multipliers for w in weights for b in buffers]


def _packs(node: Operation, engines: EngineColumns, technology: Technology) -> BoolArray:
    """Tell which engines can put two output channels into a DSP of the technology."""
    if not isinstance(node, Conv):
        return np.zeros(len(engines.pe), np.bool_)
    return np.asarray((engines.pe % 2 == 0) & is_packed(node, engines) & fits_port(node, engines, technology))


def _can_pack(node: Operation, graph: Graph) -> bool:
    """Return whether the graph's weights allow that output channels share DSPs, at any lanes."""
    return isinstance(node, Conv) and is_symmetric(node, graph.params[f"{node.name}.weight"])


def _best_kinds(counts: IntArray, kinds: int, legal: BoolArray) -> IntArray:
    """Return legal rows [N] of counts that no other kind of the same lanes beats in every resource; of equals the
    first. Of each lanes the first kind is legal.
    """
    table = np.where(legal[:, None], counts, np.iinfo(np.int64).max).reshape(-1, kinds, counts.shape[1])
    no_worse = np.ones((kinds, kinds, len(table)), np.bool_)
    for column in np.ascontiguousarray(table.transpose(2, 1, 0)):
        no_worse &= column[:, None] <= column
    first = np.triu(np.ones((kinds, kinds), np.bool_), 1)[:, :, None]
    beaten = (no_worse & (first | ~no_worse.swapaxes(0, 1))).any(axis=0)
    return np.flatnonzero(~beaten.T.ravel())


def _roundness(lanes: int) -> int:
    """Return the highest power of two that divides."""
    return lanes & -lanes
