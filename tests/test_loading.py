"""Weights loaded from DRAM at start: the image, the machine, its bench, its time; one machine for several trainings."""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import codesign
from codesign.emit.identity import design_hash
from codesign.emit.rtl import render_rtl
from codesign.emit.weight_image import image_lines, weight_image
from codesign.errors import ConfigError, UnsupportedError
from codesign.ir.boards import load_board
from codesign.ir.builder import GraphBuilder
from codesign.ir.design import Design, LineEngine, Memory, Multiplier, Weights
from codesign.ir.files import load_cost, load_design
from codesign.ir.graph import Encoding, Graph
from codesign.ir.measurement import Measurement
from codesign.ir.project import Project
from codesign.ir.retrained import retrained, with_room
from codesign.machine.elaborate import elaborate
from codesign.machine.legal import check_design
from codesign.machine.loading import Loader
from codesign.model import golden
from codesign.model.course import first_image_latency
from codesign.model.dram import Dram, dram_of, load_cycles
from codesign.model.schedule import interval_cycles, size_buffers
from codesign.ops.conv import Conv
from codesign.ops.qtype import QType
from codesign.ops.shapes import Window
from codesign.sim.rtlsim import build, rtlsim
from codesign.testing.small import small_design, small_graph
from projects import small_board
from rtl_batch import Machine, Result, build_runtime, random_machine, run_batch, run_group
from strategies import random_inputs


def loaded(design: Design) -> Design:
    return replace(design, weights=Weights.LOADED)


@dataclass(frozen=True)
class Simulated:
    """A machine that loads, its project, what was measured of it, and its bench."""

    graph: Graph
    design: Design
    project: Project
    measured: Measurement
    folder: Path
    bench: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.bench), "tb/data", *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=100, check=False)


def project_of(graph: Graph, design: Design, images: int = 4, seed: int = 0) -> Project:
    x = random_inputs(graph, np.random.default_rng(seed), images)
    return render_rtl(graph, design, small_board(), x, golden.run_joined(graph, x))


def wide_machine() -> Machine:
    """A packed convolution with padding and wide words in block RAM, so many that the queue of bursts fills again."""
    rng = np.random.default_rng(3)
    build = GraphBuilder("wide", (5, 4, 8), QType(8, signed=False))
    window = Window(fy=3, fx=3, pad_top=1, pad_left=1, pad_bottom=1, pad_right=1)
    weight, scale = rng.integers(-127, 128, (32, 3, 3, 8)), 1 << rng.integers(0, 4, 32)
    build.conv(build.input, weight, rng.integers(-9, 9, 32), otype=QType(8, signed=False), window=window, shift=12,
               multiplier=scale, weight_bits=8)  # fmt: skip
    graph = build.graph()
    engine = LineEngine(
        nodes=(graph.operations[0].name,), pe=8, simd=4, emit=1, multiplier=Multiplier.PACKED,
        weight_memory=Memory.BRAM, buffer_words=64,
    )  # fmt: skip
    design = size_buffers(graph, loaded(Design(engines=(engine,))))
    return Machine(0, graph, design, random_inputs(graph, rng, 3))


def test_the_hash_of_a_machine_that_loads_is_of_what_is_built_in() -> None:
    graph = with_room(small_graph(1))
    other = retrained(graph, small_graph(2))
    design = small_design()
    assert design_hash(graph, loaded(design)) == design_hash(other, loaded(design))
    assert design_hash(graph, design) != design_hash(other, design)
    assert design_hash(graph, design) != design_hash(graph, loaded(design))
    node = replace(graph.node("dense"), shift=1)
    shifted = replace(graph, nodes=(*graph.nodes[:-1], node))
    assert design_hash(graph, loaded(design)) != design_hash(shifted, loaded(design))


def test_rendered_hardware_is_the_same_for_every_training() -> None:
    graph = with_room(small_graph(1))
    files = [project_of(g, loaded(small_design())).files for g in (graph, retrained(graph, small_graph(2)))]
    changed = {name for name in files[0] if files[0][name] != files[1][name]}
    assert changed == {"rtl/tb/data/weights.dat", "rtl/tb/data/golden.dat"}


