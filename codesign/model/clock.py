"""How fast the clock of a finished design may be: an estimate of its slowest path, from fitted paths of its modules.

Every kind of instance has ways: between its registers, part by part, and from and to its ports. A way's nanoseconds are
a sum over features of the instance, each times what was fitted to synthesized netlists; see Timing in ir/timing.py.
Ways that meet at ports add up, along the data and along ready against them.
"""

import math
from collections.abc import Iterator, Mapping

from codesign.ir.cost import Clock
from codesign.ir.timing import Timing
from codesign.machine.converters import Conversion, Converter
from codesign.machine.elaborate import Machine, Unit
from codesign.machine.feeds import Feed, Padder, Rearranger, RowRepeater
from codesign.machine.modules import (
    ChannelMux,
    Collector,
    Control,
    EngineModule,
    Fifo,
    Fork,
    GateArray,
    LookupTable,
    MacArray,
    OutputEnds,
    OutputQueue,
    ScaledSum,
    WeightRom,
)
from codesign.machine.pools import PoolArray, RunningPool
from codesign.machine.scales import Requantize, Scale
from codesign.ops.arrays import Int

DATA, READY, REGISTER = "data", "ready", "register"  # where a way begins and ends, as in sim.netlist.Side
INNER = "inner"  # begins the name of a way between registers; the part that it ends in follows

Block = Unit | Converter | Fifo | Fork | Control | OutputEnds
Features = dict[str, float]


def estimate_clock(machine: Machine, timing: Timing, part: str) -> Clock | None:
    """Return the clock of a machine in a part, and what bounds it; None if some kind of module was never measured."""
    found = {name: block for name, block in blocks(machine).items() if not is_wire(block)}
    if any(kind_of_block(block) not in timing.kinds for block in found.values()):
        return None
    ways = {name: ways_of(block, timing) for name, block in found.items()}
    inside = ((ns, name) for name, own in ways.items() for way, ns in own.items() if way.startswith(INNER))
    slowest, name = max([*inside, *_between(machine, ways)])
    return Clock(estimated_mhz=1e3 / (slowest * timing.ratio(part)), slowest=_title(name, found[name]))


def blocks(machine: Machine) -> dict[str, Block]:
    """Return the instances of a machine by name, with its control block and what marks the ends of several outputs."""
    found: dict[str, Block] = {"control": machine.control, **{i.name: i.block for i in machine.instances}}
    return found if machine.ends is None else {**found, "output_ends": machine.ends}


def ways_of(block: Block, timing: Timing) -> dict[str, float]:
    """Return the nanoseconds of every way of an instance, in the part whose ratio is 1."""
    kind, found = kind_of_block(block), features(block)
    return {
        way: max(0.0, sum(found.get(name, 0.0) * ns for name, ns in terms.items()))
        for way, terms in timing.paths[kind].items()
    }


def kind_of_block(block: Block) -> str:
    """Return the kind of an instance, under which its ways are kept."""
    match block:
        case Unit(modules=(module,)):
            return type(module).__name__.lower()
        case Unit(modules=(RunningPool(), *_)):
            return "running_pool"
        case Unit() as unit:
            return type(unit.node).__name__.lower()
        case Converter() as converter:
            return f"{converter.conversion.value}_converter"
        case other:
            return type(other).__name__.lower()


def features(block: Block) -> Features:
    """Return what the paths of an instance depend on, by name; `one` is always 1."""
    found = {"one": 1.0}
    match block:
        case Unit() as unit:
            for module in unit.modules:
                found |= _module_features(module)
        case Converter() as c:
            found |= {"lanes": _log2(max(_whole(c.lanes_in), _whole(c.lanes_out)) * c.bits)}
            if c.conversion in (Conversion.SPLITTING, Conversion.PACKING):
                found["places"] = _log2(c.wide_lanes)
        case Fifo() as fifo:
            found |= {
                "pointer": _log2(fifo.depth),
                "lanes": _log2(fifo.word_bits),
                "block": float(bool(fifo.block_ram)),
            }
        case Fork() as fork:
            found |= {"lanes": _log2(fork.word_bits)}
        case Control() as control:
            found |= {"beats": _log2(control.beats_in) + _log2(control.beats_out)}
        case OutputEnds() as ends:
            found |= {"beats": _log2(max(ends.beats)), "outputs": float(len(ends.beats))}
    return found


