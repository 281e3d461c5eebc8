"""Open synthesis: how a design is parted, and what is said when a part is lost; in seconds, with an emulated pyosys."""

import importlib.util
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from codesign.cli import main
from codesign.emit.rtl import render_rtl
from codesign.errors import ToolError, UnsupportedError
from codesign.flow import steps, verbs
from codesign.flow.config import CompileConfig, ProofConfig
from codesign.flow.display import Display
from codesign.ir import files
from codesign.ir.board import Board
from codesign.ir.cost import Resources
from codesign.ir.measurement import Measurement
from codesign.machine.elaborate import elaborate
from codesign.machine.names import engine_names
from codesign.model import golden
from codesign.sim import synth, yosys_parts
from codesign.sim.synth import reading_script, synthesize
from codesign.sim.tool import run_tool
from codesign.sim.yosys_parts import Part, TooLarge, canonical, parts_of
from codesign.testing.resource_cases import Case
from codesign.testing.small import small_design, small_graph
from test_tool import ends

EMULATED = Path(__file__).parent / "emulated_pyosys"
INSTANCES = ["u_engine_conv"]
CONV, ARRAY = "conv_engine$accel.u_engine_conv", "mac_array$accel.u_engine_conv.g_single.u_array"


def module(name: str, cells: tuple[str, ...] = (), wires: tuple[str, ...] = ()) -> tuple[str, SimpleNamespace]:
    def named(names: tuple[str, ...]) -> dict[str, SimpleNamespace]:
        return {n: SimpleNamespace(name=f"\\{n}") for n in names}

    return name, SimpleNamespace(name=f"\\{name}", cells_=named(cells), wires_=named(wires))


def design(lanes: int, products: int, *, constant: bool = False) -> dict[str, Any]:
    """The modules of a machine with one convolution, of so many lanes with so many products each."""
    cells = tuple(f"g_pe[{p}].g_product.g_simd[{s}].u_multiply" for p in range(lanes) for s in range(products))
    return dict(
        [
            module("accel"),
            module(CONV),
            module(ARRAY, cells),
            module("weight_rom$accel.u_engine_conv.u_weights", wires=("g_constant.memory",) if constant else ("word",)),
            *(module(f"multiply${ARRAY.partition('$')[2]}.{cell}") for cell in cells),
        ]
    )


def test_a_small_engine_is_synthesized_as_a_whole() -> None:
    assert parts_of(design(8, 16), "accel", INSTANCES) == [Part(CONV), Part("accel", (CONV,))]


def test_of_a_wide_array_two_lanes_stand_for_all() -> None:
    parts = parts_of(design(25, 128), "accel", INSTANCES)
    assert set(parts) == {
        Part("accel", (CONV,)),
        Part(CONV, (ARRAY,)),
        Part(ARRAY, lanes=1, times=-23),
        Part(ARRAY, lanes=2, times=24),
    }
    assert parts[0].lanes == 2  # the largest first
    assert len({part.file for part in parts}) == 4


def test_of_a_wide_array_that_packs_two_pairs_of_channels_stand_for_all() -> None:
    array = "packed_array$accel.u_engine_conv.g_packed.u_array"
    cells = [f"g_pair[{p}].u_pair" for p in range(12)]
    taps = [f"packed_tap${array.partition('$')[2]}.{c}.g_chain[{i}].g_tap[0].u_tap" for c in cells for i in range(100)]
    made = [module("accel"), module(CONV), module(array, tuple(cells)), *map(module, taps)]
    made.append(module("weight_rom$accel.u_engine_conv.u_weights", wires=("word",)))
    pairs = {Part(array, lanes=1, times=-10), Part(array, lanes=2, times=11)}
    assert pairs <= set(parts_of(dict(made), "accel", INSTANCES))


def test_lanes_whose_weights_are_constants_are_not_alike() -> None:
    assert Part(CONV) in parts_of(design(10, 20, constant=True), "accel", INSTANCES)
    with pytest.raises(TooLarge, match=r"engine accel.u_engine_conv has 3,200 products, 3,200 of them in one piece"):
        parts_of(design(25, 128, constant=True), "accel", INSTANCES)


@pytest.fixture
def emulated(tmp_path: Path, board: Board, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Measurement]:
    """Synthesis of the small machine with the emulated pyosys; arguments say what becomes of parts."""
    monkeypatch.setenv("PYTHONPATH", str(EMULATED), prepend=":")
    monkeypatch.setenv("EMULATED_PYOSYS", str(tmp_path))
    monkeypatch.setattr(synth, "_VERSION", "print('emulated')")

    def start(**fates: str) -> Measurement:
        for part, fate in fates.items():
            (tmp_path / part).write_text(fate)
        graph = small_graph()
        x = np.zeros((1, 6, 6, 1), dtype=np.int64)
        project = render_rtl(graph, small_design(), board, x, golden.run(graph, x))
        return synthesize(project, board, tmp_path / "a work folder", timeout_s=200)

    return start


