"""Scripts, configuration files and documents of a project.

No vendor tool runs here: Tcl is executed with stand-ins that offer exactly the commands of one tool, so that a command
foreign to it fails; options are compared with what each tool's manual lists.
"""

import configparser
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codesign.emit import scripts
from codesign.emit.hls import render_hls
from codesign.emit.registers import registers_of
from codesign.emit.rtl import render_rtl
from codesign.ir.board import Shell
from codesign.ir.boards import list_boards, load_board
from codesign.ir.design import Weights
from codesign.model import golden
from codesign.sim import rtlsim
from codesign.testing.small import small_design, small_graph
from projects import small_board, small_cost, small_project

STAND_INS = Path(__file__).parent / "vendor_tools.tcl"
Calls = list[list[str]]

# Options with a value, and without, by tool and command. Sources: UG902 2020.1, UG1399 2020.2, 2023.2 and 2024.2.
COMMON = {
    "set_top": ((), ()),
    "add_files": (("-cflags",), ("-tb",)),
    "set_part": ((), ()),
    "create_clock": (("-period", "-name"), ()),
    "set_clock_uncertainty": ((), ()),
    "config_compile": (("-pipeline_loops",), ()),
    "config_rtl": (("-reset",), ()),
    "csim_design": (("-argv",), ()),
    "csynth_design": ((), ()),
    "cosim_design": (("-rtl", "-trace_level", "-argv"), ()),
    "export_design": (("-rtl", "-format", "-vendor", "-library", "-version"), ()),
}
TOOLS = {
    "vivado_hls": COMMON | {"open_project": ((), ("-reset",)), "open_solution": ((), ("-reset",))},
    "vitis_hls": COMMON | {"open_project": ((), ("-reset",)), "open_solution": (("-flow_target",), ("-reset",))},
    "vitis_run": COMMON | {"open_component": (("-flow_target",), ("-reset",))},
}


def run_tcl(tool: str, script: Path, **environment: str) -> tuple[int, Calls, str]:
    """Exit status, calls and error text of a script run with the commands of one tool."""
    if shutil.which("tclsh") is None:
        if os.environ.get("CODESIGN_REQUIRE_TOOLS") == "1":
            pytest.fail("tclsh is not installed, and CODESIGN_REQUIRE_TOOLS=1")
        pytest.skip("tclsh is not installed")
    defaults = {"FAKE_PROGRESS": "100%", "FAKE_SLACK": "0.123", "FAKE_FREQ_HZ": "150000000"}
    argv = ["tclsh", str(STAND_INS), tool, str(script)]
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=60, env=os.environ | defaults | environment, cwd=script.parent
    )
    calls = [line.split("\x1f") for line in done.stdout.splitlines() if not line.startswith("codesign: ")]
    return done.returncode, calls, done.stderr


def check_options(tool: str, call: list[str]) -> None:
    name, *words = call
    assert name in TOOLS[tool], f"{name} is foreign to {tool}"
    valued, plain = TOOLS[tool][name]
    while words:
        word = words.pop(0)
        if word in valued:
            words.pop(0)
        elif word.startswith("-"):
            assert word in plain, f"{name} {word} is foreign to {tool}"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    small_project().write(tmp_path / "project")
    return tmp_path / "project"


