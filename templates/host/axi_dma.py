# SPDX-License-Identifier: MIT-0
"""The AXI DMA of the block design, in scatter-gather mode: one descriptor, one slot, one packet per image."""

import time

import numpy as np
import pynq

# Offsets within a channel's block of registers, and bits.
DMACR, DMASR, CURDESC, CURDESC_MSB, TAILDESC, TAILDESC_MSB = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14
SEND_BLOCK, RECEIVE_BLOCK = 0x00, 0x30
CR_RUN, CR_RESET = 0x1, 0x4
SR_HALTED, SR_IDLE, SR_SCATTER_GATHER = 0x1, 0x2, 0x8
SR_ERRORS = {
    0x010: "internal error (a length of zero?)",
    0x020: "slave error on data",
    0x040: "address decode error on data",
    0x100: "internal error on a descriptor (was one already complete?)",
    0x200: "slave error on a descriptor",
    0x400: "address decode error on a descriptor",
}
BD_WORDS, BD_BYTES = 16, 64
BD_NEXT, BD_BUFFER, BD_CONTROL, BD_STATUS = 0, 2, 6, 7
BD_START, BD_END, BD_LENGTH = 1 << 27, 1 << 26, (1 << 26) - 1
BD_COMPLETE, BD_ERRORS = 1 << 31, 7 << 28
ALIGN = 64  # every image starts on a cache line and on a word of any port


class DeviceError(RuntimeError):
    """The device is not the one expected, or did something it must not do."""


class DeviceTimeout(DeviceError):
    """The device did not finish in time; the text has its state."""


class Channel:
    """One direction of the AXI DMA: a buffer of one slot per image, and a descriptor for each slot."""

    def __init__(self, name, mmio, block, image_bytes, wire_bytes, capacity, wide):
        self.name, self.mmio, self.block = name, mmio, block
        self.image_bytes, self.wire_bytes, self.wide, self.count = image_bytes, wire_bytes, wide, 0
        self.stride = -(-wire_bytes // ALIGN) * ALIGN
        if wire_bytes > BD_LENGTH:
            raise DeviceError(f"{name}: an image of {wire_bytes} bytes; a descriptor moves {BD_LENGTH} at most")
        self.buffer = pynq.allocate(shape=(capacity, self.stride), dtype=np.uint8)
        self.ring = pynq.allocate(shape=(capacity, BD_WORDS), dtype=np.uint32)
        self.buffer[:] = 0
        highest = max(self.buffer.physical_address + self.buffer.nbytes, self.ring.physical_address + self.ring.nbytes)
        if highest > 1 << 32 and not wide:
            raise DeviceError(f"{name}: the buffer lies above 4 GiB, but this DMA has 32 address bits")

    def read(self, offset):
        return self.mmio.read(self.block + offset)

    def write(self, offset, value):
        self.mmio.write(self.block + offset, int(value))

    def write_address(self, offset, address):
        """Low half first: on a DMA with more than 32 address bits the high half takes effect."""
        self.write(offset, address & 0xFFFFFFFF)
        if self.wide:
            self.write(offset + 4, address >> 32)

    def prepare(self, count, timeout_s):
        """Write one descriptor per image and set the halted channel running; nothing moves before `start`."""
        self.count = count
        step = np.arange(count, dtype=np.uint64)
        following = np.uint64(self.ring.physical_address) + np.uint64(BD_BYTES) * (
            (step + np.uint64(1)) % np.uint64(count)
        )
        slots = np.uint64(self.buffer.physical_address) + np.uint64(self.stride) * step
        self.ring[:count] = 0
        for word, addresses in ((BD_NEXT, following), (BD_BUFFER, slots)):
            self.ring[:count, word] = (addresses & np.uint64(0xFFFFFFFF)).astype(np.uint32)
            self.ring[:count, word + 1] = (addresses >> np.uint64(32)).astype(np.uint32)
        frame = BD_START | BD_END if self.block == SEND_BLOCK else 0
        self.ring[:count, BD_CONTROL] = self.wire_bytes | frame
        self.ring.flush()
        self.buffer.flush()
        self.write_address(CURDESC, self.ring.physical_address)
        self.write(DMACR, CR_RUN)
        deadline = time.monotonic() + timeout_s
        while self.read(DMASR) & SR_HALTED:
            if time.monotonic() > deadline:
                raise DeviceTimeout(f"{self.name}: the channel stays halted and takes no descriptors")

    def start(self):
        """Hand the descriptors over: the channel moves data from here on."""
        self.write_address(TAILDESC, self.ring.physical_address + BD_BYTES * (self.count - 1))

    def errors(self):
        """The error bits of the status register, in words."""
        status = self.read(DMASR)
        return [text for bit, text in SR_ERRORS.items() if status & bit]

    def completed(self):
        """How many images this channel has finished."""
        self.ring.invalidate()
        return int(np.count_nonzero(self.ring[: self.count, BD_STATUS] & np.uint32(BD_COMPLETE)))

    def is_done(self):
        self.ring.invalidate()
        return bool(int(self.ring[self.count - 1, BD_STATUS]) & BD_COMPLETE)

    def check(self):
        """Raise DeviceError unless every image moved exactly its bytes, in its own packet.

        What pads a result's last word may be left out by the accelerator (TKEEP), so both lengths are right for it.
        """
        self.ring.invalidate()
        status = np.array(self.ring[: self.count, BD_STATUS], dtype=np.uint32)
        moved, ended = status & np.uint32(BD_LENGTH), (status & np.uint32(BD_END)) != 0
        good = ((status & np.uint32(BD_ERRORS)) == 0) & ((status & np.uint32(BD_COMPLETE)) != 0)
        if self.block == RECEIVE_BLOCK:
            good &= ((moved == self.wire_bytes) | (moved == self.image_bytes)) & ended
        else:
            good &= moved == self.wire_bytes
        if not good.all():
            image = int(np.argmin(good))
            raise DeviceError(
                f"{self.name}: image {image} moved {int(moved[image])} bytes, expected {self.wire_bytes}; "
                f"end of packet {'seen' if ended[image] else 'missing'}, descriptor status {int(status[image]):#010x}"
            )

    def free(self):
        self.buffer.freebuffer()
        self.ring.freebuffer()
