"""A project as a whole: its manifest, its README, and that rendering it is repeatable and refuses what cannot be."""

import dataclasses
import hashlib
import json
from collections.abc import Callable

import jinja2
import numpy as np
import pytest

from codesign.emit import host, scripts
from codesign.emit.environment import environment
from codesign.emit.identity import design_hash
from codesign.emit.registers import REGISTERS
from codesign.errors import ConfigError
from codesign.ir.board import Shell
from codesign.ir.project import Project
from projects import small_board, small_cost, small_kernels, small_project
from small import small_design, small_graph


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
    assert [entry["name"] for entry in manifest["registers"]["entries"]] == [r.name for r in REGISTERS]
    assert manifest["predicted"]["fps"] == small_cost().fps(150.0)


def change(name: str) -> Callable[[dict[str, str | bytes]], None]:
    return lambda files: files.update({name: "changed\n"})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (change("settings.tcl"), "files differ from manifest.json: settings.tcl"),
        (change("hls/new.hpp"), "files differ from manifest.json: hls/new.hpp"),
        (lambda files: files.pop("Makefile"), "files differ from manifest.json: Makefile"),
        (lambda files: files.pop("manifest.json"), "manifest.json is missing"),
    ],
)
def test_a_spoilt_project_does_not_pass_its_manifest(
    spoil: Callable[[dict[str, str | bytes]], None], message: str
) -> None:
    project = small_project()
    scripts.check_manifest(project)
    files = dict(project.files)
    spoil(files)
    with pytest.raises(ConfigError, match=message):
        scripts.check_manifest(Project(files))


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


def test_a_board_whose_name_could_break_a_script_is_refused() -> None:
    for key in ("name", "part"):
        odd = dataclasses.replace(small_board(), **{key: 'a"b'})
        with pytest.raises(ConfigError, match=f"board: {key}: expected letters, digits"):
            host.host_params(small_graph(), small_design(), odd, small_cost())


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
