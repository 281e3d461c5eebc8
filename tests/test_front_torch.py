"""PyTorch modules through torch.export: the Source computes what the module does; others are refused by name."""

from collections.abc import Callable

import numpy as np
import pytest

from codesign.errors import ConfigError, UnsupportedError
from codesign.front.evaluate import evaluate
from codesign.front.read import prepared
from codesign.front.source import Add, Clip, Conv, Source

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from codesign.front.torch_module import is_module, read_module, run_module  # noqa: E402

SHAPE = (1, 4, 8, 12)


class Function(nn.Module):
    """A module of a function, with a layer and a parameter that the function may use."""

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__()
        self.function = function
        self.layer = nn.Conv2d(4, 4, 3, padding=1)
        self.scale = nn.Parameter(torch.rand(4, 1, 1) + 0.5)

    def forward(self, x: object) -> object:
        return self.function(x, self)


def residual(x, m):  # type: ignore[no-untyped-def]
    y = m.layer(x)
    return F.relu(y + x)


FUNCTIONS: dict[str, Callable[..., object]] = {
    "relu": lambda x, m: torch.relu(x),
    "relu6": lambda x, m: F.relu6(x),
    "hardtanh": lambda x, m: F.hardtanh(x, -0.5, 1.5),
    "clamp": lambda x, m: x.clamp(-0.25, 0.75),
    "clamp with one bound": lambda x, m: x.clamp(min=-0.25),
    "in place": lambda x, m: F.relu(m.layer(x), inplace=True),
    "residual": residual,
    "sub": lambda x, m: m.layer(x) - x,
    "add of a number": lambda x, m: x + 0.5,
    "number minus a map": lambda x, m: 1.0 - x,
    "mul by a parameter": lambda x, m: x * m.scale,
    "div by a number": lambda x, m: x / 3,
    "cat": lambda x, m: torch.cat([x, m.layer(x)], 1),
    "max pool": lambda x, m: F.max_pool2d(x, 3, 2, 1),
    "max pool with holes": lambda x, m: F.max_pool2d(x, 2, 1, dilation=2),
    "avg pool": lambda x, m: F.avg_pool2d(x, 2),
    "avg pool over padding": lambda x, m: F.avg_pool2d(x, 3, 1, 1),
    "avg pool without padding": lambda x, m: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    "adaptive to one": lambda x, m: F.adaptive_avg_pool2d(x, 1),
    "adaptive to some": lambda x, m: F.adaptive_avg_pool2d(x, (4, 3)),
    "adaptive max": lambda x, m: F.adaptive_max_pool2d(x, 1),
    "mean": lambda x, m: x.mean((2, 3)),
    "mean that keeps axes": lambda x, m: x.mean((-1, -2), keepdim=True),
    "flatten": lambda x, m: x.flatten(1),
    "view": lambda x, m: x.view(x.shape[0], -1),
    "permute": lambda x, m: x.permute(0, 2, 3, 1),
    "pad": lambda x, m: F.pad(x, (1, 2, 0, 3)),
    "upsample": lambda x, m: F.interpolate(x, scale_factor=2, mode="nearest"),
    "upsample to a size": lambda x, m: F.interpolate(x, size=(16, 36), mode="nearest"),
    "mean over rows": lambda x, m: x.mean(2),
    "mean over columns that keeps them": lambda x, m: x.mean(-1, keepdim=True),
    "pad with ones": lambda x, m: F.pad(x, (1, 2, 0, 3), value=1.0),
    "bilinear": lambda x, m: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "bilinear by three and four": lambda x, m: F.interpolate(x, scale_factor=(3, 4), mode="bilinear"),
    "bilinear to a size": lambda x, m: F.interpolate(x, size=(16, 60), mode="bilinear", align_corners=False),
    "chunk": lambda x, m: torch.cat(x.chunk(2, 1)[::-1], 1),
    "split": lambda x, m: torch.cat(list(m.layer(x).split([1, 3], 1))[::-1], 1),
    "split into equal parts": lambda x, m: x.split(2, 1)[1] * x.split(2, 1)[0],
    "slice of channels": lambda x, m: x[:, 1:3],
    "narrow": lambda x, m: x.narrow(1, 2, 2),
    "dropout": lambda x, m: F.dropout(m.layer(x), 0.5, m.training),
}

