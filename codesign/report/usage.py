"""How much of what a design can multiply it does multiply, and where the rest goes."""

from collections.abc import Sequence
from dataclasses import dataclass

from codesign.ir.cost import Cost
from codesign.machine.elaborate import Machine, Unit

ENOUGH = 0.85  # a design below says what its multipliers wait for


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Multiplications of one image as a share of what multipliers could make in an interval: lanes times cycles.

    What is missing to 1 is lost in two ways, both shares as well. `empty`: lanes that have no channel, while their
    engine works. `waiting`: engines that are through before the slowest one.
    """

    useful: float
    empty: float
    waiting: float


def engine_usage(unit: Unit, cost: Cost) -> Usage | None:
    """Return the usage of one engine of the design; None if it multiplies nothing."""
    return _usage([unit], cost)


def design_usage(machine: Machine, cost: Cost) -> Usage | None:
    """Return the usage of all engines together, each weighted by its lanes; None if none multiplies."""
    return _usage(machine.units, cost)


def reason(machine: Machine, cost: Cost) -> str:
    """Return in a sentence or two what share of the design is useful, and why, if it is below ENOUGH."""
    usage = design_usage(machine, cost)
    if usage is None:
        return ""
    said = f"{usage.useful:.0%} of all multiplier cycles make a product of the network."
    if usage.useful >= ENOUGH:
        return said
    slowest = max(cost.engines, key=lambda engine: engine.interval_cycles).name
    return (
        f"{said} Lost are {usage.waiting:.0%} in engines that wait for {slowest}, the slowest, and {usage.empty:.0%} "
        "in lanes without a channel."
    )


def _usage(units: Sequence[Unit], cost: Cost) -> Usage | None:
    busy = {engine.name: engine.busy_cycles for engine in cost.engines}
    products = offered = working = 0
    for unit in units:
        if unit.node.macs:
            engine = unit.engine
            lanes = engine.pe * engine.simd * engine.taps
            products += unit.node.macs
            working += lanes * busy[engine.name]
            offered += lanes * cost.interval_cycles
    if not offered:
        return None
    return Usage(useful=products / offered, empty=(working - products) / offered, waiting=(offered - working) / offered)
