"""What others reach on the same networks: generators, with their own simulators on another day, and published boards.

PUBLISHED is as the sources that it names give it. Every other figure comes from one run on a busy machine of 2 cores,
with Debian 12, Python 3.11, Verilator 5.006 and g++ 12. The generators were NNgen 1.3.4, hls4ml 1.3.0 and FINN+ 1.6.1,
as installed by pip, without vendor tools. Seconds are processor seconds, user and system, of a process and its
children. None: not measured, or the tool has no such thing.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NNgen:
    """NNgen unrolls the whole window of a convolution, and `par` input by `par` output channels of every operator. Its
    operators run one after the other, so an image takes `cycles` and the next one as many.

    `largest`: multipliers of the largest operator, window * par * par. `every`: of all convolutions and dense layers
    together, had each its own. The truth lies between the two, and below where a layer has fewer channels than `par`.
    """

    workload: str
    par: int
    largest: int
    every: int
    cycles: int
    exact: str
    generate_s: int
    build_and_run_s: int
    rtl_images_per_s: float


NNGEN = (
    NNgen(
        workload="W1", par=1, largest=25, every=52, cycles=42_297, exact="yes, 10 of 10 images",
        generate_s=9, build_and_run_s=57, rtl_images_per_s=0.75,
    ),
    NNgen(
        workload="W1", par=2, largest=100, every=208, cycles=19_705, exact="yes, 10 of 10 images",
        generate_s=18, build_and_run_s=101, rtl_images_per_s=0.8,
    ),
    NNgen(
        workload="W1", par=4, largest=400, every=832, cycles=15_857, exact="yes, 10 of 10 images",
        generate_s=57, build_and_run_s=206, rtl_images_per_s=0.7,
    ),
    NNgen(
        workload="W2", par=2, largest=36, every=220, cycles=1_166_857, exact="**no**, 9 of 10 images wrong",
        generate_s=8, build_and_run_s=57, rtl_images_per_s=0.23,
    ),
    NNgen(
        workload="W2", par=4, largest=144, every=880, cycles=461_865, exact="**no**, 9 of 10 images wrong",
        generate_s=22, build_and_run_s=93, rtl_images_per_s=0.29,
    ),
    NNgen(
        workload="W4", par=4, largest=144, every=144, cycles=1_731_233, exact="yes, 8 % of the words checked",
        generate_s=18, build_and_run_s=81, rtl_images_per_s=0.12,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Csim:
    """hls4ml's C simulation in its fastest form that gave a result, all reuse factors tried: fixed point of 16 bits."""

    workload: str
    build_s: float | None
    images_per_s: float | None
    note: str


HLS4ML = (
    Csim(workload="W1", build_s=7.5, images_per_s=250.0, note="Resource RF64, io_stream; int8 from QONNX: 125"),
    Csim(workload="W2", build_s=9.6, images_per_s=1.85, note="Resource RF64, io_stream, gap rewritten as AvgPool2d(8)"),
    Csim(workload="W3", build_s=None, images_per_s=None, note="refused: groups are not implemented"),
    Csim(workload="W4", build_s=4.8, images_per_s=0.66, note="Resource RF64, io_stream"),
)

# Images per processor second to reach: twenty times hls4ml's.
CSIM_AIMS = {"W1": 5000.0, "W2": 38.0, "W4": 13.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A published row; None where the source, as we have it, does not say. `board` is ours, of the same part."""

    model: str
    board: str
    theirs: str
    clock_mhz: float | None
    fps: float
    latency_us: float | None
    dsp: int | None
    lut: int | None
    bram36: int | None
    single_image: bool
    source: str
    caveat: str = ""


_NN2FPGA = "NN2FPGA, arXiv 2309.15631"
_TCAD = "NN2FPGA, IEEE TCAD 44(5), 2025, as quoted by others"
_FPGACONVNET = "MLPerf Tiny v1.1, closed division, fpgaConvNet"
# fmt: off
PUBLISHED = (
    Published(model="resnet8_a8w8b16.onnx", board="kv260", theirs="KV260", clock_mhz=None, fps=30153, latency_us=46,
              dsp=None, lut=None, bram36=None, single_image=False, source=_NN2FPGA),
    Published(model="resnet8_a8w8b16.onnx", board="ultra96-v2", theirs="Ultra96 (ZU3EG)", clock_mhz=None, fps=12971,
              latency_us=None, dsp=None, lut=None, bram36=None, single_image=False, source=_NN2FPGA),
    Published(model="resnet8_a4w4b32.onnx", board="kv260", theirs="KV260", clock_mhz=None, fps=61035, latency_us=None,
              dsp=None, lut=None, bram36=None, single_image=False, source=_TCAD),
    Published(model="mobilenet_v2_a8w6b32.onnx", board="zcu102", theirs="ZCU102", clock_mhz=None, fps=2115,
              latency_us=None, dsp=None, lut=None, bram36=None, single_image=False,
              source=_TCAD,
              caveat=" The source, as quoted, does not say whether its weights have 8 bits or 6."),
    Published(model="mlperf_tiny_resnet8_int8.tflite", board="zc706", theirs="ZC706", clock_mhz=187, fps=6789.6,
              latency_us=147, dsp=525, lut=108000, bram36=None, single_image=True, source=_FPGACONVNET),
    Published(model="mlperf_tiny_resnet8_int8.tflite", board="pynq-z2", theirs="ZedBoard (XC7Z020)", clock_mhz=143,
              fps=2431.4, latency_us=411, dsp=211, lut=47000, bram36=93, single_image=True, source=_FPGACONVNET),
    Published(model="mlperf_tiny_kws_int8.tflite", board="pynq-z2", theirs="ZedBoard (XC7Z020)", clock_mhz=143,
              fps=3087.9, latency_us=324, dsp=188, lut=37000, bram36=97, single_image=True, source=_FPGACONVNET),
    Published(model="mlperf_tiny_vww_int8.tflite", board="zc706", theirs="ZC706", clock_mhz=200, fps=1388.3,
              latency_us=720, dsp=564, lut=133000, bram36=366, single_image=True, source=_FPGACONVNET),
)
# fmt: on
