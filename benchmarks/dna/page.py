"""The figures as one page of Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from codesign.ir.board import Board

from .evaluate import SAMPLES, SEEDS, FreeChange, Ours, Row, Worth
from .expected import DNA_POINTS, Spread, agrees
from .model import CLOCK_HZ
from .networks import FBNET_C
from .space import FOUR, LAYOUTS, TEN, size

INTRO = """# DNA's own cost model, searched

Made by `make bench-dna`, which is `python -m benchmarks.dna --out docs/dna_reference.md`; do not edit by hand.

DNA (arXiv 2010.14778) takes its FPS from an analytical model of a pipeline of *chunks*. These are arrays that work at
the same time on different layers. That model, its choice tables and the rule that gives layers to chunks are public:
in luke-avionics/NN-HW-predictor, and again in GATECH-EIC/Auto-NBA. They are likely the source of the paper's figures;
this is not proven. `benchmarks/dna/` re-states them in numpy, apart from the package. It equals the authors'
functions on all golden values (`benchmarks/tests/test_dna_model.py`). The ZC706 has 900 DSPs, {bram} BRAMs and
{mhz:.0f} MHz, as in their code.

Every figure on this page is a model's, none is a measurement. *Known* figures were found earlier by running the
authors' own functions, or read off their plots.
"""

SEARCHES = """
## Their search and the optimum

- *Exact*: the least interval of all designs, proved. Every way to cut every chunk's loops is priced. An integer
  program then decides whether an interval can be met, in a second or two. DSPs and BRAMs are in brackets.
- *Random*: the best of {samples:,} designs drawn as the authors' scripts draw them, mean and (least to greatest) of
  {seeds} seeds. *Nine in ten*: the range in which nine of ten such searches end, calculated from the chances of all
  designs. *10k*, *2k*: means after so many designs.
- *Plotted*: the authors' figure. Which layout and how many bits it had is inferred.
- *Latency*: one image through the exact design, the sum of its chunks' cycles. The model does not report it.

"""

WEAKNESSES = """
## What the model leaves out

The network is {name}. *Same*: the optimum above, priced with the correction. *Anew*: the optimum under the
correction, and how much less it is than the published model's. Both are in FPS; DSPs and BRAMs are in brackets.

1. *Whole tiles*: the model counts fractions of tiles. Here a tile that is partly outside its layer takes as long as
   any, as in a loop of constant bounds.
2. *Halo and stride*: the model adds the filter's border to the unrolled extent, and knows no stride.
3. *Weights and memory*: weight buffers take no BRAM in the model where channels are unrolled (a). Each chunk has a
   DRAM port of its own, 1.6 GB/s (b). PS side: {ps:,.0f} MB/s for all together, as the board file has it; PL side:
   {pl:,.0f}.
4. *Start of a transfer*: the model has none. The cycles are assumed, to see how much they matter.
5. *Stem, header, classifier*: the model leaves them out.
6. *Skips that change width or size* are free in the model: below.
7. *Latency*: above.

Pipelines of more than one cycle, LUTs, flip-flops and timing are missing too, and are not priced here.

"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All that the page shows; `worths` by the title of their setting."""

    rows: Sequence[Row]
    worths: Mapping[str, Sequence[Worth]]
    free_changes: Sequence[FreeChange]
    ours: Sequence[Ours]
    board: Board
    pl_mb_s: float
    refused: Mapping[str, str]


def page(results: Results, bram: int) -> str:
    """Return the whole page."""
    text = INTRO.format(bram=bram, mhz=CLOCK_HZ / 1e6)
    text += SEARCHES.format(samples=SAMPLES, seeds=len(SEEDS)) + _searches(results.rows) + _reading(results.rows)
    board = results.board
    text += WEAKNESSES.format(
        name="FBNet-C", ps=board.dram_peak_mb_s * board.dram_efficiency, pl=results.pl_mb_s * board.dram_efficiency
    )
    text += _worths(results.worths) + _free_changes(results.free_changes)
    return text + _ours(results) + _missing()


def _searches(rows: Sequence[Row]) -> str:
    header = (
        "Network", "Layout", "Bits", "Exact", "Known", "Random", "Nine in ten", "Known", "10k", "Known", "2k", "Known",
        "Plotted", "Exact / plotted", "Latency, ms",
    )  # fmt: skip
    return _table(header, [_search(row) for row in rows])


