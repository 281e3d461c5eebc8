"""How long paths are: of small netlists by hand, and of every kind of module beside the table."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from codesign.data import folder
from codesign.errors import ToolError
from codesign.ir.technology import technology_of
from codesign.ir.timing import Delays
from codesign.sim.netlist import Paths, Side, find_paths
from codesign.sim.place import place, read_report
from codesign.sim.timing import measure_paths, module_source
from codesign.testing.timing_cases import CASES, LARGE, SMALL, Row, longer, measure, read_table, row_of, write_table

TABLE = Path(__file__).parent / "timing.csv"


def delays(family: str = "xc7") -> Delays:
    timing = technology_of(family).timing
    assert timing is not None
    return timing.delays


def cell(kind: str, ins: dict[str, list[Any]], outs: dict[str, list[Any]], **parameters: str) -> dict[str, Any]:
    directions = dict.fromkeys(ins, "input") | dict.fromkeys(outs, "output")
    return {"type": kind, "parameters": parameters, "port_directions": directions, "connections": ins | outs}


def register(d: int, q: int, enable: Any = "1") -> dict[str, Any]:
    return cell("FDRE", {"C": [1], "CE": [enable], "D": [d], "R": ["0"]}, {"Q": [q]})


def paths_of(cells: list[dict[str, Any]], ports: dict[str, tuple[str, list[int]]] | None = None) -> Paths:
    """The paths of a netlist whose nets are called n1, n2 and so on."""
    bits = {b for c in cells for pins in c["connections"].values() for b in pins if isinstance(b, int)}
    module = {
        "cells": {f"c{i}": c for i, c in enumerate(cells)},
        "ports": {name: {"direction": direction, "bits": bits} for name, (direction, bits) in (ports or {}).items()},
        "netnames": {f"n{bit}": {"bits": [bit], "hide_name": 0} for bit in bits},
    }
    return find_paths(module, delays())


def test_a_path_is_its_register_its_nets_its_luts_and_the_setup() -> None:
    d = delays()
    lut = cell("LUT2", {"I0": [2], "I1": [3]}, {"O": [4]})
    found = paths_of([register(9, 2), register(9, 3), lut, register(4, 5), register(4, 6)])
    # Registers lie beside the LUT in front of them: no net lies between.
    assert found.inner.ns == pytest.approx(d.register + d.net_ns(1) + d.lut + d.setup)
    assert (found.inner.luts, found.inner.carries) == (1, 0)
    assert found.inner.names[1:] in {("n4", "n5.D"), ("n4", "n6.D")}


def test_a_net_with_many_loads_is_slower_and_is_told() -> None:
    d = delays()
    enabled = [register(20 + i, 40 + i, enable=3) for i in range(16)]
    found = paths_of([register(9, 2), cell("LUT1", {"I0": [2]}, {"O": [3]}), *enabled])
    assert (found.fan_out, found.widest) == (16, "n3")
    assert found.inner.ns == pytest.approx(d.register + d.net_ns(1) + d.lut + d.net_ns(16) + d.setup_enable)
    assert d.net_ns(16) == pytest.approx(d.net + 4 * d.net_doubling)


def test_carry_blocks_in_a_row_are_counted_and_join_without_a_net() -> None:
    d = delays()
    low = cell(
        "CARRY4", {"S": [2, "0", "0", "0"], "DI": ["0"] * 4, "CI": ["0"], "CYINIT": ["0"]}, {"CO": [0, 0, 0, 10]}
    )
    high = cell("CARRY4", {"S": ["0"] * 4, "DI": ["0"] * 4, "CI": [10], "CYINIT": ["0"]}, {"O": [11, 12, 13, 14]})
    low["connections"]["CO"] = ["x", "x", "x", 10]
    found = paths_of([register(9, 2), low, high, register(14, 15)])
    assert (found.inner.luts, found.inner.carries) == (0, 2)
    assert found.inner.ns == pytest.approx(d.register + d.net_ns(1) + d.carry_enter + d.carry_leave + d.setup)


def test_ways_from_and_to_ports_are_told_apart() -> None:
    ready = cell("LUT2", {"I0": [2], "I1": [5]}, {"O": [6]})
    ports = {"ready_i": ("input", [5]), "ready_o": ("output", [6]), "valid_o": ("output", [2])}
    found = paths_of([register(9, 2), ready], ports)
    assert found.ways[Side.READY, Side.READY].luts == 1
    assert found.ways[Side.REGISTER, Side.READY].luts == 1
    assert found.ways[Side.REGISTER, Side.DATA].ns == pytest.approx(delays().register)
    assert found.ways[Side.DATA, Side.READY].names == ()


def test_a_loop_of_logic_ends_the_walk() -> None:
    found = paths_of([register(4, 2), cell("LUT2", {"I0": [2], "I1": [4]}, {"O": [4]})])
    assert found.inner.luts == 1


def test_a_block_ram_without_output_register_is_slow() -> None:
    d = delays()
    for bit, ns in (("0", d.block_ram), ("1", d.block_ram_registered)):
        memory = cell("RAMB18E1", {"CLKARDCLK": [1]}, {"DOADO": [2]}, DOA_REG=bit)
        assert paths_of([memory, register(2, 3)]).inner.ns == pytest.approx(ns + d.net_ns(1) + d.setup)


def test_a_dsp_is_as_slow_as_its_missing_registers_make_it() -> None:
    d = delays()

    def dsp(**registers: str) -> Paths:
        unit = cell("DSP48E1", {"CLK": [1], "A": [2]}, {"P": [3]}, **registers)
        return paths_of([register(9, 2), unit, register(3, 4)])

    def into(setup: float) -> float:
        return d.register + d.net_ns(1) + setup

    result = d.net_ns(1) + d.setup
    full = dsp(AREG="1", BREG="1", MREG="1", PREG="1")
    assert full.inner.ns == pytest.approx(max(into(d.setup_enable), d.dsp_register + result))
    assert dsp(MREG="1", PREG="1").inner.ns == pytest.approx(into(d.dsp_setup_product))
    assert dsp(PREG="1").inner.ns == pytest.approx(into(d.dsp_setup_product + d.dsp_setup_sum))
    assert dsp(MREG="1").inner.ns == pytest.approx(max(into(d.dsp_setup_product), d.dsp_sum + result))
    assert dsp(AREG="1", BREG="1").inner.ns == pytest.approx(d.dsp_product + result)
    assert dsp().inner.ns == pytest.approx(d.register + d.net_ns(1) + d.dsp_product + result)


def test_a_memory_in_luts_is_read_like_a_lut_and_written_like_a_register() -> None:
    d = delays()
    memory = cell("RAM32M", {"WCLK": [1], "WE": [5], "DIA": [6], "ADDRA": [2]}, {"DOA": [3]})
    read = paths_of([register(9, 2), memory, register(3, 4)])
    assert read.inner.ns == pytest.approx(d.register + d.net_ns(1) + d.lut + d.net_ns(1) + d.setup)
    assert read.inner.luts == 1
    written = paths_of([register(9, 6), memory])
    assert written.inner.ns == pytest.approx(d.register + d.net_ns(1) + d.setup_enable)


def test_paths_are_told_by_the_instance_in_which_they_end() -> None:
    cells = [register(9, 2), cell("LUT1", {"I0": [2]}, {"O": [3]}), register(3, 4), register(2, 5)]
    module = {
        "cells": {f"c{i}": c for i, c in enumerate(cells)},
        "ports": {},
        "netnames": {
            name: {"bits": [bit], "hide_name": 0}
            for name, bit in {"u_feed.q": 2, "x": 3, "g_line.u_array.u_inner.sum_q": 4, "flag_q": 5}.items()
        },
    }
    found = find_paths(module, delays())
    assert set(found.parts) == {"array", "top"}
    assert found.parts["array"] == found.inner.ns > found.parts["top"]


def test_what_became_longer_is_named_and_what_became_shorter_is_not() -> None:
    ways = {(begin, end): 1.0 for begin in Side for end in Side}
    before = Row(family="xc7", module="m", luts=3, carries=2, fan_out=9, ns=ways)
    now = Row(family="xc7", module="m", luts=4, carries=1, fan_out=9, ns=ways | {(Side.DATA, Side.READY): 1.1})
    assert list(longer(now, before)) == ["m in xc7: luts 4, was 3", "m in xc7: data to ready 1.1 ns, was 1.0 ns"]
    assert not list(longer(before, before))


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    ways = {(begin, end): float(i) + 0.25 for i, (begin, end) in enumerate((b, e) for b in Side for e in Side)}
    row = Row(family="xc7", module="m A=1 B={32'd3,32'd5}", luts=3, carries=2, fan_out=9, ns=ways)
    write_table([row], tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv") == {("xc7", row.module): row}


def test_the_table_has_every_module_that_holds_registers() -> None:
    table, modules = read_table(TABLE), {text.split()[0] for text in (*SMALL, *LARGE)}
    assert set(table) == set(CASES)
    for source in (folder("templates") / "rtl" / "modules").glob("*.sv"):
        # The rest are parts of these, or choose between them.
        if "always_ff" in source.read_text() and source.stem not in PARTS:
            assert source.stem in modules, f"{source.stem}: add it to codesign/testing/timing_cases.py"


PARTS = {
    "axi_read",
    "buffer_monitor",  # of simulation only
    "channel_rom",
    "feed_register",
    "kept_register",
    "load_port",
    "long_counter",
    "loop_counter",
    "packed_pair",
    "packed_tap",
    "pool_array",
    "scale_product",
    "simple_ram",
    "step_monitor",  # of simulation only
    "width_packer",
    "width_splitter",
}


def test_a_report_of_placing_gives_the_clock_and_the_path_between_registers(tmp_path: Path) -> None:
    def step(kind: str, delay: float, cell: str, **more: str) -> dict[str, Any]:
        return {"type": kind, "delay": delay, "to": {"cell": cell}, **more}

    inner = [
        step("clk-to-q", 0.5, "a"),
        step("routing", 1.0, "lut", net="count[2]"),
        step("logic", 0.25, "lut"),
        step("routing", 2.0, "b", net="sum"),
        step("setup", 0.25, "b"),
    ]
    clock = "posedge clk_i"
    report = {
        "fmax": {"clk_i": {"achieved": 250.0}},
        "critical_paths": [
            {"from": "<async>", "to": clock, "path": [step("routing", 9.0, "x", net="y")]},
            {"from": clock, "to": clock, "path": inner},
        ],
    }
    found = read_report(report)
    assert (found.mhz, found.logic_ns, found.routing_ns, found.cells) == (250.0, 1.0, 3.0, 1)
    assert (found.begin, found.end) == ("count[2]", "b")


def test_placing_without_the_package_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "ecp5.json").write_text("{}")
    with pytest.raises(ToolError, match="python"):
        place(tmp_path, 1)


@pytest.mark.yosys
@pytest.mark.parametrize("module", SMALL)
def test_no_path_of_a_small_module_is_longer_than_the_table_says(module: str, tmp_path: Path) -> None:
    row = measure(module, "xc7", tmp_path)
    assert not list(longer(row, read_table(TABLE)["xc7", module])), "shorten it, or run: make timing REWRITE=1"
    assert json.loads((tmp_path / "xc7.json").read_text())["modules"]


@pytest.mark.yosys
def test_a_path_that_is_made_longer_in_a_module_is_found(tmp_path: Path) -> None:
    rtl = tmp_path / "rtl"
    shutil.copytree(folder("templates") / "rtl" / "modules", rtl / "modules")
    fork = rtl / "modules" / "stream_fork.sv"
    chain = "(* keep *) logic [31:0] q;\nalways_ff @(posedge clk_i) q <= {q[30:0], ^(q + 32'd77)};\n"
    fork.write_text(fork.read_text().replace("endmodule", f"{chain}endmodule"))
    (text,) = (text for text in SMALL if text.startswith("stream_fork"))
    source = module_source(text, rtl, tmp_path / "work")
    row = row_of(text, "xc7", measure_paths(source, "xc7", delays(), tmp_path))
    words = [sentence.partition(": ")[2].partition(" ")[0] for sentence in longer(row, read_table(TABLE)["xc7", text])]
    assert {"luts", "carries", "register"} <= set(words)
