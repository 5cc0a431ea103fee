import os
from pathlib import Path

import numpy as np
import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.models.imagecache import cached
from fullspectrum.models.imagefiles import ImageFiles
from PIL import Image


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fullspectrum"


@pytest.fixture
def files(tmp_path) -> ImageFiles:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    return ImageFiles.of(tmp_path, ["0.png", "1.png", "2.png"], 8)


@pytest.fixture
def decoded(monkeypatch) -> list[int]:
    """The number of files of each decoding."""
    calls, decode = [], ImageFiles.decode
    monkeypatch.setattr(ImageFiles, "decode", lambda files: calls.append(len(files)) or decode(files))
    return calls


def test_the_second_time_nothing_is_decoded(files, cache, decoded):
    first, second = cached(files, "train"), cached(files, "train")
    assert decoded == [3] and torch.equal(first, second) and second.dtype == torch.uint8
    assert [path.suffix for path in cache.iterdir()] == [".npz"]


def test_splits_sizes_and_folders_are_cached_apart(files, cache, decoded, tmp_path):
    cached(files, "train")
    cached(files, "val")
    cached(ImageFiles.of(tmp_path, ["0.png", "1.png", "2.png"], 4), "train")
    assert cached(files, "train").shape == (3, 3, 8, 8)
    assert decoded == [3, 3, 3] and len(list(cache.iterdir())) == 3


@pytest.mark.parametrize("change", ["content", "time", "one more", "one less", "names"])
def test_a_stale_cache_is_decoded_again_and_replaced(files, cache, decoded, tmp_path, change):
    cached(files, "train")
    if change == "content":
        Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    elif change == "time":
        os.utime(tmp_path / "1.png", ns=(0, 0))
    else:
        Image.new("RGB", (8, 8)).save(tmp_path / "3.png")
        names = {"one more": "0123", "one less": "01", "names": "013"}[change]
        files = ImageFiles.of(tmp_path, [f"{name}.png" for name in names], 8)
    assert torch.equal(cached(files, "train"), files.decode())
    assert len(decoded) == 3 and len(list(cache.iterdir())) == 1
    cached(files, "train")
    assert len(decoded) == 3


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_found(files, cache, decoded, tmp_path):
    for name in "012":
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png", format="BMP")
    cached(files, "train")
    other, old = tmp_path / "other.png", tmp_path / "1.png"
    Image.new("RGB", (8, 8), (1, 2, 3)).save(other, format="BMP")
    os.utime(other, ns=(old.stat().st_atime_ns, old.stat().st_mtime_ns))
    assert other.stat().st_size == old.stat().st_size
    other.replace(old)
    assert cached(files, "train")[1, :, 0, 0].tolist() == [1, 2, 3]


def test_pixels_that_another_version_decoded_are_decoded_again(files, cache, decoded, monkeypatch):
    cached(files, "train")
    monkeypatch.setattr("PIL.__version__", "0.0.1")
    cached(files, "train")
    assert decoded == [3, 3]


@pytest.mark.parametrize("where", [0, 40, 200, -300, -30, None])
def test_a_damaged_cache_is_decoded_again(files, cache, decoded, where):
    expected = cached(files, "train")
    (stored,) = cache.iterdir()
    raw = bytearray(stored.read_bytes())
    if where is None:
        raw = raw[: len(raw) // 2]
    else:
        raw[where] ^= 0xFF
    stored.write_bytes(raw)
    assert torch.equal(cached(files, "train"), expected)


def test_one_changed_pixel_in_the_cache_is_found(files, cache, decoded):
    expected = cached(files, "train")
    (stored,) = cache.iterdir()
    raw = stored.read_bytes()
    place = raw.index(expected.numpy().tobytes()) + 100
    stored.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
    assert torch.equal(cached(files, "train"), expected) and decoded == [3, 3]


def test_where_nothing_can_be_written_there_is_no_cache(files, cache, decoded):
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    assert torch.equal(cached(files, "train"), cached(files, "train")) and decoded == [3, 3]


def test_a_cache_that_cannot_be_finished_leaves_nothing_behind(files, cache, decoded, monkeypatch):
    def full(*arguments, **keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    assert cached(files, "train").shape == (3, 3, 8, 8) and not list(cache.iterdir())


def test_the_home_folder_is_the_default(files, cache, tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    cached(files, "train")
    assert len(list((tmp_path / "home" / ".cache" / "fullspectrum").iterdir())) == 1


def test_a_broken_image_is_never_cached(files, cache, tmp_path):
    (tmp_path / "1.png").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"1\.png: not a readable image"):
        cached(files, "train")
    assert not cache.exists()
