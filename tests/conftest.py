"""Fixtures of every test: which tools are there, how many cases hypothesis draws, and stored trees."""

import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, settings

from codesign.ir.board import Board
from codesign.ir.boards import load_board
from codesign.ir.project import Project

SNAPSHOTS = Path(__file__).parent / "snapshots"

# What stands behind a marker: a program, or a Python package, or a file.
PROGRAMS = {"gxx": "g++", "verilator": "verilator", "shellcheck": "shellcheck"}
PACKAGES = {"torch": "torch", "yosys": "pyosys", "tensorboard": "tensorboard"}
XRT_HEADER = Path("/usr/include/xrt/xrt/xrt_device.h")

_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("ci", derandomize=True, **_COMMON)
settings.register_profile("dev", **_COMMON)
settings.register_profile("long", max_examples=1000, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def require_tool(name: str) -> None:
    """Skip the test unless the program, package or marker `name` is there; fail if CODESIGN_REQUIRE_TOOLS=1."""
    if _is_there(name):
        return
    message = f"{PROGRAMS.get(name, PACKAGES.get(name, name))} is not installed"
    if os.environ.get("CODESIGN_REQUIRE_TOOLS") == "1":
        pytest.fail(f"{message}, and CODESIGN_REQUIRE_TOOLS=1", pytrace=False)
    pytest.skip(message)


def _is_there(name: str) -> bool:
    if name in PACKAGES or name in PACKAGES.values():
        return importlib.util.find_spec(PACKAGES.get(name, name)) is not None
    if name == "xrt":
        return XRT_HEADER.exists() and _is_there("gxx")
    return shutil.which(PROGRAMS.get(name, name)) is not None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-snapshots", action="store_true", help="rewrite the trees under tests/snapshots")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers():
        if marker.name in {*PROGRAMS, *PACKAGES, "xrt"}:
            require_tool(marker.name)


@pytest.fixture(scope="session")
def board() -> Board:
    """The board of tests that need any."""
    return load_board("pynq-z2")


@pytest.fixture
def snapshot(request: pytest.FixtureRequest) -> Callable[[str, Project], None]:
    """`snapshot(case, project)`: its files equal the tree tests/snapshots/<case>, none missing or extra."""
    update = request.config.getoption("--update-snapshots")

    def check(case: str, project: Project) -> None:
        folder = SNAPSHOTS / case
        if update:
            project.write(folder)
            return
        stored = {_name(p, folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        fresh = {n: c.encode() if isinstance(c, str) else c for n, c in project.files.items()}
        hint = f"snapshot {case!r}: look at the difference, then run pytest --update-snapshots"
        assert sorted(fresh) == sorted(stored), hint
        for name, content in fresh.items():
            assert content.decode(errors="replace") == stored[name].decode(errors="replace"), f"{hint} ({name})"

    return check


def _name(path: Path, folder: Path) -> str:
    return str(PurePosixPath(path.relative_to(folder)))
