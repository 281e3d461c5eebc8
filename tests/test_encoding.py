"""A user's own numbers become the same integers everywhere: in training, network/, host code, and for `compile`."""

import dataclasses
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml

from codesign.datasets.arrays import load
from codesign.errors import ConfigError
from codesign.flow.config import CompileConfig, ProofConfig
from codesign.flow.vectors import chosen_images
from codesign.ir import files
from codesign.ir.boards import load_board
from codesign.ir.dataset import Dataset
from codesign.ir.graph import Encoding, Graph
from codesign.model import golden
from codesign.ops.qtype import QType
from codesign.report.page import page
from codesign.report.summary import summary
from codesign.report.view import View
from codesign.testing.small import small_design, small_graph
from projects import small_project


def standardised(path: Path, dtype: str = "float32") -> tuple[Dataset, np.ndarray]:
    """A data set of images of mean 0, and its test images in the user's numbers; some lie a little beyond."""
    rng = np.random.default_rng(3)
    train, test = rng.normal(size=(60, 6, 6, 1)), rng.normal(size=(40, 6, 6, 1))
    scale = 1000.0 if dtype == "int16" else 1.0
    x = {"x_train": (scale * train).astype(dtype), "x_test": (scale * test).astype(dtype)}
    np.savez(path, **x, y_train=np.arange(60) % 3, y_test=np.arange(40) % 3)
    return load(path), x["x_test"]


def encoded_graph(dataset: Dataset) -> Graph:
    """The small graph with the encoding of the data."""
    return dataclasses.replace(small_graph(), encoding=dataset.encoding)


def host(folder: Path, graph: Graph, name: str) -> ModuleType:
    """The rendered driver, or another module of the host folder, loaded beside a stand-in for the board's package."""
    small_project(graph, small_design()).write(folder)
    paths = [str(folder / "host"), str(Path(__file__).parent / "emulated_pynq")]
    for module in ("pynq", "accel_params", "axi_dma", name):
        sys.modules.pop(module, None)
    sys.path[:0] = paths
    try:
        return importlib.import_module(name)
    finally:
        del sys.path[: len(paths)]
        for module in ("pynq", "accel_params", "axi_dma", name):
            sys.modules.pop(module, None)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int16"])
def test_the_driver_makes_the_integers_of_the_training_of_a_users_numbers(tmp_path: Path, dtype: str) -> None:
    dataset, mine = standardised(tmp_path / "d.npz", dtype)
    assert not dataset.encoding.is_identity
    driver = host(tmp_path / "project", encoded_graph(dataset), "driver")
    assert np.array_equal(driver.quantize(mine), dataset.test_x)
    with pytest.raises(ValueError, match="finite"):
        driver.quantize([np.nan])


def test_integers_of_images_stay_as_they_are_in_the_driver_and_normalised_ones_are_refused(tmp_path: Path) -> None:
    driver = host(tmp_path / "project", small_graph(), "driver")
    pixels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(driver.quantize(pixels), pixels)
    assert np.array_equal(driver.quantize(pixels.astype(np.float32)), pixels)
    for normalised in (pixels / 255, (pixels / 255 - 0.3) / 0.35):
        with pytest.raises(ValueError, match="as in training, got fractions"):
            driver.quantize(normalised)


def test_manifest_parameters_and_readme_have_the_encoding(tmp_path: Path) -> None:
    dataset, _ = standardised(tmp_path / "d.npz")
    project = small_project(encoded_graph(dataset), small_design())
    encoding = dataset.encoding
    held = json.loads(project.files["manifest.json"])["input"]["encoding"]
    assert (held["offset"], held["step"]) == (encoding.offset, encoding.step)
    hpp = str(project.files["host/accel_params.hpp"])
    assert f"in_offset = {encoding.offset!r};" in hpp
    assert f"in_step = {encoding.step!r};" in hpp
    assert f"floor((v - {encoding.offset!r}) / {encoding.step!r} + 0.5)" in str(project.files["host/README.md"])
    assert "was trained on plain integers, so these go in unchanged" in str(
        small_project(small_graph(), small_design()).files["host/README.md"]
    )


