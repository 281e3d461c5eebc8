"""Quantization after training: every pass alone, and the whole against the golden model."""

from dataclasses import replace

import numpy as np
import pytest

from codesign.errors import UnsupportedError
from codesign.front.evaluate import evaluate
from codesign.front.passes import simplified
from codesign.front.quantization import RealArray
from codesign.front.read import Format, lowered
from codesign.front.source import Affine, Clip, Constant, Conv, Dense, Quantize, Source
from codesign.model import golden
from codesign.ptq.bias import correct_bias
from codesign.ptq.config import QuantizeConfig, Ranges
from codesign.ptq.equalize import equalize
from codesign.ptq.grids import input_grid, weight_constant
from codesign.ptq.maps import Use, map_grid
from codesign.ptq.observe import Observed, observe, outputs, sqnr_db
from codesign.ptq.places import shared_grids
from codesign.ptq.quantize import Floats, Widths, chosen_ranges, observed, quantize, roundings_of
from codesign.ptq.rounding import Roundings, quantized, round_biases, round_maps, round_weights
from ptq_networks import INF, float_network, pixels, ready

POWERS = QuantizeConfig(power_of_two=True)


def seen(values: RealArray) -> Observed:
    return Observed(float(values.min()), float(values.max()), values)


def channel_errors(source: Source, noisy: Source, tensor: str, x: RealArray) -> RealArray:
    error = evaluate(noisy, x)[tensor] - evaluate(source, x)[tensor]
    return np.asarray(error.mean(axis=tuple(range(error.ndim - 1))))


def plan(source: Source, x: RealArray, config: QuantizeConfig) -> tuple[Floats, Roundings]:
    floats = observed(source, x, config)
    return floats, roundings_of(floats, chosen_ranges(floats, config).config, Widths())


def layers(source: Source) -> list[Conv | Dense]:
    return [op for op in source.operators if isinstance(op, Conv | Dense)]


@pytest.mark.parametrize(
    "config", [QuantizeConfig(), POWERS, QuantizeConfig(weight_bits=4, activation_bits=5, equalize=True)]
)
def test_the_golden_model_of_a_quantized_network_is_its_real_meaning_to_a_step(config: QuantizeConfig) -> None:
    x = pixels(24)
    made = quantize(ready(), x, config)
    done = lowered("small", Format.ONNX, float_network(), made)
    assert done.origin is not None
    grid = done.origin.outputs[0].grid
    found = golden.run(done.graph, done.origin.input.grid.integers(x)).reshape(len(x), -1)
    inner = max(layer.error for layer in done.origin.layers[:-1])
    off = np.abs(grid.values(found) - outputs(made, x)[0]) / grid.scale
    if config.power_of_two:
        assert inner == 0.0
        assert off.max() <= 0.5  # the scores are rounded to 16 bits
    else:
        assert off.mean() * grid.scale < 0.01 * np.abs(outputs(made, x)[0]).mean()


def test_eight_bits_lose_little_and_fewer_lose_more() -> None:
    source, x = ready(), pixels(32)
    exact = outputs(source, x)
    ratios = [
        sqnr_db(exact, outputs(quantize(source, x, QuantizeConfig(weight_bits=b, activation_bits=b)), x))
        for b in (8, 6, 4, 2)
    ]
    assert ratios[0] > 40
    assert ratios == sorted(ratios, reverse=True)


def test_every_map_that_a_layer_reads_is_rounded_and_nothing_else_is_left_real() -> None:
    made = quantize(ready(), pixels(8), QuantizeConfig())
    rounded = {op.output for op in made.operators if isinstance(op, Quantize)}
    for op in layers(made):
        source = made.producer(op.input)
        assert op.input in rounded or (source is not None and not isinstance(source, Clip | Conv))
        assert made.constants[op.weight].integers is not None
        assert op.bias is None or made.constants[op.bias].integers is not None


def test_maps_that_are_joined_share_a_grid() -> None:
    source = ready()
    assert ("c", "f") in [tuple(sorted(group)) for group in shared_grids(source)]
    _, roundings = plan(source, pixels(8), QuantizeConfig())
    assert roundings.maps["c"] == roundings.maps["f"]


def test_equalisation_keeps_the_float_function() -> None:
    source, x = ready(), pixels(16)
    made = equalize(source)
    before, after = evaluate(source, x)["o"], evaluate(made, x)["o"]
    assert np.abs(after - before).max() <= 1e-9 * np.abs(before).max()


def test_equalisation_brings_neighbouring_layers_to_like_ranges() -> None:
    made = equalize(ready())
    third, depthwise = (op for op in layers(made) if op.name in ("third", "depthwise"))
    reach = np.abs(made.constants[third.weight].values.reshape(6, -1)).max(axis=1)
    taken = np.abs(made.constants[depthwise.weight].values.reshape(6, -1)).max(axis=1)
    last = np.abs(made.constants[next(op for op in layers(made) if op.name == "last").weight].values)
    assert np.allclose(reach, taken, rtol=0.02)
    assert np.allclose(taken, last.reshape(10, -1, 6).max(axis=(0, 1)), rtol=0.02)


