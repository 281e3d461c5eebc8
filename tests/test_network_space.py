"""The space of networks: every choice is part of the network derived from it, and wrong spaces are refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from codesign.cosearch.cosearch import cosearch  # noqa: E402
from codesign.cosearch.pricing import Pricing  # noqa: E402
from codesign.cosearch.row import Row  # noqa: E402
from codesign.errors import ConfigError  # noqa: E402
from codesign.ir.board import Board  # noqa: E402
from codesign.ir.boards import load_board  # noqa: E402
from codesign.machine.legal import check_design  # noqa: E402
from codesign.model import golden  # noqa: E402
from codesign.nets.export import export  # noqa: E402
from codesign.nets.outputs import integer_outputs  # noqa: E402
from codesign.nets.train import train  # noqa: E402
from codesign.networks.derive import derive  # noqa: E402
from codesign.networks.network import skeleton  # noqa: E402
from codesign.networks.space import (  # noqa: E402
    BlockSpace,
    HeadPool,
    Kind,
    Operator,
    Space,
    StageSpace,
    decisions,
    depth,
)
from codesign.networks.spaces import list_spaces, load_space  # noqa: E402
from codesign.ops.add import Add  # noqa: E402
from codesign.ops.conv import Conv  # noqa: E402
from codesign.ops.input import Input  # noqa: E402
from codesign.ops.node import Node  # noqa: E402
from codesign.ops.shapes import Shape  # noqa: E402
from codesign.search.design import search_design  # noqa: E402
from codesign.testing.small_search import (  # noqa: E402
    SHAPE,
    rich_space,
    tiny_config,
    tiny_data,
    tiny_space,
    tiny_task,
    train_config,
)

pytestmark = pytest.mark.torch
SPACES = pytest.mark.parametrize("space", [tiny_space(), rich_space()], ids=["tiny", "rich"])


def test_every_choice_is_part_of_the_derived_network() -> None:
    space = tiny_space()
    base = [0] * len(decisions(space))
    first = derive(space, base, "n", SHAPE, ("a", "b", "c"))
    for i, decision in enumerate(decisions(space)):
        for option in range(1, len(decision.options)):
            row = list(base)
            row[i] = option
            assert derive(space, row, "n", SHAPE, ("a", "b", "c")).layers != first.layers, decision.name


def test_size_of_the_space_and_depth_are_counted() -> None:
    space = tiny_space()
    assert space.networks == 2 * 2 * 2 * 2 * 3 * 1 * 2 * 1 * 2 * 1 * 3 * 1
    assert depth(space, [0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]) == 2
    assert f"{load_space('fashion').networks:.1e}" == "8.5e+09"


def test_wrong_spaces_are_refused() -> None:
    skip = Operator(kind=Kind.SKIP)
    with pytest.raises(ValueError, match="first block changes width or size and cannot be skipped"):
        StageSpace(
            stride=1, widths=(4,), activation_bits=(4,), blocks=(BlockSpace(operators=(skip,), weight_bits=(4,)),)
        )
    with pytest.raises(ValueError, match="bits: expected 2 to 8, got 9"):
        replace(tiny_space(), head_weight_bits=(9,))
    with pytest.raises(ConfigError, match="'fasion' is not known; did you mean 'fashion'"):
        load_space("fasion")


@pytest.mark.parametrize(
    ("name", "shape", "networks"),
    [
        # 22 blocks, of which 7 lead a stage: 8 operators, the other 15 one more, a skip
        ("fbnet-cifar", Shape(32, 32, 3), 8**7 * 9**15),
        ("fbnet-imagenet", Shape(224, 224, 3), 8**7 * 9**15),
        # and three weight widths for each block, stem, header and classifier, three activation widths for 9 stages
        ("auto-nba", Shape(32, 32, 3), 8**7 * 9**15 * 3**25 * 3**9),
        ("fashion", Shape(28, 28, 1), 8_503_056_000),
    ],
)
def test_the_spaces_that_travel_with_the_package_have_their_published_size(
    name: str, shape: Shape, networks: int
) -> None:
    space = load_space(name)
    assert name in list_spaces()
    assert space.networks == networks
    largest = [max(range(len(d.options)), key=lambda i, d=d: d.options[i] != "skip") for d in decisions(space)]
    graph = skeleton(derive(space, largest, "n", shape, tuple(f"c{i}" for i in range(10))))
    assert graph.output.oshape == Shape(1, 1, 10)


def nameless(node: Node) -> Node:
    """The node without what says where it stands."""
    if isinstance(node, Input):
        return node
    return replace(node, name="", **({"sources": ("", "")} if isinstance(node, Add) else {"source": ""}))


@SPACES
@settings(max_examples=15)
@given(st.integers(0, 2**16))
def test_a_derived_network_of_a_random_row_has_the_nodes_that_were_priced(space: Space, seed: int) -> None:
    pricing = Pricing(tiny_task(load_board("pynq-z2"), 400, space=space))
    rng = np.random.default_rng(seed)
    row = Row(tuple(int(rng.integers(n)) for n in pricing.sizes))
    graph = skeleton(derive(space, row.network, "n", SHAPE, ("a", "b", "c")))
    priced = sorted(str(nameless(n)) for n in pricing.nodes(row))
    assert priced == sorted(str(nameless(n)) for n in graph.nodes[1:])


def grouped_space(operator: Operator) -> Space:
    """One stage of 8 channels whose second block may be the operator."""
    conv = Operator(kind=Kind.CONV, kernel=3)
    blocks = (BlockSpace(operators=(conv,), weight_bits=(4,)), BlockSpace(operators=(operator,), weight_bits=(4,)))
    stage = StageSpace(stride=2, widths=(8,), activation_bits=(4,), blocks=blocks)
    return Space(stages=(stage,), head_pools=(HeadPool.GLOBAL,), head_weight_bits=(4,))


@pytest.mark.parametrize("kind", [Kind.CONV, Kind.SEPARABLE, Kind.INVERTED])
def test_a_network_of_grouped_convolutions_is_searched_trained_and_exact(
    board: Board, tmp_path: Path, kind: Kind
) -> None:
    space = grouped_space(Operator(kind=kind, kernel=3, groups=4))
    data, config = tiny_data(), tiny_config(min_fps=100_000.0, minimum_depth=1)
    found = cosearch(data, space, board, config, tmp_path)
    trained = train(found.network, data, replace(train_config(), float_epochs=1, quantized_epochs=1), tmp_path)
    graph = export(trained.net)
    grouped = [n for n in graph.nodes if isinstance(n, Conv) and n.groups == 4]
    assert [n.c_per_group for n in grouped] == [2] * (2 if kind is Kind.INVERTED else 1)
    design = search_design(graph, board).design
    check_design(design, graph)
    engines = [replace(e, pe=3, emit=3) if grouped[0].name in e.nodes else e for e in design.engines]
    with pytest.raises(ConfigError, match=r"so PE must divide \d+ and SIMD 2; its engine has PE 3 and SIMD \d"):
        check_design(replace(design, engines=tuple(engines)), graph)
    x = data.test_x
    assert np.array_equal(integer_outputs(trained.net, x), golden.run(graph, x.astype(np.int64)))


def test_groups_need_widths_that_they_divide(board: Board, tmp_path: Path) -> None:
    operator = Operator(kind=Kind.CONV, kernel=3, groups=4)
    assert str(operator) == "conv3g4"
    blocks = (BlockSpace(operators=(operator,), weight_bits=(4,)),)
    for widths in ((8, 12), (6,)):
        with pytest.raises(ValueError, match="groups: 4 need one width, a multiple of it; got the widths"):
            StageSpace(stride=1, widths=widths, activation_bits=(4,), blocks=blocks)
    stage = StageSpace(stride=1, widths=(8,), activation_bits=(4,), blocks=blocks)
    wide = replace(stage, widths=(4, 8), blocks=(BlockSpace(operators=(Operator(kind=Kind.CONV),), weight_bits=(4,)),))
    with pytest.raises(ValueError, match="need one width of the stage before"):
        Space(stages=(wide, stage), head_pools=(HeadPool.GLOBAL,), head_weight_bits=(4,))
    both = BlockSpace(operators=(replace(operator, groups=2), operator), weight_bits=(4,))
    six = replace(wide, widths=(6,))  # which two divide, and four do not
    with pytest.raises(ValueError, match="groups: 4 need one width of the stage before"):
        Space(stages=(six, replace(stage, blocks=(both,))), head_pools=(HeadPool.GLOBAL,), head_weight_bits=(4,))
    space = Space(stages=(stage,), head_pools=(HeadPool.GLOBAL,), head_weight_bits=(4,))
    with pytest.raises(ConfigError, match="4 groups do not divide its 8 channels and the 1 of 'input'"):
        cosearch(tiny_data(), space, board, tiny_config(), tmp_path)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"stride": 0}, "stride: expected 1 to 64, got 0"),
        ({"widths": (8, -4)}, "widths: expected 1 to 4,096 channels, got -4"),
        ({"widths": (4, 8, 4)}, "widths: expected different options, got 4 twice"),
        ({"activation_bits": (4, 4)}, "activation_bits: expected different options, got 4 twice"),
    ],
)
def test_impossible_stages_are_refused_by_name(changes: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        replace(tiny_space().stages[0], **changes)  # type: ignore[arg-type]


def test_an_operator_given_twice_is_refused() -> None:
    conv = Operator(kind=Kind.CONV, kernel=3)
    with pytest.raises(ValueError, match="operators: expected different options, got conv3 twice"):
        BlockSpace(operators=(conv, conv), weight_bits=(4,))
