"""driver.py against an emulated board: it computes, it measures, and it notices whatever goes wrong."""

import dataclasses
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from codesign.emit.host import batch_of
from codesign.emit.identity import design_hash
from codesign.emit.port import Port, input_port, output_ports
from codesign.ir.board import Board, ProcessorClock
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.model import golden
from codesign.ops.conv import Conv
from codesign.ops.qtype import QType
from codesign.ops.shapes import Shape
from codesign.report.vendor import read_measured
from codesign.testing.small import small_design, small_graph
from projects import small_board, small_project

EMULATED = Path(__file__).parent / "emulated_pynq"
MODULES = ("pynq", "accel_params", "axi_dma", "driver")
Boot = Callable[..., tuple[ModuleType, ModuleType]]


def with_output(graph: Graph, otype: QType) -> Graph:
    """The graph with another type at its end."""
    last = graph.output
    assert isinstance(last, Conv)
    return dataclasses.replace(graph, nodes=(*graph.nodes[:-1], dataclasses.replace(last, otype=otype)))


@pytest.fixture
def boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Boot]:
    """`boot(fault=..., spelling=...)` renders the project, plugs the board in and gives (driver, pynq)."""

    def start(
        fault: str | None = None, spelling: str = "rtl", graph: Graph | None = None, design: Design | None = None,
        wrong_hash: bool = False, board: Board | None = None,
    ) -> tuple[ModuleType, ModuleType]:  # fmt: skip
        graph, design = graph or small_graph(), design or small_design()
        board = board or small_board()
        small_project(graph, design, board=board).write(tmp_path / "project")
        host = tmp_path / "project" / "host"
        for name in ("accel.bit", "accel.hwh"):
            (host / name).touch()
        monkeypatch.chdir(host)
        monkeypatch.syspath_prepend(str(host))
        monkeypatch.syspath_prepend(str(EMULATED))
        for name in MODULES:
            monkeypatch.delitem(sys.modules, name, raising=False)
        pynq = importlib.import_module("pynq")
        source, sinks, shape = input_port(graph, design), output_ports(graph, design), graph.input.shape

        def answer(image: bytes) -> list[bytes]:
            x = np.frombuffer(image, source.dtype).reshape(1, shape.y, shape.x, shape.c).astype(np.int64)
            results = golden.run_outputs(graph, x)
            return [y.astype(sink.dtype).tobytes() for y, sink in zip(results, sinks, strict=True)]

        wires = [pynq.Wire(p.image_bytes, p.wire_bytes, p.words) for p in (source, *sinks)]
        found = design_hash(graph, design) ^ int(wrong_hash)
        pynq.device = pynq.Device(answer, wires[0], wires[1:], found, spelling, fault)
        pynq.device.crystal_mhz = board.clocking.source.crystal_mhz
        pynq.device.handoff_divisors = board.clocking.divisors
        return importlib.import_module("driver"), pynq

    yield start
    for name in MODULES:
        sys.modules.pop(name, None)


CASES = {
    "one lane": (small_graph, small_design),
    "padded words": (small_graph, lambda: dataclasses.replace(small_design(), input_lanes=8, output_lanes=(4,))),
    "signed bytes": (lambda: with_output(small_graph(), QType(5, signed=True)), small_design),
    "unsigned bytes": (
        lambda: with_output(small_graph(), QType(7, signed=False)),
        lambda: dataclasses.replace(small_design(), input_lanes=64, output_lanes=(2,)),
    ),
}


@pytest.mark.parametrize("spelling", ["rtl", "hls"])
@pytest.mark.parametrize("case", list(CASES))
def test_results_equal_the_golden_model(boot: Boot, case: str, spelling: str) -> None:
    graph, design = (make() for make in CASES[case])
    driver, pynq = boot(spelling=spelling, graph=graph, design=design)
    images = np.random.default_rng(3).integers(0, 256, (23, 6, 6, 1))
    with driver.Accelerator("accel.bit", timeout_s=1.0, capacity=5) as accelerator:
        assert accelerator.selftest() == 0
        results = accelerator.run(images)
    np.testing.assert_array_equal(results, golden.run(graph, images))
    assert pynq.device.complaints == []
    assert pynq.device.memory == {}, "buffers were not freed"


def test_receive_is_armed_before_anything_is_sent(boot: Boot) -> None:
    driver, pynq = boot()
    with driver.Accelerator("accel.bit") as accelerator:
        accelerator.selftest()
    assert pynq.device.log == ["clock 10 1", "download", "receive", "start", "send"]


def test_another_design_is_refused_with_both_hashes(boot: Boot) -> None:
    driver, _ = boot(wrong_hash=True)
    hashes = [f"{design_hash(small_graph(), small_design()) ^ bit:#018x}" for bit in (1, 0)]
    with pytest.raises(driver.DeviceError, match=f"holds design {hashes[0]}, this driver belongs to {hashes[1]}"):
        driver.Accelerator("accel.bit")


