"""Files of the nouns: a round trip is exact, equal content is equal bytes, a damaged file is named."""

import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.datasets.files import load_npy, read_bytes
from codesign.datasets.load import DataConfig
from codesign.errors import ConfigError
from codesign.front.onnx_file import read_onnx
from codesign.ir import files
from codesign.ir.cost import Cost, EngineCost, Resources
from codesign.ir.design import Design, Fifo, LineEngine, Memory, Multiplier
from codesign.ir.measurement import Measurement
from codesign.ir.strict import parse
from codesign.testing.small import small_design, small_graph
from strategies import designs_for, graphs

Reader: TypeAlias = Callable[[Path], object]
counts = st.integers(0, 10**9)
resources = st.builds(Resources, dsp=counts, bram18=counts, uram=counts, lut=counts, ff=counts)
engine_costs = st.builds(
    EngineCost, name=st.text(), nodes=st.tuples(st.text()), interval_cycles=counts, macs=counts, resources=resources
)
costs = st.builds(
    Cost,
    latency_cycles=counts,
    interval_cycles=counts,
    resources=resources,
    dram_bytes=counts,
    engines=st.lists(engine_costs, max_size=3).map(tuple),
    shell=resources,
)
engines = st.builds(
    lambda emit, factor, simd, power, **kinds: LineEngine(
        nodes=("a", "b"), pe=emit * factor, emit=emit, simd=simd, buffer_words=2**power, **kinds
    ),
    *(st.integers(1, 64),) * 3,
    st.integers(1, 16),
    multiplier=st.sampled_from(Multiplier),
    weight_memory=st.sampled_from(Memory),
    buffer_memory=st.sampled_from(Memory),
)
designs = st.builds(
    Design,
    engines=st.lists(engines, max_size=3).map(tuple),
    fifos=st.lists(st.builds(Fifo, st.text(), counts, counts), max_size=3).map(tuple),
    input_lanes=counts,
    output_lanes=st.tuples(counts, counts),
)
measurements = st.builds(
    Measurement,
    tool=st.text(),
    version=st.text(),
    project_digest=st.text(),
    images=counts,
    seconds=st.floats(0, 1e9),
    mismatches=st.none() | counts,
    interval_cycles=st.none() | st.integers(1, 10**9),
    clock_mhz=st.none() | st.floats(1.0, 1000.0),
    engine_cycles=st.dictionaries(st.text(), counts, max_size=3),
    resources=st.none() | resources,
)


@given(costs)
def test_a_cost_survives_its_file(tmp_path_factory: pytest.TempPathFactory, cost: Cost) -> None:
    path = tmp_path_factory.getbasetemp() / "cost.json"
    files.save_cost(cost, path)
    assert files.load_cost(path) == cost


@given(designs)
def test_a_design_survives_its_file(tmp_path_factory: pytest.TempPathFactory, design: Design) -> None:
    path = tmp_path_factory.getbasetemp() / "design.yaml"
    files.save_design(design, path)
    assert files.load_design(path) == design