def _search(row: Row) -> Sequence[str]:
    case, exact, found = row.case, row.exact, row.random_fps(SAMPLES)
    return (
        case.network.title,
        case.layout.name,
        str(case.bits),
        f"**{exact.fps:.2f}** ({exact.dsp}, {exact.bram})",
        _known_exact(row),
        f"{mean(found):.1f} ({min(found):.1f} to {max(found):.1f})",
        f"{row.range[0]:.1f} to {row.range[1]:.1f}",
        _spread(case.random),
        f"{mean(row.random_fps(10_000)):.1f}",
        _number(case.random_10k),
        f"{mean(row.random_fps(2_000)):.1f}",
        _number(case.random_2k),
        _number(case.plotted),
        "" if case.plotted is None else f"{exact.fps / case.plotted:.2f}",
        f"{exact.latency / CLOCK_HZ * 1e3:.1f}",
    )


def _known_exact(row: Row) -> str:
    case = row.case
    if case.exact is None:
        return ""
    same = agrees(row.exact.fps, case.exact)
    if case.exact_dsp_bram is not None:
        same = same and case.exact_dsp_bram == (row.exact.dsp, row.exact.bram)
    return f"{case.exact:g}, {'equal' if same else '**not equal**'}"


def _reading(rows: Sequence[Row]) -> str:
    known = [row for row in rows if row.case.exact is not None]
    equal = sum("not" not in _known_exact(row) for row in known)
    inside = [row for row in rows if row.case.random is not None]
    means = sum(row.range[0] <= row.case.random.mean <= row.range[1] for row in inside if row.case.random)
    fits = min(progress.fitting / progress.drawn for row in rows for progress in row.random)
    fbnet = {(r.case.layout.name, r.case.bits): r for r in rows if r.case.network is FBNET_C}
    small, large = (fbnet.get((layout.name, 16), rows[0]) for layout in (FOUR, TEN))
    spread = max(max(r.random_fps(SAMPLES)) / min(r.random_fps(SAMPLES)) for r in rows)
    best16 = max(fps for bits, fps, _ in DNA_POINTS if bits == 16)
    sizes = ", ".join(f"{layout.name} {size(layout):.2e}" for layout in LAYOUTS if "CIFAR" not in layout.name)
    return f"""
- {equal} of {len(known)} known optima are equal to every digit that is known, DSPs and BRAMs included where they are.
- {means} of {len(inside)} known means of random searches lie within nine in ten. A mean of five searches says little:
  searches of one row that differ in the seed alone differ by up to a factor of {spread:.1f}. At least {fits:.1%} of
  the designs drawn fit, so the limits hardly matter to a random search.
- The plotted FPS of FBNet-C lies within what random search finds, far below the optimum. Searched exactly, in the
  small layout and without any change of network, FBNet-C has {small.exact.fps:.1f} FPS at 16 bits. DNA's own fastest
  plotted network at 16 bits has {best16:g}.
- For FBNet-C at 16 bits, the optimum of ten chunks is {large.exact.fps / small.exact.fps:.1f} times that of four.
  Random search finds {mean(large.random_fps(SAMPLES)):.1f} FPS with ten and {mean(small.random_fps(SAMPLES)):.1f}
  with four. The larger the space, the more a search that looks at its structure is worth.
- Designs of each layout, at one number of bits: {sizes}.
- EfficientNet-B0 and ProxylessNAS-Mobile are as the authors' scripts enter them. So one of ProxylessNAS's 7x7 blocks
  is replaced by an `e7` block. The tables are those of the scripts: channels up to 16 in the first pair of chunks.
"""


def _worths(worths: Mapping[str, Sequence[Worth]]) -> str:
    header = ["Correction"]
    for title in worths:
        header += [f"{title}: same", "anew"]
    first = next(iter(worths.values()))
    lines = []
    for i, worth in enumerate(first):
        line = [worth.what]
        for column in worths.values():
            line += [_same(column[i]), _anew(column[i], column[0])]
        lines.append(line)
    return _table(header, lines)