def test_a_dma_without_scatter_gather_is_refused(boot: Boot) -> None:
    driver, _ = boot(fault="no_sg")
    with pytest.raises(driver.DeviceError, match="built without scatter-gather"):
        driver.Accelerator("accel.bit")


def test_a_bitstream_without_its_handoff_file_is_refused(boot: Boot) -> None:
    driver, _ = boot()
    Path("accel.hwh").unlink()
    with pytest.raises(driver.DeviceError, match=r"expected this file and a \.hwh of the same name"):
        driver.Accelerator("accel.bit")


def test_an_overlay_without_the_accelerator_is_refused(boot: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    driver, pynq = boot()
    overlay = pynq.Overlay("accel.bit")
    del overlay.ip_dict["accel_0"]
    monkeypatch.setattr(pynq, "Overlay", lambda name: overlay)
    with pytest.raises(driver.DeviceError, match="expected an IP named accel_0, found axi_dma_0"):
        driver.Accelerator("accel.bit")


def test_a_receive_channel_that_does_not_arm_is_noticed_before_sending(boot: Boot) -> None:
    driver, pynq = boot(fault="no_arm")
    accelerator = driver.Accelerator("accel.bit", timeout_s=0.05)
    with pytest.raises(driver.DeviceTimeout, match="receive: the channel stays halted"):
        accelerator.selftest()
    assert "send" not in pynq.device.log
    assert "start" not in pynq.device.log


@pytest.mark.parametrize("spelling", ["rtl", "hls"])
def test_a_hanging_device_times_out_with_a_dump_and_stays_refused(boot: Boot, spelling: str) -> None:
    driver, pynq = boot(fault="hang", spelling=spelling)
    accelerator = driver.Accelerator("accel.bit", timeout_s=0.05)
    with pytest.raises(driver.DeviceTimeout) as caught:
        accelerator.selftest()
    text = str(caught.value)
    assert "the last result did not finish within 0.05 s" in text
    assert "ctrl: 0x1 (start 1, done 0, idle 0)" in text
    assert "receive: DMASR" in text
    assert "1 of 8 images complete" in text
    assert ("beats_in: 36\nbeats_out: 3\nimages_out: 1" in text) == (spelling == "rtl")
    assert ("expected beats: in 288, out 24" in text) == (spelling == "rtl")
    with pytest.raises(driver.DeviceError, match=r"failed before \(the last result did not finish\); call reload"):
        accelerator.selftest()
    pynq.device.fault = None
    accelerator.reload()
    assert accelerator.selftest() == 0


def test_a_run_on_a_busy_device_is_refused(boot: Boot) -> None:
    driver, pynq = boot()
    accelerator = driver.Accelerator("accel.bit", timeout_s=0.05)
    pynq.device.busy = True
    with pytest.raises(driver.DeviceTimeout, match="an earlier run did not finish"):
        accelerator.selftest()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("short", "receive: image 0 moved 5 bytes, expected 6"),
        ("no_last", "receive: image 0 moved 6 bytes, expected 6; end of packet missing"),
        ("dma_error", "receive: address decode error on data"),
        ("lost_beat", "beats_in: expected 288 after 8 images, got 280"),
        ("no_reset", "the reset of the DMA did not finish"),
    ],
)
def test_a_faulty_transfer_is_an_error(boot: Boot, fault: str, message: str) -> None:
    driver, _ = boot(fault=fault)
    accelerator = driver.Accelerator("accel.bit", timeout_s=0.05)
    with pytest.raises(driver.DeviceError, match=message):
        accelerator.selftest()


def test_buffers_are_kept_while_the_dma_may_still_write(boot: Boot) -> None:
    driver, pynq = boot(fault="no_reset")
    driver.Accelerator("accel.bit", timeout_s=0.05).close()
    assert len(pynq.device.memory) == 4


def test_buffers_above_4_gib_need_a_wide_dma(boot: Boot) -> None:
    driver, pynq = boot()
    pynq.device.next_buffer = (1 << 32) - 4096
    with pytest.raises(driver.DeviceError, match="above 4 GiB, but this DMA has 32 address bits"):
        driver.Accelerator("accel.bit")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 6, 5, 1), np.uint8), r"expected \[N, 6, 6, 1\] \(HWC\), got \[2, 6, 5, 1\]"),
        (np.zeros((6, 6, 1), np.uint8), r"got \[6, 6, 1\]"),
        (np.zeros((0, 6, 6, 1), np.uint8), r"got \[0, 6, 6, 1\]"),
        (np.zeros((1, 6, 6, 1)), "expected integers, got float64; quantize"),
        (np.full((1, 6, 6, 1), -1), "expected values from 0 to 255, got -1 to -1"),
    ],
)
def test_images_that_do_not_fit_are_refused(boot: Boot, images: np.ndarray, message: str) -> None:
    driver, pynq = boot()
    with driver.Accelerator("accel.bit") as accelerator, pytest.raises(ValueError, match=message):
        accelerator.run(images)
    assert "send" not in pynq.device.log