def test_an_image_holds_hash_memories_and_check() -> None:
    graph, design = small_graph(), loaded(small_design())
    image, number = weight_image(graph, design), design_hash(graph, design)
    assert image[:2].tolist() == [number & 0xFFFFFFFF, number >> 32]
    assert len(image) % 32 == 0
    # conv: 2 passes of 9 words of 3 weights of 4 bits, then an offset for each of 4 channels; a word of 32 bits each.
    weight = graph.params["conv.weight"]
    words = [[int(weight[k, y, x, 0]) & 15 if k < 4 else 0 for k in range(p, p + 3)]
             for p in (0, 3) for y in range(3) for x in range(3)]  # fmt: skip
    assert image[2:20].tolist() == [a | b << 4 | c << 8 for a, b, c in words]
    crc = 0xFFFFFFFF
    last = 2 + elaborate(graph, design).loader.words  # type: ignore[union-attr]
    for word in image[:last].tolist():
        for bit in range(32):
            crc = crc >> 1 ^ (0xEDB88320 if (crc ^ word >> bit) & 1 else 0)
    assert image[last] == crc ^ 0xFFFFFFFF
    assert not image[last + 1 :].any()


def test_another_training_computes_the_same_on_the_nodes_of_the_machine() -> None:
    machine, other = with_room(small_graph(1)), small_graph(2)
    x = random_inputs(other, np.random.default_rng(0), 5)
    assert np.array_equal(golden.run(retrained(machine, other), x), golden.run(other, x))
    # A training that shifts by less has larger multipliers there.
    finer = replace(other, nodes=(*other.nodes[:-1], replace(other.nodes[-1], shift=0, multiplier_bits=3)))
    coarse = replace(machine.nodes[-1], shift=2, multiplier_bits=5, scaling=machine.nodes[-1].scaling)  # type: ignore[union-attr]
    assert isinstance(finer.nodes[-1], Conv)
    assert isinstance(coarse, Conv)
    with pytest.raises(UnsupportedError, match="multipliers are not of the kind"):
        retrained(replace(machine, nodes=(*machine.nodes[:-1], coarse)), finer)


def test_a_training_that_the_machine_has_no_room_for_is_refused() -> None:
    machine = small_graph(1)
    loud = {name: values * 7 if name == "dense.bias" else values for name, values in small_graph(2).params.items()}
    loud["dense.bias"] = loud["dense.bias"] * 1000
    nodes = small_graph(2).nodes
    other = replace(small_graph(2), nodes=(*nodes[:-1], replace(nodes[-1], acc_bits=24)), params=loud)
    with pytest.raises(UnsupportedError, match=r"no room for them: .*dense.*accumulator bits"):
        retrained(machine, other)


def test_another_network_is_refused_as_a_training() -> None:
    graph = small_graph()
    other = replace(graph, nodes=(*graph.nodes[:-1], replace(graph.nodes[-1], zero_in=3)))
    with pytest.raises(UnsupportedError, match="node 'dense': the machine has another"):
        retrained(graph, other)
    with pytest.raises(UnsupportedError, match="another encoding"):
        retrained(graph, replace(graph, encoding=Encoding(offset=1.0)))


def test_a_network_without_convolutions_has_nothing_to_load() -> None:
    build = GraphBuilder("pools", (4, 4, 1), QType(8, signed=False))
    build.max_pool(build.input, Window(fy=2, fx=2))
    graph = build.graph()
    engine = LineEngine(nodes=(graph.operations[0].name,), pe=1, simd=1, emit=1, buffer_words=32)
    with pytest.raises(ConfigError, match="nothing to load"):
        check_design(loaded(Design(engines=(engine,))), graph)


def test_loading_takes_a_word_a_cycle_where_the_memory_is_fast_enough() -> None:
    fast = Dram(latency=20, beat_1024ths=1024, refresh_every=10**9, refresh_cycles=0)
    few, many = (load_cycles(Loader(words=n, stages=4), fast) for n in (1000 * 32 - 3, 3000 * 32 - 3))
    assert many - few == 2000 * 32
    slow = replace(fast, beat_1024ths=4096)  # two cycles for a word of 32 bits
    few, many = (load_cycles(Loader(words=n, stages=4), slow) for n in (1000 * 32 - 3, 3000 * 32 - 3))
    assert many - few == 2 * 2000 * 32


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """The small network with room for other trainings, built once and run."""
    work, graph = tmp_path_factory.mktemp("small"), with_room(small_graph(1))
    design = size_buffers(graph, loaded(small_design()))
    project = project_of(graph, design)
    measured = rtlsim(project, work)
    return Simulated(graph, design, project, measured, *build(project, work, timeout_s=900))


