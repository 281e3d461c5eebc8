"""Several outputs of a graph: one stream each, exact in both spellings, in the predicted cycles."""

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.data import folder
from codesign.emit.rtl import literal, render_rtl
from codesign.errors import ConfigError, MismatchError, ToolError, UnsupportedError
from codesign.flow import look, steps
from codesign.flow.config import Step
from codesign.flow.verbs import bring
from codesign.ir import files
from codesign.ir.builder import GraphBuilder
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.ir.project import Project
from codesign.ir.technology import families, technology_of
from codesign.machine.elaborate import elaborate
from codesign.machine.legal import check_design
from codesign.machine.modules import OutputEnds, StreamPort
from codesign.model import golden
from codesign.model.area import area
from codesign.model.limit import stream_bytes
from codesign.model.predict import predict
from codesign.model.resource import design_resources, to_resources
from codesign.model.schedule import interval_cycles, schedule, size_buffers
from codesign.model.space import design_space
from codesign.ops.node import Node
from codesign.ops.qtype import QType
from codesign.ops.shapes import Window
from codesign.search.design import search_design
from codesign.search.selection import counts_of, interval_of
from codesign.sim.csim import csim
from codesign.sim.rtlsim import rtlsim
from codesign.sim.synth import count_resources, read_cells, synthesis_script
from codesign.testing.random_machines import random_graph
from codesign.testing.small import small_design, small_graph
from hls_batch import case_of, failures
from projects import small_board
from rtl_batch import Machine, build_runtime, run_group
from strategies import random_design, random_inputs
from test_flow import begin
from test_rtl_random import check_cycles, check_words

U4, S8 = QType(4, signed=False), QType(8, signed=True)


def two_headed(seed: int = 0) -> Graph:
    """9x7 down to 3x7 and up again; the classes, then the map, which an inner node reads as well."""
    rng = np.random.default_rng(seed)
    build = GraphBuilder("two_headed", (9, 7, 2), U4)

    def conv(source: Node, k: int, name: str, otype: QType = U4) -> Node:
        weight = rng.integers(-4, 4, (k, 3, 3, source.oshape.c), dtype=np.int64)
        window = Window(fy=3, fx=3, pad_top=1, pad_bottom=1, pad_left=1, pad_right=1)
        return build.conv(source, weight, otype=otype, window=window, shift=4, name=name)

    top = conv(build.input, 3, "top")
    bottom = conv(build.max_pool(top, Window(fy=3, fx=1, stride_y=3)), 4, "bottom")
    boxes = conv(build.concat(build.resize(bottom, 3, 1), top), 2, "boxes", otype=S8)
    weight = rng.integers(-4, 4, (5, *(getattr(boxes.oshape, n) for n in "yxc")), dtype=np.int64)
    classes = build.conv(boxes, weight, otype=QType(12, signed=True), window=Window(fy=9, fx=7), name="classes")
    return build.graph(outputs=(classes, boxes), output_scales=(0.5, 0.25))


def drawn(seed: int) -> Design:
    graph = two_headed()
    return size_buffers(graph, random_design(graph, np.random.default_rng(seed)))


def test_the_last_node_as_the_only_output_is_what_no_name_means() -> None:
    graph = small_graph()
    named = replace(graph, outputs=("dense",))
    assert (named.outputs, named.digest()) == ((), graph.digest())
    assert [node.name for node in named.output_nodes] == ["dense"]


def test_outputs_their_order_and_their_scales_are_part_of_the_digest() -> None:
    graph = two_headed()
    others = [
        replace(graph, outputs=("boxes", "classes")),
        replace(graph, output_scales=()),
        replace(graph, output_scales=(0.5, 0.5)),
        replace(graph, outputs=("classes",), output_scales=()),
    ]
    assert len({graph.digest(), *(other.digest() for other in others)}) == 5


@given(st.integers(0, 2**32 - 1))
def test_golden_gives_the_maps_of_the_named_nodes_in_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, several_outputs=True)
    x = random_inputs(graph, rng, 3)
    values, outputs = golden.run_all(graph, x), golden.run_outputs(graph, x, batch=2)
    names = graph.outputs or (graph.nodes[-1].name,)
    assert len(outputs) == len(names)
    for name, found in zip(names, outputs, strict=True):
        assert np.array_equal(found, values[name])
    rows = golden.run_joined(graph, x).reshape(3, -1).tolist()
    assert rows == [[v for name in names for v in values[name][i].reshape(-1).tolist()] for i in range(3)]
    if len(names) > 1:
        with pytest.raises(UnsupportedError, match="has several outputs"):
            golden.run(graph, x)


def test_a_graph_of_several_outputs_survives_its_file(tmp_path: Path) -> None:
    files.save_graph(two_headed(), tmp_path / "graph.npz")
    assert files.load_graph(tmp_path / "graph.npz").digest() == two_headed().digest()
    files.save_design(drawn(0), tmp_path / "design.yaml")
    assert files.load_design(tmp_path / "design.yaml") == drawn(0)


