"""What a design will take, before anything is rendered: cycles, resources, DRAM traffic, per engine and in total."""

from dataclasses import replace

from codesign.ir.board import Board
from codesign.ir.cost import Cost, EngineCost
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.ir.target import Target
from codesign.ir.technology import Technology
from codesign.machine.elaborate import Unit, elaborate
from codesign.machine.legal import check_design
from codesign.machine.line import compute_cycles, node_interval
from codesign.machine.packing import check_ports
from codesign.model.clock import estimate_clock
from codesign.model.course import first_image_latency
from codesign.model.dram import dram_of, load_cycles
from codesign.model.limit import stream_bytes
from codesign.model.resource import shell_resources, unit_resources
from codesign.model.schedule import schedule


def predict(graph: Graph, design: Design, target: Target) -> Cost:
    """Return the cost of the design on the target; raises ConfigError if the design does not fit graph and target.

    `dram_bytes` are those of one image that cross the streams at either end: line engines hold everything else on chip.
    """
    check_design(design, graph)
    machine = elaborate(graph, design)
    for unit in machine.units:
        check_ports(unit.node, unit.engine, target.fabric)
    engines = tuple(_engine_cost(unit, target.fabric) for unit in machine.units)
    shell = shell_resources(machine, target.fabric)
    total = shell
    for cost in engines:
        total = total + cost.resources
    return Cost(
        latency_cycles=first_image_latency(machine),
        interval_cycles=schedule(machine).interval_cycles,
        resources=total,
        dram_bytes=stream_bytes(graph),
        engines=engines,
        shell=shell,
    )


def predict_with_clock(graph: Graph, design: Design, board: Board) -> Cost:
    """Return what `predict` does, an estimate of the clock, and the cycles of loading weights.

    It is for a design that is finished, not for a search.
    """
    cost, timing, machine = predict(graph, design, board), board.fabric.timing, elaborate(graph, design)
    if machine.loader is not None:
        cost = replace(cost, load_cycles=load_cycles(machine.loader, dram_of(board)))
    return cost if timing is None else replace(cost, clock=estimate_clock(machine, timing, board.part))


def _engine_cost(unit: Unit, technology: Technology) -> EngineCost:
    node, engine = unit.node, unit.engine
    return EngineCost(
        name=engine.name,
        nodes=engine.nodes,
        busy_cycles=compute_cycles(node, engine),
        interval_cycles=node_interval(node, engine),
        macs=node.macs,
        resources=unit_resources(unit, technology),
    )
