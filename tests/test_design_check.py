"""What a design may be: whatever check_design accepts is rendered, built and right; all else is refused by name."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.emit.hls import render_hls
from codesign.emit.rtl import render_rtl
from codesign.errors import ConfigError, UnsupportedError
from codesign.ir.cost import Resources
from codesign.ir.design import Design, Fifo, LineEngine
from codesign.ir.files import load_design, save_design
from codesign.ir.graph import MAX_ELEMENTS, Graph
from codesign.machine.elaborate import elaborate
from codesign.machine.feeds import Feed
from codesign.machine.legal import MAX_BUFFER_WORDS, MAX_WORD_BITS, check_design
from codesign.machine.line import is_streaming, line_modules, row_words
from codesign.model import golden
from codesign.model.course import first_image_latency
from codesign.model.predict import predict
from codesign.model.schedule import size_buffers
from codesign.model.space import node_options
from codesign.ops.add import Add
from codesign.ops.conv import Conv
from codesign.ops.input import Input
from codesign.ops.pool import Pool, PoolOp
from codesign.ops.qtype import QType
from codesign.ops.requantize import Scaling
from codesign.ops.shapes import Shape, Window
from codesign.testing.random_machines import random_design, random_graph, random_inputs
from codesign.testing.small import small_design, small_graph
from hls_batch import case_of, failures
from projects import small_board
from rtl_batch import Machine, run_batch

BUILT = int(os.environ.get("CODESIGN_CASES", "200")) // 10
Plain = dict[str, Any]


def with_addition(seed: int) -> tuple[Graph, Design]:
    """A random graph whose first join is an addition, and a design with the buffers that its schedule wants."""
    while True:
        rng = np.random.default_rng(seed)
        graph = random_graph(rng)
        if isinstance(next((n for n in graph.operations if n.joins), None), Add):
            return graph, size_buffers(graph, random_design(graph, rng))
        seed += 1_000_003


GRAPH, DESIGN = with_addition(0)
ADD = next(n.name for n in GRAPH.nodes if isinstance(n, Add))


def fifos(change: Callable[[Fifo], Fifo]) -> Design:
    return replace(DESIGN, fifos=(change(DESIGN.fifos[0]), *DESIGN.fifos[1:]))


def test_the_design_that_the_others_are_changes_of_is_accepted() -> None:
    check_design(DESIGN, GRAPH)


@pytest.mark.parametrize("depth", [18, 100, 65, 1, 0, -16, 2 * MAX_BUFFER_WORDS])
def test_a_fifo_depth_that_the_machine_does_not_have_is_refused(depth: int) -> None:
    with pytest.raises(ConfigError, match=rf"FIFO of node '{ADD}', index 0: depth: .* from 2 to \d+, got {depth}"):
        check_design(fifos(lambda f: replace(f, depth=depth)), GRAPH)


def test_a_fifo_given_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match=rf"FIFO of node '{ADD}', index 0: given 2 times"):
        check_design(replace(DESIGN, fifos=(*DESIGN.fifos, DESIGN.fifos[0])), GRAPH)


@pytest.mark.parametrize("index", [-1, 2])
def test_a_fifo_of_no_input_is_refused(index: int) -> None:
    with pytest.raises(ConfigError, match=rf"FIFO of node '{ADD}', index {index}: no branches meet at such an input"):
        check_design(replace(DESIGN, fifos=(*DESIGN.fifos, Fifo(ADD, index, 4))), GRAPH)


def test_an_addition_without_its_fifo_is_refused() -> None:
    with pytest.raises(ConfigError, match=rf"node '{ADD}': no FIFO for index 0"):
        check_design(replace(DESIGN, fifos=DESIGN.fifos[1:]), GRAPH)


@pytest.mark.parametrize("name", ["input_lanes", "output_lanes"])
@pytest.mark.parametrize(("lanes", "said"), [(256, "at most 1024 bits"), (3, "power of two"), (0, "power of two")])
def test_a_stream_that_axi_does_not_have_is_refused(name: str, lanes: int, said: str) -> None:
    with pytest.raises(ConfigError, match=f"design: {name}: .*{said}"):
        check_design(replace(small_design(), **{name: lanes if name == "input_lanes" else (lanes,)}), small_graph())


CONV, POOL, DENSE = small_design().engines


@pytest.mark.parametrize(
    ("engines", "said"),
    [
        ((CONV, POOL, DENSE, CONV), "node 'conv': 2 engines run it; one must"),
        ((CONV, POOL), "node 'dense': no engine runs it"),
        ((), "node 'conv': no engine runs it"),
        ((CONV, DENSE, POOL), "engine 'dense' is out of order; the order of the graph is conv, pool, dense"),
        ((CONV, POOL, replace(DENSE, nodes=("sense",))), "engine 'sense': the graph has no such node; .* pool, dense"),
        ((replace(CONV, nodes=("conv", "pool")), DENSE), "engine 'conv': a line engine runs one node, .* conv, pool;"),
    ],
)
def test_engines_that_are_not_one_for_every_node_in_order_are_refused(
    engines: tuple[LineEngine, ...], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        check_design(replace(small_design(), engines=engines), small_graph())


def test_an_engine_without_a_node_is_refused() -> None:
    with pytest.raises(ValueError, match="engine: nodes: expected the name of a node, got none"):
        replace(CONV, nodes=())


def test_a_line_buffer_smaller_than_a_window_is_refused_and_the_least_that_would_do_does() -> None:
    graph, design = small_graph(), small_design()
    for at, words in ((0, 8), (1, 8), (2, 4)):
        engines = tuple(replace(e, buffer_words=words) if i == at else e for i, e in enumerate(design.engines))
        with pytest.raises(ConfigError, match=rf"node '{graph.nodes[at + 1].name}': .* {2 * words} would do"):
            check_design(replace(design, engines=engines), graph)
        engines = tuple(replace(e, buffer_words=2 * words) if i == at else e for i, e in enumerate(design.engines))
        check_design(replace(design, engines=engines), graph)
        assert first_image_latency(elaborate(graph, replace(design, engines=engines))) > 0


@given(st.integers(0, 2**32 - 1))
def test_a_refused_line_buffer_would_not_have_held_some_window(seed: int) -> None:
    """The limit is the machine's own: what a window reads, less what the windows before it have freed."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    design = random_design(graph, rng)
    for place, (engine, node) in enumerate(zip(design.engines, graph.operations, strict=True)):
        if not isinstance(node, Conv | Pool) or is_streaming(node, engine):
            continue
        feed = line_modules(node, engine)[0]
        assert isinstance(feed, Feed)
        walk = feed.walk()
        windows = node.oshape.y * node.oshape.x
        last = np.full(windows, 0)
        np.maximum.at(last, walk.step // (walk.steps // windows), walk.need + 1)
        least = int((last - np.concatenate(([0], walk.freed[:-1]))).max())
        words, row = max(2, 1 << (least - 1).bit_length()), row_words(node, engine)
        smaller = words // 2
        if engine.taps > 1:
            words = -(-least // row) * row
            smaller = words - row

        def design_with(words: int, at: int = place) -> Design:
            engines = (replace(e, buffer_words=words) if i == at else e for i, e in enumerate(design.engines))
            return replace(design, engines=tuple(engines))

        check_design(design_with(words), graph)
        if smaller >= (2 if engine.taps == 1 else 1):
            with pytest.raises(ConfigError, match=f"spans {least} words"):
                check_design(design_with(smaller), graph)


def test_a_buffer_deeper_than_any_part_is_refused() -> None:
    design = small_design()
    deep = replace(design.engines[0], buffer_words=2 * MAX_BUFFER_WORDS)
    with pytest.raises(ConfigError, match="node 'conv': buffer_words: expected at most"):
        check_design(replace(design, engines=(deep, *design.engines[1:])), small_graph())


def wide(k: int, acc_bits: int, c: int = 2, simd: int = 1, emit: int | None = None) -> tuple[Graph, Design]:
    """1x1 convolutions: c channels to k, all in parallel, and back to one channel."""
    rng = np.random.default_rng(k)
    shape, itype, mid = Shape(3, 2, c), QType(8, signed=False), QType(8, signed=False)
    common: Plain = {"window": Window(fy=1, fx=1), "groups": 1, "wtype": QType(4, signed=True), "multiplier_bits": 1}
    common |= {"scaling": Scaling.SHIFT, "shift": 3}
    first = Conv(name="up", source="x", ishape=shape, itype=itype, k=k, acc_bits=acc_bits, otype=mid, **common)
    last = Conv(name="down", source="up", ishape=first.oshape, itype=mid, k=1, acc_bits=24, otype=mid, **common)
    params = {}
    for node in (first, last):
        params[f"{node.name}.weight"] = rng.integers(-8, 8, (node.k, 1, 1, node.ishape.c))
        params[f"{node.name}.bias"] = rng.integers(-9, 9, node.k)
        params[f"{node.name}.multiplier"] = np.ones(node.k, np.int64)
    emit = emit or k // next(n for n in range(-(-c // simd), 0, -1) if k % n == 0)
    engines = (
        LineEngine(nodes=("up",), pe=k, simd=simd, emit=emit),
        LineEngine(nodes=("down",), pe=1, simd=1, emit=1, buffer_words=1024),
    )
    graph = Graph("wide", (Input(name="x", shape=shape, otype=itype), first, last), params)
    return graph, Design(engines=engines)


def test_a_word_of_sums_wider_than_hls_allows_is_refused_with_node_pe_and_width() -> None:
    graph, design = wide(128, 32)
    check_design(design, graph)
    graph, design = wide(129, 32)
    said = r"node 'up': a word of sums has PE 129 of 32 bits, 4128 in all; HLS allows 4096, so at most 128"
    with pytest.raises(ConfigError, match=said):
        check_design(design, graph)


def test_words_of_inputs_outputs_and_weights_and_converters_have_widths_too() -> None:
    graph, design = wide(64, 20, c=600, simd=600, emit=64)
    with pytest.raises(ConfigError, match=r"node 'up': an input word has 600 lanes of 8 bits, 4800 in all"):
        check_design(design, graph)
    graph, design = wide(200, 20, c=500, simd=500, emit=200)
    with pytest.raises(ConfigError, match=r"node 'up': a word of weights has PE 200 x SIMD 500 of 4 bits"):
        check_design(design, graph)
    graph, design = wide(300, 13, c=2, simd=2, emit=300)
    engines = (design.engines[0], replace(design.engines[1], simd=299))
    with pytest.raises(ConfigError, match=r"between 'up' and 'down', words of 300 lanes become words of 299"):
        check_design(replace(design, engines=engines), graph)
    check_design(replace(design, engines=(design.engines[0], replace(design.engines[1], simd=200))), graph)


def test_the_search_offers_no_engine_that_hls_cannot_hold(board) -> None:
    graph, _ = wide(700, 20, c=700)
    node = graph.node("up")
    assert isinstance(node, Conv)
    options = node_options(node, board.fabric)
    assert options.engines is not None
    assert int(options.engines.pe.max()) * 20 <= MAX_WORD_BITS
    pairs = int(options.lanes_in.max()), int(options.lanes_out.max())
    assert sum(pairs) * 8 <= MAX_WORD_BITS
    assert max(pairs) * 8 > MAX_WORD_BITS // 4


def test_a_map_that_32_bits_do_not_count_is_refused() -> None:
    shape = Shape(MAX_ELEMENTS, 1, 2)
    with pytest.raises(UnsupportedError, match=r"node 'x': a map of .* has 536870912 elements; at most 268435456"):
        Graph("large", (Input(name="x", shape=shape, otype=QType(8, signed=False)),), {})


@pytest.mark.parametrize("window", [Window(fy=40_000, fx=1, pad_top=39_999), Window(fy=1, fx=1, stride_x=1 << 24)])
def test_a_window_that_32_bits_do_not_count_is_refused(window: Window) -> None:
    itype = QType(2, signed=False)
    x = Input(name="x", shape=Shape(64, 64, 512), otype=itype)
    pool = Pool(
        name="pool", source="x", ishape=x.shape, itype=itype, op=PoolOp.MAX, window=window, multiplier=1, shift=0,
        otype=itype,
    )  # fmt: skip
    with pytest.raises(UnsupportedError, match=r"node 'pool': its map, window and stride span .* at most 1073741824"):
        Graph("large", (x, pool), {})


def test_a_prediction_says_what_a_board_does_not_have() -> None:
    graph, design = small_graph(), small_design()
    large = replace(design, engines=(replace(design.engines[0], buffer_words=1 << 20), *design.engines[1:]))
    cost = predict(graph, large, small_board())
    assert [name for name, needed, available in cost.resources.excess(small_board().budget)] == ["lut"]
    assert cost.resources.excess(Resources(dsp=10**9, bram18=10**9, uram=10**9, lut=10**9, ff=10**9)) == ()


def mutated(plain: Plain, draw: Callable[[int], int]) -> Plain:
    """The plain design with one or two numbers changed, or an entry dropped or given twice; draw(n) is in 0..n-1."""
    plain = yaml.safe_load(yaml.safe_dump(plain))
    numbers = (0, 1, 2, 3, 4, 5, 6, 8, 12, 16, 18, 64, 100, 128, 1024, 1 << 24, -1)
    for _ in range(1 + draw(2)):
        key = ("engines", "engines", "engines", "fifos", "input_lanes", "output_lanes")[draw(6)]
        if not isinstance(plain[key], list):
            plain[key] = numbers[draw(len(numbers))]
            continue
        at = draw(len(plain[key]))
        if key == "output_lanes":
            plain[key][at] = numbers[draw(len(numbers))]
            continue
        names = [name for name, value in plain[key][at].items() if type(value) is int]
        what = draw(12)
        if what == 0:
            plain[key].append(plain[key][at])
        elif what == 1 and len(plain[key]) > 1:
            del plain[key][at]
        else:
            plain[key][at][names[draw(len(names))]] = numbers[draw(len(numbers))]
    return dict(plain)


def accepted(graph: Graph, plain: Plain, work: Path) -> Design | None:
    """The design of the file, or None if it is refused."""
    path = work / "design.yaml"
    path.write_text(yaml.safe_dump(plain))
    try:
        design = load_design(path)
        check_design(design, graph)
    except ConfigError:
        return None
    return design


def plain_of(design: Design, work: Path) -> Plain:
    save_design(design, work / "saved.yaml")
    return dict(yaml.safe_load((work / "saved.yaml").read_text()))


@given(data=st.data())
@settings(max_examples=60)
def test_an_edited_design_is_refused_or_rendered(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    work = tmp_path_factory.mktemp("edited")
    graph, design = with_addition(data.draw(st.integers(0, 50)))
    edited = accepted(graph, mutated(plain_of(design, work), lambda n: data.draw(st.integers(0, n - 1))), work)
    if edited is not None:
        x = random_inputs(graph, np.random.default_rng(1), 1)
        values = golden.run_all(graph, x)
        assert render_rtl(graph, edited, small_board(), x, values[graph.output.name]).files
        assert render_hls(graph, edited, small_board(), x, values[graph.output.name], {}).files


def edited_designs(count: int, work: Path) -> list[tuple[int, Graph, Design]]:
    """Edited designs that are accepted, differ from what they were, and whose FIFOs let the images move."""
    found: list[tuple[int, Graph, Design]] = []
    seed = 0
    while len(found) < count:
        seed += 1
        rng = np.random.default_rng(seed)
        graph, design = with_addition(seed)
        edited = accepted(graph, mutated(plain_of(design, work), lambda n, rng=rng: int(rng.integers(n))), work)
        if edited is None or edited == design:
            continue
        try:
            first_image_latency(elaborate(graph, edited))
        except ConfigError:
            continue
        if max(e.buffer_words for e in edited.engines) <= 1024 and max(f.depth for f in edited.fifos) <= 1024:
            found.append((seed, graph, edited))
    return found


def tight(seed: int) -> tuple[int, Graph, Design]:
    """A random machine whose line buffers are the smallest that are accepted."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    design = random_design(graph, rng)
    engines = list(design.engines)
    for at, engine in enumerate(design.engines):
        words, row = engine.buffer_words, row_words(graph.operations[at], engine)
        while words > (2 if engine.taps == 1 else row):
            words = words // 2 if engine.taps == 1 else words - row
            smaller = (*engines[:at], replace(engine, buffer_words=words), *engines[at + 1 :])
            try:
                check_design(replace(design, engines=smaller), graph)
            except ConfigError:
                break
            engines = list(smaller)
    return seed, graph, replace(design, engines=tuple(engines))


@pytest.mark.gxx
@pytest.mark.verilator
@pytest.mark.slow
def test_edited_and_tight_designs_that_are_accepted_equal_the_golden_model(tmp_path: Path) -> None:
    edited = edited_designs(BUILT // 2, tmp_path) + [tight(seed) for seed in range(BUILT // 2)]
    cases = [case_of(seed, graph, design, np.random.default_rng(seed), 3) for seed, graph, design in edited]
    assert failures(cases, tmp_path) == ""
    machines = [
        Machine(seed, graph, design, random_inputs(graph, np.random.default_rng(seed), 3))
        for seed, graph, design in edited
    ]
    for result in run_batch(machines, tmp_path):
        assert result.status == 0, f"seed {result.machine.seed}: {result.text}"


@pytest.mark.gxx
@pytest.mark.verilator
@pytest.mark.slow
def test_the_widest_words_that_are_accepted_are_right_in_both_spellings(tmp_path: Path) -> None:
    pairs = [wide(128, 32), wide(300, 13, simd=2, emit=300)]
    pairs[1] = (
        pairs[1][0],
        replace(pairs[1][1], engines=(pairs[1][1].engines[0], replace(pairs[1][1].engines[1], simd=200))),
    )
    cases = [case_of(i, *pair, np.random.default_rng(i), 2) for i, pair in enumerate(pairs)]
    assert failures(cases, tmp_path) == ""
    machines = [Machine(i, *pair, random_inputs(pair[0], np.random.default_rng(i), 2)) for i, pair in enumerate(pairs)]
    for result in run_batch(machines, tmp_path):
        assert result.status == 0, result.text
