"""What an open project has: licences that reach whoever gets a project, a citation, a changelog, words explained."""

import configparser
import re
from pathlib import Path

import pytest
import yaml

import codesign
from codesign.data import folder
from codesign.emit import host, scripts
from codesign.emit.torch_module import render_torch
from codesign.testing.small import small_graph
from projects import small_project

ROOT = Path(__file__).parent.parent
NOTICE = "SPDX-License-Identifier: MIT-0"
TEMPLATES = folder("templates")
# What every rendered project contains as it is; data and the licence itself carry no notice.
COPIED = sorted(
    [
        *TEMPLATES.glob("hls/kernels/*"),
        *TEMPLATES.glob("hls/csim_include/*"),
        TEMPLATES / "hls/project/tb.cpp",
        *TEMPLATES.glob("rtl/modules/*"),
        TEMPLATES / "rtl/tb/tb.cpp",
        *(TEMPLATES / "host" / name for name in (*host.COPIED, *scripts.COPIED) if not name.endswith("LICENSE")),
        TEMPLATES / "torch/layers.py",
    ]
)
checkout = pytest.mark.skipif(not (ROOT / "LICENSE").exists(), reason="not in a checkout")


@pytest.mark.parametrize("path", COPIED, ids=lambda p: str(p.relative_to(TEMPLATES)))
def test_a_copied_file_begins_with_the_notice_of_its_licence(path: Path) -> None:
    assert path.read_text().splitlines()[0] in (f"// {NOTICE}", f"# {NOTICE}")


def test_a_rendered_project_says_that_it_is_the_users() -> None:
    files = small_project().files
    assert str(files["LICENSE"]).startswith("MIT No Attribution\n")
    assert "MIT-0" in str(files["README.md"])
    for name in {*host.COPIED.values(), *scripts.COPIED.values()} - {"LICENSE"}:
        assert NOTICE in str(files[name])


def test_the_torch_module_carries_the_notice() -> None:
    assert NOTICE in str(render_torch(small_graph()).files["model.py"])


@checkout
def test_the_licence_is_the_published_one_and_travels_in_the_wheel() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert text.split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert "Copyright 2026 The codesign authors" in text
    assert "[yyyy]" not in text
    setup = (ROOT / "setup.cfg").read_text()
    for path in ("LICENSE", "templates/host/project/LICENSE"):
        assert f"\n    {path}\n" in setup
        assert (ROOT / path).is_file()


@checkout
def test_the_citation_has_what_its_format_requires() -> None:
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cff["cff-version"] == "1.2.0"
    assert cff["version"] == codesign.__version__
    for entry in (cff, *cff["references"]):
        assert entry["title"]
        assert all({"name"} == a.keys() or {"family-names", "given-names"} == a.keys() for a in entry["authors"])
    assert cff["message"]
    assert [r["type"] for r in cff["references"]] == ["article"]


@checkout
def test_the_changelog_tells_of_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]" or headings[0].startswith(codesign.__version__)
    assert codesign.__version__ in text


@checkout
@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/stability.md", "docs/glossary.md"])
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text()
    named = re.findall(r"`((?:codesign|templates|tests|docs|boards|spaces|scripts)/[\w./-]+)", text)
    linked = [str((ROOT / page).parent / target) for target in re.findall(r"\]\((?!http)([^)#]+)\)", text)]
    assert [name for name in (*named, *linked) if not (ROOT / name).exists() and "NAME" not in name] == []


@checkout
def test_the_glossary_explains_each_word_once() -> None:
    sections = re.split(r"^## ", (ROOT / "docs" / "glossary.md").read_text(), flags=re.MULTILINE)[1:]
    words = [word for s in sections[:-1] for word in re.findall(r"^\| ([^|]+) \|", s, re.MULTILINE) if word != "word"]
    words = [word for word in words if not word.startswith("---")]
    assert len(words) > 50
    assert len(set(words)) == len(words)


@checkout
def test_the_quick_tests_are_those_without_a_marker() -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    markers = {line.split(":")[0] for line in tox["pytest"]["markers"].split("\n") if line}
    left_out = re.search(r"pytest -m .not \(([^)]*)\)", tox["testenv:check"]["commands"])
    assert left_out is not None
    assert set(left_out[1].split(" or ")) == markers
