"""C simulation equals the golden model word for word, and fails where it must."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codesign.data import folder
from codesign.emit.hls import render_hls
from codesign.errors import MismatchError, ToolError
from codesign.ir.graph import Graph
from codesign.ir.project import Project
from codesign.machine.legal import MAX_WORD_BITS
from codesign.model import golden
from codesign.model.schedule import size_buffers
from codesign.ops.add import Add
from codesign.ops.conv import Conv
from codesign.ops.input import Input
from codesign.ops.qtype import QType
from codesign.ops.requantize import Scaling
from codesign.ops.shapes import Shape, Window
from codesign.sim.compare import first_difference, require_equal
from codesign.sim.csim import compile_bench, csim
from codesign.testing.requirements import require_tool
from codesign.testing.small import small_design, small_graph
from hls_batch import OPTIONS, Case, case_of, failures, random_case
from projects import small_board
from strategies import random_design, random_inputs

pytestmark = pytest.mark.gxx

CASES = int(os.environ.get("CODESIGN_CASES", "200"))
PER_PROGRAM = 32
SANITIZE = ("-fsanitize=undefined,address", "-fno-sanitize-recover=all")
AP_TYPES = "hls4ml==1.3.0"


def small_project(images: int = 3) -> Project:
    graph = small_graph()
    x = random_inputs(graph, np.random.default_rng(5), images)
    values = golden.run_all(graph, x)
    layers = {node.name: values[node.name][:2] for node in graph.nodes[1:]}
    return render_hls(graph, small_design(), small_board(), x, values[graph.output.name], layers)


def with_file(project: Project, name: str, old: str, new: str) -> Project:
    text = str(project.files[name])
    assert old in text
    return Project({**project.files, name: text.replace(old, new, 1)})


def three_readers() -> Graph:
    """An input that three nodes read: both branches of an addition, and a second addition directly."""
    shape, itype, wtype = Shape(5, 4, 3), QType(5, signed=True), QType(4, signed=True)
    rng = np.random.default_rng(11)
    names = ("left", "right")
    convs = tuple(
        Conv(
            name=name,
            source="image",
            ishape=shape,
            itype=itype,
            k=3,
            groups=1,
            wtype=wtype,
            acc_bits=16,
            window=Window(fy=3, fx=3, pad_top=1, pad_left=1, pad_bottom=1, pad_right=1),
            scaling=Scaling.SHIFT,
            multiplier_bits=1,
            shift=4,
            otype=itype,
        )
        for name in names
    )
    first = Add(
        name="first", sources=names, ishape=shape, itypes=(itype, itype), multipliers=(1, 3), shift=2, otype=itype
    )
    second = Add(
        name="second", sources=("first", "image"), ishape=shape, itypes=(itype, itype), multipliers=(2, 1), shift=1,
        otype=QType(9, signed=True),
    )  # fmt: skip
    params = {f"{name}.weight": rng.integers(-8, 8, (3, 3, 3, 3)) for name in names}
    params |= {f"{name}.bias": rng.integers(-50, 50, 3) for name in names}
    params |= {f"{name}.multiplier": np.ones(3, np.int64) for name in names}
    return Graph("readers", (Input(name="image", shape=shape, otype=itype), *convs, first, second), params)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, CASES, PER_PROGRAM))
def test_random_designs_equal_the_golden_model(first: int, tmp_path: Path) -> None:
    cases = [random_case(seed) for seed in range(first, min(first + PER_PROGRAM, CASES))]
    assert failures(cases, tmp_path) == ""


def test_random_designs_with_the_buffers_of_the_schedule_equal_the_golden_model(tmp_path: Path) -> None:
    assert failures([sized(random_case(seed)) for seed in range(500, 512)], tmp_path) == ""


def sized(case: Case) -> Case:
    rng = np.random.default_rng(case.seed)
    return case_of(case.seed, case.graph, size_buffers(case.graph, case.design), rng, 3)


def test_exact_widths_suffice_for_random_designs(tmp_path: Path) -> None:
    assert failures([random_case(seed) for seed in range(600, 612)], tmp_path, ["-DCODESIGN_EXACT"]) == ""


def test_native_integers_do_nothing_undefined_on_random_designs(tmp_path: Path) -> None:
    assert failures([random_case(seed) for seed in range(612, 620)], tmp_path, SANITIZE) == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("compiler", "quiet"),
    [
        ("g++", ["-Wno-uninitialized", "-Wno-maybe-uninitialized"]),
        pytest.param("clang++", ["-Wno-uninitialized"], marks=pytest.mark.clang),
    ],
)
def test_the_kernels_give_the_same_words_with_the_vendors_integers(
    compiler: str, quiet: list[str], tmp_path: Path
) -> None:
    include = ["-isystem", str(ap_types(tmp_path)), *quiet]
    cases = [random_case(seed) for seed in range(700, 706 if compiler == "g++" else 702)]
    assert failures(cases, tmp_path, ["-DCODESIGN_EXACT"], include, compiler) == ""


def ap_types(work: Path) -> Path:
    """The vendor's open headers: those of an installed hls4ml, else of its wheel."""
    spec = importlib.util.find_spec("hls4ml")
    inside = Path("templates") / "vivado" / "ap_types"
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parent / inside
    wheel = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(work / "wheel"),
        AP_TYPES,
    ]
    found = subprocess.run(wheel, capture_output=True, text=True, timeout=120, check=False)
    if found.returncode != 0:
        require_tool("ap_types (headers of the package hls4ml)")
    return work / "wheel" / "hls4ml" / inside


