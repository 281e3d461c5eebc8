"""The network as a file of its own: equal to the golden model without this package, and it can be trained on."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from codesign.emit.torch_module import TAKEN, python_name, render_torch
from codesign.ir.graph import Graph
from codesign.model import golden
from codesign.testing.random_machines import random_graph, random_inputs
from codesign.testing.small import small_graph

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def written(graph: Graph, folder: Path) -> ModuleType:
    """The module that the graph's folder holds."""
    render_torch(graph).write(folder)
    spec = importlib.util.spec_from_file_location("model", folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outputs(module: ModuleType, x: np.ndarray) -> np.ndarray:
    return module.load().integers(torch.from_numpy(x).permute(0, 3, 1, 2)).numpy()


@given(seed=st.integers(0, 2**32 - 1))
def test_it_equals_the_golden_model_in_every_word(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    x = random_inputs(graph, rng, 3)
    module = written(graph, tmp_path_factory.mktemp("network") / "network")
    assert np.array_equal(outputs(module, x), golden.run(graph, x))


def test_it_runs_in_a_folder_without_this_package(tmp_path: Path) -> None:
    graph = small_graph()
    render_torch(graph).write(tmp_path / "network")
    x = np.random.default_rng(3).integers(0, 256, (7, 6, 6, 1))
    np.save(tmp_path / "images.npy", x.astype(np.uint8))
    code = (
        "import sys; sys.modules['codesign'] = None; sys.argv = ['model.py', 'images.npy', 'out.npy']; import runpy; "
    )
    code += "runpy.run_path('network/model.py', run_name='__main__')"
    result = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, env={}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    expected = golden.run(graph, x)
    assert np.array_equal(np.load(tmp_path / "out.npy"), expected)
    assert result.stdout.split() == [graph.labels[i] for i in expected.reshape(7, -1).argmax(1)]


def test_images_of_another_shape_or_range_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = written(small_graph(), tmp_path / "network")
    np.save(tmp_path / "wide.npy", np.zeros((6, 7, 1), np.uint8))
    np.save(tmp_path / "deep.npy", np.full((6, 6, 1), 256))
    np.save(tmp_path / "real.npy", np.full((6, 6, 1), 0.5))
    np.save(tmp_path / "flat.npy", np.zeros((6, 6), np.uint8))
    (tmp_path / "text.npy").write_text("not an array")
    for name, message in (
        ("wide.npy", "expected images"),
        ("deep.npy", "expected integers from 0 to 255"),
        ("real.npy", "fractions within -16 to 16"),
        ("flat.npy", "expected numbers [Y,X,C]"),
        ("text.npy", "text.npy: "),
        ("none.npy", "No such file"),
    ):
        assert module.classify(module.load(), module.LABELS, [str(tmp_path / name)]) == 1
        assert message in capsys.readouterr().err
    assert module.classify(module.load(), module.LABELS, []) == 1
    assert "usage" in capsys.readouterr().err


def test_it_can_be_trained_on_and_keeps_what_it_learned(tmp_path: Path) -> None:
    module = written(small_graph(), tmp_path / "network")
    network = module.load()
    rng = np.random.default_rng(0)
    labels = torch.from_numpy(np.arange(64) % 3)
    x = torch.from_numpy(rng.integers(0, 86, (64, 1, 6, 6)) + 85 * (np.arange(64) % 3)[:, None, None, None])
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    losses = []
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(network(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.isfinite(losses).all()
    assert min(losses[-5:]) < losses[0] / 2
    module.save(network)
    assert torch.equal(module.load().integers(x), network.integers(x))
    assert float(network.integers(x).max()) == int(network.integers(x).max())


def test_names_that_are_taken_get_an_underscore() -> None:
    taken = {n for n in dir(torch.nn.Module()) if n.isidentifier() and n[0].isalpha() and n.islower()}
    assert taken - TAKEN == set()
    assert (python_name("train"), python_name("lambda"), python_name("s0b0")) == ("train_", "lambda_", "s0b0")


def test_the_description_names_every_layer(tmp_path: Path) -> None:
    graph = small_graph()
    plain = yaml.safe_load(str(render_torch(graph).files["network.yaml"]))
    assert [layer["name"] for layer in plain["layers"]] == [n.name for n in graph.nodes[1:]]
    assert plain["input"] == {
        "shape": [6, 6, 1],
        "type": "uint8",
        "scale": 1 / 256,
        "encoding": {"offset": 0.0, "step": 1.0, "half_even": False},
    }
    assert plain["network"] == graph.digest()


def test_equal_networks_are_equal_files() -> None:
    assert render_torch(small_graph()).digest() == render_torch(small_graph()).digest()
    assert render_torch(small_graph()).digest() != render_torch(small_graph(2)).digest()
