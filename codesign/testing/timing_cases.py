"""Modules whose paths are measured: every kind that holds registers, and engines at a few sizes."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from codesign.data import folder
from codesign.ir.technology import technology_of
from codesign.sim.netlist import Paths, Side
from codesign.sim.timing import measure_paths, module_source

_LINE = "C=16 K=16 IY=16 IX=16 OY=16 OX=16 FY=3 FX=3 PAD_TOP=1 PAD_LEFT=1 BUFFER_DEPTH=256"
_SHIFT = "SCALING=1 MULTIPLIER_BITS=3 ACC_BITS=20 SUM_BITS=27 SHIFT=12"

_WIDE = "SCALING=2 MULTIPLIER_BITS=12 ACC_BITS=32 SUM_BITS=46 SHIFT=30 CUT=1"
_NARROW = "X_BITS=4 W_BITS=4 OUT_BITS=4 USE_DSP=0"

# What is synthesized in a second or two: the quick part of the tests.
SMALL = (
    "multiply USE_DSP=0 W_BITS=4 X_BITS=4",
    "requantize",
    "stream_fifo DEPTH=64 WORD_BITS=32",
    "stream_fork WORD_BITS=32",
    "width_narrower IN_LANES=8 OUT_LANES=2 PACKET=64",
    "channel_mux WORD_BITS=32 WORDS={32'd3,32'd5}",
    "scaled_sum PE=2 SUM_BITS=10",
)
# Engines at a few sizes, by a title.
ENGINES = {
    "convolution 3x3, 8 bits, DSP, PE x SIMD 1x1": f"conv_engine {_LINE} {_SHIFT} PE=1 SIMD=1 EMIT=1",
    "convolution 4x4": f"conv_engine {_LINE} {_SHIFT} PE=4 SIMD=4 EMIT=1",
    "convolution 8x8": f"conv_engine {_LINE} {_SHIFT} PE=8 SIMD=8 EMIT=1",
    "convolution 4x4, multipliers in LUTs": f"conv_engine {_LINE} {_SHIFT} PE=4 SIMD=4 EMIT=1 USE_DSP=0",
    "convolution 4x4, weights in block RAM": f"conv_engine {_LINE} {_SHIFT} PE=4 SIMD=4 EMIT=1 BLOCK_ROM=1",
    "convolution 4x4, factors of 12 bits and sums of 32": f"conv_engine {_LINE} {_WIDE} PE=4 SIMD=4 EMIT=1",
    "convolution 4x16, 4 bits in LUTs": f"conv_engine {_LINE} {_SHIFT} PE=4 SIMD=16 EMIT=1 {_NARROW}",
}
WIDE = ("convolution 8x8",)  # whose synthesis takes minutes: placed and routed, but not in the table
# The rest: minutes.
LARGE = (
    "multiply",
    "multiply USE_DSP=0",
    "multiply USE_DSP=0 W_BITS=16",
    "requantize SCALING=1 MULTIPLIER_BITS=3 ACC_BITS=20 SUM_BITS=27 SHIFT=12",
    f"requantize {_WIDE}",
    "requantize TIES=1",
    "stream_fifo DEPTH=2048 WORD_BITS=16 BLOCK_RAM=1",
    "output_ends",
    "accel_control BEATS_IN=784 BEATS_OUT=10",
    "width_converter IN_LANES=3 IN_PACKET=6 OUT_LANES=2 OUT_PACKET=6",
    "width_converter IN_LANES=5 IN_PACKET=35 OUT_LANES=7 OUT_PACKET=35",
    "width_converter IN_LANES=32 IN_PACKET=864 OUT_LANES=27 OUT_PACKET=864",
    "width_widener IN_LANES=2 OUT_LANES=8 PACKET=64",
    "scaled_sum PE=2 A_MULTIPLIER=1000 B_MULTIPLIER=1777 SUM_BITS=22 SHIFT=12",
    "collector PE=8 EMIT=2 K=32 BITS=20",
    "output_queue PE=8 EMIT=2 K=32 WORD_BITS=16 DEPTH=16",
    "weight_rom WORD_BITS=128 DEPTH=144",
    "weight_rom WORD_BITS=128 DEPTH=144 BLOCK_ROM=1",
    "weight_rom WORD_BITS=128 DEPTH=144 LOADED=1",
    "load_stage WORDS=4096",
    "weight_loader WORDS=4096",
    "mac_array PE=4 SIMD=4",
    "mac_array PE=4 SIMD=4 USE_DSP=0",
    "packed_array PE=4 SIMD=8 CHAIN=4",
    "line_buffer WORD_BITS=32 FOLD=4 IY=16 IX=16 OY=16 OX=16 FY=3 FX=3 PAD_TOP=1 PAD_LEFT=1 DEPTH=256",
    "line_buffer WORD_BITS=32 FOLD=4 IY=28 IX=28 OY=28 OX=28 FY=3 FX=3 PAD_TOP=1 PAD_LEFT=1 DEPTH=512 BLOCK_RAM=1",
    "line_buffer WORD_BITS=32 FOLD=4 IY=28 IX=28 OY=14 OX=14 FY=2 FX=2 STRIDE_Y=2 STRIDE_X=2 DEPTH=512 BLOCK_RAM=1",
    "row_buffer WORD_BITS=32 FOLD=4 IY=16 IX=16 OY=16 OX=16 BANKS=4",
    "pass_feed WORD_BITS=32 STEPS=9",
    "pool_engine C=8 IY=8 IX=8 OY=4 OX=4 FY=2 FX=2 STRIDE_Y=2 STRIDE_X=2 PE=4 EMIT=4 BUFFER_DEPTH=64",
    "pool_engine C=8 IY=8 IX=8 FY=8 FX=8 AVERAGE=1 PE=4 EMIT=4 STREAMING=1 ACC_BITS=14 SUM_BITS=15 SHIFT=6",
    "running_pool PE=4 FOLD=16 PIXELS=49 AVERAGE=1 ACC_BITS=14",
    "running_pool PE=4 FOLD=320 PIXELS=49 AVERAGE=1 ACC_BITS=14 BLOCK=1",
    "gate PE=2 FOLD=4 REPEAT=20",
    "gate PE=2 FOLD=4 REPEAT=20 USE_DSP=0",
    "lookup PE=2",
    "lookup PE=2 BLOCK_ROM=1",
    "padder LANES=4 FOLD=2 IY=7 IX=7 PAD_OY=9 PAD_OX=9 DEPTH=64",
    "row_repeater WORD_BITS=32 FOLD=2 X=7 DEPTH=64",
    "rearranger WORD_BITS=16 LOOPS=2 FREE=1 IMAGE=392 REACH=6 DEPTH=32 COUNTS={32'd49,32'd3} STRIDES={32'd8,32'd1}",
    *(text for title, text in ENGINES.items() if title not in WIDE),
    f"conv_engine {_LINE} {_SHIFT} PE=4 SIMD=8 EMIT=2 CHAIN=4",
)

_WAYS = tuple((begin, end) for begin in Side for end in Side)


# Family and module of every row: paths in the other family differ by little but delays.
CASES = (*(("xc7", module) for module in (*SMALL, *LARGE)), *(("xcup", module) for module in SMALL))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one module was found to be in one family: see sim.netlist.Paths; `ns` by begin and end."""

    family: str
    module: str
    luts: int
    carries: int
    fan_out: int
    ns: Mapping[tuple[Side, Side], float]

    @property
    def inner_ns(self) -> float:
        """The longest path between registers."""
        return self.ns[Side.REGISTER, Side.REGISTER]


