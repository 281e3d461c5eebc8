"""Our rows beside the published ones, as one page of Markdown."""

from collections.abc import Iterator, Sequence

from common import table
from published_row import Case, Row, Source
from rivals import PUBLISHED, Published

from codesign.ir.board import Board
from codesign.ir.boards import load_board
from codesign.ir.cost import NAMES

TITLES = {
    "resnet8_a8w8b16.onnx": "ResNet-8, 8-bit weights and activations",
    "resnet8_a4w4b32.onnx": "ResNet-8, 4-bit weights and activations",
    "mobilenet_v2_a8w6b32.onnx": "MobileNetV2, 6-bit weights, 8-bit activations",
    "mlperf_tiny_resnet8_int8.tflite": "MLPerf Tiny ResNet-8, int8",
    "mlperf_tiny_kws_int8.tflite": "MLPerf Tiny DS-CNN, int8",
    "mlperf_tiny_vww_int8.tflite": "MLPerf Tiny MobileNetV1, int8",
}


INTRO = """# The same trained networks as published boards

Made by `make bench-published`, which is `python benchmarks/published.py --out docs/published.md`, from the tables
`benchmarks/results/published*.csv`; do not edit this page by hand. `CODESIGN_MODELS` names the folder of the networks.
A row that is in the table is not done again; delete its line to have it done anew.

The networks are files that others have trained and put on boards. Each is read, compared with its own runtime, and
given the best design that the search finds. The design is simulated in C and in RTL on {images} random images. Every
word must equal the golden model.

No accuracy is claimed: labelled images of these tasks were not at hand.

## Beside the published rows

Read this table with four things in mind:

- **Ours did not run on a board.** Our cycles are those of the RTL simulation, or predicted where a row says so. DSP,
  LUT and BRAM are predicted. The published rows ran on boards.
- **The clock is the published row's**, so that cycles are compared. It is nominal: ours is not placed and routed at it.
  Where the source, as we have it, names no clock, ours is taken at the clock of our board file. The list below says at
  which clock ours would be as fast.
- MLPerf measures one image at a time, with DMA and driver. Compare these rows by latency. Our latency is from the first
  word into the accelerator to the last word out of it. Driver and set-up of the DMA are **not** in it.
- Our FPS are for images back to back: clock / interval. MLPerf's are 1 / latency.

PYNQ-Z2 and ZedBoard have the same part, and so have Ultra96 and Ultra96-V2. An empty cell is not published, as far as
we have it. Our boards without a published row stand in the next table.

"""

WHY = """
What the rows say:

"""

DESIGNS = """
## Our designs

*Interval*: cycles between images, back to back. *Latency*: cycles of one image through the empty machine. *Busy*: the
share of multipliers that work in a cycle, in the mean over an interval. Shares are of the whole part; a design may take
the part that the board file allows. *Proved*: no design of our design space has a smaller interval on the board.
Designs of least latency are the quickest found. No proof is looked for there.

"""

SOURCES = """
## Beside the networks' own runtimes

Random images, uniform over the input's range. A step is one integer of the output. Scales of the QONNX files are powers
of two, so their words must be equal. TFLite scales by 31 bits and rounds twice. Our machine scales by fewer bits and
rounds once. So a layer may give one step more or less, and later layers carry it on. LiteRT differs from itself in the
same way: *own kernels* is its default kernels beside its reference kernels, on the same images.

"""

TIMES = """
## What it took

Processor seconds, user and system, children included, on a busy machine. *Search* includes naming what binds.

"""


def page(rows: Sequence[Row], sources: Sequence[Source], every: Sequence[Case], troubles: Sequence[str]) -> str:
    """Return all tables, what does not fit, what is not done yet, and what failed."""
    images = max([row.rtl_images for row in rows], default=0)
    text = INTRO.format(images=images or "a few") + _beside(rows) + WHY + "".join(f"- {x}\n" for x in _verdicts(rows))
    text += DESIGNS + _designs(rows) + _refused(rows) + _open(rows, every)
    text += SOURCES + _sources(sources) + TIMES + _times(rows)
    if troubles:
        text += "\n## Failed\n\n" + "".join(f"- {trouble}\n" for trouble in troubles)
    return text


