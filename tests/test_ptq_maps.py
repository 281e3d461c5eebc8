"""Grids of maps: ranges that are chosen by the noise at the output, zero points, and maps that tables read."""

from dataclasses import replace

import numpy as np
import pytest

from codesign.front.activations import activated
from codesign.front.quantization import RealArray
from codesign.front.read import Format, lowered
from codesign.front.source import Activation, Function, Quantize
from codesign.model import golden
from codesign.ptq.config import QuantizeConfig, Ranges
from codesign.ptq.maps import Use, map_grid
from codesign.ptq.network import quantize_network
from codesign.ptq.observe import Observed, outputs, sqnr_db
from codesign.ptq.places import shared_grids, use_of
from codesign.ptq.quantize import chosen_ranges, observed, quantize
from ptq_networks import float_network, pixels, ready, swish_network

EACH = (Ranges.MAX, Ranges.PERCENTILE, Ranges.MSE)
BEST = ((0, 4, Ranges.MAX), (0, 8, Ranges.MSE), (1, 8, Ranges.MSE), (2, 4, Ranges.PERCENTILE))  # seed, bits, ranges
SWISH = Activation(name="swish", input="x", output="y", function=Function.HARD_SWISH)
FREE = Use(zero_point=True)


def seen(values: RealArray) -> list[Observed]:
    return [Observed(float(values.min()), float(values.max()), values)]


def swishes(size: float = 4.0) -> RealArray:
    """Values before hard swishes, from far below to far above 0."""
    return np.random.default_rng(0).normal(0, size, 6000)


@pytest.mark.parametrize(("seed", "bits", "best"), BEST)
def test_the_ranges_of_least_noise_at_the_output_are_chosen(seed: int, bits: int, best: Ranges) -> None:
    source = ready(swish_network(seed) if seed % 2 else float_network(seed))
    x, config = pixels(12, seed), QuantizeConfig(activation_bits=bits)
    exact = outputs(source, x)
    ratios = {r: sqnr_db(exact, outputs(quantize(source, x, replace(config, ranges=r)), x)) for r in EACH}
    chosen = chosen_ranges(observed(source, x, config), config)
    assert chosen.config.ranges is best
    assert ratios[best] == max(ratios.values())
    assert {r: pytest.approx(ratio) for r, ratio in chosen.tried.items()} == ratios
    assert sqnr_db(exact, outputs(quantize(source, x, config), x)) == max(ratios.values())


def test_ranges_that_are_named_are_taken_as_they_are() -> None:
    config = QuantizeConfig(ranges=Ranges.PERCENTILE)
    chosen = chosen_ranges(observed(ready(), pixels(4), config), config)
    assert (chosen.config, dict(chosen.tried)) == (config, {})


def test_the_report_tells_which_ranges_were_chosen() -> None:
    made = quantize_network(ready(), pixels(12), QuantizeConfig())
    (note,) = (note for note in made.notes if note.startswith("ranges of maps by"))
    assert all(f"{ranges.value} " in note for ranges in EACH)


@pytest.mark.parametrize("ranges", EACH)
@pytest.mark.parametrize("power_of_two", [False, True])
def test_a_map_that_reaches_unlike_far_has_a_zero_point(ranges: Ranges, power_of_two: bool) -> None:
    values = activated(SWISH, swishes(), None)
    config = QuantizeConfig(ranges=ranges, power_of_two=power_of_two)
    plain, grid = map_grid(seen(values), 8, config), map_grid(seen(values), 8, config, FREE)
    assert plain.zero == 0
    assert (grid.low, grid.high) == (0, 255)
    assert grid.zero > 0
    assert (grid.values(np.arange(256)) == 0).sum() == 1  # padding is exact
    assert FREE.squared_error(grid, values) < 0.3 * FREE.squared_error(plain, values)


@pytest.mark.parametrize("ranges", EACH)
def test_a_map_that_reaches_alike_far_has_none(ranges: Ranges) -> None:
    config = QuantizeConfig(ranges=ranges)
    for values in (swishes(), np.abs(swishes())):
        assert map_grid(seen(values), 8, config, FREE) == map_grid(seen(values), 8, config)


def test_zero_points_can_be_left_out() -> None:
    values, config = activated(SWISH, swishes(), None), QuantizeConfig(ranges=Ranges.MSE, zero_points=False)
    assert map_grid(seen(values), 8, config, FREE).zero == 0


def test_the_range_before_a_table_ends_where_its_function_has_one_value() -> None:
    values, config = swishes(), QuantizeConfig(ranges=Ranges.MSE)
    grid = map_grid(seen(values), 8, config, Use(zero_point=True, table=SWISH))
    least, largest = grid.values(np.array([grid.low, grid.high]))
    assert -4 < least < -2.7  # a hard swish is 0 below -3
    assert largest > 0.8 * values.max()
    exact = activated(SWISH, values, None)
    off = [
        np.square(activated(SWISH, g.values(g.integers(values)), None) - exact).sum()
        for g in (grid, map_grid(seen(values), 8, config, FREE))
    ]
    assert off[0] < 0.6 * off[1]


def test_there_are_zero_points_where_they_cost_nothing() -> None:
    source = ready(swish_network())
    uses = {tensor: use_of(source, group) for group in shared_grids(source) for tensor in group}
    assert {tensor for tensor, use in uses.items() if use.zero_point} >= {"a", "b", "c", "i", "j"}
    assert not uses["d"].zero_point  # a product reads it
    assert not uses["f"].zero_point
    assert not use_of(replace(source, outputs=("o", "b")), ("b",)).zero_point  # the network gives it
    assert {tensor for tensor, use in uses.items() if use.table} == {"a", "c", "e", "i"}


@pytest.mark.parametrize("config", [QuantizeConfig(), QuantizeConfig(power_of_two=True)])
def test_a_network_with_zero_points_equals_its_integers(config: QuantizeConfig) -> None:
    x = pixels(24)
    made = quantize(ready(swish_network()), x, config)
    zeros = [op.quantization.zero for op in made.operators if isinstance(op, Quantize)]
    assert any(zeros[1:])
    done = lowered("swish", Format.ONNX, swish_network(), made)
    assert done.origin is not None
    found = golden.run_outputs(done.graph, done.origin.input.grid.integers(x))
    for y, real, end in zip(found, outputs(made, x), done.origin.outputs, strict=True):
        off = np.abs(end.grid.values(y.reshape(len(y), -1)) - real)
        if config.power_of_two:
            assert off.max() <= end.grid.scale  # scores are rounded to 16 bits, a product twice
        assert off.mean() < 0.01 * np.abs(real).mean()


def test_zero_points_and_tables_take_noise_from_a_network_of_swishes() -> None:
    source, x = ready(swish_network()), pixels(32)
    exact = outputs(source, x)[:1]
    config = QuantizeConfig()
    ratios = [
        sqnr_db(exact, outputs(quantize(source, x, replace(config, zero_points=z)), x)[:1]) for z in (True, False)
    ]
    assert ratios[0] > ratios[1] + 3
