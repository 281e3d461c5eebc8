"""Weights loaded at start: the modules that bring an image from DRAM into the engines' memories.

The image, in words of 32 bits: two of the design's hash, those of the memories, one CRC-32 of all before, and zeros up
to a whole burst. A word of a memory begins in a word of its own. weight_loader.sv says the same.
"""

from dataclasses import dataclass

from codesign.ops.arrays import Int, ceil_div

LOAD_BITS = 32  # of a word of the load bus
BEAT_BITS = 64  # of the port to DRAM
BURST_BEATS = 16  # AXI3's most
HELD_BURSTS = 4  # bursts that axi_read has a place for
ADDRESS_BITS = 40
HEAD_WORDS, TAIL_WORDS = 2, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadStage:
    """Takes the `words` of one memory from the load bus, and passes the others on. load_stage.sv."""

    words: Int


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """Reads the image and sends the `words` of all memories through the stages. weight_loader.sv and axi_read.sv."""

    words: int
    stages: int

    @property
    def bursts(self) -> int:
        """Bursts of the image."""
        return ceil_div(HEAD_WORDS + self.words + TAIL_WORDS, BURST_BEATS * BEAT_BITS // LOAD_BITS)

    @property
    def image_bytes(self) -> int:
        """Bytes of the image, whole bursts."""
        return self.bursts * BURST_BEATS * BEAT_BITS // 8


def parts_of(word_bits: Int) -> Int:
    """Return the words of the load bus that make one word of a memory."""
    return ceil_div(word_bits, LOAD_BITS)


def load_words(word_bits: Int, depth: Int) -> Int:
    """Return the words of the load bus that fill a memory."""
    return depth * parts_of(word_bits)