def test_report_and_summary_tell_the_encoding_only_where_there_is_one(tmp_path: Path) -> None:
    dataset, _ = standardised(tmp_path / "d.npz")
    board = load_board("pynq-z2")
    with_one = View(name="x", board=board, graph=encoded_graph(dataset), data_notes=("labels start at 1",))
    without = View(name="x", board=board, graph=small_graph())
    assert summary(with_one)["encoding"] == dataclasses.asdict(dataset.encoding)
    assert "encoding" not in summary(without)
    assert f"floor((v - {dataset.encoding.offset!r}) /" in page(with_one, "1")
    assert "labels start at 1" in page(with_one, "1")
    assert "The data" not in page(without, "1")


@pytest.mark.torch
@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_the_network_alone_classifies_a_users_numbers_as_the_golden_model_does(
    tmp_path: Path, dtype: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    from test_torch_module import written

    dataset, mine = standardised(tmp_path / "d.npz", dtype)
    graph = encoded_graph(dataset)
    module = written(graph, tmp_path / "network")
    expected = golden.run(graph, dataset.test_x.astype(np.int64))
    np.save(tmp_path / "mine.npy", mine)
    np.save(tmp_path / "encoded.npy", dataset.test_x)
    np.save(tmp_path / "either.npy", dataset.test_x.astype(np.int64))

    def complaint(name: str, status: int) -> str:
        arguments = [str(tmp_path / f"{name}.npy"), str(tmp_path / "out.npy")]
        assert module.classify(module.load(), module.LABELS, arguments) == status
        return capsys.readouterr().err

    for name, clipped in (("mine", bool(dataset.notes)), ("encoded", False)):
        assert ("lie beyond those of the training" in complaint(name, 0)) == clipped
        assert np.array_equal(np.load(tmp_path / "out.npy"), expected)
    assert "could be those of the input or those of the training data" in complaint("either", 1)
    plain = yaml.safe_load((tmp_path / "network" / "network.yaml").read_text())
    assert plain["input"]["encoding"] == dataclasses.asdict(dataset.encoding)


def test_compile_encodes_floats_where_the_network_has_an_encoding(tmp_path: Path) -> None:
    dataset, mine = standardised(tmp_path / "d.npz")
    config = CompileConfig(name="a", board="pynq-z2", proof=ProofConfig(csim_images=40))
    np.save(tmp_path / "mine.npy", mine)
    assert np.array_equal(chosen_images(tmp_path / "mine.npy", encoded_graph(dataset), config), dataset.test_x)
    with pytest.raises(ConfigError, match=r"mine\.npy: expected integers \[N, IY, IX, C\], got float32"):
        chosen_images(tmp_path / "mine.npy", small_graph(), config)


def test_a_graph_file_keeps_the_encoding(tmp_path: Path) -> None:
    graph = dataclasses.replace(small_graph(), encoding=Encoding(-1.5, 0.1))
    files.save_graph(graph, tmp_path / "g.npz")
    assert files.load_graph(tmp_path / "g.npz").encoding == Encoding(-1.5, 0.1)
    assert graph.digest() != small_graph().digest()


@pytest.mark.parametrize(
    ("value", "expected"),
    [(-1.0, 0), (-1.26, 0), (-0.75, 1), (-0.76, 0), (-0.25, 2), (1e308, 255), (-1e308, 0), (126.5, 255), (2**63, 255)],
)
def test_encoding_rounds_halves_up_and_clamps(value: float, expected: int) -> None:
    encoding = Encoding(offset=-1.0, step=0.5)
    assert int(encoding.encode(np.array([value]), QType(8, signed=False))[0]) == expected


@pytest.mark.torch
def test_halves_go_to_even_where_the_encoding_says_so(tmp_path: Path) -> None:
    from test_torch_module import written

    for half_even in (True, False):
        graph = dataclasses.replace(small_graph(), encoding=Encoding(step=0.25, half_even=half_even))
        shape = graph.input.shape
        halves = (np.arange(3 * shape.elements).reshape(3, shape.y, shape.x, shape.c) + 0.5) / 4
        expected = np.minimum(np.rint(4 * halves) if half_even else np.ceil(4 * halves), graph.input.otype.qmax)
        assert np.array_equal(graph.encoding.encode(halves, graph.input.otype), expected)
        assert np.array_equal(host(tmp_path / str(half_even), graph, "driver").quantize(halves), expected)
        encoded = written(graph, tmp_path / f"network-{half_even}").load().encode(halves)
        assert np.array_equal(encoded.numpy().transpose(0, 2, 3, 1), expected)
