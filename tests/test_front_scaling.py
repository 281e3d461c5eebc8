"""Ratios of scales as whole multipliers and shifts: exact for powers of two, else as near as the bound says."""

import numpy as np
import pytest

from codesign.front.scaling import fixed_point, layer_scaling
from codesign.ops.qtype import QType
from codesign.ops.requantize import OutputRule, Rounding, requantize


@pytest.mark.parametrize("exponents", [[0], [-7], [-3, -9, -15], [4, -2]])
def test_powers_of_two_are_exact(exponents: list[int]) -> None:
    ratios = np.ldexp(1.0, np.array(exponents))
    found = fixed_point(ratios)
    assert np.array_equal(np.ldexp(found.multiplier.astype(np.float64), -found.shift), ratios)
    assert not found.error.any()


@pytest.mark.parametrize("seed", range(20))
def test_other_ratios_are_as_near_as_sixteen_bits_can(seed: int) -> None:
    ratios = np.exp(np.random.default_rng(seed).uniform(-12, 1, 9))
    found = fixed_point(ratios)
    assert found.multiplier.max() < 1 << 16
    assert found.multiplier.max() >= 1 << 15
    assert found.error[ratios.argmax()] <= 2.0**-16
    relative = np.abs(np.ldexp(found.multiplier.astype(np.float64), -found.shift) - ratios) / ratios
    assert np.allclose(found.error, relative, atol=1e-12)


def test_a_ratio_that_no_multiplier_reaches_is_refused() -> None:
    with pytest.raises(ValueError, match=r"scales by 65536, more than a multiplier of 16 bits can"):
        fixed_point(np.array([65536.0]))


def results(weight: np.ndarray, bias: np.ndarray, ratios: np.ndarray, span: int, rng: np.random.Generator) -> float:
    """The largest difference of the scaled sums from real ones, before rounding; checked against what is promised."""
    k = len(weight)
    reach = np.abs(weight).reshape(k, -1).sum(axis=1) * 255
    made = layer_scaling(weight, ratios, bias, reach, span)
    x = rng.integers(0, 256, (4000, weight[0].size))
    exact = x @ weight.reshape(k, -1).T * ratios + bias
    sums = (x @ made.weight.reshape(k, -1).T << made.bias_fraction) + made.bias
    found = sums * made.multiplier / 2.0**made.shift
    inside = np.abs(exact) <= span
    off = float(np.abs(found - exact)[inside].max(initial=0.0))
    assert off <= made.error + 1e-9
    wide = QType(16, signed=True)
    rule = OutputRule(rounding=Rounding.HALF_EVEN, bounds=(-span, span))
    rounded = requantize(sums, made.multiplier, made.shift, wide, rule)
    assert np.abs(rounded - np.clip(np.rint(exact), -span, span)).max() <= 1
    return off


@pytest.mark.parametrize("seed", range(10))
def test_a_layer_is_never_further_off_than_its_bound(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.integers(-127, 128, (6, 3, 3, 4))
    assert 0 < results(weight, rng.normal(0, 50, 6), rng.uniform(0.0003, 0.004, 6), 255, rng) < 0.05


def test_channels_that_hardly_weigh_anything_keep_their_bias() -> None:
    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 128, (4, 1, 1, 16))
    ratios = np.array([0.004, 5e-9, 3e-11, 0.001])
    assert results(weight, np.array([3.2, 77.4, -5.5, 1e6]), ratios, 255, rng) < 0.03


def test_a_bias_finer_than_a_sum_is_exact_for_powers_of_two() -> None:
    rng = np.random.default_rng(0)
    weight = rng.integers(-7, 8, (3, 1, 1, 8))
    assert results(weight, np.array([0.125 / 8, -1.0, 0.0078125]), np.array([0.125, 0.125, 0.5]), 255, rng) == 0