def test_an_input_with_three_readers_is_forked(tmp_path: Path) -> None:
    graph = three_readers()
    rng = np.random.default_rng(1)
    assert failures([case_of(i, graph, random_design(graph, rng), rng, 3) for i in range(6)], tmp_path) == ""


@pytest.mark.parametrize("names", [("int", "output", "accel"), ("in", "out", "images"), ("pool", "emit", "tap")])
def test_no_name_of_a_node_gets_in_the_way(names: tuple[str, str, str], tmp_path: Path) -> None:
    old = small_graph()
    new = dict(zip(("conv", "pool", "dense"), names, strict=True))
    nodes = tuple(
        replace(n, name=new.get(n.name, n.name), **({} if isinstance(n, Input) else {"source": new.get(*n.inputs * 2)}))
        for n in old.nodes
    )
    params = {f"{new[key.split('.')[0]]}.{key.split('.')[1]}": value for key, value in old.params.items()}
    graph, rng = Graph("names", nodes, params), np.random.default_rng(2)
    assert failures([case_of(1, graph, random_design(graph, rng), rng, 2)], tmp_path) == ""


@pytest.mark.parametrize(
    ("compiler", "standard"),
    [
        ("g++", "c++11"),
        ("g++", "c++20"),
        pytest.param("clang++", "c++11", marks=pytest.mark.clang),
        pytest.param("clang++", "c++14", marks=pytest.mark.clang),
        pytest.param("clang++", "c++20", marks=pytest.mark.clang),
    ],
)
def test_every_compiler_and_standard_gives_the_golden_words(compiler: str, standard: str, tmp_path: Path) -> None:
    options = [f"-std={standard}", "-pedantic"]
    assert failures([random_case(800), random_case(801)], tmp_path, options, compiler=compiler) == ""


@pytest.mark.clang
def test_clang_takes_a_project_as_it_is_rendered(tmp_path: Path) -> None:
    small_project().write(tmp_path)
    include = ["-I", "hls/csim_include", "-I", "hls/kernel"]
    command = ["clang++", *OPTIONS, *include, "hls/kernel/top.cpp", "hls/tb/tb.cpp", "-o", "bench"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False).stderr == ""
    bench = [tmp_path / "bench", "hls/tb/data"]
    run = subprocess.run(bench, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, "PASS: 3 images" in run.stdout) == (0, True)


