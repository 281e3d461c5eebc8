"""Everything that is known about a run, as one value: what summary.json and report.html are made of."""

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
    """Share of test images classified rightly by the float, the fake-quantized and the integer network.

    What was not measured is None. `images`: of the test part; `differing`: integers in which the fake-quantized
    network and the golden model disagree.
    """

    images: int
    golden: float
    float_: float | None = None
    quantized: float | None = None
    differing: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How the design, and the network if it was searched too, came about.

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
class Series:
    """A figure over the course of a search: (step, value), and the value asked for if there is one."""

    title: str
    points: tuple[tuple[float, float], ...]
    target: float | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class View:
    """A run as far as it has come; what was not done is None or empty.

    `remarks`: sentences that a reader must know; `wrong`: sentences on what failed or is not bit-exact.
    """

    name: str
    board: Board
    data: str = ""
    data_notes: tuple[str, ...] = ()
    graph: Graph | None = None
    design: Design | None = None
    cost: Cost | None = None
    accuracy: Accuracy | None = None
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