@pytest.mark.parametrize("tool", list(TOOLS))
@pytest.mark.parametrize("named", [False, True])
def test_run_hls_uses_only_what_the_tool_has(tree: Path, tool: str, named: bool) -> None:
    steps = {"CODESIGN_HLS_STEPS": "csim csynth cosim export"} | ({"CODESIGN_HLS_TOOL": tool} if named else {})
    status, calls, errors = run_tcl(tool, tree / "hls" / "run_hls.tcl", **steps)
    assert (status, errors) == (0, "")
    for call in calls:
        check_options(tool, call)
    names = [call[0] for call in calls]
    assert [n for n in names if n.endswith("_design")] == [
        "csim_design", "csynth_design", "cosim_design", "export_design",
    ]  # fmt: skip
    assert ["set_part", "xc7z020clg400-1"] in calls
    assert ["create_clock", "-period", "6.666", "-name", "default"] in calls
    assert ["set_clock_uncertainty", "1.800"] in calls
    assert ("-flow_target" in str(calls)) == (tool != "vivado_hls")
    flags = {word for c in calls if c[0] == "add_files" for word in c[2:4] if "-std=" in word}
    standards = {standard for words in flags for standard in re.findall(r"-std=(\S+)", words)}
    assert standards == {"c++11" if tool == "vivado_hls" else "c++14"}
    version = next(c[c.index("-version") + 1] for c in calls if c[0] == "export_design")
    assert version == ("1.0" if tool == "vitis_run" else "1.0.1"), "the date is no revision since 2022"
    for call in calls:
        if call[0] == "add_files":
            assert Path(call[-1]).is_file()


def test_run_hls_does_the_steps_it_is_told_and_refuses_others(tree: Path) -> None:
    script = tree / "hls" / "run_hls.tcl"
    _, calls, _ = run_tcl("vitis_hls", script, CODESIGN_HLS_STEPS="csynth")
    assert [c[0] for c in calls if c[0].endswith("_design")] == ["csynth_design"]
    status, calls, errors = run_tcl("vitis_hls", script, CODESIGN_HLS_STEPS="csim synth")
    assert (status, calls) == (1, [])
    assert "CODESIGN_HLS_STEPS: expected steps out of 'csim csynth cosim export', got 'synth'" in errors
    _, _, errors = run_tcl("vitis_hls", script, CODESIGN_HLS_TOOL="quartus")
    assert "CODESIGN_HLS_TOOL: expected one of vivado_hls vitis_hls vitis_run, got 'quartus'" in errors


def test_run_hls_leaves_the_rendered_tree_alone(tree: Path) -> None:
    before = {p for p in tree.rglob("*") if p.is_file()}
    run_tcl("vitis_run", tree / "hls" / "run_hls.tcl")
    assert {p for p in tree.rglob("*") if p.is_file()} == before
    assert (tree / "build" / "hls").is_dir()


def test_package_ip_takes_every_source_and_names_the_registers(tree: Path) -> None:
    status, calls, errors = run_tcl("vivado", tree / "rtl" / "package_ip.tcl")
    assert (status, errors) == (0, "")
    packaged = {
        str(p.relative_to(tree / "build" / "ip_rtl")) for p in (tree / "build" / "ip_rtl").rglob("*") if p.is_file()
    }
    assert packaged == {"accel.sv", "conv_engine.sv", "codesign_pkg.sv", "data/conv_weight.hex", "component.xml"}
    added = [c[2:] for c in calls if c[:2] == ["add_files", "-norecurse"]]
    assert Path(added[0][0].split()[0]).name == "codesign_pkg.sv", "the package comes before what imports it"
    registers = [c[1] for c in calls if c[0] == "ipx::add_register"]
    known = registers_of(small_design())
    assert registers == ["CONTROL", *(r.name.upper() for r in known[1:])]
    offsets = [int(c[2], 16) for c in calls if c[:2] == ["set_property", "address_offset"]]
    assert offsets == [r.offset for r in known]


def test_package_ip_makes_a_memory_map_where_none_was_inferred(tree: Path) -> None:
    status, calls, errors = run_tcl("vivado", tree / "rtl" / "package_ip.tcl", FAKE_NO_MAP="1")
    assert (status, errors) == (0, "")
    assert {"ipx::add_memory_map", "ipx::add_address_block"} <= {c[0] for c in calls}


def test_package_ip_fails_when_a_bus_is_not_recognised(tree: Path) -> None:
    status, _, errors = run_tcl("vivado", tree / "rtl" / "package_ip.tcl", FAKE_NO_BUS="1")
    assert status == 1
    assert "the ports of s_axis were not recognised as a bus" in errors


