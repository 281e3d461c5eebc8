"""Images for the simulations, with what the golden model makes of them; and a user's numbers as such images."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import codesign
from codesign.datasets.files import load_npy
from codesign.errors import ConfigError
from codesign.flow.config import CompileConfig
from codesign.flow.folder import RunFolder, file_digest, is_current, stamp
from codesign.ir import files
from codesign.ir.graph import Graph, IntArray
from codesign.model import golden

MOST_ELEMENTS = 1 << 27  # of all images together


def chosen_images(given: Path | npt.NDArray[Any] | None, graph: Graph, config: CompileConfig) -> IntArray:
    """Return as many images [N,IY,IX,C] as the simulations want: the user's, or random ones. Raises ConfigError."""
    wanted = config.proof.csim_images
    elements = graph.input.shape.elements
    if wanted * elements > MOST_ELEMENTS:
        fit = max(MOST_ELEMENTS // elements, 1)
        raise ConfigError(
            f"csim_images: {wanted:,} images of {graph.input.shape} take more memory than simulations may; expected at "
            f"most {fit:,}"
        )
    if given is None:
        return random_images(graph, config.seed, wanted)
    source = str(given) if isinstance(given, Path) else "images"
    x = encoded(load_npy(given) if isinstance(given, Path) else given, graph, source)
    if len(x) < wanted:
        raise ConfigError(f"{source}: expected at least {wanted} images (--csim-images), got {len(x)}")
    return x[:wanted]


def encoded(given: npt.NDArray[Any], graph: Graph, source: str) -> IntArray:
    """Return a user's numbers as integers of the network's input, int64. Raises ConfigError naming the source."""
    x = np.asarray(given)
    kinds, what = ("iu", "integers") if graph.encoding.is_identity else ("iuf", "numbers")
    if x.dtype.kind not in kinds or x.ndim != 4:
        raise ConfigError(f"{source}: expected {what} [N, IY, IX, C], got {x.dtype} {list(x.shape)}")
    if x.dtype.kind == "f":  # as in the data that it was trained on
        if not np.isfinite(x).all():
            raise ConfigError(f"{source}: expected finite numbers, got one that is infinite or no number")
        x = graph.encoding.encode(x, graph.input.otype)
    check_vectors(graph, x, source)
    return x.astype(np.int64)


def save_images(folder: RunFolder, x: IntArray) -> None:
    """Write x[N,IY,IX,C], the images for the simulations, unless the folder has them; what they give comes later."""
    with contextlib.suppress(ConfigError, KeyError):  # a file that is not there, or was damaged
        if np.array_equal(files.load_arrays(folder.vectors)["x"], x):
            return
    files.save_arrays(folder.vectors, {"x": x})


def save_vectors(folder: RunFolder, graph: Graph, x: IntArray) -> None:
    """Write images for the simulations with what the golden model makes of them."""
    files.save_arrays(folder.vectors, {"x": x, "y": golden.run_joined(graph, x)})
    stamp(folder, "vectors", _vectors_inputs(folder, graph))


def complete_vectors(folder: RunFolder, command: str) -> None:
    """Add what the golden model makes of the images, unless the file has just that. Raises ConfigError.

    `command`: what began the folder.
    """
    graph = files.load_graph(folder.graph)
    if is_current(folder, "vectors", _vectors_inputs(folder, graph), (folder.vectors,)):
        return
    try:
        x = files.load_arrays(folder.vectors)["x"]
    except KeyError as error:
        remedy = f"delete it, and run the `codesign {command} ...` that began this folder"
        raise ConfigError(f"{folder.vectors}: has no array 'x'; {remedy}") from error
    check_vectors(graph, x, str(folder.vectors))
    save_vectors(folder, graph, x)


def _vectors_inputs(folder: RunFolder, graph: Graph) -> list[str]:
    return [graph.digest(), codesign.__version__, file_digest(folder.vectors)]


def load_vectors(folder: RunFolder) -> tuple[IntArray, IntArray]:
    """Load x[N,IY,IX,C] and the golden y[N,OY,OX,K], as golden.run_joined has it."""
    arrays = files.load_arrays(folder.vectors)
    return arrays["x"], arrays["y"]


def random_images(graph: Graph, seed: int, images: int) -> IntArray:
    """Return x[N,IY,IX,C] of the graph's input type, uniform; the second image all least, the third all largest."""
    shape, otype = graph.input.shape, graph.input.otype
    rng = np.random.default_rng(seed)
    x = rng.integers(otype.qmin, otype.qmax + 1, (images, shape.y, shape.x, shape.c), dtype=np.int64)
    if images > 2:
        x[1], x[2] = otype.qmin, otype.qmax
    return x


def check_vectors(graph: Graph, x: IntArray, source: str) -> None:
    """Raise ConfigError, naming the source, unless x are images of the graph."""
    try:
        golden.check_input(graph, x)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error
