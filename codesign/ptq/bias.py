"""Bias correction: quantization shifts the mean of a layer's channels, and the shift is subtracted from its bias."""

from dataclasses import replace

import numpy as np

from codesign.front.evaluate import values_of
from codesign.front.quantization import RealArray
from codesign.front.source import Constant, Conv, Dense, Source, inputs_of


def correct_bias(source: Source, noisy: Source, x: RealArray) -> Source:
    """Return the quantized network `noisy` with new biases: on images x[N, ...], its mean error to the float `source`
    is 0.

    Layers are corrected in order, each behind those before it as they are then. Names of layers are the same in both.
    """
    exact = {source.input.tensor: x}
    last = _last_readers(source)
    constants, operators = dict(noisy.constants), []
    held = {noisy.input.tensor: x}
    last_noisy = _last_readers(noisy)
    floats = iter(source.operators)
    for op in noisy.operators:
        y = values_of(op, [held[tensor] for tensor in inputs_of(op)], replace(noisy, constants=constants))
        if isinstance(op, Conv | Dense):
            while op.output not in exact:
                other = next(floats)
                exact[other.output] = values_of(other, [exact[tensor] for tensor in inputs_of(other)], source)
                _forget(exact, inputs_of(other), other.output, last)
            shift = (y - exact[op.output]).mean(axis=tuple(range(y.ndim - 1)))
            y = y - shift
            before = np.zeros(len(shift)) if op.bias is None else constants[op.bias].values
            op = replace(op, bias=op.bias or f"{op.name}:correction")
            assert op.bias is not None
            constants[op.bias] = Constant(before - shift)
        operators.append(op)
        held[op.output] = y
        _forget(held, inputs_of(op), op.output, last_noisy)
    return replace(noisy, operators=tuple(operators), constants=constants)


def _last_readers(source: Source) -> dict[str, str]:
    """Return, for each tensor, what the last operator that reads it gives."""
    return {tensor: op.output for op in source.operators for tensor in inputs_of(op)}


def _forget(held: dict[str, RealArray], read: tuple[str, ...], now: str, last: dict[str, str]) -> None:
    """Drop values that nothing reads any more, so that memory holds a few maps alone."""
    for tensor in read:
        if last.get(tensor) == now:
            held.pop(tensor, None)