def place_ip(tree: Path, place: str) -> None:
    (tree / place).mkdir(parents=True)
    (tree / place / "component.xml").touch()


@pytest.mark.parametrize("shell", list(Shell))
@pytest.mark.parametrize(("spelling", "place"), [("rtl", "build/ip_rtl"), ("hls", "build/hls/accel/solution1/impl/ip")])
def test_design_connects_every_port_once(tmp_path: Path, shell: Shell, spelling: str, place: str) -> None:
    tree = tmp_path / "project"
    small_project(shell=shell).write(tree)
    place_ip(tree, place)
    status, calls, errors = run_tcl("vivado", tree / "link" / "design.tcl", CODESIGN_SPELLING=spelling)
    assert (status, errors) == (0, "")
    assert ["create_bd_cell", "-type", "ip", "-vlnv", f"codesign:{spelling}:accel:1.0", "accel_0"] in calls
    interfaces = [word for c in calls if c[0] == "connect_bd_intf_net" for word in c[1:]]
    assert len(interfaces) == len(set(interfaces)), "an interface is connected twice"
    wanted = ["S_AXI_LITE", "M_AXIS_MM2S", "S_AXIS_S2MM", "M_AXI_MM2S", "M_AXI_S2MM", "M_AXI_SG"]
    wanted = [f"axi_dma_0/{n}" for n in wanted]
    wanted += [f"accel_0/{n}" for n in ("Slave-axis_rtl", "Master-axis_rtl", "Slave-aximm_rtl")]
    assert set(wanted) <= set(interfaces)
    driven = [c[2] for c in calls if c[0] == "connect_bd_net"]
    assert len(driven) == len(set(driven)), "a pin is driven twice"
    assert {"accel_0/ap_clk", "accel_0/ap_rst_n", "axi_dma_0/m_axi_sg_aclk", "axi_dma_0/axi_resetn"} <= set(driven)
    assert (tree / "build" / "accel.bit").exists()
    assert (tree / "build" / "accel.hwh").exists()


@pytest.mark.parametrize(("spelling", "place"), [("rtl", "build/ip_rtl"), ("hls", "build/hls/accel/solution1/impl/ip")])
def test_a_machine_that_loads_its_weights_has_a_port_to_memory(tmp_path: Path, spelling: str, place: str) -> None:
    """The RTL spelling has; in the HLS spelling weights are constants."""
    tree, design = tmp_path / "project", replace(small_design(), weights=Weights.LOADED)
    small_project(design=design).write(tree)
    place_ip(tree, place)
    status, calls, errors = run_tcl("vivado", tree / "link" / "design.tcl", CODESIGN_SPELLING=spelling)
    assert (status, errors) == (0, "")
    joined = [c[1:] for c in calls if c[0] == "connect_bd_intf_net"]
    loads = spelling == "rtl"
    assert (["accel_0/Master-aximm_rtl", "data_network/S03_AXI"] in joined) == loads
    assert settings_of(calls, "data_network")["CONFIG.NUM_SI"] == ("4" if loads else "3")
    if loads:
        status, _, errors = run_tcl("vivado", tree / "rtl" / "package_ip.tcl")
        assert status == 1
        assert "the ports of m_axi_weights were not recognised" in errors
        status, calls, errors = run_tcl("vivado", tree / "rtl" / "package_ip.tcl", FAKE_LOADS="1")
        assert (status, errors) == (0, "")
        names = [c[1] for c in calls if c[0] == "ipx::add_register"]
        assert names == ["CONTROL", *(r.name.upper() for r in registers_of(design)[1:])]
        status, _, errors = run_tcl("vivado", tree / "link" / "package_xo.tcl", CODESIGN_SPELLING=spelling)
        assert status == 1
        assert "compile without --weights for XRT" in errors


def settings_of(calls: Calls, cell: str) -> dict[str, str]:
    """The CONFIG values that were set on a cell."""
    found: dict[str, str] = {}
    for call in calls:
        if call[:2] == ["set_property", "-dict"] and call[-1] == cell:
            words = [word.strip("{}") for word in re.findall(r"\{[^}]*\}|\S+", call[2])]
            found |= dict(zip(words[::2], words[1::2], strict=True))
    return found