@pytest.mark.verilator
@pytest.mark.gxx
def test_two_trainings_run_one_after_the_other_on_one_machine(simulated: Simulated, tmp_path: Path) -> None:
    graph, design, project, measured = simulated.graph, simulated.design, simulated.project, simulated.measured
    second = project_of(retrained(graph, small_graph(2)), design, seed=5)
    plain = elaborate(graph, replace(design, weights=Weights.CONSTANT))
    assert measured.mismatches == 0
    assert measured.latency_cycles == first_image_latency(plain)
    assert measured.interval_cycles == interval_cycles(plain)
    machine = elaborate(graph, design)
    assert machine.loader is not None
    assert measured.load_cycles == load_cycles(machine.loader, dram_of(small_board()))
    then = tmp_path / "second"
    then.mkdir()
    for name in ("input", "golden", "weights"):
        (then / f"{name}.dat").write_text(str(second.files[f"rtl/tb/data/{name}.dat"]))
    for stalls in ((), ("--stalls", "3")):
        both = simulated.run("--then", str(then), *stalls)
        assert both.returncode == 0, both.stdout + both.stderr
        assert both.stdout.count("mismatches 0 ") == 2
    # With the first training's weights the second one's results are others.
    (then / "weights.dat").write_text(str(project.files["rtl/tb/data/weights.dat"]))
    assert simulated.run("--then", str(then)).returncode == 1


@pytest.mark.verilator
@pytest.mark.gxx
def test_an_image_that_is_damaged_or_of_another_machine_is_refused(simulated: Simulated, tmp_path: Path) -> None:
    graph, design = simulated.graph, simulated.design
    then, image = tmp_path / "broken", weight_image(graph, design)
    shutil.copytree(simulated.folder / "tb" / "data", then)
    swapped, flipped, alien, late = (image.copy() for _ in range(4))
    swapped[[5, 37]] = image[[37, 5]]
    assert not np.array_equal(swapped, image)
    flipped[-40] ^= 1 << 31
    alien = weight_image(graph, replace(design, input_lanes=2))
    late[1:] = image[:-1]
    for broken in (swapped, flipped, alien, late):
        (then / "weights.dat").write_text(image_lines(broken))
        run = simulated.run("--then", str(then))
        assert run.returncode == 1
        assert "weights: the machine refused the image" in run.stdout
        assert "weights state 2" in run.stdout


@pytest.mark.slow
@pytest.mark.verilator
@pytest.mark.gxx
def test_random_machines_that_load_equal_golden_model_and_prediction(tmp_path: Path) -> None:
    """The words, the cycles of images, which are those of constants, and the cycles of loading."""
    machines = [random_machine(seed, images=4) for seed in range(5000, 5016)]
    machines = [replace(m, design=loaded(m.design)) for m in machines if any(map(is_conv, m.graph.operations))]
    for result in run_batch([wide_machine(), *machines], tmp_path):
        check(result)


@pytest.mark.slow
@pytest.mark.verilator
@pytest.mark.gxx
def test_random_stalls_of_the_memory_change_no_word(tmp_path: Path) -> None:
    machines = [random_machine(seed, images=3, arguments=("--stalls", str(seed))) for seed in range(5100, 5106)]
    machines = [replace(m, design=loaded(m.design)) for m in machines if any(map(is_conv, m.graph.operations))]
    machines += [replace(wide_machine(), arguments=("--stalls", str(seed))) for seed in range(1, 4)]
    for result in run_batch(machines, tmp_path):
        assert result.status == 0, result.text


