"""The computations behind the page: searches of DNA's space, what its model leaves out, and the networks in ours."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from codesign.errors import InfeasibleError
from codesign.ir.board import Board
from codesign.search.design import SearchResult, search_design

from .expected import Case
from .graphs import graph_of
from .model import CLOCK_HZ, NO_FIXES, Fixes
from .networks import Network, Placed, all_layers, macs, mapped_layers, without_free_changes
from .search import AS_PUBLISHED, Found, Limits, Prices, Progress, best, chance_of_best, design, draw_more, price
from .space import Layout

SAMPLES = 250_000
SEEDS = range(10)
STARTUP_CYCLES = (16, 64)  # no figure of the part: to see how much it matters
ALL_FIXES = Fixes(whole_tiles=True, true_halo=True, weight_bram=True)
PL_DRAM_MB_S = 12_800.0  # the ZC706's SODIMM on the side of the logic, peak
REAL_BRAM18 = 1090  # of the XC7Z045


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A case's exact optimum and its random searches; `range` is what 90 % of them find, by calculation."""

    case: Case
    exact: Found
    random: tuple[Progress, ...]
    range: tuple[float, float]

    def random_fps(self, samples: int) -> list[float]:
        return [progress.after(samples) for progress in self.random]


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What one thing that the model leaves out is worth: the published optimum priced with it, and the new optimum."""

    what: str
    same: Found
    same_fits: bool
    anew: Found | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """A network on a board in our model: a design, or why there is none."""

    network: Network
    whole: bool
    bits: tuple[int, int]
    found: SearchResult | None
    trouble: str


def digest(prices: tuple[Prices, ...]) -> str:
    """Return a digest of what a random search depends on, besides its seed."""
    sha = hashlib.sha256()
    for p in prices:
        sha.update(repr(p.chunk).encode() + p.cycles.tobytes() + p.dsp.tobytes() + p.bram.tobytes())
    return sha.hexdigest()


def prices_of(case: Case) -> tuple[Prices, ...]:
    return price(case.layout, mapped_layers(case.network), case.bits)


def random_search(prices: tuple[Prices, ...], progress: Progress, save: Callable[[Progress], None]) -> Progress:
    """Search on up to SAMPLES designs, saving now and then."""
    while progress.drawn < SAMPLES:
        progress = draw_more(prices, progress)
        if progress.drawn % (SAMPLES // 5) == 0:
            save(progress)
    return progress


def row(case: Case, prices: tuple[Prices, ...], random: Sequence[Progress]) -> Row:
    exact = best(prices)
    if exact is None:
        raise InfeasibleError(f"{case.name}: nothing fits")
    chances = chance_of_best(prices, SAMPLES, 0.05), chance_of_best(prices, SAMPLES, 0.95)
    return Row(case=case, exact=exact, random=tuple(random), range=chances)


def worths(network: Network, layout: Layout, bits: int, board: Board) -> list[Worth]:
    """Return what each thing that the model leaves out does to a network's FPS, one by one and together.

    The first entry is the model as it is.
    """
    layers, whole = mapped_layers(network), all_layers(network)
    shared = Limits(bytes_per_cycle=board.dram_peak_mb_s * board.dram_efficiency * 1e6 / CLOCK_HZ)
    faster = Limits(bytes_per_cycle=PL_DRAM_MB_S * board.dram_efficiency * 1e6 / CLOCK_HZ)
    few, many = STARTUP_CYCLES
    variants: list[tuple[str, tuple[Placed, ...], Fixes, Limits]] = [
        ("as published", layers, NO_FIXES, AS_PUBLISHED),
        ("1. whole tiles", layers, Fixes(whole_tiles=True), AS_PUBLISHED),
        ("2. halo and stride", layers, Fixes(true_halo=True), AS_PUBLISHED),
        ("3a. weights take BRAM", layers, Fixes(weight_bram=True), AS_PUBLISHED),
        ("3b. one DRAM for all chunks, PS side", layers, NO_FIXES, shared),
        ("3b. one DRAM for all chunks, PL side", layers, NO_FIXES, faster),
        (f"4. {few} cycles before every transfer", layers, Fixes(startup_cycles=few), AS_PUBLISHED),
        (f"4. {many} cycles before every transfer", layers, Fixes(startup_cycles=many), AS_PUBLISHED),
        ("5. stem, header and classifier", whole, NO_FIXES, AS_PUBLISHED),
        (f"the part's {REAL_BRAM18} BRAMs", layers, NO_FIXES, Limits(bram=REAL_BRAM18)),
        ("1, 2, 3a, 3b (PS side), 5 together", whole, ALL_FIXES, shared),
        (f"the same and 4 ({many} cycles)", whole, replace(ALL_FIXES, startup_cycles=many), shared),
    ]
    published = price(layout, layers, bits)
    optimum = best(published)
    if optimum is None:
        raise InfeasibleError(f"{network.name}: nothing fits")
    rows = {p.chunk: r for p, r in zip(published, optimum.rows, strict=True)}
    found = []
    for what, placed, fixes, limits in variants:
        prices = price(layout, placed, bits, fixes)
        same = design(prices, tuple(rows[p.chunk] for p in prices), limits)
        fits = same.dsp <= limits.dsp and same.bram <= limits.bram
        found.append(Worth(what=what, same=same, same_fits=fits, anew=best(prices, limits)))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeChange:
    """The optima of a network with skips that change width or size, and of the same with small operators instead."""

    network: Network
    layout: Layout
    bits: int
    free: Found
    paid: Found
    products: tuple[int, int]


def free_change(network: Network, layout: Layout, bits: int) -> FreeChange:
    """Return what skips that change width or size are worth to a network."""
    both = [mapped_layers(n) for n in (network, without_free_changes(network))]
    free, paid = (best(price(layout, layers, bits)) for layers in both)
    if free is None or paid is None:
        raise InfeasibleError(f"{network.name}: nothing fits")
    return FreeChange(
        network=network, layout=layout, bits=bits, free=free, paid=paid, products=(macs(both[0]), macs(both[1]))
    )


def ours(network: Network, board: Board, bits: tuple[int, int], *, whole: bool) -> Ours:
    """Search the network, with weights and activations of so many bits, on the board in our model."""
    found, trouble = None, ""
    try:
        graph = graph_of(network, *bits, whole=whole)
        found = search_design(graph, board, explain=False)
    except (InfeasibleError, ValueError) as error:
        trouble = str(error)
    return Ours(network=network, whole=whole, bits=bits, found=found, trouble=trouble)
