# SPDX-License-Identifier: MIT-0
"""PYNQ driver of the accelerator: loads the bitstream, checks that it is the right one, runs images, measures.

The accelerator takes and gives integers; this driver neither normalises, crops nor picks a class. `quantize` turns
numbers as in the training data into integers, `dequantize` turns the integers of results into real values.

Images and results are HWC, channel innermost. Both directions of the AXI DMA run in scatter-gather mode with one
descriptor per image. So the bytes and the end of every single image are checked. Every wait has a time-out: by default
ten times the predicted duration, and at least ten seconds. It raises DeviceTimeout, whose text has all that the
hardware reports. The clock is set and read back. The result file has the clock that was read.

    python3 driver.py selftest  --bitstream accel.bit
    python3 driver.py benchmark --bitstream accel.bit --images 2048 --result board.json
    python3 driver.py run       --bitstream accel.bit --input images.npy --output results.npy

Exit status: 0 good, 1 results differ from the golden vectors, 2 the device or the arguments are at fault.
"""

import argparse
import datetime
import json
import os
import sys
import time
from pathlib import Path

import accel_params as params
import numpy as np
import pynq
from axi_dma import (
    CR_RESET,
    DMACR,
    DMASR,
    RECEIVE_BLOCK,
    SEND_BLOCK,
    SR_HALTED,
    SR_SCATTER_GATHER,
    Channel,
    DeviceError,
    DeviceTimeout,
)

CTRL_START, CTRL_DONE, CTRL_IDLE = 1, 2, 4
CLOCK_TOLERANCE = 1e-3  # share by which the clock may be faster than the one that the design was built for
TIMEOUT_FACTOR, MIN_TIMEOUT_S = 10, 10.0


def container(bits, signed):
    """The numpy type that holds one element on the stream, little endian."""
    return np.dtype(("<i" if signed else "<u") + ("1" if bits == 8 else "2"))


IN_DTYPE = container(params.IN_CONTAINER_BITS, params.IN_SIGNED)


def quantize(values):
    """Numbers as in the training data -> integers of the input, exactly as in training.

    floor((value - INPUT_OFFSET) / INPUT_STEP + 0.5) in float64, clamped to the type; with INPUT_HALF_EVEN halves go to
    the even integer. Where the network was trained on integers as they are, these stay as they are. Raises ValueError
    for what is not finite, and there for small fractions, which look normalised.
    """
    values = np.asarray(values)
    wide = values.astype(np.float64)
    if not np.isfinite(wide).all():
        raise ValueError("values: expected finite numbers")
    low, high = integer_range(params.IN_BITS, params.IN_SIGNED)
    as_they_are = (params.INPUT_OFFSET, params.INPUT_STEP) == (0.0, 1.0)
    if as_they_are and wide.size and np.abs(wide).max() <= 16.0 and np.any(wide != np.floor(wide)):
        raise ValueError(
            f"values: expected numbers from {low} to {high} as in training, got fractions within -16 to 16; "
            "undo what normalised them"
        )
    with np.errstate(over="ignore"):
        steps = (wide - params.INPUT_OFFSET) / params.INPUT_STEP
        steps = np.rint(steps) if params.INPUT_HALF_EVEN else np.floor(steps + 0.5)
    return np.clip(steps, low, high).astype(IN_DTYPE)


def dequantize(results):
    """Integers of the results, as `run` gives them -> real values."""
    return single([np.asarray(y) * output["scale"] for y, output in zip(several(results), params.OUTPUTS)])


def single(results):
    """The results of a network of one output; of several a tuple of them."""
    return results[0] if len(params.OUTPUTS) == 1 else tuple(results)


def several(results):
    """The inverse: a list of the results of each output."""
    return [results] if len(params.OUTPUTS) == 1 else list(results)


def out_dtype(output):
    """The numpy type of an output's integers."""
    return container(output["container_bits"], output["signed"])


def integer_range(bits, signed):
    """Smallest and largest value of the integer type."""
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def load_selftest():
    """The self-test vector: images [N,IY,IX,C], and for each output their golden results [N,OY,OX,K]."""
    folder = Path(__file__).resolve().parent / "selftest"
    images = np.frombuffer((folder / "input.bin").read_bytes(), dtype=IN_DTYPE)
    goldens = [
        np.frombuffer((folder / output["golden"]).read_bytes(), dtype=out_dtype(output)).reshape(-1, *output["shape"])
        for output in params.OUTPUTS
    ]
    return images.reshape((-1, *params.IN_SHAPE)), goldens


