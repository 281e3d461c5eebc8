"""The race as one page of Markdown, from the stored cells alone."""

from collections.abc import Sequence
from statistics import mean

from common import table

from .settings import ABLATIONS, JUDGED_IMAGES, RACE, TITLES, TRAINED, Method, all_cells
from .store import Result, Store, unmeasured
from .summary import Estimate, Group, Spread, accuracy, differences, exact_fps, fps, groups, met, predicted_fps
from .tiny import BOARD, FPS, SHARE, TEST_IMAGES, Tiny, space
from .tiny import text as text_of

Row = Sequence[str]
MISSING = "missing"

INTRO = """# Our co-search and its rivals

Made by `make bench-cosearch` (which runs `benchmarks/cosearch.py`, then the same with `--page`) from the tables under
`benchmarks/results/cosearch/`. A row of these is one profile, board, demand, method and seed. Do not edit this page
by hand.

All methods search the same space of networks on the same data. They share the demand, which is frames per second on a
part of a board. They share the model of cycles and resources too. The network that a search finds is trained again
with the same settings, quantized and exported. Its machine is simulated in RTL. *Accuracy* is the golden model's on
all test images. *FPS* is measured in RTL simulation at the board's clock, and every output word is compared.

**All searches end in the same way.** A search keeps its six most promising candidates that meet the demand. They grow
in widths and bits as far as the demand is still met, on the kind of accelerator that the method has. Each is then
trained for three short epochs. The result is the candidate that is most accurate on images that these trainings do
not see. What differs between two methods is therefore what their searches are worth.

- *ours*: choices by gradient; every network is priced at its best design. The six candidates include the two networks
  that it can begin with. These are the network of *no search*, and the one of most products within the demand. It
  begins with the one that is better after its short training. By default the package would then train neighbours of
  the best network, which differ in one choice, and go on from better ones. No rival does this, so it is left out here
  and stands among the variants below.
- *DNA's hardware search*: the same, but accelerator parameters are chosen by gradient with the network. They are one
  multiplier array per block: LUT, DSP or packed DSP, and lanes. Arrays learn in every step, for the network of that
  step. They begin to learn before networks are chosen.
- *two steps*: regularised evolution for accuracy within a limit of products, then the best design. The first limit is
  what the board can multiply in the demanded interval. It is halved until the design is fast enough, and each trial
  counts.
- *fixed accelerator*: the best arrays for one network, then regularised evolution of networks on them. That network
  is the one in the middle of the space. If its arrays miss the demand, 200 networks are drawn. Of those whose arrays
  meet it, the one of most products is taken.
- *random*, *regularised evolution* (population 50, sample 10), *reinforcement learning* (recurrent controller,
  REINFORCE): network and arrays together. The controller's reward is FNAS's, with two changes that help it. Its
  penalty grows with the violation; as published it is the same for all. Rewards are compared with their batch's
  mean.
- *semi-decoupled*: the front of networks on one proxy accelerator. Of these, the most accurate is taken whose own
  best design meets the demand. [rank_correlation.md](rank_correlation.md) asks whether networks keep their order on
  other accelerators.
- *no search*: the network where ours begins, with the first operators and middle widths and bits. It is changed at
  least cost until it meets the demand, and enlarged. A search that is not above it has gained nothing.

There are two profiles of the same procedure. *short* is sized for six hours on two cores (`--jobs 2`). Its proxy is
trained little, and a search may ask for only few accuracies. Evolution and the controller have then hardly begun to
learn when it ends. Only *full* (`--profile full`) shows what they can do; it takes about twice as long. Cells of
different settings are never in one table.

The rivals judge networks by one supernet per seed. It is trained without hardware and is the same for all of them.
They share nothing else. *Evaluations* are networks whose accuracy was looked at, by shared weights or by training.
Only the rivals have a limit of them; ours and DNA's have a number of epochs instead. So *CPU s* compares them:
processor seconds of the search and its end, with the training of the supernet. Each rival is charged the whole
supernet once; ours and DNA's train their own. An evaluation that another rival asked for before is charged as if it
were made again. Final training and simulation are not counted. *Designs* are pairs of network and accelerator that
were priced. Where seeds differ, a cell shows the mean (least to greatest). *FPS predicted* is that of the method's
own accelerator. *Exact FPS* is predicted for the best design of the same network. A column without a figure has not
run yet.
"""

