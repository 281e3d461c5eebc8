"""The house: sizes of files and functions, what may be imported where, what must not be named."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "codesign").rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50

pytestmark = pytest.mark.skipif(not SOURCES, reason="not in a checkout")


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_FILE_LINES
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert not long


@pytest.mark.parametrize(
    "package",
    [
        "codesign",
        "codesign.model.golden",
        "codesign.ir.files",
        "codesign.cli",
        "codesign.api",
        "codesign.flow.config",
        "codesign.search.sized",
        "codesign.networks.spaces",
        "codesign.front.onnx_file",
        "codesign.front.torch_module",
        "codesign.ptq.network",
        "codesign.cosearch.pricing",
    ],
)
def test_torch_is_not_loaded_by(package: str) -> None:
    code = f"import sys, {package}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nothing_is_unpickled_or_evaluated() -> None:
    for path in SOURCES:
        names = {n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)}
        assert not names & {"pickle", "eval", "exec"}, path


def test_only_the_builder_computes_widths_and_scaling_of_a_convolution() -> None:
    """Random machines declare more than is needed, on purpose."""
    allowed = {"builder.py", "random_machines.py"}
    others = [
        p for p in (*SOURCES, *(ROOT / "benchmarks").rglob("*.py")) if p.name not in allowed and "ops" not in p.parts
    ]
    for path in others:
        names = {n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)}
        assert not names & {"accumulator_bounds", "scaling_of"}, path


def test_the_system_page_names_every_file() -> None:
    text = (ROOT / "docs" / "system.md").read_text()
    assert [str(p.relative_to(ROOT)) for p in SOURCES if p.name != "__init__.py" and p.name not in text] == []
