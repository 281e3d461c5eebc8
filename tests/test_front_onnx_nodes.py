"""onnx's own cases for single operators: none is wrong."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from codesign.model import golden
from codesign.testing.onnx_cases import NodeCase, node_cases
from codesign.testing.onnx_nodes import Verdict, judged


@pytest.fixture(scope="module")
def cases() -> tuple[NodeCase, ...]:
    return node_cases()


def named(cases: tuple[NodeCase, ...], name: str) -> NodeCase:
    (case,) = (case for case in cases if case.name == name)
    return case


def test_no_case_of_onnx_is_wrong(cases: tuple[NodeCase, ...], tmp_path: Path) -> None:
    found = [judged(case, tmp_path / "made.onnx") for case in cases]
    assert [outcome for outcome in found if outcome.verdict is Verdict.WRONG] == []
    counts = Counter(outcome.verdict for outcome in found)
    assert counts[Verdict.EQUAL] + counts[Verdict.STEP] > 200
    assert all(outcome.told for outcome in found if outcome.verdict is Verdict.REFUSED)


@pytest.mark.parametrize("name", ["test_basic_conv_with_padding", "test_maxpool_2d_pads", "test_qlinearconv"])
def test_a_case_that_gives_something_else_is_wrong(cases: tuple[NodeCase, ...], tmp_path: Path, name: str) -> None:
    case = named(cases, name)
    assert judged(case, tmp_path / "made.onnx").verdict is Verdict.EQUAL
    (y,) = case.outputs
    moved = replace(case, outputs=(y[..., ::-1],))
    assert judged(moved, tmp_path / "made.onnx").verdict is Verdict.WRONG


def test_integers_that_are_two_steps_off_are_wrong(
    cases: tuple[NodeCase, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, run = named(cases, "test_basic_conv_with_padding"), golden.run_outputs

    def off(*args: Any) -> Any:
        return tuple(y + 2 for y in run(*args))

    monkeypatch.setattr(golden, "run_outputs", off)
    assert judged(case, tmp_path / "made.onnx").verdict is Verdict.WRONG
