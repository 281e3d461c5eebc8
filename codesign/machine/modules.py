"""The kinds of hardware modules, as data: what each instance is, in numbers and nothing else.

Each mirrors a module of templates/rtl/modules. A field may be an array: then the module stands for as many instances as
the array has entries. So one formula prices a single engine and all the options of a node at once.

Long because every kind of module is here.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from codesign.machine.converters import Converter
from codesign.machine.feeds import AnyFeed, Feed
from codesign.machine.kinds import Joint, Stage, Whole
from codesign.machine.mac import MacArray as MacArray
from codesign.machine.mac import WeightRom as WeightRom
from codesign.machine.mac import multiply_stages
from codesign.machine.pools import PoolArray, RunningPool
from codesign.machine.scales import Requantize, Scale
from codesign.ops.arrays import Bool, Int, ceil_div, ceil_log2, largest

FIFO_LUTRAM_BITS = 4096  # a larger FIFO goes to block RAM


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """PE results of a pixel with `channels`, which leave `emit` at a time; wires where all do. collector.sv."""

    pe: Int
    emit: Int
    channels: int
    bits: int

    @property
    def delay(self) -> Int:
        """Cycles from a result to its first word."""
        return 1 * (self.emit < self.pe)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRom:
    """A word of per-channel constants beside every word of results. channel_rom.sv."""

    word_bits: Int
    depth: Int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputQueue:
    """Results in front of the consumer, `depth` words, and a place for every one that is on its way. output_queue.sv.

    A pixel has `channels`, which come from `pe` at once and leave `emit` at a time.
    """

    pe: Int
    emit: Int
    channels: int
    word_bits: Int
    depth: Int

    @property
    def delay(self) -> int:
        """Cycles from a word's arrival to its offer."""
        return 1

    @property
    def most(self) -> Int:
        """Words of a result: those for which there must be room before its last step."""
        return self.pe // self.emit


CREDIT_DELAY = 2  # cycles from a word's leaving the output queue to the first step that may count on its place


