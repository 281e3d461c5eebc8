"""The race as one page of Markdown, from the stored cells alone."""

from collections.abc import Sequence
from math import sqrt
from statistics import mean, stdev

from .settings import ABLATIONS, RACE, TITLES, Method, all_cells
from .store import Result, Store, unmeasured
from .summary import Group, Spread, accuracy, differences, exact_fps, fps, groups, met, predicted_fps
from .tiny import BOARD, FPS, SHARE, TEST_IMAGES, Tiny, space
from .tiny import text as text_of

Row = Sequence[str]
MISSING = "missing"

INTRO = """# Our co-search and its rivals

Made by `make bench-cosearch` (which runs `benchmarks/cosearch.py`, then the same with `--page`) from the files under
`benchmarks/results/cosearch/`, one for each profile, board, demand, method and seed; do not edit by hand.

Every method searches the same space of networks on the same data for the same demand, frames per second on a board,
with the same model of cycles and resources. What it ends with is trained anew with the same settings, quantized,
exported, and its machine simulated in RTL: *accuracy* is the golden model's on all test images, *FPS* is measured in
RTL simulation at the board's clock, every output word compared.

- *ours*: choices by gradient, every network priced at its best design. The best finalist's widths and bits then grow as
  far as an exact design meets the demand; what that is worth is below, under "One part changed".
- *DNA's hardware search*: the same, but accelerator parameters (one multiplier array per block: LUT or DSP, lanes) are
  chosen by gradient with the network. It starts from the same code, repair of finalists and their growth on the arrays
  included, and shares its gains. Arrays learn in every step, for the network of the step, and begin before networks are
  chosen.
- *two steps*: regularised evolution for accuracy within a limit of products, then the best design. The first limit is
  what the board can multiply in the demanded interval; it is halved until the design is fast enough, and each trial
  counts.
- *fixed accelerator*: the best arrays for the network in the middle of the space, then regularised evolution of
  networks that meet the demand on them.
- *random*, *regularised evolution* (population 50, sample 10), *reinforcement learning* (recurrent controller,
  REINFORCE): network and arrays together. The reward is FNAS's, but its penalty grows with the violation (as published
  it is the same for all) and rewards are compared with their batch's mean: both help it.
- *semi-decoupled*: the front of networks on one proxy accelerator, then of these the most accurate whose own best
  design meets the demand. Whether networks keep their order on other accelerators is asked in
  [rank_correlation.md](rank_correlation.md).

There are two profiles of the same procedure. *full* is sized for six hours on two cores. *short* is for a first look:
its proxy is trained little, and a search may ask for so few accuracies that evolution and the controller have hardly
begun to learn when it ends; what they can do, only *full* says. Cells of different settings are never in one table.

The rivals judge networks by one supernet per seed, trained without hardware and the same for all of them; they share
nothing else. *Evaluations*: networks whose accuracy was looked at (ours, DNA's: the finalists). *Designs*: pairs of
network and accelerator that were priced. *CPU s*: processor seconds of the search, with the training of the supernet
(each rival is charged the whole of it once, ours and DNA's train their own); an evaluation that another rival had
asked for before is charged as if made anew. Final training and simulation are not in it. Where seeds differ: mean
(least to greatest). *FPS predicted*: of the method's own
accelerator. *Exact FPS*: of the best design of the same network, predicted. A column without a figure: not run yet.
"""

REACHES = """
### Until the controller's result is reached

Both courses by the rivals' proxy, which ours does not see: the first network of ours (the likeliest after an epoch,
or the result) that meets the demand and is at least as accurate as the controller's final one.

"""
REACHES_CHILDREN = """
The same where every network that the controller looks at is trained on its own, as published searches by reward do: an
epoch in float and one quantized on the proxy's images, judged by images that none trains on. The controller is charged
its own trainings only. Ours does not see these accuracies; its course is looked up with them afterwards.

"""
KNOWN = """A space of {networks} networks, two stages with operators, widths and bits. Each was trained once, briefly;
its accuracy on {images:,} test images is in a table. On {share:.1%} of a {board}, {meeting} of them have a design of at
least {fps:,.0f} FPS, by exact search of each. The most accurate of these, with {best:.2f} %, is the optimum (the most
accurate of all has {top:.2f} %). The co-search is told the accuracies that it asks for, nothing else.

**It finds the optimum in {hits} of {seeds} seeds**, asking for {asked:.0f} of {networks} accuracies (mean), in
{seconds:.1f} CPU s. As many networks drawn evenly would hold it in {chance:.0%} of all cases.
"""


