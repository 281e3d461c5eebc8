"""Host code and scripts of a network of several outputs: a stream, a DMA and a mover for each."""

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codesign.data import folder
from codesign.emit import host
from codesign.emit.port import output_ports
from codesign.errors import ConfigError, UnsupportedError
from codesign.ir.board import Shell
from codesign.ir.graph import Graph
from codesign.model import golden
from projects import small_board, small_cost, small_project
from strategies import random_inputs
from test_host_driver import Boot, boot  # noqa: F401 (a fixture)
from test_host_scripts import place_ip, run_tcl, settings_of
from test_host_xrt import EMULATED, STRICT, build, run_emulated
from test_outputs import drawn, two_headed

STREAMS = {"FAKE_OUTPUTS": "m_axis_0 m_axis_1"}


def images_of(graph: Graph, count: int) -> np.ndarray:
    return random_inputs(graph, np.random.default_rng(3), count)


@pytest.mark.parametrize("spelling", ["rtl", "hls"])
@pytest.mark.parametrize("lanes", [(1, 1), (4, 8)])
def test_results_of_every_output_equal_the_golden_model(boot: Boot, spelling: str, lanes: tuple[int, int]) -> None:  # noqa: F811
    graph, design = two_headed(), replace(drawn(0), output_lanes=lanes)
    driver, pynq = boot(spelling=spelling, graph=graph, design=design)
    images = images_of(graph, 23)
    with driver.Accelerator("accel.bit", timeout_s=1.0, capacity=5) as accelerator:
        assert accelerator.selftest() == 0
        results = accelerator.run(images)
        assert accelerator.benchmark(20)["mismatches"] == 0
    for found, expected in zip(results, golden.run_outputs(graph, images), strict=True):
        np.testing.assert_array_equal(found, expected)
    for found, expected, scale in zip(driver.dequantize(results), results, (0.5, 0.25), strict=True):
        np.testing.assert_array_equal(found, expected * scale)
    assert pynq.device.complaints == []
    assert pynq.device.memory == {}, "buffers were not freed"


def test_all_receivers_are_armed_before_anything_is_sent(boot: Boot) -> None:  # noqa: F811
    driver, pynq = boot(graph=two_headed(), design=drawn(0))
    with driver.Accelerator("accel.bit") as accelerator:
        accelerator.selftest()
    assert pynq.device.log[-4:] == ["receive 0", "receive 1", "start", "send"]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("hang", "the last result did not finish"),
        ("no_arm", "receive 1: the channel stays halted"),
        ("short", "receive 1: image 0 moved"),
        ("no_last", "receive 1: image 0 moved .*; end of packet missing"),
        ("dma_error", "receive 1: address decode error"),
        ("no_reset", "the reset of the DMA did not finish"),
        ("no_sg", "built without scatter-gather"),
        ("lost_beat", "beats_in: expected"),
    ],
)
def test_a_fault_of_the_last_output_is_noticed_and_named(boot: Boot, fault: str, told: str) -> None:  # noqa: F811
    driver, _ = boot(fault=fault, graph=two_headed(), design=drawn(0))

    def use() -> None:
        driver.Accelerator("accel.bit", timeout_s=0.05).selftest()

    with pytest.raises(driver.DeviceError, match=told):
        use()


def test_a_wrong_word_of_the_last_output_is_counted(boot: Boot, tmp_path: Path) -> None:  # noqa: F811
    driver, _ = boot(fault="wrong", graph=two_headed(), design=drawn(0))
    with driver.Accelerator("accel.bit") as accelerator:
        assert accelerator.selftest() == 8
    assert driver.main(["run", "--input", str(tmp_path / "x.npy")]) == 1


def test_results_of_several_outputs_are_written_as_they_are_numbered(boot: Boot, tmp_path: Path) -> None:  # noqa: F811
    graph = two_headed()
    driver, _ = boot(graph=graph, design=drawn(0))
    images = images_of(graph, 3)
    np.save(tmp_path / "x.npy", images)
    assert driver.main(["run", "--input", str(tmp_path / "x.npy"), "--output", str(tmp_path / "y.npy")]) == 0
    with np.load(tmp_path / "y.npz") as held:
        for i, expected in enumerate(golden.run_outputs(graph, images)):
            np.testing.assert_array_equal(held[f"arr_{i}"], expected)


def test_a_selftest_vector_of_other_sizes_is_refused() -> None:
    graph = two_headed()
    x = images_of(graph, 2)
    with pytest.raises(ConfigError, match=r"golden: expected \[N, 131\], got \[2, 130\]"):
        host.render_host(graph, drawn(0), small_board(), small_cost(), x, golden.run_joined(graph, x)[:, 1:])


def test_more_outputs_than_the_interconnect_has_ports_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "MOST_OUTPUTS", 1)
    with pytest.raises(UnsupportedError, match=r"'two_headed' has 2 outputs; .* ports for 1 at most"):
        small_project(two_headed(), drawn(0))


