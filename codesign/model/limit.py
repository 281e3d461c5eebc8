"""A lower bound of the interval of any line-engine design on a part: every multiplier busy, and DRAM at its best."""

import math

from codesign.ir.board import Board
from codesign.ir.design import LineEngine
from codesign.ir.graph import Graph
from codesign.machine.packing import can_pack, fits_port
from codesign.model.resource import multiplier_luts
from codesign.ops.arrays import ceil_div
from codesign.ops.conv import Conv


def limit_interval(graph: Graph, board: Board) -> int | None:
    """Return the cycles between images if every DSP, and every LUT that pays, multiplies in every cycle.

    One multiplication takes a DSP for one cycle, or half of it where two can share it. Or it takes the LUTs of a
    multiplier of its width. Nothing else is counted, neither adders nor memories, and the whole part is there. The
    result is the least T such that a split of the multiplications keeps both busy for at most T cycles. Multiplications
    that need fewest LUTs for what they take of a DSP leave the DSPs first. Image and result cross DRAM at the bandwidth
    that the board reaches. None where nothing can multiply: there is no design.
    """
    nodes = [n for n in graph.nodes if isinstance(n, Conv)]
    macs = [(multiplier_luts(n), _half_dsps(n, board), n.macs) for n in nodes]
    in_dsp, lut_cycles = sum(half * count for _, half, count in macs), 0
    halves, luts = 2 * board.resources.dsp, board.resources.lut
    if macs and not (halves or luts):
        return None
    for price, half, count in sorted(macs, key=lambda entry: entry[0] / entry[1]):
        # Moving m products: (in_dsp - half * m) / halves falls, (lut_cycles + m * price) / luts rises; they meet here.
        meet = (in_dsp * luts - lut_cycles * halves) // (half * luts + price * halves)
        moved = max(0, min(count, meet))
        in_dsp, lut_cycles = in_dsp - half * moved, lut_cycles + moved * price
    return max(1, _cycles(in_dsp, halves), _cycles(lut_cycles, luts), dram_interval(graph, board))


def _half_dsps(node: Conv, board: Board) -> int:
    """Return the halves of a DSP that one multiplication takes at least."""
    least = LineEngine(nodes=(node.name,), pe=2, simd=1, emit=1)
    return 1 if can_pack(node) and fits_port(node, least, board.fabric) else 2


def _cycles(work: int, a_cycle: int) -> int:
    """Return the cycles for the work; 0 where there is none, whatever can be done a cycle."""
    return ceil_div(work, a_cycle) if work else 0


def dram_interval(graph: Graph, board: Board) -> int:
    """Return the cycles in which image and result cross DRAM, at the bandwidth that the board reaches."""
    bytes_per_cycle = board.dram_peak_mb_s * board.dram_efficiency / board.clock_mhz
    return math.ceil(stream_bytes(graph) / bytes_per_cycle)


def stream_bytes(graph: Graph) -> int:
    """Return the bytes of one image and its results, as they cross the streams."""
    ends = (graph.input, *graph.output_nodes)
    return sum(node.oshape.elements * (1 if node.otype.bits <= 8 else 2) for node in ends)