def _pairs(rows: Sequence[Row]) -> Iterator[tuple[Published, Row]]:
    """Return published rows with ours of the same network and part."""
    for published in PUBLISHED:
        for row in rows:
            if (row.model, row.board) == (published.model, published.board) and not row.refusal:
                yield published, row


def _clock(published: Published) -> float:
    return published.clock_mhz or load_board(published.board).clock_mhz


def cycles(row: Row) -> tuple[int, int]:
    """Return interval and latency: of the RTL simulation, where there was one."""
    return (row.rtl_interval, row.rtl_latency) if row.rtl_images else (row.interval, row.latency)


def _beside(rows: Sequence[Row]) -> str:
    header = (
        "Network", "Board", "Clock, MHz", "Machine", "FPS", "Latency, us", "DSP", "LUT", "BRAM36", "Source",
    )  # fmt: skip
    lines: list[Sequence[str]] = []
    last: Published | None = None
    for published, row in _pairs(rows):
        clock = _clock(published)
        if published is not last:
            told = f"{published.clock_mhz:g}" if published.clock_mhz else "not said"
            lines.append(
                (TITLES[published.model], published.theirs, told, "published", f"{published.fps:,g}",
                 _known(published.latency_us), _known(published.dsp), _known(published.lut), _known(published.bram36),
                 published.source)
            )  # fmt: skip
        last = published
        interval, latency = cycles(row)
        origin = f"RTL simulation, {row.rtl_images} images" if row.rtl_images else "predicted, not simulated yet"
        lines.append(
            (TITLES[row.model], row.board, f"{clock:g}", f"**ours**, least {row.goal}",
             f"{clock * 1e6 / interval:,.0f}",
             f"{latency / clock:,.1f}", f"{row.dsp:,}", f"{row.lut:,}", f"{row.bram18 / 2:,.1f}", origin)
        )  # fmt: skip
    return table(header, lines)


def _known(value: float | None) -> str:
    return "" if value is None else f"{value:,g}"


def _verdicts(rows: Sequence[Row]) -> Iterator[str]:
    """Return a sentence or more for every published row that ours stand beside."""
    for published, row in _pairs(rows):
        if published.single_image == (row.goal == "latency"):
            where = f"**{TITLES[row.model]} on {row.board}**" + ("" if row.rtl_images else " (predicted)")
            yield f"{where}: {_prompt(published, row) if published.single_image else _fast(published, row)}"


def _fast(published: Published, row: Row) -> str:
    clock, (interval, _) = _clock(published), cycles(row)
    fps = clock * 1e6 / interval
    text = f"{fps / published.fps:.2f} times the published frame rate at {clock:g} MHz"
    text += "" if published.clock_mhz else ", our board file's clock. That of the published row is not known here"
    text += f". Ours reaches the published rate at {published.fps * interval / 1e6:,.0f} MHz."
    return text + (_reason(row) if fps < published.fps else "") + published.caveat


def _prompt(published: Published, row: Row) -> str:
    assert published.latency_us is not None
    latency = cycles(row)[1] / _clock(published)
    text = f"{latency:,.1f} us in the accelerator, beside {published.latency_us:,g} us published with DMA and driver."
    if latency < published.latency_us:
        return text + " How much of the difference is DMA and driver is not known."
    return text + " Ours is slower even without DMA and driver." + _reason(row)


def _reason(row: Row) -> str:
    """Return why the interval is no smaller."""
    if row.interval == row.least_interval:
        return (
            f" {row.interval:,} cycles are the least that our engines can do, on a board of any size. An engine "
            "multiplies over channels and rows of a window, and takes a step for every column of the window and every "
            "position of the map. Of "
            f"{row.multipliers:,} multipliers, {busy(row):.0%} are busy."
        )
    bound = ""
    if row.goal == "interval":
        more = ", or more ".join(row.binding.upper().split())
        bound = f" A smaller interval takes more {more} than a design may have here." if more else ""
    return (
        f"{bound} A multiplication takes a DSP of its own, or LUTs; two of 8 bits never share a DSP. "
        f"Of {row.multipliers:,} multipliers, {busy(row):.0%} are busy."
    )