@pytest.mark.parametrize("lanes", [(1,), (1, 1, 1)])
def test_a_design_has_lanes_for_every_output(lanes: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=f"output_lanes: expected lanes for each of 2 outputs, got {len(lanes)}"):
        check_design(replace(drawn(0), output_lanes=lanes), two_headed())


def test_the_search_finds_the_best_design_with_all_streams() -> None:
    graph, board = two_headed(), small_board()
    found = search_design(graph, board)
    check_design(found.design, graph)
    assert found.proved_optimal
    assert predict(graph, found.design, board).interval_cycles == found.interval_cycles
    assert len(found.design.output_lanes) == 2


@pytest.mark.parametrize("seed", [2, 7, 8, 9, 12, 15])
def test_any_choice_of_options_costs_their_sum(seed: int) -> None:
    rng, board = np.random.default_rng(seed), small_board()
    drawn_graphs = (random_graph(rng, several_outputs=True) for _ in range(50))
    graph = next(g for g in drawn_graphs if len(g.output_nodes) > 1)
    space = design_space(graph, board)
    rows = tuple(int(rng.integers(len(site.options))) for site in space.sites)
    design = space.design(rows)
    check_design(design, graph)
    machine = elaborate(graph, design)
    assert to_resources(counts_of(space, rows)) == design_resources(machine, board.fabric)
    assert interval_of(space, rows) == interval_cycles(machine)


def test_bytes_of_all_outputs_cross_the_streams() -> None:
    assert stream_bytes(two_headed()) == 9 * 7 * 2 + 5 * 2 + 9 * 7 * 2


