"""The network as a torch.nn.Module that needs nothing of this package: model.py, weights.npz and network.yaml.

What the layers compute is in templates/torch/layers.py, which becomes the first part of model.py. The weights are real
numbers in steps of a layer's output: the integers of the graph times multiplier / 2**shift, exact in float64.
"""

import io
import keyword
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import yaml

from codesign.emit.environment import render
from codesign.ir.graph import Graph
from codesign.ir.project import Project
from codesign.ir.strict import to_plain
from codesign.ops.add import Add
from codesign.ops.concat import Concat
from codesign.ops.conv import Conv
from codesign.ops.depth_to_space import DepthToSpace
from codesign.ops.gate import Gate
from codesign.ops.lookup import Lookup
from codesign.ops.node import Moving, Operation
from codesign.ops.pad import Pad
from codesign.ops.pool import Pool, PoolOp
from codesign.ops.requantize import OutputRule, Rounding
from codesign.ops.resize import Resize
from codesign.ops.shapes import Window
from codesign.ops.shuffle import Shuffle
from codesign.ops.slice import Slice
from codesign.ops.space_to_depth import SpaceToDepth

# Names that model.py or torch.nn.Module use for something else; a node of such a name gets an underscore behind it.
TAKEN = frozenset(
    """
    add add_module apply average bfloat16 bias buffers call_super_init children classify compile cpu cuda
    depth_to_space double
    dump_patches encode encoded eval extra_repr fill float forward functional get_buffer get_extra_state get_parameter
    get_submodule
    half images int integers ipu labels len load load_state_dict max maximum min modules mtia named_buffers
    named_children named_modules named_parameters network next nn np os parameters print range
    register_backward_hook register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
    register_full_backward_pre_hook
    register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter
    register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ rounded rounded_down rounded_even
    rounded_up save self set_extra_state set_submodule share_memory space_to_depth spread state_dict steps str super sys
    to to_empty torch train training tuple type weight xpu zero_grad
    """.split()  # noqa: SIM905
)

FloatArray = npt.NDArray[np.float64]
_EPOCH = (1980, 1, 1, 0, 0, 0)  # no time of day in a file: equal content is equal bytes


