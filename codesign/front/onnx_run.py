"""ONNX files of ours run in onnxruntime, beside the golden model.

Runtimes may fuse quantize and dequantize nodes into integer kernels. Some of these saturate 16-bit intermediate sums on
older processors, so `run_onnx` turns that off.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codesign.errors import ToolError
from codesign.front.onnx_numbers import container_of
from codesign.ir.graph import Graph
from codesign.model import golden
from codesign.ops.arrays import IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxComparison:
    """onnxruntime against the golden model: of all words and all predictions of the images, how many differ."""

    images: int
    words: int
    differing_words: int
    differing_predictions: int
    largest_difference: int


def run_onnx(path: Path, graph: Graph, x: IntArray, batch: int = 500) -> IntArray:
    """Run onnxruntime on x[N,IY,IX,C]; return the integers of the output, as golden.run_joined does.

    Raise ToolError if onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ToolError("onnxruntime is not installed; `pip install onnxruntime` brings it") from error
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    dtype = container_of(graph.input.otype)[1]
    parts = []
    for i in range(0, len(x), batch):
        images = np.ascontiguousarray(x[i : i + batch].transpose(0, 3, 1, 2).astype(dtype))
        parts.append(session.run(None, {graph.input.name: images}))
    found = []
    for node, scale, *batches in zip(graph.output_nodes, graph.scales, *parts, strict=True):
        out = node.oshape
        values = np.concatenate(batches).reshape(len(x), out.c, out.y, out.x).transpose(0, 2, 3, 1)
        found.append(np.floor(values.astype(np.float64) / scale + 0.5).astype(np.int64))
    return golden.joined(found)


def compare_onnx(path: Path, graph: Graph, x: IntArray) -> OnnxComparison:
    """Run the file in onnxruntime and the graph in the golden model on x[N,IY,IX,C]."""
    found, expected = run_onnx(path, graph, x), golden.run_joined(graph, x)
    flat = [a.reshape(len(x), -1) for a in (found, expected)]
    return OnnxComparison(
        images=len(x),
        words=flat[0].size,
        differing_words=int((flat[0] != flat[1]).sum()),
        differing_predictions=int((flat[0].argmax(1) != flat[1].argmax(1)).sum()),
        largest_difference=int(np.abs(flat[0] - flat[1]).max()),
    )
