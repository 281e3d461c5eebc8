"""Decoders of two plain image formats, 8 bits a channel: PNG (not interlaced) and binary PGM or PPM."""

import re
import struct
import zlib

import numpy as np

from codesign.datasets.files import MOST_UNPACKED
from codesign.errors import ConfigError
from codesign.ir.dataset import Pixels

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type; 3 is an index into a palette
_NETPBM = re.compile(rb"P([56])" + 3 * rb"\s+(?:#[^\n]*\n\s*)*(\d{1,9})" + rb"\s")


def parse_netpbm(data: bytes, source: str) -> Pixels:
    """Parse binary PGM to uint8 [Y,X,1], binary PPM to uint8 [Y,X,3]. Raise ConfigError naming the source."""
    header = _NETPBM.match(data)
    if header is None:
        raise ConfigError(f"{source}: expected a binary PGM (P5) or PPM (P6) header, found {data[:16]!r}")
    channels = 1 if header[1] == b"5" else 3
    columns, rows, largest = int(header[2]), int(header[3]), int(header[4])
    if largest != 255:
        raise ConfigError(f"{source}: expected 8 bits a channel (largest value 255), found {largest}")
    body = data[header.end() :]
    if len(body) != rows * columns * channels or not body:
        raise ConfigError(f"{source}: {rows * columns * channels} bytes of pixels are needed, found {len(body)}")
    return np.frombuffer(body, np.uint8).reshape(rows, columns, channels)


def parse_png(data: bytes, source: str) -> Pixels:
    """Parse PNG to uint8 [Y,X,C], C = 1 (grey) or 3 (colour), alpha dropped. Raise ConfigError naming the source."""
    chunks = _png_chunks(data, source)
    head = dict(chunks).get(b"IHDR", b"")
    if len(head) != 13:
        raise ConfigError(f"{source}: not a PNG image: its header chunk is missing or has a wrong length")
    columns, rows, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", head)
    if depth != 8 or colour not in _PNG_CHANNELS or interlace or not rows or not columns:
        raise ConfigError(
            f"{source}: expected a PNG of 8 bits a channel, not interlaced; found depth {depth}, colour type {colour}, "
            f"interlace {interlace}, {rows}x{columns}; save it again that way"
        )
    expected = rows * (columns * _PNG_CHANNELS[colour] + 1)
    pixels = _unfilter(_inflate(chunks, expected, source), rows, columns, _PNG_CHANNELS[colour], source)
    if colour == 3:
        return _look_up(pixels, dict(chunks).get(b"PLTE", b""), source)
    return pixels[:, :, : {0: 1, 2: 3, 4: 1, 6: 3}[colour]]


def _png_chunks(data: bytes, source: str) -> list[tuple[bytes, bytes]]:
    if not data.startswith(_PNG_SIGNATURE):
        raise ConfigError(f"{source}: not a PNG image: it starts with {data[:8]!r}")
    chunks, at = [], len(_PNG_SIGNATURE)
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8]) if at + 8 <= len(data) else (len(data), b"")
        body, check = data[at + 8 : at + 8 + length], data[at + 8 + length : at + 12 + length]
        if len(check) != 4:
            raise ConfigError(f"{source}: the PNG image is truncated")
        if zlib.crc32(kind + body) != struct.unpack(">I", check)[0]:
            raise ConfigError(f"{source}: the PNG image is corrupted: wrong check sum of {kind.decode('latin-1')!r}")
        chunks.append((kind, body))
        at += 12 + length
    return chunks


def _inflate(chunks: list[tuple[bytes, bytes]], expected: int, source: str) -> bytes:
    """Return the pixels with the filters of their rows; no memory is taken for more than the header says."""
    packed = b"".join(body for kind, body in chunks if kind == b"IDAT")
    if expected > MOST_UNPACKED * len(packed) + 1024:
        raise ConfigError(f"{source}: {len(packed)} packed bytes cannot hold the {expected} bytes of its header's size")
    try:
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(packed, expected + 1)
        if not unpacker.eof and len(raw) <= expected:
            raise zlib.error("its pixels end too early")
        return raw
    except zlib.error as error:
        raise ConfigError(f"{source}: the PNG image is corrupted: {error}") from error


def _unfilter(raw: bytes, rows: int, columns: int, channels: int, source: str) -> Pixels:
    """Undo the filter that each row names in its first byte (PNG specification, chapter 9)."""
    stride = columns * channels
    if len(raw) != rows * (stride + 1):
        raise ConfigError(f"{source}: the PNG image has {len(raw)} bytes of pixels, expected {rows * (stride + 1)}")
    lines = np.frombuffer(raw, np.uint8).reshape(rows, stride + 1)
    result = np.zeros((rows, stride), np.uint8)
    above = np.zeros(stride, np.uint8)
    for row, line in enumerate(lines):
        kind, values = int(line[0]), line[1:]
        if kind > 4:
            raise ConfigError(f"{source}: the PNG image is corrupted: row {row} names filter {kind}")
        if kind == 0:
            above = values
        elif kind == 2:
            above = values + above
        else:
            above = _unfilter_row(kind, values.tolist(), above.tolist(), channels)
        result[row] = above
    return result.reshape(rows, columns, channels)


def _unfilter_row(kind: int, values: list[int], above: list[int], channels: int) -> Pixels:
    """Undo filters 1 (left), 3 (mean) and 4 (Paeth), where a byte needs the one to its left first."""
    out = [0] * len(values)
    for i, value in enumerate(values):
        left = out[i - channels] if i >= channels else 0
        corner = above[i - channels] if i >= channels else 0
        guess = left if kind == 1 else (left + above[i]) // 2 if kind == 3 else _paeth(left, above[i], corner)
        out[i] = (value + guess) & 0xFF
    return np.array(out, np.uint8)


def _paeth(left: int, above: int, corner: int) -> int:
    estimate = left + above - corner
    distances = abs(estimate - left), abs(estimate - above), abs(estimate - corner)
    nearest = min(distances)
    return left if nearest == distances[0] else above if nearest == distances[1] else corner


def _look_up(pixels: Pixels, palette: bytes, source: str) -> Pixels:
    colours = (
        np.frombuffer(palette, np.uint8).reshape(-1, 3)
        if palette and len(palette) % 3 == 0
        else np.zeros((0, 3), np.uint8)
    )
    if int(pixels.max()) >= len(colours):
        raise ConfigError(f"{source}: the PNG image is corrupted: colour {pixels.max()} of a palette of {len(colours)}")
    return colours[pixels[:, :, 0]]
