import hashlib

import numpy as np
import pytest
import scipy.io
import torch
from fullspectrum.models.data import Task, load
from fullspectrum.models.errors import InputError
from torchvision.datasets import SVHN


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Small files in the format of the real ones: X (32, 32, 3, N), y (N, 1) with 10 for the digit 0."""
    generator = np.random.default_rng(0)
    listed = {}
    for split, count in (("train", 100), ("test", 30)):
        path = tmp_path / f"{split}_32x32.mat"
        labels = (np.arange(count, dtype=np.uint8) % 10 + 1)[:, None]
        scipy.io.savemat(path, {"X": generator.integers(0, 256, (32, 32, 3, count), dtype=np.uint8), "y": labels})
        # Never the network: what is absent here cannot be downloaded.
        absent = (tmp_path / "absent.mat").as_uri()
        listed[split] = [absent, path.name, hashlib.md5(path.read_bytes()).hexdigest()]
    monkeypatch.setattr(SVHN, "split_list", listed)
    monkeypatch.setenv("FULLSPECTRUM_DATA", str(tmp_path))
    return tmp_path


def test_digits_are_numbered_by_their_value_and_a_tenth_becomes_validation(root):
    data = load("svhn")
    assert data.name == "svhn" and data.task == Task(3, 32, 10)
    counts = {name: split.labels.bincount().tolist() for name, split in data.splits.items()}
    assert counts == {"train": [9] * 10, "val": [1] * 10, "test": [3] * 10}
    # The file numbers them 1 to 10.
    assert data.splits["test"].labels[:10].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]


def test_pixels_keep_their_place(root):
    raw = scipy.io.loadmat(root / "test_32x32.mat")["X"]
    images = load("svhn").splits["test"].images
    assert torch.equal(images[7], torch.from_numpy(raw[:, :, :, 7].transpose(2, 0, 1).copy()))


def test_digits_are_cropped_but_never_flipped(root):
    assert load("svhn").augment == "crop"


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_missing_and_damaged_files_say_what_to_put_where(root, damage):
    path = root / "test_32x32.mat"
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(
        InputError, match="svhn: not found in .*train_32x32.mat and test_32x32.mat.*FULLSPECTRUM"
    ) as told:
        load("svhn")
    assert "\n" not in str(told.value)