def _same(worth: Worth) -> str:
    if worth.same_fits:
        return f"{worth.same.fps:.2f}"
    return f"does not fit ({worth.same.dsp}, {worth.same.bram})"


def _anew(worth: Worth, published: Worth) -> str:
    if worth.anew is None or published.anew is None:
        return "nothing fits"
    change = worth.anew.fps / published.anew.fps - 1
    note = f", {change:+.0%}" if abs(change) >= 0.005 else ""
    return f"{worth.anew.fps:.2f} ({worth.anew.dsp}, {worth.anew.bram}){note}"


def _free_changes(found: Sequence[FreeChange]) -> str:
    text = f"""
Skips that change width or size (6): none of the networks above has one. In the space of 22 blocks x 9 operators, six
blocks change width or size. So a network drawn at random has such a skip with chance {1 - (8 / 9) ** 6:.0%}. The rows
are the worst case, and a network that the authors list as found for CIFAR. *Paid* has the smallest operator, `k3_e1`,
instead of such skips.

"""
    header = ("Network", "Layout", "Bits", "Products, free", "paid", "FPS, free", "paid", "Change")
    return text + _table(header, [_free_change(change) for change in found])


def _free_change(change: FreeChange) -> Sequence[str]:
    free, paid = (f"{products / 1e6:.1f} M" for products in change.products)
    fps = (f"{change.free.fps:.1f}", f"{change.paid.fps:.1f}", f"{change.paid.fps / change.free.fps - 1:+.1%}")
    return (change.network.title, change.layout.name, str(change.bits), free, paid, *fps)


def _ours(results: Results) -> str:
    board = results.board
    lines = [f"- {title}: {reason}." for title, reason in results.refused.items()]
    head = f"""
## The same networks in our model

Our machine is different. It has a line engine for every node, with its weights on chip; DNA's reads them from DRAM
for every tile. So a network of many weights may not fit. Streams, buffers, adder trees, requantizers and additions
are priced in LUTs, flip-flops, DSPs and BRAMs. The limits are {board.budget.bram18} BRAM18, {board.budget.lut:,} LUTs
and {board.budget.dsp} DSPs: the share of the XC7Z045 that `boards/{board.name}.yaml` lets a design take. The clock is
{board.clock_mhz:.0f} MHz, not 200. Weights are random, multipliers powers of two. *Blocks* are the layers that DNA's
model counts, with the additions. *Whole* adds stem, header, average and classifier. Few bits make weights fit, and
say nothing of accuracy. Keep that in mind when comparing these FPS with those above. Where time ran out, the design
depends on the machine that searched.

"""
    header = ("Network", "Part", "Weight, activation bits", "FPS", "Proof", "DSP, BRAM18, LUT")
    table = _table(header, [_our_line(our, board) for our in results.ours])
    return head + table + "\nNot priced:\n\n" + "\n".join(lines) + "\n"


def _our_line(our: Ours, board: Board) -> Sequence[str]:
    start = (our.network.title, "whole" if our.whole else "blocks", f"{our.bits[0]}, {our.bits[1]}")
    if our.found is None:
        short = our.trouble.partition(": ")[2].partition(": ")[2].partition("; use ")[0]
        return (*start, "does not fit", "", short or our.trouble)
    found, clock = our.found, board.clock_mhz * 1e6
    proof = "optimal" if found.proved_optimal else f"none above {clock / found.bound:,.0f}; time ran out"
    used = found.resources
    fps = f"**{clock / found.interval_cycles:,.0f}**"
    return (*start, fps, proof, f"{used.dsp}, {used.bram18}, {used.lut:,}")


def _missing() -> str:
    points = ", ".join(f"{fps:g} FPS" for _, fps, _ in DNA_POINTS)
    return f"""
## What is not here, and why

- FBNet-V2-F4, APQ, MP-NAS, HS-Co-Opt, and DNA's own points ({points}). It is not public which blocks they have, or
  which of the listed ones they are.
- EDD-Net-3 has no known optimum to compare with. Its blocks are as the authors enter them: the first block ends at 16
  channels where the second begins at 32. Its stem and header are not among what they entered.
- The ASIC figures come from another tool and another model.
"""


def _spread(spread: Spread | None) -> str:
    return "" if spread is None else f"{spread.mean:g} ({spread.low:g} to {spread.high:g})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
