"""Data sets: what is read is what was written, and a wrong file is refused by name."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from codesign.datasets import fashion_mnist
from codesign.datasets.images import parse_netpbm, parse_png
from codesign.datasets.load import DataConfig, DataKind, load_dataset
from codesign.datasets.resize import reduced, reduced_images
from codesign.errors import ConfigError
from codesign.ops.shapes import Shape

RNG = np.random.default_rng(1)
IDX = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def write_idx(folder: Path, train: int = 20, test: int = 10) -> dict[str, np.ndarray]:
    folder.mkdir(exist_ok=True)
    held = {}
    for part, count in (("train", train), ("t10k", test)):
        x = RNG.integers(0, 256, (count, 5, 4), dtype=np.uint8)
        y = (np.arange(count) % 10).astype(np.uint8)
        images = struct.pack(">IIII", 0x803, *x.shape) + x.tobytes()
        labels = struct.pack(">II", 0x801, count) + y.tobytes()
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
        held[part] = x
    return held


def write_arrays(path: Path, **changes: object) -> DataConfig:
    arrays: dict[str, object] = {
        "x_train": RNG.integers(0, 256, (12, 9, 31, 4), dtype=np.uint8),
        "y_train": np.arange(12) % 3,
        "x_test": RNG.integers(0, 256, (6, 9, 31, 4), dtype=np.uint8),
        "y_test": np.arange(6) % 3,
    }
    arrays |= changes
    np.savez_compressed(path, **{k: v for k, v in arrays.items() if v is not None})
    return DataConfig(kind=DataKind.ARRAYS, path=str(path))


def write_cifar(folder: Path, *, fine: bool) -> np.ndarray:
    folder.mkdir(exist_ok=True)
    planes = RNG.integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)
    names = ("train.bin", "test.bin") if fine else (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
    for at, name in enumerate(names):
        label = bytes([1, 57]) if fine else bytes([at])
        (folder / name).write_bytes(label + planes[at].tobytes())
    return planes


def write_png(path: Path, pixels: np.ndarray, colour: int, palette: bytes = b"") -> None:
    """Each row uses another of the five filters."""
    rows, columns, channels = pixels.shape
    raw = bytearray()
    flat = pixels.reshape(rows, -1).astype(int)
    for row in range(rows):
        above = flat[row - 1] if row else np.zeros(columns * channels, int)
        left = np.concatenate([np.zeros(channels, int), flat[row][:-channels]])
        corner = np.concatenate([np.zeros(channels, int), above[:-channels]])
        estimate = left + above - corner
        near = np.stack([abs(estimate - left), abs(estimate - above), abs(estimate - corner)]).argmin(0)
        paeth = np.choose(near, [left, above, corner])
        guess = (np.zeros_like(left), left, above, (left + above) // 2, paeth)[row % 5]
        raw += bytes([row % 5]) + ((flat[row] - guess) % 256).astype(np.uint8).tobytes()

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", columns, rows, 8, colour, 0, 0, 0)
    plte = chunk(b"PLTE", palette) if palette else b""
    body = chunk(b"IDAT", zlib.compress(bytes(raw)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + plte + body + chunk(b"IEND", b""))


def write_image_folder(folder: Path) -> DataConfig:
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (folder / part / name).mkdir(parents=True, exist_ok=True)
            for i in range(3):
                write_png(folder / part / name / f"{i}.png", RNG.integers(0, 256, (7, 6, 3), dtype=np.uint8), 2)
    return DataConfig(kind=DataKind.FOLDER, path=str(folder))


def test_builtin_subset_is_balanced_and_has_the_promised_size() -> None:
    data = load_dataset(DataConfig(kind=DataKind.FASHION_MNIST_SUBSET))
    assert (len(data.train_x), len(data.test_x), str(data.shape)) == (5000, 1000, "28x28x1")
    assert np.bincount(data.train_y).tolist() == [500] * 10
    assert np.bincount(data.test_y).tolist() == [100] * 10
    assert fashion_mnist.SUBSET.stat().st_size < 2_700_000
    assert "MIT License" in fashion_mnist.SUBSET.with_suffix(".txt").read_text()


def test_without_the_full_set_the_subset_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "absent")
    assert load_dataset(DataConfig()).name == "fashion-mnist-subset"


def test_idx_files_are_read_packed_or_plain(tmp_path: Path) -> None:
    held = write_idx(tmp_path)
    plain = tmp_path / IDX[0].removesuffix(".gz")
    plain.write_bytes(gzip.decompress((tmp_path / IDX[0]).read_bytes()))
    (tmp_path / IDX[0]).unlink()
    data = load_dataset(DataConfig(path=str(tmp_path)))
    assert np.array_equal(data.train_x[..., 0], held["train"])
    assert data.test_y.tolist() == list(range(10))
    with pytest.raises(ValueError, match="read-only"):
        data.train_x[0] = 0


def test_wrong_idx_file_is_refused_by_name(tmp_path: Path) -> None:
    def changed(name: str, change: object, match: str) -> None:
        write_idx(tmp_path)
        path = tmp_path / name
        data = gzip.decompress(path.read_bytes())
        path.write_bytes(gzip.compress(change(data)))  # type: ignore[operator]
        with pytest.raises(ConfigError, match=f"{name}.*{match}"):
            load_dataset(DataConfig(path=str(tmp_path)))

    changed(IDX[0], lambda d: d[:-1], "promises 20 images of 5x4, 416 bytes, but it has 415")
    changed(IDX[0], lambda d: d[:9], "too few for an IDX header")
    changed(IDX[2], lambda d: b"\0\0\x08\x01" + d[4:], "expected IDX magic number 0x00000803, found 0x00000801")
    changed(IDX[1], lambda d: d[:-1] + b"\x0a", "label 10 at index 19 is not one of 0 to 9")
    changed(IDX[3], lambda d: struct.pack(">II", 0x801, 9) + d[8:-1], "9 labels, but .* holds 10 images")


def test_broken_or_missing_idx_archive_is_refused_by_name(tmp_path: Path) -> None:
    write_idx(tmp_path)
    whole = (tmp_path / IDX[0]).read_bytes()
    for broken in (whole[:-9], b"not gzip at all", whole[:30] + bytes(20) + whole[50:]):
        (tmp_path / IDX[0]).write_bytes(broken)
        with pytest.raises(ConfigError, match=f"{IDX[0]}: not a whole gzip file"):
            load_dataset(DataConfig(path=str(tmp_path)))
    (tmp_path / IDX[0]).unlink()
    with pytest.raises(ConfigError, match=f"{IDX[0]}: no such file"):
        load_dataset(DataConfig(path=str(tmp_path)))
    with pytest.raises(ConfigError, match="no such folder"):
        load_dataset(DataConfig(path=str(tmp_path / "absent")))


@pytest.mark.parametrize("kind", [DataKind.CIFAR10, DataKind.CIFAR100])
def test_cifar_binary_version_is_read(tmp_path: Path, kind: DataKind) -> None:
    planes = write_cifar(tmp_path, fine=kind is DataKind.CIFAR100)
    data = load_dataset(DataConfig(kind=kind, path=str(tmp_path)))
    assert np.array_equal(data.train_x[0], planes[0].transpose(1, 2, 0))
    assert data.train_y.tolist() == ([57] if kind is DataKind.CIFAR100 else [0, 1, 2, 3, 4])
    assert len(data.classes) == (100 if kind is DataKind.CIFAR100 else 10)


def test_wrong_cifar_file_is_refused_by_name(tmp_path: Path) -> None:
    config = DataConfig(kind=DataKind.CIFAR10, path=str(tmp_path))
    write_cifar(tmp_path, fine=False)
    path = tmp_path / "data_batch_3.bin"
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    with pytest.raises(ConfigError, match=r"data_batch_3.bin: 3072 bytes are no multiple of records of 3073"):
        load_dataset(config)
    path.write_bytes(b"\x0a" + data[1:])
    with pytest.raises(ConfigError, match=r"data_batch_3.bin: label 10 of record 0 is not one of 0 to 9"):
        load_dataset(config)
    path.write_bytes(data)
    (tmp_path / "batches.meta.txt").write_text("a b c")
    with pytest.raises(ConfigError, match=r"batches.meta.txt: expected 10 class names, found 3"):
        load_dataset(config)


def test_python_version_of_cifar_is_never_opened(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(ConfigError, match="pickle, which can run code and is not read; use the binary version"):
        load_dataset(DataConfig(kind=DataKind.CIFAR10, path=str(tmp_path)))


def test_arrays_of_any_shape_are_read(tmp_path: Path) -> None:
    data = load_dataset(write_arrays(tmp_path / "odd.npz"))
    assert (str(data.shape), data.classes, data.name) == ("9x31x4", ("0", "1", "2"), "odd")
    named = load_dataset(write_arrays(tmp_path / "odd.npz", classes=np.array(["a", "b", "c", "d"])))
    assert named.classes == ("a", "b", "c", "d")


def test_other_numbers_are_mapped_linearly_by_the_training_part(tmp_path: Path) -> None:
    train = np.linspace(-1, 1, 12 * 4, dtype=np.float32).reshape(12, 2, 2, 1)
    test = np.array([-2.0, -1.0, 0.0, 3.0] * 6, dtype=np.float32).reshape(6, 2, 2, 1)
    data = load_dataset(write_arrays(tmp_path / "float.npz", x_train=train, x_test=test))
    assert (data.train_x.min(), data.train_x.max()) == (0, 255)
    assert data.test_x[0].ravel().tolist() == [0, 0, 128, 255]
    whole = load_dataset(
        write_arrays(
            tmp_path / "int.npz", x_train=np.arange(12).reshape(12, 1, 1, 1), x_test=np.arange(6).reshape(6, 1, 1, 1)
        )
    )
    assert (whole.train_x.ravel().tolist(), whole.test_x.ravel().tolist()) == (list(range(12)), list(range(6)))
    assert whole.encoding.is_identity


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"y_test": None}, "array 'y_test' is missing"),
        ({"y_train": np.arange(11) % 3}, "training labels: expected int64, one for each of 12 images"),
        ({"y_train": np.arange(12) - 1}, "y_train: expected labels from 0, found -1"),
        ({"y_train": np.arange(12) / 2}, "y_train: expected integers"),
        ({"x_test": np.zeros((6, 9, 30, 4), np.uint8)}, "expected one shape"),
        ({"x_train": np.zeros((12, 9, 31), np.uint8)}, "add a last axis"),
        ({"x_train": np.full((12, 9, 31, 4), np.nan)}, "not finite"),
        ({"x_train": np.full((12, 9, 31, 4), "a")}, "expected integers or floating-point"),
        ({"x_train": np.array([{}], dtype=object)}, "not a whole .npz file of plain arrays"),
        ({"classes": np.array([1, 2, 3])}, "classes: expected strings"),
        ({"classes": np.array(["a", "b"])}, "label 2 of image 2 is not one of 0 to 1"),
        (
            {"y_train": np.zeros(12, int), "y_test": np.zeros(6, int)},
            "y_train: every number is 0; nothing can be learned",
        ),
    ],
)
def test_wrong_arrays_are_refused_by_name(tmp_path: Path, changes: dict[str, object], match: str) -> None:
    config = write_arrays(tmp_path / "wrong.npz", **changes)
    with pytest.raises(ConfigError, match=rf"wrong\.npz.*{match}"):
        load_dataset(config)


def test_broken_arrays_file_is_refused_by_name(tmp_path: Path) -> None:
    config = write_arrays(tmp_path / "a.npz")
    path = tmp_path / "a.npz"
    whole = path.read_bytes()
    for broken in (whole[:-40], b"nothing", whole[:200] + bytes(50) + whole[250:]):
        path.write_bytes(broken)
        with pytest.raises(ConfigError, match=r"a\.npz: not a whole \.npz file"):
            load_dataset(config)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(ConfigError, match=r"not a whole \.npz file"):
        load_dataset(DataConfig(kind=DataKind.ARRAYS, path=str(tmp_path / "one.npy")))
    with pytest.raises(ConfigError, match="no such file"):
        load_dataset(DataConfig(kind=DataKind.ARRAYS, path=str(tmp_path / "absent.npz")))
    with pytest.raises(ConfigError, match=r"data\.path: missing"):
        load_dataset(DataConfig(kind=DataKind.ARRAYS))


def test_image_folder_is_read_with_its_class_names(tmp_path: Path) -> None:
    config = write_image_folder(tmp_path)
    grey = RNG.integers(0, 256, (7, 6, 3), dtype=np.uint8)
    (tmp_path / "test" / "dog" / "9.ppm").write_bytes(b"P6 # note\n6 7\n255\n" + grey.tobytes())
    data = load_dataset(config)
    assert (data.classes, str(data.shape), data.train_y.tolist()) == (("cat", "dog"), "7x6x3", [0, 0, 0, 1, 1, 1])
    assert np.array_equal(data.test_x[-1], grey)


def test_png_of_every_colour_type_and_filter_is_decoded(tmp_path: Path) -> None:
    for colour, channels, kept in ((0, 1, 1), (2, 3, 3), (4, 2, 1), (6, 4, 3)):
        pixels = RNG.integers(0, 256, (11, 6, channels), dtype=np.uint8)
        write_png(tmp_path / "a.png", pixels, colour)
        assert np.array_equal(parse_png((tmp_path / "a.png").read_bytes(), "a.png"), pixels[:, :, :kept])
    palette = RNG.integers(0, 256, (4, 3), dtype=np.uint8)
    index = RNG.integers(0, 4, (5, 3, 1), dtype=np.uint8)
    write_png(tmp_path / "a.png", index, 3, palette.tobytes())
    assert np.array_equal(parse_png((tmp_path / "a.png").read_bytes(), "a.png"), palette[index[:, :, 0]])


def test_wrong_image_is_refused_by_name(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", RNG.integers(0, 256, (7, 6, 3), dtype=np.uint8), 2)
    whole = (tmp_path / "a.png").read_bytes()
    for broken, match in (
        (whole[:-6], "truncated"),
        (whole[:60] + b"\x55" + whole[61:], "wrong check sum"),
        (b"GIF89a", "not a PNG image"),
        (
            whole[:24]
            + b"\x10"
            + whole[25:29]
            + struct.pack(">I", zlib.crc32(whole[12:24] + b"\x10" + whole[25:29]))
            + whole[33:],
            "depth 16",
        ),
    ):
        with pytest.raises(ConfigError, match=rf"x\.png: .*{match}"):
            parse_png(broken, "x.png")
    for text, match in (
        (b"P2 1 1 255 7", "P5"),
        (b"P5 2 2 255 abc", "4 bytes of pixels are needed, found 3"),
        (b"P5 1 1 7 a", "8 bits"),
    ):
        with pytest.raises(ConfigError, match=rf"x\.pgm: .*{match}"):
            parse_netpbm(text, "x.pgm")


def test_wrong_image_folder_is_refused_by_name(tmp_path: Path) -> None:
    config = write_image_folder(tmp_path)
    (tmp_path / "train" / "cat" / "0.jpg").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"0\.jpg: files of this kind are not read; expected \.png"):
        load_dataset(config)
    (tmp_path / "train" / "cat" / "0.jpg").unlink()
    write_png(tmp_path / "train" / "dog" / "9.png", np.zeros((7, 5, 3), np.uint8), 2)
    with pytest.raises(ConfigError, match=r"9\.png: its shape is \[7, 5, 3\], but earlier images have \[7, 6, 3\]"):
        load_dataset(config)
    (tmp_path / "train" / "dog" / "9.png").unlink()
    (tmp_path / "test" / "emu").mkdir()
    with pytest.raises(ConfigError, match=r"emu: no such class .* which has: cat, dog"):
        load_dataset(config)
    (tmp_path / "test" / "emu").rmdir()
    for path in (tmp_path / "test" / "cat").iterdir():
        path.unlink()
    with pytest.raises(ConfigError, match=r"test/cat: holds no image"):
        load_dataset(config)


def test_digest_tells_data_sets_apart(tmp_path: Path) -> None:
    first = load_dataset(write_arrays(tmp_path / "a.npz"))
    assert first.digest() == load_dataset(DataConfig(kind=DataKind.ARRAYS, path=str(tmp_path / "a.npz"))).digest()
    assert first.digest() != load_dataset(write_arrays(tmp_path / "a.npz")).digest()


def test_images_are_reduced_to_means_of_the_pixels_that_are_touched() -> None:
    x = np.random.default_rng(0).integers(0, 256, (1001, 9, 5, 2), dtype=np.uint8)  # more than one chunk
    found = reduced_images(x, 4, 3)
    assert found.shape == (1001, 4, 3, 2)
    assert found.dtype == np.uint8
    for i, j in np.ndindex(4, 3):
        rows = [r for r in range(9) if r < (i + 1) * 9 / 4 and r + 1 > i * 9 / 4]
        columns = [c for c in range(5) if c < (j + 1) * 5 / 3 and c + 1 > j * 5 / 3]
        mean = x[:, rows][:, :, columns].astype(np.float64).mean(axis=(1, 2))
        assert np.array_equal(found[:, i, j], np.floor(mean + 0.5))


def test_a_data_set_is_reduced_in_both_parts_or_left_as_it_is() -> None:
    whole = load_dataset(DataConfig(kind=DataKind.FASHION_MNIST_SUBSET))
    assert reduced(whole, whole.shape) is whole
    small = reduced(whole, Shape(14, 14, 1))
    assert small.train_x.shape[1:] == small.test_x.shape[1:] == (14, 14, 1)
    assert np.array_equal(small.train_y, whole.train_y)
    assert small.digest() != whole.digest()