@pytest.mark.slow
def test_networks_at_the_ends_of_what_nodes_admit_equal_the_golden_model(tmp_path: Path) -> None:
    assert failures([random_case(seed, extreme=True) for seed in range(CASES // 8)], tmp_path) == ""


@pytest.mark.parametrize("options", [("-DCODESIGN_EXACT",), SANITIZE])
def test_exact_widths_and_native_integers_suffice_at_the_ends_too(options: tuple[str, ...], tmp_path: Path) -> None:
    assert failures([random_case(seed, extreme=True) for seed in range(900, 903)], tmp_path, options) == ""


# Every process of the data flow, for images whose words together are a multiple of 2**32.
COUNTED = """
#include "add.hpp"
#include "axis.hpp"
#include "channel_mux.hpp"
#include "conv.hpp"
#include "convert.hpp"
#include "gate.hpp"
#include "lookup.hpp"
#include "padder.hpp"
#include "pool.hpp"
#include "requantize.hpp"
#include "rearranger.hpp"
#include "row_repeater.hpp"
struct Port {
  static constexpr int BITS = 8, CONTAINER = 8, LANES = 1, WORDS = 1 << 24, TAIL = 1;
  static constexpr bool SIGNED = false;
};
struct Sum {
  static constexpr int WORDS = 1 << 24, PE = 1, ABITS = 8, BBITS = 8, A_MULTIPLIER = 1, B_MULTIPLIER = 1, SUM_BITS = 10;
  static constexpr bool ASIGNED = false, BSIGNED = false;
};
struct Wide {
  static constexpr int BITS = 8, IN_LANES = 1, OUT_LANES = 2, IN_PACKET = 2, OUT_PACKET = 2, OUT_WORDS = 1 << 24;
};
struct Emit {
  static constexpr int PE = 1, EMIT = 1, PIXELS = 1 << 20, OUT_PIXEL_WORDS = 16, SUM_BITS = 10, BIAS_BITS = 2;
  static constexpr int BIAS_WORDS = 1, MULTIPLIER_BITS = 1, MULTIPLIER_WORDS = 1, PRODUCT_BITS = 12, SHIFT = 1;
  static constexpr int OBITS = 8, BIAS_FRACTION = 0, ROUNDING = 0, ZERO = 0, LOWEST = 0, HIGHEST = 255, K = 16;
  static constexpr bool OSIGNED = false, MULTIPLY = false, COUNTED = false;
};
struct Joined {
  static constexpr int PIXELS = 1 << 23, OUT_PIXEL_WORDS = 2, OBITS = 8, EMIT = 1;
};
struct Repeated {
  static constexpr int FOLD = 1, X = 1 << 11, FY = 2, FX = 2, DEPTH = 1 << 11, PIXELS = 1 << 24, OUT_PIXEL_WORDS = 1;
  static constexpr int OBITS = 8, EMIT = 1;
};
struct Rearranged {
  static constexpr int LOOPS = 2, FIRST = 0, FREE = 1, PASS = 2, IMAGE = 1 << 24, DEPTH = 1 << 11, PIXELS = 1 << 24;
  static constexpr int OUT_PIXEL_WORDS = 1, OBITS = 8, EMIT = 1;
};
struct Gated {
  static constexpr int FOLD = 1, REPEAT = 1, A_BITS = 8, B_BITS = 8, SCALING = 0, MULTIPLIER = 0, SUM_BITS = 17;
  static constexpr int SHIFT = 8, PIXELS = 1 << 24, OUT_PIXEL_WORDS = 1, OBITS = 8, EMIT = 1;
  static constexpr bool A_SIGNED = false, B_SIGNED = false, OSIGNED = false;
};
struct Padded {
  static constexpr int LANES = 1, BITS = 8, FOLD = 1, IY = 4096, IX = 4096, PAD_OY = 4096, PAD_OX = 4096, TOP = 0;
  static constexpr int LEFT = 0, STRIDE_Y = 1, STRIDE_X = 1, VALUE = 0, DEPTH = 1 << 11, OBITS = 8, EMIT = 1;
};
struct Looked {
  static constexpr int FOLD = 1, IN_BITS = 8, PIXELS = 1 << 24, OUT_PIXEL_WORDS = 1, OBITS = 8, EMIT = 1;
  static constexpr bool OSIGNED = false;
};
template <bool STREAM>
struct Window {
  static constexpr int IY = 4096, IX = 4096, OY = 4096, OX = 4096, FY = 1, FX = 1, STRIDE_Y = 1, STRIDE_X = 1;
  static constexpr int PAD_TOP = 0, PAD_LEFT = 0, DILATION_Y = 1, DILATION_X = 1;
  static constexpr int LANES = 1, PIXEL_WORDS = 1, INNER = 1, PASSES = 1, PE = 1;
  static constexpr int BUFFER_WORDS = 2, IBITS = 8, FILL = 0, SUM_BITS = 10, STEPS = 1;
  static constexpr bool ISIGNED = false, STREAMING = STREAM, MAXIMUM = true;
};
template <bool STREAM>
void pooled() {
  in_lane<Window<STREAM> > memory[2][1];
  in_stream<Window<STREAM> > in;
  sum_stream<Window<STREAM> > sums;
  pool<Window<STREAM> >(in, sums, memory, 256);
}
int main(int, char** argv) {
  hls::stream<ap_uint<8> > in, in2, out, out2;
  hls::stream<ap_uint<16> > pair;
  hls::stream<ap_uint<10> > sums;
  hls::stream<axis_word<8>::type> axis;
  static ap_uint<8> memory[Repeated::DEPTH];
  const number<2, true>::type bias[1][1] = {{0}};
  const number<1, false>::type factor[1][1] = {{0}};
  const out_lane<Looked> table[256][1] = {{0}};
  switch (argv[1][0]) {
    case '0': fork_words<ap_uint<8>, 1 << 24>(in, out, out2, 256); break;
    case '1': read_axis<Port>(axis, out, 256); break;
    case '2': write_axis<Port>(in, axis, 256); break;
    case '3': add<Sum>(in, in2, sums, 256); break;
    case '4': convert_words<Wide>(in, pair, 256); break;
    case '5': emit<Emit>(sums, out, bias, factor, 256); break;
    case '6': pooled<true>(); break;
    case '7': channel_mux<Joined, 1, 1>(out, 256, in, in2); break;
    case '8': row_repeater<Repeated>(out, memory, 256, in); break;
    case '9': lookup<Looked>(out, table, 256, in); break;
    case 'a': rearranger<Rearranged, 1, 1 << 24, 1, 1>(out, memory, 256, in); break;
    case 'b': gate<Gated>(out, 256, in, in2); break;
    case 'c': padder<Padded>(out, memory, 256, in); break;
    default: pooled<false>();
  }
}
"""


def test_every_process_counts_more_words_than_32_bits_hold(tmp_path: Path) -> None:
    """Each must want a word, which an empty stream refuses; one that multiplies would find nothing to do."""
    small_project().write(tmp_path)
    (tmp_path / "counted.cpp").write_text(COUNTED)
    include = ["-I", "hls/csim_include", "-I", "hls/kernel"]
    command = ["g++", *OPTIONS, *include, "counted.cpp", "-o", "counted"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    for process in "0123456789abcd":
        run = subprocess.run([tmp_path / "counted", process], capture_output=True, text=True, timeout=60, check=False)
        assert (run.returncode, "read from an empty stream" in run.stderr) == (3, True), process


@pytest.mark.parametrize(
    ("source", "accepted"),
    [
        ("#include <ap_int.h>\nap_uint<1024> x;", True),
        ("#include <ap_int.h>\nap_uint<1025> x;", False),
        ("#define AP_INT_MAX_W 4096\n#include <ap_int.h>\nap_uint<4096> x;", True),
        ("#define AP_INT_MAX_W 4096\n#include <ap_int.h>\nap_uint<4097> x;", False),
        ("#define AP_INT_MAX_W 8191\n#include <ap_int.h>\nap_uint<8> x;", False),
        (f'#include "types.hpp"\nword<1, {MAX_WORD_BITS}>::type x;', True),
        (f'#include "types.hpp"\nword<1, {MAX_WORD_BITS + 1}>::type x;', False),
    ],
)
def test_integers_are_as_wide_as_in_vitis_hls_and_no_wider(source: str, accepted: bool, tmp_path: Path) -> None:
    (tmp_path / "wide.cpp").write_text(source + "\n")
    include = [f"-I{folder('templates') / 'hls' / name}" for name in ("csim_include", "kernels")]
    command = ["g++", *OPTIONS, "-fsyntax-only", *include, "wide.cpp"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode == 0) == accepted, run.stderr


@pytest.mark.parametrize("compiler", [(), ("__SYNTHESIS__",), ("__SYNTHESIS__", "__VITIS_HLS__"), ("__BAMBU__",)])
def test_what_each_compiler_sees_is_correct(compiler: tuple[str, ...], tmp_path: Path) -> None:
    small_project().write(tmp_path / "project")
    folders = [folder("templates") / "host" / "mover", "project/hls/csim_include", "project/hls/kernel"]
    command = [
        "g++",
        *OPTIONS,
        "-fsyntax-only",
        *(f"-D{name}" for name in compiler),
        *(f"-I{path}" for path in folders),
    ]
    source = "project/hls/kernel/top.cpp"
    run = subprocess.run([*command, source], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    text = subprocess.run(
        [*command, "-E", source], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert ("#pragma HLS PIPELINE II=1" in text) == ("__SYNTHESIS__" in compiler)
    assert ("type=ram_s2p impl=lutram" in text) == ("__VITIS_HLS__" in compiler)
    assert ("#pragma HLS STREAM variable=sums depth=2" in text) == ("__SYNTHESIS__" in compiler)


def test_csim_measures_and_returns_the_outputs(tmp_path: Path) -> None:
    project = small_project(images=40)
    measured = csim(project, tmp_path)
    golden_rows = np.array(str(project.files["hls/tb/data/golden.dat"]).split(), dtype=np.int64)
    assert (measured.images, measured.mismatches, measured.tool) == (40, 0, "csim")
    assert measured.outputs is not None
    assert measured.outputs.shape == (40, 1, 1, 3)
    assert np.array_equal(measured.outputs.reshape(-1), golden_rows)
    assert measured.project_digest == project.digest()
    assert "g++" in measured.version
    assert measured.interval_cycles is None


def test_csim_runs_under_the_sanitizers(tmp_path: Path) -> None:
    assert csim(small_project(), tmp_path, sanitize=True).mismatches == 0


@pytest.mark.parametrize(
    ("kernel", "old", "new"),
    [
        ("requantize.hpp", "raised += up;", "raised += 0 * up;"),
        ("line_buffer.hpp", "iy_(-Cfg::PAD_TOP)", "iy_(1 - Cfg::PAD_TOP)"),
    ],
)
def test_a_planted_bug_is_found_in_its_layer(kernel: str, old: str, new: str, tmp_path: Path) -> None:
    project = with_file(small_project(), f"hls/kernel/{kernel}", old, new)
    with pytest.raises(MismatchError, match=r"layer 'conv', image 0, index \[\d, \d, \d\]: expected \d+, got \d+"):
        csim(project, tmp_path, timeout_s=120)


def test_a_planted_short_output_is_found(tmp_path: Path) -> None:
    old = "left(images)"
    source = str(small_project().files["hls/kernel/axis.hpp"])
    at = source.rindex(old)
    changed = source[:at] + "left(images - 1)" + source[at + len(old) :]
    project = Project({**small_project().files, "hls/kernel/axis.hpp": changed})
    with pytest.raises(MismatchError, match="output words of 3 images differ"):
        csim(project, tmp_path)


def test_code_that_does_not_compile_is_shown(tmp_path: Path) -> None:
    project = with_file(small_project(), "hls/kernel/top.cpp", "pipeline(s_axis, m_axis, images);", "pipeline(s_axis);")
    with pytest.raises(ToolError, match=r"(?s)g\+\+: ended with status 1.*csim_compile\.log"):
        csim(project, tmp_path)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled bench of the small project, beside it the data in tb/data."""
    work = tmp_path_factory.mktemp("bench")
    small_project().write(work / "project")
    compile_bench(work / "project" / "hls", work, timeout_s=100)
    return work


def run_bench(bench: Path, data: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([bench / "csim_bench", data], capture_output=True, text=True, timeout=60, check=False)


def data_of(bench: Path, copy: Path) -> Path:
    """A copy of the data, to be spoilt."""
    for path in (bench / "project" / "hls" / "tb" / "data").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


def test_the_bench_passes_on_its_own_data_and_finds_them(bench: Path) -> None:
    run = subprocess.run(
        [bench / "csim_bench"], cwd=bench / "project" / "hls", capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0
    assert "PASS: 3 images against tb/data/golden.dat" in run.stdout


def test_one_wrong_golden_word_fails_with_layer_index_expected_and_got(bench: Path, tmp_path: Path) -> None:
    data = data_of(bench, tmp_path)
    rows = (data / "golden.dat").read_text().splitlines()
    words = [int(v) for v in rows[2].split()]
    rows[2] = " ".join(str(v) for v in [words[0], words[1] + 1, *words[2:]])
    (data / "golden.dat").write_text("\n".join(rows) + "\n")
    run = run_bench(bench, data)
    assert run.returncode == 1
    first = json.loads(re.findall(r"MISMATCH (.*)", run.stdout)[0])
    assert first == {"layer": "output", "image": 2, "index": [0, 0, 1], "expected": words[1] + 1, "got": words[1]}
    assert json.loads(re.findall(r"CSIM (.*)", run.stdout)[0])["mismatches"] == 1


@pytest.mark.parametrize("name", ["input.dat", "golden.dat"])
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: None, "cannot be opened"),
        (lambda text: "", "truncated"),
        (lambda text: text[:-2], "truncated"),
        (lambda text: "\n".join(text.splitlines()[:-1]) + "\n", "expected [23] images as in input.dat, found [23]"),
        (lambda text: text.replace(" ", " 99999 ", 1), "line 1: 99999 is out of range"),
        (lambda text: text.replace(" ", " 1 ", 1), "line 1: expected [0-9]+ integers, found [0-9]+"),
        (lambda text: text.replace(" ", " x ", 1), "line 1: found something that is no integer"),
    ],
)
def test_a_missing_or_malformed_file_fails(name: str, spoil, said: str, bench: Path, tmp_path: Path) -> None:
    data = data_of(bench, tmp_path)
    text = spoil((data / name).read_text())
    (data / name).unlink()
    if text is not None:
        (data / name).write_text(text)
    run = run_bench(bench, data)
    assert run.returncode == 2
    assert re.search(said, run.stderr)
    assert "CSIM" not in run.stdout


def test_the_first_difference_has_layer_index_expected_and_got() -> None:
    expected = np.zeros((2, 2, 2, 3), np.int64)
    got = expected.copy()
    got[1, 0, 1, 2] = 7
    got[1, 1, 1, 2] = 8
    assert first_difference("conv", expected, expected) is None
    with pytest.raises(MismatchError, match=r"layer 'conv', index \[1, 0, 1, 2\].*: expected 0, got 7; 2 elements"):
        require_equal("conv", expected, got)
    with pytest.raises(MismatchError, match=r"expected a map of shape \[2, 2, 2, 3\], got \[1, 2, 2, 3\]"):
        require_equal("conv", expected, got[:1])
