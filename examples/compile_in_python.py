"""From Python: a network built node by node, its accelerator, the prediction, a simulation and the project.

    python compile_in_python.py [OUT]

It takes half a minute. OUT (default: tiny-run) becomes a run folder, as `codesign compile` leaves one.
"""

import shutil
import sys

import numpy as np

import codesign
from codesign import Graph, GraphBuilder, QType, Window


def network() -> Graph:
    """Return a convolution, a pooling and a classifier, with random weights in place of trained ones."""
    rng = np.random.default_rng(0)
    build = GraphBuilder("tiny", (12, 12, 1), QType(8, signed=False))
    x = build.conv(build.input, rng.integers(-7, 8, (8, 3, 3, 1)), otype=QType(4, signed=False), shift=7)
    x = build.max_pool(x, Window(fy=2, fx=2, stride_y=2, stride_x=2))
    build.conv(x, rng.integers(-7, 8, (10, 5, 5, 8)), otype=QType(16, signed=True), name="classifier")
    return build.graph(labels=tuple("0123456789"))


def main(out: str) -> None:
    """Compile the network for a PYNQ-Z2, at 20,000 images a second at least, with the fewest resources."""
    built = codesign.compile(network(), board="pynq-z2", min_fps=20_000)
    cost = built.cost
    print(f"predicted  {cost.fps(built.board.clock_mhz):,.0f} FPS, latency {cost.latency_cycles:,} cycles")
    print(f"           {cost.resources.dsp} DSP, {cost.resources.bram18} BRAM18, {cost.resources.lut:,} LUT")

    if shutil.which("g++"):  # the C++ computes the same as the golden model, or this raises MismatchError
        x = np.random.default_rng(1).integers(0, 256, (20, 12, 12, 1))
        result = built.csim(x)
        print(f"simulated  {result.images} images, outputs {result.outputs.shape}, {result.mismatches} mismatches")

    print(f"written    {built.write(out)}: report.html to look at, project/ to build from")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "tiny-run")
