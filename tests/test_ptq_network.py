"""The whole way of a float network: calibration data of any kind, widths under a budget, losses by place."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign.errors import CodesignError, ConfigError, InfeasibleError
from codesign.front.source import Quantize
from codesign.ir.dataset import Dataset
from codesign.ir.graph import Encoding
from codesign.progress import silent
from codesign.ptq.calibration import load_calibration
from codesign.ptq.config import QuantizeConfig, Ranges
from codesign.ptq.mixed import mixed_widths
from codesign.ptq.network import quantize_network
from codesign.ptq.observe import outputs
from codesign.ptq.quantize import Widths, chosen_ranges, images_used, observed, quantize
from ptq_networks import pixels, ready

PLAIN = QuantizeConfig()


def same(found: Any, expected: Any) -> bool:
    """Whether both are the same images in any order."""
    return sorted(image.tobytes() for image in found) == sorted(image.tobytes() for image in expected)


def labels_of(x: Any) -> Any:
    """The classes that the float network gives, a few of them wrong."""
    found = outputs(ready(), x)[0].argmax(axis=1)
    found[::10] = (found[::10] + 1) % 10
    return found


def write_png(path: Path, image: Any) -> None:
    path.write_bytes(b"P6\n%d %d\n255\n" % (image.shape[1], image.shape[0]) + image.astype(np.uint8).tobytes())


def test_an_array_may_have_the_axes_of_the_file_or_rows_columns_and_channels() -> None:
    x = pixels(5, shape=(8, 8, 3))
    for given in (x, x.transpose(0, 3, 1, 2)):
        assert same(load_calibration(given, ready(), PLAIN).images, x)


def test_files_of_arrays_are_read(tmp_path: Path) -> None:
    x, y = pixels(5), np.arange(5)
    np.save(tmp_path / "a.npy", x)
    np.savez(tmp_path / "b.npz", images=x, labels=y)
    np.savez(tmp_path / "c.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    a, b, c = (load_calibration(tmp_path / name, ready(), PLAIN) for name in ("a.npy", "b.npz", "c.npz"))
    assert all(same(found.images, x) for found in (a, b, c))
    assert a.labels is None
    assert b.labels is not None
    assert sorted(b.labels.tolist()) == [0, 1, 2, 3, 4]
    assert all(np.array_equal(image, x[label]) for image, label in zip(b.images, b.labels, strict=True))
    assert len(b.test) == 5
    assert c.test_labels is not None
    assert (len(c.test), sorted(c.test_labels.tolist())) == (2, [0, 1])


def test_a_folder_of_images_is_read_as_mean_and_deviation_say(tmp_path: Path) -> None:
    x = np.rint(pixels(3) * 255)
    for i, image in enumerate(x):
        write_png(tmp_path / f"{i}.ppm", image)
    found = load_calibration(tmp_path, ready(), QuantizeConfig(mean=100.0, std=50.0))
    assert same(found.images, (x - 100) / 50)


def test_a_data_set_has_the_numbers_that_its_encoding_stands_for() -> None:
    pixel = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    y = np.arange(6, dtype=np.int64)
    dataset = Dataset(
        name="made", source="made", train_x=pixel, train_y=y, test_x=pixel[:3], test_y=y[:3],
        classes=tuple("abcdef"), encoding=Encoding(offset=-1.0, step=1 / 64),
    )  # fmt: skip
    found = load_calibration(dataset, ready(), PLAIN)
    assert same(found.images, pixel / 64 - 1.0)
    assert len(found.test) == 3


def test_of_many_images_some_are_drawn_from_all_classes() -> None:
    found = load_calibration("fashion-mnist-subset", _grey(), PLAIN)
    assert (len(found.images), len(found.test)) == (512, 1000)
    assert found.labels is not None
    assert np.bincount(found.labels).min() > 30


def _grey() -> Any:
    from codesign.front.read import prepared
    from front_models import OnnxFile

    f = OnnxFile([1, 1, 28, 28])
    weight = f.constant(np.random.default_rng(0).normal(0, 1, (4, 1, 3, 3)), name="w")
    from codesign.front.onnx_model import read_model
    from codesign.front.onnx_source import source_of

    return prepared("grey", source_of(read_model(Path("grey.onnx"), f.proto(f.node("Conv", ["x", weight])))))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (np.zeros((4, 7, 8, 3)), "images are"),
        (np.zeros(4), "expected numbers"),
        (np.full((4, 8, 8, 3), np.nan), "infinite or no numbers"),
        (np.array(["a"]), "expected numbers"),
        ("missing.npz", "no such file"),
        ("missing.txt", "no such file"),
    ],
)
def test_data_that_does_not_fit_is_refused_with_what_was_found(given: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_calibration(given, ready(), PLAIN)


def test_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    for labels, told in ((np.arange(4), "one label"), (np.full(5, 10), "label 10"), (np.zeros(5), "one label")):
        np.savez(tmp_path / "a.npz", images=pixels(5), labels=labels)
        with pytest.raises(ConfigError, match=told):
            quantize_network(ready(), tmp_path / "a.npz", PLAIN)
    np.savez(tmp_path / "b.npz", pictures=pixels(5))
    with pytest.raises(ConfigError, match="no array of images"):
        quantize_network(ready(), tmp_path / "b.npz", PLAIN)


def test_an_object_array_in_a_file_is_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(CodesignError, match="file of plain numbers"):
        load_calibration(tmp_path / "a.npy", ready(), PLAIN)


def test_losses_name_every_place_and_the_place_of_fewest_bits_loses_most(tmp_path: Path) -> None:
    x = pixels(40)
    np.savez(tmp_path / "a.npz", images=x, labels=labels_of(x))
    made = quantize_network(ready(), tmp_path / "a.npz", QuantizeConfig(weight_bits=8, activation_bits=8))
    named = [loss.name for loss in made.losses]
    assert named == ["input", "first", "second", "sum", "third", "depthwise", "mean", "last"]
    assert made.float_accuracy == pytest.approx(0.9)
    assert all(loss.alone_sqnr_db > 30 for loss in made.losses)
    few = quantize_network(ready(), tmp_path / "a.npz", QuantizeConfig(weight_bits=3))
    by_name = {loss.name: loss for loss in few.losses}
    assert by_name["third"].weight_bits == 3
    assert by_name["input"].weight_bits is None
    assert by_name["input"].alone_sqnr_db > max(
        by_name[name].alone_sqnr_db for name in ("second", "third", "depthwise")
    )
    assert few.sqnr_db < made.sqnr_db


def test_pixels_lose_nothing_at_the_input() -> None:
    made = quantize_network(ready(), pixels(20), PLAIN)
    assert made.losses[0].sqnr_db > 250
    assert made.float_accuracy is None


def test_what_powers_of_two_cost_is_told() -> None:
    made = quantize_network(ready(), pixels(20), QuantizeConfig(power_of_two=True))
    assert any("powers of two" in note for note in made.notes)


def test_widths_keep_a_budget_of_noise_and_have_fewer_bits_than_before() -> None:
    source, x = ready(), pixels(32)
    config = QuantizeConfig(least_sqnr_db=38.0)
    floats = observed(source, x, config)
    config = chosen_ranges(floats, config).config
    widths = mixed_widths(floats, None, config, silent)
    made = quantize(source, x, config, widths)
    (exact,), (found,) = outputs(source, x), outputs(made, x)
    assert 10 * np.log10(np.square(exact).sum() / np.square(found - exact).sum()) >= 38.0
    assert widths.weights
    assert all(4 <= bits < 8 for bits in [*widths.weights.values(), *widths.maps.values()])
    for op in made.operators:
        if isinstance(op, Quantize) and op.input in widths.maps:
            assert (op.quantization.high - op.quantization.low).bit_length() == widths.maps[op.input]


def test_a_looser_budget_never_needs_more_bits() -> None:
    source, x = ready(), pixels(24)

    def bits(budget: float) -> int:
        config = QuantizeConfig(least_sqnr_db=budget, ranges=Ranges.MSE)
        widths = mixed_widths(observed(source, x, config), None, config, silent)
        return sum(8 - b for b in [*widths.weights.values(), *widths.maps.values()])

    assert bits(15.0) > bits(42.0)


def test_widths_keep_a_budget_of_accuracy(tmp_path: Path) -> None:
    x = pixels(60)
    np.savez(tmp_path / "a.npz", images=x, labels=labels_of(x))
    made = quantize_network(ready(), tmp_path / "a.npz", QuantizeConfig(most_lost_accuracy=0.02))
    assert made.float_accuracy is not None
    assert made.quantized_accuracy is not None
    assert made.quantized_accuracy >= made.float_accuracy - 0.02
    assert min(loss.weight_bits for loss in made.losses if loss.weight_bits) < 8


def test_a_budget_that_cannot_be_kept_is_refused_with_both_figures() -> None:
    with pytest.raises(InfeasibleError, match="budget is 90 dB"):
        quantize_network(ready(), pixels(8), QuantizeConfig(least_sqnr_db=90.0))
    with pytest.raises(ConfigError, match="labels"):
        quantize_network(ready(), pixels(8), QuantizeConfig(most_lost_accuracy=0.1))


def test_the_same_data_gives_the_same_network() -> None:
    first, second = (quantize_network(ready(), pixels(8), PLAIN).source for _ in range(2))
    assert all(np.array_equal(first.constants[name].values, c.values) for name, c in second.constants.items())
    assert first.operators == second.operators


def test_widths_of_nothing_are_those_of_the_configuration() -> None:
    source, x = ready(), pixels(8)
    assert quantize(source, x, PLAIN, Widths()).operators == quantize(source, x, PLAIN).operators


def test_many_passes_over_a_large_network_are_over_fewer_images() -> None:
    source = ready()
    assert images_used(source, 10**9) == images_used(source, 10**9, 8)
    assert images_used(source, 10**9, 800) == pytest.approx(images_used(source, 10**9) / 100, rel=0.01)
    assert images_used(source, 10**9, 10**9) == 16
    assert images_used(source, 5, 800) == 5
