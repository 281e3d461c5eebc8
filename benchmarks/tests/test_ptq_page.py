"""The page on quantization after training: its verdict follows the figures."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
from ptq import CASES, page

from codesign.ir.dataset import Dataset


def rows(lost: float) -> dict[str, Mapping[str, Any]]:
    row = {"float": 0.9, "accuracy": 0.9 - lost, "sqnr_db": 30.0, "weight_bits": 4.0}
    return {"made": dict.fromkeys(CASES, row)}


def dataset() -> Dataset:
    x, y = np.zeros((2, 1, 1, 1), np.uint8), np.array([0, 1], np.int64)
    return Dataset(name="made", source="made", train_x=x, train_y=y, test_x=x, test_y=y, classes=("a", "b"))


def test_the_verdict_follows_the_figures() -> None:
    kept, half, broken = (page(rows(lost), dataset()) for lost in (0.002, 0.01, 0.02))
    assert (kept.count("That is kept"), kept.count("**not**")) == (2, 0)
    assert (half.count("That is kept"), half.count("**not**")) == (1, 1)
    assert (broken.count("That is kept"), broken.count("**not**")) == (0, 2)
    assert "89.00% (-1.00)" in half
