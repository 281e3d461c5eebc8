"""A project as a whole: its manifest, its README, and that rendering it is repeatable and refuses what cannot be."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import jinja2
import numpy as np
import pytest

from codesign.emit import host, scripts
from codesign.emit.environment import environment
from codesign.emit.identity import design_hash
from codesign.emit.registers import registers_of
from codesign.errors import ConfigError
from codesign.ir.board import Shell
from codesign.ir.project import Project
from codesign.testing.small import small_design, small_graph
from projects import small_board, small_cost, small_kernels, small_project


def test_the_manifest_describes_the_project_and_holds_every_file() -> None:
    project = small_project()
    manifest = json.loads(project.files["manifest.json"])
    assert set(manifest["files"]) == set(project.files) - {"manifest.json"}
    for name, digest in manifest["files"].items():
        content = project.files[name]
        assert hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest() == digest
    assert manifest["design"]["hash"] == f"{design_hash(small_graph(), small_design()):#018x}"
    assert (manifest["input"]["shape"], manifest["input"]["type"]) == ([6, 6, 1], "uint8")
    assert (manifest["output"]["container_bits"], manifest["output"]["words_per_image"]) == (16, 3)
    assert [entry["name"] for entry in manifest["registers"]["entries"]] == [
        r.name for r in registers_of(small_design())
    ]
    assert manifest["predicted"]["fps"] == small_cost().fps(150.0)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda folder: (folder / "settings.tcl").write_text("changed\n"),
            r"settings\.tcl: is not what manifest\.json says",
        ),
        (lambda folder: (folder / "Makefile").unlink(), "Makefile: cannot be read: No such file"),
        (lambda folder: (folder / "manifest.json").unlink(), r"manifest\.json: cannot be read"),
        (lambda folder: (folder / "manifest.json").write_text("{"), r"manifest\.json: line 1: not JSON"),
        (lambda folder: (folder / "manifest.json").write_text("[1]"), "expected names with values, got list"),
        (lambda folder: (folder / "manifest.json").write_text('{"files": {"../x": ""}}'), "not a plain relative path"),
    ],
)
def test_a_spoilt_project_is_not_read(spoil: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    small_project().write(tmp_path / "project")
    spoil(tmp_path / "project")
    with pytest.raises(ConfigError, match=message):
        Project.read(tmp_path / "project")


def test_a_project_is_its_rendered_files_whatever_else_lies_beside_them(tmp_path: Path) -> None:
    project = small_project()
    project.write(tmp_path / "project")
    (tmp_path / "project" / "back\\slash").write_text("mine")
    (tmp_path / "project" / "build").mkdir()
    with (tmp_path / "project" / "build" / "accel.bit").open("wb") as file:
        file.truncate(1 << 40)  # a terabyte of nothing, which no reader would come to the end of
    assert Project.read(tmp_path / "project").digest() == project.digest()


def test_rendering_twice_gives_the_same_files() -> None:
    assert small_project().digest() == small_project().digest()


def test_the_rendered_tree(snapshot: Callable[[str, Project], None]) -> None:
    kept = {n: c for n, c in small_project().files.items() if n not in small_kernels().files}
    copied = {*host.COPIED.values(), *scripts.COPIED.values()}  # sources already
    manifest = json.loads(kept["manifest.json"])
    del manifest["files"]  # digests would change with every source
    kept["manifest.json"] = json.dumps(manifest, indent=2) + "\n"
    snapshot("host_tiny", Project({n: c for n, c in kept.items() if n not in copied}))


def test_every_template_renders_and_a_misspelt_name_does_not() -> None:
    for name in (*host.RENDERED, *scripts.RENDERED):
        source, _, _ = environment().loader.get_source(environment(), f"host/{name}")  # type: ignore[union-attr]
        first = source.splitlines()[0]
        assert first.startswith("{# in: "), f"{name} does not say what goes in"
        with pytest.raises(jinja2.UndefinedError):
            environment().from_string(source).render()


def test_the_readme_gives_the_predicted_figures_and_says_what_was_not_run() -> None:
    for shell in Shell:
        text = str(small_project(shell=shell).files["README.md"])
        for figure in (
            "| cycles between images | 144 |",
            "| latency in cycles, first word in to last word out | 345 |",
        ):
            assert figure in text
        assert "| LUT | 1234 of 53200 |" in text
        assert "| images per second | 1041667 |" in text
        assert "**rendered, not run: no vendor tool was available**" in text
        assert ("make link" in text) == (shell is Shell.ZYNQMP)


def test_a_selftest_vector_that_does_not_fit_is_refused() -> None:
    x, y = np.zeros((2, 6, 6, 1), np.int64), np.zeros((2, 1, 1, 3), np.int64)
    for images, results, message in (
        (x[:, :5], y, r"input: expected \[N, 6, 6, 1\], got \[2, 5, 6, 1\]"),
        (x + 256, y, "input: expected uint8 values, got 256 to 256"),
        (x, y[:1], "expected as many golden results as inputs, got 1 and 2"),
        (x, y + 40000, "golden: expected int16 values"),
    ):
        with pytest.raises(ConfigError, match=message):
            host.render_host(small_graph(), small_design(), small_board(), small_cost(), images, results)
