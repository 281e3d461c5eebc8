"""The best design of known networks, and how long its proof takes beside the search of before -> a page.

Times are processor seconds of one thread, options priced before. The figures of the search of before are stored: that
code is gone.
"""

import argparse
import csv
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codesign.errors import InfeasibleError
from codesign.ir.boards import load_board
from codesign.ir.files import write_text
from codesign.ir.graph import Graph
from codesign.model.space import design_space
from codesign.networks.derive import block_layers, derive, head_layers
from codesign.networks.network import INPUT, AddLayer, ConvLayer, Layer, Network, skeleton
from codesign.networks.space import HeadPool, Kind, Operator, middle
from codesign.networks.spaces import load_space
from codesign.ops.shapes import Shape
from codesign.search.design import SearchResult, search_design

DOC = Path(__file__).parent.parent / "docs" / "design_search.md"
BEFORE = Path(__file__).parent / "results" / "design_search_before.csv"
DRAWN, SEED = 40, 1  # networks of NAS-Bench-Macro on each of its boards
SHOWN = ("22222222", "22212220", "11111111", "12121212", "02220222", "21010102")
# Blocks of FBNet as facebookresearch/mobile-vision gives them: kernel and expansion, `g` for two groups, `-` for none.
FBNETS = {
    "FBNet-A": "- 33 31 - - 56 33 51 33 56 53 51g 56 36 51g 53 31g 56 56 53 56 56",
    "FBNet-B": "31 36 51 31 31 56 53 36 56 56 51 - 53 56 31 51 53 56 51 56 56 36",
    "FBNet-C": "31 36 - 31 31 56 53 56 36 56 53 56 56 56 56 56 53 56 56 56 56 36",
}
FBNET_WIDTHS = (16, *[24] * 4, *[32] * 4, *[64] * 4, *[112] * 4, *[184] * 4, 352)
FBNET_STRIDED = (1, 5, 9, 17)
MOBILENET = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


@dataclass(frozen=True, slots=True)
class Row:
    """What the search of one network on one board gave."""

    network: str
    board: str
    nodes: int
    result: SearchResult | None
    seconds: float


@dataclass(slots=True)
class _Net:
    """Layers under construction: `last` and its channels."""

    bits: int
    layers: list[Layer]
    last: str
    channels: int

    def conv(self, name: str, k: int, kernel: int, stride: int) -> None:
        self.take(_conv(name, self.last, k, kernel, stride, self.bits), k)

    def block(self, name: str, operator: Operator, width: int, stride: int) -> None:
        adds = stride == 1 and width == self.channels and operator.kind is Kind.INVERTED
        made = block_layers(
            name, self.last, operator, channels=self.channels, width=width, stride=stride, weight_bits=self.bits,
            inner_bits=self.bits, bits=self.bits, adds=adds,
        )  # fmt: skip
        self.layers += made[:-1]
        self.take(made[-1], width)

    def take(self, layer: Layer, channels: int) -> None:
        assert isinstance(layer, ConvLayer | AddLayer)
        self.layers.append(layer)
        self.last, self.channels = layer.name, channels

    def graph(self, name: str, size: int, labels: int) -> Graph:
        head = head_layers(self.last, HeadPool.GLOBAL, labels, self.bits)
        every = tuple(map(str, range(labels)))
        return skeleton(Network(name=name, shape=Shape(size, size, 3), layers=(*self.layers, *head), labels=every))


def nas_bench_macro(code: str) -> Graph:
    """Return the network of eight digits, with 8-bit weights and activations."""
    net = _Net(8, [_conv("stem", INPUT, 32, 3, 1, 8)], "stem", 32)
    for i, digit in enumerate(code):
        width, stride = (64, 128, 256)[(i > 1) + (i > 4)], 2 if i in (0, 2, 5) else 1
        if digit != "0":
            kernel, expansion = ((3, 3), (5, 6))[digit == "2"]
            net.block(f"b{i}", Operator(kind=Kind.INVERTED, kernel=kernel, expansion=expansion), width, stride)
        elif stride == 2:
            net.conv(f"b{i}", width, 1, 2)
    net.conv("head", 1280, 1, 1)
    return net.graph(f"macro_{code}", 32, 10)


def fbnet(blocks: str, bits: int) -> Graph:
    """Return a network of FBNet's space for 1,000 classes."""
    net = _Net(bits, [_conv("stem", INPUT, 16, 3, 2, bits)], "stem", 16)
    for i, (block, width) in enumerate(zip(blocks.split(), FBNET_WIDTHS, strict=True)):
        if block != "-":
            groups = 2 if block.endswith("g") else 1
            operator = Operator(kind=Kind.INVERTED, kernel=int(block[0]), expansion=int(block[1]), groups=groups)
            net.block(f"b{i}", operator, width, 2 if i in FBNET_STRIDED else 1)
    net.conv("head", 1984 if blocks == FBNETS["FBNet-C"] else 1504, 1, 1)
    return net.graph("fbnet", 224, 1000)


