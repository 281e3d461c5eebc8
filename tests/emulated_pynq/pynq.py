"""A stand-in for the `pynq` package: overlay, buffers, registers, and an AXI DMA in scatter-gather mode.

The accelerator's answers come from the function given to `Device`. What it enforces, as a board does or more strictly,
by an AssertionError, or by an entry in `Device.complaints` where a board would go on wrongly:

- Registers: aligned, 32 bits wide, only those that are there; what is read-only is not written. The HLS register file
  decodes six address bits, so a counter's address reads another register there; it is refused, but for reserved words,
  which read 0. `done` is cleared by reading. The hash of the HLS spelling reads 0 until a run has begun, an empty run
  counts. The RTL ignores a start with no images. `images` is not written while busy; nothing is started while busy.
- Counters: 64 bits in two halves, and set to 0 by a start.
- Buffers: cached; the device sees only what was flushed, the host only what was invalidated. They begin with garbage,
  are touched by nobody after they were freed, and fit into the contiguous memory of a PYNQ-Z2, 128 MiB.
- DMA in scatter-gather mode: one for each output. The first alone sends; the others have no registers for that.
  CURDESC only while halted, TAILDESC only while running, receive before send. Descriptors
  are aligned and not complete already. Their lengths are not 0 and fit 26 bits. Packets begin and end; addresses were
  allocated; padding is zeros.
- Clocks: PL clock 0 is the PLL by two whole divisors up to 63; setting takes the nearest. Loading an overlay sets the
  divisors of its handoff file first. The class takes a crystal of 50 MHz for granted, whatever the board has.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

ACCEL_BASE, DMA_BASE, FIRST_BUFFER = 0x4000_0000, 0x4040_0000, 0x1000_0000
CTRL, IMAGES, HASH_LO, HASH_HI, CYCLES, FIRST_OUT, BEATS_IN, BEATS_OUT, IMAGES_OUT, CYCLES_HI, FIRST_HI, SPELLING = (
    0x00, 0x10, 0x20, 0x30, 0x40, 0x44, 0x48, 0x4C, 0x50, 0x54, 0x58, 0x5C,
)  # fmt: skip
COUNTERS = (CYCLES, FIRST_OUT, BEATS_IN, BEATS_OUT, IMAGES_OUT, CYCLES_HI, FIRST_HI)
HLS_REGISTERS = (0x00, 0x04, 0x08, 0x0C, 0x10, 0x20, 0x24, 0x30, 0x34)  # with interrupts, and ap_vld of the outputs
CONTIGUOUS_BYTES = 128 << 20
LATENCY, INTERVAL = 200, 40
COMPLETE, END, START = 1 << 31, 1 << 26, 1 << 27


@dataclass
class Wire:
    """One stream: bytes of an image with its last word padded, and the words they make."""

    image_bytes: int
    wire_bytes: int
    words: int


@dataclass
class Engine:
    """One direction of the DMA."""

    name: str
    control: int = 0
    current: int = 0
    errors: int = 0
    queue: list[int] = field(default_factory=list)

    @property
    def halted(self) -> bool:
        return not self.control & 1

    def status(self) -> int:
        return int(self.halted) | (0 if self.halted or self.queue else 2) | 8 | self.errors


class Device:
    """The chip.

    `fault`: None or one of hang, dead (an empty run never ends), no_arm, short, no_last, dma_error, wrong, no_reset,
    no_sg, lost_beat. Faults of results are those of the last output.
    """

    def __init__(
        self,
        answer: Callable[[bytes], list[bytes]],
        source: Wire,
        sinks: list[Wire],
        design_hash: int,
        spelling: str,
        fault: str | None,
    ) -> None:
        self.answer, self.source, self.sinks = answer, source, sinks
        self.hash, self.spelling, self.fault = design_hash, spelling, fault
        self.memory: dict[int, np.ndarray] = {}
        self.complaints: list[str] = []
        self.log: list[str] = []
        self.next_buffer = FIRST_BUFFER
        self.crystal_mhz, self.pll_mhz = 50.0, 1000.0  # a PYNQ-Z2
        self.divisors = self.handoff_divisors = (10, 1)
        self.configure()

    def configure(self) -> None:
        """What loading the bitstream does."""
        self.send = Engine("send")
        several = len(self.sinks) > 1
        self.receivers = [Engine(f"receive {i}" if several else "receive") for i in range(len(self.sinks))]
        self.registers = dict.fromkeys((IMAGES, *COUNTERS), 0)
        self.busy = self.done = self.has_run = False

    def shadow(self, address: int, size: int) -> np.ndarray:
        """The device's view of `size` bytes at a physical address."""
        for base, content in self.memory.items():
            if base <= address and address + size <= base + len(content):
                return content[address - base : address - base + size]
        raise AssertionError(f"the DMA touched {address:#x}, which nobody allocated")

    def read_accel(self, offset: int) -> int:
        if self.spelling == "hls":
            if offset & 0x3F not in HLS_REGISTERS:
                return 0
            assert offset in (CTRL, IMAGES, HASH_LO, HASH_HI), f"read {offset:#x}, which is another register in HLS"
        if offset == CTRL:
            value = int(self.busy) | int(self.done) << 1 | int(not self.busy) << 2
            self.done = False
            return value
        if offset in (HASH_LO, HASH_HI):
            shown = self.hash if self.spelling == "rtl" or self.has_run else 0
            return shown & 0xFFFFFFFF if offset == HASH_LO else shown >> 32
        if offset == SPELLING:
            return 0x52544C
        assert offset in self.registers, f"read {offset:#x}, where no register is"
        return self.registers[offset]

    def write_accel(self, offset: int, value: int) -> None:
        assert offset in (CTRL, IMAGES), f"wrote {offset:#x}, which cannot be written"
        if self.busy:
            self.complaints.append(f"wrote {offset:#x} while busy")
        elif offset == IMAGES:
            self.registers[IMAGES] = value
        elif value & 1 and (self.registers[IMAGES] or self.spelling == "hls"):
            self.log.append("start" if self.registers[IMAGES] else "empty run")
            self.busy, self.done, self.has_run = True, False, True
            self.registers |= dict.fromkeys(COUNTERS, 0)
            if self.registers[IMAGES]:
                self.move()
            elif self.fault != "dead":
                self.busy, self.done = False, True

    def engine(self, dma: int, offset: int) -> tuple[Engine, int]:
        if offset >= 0x30:
            return self.receivers[dma], offset - 0x30
        assert dma == 0, f"DMA {dma} does not send, and has no register {offset:#x}"
        return self.send, offset

    def read_dma(self, dma: int, offset: int) -> int:
        engine, register = self.engine(dma, offset)
        if register == 0x00:
            return engine.control
        lacks = self.fault == "no_sg" and dma == len(self.sinks) - 1
        return engine.status() & ~(8 if lacks else 0) if register == 0x04 else 0

    def write_dma(self, dma: int, offset: int, value: int) -> None:
        engine, register = self.engine(dma, offset)
        if register == 0x00 and value & 4:
            for each in (self.send, self.receivers[0]) if dma == 0 else (self.receivers[dma],):
                each.queue, each.errors, each.control = [], 0, 4 if self.fault == "no_reset" else 0
        elif register == 0x00 and not (self.fault == "no_arm" and engine is self.receivers[-1]):
            engine.control = value
        elif register == 0x08:
            if not engine.halted:
                self.complaints.append(f"{engine.name}: CURDESC written while running")
            engine.current = value
        elif register == 0x10:
            self.hand_over(engine, value)

    def hand_over(self, engine: Engine, tail: int) -> None:
        self.log.append(engine.name)
        if engine.halted:
            self.complaints.append(f"{engine.name}: TAILDESC written while halted")
            return
        if engine is self.send and not all(receiver.queue for receiver in self.receivers):
            self.complaints.append("send: started before the receive channels were armed")
        address = engine.current
        while True:
            if address % 64:
                self.complaints.append(f"{engine.name}: descriptor at {address:#x} is not aligned")
            if self.word(address, 7) & COMPLETE or not self.word(address, 6) & ((1 << 26) - 1):
                self.complaints.append(
                    f"{engine.name}: descriptor at {address:#x} is complete already, or has no length"
                )
            engine.queue.append(address)
            if address == tail:
                break
            address = self.word(address, 0)
        self.move()

    def word(self, address: int, index: int) -> int:
        return int(self.shadow(address + 4 * index, 4).view(np.uint32)[0])

    def finish(self, descriptor: int, status: int) -> None:
        self.shadow(descriptor + 4 * 7, 4).view(np.uint32)[0] = status | COMPLETE

    def move(self) -> None:
        """Move images while both channels and the accelerator can."""
        while self.busy and self.send.queue and all(receiver.queue for receiver in self.receivers):
            if self.fault == "hang" and self.registers[IMAGES_OUT] == 1:
                return
            if self.fault == "dma_error":
                self.receivers[-1].errors = 0x40
                return
            self.one_image()
            if self.registers[IMAGES_OUT] == self.registers[IMAGES]:
                self.busy, self.done = False, True

    def one_image(self) -> None:
        down = self.send.queue.pop(0)
        control = self.word(down, 6)
        if control != self.source.wire_bytes | START | END:
            self.complaints.append(f"send: control {control:#x}")
        data = self.shadow(self.word(down, 2), self.source.wire_bytes)
        if data[self.source.image_bytes :].any():
            self.complaints.append("send: padding is not zero")
        results = self.answer(data[: self.source.image_bytes].tobytes())
        self.finish(down, self.source.wire_bytes)
        for receiver, sink, result in zip(self.receivers, self.sinks, results, strict=True):
            fault = self.fault if receiver is self.receivers[-1] else None
            self.give(receiver.queue.pop(0), sink, np.frombuffer(result, np.uint8).copy(), fault)
        self.count()

    def give(self, descriptor: int, sink: Wire, result: np.ndarray, fault: str | None) -> None:
        if fault == "wrong":
            result[0] ^= 1
        # The HLS spelling marks the padding as absent (TKEEP), the RTL spelling writes it.
        length = sink.image_bytes if self.spelling == "hls" else sink.wire_bytes
        length -= 1 if fault == "short" else 0
        target = self.shadow(self.word(descriptor, 2), self.word(descriptor, 6))
        target[: len(result)] = result
        self.finish(descriptor, length | START | (0 if fault == "no_last" else END))

    def count(self) -> None:
        regs = self.registers
        regs[IMAGES_OUT] += 1
        regs[BEATS_IN] += self.source.words - (1 if self.fault == "lost_beat" else 0)
        regs[BEATS_OUT] += self.sinks[0].words if len(self.sinks) == 1 else 1  # of several it counts images
        cycles = LATENCY + (regs[IMAGES_OUT] - 1) * INTERVAL
        regs[FIRST_OUT], regs[FIRST_HI] = LATENCY & 0xFFFFFFFF, LATENCY >> 32
        regs[CYCLES], regs[CYCLES_HI] = cycles & 0xFFFFFFFF, cycles >> 32