@given(measurements, st.booleans())
def test_a_measurement_survives_its_file(
    tmp_path_factory: pytest.TempPathFactory, measurement: Measurement, with_outputs: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "measurement.json"
    outputs = np.arange(24, dtype=np.int64).reshape(2, 2, 2, 3) if with_outputs else None
    files.save_measurement(replace(measurement, outputs=outputs), path)
    read = files.load_measurement(path)
    assert read.engine_cycles == measurement.engine_cycles
    assert read.resources == measurement.resources
    assert (read.tool, read.seconds, read.mismatches) == (measurement.tool, measurement.seconds, measurement.mismatches)
    assert (read.outputs is None) if outputs is None else np.array_equal(read.outputs, outputs)  # type: ignore[arg-type]


@given(st.data())
@settings(max_examples=30)
def test_random_graphs_and_their_designs_survive_their_files(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    graph = data.draw(graphs())
    design = data.draw(designs_for(graph))
    folder = tmp_path_factory.getbasetemp()
    files.save_graph(graph, folder / "graph.npz")
    files.save_design(design, folder / "design.yaml")
    assert files.load_graph(folder / "graph.npz").digest() == graph.digest()
    assert files.load_design(folder / "design.yaml") == design


def test_a_graph_file_gives_read_only_arrays(tmp_path: Path) -> None:
    graph = small_graph()
    files.save_graph(graph, tmp_path / "graph.npz")
    read = files.load_graph(tmp_path / "graph.npz")
    assert read.digest() == graph.digest()
    assert read.labels == graph.labels
    assert not next(iter(read.params.values())).flags.writeable


def test_equal_graphs_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        files.save_graph(small_graph(), tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "garbage"])
def test_a_damaged_graph_file_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "graph.npz"
    files.save_graph(small_graph(), path)
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "truncated": content[: len(content) // 2], "garbage": b"xx" * 99}[damage])
    with pytest.raises(ConfigError, match=r"graph\.npz: "):
        files.load_graph(path)


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "design.yaml"
    files.save_design(small_design(), path)
    text = path.read_text()
    for found, by in ((99, "another version of codesign"), (1, "codesign 0.1 or 0.2; use that version")):
        path.write_text(text.replace("format: 2", f"format: {found}"))
        with pytest.raises(ConfigError, match=rf"design\.yaml: .*format: expected 2, got {found}; written by {by}"):
            files.load_design(path)


def test_outputs_that_were_changed_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    outputs = np.zeros((1, 1, 1, 2), dtype=np.int64)
    files.save_measurement(
        Measurement(tool="t", version="1", project_digest="", images=1, seconds=0.0, outputs=outputs), path
    )
    np.save(tmp_path / "m.npy", outputs + 1)
    with pytest.raises(ConfigError, match=r"m\.npy: .*not what m\.json says"):
        files.load_measurement(path)


def test_a_json_file_names_its_wrong_line(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": 1,\n "b" 2}')
    with pytest.raises(ConfigError, match=r"x\.json: line 2: not JSON"):
        files.read_json(tmp_path / "x.json")


@pytest.mark.parametrize("read", [files.read_json, files.read_yaml, load_npy, read_bytes, read_onnx])
def test_a_pipe_a_device_and_a_folder_are_refused_and_not_waited_for(tmp_path: Path, read: Reader) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(ConfigError) as refused:
            read(path)
        assert str(refused.value).startswith(f"{path}: expected a file, found a ")


def test_a_json_file_that_is_no_text_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError) as refused:
        files.read_json(tmp_path / "x.json")
    assert str(refused.value) == f"{tmp_path / 'x.json'}: cannot be read: not UTF-8 text"


def test_no_error_advises_to_load_pickles(tmp_path: Path) -> None:
    (tmp_path / "graph.npz").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ConfigError, match=r"graph\.npz: cannot be read: not an \.npz file"):
        files.load_graph(tmp_path / "graph.npz")


@pytest.mark.parametrize(("text", "found"), [("", "nothing"), ("[1, 2]", "list")])
def test_a_file_without_names_is_not_taken_for_another_version(tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / "design.yaml").write_text(text)
    with pytest.raises(ConfigError, match=f"expected names with values, got {found}; not a file of codesign's"):
        files.load_design(tmp_path / "design.yaml")


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.txt"
    files.write_text(path, "old")

    def fail(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space"):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


@pytest.mark.parametrize("text", ["name: 2020-99-99", "[" * 5000 + "]" * 5000, "a: 1\na: 2"])
def test_yaml_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"odd\.yaml: "):
        files.read_yaml(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: 010", r"line 1: 010 would be read as octal; write 8 or 10, or a text in quotes"),
        ("a: 1\nepochs: -0_17", r"line 2: -0_17 would be read as octal; write 15 or 17"),
        ("epochs: 1:30", r"line 1: 1:30 would be read to the base of 60"),
        ("rate: 1:30.5", r"line 1: 1:30.5 would be read to the base of 60"),
        ("a: [0, 1, {b: 0777}]", r"line 1: 0777 would be read as octal; write 511 or 777"),
    ],
)
def test_numbers_that_yaml_reads_otherwise_than_most_people_are_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match=rf"a\.yaml: {message}"):
        files.read_yaml(tmp_path / "a.yaml")


def test_numbers_that_everybody_reads_alike_are_read(tmp_path: Path) -> None:
    numbers = "0, 00, 07, 10, -7, 1_000, 0x10, 0b11, 0.5, 00.5, 1.0e-3"
    (tmp_path / "a.yaml").write_text(f"[{numbers}, 08, '010', '1:30', 09:x]")
    assert files.read_yaml(tmp_path / "a.yaml") == [
        0, 0, 7, 10, -7, 1000, 16, 3, 0.5, 0.5, 1e-3, "08", "010", "1:30", "09:x"
    ]  # fmt: skip


def test_data_that_holds_itself_or_grows_without_end_is_refused_in_a_short_sentence(tmp_path: Path) -> None:
    nested: object = "x"
    for _ in range(12):
        nested = [nested] * 10
    for plain in (nested, {"a": nested}):
        with pytest.raises(ConfigError) as error:
            parse(DataConfig, {"path": plain}, "a.yaml")
        assert len(str(error.value)) < 2000
    for text in ("path: &a [*a]", "path: &a {b: *a}", "kind: &a [*a]", "&a {path: *a}"):
        (tmp_path / "a.yaml").write_text(text)
        with pytest.raises(ConfigError) as error:
            files.read_yaml_as(DataConfig, tmp_path / "a.yaml")
        assert len(str(error.value)) < 2000


def test_half_a_character_is_refused_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(r'path: "a\ud800"')
    with pytest.raises(ConfigError, match=r"a\.yaml: path: expected text, got 'a.ud800', which has half a character"):
        files.read_yaml_as(DataConfig, tmp_path / "a.yaml")