def test_real_values_are_rounded_half_up_and_clamped(boot: Boot) -> None:
    driver, _ = boot()
    np.testing.assert_array_equal(driver.quantize([-1.0, 0.0, 1.5, 2.5, 99.0, 256.0]), [0, 0, 2, 3, 99, 255])
    np.testing.assert_array_equal(driver.dequantize([2, -3]), [2.0, -3.0])


def test_throughput_comes_from_the_counters_of_the_hardware(boot: Boot) -> None:
    driver, pynq = boot()
    assert driver.main(["benchmark", "--images", "33", "--capacity", "16", "--result", "board.json"]) == 0
    record = json.loads(Path("board.json").read_text())
    expected = {
        "schema": 1, "tool": "board", "driver": "pynq", "board": "bench-1", "part": "xc7z020clg400-1",
        "design_hash": f"{design_hash(small_graph(), small_design()):#018x}", "spelling": "rtl", "timing": "hardware",
        "clock_mhz": 150.0, "images": 48, "mismatches": 0, "interval_cycles": pynq.INTERVAL,
        "latency_cycles": pynq.LATENCY, "fps": 150e6 / pynq.INTERVAL, "latency_us": pynq.LATENCY / 150.0,
    }  # fmt: skip
    assert {key: record[key] for key in expected} == expected
    assert set(record) == set(expected) | {"host_fps", "host_latency_us", "date"}
    reading = read_measured(Path("board.json"), small_board(), int(record["design_hash"], 16), "")
    assert (reading.measurement.interval_cycles, reading.measurement.mismatches) == (pynq.INTERVAL, 0)


