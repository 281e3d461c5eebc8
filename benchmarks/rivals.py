"""What other generators reach on the same networks: measured with their own simulators on another day.

Every figure comes from one run on a busy machine of 2 cores, with Debian 12, Python 3.11, Verilator 5.006 and g++ 12.
The generators were NNgen 1.3.4, hls4ml 1.3.0 and FINN+ 1.6.1, as installed by pip, without vendor tools. Seconds are
processor seconds, user and system, of a process and its children. None: not measured, or the tool has no such thing.
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