@pytest.mark.parametrize("shell", list(Shell))
def test_the_block_design_has_a_dma_for_every_output(tmp_path: Path, shell: Shell) -> None:
    tree = tmp_path / "project"
    small_project(two_headed(), replace(drawn(0), output_lanes=(1, 8)), shell=shell).write(tree)
    place_ip(tree, "build/ip_rtl")
    status, calls, errors = run_tcl("vivado", tree / "link" / "design.tcl", **STREAMS)
    assert (status, errors) == (0, "")
    joined = [tuple(call[1:]) for call in calls if call[0] == "connect_bd_intf_net"]
    ends = [end for pair in joined for end in pair]
    assert len(ends) == len(set(ends)), "an interface is connected twice"
    assert {("accel_0/m_axis_0", "axi_dma_0/S_AXIS_S2MM"), ("accel_0/m_axis_1", "axi_dma_1/S_AXIS_S2MM")} <= set(joined)
    dmas = [settings_of(calls, f"axi_dma_{i}") for i in range(2)]
    assert [dma["CONFIG.c_include_mm2s"] for dma in dmas] == ["1", "0"]
    assert [dma["CONFIG.c_s_axis_s2mm_tdata_width"] for dma in dmas] == ["16", "64"]
    driven = [call[2] for call in calls if call[0] == "connect_bd_net"]
    assert len(driven) == len(set(driven)), "a pin is driven twice"
    assert {"axi_dma_1/axi_resetn", "axi_dma_1/m_axi_sg_aclk", "axi_dma_1/m_axi_s2mm_aclk"} <= set(driven)
    assert "axi_dma_1/m_axi_mm2s_aclk" not in driven
    networks = {pin.split("/")[0] for pin in ends if "network" in pin}
    for network in networks:
        made = settings_of(calls, network)
        for letter, key in (("S", "CONFIG.NUM_SI"), ("M", "CONFIG.NUM_MI")):
            used = {pin for pin in ends if re.fullmatch(rf"{network}/{letter}\d\d_AXI", pin)}
            assert used == {f"{network}/{letter}{i:02d}_AXI" for i in range(int(made[key]))}
        assert {f"{network}/aclk", f"{network}/aresetn"} <= set(driven)


def test_an_accelerator_without_one_of_the_streams_is_refused(tmp_path: Path) -> None:
    tree = tmp_path / "project"
    small_project(two_headed(), drawn(0)).write(tree)
    place_ip(tree, "build/ip_rtl")
    status, _, errors = run_tcl("vivado", tree / "link" / "design.tcl", FAKE_OUTPUTS="m_axis_0 other")
    assert status == 1
    assert "m_axis_1" in errors


def test_the_packaged_ip_has_every_stream_and_becomes_a_kernel(tmp_path: Path) -> None:
    tree = tmp_path / "project"
    small_project(two_headed(), drawn(0)).write(tree)
    for script in ("rtl/package_ip.tcl", "link/package_xo.tcl"):
        status, calls, errors = run_tcl("vivado", tree / script, **STREAMS)
        assert (status, errors) == (0, "")
    clocked = {call[2] for call in calls if call[0] == "ipx::associate_bus_interfaces" and call[1] == "-busif"}
    assert clocked in (set(), {"s_axis", "m_axis_0", "m_axis_1", "s_axi_control"})
    text = (tree / "link" / "link.cfg").read_text()
    assert re.findall(r"^stream_connect=(.*)$", text, re.MULTILINE) == [
        "mm2s_1.stream_out:accel_1.s_axis",
        "accel_1.m_axis_0:s2mm_0_1.stream_in",
        "accel_1.m_axis_1:s2mm_1_1.stream_in",
    ]


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The host folder with `host` built over the emulated XRT."""
    project = small_project(two_headed(), replace(drawn(0), output_lanes=(4, 8)), shell=Shell.ZYNQMP)
    written = tmp_path_factory.mktemp("xrt") / "project"
    project.write(written)
    include = [f"-I{EMULATED}", f"-I{EMULATED / 'new'}", "-I."]
    build(["g++", *STRICT, "-fsanitize=undefined,address", *include, "host.cpp", "-o", "host"], written / "host")
    return written / "host"


@pytest.mark.gxx
@pytest.mark.parametrize(
    ("fault", "status", "told"),
    [
        ("", 0, "20 images, 0 elements differ"),
        ("hls", 0, "20 images, 0 elements differ"),
        ("wrong", 1, "20 images, 20 elements differ"),
        ("tlast", 2, "s2mm_1:{s2mm_1_1}: 2 words had TLAST where it does not belong"),
        ("lost_beat", 2, "beats in and out: expected"),
        ("hang", 2, "the receiving mover did not finish within 50 ms"),
    ],
)
def test_the_host_program_compares_every_output(emulated: Path, fault: str, status: int, told: str) -> None:
    done = run_emulated(emulated, fault=fault)
    assert done.returncode == status, done.stderr
    assert told in done.stdout + done.stderr


@pytest.mark.gxx
def test_the_movers_of_all_outputs_keep_order(tmp_path: Path) -> None:
    small_project(two_headed(), replace(drawn(0), output_lanes=(1, 8))).write(tmp_path / "project")
    done = subprocess.run(
        ["make", "-n", "csim-mover"], cwd=tmp_path / "project", capture_output=True, text=True, timeout=60, check=True,
        env=os.environ | {"MAKEFLAGS": ""},
    )  # fmt: skip
    assert "hls/mover/s2mm_0.cpp hls/mover/s2mm_1.cpp" in done.stdout
    mover = tmp_path / "project" / "hls" / "mover"
    include = ["-Icsim_include", f"-I{folder('templates') / 'hls' / 'csim_include'}"]
    quiet = ["-Wno-unknown-pragmas", "-Wno-unused-label"]
    build(["g++", *STRICT, *quiet, *include, "mm2s.cpp", "s2mm_0.cpp", "s2mm_1.cpp", "tb.cpp", "-o", "tb"], mover)
    assert subprocess.run(["./tb"], cwd=mover, capture_output=True, text=True, timeout=60, check=True).stdout == (
        "movers: all checks passed\n"
    )


def test_the_projects_readme_has_a_column_for_every_output() -> None:
    graph, design = two_headed(), drawn(0)
    text = str(small_project(graph, design).files["host/README.md"])
    assert "| output 0, `classes` | output 1, `boxes` |" in text
    widths = {line.count("|") for line in text.splitlines()[5:13] if line.startswith("|")}
    assert widths == {5}
    assert len(output_ports(graph, design)) == 2