def measure(text: str, family: str, work: Path) -> Row:
    """Synthesize a module for a family in the folder `work`, and return its row. Raises ToolError."""
    timing = technology_of(family).timing
    assert timing is not None
    source = module_source(text, folder("templates") / "rtl", work)
    return row_of(text, family, measure_paths(source, family, timing.delays, work))


def row_of(text: str, family: str, paths: Paths) -> Row:
    """Return a row of the table."""
    return Row(
        family=family,
        module=text,
        luts=paths.inner.luts,
        carries=paths.inner.carries,
        fan_out=paths.fan_out,
        ns={way: round(paths.ways[way].ns, 2) for way in _WAYS},
    )


def longer(now: Row, before: Row) -> Iterator[str]:
    """Yield in words what is longer than it was."""
    for name in ("luts", "carries", "fan_out"):
        new, old = getattr(now, name), getattr(before, name)
        if new > old:
            yield f"{now.module} in {now.family}: {name} {new}, was {old}"
    for way in _WAYS:
        if now.ns[way] > before.ns[way]:
            begin, end = way
            yield (
                f"{now.module} in {now.family}: {begin.value} to {end.value} {now.ns[way]} ns, was {before.ns[way]} ns"
            )


def read_table(path: Path) -> dict[tuple[str, str], Row]:
    """Return the rows of a table by family and module."""
    with path.open(newline="") as file:
        rows = [
            Row(
                family=plain["family"],
                module=plain["module"],
                luts=int(plain["luts"]),
                carries=int(plain["carries"]),
                fan_out=int(plain["fan_out"]),
                ns={way: float(plain[_column(way)]) for way in _WAYS},
            )
            for plain in csv.DictReader(file)
        ]
    return {(row.family, row.module): row for row in rows}


def write_table(rows: Sequence[Row], path: Path) -> None:
    """Write a table: a line for each row."""
    with path.open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["family", "module", "luts", "carries", "fan_out", *map(_column, _WAYS)])
        for row in rows:
            figures = [f"{row.ns[way]:.2f}" for way in _WAYS]
            out.writerow([row.family, row.module, row.luts, row.carries, row.fan_out, *figures])


def _column(way: tuple[Side, Side]) -> str:
    begin, end = way
    return f"{begin.value}_to_{end.value}"
