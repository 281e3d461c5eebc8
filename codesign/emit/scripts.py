"""Scripts and documents of a project: Tcl, configuration files, Makefile, README, manifest.

They build on the files of the other renderers: `complete_project` takes those and gives the whole tree.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePosixPath

import codesign
from codesign.data import folder
from codesign.emit.environment import render
from codesign.emit.host import host_params, render_host
from codesign.emit.identity import design_hash
from codesign.emit.port import Port, input_port, output_ports
from codesign.emit.registers import ADDRESS_BITS, REGISTERS
from codesign.ir.board import Board
from codesign.ir.cost import Cost
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.ir.project import MANIFEST, Project
from codesign.ir.strict import to_plain
from codesign.machine.elaborate import elaborate
from codesign.machine.names import engine_names
from codesign.ops.arrays import IntArray

MANIFEST_SCHEMA = 1

COPIED = {
    "project/LICENSE": "LICENSE",
    "project/run_hls.tcl": "hls/run_hls.tcl",
    "project/package_ip.tcl": "rtl/package_ip.tcl",
    "project/package_xo.tcl": "link/package_xo.tcl",
    "project/spelling.tcl": "link/spelling.tcl",
    "project/kernel.tcl": "link/kernel.tcl",
    "project/design.tcl": "link/design.tcl",
}
RENDERED = {
    "project/settings.tcl.j2": "settings.tcl",
    "project/hls_config.cfg.j2": "hls/hls_config.cfg",
    "project/link.cfg.j2": "link/link.cfg",
    "project/makefile.j2": "Makefile",
    "project/readme.md.j2": "README.md",
}


def complete_project(
    graph: Graph, design: Design, board: Board, cost: Cost, kernels: Project, x: IntArray, y: IntArray
) -> Project:
    """Add host code, scripts, documents and the manifest to the rendered kernels (files below hls/ and rtl/).

    x[B,IY,IX,C] and its golden y[B,OY,OX,K] give the self-test vector; of several outputs y is [B, elements].
    """
    project = kernels.merge(render_host(graph, design, board, cost, x, y))
    project = project.merge(render_scripts(graph, design, board, cost, project))
    return project.merge(render_manifest(graph, design, board, cost, project))


def render_scripts(graph: Graph, design: Design, board: Board, cost: Cost, kernels: Project) -> Project:
    """Render the scripts, configuration files and README; `kernels` says which files the scripts must list."""
    rtl = [PurePosixPath(name) for name in sorted(kernels.files) if name.startswith("rtl/")]
    # The package must be read before the modules that import it.
    sources = sorted((str(p) for p in rtl if p.suffix == ".sv"), key=lambda name: (not name.endswith("_pkg.sv"), name))
    values: Mapping[str, object] = {
        "host": host_params(graph, design, board, cost),
        "cost": cost,
        "board": board,
        "registers": REGISTERS,
        "rtl_sources": sources,
        "rtl_memories": [str(p) for p in rtl if p.suffix == ".hex"],
        "version": codesign.__version__,
    }
    home = folder("templates") / "host"
    files: dict[str, str | bytes] = {target: (home / name).read_text() for name, target in COPIED.items()}
    files |= {target: render(f"host/{name}", values) for name, target in RENDERED.items()}
    return Project(files)


def render_manifest(graph: Graph, design: Design, board: Board, cost: Cost, project: Project) -> Project:
    """Render manifest.json: what the project is, and the SHA-256 of each of its files."""
    scaled = zip(output_ports(graph, design), graph.scales, strict=True)
    outputs = [_stream(port, scale, ("OY", "OX", "K")) for port, scale in scaled]
    manifest = {
        "schema": MANIFEST_SCHEMA,
        "generator": {"name": "codesign", "version": codesign.__version__},
        "network": {"name": graph.name, "digest": graph.digest(), "labels": list(graph.labels)},
        "design": {"digest": design.digest(), "hash": f"{design_hash(graph, design):#018x}"},
        "engines": [to_plain(names) for names in engine_names(elaborate(graph, design))],
        "board": {"name": board.name, "part": board.part, "shell": board.shell.value, "clock_mhz": board.clock_mhz},
        "input": {
            **_stream(input_port(graph, design), graph.input_scale, ("IY", "IX", "C")),
            "encoding": _encoding(graph),
        },
        **({"output": outputs[0]} if len(outputs) == 1 else {"outputs": outputs}),
        "registers": _register_map(),
        "predicted": _predicted(board.clock_mhz, cost),
        "files": {name: _sha256(content) for name, content in sorted(project.files.items())},
    }
    return Project({MANIFEST: json.dumps(manifest, indent=2) + "\n"})


def _stream(port: Port, scale: float, axes: tuple[str, str, str]) -> dict[str, object]:
    return {
        "layout": "HWC",
        "axes": list(axes),
        "shape": [port.shape.y, port.shape.x, port.shape.c],
        "type": str(port.qtype),
        "scale": scale,
        "zero_point": 0,
        "lanes": port.lanes,
        "container_bits": port.container_bits,
        "word_bits": port.word_bits,
        "words_per_image": port.words,
        "bytes_per_image": port.wire_bytes,
        "byte_order": "little",
    }


def _encoding(graph: Graph) -> dict[str, object]:
    """Return how a user's numbers become the integers of the input."""
    return {
        "offset": graph.encoding.offset,
        "step": graph.encoding.step,
        "half_even": graph.encoding.half_even,
        "rule": f"a number v becomes {graph.encoding.formula}, clamped to the type",
    }


def _register_map() -> dict[str, object]:
    entries = [
        {
            "name": register.name,
            "offset": register.offset,
            "access": "read-write" if register.writable else "read-only",
            "spellings": ["rtl"] if register.rtl_only else ["rtl", "hls"],
            "what": register.what,
        }
        for register in REGISTERS
    ]
    return {"address_bits": ADDRESS_BITS, "width_bits": 32, "entries": entries}


def _predicted(clock_mhz: float, cost: Cost) -> dict[str, object]:
    have = cost.resources
    return {
        "interval_cycles": cost.interval_cycles,
        "latency_cycles": cost.latency_cycles,
        "fps": cost.fps(clock_mhz),
        "dsp": have.dsp,
        "bram18": have.bram18,
        "uram": have.uram,
        "lut": have.lut,
        "ff": have.ff,
        "dram_bytes": cost.dram_bytes,
        "clock": "nominal" if cost.clock is None or cost.clock.reaches(clock_mhz) else "estimated",
        **({} if cost.clock is None else {"estimated_clock_mhz": round(cost.clock.estimated_mhz, 1)}),
    }


def _sha256(content: str | bytes) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()
