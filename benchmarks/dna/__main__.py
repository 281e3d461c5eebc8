"""DNA's cost model, searched at random and exactly, what it leaves out, and its networks in our model.

    python -m benchmarks.dna [--out FILE.md] [--work FOLDER]

The random searches are kept in FOLDER as they go; interrupted at any time, the next run ends with the same figures.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path

from codesign.ir.boards import load_board
from codesign.ir.files import write_text

from .evaluate import PL_DRAM_MB_S, SEEDS, Ours, Row, digest, free_change, ours, prices_of, random_search, row, worths
from .expected import CASES
from .graphs import graph_of
from .model import BUDGET
from .networks import (
    CIFAR_FREE_CHANGE,
    EDD_NET_3,
    EFFICIENTNET_B0,
    FBNET_C,
    PROXYLESS_MOBILE,
    SEARCHED_166,
    Network,
    with_free_changes,
)
from .page import Results, page
from .search import Progress, start
from .space import CIFAR_FOUR, CIFAR_TEN, FOUR, TEN

OUR_CASES: tuple[tuple[Network, bool, tuple[int, ...]], ...] = (
    (FBNET_C, False, (8, 4, 3, 2)),
    (FBNET_C, True, (8, 4, 2)),
    (EFFICIENTNET_B0, False, (8, 4)),
    (EFFICIENTNET_B0, True, (8, 2)),
    (PROXYLESS_MOBILE, True, (8, 2)),
    (EDD_NET_3, False, (8, 2)),
    (SEARCHED_166, False, (8, 4)),
)
ACTIVATION_BITS = 8
FREE_CHANGES = (
    *((with_free_changes(FBNET_C), at, 16) for at in (FOUR, TEN)),
    *((CIFAR_FREE_CHANGE, at, 8) for at in (CIFAR_FOUR, CIFAR_TEN)),
)


class Store:
    """Progress of random searches in one file, by a key that says all they depend on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known = json.loads(path.read_text()) if path.is_file() else {}

    def load(self, key: str, seed: int) -> Progress:
        known = self.known.get(key)
        return start(seed) if known is None else Progress(**{**known, "best": tuple(known["best"])})

    def save(self, key: str, progress: Progress) -> None:
        self.known[key] = asdict(progress)
        write_text(self.path, json.dumps(self.known))


def search_rows(store: Store) -> list[Row]:
    """Return every case, searched at random and exactly."""
    rows = []
    for i, case in enumerate(CASES):
        begun, prices = time.monotonic(), prices_of(case)
        found = []
        for seed in SEEDS:
            key = f"{digest(prices)}/{seed}"
            found.append(random_search(prices, store.load(key, seed), partial(store.save, key)))
        rows.append(row(case, prices, found))
        say(f"[{i + 1}/{len(CASES)}] {case.name}: exact {rows[-1].exact.fps:.2f} FPS", begun)
    return rows


def our_rows() -> list[Ours]:
    """Return the networks in our model."""
    board, found = load_board("zc706"), []
    todo = [(network, whole, bits) for network, whole, every in OUR_CASES for bits in every]
    for i, (network, whole, bits) in enumerate(todo):
        begun = time.monotonic()
        found.append(ours(network, board, (bits, ACTIVATION_BITS), whole=whole))
        result = found[-1].found
        verdict = found[-1].trouble if result is None else f"{result.interval_cycles} cycles"
        part = "whole" if whole else "blocks"
        say(f"[{i + 1}/{len(todo)}] ours, {network.name}, {part}, {bits}-bit weights: {verdict}", begun)
    return found


def refusals() -> dict[str, str]:
    """Return why some networks have no graph of ours, in the words of the error."""
    try:
        graph_of(FBNET_C, 16, 16, whole=False)
    except ValueError as error:
        return {"FBNet-C at 16 bits": str(error)}
    return {}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the page to this file, not to the screen")
    parser.add_argument("--work", type=Path, default=Path("build/dna"), help="where progress is kept (%(default)s)")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    rows = search_rows(Store(options.work / "random.json"))
    begun, board = time.monotonic(), load_board("zc706")
    settings = [(layout, bits) for layout in (FOUR, TEN) for bits in (16, 8)]
    columns = {f"{at.name}, {bits} bits": worths(FBNET_C, at, bits, board) for at, bits in settings}
    say("what the model leaves out", begun)
    results = Results(
        rows=rows,
        worths=columns,
        free_changes=[free_change(network, at, bits) for network, at, bits in FREE_CHANGES],
        ours=our_rows(),
        board=board,
        pl_mb_s=PL_DRAM_MB_S,
        refused=refusals(),
    )
    text = page(results, BUDGET["bram18"])
    if options.out is None:
        print(text, end="")
    else:
        write_text(options.out, text)
    return 0


def say(what: str, begun: float) -> None:
    print(f"{what}, {time.monotonic() - begun:.1f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