_ROUNDING = {
    Rounding.HALF_UP: "rounded",
    Rounding.HALF_EVEN: "rounded_even",
    Rounding.FLOOR: "rounded_down",
    Rounding.CEIL: "rounded_up",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """A node as Python: its name, what makes its module (nothing if it has no parameters), and what calls it."""

    name: str
    made: str
    called: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchNetwork:
    """What templates/torch/model.py.j2 reads."""

    digest: str
    input: str
    input_shape: tuple[int, int, int]
    input_range: tuple[int, int]
    encoding: tuple[float, float, bool]
    formula: str
    outputs: tuple[str, ...]
    output_scales: tuple[float, ...]
    labels: tuple[str, ...]
    weights: int
    layers: tuple[Layer, ...]


def render_torch(graph: Graph) -> Project:
    """Render the graph as model.py, weights.npz, network.yaml; `Network.integers` equals golden.run in every word.

    Of several outputs it gives a tuple, as golden.run_outputs.
    """
    shape, otype = graph.input.shape, graph.input.otype
    weights = _weights(graph)
    network = TorchNetwork(
        digest=graph.digest()[:16],
        input=python_name(graph.input.name),
        input_shape=(shape.c, shape.y, shape.x),
        input_range=(otype.qmin, otype.qmax),
        encoding=(graph.encoding.offset, graph.encoding.step, graph.encoding.half_even),
        formula=graph.encoding.formula,
        outputs=tuple(python_name(node.name) for node in graph.output_nodes),
        output_scales=graph.scales,
        labels=graph.labels,
        weights=sum(a.size for name, a in weights.items() if name.endswith(".weight")),
        layers=tuple(_layer(node) for node in graph.operations),
    )
    return Project(
        {
            "model.py": render("torch/model.py.j2", {"network": network}),
            "weights.npz": _npz(weights),
            "network.yaml": yaml.safe_dump(_plain(graph), sort_keys=False, default_flow_style=None, width=120),
        }
    )


def python_name(name: str) -> str:
    """Return the node's name, with an underscore behind it if Python, torch or model.py use it for something else."""
    return f"{name}_" if name in TAKEN or keyword.iskeyword(name) else name


def _layer(node: Operation) -> Layer:
    name = python_name(node.name)
    sources = ", ".join(python_name(source) for source in node.inputs)
    match node:
        case Conv():
            groups = f", groups={node.groups}" if node.groups > 1 else ""
            weights = f"({node.wtype.qmin}, {node.wtype.qmax})"
            outputs, rest = (
                _outputs(node),
                _dilation(node.window) + _differing({"zero_in": node.zero_in}) + _rule(node.rule),
            )
            fine = f", bias_steps={1 << node.bias_fraction}" if node.bias_fraction else ""
            made = (
                f"Conv(({node.ishape.c}, {node.k}), {_window(node.window)}, "
                f"weights={weights}, outputs={outputs}{groups}{rest}{fine})"
            )
            return Layer(name, made, f"self.{name}({sources})")
        case Pool(op=PoolOp.MAX):
            window = f"{_window(node.window)}, {node.itype.qmin}{_dilation(node.window)}"
            return Layer(name, "", f"maximum({sources}, {window})")
        case Pool():
            scale = f"{node.multiplier} / {1 << node.shift}"
            outputs, rest = (
                _outputs(node),
                _dilation(node.window) + _differing({"zero_in": node.zero_in}) + _rule(node.rule),
            )
            counted = {count: m / (1 << node.shift) for count, m in node.by_count}
            rest += f", by_count={counted}" if counted else ""
            return Layer(name, "", f"average({sources}, {_window(node.window)}, {scale}, {outputs}{rest})")
        case Add():
            a, b = (f"{m} / {1 << node.shift}" for m in node.multipliers)
            zeros = f", zeros={node.zeros}" if any(node.zeros) else ""
            return Layer(name, "", f"add({sources}, ({a}, {b}), {_outputs(node)}{zeros}{_rule(node.rule)})")
        case Concat():
            return Layer(name, "", f"torch.cat(({sources}), 1)")
        case Gate():
            a, b = (python_name(source) for source in node.inputs)
            return Layer(
                name, "", f"rounded({a} * {b} * ({node.multiplier} / {1 << node.shift})).clamp{_outputs(node)}"
            )
        case Lookup():
            rows, entries = node.parameters["table"]
            return Layer(name, f"Lookup({rows}, {entries}, {node.itype.qmin})", f"self.{name}({sources})")
        case moving:
            return Layer(name, "", _moved(moving, sources))


def _moved(node: Moving, source: str) -> str:
    """Return what calls a node that only moves values."""
    match node:
        case Resize():
            return f"{source}.repeat_interleave({node.fy}, 2).repeat_interleave({node.fx}, 3)"
        case Pad():
            pads, strides = (node.left, node.right, node.top, node.bottom), (node.stride_y, node.stride_x)
            return f"spread({source}, {strides}, {pads}, {node.value})"
        case DepthToSpace():
            return f"depth_to_space({source}, {node.block})"
        case SpaceToDepth():
            return f"space_to_depth({source}, {node.block})"
        case Shuffle():
            return f"functional.channel_shuffle({source}, {node.groups})"
        case Slice():
            return f"{source}[:, {node.start}:{node.stop}]"


def _dilation(window: Window) -> str:
    dilation = (window.dilation_y, window.dilation_x)
    return "" if dilation == (1, 1) else f", dilation={dilation}"


def _outputs(node: Conv | Pool | Add | Gate) -> str:
    low, high = node.rule.limits(node.otype)
    return f"({low}, {high})"


def _window_rest(node: Conv | Pool) -> str:
    """Return the arguments of a window's sum that differ from the usual."""
    return _dilation(node.window) + _differing({"zero_in": node.zero_in}) + _rule(node.rule)


def _rule(rule: OutputRule) -> str:
    """Return the arguments that tell how sums become outputs, where they differ from the usual."""
    rounding = "" if rule.rounding is Rounding.HALF_UP else f", rounding={_ROUNDING[rule.rounding]}"
    return _differing({"zero": rule.zero}) + rounding


def _differing(values: dict[str, int]) -> str:
    return "".join(f", {name}={value}" for name, value in values.items() if value)


def _window(window: Window) -> str:
    pads = (window.pad_left, window.pad_right, window.pad_top, window.pad_bottom)
    return f"({window.fy}, {window.fx}), ({window.stride_y}, {window.stride_x}), {pads}"


def _weights(graph: Graph) -> dict[str, FloatArray]:
    """Return the state of the module."""
    found: dict[str, FloatArray] = {}
    for node in graph.nodes:
        if isinstance(node, Conv):
            weight, bias, multiplier = (graph.params[f"{node.name}.{key}"] for key in ("weight", "bias", "multiplier"))
            step = multiplier / float(1 << node.shift)  # of the bias
            scale = step * float(1 << node.bias_fraction)
            name = python_name(node.name)
            found[f"{name}.weight"] = weight.transpose(0, 3, 1, 2) * scale[:, None, None, None]
            found[f"{name}.bias"] = bias * step
            found[f"{name}.scale"] = scale
        if isinstance(node, Lookup):
            found[f"{python_name(node.name)}.table"] = graph.params[f"{node.name}.table"].astype(np.float64)
    return found


def _npz(arrays: Mapping[str, FloatArray]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), entry.getvalue(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _plain(graph: Graph) -> dict[str, object]:
    """Return what a person or a program may want to know of the network, as plain data."""
    shape = graph.input.shape
    outputs = [
        {"shape": [node.oshape.y, node.oshape.x, node.oshape.c], "type": str(node.otype), "scale": scale}
        for node, scale in zip(graph.output_nodes, graph.scales, strict=True)
    ]
    return {
        "name": graph.name,
        "network": graph.digest(),
        "labels": list(graph.labels),
        "input": {
            "shape": [shape.y, shape.x, shape.c],
            "type": str(graph.input.otype),
            "scale": graph.input_scale,
            "encoding": to_plain(graph.encoding),
        },
        **({"output": outputs[0]} if len(outputs) == 1 else {"outputs": outputs}),
        "layers": [_plain_layer(node) for node in graph.operations],
    }


def _plain_layer(node: Operation) -> dict[str, object]:
    out = node.oshape
    plain: dict[str, object] = {"name": node.name, "kind": type(node).__name__.lower(), "sources": list(node.inputs)}
    if isinstance(node, Pool):
        plain["kind"] = f"{node.op.value} pool"
    if not node.joins:
        w = node.window
        plain |= {
            "kernel": [w.fy, w.fx],
            "stride": [w.stride_y, w.stride_x],
            "padding": {"top": w.pad_top, "left": w.pad_left, "bottom": w.pad_bottom, "right": w.pad_right},
        }
    if isinstance(node, Conv):
        plain |= {"groups": node.groups, "weights": str(node.wtype), "macs": node.macs}
    return {**plain, "output": [out.y, out.x, out.c], "type": str(node.otype)}
