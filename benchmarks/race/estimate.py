"""How long cells will take on one core, from those that are finished, else from what single steps took."""

from collections.abc import Sequence
from statistics import mean

from codesign.cosearch.finish import FLOAT_EPOCHS, QUANTIZED_EPOCHS

from .settings import CHILDREN, GRADIENT, NEIGHBOURS, TRAINED, UNSEARCHED, Cell, Method, Profile
from .store import Result, Store

# Processor seconds on one core of the machine that the first table was made on.
PROXY_STEP_S = 0.07  # 128 images through one network of the supernet and back
EVALUATION_S = 0.21  # of a network by the proxy
SEARCH_STEP_S = 0.14  # weights, and every other time choices
TRAIN_STEP_S = 0.045
SIMULATION_S = 45.0  # building and running it, and the golden model on the test images
HALVINGS = 3  # of the limit of products that two steps need


def estimate(cells: Sequence[Cell], profile: Profile, store: Store) -> str:
    """Return one line for the screen."""
    known = [r for r in store.all() if r.profile == profile.name]
    seconds = sum(_seconds(cell.method, profile, known) for cell in cells)
    seconds += len({c.seed for c in cells} - {r.cell.seed for r in known}) * _proxy_s(profile)
    return f"the other {len(cells)} take about {seconds / 3600:.1f} hours on one core"


def _seconds(method: Method, profile: Profile, known: Sequence[Result]) -> float:
    alike = [_spent(r) for r in known if r.cell.method is method]
    if alike:
        return mean(alike)
    train, search = profile.train, profile.search
    images = (train.float_epochs + train.quantized_epochs) * max(train.epoch_images, profile.train_images)
    final = images / train.batch_images * TRAIN_STEP_S + SIMULATION_S
    if method in UNSEARCHED:
        return final
    if method in GRADIENT:
        seen = search.images * (1 - search.validation_share)
        trained = (FLOAT_EPOCHS + QUANTIZED_EPOCHS) * seen * search.trained_neighbours if method in NEIGHBOURS else 0.0
        return (search.epochs * seen * SEARCH_STEP_S + trained * TRAIN_STEP_S) / search.batch_images + final
    trials = HALVINGS if method is Method.TWO_STEP else 1
    if method in CHILDREN:  # two epochs for each
        return TRAINED.evaluations * 2 * profile.proxy.images / train.batch_images * TRAIN_STEP_S + final
    evaluation = EVALUATION_S
    return trials * profile.limit.evaluations * evaluation + final


def _proxy_s(profile: Profile) -> float:
    return profile.proxy.epochs * profile.proxy.images / profile.proxy.batch_images * PROXY_STEP_S


def _spent(result: Result) -> float:
    final = result.final
    spent = result.search.seconds - result.search.setup_s
    if final is not None:
        spent += final.trained.seconds + (final.measured.seconds if final.measured else 0.0)
    return spent