MODULES: dict[str, Callable[[], nn.Module]] = {
    "conv": lambda: nn.Conv2d(4, 6, 3, 2, 1),
    "conv of groups": lambda: nn.Conv2d(4, 8, (3, 1), (1, 2), (1, 0), groups=2, bias=False),
    "conv with holes": lambda: nn.Conv2d(4, 4, 3, dilation=2),
    "conv to the same extents": lambda: nn.Conv2d(4, 4, (4, 3), padding="same"),
    "conv without padding": lambda: nn.Conv2d(4, 4, 3, padding="valid"),
    "batch norm": lambda: nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU()),
    "batch norm alone": lambda: nn.BatchNorm2d(4, affine=False),
    "dense": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(384, 5), nn.Dropout(0.5), nn.ReLU(), nn.Linear(5, 3, bias=False)
    ),
    "transposed conv": lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, 1),
    "transposed conv of groups": lambda: nn.ConvTranspose2d(4, 8, (2, 4), (2, 1), (0, 2), groups=2, bias=False),
    "transposed conv with holes": lambda: nn.ConvTranspose2d(4, 4, 3, dilation=2),
    "zero padding": lambda: nn.Sequential(nn.ZeroPad2d((0, 1, 2, 0)), nn.Conv2d(4, 4, 3)),
}


def same_values(module: nn.Module, shape: tuple[int, ...] = SHAPE) -> Source:
    rng = np.random.default_rng(0)
    for name, values in [*module.named_parameters(), *module.named_buffers()]:
        if values.is_floating_point():
            found = rng.uniform(0.5, 2, values.shape) if "var" in name else rng.normal(0, 0.4, values.shape)
            values.data = torch.from_numpy(found.astype(np.float32))
    source = read_module(module, np.zeros(shape))
    x = rng.normal(0, 1, (3, *shape[1:])).astype(np.float32).astype(np.float64)
    (expected,) = run_module(module.double(), x)
    found = evaluate(source, x)[source.outputs[0]]
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-12 * max(1.0, np.abs(expected).max()) * 100
    return source


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_computes_the_same_in_float64(name: str) -> None:
    same_values(Function(FUNCTIONS[name]))


@pytest.mark.parametrize("name", MODULES)
def test_a_layer_computes_the_same_in_float64(name: str) -> None:
    same_values(MODULES[name]())


def test_a_layer_over_columns_alone_computes_the_same() -> None:
    pools = nn.MaxPool1d(2), nn.AvgPool1d(3, 1, 1)
    module = nn.Sequential(nn.Conv1d(4, 6, 3, 2, 1), nn.ReLU(), *pools, nn.ConvTranspose1d(6, 4, 3, 2, 1, 1))
    same_values(module, (1, 4, 20))


def test_layers_have_the_names_of_the_modules() -> None:
    source = same_values(MODULES["batch norm"]())
    assert [op.name for op in source.operators] == ["0", "1", "2"]


def test_a_module_in_training_mode_is_read_in_inference_mode_and_comes_back_as_it_was() -> None:
    module = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5)).train()
    module[1].eval()
    read_module(module, np.zeros(SHAPE))
    assert [part.training for part in module.modules()] == [True, True, False, True]


def test_a_residual_module_has_a_sum_and_a_clip_and_is_simplified() -> None:
    source = prepared("module", same_values(Function(residual)))
    assert [type(op) for op in source.operators] == [Conv, Add, Clip]


