"""host.cpp and the memory movers: they compile, link, and do right by an emulated device."""

import dataclasses
import json
import os
import subprocess
from pathlib import Path

import pytest

from codesign.data import folder
from codesign.emit.identity import design_hash
from codesign.ir.board import Shell
from codesign.ir.design import Design
from codesign.report.vendor import read_measured
from codesign.testing.small import small_design, small_graph
from projects import small_board, small_project

EMULATED = Path(__file__).parent / "emulated_xrt"
STRICT = ["-std=c++17", "-Wall", "-Wextra", "-Werror"]


def call(argv: list[str], cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=120, env=os.environ | environment)


def build(argv: list[str], cwd: Path) -> None:
    done = call(argv, cwd)
    assert done.returncode == 0, done.stderr


def written(path: Path, design: Design | None = None) -> Path:
    small_project(design=design, shell=Shell.ZYNQMP).write(path / "project")
    return path / "project"


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The host folder with `host` built over the emulated XRT; words of both streams are padded."""
    design = dataclasses.replace(small_design(), input_lanes=8, output_lanes=(4,))
    host = written(tmp_path_factory.mktemp("xrt"), design) / "host"
    include = [f"-I{EMULATED}", f"-I{EMULATED / 'new'}", "-I."]
    build(["g++", *STRICT, "-fsanitize=undefined,address", *include, "host.cpp", "-o", "host"], host)
    return host


def run_emulated(host: Path, *arguments: str, fault: str = "", interval: int = 40) -> subprocess.CompletedProcess[str]:
    (host / "board.json").unlink(missing_ok=True)
    argv = ["./host", "--images", "20", "--batch", "10", "--timeout-ms", "50", *arguments]
    return call(argv, host, EMULATED_FAULT=fault, EMULATED_SELFTEST="selftest", EMULATED_INTERVAL=str(interval))


@pytest.mark.gxx
@pytest.mark.parametrize("layout", ["old", "new"])
def test_the_host_program_finds_the_headers_of_old_and_new_releases(tmp_path: Path, layout: str) -> None:
    host = written(tmp_path) / "host"
    include = [f"-I{EMULATED}", f"-I{EMULATED / layout}", "-I."]
    build(["g++", *STRICT, "-fsyntax-only", *include, "host.cpp"], host)


@pytest.mark.xrt
def test_the_host_program_builds_against_the_real_xrt_and_reports_a_missing_device(tmp_path: Path) -> None:
    host = written(tmp_path) / "host"
    build(["make", "host"], host)
    assert "libxrt_coreutil" in call(["ldd", "./host"], host).stdout
    done = call(["./host", "--xclbin", "none.xclbin"], host)
    assert done.returncode == 2
    assert done.stderr.startswith("host: ")
    assert not (host / "board.json").exists()


@pytest.mark.gxx
def test_the_host_program_measures_an_emulated_device(emulated: Path) -> None:
    done = run_emulated(emulated)
    assert (done.returncode, done.stderr) == (0, "")
    record = json.loads((emulated / "board.json").read_text())
    design = dataclasses.replace(small_design(), input_lanes=8, output_lanes=(4,))
    expected = {
        "schema": 1, "tool": "board", "driver": "xrt", "board": "bench-1", "part": "xc7z020clg400-1",
        "design_hash": f"{design_hash(small_graph(), design):#018x}", "spelling": "rtl", "timing": "hardware",
        "clock_mhz": 150.0, "images": 20, "mismatches": 0, "interval_cycles": 40, "latency_cycles": 200,
        "fps": 150e6 / 40, "latency_us": pytest.approx(200 / 150),
    }  # fmt: skip
    assert {key: record[key] for key in expected} == expected
    assert set(record) == set(expected) | {"host_fps", "host_latency_us", "date"}
    reading = read_measured(emulated / "board.json", small_board(), design_hash(small_graph(), design), "")
    assert (reading.measurement.interval_cycles, reading.measurement.latency_cycles) == (40, 200)


@pytest.mark.gxx
def test_cycles_beyond_32_bits_are_read_whole(emulated: Path) -> None:
    assert run_emulated(emulated, interval=1_000_000_000).returncode == 0
    record = json.loads((emulated / "board.json").read_text())
    assert (record["interval_cycles"], record["latency_cycles"]) == (1_000_000_000, 200)
    assert record["fps"] == 0.15


def test_the_batch_and_the_time_outs_follow_from_the_project(tmp_path: Path) -> None:
    text = (written(tmp_path) / "host" / "accel_params.hpp").read_text()
    assert "interval_cycles = 144, latency_cycles = 345;" in text
    assert "constexpr std::size_t batch = 256;" in text


@pytest.mark.gxx
def test_without_counters_the_host_program_times_by_its_own_clock(emulated: Path) -> None:
    assert run_emulated(emulated, fault="hls").returncode == 0
    record = json.loads((emulated / "board.json").read_text())
    assert (record["spelling"], record["timing"]) == ("hls", "host")
    assert record["fps"] == record["host_fps"] > 0
    assert not {"interval_cycles", "latency_cycles", "latency_us"} & set(record)


@pytest.mark.gxx
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("no_device", "host: no such device"),
        ("hash", "host: the xclbin holds design 0x"),
        ("hang", "the receiving mover did not finish within 50 ms. State of the device:\nctrl: 1\nimages: 10"),
        ("hang", "\ncycles_hi: 0\n"),
        ("dead", "an empty run did not finish within 50 ms. State of the device:\nctrl: 1\nimages: 0"),
        ("tlast", "2 words had TLAST where it does not belong"),
        ("lost_beat", "beats in and out: expected 50 and 10, got 49 and 10"),
    ],
)
def test_a_faulty_device_is_status_2_and_leaves_no_result(emulated: Path, fault: str, message: str) -> None:
    done = run_emulated(emulated, fault=fault)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (emulated / "board.json").exists()


@pytest.mark.gxx
def test_wrong_results_are_status_1_and_stand_in_the_result(emulated: Path) -> None:
    assert run_emulated(emulated, fault="wrong").returncode == 1
    assert json.loads((emulated / "board.json").read_text())["mismatches"] == 20


@pytest.mark.gxx
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--images", "many"), "--images: expected a number, got 'many'"),
        (("--images", "-1"), "--images: expected a number, got '-1'"),
        (("--batch", "1"), "expected --batch of 2 to "),
        (("--batch", "4294967295"), "expected --batch of 2 to "),
        (("--timeout-ms", "0"), "--timeout-ms: expected at least 1"),
        (("--images",), "--images: expected a value after it"),
        (("--speed", "1"), "unknown option --speed"),
        (("--selftest", "nowhere"), "nowhere/input.bin: cannot be read"),
    ],
)
def test_wrong_arguments_of_the_host_program_are_refused(
    emulated: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = run_emulated(emulated, *arguments)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.gxx
def test_a_truncated_selftest_vector_is_refused(emulated: Path, tmp_path: Path) -> None:
    for name in ("input.bin", "golden.bin"):
        (tmp_path / name).write_bytes((emulated / "selftest" / name).read_bytes())
    (tmp_path / "golden.bin").write_bytes((tmp_path / "golden.bin").read_bytes()[:-1])
    done = run_emulated(emulated, "--selftest", str(tmp_path))
    assert "golden.bin: expected a multiple of 6 bytes, got 47" in done.stderr


@pytest.mark.gxx
@pytest.mark.parametrize(("input_lanes", "output_lanes"), [(1, 1), (16, 8)])
def test_the_movers_keep_order_and_count_misplaced_tlast(tmp_path: Path, input_lanes: int, output_lanes: int) -> None:
    design = dataclasses.replace(small_design(), input_lanes=input_lanes, output_lanes=(output_lanes,))
    mover = written(tmp_path, design) / "hls" / "mover"
    sources = ["mm2s.cpp", "s2mm.cpp", "tb.cpp"]
    include = ["-Icsim_include", f"-I{folder('templates') / 'hls' / 'csim_include'}"]
    quiet = ["-Wno-unknown-pragmas", "-Wno-unused-label"]
    build(["g++", *STRICT, *quiet, "-fsanitize=undefined,address", *include, *sources, "-o", "tb"], mover)
    done = call(["./tb"], mover)
    assert (done.returncode, done.stdout) == (0, "movers: all checks passed\n")