WHERE = """
### Where ours stands

Pairs are of one demand and seed where both methods meet the demand. A figure is the mean over seeds, with its
standard error. A difference counts only if it is more than twice its error.

"""
REACHES = """
### Until the controller's result is reached

Both searches are judged by the rivals' proxy, which ours does not see. Ours has a network after every epoch in which
choices moved, the likeliest one, and its result. The first of these counts that meets the demand and is at least as
accurate as the best that the controller looked at. 0 evaluations mean that ours has asked only for the accuracies of
the two networks that it can begin with. Its seconds include the training of these two. *In all* is the whole search
of the controller. A controller does not know that it has seen its best, so its user waits for the end.

"""
REACHES_CHILDREN = """
The same is shown where every network that the controller looks at is trained on its own, as in published searches by
reward. Each is trained for an epoch in float and one quantized, on the proxy's images. It is judged by {images:,}
images that none trains on. The controller looks at {networks:,} networks, and is charged its own trainings only. The
best of so many judgements is in part luck. So *as judged* is here the judgement of a second training, with another
seed and other images. It is made of the network that the controller found best, and of the networks along our search.

"""
VARIANTS = """
### One part changed

These are runs on one board. *Begun at the last operators*: the space lists the operators of every block and the
poolings in reverse order. So another network is the first that the search can begin with; the one of most products
stays as it is. *Neighbours trained*: the search ends as it does by default in the package, with up to 12 more
trainings.

"""
KNOWN = """The space has {networks} networks: two stages with operators, widths and bits. Each was trained once,
briefly, and a table holds its accuracy on {images:,} test images. By exact search of each, {meeting} of them have a
design of at least {fps:,.0f} FPS on {share:.1%} of a {board}. The most accurate of these, with {best:.2f} %, is the
optimum. The most accurate of all has {top:.2f} %. The co-search gets the accuracies that it asks for, and
nothing else.

**It finds the optimum in {hits} of {seeds} seeds.** It asks for {asked:.0f} of {networks} accuracies (mean), in
{seconds:.1f} CPU s. As many networks drawn evenly from all would include the optimum in {chance:.0%} of all cases.
Drawn evenly from those alone that meet the demand, they would include it in {informed:.0%}. To know those takes the
exact design of every network first.
"""


def page(store: Store, known: Tiny | None = None) -> str:
    """Return the whole page; `known`: what the search found where the optimum is known."""
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
        informed=min(mean(f.asked for f in known.found) / known.meeting, 1.0),
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
    children = REACHES_CHILDREN.format(images=JUDGED_IMAGES, networks=TRAINED.evaluations)
    return text + children + _reaches(group, Method.OURS_CHILDREN, Method.RL_CHILDREN) + _ablations(group)


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
    return table(header, [_line(m, group.of(board, demand, m)) for m in RACE])


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
    """Return the measured FPS, and of how many cells if not of all that could have one."""
    own = [r for r in results if r.final is not None and r.final.fps is not None]
    done = [r for r in own if not unmeasured(r)]
    return _spread(fps(done)) + (f" ({len(done)} of {len(own)})" if done and len(done) < len(own) else "")


def _words(group: Group) -> str:
    """Say where ours stands, in words that follow from the figures."""
    lines = []
    for board, demand in group.demands():
        where = f"{board}, {demand:,} FPS"
        rivals = [m for m in RACE if m is not Method.OURS and group.of(board, demand, m)]
        gaps = {m: Estimate.of(differences(group, m, [(board, demand)])) for m in rivals}
        held = {m: gap for m, gap in gaps.items() if gap is not None}
        if not held:
            lines.append(f"- {where}: not enough results to compare.")
            continue
        best = max(held, key=lambda m: held[m].mean)
        none = [TITLES[m] for m in rivals if m not in held]
        also = f" Nothing that meets the demand: {'; '.join(none)}." if none else ""
        every = len(RACE) - 1
        of = "the best rival" if len(rivals) == every else f"the best of the {len(rivals)} of {every} rivals that ran"
        lines.append(f"- {where}: ours is {_gap(held[best])} {of}, {TITLES[best]}.{also}")
    return WHERE + "\n".join(lines) + "\n" + _over_all(group)


