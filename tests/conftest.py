"""Fixtures of every test: a board, and stored trees."""

import importlib.util
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from types import ModuleType

import pytest

from codesign.ir.board import Board
from codesign.ir.boards import load_board
from codesign.ir.project import Project
from codesign.testing.requirements import load_profile
from codesign.testing.requirements import pytest_runtest_setup as pytest_runtest_setup

SNAPSHOTS = Path(__file__).parent / "snapshots"
OBJCACHE = Path(__file__).parent / "objcache.py"
HOUSE_COUNTS = Path(__file__).parent.parent / "scripts" / "house_counts.py"

load_profile()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first: with several processes, no long file begins when the others are done."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def _verilated_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let all simulations of a test run share the compiled run-time library of Verilator."""
    folder = tmp_path_factory.getbasetemp() / "verilated"
    if "PYTEST_XDIST_WORKER" in os.environ:  # each process has a folder inside that of all
        folder = folder.parent.parent / "verilated"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OBJCACHE", shlex.join([sys.executable, "-S", str(OBJCACHE)]))
        patch.setenv("OBJCACHE_FOLDER", str(folder))
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-snapshots", action="store_true", help="rewrite the trees under tests/snapshots")


@pytest.fixture(scope="session")
def counts() -> ModuleType:
    """The script scripts/house_counts.py, as a module."""
    spec = importlib.util.spec_from_file_location("house_counts", HOUSE_COUNTS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
