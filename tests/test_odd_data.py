"""Data that users bring by mistake, or that is hostile: one sentence, or a data set that is sound."""

import io
import os
import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from codesign.datasets.arrays import load
from codesign.datasets.files import load_npy
from codesign.datasets.images import parse_netpbm, parse_png
from codesign.datasets.load import DataConfig, DataKind, load_dataset
from codesign.errors import ConfigError
from codesign.ir.dataset import Dataset
from test_datasets import write_arrays, write_image_folder

RNG = np.random.default_rng(2)
PIXELS = RNG.integers(0, 256, (12, 4, 4, 1), dtype=np.uint8)
TEST = RNG.integers(0, 256, (6, 4, 4, 1), dtype=np.uint8)


def loaded(folder: Path, **arrays: object) -> Dataset:
    """A data set of these arrays in place of usual ones; no warning may come."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return load_dataset(write_arrays(folder / "d.npz", **{"x_train": PIXELS, "x_test": TEST, **arrays}))


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (PIXELS, TEST / 255),
        (PIXELS / 255, TEST),
        (PIXELS.astype(float), TEST / 255),
        (PIXELS / 255, TEST.astype(float)),
        (PIXELS / 127.5 - 1, TEST.astype(float)),
        (PIXELS / 255, (TEST / 255 - 0.5) / 0.25),
        (PIXELS.astype(np.uint16) * 257, TEST),
        (PIXELS, TEST.astype(np.uint16) * 257),
        (PIXELS, TEST // 255),
        (PIXELS // 128, TEST),
    ],
)
def test_parts_in_different_units_are_refused_with_both_ranges(
    tmp_path: Path, train: np.ndarray, test: np.ndarray
) -> None:
    told = rf"x_train is {train.dtype}, {train.min():g} to {train.max():g}, x_test is {test.dtype}, "
    with pytest.raises(ConfigError, match=rf"d\.npz: x_train and x_test are .*{told}.*; bring both as"):
        loaded(tmp_path, x_train=train, x_test=test)


def test_units_are_told_by_many_values_not_by_one(tmp_path: Path) -> None:
    """Maps that are mostly zero are recognised, and one odd value does not make another unit."""
    sparse = np.where(RNG.random(PIXELS.shape) < 0.8, 0, PIXELS)
    with pytest.raises(ConfigError, match="different units"):
        loaded(tmp_path, x_train=sparse / 255, x_test=np.where(RNG.random(TEST.shape) < 0.8, 0, TEST).astype(float))
    train = RNG.normal(size=(4000, 4, 4, 1))
    train[0, 0, 0, 0] = 40.0
    test = RNG.normal(size=(100, 4, 4, 1))
    found = loaded(tmp_path, x_train=train, x_test=test, y_train=np.arange(4000) % 3, y_test=np.arange(100) % 3)
    assert found.encoding.offset == train.min()


def test_what_lies_beyond_the_training_part_is_clipped_and_counted(tmp_path: Path) -> None:
    test = TEST / 255
    test[0, 0, 0, 0], test[1, 0, 0, 0], test[2, 0, 0, 0] = 1.2, -0.1, 2.0
    train = np.linspace(0, 1, PIXELS.size).reshape(PIXELS.shape)
    found = loaded(tmp_path, x_train=train, x_test=test)
    assert found.test_x[:3, 0, 0, 0].tolist() == [255, 0, 255]
    assert found.notes == (
        "x_test: 3 of its 96 numbers lie beyond those that x_train can stand for, 0 to 1, and were clipped to these",
    )
    inside = loaded(tmp_path, x_train=train, x_test=TEST / 255)
    assert inside.notes == ()
    whole = loaded(tmp_path, x_test=np.where(TEST.max() == TEST, 300, TEST.astype(int)))
    assert whole.encoding.is_identity
    assert "lie beyond" in whole.notes[0]


def test_labels_without_samples_deserve_a_sentence(tmp_path: Path) -> None:
    assert loaded(tmp_path).notes == ()
    from_one = loaded(tmp_path, y_train=np.arange(12) % 3 + 1, y_test=np.arange(6) % 3 + 1)
    assert len(from_one.classes) == 4
    assert "labels start at 1" in from_one.notes[0]
    gap = loaded(tmp_path, y_train=np.arange(12) % 2 * 2)
    assert "no training sample has the label 1 (1)" in gap.notes[0]


def test_a_part_that_teaches_nothing_is_refused(tmp_path: Path) -> None:
    for changes in ({"x_train": np.full_like(PIXELS, 7)}, {"y_train": np.ones(12, int)}):
        name = next(iter(changes))
        with pytest.raises(ConfigError, match=rf"{name}: every number is \d; nothing can be learned"):
            loaded(tmp_path, **changes)


def test_empty_labels_are_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="y_train: expected a label for each image, found none"):
        loaded(tmp_path, x_train=PIXELS[:0], y_train=np.zeros(0, int))


def test_the_classes_are_as_many_as_the_samples_support(tmp_path: Path) -> None:
    wild = np.arange(12) % 3
    wild[5] = 1_000_000
    with pytest.raises(ConfigError, match="y_train: holds the label 1,000,000, but only 4 different labels occur"):
        loaded(tmp_path, y_train=wild)
    with pytest.raises(ConfigError, match=r"y_train: expected labels below 2\*\*31"):
        loaded(tmp_path, y_train=np.where(wild == 1_000_000, 2**64 - 1, wild).astype(np.uint64))
    few = np.where(wild == 1_000_000, 99, wild)
    assert len(loaded(tmp_path, y_train=few, classes=np.array([f"c{i}" for i in range(100)])).classes) == 100


@pytest.mark.parametrize(
    ("train", "match"),
    [
        (np.where(PIXELS > 99, np.inf, 1.0), "holds a value that is not finite"),
        ((PIXELS - 127.5) * 1e306, "too far apart for float64"),
        (PIXELS * 5e-324, "too close together for float64"),
        (PIXELS.astype(np.int64) + (2**63 - 10_000), "too close together for float64"),
        (PIXELS > 5, "expected integers or floating-point numbers, got bool"),
        (PIXELS + 1j, "expected integers or floating-point numbers, got complex"),
        (PIXELS.astype("m8[s]"), "expected integers or floating-point numbers, got timedelta"),
    ],
)
def test_numbers_that_cannot_be_mapped_are_refused_without_a_warning(
    tmp_path: Path, train: np.ndarray, match: str
) -> None:
    with pytest.raises(ConfigError, match=rf"d\.npz: x_train: .*{match}"), np.errstate(over="ignore"):
        loaded(tmp_path, x_train=train, x_test=train[:6])


@pytest.mark.parametrize("dtype", ["float16", "float32", ">f8", "longdouble", "int64", "uint64", ">i2"])
def test_every_kind_of_number_is_mapped_alike(tmp_path: Path, dtype: str) -> None:
    train, test = (2 * a.astype(np.int64) for a in (PIXELS, TEST))
    expected = loaded(tmp_path, x_train=train, x_test=test)
    found = loaded(tmp_path, x_train=train.astype(dtype), x_test=test.astype(dtype))
    assert np.array_equal(found.train_x, expected.train_x)
    assert np.array_equal(found.test_x, expected.test_x)
    assert found.encoding == expected.encoding


def lying(count: int) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (count, 8, 8, 1)})
    return header.getvalue() + bytes(640)


def test_a_header_that_promises_too_much_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    write_arrays(tmp_path / "d.npz")
    with zipfile.ZipFile(tmp_path / "d.npz") as whole, zipfile.ZipFile(tmp_path / "l.npz", "w") as packed:
        for name in whole.namelist():
            packed.writestr(name, lying(10**12) if name == "x_train.npy" else whole.read(name))
    with pytest.raises(ConfigError, match=r"l\.npz: .*x_train\.npy: its header promises .* 64,000,000,000,000 bytes"):
        load(tmp_path / "l.npz")
    (tmp_path / "l.npy").write_bytes(lying(10**12))
    with pytest.raises(ConfigError, match=r"l\.npy: not an \.npy file .*its header promises"):
        load_npy(tmp_path / "l.npy")
    (tmp_path / "l.npy").write_bytes(lying(10))
    assert load_npy(tmp_path / "l.npy").shape == (10, 8, 8, 1)


def test_members_whose_size_in_the_directory_cannot_be_are_refused(tmp_path: Path) -> None:
    write_arrays(tmp_path / "d.npz")
    raw = bytearray((tmp_path / "d.npz").read_bytes())
    at = raw.rfind(b"PK\x01\x02", 0, raw.rfind(b"x_train.npy"))
    raw[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFF0)  # the unpacked size
    (tmp_path / "d.npz").write_bytes(raw)
    with pytest.raises(ConfigError, match=r"x_train\.npy: 4,294,967,280 bytes cannot come of [\d,]+ packed ones"):
        load(tmp_path / "d.npz")


def png(rows: int, columns: int, packed: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_images_whose_size_and_content_disagree_are_refused_before_memory_is_taken() -> None:
    with pytest.raises(ConfigError, match="packed bytes cannot hold"):
        parse_png(png(2**31 - 1, 2**31 - 1, zlib.compress(bytes(72))), "a.png")
    bomb = zlib.compress(bytes(1 << 24))
    with pytest.raises(ConfigError, match="has 73 bytes of pixels, expected 72"):
        parse_png(png(8, 8, bomb), "a.png")
    with pytest.raises(ConfigError, match="its pixels end too early"):
        parse_png(png(8, 8, zlib.compress(bytes(72))[:-3]), "a.png")
    assert parse_png(png(8, 8, zlib.compress(bytes(72))), "a.png").shape == (8, 8, 1)
    with pytest.raises(ConfigError, match="expected a binary PGM"):
        parse_netpbm(b"P5 " + b"9" * 5000 + b" 1 255\n", "a.pgm")


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (["a", "b", "\ud800"], r"printable characters, found '\\ud800'"),
        (["a", "b", "c\n"], r"printable characters, found 'c\\n'"),
        (["a", "b", " "], "printable characters, found ' '"),
        (["a", "b", "x" * 201], "1 to 200 printable characters, found 'xxx.*and 161 more"),
        (["a", "b", "a"], "different names, found 'a' twice"),
    ],
)
def test_class_names_that_cannot_be_written_are_refused(tmp_path: Path, names: list[str], match: str) -> None:
    with pytest.raises(ConfigError, match=rf"d\.npz: classes: expected .*{match}"):
        loaded(tmp_path, classes=np.array(names))


def test_a_class_folder_whose_name_is_not_utf8_is_refused(tmp_path: Path) -> None:
    config = write_image_folder(tmp_path)
    assert load_dataset(config).classes == ("cat", "dog")
    os.mkdir(os.fsencode(tmp_path / "train") + b"/\xff\xfe")
    with pytest.raises(ConfigError, match=r"train/.udcff.udcfe': a class's folder needs a name in printable UTF-8"):
        load_dataset(config)


def test_a_folder_named_by_a_dot_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image_folder(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert load_dataset(DataConfig(kind=DataKind.FOLDER, path=".")).name == tmp_path.name


DTYPES = st.sampled_from(["u1", "i1", "u2", "i4", "i8", "u8", "f2", "f4", "f8", "longdouble", "?", "c8", "U2", "m8[s]"])


@st.composite
def any_array(draw: st.DrawFn, images: bool) -> np.ndarray:
    shape = draw(st.sampled_from([(4, 2, 2, 1), (4, 3, 1, 2), (2, 2, 2, 1), (4, 2, 2), (0, 2, 2, 1)] if images else
                                 [(4,), (2,), (4, 1), (0,), ()]))  # fmt: skip
    dtype = np.dtype(draw(DTYPES))
    if dtype == np.dtype("longdouble"):
        small = draw(hnp.arrays(np.float64, shape))
        with np.errstate(over="ignore"):
            return small.astype(np.longdouble) * draw(st.sampled_from([1, np.finfo(np.longdouble).max / 4]))
    return draw(hnp.arrays(dtype, shape))


@settings(max_examples=60)
@given(
    x=st.tuples(any_array(True), any_array(True)),
    y=st.tuples(any_array(False), any_array(False)),
    good=st.booleans(),
)
def test_any_arrays_are_refused_or_give_a_sound_data_set(
    tmp_path_factory: pytest.TempPathFactory,
    x: tuple[np.ndarray, np.ndarray],
    y: tuple[np.ndarray, np.ndarray],
    good: bool,
) -> None:
    """With good labels, so that more than a few get as far as their images."""
    labels = tuple(np.arange(len(a)) % 2 for a in x) if good else y
    path = tmp_path_factory.mktemp("any") / "a.npz"
    np.savez(path, x_train=x[0], y_train=labels[0], x_test=x[1], y_test=labels[1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = load_dataset(DataConfig(kind=DataKind.ARRAYS, path=str(path)))
        except ConfigError:
            return
    assert found.train_x.dtype == found.test_x.dtype == np.uint8
    assert found.train_x.min() < found.train_x.max()
    if not found.encoding.is_identity:
        assert (found.train_x.min(), found.train_x.max()) == (0, 255)
    assert 2 <= len(found.classes) <= 24
