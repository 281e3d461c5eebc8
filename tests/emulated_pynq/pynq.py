"""A stand-in for the `pynq` package: overlay, buffers, registers, and an AXI DMA in scatter-gather mode.

Buffers are cached as on a board: the device sees only what was flushed, the host only what was invalidated. The
accelerator's answers come from the function given to `Device`; `Device.complaints` lists what no board would forgive.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

ACCEL_BASE, DMA_BASE, FIRST_BUFFER = 0x4000_0000, 0x4040_0000, 0x1000_0000
CTRL, IMAGES, HASH_LO, HASH_HI, CYCLES, FIRST_OUT, BEATS_IN, BEATS_OUT, IMAGES_OUT = (
    0x00, 0x10, 0x20, 0x30, 0x40, 0x44, 0x48, 0x4C, 0x50,
)  # fmt: skip
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
    """The chip. `fault`: None or one of hang, no_arm, short, no_last, dma_error, wrong, no_reset, no_sg, lost_beat."""

    def __init__(
        self,
        answer: Callable[[bytes], bytes],
        source: Wire,
        sink: Wire,
        design_hash: int,
        spelling: str,
        fault: str | None,
    ) -> None:
        self.answer, self.source, self.sink = answer, source, sink
        self.hash, self.spelling, self.fault = design_hash, spelling, fault
        self.memory: dict[int, np.ndarray] = {}
        self.complaints: list[str] = []
        self.log: list[str] = []
        self.next_buffer = FIRST_BUFFER
        self.configure()

    def configure(self) -> None:
        """What loading the bitstream does."""
        self.send, self.receive = Engine("send"), Engine("receive")
        self.registers = dict.fromkeys((IMAGES, CYCLES, FIRST_OUT, BEATS_IN, BEATS_OUT, IMAGES_OUT), 0)
        self.busy = self.done = False

    def shadow(self, address: int, size: int) -> np.ndarray:
        """The device's view of `size` bytes at a physical address."""
        for base, content in self.memory.items():
            if base <= address and address + size <= base + len(content):
                return content[address - base : address - base + size]
        raise AssertionError(f"the DMA touched {address:#x}, which nobody allocated")

    def read_accel(self, offset: int) -> int:
        if self.spelling == "hls":
            offset &= 0x3F  # the HLS register file decodes six address bits only
        if offset == CTRL:
            value = int(self.busy) | int(self.done) << 1 | int(not self.busy) << 2
            self.done = False
            return value
        fixed = {HASH_LO: self.hash & 0xFFFFFFFF, HASH_HI: self.hash >> 32}
        return fixed.get(offset, self.registers.get(offset, 0))

    def write_accel(self, offset: int, value: int) -> None:
        if offset == IMAGES:
            self.registers[IMAGES] = value
        if offset == CTRL and value & 1:
            self.log.append("start")
            if self.busy:
                self.complaints.append("started while busy")
            self.busy, self.done = True, False
            self.registers |= dict.fromkeys((CYCLES, FIRST_OUT, BEATS_IN, BEATS_OUT, IMAGES_OUT), 0)
            self.move()

    def engine(self, offset: int) -> tuple[Engine, int]:
        return (self.receive, offset - 0x30) if offset >= 0x30 else (self.send, offset)

    def read_dma(self, offset: int) -> int:
        engine, register = self.engine(offset)
        if register == 0x00:
            return engine.control
        return engine.status() & ~(8 if self.fault == "no_sg" else 0) if register == 0x04 else 0

    def write_dma(self, offset: int, value: int) -> None:
        engine, register = self.engine(offset)
        if register == 0x00 and value & 4:
            for each in (self.send, self.receive):
                each.queue, each.errors, each.control = [], 0, 4 if self.fault == "no_reset" else 0
        elif register == 0x00 and not (self.fault == "no_arm" and engine is self.receive):
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
        if engine is self.send and not self.receive.queue:
            self.complaints.append("send: started before the receive channel was armed")
        address = engine.current
        while True:
            if address % 64:
                self.complaints.append(f"{engine.name}: descriptor at {address:#x} is not aligned")
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
        while self.busy and self.send.queue and self.receive.queue:
            if self.fault == "hang" and self.registers[IMAGES_OUT] == 1:
                return
            if self.fault == "dma_error":
                self.receive.errors = 0x40
                return
            self.one_image()
            if self.registers[IMAGES_OUT] == self.registers[IMAGES]:
                self.busy, self.done = False, True

    def one_image(self) -> None:
        down, up = self.send.queue.pop(0), self.receive.queue.pop(0)
        control = self.word(down, 6)
        if control != self.source.wire_bytes | START | END:
            self.complaints.append(f"send: control {control:#x}")
        data = self.shadow(self.word(down, 2), self.source.wire_bytes)
        if data[self.source.image_bytes :].any():
            self.complaints.append("send: padding is not zero")
        result = np.frombuffer(self.answer(data[: self.source.image_bytes].tobytes()), np.uint8).copy()
        if self.fault == "wrong":
            result[0] ^= 1
        # The HLS spelling marks the padding as absent (TKEEP), the RTL spelling writes it.
        length = self.sink.image_bytes if self.spelling == "hls" else self.sink.wire_bytes
        length -= 1 if self.fault == "short" else 0
        target = self.shadow(self.word(up, 2), self.word(up, 6))
        target[: len(result)] = result
        self.finish(down, self.source.wire_bytes)
        self.finish(up, length | START | (0 if self.fault == "no_last" else END))
        self.count()

    def count(self) -> None:
        regs = self.registers
        regs[IMAGES_OUT] += 1
        regs[BEATS_IN] += self.source.words - (1 if self.fault == "lost_beat" else 0)
        regs[BEATS_OUT] += self.sink.words
        regs[FIRST_OUT] = LATENCY
        regs[CYCLES] = LATENCY + (regs[IMAGES_OUT] - 1) * INTERVAL


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
        del plugged().memory[self.physical_address]


class MMIO:
    def __init__(self, base: int, length: int) -> None:
        assert base in (ACCEL_BASE, DMA_BASE)
        self.base, self.length = base, length

    def read(self, offset: int) -> int:
        assert offset % 4 == 0
        assert offset < self.length
        return plugged().read_accel(offset) if self.base == ACCEL_BASE else plugged().read_dma(offset)

    def write(self, offset: int, value: int) -> None:
        assert type(value) is int
        assert 0 <= value < 1 << 32
        (plugged().write_accel if self.base == ACCEL_BASE else plugged().write_dma)(offset, value)


class Overlay:
    def __init__(self, bitfile: str) -> None:
        self.bitfile = bitfile
        self.ip_dict = {
            "accel_0": {
                "phys_addr": ACCEL_BASE, "addr_range": 0x1000, "type": f"codesign:{plugged().spelling}:accel:1.0",
            },
            "axi_dma_0": {
                "phys_addr": DMA_BASE, "addr_range": 0x10000, "type": "xilinx.com:ip:axi_dma:7.1",
                "parameters": {"c_addr_width": "32"},
            },
        }  # fmt: skip
        self.download()

    def download(self) -> None:
        plugged().log.append("download")
        plugged().configure()


def allocate(shape: tuple[int, ...], dtype: object) -> Buffer:
    buffer = np.full(shape, 0xA5, dtype=dtype).view(Buffer)  # memory comes with garbage
    buffer.physical_address = plugged().next_buffer
    plugged().memory[buffer.physical_address] = np.full(buffer.nbytes, 0x5A, np.uint8)
    plugged().next_buffer += -(-buffer.nbytes // 4096) * 4096
    return buffer


Clocks = SimpleNamespace(fclk0_mhz=100.0)