def busy(row: Row) -> float:
    """Return the share of multipliers that work in a cycle, in the mean over an interval."""
    return row.macs / (row.multipliers * row.interval)


def _designs(rows: Sequence[Row]) -> str:
    header = (
        "Network", "Board", "Least of", "Interval, predicted", "Interval, RTL", "Latency, predicted", "Latency, RTL",
        "Words that differ, C and RTL", "Proved", "Multipliers", "Busy", *(name.upper() for name in NAMES),
    )  # fmt: skip
    lines = [
        (
            TITLES[row.model], row.board, row.goal, f"{row.interval:,}", _count(row.rtl_interval), f"{row.latency:,}",
            _count(row.rtl_latency),
            f"0 of {row.rtl_words:,} each, {row.rtl_images} images" if row.rtl_images else "not simulated yet",
            "yes" if row.proved else "no", f"{row.multipliers:,}", f"{busy(row):.0%}",
            *_shares(row, load_board(row.board)),
        )
        for row in rows
        if not row.refusal
    ]  # fmt: skip
    return table(header, lines)


def _shares(row: Row, board: Board) -> list[str]:
    pairs = [(getattr(row.resources, name), getattr(board.resources, name)) for name in NAMES]
    return [f"{used:,} ({used / have:.0%})" if have else "none" for used, have in pairs]


def _count(value: int) -> str:
    return f"**{value:,}**" if value else ""


def _refused(rows: Sequence[Row]) -> str:
    lines = [f"- {TITLES[row.model]} on {row.board}: {row.refusal}\n" for row in rows if row.refusal]
    return "\n## What does not fit\n\n" + ("".join(lines) or "Every network has a design on every board above.\n")


def _open(rows: Sequence[Row], every: Sequence[Case]) -> str:
    """Say what is not done."""
    known = {row.case: row for row in rows}
    missing = [f"{case}: no design yet" for case in every if case not in known]
    missing += [f"{row.case}: not simulated yet" for row in rows if not row.refusal and not row.rtl_images]
    return "\n## Not done yet\n\n" + ("".join(f"- {line}\n" for line in missing) or "Nothing is left.\n")


def _sources(sources: Sequence[Source]) -> str:
    header = (
        "Network", "Runtime", "Images", "Words", "Differing", "Largest, steps", "Mean, steps", "Other class",
        "Own kernels: differing", "Largest, steps", "Mean, steps",
    )  # fmt: skip
    lines = [
        (
            TITLES[s.model], s.runtime, str(s.images), f"{s.words:,}", f"{s.differing_words:,}", str(s.largest_steps),
            f"{s.mean_steps:.3g}", str(s.differing_predictions), *_kernels(s),
        )
        for s in sources
    ]  # fmt: skip
    return table(header, lines)


def _kernels(source: Source) -> tuple[str, str, str]:
    """Return three cells; nothing is said of runtimes that have one set of kernels."""
    if not source.model.endswith(".tflite"):
        return "", "", ""
    return f"{source.kernels_differing:,}", str(source.kernels_largest), f"{source.kernels_mean:.3g}"


def _times(rows: Sequence[Row]) -> str:
    header = ("Network", "Board", "Least of", "Search", "C simulation, build and run", "RTL build", "RTL run")
    lines = [
        (TITLES[r.model], r.board, r.goal, f"{r.search_s:.1f}", *_seconds(r)) for r in rows if not r.refusal
    ]  # fmt: skip
    return table(header, lines)


def _seconds(row: Row) -> tuple[str, str, str]:
    if not row.rtl_images:
        return "", "", ""
    return f"{row.csim_s:.0f}", f"{row.rtl_build_s:.0f}", f"{row.rtl_run_s:.1f}"
