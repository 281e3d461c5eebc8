"""Predicted resources: modules counted by hand, and whole machines beside what synthesis finds in them."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from codesign.data import folder
from codesign.emit.rtl_text import literal
from codesign.ir.cost import Resources
from codesign.ir.design import LineEngine, Memory, Multiplier
from codesign.ir.technology import Technology, families, technology_of
from codesign.machine.elaborate import Unit
from codesign.machine.feeds import Padder, Rearranger, RowRepeater
from codesign.machine.line import line_modules
from codesign.machine.loading import Loader, LoadStage
from codesign.machine.modules import (
    ChannelMux,
    ChannelRom,
    Fifo,
    GateArray,
    LookupTable,
    MacArray,
    Module,
    WeightRom,
)
from codesign.machine.pools import RunningPool
from codesign.machine.scales import Scale
from codesign.model.area import area, multiply_luts
from codesign.model.memory import bram18_count, lutram_luts, rom_luts
from codesign.model.resource import converter_columns, to_resources, unit_resources
from codesign.ops.conv import Conv
from codesign.ops.qtype import QType
from codesign.ops.requantize import Scaling
from codesign.ops.shapes import Shape, Window
from codesign.sim.synth import count_resources, read_cells, synthesis_script
from codesign.testing.resource_cases import Case, Row, compare

XC7, XCUP = technology_of("xc7"), technology_of("xcup")
TOLERANCE = 0.25


def one(value: int) -> np.ndarray:
    return np.array([value])


def array(pe: int, simd: int, *, dsp: bool, technology: Technology) -> Resources:
    """Multiply-accumulate of 5-bit activations, as signed operands, with 4-bit weights in 16-bit accumulators."""
    module = MacArray(pe=pe, simd=simd, channelwise=False, x_bits=5, w_bits=4, acc_bits=16, in_dsp=dsp, constant=False)
    return to_resources(area(module, technology))


def dense_layer(*, k: int, c: int) -> Conv:
    return Conv(
        name="n",
        source="x",
        ishape=Shape(1, 1, c),
        itype=QType(8, False),
        k=k,
        window=Window(fy=1, fx=1),
        groups=1,
        multiplier_bits=1,
        wtype=QType(8, True),
        acc_bits=20,
        scaling=Scaling.SHIFT,
        shift=4,
        otype=QType(8, False),
    )


def test_a_multiplier_of_luts_is_a_row_of_adders_for_every_two_bits_of_the_weight() -> None:
    assert multiply_luts(5, 4) == 2 * 6 - 1
    assert multiply_luts(9, 8) == 4 * 10 - 1
    assert multiply_luts(5, 3) == 2 * 6 - 2  # the last digit of an odd weight has a bit less


def test_a_dsp48e1_takes_in_the_accumulator_of_a_single_multiplier() -> None:
    packed = array(3, 1, dsp=True, technology=XC7)
    assert (packed.dsp, packed.lut, packed.ff) == (3, 2, 4)  # what is left are the flags beside the data
    apart = array(3, 1, dsp=True, technology=XCUP)
    assert apart.dsp == 3
    assert apart.lut == 3 * 16 + 2  # an adder of 16 bits each
    assert apart.ff == 3 * (9 + 16) + 4  # product and accumulator


def test_a_dsp48e1_takes_in_the_first_adder_of_a_tree() -> None:
    pair = array(1, 2, dsp=True, technology=XC7)
    assert (pair.dsp, pair.lut) == (2, 16 + 2)  # the accumulator only
    assert pair.ff == 10 + 16 + 7  # the sum of the pair, the accumulator, the flags
    without = array(1, 2, dsp=False, technology=XC7)
    assert without.lut - pair.lut == 2 * 11 + 9  # two multipliers and the adder
    assert without.ff - pair.ff == 2 * 9


def test_a_product_in_luts_is_cut_behind_every_two_rows() -> None:
    def registers(w_bits: int) -> int:
        module = MacArray(pe=1, simd=1, channelwise=False, x_bits=9, w_bits=w_bits, acc_bits=24, in_dsp=False,
                          constant=False)  # fmt: skip
        return to_resources(area(module, XC7)).ff

    assert registers(4) == 13 + 24 + 4  # product, accumulator, flags
    # Sum so far, four bits that are done, two digits that are not, the activation; flags of one more stage.
    assert registers(8) == 17 + 24 + 7 + (9 + 4 + 5 + 9)


def test_registers_of_a_fifo_are_its_pointers_and_its_output() -> None:
    small = to_resources(area(Fifo(depth=16, word_bits=8), XC7))
    assert small.ff == 2 * 5 + 1 + 8
    assert small.bram18 == 0
    large = to_resources(area(Fifo(depth=2048, word_bits=9), XC7))
    assert large.ff == 2 * 12 + 1
    assert large.bram18 == 1


def test_registers_of_modules_that_join_and_repeat_maps_are_their_words_pointers_and_counters() -> None:
    mux = to_resources(area(ChannelMux(word_bits=24, words=(2, 2, 3)), XC7))
    queue = 3 * 2 + 2 * 3 + 3  # of four words: three addresses, two counts, three flags
    # The word, whether it is there, which of seven is next, whose turn it is.
    assert (mux.ff, mux.bram18, mux.dsp) == (24 + 1 + 3 + 2 + queue, 0, 0)
    assert mux.lut == 24 + 7 + (10 + 4 * 4)  # a choice of three a bit; the queue has four RAM32M
    rows = RowRepeater(ishape=Shape(7, 7, 8), fy=2, fx=2, fold=4, word_bits=16, depth=64, block_ram=False)
    assert to_resources(area(rows, XC7)).ff == 16 + 5 + 5 * 7 + (2 + 1 + 3 + 1) + queue
    large = dataclasses.replace(rows, depth=2048, block_ram=True)
    assert to_resources(area(large, XC7)).ff == 16 + 6 + 5 * 12 + 7 + (3 * 3 + 2 * 4 + 3)
    assert to_resources(area(large, XC7)).bram18 == 2


def rearranged(
    *,
    counts: tuple[int, ...],
    strides: tuple[int, ...],
    image: int,
    free: int,
    word_bits: int,
    depth: int,
    first: int = 0,
    last_pass: int | None = None,
    block_ram: bool = False,
) -> Rearranger:
    return Rearranger(
        counts=counts, strides=strides, first=first, image=image, fold=counts[0], free=free, last_pass=last_pass,
        word_bits=word_bits, depth=depth, block_ram=block_ram,
    )  # fmt: skip


def padded(
    *, place: tuple[int, int], strides: tuple[int, int], value: int, fold: int, depth: int, block_ram: bool = False
) -> Padder:
    """Words of four lanes of 5 bits; as much below and on the right as above and on the left."""
    given = Shape(9, 13, 4 * fold)
    rows, columns = (
        2 * p + (extent - 1) * s + 1 for p, extent, s in zip(place, (given.y, given.x), strides, strict=True)
    )
    return Padder(ishape=given, oshape=Shape(rows, columns, given.c), place=place, strides=strides, value=value, bits=5,
                  lanes=4, fold=fold, depth=depth, block_ram=block_ram)  # fmt: skip


def gated(*, pe: int, fold: int, repeat: int, in_dsp: bool, factor: int) -> GateArray:
    """8-bit maps times 6-bit gates, to 8 bits; a factor of 0 is none."""
    bits = 15 + factor.bit_length()
    scale = Scale(acc_bits=15, factor_bits=factor.bit_length(), general=factor > 0, sum_bits=bits + 1, shift=bits - 9,
                  out_bits=8, out_signed=False)  # fmt: skip
    return GateArray(pe=pe, fold=fold, repeat=repeat, types=((8, True), (6, False)), in_dsp=in_dsp, scale=scale,
                     factor=factor)  # fmt: skip


# What a module takes by open synthesis alone: registers exact, LUTs within a quarter.
ALONE = [
    ChannelMux(word_bits=32, words=(3, 5)),
    ChannelMux(word_bits=16, words=(4, 4, 4, 1)),
    RowRepeater(ishape=Shape(3, 7, 4), fy=2, fx=2, fold=4, word_bits=16, depth=64, block_ram=False),
    RowRepeater(ishape=Shape(8, 8, 4), fy=1, fx=2, fold=1, word_bits=8, depth=16, block_ram=False),
    RowRepeater(ishape=Shape(9, 9, 4), fy=2, fx=1, fold=8, word_bits=32, depth=256, block_ram=True),
    rearranged(counts=(3, 49), strides=(1, 8), first=2, image=392, free=1, word_bits=16, depth=32),
    rearranged(counts=(2, 2, 7, 2, 5), strides=(1, 2, 8, 4, 56), image=280, free=2, last_pass=3, word_bits=8, depth=64),
    rearranged(counts=(2, 8, 30), strides=(8, 1, 16), image=480, free=2, word_bits=12, depth=2048, block_ram=True),
    padded(place=(2, 1), strides=(1, 1), value=3, fold=3, depth=16),
    padded(place=(0, 0), strides=(2, 3), value=0, fold=1, depth=64),
    padded(place=(5, 9), strides=(1, 1), value=0, fold=2, depth=2048, block_ram=True),
    gated(pe=2, fold=4, repeat=20, in_dsp=True, factor=0),
    gated(pe=2, fold=4, repeat=20, in_dsp=False, factor=0),
    gated(pe=3, fold=1, repeat=20, in_dsp=True, factor=77),
    gated(pe=2, fold=3, repeat=1, in_dsp=False, factor=77),
    LookupTable(pe=3, fold=1, in_bits=8, out_bits=8, per_lane=False, block_ram=False),
    LookupTable(pe=2, fold=1, in_bits=6, out_bits=10, per_lane=True, block_ram=False),
    LookupTable(pe=2, fold=3, in_bits=7, out_bits=4, per_lane=True, block_ram=False),
    LookupTable(pe=2, fold=4, in_bits=8, out_bits=12, per_lane=True, block_ram=True),
]


@pytest.mark.yosys
@pytest.mark.parametrize("number", range(len(ALONE)))
@pytest.mark.parametrize("family", families())
def test_a_module_that_is_an_engine_takes_what_is_predicted(number: int, family: str, tmp_path: Path) -> None:
    module = ALONE[number]
    texts = {name: literal(value).replace(" ", "") for name, value in module.parameters.items()}
    if isinstance(module, LookupTable):
        texts["FILE"] = f'"{tmp_path}/table_"'
        write_random_tables(module, tmp_path)
    compare_module(module, module.name, texts, family, tmp_path)


def compare_module(module: Module, name: str, texts: dict[str, str], family: str, tmp_path: Path) -> None:
    """Synthesize the module of that name with these parameters: registers and memories are equal, LUTs are near."""
    script = synthesis_script(folder("templates") / "rtl", family, name, tmp_path / "stat.json", texts)
    (tmp_path / "synth.ys").write_text("\n".join(script) + "\n")
    code = "import sys; from pyosys import libyosys as ys; d = ys.Design(); "
    code += "[ys.run_pass(line.strip(), d) for line in open(sys.argv[1])]"
    argv = [sys.executable, "-c", code, str(tmp_path / "synth.ys")]
    subprocess.run(argv, cwd=folder("templates") / "rtl", check=True, capture_output=True, timeout=300)
    found, predicted = (
        count_resources(read_cells(tmp_path / "stat.json")),
        to_resources(area(module, technology_of(family))),
    )
    assert (predicted.ff, predicted.bram18, predicted.dsp) == (found.ff, found.bram18, found.dsp)
    assert abs(predicted.lut / found.lut - 1) < TOLERANCE


LOADED = {"LOADED": "1'b1"}
IN_BLOCK = {**LOADED, "BLOCK_ROM": "1'b1", "LATE": "1'b1"}


@pytest.mark.yosys
@pytest.mark.parametrize(
    ("module", "name", "texts"),
    [
        (Loader(words=10, stages=2), "weight_loader", {"WORDS": "10"}),
        (Loader(words=100_000, stages=2), "weight_loader", {"WORDS": "100000"}),
        (LoadStage(words=5000), "load_stage", {"WORDS": "5000"}),
        (ChannelRom(word_bits=60, depth=33, loaded=True), "channel_rom", {"WORD_BITS": "60", "DEPTH": "33", **LOADED}),
        (
            WeightRom(word_bits=128, depth=144, block_ram=True, late=True, feeds_dsp=False, loaded=True),
            "weight_rom",
            {"WORD_BITS": "128", "DEPTH": "144", **IN_BLOCK},
        ),
        (
            WeightRom(word_bits=24, depth=40, block_ram=False, late=False, feeds_dsp=False, loaded=True),
            "weight_rom",
            {"WORD_BITS": "24", "DEPTH": "40", **LOADED},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_loads_weights_takes_what_is_predicted(
    module: Module, name: str, texts: dict[str, str], tmp_path: Path
) -> None:
    compare_module(module, name, texts, "xc7", tmp_path)


def running(
    *, pe: int, fold: int, pixels: int, average: bool = True, signed: bool = False, block_ram: bool = False
) -> RunningPool:
    """Words of 8 bits; sums as wide as a Pool has them."""
    bits = (128 * pixels - 1).bit_length() + 1 if signed else (256 * pixels - 1).bit_length() + 1
    return RunningPool(pe=pe, average=average, signed=signed, x_bits=8, bits=bits if average else 8, pixels=pixels,
                       fold=fold, block_ram=block_ram)  # fmt: skip


POOLS = [
    running(pe=4, fold=1, pixels=49),
    running(pe=4, fold=2, pixels=49, signed=True),
    running(pe=2, fold=40, pixels=64),
    running(pe=3, fold=7, pixels=16, average=False, signed=True),
    running(pe=4, fold=320, pixels=49, block_ram=True),
    running(pe=1, fold=1280, pixels=49, signed=True, block_ram=True),
]


@pytest.mark.yosys
@pytest.mark.parametrize("number", range(len(POOLS)))
@pytest.mark.parametrize("family", families())
def test_a_running_pool_takes_what_is_predicted(number: int, family: str, tmp_path: Path) -> None:
    pool = POOLS[number]
    values = {
        "PE": pool.pe, "FOLD": pool.fold, "PIXELS": pool.pixels, "AVERAGE": pool.average, "X_BITS": pool.x_bits,
        "X_SIGNED": pool.signed, "ACC_BITS": pool.bits + (not pool.average and not pool.signed),
        "BLOCK": pool.block_ram,
    }  # fmt: skip
    compare_module(pool, "running_pool", {n: literal(v) for n, v in values.items()}, family, tmp_path)


def write_random_tables(module: LookupTable, folder: Path) -> None:
    """Contents that synthesis cannot make smaller."""
    words, rng = int(module.fold) << module.in_bits, np.random.default_rng(0)
    for lane in range(module.tables):
        lines = (f"{value:x}" for value in rng.integers(0, 1 << module.out_bits, words))
        (folder / f"table_{lane:04d}.hex").write_text("\n".join(lines) + "\n")


def test_a_width_converter_between_equal_words_is_a_wire() -> None:
    assert not converter_columns(4, 4, 8, 8, 8, XC7).any()
    widener = to_resources(converter_columns(2, 8, 16, 16, 4, XC7))
    assert widener.ff == 8 * 4 + 2 + 1  # the word, which of four parts, and whether it is full


def test_a_memory_lies_in_the_best_shape_of_block_ram() -> None:
    assert [int(bram18_count(one(w), one(512), XC7)[0]) for w in (1, 36, 37, 72, 73)] == [1, 1, 2, 2, 3]
    assert [int(bram18_count(one(9), one(d), XC7)[0]) for d in (512, 2048, 2049, 4096)] == [1, 1, 2, 2]


def test_distributed_memories_are_as_wide_as_their_primitives() -> None:
    assert int(lutram_luts(one(6), one(32), XC7)[0]) == 4
    assert int(lutram_luts(one(7), one(32), XC7)[0]) == 8
    assert int(lutram_luts(one(14), one(32), XCUP)[0]) == 8
    assert float(rom_luts(one(64), one(64), XC7)[0]) == pytest.approx(64, rel=0.01)  # a LUT6 a bit
    assert float(rom_luts(one(64), one(1), XC7)[0]) == 0


def test_few_words_of_weights_never_take_a_block_ram() -> None:
    for depth, expected in ((1, 0), (16, 0), (17, 2), (512, 2)):
        node = dense_layer(k=9, c=depth)
        engine = LineEngine(
            nodes=(node.name,), pe=9, simd=1, emit=9, multiplier=Multiplier.LUT, weight_memory=Memory.BRAM
        )
        modules = line_modules(node, engine)
        (memory,) = (module for module in modules if isinstance(module, WeightRom))
        assert (memory.word_bits, memory.depth) == (72, depth)
        assert unit_resources(Unit(node, engine, modules), XC7).bram18 == expected


def test_products_with_constants_take_no_dsp() -> None:
    node = dense_layer(k=2, c=2)
    whole = LineEngine(nodes=(node.name,), pe=2, simd=2, emit=2, multiplier=Multiplier.DSP, weight_memory=Memory.BRAM)
    found = unit_resources(Unit(node, whole, line_modules(node, whole)), XC7)
    assert (found.dsp, found.bram18) == (0, 0)
    half = LineEngine(nodes=(node.name,), pe=1, simd=2, emit=1, multiplier=Multiplier.DSP, weight_memory=Memory.BRAM)
    assert unit_resources(Unit(node, half, line_modules(node, half)), XC7).dsp == 2


# Weights are dense and random (see Case.machine): nothing is left for synthesis to fold but what the formulas know.
@pytest.mark.yosys
@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [Case(3, "xc7"), Case(6, "xc7"), Case(105, "xcup")],
    ids=str,
)
def test_a_random_machine_takes_what_is_predicted(case: Case, tmp_path: Path) -> None:
    check(compare(case, tmp_path))


@pytest.mark.yosys
@pytest.mark.slow
def test_a_searched_network_takes_what_is_predicted(tmp_path: Path) -> None:
    row = compare(Case(0, "xc7", 0.12), tmp_path)
    assert row.multipliers > 50
    check(row)


def check(row: Row) -> None:
    """DSP and BRAM18 are equal, LUT and FF are near."""
    assert (row.predicted.dsp, row.predicted.bram18) == (row.found.dsp, row.found.bram18)
    assert abs(row.error("lut")) <= TOLERANCE
    assert abs(row.error("ff")) <= TOLERANCE
