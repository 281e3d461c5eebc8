"""The clock that engines and a small machine reach when open tools place and route them for an ECP5.

    python benchmarks/timing.py [--seeds 3] [--only WORD] [--out FILE.md] [--work FOLDER]

Beside each stand the paths of the same module as synthesis for Xilinx parts gives them. Needs the extra `timing`.
"""

import importlib.util
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from common import parser_of, publish, run_cases, table

from codesign.data import folder
from codesign.emit.rtl import render_rtl
from codesign.errors import ToolError
from codesign.ir.boards import load_board
from codesign.ir.technology import families, technology_of
from codesign.sim.netlist import Paths
from codesign.sim.place import PART_NAME, Placed, place
from codesign.sim.timing import (
    Source,
    ecp5_passes,
    machine_source,
    measure_paths,
    module_source,
    synthesize_netlist,
)
from codesign.testing.resource_cases import blank_images
from codesign.testing.small import small_design, small_graph
from codesign.testing.timing_cases import ENGINES, LARGE

MACHINE = "whole machine of three small engines"
REFERENCE = "PicoRV32"
PARTS = ("width_converter", "stream_fifo", "scaled_sum", "line_buffer", "accel_control")
# Nanoseconds that Vivado reached with the same source, the shortest that a search found. They are from README.md of
# YosysHQ/picorv32 @00dd6ac; the last is from the table that it had before.
PUBLISHED = {
    "Artix-7, grade 1": 4.2,
    "Artix-7, grade 2": 3.5,
    "Artix-7, grade 3": 3.2,
    "Kintex-7, grade 1": 2.8,
    "Kintex-7, grade 2": 2.3,
    "Kintex-7, grade 3": 2.1,
    "Kintex UltraScale+, grade 2": 1.4,
}

