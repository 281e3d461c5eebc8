"""`space: auto`: the space made for the samples, the plain float network of its middle, and the search in it."""

import math

from codesign.cosearch.cosearch import CosearchResult
from codesign.cosearch.further import improved_on, judged_plain
from codesign.errors import ConfigError
from codesign.flow.config import RunConfig
from codesign.flow.folder import is_current, stamp
from codesign.flow.steps import Run
from codesign.ir import files
from codesign.ir.dataset import Dataset
from codesign.ir.strict import to_plain
from codesign.nets import parallel
from codesign.nets.train import share, train_float
from codesign.networks.auto import auto_space
from codesign.networks.derive import derive
from codesign.networks.network import Network, skeleton
from codesign.networks.space import Space, middle
from codesign.networks.spaces import load_space
from codesign.progress import Progress
from codesign.report.view import PlainFloat

PLAIN, SPACE = "plain", "space"  # stamps


def space_step(run: Run, dataset: Dataset) -> Space:
    """Make the space of these samples, as a file that the user can read, or return the one that was made before.

    Raise ConfigError if that was edited: then it is no longer what the folder's configuration says.
    """
    path, team = run.folder.space, parallel.team()
    if team.leads:
        if not path.exists():
            space = to_plain(auto_space(dataset.shape, len(dataset.train_x)))
            files.write_yaml(path, space)
            stamp(run.folder, SPACE, space)
        elif not is_current(run.folder, SPACE, to_plain(load_space(str(path))), ()):
            raise ConfigError(
                f"{path}: is not the space that `space: auto` made here. To search an edited space, copy it, name the "
                "copy as `space` in the configuration, and another folder with --out. To go on here, delete it"
            )
    team.agreed(0)  # when the file is there
    return load_space(str(path))


def plain_step(run: Run, config: RunConfig, dataset: Dataset, space: Space) -> PlainFloat:
    """Train the plain float network of the space: as briefly as the search trains what it compares, and for the report.

    The latter takes the float epochs that the result gets too, on the whole training part.
    """
    folder, team = run.folder, parallel.team()
    inputs = [dataset.digest(), to_plain(config.search), to_plain(config.train), to_plain(space)]
    if not team.agreed(is_current(folder, PLAIN, inputs, (folder.plain,))):
        network = derive(space, middle(space), "plain", dataset.shape, dataset.classes)
        tell = _as_plain(run.progress)
        files.make_folder(folder.plain_state)
        judged = share(judged_plain(network, dataset, config.search, folder.plain_state / "judged", tell))
        test = share(train_float(network, dataset, config.train, folder.plain_state / "test", tell))
        if team.leads:
            made = PlainFloat(weights=_weights(network), epochs=config.train.float_epochs, judged=judged, test=test)
            files.write_json(folder.plain, to_plain(made))
            stamp(folder, PLAIN, inputs)
    team.agreed(0)  # when the file is there
    return files.read_json_as(PlainFloat, folder.plain)


def further_step(
    run: Run, config: RunConfig, dataset: Dataset, space: Space, plain: PlainFloat, found: CosearchResult
) -> tuple[CosearchResult, list[str]]:
    """Go on from the network found where the plain one is better. Return what comes of it, and sentences on it all."""
    folder = run.folder
    found, notes = improved_on(
        found, plain.judged, dataset, space, run.board, config.search, folder.search_state, run.progress
    )
    shape = "x".join(str(n) for n in (dataset.shape.y, dataset.shape.x, dataset.shape.c))
    made = (
        f"the space was made for {len(dataset.train_x):,} samples of {shape}, and is in {folder.space.name}; to search "
        "an edited one, copy the file and name the copy as `space` of another run"
    )
    return found, [made, *notes]


def _as_plain(progress: Progress) -> Progress:
    """Return the progress under the plain network's name."""

    def tell(stage: str, done: int, total: int, note: str = "") -> None:
        progress("train the plain float network", done, total, note)

    return tell


def _weights(network: Network) -> int:
    """Count the weights of all convolutions."""
    return sum(math.prod(node.parameters.get("weight", (0,))) for node in skeleton(network).operations)
