"""What a user may set; type hints are the schema, see ir.strict. Nothing here needs torch."""

import re
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from codesign.cosearch.config import SearchConfig
from codesign.datasets.load import OWN, DataConfig
from codesign.errors import ConfigError
from codesign.ir import files
from codesign.ir.board import Limits
from codesign.ir.demand import check_demands
from codesign.ir.strict import check_range
from codesign.networks.auto import AUTO
from codesign.networks.space import Space
from codesign.networks.spaces import load_space
from codesign.networks.training import TrainConfig
from codesign.ptq.config import QuantizeConfig
from codesign.search.goal import Goal

LOADED = "loaded"  # of `weights`
LEAST_RTLSIM_IMAGES = 4  # the first half fills the pipeline; an interval is measured over the rest
_LONGEST_NAME = 48
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,47}")
_NO_NAME = re.compile(r"[^a-z0-9_-]+")


class Step(Enum):
    """What can be done on a run folder that has a network, in order; a run can stop behind any of them.

    `synthesize` is open synthesis, which a run leaves out unless it is asked for. `report` is all that its
    configuration asks for.
    """

    PREDICT = "predict"
    RENDER = "render"
    CSIM = "csim"
    RTLSIM = "rtlsim"
    SYNTHESIZE = "synthesize"
    REPORT = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofConfig:
    """How much is simulated: images in C and RTL simulation, and whether random stalls and synthesis follow."""

    csim_images: int = 100
    rtlsim_images: int = 8
    stalls: bool = True
    synthesis: bool = False
    time_limit_s: float = 1800.0

    def __post_init__(self) -> None:
        check_range(self, 1, 10_000, "csim_images")
        if not LEAST_RTLSIM_IMAGES <= self.rtlsim_images <= self.csim_images:
            most = f"{self.csim_images}, the csim_images"
            raise ValueError(f"rtlsim_images: expected {LEAST_RTLSIM_IMAGES} to {most}, got {self.rtlsim_images}")
        check_range(self, 1e-3, 1e6, "time_limit_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileConfig:
    """`codesign compile`: a trained network and a board to an accelerator, and the proof.

    `min_fps`: the cheapest design that is at least this fast; without it, the fastest. `goal`: what is minimised
    instead. `max_latency_us`: microseconds from the first pixel of an image to its last result. `limits`: resources
    that a design may take. `input_shape`: the extents of the input behind the batch, where the file leaves them open.
    `calibrate`: the images that a float network is quantized by, see ptq.calibration; `quantize`: how. `weights`:
    "loaded" from DRAM at start, or the folder of a run whose machine loads this network's too; else they are constants.
    """

    name: str
    board: str
    min_fps: float | None = None
    max_latency_us: float | None = None
    goal: Goal | None = None
    limits: Limits = field(default_factory=Limits)
    seed: int = 0
    proof: ProofConfig = field(default_factory=ProofConfig)
    input_shape: tuple[int, ...] | None = None
    calibrate: str | None = None
    quantize: QuantizeConfig | None = None
    weights: str | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        check_demands(self)
        check_range(self, 0, 2**63 - 1, "seed")
        if self.input_shape is not None and not all(1 <= n < 2**31 for n in self.input_shape):
            raise ValueError(f"input_shape: expected positive extents, got {list(self.input_shape)}")
        if self.quantize is not None and self.calibrate is None:
            raise ValueError("quantize: says how a float network is quantized; give the images too, as calibrate")


class LogKind(Enum):
    """What is written beside the report."""

    CSV = "csv"
    TENSORBOARD = "tensorboard"  # and the CSV files


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """`codesign run`: a data set and a board to a searched network, its accelerator, and the proof.

    `space`: the name of a built-in space, a file, one written out, or `auto`, which makes one for the samples. Without
    it, arrays and folders have `auto`, the known sets `fashion`. `limits`: resources that a design may take.
    """

    name: str
    board: str
    data: DataConfig = field(default_factory=DataConfig)
    limits: Limits = field(default_factory=Limits)
    space: str | Space = ""
    search: SearchConfig = field(default_factory=SearchConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    proof: ProofConfig = field(default_factory=ProofConfig)
    log: LogKind = LogKind.CSV

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.space == "":
            object.__setattr__(self, "space", AUTO if self.data.kind in OWN else "fashion")
        if isinstance(self.space, str) and self.space != AUTO:
            load_space(self.space)


def load_config(path: Path) -> RunConfig:
    """Read a configuration file. Raise ConfigError naming file and key."""
    return files.read_yaml_as(RunConfig, path)


def step_named(name: str) -> Step:
    """Return the step of that name. Raises ConfigError with all names."""
    names = [step.value for step in Step]
    if name not in names:
        raise ConfigError(f"expected {', '.join(names[:-1])} or {names[-1]}, got {name!r}")
    return Step(name)


def run_name(stem: str) -> str:
    """Return the name of a run for that of a file or a network: a small letter, then letters, digits, - and _."""
    plain = _NO_NAME.sub("-", stem.lower()).strip("-_")
    return (plain if plain[:1].isalpha() else f"net-{plain}".rstrip("-"))[:_LONGEST_NAME].rstrip("-_")


def check_name(name: str) -> None:
    """Raise ValueError unless the name of a run is a plain file name."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"name: expected a letter, then letters, digits, '-' or '_' (all lower case), got {name!r}")


def difference(old: Any, new: Any, key: str = "") -> str:
    """Return the first key in which two plain configurations differ, with both values; empty if they agree."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(n for n in new if n not in old)]:
            found = difference(old.get(name), new.get(name), f"{key}: {name}" if key else str(name))
            if found:
                return found
        return ""
    return "" if old == new else f"{key} was {old!r}, now {new!r}"