class Accelerator:
    """The loaded accelerator. Use it in a `with` statement, or call `close`.

    `capacity` is how many images go to the device in one start. `timeout_s` is how long to wait for them; with None the
    time follows from the prediction. `clock_mhz` is the clock as read back. Raises DeviceError if the bitstream does
    not hold the design that this driver was rendered for, or the clock is too fast for it.
    """

    def __init__(self, bitstream, timeout_s=None, capacity=params.BATCH):
        if not 1 <= capacity <= params.MAX_IMAGES:
            raise DeviceError(f"capacity: expected 1 to {params.MAX_IMAGES} images, got {capacity}")
        if not Path(bitstream).is_file() or not Path(bitstream).with_suffix(".hwh").is_file():
            raise DeviceError(f"{bitstream}: expected this file and a .hwh of the same name beside it")
        self.timeout_s, self.capacity, self.fault, self.channels = timeout_s, capacity, None, ()
        self.has_counters = False
        self.overlay = pynq.Overlay(str(bitstream))
        accel = self._ip("accel_0")
        dmas = [self._ip(f"axi_dma_{i}") for i in range(len(params.OUTPUTS))]
        self.registers = pynq.MMIO(accel["phys_addr"], accel["addr_range"])
        # A DMA for each output; the first alone sends, and the others have no registers of that direction.
        self.dmas = [(pynq.MMIO(dma["phys_addr"], dma["addr_range"]), RECEIVE_BLOCK) for dma in dmas]
        self.dmas[0] = (self.dmas[0][0], SEND_BLOCK)
        self.clock_mhz = set_clock()
        self._check_identity()
        # Only the RTL spelling counts cycles and words; the register that says so reads 0 in the HLS spelling.
        self.has_counters = self.register("spelling") == params.SPELLING_RTL
        wide = [int(dma.get("parameters", {}).get("c_addr_width", 32)) > 32 for dma in dmas]
        first = self.dmas[0][0]
        self.send = Channel("send", first, SEND_BLOCK, params.IN_IMAGE_BYTES, params.IN_WIRE_BYTES, capacity, wide[0])
        self.receivers = []
        for i, output in enumerate(params.OUTPUTS):
            name = "receive" if len(params.OUTPUTS) == 1 else f"receive {i}"
            lengths = output["image_bytes"], output["wire_bytes"]
            self.receivers.append(Channel(name, self.dmas[i][0], RECEIVE_BLOCK, *lengths, capacity, wide[i]))
        self.channels = (self.send, *self.receivers)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Stop the DMA and free the buffers. They are kept if the DMA cannot be stopped: it may still write."""
        if self.channels and self._reset_dma():
            for channel in self.channels:
                channel.free()
        self.channels = ()

    def reload(self):
        """Load the bitstream again, which is the only clean state after a time-out."""
        self.overlay.download()
        self.clock_mhz = set_clock()
        self._check_identity()
        self.fault = None

    def _ip(self, name):
        try:
            return self.overlay.ip_dict[name]
        except KeyError as error:
            found = ", ".join(sorted(self.overlay.ip_dict))
            raise DeviceError(
                f"bitstream: expected an IP named {name}, found {found}; was it built by link/design.tcl?"
            ) from error

    def register(self, name):
        """Value of a register of the accelerator, by its name in manifest.json."""
        return self.registers.read(params.REGISTERS[name])

    def wide_register(self, name):
        """Value of a pair of registers, `name`_lo and `name`_hi, that stand still between runs."""
        return self.register(f"{name}_hi") << 32 | self.register(f"{name}_lo")

    def _empty_run(self):
        """Start with no images. Outputs of an HLS kernel, the hash among them, read 0 until it has run once."""
        self.registers.write(params.REGISTERS["images"], 0)
        self.registers.write(params.REGISTERS["ctrl"], CTRL_START)
        self._wait(lambda: self.register("ctrl") & (CTRL_DONE | CTRL_IDLE), "an empty run", MIN_TIMEOUT_S)

    def _check_identity(self):
        found = self.wide_register("hash")
        if found == 0:
            self._empty_run()
            found = self.wide_register("hash")
        if found != params.DESIGN_HASH:
            raise DeviceError(
                f"bitstream: it holds design {found:#018x}, this driver belongs to {params.DESIGN_HASH:#018x}; "
                "use the driver.py that was rendered with the sources of this bitstream"
            )
        if not all(dma.read(block + DMASR) & SR_SCATTER_GATHER for dma, block in self.dmas):
            raise DeviceError("bitstream: its AXI DMA was built without scatter-gather; build it with link/design.tcl")

    def _reset_dma(self):
        """Reset every DMA, both directions at once; False if one does not answer in time."""
        for dma, block in self.dmas:
            dma.write(block + DMACR, CR_RESET)
        deadline = time.monotonic() + min(self.timeout_s or MIN_TIMEOUT_S, 1.0)
        while any(dma.read(block + DMACR) & CR_RESET for dma, block in self.dmas):
            if time.monotonic() > deadline:
                return False
        return True

    def status(self):
        """All that the hardware tells of its state, as text."""
        ctrl = self.register("ctrl")
        lines = [f"ctrl: {ctrl:#x} (start {ctrl & 1}, done {ctrl >> 1 & 1}, idle {ctrl >> 2 & 1})"]
        # In the HLS spelling the addresses of the counters are those of other registers, ctrl among them.
        names = ["images", "hash_lo", "hash_hi"] + (params.COUNTERS if self.has_counters else [])
        lines += [f"{name}: {self.register(name)}" for name in names]
        if self.has_counters:
            images = self.register("images")
            lines.append(f"expected beats: in {images * params.IN_WORDS}, out {images * params.BEATS_OUT}")
        else:
            lines.append("beats in and out: not counted by the HLS spelling")
        for channel in self.channels:
            state = channel.read(DMASR)
            lines.append(
                f"{channel.name}: DMASR {state:#x} (halted {state & 1}, idle {state >> 1 & 1}), "
                f"{channel.completed()} of {channel.count} images complete; "
                f"errors: {'; '.join(channel.errors()) or 'none'}"
            )
        return "\n".join(lines)

    def timeout_of(self, count):
        """Seconds to wait for `count` images."""
        if self.timeout_s is not None:
            return self.timeout_s
        cycles = params.LATENCY_CYCLES + count * params.INTERVAL_CYCLES
        return max(MIN_TIMEOUT_S, TIMEOUT_FACTOR * cycles / (self.clock_mhz * 1e6))

    def _fail(self, what, timeout_s):
        """Remember the fault, stop the DMA, raise DeviceTimeout with the state of before that."""
        self.fault = f"{what} did not finish"
        dump = self.status()
        self._reset_dma()
        raise DeviceTimeout(f"{self.fault} within {timeout_s:g} s. State of the device:\n{dump}")

    def _wait(self, is_done, what, timeout_s):
        deadline = time.monotonic() + timeout_s
        while not is_done():
            for channel in self.channels:
                if channel.errors():
                    self.fault = f"{channel.name}: {channel.errors()[0]}"
                    raise DeviceError(f"{self.fault}. State of the device:\n{self.status()}")
            if time.monotonic() > deadline:
                self._fail(what, timeout_s)

    def _start(self, count):
        """Run the `count` images of the send buffer; on return the receive buffers hold their results."""
        if self.fault:
            raise DeviceError(f"the device failed before ({self.fault}); call reload()")
        if not self.register("ctrl") & CTRL_IDLE:
            self._fail("an earlier run", 0)
        if not self._reset_dma():
            self._fail("the reset of the DMA", min(self.timeout_s or MIN_TIMEOUT_S, 1.0))
        timeout_s = self.timeout_of(count)
        self.registers.write(params.REGISTERS["images"], count)
        # Receive first: a result that finds no waiting descriptor would stall the pipeline.
        for channel in (*self.receivers, self.send):
            channel.prepare(count, min(timeout_s, MIN_TIMEOUT_S))
        for receiver in self.receivers:
            receiver.start()
            if receiver.read(DMASR) & SR_HALTED or receiver.errors():
                raise DeviceError(f"{receiver.name}: the channel is not armed, so nothing was sent")
        self.registers.write(params.REGISTERS["ctrl"], CTRL_START)
        self.send.start()
        self._wait(lambda: all(receiver.is_done() for receiver in self.receivers), "the last result", timeout_s)
        self._wait(lambda: self.register("ctrl") & (CTRL_DONE | CTRL_IDLE), "the accelerator", timeout_s)
        for receiver in self.receivers:
            receiver.buffer.invalidate()
        self._check_run(count)

    def _check_run(self, count):
        for channel in self.channels:
            channel.check()
        if not self.has_counters:
            return
        expected = {"beats_in": count * params.IN_WORDS, "beats_out": count * params.BEATS_OUT, "images_out": count}
        for name, value in expected.items():
            if self.register(name) != value:
                raise DeviceError(f"{name}: expected {value} after {count} images, got {self.register(name)}")

    def _load(self, images):
        packed = np.ascontiguousarray(images.astype(IN_DTYPE).reshape(len(images), -1)).view(np.uint8)
        self.send.buffer[: len(images), : packed.shape[1]] = packed

    def _slots(self, count):
        """A copy of what each receive buffer holds of the first images."""
        return [np.array(receiver.buffer[:count]) for receiver in self.receivers]

    @staticmethod
    def _decode(slots, output):
        """Slots of the receive buffer of one output -> results[N,OY,OX,K]."""
        dtype, bits = out_dtype(output), output["bits"]
        elements = int(np.prod(output["shape"]))
        data = np.ascontiguousarray(slots[:, : elements * dtype.itemsize])
        words = data.view(container(output["container_bits"], False)).astype(np.int64)
        # Only the low bits of a container mean something; the sign is made here.
        words &= (1 << bits) - 1
        if output["signed"]:
            words -= (words >> (bits - 1)) << bits
        return words.astype(dtype).reshape((len(slots), *output["shape"]))

    def _mismatches(self, slots, goldens):
        """How many elements of the results in these slots differ from the golden ones, of all outputs."""
        parts = zip(slots, params.OUTPUTS, goldens)
        return sum(int(np.count_nonzero(self._decode(part, output) != golden)) for part, output, golden in parts)

    def run(self, images):
        """images[N,IY,IX,C] of integers -> results[N,OY,OX,K], or a tuple of those of each output.

        Raises ValueError if they do not fit the network.
        """
        images = np.asarray(images)
        if images.ndim != 4 or images.shape[1:] != tuple(params.IN_SHAPE) or len(images) == 0:
            raise ValueError(
                f"images: expected [N, {', '.join(map(str, params.IN_SHAPE))}] (HWC), got {list(images.shape)}"
            )
        if not np.issubdtype(images.dtype, np.integer):
            raise ValueError(f"images: expected integers, got {images.dtype}; quantize() makes them")
        low, high = integer_range(params.IN_BITS, params.IN_SIGNED)
        if images.min() < low or images.max() > high:
            raise ValueError(f"images: expected values from {low} to {high}, got {images.min()} to {images.max()}")
        results = []
        for first in range(0, len(images), self.capacity):
            batch = images[first : first + self.capacity]
            self._load(batch)
            self._start(len(batch))
            results.append([self._decode(part, out) for part, out in zip(self._slots(len(batch)), params.OUTPUTS)])
        return single([np.concatenate(parts) for parts in zip(*results)])

    def selftest(self):
        """How many elements of the self-test's results differ from the golden ones: 0 on a good device."""
        images, goldens = load_selftest()
        pairs = zip(several(self.run(images)), goldens)
        return sum(int(np.count_nonzero(found != golden)) for found, golden in pairs)

    def benchmark(self, images=2048):
        """Run `images` self-test images and return the content of the result file; see README.md for its fields.

        Images go in full batches of `capacity`, two at least; every result is compared with the golden one. Throughput
        is (N-1) / (t_last - t_first). If the accelerator has counters, they give it over the images of one batch.
        Otherwise the host's clock gives it over the batches.
        """
        vector, goldens = load_selftest()
        batches = max(2, -(-images // self.capacity))
        batch = np.resize(np.arange(len(vector)), self.capacity)
        self._load(vector[batch])
        results, done, cycles = [], [], []
        for _ in range(batches):
            self._start(self.capacity)
            done.append(time.perf_counter())
            if self.has_counters:
                cycles.append((self.wide_register("first_out_cycles"), self.wide_register("cycles")))
            results.append(self._slots(self.capacity))
        mismatches = sum(self._mismatches(slots, [golden[batch] for golden in goldens]) for slots in results)
        began = time.perf_counter()
        self._start(1)
        alone = time.perf_counter() - began
        host_fps = (batches - 1) * self.capacity / (done[-1] - done[0])
        return result_record(
            batches * self.capacity, mismatches, self.clock_mhz, host_fps, alone, cycles, self.capacity
        )


def pl_clock_mhz():
    """Clock 0 of the programmable logic, as its registers say; pynq.Clocks takes another crystal for granted."""
    return float(pynq.Clocks.fclk0_mhz) * params.CLOCKS_SCALE


def set_clock():
    """See that the accelerator has its clock; return it in MHz, as read back.

    Loading the overlay has set the divisors already. What feeds a clocking wizard in the bitstream is not changed
    afterwards, because that would lose its lock. Raises DeviceError if the clock is faster than the design was built
    for; a slower one is warned of.
    """
    expected = params.PL_CLOCK_MHZ
    if abs(pl_clock_mhz() / expected - 1) > CLOCK_TOLERANCE and params.CLOCK_RATIO == 1:
        pynq.Clocks.fclk0_mhz = expected / params.CLOCKS_SCALE
    found = pl_clock_mhz()
    what = (
        f"clock 0 of the logic runs at {found:g} MHz, expected {expected:g} MHz, "
        f"an IO PLL of {params.IO_PLL_MHZ:g} MHz by {params.PL_DIVISORS[0]} and {params.PL_DIVISORS[1]}"
    )
    if found > expected * (1 + CLOCK_TOLERANCE):
        raise DeviceError(
            f"{what}; give the PLL of this board in its board file (processor: io_pll_mhz) and build again"
        )
    if found < expected * (1 - CLOCK_TOLERANCE):
        print(f"driver: {what}; results are right, and rates are those of this clock", file=sys.stderr)
    return round(found * params.CLOCK_RATIO, 4)


def result_record(images, mismatches, clock_mhz, host_fps, host_latency_s, cycles, batch):
    """The result file's content. `cycles`: (first_out_cycles, cycles) of each batch, empty without counters."""
    record = {
        "schema": 1,
        "tool": "board",
        "driver": "pynq",
        "board": params.BOARD,
        "part": params.PART,
        "design_hash": f"{params.DESIGN_HASH:#018x}",
        "spelling": "rtl" if cycles else "hls",
        "timing": "hardware" if cycles and batch > 1 else "host",
        "clock_mhz": clock_mhz,
        "images": images,
        "mismatches": mismatches,
        "fps": host_fps,
        "host_fps": host_fps,
        "host_latency_us": host_latency_s * 1e6,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }
    if cycles and batch > 1:
        first, last = cycles[-1]
        record["interval_cycles"] = (last - first) / (batch - 1)
        record["latency_cycles"] = first
        record["fps"] = clock_mhz * 1e6 / record["interval_cycles"]
        record["latency_us"] = first / clock_mhz
    return record


def write_result(record, path):
    """Write the record as JSON; the file is complete or was not touched."""
    temporary = Path(f"{path}.part")
    temporary.write_text(json.dumps(record, indent=2) + "\n")
    os.replace(temporary, path)


def save(results, path):
    """Write results to an .npy, those of several outputs to an .npz as arr_0, arr_1 and so on; returns its path."""
    if len(params.OUTPUTS) == 1:
        np.save(path, results)
        return path
    path = Path(path).with_suffix(".npz")
    np.savez(path, *results)
    return path


def parse_arguments(argv):
    """The command line; argparse exits with status 2 if it is wrong."""
    parser = argparse.ArgumentParser(description="Drive the accelerator on a PYNQ board.")
    parser.add_argument("action", choices=("selftest", "benchmark", "run"))
    parser.add_argument("--bitstream", default="accel.bit", help="the .bit file, its .hwh beside it")
    parser.add_argument("--timeout", type=float, help="seconds to wait for a start's images (default: as predicted)")
    parser.add_argument("--images", type=int, default=2048, help="benchmark: images to run")
    parser.add_argument("--capacity", type=int, default=params.BATCH, help="images per start of the accelerator")
    parser.add_argument("--result", default="board.json", help="benchmark: JSON file to write")
    parser.add_argument("--input", help="run: .npy file [N, IY, IX, C]: integers as they are, floats by quantize")
    parser.add_argument("--output", default="results.npy", help="run: .npy file to write, .npz of several outputs")
    arguments = parser.parse_args(argv)
    if arguments.capacity < 2 or arguments.images < 1 or (arguments.timeout is not None and arguments.timeout <= 0):
        parser.error("expected --capacity of at least 2, --images of at least 1 and a positive --timeout")
    if arguments.action == "run" and not arguments.input:
        parser.error("run needs --input")
    return arguments


def main(argv=None):
    """Do what the arguments say; returns the exit status."""
    arguments = parse_arguments(argv)
    try:
        with Accelerator(arguments.bitstream, arguments.timeout, arguments.capacity) as accelerator:
            return act(accelerator, arguments)
    except (DeviceError, ValueError, OSError) as error:
        print(f"driver: {error}", file=sys.stderr)
        return 2


def act(accelerator, arguments):
    """One action on an open accelerator; returns the exit status."""
    mismatches = accelerator.selftest()
    print(f"self-test: {mismatches} elements differ")
    if mismatches:
        return 1
    if arguments.action == "run":
        images = np.load(arguments.input)
        results = accelerator.run(quantize(images) if images.dtype.kind == "f" else images)
        print(f"results written to {save(results, arguments.output)}")
    if arguments.action == "benchmark":
        record = accelerator.benchmark(arguments.images)
        write_result(record, arguments.result)
        print(json.dumps(record, indent=2))
        return 1 if record["mismatches"] else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