@pytest.mark.parametrize(
    ("shell", "clock_key", "port_key", "address_bits"),
    [
        (Shell.ZYNQ, "CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ", ("CONFIG.PCW_S_AXI_HP0_DATA_WIDTH", "64"), "32"),
        (Shell.ZYNQMP, "CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ", ("CONFIG.PSU__SAXIGP2__DATA_WIDTH", "128"), "40"),
    ],
)
def test_design_sets_clock_ports_and_dma(
    tmp_path: Path, shell: Shell, clock_key: str, port_key: tuple[str, str], address_bits: str
) -> None:
    tree = tmp_path / "project"
    small_project(shell=shell).write(tree)
    place_ip(tree, "build/ip_rtl")
    _, calls, _ = run_tcl("vivado", tree / "link" / "design.tcl")
    ps, dma = settings_of(calls, "ps"), settings_of(calls, "axi_dma_0")
    expected = str(small_board(shell).clocking.pl_clock_mhz)
    assert ps[clock_key] == expected == {Shell.ZYNQ: "100.0", Shell.ZYNQMP: "150.0"}[shell]
    assert ps[port_key[0]] == port_key[1]
    assert (dma["CONFIG.c_include_sg"], dma["CONFIG.c_sg_length_width"]) == ("1", "26")
    assert dma["CONFIG.c_addr_width"] == address_bits
    assert (dma["CONFIG.c_m_axis_mm2s_tdata_width"], dma["CONFIG.c_s_axis_s2mm_tdata_width"]) == ("8", "16")
    assert "xilinx.com:ip:axi_dma:1.10" in str(calls), "the newest version of an IP, 1.10 after 1.9"


@pytest.mark.parametrize(("board_part", "preset"), [("", "0"), ("vendor:board:part0:1.0", "1")])
def test_design_uses_a_board_preset_only_with_a_board_part(tree: Path, board_part: str, preset: str) -> None:
    place_ip(tree, "build/ip_rtl")
    _, calls, _ = run_tcl("vivado", tree / "link" / "design.tcl", CODESIGN_BOARD_PART=board_part)
    assert (["set_property", "board_part", board_part, ""] in calls) == bool(board_part)
    automation = next(c for c in calls if c[0] == "apply_bd_automation")
    assert f"apply_board_preset {preset}" in " ".join(automation)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"FAKE_SLACK": "-0.4"}, "timing is not met: worst slack -0.4 ns"),
        ({"FAKE_PROGRESS": "57%"}, "implementation failed: route_design ERROR"),
        ({"CODESIGN_SPELLING": "vhdl"}, "CODESIGN_SPELLING: expected rtl or hls, got 'vhdl'"),
        ({"CODESIGN_SPELLING": "hls"}, "no packaged IP of spelling hls"),
    ],
)
def test_design_fails_loudly(tree: Path, settings: dict[str, str], message: str) -> None:
    place_ip(tree, "build/ip_rtl")
    status, _, errors = run_tcl("vivado", tree / "link" / "design.tcl", **settings)
    assert status == 1
    assert message in errors
    assert not (tree / "build" / "accel.bit").exists()


