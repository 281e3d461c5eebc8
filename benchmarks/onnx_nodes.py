"""onnx's own cases for single operators, each read as a file -> docs/onnx_node_tests.md."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import onnx
from common import parser_of, publish, table

from codesign.testing.onnx_cases import node_cases
from codesign.testing.onnx_nodes import BITS, Outcome, Verdict, judged

_HEAD = f"""# onnx's own tests of operators

`make bench-onnx-nodes` writes this page. The package `onnx` has a test for every operator: a network of one or few
nodes, inputs, and what they give. This page has the tests whose operators are all in [operators.md](operators.md).
Casts and constants are left out. Each network is read as a file:

- The first input is that of the network. The others are constants, or parts of one input.
- What was read, and what the passes make of it, is computed in float64. It must equal what `onnx` states.
- Input, weights and outputs are then quantized to {BITS} bits, with scales that are powers of two. The integer network
  must give what the network that was read gives. Cases of quantized operators are compared as they are.

A case is *equal*, or equal within a step. Or it is *left to the host*, as it ends in Softmax or ArgMax. Or it is
*refused*, with one clear error. Anything else is *wrong*. {{verdict}}
"""


def page(outcomes: Sequence[Outcome]) -> str:
    """Return the page in Markdown."""
    wrong = [outcome for outcome in outcomes if outcome.verdict is Verdict.WRONG]
    verdict = f"Of {len(outcomes):,} cases **{len(wrong)} are wrong** (onnx {onnx.__version__})."
    names = [v for v in Verdict if v is not Verdict.WRONG or wrong]
    operators = sorted({outcome.operators for outcome in outcomes})
    counts = Counter((outcome.operators, outcome.verdict) for outcome in outcomes)
    rows = [[f"`{name}`", *(str(counts[name, v] or "") for v in names)] for name in operators]
    rows.append(["all", *(str(sum(counts[name, v] for name in operators)) for v in names)])
    told = [[f"`{o.name}`", _cell(o.told)] for o in outcomes if o.verdict in (Verdict.REFUSED, Verdict.WRONG)]
    parts = [
        _HEAD.replace("{verdict}", verdict),
        table(["operators", *(v.value for v in names)], rows),
        "## What is refused, and why\n",
        table(["case", "what is said"], told),
    ]
    return "\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Judge every case, and write the page."""
    args = parser_of(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = [judged(case, Path(folder) / "made.onnx") for case in node_cases()]
    publish(page(outcomes), args.out)


if __name__ == "__main__":
    main()
