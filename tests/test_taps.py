"""All rows of a window in one step: where that can be, that it is exact, and what it takes."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codesign.data import folder
from codesign.emit.tables import weight_table
from codesign.errors import ConfigError
from codesign.ir.builder import GraphBuilder
from codesign.ir.canonical import canonical
from codesign.ir.design import Design, LineEngine
from codesign.ir.files import load_design, save_design
from codesign.ir.graph import Graph
from codesign.ir.technology import families, technology_of
from codesign.machine.elaborate import elaborate
from codesign.machine.feeds import Feed
from codesign.machine.legal import check_design
from codesign.machine.line import compute_cycles, row_words
from codesign.model.area import area
from codesign.model.course import first_image_latency
from codesign.model.resource import to_resources
from codesign.model.schedule import schedule, size_buffers
from codesign.ops.arrays import ceil_div
from codesign.ops.conv import Conv
from codesign.ops.qtype import QType
from codesign.ops.shapes import Shape, Window
from codesign.sim.synth import count_resources, read_cells, synthesis_script
from codesign.testing.random_machines import random_design, random_graph, random_inputs
from hls_batch import case_of, failures
from rtl_batch import Machine, build_runtime, run_batch, run_group
from test_rtl import planted

I8, U8 = QType(8, signed=True), QType(8, signed=False)
SAME = Window(fy=3, fx=3, pad_top=1, pad_left=1, pad_bottom=1, pad_right=1)


def convolution(window: Window = SAME, shape: tuple[int, int, int] = (7, 6, 4), k: int = 6) -> Graph:
    rng = np.random.default_rng(0)
    build = GraphBuilder("conv", shape, U8)
    weight = rng.integers(-128, 128, (k, window.fy, window.fx, shape[2]))
    build.conv(build.input, weight, window=window, otype=I8, shift=9)
    return build.graph()


def with_taps(graph: Graph, taps: int, **engine: int) -> Design:
    (node,) = graph.operations
    lanes = {"pe": 1, "simd": 1, "emit": 1, "buffer_words": 4096} | engine
    return Design(engines=(LineEngine(nodes=(node.name,), taps=taps, **lanes),))


@pytest.mark.parametrize(
    ("window", "taps", "engine", "may"),
    [
        (SAME, 2, {}, "1 or 3"),
        (SAME, 9, {}, "1 or 3"),
        (replace(SAME, dilation_y=2, pad_top=2, pad_bottom=2), 3, {}, "1"),
        (Window(fy=1, fx=3), 3, {}, "1"),
        (Window(fy=7, fx=6), 7, {"pe": 6, "emit": 6}, "1"),  # covers its map, and every output at once: it streams
    ],
)
def test_taps_are_one_or_the_rows_of_a_window_that_the_engine_keeps(
    window: Window, taps: int, engine: dict[str, int], may: str
) -> None:
    graph = convolution(window)
    said = rf"node '\w+': its engine may have {may} taps, but has {taps}; all rows of a window at once are for"
    with pytest.raises(ConfigError, match=said):
        check_design(with_taps(graph, taps, **engine), graph)


def test_taps_of_a_pooling_are_refused() -> None:
    build = GraphBuilder("pool", (6, 6, 2), U8)
    build.max_pool(build.input, window=Window(fy=2, fx=2, stride_y=2, stride_x=2))
    graph = build.graph()
    with pytest.raises(ConfigError, match="may have 1 taps, but has 2"):
        check_design(with_taps(graph, 2), graph)


def test_no_engine_has_fewer_taps_than_one() -> None:
    with pytest.raises(ValueError, match="expected positive taps, got 0"):
        LineEngine(nodes=("n",), pe=1, simd=1, emit=1, taps=0)


def test_a_buffer_of_part_of_a_row_is_refused_and_what_would_do_does() -> None:
    graph = convolution()
    for words, would in ((64, 72), (65, 72), (24, 72), (48, 72), (80, 96)):  # rows of 24 words
        with pytest.raises(ConfigError, match=rf"buffer_words is {words}; {would} would do"):
            check_design(with_taps(graph, 3, buffer_words=words), graph)
        design = with_taps(graph, 3, buffer_words=would)
        check_design(design, graph)
        assert first_image_latency(elaborate(graph, design)) > 0


def test_a_design_without_taps_is_what_it_was(tmp_path: Path) -> None:
    graph = convolution()
    plain, rows = with_taps(graph, 1), with_taps(graph, 3, buffer_words=72)
    assert "taps" not in json.dumps(canonical(plain))
    assert plain.digest() != replace(plain, engines=(replace(plain.engines[0], taps=3),)).digest()
    for design in (plain, rows):
        save_design(design, tmp_path / "design.yaml")
        assert load_design(tmp_path / "design.yaml") == design


def test_a_column_of_the_window_takes_one_step() -> None:
    graph = convolution()
    (node,) = graph.operations
    cycles = {taps: compute_cycles(node, with_taps(graph, taps).engines[0]) for taps in (1, 3)}
    assert cycles == {1: 7 * 6 * 6 * 9 * 4, 3: 7 * 6 * 6 * 3 * 4}


def test_weight_words_hold_the_rows_of_a_column_beside_one_another() -> None:
    graph = convolution(k=2)
    node = graph.operations[0]
    assert isinstance(node, Conv)
    weight = graph.params[f"{node.name}.weight"]
    values = weight_table(node, with_taps(graph, 3, pe=2, simd=4).engines[0], graph.params).values
    assert values.shape == (3, 2 * 3 * 4)
    for fx in range(3):
        assert values[fx].reshape(2, 3, 4).tolist() == weight[:, :, fx, :].tolist()


def tight(seed: int) -> tuple[Graph, Design]:
    """A random machine whose engines with taps keep as few rows as their windows allow."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    design = size_buffers(graph, random_design(graph, rng))
    engines = list(design.engines)
    for at, node in enumerate(graph.operations):
        while engines[at].taps > 1:
            row = row_words(node, engines[at])
            smaller = replace(engines[at], buffer_words=max(engines[at].buffer_words - row, 0) or row)
            tried = replace(design, engines=(*engines[:at], smaller, *engines[at + 1 :]))
            if smaller == engines[at] or not is_accepted(tried, graph):
                break
            engines[at] = smaller
    return graph, replace(design, engines=tuple(engines))


