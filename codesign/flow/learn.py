"""The half of `run` that needs torch: data set -> searched network -> trained and exported graph -> its accuracy."""

import importlib.util
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from codesign.cosearch.config import Hardware, SearchConfig
from codesign.cosearch.cosearch import CosearchResult, cosearch
from codesign.datasets.load import load_dataset
from codesign.datasets.resize import reduced
from codesign.errors import ConfigError, MismatchError
from codesign.flow.auto import further_step, plain_step, space_step
from codesign.flow.config import LEAST_RTLSIM_IMAGES, RunConfig
from codesign.flow.folder import file_digest, is_current, stamp
from codesign.flow.log import epoch_log
from codesign.flow.steps import Run
from codesign.flow.suited import suited
from codesign.flow.vectors import save_vectors
from codesign.ir import files
from codesign.ir.dataset import Dataset
from codesign.ir.graph import Graph
from codesign.ir.strict import parse, to_plain
from codesign.model import golden
from codesign.nets import parallel
from codesign.nets.device import check_device
from codesign.nets.export import export
from codesign.nets.outputs import integer_outputs
from codesign.nets.parallel import join as join
from codesign.nets.parallel import leave
from codesign.nets.train import TrainedNet, train
from codesign.networks.auto import AUTO
from codesign.networks.network import Network
from codesign.networks.space import magnitude
from codesign.networks.spaces import load_space
from codesign.ops.arrays import IntArray

BATCH = 250  # images at a time through the golden model


def dataset_of(run: Run, config: RunConfig) -> Dataset:
    """Load the data set; a relative path in the configuration is taken from where the command runs.

    Raise ConfigError if it has fewer test samples than are to be simulated.
    """
    run.progress("reading the data set", 0, 1)
    dataset = load_dataset(config.data)
    if len(dataset.test_x) < config.proof.rtlsim_images:
        remedy = "ask for fewer, or bring more" if len(dataset.test_x) >= LEAST_RTLSIM_IMAGES else "bring more"
        raise ConfigError(
            f"proof: rtlsim_images: {config.proof.rtlsim_images} are to be simulated, but {dataset.name} has "
            f"{len(dataset.test_x)} test samples; {remedy}"
        )
    run.progress("reading the data set", 1, 1, "; ".join((_data_line(dataset), *dataset.notes)))
    return dataset


def search_and_train(run: Run, config: RunConfig) -> Dataset:
    """Make a graph from data set and board. Every process of a team does this; after it only the leader continues.

    Return the samples as the network sees them, at its resolution.
    """
    check_device(config.train.device)
    dataset = dataset_of(run, config)
    config = suited(config, dataset)
    parallel.team().check(config.train.batch_images)
    network_step(run, config, dataset)
    dataset = reduced(dataset, load_network(run.folder.network).shape)
    train_step(run, config, dataset)
    leave()
    return dataset


def network_step(run: Run, config: RunConfig, dataset: Dataset) -> None:
    """Make the derived network from data set and board, by co-search with a design that meets the demand."""
    folder, team = run.folder, parallel.team()
    plain = None
    if config.space == AUTO:
        space = space_step(run, dataset)
        plain = plain_step(run, config, dataset, space)
    else:
        space = load_space(config.space) if isinstance(config.space, str) else config.space
    inputs = [dataset.digest(), run.board.figures(), to_plain(config.search), to_plain(space)]
    inputs += [] if plain is None else [plain.judged]
    if team.agreed(is_current(folder, "network", inputs, (folder.network,))):
        return
    log = epoch_log(folder.log, "search", config.log) if team.leads else None
    given = (dataset, space, run.board, config.search, folder.search_state, run.progress)
    found, notes = cosearch(*given, log), list[str]()
    if plain is not None:
        found, notes = further_step(run, config, dataset, space, plain, found)
    if team.leads:
        if config.search.hardware is Hardware.DNA:
            files.save_design(found.design, folder.arrays)
        told = _network_plain(found, config.search, run.board.clock_mhz, notes)
        files.write_json(folder.network, {**told, "data": _data_line(dataset), "data_notes": list(dataset.notes)})
        stamp(folder, "network", inputs)
    team.agreed(0)  # when the file is there


