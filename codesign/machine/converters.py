"""The width converter: how words of one width become words of another, and which input words an output word needs."""

from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from math import gcd

from codesign.ops.arrays import Int, ceil_div, ceil_log2


class Conversion(Enum):
    """How words of one width become words of another.

    SPLITTING: words are cut out of wider ones, which a widener makes where they come narrower.
    PACKING: words are joined to wider ones, which a narrower splits where they leave narrower.
    """

    WIRE = "wire"
    WIDENING = "widening"
    NARROWING = "narrowing"
    SPLITTING = "splitting"
    PACKING = "packing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Converter:
    """Words of lanes_in elements to words of lanes_out; packets are padded to whole words. width_converter.sv.

    One packet is a whole number of the other: both are a pixel's channels, or a whole map.
    """

    lanes_in: Int
    lanes_out: Int
    packet_in: int
    packet_out: int
    bits: int

    @property
    def conversion(self) -> Conversion:
        """Which kind a single instance is, given where either side pads."""
        into, out = self._lanes
        if into == out and self._pads_alike(into):
            return Conversion.WIRE
        if out % into == 0 and self._pads_alike(into):
            return Conversion.WIDENING
        if into % out == 0 and self._pads_alike(out):
            return Conversion.NARROWING
        into, out = self.real_lanes
        if self.packet_in % self.packet_out == 0 and (self.packet_in != self.packet_out or into >= out):
            return Conversion.SPLITTING
        return Conversion.PACKING

    @property
    def _lanes(self) -> tuple[int, int]:
        assert isinstance(self.lanes_in, int)
        assert isinstance(self.lanes_out, int)
        return self.lanes_in, self.lanes_out

    def _pads_alike(self, lanes: int) -> bool:
        return self.packet_in == self.packet_out or (self.packet_in % lanes == 0 and self.packet_out % lanes == 0)

    @property
    def real_lanes(self) -> tuple[int, int]:
        """Lanes of both sides without those that are padding in every word, of a single instance."""
        into, out = self._lanes
        return min(into, self.packet_in), min(out, self.packet_out)

    @property
    def wide_lanes(self) -> int:
        """Lanes of the wider side of a width_splitter or width_packer: at least the other's, or more."""
        into, out = self.real_lanes
        return ceil_div(out, into) * into if self.conversion is Conversion.SPLITTING else (into // out + 1) * out

    @property
    def moves(self) -> list[int]:
        """Words of the wider side that each word of the other takes or completes, in one turn through the packets.

        A turn is the longer packet. Splitting: 0 or 1. Packing: up to 2, the second a cycle later.
        """
        (into, out), splits = self.real_lanes, self.conversion is Conversion.SPLITTING
        lanes, packet = (out, self.packet_out) if splits else (into, self.packet_in)
        whole, words = max(self.packet_in, self.packet_out), ceil_div(packet, lanes)
        ends = [p + min((i + 1) * lanes, packet) for p in range(0, whole, packet) for i in range(words)]
        wide = self.wide_lanes
        passed = [0, *(ceil_div(end, wide) if splits or end == whole else end // wide for end in ends)]
        return [after - before for before, after in pairwise(passed)]

    @property
    def delay(self) -> int:
        """Cycles from a step of a width_splitter or width_packer to the offer of its word: its stages and its queue."""
        (into, out), splits = self.real_lanes, self.conversion is Conversion.SPLITTING
        wide, narrow = self.wide_lanes, out if splits else into
        units = wide // gcd(wide, narrow, self.packet_in, self.packet_out)
        return ceil_div(max(1, ceil_log2(units)), 2) + (1 if splits else 2)
