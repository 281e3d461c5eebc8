"""The long paths of a synthesized netlist: how many LUTs and carry blocks lie between registers, and about how long.

A netlist is a module as Yosys writes it as JSON, flat, in primitives of Xilinx parts. Nothing is placed: the delay of a
net is a guess from the number of its loads, see ir/timing.py.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, NamedTuple

from codesign.ir.timing import Delays
from codesign.sim.cells import CLOCKS, Bit, Cell, cell_of, launches, numbers, setup_ns, through

_SLICE = ("LUT", "MUXF", "CARRY", "INV")  # what may lie in one slice with a register
_PART = re.compile(r"\bu_(\w+)")  # the instance directly below
_RESET_PORT = "rst_ni"
_STILL = frozenset({_RESET_PORT, "clk_i"})
_READY = ("ready_i", "ready_o")
_BACKWARD = frozenset({"enable_i", "go_i", "next_i"})  # what a module behind lets this one do


class Side(Enum):
    """Where a path begins or ends: at a register, or at a port of the direction of data, or of ready against it."""

    REGISTER = "register"
    DATA = "data"
    READY = "ready"


class Reach(NamedTuple):
    """The slowest path to a net: nanoseconds, the most LUTs and carry blocks of any path, and where it comes from."""

    ns: float
    luts: int
    carries: int
    before: Bit | None  # the net before it on the slowest way


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """The slowest path from a kind of start to a kind of end, and the most LUTs and carry blocks of any such path."""

    ns: float
    luts: int
    carries: int
    names: tuple[str, ...]  # nets, from begin to end


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """The long paths of a module: one for each kind of start and of end.

    `parts`: nanoseconds between registers, by the instance directly below the module in which the path ends, or `top`.
    `fan_out`: most loads of a net that is neither clock nor reset, with its name; `reset`: of the reset.
    """

    ways: Mapping[tuple[Side, Side], Path]
    parts: Mapping[str, float]
    fan_out: int
    widest: str
    reset: int

    @property
    def inner(self) -> Path:
        """The path between registers."""
        return self.ways[Side.REGISTER, Side.REGISTER]


def find_paths(module: dict[str, Any], delays: Delays) -> Paths:
    """Return the long paths of a flat netlist, a module of Yosys' JSON, in a technology of such delays."""
    net = Netlist(module, delays)
    ways = dict[tuple[Side, Side], Path]()
    for begin in Side:
        reached = net.reach(begin)
        ways |= {(begin, end): net.worst(reached, net.ends(end)) for end in Side}
    widest = max(net.loads, key=lambda bit: (net.loads[bit], -bit), default=None)
    return Paths(
        ways=ways,
        parts=net.parts(),
        fan_out=0 if widest is None else net.loads[widest],
        widest="" if widest is None else net.name(widest),
        reset=net.reset_loads,
    )


class Arc(NamedTuple):
    """A combinational path through a cell: from a bit, so many nanoseconds, as a LUT or a carry block or neither."""

    begin: Bit
    ns: float
    lut: int
    carry: int


