"""Fixtures of the benchmarks' tests. Because this file is here, pytest finds the modules of this folder."""

from codesign.testing.requirements import load_profile
from codesign.testing.requirements import pytest_runtest_setup as pytest_runtest_setup

load_profile()