def _module_features(module: EngineModule) -> Features:  # noqa: C901, PLR0912 (one row for every kind)
    match module:
        case Feed() as feed:
            if feed.streams:
                return {"streams": 1.0}
            padding = float(feed.has_padding)
            rows_left = feed.window.fy // _whole(feed.taps)
            turns = (feed.inner, feed.window.fx, rows_left, feed.passes, feed.fold // feed.inner)
            loops = float(sum(_whole(count) > 1 for count in turns))
            strides = float(max(feed.window.stride_y, feed.window.stride_x) > 1)
            plain = {"pointer": _log2(feed.depth), "padding": padding, "loops": loops, "strides": strides}
            plain |= {"block": float(bool(feed.late))}
            return {**plain, "taps": 1.0} if _whole(feed.taps) > 1 else plain
        case WeightRom() as rom:
            in_block = bool(rom.block_ram)
            return {"rom": 0.0 if in_block else _log2(rom.depth), "block_rom": float(in_block)}
        case MacArray() as array:
            in_dsp = array.in_dsp or array.packed
            rows = 0.0 if in_dsp else float(min(math.ceil(array.w_bits / 2), 2))  # a register stands behind every two
            row_bits = 0.0 if in_dsp else float(array.x_bits)
            lanes = _log2(_whole(array.pe) * _whole(array.simd))
            return {"lanes": lanes, "rows": rows, "row_bits": row_bits, "sum": float(array.acc_bits)}
        case PoolArray() as array:
            return {"lanes": _log2(_whole(array.pe) * array.x_bits), "sum": float(array.acc_bits) * array.average}
        case RunningPool() as pool:
            block = float(bool(pool.in_block_ram))
            lanes, total = _log2(_whole(pool.pe) * pool.x_bits), float(pool.bits) * pool.average
            return {"lanes": lanes, "sum": total, "block": block}
        case Collector() as collector:
            return {"words": _log2(_whole(collector.pe) // _whole(collector.emit))}
        case OutputQueue() as queue:
            return {"queue": _log2(queue.depth)}
        case Requantize() as stage:
            return _scale_features(stage.scale)
        case ScaledSum() as add:
            terms = sum(_digits(multiplier) for multiplier in add.multipliers)
            return {"lanes": _log2(add.pe), "terms": float(terms), **_scale_features(add.scale)}
        case GateArray() as gate:
            bits = sum(gate.operand_bits)
            rows = 0.0 if gate.in_dsp else float(min(math.ceil(gate.operand_bits[1] / 2), 2))
            return {"lanes": _log2(gate.pe), "rows": rows, "sum": float(bits), **_scale_features(gate.scale)}
        case ChannelMux() as mux:
            return {"inputs": float(len(mux.words)), "lanes": _log2(mux.word_bits)}
        case LookupTable() as table:
            block = float(bool(table.block_ram))
            return {"lanes": _log2(table.pe), "rom": (1 - block) * table.in_bits, "block_rom": block}
        case RowRepeater() | Rearranger() | Padder() as feed:
            return {"pointer": _log2(feed.depth), "block": float(bool(feed.block_ram))}
        case _:
            return {}


def _scale_features(scale: Scale) -> Features:
    powers = 0.0 if scale.general else float(scale.factor_bits)
    wide = float(scale.sum_bits) if scale.general else 0.0
    return {"scale": float(scale.sum_bits), "powers": powers, "wide": wide, "ties": float(scale.ties)}


def _between(machine: Machine, ways: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[float, str]]:
    """Yield the nanoseconds of paths from instance to instance, and the instance in which each ends."""
    data = _data_times(machine, ways)
    ready: dict[str, float] = {}
    for instance in reversed(machine.instances):
        found = ways.get(instance.name)
        behind = max((ready.get(name, 0.0) for name in instance.outputs), default=0.0)
        before = max((data.get(name, 0.0) for name in instance.inputs), default=0.0)
        for name in instance.inputs:
            ready[name] = behind if found is None else _arrival(found, READY, before, behind)
        if found is not None:
            yield before + found.get(_way(DATA, REGISTER), 0.0), instance.name
            yield behind + found.get(_way(READY, REGISTER), 0.0), instance.name


def _data_times(machine: Machine, ways: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return when data are there on every channel, in nanoseconds after the clock."""
    times: dict[str, float] = {}
    for instance in machine.instances:
        before = max((times.get(name, 0.0) for name in instance.inputs), default=0.0)
        found = ways.get(instance.name)
        for name in instance.outputs:
            times[name] = before if found is None else _arrival(found, DATA, before, 0.0)
    return times


def _arrival(found: Mapping[str, float], end: str, data: float, ready: float) -> float:
    """Return when a port of an instance has its value, given when data and ready are there at others."""
    times = [found.get(_way(REGISTER, end), 0.0)]
    for begin, time in ((DATA, data), (READY, ready)):
        if (way := _way(begin, end)) in found:
            times.append(time + found[way])
    return max(times)


def _way(begin: str, end: str) -> str:
    return f"{begin}_{end}"


def is_wire(block: Block) -> bool:
    """Tell whether a converter changes nothing."""
    return isinstance(block, Converter) and block.conversion is Conversion.WIRE


def _title(name: str, block: Block) -> str:
    match block:
        case Unit() as unit:
            return f"engine {unit.engine.name}"
        case Converter():
            return f"converter {name}"
        case Fifo():
            return f"FIFO {name}"
        case Fork():
            return f"fork {name}"
        case Control() | OutputEnds():
            return f"block {name}"


def _digits(multiplier: int) -> int:
    """Return the additions of a product with a constant: its signed digits that are not 0."""
    return (multiplier ^ (3 * multiplier)).bit_count()


def _log2(value: Int) -> float:
    return math.log2(max(_whole(value), 1))


def _whole(value: Int) -> int:
    assert isinstance(value, int)
    return value
