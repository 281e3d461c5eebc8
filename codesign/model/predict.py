"""What a design will take, before anything is rendered: cycles, resources, DRAM traffic, per node and in total."""

from codesign.ir.board import Board
from codesign.ir.cost import Cost, NodeCost
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.ir.nodes import Conv, Input
from codesign.model.course import first_image_latency
from codesign.model.latency import compute_cycles, node_interval
from codesign.model.resource import node_resources, shell_resources
from codesign.model.schedule import schedule


def predict(graph: Graph, design: Design, board: Board) -> Cost:
    """Cost of the design on the board; raises ConfigError if the design does not fit the graph.

    `dram_bytes` are those of one image that cross the streams at either end: line engines hold everything else on chip.
    """
    design.check(graph)
    nodes = tuple(
        NodeCost(
            node=node.name,
            busy_cycles=compute_cycles(node, design.engine_of(node.name)),
            interval_cycles=node_interval(node, design.engine_of(node.name)),
            macs=node.macs if isinstance(node, Conv) else 0,
            resources=node_resources(node, design.engine_of(node.name), board.family),
        )
        for node in graph.nodes
        if not isinstance(node, Input)
    )
    shell = shell_resources(graph, design, board.family)
    total = shell
    for cost in nodes:
        total = total + cost.resources
    return Cost(
        latency_cycles=first_image_latency(graph, design),
        interval_cycles=schedule(graph, design).interval_cycles,
        resources=total,
        dram_bytes=_stream_bytes(graph),
        nodes=nodes,
        shell=shell,
    )


def _stream_bytes(graph: Graph) -> int:
    ends = ((graph.input.shape, graph.input.otype), (graph.output.oshape, graph.output.otype))
    return sum(shape.elements * (1 if otype.bits <= 8 else 2) for shape, otype in ends)
