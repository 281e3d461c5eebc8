"""Everything that is known about a run, as one value. summary.json and report.html are made from it."""

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from codesign.ir.board import Board
from codesign.ir.cost import Cost
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.ir.measurement import Measurement
from codesign.machine.elaborate import Machine, elaborate


class Column(Enum):
    """Where a figure comes from; figures of different columns are never mixed."""

    PREDICTED = "predicted"
    RTL = "RTL-simulated"
    OPEN_SYNTHESIS = "open synthesis"
    HLS_ESTIMATE = "HLS estimate"
    POST_ROUTE = "post-route"
    BOARD = "board"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Share of test images classified correctly by the float, the fake-quantized and the integer network.

    What was not measured is None. `images`: of the test part; `differing`: integers in which the fake-quantized
    network and the golden model disagree.
    """

    images: int
    golden: float
    float_: float | None = None
    quantized: float | None = None
    differing: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainFloat:
    """The plain float network of a space that was made for the samples: the shares of images that it gets right.

    `judged`: of those that the search judges by, after as short a training as the search's own. `test`: of the test
    images, after so many `epochs` on the whole training part. `weights`: how many it has.
    """

    weights: int
    epochs: int
    judged: float
    test: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How the design was found, and the network if it was searched too.

    `gap`: how much of the goal (interval, latency or resources) a better design could save at most, as a share.
    `edited`: the design is no longer the one that was found, so that nothing is known of it.
    """

    seconds: float
    evaluations: int
    proved_optimal: bool
    gap: float
    goal: str = "interval"
    notes: tuple[str, ...] = ()
    edited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The file of another tool that the network is from, and how the golden model compares with its own runtime.

    `layers`: node, its name in the file, and the most that its scaled sums are off, in steps of its output. `runtime`
    is empty if none is installed; `failure` says why there is no comparison. Differences are in steps of the output.
    `quantized_here`: the file has a float network, so that they are what quantization lost.
    """

    format: str
    input_axes: str
    output_axes: str
    quantized_here: bool = False
    notes: tuple[str, ...] = ()
    layers: tuple[tuple[str, str, float], ...] = ()
    runtime: str = ""
    failure: str = ""
    images: int = 0
    words: int = 0
    differing_words: int = 0
    largest_steps: int = 0
    mean_steps: float = 0.0
    differing_predictions: int = 0

    @property
    def verdict(self) -> str:
        """How the golden model compares with the runtime, in a sentence."""
        if self.failure:
            return f"{self.format}; not compared: {self.failure}"
        if not self.runtime:
            return f"{self.format}; not compared: the file's own runtime is not installed"
        of = f"{self.words:,} words (images: {self.images})"
        if not self.differing_words:
            return f"{self.format}; equals {self.runtime} in all {of}"
        if self.quantized_here:
            return (
                f"{self.format}, quantized here: the largest score is another in {self.differing_predictions} of "
                f"{self.images} images than in {self.runtime}"
            )
        return (
            f"{self.format}; {self.differing_words:,} of {of} differ from {self.runtime}; difference in steps: "
            f"{self.largest_steps} at most, {self.mean_steps:.2g} in the mean"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What quantization loses at one place of a network; a ratio is None where nothing is lost.

    Ratios are of signal to noise in decibels: of what the place gives, and at the network's output if it alone is
    quantized. `alone_accuracy`: of the network then, on labelled images.
    """

    name: str
    operator: str
    weight_bits: int | None
    map_bits: int | None
    sqnr_db: float | None
    alone_sqnr_db: float | None
    alone_accuracy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """How a float network was quantized after training: with which data, and what it lost where."""

    data: str
    sqnr_db: float | None
    notes: tuple[str, ...] = ()
    losses: tuple[Loss, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A figure over the course of a search: (step, value), and the value asked for if there is one."""

    title: str
    points: tuple[tuple[float, float], ...]
    target: float | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class View:
    """A run so far; what was not done is None or empty.

    `remarks`: sentences that a reader must know; `wrong`: sentences on what failed or is not bit-exact.
    """

    name: str
    board: Board
    data: str = ""
    data_notes: tuple[str, ...] = ()
    graph: Graph | None = None
    design: Design | None = None
    cost: Cost | None = None
    origin: Origin | None = None
    quantization: Quantization | None = None
    accuracy: Accuracy | None = None
    plain: PlainFloat | None = None
    search: Search | None = None
    course: tuple[Series, ...] = ()
    csim: Measurement | None = None
    rtlsim: Measurement | None = None
    rtlsim_stalls: Measurement | None = None
    measured: tuple[tuple[Column, Measurement], ...] = ()
    remarks: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()

    @cached_property
    def machine(self) -> Machine | None:
        """The hardware of the design; None before there is one."""
        return None if self.graph is None or self.design is None else elaborate(self.graph, self.design)

    def columns(self) -> tuple[tuple[Column, Measurement | None], ...]:
        """Return every column but the predicted one, with its latest measurement."""
        latest: dict[Column, Measurement | None] = {c: None for c in Column if c is not Column.PREDICTED}
        latest |= dict(self.measured)
        if self.rtlsim is not None:
            latest[Column.RTL] = self.rtlsim
        return tuple(latest.items())
