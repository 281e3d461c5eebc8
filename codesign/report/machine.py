"""The figure of the machine: every node, the engine that runs it, and the cycles it takes, row by row."""

from collections.abc import Iterable

from codesign.ir.design import LineEngine, Multiplier
from codesign.machine.elaborate import Machine, Unit
from codesign.ops.conv import Conv
from codesign.ops.input import Input
from codesign.ops.node import Node
from codesign.report import svg
from codesign.report.view import View

MULTIPLIERS = {Multiplier.DSP: "DSP", Multiplier.LUT: "LUT", Multiplier.PACKED: "half DSP"}
ROW = 66.0
HEAD = 34.0
BOX = 48.0
NODE_X, NODE_W = 44.0, 286.0
ENGINE_X, ENGINE_W = 366.0, 250.0
BAR_X, BAR_W = 652.0, 330.0
WIDTH = 1080.0


def machine_figure(view: View) -> str:
    """Draw the figure; return an empty text before there is a graph, and the network alone before a machine."""
    graph, machine = view.graph, view.machine
    if graph is None:
        return ""
    nodes = graph.nodes if machine is None else (machine.source.node, *(unit.node for unit in machine.units))
    edges = graph.edges() if machine is None else _edges(machine)
    rows = {node.name: HEAD + i * ROW for i, node in enumerate(nodes)}
    height = HEAD + len(nodes) * ROW + 6
    parts = [
        svg.text(NODE_X, 16, "network", "column"),
        svg.text(ENGINE_X, 16, "engine", "column") if machine else "",
        svg.text(BAR_X, 16, "cycles per image", "column") if view.cost else "",
    ]
    parts += [_edge(source, name, index, rows) for source, name, index in edges]
    outputs = [node.name for node in graph.output_nodes] if len(graph.output_nodes) > 1 else []
    parts += [_node_box(node, rows[node.name], outputs) for node in nodes]
    if machine is not None:
        parts += [_engine_box(unit, rows[unit.node.name]) for unit in machine.units]
    parts += _bars(view, rows, height)
    return svg.figure(WIDTH, height, "network, engines and cycles per engine", parts)


def _edges(machine: Machine) -> Iterable[tuple[str, str, int]]:
    """Return (producer, consumer, input index) of every map that an engine reads."""
    for instance in machine.instances:
        if isinstance(instance.block, Unit):
            for index, name in enumerate(instance.inputs):
                yield machine.channels[name].node, instance.block.node.name, index


def kind_class(node: Node) -> str:
    """Return the style sheet's class of a node: what its engine is mostly made of."""
    if isinstance(node, Input):
        return "k-input"
    if node.parameters:
        return "k-conv" if node.mixes else "k-depthwise"
    return "k-add" if node.joins else "k-pool"


def _node_box(node: Node, y: float, outputs: list[str]) -> str:
    """Draw a node; one of several outputs says which it is."""
    shape = str(node.oshape).replace("x", "×")
    shape += f", output {outputs.index(node.name)}" if node.name in outputs else ""
    types = f"{node.wtype} weights → {node.otype}" if isinstance(node, Conv) else f"→ {node.otype}"
    return "".join(
        (
            svg.rect(NODE_X, y, NODE_W, BOX, f"box {kind_class(node)}", 8),
            svg.rect(NODE_X, y, 5, BOX, f"edge {kind_class(node)}", 2),
            svg.text(NODE_X + 16, y + 20, node.name, "name"),
            svg.text(NODE_X + NODE_W - 12, y + 20, shape, "what", "end"),
            svg.text(NODE_X + 16, y + 38, node.title, "detail"),
            svg.text(NODE_X + NODE_W - 12, y + 38, types, "detail", "end"),
        )
    )


