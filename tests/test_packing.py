"""Two output channels in one DSP: the arithmetic, what is refused, and machines that pack."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codesign.emit.rtl import render_rtl
from codesign.emit.tables import array_added, weight_table
from codesign.errors import ConfigError
from codesign.ir.board import Board, Fill
from codesign.ir.boards import load_board
from codesign.ir.builder import GraphBuilder
from codesign.ir.cost import Resources
from codesign.ir.design import Design, LineEngine, Multiplier
from codesign.ir.graph import Graph
from codesign.ir.technology import technology_of
from codesign.machine.elaborate import elaborate
from codesign.machine.legal import check_design
from codesign.machine.line import emit_lanes, row_words
from codesign.machine.packing import chain_length, chains_of, field_bits, is_packed
from codesign.model import golden, space
from codesign.model.course import first_image_latency
from codesign.model.limit import limit_interval
from codesign.model.predict import predict
from codesign.model.resource import design_resources, unit_resources
from codesign.model.schedule import size_buffers
from codesign.ops.arrays import IntArray
from codesign.ops.conv import Conv
from codesign.ops.qtype import QType
from codesign.ops.shapes import Window
from codesign.search.design import search_design
from codesign.sim.synth import synthesize
from codesign.testing.random_machines import random_design, random_graph, random_inputs
from hls_batch import case_of, failures
from rtl_batch import Machine, Result, build_runtime, run_group

XC7, XCUP = technology_of("xc7"), technology_of("xcup")


def graph_of(weight: IntArray, *, signed: bool = False, groups: int = 1, bits: int = 8, weight_bits: int = 8) -> Graph:
    """One padded convolution of a 4 x 3 map with these weights[K,FY,FX,C/G]."""
    build = GraphBuilder("one", (4, 3, weight.shape[3] * groups), QType(bits, signed))
    bias = np.arange(len(weight)) * 100 - 150
    build.conv(
        build.input, weight, bias, otype=QType(16, True), window=Window(fy=2, fx=2, pad_top=1, pad_left=1),
        groups=groups, shift=1, weight_bits=weight_bits, name="conv",
    )  # fmt: skip
    return build.graph()


def random_weights(k: int, c: int, low: int = -127, high: int = 127, seed: int = 0) -> IntArray:
    return np.random.default_rng(seed).integers(low, high + 1, (k, 2, 2, c), dtype=np.int64)


def design_of(graph: Graph, pe: int, simd: int, taps: int = 1, *, multiplier: Multiplier = Multiplier.PACKED) -> Design:
    node = graph.node("conv")
    assert isinstance(node, Conv)
    engine = LineEngine(
        nodes=("conv",), pe=pe, simd=simd, taps=taps, emit=emit_lanes(node, pe, simd, taps), multiplier=multiplier
    )
    words = 256 if taps == 1 else 8 * row_words(node, engine)
    return size_buffers(graph, Design(engines=(replace(engine, buffer_words=words),)))


def machine_of(graph: Graph, pe: int, simd: int, taps: int = 1) -> Machine:
    return Machine(0, graph, design_of(graph, pe, simd, taps), random_inputs(graph, np.random.default_rng(1), 4))


@pytest.mark.parametrize(("port", "taps"), [(25, 4), (27, 16)])
def test_a_port_leaves_room_for_the_sums_that_are_known_of_its_dsp(port: int, taps: int) -> None:
    """Of 8-bit weights and activations: four products on a DSP48E1, sixteen on a DSP48E2, and no more."""
    assert field_bits(8, 8, taps) + 8 == port
    assert field_bits(8, 8, taps + 1) + 8 == port + 1


@pytest.mark.parametrize(("w_bits", "x_bits"), [(8, 8), (6, 8), (4, 4), (2, 2), (3, 8)])
@pytest.mark.parametrize("taps", [1, 2, 3, 4])
def test_both_sums_come_out_of_one_as_long_as_the_field_is_as_wide_as_it_says(
    w_bits: int, x_bits: int, taps: int
) -> None:
    rng, most, half = np.random.default_rng(taps), (1 << (w_bits - 1)) - 1, 1 << (x_bits - 1)
    w = rng.integers(-most, most + 1, (2, 20_000, taps))
    x = rng.integers(-half, half, (20_000, taps))
    w[:, :5000], x[:5000] = rng.choice([-most, most], (2, 5000, taps)), rng.choice([-half, half - 1], (5000, taps))
    w[:, 0], x[0] = -most, -half  # the largest sum

    def wrong(field: int) -> int:
        total = (((w[1] << field) + w[0]) * x).sum(axis=1)
        low = ((total + (1 << (field - 1))) & ((1 << field) - 1)) - (1 << (field - 1))
        high = (total >> field) + (low < 0)
        return int(((low != (w[0] * x).sum(axis=1)) | (high != (w[1] * x).sum(axis=1))).sum())

    field = field_bits(w_bits, x_bits, taps)
    assert wrong(field) == 0
    least = (taps * most * half).bit_length() + 1
    assert wrong(least - 1) > 0
    assert field == max(least, 9 - w_bits - x_bits)  # no DSP multiplies less than nine bits


def test_chains_are_few_and_as_long_as_each_other() -> None:
    for simd in range(1, 40):
        ends = [c * simd // chains_of(simd) for c in range(chains_of(simd) + 1)]
        assert {chain_length(simd), chain_length(simd) - 1} >= set(np.diff(ends).tolist())
        assert chain_length(simd) <= 4
        assert 4 * (chains_of(simd) - 1) < simd


def test_the_memory_holds_the_pair_as_the_wires_of_its_operand() -> None:
    graph = graph_of(random_weights(5, 3))
    node, engine = graph.node("conv"), design_of(graph, 4, 2).engines[0]
    assert isinstance(node, Conv)
    lanes = weight_table(node, engine, graph.params).values.reshape(-1, 4, 2)
    plain = weight_table(node, replace(engine, multiplier=Multiplier.DSP), graph.params).values.reshape(-1, 4, 2)
    operand = (lanes[:, 1::2] << 17) | (lanes[:, 0::2] & ((1 << 17) - 1))
    assert (operand == (plain[:, 1::2] << 17) + plain[:, 0::2]).all()
    assert lanes.min() >= -128
    assert (lanes[:, 0::2] == plain[:, 0::2]).all()


def test_offsets_return_what_unsigned_activations_lose() -> None:
    weight = random_weights(4, 3)
    for signed in (False, True):
        graph = graph_of(weight, signed=signed)
        node, engine = graph.node("conv"), design_of(graph, 4, 3).engines[0]
        assert isinstance(node, Conv)
        single = array_added(node, replace(engine, multiplier=Multiplier.LUT), graph.params)
        more = array_added(node, engine, graph.params) - single
        assert (more == (0 if signed else 128 * weight.sum(axis=(1, 2, 3)))).all()


@pytest.mark.parametrize(
    ("weight", "lanes", "text"),
    [
        (random_weights(6, 4), (3, 2), r"node 'conv': multiplier: 'packed' .* PE must be even; its engine has PE 3"),
        (np.full((4, 2, 2, 4), -128), (2, 2), r"a pair of weights, -128 and -128, of output channels 0 and 1"),
        (
            np.tile([[[[-128]]], [[[5]]]], (3, 2, 2, 4)),
            (2, 4),
            r"4 products .* output channels 0 and 1; .* -127 to 127",
        ),
    ],
)
def test_what_cannot_be_packed_is_refused_with_its_channels(
    weight: IntArray, lanes: tuple[int, int], text: str
) -> None:
    graph = graph_of(weight)
    with pytest.raises(ConfigError, match=text):
        check_design(design_of(graph, *lanes), graph)
    check_design(design_of(graph, *lanes, multiplier=Multiplier.DSP), graph)


def test_channels_that_share_no_inputs_are_not_packed() -> None:
    graph = graph_of(random_weights(4, 1), groups=4)
    with pytest.raises(ConfigError, match="node 'conv': multiplier: 'packed' needs output channels that share"):
        check_design(design_of(graph, 2, 1), graph)


def test_a_pair_that_is_wider_than_the_port_is_refused_on_that_board() -> None:
    graph = graph_of(random_weights(4, 4, -200, 200), weight_bits=9)
    design = design_of(graph, 2, 4)
    check_design(design, graph)  # 255 * 128 * 4 needs 18 bits below the upper weight: 27 in all
    predict(graph, design, load_board("ultra96-v2"))
    with pytest.raises(ConfigError, match=r"needs 27 bits for two weights and 8 .* multiplies 25 x 18 bits"):
        predict(graph, design, load_board("pynq-z2"))


def offered(graph: Graph, family: str = "xc7") -> Callable[[int, int], bool]:
    """Whether the space has an engine that packs, by PE and SIMD."""
    board = replace(load_board("pynq-z2"), family=family)
    engines = space.design_space(graph, board).sites[1].options.engines
    assert engines is not None
    found = set(zip(engines.pe[engines.packed].tolist(), engines.simd[engines.packed].tolist(), strict=True))
    return lambda pe, simd: (pe, simd) in found


def test_the_space_offers_what_packs_and_nothing_else() -> None:
    has = offered(graph_of(random_weights(4, 4)))
    assert has(2, 4)
    assert has(4, 1)
    assert not any(has(pe, simd) for pe in (1, 3) for simd in (1, 2, 3, 4))
    asymmetric = random_weights(4, 4)
    asymmetric[1, 0, 0, 0] = -128
    assert not offered(graph_of(asymmetric))(2, 4)
    wide = graph_of(random_weights(4, 4, -200, 200), weight_bits=9)
    assert not offered(wide)(2, 4)
    assert offered(wide)(2, 1)  # 255 * 128 fits 16 bits
    assert offered(wide, "xcup")(2, 4)


def board_of(dsp: int, lut: int) -> Board:
    have = Resources(dsp=dsp, bram18=20, lut=lut, ff=10**6)
    return replace(load_board("pynq-z2"), resources=have, fill=Fill(dsp=1.0, bram18=1.0, uram=1.0, lut=1.0, ff=1.0))


def test_four_dsps_multiply_eight_times_a_cycle(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, board = graph_of(random_weights(8, 8)), board_of(4, 600)
    now = search_design(graph, board, explain=False)
    monkeypatch.setattr(space, "_can_pack", lambda node, graph: False)
    before = search_design(graph, board, explain=False)
    assert now.design.engines[0].packed
    assert now.proved_optimal
    assert 2 * now.interval_cycles == before.interval_cycles


def test_packing_never_makes_a_design_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of(random_weights(8, 8))
    boards = [board_of(dsp, lut) for dsp in (2, 4, 8) for lut in (600, 700, 900)]

    def intervals() -> list[int]:
        return [search_design(graph, board, explain=False).interval_cycles for board in boards]

    now = intervals()
    monkeypatch.setattr(space, "_can_pack", lambda node, graph: False)
    before = intervals()
    assert all(new <= old for new, old in zip(now, before, strict=True))
    assert sum(new < old for new, old in zip(now, before, strict=True)) >= 4


def test_a_limit_counts_two_multiplications_a_dsp_where_they_can_share_it() -> None:
    one = replace(load_board("zcu102"), resources=Resources(dsp=1))
    dense, depthwise = graph_of(random_weights(4, 4)), graph_of(random_weights(4, 1), groups=4)
    assert limit_interval(dense, one) == dense.node("conv").macs // 2
    assert limit_interval(depthwise, one) == depthwise.node("conv").macs


def test_random_designs_often_pack() -> None:
    packing = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        graph = random_graph(rng)
        design = random_design(graph, rng)
        packing += any(is_packed(n, e) for n, e in zip(graph.operations, design.engines, strict=True))
    assert packing >= 10


CASES: list[tuple[Graph, int, int, int]] = [
    (graph_of(random_weights(6, 9), signed=True), 6, 9, 1),  # three chains of three
    (graph_of(random_weights(5, 7, seed=1)), 4, 5, 1),  # chains of three and two; a channel beyond K
    (graph_of(random_weights(4, 3, -7, 7), bits=4, weight_bits=4), 2, 1, 1),
    (graph_of(np.tile([[[[3]]], [[[-128]]]], (2, 2, 2, 6))), 2, 6, 1),  # the least weight, where it fits
    (graph_of(np.tile([[[[-127]]], [[[127]]]], (2, 2, 2, 8))), 4, 8, 1),  # the largest sums
    (graph_of(random_weights(4, 3, seed=2)), 4, 3, 2),  # both rows of a window
    (graph_of(random_weights(4, 5, -1, 1), weight_bits=8), 2, 5, 1),  # sums narrower than a field
]


@pytest.mark.gxx
@pytest.mark.parametrize("options", [[], ["-DCODESIGN_EXACT"]], ids=["native", "exact"])
def test_packed_kernels_give_the_golden_words(options: list[str], tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    cases = [case_of(i, g, design_of(g, pe, simd, taps), rng, 4) for i, (g, pe, simd, taps) in enumerate(CASES)]
    assert failures(cases, tmp_path, options) == ""


def run(machines: list[Machine], work: Path, alter: Callable[[Path], None] | None = None) -> list[Result]:
    work.mkdir()
    return run_group(machines, work, build_runtime(), alter)


@pytest.mark.verilator
@pytest.mark.gxx
def test_packed_engines_give_the_golden_words_in_the_predicted_cycles(tmp_path: Path) -> None:
    machines = [machine_of(*case) for case in CASES]
    for result in run(machines, tmp_path / "run"):
        assert result.status == 0, result.text
        machine = elaborate(result.machine.graph, result.machine.design)
        assert result.times[0] == first_image_latency(machine)


@pytest.mark.verilator
@pytest.mark.gxx
@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("packed_pair", "ACC_BITS'({1'b0, g_level[Levels].borrow[0]})", "ACC_BITS'(0)"),
        ("packed_pair", "UpBits'({1'b0, g_level[l-1].borrow[2*s]})", "UpBits'(0)"),
        ("packed_array", "(X_BITS'(1) << (X_BITS - 1))", "X_BITS'(0)"),
        ("packed_array", "Late = CHAIN - Taps + t - 1", "Late = t - 1"),
    ],
    ids=["last borrow", "borrow of a level", "half of the range", "a short chain"],
)
def test_planted_bugs_are_found(module: str, old: str, new: str, tmp_path: Path) -> None:
    def alter(modules: Path) -> None:
        path = modules / f"{module}.sv"
        text = path.read_text()
        assert old in text
        path.write_text(f"/* verilator lint_off UNUSED */\n{text.replace(old, new)}")

    (result,) = run([machine_of(*CASES[1])], tmp_path / "run", alter)
    assert "mismatch image" in result.text


def test_a_pair_takes_one_dsp_a_product() -> None:
    graph = graph_of(random_weights(6, 9))
    (unit,) = elaborate(graph, design_of(graph, 6, 9)).units
    (single,) = elaborate(graph, design_of(graph, 6, 9, multiplier=Multiplier.DSP)).units
    for technology in (XC7, XCUP):
        assert unit_resources(unit, technology).dsp == 3 * 9
        assert unit_resources(single, technology).dsp == 6 * 9


@pytest.mark.yosys
@pytest.mark.slow
@pytest.mark.parametrize("name", ["pynq-z2", "ultra96-v2"])
def test_a_machine_that_packs_takes_what_is_predicted(name: str, tmp_path: Path) -> None:
    graph, *lanes = CASES[0]
    design = design_of(graph, *lanes)
    board, x = load_board(name), np.zeros((1, 4, 3, graph.input.shape.c), np.int64)
    measured = synthesize(render_rtl(graph, design, board, x, golden.run(graph, x)), board, tmp_path)
    found, predicted = measured.resources, design_resources(elaborate(graph, design), board.fabric)
    assert found is not None
    assert (predicted.dsp, predicted.bram18) == (found.dsp, found.bram18)
    assert abs(predicted.lut / found.lut - 1) < 0.1
    assert abs(predicted.ff / found.ff - 1) < 0.1