def test_channels_between_two_layers_are_scaled_apart_only_where_one_reader_has_them() -> None:
    source = ready()
    made = equalize(source)
    first = next(op for op in layers(source) if op.name == "first")
    assert np.array_equal(made.constants[first.weight].values, source.constants[first.weight].values)


def test_a_clip_at_six_keeps_layers_from_being_equalised() -> None:
    source = ready()
    operators = tuple(replace(op, high=6.0) if isinstance(op, Clip) else op for op in source.operators)
    made = equalize(replace(source, operators=operators))
    assert all(np.array_equal(made.constants[name].values, c.values) for name, c in source.constants.items())


def test_bias_correction_lowers_the_mean_error_of_every_layer() -> None:
    source, x = ready(), pixels(32)
    config = QuantizeConfig(weight_bits=3, correct_bias=False)
    floats, roundings = plan(source, x, config)
    before = quantized(source, roundings)
    after = correct_bias(source, before, floats.images)
    for op in layers(source):
        errors = [np.abs(channel_errors(source, made, op.output, x)).mean() for made in (before, after)]
        assert errors[1] < 0.05 * errors[0]


def test_bias_correction_gives_a_bias_to_a_layer_that_had_none() -> None:
    source, x = ready(), pixels(8)
    assert next(op for op in layers(source) if op.name == "depthwise").bias is None
    made = quantize(source, x, QuantizeConfig(weight_bits=4))
    assert next(op for op in layers(made) if op.name == "depthwise").bias is not None


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("power_of_two", [False, True])
def test_mse_never_has_a_larger_squared_error_than_max(bits: int, power_of_two: bool) -> None:
    rng = np.random.default_rng(bits)
    maps = [rng.standard_t(3, 4000), np.abs(rng.standard_t(2, 4000)), rng.uniform(0, 3, 500), np.zeros(20), np.ones(7)]
    for values in maps:
        errors = []
        for ranges in (Ranges.MSE, Ranges.MAX):
            config = QuantizeConfig(ranges=ranges, weight_ranges=ranges, power_of_two=power_of_two)
            weights = weight_constant(values[: len(values) // 5 * 5].reshape(5, -1), bits, config)
            held = values[: len(values) // 5 * 5].reshape(5, -1)
            errors.append(
                (
                    Use().squared_error(map_grid([seen(values)], bits, config), values),
                    float(np.square(weights.values - held).sum()),
                )
            )
        assert errors[0][0] <= errors[1][0]
        assert errors[0][1] <= errors[1][1] * (1 + 1e-12)


def test_mse_clips_where_values_lie_far_out() -> None:
    values = np.concatenate([np.random.default_rng(0).normal(0, 1, 5000), [40.0]])
    scales = [
        map_grid([seen(values)], 4, QuantizeConfig(ranges=r)).scale for r in (Ranges.MAX, Ranges.PERCENTILE, Ranges.MSE)
    ]
    assert scales[0] == pytest.approx(40 / 7)
    assert scales[1] < 1.0
    assert scales[2] < 0.5 * scales[0]


def test_nothing_is_clipped_by_the_largest_value() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, 500)
    grid = map_grid([seen(values)], 6, QuantizeConfig(ranges=Ranges.MAX))
    assert np.abs(grid.values(grid.integers(values)) - values).max() <= grid.scale / 2 * (1 + 1e-9)


def test_pixels_are_represented_exactly() -> None:
    for step, zero in ((1 / 255, 0), (1.0, 0), (1 / 64, -100)):
        values = (np.arange(256) + zero).astype(np.float32) * np.float32(step)
        grid = input_grid(seen(values.astype(np.float64)), QuantizeConfig())
        assert np.array_equal(grid.integers(values.astype(np.float64)), np.arange(256))


def test_input_that_lies_on_no_grid_reaches_from_its_least_to_its_largest_value() -> None:
    values = np.random.default_rng(0).normal(0.5, 1, 3000)
    grid = input_grid(seen(values), QuantizeConfig())
    assert np.abs(grid.values(grid.integers(values)) - values).max() <= grid.scale * (1 + 1e-9)
    assert grid.zero > 0


def test_all_scales_are_powers_of_two_where_that_is_asked_for() -> None:
    made = quantize(ready(), pixels(8), POWERS)
    scales = [op.quantization.scale for op in made.operators if isinstance(op, Quantize)]
    for constant in made.constants.values():
        scales += [] if constant.scale is None else constant.scale.reshape(-1).tolist()
    assert scales
    assert all(np.frexp(scale)[0] == 0.5 for scale in scales)


def test_weights_have_a_scale_for_each_channel_or_one_for_the_layer() -> None:
    values = np.random.default_rng(0).normal(0, 1, (5, 3, 3, 2)) * np.array([1, 2, 4, 8, 16]).reshape(5, 1, 1, 1)
    each, one = (weight_constant(values, 4, QuantizeConfig(per_channel=p)) for p in (True, False))
    assert each.scale is not None
    assert one.scale is not None
    assert each.integers is not None
    assert (each.scale.shape, one.scale.shape) == ((5, 1, 1, 1), ())
    assert np.abs(each.integers).max() <= 7
    assert np.square(each.values - values).sum() < np.square(one.values - values).sum()


def test_biases_are_whole_steps_of_their_sums() -> None:
    source, x = ready(), pixels(8)
    _, roundings = plan(source, x, QuantizeConfig(correct_bias=False))
    made = round_biases(quantized(source, roundings))
    for op in layers(made):
        if op.bias is not None:
            step = np.asarray(made.constants[op.bias].scale)
            error = np.abs(made.constants[op.bias].values - source.constants[op.bias].values)
            assert (error <= step / 2 * (1 + 1e-9)).all()


def test_rounding_weights_alone_or_maps_alone_leaves_the_other_as_it_is() -> None:
    source, x = ready(), pixels(8)
    _, roundings = plan(source, x, QuantizeConfig(weight_bits=4))
    weights, maps = round_weights(source, roundings.weights), round_maps(source, roundings.maps)
    assert not any(isinstance(op, Quantize) for op in weights.operators)
    assert all(constant.integers is None for constant in maps.constants.values())
    exact = outputs(source, x)
    assert sqnr_db(exact, outputs(maps, x)) > sqnr_db(exact, outputs(weights, x)) > 10


def test_a_layer_may_have_a_width_of_its_own() -> None:
    made = quantize(ready(), pixels(8), QuantizeConfig(), Widths(weights={"third": 3}, maps={"j": 4}))
    third = next(op for op in layers(made) if op.name == "third")
    integers = made.constants[third.weight].integers
    assert integers is not None
    assert np.abs(integers).max() == 3
    (grid,) = {op.quantization for op in made.operators if isinstance(op, Quantize) and op.input == "j"}
    assert (grid.low, grid.high) == (0, 15)


def test_a_sample_of_a_large_tensor_has_its_ends() -> None:
    source, x = ready(), pixels(4)
    found = observe(source, x, ["c"])["c"]
    whole = evaluate(source, x)["c"]
    assert (found.low, found.high) == (whole.min(), whole.max())
    assert len(found.values) == whole.size + 2


def test_a_network_that_is_quantized_already_is_refused_with_each_node() -> None:
    made = quantize(ready(), pixels(4), QuantizeConfig())
    with pytest.raises(UnsupportedError, match="quantizes already"):
        quantize(made, pixels(4), QuantizeConfig())


def test_maps_that_are_not_finite_are_refused() -> None:
    source = ready()
    constants = {**source.constants, "w2:hwc": Constant(source.constants["w2:hwc"].values * 1e308)}
    with np.errstate(all="ignore"), pytest.raises(UnsupportedError, match="not finite"):
        quantize(replace(source, constants=constants), pixels(4), QuantizeConfig())


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"weight_bits": 1}, "weight_bits"),
        ({"activation_bits": 9}, "activation_bits"),
        ({"percentile": 10.0}, "percentile"),
        ({"std": 0.0}, "std"),
        ({"weight_ranges": Ranges.PERCENTILE}, "weight_ranges"),
        ({"least_sqnr_db": 20.0, "most_lost_accuracy": 0.1}, "one budget"),
        ({"least_sqnr_db": 20.0, "weight_bits": 3}, "lowest_bits"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        QuantizeConfig(**wrong)  # type: ignore[arg-type]


def test_scores_at_the_end_keep_their_sums() -> None:
    made = quantize(ready(), pixels(4), QuantizeConfig())
    assert isinstance(made.producer(made.outputs[0]), Dense)
    source = ready()
    clip = Clip(name="end", input="o", output="p", low=0.0, high=INF)
    ended = replace(source, operators=(*source.operators, clip), outputs=("p",))
    assert isinstance(quantize(ended, pixels(4), QuantizeConfig()).producer("p:rounded"), Quantize)


def test_weights_that_are_integers_already_stay_as_they_are() -> None:
    source = ready()
    scale = Constant(np.array([1.5, -2.0, 0.3]))
    first = Affine(name="brighten", input="x", output="y", factor="scale", offset="shift")
    operators = (first, *(replace(op, input="y") if op.name == "first" else op for op in source.operators))  # type: ignore[call-arg]
    shift = Constant(np.array([0.1, 0.0, -0.2]))
    constants = {**source.constants, "scale": scale, "shift": shift}
    made = quantize(simplified(replace(source, operators=operators, constants=constants)), pixels(8), QuantizeConfig())
    kept = made.constants[next(op for op in layers(made) if op.name == "brighten").weight]
    assert kept.integers is not None
    assert kept.integers.reshape(-1).tolist() == [1, -1, 1]


def test_the_ratio_of_signal_to_noise_is_infinite_without_noise_and_a_number_without_signal() -> None:
    some = np.array([3.0, 4.0])
    assert sqnr_db(some, some) == np.inf
    assert sqnr_db(some, some + np.array([0.3, 0.4])) == pytest.approx(20.0)
    assert sqnr_db(0 * some, some) == -300.0
