"""The user's file for `compile`: reading it, and comparing what was made of it with the file's own runtime."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from codesign.errors import ConfigError
from codesign.flow.config import CompileConfig
from codesign.flow.folder import RunFolder, is_current, stamp
from codesign.flow.quantization import quantized_network
from codesign.flow.steps import Run
from codesign.front.read import Format, Imported, read_file
from codesign.front.runtime import compare_with_source, comparison_images, random_inputs, runtime_of
from codesign.front.torch_module import Traced
from codesign.ir import files
from codesign.ir.graph import Graph
from codesign.ir.strict import parse
from codesign.ops.arrays import IntArray
from codesign.progress import Progress
from codesign.ptq.network import Given, Quantized
from codesign.report.view import Origin

SOURCE = "source runtime"


@dataclass(frozen=True, slots=True, eq=False)
class Brought:
    """What the user brought: a network, the file or module that it is from, and a file's content.

    `quantized`: how a float network was quantized.
    """

    imported: Imported
    file: Path | Traced | None = None
    content: bytes | None = None
    quantized: Quantized | None = None

    def file_in(self, folder: RunFolder) -> Path:
        """Return where a run folder keeps the file."""
        return folder.path / ("0-model.tflite" if self.imported.format is Format.TFLITE else "0-model.onnx")


def brought_network(
    model: Path | Graph | Traced, config: CompileConfig, data: Given | None, progress: Progress
) -> Brought:
    """Read the user's network, and quantize it if that is asked for. Raises CodesignError with all that is wrong."""
    if isinstance(model, Traced):
        done, made = quantized_network(model.source.name, Format.TORCH, model.source, config, data, progress)
        return Brought(done, model, None, made)
    found = (
        Imported(graph=model, format=Format.CODESIGN)
        if isinstance(model, Graph)
        else read_file(model, config.input_shape)
    )
    content = None if isinstance(model, Graph) else model.read_bytes()
    file = None if isinstance(model, Graph) else model
    if isinstance(found, Imported):
        if data is not None:
            what = "the network" if file is None else str(file)
            raise ConfigError(f"{what}: is quantized already; leave out --calibrate, which is for float networks")
        return Brought(found, file, content)
    done, made = quantized_network(str(model), *found, config, data, progress)
    return Brought(done, file, content, made)


def source_step(run: Run, brought: Brought, x: IntArray | None) -> None:
    """Write what was read of another tool's file, and compare with its runtime, if that is installed.

    x[N,IY,IX,C]: the user's images as integers; random real inputs otherwise.
    """
    folder, imported = run.folder, brought.imported
    if imported.origin is None or brought.file is None:
        return
    files.write_json(folder.origin, imported.plain())
    runtime = runtime_of(imported)
    inputs = [imported.graph.digest(), runtime, run.settings.config.get("seed"), None if x is None else x.tolist()]
    if runtime is None or is_current(folder, SOURCE, inputs, (folder.source,)):
        return
    run.progress(SOURCE, 0, 1)
    files.write_json(folder.source, _compared(run, brought, runtime, x))
    stamp(folder, SOURCE, inputs)
    told = look_at(folder)
    run.progress(SOURCE, 1, 1, "" if told is None else told.verdict)


def _compared(run: Run, brought: Brought, runtime: str, x: IntArray | None) -> dict[str, Any]:
    """Return the comparison as plain data, or why there is none."""
    imported, file = brought.imported, brought.file
    assert imported.origin is not None
    assert file is not None
    images = comparison_images(imported)
    if x is None:
        shape = imported.graph.input.shape
        real = random_inputs(
            imported.origin, (shape.y, shape.x, shape.c), images, int(run.settings.config.get("seed", 0))
        )
    else:
        real = imported.origin.input.grid.values(x[:images])
    try:
        return asdict(compare_with_source(file, imported, real))
    except Exception as error:  # another program's, of any kind: the network itself is read and checked
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return {"runtime": runtime, "failure": f"{runtime} cannot run the file: {reason[:300]}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    tensor: str
    axes: str
    file_takes_integers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    node: str
    source: str
    error_steps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What 0-import.json says."""

    format: str
    input: _End
    outputs: tuple[_End, ...]
    notes: tuple[str, ...] = field(default=())
    layers: tuple[_Layer, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """What 3-source.json says."""

    runtime: str
    failure: str = ""
    images: int = 0
    words: int = 0
    differing_words: int = 0
    largest_steps: int = 0
    mean_steps: float = 0.0
    differing_predictions: int = 0


def look_at(folder: RunFolder) -> Origin | None:
    """Return what a run folder says of the file of another tool that its network comes from. None if there is none."""
    if not folder.origin.exists():
        return None
    read = parse(_Read, files.read_plain(folder.origin), str(folder.origin))
    found: _Compared | None = None
    if folder.source.exists():
        found = parse(_Compared, files.read_plain(folder.source), str(folder.source))
    compared = {} if found is None or found.failure else asdict(found)
    return Origin(
        format=read.format,
        input_axes=read.input.axes,
        output_axes=", ".join(end.axes for end in read.outputs),
        quantized_here=folder.quantization.exists(),
        notes=read.notes,
        layers=tuple((layer.node, layer.source, layer.error_steps) for layer in read.layers),
        failure="" if found is None else found.failure,
        **{key: value for key, value in compared.items() if key != "failure"},
    )