@pytest.mark.gxx
def test_c_simulation_gives_every_word_of_every_output(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    assert failures([case_of(i, two_headed(), drawn(i), rng, 3) for i in range(2)], tmp_path) == ""


@pytest.mark.verilator
@pytest.mark.gxx
def test_rtl_simulation_gives_every_word_in_the_predicted_cycles(tmp_path: Path) -> None:
    """At full speed, with pauses that differ from output to output, and at the pace of the interval."""
    graph, design, rng = two_headed(), drawn(0), np.random.default_rng(2)
    plan = schedule(elaborate(graph, design))
    arguments: tuple[tuple[str, ...], ...] = ((), ("--stalls", "7"), ("--pace", str(plan.interval_cycles)))
    machines = [Machine(i, graph, design, random_inputs(graph, rng, 6), a) for i, a in enumerate(arguments)]
    calm, stalled, paced = run_group(machines, tmp_path, build_runtime())
    for result in (calm, stalled, paced):
        check_words(result)
    check_cycles(calm)
    cost = predict(graph, design, small_board())
    assert (cost.interval_cycles, cost.latency_cycles) == (calm.times[-1] - calm.times[-2], calm.times[0])
    buffers = plan.buffer_words | plan.fifo_words
    assert {name: paced.peaks[name] for name in buffers} == buffers


def rtl_of(graph: Graph, design: Design, images: int) -> Project:
    x = random_inputs(graph, np.random.default_rng(3), images)
    return render_rtl(graph, design, small_board(), x, golden.run_joined(graph, x))


@pytest.mark.verilator
@pytest.mark.gxx
def test_a_wrong_word_of_any_output_and_a_wrong_end_of_an_image_are_found(tmp_path: Path) -> None:
    project = rtl_of(two_headed(), drawn(0), 4)
    rows = [[int(v) for v in line.split()] for line in str(project.files["rtl/tb/data/golden.dat"]).splitlines()]
    for image, index in ((1, 2), (2, 5 + 9 * 7 * 2 - 1)):  # of the classes; the last of the map
        spoilt = [row[:] for row in rows]
        spoilt[image][index] += 1
        text = "".join(" ".join(map(str, row)) + "\n" for row in spoilt)
        with pytest.raises(MismatchError, match=f"image {image}, index {index}: .* 1 of 524 output words"):
            rtlsim(Project({**project.files, "rtl/tb/data/golden.dat": text}), tmp_path)
    ends = str(project.files["rtl/modules/output_ends.sv"])
    early = ends.replace("beat_q == Bits'(Beats - 2)", "beat_q == Bits'(Beats > 2 ? Beats - 3 : 0)")
    assert early != ends
    with pytest.raises(ToolError, match="Vaccel"):
        rtlsim(Project({**project.files, "rtl/modules/output_ends.sv": early}), tmp_path)


@pytest.mark.gxx
def test_c_simulation_names_the_output_that_differs(tmp_path: Path) -> None:
    graph, rng = two_headed(), np.random.default_rng(4)
    project = case_of(0, graph, drawn(0), rng, 2).project
    measured = csim(project, tmp_path)
    assert measured.outputs is not None
    assert (measured.mismatches, measured.outputs.shape) == (0, (2, 5 + 9 * 7 * 2))
    rows = [[int(v) for v in line.split()] for line in str(project.files["hls/tb/data/golden.dat"]).splitlines()]
    rows[1][5 + 3] ^= 1
    text = "".join(" ".join(map(str, row)) + "\n" for row in rows)
    with pytest.raises(MismatchError, match=r"layer 'output', image 1, index \[0, 1, 1\]"):
        csim(Project({**project.files, "hls/tb/data/golden.dat": text}), tmp_path)


@pytest.mark.yosys
@pytest.mark.parametrize("family", families())
@pytest.mark.parametrize("beats", [(5, 9), (100, 3, 17)])
def test_what_tells_the_ends_of_images_takes_what_is_predicted(
    beats: tuple[int, ...], family: str, tmp_path: Path
) -> None:
    texts = {"OUTPUTS": str(len(beats)), "BEATS": literal(beats).replace(" ", "")}
    script = synthesis_script(folder("templates") / "rtl", family, "output_ends", tmp_path / "stat.json", texts)
    (tmp_path / "synth.ys").write_text("\n".join(script) + "\n")
    code = "import sys; from pyosys import libyosys as ys; d = ys.Design(); "
    code += "[ys.run_pass(line.strip(), d) for line in open(sys.argv[1])]"
    argv = [sys.executable, "-c", code, str(tmp_path / "synth.ys")]
    subprocess.run(argv, cwd=folder("templates") / "rtl", check=True, capture_output=True, timeout=300)
    found = count_resources(read_cells(tmp_path / "stat.json"))
    modules = [OutputEnds(beats=beats), *(StreamPort(beats=count) for count in beats)]
    predicted = to_resources(sum(area(module, technology_of(family)) for module in modules))
    assert predicted.ff == found.ff
    assert abs(predicted.lut / found.lut - 1) < 0.05, (predicted, found)


@pytest.mark.torch
def test_the_torch_module_gives_a_tuple_equal_to_golden(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from test_torch_module import written

    graph = two_headed()
    module = written(graph, tmp_path / "network")
    x = random_inputs(graph, np.random.default_rng(6), 3)
    images, expected = torch.from_numpy(x).permute(0, 3, 1, 2), golden.run_outputs(graph, x)
    found = module.load().integers(images)
    assert [np.array_equal(a.numpy(), b) for a, b in zip(found, expected, strict=True)] == [True, True]
    real = module.load().double()(images)
    for values, integers, scale in zip(real, expected, (0.5, 0.25), strict=True):
        assert np.array_equal(values.detach().permute(0, 2, 3, 1).numpy(), integers * scale)
    np.save(tmp_path / "images.npy", x)
    argv = [sys.executable, str(tmp_path / "network" / "model.py"), "images.npy", "out.npz"]
    subprocess.run(argv, cwd=tmp_path, check=True, timeout=200)
    with np.load(tmp_path / "out.npz") as held:
        assert [np.array_equal(held[f"arr_{i}"], y) for i, y in enumerate(expected)] == [True, True]


def test_an_onnx_file_of_several_outputs_is_read_exactly_and_runs(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from codesign.front.onnx_file import read_onnx, write_onnx
    from codesign.front.onnx_run import compare_onnx

    graph, path = two_headed(), tmp_path / "two.onnx"
    write_onnx(graph, path)
    assert read_onnx(path).digest() == graph.digest()
    ends = [(o.name, [d.dim_value for d in o.type.tensor_type.shape.dim][1:]) for o in onnx.load(path).graph.output]
    assert ends == [("output0", [5]), ("output1", [2, 9, 7])]
    if importlib.util.find_spec("onnxruntime"):
        x = random_inputs(graph, np.random.default_rng(7), 5)
        assert compare_onnx(path, graph, x).differing_words == 0


def test_an_onnx_file_of_one_output_says_nothing_of_several(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from codesign.front.onnx_file import write_onnx

    write_onnx(small_graph(), tmp_path / "one.onnx")
    model = onnx.load(tmp_path / "one.onnx")
    assert not any("outputs" in p.value or "output_scales" in p.value for p in model.metadata_props)
    assert [o.name for o in model.graph.output] == ["output"]


def test_the_report_tells_outputs_apart(tmp_path: Path) -> None:
    run = begin(tmp_path / "run")
    graph = two_headed()
    files.save_graph(graph, run.folder.graph)
    steps.design_step(run)
    bring(Step.PREDICT, run.folder.path, run.progress)
    page = run.folder.report.read_text()
    assert "9×7×2, output 1" in page
    assert "1×1×5, output 0" in page
    assert look.view(run.folder, run.settings, run.board).machine is not None


def test_a_design_of_one_output_is_as_it_was() -> None:
    machine = elaborate(small_graph(), small_design())
    assert machine.ends is None
    assert [sink.channel.name for sink in machine.sinks] == ["result"]
