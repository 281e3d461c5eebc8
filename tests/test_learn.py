"""The learning half of a run: a tiny data set to a graph whose golden model equals the trained network."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("torch")

from codesign.cli import main
from codesign.errors import ConfigError, MismatchError
from codesign.flow import learn, verbs
from codesign.flow.begin import create
from codesign.flow.config import load_config
from codesign.flow.folder import RunFolder, opened
from codesign.flow.steps import Run
from codesign.ir import files
from codesign.ir.boards import load_board
from codesign.ir.project import Project
from codesign.ir.strict import to_plain
from codesign.networks.network import ConvLayer, Network
from codesign.networks.training import Device
from codesign.ops.shapes import Shape
from codesign.progress import silent
from codesign.testing.small_search import write_tiny_run

pytestmark = pytest.mark.torch


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration file, with its data beside it."""
    return write_tiny_run(tmp_path)


def begin(config_path: Path, out: Path) -> tuple[Run, learn.RunConfig]:
    """A run whose network was not searched but written by hand."""
    config = load_config(config_path)
    out.mkdir()
    create(RunFolder(out), "run", config, load_board(config.board))
    folder, settings, board = opened(out)
    layers = (
        ConvLayer(name="c", source="input", k=3, kernel=3, stride=2, weight_bits=4, bits=4, relu=True),
        ConvLayer(name="d", source="c", k=2, kernel=4, covers=True, weight_bits=4, bits=16, relu=False),
    )
    network = Network(name="tiny", shape=Shape(8, 8, 1), layers=layers, labels=("dark", "bright"))
    files.write_json(folder.network, {"network": to_plain(network)})
    return Run(folder, settings, board, silent), config


def test_training_and_golden_model_agree_and_are_not_done_twice(tmp_path: Path, config: Path) -> None:
    run, settings = begin(config, tmp_path / "run")
    dataset = learn.dataset_of(run, settings)
    learn.train_step(run, settings, dataset)
    learn.accuracy_step(run, settings, dataset)
    accuracy = files.read_json(run.folder.accuracy)
    training = files.read_json(run.folder.training)
    assert accuracy == {"images": 40, "golden": training["quantized"], "differing": 0}
    assert accuracy["golden"] > 0.6
    assert len(files.load_arrays(run.folder.vectors)["x"]) == 4
    before = {p: p.stat().st_mtime_ns for p in run.folder.path.rglob("*.npz")}
    learn.train_step(run, settings, dataset)
    learn.accuracy_step(run, settings, dataset)
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_python_runs_a_configuration_and_stops_at_the_prediction(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import codesign

    built = codesign.run(load_config(config), out=tmp_path / "run")
    assert built.cost.fps(built.board.clock_mhz) >= 50_000
    assert built.summary()["accuracy"]["test_images"] == 40
    assert not (tmp_path / "run" / "project").exists()
    monkeypatch.setattr(learn, "cosearch", None)
    monkeypatch.setattr(learn, "train", None)
    again = codesign.run(config, out=tmp_path / "run", until="render")
    assert again.design.digest() == built.design.digest()
    written = again.write(tmp_path / "copy")
    assert (written / "log" / "search.csv").read_text() == (tmp_path / "run" / "log" / "search.csv").read_text()
    assert Project.read(written / "project").digest() == again.project.digest()


def test_a_graph_that_is_not_the_trained_network_is_noticed(tmp_path: Path, config: Path) -> None:
    run, settings = begin(config, tmp_path / "run")
    dataset = learn.dataset_of(run, settings)
    learn.train_step(run, settings, dataset)
    quantized = files.load_arrays(run.folder.quantized)["y"].copy()
    quantized[7, 0, 0, 1] += 1
    files.save_arrays(run.folder.quantized, {"y": quantized})
    with pytest.raises(MismatchError, match=r"1 outputs differ .* first at d\[7, 0, 0, 1\]: expected"):
        learn.accuracy_step(run, settings, dataset)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs: 2", "epochs: many", r"tiny\.yaml: search: epochs: expected int, got 'many'"),
        ("name: tiny", "name: Tiny", r"tiny\.yaml: name: expected a letter"),
        ("search:", "saerch:", r"tiny\.yaml: unknown key 'saerch'; did you mean 'search'\?"),
        ("csim_images: 4", "csim_images: 0", r"tiny\.yaml: proof: csim_images: expected 1 to 10,000, got 0"),
        ("kind: arrays", "kind: mnist", r"tiny\.yaml: data: kind: expected one of 'fashion-mnist'"),
    ],
)
def test_a_wrong_configuration_names_file_and_key(config: Path, old: str, new: str, message: str) -> None:
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message):
        load_config(config)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("huge", r"tiny\.yaml: space: 'huge' is not known; known spaces: "),
        ({}, r"tiny\.yaml: space: missing key 'stages'"),
        (7, r"tiny\.yaml: space: expected keys with values, got 7"),
    ],
)
def test_a_wrong_space_names_file_and_key(config: Path, space: object, message: str) -> None:
    config.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), "space": space}))
    with pytest.raises(ConfigError, match=message):
        load_config(config)


