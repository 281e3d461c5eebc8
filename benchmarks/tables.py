"""The results and the rivals' figures as one page of Markdown."""

import subprocess
import textwrap
from collections.abc import Sequence

from common import table
from measure import Result
from rivals import CSIM_AIMS, HLS4ML, NNGEN, Csim, NNgen
from workloads import MACS, TITLES

from codesign.ops.requantize import Scaling

Row = Sequence[str]

INTRO = """# Beside other generators

Made by `make bench-peers`, which is `python benchmarks/peers.py --out docs/benchmarks.md`; `--workloads W1,W3` does a
part. Every figure of ours comes from that one run; do not edit this page by hand.
Machine: {machine}.
Tools: {tools}.

The figures of NNgen and hls4ml are **as measured there, in another run**, and are not repeated here. They are of one
run each on a busy machine of the same kind (2 cores, Debian 12, Verilator 5.006, g++ 12). Seconds are processor
seconds, user and system, children included, so that a busy machine matters less. Ours are of one run, the C
simulation's the median of three.

Networks, int8 weights and activations, random weights (seed 1):

{networks}
"""

CYCLES = """
## Cycles at the same number of multipliers

What is compared with what:

- *Multipliers* of ours is the sum of PE x SIMD over all convolutions and dense layers. All of them work at the same
  time, on different rows or images. NNgen's operators run in turn, and each unrolls its whole window, `par` input and
  `par` output channels. So there are two fair budgets. One is what its largest operator has; no more is ever busy.
  The other is what all of its operators have together, if each has its own. Ours is given the first, and where the
  two differ the second as well. The C simulation and the RTL simulation of each of our rows equal the golden model
  word for word.
- *Interval*: cycles between images that follow each other without a pause. *Latency*: cycles from the first word of
  an image to its last result, through the empty machine. NNgen processes one image at a time: its cycles are both.
- *Scaling*: `power of two` needs no multiplier after the sums. `general` has factors of 8 bits, one per channel, and
  DSPs for them. These DSPs are not counted here; neither are NNgen's. The same engines serve both.
- *MAC/cycle* is the network's products over the interval. Divided by *multipliers*, it is the share that is busy.

"""

CYCLES_NOTES = """
- W1's first layer has one input and eight output channels. An engine multiplies by input and output channels, not by
  window positions, so it can use eight multipliers. So W1's interval ends at 14,400 cycles, whatever the budget.
- W2 at 36 multipliers: {w2}.
- NNgen's W2 sums its global average in 8 bits and is wrong. Its cycles describe the machine, not right answers. It
  refuses W3 (`groups`). hls4ml needs a vendor's tool for cycles, so it has none here.
"""

TIMES = """
## Processor seconds

*Generate* is the search of the design and all files of the project: both spellings, host code and scripts. The
rivals' time includes the start of Python, about one second; ours does not. *C simulation* counts the whole test
bench, with reading its text files and comparing. *RTL run* is the simulation of the images of one case. NNgen's build
column is its "re-emit, verilate, compile and run". The aim is twenty times hls4ml's speed. C simulation steps through
the same cycles as the machine. So a design of few multipliers takes more steps for an image, and each step has less
to vectorize.

"""


def page(results: Sequence[Result], troubles: Sequence[str], machine: str) -> str:
    """Return all tables, and what failed."""
    networks = "\n".join(f"- {name}: {TITLES[name]}, {MACS[name]:,} MAC" for name in MACS)
    text = INTRO.format(machine=machine, tools=", ".join(_versions()), networks=networks)
    text += CYCLES + _cycles(results) + CYCLES_NOTES.format(w2=_w2(results))
    text += TIMES + _times(results) + _engines(results)
    if troubles:
        text += "\n## Failed\n\n" + "".join(f"- {trouble}\n" for trouble in troubles)
    return text


def _cycles(results: Sequence[Result]) -> str:
    header = (
        "Network", "Machine", "Multipliers", "Scaling", "Interval, predicted", "Interval, RTL", "Latency, predicted",
        "Latency, RTL", "MAC/cycle", "Exact",
    )  # fmt: skip
    rows: list[Row] = []
    for name in _names(results):
        rows += [_nngen_cycles(rival) for rival in NNGEN if rival.workload == name]
        rows += [_our_cycles(result) for result in results if result.case.workload == name]
    return table(header, rows)


def _nngen_cycles(rival: NNgen) -> Row:
    every = "" if rival.every == rival.largest else f", all together {rival.every}"
    cycles, rate = f"{rival.cycles:,}", f"{MACS[rival.workload] / rival.cycles:.1f}"
    return (
        rival.workload, f"NNgen {rival.par}x{rival.par}", f"largest {rival.largest}{every}", "", "", cycles, "", cycles,
        rate, rival.exact,
    )  # fmt: skip