def _engine_box(unit: Unit, y: float) -> str:
    node, engine = unit.node, unit.engine
    operands = f" × {engine.simd} SIMD" if node.mixes else ""
    operands += f" × {engine.taps} taps" if engine.taps > 1 else ""
    many = engine.pe * engine.simd * engine.taps
    detail = f"{many} × {MULTIPLIERS[engine.multiplier]}" if node.macs else "no multiplier"
    if not node.joins:
        detail += f" · buffer {engine.buffer_words:,} words"
    return "".join(
        (
            svg.line(NODE_X + NODE_W, y + BOX / 2, ENGINE_X, y + BOX / 2, "tie"),
            svg.rect(ENGINE_X, y, ENGINE_W, BOX, "box engine", 8),
            svg.text(ENGINE_X + 62, y + 20, f"{engine.pe} PE{operands}", "name"),
            svg.text(ENGINE_X + 62, y + 38, detail, "detail"),
            _array(engine, kind_class(node), y),
        )
    )


def _array(engine: LineEngine, css: str, y: float) -> str:
    """Draw PE rows of a cell for each multiplier, to scale, in a square of 36."""
    side, across = 36.0, engine.simd * engine.taps
    cell = min(side / max(engine.pe, across), 9.0)
    width, height = cell * across, cell * engine.pe
    x0, y0 = ENGINE_X + 12 + (side - width) / 2, y + 6 + (side - height) / 2
    if cell < 2.0:
        return svg.rect(x0, y0, width, height, f"cell {css}")
    gap = 0.8 if cell >= 3.0 else 0.3
    return "".join(
        svg.rect(x0 + cell * s, y0 + cell * p, cell - gap, cell - gap, f"cell {css}")
        for p in range(engine.pe)
        for s in range(across)
    )


def _edge(source: str, name: str, index: int, rows: dict[str, float]) -> str:
    """Draw a short arrow to the next row, or a bow along the left side past the rows between."""
    y1, y2 = rows[source] + BOX, rows[name]
    if y2 - y1 < ROW:
        x = NODE_X + 30
        return svg.path(f"M{x} {y1} V{y2 - 5}", "flow") + svg.path(f"M{x - 4} {y2 - 6} h8 l-4 6 z", "flow-head")
    bow = 10.0 + 12.0 * (index % 2)
    y1, y2 = rows[source] + BOX * 0.66, rows[name] + BOX * 0.4
    out, back = bow - 8, NODE_X - 6
    d = f"M{NODE_X} {y1} C{out} {y1} {out} {y1} {bow} {y1 + 24} V{y2 - 24} C{out} {y2} {out} {y2} {back} {y2}"
    return svg.path(d, "flow") + svg.path(f"M{NODE_X - 6} {y2 - 4} v8 l6 -4 z", "flow-head")


def _bars(view: View, rows: dict[str, float], height: float) -> list[str]:
    cost = view.cost
    if cost is None:
        return []
    simulated = view.rtlsim.engine_cycles if view.rtlsim is not None else {}
    longest = max([cost.interval_cycles, *simulated.values()])
    scale = BAR_W / longest
    limit = BAR_X + cost.interval_cycles * scale
    parts = [
        svg.line(limit, HEAD - 4, limit, height - 4, "target"),
        svg.text(min(limit, BAR_X + BAR_W) + 4, HEAD - 10, f"interval {cost.interval_cycles:,}", "target-text", "end"),
    ]
    for engine in cost.engines:
        y = rows[engine.nodes[0]]
        share = engine.busy_cycles / cost.interval_cycles
        css = "bar full" if engine.interval_cycles == cost.interval_cycles else "bar"
        tip = f"{engine.name}: busy {engine.busy_cycles:,} of {cost.interval_cycles:,} cycles, {engine.macs:,} MACs"
        parts.append(svg.rect(BAR_X, y + 11, engine.busy_cycles * scale, 13, css, 3, tip))
        label = BAR_X + BAR_W + 10
        parts.append(svg.text(label, y + 22, f"{engine.busy_cycles:,}", "number"))
        parts.append(svg.text(WIDTH, y + 22, f"{share:.0%}", "detail", "end"))
        busy = simulated.get(engine.name)
        if busy is not None:
            parts.append(
                svg.rect(BAR_X, y + 27, busy * scale, 7, "bar simulated", 2, f"{engine.name}: {busy:,} simulated")
            )
            parts.append(svg.text(label, y + 36, f"{busy:,} simulated", "small"))
    return parts
