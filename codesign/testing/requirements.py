"""What every folder of tests asks of pytest and hypothesis: tools behind markers, and how many cases are drawn.

A conftest.py imports `pytest_runtest_setup` and calls `load_profile`. Needs pytest and hypothesis.
"""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# What a marker requires: a program, or a Python package, or a file.
PROGRAMS = {
    "gxx": "g++",
    "clang": "clang++",
    "verilator": "verilator",
    "icarus": "iverilog",
    "shellcheck": "shellcheck",
}
PACKAGES = {"torch": "torch", "yosys": "pyosys", "tensorboard": "tensorboard"}
XRT_HEADER = Path("/usr/include/xrt/xrt/xrt_device.h")


def load_profile() -> None:
    """Load the profile of hypothesis that HYPOTHESIS_PROFILE names: `ci`, `dev` (default) or `long`."""
    common = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    settings.register_profile("ci", common, derandomize=True)
    settings.register_profile("dev", common)
    settings.register_profile("long", common, max_examples=1000)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def require_tool(name: str) -> None:
    """Skip the test unless the program, package or marker `name` is there; fail if CODESIGN_REQUIRE_TOOLS=1."""
    if _is_there(name):
        return
    message = f"{PROGRAMS.get(name, PACKAGES.get(name, name))} is not installed"
    if os.environ.get("CODESIGN_REQUIRE_TOOLS") == "1":
        pytest.fail(f"{message}, and CODESIGN_REQUIRE_TOOLS=1", pytrace=False)
    pytest.skip(message)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Require the tool behind every marker of the test."""
    for marker in item.iter_markers():
        if marker.name in {*PROGRAMS, *PACKAGES, "xrt"}:
            require_tool(marker.name)


def _is_there(name: str) -> bool:
    if name in PACKAGES or name in PACKAGES.values():
        return importlib.util.find_spec(PACKAGES.get(name, name)) is not None
    if name == "xrt":
        return XRT_HEADER.exists() and _is_there("gxx")
    return shutil.which(PROGRAMS.get(name, name)) is not None