INTRO = """# Clocks

Made by `make bench-timing`, which is `python benchmarks/timing.py --out docs/timing.md`; do not edit this page by hand.

Frame rates are at a board's *nominal* clock, which its file states. No tool of the vendor has run here. So this page
asks three questions. Which clock does a machine reach where it can be placed and routed? How long are its paths in
netlists for the boards' parts? And what does that tell about the clock there, the *estimated* one?

## Placed and routed

Yosys (`synth_ecp5`) and nextpnr place and route each machine for {part}. This is the one family with open tools here
that has such multipliers and memories. Figures are medians of {seeds} seeds. No board here has this part, and it is
slower than theirs. A path is named by its ends; *cells* are what lies between.

{placed}
## Netlists

The same modules are synthesized by `synth_xilinx`. *LUTs* and *carry blocks* are the most between two registers.
*Loads* are the most of a net that is neither clock nor reset. *ns* is the slowest path. It is a sum of the delays in
`boards/technologies`, in the slowest grade: of an XC7Z020 (xc7) and an XCZU3EG (xcup). `make timing` says what became
longer.

{netlists}
## From there to the boards

One design is known on both sides. Vivado's best clocks of {reference} are published. Here it was placed and routed
for the ECP5 as above, and synthesized for both families.

{published}
So an ECP5 takes {slower:.2f} times as long as an Artix-7 of grade 1. The netlist's sum is {artix:.2f} times what Vivado
reached, because Vivado's synthesis shortens paths and Yosys' does not. Engines are larger than a small processor.
By the ECP5, scaled with that ratio, they would take {engines:.2f} times their sums of delays (from {least:.2f} to
{most:.2f}). Rounded, that is `placed` in `boards/technologies/xc7.yaml`. In `xcup.yaml` it is likewise {ultra:.2f}.
So an estimate may well be off by a quarter in either direction, and by more for a board that is nearly full.

## Sources of the delays

- Registers, LUTs, carry blocks and nets of xc7: a path that Vivado routed, and Yosys' `cells_sim.v`, which has them
  from prjxray. The path has 14.9 ns and nine LUTs in an XC7Z010 of grade 1, in a public report on SHA-256.
- Block RAM of xc7: 2.454 ns without output register, in Vivado's report on VexiiRiscv in an XC7A200T of grade 1. With
  it 0.882 ns, from prjxray.
- DSP of xc7: prjxray's figures times 1.36, so that A to PCOUT takes 4.036 ns as in a report of Vivado of grade 1.
- Registers, LUTs, carry blocks, nets and DSP of xcup: paths that Vivado 2021.2 routed in an XCZU3EG of grade 1. They
  are from the public evaluation of the Calyx compiler.
- Block RAM of xcup: 0.830 ns in a report of Vivado of grade 2, times 775/667, the ratio of clock buffers in DS925.
- Grades of xc7: the table of PicoRV32 above. An XC7Z030 and larger has the fabric of a Kintex-7.
- Grades of xcup: clock to output of an XCZU3 in DS925. It is 4.90 ns in grade 2, 5.28 in grade 1, 6.08 in grade 2 at
  0.72 V.

A net of one load takes the mean time of such nets in the routed paths. What every doubling of loads adds is fitted to
the same paths.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What became of one module: the tries on the ECP5, and its netlists by family."""

    title: str
    placed: tuple[Placed, ...]
    netlists: Mapping[str, Paths]

    @property
    def median(self) -> Placed:
        """The try in the middle; of an even number, the slower one."""
        return sorted(self.placed, key=lambda p: p.mhz)[(len(self.placed) - 1) // 2]

    @property
    def ns(self) -> float:
        """The period of that try."""
        return 1e3 / self.median.mhz


def subjects() -> dict[str, Callable[[Path], Source]]:
    """Return what is measured, by title: a function that prepares it in a folder."""
    rtl = folder("templates") / "rtl"
    texts = {**ENGINES, **{text: text for text in LARGE if text.startswith(PARTS)}}
    found = {title: lambda work, text=text: module_source(text, rtl, work) for title, text in texts.items()}
    return {**found, MACHINE: _machine, REFERENCE: _reference}


def _machine(work: Path) -> Source:
    graph = small_graph()
    return machine_source(render_rtl(graph, small_design(), load_board("pynq-z2"), *blank_images(graph)), work)


def _reference(work: Path) -> Source:
    """Return PicoRV32 as its authors measured it, from the package that has its source. Raise ToolError."""
    spec = importlib.util.find_spec("pythondata_cpu_picorv32")
    if spec is None or spec.origin is None:
        raise ToolError("pythondata-cpu-picorv32 is not installed; pip install codesign[timing]")
    work.mkdir(parents=True, exist_ok=True)
    (work / "picorv32.v").write_text((Path(spec.origin).parent / "verilog" / "picorv32.v").read_text())
    top = "picorv32_axi"
    return Source(folder=work, reading=("read_verilog -sv picorv32.v", f"chparam -set TWO_CYCLE_ALU 1 {top}"), top=top)


def measured(title: str, source: Source, seeds: int, work: Path) -> tuple[Row, str]:
    """Return the row of a subject, and words for the screen. Raises ToolError."""
    synthesize_netlist(source, ecp5_passes(source.top), work / "ecp5.json")
    placed = tuple(place(work, seed) for seed in range(1, seeds + 1))
    netlists = {}
    for family in families():
        timing = technology_of(family).timing
        assert timing is not None
        netlists[family] = measure_paths(source, family, timing.delays, work)
    row = Row(title=title, placed=placed, netlists=netlists)
    return row, f"{row.median.mhz:.0f} MHz"


def page(rows: Sequence[Row], seeds: int, troubles: Sequence[str]) -> str:
    """Return the results as Markdown. `rows` must have the reference."""
    (reference,) = (row for row in rows if row.title == REFERENCE)
    slower = reference.ns / PUBLISHED["Artix-7, grade 1"]
    engines = [row.ns / slower / row.netlists["xc7"].inner.ns for row in rows if row.title in (*ENGINES, MACHINE)]
    ultra = PUBLISHED["Kintex UltraScale+, grade 2"] / _grade("xcup", "xcku3p-ffva676-2-e")
    ultras = [r.ns * ultra / reference.ns / r.netlists["xcup"].inner.ns for r in rows if r.title in (*ENGINES, MACHINE)]
    text = INTRO.format(
        part=PART_NAME,
        seeds=seeds,
        placed=_placed_table(rows),
        netlists=_netlist_table(rows),
        reference=REFERENCE,
        published=_published_table(reference),
        slower=slower,
        artix=reference.netlists["xc7"].inner.ns / PUBLISHED["Artix-7, grade 1"],
        engines=statistics.median(engines),
        least=min(engines),
        most=max(engines),
        ultra=statistics.median(ultras),
    )
    measured_here = {row.title for row in rows}
    missing = "".join(f"- {_short(title)}\n" for title in subjects() if title not in measured_here)
    text += f"\nNot measured this time:\n\n{missing}" if missing else ""
    return text + "".join(f"\nFailed: {trouble}\n" for trouble in troubles)


def _grade(family: str, part: str) -> float:
    """Return how slow a part is beside the one that the delays are of."""
    timing = technology_of(family).timing
    assert timing is not None
    return timing.ratio(part) / timing.placed


def _placed_table(rows: Sequence[Row]) -> str:
    header = ["what", "MHz", "spread", "ns", "of it routing", "cells", "its slowest path"]
    lines = []
    for row in rows:
        middle, all_mhz = row.median, [p.mhz for p in row.placed]
        span = f"{min(all_mhz):.0f} to {max(all_mhz):.0f}"
        ends = f"`{middle.begin}` to `{middle.end}`"
        figures = [f"{row.ns:.2f}", f"{middle.routing_ns / row.ns:.0%}", str(middle.cells)]
        lines.append([_short(row.title), f"{middle.mhz:.0f}", span, *figures, ends])
    return table(header, lines)


def _netlist_table(rows: Sequence[Row]) -> str:
    header = ["what", "LUTs", "carry blocks", "loads", "ns, xc7", "LUTs", "carry blocks", "loads", "ns, xcup"]
    lines = []
    for row in rows:
        cells = [_short(row.title)]
        for family in ("xc7", "xcup"):
            found = row.netlists[family]
            cells += [str(found.inner.luts), str(found.inner.carries), f"{found.fan_out:,}", f"{found.inner.ns:.2f}"]
        lines.append(cells)
    return table(header, lines)


def _published_table(reference: Row) -> str:
    lines = [[f"{part}, Vivado, published", f"{ns:.1f}", f"{1e3 / ns:.0f}"] for part, ns in PUBLISHED.items()]
    lines.append([f"{PART_NAME}, placed and routed here", f"{reference.ns:.2f}", f"{reference.median.mhz:.0f}"])
    for family, paths in reference.netlists.items():
        lines.append([f"{family}, sum of delays in the netlist, grade 1", f"{paths.inner.ns:.2f}", ""])
    return table(["part", "ns", "MHz"], lines)


def _short(title: str) -> str:
    """Return a title; of a module without one, its parameters as code."""
    return title if title in (*ENGINES, MACHINE, REFERENCE) else f"`{title}`"


def main() -> int:
    parser = parser_of(__doc__, work=True)
    parser.add_argument("--seeds", type=int, default=3, help="tries of each (%(default)s)")
    parser.add_argument("--only", default="", help=f"take what has this word in its title, and {REFERENCE}")
    options = parser.parse_args()
    chosen = {t: prepare for t, prepare in subjects().items() if options.only in t or t == REFERENCE}

    def found(title: str) -> tuple[Row, str]:
        place_of = work / str(list(subjects()).index(title))
        return measured(title, chosen[title](place_of / "source"), options.seeds, place_of)

    with tempfile.TemporaryDirectory(prefix="timing-") as scratch:
        work = options.work or Path(scratch)
        rows, troubles = run_cases(list(chosen), found)
    if not any(row.title == REFERENCE for row in rows):
        print("".join(f"{trouble}\n" for trouble in troubles), file=sys.stderr, end="")
        return 1
    publish(page(rows, options.seeds, troubles), options.out)
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
