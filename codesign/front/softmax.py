"""Softmax inside a network: over two channels it is a Sigmoid of their difference; any other is refused."""

from dataclasses import replace

import numpy as np

from codesign.front.problem import Problem
from codesign.front.shapes import shapes_of
from codesign.front.source import Activation, Constant, Conv, Decide, Function, Operator, Source

_DIFFERENCES = Constant.of(np.array([[1, -1], [-1, 1]]).reshape(2, 1, 1, 2), 1.0)  # each channel less the other


def without_softmax(source: Source) -> tuple[Source, list[Problem]]:
    """Return the source, with maps [Y, X, C], without Softmax over two channels; and problems of all others.

    exp(a) / (exp(a) + exp(b)) is a Sigmoid of a - b.
    """
    shapes, _ = shapes_of(source)
    operators: list[Operator] = []
    problems, constants = [], dict(source.constants)
    for op in source.operators:
        if not isinstance(op, Decide):
            operators.append(op)
        elif op.axis == 2 and op.input in shapes and shapes[op.input][2] == 2:
            weight, less = f"{op.name}:differences", f"{op.output}:less"
            constants[weight] = _DIFFERENCES
            operators += [
                Conv(name=op.name, input=op.input, output=less, weight=weight),
                Activation(name=f"{op.name}:sigmoid", input=less, output=op.output, function=Function.SIGMOID),
            ]
        else:
            operators.append(op)
            problems.append(_problem(op))
    return replace(source, operators=tuple(operators), constants=constants), problems


def _problem(op: Decide) -> Problem:
    found = "is read by other nodes: the machine has no quotient of maps, and none that compares channels"
    instead = "end the network before it, or use a Sigmoid; over two channels a Softmax is read"
    return Problem(node=op.name, operator=op.operator, found=found, instead=instead)
