"""What is known beforehand of DNA's points in its own model, to compare with: never an input of a computation.

`exact` and `random` were found earlier by running the authors' own functions (random: 250,000 designs, five seeds;
10,000 and 2,000 designs, means). `plotted` is read off the coordinates of the authors' figures, dsp_tradeoff_fpga.svg
(16 bits) and fps_acc_all_fpga.svg (8 bits), in luke-avionics/NN-HW-predictor. Which layout and how many bits a plotted
point had is inferred.
"""

from dataclasses import dataclass

from .networks import EDD_NET_3, EFFICIENTNET_B0, FBNET_C, PROXYLESS_MOBILE, SEARCHED_166, SEARCHED_208, Network
from .space import EIGHT, FOUR, FOUR_WIDE, TEN, Layout


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean, least and greatest of some searches, FPS."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A network in a layout at a number of bits, and what is known of it; None where nothing is."""

    network: Network
    layout: Layout
    bits: int
    exact: float | None = None
    exact_dsp_bram: tuple[int, int] | None = None
    random: Spread | None = None
    random_10k: float | None = None
    random_2k: float | None = None
    plotted: float | None = None

    @property
    def name(self) -> str:
        return f"{self.network.name}, {self.layout.name}, {self.bits} bits"


CASES = (
    Case(
        network=FBNET_C, layout=FOUR, bits=16, exact=52.86, exact_dsp_bram=(174, 116),
        random=Spread(31.0, 23.0, 35.8), random_10k=19.8, random_2k=14.7, plotted=28.89,
    ),
    Case(
        network=FBNET_C, layout=FOUR, bits=8, exact=105.72, exact_dsp_bram=(175, 175),
        random=Spread(43.8, 38.5, 49.8), random_10k=27.3, random_2k=19.9, plotted=38.6,
    ),
    Case(
        network=FBNET_C, layout=TEN, bits=16, exact=111.23, exact_dsp_bram=(326, 451),
        random=Spread(31.8, 29.7, 33.3), random_10k=23.4, random_2k=19.4, plotted=28.89,
    ),
    Case(
        network=FBNET_C, layout=TEN, bits=8, exact=202.30, exact_dsp_bram=(299, 572),
        random=Spread(34.2, 33.5, 34.6), random_10k=29.5, random_2k=22.6, plotted=38.6,
    ),
    Case(network=EFFICIENTNET_B0, layout=FOUR_WIDE, bits=16, exact=33.27, plotted=21.87),
    Case(network=EFFICIENTNET_B0, layout=FOUR_WIDE, bits=8, exact=66.55, plotted=36.34),
    Case(network=PROXYLESS_MOBILE, layout=FOUR_WIDE, bits=16, exact=66.56, plotted=24.61),
    Case(network=PROXYLESS_MOBILE, layout=FOUR_WIDE, bits=8, exact=133.12, plotted=48.02),
    Case(network=EDD_NET_3, layout=FOUR_WIDE, bits=16, plotted=40.2),
    Case(network=EDD_NET_3, layout=FOUR_WIDE, bits=8, plotted=40.2),
    Case(network=EDD_NET_3, layout=EIGHT, bits=16, plotted=40.2),
    Case(network=EDD_NET_3, layout=EIGHT, bits=8, plotted=40.2),
    Case(network=SEARCHED_166, layout=FOUR, bits=16, exact=99.3),
    Case(network=SEARCHED_166, layout=TEN, bits=16, exact=115.2),
    Case(network=SEARCHED_208, layout=FOUR, bits=16, exact=80.7),
    Case(network=SEARCHED_208, layout=TEN, bits=16, exact=150.5),
)  # fmt: skip

# DNA's own points in the same figure: bits, FPS, top-1 %. Which block lists they are is not public.
DNA_POINTS = ((16, 35.0, 76.2), (16, 42.79, 75.6), (8, 78.10, 75.1))


def agrees(found: float, known: float) -> bool:
    """Tell whether a figure rounds to a known one, to the digits in which that is written."""
    digits = len(f"{known}".partition(".")[2])
    return bool(abs(found - known) <= 0.5 * 10.0**-digits + 1e-9)