def _over_all(group: Group) -> str:
    """Compare each method with ours, over all demands."""
    lines = []
    for method in RACE:
        gap = Estimate.of(differences(group, method, group.demands())) if method is not Method.OURS else None
        if gap is not None:
            lines.append(f"- {TITLES[method]}: ours is {_gap(gap)} it.\n")
    return "\nOver all demands that both have:\n\n" + "".join(lines) if lines else ""


def _gap(rival: Estimate) -> str:
    """Say how far ours is above a rival, in points, given the rival's accuracy less ours."""
    points = -100 * rival.mean
    side = "above" if points > 0 else "**below**" if points < 0 else "apart"
    if rival.error is None:
        return f"{abs(points):.2f} points {side}, with one seed and no error known,"
    doubt = "" if rival.is_clear else ", with no clear difference from"
    return f"{abs(points):.2f} ± {100 * rival.error:.2f} points {side}{doubt}"


def _reaches(group: Group, ours: Method, controller: Method) -> str:
    """Return when the two courses, judged by the same accuracies, reach what the controller ends with."""
    header = (
        "Board, demand, seed",
        "RL: accuracy as judged",
        "evaluations",
        "CPU s",
        "CPU s in all",
        "ours: evaluations",
        "CPU s",
        "less time by",
        "than all by",
    )
    rows = []
    for board, demand in group.demands():
        by_seed = {r.cell.seed: r for r in group.of(board, demand, ours)}
        for theirs in group.of(board, demand, controller):
            own = by_seed.get(theirs.cell.seed)
            if own is not None:
                rows.append(reach(f"{board}, {demand:,}, {own.cell.seed}", own, theirs))
    return table(header, rows) if rows else "Missing: no pair of cells to compare.\n"


def reach(name: str, own: Result, theirs: Result) -> Row:
    """Return one line: the controller's best, what it took, and what ours took to be as accurate."""
    accuracy = theirs.search.course[-1].accuracy if theirs.search.course else None
    if accuracy is None:
        return (name, "none found", f"{theirs.search.evaluations:,}", "", f"{theirs.search.seconds:,.0f}", *[""] * 4)
    first = next((s for s in own.search.course if s.accuracy >= accuracy), None)
    end = next(s for s in theirs.search.course if s.accuracy >= accuracy)
    head = (name, f"{100 * accuracy:.1f} %", f"{end.evaluations:,}", f"{end.seconds:,.0f}")
    head = (*head, f"{theirs.search.seconds:,.0f}")
    if first is None:
        return (*head, "not reached", "", "", "")
    ratios = (seconds / first.seconds for seconds in (end.seconds, theirs.search.seconds))
    times = (f"{ratio:.0f} times" if ratio >= 10 else f"{ratio:.1f} times" for ratio in ratios)
    return (*head, f"{first.evaluations:,}", f"{first.seconds:,.0f}", *times)


def _ablations(group: Group) -> str:
    header = ("Board, demand", "Method", "Seeds", "Accuracy, %", "FPS predicted", "FPS measured", "CPU s")
    rows: list[Row] = []
    for board, demand in group.demands():
        ran = any(group.of(board, demand, method) for method in ABLATIONS)
        for method in (Method.OURS, Method.DNA, Method.NONE, *ABLATIONS) if ran else ():
            results = group.of(board, demand, method)
            line = _line(method, results)
            rows.append((f"{board}, {demand:,}", *line[:5], line[8]))
    return VARIANTS + (table(header, rows) if rows else "Missing.\n") + _effects(group)


def _effects(group: Group) -> str:
    """Say how a change of one part changes the accuracy, with its standard error over seeds."""
    lines = []
    for method in (Method.DNA, *ABLATIONS):
        by_seed = differences(group, method, group.demands())
        found = Estimate.of(by_seed)
        if found is not None and found.error is not None:
            pairs = sum(map(len, by_seed.values()))
            text = f"{100 * found.mean:+.2f} ± {100 * found.error:.2f} ({len(by_seed)} seeds, {pairs} pairs)"
            lines.append(f"- {TITLES[method]}: {text}\n")
    head = (
        "\nAccuracy less that of ours at the same demand and seed, in points. Each figure is the mean over seeds of "
        "the means over demands, with its standard error.\n\n"
    )
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
