"""The rank correlations as a page of Markdown and a plot; every word that depends on a figure is chosen by it."""

import textwrap
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from common import table

from codesign.report.svg import figure, line, rect, round_ticks, text

FloatArray = npt.NDArray[np.float64]

HIGH, FAIR = 0.95, 0.8  # from where on an order counts as kept, and as half kept
SMALL = 0.05  # a loss of speed that does not matter
BIN = 0.05

STYLE = """<style>
text { font: 11px sans-serif; fill: #1b2733 } .chart-title { font-weight: 600; font-size: 13px }
.axis { fill: #5b6875; font-size: 10px } .grid { stroke: #d9dfe5 } .bar { fill: #2f6f9f } .ground { fill: #ffffff }
</style>"""

INTRO = """# Do networks keep their order from one accelerator to the next?

Made by `make bench-correlation`, which is `python benchmarks/correlation.py --out docs/rank_correlation.md`, in
{seconds:.0f} processor seconds; do not edit by hand. Every figure is of the cost model; none is a measurement.

Suppose that networks had the same order of speed on every accelerator. Then network and accelerator could be searched
one after the other. One would find the good networks on any one accelerator, then look for the best accelerator for
them. This is semi-decoupled search (arXiv 2203.13921), which calls the property *performance monotonicity*. This page
asks how far that holds here.

- **Networks.** {drawn} networks are drawn evenly from the built-in space `fashion` (28x28, 10 classes): operators,
  widths, bits of weights and activations, head. {fitting} of them fit all {count} accelerators and count below.
- **Accelerators.** A machine of this package is a pipeline with an engine for every node, so it is made for one
  network. What stays the same from network to network is a rule. It says how much of which board there is, and which
  share of it every stage and the head may take. Shares are even (a quarter each), front (45, 30, 15, 10 %) or back
  (15, 25, 45, 15 %). The rule says whether engines grow in output channels (PE), in input channels (SIMD) or in both,
  and what multiplies. It also says what is counted: the cycles between images, or those of one image. A part of the
  network is as fast as its share allows, with the cheapest engines.
- **Spearman** is the correlation of the ranks. It is 1 where the order is the same, and 0 where one order tells
  nothing about the other.
"""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Table:
    """Losses where a network must be worth at least a quantile: of one accelerator's choice, of its front, designed."""

    what: str
    share: float
    networks: int
    one: FloatArray
    front: FloatArray
    exact: FloatArray


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Figures:
    """What correlation.py found: A accelerators in words, cycles [networks, A], Spearman [A, A], losses."""

    accelerators: tuple[tuple[str, ...], ...]
    drawn: int
    fitting: int
    table: FloatArray
    correlation: FloatArray
    with_macs: FloatArray
    with_exact: FloatArray
    exact: FloatArray
    exact_with_macs: float
    limited: float
    exact_board: str
    groups: tuple[tuple[str, tuple[int, ...]], ...]
    tables: tuple[Table, ...]
    seconds: float

    @property
    def pairs(self) -> FloatArray:
        """The correlation of every two different accelerators."""
        return self.correlation[np.triu_indices(len(self.correlation), 1)]


def page(found: Figures, image: str) -> str:
    """Return the page, with the plot of that name beside it."""
    pairs = found.pairs
    count = len(found.accelerators)
    low = np.unravel_index(int(found.correlation.argmin()), found.correlation.shape)
    shares = [(pairs >= limit).mean() for limit in (HIGH, FAIR)]
    text = INTRO.format(seconds=found.seconds, drawn=found.drawn, fitting=found.fitting, count=count)
    text += f"\n![Rank correlation of every two accelerators]({image})\n\n"
    text += _wrapped(
        f"Of the {len(pairs)} pairs, the smallest correlation is **{pairs.min():.2f}** (accelerators {low[0] + 1} and "
        f"{low[1] + 1}), the median **{np.median(pairs):.2f}**, the largest {pairs.max():.2f}. {shares[0]:.0%} of "
        f"the pairs reach {HIGH}, {shares[1]:.0%} reach {FAIR}."
    )
    text += "\n" + _groups(found)
    text += "\n## The accelerators\n\n" + _accelerators(found)
    text += "\n" + LOSSES.format(board=found.exact_board) + _losses(found) + "\n"
    return text + "## What it says\n\n" + "".join(_wrapped(f"- {words}", "  ") for words in _verdict(found))


