"""Fake-quantized torch equals the golden model at every node; the quantizers round and pass gradients."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from codesign.errors import ConfigError  # noqa: E402
from codesign.model import golden  # noqa: E402
from codesign.nets.batches import Images, generator, shuffled  # noqa: E402
from codesign.nets.export import export  # noqa: E402
from codesign.nets.net import FloatNet, QuantNet, to_input  # noqa: E402
from codesign.nets.quantizer import best_exponent, best_weight_exponent, power, quantize, quantize_weight  # noqa: E402
from codesign.networks.network import AddLayer, ConvLayer, Layer, Network, PoolLayer, same_window, skeleton  # noqa: E402
from codesign.ops.add import Add  # noqa: E402
from codesign.ops.conv import Conv  # noqa: E402
from codesign.ops.pool import PoolOp  # noqa: E402
from codesign.ops.qtype import QType  # noqa: E402
from codesign.ops.requantize import Scaling  # noqa: E402
from codesign.ops.shapes import Shape  # noqa: E402

pytestmark = pytest.mark.torch


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Small networks of every kind of layer, odd shapes, 2 to 8 bits."""
    shape = Shape(draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.integers(1, 4)))
    layers: list[Layer] = []
    source, channels, y, x = "input", shape.c, shape.y, shape.x

    def bits() -> int:
        return draw(st.integers(2, 8))

    for i in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["conv", "grouped", "depthwise", "residual", "max", "average"]))
        if kind in ("conv", "grouped", "depthwise"):
            divisors = [n for n in range(1, channels + 1) if channels % n == 0]
            groups = {"conv": 1, "grouped": draw(st.sampled_from(divisors)), "depthwise": channels}[kind]
            k = channels if kind == "depthwise" else groups * draw(st.integers(1, 6))
            kernel, stride = draw(st.sampled_from([1, 2, 3, 5])), draw(st.integers(1, 2))
            layers.append(
                ConvLayer(
                    name=f"c{i}", source=source, k=k, kernel=kernel, stride=stride, groups=groups,
                    weight_bits=bits(), bits=bits(), relu=draw(st.booleans()),
                )
            )  # fmt: skip
            y, x = -(-y // stride), -(-x // stride)
            source, channels = f"c{i}", k
        elif kind == "residual":
            layers.append(
                ConvLayer(
                    name=f"c{i}", source=source, k=channels, kernel=3, weight_bits=bits(), bits=bits(), relu=False
                )
            )
            layers.append(AddLayer(name=f"a{i}", sources=(source, f"c{i}"), bits=bits()))
            source = f"a{i}"
        else:
            layers.append(PoolLayer(name=f"p{i}", source=source, op=PoolOp(kind), kernel=2))
            y, x = (y - min(2, y)) // min(2, y) + 1, (x - min(2, x)) // min(2, x) + 1
            source = f"p{i}"
    if max(y, x) > 7:
        layers.append(PoolLayer(name="gap", source=source, op=PoolOp.AVERAGE, kernel=0))
        source = "gap"
    layers.append(
        ConvLayer(name="fc", source=source, k=3, kernel=1, covers=True, weight_bits=bits(), bits=16, relu=False)
    )
    return Network(name="net", shape=shape, layers=tuple(layers), labels=("a", "b", "c"))


def quantized(network: Network, seed: int) -> tuple[QuantNet, np.ndarray]:
    """A net with random weights and normalization, and images to run."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (8, network.shape.y, network.shape.x, network.shape.c), dtype=np.uint8)
    images[0], images[1] = 0, 255
    net = FloatNet(network, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for conv in net.convs.values():
            if conv.norm is not None:
                conv.norm.running_mean.normal_(generator=generator)
                conv.norm.running_var.uniform_(0.1, 4.0, generator=generator)
                conv.norm.weight.uniform_(-2.0, 2.0, generator=generator)
                conv.norm.bias.normal_(generator=generator)
            else:
                conv.bias.normal_(generator=generator)
    net.eval()
    return QuantNet.from_float(net, to_input(torch.from_numpy(images))), images


@settings(max_examples=60)
@given(networks(), st.integers(0, 2**16))
def test_random_nets_equal_the_golden_model_at_every_node(network: Network, seed: int) -> None:
    net, images = quantized(network, seed)
    graph = export(net)
    found = net.integers(to_input(torch.from_numpy(images)))
    for name, expected in golden.run_all(graph, images.astype(np.int64)).items():
        assert np.array_equal(found[name].numpy(), expected), name


@settings(max_examples=25)
@given(networks(), st.integers(0, 2**16))
def test_random_skeletons_have_the_shapes_and_types_of_the_exported_graph(network: Network, seed: int) -> None:
    graph = export(quantized(network, seed)[0])
    assert len(graph.nodes) == len(skeleton(network).nodes)
    for planned, real in zip(skeleton(network).nodes, graph.nodes, strict=True):
        assert (planned.name, planned.inputs, planned.oshape, planned.otype) == (
            real.name,
            real.inputs,
            real.oshape,
            real.otype,
        )
        if isinstance(planned, Conv) and isinstance(real, Conv):
            assert real.multiplier_bits <= planned.multiplier_bits
            assert real.scaling is not Scaling.GENERAL


def test_sums_beyond_float32_are_exact() -> None:
    """8-bit weights over 7x7x512 inputs: sums reach 2**29, where float32 has steps of 64."""
    layers = (
        ConvLayer(name="up", source="input", k=512, kernel=1, weight_bits=8, bits=8, relu=True),
        ConvLayer(name="fc", source="up", k=3, kernel=1, covers=True, weight_bits=8, bits=16, relu=False),
    )
    network = Network(name="wide", shape=Shape(7, 7, 1), layers=layers, labels=("a", "b", "c"))
    net, images = quantized(network, 3)
    net.units["fc"].weight.data.abs_().clamp_min_(0.01)
    net.units["fc"].exponent.fill_(int(net.units["fc"].weight_exponent.max()) + int(net.units["up"].exponent) + 1)
    graph = export(net)
    assert graph.output.acc_bits > 26  # type: ignore[union-attr]
    found = net.integers(to_input(torch.from_numpy(images)))
    expected = golden.run_all(graph, images.astype(np.int64))
    assert all(np.array_equal(found[n].numpy(), expected[n]) for n in expected)


def test_training_and_evaluation_modes_agree_on_small_sums() -> None:
    network = Network(
        name="n",
        shape=Shape(6, 6, 1),
        layers=(
            ConvLayer(name="a", source="input", k=4, kernel=3, weight_bits=4, bits=4, relu=True),
            ConvLayer(name="fc", source="a", k=2, kernel=1, covers=True, weight_bits=4, bits=16, relu=False),
        ),
        labels=("a", "b"),
    )
    net, images = quantized(network, 5)
    x = to_input(torch.from_numpy(images))
    assert torch.allclose(net.train()(x), net.eval()(x), atol=1e-4)


@given(st.floats(-40, 40, width=32), st.integers(-6, 2), st.integers(2, 8), st.booleans())
def test_quantize_is_round_half_up_and_clamp(value: float, exponent: int, bits: int, signed: bool) -> None:
    qtype = QType(bits, signed=signed)
    found = float(quantize(torch.tensor([value]), exponent, qtype)[0])
    steps = (Fraction(float(np.float32(value))) / Fraction(2) ** exponent + Fraction(1, 2)).__floor__()
    assert Fraction(found) == min(max(steps, qtype.qmin), qtype.qmax) * Fraction(2) ** exponent


@given(st.lists(st.integers(-126, 127), min_size=1, max_size=9))
def test_power_of_two_is_exact(exponents: list[int]) -> None:
    found = power(torch.tensor(exponents), torch.zeros(1))
    assert found.tolist() == [2.0**e for e in exponents]


def test_gradient_passes_inside_the_range_and_stops_outside() -> None:
    x = torch.tensor([-1.0, -0.2, 0.0, 0.49, 1.0, 3.7, 3.8, 9.0], requires_grad=True)
    quantize(x, -1, QType(3, signed=False)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]


def test_weights_use_the_symmetric_range_and_neighbouring_scales() -> None:
    weight = torch.tensor([[1.0, -1.0], [0.001, -0.002], [0.0, 0.0]])
    exponent = best_weight_exponent(weight, 4, 3)
    assert int(exponent.max() - exponent.min()) <= 3
    steps = quantize_weight(weight, torch.full((3,), -4), 4) * 16
    assert steps.tolist() == [[7.0, -7.0], [0.0, 0.0], [0.0, 0.0]]


def test_best_exponent_clips_outliers_rather_than_lose_resolution() -> None:
    bulk = torch.linspace(0, 1, 1000)
    assert best_exponent(torch.cat([bulk, torch.tensor([1.6])]), QType(4, signed=False)) == -4


def test_even_kernels_and_maps_of_one_column_get_the_least_padding() -> None:
    window = same_window(Shape(28, 28, 1), 3, 2)
    assert (window.pad_top, window.pad_bottom, window.out_extents(28, 28)) == (0, 1, (14, 14))
    line = same_window(Shape(64, 1, 6), 5, 2)
    assert (line.fy, line.fx, line.stride_x, line.out_extents(64, 1)) == (5, 1, 1, (32, 1))


def test_a_dense_layer_over_a_large_map_is_refused_by_name() -> None:
    fc = ConvLayer(name="fc", source="input", k=2, kernel=1, covers=True, weight_bits=4, bits=16, relu=False)
    network = Network(name="n", shape=Shape(28, 28, 1), layers=(fc,), labels=("a", "b"))
    with pytest.raises(ConfigError, match="layer 'fc': its window is 28x28, but a convolution's has at most 7x7"):
        skeleton(network)


@pytest.mark.parametrize("groups", [0, 3])
def test_groups_that_do_not_divide_are_refused_by_name(groups: int) -> None:
    conv = ConvLayer(name="conv", source="input", k=4, kernel=1, groups=groups, weight_bits=4, bits=4, relu=True)
    network = Network(name="n", shape=Shape(8, 8, 4), layers=(conv,), labels=("a", "b", "c", "d"))
    with pytest.raises(ConfigError, match=f"layer 'conv': its {groups} groups do not divide its 4 channels and the 4"):
        skeleton(network)


def test_residual_inputs_of_different_scales_are_aligned_by_multipliers() -> None:
    layers = (
        ConvLayer(name="a", source="input", k=2, kernel=1, weight_bits=4, bits=4, relu=True),
        ConvLayer(name="b", source="a", k=2, kernel=3, weight_bits=4, bits=8, relu=False),
        AddLayer(name="s", sources=("a", "b"), bits=4),
        ConvLayer(name="fc", source="s", k=2, kernel=1, covers=True, weight_bits=4, bits=16, relu=False),
    )
    net, _ = quantized(Network(name="n", shape=Shape(4, 4, 1), layers=layers, labels=("a", "b")), 1)
    node = export(net).node("s")
    assert isinstance(node, Add)
    assert sorted(node.multipliers)[0] == 1
    assert sorted(node.multipliers)[1] > 1


def test_small_sets_are_passed_over_repeatedly_and_moved() -> None:
    x = torch.zeros(6, 1, 9, 9, dtype=torch.uint8)
    x[:, 0, 4, 4] = torch.arange(1, 7, dtype=torch.uint8)
    images = Images(x, torch.arange(6))
    once = list(shuffled(images, 3, generator(1), flip=False, least=6, shift=1))
    assert len(once) == 2
    assert all(bool((b.x[:, 0, 4, 4] == b.y + 1).all()) for b in once)
    often = list(shuffled(images, 3, generator(1), flip=False, least=50, shift=1))
    assert len(often) == 18
    assert sorted(torch.cat([b.y for b in often]).tolist()) == sorted(list(range(6)) * 9)
    places = {tuple(p) for b in often for p in b.x[:, 0].nonzero()[:, 1:].tolist()}
    assert places == {(y, x) for y in (3, 4, 5) for x in (3, 4, 5)}
    assert all(bool((b.x.amax((1, 2, 3)) == b.y + 1).all()) for b in often)
