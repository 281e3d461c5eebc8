"""Every pass over a Source alone: the network computes the same before and after, and has the form that is promised."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from codesign.front.evaluate import evaluate
from codesign.front.layout import channels_last
from codesign.front.passes import (
    clip_in_quantization,
    drop_repeated,
    fold_affine,
    fold_surround,
    leave_to_host,
    merge_clips,
    quantize_first,
    simplified,
    spread_padding,
)
from codesign.front.quantization import Quantization, Rounding
from codesign.front.recognize import recognized
from codesign.front.shapes import shapes_of
from codesign.front.source import (
    Activation,
    Add,
    Affine,
    Clip,
    Concat,
    Constant,
    Conv,
    Decide,
    Dense,
    DepthToSpace,
    Function,
    Layout,
    Multiply,
    Operator,
    Pool,
    Quantize,
    Reshape,
    Shuffle,
    Slice,
    Source,
    SourceInput,
    Surround,
    Transpose,
)
from codesign.front.sums import quantize_sums

INF = float("inf")


def made(
    *operators: Operator, shape: tuple[int, ...] = (6, 5, 4), layout: Layout = Layout.HWC, **constants: Constant
) -> Source:
    return Source(
        name="made",
        layout=layout,
        input=SourceInput(tensor="x", shape=shape),
        outputs=(operators[-1].output,),
        operators=operators,
        constants=constants,
    )


def weight(*shape: int, seed: int = 0) -> Constant:
    rng = np.random.default_rng(seed)
    return Constant.of(rng.integers(-8, 8, shape), rng.uniform(0.1, 0.3, (shape[0], *(1,) * (len(shape) - 1))))


def real(*values: float) -> Constant:
    return Constant(np.array(values) if len(values) > 1 else np.array(values[0]))


def quantize(source: str, output: str, scale: float = 0.25, **fields: object) -> Quantize:
    grid = replace(Quantization(scale=scale, zero=0, low=-128, high=127), **fields)  # type: ignore[arg-type]
    return Quantize(name=f"q_{output}", input=source, output=output, quantization=grid)


def check(before: Source, after: Source, tolerance: float = 1e-9) -> None:
    """Both compute the same."""
    x = np.random.default_rng(1).normal(0, 6, (40, *before.input.shape))
    given, found = (evaluate(source, x)[source.outputs[0]] for source in (before, after))
    assert np.abs(given - found).max() <= tolerance
    assert not shapes_of(after)[1]


def kinds(source: Source) -> list[str]:
    return [type(op).__name__ for op in source.operators]


def test_factors_are_folded_into_weights_and_offsets_into_biases() -> None:
    before = made(
        Conv(name="c", input="x", output="y", weight="w", bias="b"),
        Affine(name="a", input="y", output="z", factor="f", offset="o"),
        w=weight(3, 3, 3, 4), b=real(1.0, -2.0, 0.5), f=real(0.5, -0.25, 0.0), o=real(3.0),
    )  # fmt: skip
    after = fold_affine(before)
    assert kinds(after) == ["Conv"]
    check(before, after)
    (conv,) = after.operators
    assert isinstance(conv, Conv)
    assert after.constants[conv.weight].integers is not None


def test_factors_with_no_layer_before_them_are_a_depthwise_convolution() -> None:
    before = made(
        Affine(name="a", input="x", output="z", factor="f", offset="o"), f=real(0.5, -0.25, 2.0, 1.0), o=real(3.0)
    )
    after = fold_affine(before)
    assert kinds(after) == ["Conv"]
    check(before, after)


def test_factors_behind_a_layer_that_others_read_too_leave_it_alone() -> None:
    before = made(
        Conv(name="c", input="x", output="y", weight="w"),
        Affine(name="a", input="y", output="z", factor="f", offset="o"),
        Add(name="s", inputs=("y", "z"), output="out", sign=-1),
        w=weight(3, 1, 1, 4), f=real(0.5), o=real(1.0),
    )  # fmt: skip
    after = fold_affine(before)
    assert kinds(after) == ["Conv", "Conv", "Add"]
    check(before, after)


def test_zeros_around_a_map_become_padding() -> None:
    before = made(
        Surround(name="p", input="x", output="y", pads=(1, 2, 0, 1)),
        Conv(name="c", input="y", output="z", weight="w", pads=(1, 0, 1, 0)),
        w=weight(3, 3, 3, 4),
    )
    after = fold_surround(before)
    assert kinds(after) == ["Conv"]
    check(before, after)


def test_zeros_before_a_maximum_are_not_padding_of_it() -> None:
    before = made(
        Surround(name="p", input="x", output="y", pads=(1, 1, 1, 1)),
        Pool(name="m", input="y", output="z", average=False, kernel=(3, 3)),
    )
    assert fold_surround(before) is before


def test_two_clips_are_one() -> None:
    before = made(
        Clip(name="a", input="x", output="y", low=0.0, high=INF),
        Clip(name="b", input="y", output="z", low=-1.0, high=3.0),
    )
    after = merge_clips(before)
    assert kinds(after) == ["Clip"]
    check(before, after)


@pytest.mark.parametrize("behind", [quantize("m", "z"), Clip(name="r", input="m", output="z", low=0.0, high=2.0)])
def test_a_maximum_comes_behind_its_rounding(behind: Operator) -> None:
    before = made(Pool(name="p", input="x", output="m", average=False, kernel=(2, 2), pads=(1, 0, 0, 1)), behind)
    after = quantize_first(before)
    assert kinds(after) == [type(behind).__name__, "Pool"]
    check(before, after)


def test_maps_are_quantized_before_they_are_joined() -> None:
    before = made(
        Clip(name="r", input="x", output="y", low=0.0, high=INF),
        Concat(name="c", inputs=("x", "y"), output="z", axis=2),
        quantize("z", "q"),
    )
    after = quantize_first(before)
    assert kinds(after) == ["Clip", "Quantize", "Quantize", "Concat"]
    check(before, after)


@pytest.mark.parametrize(("low", "high"), [(0.0, INF), (-1.1, 6.3), (-INF, 0.6)])
@pytest.mark.parametrize("rounding", [Rounding.HALF_EVEN, Rounding.FLOOR, Rounding.HALF_UP])
def test_a_clip_before_a_quantization_becomes_its_bounds(low: float, high: float, rounding: Rounding) -> None:
    before = made(
        Clip(name="r", input="x", output="y", low=low, high=high), quantize("y", "z", zero=3, rounding=rounding)
    )
    after = clip_in_quantization(before)
    assert kinds(after) == ["Quantize"]
    check(before, after)


def test_a_clip_behind_a_quantization_is_one_with_narrower_bounds() -> None:
    before = made(quantize("x", "y", zero=-5), Clip(name="r", input="y", output="z", low=0.0, high=3.0))
    after = simplified(before)
    assert kinds(after) == ["Quantize"]
    check(before, after)


def test_a_clip_between_two_values_of_a_quantization_stays() -> None:
    before = made(quantize("x", "y"), Clip(name="r", input="y", output="z", low=0.1, high=3.0))
    assert clip_in_quantization(before) is before


def test_a_repeated_quantization_is_dropped_and_a_coarser_one_is_not() -> None:
    same = made(
        quantize("x", "y"),
        quantize("y", "z", low=-200, high=200),
        quantize("z", "out", scale=0.125, low=-999, high=999),
    )
    assert kinds(drop_repeated(same)) == ["Quantize"]
    check(same, drop_repeated(same))
    coarser = made(quantize("x", "y"), quantize("y", "z", scale=0.5))
    assert drop_repeated(coarser) is coarser


def test_two_quantizations_on_one_grid_are_one() -> None:
    before = made(quantize("x", "y"), quantize("y", "z", low=0, high=300))
    after = drop_repeated(before)
    assert kinds(after) == ["Quantize"]
    check(before, after)


def test_the_end_that_a_host_does_is_cut_off_and_said() -> None:
    before = made(
        quantize("x", "y"),
        Decide(name="s", input="y", output="z", operator="Softmax"),
        quantize("z", "q", scale=1 / 256),
        shape=(7,),
    )
    after = leave_to_host(before)
    assert (kinds(after), after.outputs) == (["Quantize"], ("y",))
    assert after.notes == ("Softmax at the end is left to the host; the accelerator gives the scores before it",)


def test_unrounded_sums_get_a_grid_that_holds_all_of_them() -> None:
    before = made(
        quantize("x", "i", low=-8, high=7),
        Conv(name="c", input="i", output="y", weight="w", bias="b"),
        Add(name="s", inputs=("y", "i"), output="z"),
        quantize("z", "q", scale=0.5),
        w=Constant.of(weight(4, 1, 1, 4).integers, np.reshape([0.5, 0.25, 0.25, 1.0], (4, 1, 1, 1))),
        b=real(0.125, 0.5, -0.0625, 0.0),
    )  # fmt: skip
    after, problems = quantize_sums(before)
    assert not problems
    assert kinds(after) == ["Quantize", "Conv", "Quantize", "Add", "Quantize"]
    check(before, after, 0.0)


def test_sums_on_no_common_grid_are_told() -> None:
    before = made(
        quantize("x", "i"),
        Conv(name="c", input="i", output="y", weight="w"),
        Add(name="s", inputs=("y", "i"), output="z"),
        quantize("z", "q", scale=0.5),
        w=weight(4, 1, 1, 4),
    )
    (problem,) = quantize_sums(before)[1]
    assert str(problem) == (
        "node 'c' (Conv): its results are read without a quantization, and need more than 16 bits to be exact; "
        "quantize them to at most 16 bits"
    )


CHW = {"layout": Layout.CHW, "shape": (4, 6, 5)}


@pytest.mark.parametrize(
    "tail",
    [
        (Reshape(name="f", input="y", output="v", shape=(90,)), Dense(name="d", input="v", output="z", weight="d")),
        (
            Transpose(name="t", input="y", output="u", axes=(1, 2, 0)),
            Reshape(name="f", input="u", output="v", shape=(90,)),
            Dense(name="d", input="v", output="z", weight="d"),
        ),
        (
            Pool(name="p", input="y", output="m", average=True),
            Reshape(name="f", input="m", output="v", shape=(3,)),
            Dense(name="d", input="v", output="z", weight="e"),
        ),
    ],
)
def test_maps_become_channels_last_and_weights_follow(tail: tuple[Operator, ...]) -> None:
    before = made(
        Conv(name="c", input="x", output="y", weight="w", pads=(1, 1, 1, 1)), *tail,
        w=weight(3, 4, 3, 3), d=weight(7, 90, seed=2), e=weight(7, 3, seed=3), **CHW,
    )  # fmt: skip
    after, problems = channels_last(before)
    assert not problems
    assert after.axes == (("C", "Y", "X"), ("C",))
    x = np.random.default_rng(1).normal(size=(5, 4, 6, 5))
    given, found = evaluate(before, x)["z"], evaluate(after, x.transpose(0, 2, 3, 1))["z"]
    assert np.abs(given - found.reshape(given.shape)).max() < 1e-9


def test_a_reshape_that_splits_channels_is_told() -> None:
    before = made(Reshape(name="r", input="x", output="y", shape=(2, 2, 30)), **CHW)
    (problem,) = channels_last(before)[1]
    assert "makes [2, 2, 30] of channels, rows, columns, 6 x 5 x 4, which splits an axis" in str(problem)


@pytest.mark.parametrize(
    "step", [fold_affine, fold_surround, merge_clips, quantize_first, clip_in_quantization, drop_repeated]
)
def test_a_pass_with_nothing_to_do_gives_the_same_source(step: Callable[[Source], Source]) -> None:
    before = made(quantize("x", "y"), Pool(name="m", input="y", output="z", average=False, kernel=(2, 2)))
    assert step(before) is before


def channel_shuffle(layout: Layout) -> Source:
    """A shuffle of 6 channels in 3 groups, with a quantization in between."""
    apart, axes, shape = ((3, 2, 4, 5), (1, 0, 2, 3), (6, 4, 5))
    if layout is Layout.HWC:
        apart, axes, shape = ((4, 5, 3, 2), (0, 1, 3, 2), (4, 5, 6))
    return made(
        Reshape(name="apart", input="x", output="a", shape=apart),
        quantize("a", "q"),
        Transpose(name="turned", input="q", output="t", axes=axes),
        Reshape(name="joined", input="t", output="y", shape=shape),
        layout=layout,
        shape=shape,
    )


@pytest.mark.parametrize("layout", list(Layout))
def test_a_reshape_a_transpose_and_a_reshape_are_a_shuffle(layout: Layout) -> None:
    before = channel_shuffle(layout)
    after = recognized(before)
    assert [type(op) for op in after.operators] == [Shuffle, Quantize]
    check(before, after)


def test_a_shuffle_whose_parts_others_read_stays_in_parts() -> None:
    before = channel_shuffle(Layout.HWC)
    before = replace(before, outputs=(*before.outputs, "t"))
    assert recognized(before) is not before
    assert recognized(before).operators == before.operators


@pytest.mark.parametrize(
    ("function", "alpha", "beta", "found"),
    [
        (Function.SIGMOID, 1.0, 0.0, Function.SILU),
        (Function.HARD_SIGMOID, 1 / 6, 0.5, Function.HARD_SWISH),
        (Function.HARD_SIGMOID, 0.2, 0.5, None),
        (Function.TANH, 1.0, 0.0, None),
    ],
)
def test_a_map_times_its_sigmoid_is_a_swish(
    function: Function, alpha: float, beta: float, found: Function | None
) -> None:
    gate = Activation(name="gate", input="x", output="g", function=function, alpha=alpha, beta=beta)
    before = made(gate, Multiply(name="product", inputs=("g", "x"), output="y"))
    after = recognized(before)
    kinds = [op.function for op in after.operators if isinstance(op, Activation)]
    assert kinds == [found or function]
    assert len(after.operators) == (1 if found else 2)
    check(before, after)


def test_two_quantizations_of_one_tensor_on_one_grid_are_one() -> None:
    before = made(
        quantize("x", "a"),
        quantize("x", "b"),
        Multiply(name="product", inputs=("a", "b"), output="y"),
    )
    after = drop_repeated(before)
    assert len(after.operators) == 2
    check(before, after)


def test_padding_that_a_window_cannot_have_stays_around_the_map() -> None:
    """Of a 1x1 convolution all of it, of a 3x1 one what is more than two rows; an average keeps what it counts."""
    constants = {"w": Constant.of(np.arange(32).reshape(4, 1, 2, 4) - 16, 0.25)}
    conv = Conv(name="c", input="x", output="c", weight="w", pads=(1, 3, 0, 1), dilations=(1, 2))
    mean = Pool(name="p", input="c", output="y", average=True, kernel=(2, 1), pads=(2, 0, 1, 1))
    before = made(conv, mean, **constants)
    after = spread_padding(before)
    check(before, after)
    assert kinds(after) == ["Surround", "Conv", "Surround", "Pool"]
    assert [op.pads for op in after.operators if isinstance(op, Surround | Conv | Pool)] == [
        (1, 1, 0, 0), (0, 2, 0, 1), (1, 0, 0, 1), (1, 0, 1, 0)
    ]  # fmt: skip
    assert fold_surround(after) is after


SIX = {"one": real(1.0), "three": real(3.0), "none": real(0.0), "sixth": real(1 / 6), "two": real(2.0)}


def spelled(offset: str, order: str) -> Source:
    """A map times clip(map + offset, 0, 6), divided by 6 before or behind the product."""
    line = Affine(name="l", input="x", output="l", factor="one", offset=offset)
    clip = Clip(name="c", input="l", output="c", low=0, high=6)
    if order == "before":
        divided = Affine(name="d", input="c", output="d", factor="sixth", offset="none")
        return made(line, clip, divided, Multiply(name="m", inputs=("d", "x"), output="y"), **SIX)
    product = Multiply(name="m", inputs=("x", "c"), output="m")
    divided = Affine(name="d", input="m", output="y", factor="sixth", offset="none")
    return made(line, clip, product, divided, **SIX)


@pytest.mark.parametrize("order", ["before", "behind"])
def test_a_hard_swish_in_pieces_is_one(order: str) -> None:
    before = spelled("three", order)
    after = recognized(before)
    assert [getattr(op, "function", None) for op in after.operators] == [Function.HARD_SWISH]
    check(before, after)
    other = spelled("two", order)
    assert recognized(other).operators == other.operators


def test_a_mish_in_pieces_is_one() -> None:
    soft = Activation(name="s", input="x", output="s", function=Function.SOFTPLUS)
    tanh = Activation(name="t", input="s", output="t", function=Function.TANH)
    before = made(soft, tanh, Multiply(name="m", inputs=("x", "t"), output="y"))
    after = recognized(before)
    assert [getattr(op, "function", None) for op in after.operators] == [Function.MISH]
    check(before, after)


def test_a_quantization_moves_before_what_moves_values() -> None:
    moves: tuple[Operator, ...] = (
        Slice(name="m", input="x", output="m", axis=2, start=1, stop=3),
        Shuffle(name="m", input="x", output="m", groups=2),
        DepthToSpace(name="m", input="x", output="m", block=2),
        Surround(name="m", input="x", output="m", pads=(1, 0, 2, 1), value=0.5, strides=(2, 3)),
    )
    for move in moves:
        before = made(move, quantize("m", "y"))
        after = quantize_first(before)
        assert [type(op) for op in after.operators] == [Quantize, type(move)]
        check(before, after)
    before = made(Surround(name="m", input="x", output="m", pads=(1, 0, 2, 1), value=0.3), quantize("m", "y"))
    after = quantize_first(before)  # what is put around the map is rounded too
    check(before, after)
    assert isinstance(around := after.operators[1], Surround)
    assert around.value == 0.25


def test_values_around_a_map_that_are_no_zeros_are_no_padding() -> None:
    conv = Conv(name="conv", input="m", output="y", weight="w")
    around: tuple[dict[str, Any], ...] = ({"value": 0.5}, {"strides": (2, 2)})
    for how in around:
        before = made(Surround(name="m", input="x", output="m", pads=(1, 1, 1, 1), **how), conv, w=weight(3, 3, 3, 4))
        assert fold_surround(before) is before