def mobilenet(share: float, size: int, labels: int, bits: int) -> Graph:
    """Return MobileNetV1 of that share of its widths."""
    net = _Net(bits, [_conv("stem", INPUT, int(32 * share), 3, 2, bits)], "stem", int(32 * share))
    for i, (width, stride) in enumerate(MOBILENET):
        net.block(f"b{i}", Operator(kind=Kind.SEPARABLE, kernel=3), int(width * share), stride)
    return net.graph("mobilenet", size, labels)


def demo() -> Graph:
    """Return the network in the middle of the demo's space."""
    space = load_space("fashion")
    return skeleton(derive(space, middle(space), "demo", Shape(28, 28, 1), tuple("0123456789")))


def networks() -> Iterator[tuple[str, Graph, tuple[str, ...]]]:
    """Return names, graphs and boards of what the page lists one by one."""
    for code in SHOWN:
        yield f"NAS-Bench-Macro `{code}`, 8 bits", nas_bench_macro(code), ("zcu102", "zc706")
    for name, blocks in FBNETS.items():
        yield f"{name}, 4 bits", fbnet(blocks, 4), ("zcu102",)
    yield "MobileNetV1, 4 bits", mobilenet(1.0, 224, 1000, 4), ("zcu102",)
    yield "MobileNetV1 x 0.25, 96x96, 8 bits", mobilenet(0.25, 96, 2, 8), ("zc706",)
    yield "the demo's, middle of its space", demo(), ("pynq-z2",)


def measure(name: str, graph: Graph, board_name: str) -> Row:
    """Search the best design."""
    board = load_board(board_name)
    design_space(graph, board)  # priced once for all networks of equal nodes
    begun = time.process_time()
    try:
        result = search_design(graph, board, explain=False)
    except InfeasibleError:
        result = None
    return Row(name, board_name, len(graph.nodes), result, time.process_time() - begun)


def drawn(board: str, count: int) -> list[Row]:
    """Measure networks of NAS-Bench-Macro, drawn evenly."""
    rng = np.random.default_rng(SEED)
    codes = ["".join(map(str, rng.integers(0, 3, 8))) for _ in range(count)]
    return [measure(code, nas_bench_macro(code), board) for code in codes]


def page(rows: list[Row], drawn_rows: list[Row]) -> str:
    """Return the page, in Markdown."""
    before = {(r["network"], r["board"]): r for r in csv.DictReader(BEFORE.read_text().splitlines())}
    lines = [
        "# The best design of a network: what its proof takes",
        "",
        "Written by `make bench-design-search`, in processor seconds of one thread. *Before* is the search as it was "
        "until limits counted work. It ended after 60 seconds of the clock; here it had 240, beside other work. An "
        "interval with a bound is not proved to be the least: no design is below the bound.",
        "",
        "| network | board | nodes | interval | bound | s | interval before | bound before | s before |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        old = before.get((row.network, row.board))
        was = f"{_found(old['interval'], old['bound'])} | {old['seconds']}" if old else "| |"
        found = row.result
        now = _found("", "") if found is None else _found(str(found.interval_cycles), str(found.bound))
        lines.append(f"| {row.network} | {row.board} | {row.nodes} | {now} | {row.seconds:.1f} | {was} |")
    lines += ["", "Networks of NAS-Bench-Macro, drawn evenly, 8 bits:", ""]
    lines += ["| board | networks | fit | proved | median s | largest s |", "|---|---|---|---|---|---|"]
    for board in dict.fromkeys(row.board for row in drawn_rows):
        mine = [row for row in drawn_rows if row.board == board]
        fit = [row.result for row in mine if row.result is not None]
        seconds = [row.seconds for row in mine]
        proved = sum(result.proved_optimal for result in fit)
        told = f"{statistics.median(seconds):.2f} | {max(seconds):.2f}"
        lines.append(f"| {board} | {len(mine)} | {len(fit)} | {proved} | {told} |")
    return "\n".join([*lines, ""])


def _conv(name: str, source: str, k: int, kernel: int, stride: int, bits: int) -> ConvLayer:
    return ConvLayer(
        name=name, source=source, k=k, kernel=kernel, stride=stride, weight_bits=bits, bits=bits, relu=True
    )


def _found(interval: str, bound: str) -> str:
    """Return two cells: the interval, and its bound or that it is proved."""
    if not interval:
        return "none fits |"
    told = "proved" if float(interval) == float(bound) else f"{float(bound):,.0f}"
    return f"{int(interval):,} | {told}"


def main(arguments: list[str]) -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=DOC)
    parser.add_argument("--drawn", type=int, default=DRAWN)
    options = parser.parse_args(arguments)
    rows = []
    for name, graph, boards in networks():
        for board in boards:
            rows.append(measure(name, graph, board))
            print(name, board, f"{rows[-1].seconds:.2f} s", file=sys.stderr, flush=True)
    drawn_rows = [row for board in ("zcu102", "zc706") for row in drawn(board, options.drawn)]
    write_text(options.out, page(rows, drawn_rows))


if __name__ == "__main__":
    main(sys.argv[1:])
