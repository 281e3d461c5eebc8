"""A float network in `compile`: quantizing it by calibration, scoring it, and what the run folder keeps of that."""

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from codesign.errors import ConfigError, UnsupportedError
from codesign.flow.config import CompileConfig
from codesign.flow.folder import RunFolder, is_current, stamp
from codesign.flow.steps import Run
from codesign.front.quantization import RealArray
from codesign.front.read import Format, Imported, imported, lowered, prepared
from codesign.front.source import Quantize, Source
from codesign.ir import files
from codesign.ir.graph import IDENTITY, Encoding
from codesign.ir.strict import parse
from codesign.model import golden
from codesign.ops.arrays import IntArray
from codesign.progress import Progress
from codesign.ptq.config import QuantizeConfig
from codesign.ptq.network import Given, Quantized, quantize_network
from codesign.report.view import Loss, Quantization

STEP = "golden model on the test images"
_BATCH = 64
_NEAR = 1e-6  # of a pixel


def quantized_network(
    where: str, form: Format, source: Source, config: CompileConfig, data: Given | None, progress: Progress
) -> tuple[Imported, Quantized | None]:
    """Return the integer network of a source, which is quantized by calibration data if it is a float network.

    Raise UnsupportedError if a float network comes without data, ConfigError if a quantized one comes with it.
    """
    is_float = not any(isinstance(op, Quantize) for op in source.operators)
    is_float &= all(constant.integers is None for constant in source.constants.values())
    if data is None:
        if is_float:
            raise UnsupportedError(
                f"{where}: a float network: it is not quantized. Give images to quantize it by: --calibrate with an "
                ".npz, an .npy, a folder of images or the name of a data set"
            )
        return imported(where, form, source), None
    if not is_float:
        raise ConfigError(f"{where}: is quantized already; leave out --calibrate, which is for float networks")
    ready = prepared(where, source)
    made = quantize_network(ready, data, config.quantize or QuantizeConfig(), progress)
    done = lowered(where, form, source, made.source)
    encoding = _of_data(done.graph.encoding, config.quantize or QuantizeConfig())
    return replace(done, graph=replace(done.graph, encoding=encoding)), made


def _of_data(encoding: Encoding, config: QuantizeConfig) -> Encoding:
    """Return how numbers of the calibration data become integers, given how those that the network reads do."""
    offset, step = config.mean + config.std * encoding.offset, config.std * encoding.step
    if abs(step - 1.0) < _NEAR and abs(offset) < _NEAR:  # pixels, except for rounding in floating point
        return IDENTITY
    return replace(encoding, offset=offset, step=step)


def _integers(network: Imported, x: RealArray) -> IntArray:
    """Return images as the network reads them as integers of its input."""
    assert network.origin is not None
    return network.origin.input.grid.integers(x)


def images_of(made: Quantized, network: Imported, wanted: int) -> IntArray | None:
    """Return so many of the scored images as integers of the network's input; None if there are fewer."""
    x = made.test[:wanted]
    if len(x) < wanted:
        return None
    return _integers(network, x)


def quantization_step(run: Run, network: Imported, made: Quantized) -> None:
    """Score the golden model by labelled images, and write what quantization lost."""
    folder, graph = run.folder, network.graph
    told: dict[str, Any] = {
        "sqnr_db": _finite(made.sqnr_db),
        "notes": list(made.notes),
        "losses": [
            {**asdict(loss), **{k: _finite(getattr(loss, k)) for k in ("sqnr_db", "alone_sqnr_db")}}
            for loss in made.losses
        ],
        "data": made.calibration.where,
    }
    files.write_json(folder.quantization, told)
    if made.labels is None:
        return
    inputs = [graph.digest(), made.float_accuracy, len(made.test), int(made.labels.sum())]
    if is_current(folder, STEP, inputs, (folder.accuracy,)):
        return
    right = 0
    for at in range(0, len(made.test), _BATCH):
        x = _integers(network, made.test[at : at + _BATCH])
        found = golden.run_outputs(graph, x)[made.scored].reshape(len(x), -1).argmax(axis=1)
        right += int(np.sum(found == made.labels[at : at + _BATCH]))
        run.progress(STEP, min(at + _BATCH, len(made.test)), len(made.test))
    scored = {"images": len(made.test), "golden": right / len(made.test)}
    files.write_json(folder.accuracy, {**scored, "float": made.float_accuracy, "quantized": made.quantized_accuracy})
    stamp(folder, STEP, inputs)


def _finite(ratio: float) -> float | None:
    """Return a ratio for JSON, which has no infinite numbers."""
    return round(ratio, 3) if math.isfinite(ratio) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loss:
    name: str
    operator: str
    weight_bits: int | None = None
    map_bits: int | None = None
    sqnr_db: float | None = None
    alone_sqnr_db: float | None = None
    alone_accuracy: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Quantized:
    """What 2-quantization.json says."""

    data: str
    sqnr_db: float | None = None
    notes: tuple[str, ...] = field(default=())
    losses: tuple[_Loss, ...] = field(default=())


def look_at(folder: RunFolder) -> Quantization | None:
    """Return what a run folder says of the quantization of its network; None if there was none."""
    if not folder.quantization.exists():
        return None
    read = parse(_Quantized, files.read_plain(folder.quantization), str(folder.quantization))
    losses = tuple(Loss(**asdict(loss)) for loss in read.losses)
    return Quantization(data=read.data, sqnr_db=read.sqnr_db, notes=read.notes, losses=losses)
