"""The rendered SystemVerilog: memory contents, the snapshot, lint, and what simulation says of trouble."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codesign import data
from codesign.emit.port import input_port, output_names, output_ports
from codesign.emit.rtl import render_rtl
from codesign.emit.rtl_words import channel_words, weight_words
from codesign.errors import ConfigError, MismatchError, ToolError
from codesign.ir.design import Design, Fifo, LineEngine, Weights
from codesign.ir.graph import Graph
from codesign.ir.project import Project
from codesign.machine.elaborate import elaborate
from codesign.machine.line import compute_cycles, sum_bits
from codesign.machine.names import ENGINES_FILE, engines_of
from codesign.model import golden
from codesign.model.course import first_image_latency
from codesign.model.schedule import interval_cycles, schedule, size_buffers
from codesign.ops.add import Add
from codesign.ops.arrays import IntArray
from codesign.ops.conv import Conv
from codesign.ops.input import Input
from codesign.ops.pool import Pool, PoolOp
from codesign.ops.qtype import QType
from codesign.ops.requantize import OutputRule, Rounding
from codesign.ops.shapes import Shape, Window
from codesign.sim.rtlsim import _buffers, _engine_cycles, rtlsim
from codesign.sim.tool import run_tool
from codesign.testing.small import small_design, small_graph
from projects import small_board
from rtl_batch import Machine, Result, build_runtime, run_group
from strategies import random_design, random_graph, random_inputs


def renamed(names: dict[str, str]) -> tuple[Graph, Design]:
    """The small network and design with other names of nodes."""
    graph, design = small_graph(), small_design()
    nodes = []
    for node in graph.nodes:
        sources = {} if isinstance(node, Input) else {"source": names.get(node.inputs[0], node.inputs[0])}
        nodes.append(replace(node, name=names.get(node.name, node.name), **sources))  # type: ignore[arg-type]
    params = {f"{names[n]}.{key}": v for n, key, v in ((*name.split("."), v) for name, v in graph.params.items())}
    engines = tuple(replace(e, nodes=tuple(names[n] for n in e.nodes)) for e in design.engines)
    return Graph("renamed", tuple(nodes), params), replace(design, engines=engines)


def test_figures_are_found_by_the_table_whatever_nodes_are_called() -> None:
    names = {"conv": "node_engine_x", "pool": "fifo0_pool", "dense": "u_steps"}
    graph, design = renamed(names)
    x = images_of(graph, 2)
    engines = engines_of(render_rtl(graph, design, small_board(), x, golden.run(graph, x)))
    assert [(e.name, e.nodes) for e in engines] == [(n, (n,)) for n in names.values()]
    text = "".join(
        f"buffer TOP.accel.{engine.rtl}.u_feed.g_buffer.u_lines depth 64 peak {10 + i} now 0 steps {200 * (i + 1)}\n"
        for i, engine in enumerate(engines)
    )
    text += "buffer TOP.accel.u_fifo0_node_engine_x depth 4 peak 3 now 1 steps 70\n"
    text += f"engine TOP.accel.{engines[1].rtl} steps 90\n"  # its own word counts more than its feed's
    assert _engine_cycles(text, engines, 2) == {"node_engine_x": 100, "fifo0_pool": 45, "u_steps": 300}
    peaks = {name: figures["peak"] for name, figures in _buffers(text, engines).items()}
    assert peaks == {"node_engine_x": 10, "fifo0_pool": 11, "u_steps": 12, "fifo0_node_engine_x": 3}
    with pytest.raises(ToolError, match="the test bench printed no steps of u_engine_node_engine_x"):
        _engine_cycles("", engines, 2)


def test_an_rtl_project_without_its_table_is_refused() -> None:
    project = small_rtl(2)
    for content in (None, "[", '[{"name": 3}]'):
        files = {n: c for n, c in project.files.items() if n != ENGINES_FILE}
        with pytest.raises(ConfigError, match=r"rtl/engines\.json"):
            engines_of(Project(files if content is None else {**files, ENGINES_FILE: content}))


def images_of(graph: Graph, count: int) -> IntArray:
    shape, otype = graph.input.shape, graph.input.otype
    rng = np.random.default_rng(5)
    return rng.integers(otype.qmin, otype.qmax + 1, (count, shape.y, shape.x, shape.c), dtype=np.int64)


def small_rtl(count: int = 8) -> Project:
    graph, x = small_graph(), images_of(small_graph(), count)
    return render_rtl(graph, small_design(), small_board(), x, golden.run(graph, x))


def with_golden_word_changed(project: Project) -> Project:
    rows = [[int(v) for v in line.split()] for line in str(project.files["rtl/tb/data/golden.dat"]).splitlines()]
    rows[3][1] += 1
    text = "".join(" ".join(map(str, row)) + "\n" for row in rows)
    return Project({**project.files, "rtl/tb/data/golden.dat": text})


def test_weight_words_have_pe_by_simd_lanes_and_zeros_beyond() -> None:
    graph = small_graph()
    node = graph.node("dense")
    assert isinstance(node, Conv)
    engine = LineEngine(nodes=("dense",), pe=2, simd=3, emit=1)
    words = [int(line, 16) for line in weight_words(node, engine, graph.params).lines.splitlines()]
    weight = graph.params["dense.weight"]
    fy, fx, fold, passes = node.window.fy, node.window.fx, 2, 2
    assert len(words) == passes * fy * fx * fold
    for index, word in enumerate(words):
        p, y, x, c = np.unravel_index(index, (passes, fy, fx, fold))
        for pe in range(2):
            for simd in range(3):
                k, channel = p * 2 + pe, c * 3 + simd
                expected = int(weight[k, y, x, channel]) if k < node.k and channel < node.ishape.c else 0
                assert (word >> (4 * (pe * 3 + simd))) & 15 == expected & 15


def test_channel_words_fold_bias_and_rounding_into_one_offset() -> None:
    graph = small_graph()
    node = graph.node("conv")
    assert isinstance(node, Conv)
    engine = LineEngine(nodes=("conv",), pe=3, simd=1, emit=1)
    words = [int(w, 16) for w in channel_words(node, engine, graph.params, Weights.CONSTANT).lines.splitlines()]
    bits = sum_bits(node, 1)
    offsets = [w & ((1 << bits) - 1) for w in words]
    assert offsets == [(int(b) + 4) & ((1 << bits) - 1) for b in graph.params["conv.bias"]]


def test_sum_bits_hold_the_extremes() -> None:
    node = replace(small_graph().node("conv"), acc_bits=8, shift=0, otype=QType(8, signed=True))
    assert isinstance(node, Conv)
    assert sum_bits(node, 1) == 8
    assert sum_bits(replace(node, shift=8), 1) == 9  # 127 + 128
    assert sum_bits(replace(node, shift=1), 3) == 10
    assert sum_bits(replace(node, bias_fraction=2), 1) == 10
    assert sum_bits(replace(node, rule=OutputRule(zero=-1)), 1) == 9  # -128 - 1
    assert sum_bits(replace(node, rule=OutputRule(zero=1)), 1) == 9  # 127 + 1
    assert sum_bits(replace(node, shift=7, rule=OutputRule(rounding=Rounding.CEIL)), 1) == 9  # 127 + 127


def test_snapshot(snapshot: Callable[[str, Project], None]) -> None:
    files = {n: c for n, c in small_rtl(2).files.items() if "/modules/" not in n and not n.endswith("tb.cpp")}
    snapshot("rtl_small", Project(files))


def test_rendering_twice_gives_one_digest() -> None:
    assert small_rtl().digest() == small_rtl().digest()


@pytest.mark.verilator
@pytest.mark.gxx
def test_measurement_of_the_small_network(tmp_path: Path) -> None:
    graph, design = small_graph(), small_design()
    measured = rtlsim(small_rtl(), tmp_path)
    plan = schedule(elaborate(graph, design))
    assert (measured.images, measured.mismatches) == (8, 0)
    assert measured.interval_cycles == plan.interval_cycles
    assert measured.latency_cycles == first_image_latency(elaborate(graph, design))
    nodes = [n for n in graph.nodes if not isinstance(n, Input)]
    assert measured.engine_cycles == {n.name: compute_cycles(n, design.engine_of(n.name)) for n in nodes}
    assert measured.outputs is not None
    assert np.array_equal(measured.outputs, golden.run(graph, images_of(graph, 8)).reshape(8, -1))
    stalled = rtlsim(small_rtl(), tmp_path, stall_seed=1)
    assert (stalled.mismatches, stalled.interval_cycles) == (0, None)
    with pytest.raises(MismatchError, match=r"image 3, index 1: expected -?\d+, got -?\d+; 1 of 24 output words"):
        rtlsim(with_golden_word_changed(small_rtl()), tmp_path)


@pytest.mark.verilator
@pytest.mark.gxx
@pytest.mark.parametrize(
    ("name", "spoil", "said"),
    [
        ("rtl/tb/data/golden.dat", lambda text: text.splitlines()[0] + "\n", "input.dat has 2 images, golden.dat 1"),
        ("rtl/tb/data/input.dat", lambda text: text.replace(" ", " x", 1), "line 1: expected 36 integers, found 1"),
    ],
)
def test_the_bench_refuses_short_and_malformed_data(
    name: str, spoil: Callable[[str], str], said: str, tmp_path: Path
) -> None:
    project = small_rtl(2)
    with pytest.raises(ToolError, match=said):
        rtlsim(Project({**project.files, name: spoil(str(project.files[name]))}), tmp_path)


def branched() -> tuple[Graph, Design]:
    """A graph with an addition whose short branch waits, with buffers and FIFOs as the schedule wants them.

    The short branch is the source itself, and its FIFO needs its whole depth, so that one word less must show. Some
    window begins in the padding.
    """
    for seed in range(2000):
        graph = random_graph(np.random.default_rng(seed), dense=True, every_operator=False)
        adds = [n for n in graph.nodes if isinstance(n, Add)]
        if len(adds) != 1 or graph.input.shape.elements < 30:
            continue
        is_padded = any(isinstance(n, Conv) and n.window.pad_top > 0 for n in graph.nodes)
        if not is_padded or all(len(graph.consumers(s)) == 1 for s in adds[0].sources):
            continue
        nodes = [n for n in graph.nodes if not isinstance(n, Input)]
        design = Design(
            engines=tuple(LineEngine(nodes=(n.name,), pe=1, simd=1, emit=1) for n in nodes),
            fifos=tuple(Fifo(adds[0].name, i, 2) for i in range(2)),
        )
        words = schedule(elaborate(graph, design)).fifo_words
        if max(words.values()) in (16, 32, 64):
            return graph, size_buffers(graph, design)
    raise AssertionError("no such graph among the seeds")


def planted(old: str, new: str, module: str) -> Callable[[Path], None]:
    def alter(modules: Path) -> None:
        path = modules / f"{module}.sv"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return alter


def run_branched(work: Path, alter: Callable[[Path], None] | None, design: Design | None = None) -> Result:
    graph, sized = branched()
    design = design or sized
    pace = ("--pace", str(interval_cycles(elaborate(graph, design))), "--patience", "20000")
    return run_group([Machine(0, graph, design, images_of(graph, 6), pace)], work, build_runtime(), alter)[0]


@pytest.mark.verilator
@pytest.mark.gxx
def test_planted_bugs_are_found(tmp_path: Path) -> None:
    graph, design = branched()
    sound = run_branched(tmp_path, None)
    assert sound.status == 0
    assert sound.times[-1] - sound.times[-2] == interval_cycles(elaborate(graph, design))

    def fails(work: str, alter: Callable[[Path], None]) -> Result:
        (tmp_path / work).mkdir()
        return run_branched(tmp_path / work, alter)

    added = "sum_q <= moved + added"
    rounding = fails("rounding", planted(f"{added};", f"{added} - SUM_BITS'(1);", "requantize"))
    assert rounding.status == 1
    assert "mismatch image" in rounding.text
    # The first rows of all images but one are taken for rows of the map.
    above = "y_pad = PAD_TOP > {};"
    padding = fails("padding", planted(above.format(0), above.format("IY"), "line_buffer"))
    assert padding.status == 1
    assert "mismatch image" in padding.text
    # A place in an output queue that is not given back: the last steps of results wait for it for ever.
    lost = fails("lost", planted("give_q <= pop;", "give_q <= pop && read_q != '0;", "output_queue"))
    assert lost.status != 0
    assert "stuck: " in lost.text
    # One word short: the fork in front keeps the word, so the course need not change, but the FIFO is less full.
    short = fails("short", planted("used != ptr_t'(DEPTH)", "used != ptr_t'(DEPTH - 1)", "stream_fifo"))
    name, words = max(schedule(elaborate(graph, design)).fifo_words.items(), key=lambda item: item[1])
    assert sound.peaks[name] == words
    assert short.peaks[name] != words


def scaled_by(multipliers: tuple[int, int]) -> Machine:
    """A pooling of the input added to the input, each times its multiplier."""
    shape, itype, otype = Shape(5, 4, 3), QType(8, signed=True), QType(16, signed=True)
    x = Input(name="x", shape=shape, otype=itype)
    window = Window(fy=3, fx=3, pad_top=1, pad_left=1, pad_bottom=1, pad_right=1)
    pool = Pool(
        name="pool", source="x", ishape=shape, itype=itype, op=PoolOp.MAX, window=window, multiplier=1, shift=0,
        otype=itype,
    )  # fmt: skip
    add = Add(
        name="add", sources=("pool", "x"), ishape=shape, itypes=(itype, itype), multipliers=multipliers, shift=9,
        otype=otype,
    )  # fmt: skip
    graph = Graph("scaled", (x, pool, add), {})
    names = ("pool", "add")
    design = Design(
        engines=tuple(LineEngine(nodes=(name,), pe=1, simd=1, emit=1) for name in names),
        fifos=tuple(Fifo("add", i, 2) for i in range(2)),
    )
    return Machine(0, graph, size_buffers(graph, design), images_of(graph, 4))


@pytest.mark.verilator
@pytest.mark.gxx
def test_an_addition_multiplies_by_every_bit_of_its_multipliers(tmp_path: Path) -> None:
    machines = [scaled_by(pair) for pair in ((70_000, 3), (1, (1 << 24) - 2), (1 << 16, 1 << 23))]
    for result in run_group(machines, tmp_path, build_runtime()):
        assert result.status == 0, result.text


@pytest.mark.icarus
def test_icarus_reads_every_module_and_simulates_the_same_words(tmp_path: Path) -> None:
    """Machines that between them have all modules, in a bench of plain Verilog with pauses at both ends.

    The bench reads the first of several outputs; the others are always ready.
    """
    modules: set[str] = set()
    for seed in (1, 15, 26, 48, 67):
        rng = np.random.default_rng(seed)
        graph = random_graph(rng, several_outputs=seed == 48)
        x = random_inputs(graph, rng, 3)
        design = size_buffers(graph, random_design(graph, rng))
        render_rtl(graph, design, small_board(), x, golden.run_joined(graph, x)).write(tmp_path / str(seed))
        folder = tmp_path / str(seed) / "rtl"
        port, first, names = output_ports(graph, design)[0], golden.run_outputs(graph, x)[0], output_names(graph)
        rows = [" ".join(map(str, image.reshape(-1).tolist())) for image in first]
        (folder / "tb" / "data" / "golden.dat").write_text("\n".join(rows) + "\n")
        others = "".join(f"    .{name}_tready(1'b1),\n" for name in names[1:])
        bench = Path(__file__).with_name("icarus_bench.sv").read_text().replace("m_axis_", f"{names[0]}_")
        bench = bench.replace("  accel u_accel (\n", f"  accel u_accel (\n{others}")
        (folder / "bench.sv").write_text(bench)
        ends = zip(("IN", "OUT"), (input_port(graph, design), port), strict=True)
        values = {"IMAGES": 3, "OUT_SIGNED": int(port.signed)}
        for name, port in ends:
            values |= {f"{name}_ELEMENTS": port.shape.elements, f"{name}_LANES": port.lanes}
            values[f"{name}_CONTAINER"] = port.container_bits
        command: list[str | Path] = ["iverilog", "-g2012", "-o", folder / "sim", "-s", "icarus_bench"]
        command += [f"-Picarus_bench.{name}={value}" for name, value in values.items()]
        command += ["bench.sv", "modules/codesign_pkg.sv", "accel.sv", "-y", "modules"]
        build = [*command, "-Y", ".sv", "-M", folder / "files"]
        said = run_tool(build, cwd=folder, timeout_s=60, log=folder / "build.log")
        assert said == ""
        modules |= {Path(line).name for line in (folder / "files").read_text().split()}
        text = run_tool([folder / "sim"], cwd=folder, timeout_s=60, log=folder / "run.log")
        assert f"result words {first.size} wrong 0" in text
    # What loads weights is read, and not simulated: the bench has no memory.
    loaded = replace(small_design(), weights=Weights.LOADED)
    graph, x = small_graph(), random_inputs(small_graph(), np.random.default_rng(0), 1)
    render_rtl(graph, loaded, small_board(), x, golden.run_joined(graph, x)).write(tmp_path / "loaded")
    folder = tmp_path / "loaded" / "rtl"
    command = ["iverilog", "-g2012", "-o", folder / "sim", "-s", "accel", "modules/codesign_pkg.sv", "accel.sv"]
    command += ["-y", "modules", "-Y", ".sv", "-M", folder / "files"]
    assert run_tool(command, cwd=folder, timeout_s=60, log=folder / "build.log") == ""
    modules |= {Path(line).name for line in (folder / "files").read_text().split()}
    assert {p.name for p in (data.folder("templates") / "rtl" / "modules").glob("*.sv")} - modules == set()


@pytest.mark.verilator
@pytest.mark.gxx
def test_a_deadlock_names_full_and_empty_buffers(tmp_path: Path) -> None:
    graph, design = branched()
    starved = replace(design, fifos=tuple(replace(f, depth=2) for f in design.fifos))
    x = images_of(graph, 6)
    project = render_rtl(graph, starved, small_board(), x, golden.run(graph, x))
    with pytest.raises(ToolError, match=r"nothing moved for \d+ cycles(.|\n)*full: (.*)fifo\d_add(.|\n)*empty: "):
        rtlsim(project, tmp_path)


def test_a_design_that_cannot_move_is_named_before_simulation() -> None:
    graph, design = branched()
    starved = replace(design, fifos=tuple(replace(f, depth=2) for f in design.fifos))
    with pytest.raises(ConfigError, match="its buffers are too small"):
        first_image_latency(elaborate(graph, starved))
