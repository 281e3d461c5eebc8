"""The Python interface: it does what the command line does, says the same, and leaves nothing behind."""

import gc
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import codesign
from codesign.cli import main
from codesign.flow import steps
from codesign.ir import files
from codesign.ir.graph import Encoding
from codesign.ir.project import Project
from codesign.model import golden
from codesign.testing.small import small_graph

ROOT = Path(__file__).parent.parent
PROOF = {"csim_images": 5, "rtlsim_images": 4}


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of its own for what is temporary."""
    home = tmp_path / "temporary"
    home.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(home))
    return home


def built(**settings: object) -> codesign.Built:
    """The small network, compiled."""
    return codesign.compile(small_graph(), board="pynq-z2", proof=PROOF, **settings)  # type: ignore[arg-type]


def images(count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, 6, 6, 1))


def test_every_name_of_the_package_is_there_and_none_is_loaded_before_it_is_used() -> None:
    assert all(getattr(codesign, name) is not None for name in codesign.__all__)
    assert dir(codesign) == sorted(codesign.__all__)
    heavy = "{'numpy', 'scipy', 'yaml', 'jinja2', 'torch', 'onnx'}"
    code = f"import sys, codesign; assert not {heavy} & set(sys.modules); codesign.compile; "
    code += "assert not {'torch', 'onnx'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'compil'"):
        codesign.compil  # noqa: B018


def test_the_boards_are_known_by_name() -> None:
    boards = codesign.boards()
    assert boards["pynq-z2"].part == "xc7z020clg400-1"
    assert all(isinstance(board, codesign.Board) and board.name == name for name, board in boards.items())


def test_a_prediction_needs_no_program_and_no_golden_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(golden, "run_all", None)
    found = built()
    assert found.graph.digest() == small_graph().digest()
    assert found.cost.interval_cycles == found.summary()["predicted"]["interval_cycles"]
    assert isinstance(found.machine, codesign.Machine)
    assert len(found.design.engines) == len(found.graph.nodes) - 1


def test_the_command_line_and_python_make_the_same_files(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from codesign.front.onnx_file import write_onnx

    model, out = tmp_path / "small.onnx", tmp_path / "run"
    write_onnx(small_graph(), model)
    arguments = ["--board", "pynq-z2", "--out", str(out), "--csim-images", "5", "--rtlsim-images", "4"]
    assert main(["compile", str(model), *arguments, "--until", "render", "--min-fps", "200000"]) == 0
    found = codesign.compile(model, board="pynq-z2", min_fps=200_000, proof=PROOF)
    assert found.project.digest() == Project.read(out / "project").digest()
    written = found.write(tmp_path / "written")
    names = {str(p.relative_to(out)) for p in out.rglob("*")}
    assert {str(p.relative_to(written)) for p in written.rglob("*")} == names
    for name in ("0-config.json", "0-model.onnx", "4-design.yaml", "5-cost.json", "3-vectors.npz", "rendered.json"):
        assert (written / name).read_bytes() == (out / name).read_bytes()


def test_a_design_follows_demands_limits_and_goal() -> None:
    fastest, cheapest = built(), built(min_fps=200_000)
    assert fastest.cost.interval_cycles < cheapest.cost.interval_cycles <= 500
    lut = fastest.cost.resources.lut * 8 // 10
    for limits in ({"lut": lut}, codesign.Limits(lut=lut)):
        limited = built(limits=limits)
        assert limited.cost.resources.lut <= lut
        assert limited.board.limits.lut == lut
    board = replace(codesign.boards()["pynq-z2"], clock_mhz=50.0)
    assert codesign.compile(small_graph(), board=board, proof=PROOF).summary()["clock_mhz"] == 50.0
    least = built(goal=codesign.Goal.RESOURCES).cost.resources.lut
    assert built(goal="resources").cost.resources.lut == least < fastest.cost.resources.lut


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_fps": -1}, r"codesign\.compile: min_fps: expected 0\.001 to 1e\+12, got -1"),
        ({"limits": {"lutt": 5}}, r"codesign\.compile: limits: .*lutt"),
        ({"goal": "speed"}, r"codesign\.compile: goal: .*speed"),
        ({"name": "Not a name"}, r"codesign\.compile: name: expected a letter"),
        ({"until": "rtl"}, r"codesign\.compile: until: expected predict, .* synthesize or report, got 'rtl'"),
        ({"images": np.zeros((5, 6, 5, 1), dtype=int)}, r"images: input: expected \[B, 6, 6, 1\]"),
    ],
)
def test_wrong_settings_are_one_sentence_and_leave_nothing(
    settings: dict[str, object], message: str, temporary: Path
) -> None:
    with pytest.raises(codesign.ConfigError, match=message):
        built(**settings)
    assert list(temporary.iterdir()) == []


def test_what_does_not_fit_is_infeasible_and_leaves_nothing(temporary: Path) -> None:
    with pytest.raises(codesign.InfeasibleError):
        built(min_fps=9e7)
    assert list(temporary.iterdir()) == []


def test_without_a_folder_nothing_stays_but_what_is_written(temporary: Path, tmp_path: Path) -> None:
    found = built()
    assert len(list(temporary.iterdir())) == 1
    assert found.write(tmp_path / "out") == tmp_path / "out"
    del found
    gc.collect()
    assert list(temporary.iterdir()) == []
    assert (tmp_path / "out" / "report.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "out" / "project" / "README.md").exists()


def test_with_a_folder_the_same_call_goes_on_there(tmp_path: Path) -> None:
    first = built(out=tmp_path / "run")
    design = tmp_path / "run" / "4-design.yaml"
    before = design.stat().st_mtime_ns
    assert built(out=tmp_path / "run", until="render").project.digest() == first.project.digest()
    assert design.stat().st_mtime_ns == before
    with pytest.raises(codesign.ConfigError, match="holds a run of another model"):
        codesign.compile(small_graph(2), board="pynq-z2", proof=PROOF, out=tmp_path / "run", name="small")


def test_written_folders_go_on_and_keep_what_is_the_users(tmp_path: Path) -> None:
    found, out = built(), tmp_path / "out"
    found.write(out)
    (out / "project" / "notes.txt").write_text("mine")
    found.write(out)
    assert (out / "project" / "notes.txt").read_text() == "mine"
    assert main(["predict", str(out)]) == 0
    design = out / "4-design.yaml"
    words = re.search(r"buffer_words: (\d+)", design.read_text())
    assert words is not None
    design.write_text(design.read_text().replace(words[0], f"buffer_words: {2 * int(words[1])}"))
    edited = design.read_text()
    with pytest.raises(codesign.ConfigError, match="was edited by hand"):
        found.write(out)
    assert design.read_text() == edited
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious").write_text("x")
    with pytest.raises(codesign.ConfigError, match="not a run folder, and not empty"):
        found.write(tmp_path / "other")
    with pytest.raises(codesign.ConfigError, match="another configuration: min_fps"):
        built(min_fps=200_000).write(out)


def test_a_report_is_a_page_and_a_summary_is_the_files(tmp_path: Path) -> None:
    found = built(out=tmp_path / "run")
    assert found.summary() == json.loads((tmp_path / "run" / "summary.json").read_text())
    assert found.report() == (tmp_path / "run" / "report.html").read_text()


@pytest.mark.gxx
def test_c_simulation_gives_the_golden_outputs_of_ones_own_images_and_of_the_runs() -> None:
    x = images(6)
    found = built(images=x)
    own = found.csim(x[:2])
    assert own.outputs is not None
    assert own.outputs.shape == (2, 1, 1, 3)
    assert np.array_equal(own.outputs, golden.run(small_graph(), x[:2]))
    assert "csim" not in found.summary()
    runs = found.csim()
    assert np.array_equal(runs.outputs, golden.run(small_graph(), x[:5]))  # type: ignore[arg-type]
    assert found.summary()["csim"]["images"] == 5
    with pytest.raises(codesign.ConfigError, match=r"x: input: expected \[B, 6, 6, 1\]"):
        found.csim(np.zeros((2, 6, 5, 1), dtype=int))
    with pytest.raises(codesign.ConfigError, match=r"x: expected integers \[N, IY, IX, C\], got float64"):
        found.csim(x / 2)


@pytest.mark.gxx
def test_a_users_numbers_are_encoded_where_the_network_has_an_encoding() -> None:
    graph = replace(small_graph(), encoding=Encoding(offset=-1.0, step=0.01))
    found = codesign.compile(graph, board="pynq-z2", proof=PROOF)
    x = np.random.default_rng(0).uniform(-1, 1.5, (3, 6, 6, 1))
    expected = golden.run(graph, graph.encoding.encode(x, graph.input.otype))
    assert np.array_equal(found.csim(x).outputs, expected)  # type: ignore[arg-type]


@pytest.mark.gxx
def test_a_simulation_that_differs_raises_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = built()
    wrong = golden.run_joined
    monkeypatch.setattr(golden, "run_joined", lambda graph, x: wrong(graph, x) + 1)
    with pytest.raises(codesign.MismatchError, match="csim: layer"):
        found.csim()
    assert "C simulation failed" in found.summary()["wrong"][0]


@pytest.mark.gxx
@pytest.mark.verilator
def test_rtl_simulation_measures_what_is_predicted() -> None:
    found, x = built(), images(5)
    measured = found.rtlsim(x)
    assert np.array_equal(measured.outputs, golden.run(small_graph(), x))  # type: ignore[arg-type]
    assert (measured.interval_cycles, measured.latency_cycles) == (
        found.cost.interval_cycles, found.cost.latency_cycles,
    )  # fmt: skip
    with pytest.raises(codesign.ConfigError, match="stall_seed is for images of your own"):
        found.rtlsim(stall_seed=1)


def test_synthesis_is_done_when_it_is_asked_for_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def count(project: Project, *_: object, **__: object) -> codesign.Measurement:
        calls.append(project)
        resources = codesign.Resources(lut=7)
        return codesign.Measurement(
            tool="yosys", version="", project_digest=project.digest(), images=0, seconds=0.0, resources=resources
        )

    monkeypatch.setattr(steps, "synthesize", count)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: True)
    found = built()
    assert "synthesis" not in found.summary()
    assert found.synthesize().resources == found.synthesize().resources == codesign.Resources(lut=7)
    assert len(calls) == 1
    assert found.summary()["synthesis"]["lut"] == 7
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(codesign.ToolError, match=r"`codesign synthesize` needs pyosys.*codesign\[synth\]"):
        built().synthesize()


def test_a_run_refuses_a_team_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(codesign.ConfigError, match="works in one process"):
        codesign.run("any.yaml")


EXAMPLES = ROOT / "examples"


def cells(path: Path) -> str:
    """The code of a notebook."""
    notebook = json.loads(path.read_text())
    return "\n\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="not in a checkout")
@pytest.mark.parametrize("name", ["compile_in_python.py", "compile_in_python.ipynb"])
def test_the_examples_run(name: str, tmp_path: Path) -> None:
    path, program = EXAMPLES / name, tmp_path / "example.py"
    program.write_text(path.read_text() if path.suffix == ".py" else cells(path))
    done = subprocess.run([sys.executable, program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ("0 mismatches" in done.stdout) == (shutil.which("g++") is not None)
    assert files.read_plain(tmp_path / "tiny-run" / "summary.json")["predicted"]["fps"] >= 20_000
    assert (tmp_path / "tiny-run" / "project" / "manifest.json").exists()


def test_what_is_no_network_and_what_is_no_number_are_refused_by_name() -> None:
    with pytest.raises(codesign.ConfigError, match=r"codesign\.compile: model: expected a file, .*, got int"):
        codesign.compile(3, board="pynq-z2")  # type: ignore[arg-type]
    graph = replace(small_graph(), encoding=Encoding(offset=0.0, step=0.5))
    spoilt = images(4).astype(np.float32)
    spoilt[2, 1, 1, 0] = np.nan
    with pytest.raises(codesign.ConfigError, match="images: expected finite numbers"):
        codesign.compile(graph, board="pynq-z2", images=spoilt)
    with pytest.raises(
        codesign.ConfigError, match=r"images: expected numbers \[N, IY, IX, C\], got float32 \[6, 6, 1\]"
    ):
        codesign.compile(graph, board="pynq-z2", images=spoilt[0])