LOSSES = """## What it costs to choose on another accelerator

A network must be worth something. It needs at least as many products or weights as the lower quartile, the median or
the upper quartile. Products and weights stand in for accuracy, which is not measured here. Among those that are worth
enough, the fastest on accelerator *i* is chosen, and run on accelerator *j*. Its *loss* is how many more cycles it
takes there than the fastest on *j*. Losses are over all pairs; of equally fast choices the mean counts. *Front*:
accelerator *i* names all networks that are its fastest for what they are worth. The fastest of these on *j* is taken,
as in semi-decoupled search. *Designed after*: the network that accelerator *i* chose gets its own best design, found
by the exact search on {board}. It is compared with the best of all networks that have designs of their own. This is
what two steps lose against a joint search of the same networks.

"""


def _accelerators(found: Figures) -> str:
    header = (
        "", "Board", "Of it", "Shares", "Engines grow", "Multipliers", "Counted", "Median, cycles",
        "Spearman with MACs", "with exact designs",
    )  # fmt: skip
    rows = [
        (
            str(i + 1),
            *words,
            f"{np.median(found.table[:, i]):,.0f}",
            f"{found.with_macs[i]:.2f}",
            f"{found.with_exact[i]:.2f}",
        )
        for i, words in enumerate(found.accelerators)
    ]
    note = (
        "*With exact designs*: the correlation with the intervals of every network's own best design on "
        f"{found.exact_board}. Their median is {np.median(found.exact):,.0f} cycles. {found.limited:.0%} of these "
        "designs are at the machine's own limit: no engine for their slowest node is faster, whatever the board has."
    )
    return table(header, rows) + "\n" + _wrapped(note)


def _losses(found: Figures) -> str:
    header = (
        "Worth in", "At least, quantile", "Networks", "Loss, mean", "worst", f"above {SMALL:.0%}", "Front, mean",
        "worst", "Designed after, mean", "worst",
    )  # fmt: skip
    rows = []
    for t in found.tables:
        one, front = _others(t.one), _others(t.front)
        rows.append(
            (
                t.what, f"{t.share:.0%}", str(t.networks), f"{one.mean():.0%}", f"{one.max():.0%}",
                f"{(one > SMALL).mean():.0%} of pairs", f"{front.mean():.0%}", f"{front.max():.0%}",
                f"{t.exact.mean():.0%}", f"{t.exact.max():.0%}",
            )
        )  # fmt: skip
    return table(header, rows)


def _groups(found: Figures) -> str:
    rows = []
    for words, members in found.groups:
        part = found.correlation[np.ix_(members, members)][np.triu_indices(len(members), 1)]
        kept = f"{(part >= HIGH).mean():.0%}"
        rows.append((words, str(len(members)), f"{part.min():.2f}", f"{np.median(part):.2f}", kept))
    return table(("Accelerators", "How many", "Smallest", "Median", f"Pairs of {HIGH} or more"), rows)


def _verdict(found: Figures) -> list[str]:
    pairs = found.pairs
    one, front = (np.concatenate([_others(getattr(t, k)) for t in found.tables]) for k in ("one", "front"))
    exact = np.concatenate([t.exact for t in found.tables])
    kept = (pairs >= HIGH).mean()
    order = "keep" if kept >= 0.9 else "mostly keep" if (pairs >= FAIR).mean() >= 0.9 else "do not keep"
    enough = "A few networks mostly suffice" if front.mean() <= SMALL else "A few networks do not suffice"
    joint = "A joint search has little left to gain" if exact.mean() <= SMALL else "A joint search avoids this loss"
    stand_in = "a fair" if min(float(np.median(found.with_macs)), found.exact_with_macs) >= FAIR else "a poor"
    return [
        f"Networks {order} their order. {kept:.0%} of the pairs of accelerators correlate with {HIGH} or more, and the "
        f"worst pair with {pairs.min():.2f}.",
        "Take the network that is fastest on one accelerator, and run it on another. It takes "
        f"{one.mean():.0%} more cycles there on average, at worst {one.max():.0%}, than the network that is fastest "
        "there.",
        f"The front of one accelerator, searched again on the other, loses {front.mean():.0%} on average and "
        f"{front.max():.0%} at worst. {enough}.",
        "Choose a network on a fixed accelerator, and design its own accelerator afterwards. It is "
        f"{exact.mean():.0%} slower on average, {exact.max():.0%} at worst, than what a joint choice finds among the "
        f"same {found.fitting} networks. {joint}.",
        f"The number of products correlates with cycles by {found.with_macs.min():.2f} to "
        f"{found.with_macs.max():.2f}, depending on the accelerator. Where each network has its own design, it is "
        f"{found.exact_with_macs:.2f}. A search by MACs is {stand_in} stand-in for one by cycles.",
        "Fixed rules are a coarse picture of hardware that is searched. They show that the order depends on the "
        "hardware. They do not show how much accuracy a joint search gains; that takes trained networks.",
    ]