def test_the_counts_of_all_parts_are_added_up(emulated: Callable[..., Measurement]) -> None:
    assert emulated().resources == Resources(lut=3)


def synthesized(tmp_path: Path) -> list[str]:
    """The parts that were synthesized, in the order of their names."""
    return sorted(line.split()[0] for line in (tmp_path / "begun").read_text().splitlines())


def test_what_was_synthesized_is_kept_by_content(emulated: Callable[..., Measurement], tmp_path: Path) -> None:
    emulated()
    assert synthesized(tmp_path) == ["accel", "u_engine_conv", "u_engine_pool"]
    assert emulated().resources == Resources(lut=3)
    assert len(synthesized(tmp_path)) == 3
    (tmp_path / "u_engine_pool.content").write_text("another")
    assert emulated().resources == Resources(lut=3)
    assert synthesized(tmp_path) == ["accel", "u_engine_conv", "u_engine_pool", "u_engine_pool"]


def test_what_was_kept_of_another_version_is_synthesized_again(
    emulated: Callable[..., Measurement], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulated()
    monkeypatch.setattr(synth, "_VERSION", "print('emulated 2')")
    assert emulated().version == "emulated 2"
    assert len(synthesized(tmp_path)) == 6


def test_a_part_that_failed_is_not_kept(emulated: Callable[..., Measurement], tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"part accel\.u_engine_conv was killed"):
        emulated(u_engine_conv="hungry")
    kept = list((tmp_path / "a work folder" / "synth_parts").iterdir())
    assert emulated(u_engine_conv="").resources == Resources(lut=3)
    assert len(list((tmp_path / "a work folder" / "synth_parts").iterdir())) == len(kept) + 1 == 3


def test_engines_that_differ_in_their_place_alone_are_one_content() -> None:
    def of(path: str, width: int, number: int) -> str:
        text = (
            f"autoidx {number + 9}\n"
            f'attribute \\src "modules/add.sv:{number}.3"\n'
            f"module \\add$accel.{path}\n"
            f"  wire width {width} $procmux${number}_Y\n"
            f"  wire ${number + 1}y\n"
            f"  cell $mux $procmux${number}\n"
        )
        return canonical(text, f"accel.{path}")

    assert of("u_engine_conv", 4, 17) == of("u_engine_dense", 4, 234)
    assert of("u_engine_conv", 4, 17) != of("u_engine_conv", 5, 17)
    assert "$mux" in of("u_engine_conv", 4, 17)


def test_synthesis_is_a_verb_and_no_part_of_a_compilation(
    emulated: Callable[..., Measurement], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    pytest.importorskip("onnx")
    from codesign.front.onnx_file import write_onnx

    write_onnx(small_graph(), tmp_path / "small.onnx")
    run = str(tmp_path / "run")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: True)
    command = ["compile", str(tmp_path / "small.onnx"), "--board", "pynq-z2", "--out", run]
    assert main(command) == 0
    assert not (tmp_path / "begun").exists()
    assert "synthesis" not in files.read_plain(tmp_path / "run" / "summary.json")
    for _ in range(2):
        assert main(["synthesize", run]) == 0
        assert "synthesis  0 DSP, 0 BRAM18, 3 LUT, 0 FF (Yosys)" in capsys.readouterr().out
        assert len(synthesized(tmp_path)) == 3
    assert files.read_plain(tmp_path / "run" / "summary.json")["synthesis"]["lut"] == 3
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert main(["synthesize", run]) == 1
    assert "`codesign synthesize` needs pyosys, which is not installed" in " ".join(capsys.readouterr().err.split())


def test_a_part_that_is_killed_is_an_error_at_once_and_named(
    emulated: Callable[..., Measurement], tmp_path: Path
) -> None:
    begun = time.monotonic()
    with pytest.raises(ToolError, match=r"part accel\.u_engine_pool was killed or failed, most likely because memory"):
        emulated(u_engine_conv="endless", u_engine_pool="killed")
    assert time.monotonic() - begun < 100
    for line in (tmp_path / "begun").read_text().splitlines():
        assert ends(int(line.split()[1]))


def test_a_part_that_lacks_memory_beside_others_is_done_alone(emulated: Callable[..., Measurement]) -> None:
    assert emulated(u_engine_conv="fails once").resources == Resources(lut=3)


def test_a_part_that_takes_more_memory_than_there_is_is_named(emulated: Callable[..., Measurement]) -> None:
    with pytest.raises(ToolError, match=r"part accel\.u_engine_conv was killed or failed, most likely because memory"):
        emulated(u_engine_conv="hungry")


def test_a_design_that_is_too_large_is_said_to_be(
    emulated: Callable[..., Measurement], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "too_large.py"
    program.write_text(
        "import sys; from codesign.sim import yosys_parts\n"
        "def refuse(*_): raise yosys_parts.TooLarge('engine e has 9,999 products')\n"
        "yosys_parts.parts_of = refuse\n"
        "sys.exit(yosys_parts.main(sys.argv[1:]))\n"
    )
    monkeypatch.setattr(yosys_parts, "__file__", str(program))
    with pytest.raises(UnsupportedError, match="engine e has 9,999 products; that would take hours and gigabytes"):
        emulated()


# Arrays of 3 and 4 lanes: what two of them say of all is what all say.
@pytest.mark.yosys
@pytest.mark.slow
def test_two_lanes_count_as_much_as_the_whole(tmp_path: Path) -> None:
    case = Case(6, "xc7")
    graph, design = case.machine()
    x = np.zeros((1, *(getattr(graph.input.shape, n) for n in "yxc")), dtype=np.int64)
    render_rtl(graph, design, case.board, x, golden.run(graph, x)).write(tmp_path / "project")
    folder = tmp_path / "project" / "rtl"
    (tmp_path / "synth.ys").write_text("\n".join(reading_script(folder, "accel")) + "\n")
    found = []
    for products in (10_000, 0):
        code = f"import sys; from codesign.sim import yosys_parts as y; y.WHOLE_PRODUCTS = {products}; "
        code += "sys.exit(y.main(sys.argv[1:]))"
        stats = tmp_path / f"stats{products}"
        stats.mkdir()
        kept = tmp_path / f"kept{products}"
        kept.mkdir()
        argv: list[str | Path] = [sys.executable, "-c", code, tmp_path / "synth.ys", case.family, "accel", stats]
        argv += [kept, "yosys", *(engine.rtl for engine in engine_names(elaborate(graph, design)))]
        run_tool(argv, cwd=folder, timeout_s=600, log=tmp_path / "log")
        found.append((len(list(stats.glob("*-[12].json"))), synth._sum_of_parts(stats)))
    assert [pieces for pieces, _ in found] == [0, 4]
    whole, pieces = (synth.count_resources(cells) for _, cells in found)
    assert (whole.dsp, whole.bram18, whole.uram) == (pieces.dsp, pieces.bram18, pieces.uram)
    # Flags of results pass registers on both sides of a cut. Three in a row are one LUT in the whole.
    assert 0 <= pieces.ff - whole.ff <= 4 * 2
    assert abs(pieces.lut / whole.lut - 1) < 0.01  # those flags, and what an array shares with its engine


def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit status of a compilation without simulations, and with the synthesis that its configuration wishes."""
    pytest.importorskip("onnx")
    from codesign.front.onnx_file import write_onnx

    write_onnx(small_graph(), tmp_path / "small.onnx")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: True)
    proof = ProofConfig(csim_images=4, rtlsim_images=4, synthesis=True)
    config = CompileConfig(name="small", board="pynq-z2", proof=proof)
    display = Display(sys.stderr, live=False)
    try:
        verbs.compile_model(tmp_path / "small.onnx", config, tmp_path / "run", display)
    except ToolError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def test_the_report_stands_before_synthesis_and_has_its_counts_after(
    emulated: Callable[..., Measurement],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "u_engine_conv").write_text("killed")
    assert compiled(tmp_path, monkeypatch) == 1
    assert "part accel.u_engine_conv was killed" in " ".join(capsys.readouterr().err.split())
    report, counts = tmp_path / "run" / "report.html", tmp_path / "run" / "8-synthesis.json"
    assert files.load_measurement(counts).resources is None
    (wrong,) = files.read_plain(tmp_path / "run" / "summary.json")["wrong"]
    assert "part accel.u_engine_conv was killed" in wrong
    before = report.read_text()
    (tmp_path / "u_engine_conv").write_text("")
    assert compiled(tmp_path, monkeypatch) == 0
    assert files.load_measurement(counts).resources == Resources(lut=3)
    assert report.read_text() != before


def test_an_engine_that_is_too_wide_is_passed_over_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> Measurement:
        raise UnsupportedError("open synthesis: engine dense has 9,999 products")

    monkeypatch.setattr(steps, "synthesize", refuse)
    assert compiled(tmp_path, monkeypatch) == 0
    assert "passed over: open synthesis: engine dense has 9,999 products" in capsys.readouterr().err
    assert not (tmp_path / "run" / "8-synthesis.json").exists()