device: Device | None = None  # the test plugs one in


def plugged() -> Device:
    assert device is not None
    return device


class Buffer(np.ndarray):
    """Contiguous memory with a host's and a device's view."""

    physical_address: int

    def flush(self) -> None:
        plugged().memory[self.physical_address][:] = np.asarray(self).reshape(-1).view(np.uint8)

    def invalidate(self) -> None:
        np.asarray(self).reshape(-1).view(np.uint8)[:] = plugged().memory[self.physical_address]

    def freebuffer(self) -> None:
        assert self.physical_address in plugged().memory, "freed twice"
        del plugged().memory[self.physical_address]


class MMIO:
    def __init__(self, base: int, length: int) -> None:
        assert base == ACCEL_BASE or 0 <= (base - DMA_BASE) >> 16 < len(plugged().sinks)
        self.base, self.length, self.dma = base, length, (base - DMA_BASE) >> 16

    def read(self, offset: int) -> int:
        assert offset % 4 == 0
        assert offset < self.length
        return plugged().read_accel(offset) if self.base == ACCEL_BASE else plugged().read_dma(self.dma, offset)

    def write(self, offset: int, value: int) -> None:
        assert type(value) is int
        assert 0 <= value < 1 << 32
        if self.base == ACCEL_BASE:
            plugged().write_accel(offset, value)
        else:
            plugged().write_dma(self.dma, offset, value)


