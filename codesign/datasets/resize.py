"""Samples of fewer pixels, for networks that work at a lower resolution."""

from dataclasses import replace

import numpy as np

from codesign.ir.dataset import Dataset, Pixels
from codesign.ops.shapes import Shape

_CHUNK = 1000  # images at a time: sums take eight bytes where pixels take one


def reduced(dataset: Dataset, shape: Shape) -> Dataset:
    """Return the data set with samples of that many rows and columns; the same data set if it has as many.

    Neither extent may be more than the samples have.
    """
    if (dataset.shape.y, dataset.shape.x) == (shape.y, shape.x):
        return dataset
    return replace(
        dataset,
        train_x=reduced_images(dataset.train_x, shape.y, shape.x),
        test_x=reduced_images(dataset.test_x, shape.y, shape.x),
    )


def reduced_images(x: Pixels, rows: int, columns: int) -> Pixels:
    """Reduce x[N,Y,X,C] to [N,rows,columns,C]: each pixel is the mean of all that it touches, rounded, halves up.

    Pixel i of m covers the pixels floor(i * n / m) to ceil((i + 1) * n / m) - 1 of n. Adaptive average pooling does the
    same.
    """
    bands, strips = _touched(x.shape[1], rows), _touched(x.shape[2], columns)
    area = np.array([[len(band) * len(strip) for strip in strips] for band in bands], dtype=np.int64)[:, :, None]
    found = np.empty((len(x), rows, columns, x.shape[3]), dtype=np.uint8)
    for start in range(0, len(x), _CHUNK):
        part = x[start : start + _CHUNK].astype(np.int64)
        part = np.stack([part[:, band.start : band.stop].sum(axis=1) for band in bands], axis=1)
        part = np.stack([part[:, :, strip.start : strip.stop].sum(axis=2) for strip in strips], axis=2)
        found[start : start + _CHUNK] = (2 * part + area) // (2 * area)
    return found


def _touched(pixels: int, count: int) -> list[range]:
    """Return which of so many pixels in a row each of `count` larger ones touches."""
    return [range(i * pixels // count, -(-(i + 1) * pixels // count)) for i in range(count)]
