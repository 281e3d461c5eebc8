"""Host side of a project: the PYNQ driver, the XRT program, the memory movers, the self-test vector, the manifest.

The driver and the program write what they measured to a JSON file of this form, which `codesign compare --measured`
reads; the project's host/README.md repeats it. A figure that was not measured is absent.

    schema           1
    tool             "board"
    driver           "pynq" or "xrt"
    board, part      the board's name and its FPGA
    design_hash      "0x" and 16 digits, read back from the device and equal to the manifest's
    spelling         "rtl" or "hls": which one the bitstream was built from
    timing           "hardware": fps and latency come from the accelerator's cycle counters; "host": fps comes from the
                     host's clock, and so is a lower bound that includes the host's own work
    clock_mhz        PYNQ: the clock that the board ran at, read back; XRT: the clock as requested
    images           images run, every result of them compared with the golden one
    mismatches       elements of the results that differ: 0 on a good device
    fps              (N - 1) / (t_last - t_first) in steady state
    host_fps         the same by the host's clock, over batches
    host_latency_us  one image through driver, DMA and accelerator, by the host's clock
    interval_cycles  (cycles - first_out_cycles) / (N - 1) of one batch; a number, not always whole; RTL only
    latency_cycles   first input beat to the end of the first image's output; RTL only
    latency_us       the same in time; RTL only
    date             UTC, ISO 8601
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from codesign.data import folder
from codesign.emit.environment import render
from codesign.emit.identity import design_hash
from codesign.emit.port import Port, input_port, output_names, output_ports
from codesign.emit.registers import REGISTERS, SPELLING_RTL
from codesign.errors import ConfigError, UnsupportedError
from codesign.ir.board import Board, Clocking, Shell
from codesign.ir.cost import Cost
from codesign.ir.design import Design
from codesign.ir.graph import Encoding, Graph
from codesign.ir.project import Project
from codesign.ops.arrays import IntArray

SELFTEST_IMAGES = 8

# Images that go to the device in one start: as many as fit into this much contiguous memory. PYNQ's images for
# Zynq-7000 boards reserve 128 MiB of it (cma=128M), those for Zynq UltraScale+ more; half is left to others.
CONTIGUOUS_BYTES = 64 << 20
MIN_BATCH, MAX_BATCH = 2, 256
_DESCRIPTOR_BYTES, _SLOT_BYTES = 64, 64  # of the DMA: one descriptor a slot; slots begin on a cache line

# The crystal that PYNQ's class Clocks takes for granted (pynq/ps.py), whatever the board has.
_PYNQ_CRYSTAL_MHZ = {Shell.ZYNQ: 50.0, Shell.ZYNQMP: 33.333}

COPIED = {
    "driver.py": "host/driver.py",
    "axi_dma.py": "host/axi_dma.py",
    "host.cpp": "host/host.cpp",
    "host.mk": "host/Makefile",
    "mover/mm2s.cpp": "hls/mover/mm2s.cpp",
    "mover/ap_axi_sdata.h": "hls/mover/csim_include/ap_axi_sdata.h",
}
RENDERED = {
    "accel_params.py.j2": "host/accel_params.py",
    "accel_params.hpp.j2": "host/accel_params.hpp",
    "host_readme.md.j2": "host/README.md",
    "mover/mover.hpp.j2": "hls/mover/mover.hpp",
    "mover/mm2s.cfg.j2": "hls/mover/mm2s.cfg",
    "mover/tb.cpp.j2": "hls/mover/tb.cpp",
}
FOR_EACH_OUTPUT = {  # the suffix of the output in place of the braces
    "mover/s2mm.cpp.j2": "hls/mover/s2mm{}.cpp",
    "mover/s2mm.cfg.j2": "hls/mover/s2mm{}.cfg",
}

# The DMA of each output takes one of the 16 ports of the interconnect, and the first takes three.
MOST_OUTPUTS = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    """An output of the network, `name`, and its stream at the top level.

    `suffix`: what tells its files, kernels and DMA from those of others; empty if it is the only one. `scale`: the real
    value of one step.
    """

    name: str
    stream: str
    suffix: str
    port: Port
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HostParams:
    """What the templates of host code and scripts read."""

    name: str
    board: str
    title: str
    part: str
    shell: str
    clock_mhz: float
    clocking: Clocking
    clocks_scale: float
    interval_cycles: int
    latency_cycles: int
    batch: int
    max_images: int
    hash: int
    source: Port
    sinks: tuple[Sink, ...]
    input_scale: float
    encoding: Encoding
    labels: tuple[str, ...]

    @property
    def beats_out(self) -> int:
        """What the register of that name counts for an image: its words, or, of several outputs, the image."""
        return self.sinks[0].port.words if len(self.sinks) == 1 else 1

    @property
    def hash_text(self) -> str:
        return f"{self.hash:#018x}"

    @property
    def period_ns(self) -> str:
        """The clock period with three decimals, rounded down: never slower than asked for."""
        return f"{math.floor(1e6 / self.clock_mhz) / 1e3:.3f}"

    @property
    def clock_hz(self) -> int:
        return round(self.clock_mhz * 1e6)


def host_params(graph: Graph, design: Design, board: Board, cost: Cost) -> HostParams:
    """Gather what the templates read. Raise UnsupportedError for a graph of more outputs than a chip has ports for."""
    if len(graph.output_nodes) > MOST_OUTPUTS:
        raise UnsupportedError(
            f"host code: graph {graph.name!r} has {len(graph.output_nodes)} outputs; the interconnect of the block "
            f"design has ports for {MOST_OUTPUTS} at most"
        )
    source, sinks = input_port(graph, design), _sinks(graph, design)
    return HostParams(
        name=graph.name,
        board=board.name,
        title=board.title,
        part=board.part,
        shell=board.shell.value,
        clock_mhz=board.clock_mhz,
        clocking=board.clocking,
        clocks_scale=board.clocking.source.crystal_mhz / _PYNQ_CRYSTAL_MHZ[board.shell],
        interval_cycles=cost.interval_cycles,
        latency_cycles=cost.latency_cycles,
        batch=batch_of(source, *(sink.port for sink in sinks)),
        max_images=_max_images(graph),
        hash=design_hash(graph, design),
        source=source,
        sinks=sinks,
        input_scale=graph.input_scale,
        encoding=graph.encoding,
        labels=graph.labels,
    )


def _sinks(graph: Graph, design: Design) -> tuple[Sink, ...]:
    named = zip(graph.output_nodes, output_names(graph), output_ports(graph, design), graph.scales, strict=True)
    return tuple(
        Sink(name=node.name, stream=stream, suffix=stream.removeprefix("m_axis"), port=port, scale=scale)
        for node, stream, port, scale in named
    )


def batch_of(*ports: Port) -> int:
    """Return the images that go to the device in one start, by the contiguous memory of an image and its results."""
    slots = sum(-(-port.wire_bytes // _SLOT_BYTES) * _SLOT_BYTES + _DESCRIPTOR_BYTES for port in ports)
    return min(MAX_BATCH, max(MIN_BATCH, CONTIGUOUS_BYTES // slots))


def _max_images(graph: Graph) -> int:
    """Return the images of one start for which no counter of words wraps at 32 bits, in registers or in HLS."""
    words = max(node.oshape.elements for node in graph.nodes)
    return ((1 << 32) - 1) // words


def render_host(graph: Graph, design: Design, board: Board, cost: Cost, x: IntArray, y: IntArray) -> Project:
    """Render the files below host/ and hls/mover/.

    x[B,IY,IX,C] and its golden y[B,OY,OX,K] give the self-test vector: their first images, eight at most. Of several
    outputs y has all elements, [B, elements]. Raise ConfigError if they do not fit the graph.
    """
    params = host_params(graph, design, board, cost)
    _check_vector(params.source, x, "input")
    results = _results(params.sinks, y)
    for sink, one in zip(params.sinks, results, strict=True):
        _check_vector(sink.port, one, f"golden{sink.suffix}")
    if len(x) != len(y):
        raise ConfigError(f"self-test: expected as many golden results as inputs, got {len(y)} and {len(x)}")
    home = folder("templates") / "host"
    files: dict[str, str | bytes] = {target: (home / name).read_text() for name, target in COPIED.items()}
    values: Mapping[str, object] = {
        "host": params,
        "registers": REGISTERS,
        "spelling_rtl": SPELLING_RTL,
        "images": min(len(x), SELFTEST_IMAGES),
    }
    files |= {target: render(f"host/{name}", values) for name, target in RENDERED.items()}
    files["host/selftest/input.bin"] = _packed(params.source, x)
    for sink, one in zip(params.sinks, results, strict=True):
        files[f"host/selftest/golden{sink.suffix}.bin"] = _packed(sink.port, one)
        for name, target in FOR_EACH_OUTPUT.items():
            files[target.format(sink.suffix)] = render(f"host/{name}", {**values, "sink": sink})
    return Project(files)


def _results(sinks: tuple[Sink, ...], y: IntArray) -> list[IntArray]:
    """Return the golden results of each output. Raise ConfigError if they are more or fewer elements."""
    if len(sinks) == 1:
        return [y]
    shapes = [sink.port.shape for sink in sinks]
    ends = np.cumsum([shape.elements for shape in shapes])
    if y.ndim != 2 or y.shape[1] != ends[-1]:
        raise ConfigError(f"self-test: golden: expected [N, {ends[-1]}], got {list(y.shape)}")
    parts = np.split(y, ends[:-1], axis=1)
    return [part.reshape(len(y), s.y, s.x, s.c) for part, s in zip(parts, shapes, strict=True)]


def _check_vector(port: Port, values: IntArray, what: str) -> None:
    shape = (port.shape.y, port.shape.x, port.shape.c)
    if values.ndim != 4 or len(values) == 0 or values.shape[1:] != shape:
        raise ConfigError(f"self-test: {what}: expected [N, {', '.join(map(str, shape))}], got {list(values.shape)}")
    if values.min() < port.qtype.qmin or values.max() > port.qtype.qmax:
        raise ConfigError(f"self-test: {what}: expected {port.qtype} values, got {values.min()} to {values.max()}")


def _packed(port: Port, values: IntArray) -> bytes:
    """Return the first images as they lie in memory: containers, HWC, little endian, nothing between images."""
    return np.ascontiguousarray(values[:SELFTEST_IMAGES]).astype(port.dtype).tobytes()