def _others(losses: FloatArray) -> FloatArray:
    """Return the correlations of different accelerators."""
    return losses[~np.eye(len(losses), dtype=np.bool_)]


def plot(found: Figures) -> str:
    """Draw every pair as a square, and beside them how many pairs there are of each correlation."""
    count, size, left, top = len(found.accelerators), 17.0, 34.0, 46.0
    parts = [STYLE, rect(0, 0, 760, 430, "ground")]
    parts.append(text(left, 18, "Spearman's rank correlation of cycles", "chart-title"))
    low = min(0.0, float(found.pairs.min()))
    for i in range(count):
        parts.append(text(left - 6, top + size * i + 12, str(i + 1), "axis", "end"))
        parts.append(text(left + size * i + size / 2, top - 6, str(i + 1), "axis", "middle"))
        for j in range(count):
            value = float(found.correlation[i, j])
            square = rect(left + size * j, top + size * i, size - 1, size - 1, "", tip=f"{i + 1}, {j + 1}: {value:.2f}")
            parts.append(square.replace('class=""', f'fill="{_colour((value - low) / (1 - low))}"'))
    for i in range(101):
        bar = rect(left + size * count * i / 101, top + size * count + 12, size * count / 101 + 0.5, 10, "")
        parts.append(bar.replace('class=""', f'fill="{_colour(i / 100)}"'))
    for value in (low, (1 + low) / 2, 1.0):
        where = left + size * count * (value - low) / (1 - low)
        parts.append(text(where, top + size * count + 36, f"{value:.2f}", "axis", "middle"))
    parts += _histogram(found.pairs, low, left + size * count + 70, top, 270.0, size * count)
    return figure(760, 430, "Rank correlation of every two accelerators", parts) + "\n"


def _histogram(pairs: FloatArray, low: float, left: float, top: float, width: float, height: float) -> list[str]:
    first = np.floor(low / BIN) * BIN
    edges = np.arange(first, 1.0 + BIN / 2, BIN)
    counts, _ = np.histogram(np.minimum(pairs, 1.0 - 1e-9), edges)
    ticks = round_ticks(0.0, float(counts.max()))
    parts = [text(left, 18, f"The {len(pairs)} pairs", "chart-title")]
    for tick in ticks:
        y = top + height * (1 - tick / ticks[-1])
        parts += [line(left, y, left + width, y, "grid"), text(left - 6, y + 4, f"{tick:g}", "axis", "end")]
    step = width / len(counts)
    for i, n in enumerate(counts):
        tall = height * float(n) / ticks[-1]
        tip = f"{edges[i]:.2f} to {edges[i + 1]:.2f}: {n} pairs"
        parts.append(rect(left + step * i + 1, top + height - tall, step - 2, tall, "bar", tip=tip))
    for value in np.linspace(first, 1.0, 5):
        where = left + width * (value - first) / (1.0 - first)
        parts.append(text(where, top + height + 16, f"{value:.2f}", "axis", "middle"))
    return parts


def _colour(share: float) -> str:
    """Return a colour from orange at 0 over pale to blue at 1."""
    stops = np.array([(196, 92, 38), (240, 234, 222), (32, 92, 138)], dtype=np.float64)
    at = min(max(share, 0.0), 1.0) * 2
    i = min(int(at), 1)
    mixed = stops[i] + (stops[i + 1] - stops[i]) * (at - i)
    return "#" + "".join(f"{round(v):02x}" for v in mixed)


def _wrapped(words: str, indent: str = "") -> str:
    return textwrap.fill(words, 118, subsequent_indent=indent, break_long_words=False) + "\n"