class Netlist:
    """A flat netlist with drivers and loads; not frozen: its tables fill as paths are followed."""

    def __init__(self, module: dict[str, Any], delays: Delays) -> None:
        self.delays = delays
        self.cells = [cell_of(name, cell) for name, cell in module["cells"].items()]
        self.driver = {b: (c, port) for c in self.cells for port, bits in c.outputs.items() for b in bits}
        self.ports = module["ports"]
        self._names = module["netnames"]
        pins = [(b, port) for c in self.cells for port, bits in c.inputs.items() for b in bits if b >= 0]
        clocks = {bit for bit, port in pins if port in CLOCKS}
        resets = self._resets(pins)
        self.loads = Counter(bit for bit, _ in pins if bit not in clocks and bit not in resets)
        self.reset_loads = max(Counter(bit for bit, _ in pins if bit in resets).values(), default=0)

    def _resets(self, pins: list[tuple[Bit, str]]) -> set[Bit]:
        """Return the nets that do nothing but reset: those of the port, inverted or not."""
        port = self._names.get(_RESET_PORT, {"bits": []})["bits"]
        found = set(numbers(port))
        for cell in self.cells:
            if cell.type in {"INV", "LUT1"} and set(cell.inputs.get("I", cell.inputs.get("I0", ()))) & found:
                found |= set(cell.outputs["O"])
        return found

    @cached_property
    def _named(self) -> dict[Bit, str]:
        """Names of nets; of several, the one with the fewest that Yosys made, and then the shortest."""
        best: dict[Bit, tuple[int, int, str]] = {}
        for name, net in self._names.items():
            for index, bit in enumerate(net["bits"]):
                if isinstance(bit, int):
                    text = name if len(net["bits"]) == 1 else f"{name}[{index}]"
                    rank = (net.get("hide_name", 0) + ("$" in name), len(text), text)
                    best[bit] = min(best.get(bit, rank), rank)
        return {bit: rank[2] for bit, rank in best.items()}

    def name(self, bit: Bit) -> str:
        """Return a name for people: of the net, or of what drives it if Yosys gave it none."""
        text = self._named.get(bit, f"net {bit}")
        if "$" not in text and "auto" not in text:
            return text
        driver = self.driver.get(bit)
        return f"{driver[0].type}.{driver[1]}" if driver else text

    def net_ns(self, bit: Bit, cell: Cell | None, port: str) -> float:
        """Return the delay of a net to that pin: none where both ends fit one slice or a dedicated wire."""
        driver = self.driver.get(bit)
        kind = driver[0].type if driver else ""
        if cell is not None and driver is not None:
            in_slice = kind.startswith(_SLICE)
            if cell.type.startswith("FD") and port == "D" and in_slice:
                return 0.0
            if cell.type.startswith("MUXF") and port != "S" and in_slice:
                return 0.0
            if cell.type == "CARRY4" and (port == "CI" or (port == "S" and kind.startswith("LUT"))):
                return 0.0
            if port in {"PCIN", "ACIN", "BCIN"} or kind == "INV":
                return 0.0
        return self.delays.net_ns(self.loads[bit])

    def reach(self, begin: Side) -> dict[Bit, Reach]:
        """Return how every net is reached that comes from such a begin."""
        if begin is Side.REGISTER:
            launched = (launch for cell in self.cells for launch in launches(cell, self.delays))
            found = {bit: Reach(ns, 0, 0, None) for bit, ns in launched}
        else:
            found = {bit: Reach(0.0, 0, 0, None) for bit in self._port_bits("input", begin)}
        for bit in self._ordered:
            if bit in found:
                continue
            ways = [(arc, found[arc.begin]) for arc in self._arcs[bit] if arc.begin in found]
            if ways:
                slowest, from_ = max(ways, key=lambda way: (way[1].ns + way[0].ns, -way[0].begin))
                luts = max(way.luts + arc.lut for arc, way in ways)
                carries = max(way.carries + arc.carry for arc, way in ways)
                found[bit] = Reach(from_.ns + slowest.ns, luts, carries, slowest.begin)
        return found

    @cached_property
    def _arcs(self) -> dict[Bit, list[Arc]]:
        """The combinational ways to every bit that a cell drives, nets included."""
        arcs: dict[Bit, list[Arc]] = {}
        for cell in self.cells:
            for bit, port, begin, ns, lut, carry in through(cell, self.delays):
                arcs.setdefault(bit, []).append(Arc(begin, ns + self.net_ns(begin, cell, port), lut, carry))
        return arcs

    @cached_property
    def _ordered(self) -> list[Bit]:
        """Bits that cells drive through logic, each behind those that it depends on; a loop is cut where it is met."""
        order: list[Bit] = []
        seen: set[Bit] = set()
        for root in self._arcs:
            stack = [] if root in seen else [(root, iter(self._arcs[root]))]
            seen.add(root)
            while stack:
                bit, rest = stack[-1]
                begin = next((arc.begin for arc in rest if arc.begin in self._arcs and arc.begin not in seen), None)
                if begin is None:
                    order.append(bit)
                    stack.pop()
                else:
                    seen.add(begin)
                    stack.append((begin, iter(self._arcs[begin])))
        return order

    def ends(self, end: Side) -> list[tuple[Bit, float, str]]:
        """Return the bits at such ends, with the nanoseconds of net and set-up, and what a register's pin is called."""
        if end is not Side.REGISTER:
            return [(bit, 0.0, "") for bit in self._port_bits("output", end)]
        return self._register_ends

    def parts(self) -> dict[str, float]:
        """Return the nanoseconds of the slowest path between registers into every part of the module."""
        reached, slowest = self.reach(Side.REGISTER), dict[str, float]()
        for bit, ns, pin in self._register_ends:
            if bit in reached:
                found = _PART.search(pin)
                part = found[1] if found else "top"
                slowest[part] = max(slowest.get(part, 0.0), reached[bit].ns + ns)
        return slowest

    def _port_bits(self, direction: str, side: Side) -> Iterator[Bit]:
        """Yield the bits of ports, except clock and reset."""
        for name, port in self.ports.items():
            against = name.endswith(_READY) or name in _BACKWARD
            if port["direction"] == direction and name not in _STILL and (side is Side.READY) == against:
                yield from numbers(port["bits"])

    @cached_property
    def _register_ends(self) -> list[tuple[Bit, float, str]]:
        return [
            (bit, ns + self.net_ns(bit, cell, port), self._pin(cell, port))
            for cell in self.cells
            for port, bits in cell.inputs.items()
            for bit in bits
            if bit >= 0 and (ns := setup_ns(cell, port, self.delays)) is not None
        ]

    def _pin(self, cell: Cell, port: str) -> str:
        names = (self.name(bit) for bits in cell.outputs.values() for bit in bits if bit >= 0)
        return f"{min(names, key=lambda name: (name.startswith(cell.type), len(name)), default=cell.type)}.{port}"

    def worst(self, reached: dict[Bit, Reach], ends: Iterable[tuple[Bit, float, str]]) -> Path:
        """Return the slowest path to any of the ends; an empty one if none is reached."""
        there = [(reached[bit].ns + ns, bit, pin) for bit, ns, pin in ends if bit in reached]
        if not there:
            return Path(ns=0.0, luts=0, carries=0, names=())
        ns, last, pin = max(there)
        names = [pin] if pin else []
        bit: Bit | None = last
        while bit is not None:
            names.append(self.name(bit))
            bit = reached[bit].before
        return Path(
            ns=ns,
            luts=max(reached[bit].luts for _, bit, _ in there),
            carries=max(reached[bit].carries for _, bit, _ in there),
            names=tuple(reversed(names)),
        )