@pytest.mark.slow
@pytest.mark.verilator
@pytest.mark.gxx
def test_planted_bugs_of_loading_are_found(tmp_path: Path) -> None:
    def fails(name: str, module: str, before: str, after: str) -> Result:
        def alter(modules: Path) -> None:
            path = modules / f"{module}.sv"
            text = path.read_text()
            assert text.count(before) == 1
            path.write_text(text.replace(before, after))

        return bench_of(tmp_path / name, alter)

    assert bench_of(tmp_path / "sound", None).status == 0
    # A credit that does not come back: no burst is asked for any more.
    assert "did not end" in fails("lost", "axi_read", "credits_q + 1'b1;", "credits_q;").text
    # More credits than there are places: the queue runs over.
    assert fails("many", "axi_read", "CreditBits'(HELD);", "CreditBits'(HELD + 3);").status != 0
    # Bursts at odd places, a beat apart from those before.
    assert "not a whole burst" in fails("odd", "axi_read", "{burst_q, Offset'(0)}", "{burst_q, Offset'(8)}").text
    # A stage that keeps a word too few: later memories hold what is not theirs, and the check comes late.
    assert fails("stage", "load_stage", "LeftBits'(WORDS - 1)", "LeftBits'(WORDS - 2)").status != 0
    # The parts of a wide word in the wrong order.
    parts = fails("parts", "load_port", "assign whole   = {data, held_q};", "assign whole   = {held_q, data};")
    assert "mismatch image" in parts.text
    # Engines that leave their reset while they are filled.
    early = fails("early", "weight_loader", "core_rst_no <= rst_ni && loaded_o && !start_i;", "core_rst_no <= rst_ni;")
    assert early.status != 0


def bench_of(work: Path, alter: Callable[[Path], None] | None) -> Result:
    work.mkdir()
    return run_group([wide_machine()], work, build_runtime(), alter)[0]


def is_conv(node: object) -> bool:
    return isinstance(node, Conv)


def check(result: Result) -> None:
    graph, design = result.machine.graph, result.machine.design
    assert result.status == 0, f"seed {result.machine.seed}:\n{result.text}"
    plain, machine = elaborate(graph, replace(design, weights=Weights.CONSTANT)), elaborate(graph, design)
    assert result.times[0] == first_image_latency(plain)
    assert result.times[-1] - result.times[-2] == interval_cycles(plain)
    found = re.search(r"^load cycles (\d+)$", result.text, re.MULTILINE)
    assert found is not None
    assert machine.loader is not None
    assert int(found[1]) == load_cycles(machine.loader, dram_of(small_board()))


def test_a_run_compiles_another_training_for_its_bitstream(tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("first", "second"))
    codesign.compile(small_graph(1), board="pynq-z2", weights="loaded", out=first, until="render")
    codesign.compile(small_graph(2), board="pynq-z2", weights=first, out=second, until="render")
    projects = [Project.read(folder / "project") for folder in (first, second)]
    names = [name for name in projects[0].files if name.startswith("rtl/") and not name.startswith("rtl/tb/data")]
    assert "rtl/modules/weight_loader.sv" in names
    assert {name: projects[0].files[name] for name in names} == {name: projects[1].files[name] for name in names}
    images = [project.files["host/selftest/weights.bin"] for project in projects]
    assert len(images[0]) == len(images[1])
    assert images[0][:8] == images[1][:8]
    assert images[0] != images[1]
    for folder in (first, second):
        assert load_design(folder / "4-design.yaml").is_loaded
        cost = load_cost(folder / "5-cost.json")
        assert cost.load_cycles is not None
        assert cost.resources.fits(load_board("pynq-z2").budget)
    pools = GraphBuilder("pools", (6, 6, 1), QType(8, signed=False))
    pools.max_pool(pools.input, Window(fy=2, fx=2))
    with pytest.raises(UnsupportedError, match="only another training of the same network"):
        codesign.compile(pools.graph(), board="pynq-z2", weights=first, out=tmp_path / "third")


def test_weights_of_a_run_that_has_constants_are_refused(tmp_path: Path) -> None:
    codesign.compile(small_graph(1), board="pynq-z2", out=tmp_path / "plain")
    with pytest.raises(ConfigError, match=r"--weights: .*its machine has constant weights"):
        codesign.compile(small_graph(2), board="pynq-z2", weights=tmp_path / "plain", out=tmp_path / "second")