@pytest.mark.parametrize("age", [{}, {"FAKE_OLD": "1"}])
@pytest.mark.parametrize(("spelling", "protocol"), [("rtl", "user_managed"), ("hls", "ap_ctrl_hs")])
def test_package_xo_is_content_with_either_spelling(
    tree: Path, spelling: str, protocol: str, age: dict[str, str]
) -> None:
    if spelling == "rtl":
        assert run_tcl("vivado", tree / "rtl" / "package_ip.tcl", **age)[0] == 0
    else:
        place_ip(tree, "build/hls/accel/solution1/impl/ip")
    status, calls, errors = run_tcl("vivado", tree / "link" / "package_xo.tcl", CODESIGN_SPELLING=spelling, **age)
    assert (status, errors) == (0, "")
    assert calls[-1][0] == "package_xo"
    assert calls[-1][-2:] == ["-ctrl_protocol", protocol]
    if spelling == "hls":  # the export stays what it is
        assert (tree / "build/hls/accel/solution1/impl/ip/component.xml").read_text() == ""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kernel_properties $core user_managed", "", "package_xo: sdx_kernel is not true"),
        ("core user_managed", "core ap_ctrl_hs", "package_xo: vitis_drc is not ctrl_protocol user_managed"),
        ("CTRL CONTROL", "CTRL CTRL", "package_xo: register CTRL does not go with user_managed"),
        ("-busif $interface -clock ap_clk", "-clock ap_clk", "package_xo: s_axi_control has no clock"),
        ("-clock ap_clk -reset ap_rst_n", "-clock ap_clk", "package_xo: the clock has no reset"),
    ],
)
def test_package_xo_refuses_a_core_that_is_no_kernel(tree: Path, old: str, new: str, message: str) -> None:
    script = tree / "rtl" / "package_ip.tcl"
    assert old in script.read_text()
    script.write_text(script.read_text().replace(old, new))
    assert run_tcl("vivado", script)[0] == 0
    status, _, errors = run_tcl("vivado", tree / "link" / "package_xo.tcl")
    assert status == 1
    assert message in errors


SOURCES = {
    Shell.ZYNQ: ("CONFIG.PCW_FCLK0_PERIPHERAL_CLKSRC", "IO PLL", "PCW_FCLK0_PERIPHERAL_DIVISOR"),
    Shell.ZYNQMP: ("CONFIG.PSU__CRL_APB__PL0_REF_CTRL__SRCSEL", "IOPLL", "PSU__CRL_APB__PL0_REF_CTRL__DIVISOR"),
}


@pytest.mark.parametrize("name", [b.name for b in list_boards()])
def test_the_block_design_names_source_and_divisors_of_its_clock(tmp_path: Path, name: str) -> None:
    board = load_board(name)
    tree = tmp_path / "project"
    small_project(board=board).write(tree)
    place_ip(tree, "build/ip_rtl")
    clock = {"FAKE_FREQ_HZ": str(round(board.clock_mhz * 1e6))}
    status, calls, errors = run_tcl("vivado", tree / "link" / "design.tcl", **clock)
    assert (status, errors) == (0, "")
    key, source, divisor = SOURCES[board.shell]
    ps = settings_of(calls, "ps")
    assert ps[key] == source
    product = int(ps[f"CONFIG.{divisor}0"]) * int(ps[f"CONFIG.{divisor}1"])
    pl_clock_mhz = board.clocking.source.io_pll_mhz / product
    driver = next(c[1] for c in calls if c[0] == "connect_bd_net" and c[2] == "accel_0/ap_clk")
    if driver == "wizard/clk_out1":
        wizard = settings_of(calls, "wizard")
        assert float(wizard["CONFIG.CLKOUT1_REQUESTED_OUT_FREQ"]) == board.clock_mhz
        assert ["connect_bd_net", "wizard/locked", "reset/dcm_locked"] in calls
        assert pl_clock_mhz * board.clocking.ratio == pytest.approx(board.clock_mhz, rel=1e-3)
    else:
        assert pl_clock_mhz == pytest.approx(board.clock_mhz, rel=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"FAKE_DIVISOR": "3"}, "clock 0 has divisors 3 3, expected 10 and 1 of an IO PLL of 1000.0 MHz"),
        ({"FAKE_FREQ_HZ": "142857132"}, "the accelerator's clock is 142.857132 MHz, expected 150.0 MHz"),
    ],
)
def test_design_refuses_another_clock(tree: Path, settings: dict[str, str], message: str) -> None:
    place_ip(tree, "build/ip_rtl")
    status, _, errors = run_tcl("vivado", tree / "link" / "design.tcl", **settings)
    assert status == 1
    assert message in errors


