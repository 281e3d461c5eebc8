"""Engines of random designs that put two output channels into one DSP."""

from dataclasses import replace

import numpy as np

from codesign.errors import ConfigError
from codesign.ir.design import Design, LineEngine, Multiplier
from codesign.ir.graph import Graph
from codesign.ir.technology import technology_of
from codesign.machine.line import emit_lanes, is_streaming
from codesign.machine.packing import check_packing, fits_port, is_packed
from codesign.ops.node import Operation

Rng = np.random.Generator


def packed_somewhere(graph: Graph, design: Design, rng: Rng) -> Design:
    """Return the design with half of the engines packed that can be; of odd PE, where the next even one does."""
    engines = list[LineEngine]()
    for node, engine in zip(graph.operations, design.engines, strict=True):
        wanted = replace(engine, multiplier=Multiplier.PACKED)
        if engine.pe % 2 and engine.pe < node.oshape.c and node.aligned_lanes is None:
            pe = engine.pe + 1
            wanted = replace(wanted, pe=pe, emit=emit_lanes(node, pe, engine.simd, engine.taps))
        engines.append(wanted if rng.random() < 0.5 and _packs(node, wanted, graph) else engine)
    return replace(design, engines=tuple(engines))


def _packs(node: Operation, engine: LineEngine, graph: Graph) -> bool:
    """Return whether the engine can be packed with these weights."""
    if engine.taps > 1 and is_streaming(node, engine):
        return False  # a wider engine may read its words in order, and so has no rows to take at once
    try:
        check_packing(node, engine, graph.params.get(f"{node.name}.weight"))
    except ConfigError:
        return False
    return bool(is_packed(node, engine)) and bool(fits_port(node, engine, technology_of("xc7")))