def train_step(run: Run, config: RunConfig, dataset: Dataset) -> None:
    """Make the graph from network and data set, with the accuracy of the float and the fake-quantized network."""
    folder, team = run.folder, parallel.team()
    network = load_network(folder.network)
    inputs = [network.digest(), dataset.digest(), to_plain(config.train)]
    outputs = (folder.graph, folder.training, folder.quantized)
    if team.agreed(is_current(folder, "train", inputs, outputs)):
        return
    log = epoch_log(folder.log, "train", config.log) if team.leads else None
    trained = train(network, dataset, config.train, folder.train_state, run.progress, log)
    if not team.leads:
        return
    graph = export(trained.net, dataset.encoding)
    files.save_graph(graph, folder.graph)
    files.save_arrays(folder.quantized, {"y": integer_outputs(trained.net, dataset.test_x)})
    files.write_json(folder.training, _training_plain(trained))
    if importlib.util.find_spec("onnx") is not None:
        from codesign.front.onnx_file import write_onnx  # not before it is known that onnx is there

        write_onnx(graph, folder.onnx)
    stamp(folder, "train", inputs)


def accuracy_step(run: Run, config: RunConfig, dataset: Dataset) -> None:
    """Measure the golden model's accuracy on the test images; it equals the fake-quantized network in every integer.

    Leave some of the test images, evenly taken, as vectors for the simulations. Raise MismatchError.
    """
    folder, graph = run.folder, files.load_graph(run.folder.graph)
    images = config.proof.csim_images
    inputs = [graph.digest(), dataset.digest(), images, file_digest(folder.quantized)]
    if is_current(folder, "accuracy", inputs, (folder.accuracy, folder.vectors)):
        return
    x = dataset.test_x.astype(np.int64)
    y = _golden_outputs(run, graph, x)
    expected = files.load_arrays(folder.quantized)["y"]
    differing = int((y != expected).sum())
    if differing:
        index = tuple(int(i) for i in np.argwhere(y != expected)[0])
        raise MismatchError(
            f"golden model: {differing} outputs differ from the fake-quantized network's, first at "
            f"{graph.output.name}{list(index)}: expected {expected[index]}, got {y[index]}"
        )
    right = float((y.reshape(len(y), -1).argmax(axis=1) == dataset.test_y).mean())
    files.write_json(folder.accuracy, {"images": len(y), "golden": right, "differing": differing})
    save_vectors(folder, graph, x[:: max(len(x) // images, 1)][:images])
    stamp(folder, "accuracy", inputs)


def load_network(path: Path) -> Network:
    """Load the derived network of a run. Raise ConfigError naming file and key."""
    return parse(Network, files.read_plain(path).get("network"), f"{path}: network")


def _golden_outputs(run: Run, graph: Graph, x: IntArray) -> IntArray:
    parts = []
    for start in range(0, len(x), BATCH):
        parts.append(golden.run(graph, x[start : start + BATCH]))
        run.progress("golden model on the test images", min(start + BATCH, len(x)), len(x))
    return np.concatenate(parts)


def _data_line(dataset: Dataset) -> str:
    return f"{dataset.name}, {len(dataset.train_x):,} + {len(dataset.test_x):,} images"


def _network_plain(
    found: CosearchResult, config: SearchConfig, clock_mhz: float, more: Sequence[str]
) -> dict[str, Any]:
    asked = config.demand(clock_mhz).interval_cycles
    notes = [
        f"{len(found.choices)} choices span {magnitude(found.space_networks)} networks; {found.priced_networks:,} were "
        f"priced, {found.design_searches:,} had their design searched exactly",
    ]
    if config.min_fps is not None:
        notes.append(f"demanded: {config.min_fps:,.10g} FPS, and the search found an accelerator that gives them")
    epochs = found.history
    return {
        "network": to_plain(found.network),
        "choices": dict(found.choices),
        "seconds": found.seconds,
        "evaluations": found.priced_networks,
        "notes": [*notes, *more],
        "course": [
            _series("loss of the weights", ((e.epoch, e.weight_loss) for e in epochs)),
            _series("loss of the choices", ((e.epoch, e.choice_loss) for e in epochs)),
            _series(
                "interval of the likeliest network, cycles",
                ((e.epoch, e.exact_interval_cycles) for e in epochs),
                target=None if asked is None else float(asked),
            ),
            _series("interval of the drawn networks, cycles", ((e.epoch, e.drawn_interval_cycles) for e in epochs)),
            _series("entropy of the choices", ((e.epoch, e.entropy) for e in epochs)),
        ],
    }


def _training_plain(trained: TrainedNet) -> dict[str, Any]:
    losses: Sequence[float] = trained.losses
    return {
        "float": trained.float_accuracy,
        "quantized": trained.quantized_accuracy,
        "course": [_series("loss of the training, float then quantized", enumerate(losses))],
    }


def _series(title: str, points: Iterable[tuple[int, float | None]], target: float | None = None) -> dict[str, Any]:
    return {"title": title, "points": [[x, float(y)] for x, y in points if y is not None], "target": target}