HLS_KEYS = {
    "clock", "clock_uncertainty", "flow_target", "syn.top", "syn.file", "syn.cflags", "tb.file", "tb.cflags",
    "syn.compile.pipeline_loops", "syn.rtl.reset", "csim.code_analyzer", "csim.argv", "cosim.argv",
    "cosim.trace_level", "package.output.format", "package.output.syn", "package.ip.vendor", "package.ip.library",
    "package.ip.name", "package.ip.version",
}  # fmt: skip


def parsed(text: str) -> dict[str, list[tuple[str, str]]]:
    """The sections of a vendor's cfg file, whose keys may repeat; the first lines belong to section ''."""
    sections: dict[str, list[tuple[str, str]]] = {"": []}
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
            sections[section] = []
        elif not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert equals, line
            assert "#" not in value, line
            sections[section].append((key, value))
    return sections


@pytest.mark.parametrize("name", ["hls/hls_config.cfg", "hls/mover/mm2s.cfg", "hls/mover/s2mm.cfg"])
def test_hls_configuration_has_known_keys_and_existing_files(name: str) -> None:
    project = small_project()
    sections = parsed(str(project.files[name]))
    assert sections[""] == [("part", "xc7z020clg400-1")]
    assert {key for key, _ in sections["hls"]} <= HLS_KEYS
    assert dict(sections["hls"])["clock"] == "6.666ns"
    folder = name.rpartition("/")[0]
    for key, value in sections["hls"]:
        if key in ("syn.file", "tb.file"):
            path = f"{folder}/{value}"
            assert any(n == path or n.startswith(path + "/") for n in project.files), path
    configparser.ConfigParser(strict=False).read_string("[top]\n" + str(project.files[name]))


def test_link_configuration_joins_the_movers_to_the_accelerator() -> None:
    sections = parsed(str(small_project().files["link/link.cfg"]))
    joins = [value for key, value in sections["connectivity"] if key == "stream_connect"]
    assert joins == ["mm2s_1.stream_out:accel_1.s_axis", "accel_1.m_axis:s2mm_1.stream_in"]
    assert {value for _, value in sections["clock"]} == {f"150000000:{n}_1.ap_clk" for n in ("accel", "mm2s", "s2mm")}


def test_every_loop_of_the_movers_states_its_pipelining() -> None:
    project = small_project()
    for name in ("hls/mover/mm2s.cpp", "hls/mover/s2mm.cpp"):
        pragmas = re.findall(r"#pragma HLS (\w+)", str(project.files[name]))
        assert set(pragmas) == {"INTERFACE", "PIPELINE"}
        loops, stated = len(re.findall(r"\bfor \(", str(project.files[name]))), pragmas.count("PIPELINE")
        assert loops == stated


MAKE_NEEDS = {"csynth": "an HLS tool", "package-rtl": "vivado", "cosim": "an HLS tool"}


