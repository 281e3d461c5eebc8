"""Resize: what is read gives the words of its runtime; everything else is refused."""

from pathlib import Path

import pytest

from codesign.errors import UnsupportedError
from codesign.front.read import read_network
from codesign.front.runtime import compare_with_source, random_inputs
from front_models import OnnxFile

pytest.importorskip("onnxruntime")


def resized(f: OnnxFile, by: list[float], scale: float, **attributes: object) -> str:
    """A Resize between two quantizations."""
    x = f.qdq("x", 1 / 16, 120)
    x = f.node("Resize", [x, "", f.constant([1.0, 1.0, *by])], **attributes)
    return f.qdq(x, scale, 120)


def off(path: Path) -> tuple[int, int]:
    """How many words differ, and by how many steps at most."""
    network = read_network(path)
    assert network.origin is not None
    shape = network.graph.input.shape
    found = compare_with_source(path, network, random_inputs(network.origin, (shape.y, shape.x, shape.c), 6, 0))
    return found.differing_words, found.largest_steps


@pytest.mark.parametrize("by", [[2, 2], [4, 4], [2, 1], [1, 4], [8, 2]])
@pytest.mark.parametrize("mode", ["half_pixel", "pytorch_half_pixel", "asymmetric", "half_pixel_symmetric"])
def test_bilinear_enlargement_by_powers_of_two_is_exact(tmp_path: Path, by: list[float], mode: str) -> None:
    f = OnnxFile([1, 3, 3, 5])
    y = resized(f, by, 1 / 16, mode="linear", coordinate_transformation_mode=mode)
    assert off(f.save(tmp_path / "made.onnx", y)) == (0, 0)


@pytest.mark.parametrize("by", [[3, 3], [5, 3], [6, 6]])
@pytest.mark.parametrize("mode", ["half_pixel", "asymmetric"])
def test_bilinear_enlargement_is_within_a_step(tmp_path: Path, by: list[float], mode: str) -> None:
    f = OnnxFile([1, 2, 4, 3])
    y = resized(f, by, 0.0713, mode="linear", coordinate_transformation_mode=mode)
    words, steps = off(f.save(tmp_path / "made.onnx", y))
    assert steps <= 1
    assert words < 0.02 * 6 * 2 * 12 * by[0] * by[1]


@pytest.mark.parametrize("by", [[2, 2], [3, 1], [0.5, 0.5], [0.5, 1]])
@pytest.mark.parametrize(
    ("mode", "nearest"),
    [("half_pixel", "round_prefer_floor"), ("asymmetric", "floor"), ("pytorch_half_pixel", "round_prefer_ceil")],
)
def test_pixels_that_are_repeated_or_left_out_are_read(
    tmp_path: Path, by: list[float], mode: str, nearest: str
) -> None:
    f = OnnxFile([1, 2, 4, 4])
    y = resized(f, by, 1 / 16, coordinate_transformation_mode=mode, nearest_mode=nearest)
    path = f.save(tmp_path / "made.onnx", y)
    if nearest == "round_prefer_ceil" and min(by) < 1:
        with pytest.raises(UnsupportedError, match=r"takes pixels at the places 0\.5, 2\.5 of rows"):
            read_network(path)
    else:
        assert off(path) == (0, 0)


@pytest.mark.parametrize(
    ("by", "attributes"),
    [
        ([1.5, 2], {"mode": "linear"}),
        ([0.5, 0.5], {"mode": "linear"}),
        ([2, 2], {"mode": "linear", "coordinate_transformation_mode": "align_corners"}),
        ([2, 2], {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "round_prefer_ceil"}),
    ],
)
def test_other_places_are_refused(tmp_path: Path, by: list[float], attributes: dict[str, object]) -> None:
    f = OnnxFile([1, 2, 4, 4])
    path = f.save(tmp_path / "made.onnx", resized(f, by, 1 / 16, **attributes))
    with pytest.raises(UnsupportedError, match=r"pixels at the places .* of rows and .*; expected whole factors"):
        read_network(path)
