"""docs/operators.md: what is read and what is refused, written from the tables that the readers check files by.

python -m codesign.front.operators_page > docs/operators.md
"""

import sys

from codesign.front.rules import MICROSOFT, QONNX, REFUSED, RULES, OperatorRule
from codesign.front.tflite_rules import TFLITE_OPERATORS
from codesign.front.torch_layers import OPERATORS

_HEAD = """# Operators of files of other tools

`python -m codesign.front.operators_page` writes this page from the tables by which files are checked. Any other
operator or attribute is refused before work begins, with the node's name and what would do. All problems of a file are
told at once.

A network is quantized throughout, or not at all. Every convolution, fully connected layer, average and sum ends in a
quantization of 2 to 16 bits. That is a `Quant` of QONNX, a `QuantizeLinear`, a quantized operator, or a tensor of
TFLite. A ReLU or Clip may come before or behind it. A sum without one is read where 16 bits hold it exactly. Maps have
one scale, weights may have one per channel. A float network, from ONNX or PyTorch, is quantized first, by images:
`--calibrate`.

An activation that is no ReLU is a table with an entry for each integer that it reads. So a quantization of at most 10
bits stands before it, and one behind it. The table has what the function gives in float64, rounded as the file says. A
LeakyRelu, PRelu or HardSigmoid may also read sums of any width: these are made of linear pieces. The slopes of one
PRelu are then all at most 1, or all at least 1.

A product of two maps is rounded once where it needs no zero point, or exactly in 16 bits and then once more. A Softmax
inside a network is read over two channels, where it is a Sigmoid. Of more channels it would need a maximum over them
and a quotient, which the machine has not; [decisions.md](decisions.md) has what tables alone would give.

A network may have several outputs, each with a quantization of its own. Of QONNX's operators for maps [N, Y, X, C]
Conv, MaxPool and BatchNormalization are read.

Scales that are powers of two cost no multiplier, and the accelerator equals the file in every word. Other scales become
multipliers of 16 bits and one shift per layer. A layer may then give one step more or less, where a sum is near a tie.
So may an average over a number of positions that is no power of two. Layers behind it may make several steps of one:
as many as their weights say.
`summary.json` and the report say how far, and compare with the file's own runtime where that is installed.

QONNX, `QLinearAdd` and `QLinearAveragePool` add the zero point before they round. Of an odd one, halves then go to odd
numbers, which the machine cannot do. Where the scale is a power of two such a file is refused.
"""


def page() -> str:
    """Return the page in Markdown."""
    lines = [_HEAD, "## ONNX and QONNX", "", "| operator | inputs | attributes that are read |", "|---|---|---|"]
    lines += [f"| {_title(name, rule)} | {rule.inputs} | {_attributes(rule)} |" for name, rule in sorted(RULES.items())]
    lines += ["", "## ONNX, refused", "", "| operator | why | instead |", "|---|---|---|"]
    lines += [f"| `{name}` | {why} | {instead} |" for name, (why, instead) in sorted(REFUSED.items())]
    lines += [
        "",
        "## PyTorch",
        "",
        "Operators that torch.export gives. Those that work in place are read as the others.",
        "",
    ]
    lines += [", ".join(f"`aten.{name}`" for name in sorted(OPERATORS) if not name.endswith("_")) + "."]
    lines += ["", "## TFLite", "", "| operator | what is read |", "|---|---|"]
    lines += [f"| `{name}` | {what} |" for name, what in sorted(TFLITE_OPERATORS.items())]
    return "\n".join(lines) + "\n"


def _title(name: str, rule: OperatorRule) -> str:
    of = {QONNX: " of QONNX", MICROSOFT: " of com.microsoft"}.get(rule.domains, "")
    return f"`{name}`{of}"


def _attributes(rule: OperatorRule) -> str:
    return "; ".join(f"`{r.attribute}`: {r.supported}" for r in rule.rules) or "none"


if __name__ == "__main__":
    sys.stdout.write(page())