class Overlay:
    def __init__(self, bitfile: str) -> None:
        self.bitfile = bitfile
        self.ip_dict = {
            "accel_0": {
                "phys_addr": ACCEL_BASE, "addr_range": 0x1000, "type": f"codesign:{plugged().spelling}:accel:1.0",
            },
        }  # fmt: skip
        for i in range(len(plugged().sinks)):
            self.ip_dict[f"axi_dma_{i}"] = {
                "phys_addr": DMA_BASE + (i << 16), "addr_range": 0x10000, "type": "xilinx.com:ip:axi_dma:7.1",
                "parameters": {"c_addr_width": "32"},
            }  # fmt: skip
        self.download()

    def download(self) -> None:
        Clocks.set_pl_clk(0, *plugged().handoff_divisors)  # before the bitstream
        plugged().log.append("download")
        plugged().configure()


def allocate(shape: tuple[int, ...], dtype: object) -> Buffer:
    buffer = np.full(shape, 0xA5, dtype=dtype).view(Buffer)  # memory comes with garbage
    if sum(map(len, plugged().memory.values())) + buffer.nbytes > CONTIGUOUS_BYTES:
        raise MemoryError("no more contiguous memory")
    buffer.physical_address = plugged().next_buffer
    plugged().memory[buffer.physical_address] = np.full(buffer.nbytes, 0x5A, np.uint8)
    plugged().next_buffer += -(-buffer.nbytes // 4096) * 4096
    return buffer


class _ClocksMeta(type):
    """PL clock 0, as the class of the same name shows it."""

    def _source(cls) -> float:
        return 50.0 * plugged().pll_mhz / plugged().crystal_mhz

    @property
    def fclk0_mhz(cls) -> float:
        large, small = plugged().divisors
        return round(cls._source() / (large * small), 6)

    @fclk0_mhz.setter
    def fclk0_mhz(cls, mhz: float) -> None:
        products = ((i * j, (i, j)) for i in range(1, 64) for j in range(1, 64))
        cls.set_pl_clk(0, *min(products, key=lambda p: abs(p[0] - cls._source() / mhz))[1])

    def set_pl_clk(cls, index: int, div0: int, div1: int) -> None:
        assert index == 0
        assert all(type(d) is int and 1 <= d <= 63 for d in (div0, div1))
        plugged().log.append(f"clock {div0} {div1}")
        plugged().divisors = (div0, div1)


class Clocks(metaclass=_ClocksMeta):
    pass