def test_throughput_without_counters_comes_from_the_host_and_says_so(
    boot: Boot, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, _ = boot(spelling="hls")
    ticks = iter(range(100))
    monkeypatch.setattr(driver.time, "perf_counter", lambda: 0.5 * next(ticks))
    with driver.Accelerator("accel.bit", capacity=16) as accelerator:
        record = accelerator.benchmark(images=64)
    assert (record["timing"], record["spelling"], record["images"]) == ("host", "hls", 64)
    assert record["fps"] == record["host_fps"] == 3 * 16 / 1.5
    assert record["host_latency_us"] == 0.5e6
    assert not {"interval_cycles", "latency_cycles", "latency_us"} & set(record)


def test_cycles_beyond_32_bits_are_read_whole(boot: Boot) -> None:
    driver, pynq = boot()
    pynq.LATENCY, pynq.INTERVAL = (1 << 32) + 77, 19_668_992
    with driver.Accelerator("accel.bit", capacity=256) as accelerator:
        record = accelerator.benchmark(images=256)
    assert (record["interval_cycles"], record["latency_cycles"]) == (19_668_992, (1 << 32) + 77)
    assert record["fps"] == pytest.approx(150e6 / 19_668_992)


def test_the_hash_of_the_hls_spelling_is_read_after_an_empty_run(boot: Boot) -> None:
    driver, pynq = boot(spelling="hls")
    device = pynq.Device(*(getattr(pynq.device, n) for n in ("answer", "source", "sinks", "hash", "spelling", "fault")))
    assert (device.read_accel(pynq.HASH_LO), device.read_accel(pynq.HASH_HI)) == (0, 0), "kinder than hardware"
    with driver.Accelerator("accel.bit") as accelerator:
        assert pynq.device.log.count("empty run") == 1
        assert accelerator.selftest() == 0
    assert pynq.device.complaints == []


def test_the_hash_of_the_rtl_spelling_needs_no_run(boot: Boot) -> None:
    driver, pynq = boot()
    driver.Accelerator("accel.bit").close()
    assert "empty run" not in pynq.device.log


def test_an_accelerator_that_never_ends_an_empty_run_is_a_time_out(boot: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    driver, _ = boot(spelling="hls", fault="dead")
    monkeypatch.setattr(driver, "MIN_TIMEOUT_S", 0.05)
    with pytest.raises(driver.DeviceTimeout, match=r"an empty run did not finish within 0\.05 s"):
        driver.Accelerator("accel.bit")


def test_time_outs_follow_from_the_prediction_unless_the_user_gives_one(boot: Boot) -> None:
    driver, _ = boot()
    params = sys.modules["accel_params"]
    with driver.Accelerator("accel.bit") as accelerator:
        assert accelerator.timeout_of(256) == 10.0
        params.INTERVAL_CYCLES = 19_668_992  # 7.6 images a second at 150 MHz
        seconds = 256 * 19_668_992 / 150e6
        assert 9 * seconds < accelerator.timeout_of(256) < 11 * seconds
    with driver.Accelerator("accel.bit", timeout_s=3.0) as accelerator:
        assert accelerator.timeout_of(256) == 3.0


def test_the_batch_follows_from_the_size_of_an_image(boot: Boot) -> None:
    shape = Shape(y=256, x=256, c=512)
    ports = [Port(shape, QType(8, signed=False), 8), Port(Shape(y=1, x=1, c=10), QType(16, signed=True), 1)]
    assert batch_of(*ports) == 2, "an image of 32 MiB: two at least"
    small = dataclasses.replace(ports[0], shape=Shape(y=32, x=32, c=3))
    assert batch_of(small, ports[1]) == 256
    middle = dataclasses.replace(ports[0], shape=Shape(y=512, x=512, c=4))
    assert batch_of(middle, ports[1]) == (64 << 20) // ((1 << 20) + 64 + 64 + 64)
    driver, _ = boot()
    with driver.Accelerator("accel.bit") as accelerator:
        assert accelerator.capacity == 256
    with pytest.raises(driver.DeviceError, match="capacity: expected 1 to"):
        driver.Accelerator("accel.bit", capacity=sys.modules["accel_params"].MAX_IMAGES + 1)


def test_a_clock_too_fast_for_the_design_is_refused(boot: Boot) -> None:
    driver, pynq = boot()
    pynq.device.pll_mhz = 1600.0
    with pytest.raises(
        driver.DeviceError, match=r"runs at 160 MHz, expected 100 MHz, an IO PLL of 1000 MHz by 10 and 1"
    ):
        driver.Accelerator("accel.bit")


def test_a_slower_clock_is_warned_of_and_stands_in_the_result(boot: Boot, capsys: pytest.CaptureFixture[str]) -> None:
    driver, pynq = boot()
    pynq.device.pll_mhz = 800.0
    with driver.Accelerator("accel.bit") as accelerator:
        record = accelerator.benchmark(images=16)
    assert "clock 0 of the logic runs at 80 MHz, expected 100 MHz" in capsys.readouterr().err
    assert record["clock_mhz"] == pytest.approx(120.0)
    assert record["fps"] == pytest.approx(120e6 / pynq.INTERVAL)


def test_a_clock_that_another_pll_makes_as_well_is_set(boot: Boot) -> None:
    board = dataclasses.replace(
        small_board(), clock_mhz=125.0, processor=ProcessorClock(crystal_mhz=50.0, io_pll_mhz=1000.0)
    )
    driver, pynq = boot(board=board)
    pynq.device.pll_mhz = 1500.0
    with driver.Accelerator("accel.bit") as accelerator:
        assert accelerator.clock_mhz == 125.0
    assert (pynq.device.divisors[0] * pynq.device.divisors[1]) == 12


def test_the_crystal_that_pynq_takes_for_granted_is_corrected(boot: Boot) -> None:
    driver, pynq = boot(board=dataclasses.replace(small_board(), clock_mhz=100.0))
    assert pynq.Clocks.fclk0_mhz == pytest.approx(150.0), "it takes 50 MHz where 33.333 are"
    assert driver.pl_clock_mhz() == pytest.approx(100.0)


def test_wrong_results_are_counted_and_are_status_1(boot: Boot, capsys: pytest.CaptureFixture[str]) -> None:
    driver, _ = boot(fault="wrong")
    assert driver.main(["benchmark", "--result", "board.json"]) == 1
    assert "self-test: 8 elements differ" in capsys.readouterr().out
    assert not Path("board.json").exists()


def test_images_from_a_file(boot: Boot) -> None:
    driver, _ = boot()
    images = np.random.default_rng(5).integers(0, 256, (9, 6, 6, 1), dtype=np.uint8)
    np.save("images.npy", images)
    assert driver.main(["run", "--input", "images.npy", "--output", "results.npy"]) == 0
    np.testing.assert_array_equal(np.load("results.npy"), golden.run(small_graph(), images))


def test_a_device_at_fault_is_status_2_and_one_message(boot: Boot, capsys: pytest.CaptureFixture[str]) -> None:
    driver, _ = boot(wrong_hash=True)
    assert driver.main(["selftest"]) == 2
    assert capsys.readouterr().err.startswith("driver: bitstream: it holds design")


def test_the_selftest_vector_is_the_golden_models(boot: Boot) -> None:
    driver, _ = boot()
    images, (results,) = driver.load_selftest()
    assert len(images) == 8
    np.testing.assert_array_equal(results, golden.run(small_graph(), images))
