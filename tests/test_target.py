"""A target of another technology is a file: predictions, searches and reports follow it with no code changed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from codesign.api import compile
from codesign.cli import main
from codesign.errors import ConfigError, UnsupportedError
from codesign.ir.board import Board
from codesign.ir.boards import load_board
from codesign.ir.strict import to_plain
from codesign.ir.technology import Multiplier, families, technology_of
from codesign.machine.modules import Fifo, MacArray, WeightRom
from codesign.model.area import area, tiles
from codesign.model.memory import bram18_count, choice_luts, lutram_luts, rom_luts
from codesign.model.predict import predict
from codesign.model.resource import to_resources
from codesign.search.sized import search_sized_design
from codesign.sim.synth import synthesize
from codesign.testing.small import small_design, small_graph

OTHER = {
    "title": "Other vendor",
    "labels": {"dsp": "MULT", "bram18": "M20K", "uram": "XRAM", "lut": "ALUT", "ff": "REG"},
    "lut_inputs": 4,
    "multiplier": {"wide_bits": 9, "narrow_bits": 9, "packs": False},
    "block_ram": [{"width": 40, "depth": 512}, {"width": 20, "depth": 1024}, {"width": 10, "depth": 2048}],
    "lut_memory": {"luts": 10, "half_bits": 20, "full_bits": 20},
    "oscillator_mhz": [600.0, 1300.0],
}


def written(folder: Path, **changes: Any) -> Path:
    """A file of a board with the other technology, and these keys of it changed."""
    plain = to_plain(load_board("pynq-z2"))
    fitted = {**to_plain(technology_of("xc7").fitted), "control": 500.0, "choice": 1.0}
    plain |= {"name": "other", "title": "Made up", "part": "other-1", "family": "other-10"}
    plain["technology"] = {**OTHER, "fitted": fitted, **changes}
    (folder / "other.yaml").write_text(yaml.safe_dump(plain))
    return folder / "other.yaml"


@pytest.fixture
def other(tmp_path: Path) -> Board:
    return load_board(str(written(tmp_path)))


def one(value: int) -> Any:
    return np.array([value])


def test_memories_lie_in_the_shapes_of_the_technology(other: Board) -> None:
    made = other.fabric
    assert int(bram18_count(one(40), one(512), made)[0]) == 1
    assert int(bram18_count(one(40), one(513), made)[0]) == 2
    assert int(bram18_count(one(36), one(512), technology_of("xc7"))[0]) == 1
    assert to_resources(area(Fifo(depth=2048, word_bits=11), made)).bram18 == 2
    # A LUT of four inputs holds 16 words and chooses from two bits.
    assert float(rom_luts(one(64), one(16), made)[0]) == pytest.approx(64, rel=0.01)
    assert [float(choice_luts(n, made)) for n in (1, 2, 3)] == [0.0, 1.0, 3.0]
    assert int(lutram_luts(one(20), one(16), made)[0]) == 10
    memory = WeightRom(word_bits=40, depth=512, block_ram=True, late=True, feeds_dsp=False)
    assert to_resources(area(memory, made)).bram18 == 1


@pytest.mark.parametrize(
    ("bits", "ports", "expected"),
    [
        ((9, 9), (9, 9), 1),
        ((10, 9), (9, 9), 2),
        ((10, 10), (9, 9), 4),
        ((27, 18), (27, 18), 1),
        ((18, 27), (27, 18), 1),
    ],
)
def test_a_product_takes_as_many_multipliers_as_its_operands_need(
    bits: tuple[int, int], ports: tuple[int, int], expected: int
) -> None:
    assert tiles(*bits, Multiplier(wide_bits=ports[0], narrow_bits=ports[1], packs=False)) == expected
    wide = MacArray(pe=3, simd=2, channelwise=False, x_bits=bits[0], w_bits=bits[1], acc_bits=40, in_dsp=True,
                    constant=False)  # fmt: skip
    made = replace(technology_of("xc7"), multiplier=Multiplier(wide_bits=ports[0], narrow_bits=ports[1], packs=False))
    assert to_resources(area(wide, made)).dsp == 6 * expected


def test_prediction_and_search_follow_the_technology(other: Board) -> None:
    graph, design, usual = small_graph(), small_design(), load_board("pynq-z2")
    here, there = predict(graph, design, usual), predict(graph, design, other)
    assert there.interval_cycles == here.interval_cycles
    assert there.latency_cycles == here.latency_cycles
    assert there.shell.lut > here.shell.lut  # its control block takes more
    found, _, cost = search_sized_design(graph, other, explain=False)
    assert cost.resources.fits(other.budget)
    assert found.proved_optimal
    dear = replace(other, technology=replace(other.fabric, fitted=replace(other.fabric.fitted, control=30_000.0)))
    slower = search_sized_design(graph, dear, explain=False)[2]
    assert slower.resources.lut > 30_000 > cost.resources.lut - cost.shell.lut
    assert slower.interval_cycles >= cost.interval_cycles


def test_a_network_is_compiled_for_it_and_reported_in_its_names(tmp_path: Path) -> None:
    built = compile(small_graph(), board=str(written(tmp_path)), out=tmp_path / "run")
    text = built.report()
    for name in ("MULT", "M20K", "ALUT", "REG"):
        assert f"<th>{name}</th>" in text
    assert "<th>BRAM18</th>" not in text
    with pytest.raises(UnsupportedError, match="open synthesis: Yosys' synth_xilinx does not know Other vendor"):
        synthesize(built.project, built.board, tmp_path / "synth")
    assert main(["report", str(tmp_path / "run")]) == 0  # the folder has all of it, without the file


def test_what_travels_is_complete_and_its_boards_keep_their_digests() -> None:
    assert families() == ("xc7", "xcup")
    for name in ("pynq-z2", "ultra96-v2"):
        board = load_board(name)
        assert board.fabric == technology_of(board.family)
        assert "technology" not in board.figures()  # a default, so that no stored digest changes


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"lut_inputs": 2}, "technology: lut_inputs: expected 3 to 8, got 2"),
        ({"block_ram": []}, "technology: block_ram: expected at least one shape"),
        (
            {"multiplier": {"wide_bits": 9, "narrow_bits": 18, "packs": False}},
            "multiplier: wide_bits: expected at least",
        ),
        ({"fitted": {}}, "technology: fitted: .*missing"),
        ({"labels": {**OTHER["labels"], "lut": ""}}, "labels: lut: expected 1 to 12"),  # type: ignore[dict-item]
        ({"oscillator_mhz": [2.0, 1.0]}, "oscillator_mhz: expected two frequencies"),
    ],
)
def test_a_technology_that_cannot_be_is_refused_by_key(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_board(str(written(tmp_path, **changes)))