def queue_depth(words: Int, steps: Int, delay: Int) -> Int:
    """Return the depth, a power of two, at which an engine never waits while its consumer always takes.

    A result has so many `words` and `steps`. Its first word leaves `delay` cycles after its last step, the others
    follow one a cycle. Results come `steps` apart. So earlier results still hold places when a result's last step is
    due. They are at most (words + delay + CREDIT_DELAY - 2) // steps. There is room for them and the new one, and for
    two results at least. One is on its way while the words of another wait for a converter.
    """
    earlier = largest((words + delay + CREDIT_DELAY - 2) // steps, 1)
    return 1 << ceil_log2(words * (1 + earlier))


def output_depth(delay: Int) -> Int:
    """Return the depth of the output queue of a module that makes a word a cycle, `delay` cycles after its step."""
    return queue_depth(1, 1, delay)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledSum(Joint):
    """Adds two words, each times a constant, then rounds and clamps. `bits`: of the wider operand. scaled_sum.sv."""

    pe: Int
    multipliers: tuple[int, int]
    bits: int
    scale: Scale

    @property
    def terms(self) -> int:
        """Powers of two that add up or subtract to both factors, and the offset."""
        return sum((abs(m) ^ 3 * abs(m)).bit_count() for m in self.multipliers) + 1

    @property
    def levels(self) -> int:
        """Levels of adders; the last is the requantizer's."""
        return max(1, ceil_log2(self.terms))

    @property
    def delay(self) -> int:
        return self.levels - 1 + Requantize(lanes=self.pe, scale=self.scale, constant=False).delay + 1

    @property
    def turns(self) -> tuple[tuple[int, ...], ...]:
        return ((0, 1),)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelMux(Whole, Joint):
    """Takes the words of each input's pixel in turn. `words`: of a pixel, of each input. channel_mux.sv."""

    word_bits: Int
    words: tuple[Int, ...]

    @property
    def name(self) -> str:
        return "channel_mux"

    @property
    def parameters(self) -> dict[str, int | bool | tuple[int, ...]]:
        words = tuple(map(int, self.words))
        return {"INPUTS": len(words), "WORD_BITS": int(self.word_bits), "WORDS": words}

    @property
    def delay(self) -> int:
        return 2

    @property
    def turns(self) -> tuple[tuple[int, ...], ...]:
        return tuple((index,) for index, words in enumerate(self.words) for _ in range(int(words)))


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupTable(Whole, Stage):
    """PE lanes that replace values by table entries. lookup.sv.

    `fold`: words of a pixel where each channel has its own table, else 1.
    """

    pe: Int
    fold: Int
    in_bits: int
    out_bits: int
    per_lane: bool
    block_ram: Bool

    @property
    def name(self) -> str:
        return "lookup"

    @property
    def parameters(self) -> dict[str, int | bool | tuple[int, ...]]:
        return {
            "PE": int(self.pe),
            "FOLD": int(self.fold),
            "IN_BITS": self.in_bits,
            "OUT_BITS": self.out_bits,
            "PER_LANE": self.per_lane,
            "BLOCK_ROM": bool(self.block_ram),
        }

    @property
    def tables(self) -> int:
        return int(self.pe) if self.per_lane else 1

    @property
    def delay(self) -> Int:
        return 3 + 1 * self.block_ram


@dataclass(frozen=True, slots=True, kw_only=True)
class GateArray(Whole, Joint):
    """PE lanes that multiply a map with a gate, then scale, round and clamp. gate.sv.

    `fold`: words of a pixel; `repeat`: pixels for which one pixel of the gate serves; `types`: bits of an operand, and
    whether it is signed. `factor`: the scale's constant factor as requantize takes it.
    """

    pe: Int
    fold: Int
    repeat: int
    types: tuple[tuple[int, bool], tuple[int, bool]]
    in_dsp: Bool
    scale: Scale
    factor: int

    @property
    def name(self) -> str:
        return "gate"

    @property
    def parameters(self) -> dict[str, int | bool | tuple[int, ...]]:
        (a_bits, a_signed), (b_bits, b_signed) = self.types
        return {
            "PE": int(self.pe),
            "FOLD": int(self.fold),
            "REPEAT": self.repeat,
            "A_BITS": a_bits,
            "A_SIGNED": a_signed,
            "B_BITS": b_bits,
            "B_SIGNED": b_signed,
            "USE_DSP": bool(self.in_dsp),
            "ACC_BITS": self.scale.acc_bits,
            "SCALING": 2 if self.scale.general else int(self.factor > 0),
            "MULTIPLIER_BITS": max(1, self.factor.bit_length()),
            "MULTIPLIER": self.factor,
            "SUM_BITS": self.scale.sum_bits,
            "SHIFT": self.scale.shift,
            "OUT_BITS": self.scale.out_bits,
            "OUT_SIGNED": self.scale.out_signed,
        }

    @property
    def operand_bits(self) -> tuple[int, int]:
        """Widths of both operands as signed ones."""
        (a_bits, a_signed), (b_bits, b_signed) = self.types
        return a_bits + (not a_signed), b_bits + (not b_signed)

    @property
    def delay(self) -> Int:
        return 1 + self.product_cycles + Requantize(lanes=self.pe, scale=self.scale, constant=True).delay + 1

    @property
    def product_cycles(self) -> Int:
        """Cycles of a product."""
        return multiply_stages(self.operand_bits[1], self.in_dsp)

    @property
    def turns(self) -> tuple[tuple[int, ...], ...]:
        fold = int(self.fold)
        return ((0, 1),) * fold + ((0,),) * (fold * (self.repeat - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fifo:
    """A queue of `depth` words in front of an input where branches meet. stream_fifo.sv."""

    depth: Int
    word_bits: Int

    @property
    def block_ram(self) -> Bool:
        """Whether the memory goes to block RAM."""
        return self.depth * self.word_bits > FIFO_LUTRAM_BITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Gives every word to two consumers, each in its own time. stream_fork.sv."""

    word_bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPort:
    """An AXI-Stream at either end that moves an image in so many beats."""

    beats: Int


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The registers that start the machine and count its beats. accel_control.sv."""

    beats_in: int
    beats_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputEnds:
    """Marks the ends of images on several outputs, of so many beats, and tells when all have left. output_ends.sv."""

    beats: tuple[int, ...]


ArrayModule = (
    AnyFeed | WeightRom | MacArray | PoolArray | RunningPool | Collector | ChannelRom | Requantize | OutputQueue
)
EngineModule = ArrayModule | ScaledSum | ChannelMux | LookupTable | GateArray
Flow = Feed | MacArray | PoolArray | RunningPool | Collector | Requantize | OutputQueue
StreamModule = Converter | Fifo | Fork | StreamPort
Module = EngineModule | StreamModule | Control | OutputEnds


def array_delay(modules: Iterable[EngineModule]) -> Int:
    """Return the cycles from a result's last step to the offer of its first word, the output queue being empty."""
    return sum((module.delay for module in modules if isinstance(module, Flow)), 0)


def packet_parts(lanes: int, packet: int, to_lanes: int) -> list[int]:
    """Return the narrow words in each word of a packet; the last word may hold fewer."""
    words = ceil_div(packet, lanes)
    return [lanes // to_lanes] * (words - 1) + [ceil_div(packet - (words - 1) * lanes, to_lanes)]
