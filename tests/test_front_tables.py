"""The page of operators says what the readers do."""

from pathlib import Path

import pytest

from codesign.errors import UnsupportedError
from codesign.front.operators_page import page
from codesign.front.read import read_network
from codesign.front.rules import MICROSOFT, QONNX, REFUSED, RULES
from front_models import OnnxFile

PAGE = Path(__file__).parent.parent / "docs" / "operators.md"


@pytest.mark.skipif(not PAGE.exists(), reason="not in a checkout")
def test_the_page_of_operators_is_fresh() -> None:
    assert PAGE.read_text() == page(), "python -m codesign.front.operators_page > docs/operators.md"


def one_node(operator: str, **attributes: object) -> OnnxFile:
    """A network of one node behind a quantization."""
    f = OnnxFile([1, 4, 6, 6])
    x = f.quant("x", 0.5, 8)
    domain = RULES[operator].domains if operator in RULES else frozenset({""})
    named = "com.microsoft" if domain == MICROSOFT else "qonnx.custom_op.general" if domain == QONNX else ""
    f.node(operator, [x], named, name="it", **attributes)
    return f


@pytest.mark.parametrize("operator", sorted(RULES))
def test_an_attribute_that_the_page_does_not_name_is_refused(tmp_path: Path, operator: str) -> None:
    f = one_node(operator, made_up=3)
    path = f.save(tmp_path / "made.onnx", f"t{len(f.nodes) - 1}")
    with pytest.raises(
        UnsupportedError, match=r"node 'it' \(.*\): attribute made_up = 3 is not supported; expected of: "
    ):
        read_network(path)


@pytest.mark.parametrize("operator", sorted(REFUSED))
def test_what_the_page_refuses_is_refused_with_its_words(tmp_path: Path, operator: str) -> None:
    f = one_node(operator)
    path = f.save(tmp_path / "made.onnx", f"t{len(f.nodes) - 1}")
    with pytest.raises(UnsupportedError) as caught:
        read_network(path)
    assert REFUSED[operator][0] in str(caught.value)
    assert REFUSED[operator][1] in str(caught.value)


@pytest.mark.parametrize(
    ("operator", "attribute"),
    [
        ("Conv", "auto_pad"), ("Conv", "pads"), ("Conv", "strides"), ("MaxPool", "storage_order"),
        ("Gemm", "transA"), ("AveragePool", "ceil_mode"), ("BatchNormalization", "training_mode"),
        ("Resize", "mode"), ("Pad", "mode"), ("Quant", "rounding_mode"), ("QuantizeLinear", "saturate"),
        ("DequantizeLinear", "block_size"), ("Reshape", "allowzero"), ("QLinearAveragePool", "channels_last"),
    ],
)  # fmt: skip
def test_a_value_that_the_page_does_not_name_is_refused_with_those_it_does(
    tmp_path: Path, operator: str, attribute: str
) -> None:
    (rule,) = (r for r in RULES[operator].rules if r.attribute == attribute)
    value: object = [-1, 0, 0, 0] if attribute == "pads" else [0, 1] if attribute == "strides" else 7
    value = {"auto_pad": "SAME", "mode": "cubic", "rounding_mode": "STOCHASTIC"}.get(attribute, value)
    f = one_node(operator, **{attribute: value})
    path = f.save(tmp_path / "made.onnx", f"t{len(f.nodes) - 1}")
    with pytest.raises(UnsupportedError) as caught:
        read_network(path)
    assert f"attribute {attribute} = {value!r} is not supported; expected {rule.supported}" in str(caught.value)
