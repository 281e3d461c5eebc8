"""How large the race is: boards, demands, methods, and two profiles of one and the same procedure."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from codesign.cosearch.config import SearchConfig
from codesign.networks.training import TrainConfig

from .problem import Limit

RESULTS = Path(__file__).parent.parent / "results" / "cosearch"
TINY = RESULTS.parent / "cosearch_tiny.json"
SHARE = 0.3  # of each board: with all of it the largest networks fit, and any search that grows them would do
BUDGETS: dict[str, tuple[int, ...]] = {
    # 5,000, 2,857 and 2,000 cycles at 100 MHz; 5,000, 2,666 and 1,818 at 200. The largest networks of the space need
    # 5,292 and 3,528, and an engine of the second stage at least 1,764.
    "pynq-z2": (20_000, 35_000, 50_000),
    "ultra96-v2": (40_000, 75_000, 110_000),
}
SEEDS = (0, 1, 2)
SPACE = "fashion"
JUDGED_IMAGES = 5_000  # that judge a network which is trained on its own
TRAINED = Limit(evaluations=800, points=1_000_000)  # of the controller whose networks are trained one by one


class Method(Enum):
    """Who runs, in the order in which a table shows them."""

    OURS = "ours"
    DNA = "dna"
    TWO_STEP = "two-step"
    FIXED = "fixed"
    RANDOM = "random"
    EVOLUTION = "evolution"
    RL = "rl"
    SEMI_DECOUPLED = "semi-decoupled"
    NONE = "none"
    OURS_SUM = "ours-sum"
    OURS_HETEROGENEOUS = "ours-heterogeneous"
    OURS_AS_FOUND = "ours-as-found"
    OURS_RANKED = "ours-ranked"
    OURS_NEIGHBOURS = "ours-neighbours"
    NONE_ELSEWHERE = "none-elsewhere"
    OURS_ELSEWHERE = "ours-elsewhere"
    OURS_ELSEWHERE_NEIGHBOURS = "ours-elsewhere-neighbours"
    RL_CHILDREN = "rl-children"
    OURS_CHILDREN = "ours-children"


RACE = tuple(Method)[:9]
ABLATIONS = tuple(Method)[9:17]
CHILDREN = tuple(Method)[17:]  # judged by networks that are trained one by one
UNSEARCHED = (Method.NONE, Method.NONE_ELSEWHERE)
NEIGHBOURS = (Method.OURS_NEIGHBOURS, Method.OURS_ELSEWHERE_NEIGHBOURS)  # trained at the end, which no rival does
ELSEWHERE = (Method.NONE_ELSEWHERE, Method.OURS_ELSEWHERE, Method.OURS_ELSEWHERE_NEIGHBOURS)
GRADIENT = (
    Method.OURS,
    Method.DNA,
    *(method for method in ABLATIONS if method not in UNSEARCHED),
    Method.OURS_CHILDREN,
)
TITLES = {
    Method.OURS: "ours",
    Method.DNA: "DNA's hardware search",
    Method.TWO_STEP: "two steps: products, then design",
    Method.FIXED: "fixed accelerator, then network",
    Method.RANDOM: "random, joint",
    Method.EVOLUTION: "regularised evolution, joint",
    Method.RL: "reinforcement learning, joint",
    Method.SEMI_DECOUPLED: "semi-decoupled",
    Method.NONE: "no search",
    Method.OURS_SUM: "ours, sum in place of bottleneck",
    Method.OURS_HETEROGENEOUS: "ours, heterogeneous sampling of bits",
    Method.OURS_AS_FOUND: "ours, not enlarged at the end",
    Method.OURS_RANKED: "ours, finalists ranked by shared weights alone",
    Method.OURS_NEIGHBOURS: "ours, neighbours of the result trained",
    Method.NONE_ELSEWHERE: "no search, at the last operators",
    Method.OURS_ELSEWHERE: "ours, begun at the last operators",
    Method.OURS_ELSEWHERE_NEIGHBOURS: "ours, begun there, neighbours trained",
    Method.RL_CHILDREN: "reinforcement learning, every network trained",
    Method.OURS_CHILDREN: "ours, its course by trained networks",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """The supernet that judges networks for all rivals: its training, and the images of an evaluation."""

    images: int
    epochs: int
    batch_images: int = 128
    rate: float = 3e-3
    statistics_images: int = 512
    score_images: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Everything that decides how long a cell takes; cells of different profiles are never compared.

    `train_images`: of the training part, on which results are trained in the end.
    """

    name: str
    proxy: ProxySettings
    limit: Limit
    search: SearchConfig
    train: TrainConfig
    train_images: int
    rtlsim_images: int = 6


FULL = Profile(
    name="full",
    proxy=ProxySettings(images=20_000, epochs=10),
    limit=Limit(evaluations=300, points=800_000),
    search=SearchConfig(threads=1, epochs=10, images=20_000),
    train=TrainConfig(threads=1, float_epochs=4, quantized_epochs=2),
    train_images=25_000,
)
SHORT = Profile(
    name="short",
    proxy=ProxySettings(images=12_000, epochs=8),
    limit=Limit(evaluations=80, points=400_000),
    search=SearchConfig(threads=1, epochs=9, warmup_epochs=3, images=12_000, choice_rate=0.06),
    train=TrainConfig(threads=1, float_epochs=3, quantized_epochs=2, epoch_images=10_000),
    train_images=12_000,
)
PROFILES = {p.name: p for p in (FULL, SHORT)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One entry of the race."""

    board: str
    fps: int
    method: Method
    seed: int

    @property
    def name(self) -> str:
        """A name for a folder."""
        return f"{self.board}_{self.fps}_{self.method.value}_s{self.seed}"

    @property
    def place(self) -> tuple[str, int, int, int]:
        """Where it stands in a table."""
        return self.board, self.fps, list(Method).index(self.method), self.seed

    def __str__(self) -> str:
        return f"{self.board}, {self.fps:,} FPS, {self.method.value}, seed {self.seed}"


def all_cells() -> list[Cell]:
    """Return every cell, in an order in which a part is of most use: one seed and the middle budgets first.

    Variants of ours run on the first board only. Networks are trained one by one there for the first seed only.
    """
    first = next(iter(BUDGETS))
    found = [
        Cell(board=board, fps=fps, method=method, seed=seed)
        for board, budgets in BUDGETS.items()
        for fps in budgets
        for method in Method
        for seed in SEEDS
        if method in RACE or (board == first and (method in ABLATIONS or seed == SEEDS[0]))
    ]

    def late(cell: Cell) -> tuple[int, ...]:
        boards, budgets = list(BUDGETS), BUDGETS[cell.board]
        outer = cell.fps != budgets[len(budgets) // 2]
        extra = cell.method not in RACE
        return (cell.seed, boards.index(cell.board), outer, budgets.index(cell.fps), extra)

    return sorted(found, key=late)