def page(store: Store, known: Tiny | None = None) -> str:
    """The whole page; `known`: what the search found where the optimum is known."""
    found = groups(store.all())
    text = INTRO
    if found:
        text += "\n![Accuracy against FPS](cosearch.svg)\n\nFilled: measured. Hollow: predicted, not simulated yet.\n"
        text += "".join(_section(group) for group in found)
    else:
        text += "\nThere are no results yet.\n"
    return text + "\n## Where the optimum is known\n\n" + (_tiny(known) if known is not None else "Missing.\n")


def _tiny(known: Tiny) -> str:
    networks = space().networks
    if len(known.accuracies) < networks or not known.found or known.optimum is None:
        return f"Not finished: {len(known.accuracies)} of {networks} networks are trained.\n"
    accuracies = known.accuracies
    best = accuracies[text_of(known.optimum)]
    missed = [f for f in known.found if f.row is None or accuracies[text_of(f.row)] < best]
    text = KNOWN.format(
        networks=networks,
        images=TEST_IMAGES,
        share=SHARE,
        board=BOARD,
        meeting=known.meeting,
        fps=FPS,
        best=100 * best,
        top=100 * max(accuracies.values()),
        hits=known.hits,
        seeds=len(known.found),
        asked=mean(f.asked for f in known.found),
        chance=mean(f.asked for f in known.found) / networks,
        seconds=mean(f.seconds for f in known.found),
    )
    if missed:
        ends = ("nothing" if f.row is None else f"{100 * accuracies[text_of(f.row)]:.2f} %" for f in missed)
        text += f"The other seeds end with {', '.join(ends)}.\n"
    return text


def _section(group: Group) -> str:
    done, every = len(group.results), len(all_cells())
    seeds = sorted({r.cell.seed for r in group.results})
    text = f"\n## Profile {group.profile}\n\n{done} of {every} cells"
    text += (
        f", seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}; the others are missing.\n"
        if done < every
        else ".\n"
    )
    settings = group.results[0].settings
    text += "".join(f"- {name}: {value}\n" for name, value in settings.items())
    text += f"- machine: {'; '.join(sorted({r.machine for r in group.results}))}\n"
    for board, demand in group.demands():
        text += f"\n### {board}, {demand:,} FPS\n\n" + _race(group, board, demand)
    text += _words(group) + REACHES + _reaches(group, Method.OURS, Method.RL)
    return text + REACHES_CHILDREN + _reaches(group, Method.OURS_CHILDREN, Method.RL_CHILDREN) + _ablations(group)


def _race(group: Group, board: str, demand: int) -> str:
    header = (
        "Method",
        "Seeds",
        "Accuracy, %",
        "FPS predicted",
        "FPS measured",
        "Exact FPS",
        "Evaluations",
        "Designs",
        "CPU s",
    )
    return _table(header, [_line(m, group.of(board, demand, m)) for m in RACE])


def _line(method: Method, results: Sequence[Result]) -> Row:
    title = f"**{TITLES[method]}**" if method is Method.OURS else TITLES[method]
    if not results:
        return (title, MISSING, *[""] * 7)
    short = len(results) - sum(map(met, results))
    seeds = f"{len(results)}" + (f", {short} without a result" if short else "")
    best = accuracy(results)
    return (
        title,
        seeds,
        "none" if best is None else _percent(best),
        _spread(predicted_fps(results)),
        _measured(results),
        _spread(exact_fps(results)),
        _count(r.search.evaluations for r in results),
        _count(r.search.points for r in results),
        _count(r.search.seconds for r in results),
    )


def _measured(results: Sequence[Result]) -> str:
    """The measured FPS, and of how many cells if not of all that could have one."""
    own = [r for r in results if r.final is not None and r.final.fps is not None]
    done = [r for r in own if not unmeasured(r)]
    return _spread(fps(done)) + (f" ({len(done)} of {len(own)})" if done and len(done) < len(own) else "")


