"""A network from a file, whoever wrote it: the readers, the passes in their order, and the integer Graph."""

import importlib.util
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from codesign.errors import ConfigError, ToolError, UnsupportedError
from codesign.front.grids import grids_of
from codesign.front.layout import channels_last
from codesign.front.limits import MOST_OPERATORS
from codesign.front.lower import lower
from codesign.front.lowering import Layer
from codesign.front.passes import leave_to_host, simplified
from codesign.front.problem import refuse
from codesign.front.quantization import Quantization
from codesign.front.recognize import recognized
from codesign.front.softmax import without_softmax
from codesign.front.source import Axes, Reshape, Source, Transpose
from codesign.front.sums import quantize_sums
from codesign.front.wide import split_wide
from codesign.ir.files import check_file
from codesign.ir.graph import Graph

_TFLITE, _TFLITE_AT = b"TFL3", 4  # an identifier from the fifth byte on


class Format(Enum):
    """Who writes such files."""

    CODESIGN = "codesign"
    QONNX = "QONNX"
    ONNX = "ONNX"
    TFLITE = "TFLite"
    TORCH = "PyTorch"


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginEnd:
    """A tensor of the file where the graph begins or ends.

    `axes`: how it lies there, see Source.axes. `grid`: what the graph's integers stand for. `file_grid`: what those of
    the file stand for, where it takes or gives such.
    """

    tensor: str
    axes: Axes
    grid: Quantization
    file_grid: Quantization


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Origin:
    """How a Graph relates to the file of another tool that it was made of.

    `input`, `outputs`: where the graph begins and ends. `integer_input`: whether the file takes integers there.
    """

    input: OriginEnd
    outputs: tuple[OriginEnd, ...]
    integer_input: bool
    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Imported:
    """A network from a file: the Graph, the file's format, sentences for the user; `origin` of another tool's file."""

    graph: Graph
    format: Format
    notes: tuple[str, ...] = ()
    origin: Origin | None = None

    def plain(self) -> dict[str, Any]:
        """Return what a user should know of the import, as plain data."""
        if self.origin is None:
            return {"format": self.format.value}
        origin = self.origin
        return {
            "format": self.format.value,
            "input": {
                "tensor": origin.input.tensor,
                "axes": _axes_text(origin.input.axes),
                "file_takes_integers": origin.integer_input,
            },
            "outputs": [{"tensor": end.tensor, "axes": _axes_text(end.axes)} for end in origin.outputs],
            "notes": list(self.notes),
            "layers": [{"node": x.node, "source": x.source, "error_steps": round(x.error, 6)} for x in origin.layers],
        }


def read_network(path: Path, shape: tuple[int, ...] | None = None) -> Imported:
    """Return the network of a file; see read_file. A float network is refused: it must be quantized first."""
    found = read_file(path, shape)
    if isinstance(found, Imported):
        return found
    form, source = found
    return imported(str(path), form, source)


def read_file(path: Path, shape: tuple[int, ...] | None = None) -> Imported | tuple[Format, Source]:
    """Return the network of a file that codesign wrote, or the Source of QONNX, ONNX or quantized TFLite.

    `shape`: that of the input behind the batch, in the file's order, where the file leaves it open. Raise ConfigError
    if the file is not whole, UnsupportedError with all nodes that are refused, ToolError if a package is missing.
    """
    check_file(path)
    try:
        with path.open("rb") as file:
            begin = file.read(8)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; expected an ONNX or TFLite file") from None
    if begin[_TFLITE_AT:] == _TFLITE or path.suffix == ".tflite":
        return Format.TFLITE, _tflite(path)
    _need("onnx", path)
    from codesign.front.onnx_file import is_ours, read_onnx
    from codesign.front.onnx_model import parse_onnx, read_model
    from codesign.front.onnx_source import source_of

    proto = parse_onnx(path)
    if is_ours(proto):
        return Imported(graph=read_onnx(path), format=Format.CODESIGN)
    model = read_model(path, proto)
    own = any(node.operator in ("Quant", "IntQuant", "BipolarQuant", "Trunc") for node in model.nodes)
    return Format.QONNX if own else Format.ONNX, source_of(model, shape)


def imported(where: str, form: Format, source: Source) -> Imported:
    """Return the graph of a source, and what it was made of. Raise UnsupportedError with all problems."""
    return lowered(where, form, source, prepared(where, source))


def prepared(where: str, source: Source) -> Source:
    """Return the source with all maps [Y, X, C], simplified. Raise UnsupportedError with all problems."""
    if len(source.operators) > MOST_OPERATORS:
        raise UnsupportedError(f"{where}: has {len(source.operators):,} operators; at most {MOST_OPERATORS:,} are read")
    last, problems = channels_last(recognized(leave_to_host(source)))
    last, more = without_softmax(last)
    refuse(where, [*problems, *more])
    return simplified(last)


def lowered(where: str, form: Format, source: Source, ready: Source) -> Imported:
    """Return the graph of a prepared source, and how it relates to the file's. Raise UnsupportedError."""
    cut = leave_to_host(source)
    last, problems = quantize_sums(simplified(split_wide(simplified(ready))))
    found, more = lower(last)
    refuse(where, [*problems, *more])
    assert found is not None
    tensors, grids = (source.input.tensor, *cut.outputs), (found.input, *found.outputs)
    first, *others = (
        OriginEnd(tensor=tensor, axes=axes, grid=grid, file_grid=_file_grid(cut, tensor, replace(grid, zero=zero)))
        for tensor, axes, grid, zero in zip(tensors, last.axes, grids, found.file_zeros, strict=True)
    )
    origin = Origin(
        input=first,
        outputs=tuple(others),
        integer_input=source.input.integer,
        layers=found.layers,
    )
    return Imported(graph=found.graph, format=form, notes=last.notes, origin=origin)


def _file_grid(cut: Source, tensor: str, otherwise: Quantization) -> Quantization:
    """Return the grid of a tensor in the file; the passes may have dropped a last quantization that rounds nothing."""
    while isinstance(op := cut.producer(tensor), Reshape | Transpose):
        tensor = op.input
    return grids_of(cut).get(tensor, otherwise)


def _tflite(path: Path) -> Source:
    _need("tflite", path)
    from codesign.front.tflite_source import read_tflite_source

    return read_tflite_source(path)


def _need(package: str, path: Path) -> None:
    """Raise ToolError unless the package that reads such a file is there."""
    if importlib.util.find_spec(package) is None:
        raise ToolError(
            f"{path}: reading it needs {package}, which is not installed: pip install 'codesign[{package}]'"
        )


def _axes_text(axes: Axes) -> str:
    axes = tuple(axis.replace("Y", "H").replace("X", "W") for axis in axes)
    return "N" + "".join(axes) if all(len(axis) == 1 for axis in axes) else "N, " + ", ".join("*".join(a) for a in axes)