def is_accepted(design: Design, graph: Graph) -> bool:
    try:
        check_design(design, graph)
    except ConfigError:
        return False
    return True


def wide_apart() -> Machine:
    """A window whose columns are three apart, over a map that is narrower than it."""
    window = Window(fy=3, fx=3, dilation_x=3, pad_top=1, pad_left=3, pad_bottom=2, pad_right=4, stride_x=2)
    graph = convolution(window, (5, 4, 3), k=4)
    design = size_buffers(graph, with_taps(graph, 3, pe=2, simd=2, buffer_words=8 * 8))
    return Machine(0, graph, design, random_inputs(graph, np.random.default_rng(0), 4))


def machines(seeds: range, count: int) -> list[Machine]:
    found = [wide_apart()]
    for seed in seeds:
        graph, design = tight(seed)
        if any(engine.taps > 1 for engine in design.engines):
            found.append(Machine(seed, graph, design, random_inputs(graph, np.random.default_rng(seed), 4)))
        if len(found) == count:
            break
    return found


def test_random_machines_have_taps_in_every_kind_of_convolution() -> None:
    kinds: dict[str, int] = {}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        graph = random_graph(rng)
        for node, engine in zip(graph.operations, random_design(graph, rng).engines, strict=True):
            if engine.taps > 1:
                assert isinstance(node, Conv)
                kind = "depthwise" if node.depthwise else "grouped" if node.groups > 1 else "dense"
                found = [kind, *(["strided"] if node.window.stride_y > 1 else [])]
                found += ["padded"] if node.window.is_padded else []
                for name in found:
                    kinds[name] = kinds.get(name, 0) + 1
    assert min(kinds[name] for name in ("dense", "grouped", "depthwise", "strided", "padded")) >= 3


@pytest.mark.verilator
@pytest.mark.gxx
@pytest.mark.slow
def test_as_few_rows_as_windows_allow_change_no_word_in_either_spelling(tmp_path: Path) -> None:
    tried = machines(range(3000, 3100), 20)
    for result in run_batch(tried, tmp_path):
        assert result.status == 0, f"seed {result.machine.seed}: {result.text}"
        assert result.times[0] == first_image_latency(elaborate(result.machine.graph, result.machine.design))
    cases = [case_of(m.seed, m.graph, m.design, np.random.default_rng(m.seed), 3) for m in tried]
    assert failures(cases, tmp_path) == ""


def one(paced: bool) -> Machine:
    """Images that come as the engine takes them, or as fast as they go in."""
    graph = convolution(replace(SAME, stride_y=2, stride_x=2), (7, 6, 2), k=2)
    design = size_buffers(graph, with_taps(graph, 3, buffer_words=8 * 12))
    x = random_inputs(graph, np.random.default_rng(1), 4)
    interval = schedule(elaborate(graph, design)).interval_cycles
    pace = ("--pace", str(interval), "--patience", "20000") if paced else ()
    return Machine(0, graph, design, x, pace)


