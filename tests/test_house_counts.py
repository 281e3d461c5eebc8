"""The counts of scripts/house_counts.py, each on a few lines where the answer is seen."""

import ast
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "house_counts.py"
KINDS = frozenset({"Input", "Conv", "Pool", "Add"})

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="not in a checkout")


def tree(text: str) -> ast.Module:
    return ast.parse(textwrap.dedent(text))


def test_a_function_that_asks_for_a_node_s_class_counts_once(counts: ModuleType) -> None:
    code = tree("""
        def by_match(node):
            match node:
                case Conv() | nodes.Pool():
                    return isinstance(node, Add)

        class Walk:
            def by_tuple(self, node):
                return isinstance(node, (int, Conv))

            def by_union(self, node):
                def inner(n):
                    return isinstance(n, Conv | Pool)
                return inner(node)

        def asks_something_else(node):
            match node:
                case ConvLayer():
                    return isinstance(node, str)
    """)
    assert counts.switches(code, KINDS) == {
        "module.by_match",
        "module.Walk.by_tuple",
        "module.Walk.by_union.inner",
    }


def test_operators_of_a_source_are_no_nodes(counts: ModuleType) -> None:
    code = tree("""
        from codesign.front.source import Conv, Pool
        from codesign.ops.add import Add
    """)
    assert counts.asked(code, KINDS) == {"Input", "Add"}
    assert counts.asked(tree("class Add: ..."), KINDS) == {"Input", "Conv", "Pool"}


def test_a_union_counts_once_if_it_spells_two_node_kinds(counts: ModuleType) -> None:
    code = tree("""
        def first(node: Conv | Pool | Add, other: Conv | None) -> tuple[Conv | Pool, ...]: ...
        Small = int | str
    """)
    assert counts.spelled_unions(code, KINDS) == 2


def test_the_kinds_are_those_of_the_union_in_the_sources(counts: ModuleType) -> None:
    nested = tree("Moving = Pad | Slice\nOperation = Conv | Moving\nNode = Input | Operation")
    assert counts.node_kinds({Path("codesign/ops/all.py"): nested}) == {"Input", "Conv", "Pad", "Slice"}
    assert counts.node_kinds({Path("codesign/ops/all.py"): tree("Node = Input | Conv | Concat")}) == {
        "Input",
        "Conv",
        "Concat",
    }
    with pytest.raises(ValueError, match="found none"):
        counts.node_kinds({Path("codesign/emit/x.py"): tree("Node = Input | Conv")})


def test_long_functions_are_named(counts: ModuleType) -> None:
    body = "\n".join(f"    x = {i}" for i in range(49))
    assert counts.long_functions(tree(f"def fits():\n{body}")) == []
    assert counts.long_functions(tree(f"def too_long():\n{body}\n    y = 0")) == ["too_long"]


def test_a_reason_is_a_sentence_of_the_docstring(counts: ModuleType) -> None:
    assert (
        counts.reason(tree('"""What it is.\n\nLong because all\n stand here. More."""'))
        == "Long because all stand here."
    )
    for without in (
        '"""Belong because of it."""',
        '"""Long because"""',
        "# Long because of it.",
        '"""Long. Because."""',
    ):
        assert counts.reason(tree(without)) == ""


def test_every_file_over_three_hundred_lines_says_why(counts: ModuleType) -> None:
    home = SCRIPT.parent.parent / "codesign"
    tall = {p: t for p, t in counts.parsed(home).items() if len(p.read_text().splitlines()) > counts.MAX_FILE_LINES}
    assert [str(path.relative_to(home)) for path, found in tall.items() if not counts.reason(found)] == []


def test_public_docstrings_are_those_that_a_user_reads(counts: ModuleType) -> None:
    code = tree('''
        def public():
            """Return it."""
            def nested():
                """Nobody reads it."""
        def _private():
            """Nobody reads it."""
        class Thing:
            """A class is a noun."""
            @property
            def size(self):
                """The size."""
            def move(self):
                """Move it."""
        class _Hidden:
            def move(self):
                """Nobody reads it."""
    ''')
    assert list(counts.public_docstrings(code)) == [(False, "Return it."), (True, "The size."), (False, "Move it.")]


@pytest.mark.parametrize(
    ("text", "is_verb"),
    [
        ("Return the sum.", True),
        ("Raise ValueError.", True),
        ("Count the words.", True),
        ("Count of the words.", False),
        ("The count.", False),
        ("Words that move.", False),
        ("x[B,Y,X,C] -> y", False),
    ],
)
def test_a_verb_begins_a_docstring(counts: ModuleType, text: str, is_verb: bool) -> None:
    assert counts.begins_with_a_verb(text) is is_verb


def test_sentences_are_those_of_the_prose(counts: ModuleType) -> None:
    page = textwrap.dedent("""
        # A heading is none. Nor is this.

        One two three. Four
        five `code of many words`!

        | a table | is none. |
        |---|---|

        - An item without a full stop
        - [A link](https://example.org/a/b.html) and **bold**: one sentence.

        ```
        Code is none. Not at all.
        ```
        1. A numbered item.
    """)
    assert [counts.words_of(s) for s in counts.sentences(page)] == [3, 3, 6, 6, 3]


def test_the_script_prints_a_line_for_every_count() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT)], check=True, capture_output=True, text=True)
    for what in (
        "switch on a node's kind: ",
        "spelled unions",
        "over 50 lines: ",
        "over 300 lines: ",
        "without a reason at their head: ",
        "begin with a verb",
    ):
        assert what in done.stdout
    assert "README.md: " in done.stdout
