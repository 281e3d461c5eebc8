"""The machine of a design: every channel joins one producer with one consumer, and nothing is lost on the way."""

from collections import Counter

import numpy as np
import pytest

from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.ir.technology import technology_of
from codesign.machine.converters import Converter
from codesign.machine.elaborate import Machine, Unit, elaborate
from codesign.machine.feeds import Feed
from codesign.machine.modules import Fifo, Fork
from codesign.model.resource import design_resources, shell_resources, unit_resources
from codesign.testing.random_machines import random_design, random_graph

SEEDS = range(60)


def drawn(seed: int) -> tuple[Graph, Design, Machine]:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, several_outputs=True)
    design = random_design(graph, rng)
    return graph, design, elaborate(graph, design)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_channel_has_one_producer_and_one_consumer(seed: int) -> None:
    _, _, machine = drawn(seed)
    produced = Counter([machine.source.channel.name, *(name for i in machine.instances for name in i.outputs)])
    consumed = Counter(
        [*(sink.channel.name for sink in machine.sinks), *(name for i in machine.instances for name in i.inputs)]
    )
    assert produced == consumed == Counter(list(machine.channels))
    assert len({i.name for i in machine.instances}) == len(machine.instances)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_instance_stands_behind_all_that_it_reads(seed: int) -> None:
    _, _, machine = drawn(seed)
    there = {machine.source.channel.name}
    for instance in machine.instances:
        assert set(instance.inputs) <= there
        there |= set(instance.outputs)


@pytest.mark.parametrize("seed", SEEDS)
def test_words_and_elements_are_kept(seed: int) -> None:
    graph, design, machine = drawn(seed)
    for instance in machine.instances:
        given, made = machine.channels[instance.inputs[0]], machine.channels[instance.outputs[0]]
        if isinstance(instance.block, Unit):
            assert made.elements == instance.block.node.oshape.elements
            continue
        assert (given.elements, given.bits) == (made.elements, made.bits)
        if isinstance(instance.block, Fifo | Fork):
            assert given.words == made.words
        if isinstance(instance.block, Converter):
            assert (instance.block.lanes_in, instance.block.lanes_out) == (given.lanes, made.lanes)
    assert machine.source.channel.lanes == design.input_lanes
    for sink, node, lanes in zip(machine.sinks, graph.output_nodes, design.output_lanes, strict=True):
        assert sink.node == node
        assert sink.channel.words == -(-node.oshape.elements // lanes)


@pytest.mark.parametrize("seed", SEEDS)
def test_resources_are_the_sum_of_engines_and_what_lies_between(seed: int) -> None:
    _, _, machine = drawn(seed)
    total = shell_resources(machine, technology_of("xc7"))
    for unit in machine.units:
        total = total + unit_resources(unit, technology_of("xc7"))
    assert total == design_resources(machine, technology_of("xc7"))


def test_nodes_are_run_in_the_order_of_the_graph() -> None:
    graph, _, machine = drawn(3)
    assert [unit.node for unit in machine.units] == list(graph.nodes[1:])
    assert all(isinstance(m, Feed) for unit in machine.units for m in unit.modules[:1] if unit.node.inputs[1:] == ())
