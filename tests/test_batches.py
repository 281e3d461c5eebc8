"""What training does to images: nothing that takes away what they show, and the same at every resume."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from codesign.nets.batches import Images, generator, shuffled  # noqa: E402

pytestmark = pytest.mark.torch


def images(rows: int, columns: int, count: int = 24) -> Images:
    """Images without a zero, so that what was moved in shows."""
    x = np.random.default_rng(0).integers(1, 256, (count, rows, columns, 1), dtype=np.uint8)
    return Images.of(x, np.arange(count) % 3, torch.device("cpu"))


def batches(found: Images, *, flip: bool = False, shift: int = 1, least: int = 100) -> list[Images]:
    return list(shuffled(found, 8, generator(1, 2, 3), flip=flip, least=least, shift=shift))


@pytest.mark.parametrize(("rows", "columns"), [(64, 1), (1, 64), (7, 7), (1, 1)])
def test_maps_too_small_for_it_are_not_shifted(rows: int, columns: int) -> None:
    """Along an axis of fewer than eight pixels nothing moves: no image loses a whole row or column."""
    held = images(rows, columns)
    for batch in batches(held, shift=5):
        moved = (batch.x == 0).float().mean(dim=(1, 2, 3))
        assert float(moved.max()) <= 1 / 8
        if max(rows, columns) < 8:
            assert int((batch.x == 0).sum()) == 0


def test_both_axes_are_shifted_by_at_most_an_eighth() -> None:
    zero_rows, zero_columns = set(), set()
    for batch in batches(images(8, 40), shift=64, least=400):
        empty = batch.x[:, 0] == 0
        zero_rows |= set(empty.all(dim=2).sum(dim=1).tolist())
        zero_columns |= set(empty.all(dim=1).sum(dim=1).tolist())
    assert (max(zero_rows), max(zero_columns)) == (1, 5)


@pytest.mark.parametrize("extent", [8, 28, 32])
def test_images_of_usual_size_are_shifted_as_they_always_were(extent: int) -> None:
    """By one offset for rows and one for columns of each image, drawn together after its flip."""
    held = images(extent, extent)
    rng = generator(1, 2, 3)
    order = torch.cat([torch.randperm(len(held), generator=rng) for _ in range(5)])
    for i, batch in enumerate(batches(held, flip=True)):
        x = held.x[order[8 * i : 8 * i + 8]]
        mirrored = torch.rand(8, generator=rng) < 0.5
        offsets = torch.randint(0, 3, (2, 8), generator=rng)
        for found, image, turned, (down, right) in zip(batch.x, x, mirrored, offsets.T.tolist(), strict=True):
            padded = torch.nn.functional.pad(image.flip(2) if turned else image, (1, 1, 1, 1))
            assert torch.equal(found, padded[:, down : down + extent, right : right + extent])


def test_a_signal_in_a_row_is_not_mirrored() -> None:
    held = images(1, 64)
    given = {bytes(x.numpy().tobytes()) for x in held.x}
    for batch in batches(held, flip=True, shift=0):
        assert {bytes(x.numpy().tobytes()) for x in batch.x} <= given