def test_all_operators_that_are_not_read_are_named_at_once() -> None:
    def odd(x, m):  # type: ignore[no-untyped-def]
        return torch.cat([torch.sort(x, 1)[0], torch.erf(x), x.cumsum(2)], 1)

    with pytest.raises(UnsupportedError) as error:
        read_module(Function(odd), np.zeros(SHAPE))
    for operator in ("aten.sort", "aten.erf", "aten.cumsum"):
        assert operator in str(error.value)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda x, m: x / m.layer(x), "two maps"),
        (lambda x, m: x.mean(1), "rows, columns or both"),
        (lambda x, m: F.adaptive_avg_pool2d(x, (3, 5)), "divide"),
        (lambda x, m: F.interpolate(x, size=(9, 13)), "whole factors"),
        (lambda x, m: F.pad(x, (1, 1), mode="reflect"), "is not supported"),
        (lambda x, m: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True), "align_corners"),
        (lambda x, m: x[:, ::2], "steps of 1"),
        (lambda x, m: x.split(2, 0)[0] + 1, "axis 0, the batch"),
        (lambda x, m: F.max_pool2d(x, 3, 2, ceil_mode=True), "ceil_mode"),
        (lambda x, m: x.permute(1, 0, 2, 3), "batch"),
        (lambda x, m: torch.add(x, x, alpha=2), "alpha"),
        (lambda x, m: (x.relu(), 3), "maps as outputs"),
        (lambda x, m: m.scale, "does not depend"),
        (lambda x, m: x if x.sum() > 0 else -x, "torch.export"),
    ],
)
def test_what_is_not_read_is_refused_with_what_would_do(function: Callable[..., object], told: str) -> None:
    with pytest.raises(UnsupportedError, match=told):
        read_module(Function(function), np.zeros(SHAPE))


def test_several_outputs_are_read_in_order() -> None:
    module = Function(lambda x, m: {"map": m.layer(x), "pair": (x.mean((2, 3)), F.relu(x))}).double()
    source = read_module(module, np.zeros(SHAPE))
    x = np.random.default_rng(1).normal(0, 1, (2, *SHAPE[1:]))
    held = evaluate(source, x)
    expected = run_module(module, x)
    assert [y.shape for y in expected] == [(2, 4, 8, 12), (2, 4), (2, 4, 8, 12)]
    for output, y in zip(source.outputs, expected, strict=True):
        assert np.allclose(held[output], y, 0, 1e-12)


def test_an_example_of_another_shape_is_refused() -> None:
    with pytest.raises(ConfigError, match="example"):
        read_module(nn.ReLU(), np.zeros(3))
    with pytest.raises(UnsupportedError, match="cannot trace the module"):
        read_module(nn.Conv2d(3, 4, 3), np.zeros(SHAPE))


def test_weights_that_are_not_finite_are_refused() -> None:
    module = nn.Conv2d(4, 4, 1)
    module.weight.data[0] = float("nan")
    with pytest.raises(UnsupportedError, match="infinite or no numbers"):
        read_module(module, np.zeros(SHAPE))


def test_only_modules_are_modules() -> None:
    assert is_module(nn.ReLU())
    assert not is_module("net.onnx")


class Gated(nn.Module):
    """A map times what is made of its mean."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(4, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.inner(x.mean((2, 3), keepdim=True))) * x


ACTIVATIONS: list[nn.Module] = [
    nn.LeakyReLU(0.2),
    nn.PReLU(4),
    nn.PReLU(),
    nn.Hardswish(),
    nn.Hardsigmoid(),
    nn.Sigmoid(),
    nn.Tanh(),
    nn.ELU(0.7),
    nn.GELU(),
    nn.GELU("tanh"),
    nn.SiLU(),
    nn.Mish(),
    nn.PixelShuffle(2),
    nn.PixelUnshuffle(2),
    nn.ChannelShuffle(2),
    Gated(),
]


@pytest.mark.parametrize("module", ACTIVATIONS, ids=lambda module: str(module)[:24])
def test_an_activation_or_a_shuffle_computes_the_same_in_float64(module: nn.Module) -> None:
    same_values(nn.Sequential(nn.Conv2d(4, 4, 1), module))  # with weights it computes in float64
