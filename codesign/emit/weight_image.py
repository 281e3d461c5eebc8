"""The image of weights and channel constants that a machine reads from DRAM at start. See machine/loading.py."""

import zlib

import numpy as np
import numpy.typing as npt

from codesign.emit.identity import design_hash
from codesign.emit.rtl_words import Words, channel_words, weight_words
from codesign.ir.design import Design
from codesign.ir.graph import Graph
from codesign.machine.elaborate import elaborate
from codesign.machine.loading import LOAD_BITS, parts_of
from codesign.ops.conv import Conv

Image = npt.NDArray[np.uint32]


def weight_image(graph: Graph, design: Design) -> Image:
    """Return the words of the image, of a design whose weights are loaded."""
    machine = elaborate(graph, design)
    assert machine.loader is not None
    number = design_hash(graph, design)
    words = [number & 0xFFFFFFFF, number >> 32]
    for unit in machine.units:
        if isinstance(unit.node, Conv):
            words += _parts(weight_words(unit.node, unit.engine, graph.params))
            words += _parts(channel_words(unit.node, unit.engine, graph.params, design.weights))
    words.append(zlib.crc32(np.array(words, "<u4").tobytes()))
    image = np.zeros(machine.loader.image_bytes * 8 // LOAD_BITS, np.uint32)
    image[: len(words)] = words
    return image


def _parts(memory: Words) -> list[int]:
    """Return the words of the load bus that fill a memory: of each of its words the lowest bits first."""
    parts, mask = parts_of(memory.bits), (1 << LOAD_BITS) - 1
    assert isinstance(parts, int)
    return [word >> LOAD_BITS * part & mask for word in memory.values for part in range(parts)]


def image_lines(image: Image) -> str:
    """Return the image as text: a word a line, in hexadecimal."""
    return "".join(f"{word:08x}\n" for word in image.tolist())