def _words(group: Group) -> str:
    """Where ours stands, in words that follow from the figures."""
    lines = []
    for board, demand in group.demands():
        own = accuracy(group.of(board, demand, Method.OURS))
        rivals = {m: accuracy(group.of(board, demand, m)) for m in RACE if m is not Method.OURS}
        met_by = {m: s for m, s in rivals.items() if s is not None}
        where = f"{board}, {demand:,} FPS"
        if own is None or not met_by:
            lines.append(f"- {where}: not enough results to compare.")
            continue
        best = max(met_by, key=lambda m: met_by[m].mean)
        gap = 100 * (own.mean - met_by[best].mean)
        verdict = f"{gap:.2f} points above" if gap > 0 else f"{-gap:.2f} points **below**" if gap < 0 else "equal to"
        none = [TITLES[m] for m in rivals if group.of(board, demand, m) and rivals[m] is None]
        also = f" Nothing that meets the demand: {'; '.join(none)}." if none else ""
        ran = sum(bool(group.of(board, demand, m)) for m in rivals)
        of = "the best rival" if ran == len(rivals) else f"the best of the {ran} of {len(rivals)} rivals that ran"
        lines.append(f"- {where}: ours is {verdict} {of}, {TITLES[best]}.{also}")
    return "\n### Where ours stands\n\nMean accuracy of the results that meet the demand.\n\n" + "\n".join(lines) + "\n"


def _reaches(group: Group, ours: Method, controller: Method) -> str:
    """When the two courses, judged by the same accuracies, reach what the controller ends with."""
    header = (
        "Board, demand, seed",
        "RL: accuracy as judged",
        "evaluations",
        "CPU s",
        "ours: evaluations",
        "CPU s",
        "less time by",
    )
    rows = []
    for board, demand in group.demands():
        by_seed = {r.cell.seed: r for r in group.of(board, demand, ours)}
        for theirs in group.of(board, demand, controller):
            own = by_seed.get(theirs.cell.seed)
            if own is not None:
                rows.append(_reach(f"{board}, {demand:,}, {own.cell.seed}", own, theirs))
    return _table(header, rows) if rows else "Missing: no pair of cells to compare.\n"


def _reach(name: str, own: Result, theirs: Result) -> Row:
    accuracy = theirs.search.proxy_accuracy
    if accuracy is None:
        return (name, "none found", f"{theirs.search.evaluations:,}", f"{theirs.search.seconds:,.0f}", "", "", "")
    first = next((s for s in own.search.course if s.accuracy >= accuracy), None)
    end = next(s for s in theirs.search.course if s.accuracy >= accuracy)
    head = (name, f"{100 * accuracy:.1f} %", f"{end.evaluations:,}", f"{end.seconds:,.0f}")
    if first is None:
        return (*head, "not reached", "", "")
    ratio = end.seconds / first.seconds
    times = f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"
    return (*head, f"{first.evaluations:,}", f"{first.seconds:,.0f}", f"{times} times")


def _ablations(group: Group) -> str:
    header = ("Board, demand", "Method", "Seeds", "Accuracy, %", "FPS predicted", "FPS measured", "CPU s")
    rows: list[Row] = []
    for board, demand in group.demands():
        for method in (Method.OURS, Method.DNA, *ABLATIONS):
            results = group.of(board, demand, method)
            line = _line(method, results)
            rows.append((f"{board}, {demand:,}", *line[:5], line[8]))
    return "\n### One part changed\n\n" + _table(header, rows) + _effects(group)


def _effects(group: Group) -> str:
    """What a change of one part makes of the accuracy, with its standard error."""
    lines = []
    for method in (Method.DNA, *ABLATIONS):
        found = [100 * d for d in differences(group, method)]
        if len(found) > 1:
            error = stdev(found) / sqrt(len(found))
            lines.append(f"- {TITLES[method]}: {mean(found):+.2f} ± {error:.2f} ({len(found)} pairs)\n")
    head = "\nAccuracy less that of ours at the same demand and seed, in points: mean and its standard error.\n\n"
    return head + "".join(lines) if lines else ""


def _percent(spread: Spread) -> str:
    scaled = Spread(100 * spread.mean, 100 * spread.least, 100 * spread.greatest)
    return _spread(scaled, ".2f")


def _spread(spread: Spread | None, form: str = ",.0f") -> str:
    if spread is None:
        return ""
    text = format(spread.mean, form)
    if spread.least == spread.greatest:
        return text
    return f"{text} ({format(spread.least, form)} to {format(spread.greatest, form)})"


def _count(values: object) -> str:
    return f"{mean(values):,.0f}"


def _table(header: Row, rows: Sequence[Row]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
