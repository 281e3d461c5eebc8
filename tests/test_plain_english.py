"""Prose that is understood at first reading: docstrings begin with a verb, sentences of pages are short."""

import ast
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "scripts" / "house_counts.py"
FLOORS = ("cosearch", "search", "networks", "nets", "front", "ptq", "datasets", "report")
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/decisions.md",
    "docs/glossary.md",
    "docs/stability.md",
    "docs/system.md",
)
LEAST_VERBS = 0.9  # of the docstrings of public functions
MOST_LONG = 0.02  # of the sentences of a page

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="not in a checkout")


@pytest.mark.parametrize("floor", FLOORS)
def test_docstrings_of_public_functions_begin_with_a_verb(floor: str, counts: ModuleType) -> None:
    trees = [ast.parse(path.read_text()) for path in sorted((ROOT / "codesign" / floor).glob("*.py"))]
    texts = [text for tree in trees for is_property, text in counts.public_docstrings(tree) if not is_property]
    without = [text.splitlines()[0] for text in texts if not counts.begins_with_a_verb(text)]
    assert texts
    assert len(without) <= (1 - LEAST_VERBS) * len(texts), without


@pytest.mark.parametrize("page", PAGES)
def test_sentences_of_a_page_have_at_most_25_words(page: str, counts: ModuleType) -> None:
    sentences = counts.sentences((ROOT / page).read_text())
    long = [sentence for sentence in sentences if counts.words_of(sentence) > counts.MAX_WORDS]
    assert sentences
    assert len(long) <= MOST_LONG * len(sentences), long


def test_a_record_of_a_decision_has_three_to_six_sentences(counts: ModuleType) -> None:
    records = (ROOT / "docs" / "decisions.md").read_text().split("\n### ")[1:]
    lengths = {record.splitlines()[0]: len(counts.sentences(record.split("\n", 1)[1])) for record in records}
    assert len(lengths) > 50
    assert {title: count for title, count in lengths.items() if not 3 <= count <= 6} == {}
