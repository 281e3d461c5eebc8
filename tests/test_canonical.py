"""Digests: equal for equal values, and untouched by a field that is added with a default."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from codesign.ir.canonical import canonical, digest
from codesign.ir.design import Design, LineEngine
from codesign.ir.graph import Encoding, Graph
from codesign.ops.conv import Conv
from codesign.testing.small import small_design, small_graph


def with_new_field(value: Any, default: object) -> Any:
    """The same value, of a class of the same name that has one field more."""
    cls = type(value)
    more = dataclasses.make_dataclass(
        cls.__name__,
        [("added_later", Any, dataclasses.field(default=default))],
        bases=(cls,),
        frozen=True,
        kw_only=True,
    )
    return more(**{f.name: getattr(value, f.name) for f in dataclasses.fields(value)})


@pytest.mark.parametrize("default", [0, None, "", (1, 2), False])
def test_a_node_and_an_engine_with_a_new_defaulted_field_keep_every_digest(default: object) -> None:
    graph, design = small_graph(), small_design()
    nodes = tuple(with_new_field(n, default) if isinstance(n, Conv) else n for n in graph.nodes)
    assert digest(nodes) == digest(graph.nodes)
    engines = tuple(with_new_field(e, default) for e in design.engines)
    assert dataclasses.replace(design, engines=engines).digest() == design.digest()


def test_a_new_field_counts_as_soon_as_it_is_not_at_its_default() -> None:
    node = next(n for n in small_graph().nodes if isinstance(n, Conv))
    assert digest(dataclasses.replace(with_new_field(node, 0), added_later=1)) != digest(node)


def test_every_field_and_every_parameter_of_a_graph_counts() -> None:
    graph = small_graph()
    changes: dict[str, object] = {
        "name": "other",
        "input_scale": 0.5,
        "output_scale": 0.5,
        "labels": ("a", "b", "c"),
        "encoding": Encoding(offset=1.0),
    }
    digests = {Graph(**({f.name: getattr(graph, f.name) for f in dataclasses.fields(graph)} | {k: v})).digest()
               for k, v in changes.items()}  # type: ignore[arg-type]  # fmt: skip
    params = {k: v.copy() for k, v in graph.params.items()}
    params["conv.bias"] = params["conv.bias"] - np.int64(1)
    digests.add(dataclasses.replace(graph, params=params).digest())
    assert len(digests | {graph.digest()}) == len(changes) + 2


def test_kinds_of_different_classes_differ() -> None:
    engine = LineEngine(nodes=("a",), pe=1, simd=1, emit=1)
    assert canonical(engine) == {"kind": "line", "nodes": ["a"], "pe": 1, "simd": 1, "emit": 1}
    assert canonical(Design(engines=(engine,)))["kind"] == "design"


def test_what_has_no_canonical_form_is_an_error() -> None:
    with pytest.raises(TypeError, match="ndarray"):
        digest(np.zeros(3))
