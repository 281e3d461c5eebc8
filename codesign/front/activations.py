"""What activations compute, in float64."""

import math

import numpy as np

from codesign.front.quantization import RealArray
from codesign.front.source import Activation, Function

_erf = np.vectorize(math.erf, otypes=[np.float64])


def activated(op: Activation, x: RealArray, slope: RealArray | None) -> RealArray:  # noqa: C901, PLR0912 (a case for each)
    """Return the function of every value; `slope` broadcasts over x where the function has one."""
    match op.function:
        case Function.LEAKY_RELU:
            return np.where(x < 0, x * (1.0 if slope is None else slope), x)
        case Function.HARD_SIGMOID:
            return np.clip(op.alpha * x + op.beta, 0.0, 1.0)
        case Function.HARD_SWISH:
            return x * np.clip(x / 6 + 0.5, 0.0, 1.0)
        case Function.SIGMOID:
            return _sigmoid(x)
        case Function.SILU:
            return x * _sigmoid(op.alpha * x)
        case Function.TANH:
            return np.tanh(x)
        case Function.ELU:
            return np.where(x < 0, op.alpha * np.expm1(np.minimum(x, 0.0)), x)
        case Function.CELU:
            return np.where(x < 0, op.alpha * np.expm1(np.minimum(x, 0.0) / op.alpha), x)
        case Function.SELU:
            return op.beta * np.where(x < 0, op.alpha * np.expm1(np.minimum(x, 0.0)), x)
        case Function.GELU:
            return 0.5 * x * (1.0 + np.asarray(_erf(x / math.sqrt(2.0))))
        case Function.GELU_TANH:
            return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
        case Function.SOFTPLUS:
            return np.logaddexp(0.0, x)
        case Function.SOFTSIGN:
            return x / (1.0 + np.abs(x))
        case Function.MISH:
            return x * np.tanh(np.logaddexp(0.0, x))


def _sigmoid(x: RealArray) -> RealArray:
    return 0.5 * (1.0 + np.tanh(0.5 * x))