@pytest.mark.parametrize("target", list(MAKE_NEEDS))
def test_make_says_which_tool_is_missing(tree: Path, target: str) -> None:
    bare = {"PATH": "/usr/bin:/bin", "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(["make", target], cwd=tree, capture_output=True, text=True, timeout=60, env=bare)
    assert done.returncode != 0
    assert f"make: {MAKE_NEEDS[target]} is not in PATH" in done.stderr


def test_make_calls_the_newest_hls_tool_there_is(tree: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool, expected in (
        ("vivado_hls", "-f hls/run_hls.tcl"),
        ("vitis_hls", "-f hls/run_hls.tcl"),
        ("vitis-run", "--mode hls --tcl hls/run_hls.tcl"),
    ):
        program = tools / tool
        program.write_text(f'#!/bin/sh\necho "{tool} $CODESIGN_HLS_STEPS: $@"\n')
        program.chmod(0o755)
        bare = {"PATH": f"{tools}:/usr/bin:/bin"}
        done = subprocess.run(["make", "-s", "cosim"], cwd=tree, capture_output=True, text=True, timeout=60, env=bare)
        assert done.stdout == f"{tool} csynth cosim: {expected}\n", done.stderr


def test_make_without_a_target_is_help(tree: Path) -> None:
    done = subprocess.run(["make"], cwd=tree, capture_output=True, text=True, timeout=60, check=True)
    for target in ("csim", "csynth", "cosim", "package", "verilate", "link", "host", "clean"):
        assert re.search(rf"\b{target}\b", done.stdout)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project with its real kernels and RTL."""
    folder = tmp_path_factory.mktemp("whole") / "project"
    graph, design, board = small_graph(), small_design(), small_board(Shell.ZYNQMP)
    x = np.random.default_rng(0).integers(0, 256, (9, 6, 6, 1))
    values = golden.run_all(graph, x)
    y = values[graph.output.name]
    kernels = render_hls(graph, design, board, x, y, values).merge(render_rtl(graph, design, board, x, y))
    scripts.complete_project(graph, design, board, small_cost(), kernels, x, y).write(folder)
    return folder


@pytest.mark.gxx
def test_make_csim_runs_accelerator_and_movers(whole: Path) -> None:
    done = subprocess.run(["make", "csim", "csim-mover"], cwd=whole, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert '{"images": 9, "mismatches": 0' in done.stdout
    assert "movers: all checks passed" in done.stdout


@pytest.mark.gxx
def test_the_kernels_keep_to_the_standard_that_the_scripts_ask_for(whole: Path) -> None:
    flags = ["-fsyntax-only", "-pedantic-errors", "-Wno-unknown-pragmas", "-Icsim_include", "-Ikernel"]
    for standard in ("-std=c++11", "-std=c++14"):
        argv = ["g++", standard, *flags, "kernel/top.cpp", "tb/tb.cpp"]
        assert subprocess.run(argv, cwd=whole / "hls", timeout=120).returncode == 0, standard
    assert set(re.findall(r"c\+\+\d+", (whole / "hls" / "hls_config.cfg").read_text())) == {"c++14"}


EMPTY_RUN = """
#include "top.hpp"
int main() {
  hls::stream<axis_in_t> in;
  hls::stream<axis_out_t> out;
  in.write(axis_in_t());
  uint32_t lo = 0, hi = 0;
  accel(in, out, 0, lo, hi);
  in.read();
  return in.empty() && out.empty() && lo == DESIGN_HASH_LO && hi == DESIGN_HASH_HI ? 0 : 1;
}
"""


@pytest.mark.gxx
def test_an_empty_run_of_the_hls_spelling_gives_the_hash_and_moves_nothing(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.cpp").write_text(EMPTY_RUN)
    kernel = whole / "hls" / "kernel"
    argv = ["g++", "-std=c++17", f"-I{whole / 'hls' / 'csim_include'}", f"-I{kernel}", str(kernel / "top.cpp")]
    argv += ["empty.cpp", "-o", "empty"]
    built = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stderr
    assert subprocess.run(["./empty"], cwd=tmp_path, timeout=20).returncode == 0


@pytest.mark.verilator
@pytest.mark.slow
def test_make_verilate_runs_the_systemverilog(whole: Path) -> None:
    done = subprocess.run(["make", "verilate"], cwd=whole, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "result images 9 words 27 mismatches 0" in done.stdout


def test_the_makefile_compiles_the_simulation_as_rtlsim_does(tree: Path) -> None:
    assert f'-MAKEFLAGS "{rtlsim.ANYWHERE} {rtlsim.OPTIMIZATION}"' in (tree / "Makefile").read_text()


def test_every_memory_file_stands_where_the_packaged_rtl_looks_for_it(whole: Path) -> None:
    status, _, errors = run_tcl("vivado", whole / "rtl" / "package_ip.tcl")
    assert (status, errors) == (0, "")
    packaged = whole / "build" / "ip_rtl"
    named = re.findall(r'_FILE\("([^"]+)"\)', (packaged / "accel.sv").read_text())
    assert named
    for name in named:
        assert (packaged / name).is_file()
