"""The strict reader: what it accepts is exact, what it refuses is named."""

from dataclasses import dataclass, field
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.errors import ConfigError
from codesign.ir.strict import parse, to_plain
from codesign.ops.input import Input
from codesign.ops.node import Node
from codesign.ops.qtype import QType
from codesign.ops.shapes import Shape


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    count: int
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    colour: Colour = Colour.RED
    flag: bool = False
    sizes: tuple[int, ...] = ()
    pair: tuple[int, str] = (1, "a")
    maybe: int | None = None
    table: dict[str, int] = field(default_factory=dict)
    steps: tuple[Inner | Shape, ...] = ()


GOOD = {"name": "x", "inner": {"count": 3}}


def test_defaults_fill_what_is_not_given() -> None:
    assert parse(Outer, GOOD, "f.yaml") == Outer("x", Inner(3))


def test_an_integer_serves_as_float() -> None:
    assert parse(Inner, {"count": 1, "share": 1}, "f").share == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nmae": 1}, r"f\.yaml: unknown key 'nmae'; did you mean 'name'\?"),
        ({"zzzz": 1}, r"f\.yaml: unknown key 'zzzz'; known keys: name, inner"),
        ({"inner": {}}, r"f\.yaml: inner: missing key 'count'"),
        ({"inner": {"count": "3"}}, r"f\.yaml: inner: count: expected int, got '3'"),
        ({"inner": {"count": True}}, r"f\.yaml: inner: count: expected int, got True"),
        ({"inner": {"count": 1.0}}, r"f\.yaml: inner: count: expected int, got 1\.0"),
        ({"inner": {"count": 1, "share": "fast"}}, r"f\.yaml: inner: share: expected float, got 'fast'"),
        ({"inner": {"count": 1, "share": "1e-3"}}, r"only with a point, as 0\.001"),
        ({"inner": 7}, r"f\.yaml: inner: expected keys with values, got 7"),
        ({"colour": "green"}, r"f\.yaml: colour: expected one of 'red', 'blue', got 'green'"),
        ({"flag": 1}, r"f\.yaml: flag: expected bool, got 1"),
        ({"sizes": 3}, r"f\.yaml: sizes: expected a list, got 3"),
        ({"sizes": [1, "a"]}, r"f\.yaml: sizes\[1\]: expected int, got 'a'"),
        ({"pair": [1]}, r"f\.yaml: pair: expected 2 entries, got 1"),
        ({"maybe": "a"}, r"f\.yaml: maybe: expected int, got 'a'"),
        ({"table": {"a": "b"}}, r"f\.yaml: table: a: expected int, got 'b'"),
        ({"table": [1]}, r"f\.yaml: table: expected names with values"),
        ({"steps": [{"count": 1}]}, r"f\.yaml: steps\[0\]: kind: expected one of inner, shape, got 'nothing'"),
        ({"steps": [{"kind": "shape", "y": 0, "x": 1, "c": 1}]}, r"steps\[0\]: shape: expected positive extents"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(Outer, {**GOOD, **change}, "f.yaml")


inners = st.builds(Inner, st.integers(), st.floats(allow_nan=False, allow_infinity=False))
shapes = st.builds(Shape, *(st.integers(1, 99),) * 3)


@given(
    st.builds(
        Outer,
        name=st.text(),
        inner=inners,
        colour=st.sampled_from(Colour),
        flag=st.booleans(),
        sizes=st.tuples() | st.tuples(st.integers(), st.integers()),
        pair=st.tuples(st.integers(), st.text()),
        maybe=st.none() | st.integers(),
        table=st.dictionaries(st.text(), st.integers()),
        steps=st.lists(inners | shapes).map(tuple),
    )
)
def test_plain_data_and_back_is_exact(value: Outer) -> None:
    assert parse(Outer, to_plain(value), "f") == value


def test_a_union_of_node_classes_is_told_apart_by_kind() -> None:
    node = Input(name="x", shape=Shape(2, 2, 1), otype=QType(8, False))
    plain = to_plain(node, Node)
    assert plain["kind"] == "input"
    assert parse(Node, plain, "f") == node  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 10**400])
def test_numbers_that_are_not_finite_are_refused(number: float) -> None:
    with pytest.raises(ConfigError, match=r"f: share: expected (a finite number|float), got"):
        parse(Inner, {"count": 1, "share": number}, "f")
