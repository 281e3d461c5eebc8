"""Activations of an ONNX file as operators of a Source."""

from collections.abc import Mapping

import numpy as np

from codesign.front.onnx_axes import per_channel
from codesign.front.onnx_model import OnnxNode
from codesign.front.source import Activation, Constant, Function
from codesign.front.translation import Refusal, Translation

# Of each operator: its function, and the defaults of alpha and beta.
_FUNCTIONS: Mapping[str, tuple[Function, float, float]] = {
    "Celu": (Function.CELU, 1.0, 0.0),
    "Elu": (Function.ELU, 1.0, 0.0),
    "HardSigmoid": (Function.HARD_SIGMOID, 0.2, 0.5),
    "HardSwish": (Function.HARD_SWISH, 1.0, 0.0),
    "Mish": (Function.MISH, 1.0, 0.0),
    "Selu": (Function.SELU, 1.67326319217681884765625, 1.05070102214813232421875),
    "Sigmoid": (Function.SIGMOID, 1.0, 0.0),
    "Softplus": (Function.SOFTPLUS, 1.0, 0.0),
    "Softsign": (Function.SOFTSIGN, 1.0, 0.0),
    "Swish": (Function.SILU, 1.0, 0.0),
    "Tanh": (Function.TANH, 1.0, 0.0),
}


def activation(state: Translation, node: OnnxNode) -> bool:
    """Translate an activation; False if the node is none. Raise ValueError if it is refused."""
    match node.operator:
        case "LeakyRelu":
            slope = np.asarray(float(node.attributes.get("alpha", 0.01)))
            _emit(state, node, Function.LEAKY_RELU, slope=state.keep(f"{node.name}:slope", Constant(slope)))
        case "PRelu":
            if not state.is_constant(node.inputs[1]):
                raise Refusal(f"its slope {node.inputs[1]!r} is computed in the network", "expected a constant")
            slope = per_channel(state.constant(node.inputs[1]), state.shape(node.inputs[0]))
            _emit(state, node, Function.LEAKY_RELU, slope=state.keep(f"{node.name}:slope", Constant(slope)))
        case "Gelu":
            tanh = node.attributes.get("approximate", "none") == "tanh"
            _emit(state, node, Function.GELU_TANH if tanh else Function.GELU)
        case operator if operator in _FUNCTIONS:
            function, alpha, beta = _FUNCTIONS[operator]
            second = "gamma" if function is Function.SELU else "beta"
            alpha, beta = (float(node.attributes.get(key, held)) for key, held in (("alpha", alpha), (second, beta)))
            if function is Function.CELU and alpha == 0:
                raise Refusal("attribute alpha = 0", "expected another number")
            _emit(state, node, function, alpha, beta)
        case _:
            return False
    return True


def _emit(
    state: Translation,
    node: OnnxNode,
    function: Function,
    alpha: float = 1.0,
    beta: float = 0.0,
    slope: str | None = None,
) -> None:
    if not (np.isfinite(alpha) and np.isfinite(beta)):
        raise Refusal(f"attributes alpha = {alpha} and beta = {beta}", "expected finite numbers")
    made = Activation(
        name=node.name,
        input=state.tensor(node.inputs[0]),
        output=node.outputs[0],
        function=function,
        alpha=alpha,
        beta=beta,
        slope=slope,
    )
    state.emit(made)