def _our_cycles(result: Result) -> Row:
    case = result.case
    proof = "" if result.proved_optimal else " (not proved least)"
    return (
        case.workload,
        f"**ours**, at most {case.budget}",
        str(result.multipliers),
        _scaling(result),
        f"{result.predicted_interval:,}{proof}",
        f"**{_count(result.interval)}**",
        f"{result.predicted_latency:,}",
        f"**{_count(result.latency)}**",
        f"{MACS[case.workload] / (result.interval or result.predicted_interval):.1f}",
        f"yes, {case.csim_images} images in C, {case.rtl_images} in RTL",
    )


def _w2(results: Sequence[Result]) -> str:
    """Say how ours does where NNgen has the same number of multipliers busy, in words of the figures."""
    rivals = [r for r in NNGEN if r.workload == "W2" and r.par == 2]
    ours = [r for r in results if r.case.workload == "W2" and r.case.budget == rivals[0].largest]
    if not ours:
        return "not run this time"
    interval = ours[0].interval or ours[0].predicted_interval
    change = interval / rivals[0].cycles - 1
    busy = MACS["W2"] / rivals[0].cycles / rivals[0].largest
    text = (
        f"ours takes {interval:,} cycles, {abs(change):.1%} {'more' if change > 0 else 'fewer'}. If all of NNgen's "
        f"layers share those {rivals[0].largest}, it keeps {busy:.0%} of them busy. Ours divides them among its "
        "layers, which work at once, and the slowest decides"
    )
    return textwrap.fill(text, 112, subsequent_indent="  ")


def _times(results: Sequence[Result]) -> str:
    header = (
        "Network", "Machine", "Generate, s", "Build C simulation, s", "C simulation, images/s", "Aim",
        "Build RTL simulation, s", "RTL run, s", "RTL, images/s",
    )  # fmt: skip
    rows: list[Row] = []
    for name in _names(results):
        rows += [_nngen_times(rival) for rival in NNGEN if rival.workload == name]
        rows += [_hls4ml_times(rival) for rival in HLS4ML if rival.workload == name]
        rows += [_our_times(result) for result in results if result.case.workload == name]
    return table(header, rows)


def _nngen_times(rival: NNgen) -> Row:
    return (
        rival.workload, f"NNgen {rival.par}x{rival.par}", str(rival.generate_s), "", "", "",
        f"{rival.build_and_run_s}, run included", "", f"{rival.rtl_images_per_s:g}",
    )  # fmt: skip


def _hls4ml_times(rival: Csim) -> Row:
    build = "" if rival.build_s is None else f"{rival.build_s:g}"
    speed = "" if rival.images_per_s is None else f"{rival.images_per_s:g}"
    return (rival.workload, f"hls4ml ({rival.note})", "", build, speed, "", "", "", "")


def _our_times(result: Result) -> Row:
    case = result.case
    aim = CSIM_AIMS.get(case.workload)
    return (
        case.workload,
        f"**ours**, {result.multipliers}, {_scaling(result)}",
        f"{result.generate_s:.1f}",
        f"{result.csim_build_s:.1f}",
        f"**{_speed(result.csim_images_per_s)}**",
        "" if aim is None else f"{_speed(aim)} ({'met' if result.csim_images_per_s >= aim else 'missed'})",
        f"{result.rtl_build_s:.1f}",
        f"{result.rtl_run_s:.2f}",
        f"{case.rtl_images / result.rtl_run_s:.1f}",
    )


def _engines(results: Sequence[Result]) -> str:
    header = ("Network", "Multipliers", "Least interval proved", "Engines", "Options/s of the whole search")
    rows = [
        (
            r.case.workload,
            f"{r.multipliers} of {r.case.budget}",
            "yes" if r.proved_optimal else "no",
            r.engines,
            f"{r.options_per_s:,.0f}",
        )
        for r in results
        if r.case.scaling is Scaling.POWER_OF_TWO
    ]
    return "\n## The designs\n\nPE x SIMD of every convolution and dense layer, as the search chose them.\n\n" + table(
        header, rows
    )


def _versions() -> list[str]:
    """Return the compilers' own words for themselves."""
    commands = (["g++", "--version"], ["verilator", "--version"])
    return [subprocess.run(c, capture_output=True, text=True, check=True).stdout.splitlines()[0] for c in commands]


def _names(results: Sequence[Result]) -> list[str]:
    found = {result.case.workload for result in results}
    return [name for name in MACS if name in found]


def _scaling(result: Result) -> str:
    return result.case.scaling.value.replace("_", " ")


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _speed(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
