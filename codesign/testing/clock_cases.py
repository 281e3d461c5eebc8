"""Machines whose instances are synthesized one by one: what estimates of clocks are fitted to, and checked against."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from codesign.emit.rtl import render_rtl
from codesign.ir.boards import load_board
from codesign.ir.builder import GraphBuilder
from codesign.ir.design import Design, LineEngine, Memory, Multiplier
from codesign.ir.graph import Graph
from codesign.ir.technology import technology_of
from codesign.machine.elaborate import Machine, elaborate
from codesign.machine.line import emit_lanes
from codesign.machine.names import rtl_instance
from codesign.model.clock import INNER, Block, blocks, features, is_wire, kind_of_block, ways_of
from codesign.model.schedule import size_buffers
from codesign.ops.qtype import QType
from codesign.ops.shapes import Window
from codesign.sim.netlist import Paths, Side
from codesign.sim.timing import measure_instances
from codesign.testing.random_machines import random_design, random_graph
from codesign.testing.resource_cases import BOARDS, blank_images

_HELD = 0.1
_LEAST_NS = 0.005  # what adds less is left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """A machine of one convolution, of a map [Y, Y, C] to K channels; `factors`: `none`, `powers` or `general`."""

    y: int = 8
    c: int = 8
    k: int = 8
    window: int = 3
    bits: int = 8
    pe: int = 1
    simd: int = 1
    dsp: bool = True
    block_rom: bool = False
    factors: str = "powers"
    taps: int = 1

    def machine(self) -> tuple[Graph, Design]:
        """Return graph and design; weights are random."""
        rng = np.random.default_rng(self.pe + 100 * self.simd)
        otype, low = QType(self.bits, signed=False), -(1 << (self.bits - 1))
        build = GraphBuilder("one", (self.y, self.y, self.c), otype)
        weight = rng.integers(low, -low, (self.k, self.window, self.window, self.c))
        most = {"none": 1, "powers": 8, "general": 4095}[self.factors]
        factor = rng.integers(1, most + 1, self.k) if self.factors == "general" else 1 << rng.integers(0, 4, self.k)
        pad = self.window // 2
        conv = build.conv(
            build.input,
            weight,
            rng.integers(low, -low, self.k),
            otype=otype,
            window=Window(fy=self.window, fx=self.window, pad_top=pad, pad_left=pad, pad_bottom=pad, pad_right=pad),
            multiplier=1 if self.factors == "none" else factor,
            shift=2 * self.bits,
            weight_bits=self.bits,
        )
        engine = LineEngine(
            nodes=(conv.name,),
            pe=self.pe,
            simd=self.simd,
            emit=emit_lanes(conv, self.pe, self.simd),
            multiplier=Multiplier.DSP if self.dsp else Multiplier.LUT,
            weight_memory=Memory.BRAM if self.block_rom else Memory.LUT,
            taps=self.taps,
        )
        graph = build.graph()
        return graph, size_buffers(graph, Design(engines=(engine,)))


@dataclass(frozen=True, slots=True)
class Drawn:
    """A random machine of the tests, of every operator."""

    seed: int

    def machine(self) -> tuple[Graph, Design]:
        """Return graph and design."""
        rng = np.random.default_rng(self.seed)
        graph = random_graph(rng, dense=True)
        return graph, size_buffers(graph, random_design(graph, rng, packing=False))


@dataclass(frozen=True, slots=True)
class Several:
    """A random machine of several outputs."""

    seed: int

    def machine(self) -> tuple[Graph, Design]:
        """Return graph and design."""
        rng = np.random.default_rng(self.seed)
        graph = random_graph(rng, dense=True, several_outputs=True)
        return graph, size_buffers(graph, random_design(graph, rng))


Sample = Convolution | Drawn | Several

FITTED: tuple[Sample, ...] = (
    Convolution(),
    Convolution(pe=2, simd=2, factors="none"),
    Convolution(pe=4, simd=4),
    Convolution(pe=4, simd=4, block_rom=True, y=16),
    Convolution(pe=2, simd=4, dsp=False),
    Convolution(pe=1, simd=1, bits=12, dsp=False, y=6),
    Convolution(pe=2, simd=2, factors="general"),
    Convolution(pe=8, simd=1, window=1, c=32),
    Convolution(pe=2, simd=1, taps=3),
    *(Drawn(seed) for seed in (5, 17, 23, 31, 40, 54, 61, 62, 77, 95, 104, 122, 131, 200)),
    Several(24),
)
CHECKED_FAMILY = "xc7"
CHECKED: tuple[Sample, ...] = (
    Convolution(pe=2, simd=1),
    Convolution(pe=4, simd=2, y=16),
    Convolution(pe=2, simd=4, bits=6, dsp=False),
    Convolution(pe=1, simd=2, factors="general", y=12),
    *(Drawn(seed) for seed in (9, 71, 89, 147)),
)


def samples_of(family: str) -> tuple[Sample, ...]:
    """Return what is synthesized for a family: some machines for one only, because paths differ by delays alone."""
    return (*FITTED, *CHECKED) if family == CHECKED_FAMILY else FITTED


@dataclass(frozen=True, slots=True)
class Measured:
    """The ways of one instance, as synthesis found them, in nanoseconds in the part whose ratio is 1."""

    family: str
    sample: str
    instance: str
    ways: Mapping[str, float]

    @property
    def inner_ns(self) -> float:
        """The slowest path between registers."""
        return max((ns for way, ns in self.ways.items() if way.startswith(INNER)), default=0.0)


def blocks_of(machine: Machine) -> dict[str, Block]:
    """Return what is more than wires in a machine, by name."""
    return {name: block for name, block in blocks(machine).items() if not is_wire(block)}


def measure_sample(sample: Sample, family: str, work: Path) -> list[Measured]:
    """Return every instance of a sample, as synthesized in the folder `work`. Raises ToolError."""
    graph, design = sample.machine()
    project = render_rtl(graph, design, load_board(BOARDS[family]), *blank_images(graph))
    timing = technology_of(family).timing
    assert timing is not None
    found = measure_instances(project, family, timing.delays, work)
    names = blocks_of(elaborate(graph, design))
    return [Measured(family, repr(sample), name, ways_of_paths(found[rtl_instance(name)])) for name in names]


def ways_of_paths(paths: Paths) -> dict[str, float]:
    """Return the ways by the names that model/clock.py gives them."""
    found = {f"{INNER}.{part}": round(ns, 2) for part, ns in sorted(paths.parts.items())}
    for (begin, end), path in paths.ways.items():
        if path.names and not begin is end is Side.REGISTER:
            found[f"{begin.value}_{end.value}"] = round(path.ns, 2)
    return found


def fit(
    rows: Sequence[Measured], known_blocks: Mapping[tuple[str, str], Block]
) -> dict[str, dict[str, dict[str, float]]]:
    """Return Timing.paths from what was measured; `known_blocks` by sample and instance.

    No feature makes a path shorter.
    """
    kinds: dict[str, list[Measured]] = {}
    for row in rows:
        kinds.setdefault(kind_of_block(known_blocks[row.sample, row.instance]), []).append(row)
    paths: dict[str, dict[str, dict[str, float]]] = {}
    for kind, found in sorted(kinds.items()):
        known = [features(known_blocks[row.sample, row.instance]) for row in found]
        names = sorted({name for entry in known for name in entry})
        table = np.array([[entry.get(name, 0.0) for name in names] for entry in known])
        # What few samples tell apart is held down, so that the constant explains what it can.
        held = _HELD * np.diag(
            [0.0 if name == "one" else float(col.max()) for name, col in zip(names, table.T, strict=True)]
        )
        ways = sorted({way for row in found for way in row.ways})
        paths[kind] = {}
        for way in ways:
            terms, _ = nnls(
                np.vstack((table, held)), np.array([*(row.ways.get(way, 0.0) for row in found), *held[0] * 0])
            )
            paths[kind][way] = {n: round(float(t), 3) for n, t in zip(names, terms, strict=True) if t > _LEAST_NS}
    return paths


def read_measured(path: Path) -> list[Measured]:
    """Return what a file keeps of earlier measurements."""
    with path.open(newline="") as file:
        return [
            Measured(row["family"], row["sample"], row["instance"], _ways(row["ways"])) for row in csv.DictReader(file)
        ]


def write_measured(rows: Sequence[Measured], path: Path) -> None:
    """Write measurements: a line for each instance."""
    with path.open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["family", "sample", "instance", "ways"])
        for row in rows:
            ways = " ".join(f"{way}={ns:.2f}" for way, ns in row.ways.items())
            out.writerow([row.family, row.sample, row.instance, ways])


def _ways(text: str) -> dict[str, float]:
    pairs = (pair.split("=") for pair in text.split())
    return {way: float(ns) for way, ns in pairs}


def errors_of(rows: Sequence[Measured], samples: Sequence[Sample]) -> dict[tuple[str, str], float]:
    """Return (estimated - found) / found of the slowest path between registers, by sample and instance."""
    errors = {}
    for sample in samples:
        graph, design = sample.machine()
        found = blocks_of(elaborate(graph, design))
        for row in rows:
            timing = technology_of(row.family).timing
            if row.sample == repr(sample) and row.inner_ns > 0 and timing is not None:
                ways = ways_of(found[row.instance], timing)
                estimated = max((ns for way, ns in ways.items() if way.startswith(INNER)), default=0.0)
                errors[row.sample, row.instance] = estimated / row.inner_ns - 1
    return errors