@pytest.mark.verilator
@pytest.mark.gxx
@pytest.mark.slow
def test_the_machine_that_bugs_are_planted_in_is_sound(tmp_path: Path) -> None:
    for result in run_group([one(True), one(False)], tmp_path, build_runtime()):
        assert result.status == 0, result.text


@pytest.mark.verilator
@pytest.mark.gxx
@pytest.mark.slow
@pytest.mark.parametrize(
    ("paced", "old", "new"),
    [
        (True, "(f + PAD_TOP * (BANKS - 1)) % BANKS", "(f + 1 + PAD_TOP * (BANKS - 1)) % BANKS"),  # another row's bank
        (False, "words_t'(FreeRow - 1)", "words_t'(FreeRow + Row - 1)"),  # a row freed early
        (True, "Below && row_q >=", "Below && row_q >"),  # the padding below
        (True, "ToNextRow + STRIDE_Y * Row", "ToNextRow + (STRIDE_Y - 1) * Row"),  # too few words waited for
    ],
)
def test_planted_bugs_are_found(paced: bool, old: str, new: str, tmp_path: Path) -> None:
    assert run_group([one(paced)], tmp_path, build_runtime(), planted(old, new, "row_buffer"))[0].status == 1


def feed(**parameters: int | bool) -> Feed:
    """A row buffer of 3x3 windows, padded all around, in words of 16 bits."""
    given = {"fold": 4, "inner": 4, "passes": 3, "banks": 3, "block_ram": False, "rows": 12, "stride": 1} | parameters
    rows, stride = int(given["rows"]), int(given["stride"])
    window = replace(SAME, stride_y=stride, stride_x=stride)
    out = Shape(*window.out_extents(rows, 10), 1)
    fold = int(given["fold"])
    return Feed(
        window=window,
        ishape=Shape(rows, 10, 1),
        oshape=out,
        fold=fold,
        inner=int(given["inner"]),
        passes=int(given["passes"]),
        word_bits=16,
        depth=int(given["banks"]) * 10 * fold,
        block_ram=bool(given["block_ram"]),
        streams=False,
        late=False,
        taps=3,
    )


@pytest.mark.yosys
@pytest.mark.slow
@pytest.mark.parametrize("family", families())
@pytest.mark.parametrize(
    "module",
    [
        feed(),
        feed(banks=4, stride=2, block_ram=True),
        feed(inner=1, passes=1, fold=16),
        feed(fold=1, inner=1, banks=6, passes=8),
    ],
    ids=("plain", "strided", "depthwise", "first"),
)
def test_a_row_buffer_takes_what_is_predicted(module: Feed, family: str, tmp_path: Path) -> None:
    w, shape, out = module.window, module.ishape, module.oshape
    fold, inner = int(module.fold), int(module.inner)
    values = {"WORD_BITS": 16, "FOLD": fold, "IY": shape.y, "IX": shape.x, "OY": out.y, "OX": out.x, "FY": 3, "FX": 3}
    values |= {"STRIDE_Y": w.stride_y, "STRIDE_X": w.stride_x, "PAD_TOP": 1, "PAD_LEFT": 1, "GROUPS": fold // inner}
    values |= {"PASSES": int(module.passes), "BANKS": ceil_div(int(module.depth), shape.x * fold)}
    texts = {name: str(value) for name, value in values.items()} | {"BLOCK_RAM": f"1'b{int(module.block_ram)}"}
    rtl = folder("templates") / "rtl"
    script = synthesis_script(rtl, family, "row_buffer", tmp_path / "stat.json", texts)
    (tmp_path / "synth.ys").write_text("\n".join(script) + "\n")
    code = "import sys; from pyosys import libyosys as ys; d = ys.Design(); "
    code += "[ys.run_pass(line.strip(), d) for line in open(sys.argv[1])]"
    argv = [sys.executable, "-c", code, str(tmp_path / "synth.ys")]
    subprocess.run(argv, cwd=rtl, check=True, capture_output=True, timeout=300)
    found = count_resources(read_cells(tmp_path / "stat.json"))
    predicted = to_resources(area(module, technology_of(family)))
    assert (predicted.dsp, predicted.bram18) == (found.dsp, found.bram18)
    assert abs(predicted.ff / found.ff - 1) < 0.03
    assert abs(predicted.lut / found.lut - 1) < 0.15
