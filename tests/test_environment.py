"""The template environment: filters, and strictness about names."""

import jinja2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.emit.environment import LINE_LENGTH, c_array, c_value, environment, hex32, render, sv_hex, tcl_quote
from codesign.emit.identity import design_hash, heading
from codesign.testing.small import small_design, small_graph


def test_c_array_has_a_row_per_line() -> None:
    assert c_array(np.array([[1, -2], [3, 4]])) == "{\n  {1, -2},\n  {3, 4}\n}"


@given(st.lists(st.integers(-(2**31), 2**31), min_size=1, max_size=200))
def test_c_array_keeps_every_value_within_the_line_length(values: list[int]) -> None:
    text = c_array(np.array([values]))
    assert [int(v) for v in text.replace("{", " ").replace("}", " ").split(",")] == values
    assert max(len(line) for line in text.splitlines()) <= LINE_LENGTH


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (False, "false"), (7, "7"), (-8, "-8"), (-(2**31), "(-2147483647 - 1)")]
)
def test_c_value_is_a_literal(value: int | bool, text: str) -> None:
    assert c_value(value) == text


def test_hex32_takes_either_half() -> None:
    assert hex32(0x0123456789ABCDEF) == "0x89abcdef"
    assert hex32(0x0123456789ABCDEF, 32) == "0x01234567"


@pytest.mark.parametrize(
    ("value", "bits", "text"), [(5, 8, "8'h05"), (-1, 8, "8'hff"), (-1, 5, "5'h1f"), (0, 1, "1'h0")]
)
def test_sv_hex_has_its_width(value: int, bits: int, text: str) -> None:
    assert sv_hex(value, bits) == text


@pytest.mark.parametrize("value", [256, -129])
def test_sv_hex_refuses_what_does_not_fit(value: int) -> None:
    with pytest.raises(ValueError, match="does not fit 8 bits"):
        sv_hex(value, 8)


def test_tcl_quote_leaves_nothing_to_substitute() -> None:
    assert tcl_quote('a b$c[d]{e}"f\\') == '"a b\\$c\\[d\\]\\{e\\}\\"f\\\\"'


def test_a_misspelt_name_raises() -> None:
    template = environment().from_string("int x = {{ config.nmae }};")
    with pytest.raises(jinja2.UndefinedError, match="nmae"):
        template.render(config=small_graph())
    with pytest.raises(jinja2.UndefinedError, match="'heading' is undefined"):
        render("hls/project/params.hpp.j2", {})


def test_the_hash_of_a_design_depends_on_parameters_and_design() -> None:
    same = design_hash(small_graph(), small_design())
    assert same == design_hash(small_graph(), small_design()) < 2**64
    assert same != design_hash(small_graph(seed=2), small_design())
    assert f"{same:016x}" in heading(small_graph(), small_design())