def test_the_demos_configuration_is_read() -> None:
    from codesign.data import folder

    for path in folder("examples").glob("*.yaml"):
        assert load_config(path).name == path.stem


@pytest.mark.gxx
@pytest.mark.verilator
@pytest.mark.slow
def test_a_run_goes_from_data_to_proof_and_a_second_call_changes_nothing(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(["run", str(config), "--out", str(out)]) == 0
    assert "accuracy   golden" in capsys.readouterr().out
    first = json.loads((out / "summary.json").read_text())
    assert first["accuracy"]["test_images"] == 40
    assert first["csim"]["mismatches"] == first["rtlsim"]["mismatches"] == 0
    assert first["rtlsim"]["interval_cycles"] == first["predicted"]["interval_cycles"] <= 2000
    assert set(first) == {
        "schema", "name", "board", "clock_mhz", "accuracy", "predicted", "limit", "csim", "rtlsim", "search",
    }  # fmt: skip
    assert verbs.run(config, out, silent).summary == first == json.loads((out / "summary.json").read_text())
    config.write_text(config.read_text().replace("epochs: 2", "epochs: 3"))
    with pytest.raises(ConfigError, match="search: epochs was 2, now 3"):
        verbs.run(config, out, silent)


def test_the_encoding_and_notes_of_a_users_numbers_go_with_the_run(tmp_path: Path, config: Path) -> None:
    with np.load(tmp_path / "data.npz") as held:
        arrays = dict(held)
    numbers = {"x_train": (arrays["x_train"] / 255 - 0.3) / 0.4, "x_test": (arrays["x_test"] / 255 - 0.3) / 0.4}
    numbers["x_test"][0, 0, 0, 0] = 9.0
    np.savez(tmp_path / "data.npz", **{**arrays, **numbers})
    run, settings = begin(config, tmp_path / "run")
    told: list[str] = []
    dataset = learn.dataset_of(replace(run, progress=lambda stage, done, total, note="": told.append(note)), settings)
    assert "x_test: 1 of its 2,560 numbers lie beyond" in told[-1]
    assert not dataset.encoding.is_identity
    learn.train_step(run, settings, dataset)
    graph = files.load_graph(run.folder.graph)
    assert graph.encoding == dataset.encoding
    if importlib.util.find_spec("onnx") is not None:
        from codesign.front.onnx_file import read_onnx

        assert read_onnx(run.folder.onnx).encoding == dataset.encoding
    learn.accuracy_step(run, settings, dataset)
    assert np.array_equal(graph.encoding.encode(numbers["x_test"], graph.input.otype), dataset.test_x)


def test_what_only_the_training_needs_is_checked_before_the_search(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    run, settings = begin(config, tmp_path / "run")
    run.folder.network.unlink()
    asked = replace(settings, train=replace(settings.train, device=Device.CUDA))
    with pytest.raises(ConfigError, match="device: 'cuda' was asked for"):
        learn.search_and_train(run, asked)
    assert not run.folder.network.exists()
